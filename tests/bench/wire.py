"""What a streamed event costs beside a bare httpx loop that only counts bytes, turn about."""

from __future__ import annotations

import asyncio
import contextlib
import time
from pathlib import Path

import httpx
from lab import asking, serving, talking
from table import Table, median

from chinwag.engine.conversation import Conversation
from chinwag.providers.base import Provider, Request
from chinwag.talk.message import Message

EVENTS = 20_000
ASKED = f"tokens={EVENTS} apart"


async def bare(client: httpx.AsyncClient, address: str) -> float:
    """CPU seconds of a loop that only counts bytes."""
    began = time.process_time()
    size = 0
    async with client.stream("POST", f"{address}/v1/chat/completions", json=asking(ASKED)) as got:
        async for chunk in got.aiter_raw():
            size += len(chunk)
    assert size > EVENTS
    return time.process_time() - began


async def ours(provider: Provider, request: Request) -> float:
    """CPU seconds of the transport: bytes to deltas."""
    began = time.process_time()
    heard = 0
    async with contextlib.aclosing(provider.stream(request)) as stream:
        async for _ in stream:
            heard += 1
    assert heard > EVENTS
    return time.process_time() - began


async def told(talk: Conversation) -> float:
    """CPU seconds of the whole engine: the draft, its file on disk and the settled entry too."""
    heard = []
    began = time.process_time()
    await talk.say(ASKED, heard.append)
    spent = time.process_time() - began
    assert len(heard) > EVENTS
    talk.clear(lambda event: None)
    return spent


async def _measured(table: Table, folder: Path, rounds: int, address: str) -> None:
    request = Request("bench", (Message.user(ASKED),))
    async with talking(address, folder) as talk, httpx.AsyncClient(timeout=60) as client:
        provider = talk.provider("lab")
        costs = {
            "bare httpx, bytes counted": lambda: bare(client, address),
            "ours, bytes to deltas": lambda: ours(provider, request),
            "ours, said and saved": lambda: told(talk),
        }
        runs: dict[str, list[float]] = {name: [] for name in costs}
        for n in range(rounds + 1):  # the first warms up
            for name, cost in costs.items():
                spent = await cost()
                runs[name] += [spent] if n else []
    for name, spent_each in runs.items():
        each = [spent / EVENTS * 1e6 for spent in spent_each]
        table.note(f"{name}, CPU an event", f"{median(each):.1f} us", f"at best {min(each):.1f}")
    floors, transport, engine = runs.values()
    table.ratio("CPU an event, to the bare loop", _times(transport, floors), 2.0)
    table.note("said and saved, to the bare loop", f"{_times(engine, floors):.2f} x")


def _times(costs: list[float], floors: list[float]) -> float:
    """The median of the ratios, each to the floor measured next to it."""
    return median([cost / floor for cost, floor in zip(costs, floors, strict=True)])


def wire(table: Table, folder: Path, quick: bool) -> None:
    table.title(f"the wire: {EVENTS:,} events, as fast as they are taken")
    with serving() as address:
        asyncio.run(_measured(table, folder, 3 if quick else 9, address))
