"""One page of the web, read by a GET: off unless the person turns it on.

Invariants: only http and https, no credentials in an address, and no host that lies inside (this
machine, its network, a cloud's own services): every address a name stands for is looked at, and the
connection goes to one that was looked at, so that a name cannot change in between. A redirect is
followed by asking all that again. What comes back is bounded, and marked as foreign.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urljoin, urlsplit, urlunsplit

import msgspec

from chinwag.errors import ToolFailed
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.tools.base import Output, Scene, Tool

MOST_HOPS: Final = 5
MOST_BYTES: Final = 4 << 20


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A GET of ``url``, to be sent to ``address`` (an IP) and ``port``; TLS for ``host``."""

    url: str
    host: str
    address: str
    port: int
    seconds: float
    most: int = MOST_BYTES


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: status, where a redirect leads, type, and up to ``most`` bytes of it."""

    status: int
    location: str = ""
    type: str = ""
    body: bytes = b""
    cut: bool = False


Fetcher = Callable[[Asked], Awaitable[Page]]
Resolver = Callable[[str, int], Awaitable[list[str]]]


async def resolved(host: str, port: int) -> list[str]:
    """The addresses that ``host`` stands for. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(row[4][0]) for row in found))


class Fetch(Tool):
    def __init__(
        self, fetcher: Fetcher, *, resolver: Resolver = resolved, inside: tuple[str, ...] = ()
    ) -> None:
        """``inside`` names hosts that may be asked although they lie inside (`localhost:8000`)."""
        self._fetcher = fetcher
        self._resolver = resolver
        self._inside = frozenset(inside)
        url = {"type": "string", "description": "an http or https address", "maxLength": 4_000}
        schema = {
            "type": "object",
            "properties": {"url": url},
            "required": ["url"],
            "additionalProperties": False,
        }
        says = "Reads a page of the web (GET) and gives its text, or the JSON or text that it is."
        self.spec = ToolSpec("fetch", says, schema, Risk.NETWORK, parallel=True, foreign=True)

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The address in its one form, as it will be asked for."""
        return {"url": _normal(super().fit(arguments)["url"])}

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        url = arguments["url"]
        for _ in range(MOST_HOPS + 1):
            page = await self._asked(url, scene.limits.seconds)
            if not (page.status in {301, 302, 303, 307, 308} and page.location):
                return _output(arguments["url"], url, page)
            url = _normal(urljoin(url, page.location))
            scene.progress(f"redirected to {urlsplit(url).hostname}")
        raise ToolFailed(f"{arguments['url']} redirects more than {MOST_HOPS} times")

    async def _asked(self, url: str, seconds: float) -> Page:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
        try:
            addresses = await self._resolver(host, port)
        except OSError:
            raise ToolFailed(f"no address is known for {host}") from None
        is_let_in = parts.netloc.lower() in self._inside
        if not addresses or not (is_let_in or all(map(_is_outside, addresses))):
            raise ToolFailed(f"{host} lies inside this machine or its network, and is not asked")
        asked = Asked(url=url, host=host, address=addresses[0], port=port, seconds=seconds)
        return await self._fetcher(asked)


def _is_outside(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        within = found.ipv4_mapped or found.sixtofour or (found.teredo or (None, None))[1]
        if within is not None:
            return _is_outside(str(within))
    if found in _TRANSLATED and isinstance(found, ipaddress.IPv6Address):
        return _is_outside(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
    return found.is_global and not found.is_multicast


_TRANSLATED: Final = ipaddress.ip_network("64:ff9b::/96")


def _normal(url: str) -> str:
    """``url`` with its host in ASCII and no fragment. Raises ToolFailed for what is not asked."""
    try:
        parts = urlsplit(url.strip())
        port = parts.port
        host = (parts.hostname or "").encode("idna" if not _is_ip(parts.hostname) else "ascii")
    except (ValueError, UnicodeError) as error:
        raise ToolFailed(f"{url!r} is no address: {error}") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ToolFailed(f"{url!r} is no http or https address")
    if parts.username is not None or parts.password is not None:
        raise ToolFailed("an address with a name or password in it is not asked")
    if any(ord(char) < 33 or ord(char) == 127 for char in url.strip()):
        raise ToolFailed(f"{url!r} holds blanks or control characters")
    name = host.decode()
    name = f"[{name}]" if ":" in name else name
    netloc = name if port is None else f"{name}:{port}"
    path = "".join(c if c.isascii() else _quoted(c) for c in parts.path) or "/"
    query = "".join(c if c.isascii() else _quoted(c) for c in parts.query)
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def _is_ip(host: str | None) -> bool:
    return host is not None and ":" in host


def _quoted(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "replace"))


def _output(asked: str, url: str, page: Page) -> Output:
    where = f" (redirected to {url})" if url != asked else ""
    head = f"[{asked}{where}: status {page.status}, {page.type or 'no type'}]\n"
    kind = page.type.partition(";")[0].strip().lower()
    if not _is_text(kind) or b"\0" in page.body[:8192]:
        return Output(f"{head}(binary, {len(page.body):,} bytes)", is_error=page.status >= 400)
    text = _decoded(page)
    if kind in {"text/html", "application/xhtml+xml"}:
        text = readable(text, url)
    more = "\n[… the page goes on …]" if page.cut else ""
    return Output(f"{head}{text}{more}", is_error=page.status >= 400)


def _is_text(kind: str) -> bool:
    words = ("json", "xml", "javascript", "yaml", "toml", "csv", "x-www-form-urlencoded")
    return kind.startswith("text/") or kind.endswith(words) or not kind


def _decoded(page: Page) -> str:
    _, _, name = page.type.lower().partition("charset=")
    try:
        return page.body.decode(name.partition(";")[0].strip("\"' ") or "utf-8", "replace")
    except LookupError:
        return page.body.decode("utf-8", "replace")


class _Reader(HTMLParser):
    """The words of a page, a block a line; where links lead stands behind them."""

    _UNSEEN = frozenset("script style noscript template svg head iframe object".split())
    _BLOCKS = frozenset(
        "p div br li ul ol tr table section article header footer h1 h2 h3 h4 h5 h6 pre hr "
        "blockquote form nav main dt dd figure".split()
    )

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.words: list[str] = []
        self.title = ""
        self._url = url
        self._within: list[str] = []
        self._link = ""
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_title = tag == "title"
        if tag in self._UNSEEN:
            self._within.append(tag)
        if tag in self._BLOCKS:
            self.words.append("\n- " if tag == "li" else "\n")
        if tag == "a":
            self._link = next((value or "" for name, value in attrs if name == "href"), "")

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False
        if tag in self._within:
            while self._within.pop() != tag:
                pass
        if tag in self._BLOCKS:
            self.words.append("\n")
        if tag == "a" and self._link and not self._link.startswith(("#", "javascript:")):
            self.words.append(f" <{urljoin(self._url, self._link)}>")
            self._link = ""

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._within:
            self.words.append(data)


def readable(html: str, url: str) -> str:
    """A page as text: title, words and where links lead. Never raises for what it is given."""
    reader = _Reader(url)
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.words).splitlines())
    text = "\n".join(line for line in lines if line and line != "-")
    title = " ".join(reader.title.split())
    return f"{title}\n\n{text}" if title else text
