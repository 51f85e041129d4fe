"""The bytes of one answer, to deltas: framing, sniffing and caps together; pure, no waiting.

Invariants: what the first byte shows decides how the rest is read, whatever the content type says:
``<`` is a web page, ``{`` or ``[`` where events were due is a whole answer, and so is one of these
alone on its line where a value on each line was due; anything else is the stream that was asked
for. Nothing is read without bound: not a line, not a whole body, not an
answer, not events that say nothing. However the bytes are cut, the same deltas come out. An answer
which the server itself calls given up is not a complete one, and neither is a bare end without a
word.
"""

from __future__ import annotations

from typing import Final

import msgspec

from chinwag.errors import ProviderError
from chinwag.providers.dialects.base import Dialect
from chinwag.providers.failures import (
    Where,
    contentless,
    cut,
    empty,
    given_up,
    html,
    senseless,
    too_big,
)
from chinwag.providers.lines import JsonLines, LineTooLong, SseEvent, SseEvents
from chinwag.talk.delta import AnyDelta, CallDelta, Ended, TextDelta, ThinkingDelta

WHOLE_CAP: Final = 8 * 1024 * 1024
"""The most bytes of an answer that comes in one piece."""
ANSWER_CAP: Final = 32 * 1024 * 1024
"""The most bytes of memory an answer's pieces may take: several times what any model can write."""
MUTE_CAP: Final = 32 * 1024 * 1024
"""The most bytes in a row which carry no content."""
SILENT_CAP: Final = 1000
"""The most events in a row which carry no content."""
VALUES_CAP: Final = 500_000
"""The most JSON values in one piece: each may take thirty times the memory of its letters."""
_BIG: Final = 1024 * 1024
_PAGE_CAP: Final = 64 * 1024
# What JSON beyond all reason makes of a decoder: nesting without end, numbers without end.
_SENSELESS: Final = (RecursionError, ValueError, OverflowError)
_BOM: Final = b"\xef\xbb\xbf"
_PIECE: Final = 64
"""Bytes which a piece of text takes besides its letters."""
_GIVEN_UP: Final = frozenset(
    {
        "abort",
        "aborted",
        "cancelled",
        "canceled",
        "error",
        "failed",
        "insufficient_system_resource",
        "network_error",
        "server_error",
        "timeout",
    }
)
"""Reasons with which servers end an answer that they could not finish, in the form of a good end.

vLLM and SGLang say abort, OpenRouter error, DeepSeek insufficient_system_resource, GLM
network_error.
"""
_UNREASONED: Final = "[DONE]"


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
        "_mute",
        "_silent",
        "_weight",
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
        self._mute = 0
        self._weight = 0
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
                return self._rest(broken=broken)
            case _:
                self.failure = cut(self._where) if broken else empty(self._where)
        return []

    def _sniffed(self, held: bytes) -> str:
        body = held.removeprefix(_BOM).lstrip()
        start = body[:1]
        if not start or _BOM.startswith(held):
            return "stream" if len(held) > _PAGE_CAP else ""
        if start == b"<":
            return "page"
        if start not in (b"{", b"["):
            return "stream"
        if self._events is not None:
            return "whole"
        # No line of a stream ends behind its first brace: one value, printed to be looked at.
        after = body[1:].lstrip(b" \t")[:1]
        return "whole" if after in (b"\n", b"\r") and after else "stream" if after else ""

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
        said: list[AnyDelta] = []
        if events and is_crowded(events[0].data):  # only the first may have begun before this chunk
            self.failure = senseless(self._where)
        elif events:
            said = self._decoded(events)
            self._comments = 0
        if not self.over:
            self._quiet()
        if self.spoke:
            self._mute = 0
        else:
            self._mute += len(chunk)
            if self._mute > MUTE_CAP and self.failure is None:
                self.failure = too_big(self._where, f"{MUTE_CAP >> 20} MB without a word")
        return said

    def _split(self, chunk: bytes) -> list[SseEvent]:
        if self._events is not None:
            return self._events.feed(chunk)
        return [SseEvent("", line) for line in self._json.feed(chunk)]

    def _decoded(self, events: list[SseEvent]) -> list[AnyDelta]:
        said: list[AnyDelta] = []
        feed = self._decoder.feed
        weight, silent = 0, self._silent
        try:
            for event in events:
                if heard := feed(event) if not self._decoder.finished else self._after(event):
                    said += heard
                    last = heard[-1]
                    if type(last) is Ended:
                        return self._ending(said, last)
                    if content := _weight(heard):
                        weight += content
                        silent = 0
                        continue
                silent += 1
                if silent > SILENT_CAP:
                    break
        except ProviderError as error:
            self.failure = error
            return said
        except _SENSELESS:
            self.failure = senseless(self._where)
            return said
        self._silent = silent
        self._weigh(weight)
        return said

    def _after(self, event: SseEvent) -> list[AnyDelta]:
        """What comes when the answer is all there: what makes no sense any more is passed over."""
        try:
            return self._decoder.feed(event)
        except _SENSELESS:
            return []

    def _ending(self, said: list[AnyDelta], sign: Ended) -> list[AnyDelta]:
        """``said``, whose last is the terminal ``sign``; without that where it means no end."""
        if sign.raw.lower() in _GIVEN_UP:
            self.failure = given_up(self._where, sign.raw)
        elif sign.raw == _UNREASONED and not self._weight and not _weight(said):
            self.failure = empty(self._where)
        else:
            self.ended = True
            return said
        return said[:-1]

    def _weigh(self, weight: int) -> None:
        """Holds what the last bytes said, or did not say, to the caps."""
        self.spoke = weight > 0
        self._weight += weight
        if self._weight > ANSWER_CAP:
            self.failure = too_big(self._where, "an answer without end")
        elif self._silent > SILENT_CAP:
            self.failure = contentless(self._where, SILENT_CAP)

    def _quiet(self) -> None:
        """What came after the last event: heartbeats count as events that say nothing."""
        if self._events is not None and self._events.comments != self._comments:
            before, self._comments = self._comments, self._events.comments
            self._silent += self._comments - before
            if self._silent > SILENT_CAP:
                self.failure = contentless(self._where, SILENT_CAP)

    def _rest(self, *, broken: bool) -> list[AnyDelta]:
        try:
            last = self._events.end() if self._events is not None else self._last_lines()
        except LineTooLong:
            last = []  # it was cut all the same
        if broken:
            last = [event for event in last if _is_whole(event.data)]
        said = self._decoded(last)
        if self.failure is not None and self.finished:
            self.failure = None  # the last line was cut, but all had been said before it
        return said if self.over else said + self._closing(self._decoder.end())

    def _last_lines(self) -> list[SseEvent]:
        return [SseEvent("", line) for line in self._json.end()]

    def _whole(self) -> list[AnyDelta]:
        body = bytes(self._body).removeprefix(_BOM)
        self._body = bytearray()
        if is_crowded(body):
            self.failure = senseless(self._where)
            return []
        try:
            return self._closing(self._dialect.read_whole(body, self._where))
        except ProviderError as error:
            self.failure = error
        except _SENSELESS:
            self.failure = senseless(self._where)
        return []

    def _closing(self, said: list[AnyDelta]) -> list[AnyDelta]:
        if said and isinstance(sign := said[-1], Ended):
            return self._ending(said, sign)
        self.failure = cut(self._where)
        return said


def is_crowded(data: bytes | bytearray) -> bool:
    """Whether ``data`` holds more JSON values than any answer has a use for."""
    if len(data) < _BIG:
        return False
    return data.count(b",") + data.count(b"[") + data.count(b"{") > VALUES_CAP


def _is_whole(data: bytes) -> bool:
    """Whether ``data`` is all there, though the connection broke before its line was ended."""
    try:
        msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return data.startswith(_UNREASONED.encode())
    return True


def _weight(said: list[AnyDelta]) -> int:
    """Bytes of memory which the content in ``said`` takes, about; 0 where there is none."""
    weight = 0
    for delta in said:
        if type(delta) is TextDelta or type(delta) is ThinkingDelta:
            text = delta.text
        elif type(delta) is CallDelta:
            text = delta.arguments
        else:
            continue
        # A letter outside of ASCII makes each of them four bytes, and is joined at a cost.
        weight += _PIECE + (len(text) if text.isascii() else 6 * len(text))
    return weight
