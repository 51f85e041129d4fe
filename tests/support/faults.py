"""A server that breaks streams in every way known, and the table of those ways.

``KINDS`` names each way: what is played on the wire, to which dialects that can happen, and how it
must be judged: complete, partial or failed, with which words kept, after how many attempts.
``FaultServer`` plays them: one loop in a thread of its own, so that the loop of a test holds
nothing but what the test made. A request finds its kind by its path: ``/KIND/TONGUE/NAME/...``.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.utils import formatdate
from itertools import repeat
from pathlib import Path
from typing import Any, Self

# --- Steps of a play -----------------------------------------------------------------------------

RESET = object()
"""The connection is reset."""
HANG = object()
"""Nothing more comes until the client goes away."""
KEEP = object()
"""As the last step: the connection stays open for another request. Else it is closed."""


@dataclass(frozen=True)
class Flood:
    """Bytes without end, until the client goes away."""

    pieces: Callable[[], Iterator[bytes]]


Play = list[Any]
"""What is done with one request: bytes to send, seconds to wait, and the signs above."""

FIRST, SECOND = "Hello, ", "wörld ☃!"
ALL = FIRST + SECOND
KEY = "sk-canary-0123456789"


# --- The dialects' words -------------------------------------------------------------------------


@dataclass(frozen=True)
class Tongue:
    """How one dialect says things on the wire. ``named`` puts the type into an event line, too.

    ``finish`` is what ends the words, ``end`` the terminal sign; ``by_reason`` where the reason in
    ``finish`` makes an answer complete already.
    """

    name: str
    say: Callable[[str], dict[str, Any]]
    opening: tuple[dict[str, Any], ...] = ()
    finish: tuple[dict[str, Any], ...] = ()
    end: tuple[Any, ...] = ()
    whole: dict[str, Any] = field(default_factory=dict)
    busy: dict[str, Any] = field(default_factory=dict)
    limited: dict[str, Any] = field(default_factory=dict)
    odd: tuple[Any, ...] = ()
    usage: Callable[[Any], dict[str, Any]] | None = None
    named: bool = False
    lines: bool = False
    by_reason: bool = False

    @property
    def content_type(self) -> str:
        return "application/x-ndjson" if self.lines else "text/event-stream"

    def event(self, value: Any) -> bytes:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        if self.lines:
            return text.encode() + b"\n"
        name = value.get("type", "") if isinstance(value, dict) and self.named else ""
        return (f"event: {name}\n" if name else "").encode() + b"data: " + text.encode() + b"\n\n"

    def events(self, *values: Any) -> list[bytes]:
        return [self.event(value) for value in values]

    @property
    def begun(self) -> list[bytes]:
        return self.events(*self.opening, self.say(FIRST))

    @property
    def rest(self) -> list[bytes]:
        return self.events(self.say(SECOND), *self.finish, *self.end)

    @property
    def stream(self) -> list[bytes]:
        return self.begun + self.rest

    def error_body(self, kind: str, text: str, status: int) -> bytes:
        match self.name:
            case "ollama":
                value: Any = {"error": text}
            case "anthropic":
                value = {"type": "error", "error": {"type": kind, "message": text}}
            case "gemini":
                value = {"error": {"code": status, "message": text, "status": kind.upper()}}
            case _:
                value = {"error": {"message": text, "type": kind, "code": None}}
        return json.dumps(value).encode()


def _choice(delta: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}


def _openai(name: str, **more: Any) -> Tongue:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return Tongue(
        name,
        say=lambda text: _choice({"content": text}),
        opening=(_choice({"role": "assistant", "content": ""}),),
        finish=(_choice({}, "stop") | more, {"id": "c1", "choices": [], "usage": usage}),
        end=("[DONE]",),
        whole={
            "id": "c1",
            "model": "m",
            "choices": [{"index": 0, "message": {"content": ALL}, "finish_reason": "stop"}],
            "usage": usage,
        },
        busy={"error": {"message": "busy now", "type": "server_error", "code": 503}},
        limited={"error": {"message": "slow down", "type": "rate_limit_error"}},
        odd=(
            {"object": "something.new", "choices": None},
            {"choices": [{"index": 0, "delta": None, "finish_reason": None}], "usage": None},
            {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": None}}]},
            {"choices": [], "future": {"deep": [1, {"x": None}]}},
            {},
        ),
        usage=lambda usage: {"choices": [], "usage": usage},
        by_reason=True,
    )


_MESSAGE = {"id": "m1", "model": "m", "usage": {"input_tokens": 3, "output_tokens": 1}}
_GEMINI_USAGE = {"promptTokenCount": 3, "candidatesTokenCount": 2}


def _candidate(text: str | None, reason: str | None = None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"index": 0}
    if text is not None:
        candidate["content"] = {"parts": [{"text": text}], "role": "model"}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "m", "responseId": "r1"}


def _item(text: str) -> dict[str, Any]:
    parts = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "i1", "role": "assistant", "content": parts}


_DONE_RESPONSE = {
    "id": "r1",
    "model": "m",
    "status": "completed",
    "error": None,
    "output": [_item(ALL)],
    "usage": {"input_tokens": 3, "output_tokens": 2},
}

TONGUES: dict[str, Tongue] = {
    tongue.name: tongue
    for tongue in (
        _openai("openai"),
        _openai("llamacpp", timings={"cache_n": 1, "predicted_n": 2}),
        Tongue(
            "anthropic",
            say=lambda text: {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": text},
            },
            opening=(
                {"type": "message_start", "message": _MESSAGE},
                {
                    "type": "content_block_start",
                    "index": 0,
                    "content_block": {"type": "text", "text": ""},
                },
                {"type": "ping"},
            ),
            finish=(
                {"type": "content_block_stop", "index": 0},
                {
                    "type": "message_delta",
                    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                    "usage": {"output_tokens": 2},
                },
            ),
            end=({"type": "message_stop"},),
            whole={
                **_MESSAGE,
                "type": "message",
                "content": [{"type": "text", "text": ALL}],
                "stop_reason": "end_turn",
            },
            busy={"type": "error", "error": {"type": "overloaded_error", "message": "busy now"}},
            limited={"type": "error", "error": {"type": "rate_limit_error", "message": "slow"}},
            odd=(
                {"type": "something_new", "index": 7},
                {"type": "content_block_delta", "index": 0, "delta": {"type": "hum_delta"}},
                {"type": "content_block_delta", "index": 0, "delta": None},
                {"type": "message_delta", "delta": {"stop_reason": None}, "usage": None},
                {"type": "ping", "future": {"deep": [1, {"x": None}]}},
            ),
            usage=lambda usage: {"type": "message_delta", "delta": {}, "usage": usage},
            named=True,
        ),
        Tongue(
            "ollama",
            say=lambda text: {
                "model": "m",
                "message": {"role": "assistant", "content": text},
                "done": False,
            },
            end=(
                {
                    "model": "m",
                    "message": {"role": "assistant", "content": ""},
                    "done": True,
                    "done_reason": "stop",
                    "prompt_eval_count": 3,
                    "eval_count": 2,
                },
            ),
            whole={"model": "m", "message": {"content": ALL}, "done": True, "done_reason": "stop"},
            busy={"error": "llama runner process has terminated"},
            limited={"error": "too many requests"},
            odd=(
                {"model": "m", "message": None, "done": False},
                {"model": None, "message": {"content": None, "thinking": None}},
                {"future": {"deep": [1, {"x": None}]}},
                {},
            ),
            usage=lambda usage: {"model": "m", "done": False, "usage": usage},
            lines=True,
        ),
        Tongue(
            "responses",
            say=lambda text: {
                "type": "response.output_text.delta",
                "output_index": 0,
                "content_index": 0,
                "item_id": "i1",
                "delta": text,
            },
            opening=(
                {"type": "response.created", "response": {"id": "r1", "model": "m"}},
                {"type": "response.output_item.added", "output_index": 0, "item": _item("")},
            ),
            finish=(
                {"type": "response.output_text.done", "output_index": 0, "text": ALL},
                {"type": "response.output_item.done", "output_index": 0, "item": _item(ALL)},
            ),
            end=({"type": "response.completed", "response": _DONE_RESPONSE},),
            whole=_DONE_RESPONSE,
            busy={
                "type": "response.failed",
                "response": {
                    "status": "failed",
                    "error": {"code": "server_error", "message": "busy now"},
                },
            },
            limited={"type": "error", "code": "rate_limit_exceeded", "message": "slow down"},
            odd=(
                {"type": "response.something.new", "output_index": 3},
                {"type": "response.output_text.delta", "output_index": 0, "delta": None},
                {"type": "response.output_text.delta", "output_index": 0, "delta": ""},
                {"type": "response.in_progress", "response": None},
                {"type": "keepalive", "future": {"deep": [1, {"x": None}]}},
            ),
            named=True,
        ),
        Tongue(
            "gemini",
            say=_candidate,
            finish=(_candidate(None, "STOP") | {"usageMetadata": _GEMINI_USAGE},),
            whole=_candidate(ALL, "STOP") | {"usageMetadata": _GEMINI_USAGE},
            busy={"error": {"code": 503, "message": "busy now", "status": "UNAVAILABLE"}},
            limited={"error": {"code": 429, "message": "slow", "status": "RESOURCE_EXHAUSTED"}},
            odd=(
                {"candidates": None},
                {"candidates": [{"content": None, "finishReason": None}]},
                {"candidates": [{"content": {"parts": None}}], "usageMetadata": None},
                {"future": {"deep": [1, {"x": None}]}},
                {},
            ),
            usage=lambda usage: {"candidates": [], "usageMetadata": usage},
            by_reason=True,
        ),
    )
}

BY_REASON = tuple(name for name, tongue in TONGUES.items() if tongue.by_reason)
OPENAI = ("openai", "llamacpp")
STREAMS = tuple(name for name, tongue in TONGUES.items() if not tongue.lines)


# --- HTTP ----------------------------------------------------------------------------------------


def head(
    tongue: Tongue | None,
    status: int = 200,
    *,
    framing: str = "chunked",
    kind: str = "",
    size: int = 0,
    version: str = "1.1",
    **headers: str,
) -> bytes:
    """A response's head. ``framing`` is chunked, length (``size``) or close."""
    lines = [f"HTTP/{version} {status} Said"]
    content_type = kind or (tongue.content_type if tongue else "application/json")
    lines.append(f"Content-Type: {content_type}")
    match framing:
        case "chunked":
            lines.append("Transfer-Encoding: chunked")
        case "length":
            lines.append(f"Content-Length: {size}")
        case _:
            lines.append("Connection: close")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def chunks(pieces: Iterable[Any]) -> Play:
    """Each run of bytes as one chunk; pauses and signs stay what they are."""
    return [chunk(p) if isinstance(p, bytes) else p for p in pieces]


