"""The desk: a line comes in; command or talk? The one door for a screen, a pipe and a test alike.

Invariants: `handle` never raises an error of our tree (it is heard as `Failed`) and always ends
with `Rested`; a line that looks like a command never reaches the model; lines are handled one at a
time. What happens beside the lines (a save acknowledged late, a server found) goes to the ear given
to `start`. Nothing here blocks the loop.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from chinwag.commands.attaching import mentioned
from chinwag.commands.bench import Bench
from chinwag.commands.parse import Called, Slip, Talk, parse
from chinwag.commands.table import MOST_SUGGESTIONS, Sources, Suggestion, Table, at_path
from chinwag.engine.conversation import Conversation
from chinwag.engine.drafting import Drafting
from chinwag.engine.windows import Windows
from chinwag.errors import ChinwagError
from chinwag.opening import Discover, Opening, as_asked, look_round, open_asked
from chinwag.prefetching import Prefetch
from chinwag.providers.base import ModelInfo
from chinwag.stores.base import ConflictReport, FailedReport, Report, SavedReport
from chinwag.talk.event import (
    AnyEvent,
    DraftOffered,
    Ear,
    Learnt,
    Level,
    Notice,
    Rested,
    Saved,
    SaveFailed,
    Verdict,
    failed,
)
from chinwag.talk.message import AnyPart, File
from chinwag.talk.session import Session
from chinwag.talk.unsent import Unsent
from chinwag.threads import apart, beside

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling

LONG = 1000  # entries
NAMES_A_MODEL = ("/model", "/provider", "/retry", "/regenerate")


NEAR = 0.5  # of a budget: from here on the footer shows it


class Status(msgspec.Struct, frozen=True):
    """What a footer shows. ``used`` and ``window`` in tokens, ``cost`` in US dollars, ``budget`` in
    words what is spent of it, once that is half."""

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
    save_remedy: str = ""
    following: str = ""
    budget: str = ""


class Past(Protocol):
    """Lines typed in earlier sessions."""

    def lines(self) -> list[str]: ...

    def add(self, line: str) -> None: ...


class Served(Protocol):
    """Servers of tools beside the talk (MCP)."""

    async def begin(self, tooling: Tooling, hear: Ear, *, stay: bool) -> None:
        """Let tools come and go from here on; with ``stay``, without waiting for them."""
        ...

    async def bring(self, text: str) -> Sequence[AnyPart]:
        """What a message names of them (``@server:resource``). Raises ChinwagError."""
        ...

    def resources(self, typed: str) -> Iterable[tuple[str, str]]:
        """(``@server:resource``, what it is) for what begins so."""
        ...

    async def close(self) -> None: ...


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
        prepare: Callable[[str], None],
        close: Callable[[], Awaitable[list[str]]],
        windows: Windows | None = None,
        drafting: Drafting | None = None,
        tooling: Callable[[], Tooling] | None = None,
    ) -> None:
        self.conversation = conversation
        self.table = table
        self._bench = bench
        self._past = past
        self._store_url = store_url
        self._lasting = lasting
        self._cost = cost
        self._discover = discover
        self._close = close
        self._windows = windows
        self._drafting = drafting
        self._tooling = tooling
        self._late: Ear = _deaf
        self._problem = self._remedy = ""
        self._ready: asyncio.Event | None = None
        self._sources = self._known(sources)
        self._tasks: set[asyncio.Future[Any]] = set()
        self._prefetch = Prefetch(
            conversation,
            self._tasks,
            prepare=prepare,
            load_counter=load_counter,
            models=models,
            learnt=lambda: self._late(Learnt()),
            index=lambda quiet: _caught_up(bench, quiet),
        )
        self._spared = ""
        self.opened = True
        self.opening = Opening()
        self.notices: Sequence[str] = ()
        self.beside: Callable[[Ear], Ear] = _alone
        self.served: Served | None = None

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
            private=not self.lasting,
            queued_saves=self.conversation.unsaved if self.lasting else 0,
            save_problem=self._problem,
            save_remedy=self._remedy,
            following=self.conversation.following,
            budget=self._budget(),
        )

    def _budget(self) -> str:
        purse = self.conversation.purse
        return f"{purse.spent()} of {purse.budget}" if purse.share >= NEAR else ""

    @property
    def state_dir(self) -> str:
        """Where what is no talk is kept."""
        return self._bench.state_dir

    @property
    def lasting(self) -> bool:
        """Whether what is said now is kept when the program has ended."""
        return self._lasting and not self.conversation.private

    def count(self, text: str) -> tuple[int, bool]:
        self._prefetch.typed()
        return self.conversation.count(text) if text else (0, True)

    def complete(self, line: str, cursor: int) -> list[Suggestion]:
        if line.startswith(NAMES_A_MODEL):
            self._prefetch.renew_models()
        found = self.table.complete(line, cursor, self._sources)
        before = line[:cursor]
        return found or [*self._resources(before), *at_path(before, self._sources)]

    def _resources(self, before: str) -> list[Suggestion]:
        """What an unfinished ``@server:…`` may become."""
        typed = before.rsplit(maxsplit=1)[-1] if before and not before[-1].isspace() else ""
        if self.served is None or not typed.startswith("@"):
            return []
        start = len(before) - len(typed)
        named = self.served.resources(typed)
        return [Suggestion(word, start, word, what) for word, what in named][:MOST_SUGGESTIONS]

    def history(self) -> list[str]:
        return self._past.lines()

    def remember(self, line: str) -> None:
        """Keep a typed line for later sessions; a private talk leaves no trace."""
        if self.lasting and line.strip():
            beside(self._tasks, apart(self._past.add, line))

    # -- lines --------------------------------------------------------------------------------

    async def handle(self, line: str, hear: Ear, parts: Sequence[AnyPart] = ()) -> None:
        """Do what ``line`` asks, telling ``hear``; ends with `Rested`."""
        await self._one(lambda ear: self._handled(line, ear, parts), hear)

    async def talk(
        self, text: str, hear: Ear, parts: Sequence[AnyPart] = (), *, foreign: bool = False
    ) -> None:
        """Say ``text`` to the model, whatever it begins with. ``foreign``: not all of it is the
        person's own."""
        await self._one(lambda ear: self._said(text, ear, parts, foreign=foreign), hear)

    async def _one(self, work: Callable[[Ear], Awaitable[None]], hear: Ear) -> None:
        ear = self.beside(hear)
        try:
            if self._ready is not None:
                await self._ready.wait()
            await work(ear)
        except ChinwagError as error:
            ear(failed(error))
        finally:
            self._mind_windows()
            ear(Rested())

    async def _said(
        self, text: str, hear: Ear, parts: Sequence[AnyPart], *, foreign: bool = False
    ) -> None:
        if not text.strip() and not parts:
            return
        if self.conversation.following and not await self.conversation.write_here(hear):
            hear(DraftOffered(text))
            await self._offer(hear, "read only: your message was not sent")
            return
        held = self.conversation.pending
        brought = [*parts, *held, *await self._brought(text, hear)]
        await self.conversation.say(text, hear, brought, foreign=foreign)
        self.conversation.pending = self.conversation.pending[len(held) :]

    async def _mentioned(self, text: str, hear: Ear) -> list[AnyPart]:
        """The files a typed message names as ``@path``; it is not sent where one is unreadable."""
        if "@" not in text:
            return []
        try:
            return [part for s in mentioned(text) if (part := await self._attached(s)) is not None]
        except ChinwagError:
            hear(DraftOffered(text))
            raise

    async def _attached(self, spellings: Sequence[str]) -> AnyPart | None:
        for path in spellings:
            if await self._bench.is_file(path):
                return await self._bench.attach(path)
        return None

    async def _brought(self, text: str, hear: Ear) -> Sequence[AnyPart]:
        """What servers have to attach to ``text``; where they fail, it is not sent."""
        if self.served is None or "@" not in text:
            return ()
        try:
            return await self.served.bring(text)
        except ChinwagError:
            hear(DraftOffered(text))
            raise

    async def _offer(self, hear: Ear, title: str = "") -> None:
        """Say what can be done about a session that somebody else writes."""
        if self._windows is not None and self.conversation.following:
            await self._windows.offer(hear, title)

    def _mind_windows(self) -> None:
        if self._windows is not None:
            self._windows.mind()

    async def _handled(self, line: str, hear: Ear, parts: Sequence[AnyPart]) -> None:
        match parse(line):
            case Talk(text=text):
                await self._said(text, hear, [*parts, *await self._mentioned(text, hear)])
            case Slip(notice=notice):
                hear(Notice(notice))
            case Called() as called:
                before = self.session.id
                await self.table.perform(called, self._bench, hear)
                if self.session.id != before:
                    await self._offer(hear)
                self._spare()
                self._prefetch.renew_tables()
                self._prefetch.renew_headers()

    def interrupt(self) -> bool:
        return self.conversation.interrupt()

    def answer_approval(self, call_id: str, digest: str, verdict: Verdict, word: str = "") -> bool:
        """What the person says to a call that waits; see the conversation's."""
        return self.conversation.answer_approval(call_id, digest, verdict, word)

    # -- drafts -------------------------------------------------------------------------------

    def draft_changed(self, text: str, cursor: int, pastes: Sequence[tuple[str, str]]) -> None:
        """What stands in the input now; ``pastes`` are (placeholder in it, its text)."""
        if self._drafting is not None and self.lasting:
            draft = _unsent(text, cursor, pastes)
            self._drafting.changed(self.session.id, draft, born=self.conversation.writes)

    def draft_put_aside(self, text: str, pastes: Sequence[tuple[str, str]]) -> None:
        """What stood in the input was given up; /draft finds it."""
        if self._drafting is not None and self.lasting:
            self._drafting.put_aside(_unsent(text, len(text), pastes))

    async def draft_back(self, hear: Ear) -> None:
        """Offer what had been typed in the session in front and was not sent."""
        if self._drafting is None or not self.lasting or self.conversation.following:
            return
        session_id, born = self.session.id, self.conversation.writes
        draft = await self._drafting.taken(session_id, born=born)
        if draft and session_id == self.session.id:
            pastes = tuple((p.name, p.text) for p in draft.attachments if isinstance(p, File))
            hear(DraftOffered(draft.text, draft.cursor, pastes))

    # -- beside the lines ---------------------------------------------------------------------

    async def start(self, hear: Ear, *, stay: bool = True) -> None:
        """After the first paint: open what was asked for, look round.

        With ``stay`` a talk is expected: what it will need is fetched in the background.
        """
        self._late = _forgiving(self.beside(hear))
        self._ready = asyncio.Event()
        for text in self.notices:
            self._late(Notice(text, Level.WARNING))
        try:
            await asyncio.gather(
                self._look_round(),
                self._open(self.opening, self._late),
                self._take_up_tools(stay=stay),
            )
            await as_asked(self.conversation, self.opening, self._late)
        except ChinwagError as error:
            self.opened = False
            self._late(failed(error))
        finally:
            self._ready.set()
        if stay:
            await self._stay()

    async def _stay(self) -> None:
        """Others may find us here, and we them; what a talk needs is fetched."""
        if self._windows is not None:
            self._windows.begin(self._late)
        self._prefetch.begin()
        beside(self._tasks, self._ask_store())
        beside(self._tasks, self._tell_if_mute())
        await self._offer(self._late)

    async def _tell_if_mute(self) -> None:
        from chinwag.commands.models import warn_if_mute  # with the commands, after the first paint

        await warn_if_mute(self._bench, self._late, unasked=True)

    async def _ask_store(self) -> None:
        """What the store has to say of itself: a server that may lose what it acknowledged."""
        try:
            for text in await self.conversation.store_notices():
                self._late(Notice(text, Level.WARNING))
        except ChinwagError:
            pass  # a store that is not there says so when it is needed

    async def _take_up_tools(self, *, stay: bool) -> None:
        """Made after the first paint: they are many imports. Nothing where none are offered."""
        if self._tooling is not None:
            made = await apart(self._tooling)
            self.conversation.use(made)
            if self.served is not None:
                await self.served.begin(made, self._late, stay=stay)

    async def _open(self, opening: Opening, hear: Ear) -> None:
        if opening.pick:
            await self.table.perform(Called("load"), self._bench, hear)
        elif opening.resume or opening.name or opening.latest:
            await open_asked(self.conversation, opening, hear)
            self._spare()

    async def _look_round(self) -> None:
        if self._discover is not None:
            await look_round(self.conversation, self._discover, self._late)

    def _spare(self) -> None:
        """A long session is no garbage: looking through it again and again would halt the keys."""
        if len(self.session) > LONG and self.session.id != self._spared:
            self._spared = self.session.id
            gc.freeze()

    def _known(self, sources: Sources) -> Sources:
        """The sources, with what only the desk knows."""
        return msgspec.structs.replace(
            sources,
            sessions=lambda: self._prefetch.headers,
            models=lambda: self._prefetch.models,
            tools=self._tools,
        )

    def _tools(self) -> list[tuple[str, str]]:
        tooling = self.conversation.tooling
        return [(name, "") for name in tooling.names] if tooling else []

    def report(self, report: Report) -> None:
        """What the saver says, already on the loop."""
        match report:
            case SavedReport(session_id=session, through=through):
                self._problem = self._remedy = ""
                self._late(Saved(session, through))
                if self.conversation.may_go(session, through):
                    beside(self._tasks, self.conversation.release(session))
                self._mind_windows()
            case FailedReport(session_id=session, reason=reason, hint=hint, waiting=waiting):
                self._problem, self._remedy = reason, hint
                self._late(SaveFailed(session, reason, waiting, hint))
            case ConflictReport(session_id=session):
                beside(self._tasks, self.conversation.conflicted(session, self._late))

    async def close(self) -> list[str]:
        """Stop what runs, save what waits, let go of everything.

        Returns the ids of sessions whose end could not be saved.
        """
        self.interrupt()
        if self.served is not None:
            await self.served.close()
        if self._windows is not None:
            self._windows.close()
        if self._drafting is not None:
            self._drafting.finish()
            await apart(self._drafting.close)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return await self._close()


async def _caught_up(bench: Bench, quiet: Callable[[], Awaitable[None]]) -> None:
    from chinwag.commands.finding import caught_up  # with the commands, after the first paint

    await caught_up(bench, quiet)


def _unsent(text: str, cursor: int, pastes: Sequence[tuple[str, str]]) -> Unsent:
    files = tuple(File(mime="text/plain", name=name, text=whole) for name, whole in pastes)
    return Unsent(text, cursor, files)


def _alone(hear: Ear) -> Ear:
    return hear


def _forgiving(ear: Ear) -> Ear:
    """For what happens beside the lines: that nobody reads any more is said by the line in hand."""

    def late(event: AnyEvent) -> None:
        try:
            ear(event)
        except BrokenPipeError:
            pass

    return late


def _deaf(_: object) -> None:
    """Before anybody listens."""
