"""What every command shares: where it prints, and how it ends (exit code, an error in words, Ctrl-C)."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from rich.console import Console
from rich.control import Control
from rich.markup import escape
from rich.segment import ControlType

from runner.errors import AutomendError
from runner.model import RunStatus, Verdict
from sandbox.api import SandboxError

EXIT_OF_VERDICT = {Verdict.PASSED: 0, Verdict.FAILED: 1, Verdict.ERROR: 3, Verdict.INCONCLUSIVE: 4}
EXIT_OF_STATUS = {
    RunStatus.REFUSED: 1,
    RunStatus.STOPPED: 1,
    RunStatus.FAILED: 3,
    RunStatus.INCONCLUSIVE: 4,
    RunStatus.REVERTED: 1,
    RunStatus.CLOSED: 1,
}
INTERRUPTED = 130

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def on_interrupt(clear_up: Callable[[], None]) -> None:
    """On Ctrl-C or SIGTERM: clear up, end at once. An exception would have to wait for threads that wait for tests."""

    def stop(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        logging.disable(logging.WARNING)  # what is at work will find its containers gone, and that is meant
        try:
            clear_up()
        except SandboxError as e:
            err.print(f"[yellow]containers may be left:[/] {escape(e.message)}")
        err.print("interrupted")
        err.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))  # the spinner's line
        leave(INTERRUPTED)

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def leave(code: int) -> NoReturn:
    """End now: threads of a step that was cut short must not keep the process alive."""
    if err.is_terminal:
        err.show_cursor()  # a spinner hides it
    sys.stdout.flush()
    sys.stderr.flush()
    logging.shutdown()
    os._exit(code)


def tell_error(error: AutomendError) -> None:
    """What is wrong and how to mend it, on stderr; with --json as a document, too."""
    err.print(f"[red]automend:[/] {escape(error.message)}", soft_wrap=not err.is_terminal)
    if error.remedy:
        err.print(f"[dim]→ {escape(error.remedy)}[/]", soft_wrap=not err.is_terminal)
    if "--json" in sys.argv[1:]:
        out.print_json(json.dumps({"error": error.to_json()}))
