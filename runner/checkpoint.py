"""What `step` and `workflow` mean in `pipeline.py`: the one seam to the durable engine's library (DBOS).

Steps are at-least-once: after a kill, a step that had not been written down runs again, so each looks for its own
trace first. What crosses a checkpoint is plain JSON; expected failures cross as values, because exceptions come back
from a replay as other types.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

from dbos import DBOS
from pydantic import TypeAdapter

from runner.errors import AutomendError, DockerError, OutsideError
from runner.model import Attempt, Check, Finding, Health, Noun, Outcome, Report, Rollout, Verdict
from runner.steps import finish
from runner.steps.house import House
from sandbox.api import SandboxError

log = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")

# Seconds to wait before a step that must not be dropped is tried again: half an hour in all.
_PATIENCE = (2, 10, 30, 60, 300, 600, 900)

_house: House | None = None
_at_work: Counter[str] = Counter()
_counting = threading.Lock()


def move_in(house: House) -> None:
    """Give the steps what they work with; once per process, before the engine starts."""
    global _house  # noqa: PLW0603 - the library registers workflows globally, so what they use is global too
    _house = house


def at_work(run: str) -> bool:
    """Whether a workflow of a run is going on in this process now: between its steps, too."""
    return _at_work[run] > 0


def runs_at_work() -> list[str]:
    """The runs that a workflow is going on for in this process now."""
    with _counting:
        return [run for run, workflows in _at_work.items() if workflows > 0]


@contextmanager
def _going_on(run: str) -> Iterator[None]:
    with _counting:
        _at_work[run] += 1
    try:
        yield
    finally:
        with _counting:
            _at_work[run] -= 1


def house() -> House:
    """What the steps work with.

    Raises:
        RuntimeError: `move_in` was not called.
    """
    if _house is None:
        raise RuntimeError("checkpoint.move_in was not called")
    return _house


def workflow(name: str) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Coroutine[Any, Any, None]]]:
    """A durable workflow for one run. An `AutomendError` that leaves it ends the run with its words."""

    def wrap(story: Callable[..., Awaitable[None]]) -> Callable[..., Coroutine[Any, Any, None]]:
        @DBOS.workflow(name=name)
        async def durable(run: str, *args: str) -> None:
            with _going_on(run):
                try:
                    await story(run, *args)
                except AutomendError as e:
                    await step(finish.failed, run, e.to_json())

        return durable

    return wrap


async def step(body: Callable[Concatenate[House, str, P], R], run: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Do one step and write its result down; on a replay, read the result instead.

    Raises:
        AutomendError: the step failed in a way that it expected.
    """
    return await _checkpointed(body, run, args, kwargs)


async def insist(body: Callable[Concatenate[House, str, P], R], run: str, /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Like `step`, but what is outside may be down for half an hour: for what must follow a merge.

    Raises:
        AutomendError: the step failed in a way that waiting does not mend, or for too long.
    """
    for seconds in _PATIENCE:
        try:
            return await _checkpointed(body, run, args, kwargs)
        except OutsideError as e:
            log.warning("%s: %s; trying again in %s s", body.__name__, e.message, seconds)
            await DBOS.sleep_async(seconds)
    return await _checkpointed(body, run, args, kwargs)


async def _checkpointed(body: Callable[..., R], run: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> R:
    name = f"{body.__module__.rpartition('.')[2]}.{body.__name__}"
    adapter: TypeAdapter[R] = TypeAdapter(get_type_hints(body)["return"])
    key = f"{DBOS.workflow_id}/{DBOS.step_id}/{name}"

    def once() -> dict[str, Any]:
        try:
            return done()
        finally:
            with suppress(SandboxError):  # the engine is away still; the next one that comes up reaps
                house().sandboxes.settle()

    def done() -> dict[str, Any]:
        began = time.monotonic()
        try:
            value = body(house(), run, *args, **kwargs)
        except AutomendError as e:
            return _failed(run, key, name, e, began)
        except SandboxError as e:
            return _failed(run, key, name, DockerError(e.message, remedy=e.remedy), began)
        except Exception as e:
            log.exception("run %s: %s failed unexpectedly", run, name)
            return _failed(run, key, name, AutomendError(f"internal error in {name}: {type(e).__name__}: {e}"), began)
        verdict, words, data = in_words(value)
        house().store.note(run, key, name, words, verdict=verdict, seconds=time.monotonic() - began, data=data)
        return {"value": adapter.dump_python(value, mode="json")}

    result: dict[str, Any] = await DBOS.run_step_async({"name": name}, _in_thread, once)
    if "error" in result:
        raise AutomendError.from_json(result["error"])
    return adapter.validate_python(result["value"])


async def _in_thread(once: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    return await asyncio.to_thread(once)


def _failed(run: str, key: str, name: str, error: AutomendError, began: float) -> dict[str, Any]:
    words = f"{error.message} — {error.remedy}" if error.remedy else error.message
    house().store.note(run, key, name, words, verdict=Verdict.ERROR, seconds=time.monotonic() - began)
    return {"error": error.to_json()}


def in_words(value: object) -> tuple[Verdict | None, str, dict[str, Any]]:
    """A step's result as a line of the audit trail: verdict, words, data."""
    if isinstance(value, Report):
        return value.verdict, _report_in_words(value), _judged(value)
    if isinstance(value, Attempt):
        verdict = Verdict.PASSED if value.outcome is Outcome.DONE else Verdict.FAILED
        words = f"attempt {value.number} by {value.agent}: {value.outcome.value}, {value.tool_calls} tool calls"
        return verdict, f"{words}{'; ' + value.detail if value.detail else ''}", value.model_dump(mode="json")
    if isinstance(value, Rollout):
        how = "" if value.verdict is Verdict.PASSED and value.detail else f"{value.verdict.value} "
        return value.verdict, f"release {value.release[:12]}: {how}{value.detail}".strip(), {}
    if isinstance(value, Health):
        return None, f"{value.level.value}: {value.summary}", value.model_dump(mode="json")
    if isinstance(value, Noun):
        fields = value.model_dump(mode="json")
        said = Verdict(fields["verdict"]) if fields.get("verdict") in set(Verdict) else None
        words = (
            fields.get("why") or fields.get("url") or "; ".join(fields.get("reasons", ())) or fields.get("sha") or ""
        )
        return said, str(words), fields
    return None, "" if value is None else str(value), {}


def _report_in_words(report: Report) -> str:
    size = f"{len(report.patch.files)} files, +{report.patch.added} −{report.patch.removed}"
    bad = Counter(f.rule for f in report.findings if f.verdict is not Verdict.PASSED)
    bad.update(c.name for c in report.checks if c.verdict is not Verdict.PASSED)
    if bad:
        reasons = ", ".join(f"{name} ({times})" if times > 1 else name for name, times in bad.items())
        return f"{report.verdict.value}: {reasons} · {size}"
    shown = [report.verdict.value]
    tests, coverage = report.evidence.tests, report.evidence.coverage
    if tests is not None:
        count = len(tests.red_to_green)
        shown.append(f"{count} {'test' if count == 1 else 'tests'} red → green, none of {tests.baseline_passed} lost")
    if coverage is not None and coverage.after is not None:
        shown.append(f"coverage {coverage.after:.0f} %")
    return " · ".join([*shown, size])


def _judged(report: Report) -> dict[str, Any]:
    def named(items: tuple[Finding, ...] | tuple[Check, ...]) -> list[dict[str, Any]]:
        return [item.model_dump(mode="json") for item in items]

    return {"findings": named(report.findings), "checks": named(report.checks)}
