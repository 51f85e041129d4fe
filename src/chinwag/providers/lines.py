"""Bytes to lines, to stream events and JSON lines; pure, with caps.

Invariants: lines end at LF, CR LF or CR and nowhere else, so U+2028, U+0085 and the like stay
inside their JSON strings. However the bytes are cut into chunks, the same lines come out. One byte
order mark at the very start is dropped. Nothing longer than the cap is ever held, and an endless
line costs what it is long, not its square.

A CR ends its line at once, and an LF that follows, even in the next chunk, belongs to it: a server
that ends lines with CR alone and then waits is heard without delay.
"""

from __future__ import annotations

from typing import Final

import msgspec

LINE_CAP: Final = 4 * 1024 * 1024
"""The most bytes of one line, and of one event's data."""

_BOM: Final = b"\xef\xbb\xbf"


class LineTooLong(ValueError):
    """A line or an event longer than ``cap`` bytes. The stream is not worth reading on."""

    def __init__(self, cap: int) -> None:
        super().__init__(f"a line of the stream is longer than {cap:,} bytes")
        self.cap = cap


class SseEvent(msgspec.Struct, frozen=True, gc=False):
    """One server-sent event: its name, empty where unnamed, and its data lines joined by LF."""

    event: str
    data: bytes


class Lines:
    """Cuts a stream of bytes into lines, without their ends."""

    __slots__ = ("_at_start", "_cap", "_skip_lf", "_tail")

    def __init__(self, cap: int = LINE_CAP) -> None:
        self._cap = cap
        self._tail = bytearray()
        self._skip_lf = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that ``chunk`` completes. Raises ``LineTooLong``; feed no more after it."""
        if self._at_start:
            chunk = self._after_bom(chunk)
        chunk = self._unified(chunk)
        if b"\n" not in chunk:
            self._keep(chunk)
            return []
        lines = chunk.split(b"\n")
        rest = lines.pop()
        if self._tail:
            self._keep(lines[0])
            lines[0] = self._take()
        if len(chunk) > self._cap and max(map(len, lines)) > self._cap:
            raise LineTooLong(self._cap)
        self._keep(rest)
        return lines

    @property
    def is_between(self) -> bool:
        """Whether nothing is held: what comes next begins a line."""
        return not (self._tail or self._skip_lf or self._at_start)

    def end(self) -> list[bytes]:
        """The last line, where the stream ended without ending it."""
        return [self._take()] if self._tail else []

    def _after_bom(self, chunk: bytes) -> bytes:
        """``chunk`` with what was held at the start; empty while it may yet become a mark."""
        head = self._take() + chunk
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._tail += head
            return b""
        self._at_start = False
        return head.removeprefix(_BOM)

    def _unified(self, chunk: bytes) -> bytes:
        """``chunk`` with every line end an LF; an LF whose CR came in the last chunk is gone."""
        if not chunk:
            return chunk
        if self._skip_lf and chunk[0] == 10:
            chunk = chunk[1:]
            self._skip_lf = False
        if chunk:
            self._skip_lf = chunk[-1] == 13
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in chunk else chunk

    def _keep(self, piece: bytes) -> None:
        if len(self._tail) + len(piece) > self._cap:
            self._tail = bytearray()
            raise LineTooLong(self._cap)
        self._tail += piece

    def _take(self) -> bytes:
        taken = bytes(self._tail)
        self._tail = bytearray()
        return taken


class SseEvents:
    """Reads server-sent events.

    ``comments`` counts the comment lines since the last event, which are no progress.
    """

    __slots__ = ("_cap", "_data", "_event", "_lines", "_size", "comments")

    def __init__(self, cap: int = LINE_CAP) -> None:
        self._lines = Lines(cap)
        self._cap = cap
        self._event = ""
        self._data: list[bytes] = []
        self._size = 0
        self.comments = 0

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that ``chunk`` completes. Raises ``LineTooLong``; feed no more after it."""
        data = self._data
        # Whole events of one data line each, as most servers send them: nothing to keep, and
        # nothing to cut but these.
        if (
            chunk[-2:] == b"\n\n"
            and chunk[:6] == b"data: "
            and not (data or self._event)
            and self._lines.is_between
            and b"\r" not in chunk
            and len(chunk) <= self._cap
        ):
            pieces = chunk[6:-2].split(b"\n\ndata: ")
            if chunk.count(b"\n") == 2 * len(pieces):
                self.comments = 0
                return [SseEvent("", piece) for piece in pieces]
        events: list[SseEvent] = []
        for line in self._lines.feed(chunk):
            # The commonest lines come first and without a call: this loop is the hot one.
            if not line:
                if data:
                    events.append(SseEvent(self._event, b"\n".join(data)))
                    data.clear()
                    self.comments = 0
                self._event = ""
            elif line.startswith(b"data: "):
                data.append(line[6:])
                if len(data) > 1:
                    self._weigh()
            else:
                self._field(line)
        return events

    def end(self) -> list[SseEvent]:
        """The last event, where the stream ended without its blank line."""
        return self.feed(b"\n\n")

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match name:
            case b"data" | b"\xef\xbb\xbfdata":  # a mark where streams were joined, say
                self._data.append(value)
                self._weigh()
            case b"event":
                self._event = value.decode(errors="replace")
            case b"":
                self.comments += 1
            case _:  # id, retry and whatever is not known are of no use to a reader of answers
                pass

    def _weigh(self) -> None:
        """Counts what the newest data line adds; the first one is already held to the cap."""
        if len(self._data) == 1:
            return
        self._size = len(self._data[-1]) + (
            self._size if len(self._data) > 2 else len(self._data[0])
        )
        if self._size + len(self._data) > self._cap:
            raise LineTooLong(self._cap)


class JsonLines:
    """Reads JSON lines: one value a line, blank lines skipped. Values are not parsed here."""

    __slots__ = ("_lines",)

    def __init__(self, cap: int = LINE_CAP) -> None:
        self._lines = Lines(cap)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The values that ``chunk`` completes. Raises ``LineTooLong``; feed no more after it."""
        return [line for line in self._lines.feed(chunk) if not line.isspace() and line]

    def end(self) -> list[bytes]:
        """The last value, where the stream ended without ending its line."""
        return [line for line in self._lines.end() if not line.isspace()]