LAST = b"0\r\n\r\n"


def whole_body(tongue: Tongue | None, body: bytes, status: int = 200, **more: Any) -> Play:
    return [head(tongue, status, framing="length", size=len(body), **more), body, KEEP]


def streamed(tongue: Tongue, pieces: Iterable[Any], **more: Any) -> Play:
    return [head(tongue, **more), *chunks(pieces), LAST, KEEP]


def cut(tongue: Tongue, pieces: Iterable[Any], **more: Any) -> Play:
    """Without the last chunk, so that HTTP itself tells of the cut."""
    return [head(tongue, **more), *chunks(pieces)]


# --- Kinds ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expect:
    """How a kind must be judged. ``error`` is the class, ``says`` a part of the sentence.

    ``text`` is what must have been kept; None where only its beginning is known.

    ``waits`` are the bounds of each wait before another attempt, in seconds, half of the jitter
    being added.
    """

    verdict: str = "complete"
    text: str | None = ALL
    attempts: int = 1
    error: str = ""
    says: str = ""
    waits: tuple[tuple[float, float], ...] | None = None


@dataclass(frozen=True)
class Kind:
    """One way to break, or to look broken. ``at`` is where the client is sent, see FaultServer.

    ``patience`` is in seconds; ``twice`` asks twice and judges the second answer; ``heavy`` kinds
    take long, and are judged once only, where memory is measured.
    """

    name: str
    plays: tuple[Callable[[Tongue], Play], ...]
    expect: Expect
    others: dict[str, Expect]
    never: tuple[str, ...] = ()
    patience: float = 8.0
    at: str = "http"
    twice: bool = False
    heavy: bool = False

    def expected(self, tongue: str) -> Expect:
        return self.others.get(tongue, self.expect)

    @property
    def tongues(self) -> tuple[str, ...]:
        return tuple(name for name in TONGUES if name not in self.never)


KINDS: dict[str, Kind] = {}

SHORT = 0.25
"""Seconds of patience where a stall is the point."""

COMPLETE = Expect()
UNHEARD = Expect("failed", "", 3, "Unreachable")


def partial(says: str = "cut off", text: str = FIRST, error: str = "StreamBroken") -> Expect:
    return Expect("partial", text, 1, error, says)


def failed(says: str = "", error: str = "StreamBroken", attempts: int = 1) -> Expect:
    return Expect("failed", "", attempts, error, says)


def kind(
    name: str,
    play: Callable[[Tongue], Play] | Sequence[Callable[[Tongue], Play]],
    expect: Expect = COMPLETE,
    *,
    only: Sequence[str] | None = None,
    never: Sequence[str] = (),
    others: dict[Sequence[str], Expect] | None = None,
    **more: Any,
) -> None:
    if name in KINDS:
        raise ValueError(f"{name} is there twice")
    if only is not None:
        never = tuple(name for name in TONGUES if name not in only)
    plays = tuple(play) if isinstance(play, Sequence) else (play,)
    flat = {one: exp for names, exp in (others or {}).items() for one in names}
    KINDS[name] = Kind(name, plays, expect, flat, tuple(never), **more)


def _whole_text(tongue: Tongue) -> bytes:
    return b"".join(tongue.stream)


