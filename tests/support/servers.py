"""Servers on loopback for tests: one plays bytes exactly as told, one speaks Ollama's form.

Threads and plain sockets, so that a test decides on every byte, every pause and every way of dying.
As a program: ``python -m tests.support.servers ollama --port 0`` prints its port and serves.
"""

from __future__ import annotations

import argparse
import json
import re
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

RESET = object()
"""A part of a reply: the connection is reset."""
HANG = object()
"""A part of a reply: nothing more comes until the client goes away."""


@dataclass
class Asked:
    """A request as it came in. Header names are lower-case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Reply:
    """What to play: ``parts`` are bytes (one chunk each), pauses in seconds, RESET or HANG.

    ``framing`` is chunked, length (of all bytes, plus ``missing`` that never come) or close.
    ``cut`` leaves the end of a chunked body out. ``silent`` plays parts before any header.
    """

    parts: Sequence[Any] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    framing: str = "chunked"
    cut: bool = False
    missing: int = 0
    silent: bool = False


def sse(*events: str | dict[str, Any], done: bool = True) -> list[bytes]:
    """Events as the bytes of an SSE stream, one piece each."""
    texts = [e if isinstance(e, str) else json.dumps(e) for e in events]
    return [f"data: {t}\n\n".encode() for t in [*texts, *(["[DONE]"] if done else [])]]


def said(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


def finish(reason: str = "stop") -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    body = json.dumps(value).encode()
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Reply([body], status, "application/json", named, "length")


class _Reset(Exception):
    pass


class Loopback:
    """A server that answers with the given replies, in order; the last one again and again.

    A reply may be a function of the request. ``asked`` holds what came in, ``connections`` counts
    connections, ``left`` counts clients that went away before their reply was played to its end.
    """

    def __init__(
        self,
        *replies: Reply | Callable[[Asked], Reply],
        port: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.replies = list(replies) or [Reply()]
        self.asked: list[Asked] = []
        self._tls = tls
        self.connections = 0
        self.left = 0
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", port))
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def open_connections(self) -> int:
        with self._lock:
            return len(self._open)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        _shut(self._socket)  # wakes the thread that waits for connections, where close would not
        self._thread.join(5)
        self._socket.close()
        with self._lock:
            for connection in self._open:
                _shut(connection)
        for thread in self._threads:
            thread.join(5)

    def serve_forever(self) -> None:
        self._thread.start()
        self._thread.join()

    def wait_until(self, true: Callable[[], bool], seconds: float = 5.0) -> bool:
        """Whether ``true()`` came true in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if true():
                return True
            time.sleep(0.005)
        return true()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        if self._tls is not None:
            plain = connection
            try:
                connection = self._tls.wrap_socket(plain, server_side=True)
            except OSError:
                return  # the client did not trust us
            finally:
                with self._lock:
                    self._open.discard(plain)
            with self._lock:
                self._open.add(connection)
        file = connection.makefile("rb")
        try:
            while (asked := _read(file)) is not None:
                with self._lock:
                    at = min(len(self.asked), len(self.replies) - 1)
                    self.asked.append(asked)
                reply = self.replies[at]
                reply = reply if isinstance(reply, Reply) else reply(asked)
                if not self._play(connection, reply) or asked.headers.get("connection") == "close":
                    return
        except _Reset:
            # Closing without lingering, and without a farewell before it, is what resets.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            with self._lock:
                self.left += 1
        finally:
            with self._lock:
                self._open.discard(connection)
            file.close()
            connection.close()

    def _play(self, connection: socket.socket, reply: Reply) -> bool:
        """Plays ``reply``; whether the connection may serve another request."""
        if not reply.silent:
            connection.sendall(_head(reply))
        for part in reply.parts:
            if part is RESET:
                raise _Reset
            if part is HANG:
                self._hang(connection)
            elif isinstance(part, bytes):
                connection.sendall(_framed(part, reply.framing))
            else:
                self._pause(connection, part)
        if reply.framing == "chunked" and not reply.cut and not reply.silent:
            connection.sendall(b"0\r\n\r\n")
        return reply.framing != "close" and not reply.cut and not reply.missing

    def _hang(self, connection: socket.socket) -> None:
        while not self._stop.is_set():
            self._pause(connection, 0.2)

    def _pause(self, connection: socket.socket, seconds: float) -> None:
        """Waits, but notices at once when the client goes away."""
        connection.settimeout(seconds)
        try:
            if connection.recv(1, socket.MSG_PEEK) == b"":
                raise ConnectionAbortedError
        except TimeoutError:
            pass
        finally:
            connection.settimeout(None)


