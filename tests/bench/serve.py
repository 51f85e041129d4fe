"""A loopback model server whose answers are rendered to bytes before they are asked for.

    python tests/bench/serve.py        prints its port, serves until its standard input closes

"tokens=N" in the last message asks for N tokens, sent as fast as they are taken: 64 a chunk, or
with "apart" one a chunk, as most servers send them. With "quarters" it stops after each quarter
until somebody GETs /go, so that what a quarter costs the program can be read in between; GET /sent
tells how many quarters have been handed over. GET /arrived tells when the last question was here
whole, on the clock that all processes share, and how many came.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time

SECTION = (
    "## Section\n\nThe lamp of the harbour burns all night, and *some* say it was **never** out. "
    "Its keeper writes `lamp.py` and reads the tide.\n\n- one mast\n- two masts\n\n"
    "```python\ndef tide(hour: int) -> float:\n    return 2.4 * (hour % 12)\n```\n\n"
    "| hour | depth |\n|---|---|\n| 1 | 2.4 |\n| 2 | 4.8 |\n\n"
)
TOKENS = re.findall(r"\s*\S+|\s+\Z", SECTION)


def frame(delta: dict[str, str], finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    whole = {"id": "c1", "object": "chat.completion.chunk", "model": "bench", "choices": [choice]}
    return b"data: " + json.dumps(whole).encode() + b"\n\n"


def chunked(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Server:
    def __init__(self) -> None:
        self._go = asyncio.Event()
        self._sent = 0
        self._arrived = 0.0
        self._questions = 0
        self._frames = [frame({"content": token}) for token in TOKENS]

    def _pieces(self, count: int, each: int) -> list[bytes]:
        """The frames of so many tokens, so many a chunk; 64 is what a busy socket would give."""
        frames = [self._frames[n % len(self._frames)] for n in range(count)]
        return [chunked(b"".join(frames[at : at + each])) for at in range(0, count, each)]

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                size = re.search(r"content-length: (\d+)", head, re.IGNORECASE)
                body = await reader.readexactly(int(size[1]) if size else 0)
                if body:
                    self._arrived, self._questions = time.monotonic(), self._questions + 1
                await self._answer(head.split(" ", 2)[1], body.decode(), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, path: str, body: str, writer: asyncio.StreamWriter) -> None:
        if path.endswith("/chat/completions"):
            await self._stream(body, writer)
        elif path == "/go":
            self._go.set()
            self._plain(writer, {})
        elif path == "/sent":
            self._plain(writer, {"sent": self._sent})
        elif path == "/arrived":
            self._plain(writer, {"arrived": self._arrived, "questions": self._questions})
        else:
            self._plain(writer, {"data": [{"id": "bench"}]})

    def _plain(self, writer: asyncio.StreamWriter, value: object) -> None:
        data = json.dumps(value).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(data)}"
        writer.write(f"{head}\r\n\r\n".encode() + data)

    async def _stream(self, body: str, writer: asyncio.StreamWriter) -> None:
        count = int((re.findall(r"tokens=(\d+)", body) or ["3"])[-1])
        parts = 4 if re.findall(r"tokens=\d+( quarters)?", body)[-1:] == [" quarters"] else 1
        pieces = self._pieces(count // parts, 1 if " apart" in body else 64)
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked"
        writer.write(f"{head}\r\n\r\n".encode())
        self._sent = 0
        for _ in range(parts):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            self._sent += 1
            if parts > 1:
                await self._go.wait()
                self._go.clear()
        writer.write(chunked(frame({}, "stop") + b"data: [DONE]\n\n") + b"0\r\n\r\n")
        await writer.drain()


async def main(serving: Server) -> None:
    server = await asyncio.start_server(serving.handle, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await asyncio.to_thread(sys.stdin.buffer.read)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(Server()))
