"""The words at the top of a pull request, by a model through its provider's own SDK.

Nothing depends on them: without a key, or when the call fails, there are none and the evidence speaks alone.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, StrictUndefined

from runner.config import Host
from runner.errors import ProviderError
from runner.model import Report, Run
from runner.ports import Summarizer

log = logging.getLogger(__name__)

Provider = Literal["openai", "anthropic"]

DEFAULT_MODELS: dict[Provider, str] = {"openai": "gpt-5.4-mini", "anthropic": "claude-haiku-5-5"}

_SECONDS = 30.0
_RETRIES = 1
_LONGEST_CONTEXT = 12_000
_LONGEST_DIFF = 40_000
_LONGEST_TITLE = 300
_LONGEST_SUMMARY = 2_000
_OUTPUT_TOKENS = 2_000

# Plain text for a model, not HTML.
_templates = Environment(undefined=StrictUndefined, autoescape=False)  # noqa: S701


def build_summarizer(host: Host) -> Summarizer:
    """The summarizer that the host asked for; by default the provider whose key is set."""
    wanted = host.settings.summary.provider
    if wanted == "none":
        return Silent()
    makers: dict[Provider, Callable[[], Summarizer | None]] = {
        "openai": lambda: _openai(host),
        "anthropic": lambda: _anthropic(host),
    }
    for name in (wanted,) if wanted is not None else makers:
        made = makers[name]()
        if made is not None:
            return made
    if wanted is not None:
        log.warning("summary.provider is %s, but its key is not set; pull requests get the template's words", wanted)
    return Silent()


class Silent:
    """Says nothing, so that the template speaks."""

    def summarize(self, run: Run, report: Report, diff: str) -> str | None:
        """None."""
        del run, report, diff
        return None


class ModelSummarizer:
    """Asks a model once.

    Args:
        ask: sends a prompt and answers the model's text, or raises ProviderError.
    """

    def __init__(self, ask: Callable[[str], str]) -> None:
        self._ask = ask

    def summarize(self, run: Run, report: Report, diff: str) -> str | None:
        """Two or three plain sentences, or None where the call failed (which is logged)."""
        del report
        try:
            words = self._ask(prompt(run, diff))
        except ProviderError as e:
            log.warning("no summary for run %s: %s", run.id, e.message)
            return None
        return " ".join(words.split())[:_LONGEST_SUMMARY] or None


def prompt(run: Run, diff: str) -> str:
    """What the model is told; everything that others wrote is capped, and fenced by a line that they cannot know."""
    source = files("prompts").joinpath("summary.md").read_text(encoding="utf-8")
    return _templates.from_string(source).render(
        nonce=secrets.token_hex(8),
        goal=run.job.goal.value,
        title=_cut(run.job.title, _LONGEST_TITLE),
        context=_cut(run.job.context, _LONGEST_CONTEXT),
        message=_cut(run.attempts[-1].message if run.attempts else "", _LONGEST_CONTEXT),
        diff=_cut(diff, _LONGEST_DIFF),
    )


def _cut(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n[… {len(text) - 2 * half} characters left out …]\n{text[-half:]}"


# The SDKs take seconds to import, and most commands never need them: hence the imports inside.


def _openai(host: Host) -> ModelSummarizer | None:
    key = host.secrets.openai_api_key
    if key is None:
        return None
    model = host.settings.summary.model or DEFAULT_MODELS["openai"]

    def ask(text: str) -> str:
        import openai  # noqa: PLC0415

        try:
            with openai.OpenAI(
                api_key=key.get_secret_value(), base_url=host.openai_base_url, timeout=_SECONDS, max_retries=_RETRIES
            ) as client:
                answer = client.responses.create(model=model, input=text, max_output_tokens=_OUTPUT_TOKENS, store=False)
                return answer.output_text
        except openai.OpenAIError as e:
            raise ProviderError(_words(e)) from e

    return ModelSummarizer(ask)


def _anthropic(host: Host) -> ModelSummarizer | None:
    key = host.secrets.anthropic_api_key
    if key is None:
        return None
    model = host.settings.summary.model or DEFAULT_MODELS["anthropic"]

    def ask(text: str) -> str:
        import anthropic  # noqa: PLC0415

        try:
            with anthropic.Anthropic(
                api_key=key.get_secret_value(), base_url=host.anthropic_base_url, timeout=_SECONDS, max_retries=_RETRIES
            ) as client:
                answer = client.messages.create(
                    model=model, max_tokens=_OUTPUT_TOKENS, messages=[{"role": "user", "content": text}]
                )
                return "".join(block.text for block in answer.content if block.type == "text")
        except anthropic.AnthropicError as e:
            raise ProviderError(_words(e)) from e

    return ModelSummarizer(ask)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:_LONGEST_TITLE]}"
