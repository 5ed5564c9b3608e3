"""Who is logged in to the pages: a signed cookie, and a token in every form."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
import time
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from runner.hub.site import Site
from runner.hub.store import User

COOKIE = "hub_session"
LASTS = 14 * 24 * 3600
LARGEST_FORM = 200_000


class Refused(Exception):
    """A form that did not come from a page of ours, or is too large."""


class Sessions:
    """Cookies of a site.

    Args:
        site: whose secret signs them.
    """

    def __init__(self, site: Site) -> None:
        self.site = site

    def who(self, request: Request) -> User | None:
        """Who is logged in."""
        payload, _, mark = request.cookies.get(COOKIE, "").partition(".")
        if not payload or not hmac.compare_digest(mark, self._sign("session", payload)):
            return None
        try:
            login, until, _ = base64.urlsafe_b64decode(payload).decode().split("|")
        except (ValueError, binascii.Error):
            return None
        return self.site.user(login) if float(until) > time.time() else None

    def log_in(self, response: Response, user: User) -> None:
        """Give the browser a cookie for this account."""
        plain = f"{user.login}|{time.time() + LASTS:.0f}|{secrets.token_hex(8)}"
        payload = base64.urlsafe_b64encode(plain.encode()).decode()
        value = f"{payload}.{self._sign('session', payload)}"
        response.set_cookie(COOKIE, value, max_age=LASTS, httponly=True, samesite="strict", path="/")

    def log_out(self, response: Response) -> None:
        """Take the cookie away."""
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")

    def token(self, request: Request) -> str:
        """What forms on this browser's pages must bring back."""
        return self._sign("form", request.cookies.get(COOKIE, ""))

    async def form(self, request: Request, *, token: bool = True) -> dict[str, str]:
        """The fields of a posted form.

        Raises:
            Refused: it comes from elsewhere, or is too large.
        """
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            raise Refused("This form comes from another site.")
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > LARGEST_FORM:
                raise Refused("This is too much text.")
        fields = {k: v[0] for k, v in parse_qs(raw.decode(errors="replace"), keep_blank_values=True).items()}
        if token and not hmac.compare_digest(fields.get("token", ""), self.token(request)):
            raise Refused("This page is too old. Load it again.")
        return fields

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self.site.secret, f"{purpose}:{text}".encode(), sha256).hexdigest()
