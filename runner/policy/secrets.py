"""secrets: does an added line give something away? What is found is named by its kind and a short hash, never shown.

The detectors are those of detect-secrets; only their pattern matching is used, so nothing is ever asked of a provider.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cache

from detect_secrets.plugins.artifactory import ArtifactoryDetector
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.base import BasePlugin, RegexBasedDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.cloudant import CloudantDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString, HexHighEntropyString
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.keyword import KeywordDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.npm import NpmDetector
from detect_secrets.plugins.openai import OpenAIDetector
from detect_secrets.plugins.private_key import PrivateKeyDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.square_oauth import SquareOAuthDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector

from runner.model import Finding
from runner.policy.case import Case, Family, Rule, consequence
from runner.policy.languages import EXAMPLES, LOCKS, PROSE
from runner.policy.schema import Policy
from runner.policy.secret_forms import decoded, joined, may_be_apart, may_be_token, runs, taken_apart

_LONGEST = 4000
"""Bytes of a line that are looked at in one piece."""
_OVERLAP = 200
_MOST_PER_FILE = 10
_LONG_WORD = re.compile(r"[A-Za-z0-9+/_\-=]{16,}")
_TELLING = re.compile(r"key|pass|pwd|secret|token|cred|auth|begin |://")
_KNOWN: tuple[type[RegexBasedDetector], ...] = (
    ArtifactoryDetector, AWSKeyDetector, AzureStorageKeyDetector, CloudantDetector, DiscordBotTokenDetector,
    GitHubTokenDetector, GitLabTokenDetector, MailchimpDetector, NpmDetector, OpenAIDetector, PypiTokenDetector,
    SendGridDetector, SlackDetector, SquareOAuthDetector, StripeDetector, TelegramBotTokenDetector, TwilioKeyDetector,
)  # fmt: skip
_ALSO_KNOWN: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("Anthropic key", re.compile(r"\bsk-ant-[A-Za-z0-9_\-]{24,}")),
    ("OpenAI key", re.compile(r"\bsk-(?:proj|svcacct|admin)-[A-Za-z0-9_\-]{24,}")),
    ("GitHub fine-grained token", re.compile(r"\bgithub_pat_[A-Za-z0-9_]{40,}")),
    ("Google API key", re.compile(r"\bAIza[A-Za-z0-9_\-]{35}\b")),
    ("Google OAuth secret", re.compile(r"\bGOCSPX-[A-Za-z0-9_\-]{28}\b")),
    ("Hugging Face token", re.compile(r"\bhf_[A-Za-z0-9]{30,}\b")),
    ("npm token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("Docker token", re.compile(r"\bdckr_(?:pat|oat)_[A-Za-z0-9_\-]{27,}")),
    ("Grafana token", re.compile(r"\bgl(?:sa|c)_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}\b")),
    ("Linear key", re.compile(r"\blin_(?:api|oauth)_[A-Za-z0-9]{40}\b")),
    ("Figma token", re.compile(r"\bfig[dor]_[A-Za-z0-9_\-]{40}")),
    ("Sentry token", re.compile(r"\bsntry[su]_[A-Za-z0-9+/=_\-]{60,}")),
    ("New Relic key", re.compile(r"\bNRAK-[A-Z0-9]{27}\b")),
    ("Postman key", re.compile(r"\bPMAK-[a-f0-9]{24}-[a-f0-9]{34}\b")),
    ("Doppler token", re.compile(r"\bdp\.(?:pt|st|ct|sa)\.[A-Za-z0-9]{40,}")),
    ("Vault token", re.compile(r"\bhv[sb]\.[A-Za-z0-9_\-]{90,}")),
    ("Terraform token", re.compile(r"\.atlasv1\.[A-Za-z0-9_\-]{60,}")),
    ("Mailgun key", re.compile(r"\bkey-[a-f0-9]{32}\b")),
    ("Discord webhook", re.compile(r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_\-]{60,}")),
    ("Stripe key", re.compile(r"\b[rs]k_live_[A-Za-z0-9]{20,}")),
    ("DigitalOcean token", re.compile(r"\bdo[opr]_v1_[a-f0-9]{64}\b")),
    ("Slack webhook", re.compile(r"hooks\.slack\.com/services/T[A-Z0-9]{6,}/B[A-Z0-9]{6,}/[A-Za-z0-9]{20,}")),
    ("age key", re.compile(r"\bAGE-SECRET-KEY-1[A-Z0-9]{50,}")),
    ("Shopify token", re.compile(r"\bshp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}\b")),
    ("Databricks token", re.compile(r"\bdapi[a-f0-9]{32}\b")),
)
_ASSIGNED = re.compile(
    r"(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|credential)"
    r"[\w\-]{0,30}[\"']?\s{0,4}[:=]\s{0,4}[\"']?([A-Za-z0-9+/_\-=.~!@%^&]{16,200})(?=[\"'\s,;]|$)"
    r"|\bAuthorization[\"']?\s{0,4}[:=,]\s{0,4}[\"']?(?:Bearer|Basic|token)\s+([A-Za-z0-9+/_\-=.]{16,400})",
    re.IGNORECASE,
)
"""A value under a secret's name, quoted or not: settings, shell, YAML."""
_RANDOM_HEX = 32
_PRIVATE = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d")
_MADE_UP = re.compile(
    r"example|sample|dummy|fake|placeholder|changeme|change-me|your[_-]|xxxx|\*\*\*|<[^>]+>|\.\.\.|redacted|insert|todo"
    r"|test|foo|bar|secret|passw|hunter|1234|abcd|0000|aaaa|\{|\$|%s",
    re.IGNORECASE,
)
_PLAINLY_EXAMPLE = re.compile(r"EXAMPLE|X{8,}|x{8,}|0{10,}|1234567890|(?:abc|ABC){3,}|\.\.\.|<|\*{4,}")
_UUID = re.compile(r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$")
_HASHES = frozenset({32, 40, 56, 64, 96, 128})
_SHORTEST_RANDOM = 20


class _Entropy:
    def __init__(self) -> None:
        self.kinds = (
            ("random base64", Base64HighEntropyString(limit=4.5)),
            ("random hex", HexHighEntropyString(limit=3.0)),
        )

    def found(self, line: str) -> Iterator[tuple[str, str]]:
        for kind, plugin in self.kinds:
            for value in plugin.analyze_string(line):
                if len(value) >= _SHORTEST_RANDOM and plugin.calculate_shannon_entropy(value) > plugin.entropy_limit:
                    yield kind, value


@cache
def _known() -> tuple[RegexBasedDetector, ...]:
    return tuple(plugin() for plugin in _KNOWN)


@cache
def _named() -> KeywordDetector:
    return KeywordDetector()


@cache
def _entropy() -> _Entropy:
    return _Entropy()


@cache
def _addresses() -> tuple[BasePlugin, ...]:
    return (BasicAuthDetector(), JwtTokenDetector(), PrivateKeyDetector())


def _pieces(case: Case) -> Iterator[tuple[str, int, str]]:
    """(path, line, text) of what is worth a look."""
    for path, hunk in case.lines.items():
        for number, raw in hunk.added:
            for at in range(0, max(len(raw), 1), _LONGEST):
                text = raw[at : at + _LONGEST + _OVERLAP].decode("utf-8", "replace")
                if _LONG_WORD.search(text) or _TELLING.search(text.lower()):
                    yield path, number, text


def _found(case: Case) -> Iterator[tuple[str, int, str, str, str]]:
    """(path, line, key of `[secrets]`, kind, value) of every secret: as it stands, taken apart, or encoded."""
    for path, number, text in _pieces(case):
        for rule, kind, value in _in(text, path):
            yield path, number, rule, kind, value
        for hidden in decoded(text) if path not in LOCKS else ():
            for rule, kind, value in _sure(hidden):
                yield path, number, rule, f"{kind}, encoded", value
    yield from _taken_apart(case)


def _taken_apart(case: Case) -> Iterator[tuple[str, int, str, str, str]]:
    for path, hunk in case.lines.items():
        if path in LOCKS or path in PROSE:
            continue
        content = b"\n".join(text for _, text in hunk.added)
        apart, token = may_be_apart(content), may_be_token(content)
        for run in runs(hunk.added) if apart or token else ():
            for number, text in taken_apart(run) if apart else ():
                for rule, kind, value in _in(text, path):
                    if rule != "unsure":
                        yield path, number, rule, f"{kind}, taken apart", value
            for number, text in joined(run) if token else ():
                for rule, kind, value in _sure(text):
                    yield path, number, rule, f"{kind}, taken apart", value


def _secrets(policy: Policy, case: Case) -> Iterator[Finding]:
    shown: dict[str, set[tuple[int, str]]] = {}
    values: set[tuple[str, str]] = set()
    for path, number, rule, kind, value in _found(case):
        if (path, value) not in values:
            values.add((path, value))
            seen = shown.setdefault(path, set())
            if (number, rule) in seen or len(seen) >= _MOST_PER_FILE:
                continue
            seen.add((number, rule))
            action = getattr(policy.secrets, rule)
            digest = hashlib.sha256(value.encode("utf-8", "replace")).hexdigest()[:8]
            yield from consequence(
                action,
                f"secrets.{rule}",
                f"{path}:{number} looks like a secret ({kind}, sha256 {digest}…)",
                path=path,
                line=number,
                remedy="read it from the environment; if it was real, replace it where it is used: it is known now. "
                "A made-up value should say so (`example`)",
            )


def _in(text: str, path: str) -> Iterator[tuple[str, str, str]]:
    """(key of `[secrets]`, kind, value) of every secret in a text; the surest first, and each only once."""
    sure = list(_sure(text))
    yield from sure
    if not sure:
        yield from _perhaps(text, path)


def _sure(text: str) -> Iterator[tuple[str, str, str]]:
    """Those among them that have the form of a known kind."""
    if (key := _PRIVATE.search(text)) is not None:
        yield "private_key", "private key", f"{key[0]} {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()}"
        return
    # Whole matches: what `analyze_string` gives is, for some, only the prefix that names the kind.
    sure = [(str(p.secret_type), m[0]) for p in _known() for pattern in p.denylist for m in pattern.finditer(text)]
    sure += [(kind, found[0]) for kind, pattern in _ALSO_KNOWN for found in pattern.finditer(text)]
    for kind, value in sure:
        yield ("unsure" if _PLAINLY_EXAMPLE.search(value) else "token"), kind, value


def _perhaps(text: str, path: str) -> Iterator[tuple[str, str, str]]:
    for plugin in _addresses():
        for value in plugin.analyze_string(text):
            if not _MADE_UP.search(value):
                sure_enough = _mixed(value) and path not in EXAMPLES and path not in PROSE
                yield ("likely" if sure_enough else "unsure"), str(plugin.secret_type), value
    if path in LOCKS:
        return
    random = [(kind, value) for kind, value in _entropy().found(text) if not _hash(value)]
    found = [*_named().analyze_string(text), *(m[1] or m[2] for m in _ASSIGNED.finditer(text) if _random(m[1] or m[2]))]
    named = [value for value in dict.fromkeys(found) if value and not _MADE_UP.search(value)]
    values = {value for _, value in random}
    for value in named:
        # A name says it, and so does the value: as sure as one can be without knowing the provider.
        sure_enough = (value in values or _random(value)) and path not in EXAMPLES and path not in PROSE
        yield ("likely" if sure_enough else "unsure"), "value of a secret's name", value
    for kind, value in random:
        if value not in named and path not in EXAMPLES and path not in PROSE and not _MADE_UP.search(value):
            yield "unsure", kind, value


def _hash(value: str) -> bool:
    """Digests and UUIDs, which stand in sources for many good reasons."""
    return bool(_UUID.match(value)) or (len(value) in _HASHES and all(c in "0123456789abcdefABCDEF" for c in value))


def _random(value: str) -> bool:
    return _mixed(value) or (
        len(value) >= _RANDOM_HEX and re.fullmatch(r"(?=.*\d)(?=.*[a-f])[0-9a-f]+", value) is not None
    )


def _mixed(value: str) -> bool:
    """Long, and of letters, digits and both cases mixed, as no word is."""
    return (
        len(value) >= _SHORTEST_RANDOM
        and " " not in value
        and any(c.isdigit() for c in value)
        and any(c.isupper() for c in value)
        and any(c.islower() for c in value)
    )


def _numbers(policy: Policy, case: Case) -> str:
    return f"{sum(len(hunk.added) for hunk in case.lines.values())} added lines, no sure secret"


SECRETS = Family("secrets", (Rule("secrets.found", _secrets),), _numbers)
