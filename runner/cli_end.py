"""What every command shares: where it prints, and how it ends (exit code, an error in words, Ctrl-C)."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from runner.app import App
from runner.errors import AutomendError
from runner.model import RunStatus, Verdict

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


def hush() -> None:
    """No more warnings: what is at work finds its containers gone now, and that is meant."""
    logging.disable(logging.WARNING)


def abandon(app: App, name: str) -> None:
    """Clear up after a gate or a replay that was interrupted; `name` is what its containers are labelled with.

    Raises:
        SandboxError: something may be left.
    """
    hush()
    app.abandon_gate(name)


def leave(code: int) -> NoReturn:
    """End now: threads of a step that was cut short must not keep the process alive."""
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
