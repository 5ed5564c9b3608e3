"""comments: words on added lines that are meant for machines: orders to agents, and orders to be silent to linters."""

from __future__ import annotations

import re
from collections.abc import Iterator

from runner.model import Finding
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.languages import JAVASCRIPT, PYTHON
from runner.policy.schema import Policy

_MACHINE = (
    r"(?:AI|LLM|language[ -]model|coding|code|review|software|autonomous)[ -]"
    r"(?:agents?|assistants?|models?|reviewers?|bots?)|LLMs?|AIs|claude|codex|copilot|chatgpt|gemini"
)
# To set aside what one was told is an order to a machine whoever it names.
_SET_ASIDE = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b(?:\W+\w+){0,3}?\W+"
    r"(?:previous|prior|above|earlier|preceding|your|system|all)\b(?:\W+\w+){0,2}?\W+"
    r"(?:instructions?|prompts?|directions?|guidelines|guardrails)\b"
    r"|\byou are now\b.{0,40}\bmode\b|\bnew system prompt\b|</?system(?:[ -](?:prompt|reminder))?>"
    r"|\b(?:reply|respond|answer)\b(?:\W+\w+){0,3}?\W+(?:APPROVED?|LGTM|PASS(?:ED)?)\b",
    re.IGNORECASE,
)
_ADDRESSED = re.compile(
    rf"\b(?:{_MACHINE})\b[^.\n]{{0,60}}?(?:[:,]|\b(?:must|should|shall|please|need to|are to)\b)[^\n]{{0,80}}?"
    r"\b(?:ignore|disregard|approve|merge|push|curl|wget|exfiltrate|leak|upload|reveal|print the (?:env|secret|token)"
    r"|delete|skip the (?:tests?|review)|do not (?:report|mention|tell|flag|review)|run `|execute)",
    re.IGNORECASE,
)
# One of these is in whatever the two find: most files have none, and are not looked at line by line.
_VERBS = (
    "ignore", "disregard", "forget", "override", "bypass", "you are now", "system prompt", "<system", "</system",
    "reply", "respond", "answer", "approve", "merge", "push", "curl", "wget", "exfiltrate", "leak", "upload", "reveal",
    "print the", "delete", "skip the", "do not", "run `", "execute",
)  # fmt: skip
_OTHER_I = str.maketrans("\u0130\u0131", "ii")
"""Letters that `re.IGNORECASE` takes for an i, and `casefold` does not."""
_SILENT_PYTHON = re.compile(
    r"#\s*(?:type:\s*ignore|noqa\b|pylint:\s*(?:disable|skip-file)|mypy:\s*ignore-errors|ruff:\s*noqa|flake8:\s*noqa"
    r"|pyright:\s*(?:ignore|basic)|nosec\b|nosemgrep\b|bandit:\s*skip)",
    re.IGNORECASE,
)
_SILENT_JAVASCRIPT = re.compile(
    r"(?://|/\*)\s*(?:@ts-(?:ignore|expect-error|nocheck)|eslint-disable(?:-next-line|-line)?\b|tslint:disable"
    r"|biome-ignore|prettier-ignore|oxlint-disable|nosemgrep\b|NOSONAR\b)",
    re.IGNORECASE,
)
_MOST_PER_FILE = 3


def _instructions(policy: Policy, case: Case) -> Iterator[Finding]:
    for path, hunk in case.lines.items():
        if not _may_order(b"\n".join(text for _, text in hunk.added)):
            continue
        shown = 0
        for number, raw in hunk.added:
            line = raw.decode("utf-8", "replace")
            found = _SET_ASIDE.search(line) or _ADDRESSED.search(line)
            if found is None or shown == _MOST_PER_FILE:
                continue
            shown += 1
            yield from consequence(
                policy.text.instructions,
                "text.instructions",
                f"{path}:{number} tells an agent or a model what to do: `{' '.join(found[0].split())[:80]}`",
                path=path,
                line=number,
                remedy="leave it out; who reads this repository takes no orders from it",
            )


def _may_order(content: bytes) -> bool:
    said = content.decode("utf-8", "replace").translate(_OTHER_I).casefold()
    return any(verb in said for verb in _VERBS)


def _silenced(policy: Policy, case: Case) -> Iterator[Finding]:
    for path, hunk in case.lines.items():
        pattern = _SILENT_PYTHON if path in PYTHON else _SILENT_JAVASCRIPT if path in JAVASCRIPT else None
        if pattern is None:
            continue
        gone = sum(len(pattern.findall(raw.decode("utf-8", "replace"))) for _, raw in hunk.removed)
        for number, raw in hunk.added:
            found = pattern.search(raw.decode("utf-8", "replace"))
            if found is None:
                continue
            if gone > 0:
                gone -= 1  # it stood on a line that only changed
                continue
            yield from consequence(
                policy.lint.silenced,
                "lint.silenced",
                f"{path}:{number} asks a checker to be silent: `{found[0]}`",
                path=path,
                line=number,
                remedy="mend what the checker would say",
            )


def _numbers(policy: Policy, case: Case) -> str:
    lines = sum(len(hunk.added) for hunk in case.lines.values())
    return f"{lines} added lines, no order to a machine"


COMMENTS = Family("comments", (Rule("text.instructions", _instructions), Rule("lint.silenced", _silenced)), _numbers)
