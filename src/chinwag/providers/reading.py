"""The bytes of one answer, to deltas: framing, sniffing and caps together; pure, no waiting.

Invariants: what the first byte shows decides how the rest is read, whatever the content type says:
``<`` is a web page, ``{`` where events were due is a whole answer, anything else is the stream that
was asked for. Nothing is read without bound: not a line, not a whole body, not events that say
nothing. However the bytes are cut, the same deltas come out.
"""

from __future__ import annotations

from typing import Final

from chinwag.errors import ProviderError
from chinwag.providers.dialects.base import Dialect
from chinwag.providers.failures import Where, contentless, cut, empty, html, too_big
from chinwag.providers.lines import JsonLines, LineTooLong, SseEvent, SseEvents
from chinwag.talk.delta import AnyDelta, CallDelta, Ended, TextDelta, ThinkingDelta

WHOLE_CAP: Final = 64 * 1024 * 1024
"""The most bytes of an answer that comes in one piece."""
SILENT_CAP: Final = 1000
"""The most events in a row which carry no content."""
_PAGE_CAP: Final = 64 * 1024
_CONTENT: Final = frozenset((TextDelta, ThinkingDelta, CallDelta))
_BOM: Final = b"\xef\xbb\xbf"


class Reading:
    """One answer coming in; it never raises.

    ``ended`` is true once the terminal sign has come, ``spoke`` where the last bytes held content.
    ``failure`` is what is to be raised after the
    deltas returned with it, which had been heard before.
    """

    __slots__ = (
        "_body",
        "_comments",
        "_decoder",
        "_dialect",
        "_events",
        "_held",
        "_json",
        "_mode",
        "_silent",
        "_where",
        "ended",
        "failure",
        "spoke",
    )

    def __init__(self, dialect: Dialect, where: Where) -> None:
        self._dialect = dialect
        self._where = where
        self._decoder = dialect.decoder(where)
        self._events = SseEvents() if dialect.framing == "sse" else None
        self._json = JsonLines()
        self._mode = ""
        self._held = b""
        self._body = bytearray()
        self._silent = 0
        self._comments = 0
        self.ended = False
        self.spoke = False
        self.failure: ProviderError | None = None

    @property
    def finished(self) -> bool:
        """Whether the answer is all there, though the terminal sign may still be to come."""
        return self._decoder.finished

    @property
    def over(self) -> bool:
        """Whether no more bytes are wanted."""
        return self.ended or self.failure is not None

    def feed(self, chunk: bytes) -> list[AnyDelta]:
        """What ``chunk`` completes."""
        self.spoke = False
        if self._mode == "stream":
            return self._stream(chunk)
        if self._mode:
            self._keep(chunk)
            return []
        self._held += chunk
        self._mode = self._sniffed(self._held)
        if not self._mode:
            return []
        held, self._held = self._held, b""
        return self.feed(held)

    def end(self, *, broken: bool = False) -> list[AnyDelta]:
        """What the end of the bytes completes; ``broken`` where the connection was lost."""
        match self._mode:
            case "page":
                self.failure = html(bytes(self._body), self._where)
            case "whole" if not broken:
                return self._whole()
            case "stream":
                return self._rest()
            case _:
                self.failure = cut(self._where) if broken else empty(self._where)
        return []

    def _sniffed(self, held: bytes) -> str:
        start = held.removeprefix(_BOM).lstrip()[:1]
        if not start or _BOM.startswith(held):
            return "stream" if len(held) > _PAGE_CAP else ""
        if start == b"<":
            return "page"
        return "whole" if start == b"{" and self._events is not None else "stream"

    def _keep(self, chunk: bytes) -> None:
        self._body += chunk
        if self._mode == "page" and len(self._body) > _PAGE_CAP:
            self.failure = html(bytes(self._body), self._where)
        elif len(self._body) > WHOLE_CAP:
            self.failure = too_big(self._where, f"more than {WHOLE_CAP >> 20} MB in one piece")

    def _stream(self, chunk: bytes) -> list[AnyDelta]:
        try:
            events = self._split(chunk)
        except LineTooLong as error:
            self.failure = too_big(self._where, f"a line of more than {error.cap >> 20} MB")
            return []
        if events:
            return self._decoded(events)
        self._quiet()
        return []

    def _split(self, chunk: bytes) -> list[SseEvent]:
        if self._events is not None:
            return self._events.feed(chunk)
        return [SseEvent("", line) for line in self._json.feed(chunk)]

    def _decoded(self, events: list[SseEvent]) -> list[AnyDelta]:
        said: list[AnyDelta] = []
        feed = self._decoder.feed
        try:
            for event in events:
                if heard := feed(event):
                    said += heard
                    if type(heard[-1]) is Ended:
                        self.ended = True
                        return said
        except ProviderError as error:
            self.failure = error
            return said
        self._count(said, len(events))
        return said

    def _count(self, said: list[AnyDelta], events: int) -> None:
        for delta in said:  # the first one, nearly always
            if type(delta) in _CONTENT:
                self._silent = 0
                self.spoke = True
                return
        self._silent += events
        if self._silent > SILENT_CAP:
            self.failure = contentless(self._where, SILENT_CAP)

    def _quiet(self) -> None:
        """A chunk without an event: heartbeats count as events that say nothing."""
        if self._events is not None:
            comments, self._comments = self._comments, self._events.comments
            self._count([], self._comments - comments)

    def _rest(self) -> list[AnyDelta]:
        try:
            last = self._events.end() if self._events is not None else self._last_lines()
        except LineTooLong:
            last = []  # it was cut all the same
        said = self._decoded(last)
        if self.failure is not None and self.finished:
            self.failure = None  # the last line was cut, but all had been said before it
        return said if self.over else said + self._closing(self._decoder.end())

    def _last_lines(self) -> list[SseEvent]:
        return [SseEvent("", line) for line in self._json.end()]

    def _whole(self) -> list[AnyDelta]:
        body = bytes(self._body).removeprefix(_BOM)
        try:
            return self._closing(self._dialect.read_whole(body, self._where))
        except ProviderError as error:
            self.failure = error
            return []

    def _closing(self, said: list[AnyDelta]) -> list[AnyDelta]:
        self.ended = bool(said) and isinstance(said[-1], Ended)
        if not self.ended:
            self.failure = cut(self._where)
        return said