def _head(reply: Reply) -> bytes:
    lines = [f"HTTP/1.1 {reply.status} Said", f"Content-Type: {reply.content_type}"]
    if reply.framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif reply.framing == "length":
        size = sum(len(p) for p in reply.parts if isinstance(p, bytes)) + reply.missing
        lines.append(f"Content-Length: {size}")
    else:
        lines.append("Connection: close")
    lines += [f"{name}: {text}" for name, text in reply.headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def _framed(part: bytes, framing: str) -> bytes:
    return b"%x\r\n%s\r\n" % (len(part), part) if framing == "chunked" else part


def _read(file: Any) -> Asked | None:
    line = file.readline().decode("latin-1").split()
    if len(line) < 2:
        return None
    headers: dict[str, str] = {}
    while (raw := file.readline().strip()) != b"":
        name, _, value = raw.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    size = int(headers.get("content-length", 0))
    body = file.read(size)
    return Asked(line[0], line[1], headers, body) if len(body) == size else None  # it went away


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it is gone already


# --- A server in Ollama's form -------------------------------------------------------------------

OLLAMA_MODELS = ("qwen3:8b", "llama3.2:1b")
OLLAMA_WINDOW = 32768


def ollama(port: int = 0, rate: float = 0.0) -> Loopback:
    """A server that answers like Ollama, always the same to the same words.

    It says "You said: …" and repeats the last user message. A message may steer it: ``tokens=N``
    answers with N numbered words, ``rate=N`` speaks N words a second, ``call NAME {…}`` calls that
    tool, ``think`` thinks first, ``say TEXT`` (to the end) answers with TEXT, ``fail`` answers with
    status 500, ``cut`` breaks off in the middle, ``hang`` says a word and nothing more.
    """
    return Loopback(lambda asked: _ollama(asked, rate), port=port)


def _ollama(asked: Asked, rate: float) -> Reply:
    match asked.path:
        case "/api/tags":
            return json_reply({"models": [{"name": n, "model": n} for n in OLLAMA_MODELS]})
        case "/api/version":
            return json_reply({"version": "0.12.0"})
        case "/api/show":
            return _shown(asked.json.get("model", ""))
        case "/api/chat":
            return _chat(asked.json, rate)
    return Reply([b"404 page not found"], 404, "text/plain", framing="length")


def _shown(model: str) -> Reply:
    if model not in OLLAMA_MODELS:
        return json_reply({"error": f"model '{model}' not found"}, 404)
    info = {"general.architecture": "qwen3", "qwen3.context_length": OLLAMA_WINDOW}
    return json_reply({"model_info": info, "capabilities": ["completion", "tools", "thinking"]})


def _chat(body: dict[str, Any], rate: float) -> Reply:
    model = body.get("model", "")
    if model not in OLLAMA_MODELS:
        return json_reply({"error": f"model '{model}' not found"}, 404)
    last = body["messages"][-1]
    words = str(last.get("content", ""))
    if last["role"] == "user" and re.search(r"\bfail\b", words):
        return json_reply({"error": "llama runner process has terminated"}, 500)
    found = re.search(r"\brate=(\d+)", words)
    pace = float(found[1]) if found else rate
    parts = list(_paced(_lines(model, body["messages"], last, words), pace))
    cut = last["role"] == "user" and re.search(r"\bcut\b", words) is not None
    if cut:
        parts = parts[: len(parts) // 2]
    if last["role"] == "user" and re.search(r"\bhang\b", words):
        parts = [parts[0], HANG]
    return Reply(parts, content_type="application/x-ndjson", cut=cut)


def _lines(
    model: str, messages: list[dict[str, Any]], last: dict[str, Any], words: str
) -> Iterator[dict[str, Any]]:
    answer = _answer(last, words)
    spoken = 0
    if last["role"] == "user" and re.search(r"\bthink\b", words):
        yield {"model": model, "message": {"role": "assistant", "thinking": "Let me think."}}
    if last["role"] == "user" and (call := re.search(r"\bcall (\w+)\s*(\{.*\})?", words)):
        function = {"name": call[1], "arguments": json.loads(call[2] or "{}")}
        asked = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
        yield {"model": model, "message": asked}
        answer = ""
    for piece in re.findall(r"\s*\S+|\s+$", answer):
        spoken += 1
        yield {"model": model, "message": {"role": "assistant", "content": piece}}
    counts = {"prompt_eval_count": _counted(messages), "eval_count": spoken}
    yield {"model": model, "message": {"role": "assistant"}, "done": True, **counts}


def _answer(last: dict[str, Any], words: str) -> str:
    if last["role"] == "tool":
        return f"The tool said: {words}"
    if found := re.search(r"\btokens=(\d+)", words):
        return " ".join(f"w{n}" for n in range(1, int(found[1]) + 1))
    if found := re.search(r"\bsay (.*)", words, re.DOTALL):
        return found[1]
    return f"You said: {words}"


def _counted(messages: list[dict[str, Any]]) -> int:
    return sum(len(str(m.get("content", "")).split()) + 4 for m in messages)


def _paced(lines: Iterator[dict[str, Any]], rate: float) -> Iterator[Any]:
    """Chunks of bytes: one line each where there is a pace, many in one where there is none."""
    held = b""
    for line in lines:
        text = json.dumps({"done": False, "done_reason": "stop", **line}).encode() + b"\n"
        if rate:
            yield text
            yield 1 / rate
        elif len(held) > 8192:
            yield held + text
            held = b""
        else:
            held += text
    if held:
        yield held


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["ollama"])
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--rate", type=float, default=0.0, help="words a second; 0 is at once")
    given = parser.parse_args()
    server = ollama(given.port, given.rate)
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
