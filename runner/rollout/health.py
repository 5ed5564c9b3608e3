"""Reads how production is doing: an HTTP address, and the errors in a log file."""

from __future__ import annotations

import contextlib
import ipaddress
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from runner.model import Health, Level
from runner.rollout.logtail import LogTail
from runner.settings import ProbeConfig

# ── thresholds ───────────────────────────────────────────────────────────────────────────────────────────────
# level       when (any of)                                       because
# UNKNOWN     nothing is configured or was read; the log is       what cannot be read never counts as green
#             configured and unreadable, and HTTP is not bad
# CRITICAL    no answer at all, or DOWN_IN_A_ROW failures at      one failure is a hiccup, three in a row are an outage
#             the end of the window
# UNHEALTHY   FAILING_SHARE of the readings failed, two at least  one reading in five is what users notice
#             FAILING_ERRORS a minute in the log, three at least  not one stray error in a short window
# DEGRADED    any reading failed                                  worth telling, not worth a rollback by itself
#             two errors in the log, one a minute at least
#             median above SLOW_MS                                slower than people wait for a page
# HEALTHY     all else
DOWN_IN_A_ROW = 3
FAILING_SHARE = 0.2
FAILING_COUNT = 2
FAILING_ERRORS = 10.0
FAILING_ERRORS_COUNT = 3
NOTED_ERRORS = 1.0
NOTED_ERRORS_COUNT = 2
SLOW_MS = 2000.0

# What makes a window worse than the one before, though both have the same level or neither is UNHEALTHY. All of
# them need an `after` that is not HEALTHY: twice nearly nothing is still nearly nothing.
WORSE_SHARE = 0.1  # of the readings, more than before
WORSE_ERRORS_FACTOR, WORSE_ERRORS_MORE = 2.0, 6.0  # twice as many, and six a minute more
WORSE_MEDIAN_FACTOR, WORSE_MEDIAN_MORE = 3.0, 250.0  # three times as slow, and a quarter of a second more

GRACE_SECONDS = 10.0
"""How long a service that is starting may refuse connections; half of the window at most."""

BODY_AT_MOST = 64 * 1024
"""Bytes of an answer that are read; a health page is small."""

RANK = {Level.HEALTHY: 0, Level.DEGRADED: 1, Level.UNHEALTHY: 2, Level.CRITICAL: 3}


@dataclass
class _Readings:
    """What a window saw so far."""

    count: int = 0
    failures: int = 0
    in_a_row: int = 0
    last_failure: str = ""
    milliseconds: list[float] = field(default_factory=list)
    errors: int | None = None
    log_readings: int = 0

    def ok(self, milliseconds: float) -> None:
        self.count += 1
        self.in_a_row = 0
        self.milliseconds.append(milliseconds)

    def failed(self, why: str) -> None:
        self.count += 1
        self.failures += 1
        self.in_a_row += 1
        self.last_failure = why

    @property
    def down(self) -> bool:
        return self.in_a_row >= DOWN_IN_A_ROW or (self.count > 0 and self.failures == self.count)


