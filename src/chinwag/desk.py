"""The desk: a line comes in; command or talk? The one door for a screen, a pipe and a test alike.

Invariants: `handle` never raises an error of our tree (it is heard as `Failed`) and always ends
with `Rested`; a line that looks like a command never reaches the model; lines are handled one at a
time. What happens beside the lines (a save acknowledged late, a server found) goes to the ear given
to `start`. Nothing here blocks the loop.
"""

from __future__ import annotations

import asyncio
import gc
import time
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
from chinwag.errors import ChinwagError, ModelUnknown
from chinwag.providers.base import ModelInfo
from chinwag.stores.base import resolve
from chinwag.stores.saver import ConflictReport, FailedReport, Report, SavedReport
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
from chinwag.talk.session import Header, Session, slug
from chinwag.talk.unsent import Unsent
from chinwag.threads import apart

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling

LONG = 1000  # entries
QUIET = 0.5  # seconds without a key or a word after which heavy work may begin
MODELS_HOLD = 60.0  # seconds for which a list of models is taken to be true
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


class Opening(msgspec.Struct, frozen=True):
    """Which session to begin with: nothing set means a new, unnamed one.

    ``name`` opens or begins, ``resume`` must exist, ``latest`` is the one used last, ``pick`` asks,
    ``fork`` goes on in a copy. ``choice``, ``system`` and ``options`` were asked for on the command
    line: they hold for a resumed session too.
    """

    name: str = ""
    resume: str = ""
    latest: bool = False
    pick: bool = False
    fork: bool = False
    choice: tuple[str, str] | None = None
    system: str | None = None
    options: dict[str, Any] = {}


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
        self._load_counter = load_counter
        self._models = models
        self._prepare = prepare
        self._close = close
        self._windows = windows
        self._drafting = drafting
        self._tooling = tooling
        self._late: Ear = _deaf
        self._problem = self._remedy = ""
        self._ready: asyncio.Event | None = None
        self._sources = self._known(sources)
        self._headers: Sequence[Header] = ()
        self._known_models: Sequence[ModelInfo] = ()
        self._models_asked = -MODELS_HOLD
        self._tasks: set[asyncio.Task[None]] = set()
        self._spared = ""
        self._typed = -QUIET
        self._tables_for: str | None = None
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
    def lasting(self) -> bool:
        """Whether what is said now is kept when the program has ended."""
        return self._lasting and not self.conversation.private

    def count(self, text: str) -> tuple[int, bool]:
        self._typed = time.monotonic()
        return self.conversation.count(text) if text else (0, True)

    def complete(self, line: str, cursor: int) -> list[Suggestion]:
        if line.startswith(NAMES_A_MODEL):
            self._renew_models()
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
            self._in_background(apart(self._past.add, line))

    # -- lines --------------------------------------------------------------------------------

    async def handle(self, line: str, hear: Ear, parts: Sequence[AnyPart] = ()) -> None:
        """Do what ``line`` asks, telling ``hear``; ends with `Rested`."""
        await self._one(lambda ear: self._handled(line, ear, parts), hear)

    async def talk(self, text: str, hear: Ear, parts: Sequence[AnyPart] = ()) -> None:
        """Say ``text`` to the model, whatever it begins with."""
        await self._one(lambda ear: self._said(text, ear, parts), hear)

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

    async def _said(self, text: str, hear: Ear, parts: Sequence[AnyPart]) -> None:
        if not text.strip() and not parts:
            return
        if self.conversation.following and not await self.conversation.write_here(hear):
            hear(DraftOffered(text))
            await self._offer(hear, "read only: your message was not sent")
            return
        held = self.conversation.pending
        brought = [*parts, *held, *await self._brought(text, hear)]
        await self.conversation.say(text, hear, brought)
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
                self._renew_tables()
                self._renew_sources()

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
            await self._as_asked(self.opening, self._late)
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
        self._in_background(self._fetch())
        self._in_background(self._ask_store())
        await self._offer(self._late)

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

    async def _as_asked(self, opening: Opening, hear: Ear) -> None:
        """What the command line asked for holds for the session that was opened, too."""
        conversation = self.conversation
        conversation.overrides = opening.options
        if opening.system is not None and conversation.system != opening.system:
            conversation.set_system(opening.system, hear)
        defaults = conversation.defaults
        if not defaults.model:
            defaults.model = await self._first_model(defaults.provider)
        if opening.choice is not None:
            provider, model = opening.choice
            model = model or await self._first_model(provider)
            if conversation.choice != (provider, model):
                conversation.choose(provider, model, hear)

    async def _first_model(self, provider: str) -> str:
        """What a server offers first, where only the provider was named."""
        models = await self.conversation.provider(provider).models()
        if not models:
            raise ModelUnknown(
                f"{provider} offers no model now", hint=f"name one: -m {provider}/MODEL"
            )
        return models[0].name

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
        if opening.fork:
            await self.conversation.fork_of(found.id, hear)
            return
        gc.disable()  # what is read is kept: walking it while it is made costs a third of the time
        try:
            await self.conversation.open(found.id, hear)
        finally:
            gc.enable()
        self._spare()

    def _spare(self) -> None:
        """A long session is no garbage: looking through it again and again would halt the keys."""
        if len(self.session) > LONG and self.session.id != self._spared:
            self._spared = self.session.id
            gc.freeze()

    async def _look_round(self) -> None:
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
        self._late(Notice(f"found {first.provider} at {first.address}: {first.models[0]}{more}"))

    async def _fetch(self) -> None:
        """The transport, the model's window, counting tables, names: all off the hot path."""
        provider, model = self.conversation.choice
        await asyncio.sleep(0.05)  # let the first keys through: imports hold the interpreter
        try:
            await apart(self._prepare, provider)
            await self.conversation.learn_profile()
        except ChinwagError:
            pass  # said when it is needed, in the turn that needs it
        self._late(Learnt())
        self._renew_sources()
        await self._fetch_tables(model)

    async def _fetch_tables(self, model: str) -> None:
        """Counting tables, in a quiet moment: making them holds the interpreter for a while."""
        self._tables_for = model
        while self.conversation.busy or time.monotonic() < self._typed + QUIET:  # noqa: ASYNC110 - quiet is the absence of events
            await asyncio.sleep(QUIET / 2)
        await apart(self._load_counter, model)
        self._late(Learnt())

    def _renew_tables(self) -> None:
        model = self.conversation.choice[1]
        if self._tables_for is not None and model != self._tables_for:
            self._in_background(self._fetch_tables(model))

    def _renew_sources(self) -> None:
        self._in_background(self._read_headers())

    async def _read_headers(self) -> None:
        try:
            self._headers = await self.conversation.headers()
        except ChinwagError:
            pass  # completion offers what it knew before

    def _renew_models(self) -> None:
        """Ask for models when somebody is about to name one, and not again within a minute."""
        now = time.monotonic()
        if now > self._models_asked + MODELS_HOLD:
            self._models_asked = now
            self._in_background(self._read_models())

    async def _read_models(self) -> None:
        self._known_models = await self._models()

    def _known(self, sources: Sources) -> Sources:
        """The sources, with what only the desk knows."""
        return msgspec.structs.replace(
            sources,
            sessions=lambda: self._headers,
            models=lambda: self._known_models,
            tools=self._tools,
        )

    def _tools(self) -> list[tuple[str, str]]:
        tooling = self.conversation.tooling
        return [(name, "") for name in tooling.names] if tooling else []

    def _in_background(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def report(self, report: Report) -> None:
        """What the saver says, already on the loop."""
        match report:
            case SavedReport(session_id=session, through=through):
                self._problem = self._remedy = ""
                self._late(Saved(session, through))
                if self.conversation.may_go(session, through):
                    self._in_background(self.conversation.release(session))
                self._mind_windows()
            case FailedReport(session_id=session, reason=reason, hint=hint, waiting=waiting):
                self._problem, self._remedy = reason, hint
                self._late(SaveFailed(session, reason, waiting, hint))
            case ConflictReport(session_id=session):
                self._in_background(self.conversation.conflicted(session, self._late))

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


def _unsent(text: str, cursor: int, pastes: Sequence[tuple[str, str]]) -> Unsent:
    files = tuple(File(mime="text/plain", name=name, text=whole) for name, whole in pastes)
    return Unsent(text, cursor, files)


def _means(title: str, session_id: str, wanted: str) -> bool:
    return wanted == session_id or (slug(title) == slug(wanted) != "")


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
