"""What goes by between a server and the SDK, looked at before the SDK acts on it.

Invariants: what is no JSON-RPC message never gets there. Of a tool's description the schema of its
results is taken out: the SDK would run the patterns in it over what the server sends, for as long
as the server likes. What a server asks of us (a model's answer, a form filled in) is noted, so that
the person hears of it; the SDK refuses it in words.
"""

from __future__ import annotations

import re
import time
from typing import Any, Final, Protocol

LOG: Final = 64 << 10
"""Bytes of a server's log that are kept."""
_ASKS: Final = {
    "sampling/createMessage": "it asked for a model's answer, and was refused",
    "elicitation/create": "it asked for something to be filled in, and was refused",
    "roots/list": "it asked which folders are open, and was refused",
}


class Told(Protocol):
    """Who hears what becomes of a connection. Called on the loop of the connection."""

    def ended(self, why: str) -> None: ...

    def flooded(self, why: str) -> None: ...

    def said(self, text: bytes) -> None:
        """Something beside the protocol."""
        ...

    def refused(self, status: int) -> None:
        """An HTTP answer that is an error."""
        ...

    def asked(self, what: str) -> None:
        """A sentence about something that was refused."""
        ...


class Log:
    """The end of what a server said, and what was noted about it."""

    def __init__(self) -> None:
        self._kept = bytearray()

    def add(self, text: bytes) -> None:
        self._kept += text[-LOG:]
        if len(self._kept) > 2 * LOG:
            del self._kept[:-LOG]

    def note(self, text: str) -> None:
        fresh = "" if bytes(self._kept[-1:]) in {b"", b"\n"} else "\n"
        self.add(f"{fresh}[{time.strftime('%H:%M:%S')}] {text}\n".encode())

    @property
    def text(self) -> str:
        return bytes(self._kept[-LOG:]).decode("utf-8", "replace")

    def last_words(self, most: int = 300) -> str:
        """The last line of its own, for a sentence."""
        lines = (line.strip() for line in reversed(self.text.splitlines()))
        own = (line for line in lines if line and not re.match(r"\[\d\d:\d\d:\d\d\] ", line))
        return next(own, "")[:most]


def looked_at(line: bytes, tell: Told) -> Any:
    """The message in ``line`` as the SDK takes it; None where there is none."""
    import mcp_types
    from mcp.shared.message import SessionMessage
    from pydantic import ValidationError

    try:
        message = mcp_types.jsonrpc_message_adapter.validate_json(line, by_name=False)
    except (ValidationError, ValueError, RecursionError):
        tell.said(b"(not a message) " + line[:200] + b"\n")
        return None
    return SessionMessage(spied(message, tell))


def spied(message: Any, tell: Told) -> Any:
    """``message`` itself, without what the SDK must not act on."""
    method = getattr(message, "method", None)
    if method in _ASKS:
        tell.asked(_ASKS[method])
    result = getattr(message, "result", None)
    if isinstance(result, dict):
        tools = result.get("tools")
        for tool in tools if isinstance(tools, list) else ():
            if isinstance(tool, dict):
                tool.pop("outputSchema", None)
        requests = result.get("inputRequests")
        for asked in requests.values() if isinstance(requests, dict) else ():
            if isinstance(asked, dict) and (what := _ASKS.get(str(asked.get("method")))):
                tell.asked(what)
    return message
