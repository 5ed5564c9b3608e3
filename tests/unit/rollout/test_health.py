"""The probe on a clock of its own: no network, no waiting."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from runner.model import Health, Level
from runner.ports import Probe
from runner.rollout.health import HttpAndLogProbe
from runner.settings import ProbeConfig


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.on_tick: Callable[[], None] = lambda: None

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.on_tick()


class Service:
    """Answers one reading after another as told: a status, an exception, or a status after some seconds."""

    def __init__(self, clock: Clock, answers: Iterator[int | Exception | tuple[int, float]]) -> None:
        self.clock, self.answers = clock, answers

    def __call__(self, request: httpx.Request) -> httpx.Response:
        answer = next(self.answers)
        if isinstance(answer, Exception):
            raise answer
        status, seconds = answer if isinstance(answer, tuple) else (answer, 0.01)
        self.clock.now += seconds
        return httpx.Response(status, text="x")


def forever(*answers: int | Exception | tuple[int, float]) -> Iterator[int | Exception | tuple[int, float]]:
    yield from answers
    while True:
        yield answers[-1]


REFUSED = httpx.ConnectError("connection refused")
URL = "http://shop.example/health"


def watch(
    answers: Iterator[int | Exception | tuple[int, float]],
    *,
    seconds: float = 20,
    stop: bool = False,
    log: Path | None = None,
    tick: Callable[[], None] | None = None,
    grace: float = 10,
) -> tuple[Health, float]:
    clock = Clock()
    if tick is not None:
        clock.on_tick = tick
    probe: Probe = HttpAndLogProbe(
        ProbeConfig.model_validate({"url": URL, "log": log, "interval_seconds": 1, "timeout_seconds": 2}),
        grace_seconds=grace,
        clock=clock,
        sleep=clock.sleep,
        transport=httpx.MockTransport(Service(clock, answers)),
    )
    health = probe.watch(seconds, stop_when_critical=stop)
    return health, clock.now - 1000


def test_all_is_well() -> None:
    health, took = watch(forever(200))
    assert (health.level, health.readings, health.failures) == (Level.HEALTHY, 20, 0)
    assert health.median_ms == pytest.approx(10, abs=1)
    assert health.errors_per_minute is None
    assert took == pytest.approx(20, abs=0.1)


def test_one_hiccup_is_degraded() -> None:
    health, _ = watch(forever(200, 200, 503, 200))
    assert (health.level, health.failures) == (Level.DEGRADED, 1)
    assert "1 of 20 readings failed (it answered 503)" in health.summary


def test_one_in_five_is_unhealthy() -> None:
    health, _ = watch(iter([200, 200, 200, 200, 500] * 4))
    assert (health.level, health.failures) == (Level.UNHEALTHY, 4)


def test_three_in_a_row_at_the_end_is_critical() -> None:
    health, _ = watch(iter([200] * 17 + [500] * 3))
    assert health.level is Level.CRITICAL


def test_stops_at_once_when_critical() -> None:
    health, took = watch(forever(200, 200, 500), stop=True, seconds=300)
    assert health.level is Level.CRITICAL
    assert took < 6


def test_only_success_is_an_answer() -> None:
    health, _ = watch(forever(302))
    assert health.level is Level.CRITICAL
    assert "it answered 302" in health.summary


def test_a_service_that_starts_is_not_failing() -> None:
    health, _ = watch(forever(*[REFUSED] * 4, 200))
    assert (health.level, health.failures, health.readings) == (Level.HEALTHY, 0, 16)


def test_refusing_after_it_was_up_counts() -> None:
    health, _ = watch(forever(200, REFUSED, REFUSED, 200))
    assert health.failures == 2


def test_an_error_is_no_starting_service() -> None:
    assert watch(forever(500, 500, 200))[0].failures == 2


@pytest.mark.parametrize("seconds", [1, 3, 20, 60])
def test_never_coming_up_is_critical(seconds: float) -> None:
    health, _ = watch(forever(REFUSED), seconds=seconds)
    assert health.level is Level.CRITICAL
    assert "connection refused" in health.summary
    assert health.median_ms is None


def test_never_coming_up_stops_soon_after_the_grace() -> None:
    health, took = watch(forever(REFUSED), seconds=300, stop=True)
    assert health.level is Level.CRITICAL
    assert 10 <= took <= 14


def test_slow_is_degraded_and_too_slow_is_a_failure() -> None:
    assert watch(forever((200, 0.5)))[0].level is Level.HEALTHY
    clock_heavy, _ = watch(forever((200, 1.9)))
    assert clock_heavy.level is Level.HEALTHY
    timed_out, _ = watch(forever(httpx.ReadTimeout("slow")))
    assert (timed_out.level, timed_out.failures) == (Level.CRITICAL, timed_out.readings)
    assert "no answer within 2 s" in timed_out.summary
    dripping, _ = watch(forever((200, 2.5)))
    assert dripping.level is Level.CRITICAL


def test_errors_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ERROR old\n")

    def tick() -> None:
        with log.open("a") as file:
            file.write("ERROR new\n")

    health, _ = watch(forever(200), log=log, tick=tick)
    assert health.level is Level.UNHEALTHY
    assert health.errors_per_minute == pytest.approx(60, rel=0.1)
    assert "errors in the log" in health.summary


def test_one_stray_error_in_a_short_window_is_told_but_healthy(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("")
    ticks = iter([True])

    def tick() -> None:
        if next(ticks, False):
            log.write_text("ERROR stray\n")

    health, _ = watch(forever(200), seconds=3, log=log, tick=tick)
    assert health.level is Level.HEALTHY
    assert health.errors_per_minute == pytest.approx(20, rel=0.1)
    assert "1 error in the log" in health.summary


def test_a_missing_log_is_unknown_not_zero(tmp_path: Path) -> None:
    health, _ = watch(forever(200), log=tmp_path / "missing")
    assert (health.level, health.errors_per_minute) == (Level.UNKNOWN, None)
    assert "could not be read" in health.summary


def test_a_missing_log_does_not_hide_an_outage(tmp_path: Path) -> None:
    assert watch(forever(500), log=tmp_path / "missing")[0].level is Level.CRITICAL


def test_nothing_configured_is_unknown() -> None:
    probe = HttpAndLogProbe(ProbeConfig.model_validate({}))
    assert probe.watch(300).level is Level.UNKNOWN


def test_log_alone(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("")
    clock = Clock()
    probe = HttpAndLogProbe(ProbeConfig.model_validate({"log": tmp_path / "log"}), clock=clock, sleep=clock.sleep)
    health = probe.watch(20)
    assert (health.level, health.readings, health.median_ms) == (Level.HEALTHY, 4, None)


HEALTHY = Health(level=Level.HEALTHY, summary="fine", readings=20, median_ms=10, errors_per_minute=0)
UNKNOWN = Health(level=Level.UNKNOWN, summary="blind")


def health(level: Level, **fields: object) -> Health:
    return HEALTHY.model_copy(update={"level": level, "summary": f"is {level}", **fields})


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (HEALTHY, HEALTHY, None),
        (HEALTHY, UNKNOWN, None),
        (UNKNOWN, HEALTHY, None),
        (UNKNOWN, health(Level.DEGRADED), None),
        (UNKNOWN, health(Level.UNHEALTHY), "nothing is known from before"),
        (HEALTHY, health(Level.UNHEALTHY), "healthy before, unhealthy now"),
        (health(Level.UNHEALTHY), health(Level.CRITICAL), "unhealthy before, critical now"),
        (health(Level.UNHEALTHY, errors_per_minute=40), health(Level.UNHEALTHY, errors_per_minute=45), None),
        (health(Level.UNHEALTHY, errors_per_minute=40), health(Level.UNHEALTHY, errors_per_minute=90), "90.0 errors"),
        (health(Level.CRITICAL, failures=20), health(Level.CRITICAL, failures=20), None),
        (health(Level.CRITICAL, failures=20), health(Level.UNHEALTHY, failures=5), None),
        (HEALTHY, health(Level.DEGRADED, failures=1), None),
        (HEALTHY, health(Level.DEGRADED, failures=3), "15% of the readings fail now, 0% before"),
        (HEALTHY, health(Level.DEGRADED, errors_per_minute=5), None),
        (HEALTHY, health(Level.DEGRADED, errors_per_minute=9), "9.0 errors a minute in the log now, 0.0 before"),
        (HEALTHY, health(Level.HEALTHY, errors_per_minute=20), None),
        (HEALTHY, health(Level.DEGRADED, median_ms=2500), "2500 ms now, 10 ms before"),
        (health(Level.DEGRADED, median_ms=2400), health(Level.DEGRADED, median_ms=2500), None),
        (health(Level.HEALTHY, errors_per_minute=None), health(Level.DEGRADED, errors_per_minute=9), None),
    ],
)
def test_worse(before: Health, after: Health, words: str | None) -> None:
    said = HttpAndLogProbe(ProbeConfig.model_validate({})).worse(before, after)
    assert (words is None) == (said is None)
    assert words is None or words in str(said)
