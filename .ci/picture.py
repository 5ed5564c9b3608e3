#!/usr/bin/env python3
"""Makes docs/demo.svg from what the demo printed: `just picture`, or

COLUMNS=100 TTY_COMPATIBLE=1 TTY_INTERACTIVE=0 ./demo | .venv/bin/python .ci/picture.py docs/demo.svg
"""

from __future__ import annotations

import io
import os
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text


def picture(ansi: str, width: int) -> str:
    """A terminal's text with colours as SVG, with the reader's own monospaced font: it loads nothing."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in ansi.rstrip("\n").splitlines():
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title="./demo", theme=MONOKAI)
    svg = re.sub(r"@font-face \{.*?\}\n", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono")


def main() -> None:
    """Pass standard input through, and draw it."""
    ansi = ""
    for line in sys.stdin:
        sys.stdout.write(line)
        ansi += line
    Path(sys.argv[1]).write_text(picture(ansi, int(os.environ.get("COLUMNS", "100"))), encoding="utf-8")


if __name__ == "__main__":
    main()
