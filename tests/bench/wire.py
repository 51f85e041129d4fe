"""What the transport costs: a streamed event, and the way from Enter to the wire.

Both beside a bare httpx loop against the same loopback server, in the same run, taking turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
from table import Table, median

from chinwag.context.counting import Counter
from chinwag.engine.conversation import Conversation, Defaults
from chinwag.providers.catalog import Catalog, Row
from chinwag.providers.retry import with_retries
from chinwag.stores.files import FileStore
from chinwag.stores.saver import Saver
from chinwag.talk.event import Heard

EVENTS = 20_000
ASKED = f"tokens={EVENTS} apart"


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a server of pre-rendered answers, ended with the block."""
    command = [sys.executable, str(Path(__file__).with_name("serve.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        port = int(process.stdout.readline())
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            process.stdin.close()
            process.wait(5)


async def bare_count(client: httpx.AsyncClient, address: str) -> float:
    """CPU seconds of a loop that only counts bytes."""
    question = {"stream": True, "messages": [{"role": "user", "content": ASKED}]}
    began = time.process_time()
    size = 0
    async with client.stream("POST", f"{address}/chat/completions", json=question) as answer:
        async for chunk in answer.aiter_raw():
            size += len(chunk)
    assert size > EVENTS
    return time.process_time() - began


async def our_count(provider, request) -> float:
    began = time.process_time()
    heard = 0
    async with contextlib.aclosing(provider.stream(request)) as stream:
        async for _ in stream:
            heard += 1
    assert heard > EVENTS * 0.9
    return time.process_time() - began


async def bare_lag(client: httpx.AsyncClient, address: str) -> float:
    """Seconds from asking to the first byte of the answer's head."""
    question = {"stream": True, "messages": [{"role": "user", "content": "tokens=3"}]}
    began = time.monotonic()
    async with client.stream("POST", f"{address}/chat/completions", json=question) as answer:
        lag = time.monotonic() - began
        await answer.aread()
    return lag


async def our_lag(talk: Conversation) -> float:
    """Seconds from the line handed over to the first thing heard; the message is on disk then."""
    began, lag = time.monotonic(), []

    def hear(event: object) -> None:
        if isinstance(event, Heard) and not lag:
            lag.append(time.monotonic() - began)

    await talk.say("tokens=3", hear)
    return lag[0]


@contextlib.asynccontextmanager
async def talking(address: str, folder: Path) -> AsyncIterator[Conversation]:
    row = Row(name="lab", dialect="openai", base_url=address, key="none", models=("bench",))
    catalog = Catalog([row])
    saver = Saver(FileStore(folder), lambda report: None)
    yield Conversation(
        directory=catalog,
        keeper=saver,
        meter=Counter(),
        defaults=Defaults(provider="lab", model="bench"),
        retrying=with_retries,
    )
    await catalog.aclose()
    saver.close()


async def _measured(table: Table, folder: Path, rounds: int, address: str) -> None:
    from chinwag.providers.base import Request
    from chinwag.talk.message import Message

    request = Request("bench", (Message.user(ASKED),))
    async with talking(address, folder / "wire") as talk, httpx.AsyncClient(timeout=60) as client:
        provider = talk.provider("lab")
        for warm in (bare_count(client, address), our_count(provider, request), our_lag(talk)):
            await warm
        bare, ours = [], []
        for _ in range(rounds):
            bare.append(await bare_count(client, address))
            ours.append(await our_count(provider, request))
        table.note("bare httpx, CPU an event", f"{median(bare) / EVENTS * 1e6:.1f} us")
        table.note("ours, CPU an event", f"{median(ours) / EVENTS * 1e6:.1f} us")
        table.ratio("CPU an event, to the bare loop", median(ours) / median(bare), 2.0)
        bare, ours = [], []
        for _ in range(rounds * 10):
            bare.append(await bare_lag(client, address))
            ours.append(await our_lag(talk))
            talk.clear(lambda event: None)  # the bare loop sends one message, and so do we
        table.note("bare httpx, asked to answered", f"{median(bare) * 1e3:.2f} ms")
        table.note("ours, Enter to answered, saved", f"{median(ours) * 1e3:.2f} ms")
        table.ratio("Enter to wire, warm, to the bare loop", median(ours) / median(bare), 2.0)


def wire(table: Table, folder: Path, quick: bool) -> None:
    table.title(f"the wire: {EVENTS:,} events, and the way from Enter to the server")
    with serving() as address:
        asyncio.run(_measured(table, folder, 3 if quick else 9, address))


if __name__ == "__main__":
    import tempfile

    sys.path.insert(0, str(Path(__file__).parent))
    with tempfile.TemporaryDirectory() as name:
        wire(Table(), Path(name), quick=True)
    print(json.dumps({"done": True}))
