"""Desks on one folder of this machine: the same program in two windows, in one process."""

from __future__ import annotations

import asyncio

from chinwag.commands.bench import Bench
from chinwag.commands.builtin import TABLE
from chinwag.commands.table import Sources
from chinwag.desk import Desk
from chinwag.engine.drafting import Drafting
from chinwag.engine.windows import Windows
from chinwag.stores import takeover
from chinwag.stores.drafts import Drafts
from chinwag.stores.keeping import Keeping
from chinwag.stores.memory import MemoryStore
from chinwag.stores.watching import Watch
from support.desk import Past
from support.engine import Player, conversation


class Meeting:
    """As wiring's."""

    def __init__(self, make_store, root):
        self._make = make_store
        self._root = root
        self._loop = asyncio.get_running_loop()
        self.ask = takeover.ask
        self.can_be_asked = takeover.can_be_asked
        self.door = takeover.Door

    def place(self, session_id):
        return self._root / f"{session_id}.ask"

    def watch(self, session_id, after, tell):
        def told(news):
            self._loop.call_soon_threadsafe(tell, news)

        return Watch(self._make, session_id, after, told)


class Window:
    """A desk, what is heard at it beside the lines (`heard`), and ``await window(line)``."""

    def __init__(self, make_store, root, *players, private=False):
        loop = asyncio.get_running_loop()
        self.store = make_store()
        self.keeping = Keeping(
            self.store,
            MemoryStore,
            lambda report: loop.call_soon_threadsafe(self.desk.report, report),
            private=private,
        )
        self.talk = conversation(*(players or (Player(),)), keeper=self.keeping)
        self.talk._directory.names = tuple(self.talk._directory.players)
        self.talk.may_follow = True
        self.windows = Windows(self.talk, self.keeping, Meeting(make_store, root))
        self.drafting = Drafting(lambda: Drafts(root / "drafts"))
        self.heard = []
        self.past = Past()
        self.desk = self._desk()

    def _desk(self):
        async def no_models():
            return []

        async def close():
            return await asyncio.to_thread(self.keeping.close)

        async def forget(session):
            self.drafting.forget(session.id)

        bench = Bench(
            conversation=self.talk,
            keeper=self.keeping,
            directory=self.talk._directory,
            models=no_models,
            files=None,
            keys=tuple,
            take_over=self.windows.take_over,
            drafts=self.drafting.recent,
            forget_typed=forget,
        )
        return Desk(
            conversation=self.talk,
            table=TABLE,
            bench=bench,
            sources=Sources(),
            past=self.past,
            store_url="file:",
            lasting=True,
            cost=lambda session: session.usage.cost,
            discover=None,
            load_counter=lambda model: None,
            models=no_models,
            prepare=lambda provider: None,
            close=close,
            windows=self.windows,
            drafting=self.drafting,
        )

    async def start(self, **opening):
        for name, value in opening.items():
            self.desk.opening = type(self.desk.opening)(**{name: value})
        await self.desk.start(self.heard.append)
        return self

    async def __call__(self, line):
        await self.desk.handle(line, self.heard.append)

    def of(self, kind):
        return [event for event in self.heard if isinstance(event, kind)]

    @property
    def said(self):
        """What was said in the session in front, in words."""
        return [entry.text for _, entry in self.talk.session.said()]

    async def until(self, true, seconds=5.0):
        """Wait until something is so."""
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.005)
