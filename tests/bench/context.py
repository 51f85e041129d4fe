"""What the length of a talk costs a request, and the length of a draft the next key."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import talks
from table import Table, median, us

from chinwag.context.counting import Counter
from chinwag.context.drafting import DraftCount
from chinwag.engine.conversation import Conversation, Defaults
from chinwag.engine.room import Rules
from chinwag.providers.catalog import Catalog, Row
from chinwag.providers.retry import with_retries
from chinwag.stores.memory import MemoryStore
from chinwag.stores.saver import Saver
from chinwag.talk.entry import UserSaid
from chinwag.talk.message import Text

WINDOW = 8_192
DRAFT = 20_000  # characters
MODEL = "gpt-5-mini"


def context(table: Table, folder: Path, quick: bool) -> None:
    table.title(f"a request to a window of {WINDOW:,} tokens, room made and counted")
    asyncio.run(_requests(table, quick))
    table.title(f"a draft of {DRAFT:,} characters")
    _drafts(table, 40 if quick else 200)


async def _requests(table: Table, quick: bool) -> None:
    sizes = (100, 10_000, 20_000 if quick else 100_000)
    saver = Saver(MemoryStore(), lambda report: None)
    longs = {size: Long(size, saver) for size in sizes}
    for long in longs.values():
        await long.build()  # the first cuts what is too long, once
    times: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(60 if quick else 300):
        for size, long in longs.items():
            began = time.perf_counter()
            await long.build()
            times[size].append(time.perf_counter() - began)
    for size in sizes:
        table.note(f"at {size:,} messages", us(times[size]), f"{longs[size].sent:,} of them sent")
    few, many = sizes[0], sizes[-1]
    ratio = median(times[many]) / median(times[few])
    table.ratio(f"{many:,} messages to {few:,}", ratio, 1.5)
    saver.close()


class Long:
    """A conversation of so many messages, the last of them a question that waits."""

    def __init__(self, messages: int, saver: Saver) -> None:
        counter = Counter()
        counter.load(MODEL)
        self._talk = Conversation(
            directory=Catalog([Row(name="lab", dialect="openai", base_url="http://127.0.0.1:9")]),
            keeper=saver,
            meter=counter,
            defaults=Defaults(provider="lab", model=MODEL),
            retrying=with_retries,
            rules=Rules(policy="trim", limit=WINDOW),
        )
        self._talk.session, _ = talks.talk(messages, "long")
        self._talk.choose("lab", MODEL, _deaf)
        self._talk.settle(UserSaid(parts=(Text("and how deep is it now?"),)), _deaf)
        self.sent = 0

    async def build(self) -> None:
        """What is done between the key that sends and the wire."""
        talk, stop = self._talk, asyncio.Event()
        await talk.make_room(talk.choice, _deaf, stop)
        request = talk.request(talk.choice, talk.known(*talk.choice))
        talk.context()
        self.sent = len(request.messages)


def _deaf(_: Any) -> None:
    """Nobody listens."""


def _drafts(table: Table, rounds: int) -> None:
    counter, draft = Counter(), DraftCount()
    counter.load(MODEL)
    text = (talks.ANSWER.format(n=7) * (DRAFT // len(talks.ANSWER) + 1))[:DRAFT]
    draft.count(text, MODEL, lambda piece: counter.count(piece, MODEL))
    whole: list[float] = []
    key: list[float] = []
    for n in range(rounds):
        text += "abcdefgh"[n % 8]  # never the same twice: counts are remembered
        began = time.perf_counter()
        tokens, _ = counter.count(text, MODEL)
        whole.append(time.perf_counter() - began)
        began = time.perf_counter()
        again, _ = draft.count(text, MODEL, lambda piece: counter.count(piece, MODEL))
        key.append(time.perf_counter() - began)
        if again != tokens:
            sys.exit(f"the draft is {tokens} tokens, counted as {again}")
    table.note("counted whole", us(whole))
    table.note("after one more key", us(key))
    table.ratio("one more key to the whole", median(key) / median(whole), 0.1)
