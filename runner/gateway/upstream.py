"""The real providers, over HTTPS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx

from runner.errors import ConfigError
from runner.gateway.dialect import Speech
from runner.ports import Answer

_CONNECT_SECONDS = 15.0


class HttpUpstream:
    """A provider at an address.

    Args:
        speech: its dialect.
        base_url: as the provider's own SDK takes it: with `/v1` for OpenAI, without for Anthropic.
        key: the secret; goes into the request's headers and nowhere else. Without one, no such header is sent.

    Raises:
        ConfigError: `base_url` is not an address.
    """

    def __init__(self, speech: Speech, *, base_url: str, key: str) -> None:
        self.secrets: tuple[str, ...] = (key,) if key else ()
        self._speech = speech
        self._root = base_url.rstrip("/").removesuffix("/v1")
        self.name = _name(self._root)
        self._key = key
        self._client: httpx.AsyncClient | None = None

    @asynccontextmanager
    async def exchange(self, path: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Answer]:
        """POST to the provider.

        Only connecting has a deadline here; the door keeps the others.

        Raises:
            OSError: the provider cannot be reached, or the connection broke.
        """
        if self._client is None:
            timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
            self._client = httpx.AsyncClient(timeout=timeout, follow_redirects=False)
        key = self._speech.headers(self._key) if self._key else {}
        sent = {**headers, **key, "content-type": "application/json", "accept-encoding": "identity"}
        try:
            async with self._client.stream("POST", self._root + path, headers=sent, content=body) as response:
                if (coding := response.headers.get("content-encoding", "identity")) != "identity":
                    # A few bytes could become gigabytes, and the events in them would not be seen as they come.
                    raise OSError(f"it answers in `{coding[:40]}`, which was not asked for")
                yield Answer(response.status_code, response.headers, _chunks(response))
        except httpx.HTTPError as e:
            raise OSError(_words(e)) from e

    async def aclose(self) -> None:
        """Close pooled connections."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None


def _name(root: str) -> str:
    """The address for people: without a user and password, should it have them."""
    try:
        url = httpx.URL(root)
    except httpx.InvalidURL as e:
        raise ConfigError(f"a provider's address is none: {e}", remedy="give base_url as https://HOST/v1") from e
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError(f"a provider's address is none: `{root}`", remedy="give base_url as https://HOST/v1")
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.path.rstrip('/')}"


async def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.aiter_raw():
            yield chunk
    except httpx.HTTPError as e:
        raise OSError(_words(e)) from e


def _words(error: httpx.HTTPError) -> str:
    return str(error) or type(error).__name__
