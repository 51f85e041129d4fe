"""A GET that goes to the very address it was told, for ``Fetch``: standard library, in a thread.

Invariants: the connection is made to ``asked.address``, whatever the name stands for by now; TLS is
verified for ``asked.host``; nothing is sent but the request (no cookie, no key, no proxy's name).
"""

from __future__ import annotations

import http.client
import socket
import ssl
from typing import Final
from urllib.parse import urlsplit

from chinwag.errors import ToolFailed
from chinwag.threads import apart
from chinwag.tools.builtin.fetch import Asked, Page

_AGENT: Final = "chinwag (a person's chat client)"


async def get(asked: Asked) -> Page:
    """The answer, whatever its status. Raises ToolFailed where there is none."""
    try:
        return await apart(_got, asked)
    except (OSError, http.client.HTTPException) as error:
        said = " ".join(f"{error}".split()) or type(error).__name__
        raise ToolFailed(f"{asked.host} did not answer: {said}") from None


class _Connection(http.client.HTTPConnection):
    """One that is connected already."""

    def __init__(self, asked: Asked, made: socket.socket) -> None:
        super().__init__(asked.host, asked.port, timeout=asked.seconds)
        self.sock = made


def _got(asked: Asked) -> Page:
    parts = urlsplit(asked.url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    with _connected(asked, tls=parts.scheme == "https") as made:
        connection = _Connection(asked, made)
        headers = {"Host": parts.netloc, "User-Agent": _AGENT, "Accept": "*/*"}
        connection.request("GET", target, headers=headers | {"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(asked.most + 1)
        return Page(
            status=answer.status,
            location=answer.getheader("Location", "") or "",
            type=answer.getheader("Content-Type", "") or "",
            body=body[: asked.most],
            cut=len(body) > asked.most,
        )


def _connected(asked: Asked, *, tls: bool) -> socket.socket:
    made = socket.create_connection((asked.address, asked.port), timeout=min(asked.seconds, 20))
    if not tls:
        return made
    try:
        return ssl.create_default_context().wrap_socket(made, server_hostname=asked.host)
    except BaseException:
        made.close()
        raise
