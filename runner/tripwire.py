"""The host's real secrets, looked for where they can never be: in what a sealed container sends.

Nothing gives a container a secret. Should one turn up in a request all the same, the seal has a hole, and neither the
request nor anything else of that attempt is used. What is found is named, never told.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping

SHORTEST = 8
"""Characters. A shorter value is found everywhere by chance."""

HIDDEN = "[secret]"
RULE = "leak.secret"
REMEDY = "change that secret; then find out whether the job's own text had it, or how it came into the container"
_LONGEST_WORD = 16


class Tripwire:
    """Finds secrets in text: as they are, quoted, in hexadecimal and in base64.

    Of a secret of several lines (a key in PEM), each line is one. A short value of letters or digits alone
    (`postgres`) is not looked for: it would be found in honest work.

    Args:
        secrets: name → value.
    """

    def __init__(self, secrets: Mapping[str, str] | None = None) -> None:
        self._forms = [(form, name) for name, value in (secrets or {}).items() for form in _forms(value)]

    def sees(self, text: str) -> str | None:
        """The name of a secret that the text has, or None."""
        return next((name for form, name in self._forms if form in text), None)

    def hide(self, text: str) -> str:
        """The text without any of the secrets."""
        for form, _ in self._forms:
            text = text.replace(form, HIDDEN)
        return text


def _forms(value: str) -> Iterator[str]:
    for line in value.splitlines():
        secret = line.strip()
        if len(secret) < SHORTEST or secret.startswith("-----"):
            continue
        if (secret.isalpha() or secret.isdigit()) and len(secret) < _LONGEST_WORD:
            continue
        raw = secret.encode()
        quoted = json.dumps(secret)[1:-1]
        # The whole of it first, so that `hide` leaves no rest. Arguments of a tool are JSON inside of JSON.
        yield from dict.fromkeys((json.dumps(quoted)[1:-1], quoted, secret, raw.hex(), raw.hex().upper()))
        yield from dict.fromkeys(_base64(raw))


def _base64(raw: bytes) -> Iterator[str]:
    # What does not depend on the bytes around it, for each of the three places where it can begin, in both alphabets.
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + raw).decode("ascii").rstrip("=")
        inner = whole[(0, 2, 3)[before] : -1]
        yield inner
        yield inner.translate(str.maketrans("+/", "-_"))