# How it ought to be, in every dress.
kind("whole", lambda t: streamed(t, t.stream))
kind("whole-in-one-chunk", lambda t: streamed(t, [_whole_text(t)]))
kind("whole-byte-by-byte", lambda t: streamed(t, [bytes([b]) for b in _whole_text(t)]))
kind("whole-by-length", lambda t: whole_body(t, _whole_text(t)))
kind("whole-until-close", lambda t: [head(t, framing="close"), *t.stream])
kind("whole-http-1.0", lambda t: [head(t, framing="close", version="1.0"), *t.stream])
kind("drip", lambda t: streamed(t, [p for e in t.stream for p in (0.03, e)]), patience=2.0)
kind(
    "chunk-extensions",
    lambda t: [
        head(t),
        *(b"%x;who=cares\r\n%s\r\n" % (len(p), p) for p in t.stream),
        b"0\r\nX-Trailer: yes\r\n\r\n",
        KEEP,
    ],
)
kind(
    "early-hints",
    lambda t: [b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", *streamed(t, t.stream)],
)

# Before the first word.
kind("closed-at-accept", lambda t: [], UNHEARD, at="closed")
kind("refused", lambda t: [], Expect("failed", "", 3, "Unreachable", "refuses"), at="refused")
kind(
    "no-connection",
    lambda t: [],
    Expect("failed", "", 3, "Unreachable", "does not take connections"),
    at="full",
)
kind("closed-before-headers", lambda t: [], UNHEARD)
kind("reset-before-headers", lambda t: [RESET], UNHEARD)
kind("cut-in-status-line", lambda t: [b"HTTP/1.1 2"], UNHEARD)
kind("cut-in-headers", lambda t: [head(t)[:40]], UNHEARD)
kind("closed-once-then-well", [lambda t: [], lambda t: streamed(t, t.stream)], Expect(attempts=2))
kind(
    "reset-twice-then-well",
    [lambda t: [RESET], lambda t: [RESET], lambda t: streamed(t, t.stream)],
    Expect(attempts=3),
)
kind("half-open", lambda t: [HANG], failed("has not begun", "Unreachable"), patience=SHORT)
kind(
    "headers-drip",
    lambda t: [p for b in head(t) for p in (bytes([b]), 0.02)],
    failed("has not begun", "Unreachable"),
    patience=SHORT,
)
kind(
    "headers-slow-but-there",
    lambda t: (
        [p for b in head(t)[:20] for p in (bytes([b]), 0.004)]
        + [head(t)[20:], *chunks(t.stream), LAST, KEEP]
    ),
)
kind(
    "headers-endless",
    lambda t: [b"HTTP/1.1 200 OK\r\n", Flood(lambda: repeat(b"X-A: b\r\n" * 500))],
    UNHEARD,
)
kind("headers-only", lambda t: cut(t, []), failed("cut off"))
kind("headers-then-silence", lambda t: [head(t), HANG], failed("no piece"), patience=SHORT)
kind("reset-after-headers", lambda t: [head(t), 0.02, RESET], failed("cut off"))
kind("opening-only", lambda t: cut(t, t.events(*t.opening)), failed("cut off"))
kind("not-http", lambda t: [b"SSH-2.0-x\r\n"], UNHEARD)
kind("http-2-preface", lambda t: [b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\0" * 18], UNHEARD)
kind("plain-to-tls", lambda t: [b"\x15\x03\x03\x00\x02\x02\x28"], UNHEARD)
kind(
    "plain-to-tls-said-so",
    lambda t: whole_body(
        None,
        b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head>",
        400,
        kind="text/html",
    ),
    failed("plain HTTP request", "BadRequest"),
)
kind("tls-to-plain", lambda t: [], UNHEARD, at="https")

# In the middle.
kind("cut-mid-chunk", lambda t: [*cut(t, t.begun), b"500\r\n" + t.rest[0][:9]], partial())
kind("cut-mid-chunk-size", lambda t: [*cut(t, t.begun), b"5"], partial())
kind(
    "cut-mid-event",
    lambda t: cut(t, [*t.begun, t.event(t.say(SECOND))[:-12]]),
    partial(),
)
kind(
    "cut-mid-utf-8",
    lambda t: cut(t, [*t.begun, t.event(t.say(SECOND)).partition("☃".encode()[1:])[0]]),
    partial(),
)
kind("cut-between-events", lambda t: cut(t, t.begun), partial())
kind("reset-mid", lambda t: [*cut(t, t.begun), 0.05, RESET], partial())
kind("ended-without-a-sign", lambda t: streamed(t, t.begun), partial())
kind("closed-without-a-sign", lambda t: [head(t, framing="close"), *t.begun], partial())
kind(
    "all-words-but-no-sign",
    lambda t: streamed(t, t.events(*t.opening, t.say(FIRST), t.say(SECOND))),
    partial(text=ALL),
)
kind("stall-mid", lambda t: [*cut(t, t.begun), HANG], partial("no piece"), patience=SHORT)
kind(
    "stall-mid-event",
    lambda t: [*cut(t, [*t.begun, t.event(t.say(SECOND))[:-12]]), HANG],
    partial("no piece"),
    patience=SHORT,
)
kind(
    "heartbeats-mid",
    lambda t: [head(t), *chunks([*t.begun, *[p for _ in range(40) for p in (b": hm\n\n", 0.03)]])],
    partial("no piece"),
    only=STREAMS,
    patience=SHORT,
)
kind(
    "heartbeats-only",
    lambda t: [head(t), *chunks(p for _ in range(40) for p in (b": hm\n\n", 0.03))],
    failed("no piece"),
    only=STREAMS,
    patience=SHORT,
)
kind(
    "odd-events-mid-do-not-feed",
    lambda t: [
        head(t),
        *chunks([*t.begun, *[p for _ in range(40) for p in (t.event(t.odd[0]), 0.03)]]),
    ],
    partial("no piece"),
    patience=SHORT,
)
kind(
    "heartbeats-between",
    lambda t: streamed(t, [p for e in t.stream for p in (b": OPENROUTER PROCESSING\n\n", e)]),
    only=STREAMS,
)
kind(
    "heartbeats-a-thousand",
    lambda t: streamed(t, [*t.begun, b": hm\n\n" * 1100]),
    partial("without a word"),
    only=STREAMS,
)
kind(
    "empty-deltas-a-thousand",
    lambda t: streamed(t, [*t.begun, t.event(t.say("")) * 1100, *t.rest]),
    partial("without a word"),
)
kind(
    "empty-deltas-only",
    lambda t: [*cut(t, [t.event(t.say("")) * 1100]), HANG],
    failed("without a word"),
)
kind("empty-deltas-some", lambda t: streamed(t, [*t.begun, t.event(t.say("")) * 500, *t.rest]))

# At the end.
_unless_reason: dict[Sequence[str], Expect] = {BY_REASON: COMPLETE}
kind(
    "cut-after-the-reason",
    lambda t: cut(t, t.events(*t.opening, t.say(FIRST), t.say(SECOND), *t.finish)),
    partial(text=ALL),
    others=_unless_reason,
)
kind(
    "reset-after-the-reason",
    lambda t: [
        *cut(t, t.events(*t.opening, t.say(FIRST), t.say(SECOND), *t.finish)),
        0.05,
        RESET,
    ],
    partial(text=ALL),
    others=_unless_reason,
)
kind(
    "stall-after-the-reason",
    lambda t: [*cut(t, t.events(*t.opening, t.say(FIRST), t.say(SECOND), *t.finish)), HANG],
    partial("no piece", ALL),
    others=_unless_reason,
    patience=SHORT,
)
kind("reset-after-the-end", lambda t: [*cut(t, t.stream), RESET])
kind("hangs-after-the-end", lambda t: [*cut(t, t.stream), HANG], patience=SHORT)
kind(
    "floods-after-the-end",
    lambda t: [
        *cut(t, t.stream),
        Flood(lambda: repeat(chunk(t.event(t.say(" and on and on")) * 200))),
    ],
    never=("gemini",),  # its end is the end of the bytes
)
kind("no-sign-but-the-reason", lambda t: streamed(t, t.stream[:-1]), only=OPENAI)
kind(
    "done-without-a-reason",
    lambda t: streamed(t, [*t.begun, *t.rest[:1], *t.rest[-1:]]),
    only=OPENAI,
)
kind(
    "done-only", lambda t: streamed(t, [b"data: [DONE]\n\n"]), failed("nothing at all"), only=OPENAI
)
kind("end-doubled", lambda t: streamed(t, [b"".join(t.stream), *t.events(*t.finish, *t.end)]))
kind(
    "words-after-the-end",
    lambda t: streamed(t, [b"".join(t.stream + t.events(t.say(" and more")))]),
    never=("gemini",),
)
kind(
    "error-after-the-end",
    lambda t: streamed(t, [b"".join(t.stream + t.events(t.busy))]),
    never=("gemini",),
)
kind("openai's-end-too", lambda t: streamed(t, [*t.stream, b"data: [DONE]\n\n"]), only=STREAMS)
kind(
    "openai's-end-without-its-own",
    lambda t: streamed(t, [*t.begun, t.rest[0], b"data: [DONE]\n\n"]),
    partial(text=ALL),
    only=("anthropic", "responses", "gemini"),
)
kind("end-without-blank-line", lambda t: streamed(t, [b"".join(t.stream).rstrip(b"\n")]))
kind(
    "proxy's-normal-finish",
    lambda t: streamed(t, [*t.begun, *t.rest[1:]]),
    Expect(text=FIRST),
    never=("responses",),
)
kind("usage-missing", lambda t: streamed(t, _usageless(t)))
for _reason in ("error", "abort", "network_error", "insufficient_system_resource"):
    kind(
        f"reason-{_reason}",
        lambda t, r=_reason: streamed(t, [*t.begun, *_given_up(t, r)]),
        partial("gave the answer up"),
        only=(*OPENAI, "ollama"),
    )
kind(
    "reason-other",
    lambda t: streamed(t, t.events(t.say(FIRST), _candidate(None, "MALFORMED_FUNCTION_CALL"))),
    partial("gave the answer up"),
    only=("gemini",),
)


def _usageless(tongue: Tongue) -> list[bytes]:
    def without(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        gone = ("usage", "usageMetadata", "prompt_eval_count", "eval_count", "timings")
        return {k: without(v) for k, v in value.items() if k not in gone}

    t = tongue
    return t.events(*map(without, (*t.opening, t.say(FIRST), t.say(SECOND), *t.finish, *t.end)))


def _given_up(tongue: Tongue, reason: str) -> list[bytes]:
    if tongue.name == "ollama":
        return tongue.events(tongue.end[0] | {"done_reason": reason})
    return tongue.events(_choice({}, reason), *tongue.end)


# Errors in the stream.
_ollama_broke: dict[Sequence[str], Expect] = {("ollama",): failed("broke the answer off")}
kind(
    "error-first",
    lambda t: streamed(t, t.events(t.busy)),
    failed("busy now", "Overloaded", 3),
    others=_ollama_broke,
)
kind(
    "error-first-then-well",
    [lambda t: streamed(t, t.events(*t.opening, t.busy)), lambda t: streamed(t, t.stream)],
    Expect(attempts=2, waits=((0.5, 0.5),)),
    others=_ollama_broke,
)
kind(
    "rate-limit-first",
    lambda t: streamed(t, t.events(t.limited)),
    failed("slow", "RateLimited", 3),
    others=_ollama_broke,
)
kind(
    "error-mid",
    lambda t: streamed(t, [*t.begun, *t.events(t.busy)]),
    partial("busy now", error="Overloaded"),
    others={("ollama",): partial("terminated")},
)
kind(
    "rate-limit-mid",
    lambda t: streamed(t, [*t.begun, *t.events(t.limited), *t.rest]),
    partial("slow", error="RateLimited"),
    others={("ollama",): partial("too many requests")},
)
kind(
    "error-mid-in-one-chunk",
    lambda t: streamed(t, [b"".join(t.begun + t.events(t.busy))]),
    partial("busy now", error="Overloaded"),
    others={("ollama",): partial("terminated")},
)
kind(
    "error-mid-then-hang",
    lambda t: [*cut(t, [*t.begun, *t.events(t.busy)]), HANG],
    partial("busy now", error="Overloaded"),
    others={("ollama",): partial("terminated")},
)
kind(
    "error-in-words",
    lambda t: streamed(t, [*t.begun, t.event({"error": "it went wrong"})]),
    partial("it went wrong"),
    never=("anthropic",),
)
kind(
    "error-with-choices",
    lambda t: streamed(
        t,
        [
            *t.begun,
            t.event(
                _choice({"content": ""}, "error")
                | {"error": {"code": 502, "message": "upstream gone"}}
            ),
            *t.events(*t.end),
        ],
    ),
    partial("upstream gone", error="Overloaded"),
    only=OPENAI,
)
kind(
    "error-by-event-name",
    lambda t: streamed(t, [*t.begun, b'event: error\ndata: {"message":"gone","code":503}\n\n']),
    partial("gone", error="Overloaded"),
    only=OPENAI,
)
kind(
    "error-by-event-name-half-a-letter",
    lambda t: streamed(t, [*t.begun, b'event: error\ndata: {"message":"\\ud83d","code":503}\n\n']),
    partial("", error=""),
    only=STREAMS,
    never=(),
)
kind(
    "error-without-reason",
    lambda t: streamed(t, [*t.begun, b"event: error\ndata: {}\n\n"]),
    partial("", error=""),
    only=("anthropic",),
)
kind(
    "error-of-another-vendor",
    lambda t: streamed(t, [*t.begun, b'data: {"error":{"message":"odd","type":"weird"}}\n\n']),
    partial("odd"),
    only=STREAMS,
)
kind(
    "error-with-the-key-in-it",
    lambda t: streamed(t, [*t.begun, t.event({"error": {"message": f"bad {KEY}", "code": 500}})]),
    partial("bad …", error="Overloaded"),
)
kind(
    "error-no-credit-first",
    lambda t: streamed(t, t.events({"error": {"message": "pay", "code": "insufficient_quota"}})),
    failed("no more credit", "RateLimited"),
    never=("ollama",),
)

# Not a stream at all.
kind("empty", lambda t: whole_body(t, b""), failed("nothing at all"))
kind("empty-chunked", lambda t: streamed(t, []), failed("nothing at all"))
kind("blank", lambda t: streamed(t, [b"\n\n \r\n"]), failed("nothing at all"))
_PAGE = b"<!doctype html><html><head><title>Log  in to\n the caf\xc3\xa9</title></head></html>"
kind(
    "page",
    lambda t: whole_body(None, _PAGE, kind="text/html"),
    failed("“Log in to the café”"),
)
kind("page-called-a-stream", lambda t: streamed(t, [b"\n  " + _PAGE]), failed("web page"))
kind("page-cut", lambda t: cut(t, [_PAGE[:30]]), failed("web page"))
kind("page-of-blanks", lambda t: streamed(t, [b"<title>" + b" " * 60_000]), failed("web page"))
kind(
    "page-endless",
    lambda t: [head(t), Flood(lambda: repeat(chunk(b"<p>" * 5000)))],
    failed("web page"),
)
kind("page-mid", lambda t: streamed(t, [*t.begun, _PAGE]), partial(), never=("ollama",))
kind(
    "page-mid-lines",
    lambda t: streamed(t, [*t.begun, _PAGE]),
    partial("no piece"),
    only=("ollama",),
)
kind("one-json-answer", lambda t: whole_body(None, json.dumps(t.whole).encode()))
kind("one-json-answer-chunked", lambda t: streamed(t, [json.dumps(t.whole).encode()]))
kind(
    "one-json-answer-with-bom",
    lambda t: whole_body(None, b"\xef\xbb\xbf" + json.dumps(t.whole).encode()),
)
kind(
    "one-json-answer-cut",
    lambda t: whole_body(None, json.dumps(t.whole).encode()[:-20]),
    failed("no piece of an answer"),
)
kind(
    "one-json-answer-lost",
    lambda t: [head(t), chunk(json.dumps(t.whole).encode()[:-20])],
    failed("cut off"),
)
kind(
    "one-json-error",
    lambda t: whole_body(None, t.error_body("overloaded_error", "busy now", 503)),
    failed("busy now", "Overloaded", 3),
    others={("ollama",): failed("busy now"), OPENAI: failed("busy now", "Overloaded", 3)},
)
kind(
    "one-json-of-something-else",
    lambda t: whole_body(None, b'{"status":"ok","version":"1.2"}'),
    failed(),
)
kind("one-json-list", lambda t: whole_body(None, b'[{"error":{"message":"x"}}]'), failed())
kind("words", lambda t: whole_body(None, b"OK", kind="text/plain"), failed())
kind("wrong-content-type", lambda t: streamed(t, t.stream, kind="text/html; charset=latin-1"))
kind("wrong-json-content-type", lambda t: streamed(t, t.stream, kind="application/json"))
kind("no-json-in-data", lambda t: streamed(t, [*t.begun, t.event("nonsense")]), partial("no piece"))
kind(
    "lines-where-events-were-due",
    lambda t: streamed(
        t, [json.dumps(e).encode() + b"\n" for e in (*t.opening, t.say(FIRST), *t.finish)]
    ),
    failed(),
    only=("openai", "anthropic", "responses"),
)
kind(
    "events-where-lines-were-due",
    lambda t: streamed(t, [b"data: " + e + b"\n" for e in t.stream]),
    failed("no piece"),
    only=("ollama",),
)
kind(
    "nothing-204", lambda t: [b"HTTP/1.1 204 No Content\r\n\r\n", KEEP], failed("204", "BadRequest")
)
kind(
    "another-101",
    lambda t: [
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        b"zzz",
    ],
    UNHEARD,
)

# Framing.
kind("cr-only", lambda t: streamed(t, [_whole_text(t).replace(b"\n", b"\r")]))
kind("crlf", lambda t: streamed(t, [_whole_text(t).replace(b"\n", b"\r\n")]))
kind(
    "crlf-cut-between",
    lambda t: streamed(t, _between(_whole_text(t).replace(b"\n", b"\r\n"))),
)
kind(
    "mixed-line-ends",
    lambda t: streamed(
        t,
        [e.replace(b"\n", n) for e, n in zip(t.stream, [b"\r", b"\n", b"\r\n"] * 9, strict=False)],
    ),
)
kind("bom", lambda t: streamed(t, [b"\xef\xbb\xbf", *t.stream]))
kind("bom-cut", lambda t: streamed(t, [b"\xef", b"\xbb", b"\xbf" + _whole_text(t)]))
kind("blank-lines-first", lambda t: streamed(t, [b"\n\r\n\n", *t.stream]))
kind(
    "no-blank-after-the-colon",
    lambda t: streamed(t, [e.replace(b"data: ", b"data:") for e in t.stream]),
    only=STREAMS,
)
kind(
    "other-fields",
    lambda t: streamed(t, [b"id: 7\nretry: 99\nfoo: bar\nbaz\n" + e for e in t.stream]),
    only=STREAMS,
)
kind(
    "data-in-many-lines",
    lambda t: streamed(t, [e.replace(b'{"', b'{\ndata: "', 1) for e in t.stream]),
    only=STREAMS,
)
kind(
    "comments-in-events",
    lambda t: streamed(t, [b": a comment\n" + e for e in t.stream]),
    only=STREAMS,
)


def _between(data: bytes) -> list[bytes]:
    """``data`` in pieces that end after each CR."""
    parts = data.split(b"\r")
    return [p + b"\r" for p in parts[:-1]] + [parts[-1]]


def _saying(tongue: Tongue, data: str | bytes, **more: Any) -> Play:
    """A whole answer whose second piece is ``data``, JSON text as it stands."""
    event = tongue.event(tongue.say("@@"))
    raw = data if isinstance(data, bytes) else data.encode()
    rest = tongue.events(*(f for f in tongue.finish if "text" not in f and "item" not in f))
    closing = tongue.events(*tongue.end)
    return streamed(tongue, [*tongue.begun, event.replace(b"@@", raw), *rest, *closing], **more)


def says(name: str, data: str | bytes, text: str, **more: Any) -> None:
    kind(name, lambda t: _saying(t, data), Expect(text=FIRST + text), **more)


says("line-separators-inside", "a\u2028b\u2029c\u0085d", "a\u2028b\u2029c\u0085d")
says(
    "other-separators-inside",
    "a\x7fb\u001cc\u001ed".replace("\u001c", "\\u001c").replace("\u001e", "\\u001e"),
    "a\x7fb\x1cc\x1ed",
)
says("nul-escaped", "a\\u0000b", "a\0b")
says("nul-raw", "a\0b", "a\0b")
says("invalid-utf-8", b"a\xff\xc3b", "a\ufffd\ufffdb")
says("surrogate-pair-escaped", "\\ud83d\\ude00", "😀")
says("surrogate-lone", "a\\ud83db", "a\ufffdb")
kind(
    "surrogate-pair-in-two-deltas",
    lambda t: streamed(
        t,
        [
            *t.begun,
            *(t.event(t.say("@@")).replace(b"@@", half) for half in (b"\\ud83d", b"\\ude00")),
            *t.events(*(f for f in t.finish if "text" not in f and "item" not in f), *t.end),
        ],
    ),
    Expect(text=FIRST + "😀"),
)
says("huge-line", "x" * 3_900_000, "x" * 3_900_000, patience=20.0)
kind(
    "too-huge-line",
    lambda t: streamed(t, [*t.begun, t.event(t.say("x" * 4_300_000)), *t.rest]),
    partial("4 MB"),
    patience=20.0,
)
kind(
    "endless-line",
    lambda t: [*cut(t, t.begun), Flood(lambda: repeat(chunk(b"x" * 262_144)))],
    partial("4 MB"),
    patience=20.0,
)
kind(
    "endless-event",
    lambda t: [
        *cut(t, t.begun),
        Flood(lambda: repeat(chunk(b"data: aaaaaaa\n" * 9000))),
    ],
    partial("4 MB"),
    only=("openai", "anthropic"),
    patience=20.0,
)
kind(
    "endless-json",
    lambda t: [head(t), chunk(b'{"x":"'), Flood(lambda: repeat(chunk(b"y" * 262_144)))],
    failed("8 MB"),
    others={("ollama",): failed("4 MB")},
    patience=20.0,
)


def _endless(text: str) -> Callable[[Tongue], Play]:
    return lambda t: [*cut(t, t.begun), Flood(lambda: repeat(chunk(t.event(t.say(text)) * 200)))]


def _whole_of(value: bytes) -> Callable[[Tongue], Play]:
    return lambda t: whole_body(None, b'{"usage":{"x":[' + value * (7_900_000 // len(value)))


_TOO_LONG = partial("without end", text=None)
kind("endless-answer", _endless("word " * 800), _TOO_LONG, only=("openai", "ollama"), patience=20.0)
kind("endless-answer-in-bits", _endless("a"), _TOO_LONG, only=("ollama",), heavy=True)
kind("endless-answer-in-pictures", _endless("😀" * 2000), _TOO_LONG, only=("openai",), heavy=True)
kind(
    "endless-blank-lines",
    lambda t: [head(t), Flood(lambda: repeat(chunk(b"\n" * 65_536)))],
    failed("without a word"),
    only=("openai",),
    heavy=True,
)
kind("bomb-of-objects", _whole_of(b"{},"), failed("cannot be read"), only=("openai",), heavy=True)
kind("bomb-of-strings", _whole_of(b'"a",'), failed("cannot be read"), only=("openai",), heavy=True)
kind(
    "bomb-of-lists-in-a-line",
    lambda t: cut(t, [*t.begun, t.event('{"usage":{"x":[' + "[]," * 1_300_000)]),
    partial("cannot be read"),
    only=("openai",),
    heavy=True,
)
kind(
    "huge-answer-in-one",
    lambda t: whole_body(None, json.dumps(t.whole).encode().replace(b"Hello, ", b"y" * 7_000_000)),
    Expect(text="y" * 7_000_000 + SECOND),
    only=("openai",),
    heavy=True,
)
kind(
    "deflate-bomb-in-a-line",
    lambda t: [
        head(t, Content_Encoding="deflate"),
        Flood(lambda: map(chunk, bomb(b"y" * 2**20, first=True, wbits=15))),
    ],
    failed("4 MB"),
    only=("openai",),
    heavy=True,
)
kind("utf-16", lambda t: streamed(t, [_whole_text(t).decode().encode("utf-16-le")]), failed())
kind(
    "keys-doubled",
    lambda t: streamed(
        t, [*t.begun, t.event(t.say(SECOND)).replace(b'{"', b'{"zz":1,"zz":2,"', 1), *t.rest[1:]]
    ),
)
kind(
    "odd-events-everywhere",
    lambda t: streamed(t, [p for e in t.stream for p in (*t.events(*t.odd), e)]),
)
kind(
    "named-events-of-no-one",
    lambda t: streamed(t, [p for e in t.stream for p in (b"event: fog\ndata:\n\n", e)]),
    only=(*OPENAI, "responses", "gemini"),
)
kind(
    "nested-without-end",
    lambda t: streamed(t, [*t.begun, t.event('{"x":' + "[" * 200_000)]),
    partial("cannot be read"),
)
kind(
    "nested-whole",
    lambda t: whole_body(None, b'{"x":' + b'{"x":' * 200_000),
    failed(),
)
kind(
    "usage-odd",
    lambda t: streamed(t, [*t.begun, t.event(t.usage(_ODD_USAGE)), *t.rest]),
    only=[n for n, t in TONGUES.items() if t.usage],
)
_ODD_USAGE = {
    "prompt_tokens": "three",
    "completion_tokens": -1,
    "total_tokens": None,
    "prompt_tokens_details": [],
    "completion_tokens_details": "none",
    "input_tokens": 1.5,
    "output_tokens": True,
    "output_tokens_details": 7,
    "promptTokenCount": {},
    "candidatesTokenCount": [],
    "thoughtsTokenCount": "x",
    "cost": "free",
}

# HTTP's own lies.
kind("length-too-long", lambda t: [head(t, framing="length", size=99_999), *t.begun], partial())
kind("length-too-long-but-ended", lambda t: [head(t, framing="length", size=99_999), *t.stream])
kind(
    "length-too-short",
    lambda t: [head(t, framing="length", size=sum(map(len, t.begun))), *t.stream],
    partial(),
)
kind(
    "length-of-junk",
    lambda t: [head(t, framing="length").replace(b": 0\r\n", b": many\r\n"), *t.stream],
    UNHEARD,
)
kind(
    "length-twice",
    lambda t: [head(t, framing="length", size=9, Content_Length="12"), *t.stream],
    UNHEARD,
)
kind("chunk-size-of-junk", lambda t: [*cut(t, t.begun), b"zz\r\nhello\r\n"], partial())
kind("chunk-size-negative", lambda t: [*cut(t, t.begun), b"-5\r\nhello\r\n"], partial())
kind(
    "chunk-size-huge", lambda t: [*cut(t, t.begun), b"ffffffffffff\r\n" + t.rest[0][:5]], partial()
)
kind("chunk-size-too-short", lambda t: [*cut(t, t.begun), b"2\r\nhello\r\n"], partial(""))
kind(
    "chunk-without-end",
    lambda t: [*cut(t, t.begun), b"%x\r\n%sXX" % (len(t.rest[0]), t.rest[0]), *chunks(t.rest[1:])],
    partial("", ALL),
)
kind("chunked-but-is-not", lambda t: [head(t), *t.stream], failed("cut off"))

# Packed, though plain bytes were asked for.
kind("gzip", lambda t: streamed(t, [gzip.compress(_whole_text(t))], Content_Encoding="gzip"))
kind(
    "gzip-in-two-members",
    lambda t: streamed(
        t, [gzip.compress(b"".join(p)) for p in (t.begun, t.rest)], Content_Encoding="GZip"
    ),
)
kind(
    "gzip-padded",
    lambda t: streamed(t, [gzip.compress(_whole_text(t)) + b"\0" * 99], Content_Encoding="gzip"),
)
kind("gzip-flushed", lambda t: streamed(t, _flushed(t.stream), Content_Encoding="x-gzip"))
kind(
    "gzip-byte-by-byte",
    lambda t: streamed(
        t, [bytes([b]) for b in gzip.compress(_whole_text(t))], Content_Encoding="gzip"
    ),
)
kind("gzip-cut", lambda t: cut(t, _flushed(t.begun)[:-1], Content_Encoding="gzip"), partial())
kind(
    "gzip-garbled",
    lambda t: streamed(
        t, [*_flushed(t.begun)[:-1], b"\xff" * 50, *t.rest], Content_Encoding="gzip"
    ),
    partial(),
)
kind("gzip-is-plain", lambda t: streamed(t, t.stream, Content_Encoding="gzip"), failed("cut off"))
kind("gzip-empty", lambda t: streamed(t, [], Content_Encoding="gzip"), failed("nothing"))
kind("deflate", lambda t: streamed(t, [zlib.compress(_whole_text(t))], Content_Encoding="deflate"))
kind(
    "deflate-bare",
    lambda t: streamed(t, [zlib.compress(_whole_text(t))[2:-4]], Content_Encoding="deflate"),
)
for _coding in ("br", "zstd", "gzip, gzip", "compress"):
    kind(
        f"packed-{_coding.replace(', ', '-')}",
        lambda t, c=_coding: streamed(t, [b"\x1b\x00\xf8"], Content_Encoding=c),
        failed("packed form"),
    )
kind("packed-utf-8", lambda t: streamed(t, t.stream, Content_Encoding="UTF-8"))
kind(
    "gzip-bomb",
    lambda t: [
        *cut(t, [*_flushed(t.begun)[:-1]], Content_Encoding="gzip"),
        Flood(lambda: map(chunk, bomb(b"\0" * 2**20))),
    ],
    partial("4 MB"),
    patience=20.0,
)
kind(
    "gzip-bomb-of-comments",
    lambda t: [
        head(t, Content_Encoding="gzip"),
        Flood(lambda: map(chunk, bomb(b": x\n" * 2**18, first=True))),
    ],
    failed("without a word"),
    only=STREAMS,
    patience=20.0,
)


def _flushed(pieces: Sequence[bytes]) -> list[bytes]:
    """Each piece packed so that it can be unpacked at once; the last ends the whole."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    out = [packer.compress(p) + packer.flush(zlib.Z_SYNC_FLUSH) for p in pieces]
    return [*out, packer.flush()]


def bomb(block: bytes, *, first: bool = False, wbits: int = 31) -> Iterator[bytes]:
    """``block`` packed, again and again without end; with gzip's head before the ``first``."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    if first:
        yield gzip.compress(b"")[:10] if wbits == 31 else b"\x78\xda"
    while True:
        yield packed


# Connections kept from one answer to the next.
kind("kept", lambda t: streamed(t, t.stream), twice=True)
kind("kept-but-closed-since", lambda t: streamed(t, t.stream)[:-1], twice=True)
kind(
    "kept-but-died-when-used",
    [lambda t: streamed(t, t.stream), lambda t: [], lambda t: streamed(t, t.stream)],
    Expect(attempts=2),
    twice=True,
)
kind(
    "kept-but-reset-when-used",
    [lambda t: streamed(t, t.stream), lambda t: [RESET], lambda t: streamed(t, t.stream)],
    Expect(attempts=2),
    twice=True,
)
kind(
    "kept-with-leftovers",
    [
        lambda t: [*whole_body(t, _whole_text(t))[:-1], b"and something left over\r\n\r\n", KEEP],
        lambda t: streamed(t, t.stream),
    ],
    Expect(attempts=0),  # one or two, by what arrives first
    twice=True,
)

# Where somebody may lose patience: these go on for as long as they are listened to.
kind(
    "talks-on",
    lambda t: [
        *cut(t, t.begun),
        Flood(lambda: repeat(chunk(t.event(t.say("and "))))),
    ],
    _TOO_LONG,
    only=("openai", "ollama"),
    heavy=True,
)
kind(
    "talks-on-slowly",
    lambda t: cut(
        t, [*t.begun, *[p for _ in range(5000) for p in (t.event(t.say("and ")), 0.002)]]
    ),
    partial(text=None),
    only=("openai", "anthropic"),
    heavy=True,
)

# Statuses.
_AGAIN: tuple[tuple[float, float], ...] = ((0.5, 0.5), (1.0, 1.0))


def status(
    name: str,
    code: int,
    error: str,
    attempts: int,
    waits: tuple[tuple[float, float], ...] | None = None,
    body: bytes | Callable[[Tongue], bytes] | None = None,
    says: str = "",
    **headers: str | Callable[[], str],
) -> None:
    def play(tongue: Tongue) -> Play:
        text = tongue.error_body("some_error", "these words", code) if body is None else body
        text = text if isinstance(text, bytes) else text(tongue)
        named = {k: v if isinstance(v, str) else v() for k, v in headers.items()}
        return whole_body(None, text, code, **named)

    waits = waits or (_AGAIN if attempts == 3 else ())
    kind(name, play, Expect("failed", "", attempts, error, says, waits))


for _code in (301, 302, 303, 307, 308):
    status(
        f"redirect-{_code}",
        _code,
        "BadRequest",
        1,
        Location="/stolen/here",
        body=b"",
        says="/stolen/here",
    )
status(
    "redirect-other-host",
    307,
    "BadRequest",
    1,
    Location="http://localhost:{port}/stolen/there?k=1",
    says="sends us elsewhere",
)
status("redirect-to-nowhere", 302, "BadRequest", 1, body=b"", says="nowhere")
status(
    "redirect-junk",
    302,
    "BadRequest",
    1,
    Location="http://[::1",
    body=b"",
    says="sends us elsewhere",
)
status("redirect-304", 304, "BadRequest", 1, body=b"")
for _code, _error, _attempts in (
    (400, "BadRequest", 1), (401, "KeyRefused", 1), (402, "RateLimited", 1), (403, "KeyRefused", 1),
    (404, "BadRequest", 1), (405, "BadRequest", 1), (408, "Overloaded", 3), (409, "Overloaded", 3),
    (413, "BadRequest", 1), (418, "BadRequest", 1), (422, "BadRequest", 1), (425, "Overloaded", 3),
    (429, "RateLimited", 3), (500, "Overloaded", 3), (501, "Overloaded", 1), (502, "Overloaded", 3),
    (503, "Overloaded", 3), (504, "Overloaded", 3), (505, "Overloaded", 1), (529, "Overloaded", 3),
    (599, "Overloaded", 1),
):  # fmt: skip
    status(f"status-{_code}", _code, _error, _attempts, says="these words")
kind(
    "status-503-then-well",
    [lambda t: whole_body(None, b"", 503), lambda t: streamed(t, t.stream)],
    Expect(attempts=2, waits=((0.5, 0.5),)),
)
kind(
    "status-429-then-cut",
    [lambda t: whole_body(None, b"", 429, Retry_After="1"), lambda t: cut(t, t.begun)],
    Expect("partial", FIRST, 2, "StreamBroken", "cut off", ((1.125, 1.125),)),
)
for _name, _header, _wait in (
    ("seconds", "7", (7.125, 7.125)),
    ("zero", "0", (0.125, 0.125)),
    ("fraction", "1.5", (1.625, 1.625)),
    ("plus", "+3", (3.125, 3.125)),
    ("date", lambda: formatdate(time.time() + 9, usegmt=True), (7.0, 9.2)),
    ("date-past", "Mon, 01 Jan 1990 00:00:00 GMT", (0.125, 0.125)),
    ("negative", "-5", None),
    ("nan", "nan", None),
    ("infinite", "inf", None),
    ("junk", "soon", None),
    ("empty", "", None),
    ("junk-date", "Wed, 99 Foo 2099 25:61:61 GMT", None),
    ("junk-zone", "Wed, 21 Oct 2099 07:28:00 +99999999999999", None),
    ("digits", "9" * 5000, None),
    ("hex", "0x10", None),
):
    _both = (_wait, _wait) if _wait else None
    if _name == "seconds":
        _both = ((7.125, 7.125), (7.125, 7.125))
    status(f"retry-after-{_name}", 429, "RateLimited", 3, _both, Retry_After=_header)
status(
    "retry-after-ms",
    429,
    "RateLimited",
    3,
    ((0.375, 0.375),) * 2,
    Retry_After_Ms="250",
    Retry_After="99",
)
status(
    "retry-after-ms-junk",
    503,
    "Overloaded",
    3,
    ((2.125, 2.125),) * 2,
    Retry_After_Ms="-1",
    Retry_After="2",
)
status("retry-after-60", 503, "Overloaded", 2, ((60.125, 60.125),), Retry_After="60")
status("retry-after-an-hour", 429, "RateLimited", 1, Retry_After="3600")
status("retry-after-2099", 503, "Overloaded", 1, Retry_After="Thu, 01 Jan 2099 00:00:00 GMT")
status("retry-after-unwanted", 400, "BadRequest", 1, Retry_After="1")
status(
    "no-credit",
    429,
    "RateLimited",
    1,
    body=b'{"error":{"message":"pay","type":"insufficient_quota","code":"insufficient_quota"}}',
    says="no more credit",
)
status(
    "wait-in-words",
    429,
    "RateLimited",
    3,
    ((2.625, 2.625),) * 2,
    body=b'{"error":{"message":"try again in 2.5s"}}',
)
status(
    "wait-in-words-huge",
    429,
    "RateLimited",
    3,
    body=b'{"error":{"message":"try again in ' + b"9" * 500 + b'm2s"}}',
    waits=((2.125, 2.125),) * 2,
)
status(
    "error-page",
    502,
    "Overloaded",
    3,
    body=b"<html><title>Bad gateway</title>",
    kind="text/html",
    says="Bad gateway",
)
status("error-empty", 500, "Overloaded", 3, body=b"")
status("error-in-plain-words", 500, "Overloaded", 3, body=b"out of memory", says="out of memory")
status("error-nested", 400, "BadRequest", 1, body=b'{"error":' + b"[" * 100_000)
status(
    "error-of-numbers", 400, "BadRequest", 1, body=b'{"error":{"message":12345,"code":"\xc2\xb2"}}'
)
status("error-null", 400, "BadRequest", 1, body=b'{"error":null}')
status(
    "error-list",
    500,
    "Overloaded",
    3,
    body=b'[{"error":{"message":"in a list"}}]',
    says="in a list",
)
status(
    "error-long-winded",
    400,
    "BadRequest",
    1,
    body=json.dumps({"error": {"message": "on and " * 100_000}}).encode(),
)
status(
    "error-slow-to-read",
    400,
    "ContextOverflow",
    1,
    body=json.dumps({"error": {"message": "context length is 1 " * 5000}}).encode(),
)
status(
    "error-with-huge-numbers",
    400,
    "ContextOverflow",
    1,
    body=b'{"error":{"message":"prompt is too long: ' + b"9" * 5000 + b' tokens > 3"}}',
)
status(
    "error-names-the-key",
    401,
    "KeyRefused",
    1,
    body=json.dumps({"error": {"message": f"no: {KEY}"}}).encode(),
    says="…",
)
status(
    "error-names-half-the-key",
    401,
    "KeyRefused",
    1,
    body=json.dumps({"error": {"message": "x" * 985 + KEY}}).encode(),
    says="…",
)
status(
    "error-packed",
    503,
    "Overloaded",
    3,
    body=gzip.compress(b'{"error":{"message":"inside"}}'),
    Content_Encoding="gzip",
    says="inside",
)
status("error-packed-unknown", 503, "Overloaded", 3, body=b"\x1b\0\xf8", Content_Encoding="br")
status("error-gzip-is-plain", 503, "Overloaded", 3, body=b"plain", Content_Encoding="gzip")
kind(
    "error-cut",
    lambda t: [head(None, 503, framing="length", size=999), b"half"],
    Expect("failed", "", 3, "Overloaded", "half"),
)
kind(
    "error-endless",
    lambda t: [head(None, 400), Flood(lambda: repeat(chunk(b"no " * 20_000)))],
    failed("no no", "BadRequest"),
)
kind(
    "error-bomb",
    lambda t: [
        head(None, 400, Content_Encoding="gzip"),
        Flood(lambda: map(chunk, bomb(b"no " * 2**18, first=True))),
    ],
    failed("no no", "BadRequest"),
)


# --- The server ----------------------------------------------------------------------------------


class FaultServer:
    """Plays the kinds. ``hits`` counts requests by their name, ``stolen`` those that were led here.

    Besides its own address it has three where nothing good happens: one that closes at once, one
    that is full, and one where nobody listens.
    """

    def __init__(self) -> None:
        self.hits: dict[str, int] = defaultdict(int)
        self.stolen: list[bytes] = []
        self.open = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._ready = threading.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed_port = self._full_port = self._refused_port = self.port = 0
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        self._fill()
        return self

    def __exit__(self, *_: object) -> None:
        for one in self._sockets:
            one.close()
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(10)

    def url(self, kind: Kind, tongue: str, name: str) -> str:
        port, scheme = self.port, "http"
        match kind.at:
            case "https":
                scheme = "https"
            case "closed":
                port = self._closed_port
            case "full":
                port = self._full_port
            case "refused":
                port = self._refused_port
        return f"{scheme}://127.0.0.1:{port}/{kind.name}/{tongue}/{name}"

    @property
    def ports(self) -> tuple[int, int, int, int]:
        return self.port, self._closed_port, self._full_port, self._refused_port

    def _fill(self) -> None:
        """A socket whose queue is full: the kernel drops whoever knocks."""
        full = socket.socket()
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        self._full_port = full.getsockname()[1]
        self._sockets.append(full)
        for _ in range(3):
            knock = socket.socket()
            knock.setblocking(False)
            knock.connect_ex(("127.0.0.1", self._full_port))
            self._sockets.append(knock)
        gone = socket.socket()
        gone.bind(("127.0.0.1", 0))  # bound, but not listening: refused, and nobody else's
        self._refused_port = gone.getsockname()[1]
        self._sockets.append(gone)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._done = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=2**20)
        closed = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._closed_port = closed.sockets[0].getsockname()[1]
        self._ready.set()
        await self._done.wait()
        server.close()
        closed.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.open += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went away, or the server does
        finally:
            self.open -= 1
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Plays one request; whether the connection may serve another."""
        first = await reader.readexactly(1)
        if first == b"\x16":  # somebody says hello in TLS
            writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            await writer.drain()
            return False
        raw = first + await reader.readuntil(b"\r\n\r\n")
        lower = raw.lower()
        if b"content-length:" in lower:
            await reader.readexactly(int(lower.partition(b"content-length:")[2].split(b"\r\n")[0]))
        path = raw.split(b" ")[1].decode()
        _, named, tongue, name, *_rest = [*path.split("/"), "", "", ""]
        if named == "stolen" or named not in KINDS:
            self.stolen.append(raw)
            return False
        at = self.hits[name]
        self.hits[name] += 1
        plays = KINDS[named].plays
        play = plays[min(at, len(plays) - 1)](TONGUES[tongue])
        return await self._play(play, reader, writer)

    async def _play(
        self, play: Play, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        for step in play:
            if isinstance(step, bytes):
                writer.write(
                    step.replace(b"{port}", b"%d" % self.port) if step[:4] == b"HTTP" else step
                )
                await writer.drain()
            elif isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, Flood):
                for piece in step.pieces():
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
            elif step is RESET:
                sock = writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return False
            elif step is HANG:
                await reader.read()  # until the client is gone
                return False
            elif step is KEEP:
                return True
        return False


class Apart(FaultServer):
    """The same in a process of its own, for measurements that it should not disturb."""

    def __enter__(self) -> Self:
        code = "from support.faults import serve; serve()"
        path = str(Path(__file__).parents[1])
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )
        assert self._process.stdout is not None
        ports = self._process.stdout.readline().split()
        self.port, self._closed_port, self._full_port, self._refused_port = map(int, ports)
        self._loop.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # the end of its input ends it


def serve() -> None:
    """Serves until the input ends; prints the ports."""
    with FaultServer() as server:
        print(*server.ports, flush=True)
        sys.stdin.read()
