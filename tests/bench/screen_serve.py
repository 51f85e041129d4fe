"""The bench server with a longer text and a clock: `screen_serve.py`, prints its port.

"tokens=N" as ever; "tenths" stops after each tenth until somebody GETs /go; "fence" puts one code
block of 25,000 characters into the middle; "pace=R" sends R tokens a second, one at a time.
"""

from __future__ import annotations

import asyncio
import re
from itertools import chain, cycle, islice

import serve

LINE = "    total = total + measure(hour, depth=2.4) * 12  # one more\n"
FENCE = f"\n\n```python\n{LINE * (25_000 // len(LINE))}```\n\n"


def tokens(count: int, *, fence: bool) -> list[str]:
    """So many tokens of Markdown."""
    if not fence:
        return list(islice(cycle(serve.TOKENS), count))
    code = re.findall(r"\s*\S+|\s+\Z", FENCE)
    before = max(0, count - len(code)) // 2
    whole = before - before % len(serve.TOKENS)  # so that the fence opens where text may stand
    return list(islice(chain(islice(cycle(serve.TOKENS), whole), code, cycle(serve.TOKENS)), count))


class Stage(serve.Server):
    """See the module."""

    async def _stream(self, body: str, writer: asyncio.StreamWriter) -> None:
        asked = re.findall(r"tokens=(\d+)((?: tenths| fence| pace=\d+)*)", body)[-1]
        count, how = int(asked[0]), asked[1]
        frames = [serve.frame({"content": text}) for text in tokens(count, fence="fence" in how)]
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked"
        writer.write(f"{head}\r\n\r\n".encode())
        pace = re.search(r"pace=(\d+)", how)
        if pace:
            await self._paced(frames, int(pace[1]), writer)
        else:
            await self._parts(frames, 10 if "tenths" in how else 1, writer)
        end = serve.frame({}, "stop") + b"data: [DONE]\n\n"
        writer.write(serve.chunked(end) + b"0\r\n\r\n")
        await writer.drain()

    async def _paced(self, frames: list[bytes], pace: int, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n, frame in enumerate(frames):
            await asyncio.sleep(max(0.0, began + n / pace - loop.time()))
            writer.write(serve.chunked(frame))
            await writer.drain()

    async def _parts(self, frames: list[bytes], parts: int, writer: asyncio.StreamWriter) -> None:
        self._sent = 0
        each = len(frames) // parts
        for part in range(parts):
            mine = frames[part * each : (part + 1) * each]
            for at in range(0, len(mine), 64):
                writer.write(serve.chunked(b"".join(mine[at : at + 64])))
                await writer.drain()
            if parts > 1:
                self._sent += 1
                await self._go.wait()
                self._go.clear()


if __name__ == "__main__":
    asyncio.run(serve.main(Stage()))
