"""What a chat's engine is made of, how it begins and how it ends. Everything here runs on one loop.

Invariants: one thing is done at a time, in the order in which it was asked for; who is cancelled
while an answer comes in ends it first, and what was heard is kept. The session asked for is opened
before anything else is done. Closing saves what waits, and says so where that cannot be.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from chinwag.assembly import assembled, let_go
from chinwag.context.pricing import Bill
from chinwag.engine.conversation import Conversation
from chinwag.engine.sending import Defaults
from chinwag.errors import ChinwagError, StoreUnavailable, UsageError
from chinwag.frontends.face import keeping, metering
from chinwag.frontends.face.plan import Plan
from chinwag.frontends.hints import in_python
from chinwag.opening import first_model
from chinwag.stores.base import ConflictReport, FailedReport, Report, SavedReport
from chinwag.stores.keeping import Keeping
from chinwag.stores.opening import memory, open_store
from chinwag.talk.entry import (
    AnyEntry,
    SystemSet,
    Tagged,
    Titled,
    new_id,
    now,
)
from chinwag.talk.event import AnyEvent, Ear, Level, Notice
from chinwag.talk.session import Session, begin, fold_all
from chinwag.threads import apart, beside, tell

T = TypeVar("T")
SAVE_PATIENCE = 5.0  # seconds to wait until what was said is safe
CLOSE_PATIENCE = 5.0  # seconds to wait for a slow disk when closing

Keeper = Keeping | keeping.InMemory


class Holding:
    """See the module. ``begin_with`` is a session that is kept nowhere yet."""

    def __init__(self, asked: Plan, *, begin_with: Session | None = None) -> None:
        self.plan = asked
        self.resumed = False
        self.problem = ""
        self.closed = False
        self._begin_with = begin_with
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turns: asyncio.Lock | None = None
        self._opened = False
        self._late: list[str] = []
        self._tasks: set[asyncio.Future[Any]] = set()
        self.keeper = self._make_keeper()
        self.conversation, self.bill = self._assembled()
        if begin_with is not None:
            self.conversation.session = begin_with
        elif not asked.session:  # nothing has to be read: it is as asked from the first instant
            self.conversation.session = self._named_so(asked.title)
            self._as_asked()

    # -- made of -------------------------------------------------------------------------------

    def _make_keeper(self) -> Keeper:
        url = _store_url(self.plan)
        if not url:
            return keeping.InMemory(memory(), self._report)
        if keeping.is_memory(url):
            return keeping.InMemory(keeping.shared_memory(), self._report)
        return Keeping(open_store(url, self.plan.places.data), memory, self._told)

    def _assembled(self) -> tuple[Conversation, Bill]:
        asked = self.plan
        provider, model = asked.choice or asked.found_choice() or ("", "")
        return assembled(
            catalog=asked.catalog,
            keeper=self.keeper,
            meter=metering.meter(asked.tokenizer),
            defaults=Defaults(provider=provider, model=model, system=asked.system),
            rules=asked.rules,
            fallback=asked.fallback,
            budget=asked.budget,
            tooling=asked.tooling(),
        )

    @property
    def must_open(self) -> bool:
        """Whether something has to be read or written before the first word."""
        return bool(self.plan.session) or self._begin_with is not None

    def interrupt_soon(self) -> None:
        """From any thread."""
        if self._loop is not None:
            tell(self._loop, self.conversation.interrupt)

    # -- beginning and end ---------------------------------------------------------------------

    async def ready(self) -> None:
        """Open what was asked for; again is free. Raises StoreError's family, UsageError."""
        if self.closed:
            raise UsageError("this chat is closed", hint="make a new one, or open it again")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop, self._turns = loop, asyncio.Lock()
        if self._loop is not loop:
            raise UsageError(
                "an AsyncChat belongs to the loop it was first used on",
                hint="make one in each loop, or use Chat, which any thread may use",
            )
        if not self._opened:
            await self._locked(self._open)

    async def _open(self) -> None:
        if self._opened:
            return
        if self._begin_with is not None:
            await self._take(self._begin_with)
        elif self.plan.session:
            await self._open_named(self.plan.session)
        self._as_asked()
        self._opened = True

    def _named_so(self, title: str) -> Session:
        """A new session of that title."""
        if not title:
            return self.conversation.session
        prompt = [SystemSet(text=self.plan.system)] if self.plan.system else []
        lines: list[AnyEntry] = [*prompt, Titled(title=" ".join(title.split()))]
        return fold_all(
            begin(), [msgspec.structs.replace(line, id=new_id(), at=now()) for line in lines]
        )

    async def _take(self, session: Session) -> None:
        if await self.conversation.is_kept(session.id):
            session = _reborn(session)  # what was gone on with there is not written over
        await self.conversation.begin_from(session, self._hear_late)
        self.resumed = bool(session.tally.messages)

    async def _open_named(self, name: str) -> None:
        headers = await self.conversation.headers()
        found = next((h for h in headers if h.is_called(name)), None)
        if found is None:
            await self.conversation.begin(self._hear_late, self.plan.title or name)
        else:
            await self.conversation.open(found.id, self._hear_late)
            self.resumed = True

    def _as_asked(self) -> None:
        """What the program asked for holds for a session that was there before, too."""
        talk, asked, hear = self.conversation, self.plan, self._hear_late
        system = asked.asked_system
        if self.resumed and system is not None and talk.system != system:
            talk.set_system(system, hear)
        if self.resumed and asked.choice and asked.choice[1] and talk.choice != asked.choice:
            talk.choose(*asked.choice, hear)
        for name, value in asked.options.items():
            if talk.session.options.get(name) != value:
                talk.set_option(name, value, hear)
        if asked.metadata and dict(talk.session.metadata) != asked.metadata:
            talk.settle(Tagged(metadata={**talk.session.metadata, **asked.metadata}), hear)

    async def _named(self) -> None:
        """Where no model is chosen yet: the server's first, or a server on this machine."""
        talk = self.conversation
        provider, model = talk.choice
        if not provider:
            provider, model = await self._discovered()
        if not model:
            model = await first_model(talk.provider(provider), f'Chat("{provider}/MODEL")')
        if talk.choice == (provider, model):
            return
        talk.defaults.provider, talk.defaults.model = provider, model
        if talk.session.provider:
            talk.choose(provider, model, self._hear_late)

    async def _discovered(self) -> tuple[str, str]:
        from chinwag.providers.discovery import discover

        for server in await discover(os.environ):
            if server.models:
                return server.name, server.models[0]
        raise UsageError(
            "no model was named, no key is in the environment, and no server answers here",
            hint='name one: Chat("openai/gpt-5-mini"), Chat("ollama/qwen3:8b")',
        )

    async def quiet(self) -> None:
        """Stop what comes in, and wait until it is settled."""
        self.closed = True
        if self._loop is None or self._turns is None:
            return
        self.conversation.interrupt()
        async with self._turns:
            pass
        for task in list(self._tasks):
            await asyncio.wait({task}, timeout=1.0)

    def save_all(self) -> list[str]:
        """Blocks until everything is safe, at most CLOSE_PATIENCE; ids of what is not."""
        return self.keeper.close(CLOSE_PATIENCE)

    async def let_go(self) -> None:
        """Close every connection."""
        await let_go(self.plan.catalog)

    def complain(self, unsaved: list[str]) -> None:
        """Raises StoreUnavailable where something could not be saved."""
        if unsaved:
            raise StoreUnavailable(
                f"session {', '.join(unsaved)} could not be saved: {self.problem or 'no answer'}",
                hint="chat.save(path) writes it elsewhere while the chat is open",
            )

    # -- reports of the keeper, from its own thread ---------------------------------------------

    def _told(self, report: Report) -> None:
        if self._loop is not None:
            tell(self._loop, self._report, report)

    def _report(self, report: Report) -> None:
        match report:
            case SavedReport(session_id=session, through=through):
                self.problem = ""
                if self.conversation.may_go(session, through):
                    self._beside(self.conversation.release(session))
            case FailedReport(reason=reason):
                self.problem = reason
                self._late.append(f"not saved yet: {reason}")
            case ConflictReport(session_id=session) if not self.closed:
                self._beside(self.conversation.conflicted(session, self._hear_late))

    def _beside(self, work: Awaitable[None]) -> None:
        beside(self._tasks, work)

    def _hear_late(self, event: AnyEvent) -> None:
        """What is said beside a turn goes into the next reply."""
        if isinstance(event, Notice) and event.level is Level.WARNING:
            self._late.append(event.text)

    # -- one thing at a time ---------------------------------------------------------------------

    async def _locked(self, work: Callable[[], Awaitable[T]]) -> T:
        assert self._turns is not None  # noqa: S101 - for the type checker: `ready` made it
        async with self._turns:
            inner = asyncio.ensure_future(work())
            try:
                return await asyncio.shield(inner)
            except ChinwagError as error:
                error.hint = in_python(error.hint)
                raise
            except asyncio.CancelledError:
                self.conversation.interrupt()
                await asyncio.wait({inner})
                raise

    async def do(self, work: Callable[[Ear], T]) -> T:
        """Something that waits for nobody."""
        await self.ready()

        async def done() -> T:
            try:
                return work(self._hear_late)
            finally:
                await self._safe()

        return await self._locked(done)

    async def doing(self, work: Callable[[Ear], Awaitable[T]]) -> T:
        """Something that may have to wait."""
        await self.ready()

        async def done() -> T:
            try:
                return await work(self._hear_late)
            finally:
                await self._safe()

        return await self._locked(done)

    async def _safe(self) -> None:
        """Wait until what was said is safe; where the store cannot take it now, that is told."""
        if await self._is_safe():
            return
        while self._tasks:  # somebody else wrote it meanwhile: what we said goes on in a fork
            await asyncio.wait(list(self._tasks))
        if not await self._is_safe():
            self._late.append(f"not saved yet: {self.problem or 'the store is slow'}")

    async def _is_safe(self) -> bool:
        talk = self.conversation
        if not talk.unsaved:
            return True
        return await self.keeper.safe(talk.session.id, len(talk.session), SAVE_PATIENCE)


def _store_url(asked: Plan) -> str:
    """Where the session is kept: "" = in memory, for as long as the chat is there.

    A session that is named is meant to be found again: without a store it goes where `chat` keeps
    its own.
    """
    store = asked.settings.get("store")
    if store is None:
        return "file:" if asked.session else ""
    url = store if isinstance(store, str) else getattr(store, "given_url", None)
    if not isinstance(url, str) or not url.strip():
        raise UsageError(
            f"{store!r} is no store", hint='store="sqlite:sessions.db", or what open_store gave'
        )
    return url


def _reborn(old: Session) -> Session:
    """The same under an id of its own."""
    fresh = begin(parent=old.id, parent_at=len(old), imported=old.birth.imported)
    return fold_all(fresh, old.entries)


async def closed(core: Holding) -> None:
    """Close on the loop itself, for whoever cannot wait in a thread."""
    await core.quiet()
    unsaved = await apart(core.save_all)
    await core.let_go()
    core.complain(unsaved)
