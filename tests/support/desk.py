"""A desk over the fakes of support.engine, with the real table of commands."""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.builtin import TABLE
from chinwag.commands.table import Sources
from chinwag.desk import Desk
from chinwag.talk.session import Header
from support.engine import ListKeeper, Player, conversation


class Past:
    def __init__(self, *lines):
        self.kept = list(lines)

    def lines(self):
        return list(self.kept)

    def add(self, line):
        self.kept.append(line)


class StoreKeeper(ListKeeper):
    """A keeper whose sessions can be listed."""

    def headers(self):
        return [
            Header(name, self.births[name].created, self.headlines[name], len(entries))
            for name, entries in self.sessions.items()
        ][::-1]

    def __init__(self):
        super().__init__()
        self.headlines = {}
        self.closed = False

    def append(self, birth, entries, at, headline):
        super().append(birth, entries, at, headline)
        self.headlines[birth.id] = headline


def desk(*players, keeper=None, past=None, lasting=True, discover=None, **defaults):
    keeper = keeper or StoreKeeper()
    talk = conversation(*(players or (Player(),)), keeper=keeper, **defaults)
    talk._directory.names = tuple(talk._directory.players)

    async def no_models():
        return []

    async def close():
        keeper.closed = True
        return ["x"] if keeper.refusing else []

    bench = Bench(
        conversation=talk,
        keeper=keeper,
        directory=talk._directory,
        models=no_models,
        files=None,
        keys=tuple,
    )
    return Desk(
        conversation=talk,
        table=TABLE,
        bench=bench,
        sources=Sources(providers=lambda: talk._directory.names),
        past=past or Past(),
        store_url="file:",
        lasting=lasting,
        cost=lambda session: session.usage.cost,
        discover=discover,
        load_counter=lambda model: None,
        models=no_models,
        prepare=lambda provider: None,
        close=close,
    )
