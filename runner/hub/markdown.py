"""Markdown of people (and of programs that pose as such) as HTML that can do no harm.

No HTML passes but a few tags without attributes; comments vanish, as on GitHub; images become links, so that
reading a page calls nobody; addresses are http, https, mailto or on this hub.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from typing import Any
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markupsafe import Markup

LONGEST = 200_000
"""Characters; the rest of a longer text is not shown."""

ALLOWED = re.compile(r"&lt;(/?(?:details|summary|br|sub|sup|kbd|b|i|p|hr)) ?/?&gt;", re.IGNORECASE)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


class _Renderer(RendererHTML):
    """Escapes what HTML there is, but for a few harmless tags."""

    def html_block(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        """A block of HTML."""
        return _harmless(tokens[idx].content)

    def html_inline(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        """HTML in a line."""
        return _harmless(tokens[idx].content)

    def image(self, tokens: Sequence[Token], idx: int, *_: Any) -> str:
        """An image: a link to it."""
        token = tokens[idx]
        address, words = str(token.attrs.get("src", "")), token.content or "image"
        return f'<a rel="nofollow noopener noreferrer" href="{escape(address)}">{escape(words)}</a>'

    def link_open(self, tokens: Sequence[Token], idx: int, options: Any, env: Any) -> str:
        """A link, which tells the other side nothing."""
        tokens[idx].attrSet("rel", "nofollow noopener noreferrer")
        return self.renderToken(tokens, idx, options, env)


def _harmless(html: str) -> str:
    return ALLOWED.sub(r"<\1>", escape(COMMENT.sub("", html)))


def _safe_address(url: str) -> bool:
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return False
    return parts.scheme in ("http", "https", "mailto") or not (parts.scheme or parts.netloc or "\\" in url)


_PARSER = MarkdownIt("commonmark", {"html": True}, renderer_cls=_Renderer).enable(["table", "strikethrough"])
_PARSER.validateLink = _safe_address  # type: ignore[method-assign]  # its own rule also lets data: images pass


def render(text: str | None) -> Markup:
    """The HTML of a Markdown text."""
    return Markup(_PARSER.render((text or "")[:LONGEST]))  # noqa: S704 - all of it comes from the renderer above
