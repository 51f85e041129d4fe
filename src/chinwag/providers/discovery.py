"""Which local servers answer on this machine.

Invariants: only loopback is asked, all together, with one short time limit for the whole; never
through a proxy, and with no key. Nobody answering is an empty list and no error. The HTTP here is
a few lines on a socket, so that looking round does not cost the import of the transport.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from chinwag.errors import ConfigError
from chinwag.providers.catalog import ROWS, Catalog, Row
from chinwag.providers.dialects.base import is_loopback

LIMIT: Final = 0.3
_CAP: Final = 4 * 1024 * 1024


class LocalServer(msgspec.Struct, frozen=True):
    """A server that answered: its row's name, its address, its models; ``window`` in tokens."""

    name: str
    base_url: str
    models: tuple[str, ...] = ()
    window: int | None = None


async def discover(env: Mapping[str, str], *, limit: float = LIMIT) -> list[LocalServer]:
    """The local servers that answer within ``limit`` seconds, in the catalog's order."""
    asked = [asyncio.ensure_future(_probe(row)) for row in _candidates(env)]
    done, late = await asyncio.wait(asked, timeout=limit)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    found = (task.result() for task in asked if task in done)
    return [server for server in found if server is not None]


def _candidates(env: Mapping[str, str]) -> list[Row]:
    catalog = Catalog(env=env)
    rows = []
    for row in ROWS:
        if row.local:
            try:
                rows.append(catalog.row(row.name))
            except ConfigError:
                continue  # a variable nobody can read: said when that provider is chosen
    return [row for row in rows if is_loopback(urlsplit(row.base_url).hostname or "")]


async def _probe(row: Row) -> LocalServer | None:
    try:
        if row.dialect == "ollama":
            return _named(row, await _get(row.base_url + "/api/tags"), "models", "name")
        server = _named(row, await _get(row.base_url + "/models"), "data", "id")
        if server is None or row.dialect != "llamacpp":
            return server
        return msgspec.structs.replace(server, window=await _window(row))
    except (OSError, ValueError, EOFError):
        return None  # nobody there, or something else entirely


async def _window(row: Row) -> int | None:
    from chinwag.providers.dialects.llamacpp import PROPS

    try:
        return PROPS.decode(await _get(row.base_url.removesuffix("/v1") + "/props")).window
    except ValueError:
        return None


def _named(row: Row, body: bytes, key: str, field: str) -> LocalServer | None:
    listed: Any = msgspec.json.decode(body)
    rows = listed.get(key) if isinstance(listed, dict) else None
    if not isinstance(rows, list):
        return None
    names = (r.get(field) for r in rows if isinstance(r, dict))
    return LocalServer(row.name, row.base_url, tuple(str(n) for n in names if n))


async def _get(url: str) -> bytes:
    """The body of a GET with status 200. Raises OSError, ValueError or EOFError."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        raise ValueError("only plain http is looked for")
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, limit=_CAP)
    try:
        head = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode("ascii"))
        return await _body(reader)
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader) -> bytes:
    status, *lines = (await reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
    if status.split()[1:2] != [b"200"]:
        raise ValueError("no answer with status 200")
    fields = dict(line.split(b":", 1) for line in lines if b":" in line)
    if b"chunked" in fields.get(b"transfer-encoding", b""):
        return await _chunks(reader)
    size = fields.get(b"content-length")
    return await (reader.read(_CAP) if size is None else reader.readexactly(_within(int(size))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readline()).split(b";")[0], 16):
        body += await reader.readexactly(_within(size + len(body)) - len(body))
        await reader.readline()
    return bytes(body)


def _within(size: int) -> int:
    if not 0 <= size <= _CAP:
        raise ValueError("more than is worth reading")
    return size
