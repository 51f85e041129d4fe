"""The desk: a line comes in; command or talk? The one door for a screen, a pipe and a test alike.

Invariants: `handle` never raises an error of our tree (it is heard as `Failed`) and always ends
with `Rested`; a line that looks like a command never reaches the model; lines are handled one at a
time. What happens beside the lines (a save acknowledged late, a server found) goes to the ear given
to `start`. Nothing here blocks the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from chinwag.commands.bench import Bench
from chinwag.commands.parse import Called, Slip, Talk, parse
from chinwag.commands.table import Sources, Suggestion, Table
from chinwag.engine.conversation import Conversation
from chinwag.errors import ChinwagError
from chinwag.providers.base import ModelInfo
from chinwag.stores.base import resolve
from chinwag.stores.saver import ConflictReport, FailedReport, Report, SavedReport
from chinwag.talk.event import Ear, Level, Notice, Rested, Saved, SaveFailed, failed
from chinwag.talk.message import AnyPart
from chinwag.talk.session import Header, Session, slug


class Status(msgspec.Struct, frozen=True):
    """What a footer shows. ``used`` and ``window`` in tokens, ``cost`` in US dollars."""

    provider: str
    model: str
    window: int
    used: int
    exact: bool
    cost: float | None
    store: str
    private: bool
    queued_saves: int
    save_problem: str


class Opening(msgspec.Struct, frozen=True):
    """Which session to begin with: nothing set means a new, unnamed one.

    ``name`` opens or begins, ``resume`` must exist, ``latest`` is the one used last, ``pick`` asks.
    """

    name: str = ""
    resume: str = ""
    latest: bool = False
    pick: bool = False


class Past(Protocol):
    """Lines typed in earlier sessions."""

    def lines(self) -> list[str]: ...

    def add(self, line: str) -> None: ...


class Found(msgspec.Struct, frozen=True):
    """A local server that answered: its provider name and models, the first one preferred."""

    provider: str
    address: str
    models: tuple[str, ...]


Discover = Callable[[], Awaitable[Sequence[Found]]]


class Desk:
    """Holds the conversation and the commands; see the module's promise."""

    def __init__(
        self,
        *,
        conversation: Conversation,
        table: Table,
        bench: Bench,
        sources: Sources,
        past: Past,
        store_url: str,
        lasting: bool,
        cost: Callable[[Session], float | None],
        discover: Discover | None,
        load_counter: Callable[[str], None],
        models: Callable[[], Awaitable[Sequence[ModelInfo]]],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        self.conversation = conversation
        self.table = table
        self._bench = bench
        self._past = past
        self._store_url = store_url
        self._lasting = lasting
        self._cost = cost
        self._discover = discover
        self._load_counter = load_counter
        self._models = models
        self._close = close
        self._late: Ear = _deaf
        self._problem = ""
        self._ready: asyncio.Event | None = None
        self._sources = self._known(sources)
        self._headers: Sequence[Header] = ()
        self._known_models: Sequence[ModelInfo] = ()
        self._tasks: set[asyncio.Task[None]] = set()
        self.opened = True

    # -- questions ----------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        return self.conversation.session

    def status(self) -> Status:
        provider, model = self.conversation.choice
        context = self.conversation.context()
        return Status(
            provider=provider,
            model=model,
            window=context.window,
            used=context.used,
            exact=context.exact,
            cost=self._cost(self.session),
            store=self._store_url,
            private=not self._lasting,
            queued_saves=self.conversation.unsaved if self._lasting else 0,
            save_problem=self._problem,
        )

    def count(self, text: str) -> tuple[int, bool]:
        return self.conversation.count(text) if text else (0, True)

    def complete(self, line: str, cursor: int) -> list[Suggestion]:
        return self.table.complete(line, cursor, self._sources)

    def history(self) -> list[str]:
        return self._past.lines()

    def remember(self, line: str) -> None:
        """Keep a typed line for later sessions; a private talk leaves no trace."""
        if self._lasting and line.strip():
            asyncio.get_running_loop().run_in_executor(None, self._past.add, line)

    # -- lines --------------------------------------------------------------------------------

    async def handle(self, line: str, hear: Ear, parts: Sequence[AnyPart] = ()) -> None:
        """Do what ``line`` asks, telling ``hear``; ends with `Rested`."""
        try:
            if self._ready is not None:
                await self._ready.wait()
            await self._handled(line, hear, parts)
        except ChinwagError as error:
            hear(failed(error))
        finally:
            hear(Rested())

    async def _handled(self, line: str, hear: Ear, parts: Sequence[AnyPart]) -> None:
        match parse(line):
            case Talk(text=text):
                if text.strip() or parts:
                    await self.conversation.say(text, hear, parts)
            case Slip(notice=notice):
                hear(Notice(notice))
            case Called() as called:
                await self.table.perform(called, self._bench, hear)
                self._renew_sources()

    def interrupt(self) -> bool:
        return self.conversation.interrupt()

    # -- beside the lines ---------------------------------------------------------------------

    async def start(self, hear: Ear, opening: Opening | None = None) -> None:
        """After the first paint: open what was asked for, look round, fetch the counting tables."""
        self._late = hear
        self._ready = asyncio.Event()
        try:
            await asyncio.gather(self._look_round(hear), self._open(opening or Opening(), hear))
        except ChinwagError as error:
            self.opened = False
            hear(failed(error))
        finally:
            self._ready.set()
        self._in_background(self._fetch())

    async def _open(self, opening: Opening, hear: Ear) -> None:
        wanted = opening.resume or opening.name
        if opening.pick:
            await self.table.perform(Called("load"), self._bench, hear)
        elif wanted or opening.latest:
            await self._open_named(opening, wanted, hear)

    async def _open_named(self, opening: Opening, wanted: str, hear: Ear) -> None:
        headers = await self.conversation.headers()
        if opening.latest:
            found = next((h for h in headers if not h.damaged), None)
            if found is None:
                hear(Notice("there is no earlier session: this is a new one"))
                return
        elif opening.name and not any(_means(h.headline.title, h.id, wanted) for h in headers):
            await self.conversation.begin(hear, opening.name)
            return
        else:
            found = resolve(wanted, headers)
        await self.conversation.open(found.id, hear)

    async def _look_round(self, hear: Ear) -> None:
        """Where nobody said which model answers, a local server that is there does."""
        if self._discover is None:
            return
        found = await self._discover()
        if not found or self.conversation.session.provider:
            return
        first = found[0]
        defaults = self.conversation.defaults
        defaults.provider, defaults.model = first.provider, first.models[0]
        more = f" and {len(first.models) - 1} more models" if len(first.models) > 1 else ""
        hear(Notice(f"found {first.provider} at {first.address}: {first.models[0]}{more}"))

    async def _fetch(self) -> None:
        """Counting tables, the window of the model, names to complete: all off the hot path."""
        await asyncio.sleep(0.05)  # let the first keys through: the tables hold the interpreter
        await asyncio.to_thread(self._load_counter, self.conversation.choice[1])
        await self.conversation.learn_profile()
        self._late(Notice(""))
        self._renew_sources()

    def _renew_sources(self) -> None:
        self._in_background(self._read_sources())

    async def _read_sources(self) -> None:
        try:
            self._headers = await self.conversation.headers()
            self._known_models = await self._models()
        except ChinwagError:
            pass  # completion offers what it knew before

    def _known(self, sources: Sources) -> Sources:
        """The sources, with what only the desk knows."""
        return msgspec.structs.replace(
            sources, sessions=lambda: self._headers, models=lambda: self._known_models
        )

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def report(self, report: Report) -> None:
        """What the saver says, already on the loop."""
        match report:
            case SavedReport(session_id=session, through=through):
                self._problem = ""
                self._late(Saved(session, through))
            case FailedReport(session_id=session, reason=reason, hint=hint, waiting=waiting):
                self._problem = reason
                self._late(SaveFailed(session, reason, waiting, hint))
            case ConflictReport(session_id=session):
                if session == self.session.id:
                    self._in_background(self.conversation.conflicted(self._late))
                else:
                    text = f"session {session} was changed by another program"
                    self._late(Notice(text, Level.WARNING))

    async def close(self) -> None:
        """Stop what runs, save what waits, let go of everything."""
        self.interrupt()
        for task in list(self._tasks):
            task.cancel()
        await self._close()


def _means(title: str, session_id: str, wanted: str) -> bool:
    return wanted == session_id or (slug(title) == slug(wanted) != "")


def _deaf(_: object) -> None:
    """Before anybody listens."""
