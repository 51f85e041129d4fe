"""From Enter to the request at the server, with a warm client, beside a bare httpx loop.

Four candidates against one server, turn about: the bare loop; the bare loop that first writes the
question to a disk and syncs it, which is the least that whoever keeps it safe has to do; our engine
on the real store; and our engine in a private talk, which keeps nothing. First deciles are
compared: these are times of a fraction of a millisecond, and what else runs only ever adds to them.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
from lab import asking, serving, talking
from table import Table, least, us

from chinwag.engine.conversation import Conversation

ASKED = "tokens=3"


class Bare:
    """The floor: nothing but the request. With a ``path``, its words are safe there before."""

    def __init__(self, client: httpx.AsyncClient, address: str, path: Path | None = None) -> None:
        self._client = client
        self._address = f"{address}/v1/chat/completions"
        self._fd = -1 if path is None else os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)

    async def ask(self) -> None:
        if self._fd >= 0:
            os.write(self._fd, b"x" * 1200)
            os.fdatasync(self._fd)
        async with self._client.stream("POST", self._address, json=asking(ASKED)) as answer:
            await answer.aread()


async def said(talk: Conversation) -> None:
    await talk.say(ASKED, lambda event: None)


async def lag(ask: Callable[[], Awaitable[None]], client: httpx.AsyncClient, there: str) -> float:
    """Seconds from the call to the whole question at the server."""
    began = time.monotonic()
    await ask()
    told = (await client.get(there)).json()
    return float(told["arrived"]) - began


async def _measured(table: Table, folder: Path, rounds: int, address: str) -> None:
    async with (
        talking(address, folder / "kept") as talk,
        talking(address, None) as private,
        httpx.AsyncClient(timeout=60) as client,
        httpx.AsyncClient(timeout=60) as other,
    ):
        asks = {
            "bare httpx": Bare(client, address).ask,
            "bare httpx, question written and synced": Bare(client, address, folder / "raw").ask,
            "ours, question saved": lambda: said(talk),
            "ours, private": lambda: said(private),
        }
        runs: dict[str, list[float]] = {name: [] for name in asks}
        for n in range(rounds + 5):
            for name, ask in asks.items():
                took = await lag(ask, other, f"{address}/arrived")
                runs[name] += [took] if n >= 5 else []
            for each in (talk, private):
                each.clear(lambda event: None)  # the bare loop sends one message, and so do we
    for name, each in runs.items():
        table.note(name, us(each))
    floor, synced, kept, alone = runs.values()
    table.ratio("Enter to wire, to the bare loop", least(kept) / least(floor), 2.0)
    table.ratio("Enter to wire, to the one that syncs", least(kept) / least(synced), 2.0)
    table.ratio("private talk, to the bare loop", least(alone) / least(floor), 2.0)


def enter(table: Table, folder: Path, quick: bool) -> None:
    table.title("Enter to the question at the server, client warm")
    with serving() as address:
        asyncio.run(_measured(table, folder, 40 if quick else 200, address))