class HttpAndLogProbe:
    """A `Probe` that reads `[repo."…".health]`.

    Args:
        config: what to read, and how often.
        grace_seconds: how long connections may be refused at the beginning of a window.
        clock: seconds that only go forward.
        sleep: waits that many seconds.
        transport: what carries the requests, instead of the network.
    """

    def __init__(
        self,
        config: ProbeConfig,
        *,
        grace_seconds: float = GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._config = config
        self._grace = grace_seconds
        self._clock = clock
        self._sleep = sleep
        self._transport = transport

    def watch(self, seconds: float, *, stop_when_critical: bool = False) -> Health:
        """Read every interval for `seconds`, and judge the window.

        With `stop_when_critical` the window ends as soon as the service is plainly down. Connections refused at
        the very beginning (a service that is starting) count only if it never comes up.
        """
        if self._config.url is None and self._config.log is None:
            return Health(level=Level.UNKNOWN, summary="neither an address nor a log is configured to be read")
        begin = self._clock()
        end = begin + seconds
        grace_end = begin + min(self._grace, seconds / 2)
        seen = _Readings()
        refused = ""
        with self._log() as log, self._client() as client:
            while True:
                reading_at = self._clock()
                if client is not None and self._config.url is not None:
                    why, starting = self._read(client, self._config.url, seen)
                    if starting and seen.count == 0 and reading_at < grace_end:
                        refused = why
                    elif why:
                        seen.failed(why)
                _note(log, seen, LogTail.read)
                seen.log_readings += log is not None and log.readable
                if stop_when_critical and seen.in_a_row >= DOWN_IN_A_ROW:
                    break
                next_at = reading_at + self._config.interval_seconds
                if next_at >= end:
                    self._wait_until(end)
                    break
                self._wait_until(next_at)
            _note(log, seen, LogTail.finish)
        if client is not None and seen.count == 0:
            seen.failed(refused)  # the window was over before the grace: it never came up
        return self._judge(seen, self._clock() - begin)

    def worse(self, before: Health, after: Health) -> str | None:
        """Why `after` is worse than `before`, in plain words, or None where it is not.

        An `after` that is UNKNOWN is not worse: it is inconclusive, and the caller's to refuse. Without a known
        `before`, `after` is worse if it is UNHEALTHY or CRITICAL.
        """
        if after.level is Level.UNKNOWN or RANK[after.level] == 0:
            return None
        bad = RANK[after.level] >= RANK[Level.UNHEALTHY]
        if before.level is Level.UNKNOWN:
            return f"{after.summary} (nothing is known from before to compare it with)" if bad else None
        if bad and RANK[after.level] > RANK[before.level]:
            return f"{before.level} before, {after.level} now: {after.summary}"
        share_before, share_after = _share(before), _share(after)
        if after.failures >= FAILING_COUNT and share_after >= share_before + WORSE_SHARE:
            return f"{share_after:.0%} of the readings fail now, {share_before:.0%} before: {after.summary}"
        errors_before, errors_after = before.errors_per_minute, after.errors_per_minute
        if (
            errors_before is not None
            and errors_after is not None
            and errors_after >= errors_before * WORSE_ERRORS_FACTOR
            and errors_after >= errors_before + WORSE_ERRORS_MORE
        ):
            return f"{errors_after:.1f} errors a minute in the log now, {errors_before:.1f} before"
        slow_before, slow_after = before.median_ms, after.median_ms
        if (
            slow_before is not None
            and slow_after is not None
            and slow_after >= slow_before * WORSE_MEDIAN_FACTOR
            and slow_after >= slow_before + WORSE_MEDIAN_MORE
        ):
            return f"answers take {slow_after:.0f} ms now, {slow_before:.0f} ms before (median)"
        return None

    def _log(self) -> contextlib.AbstractContextManager[LogTail | None]:
        return contextlib.nullcontext() if self._config.log is None else LogTail(self._config.log)

    def _client(self) -> contextlib.AbstractContextManager[httpx.Client | None]:
        if self._config.url is None:
            return contextlib.nullcontext()
        return httpx.Client(
            timeout=self._config.timeout_seconds,
            transport=self._transport,
            trust_env=not _is_loopback(httpx.URL(self._config.url).host),  # a proxy cannot reach our loopback
            headers={"user-agent": "automend-probe", "connection": "close"},
        )

    def _read(self, client: httpx.Client, url: str, seen: _Readings) -> tuple[str, bool]:
        """One HTTP reading: why it failed ("" where it did not), and whether nobody was listening."""
        begin = self._clock()
        try:
            with client.stream("GET", url) as answer:
                size = 0
                for chunk in answer.iter_bytes():
                    size += len(chunk)
                    if size > BODY_AT_MOST or self._clock() - begin > self._config.timeout_seconds:
                        break
                status, ok = answer.status_code, answer.is_success
        except httpx.ConnectError as e:
            return f"no connection: {e}", True
        except httpx.TimeoutException:
            return f"no answer within {self._config.timeout_seconds:g} s", False
        except httpx.HTTPError as e:
            return f"broken answer: {str(e) or type(e).__name__}", False
        taken = self._clock() - begin
        if not ok:
            return f"it answered {status}", False
        if taken > self._config.timeout_seconds:
            return f"no whole answer within {self._config.timeout_seconds:g} s", False
        seen.ok(taken * 1000)
        return "", False

    def _wait_until(self, moment: float) -> None:
        left = moment - self._clock()
        if left > 0:
            self._sleep(left)

    def _judge(self, seen: _Readings, seconds: float) -> Health:
        per_minute = None if seen.errors is None else round(seen.errors * 60 / max(seconds, 1.0), 2)
        median = round(statistics.median(seen.milliseconds), 1) if seen.milliseconds else None
        level = self._level(seen, per_minute, median)
        return Health(
            level=level,
            summary=self._words(seen, median, seconds),
            readings=seen.count if self._config.url is not None else seen.log_readings,
            failures=seen.failures,
            median_ms=median,
            errors_per_minute=per_minute,
        )

    def _level(self, seen: _Readings, per_minute: float | None, median: float | None) -> Level:
        errors, rate = seen.errors or 0, per_minute or 0.0
        if seen.down:
            return Level.CRITICAL
        if seen.failures >= FAILING_COUNT and seen.failures >= seen.count * FAILING_SHARE:
            return Level.UNHEALTHY
        if errors >= FAILING_ERRORS_COUNT and rate >= FAILING_ERRORS:
            return Level.UNHEALTHY
        if self._config.log is not None and seen.errors is None:
            return Level.UNKNOWN
        if seen.failures or (errors >= NOTED_ERRORS_COUNT and rate >= NOTED_ERRORS):
            return Level.DEGRADED
        if median is not None and median > SLOW_MS:
            return Level.DEGRADED
        return Level.HEALTHY

    def _words(self, seen: _Readings, median: float | None, seconds: float) -> str:
        words = []
        if self._config.url is not None:
            if seen.failures == seen.count:
                words.append(f"{self._config.url} never answered as it should ({seen.last_failure})")
            elif seen.failures:
                words.append(f"{seen.failures} of {seen.count} readings failed ({seen.last_failure})")
            else:
                words.append(f"{seen.count} of {seen.count} readings fine")
            if median is not None:
                words.append(f"median {median:.0f} ms")
        if self._config.log is not None:
            if seen.errors is None:
                words.append(f"the log {self._config.log} could not be read")
            else:
                words.append(f"{seen.errors} error{'' if seen.errors == 1 else 's'} in the log")
        return ", ".join(words) + f", in {seconds:.0f} s"


def _note(tail: LogTail | None, seen: _Readings, take: Callable[[LogTail], int]) -> None:
    if tail is None:
        return
    take(tail)
    # Readable at the end is what counts; errors that were seen before a log went away stay seen.
    seen.errors = tail.errors if tail.readable or tail.errors else None


def _share(health: Health) -> float:
    return health.failures / health.readings if health.readings else 0.0


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
