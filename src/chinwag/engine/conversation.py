"""The conversation: holds the current session; `settle` is the only door through which it changes.

Invariants: `settle` folds, tells, hands to the keeper, in that order, and nothing else changes a
session. What a person said is safe (or known not to be savable, and said so) before the request
leaves. A session that holds nothing said by anybody is not written: looking in leaves no litter.
One turn runs at a time; an interruption is a flag the turn reads. An answer that calls tools is
followed by their results and the next answer (`rounds`). Each request settles one answer: where
another model was asked because the first could not, or one was asked again without what it
refuses, that is said, and the entry names who answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from chinwag.context.drafting import DraftCount
from chinwag.engine import request as requests
from chinwag.engine.asking import Asking, CouldNotAsk
from chinwag.engine.budget import Purse
from chinwag.engine.fitting import Fitting
from chinwag.engine.models import Key, Models
from chinwag.engine.promises import Directory, Keeper, Knowledge, Meter, Nothing, Retrying
from chinwag.engine.room import Rules
from chinwag.engine.scale import Scale
from chinwag.engine.sending import Defaults, Sending
from chinwag.engine.telling import Asked, Telling
from chinwag.engine.turn import Outcome, answer
from chinwag.errors import BudgetSpent, ChinwagError, ContextOverflow, SessionLocked, UsageError
from chinwag.providers.base import Leave, at_once
from chinwag.stores.base import PartHead
from chinwag.talk.delta import AnyDelta, CallDelta, TextDelta, ThinkingDelta
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Compacted,
    ModelChosen,
    Rewound,
    Status,
    SystemSet,
    Titled,
    ToolReturned,
    UserSaid,
    new_id,
    now,
)
from chinwag.talk.event import (
    DraftOffered,
    Ear,
    Heard,
    Level,
    Notice,
    Settled,
    failed,
)
from chinwag.talk.message import AnyPart, Call, Text
from chinwag.talk.session import Session, begin, fold, fold_all

if TYPE_CHECKING:  # a talk without tools has none of this
    from chinwag.engine.rounds import Rounds
    from chinwag.engine.snapshots import Kept
    from chinwag.engine.tooling import Tooling
    from chinwag.engine.warm import Warm


CONTINUE = "Continue exactly where you stopped, without repeating anything."


class Conversation(Sending):
    """The engine. Frontends and commands talk to it; it talks to the rooms by their promises."""

    def __init__(
        self,
        *,
        directory: Directory,
        keeper: Keeper,
        meter: Meter,
        defaults: Defaults,
        retrying: Retrying,
        clock: Callable[[], float] = time.monotonic,
        knowledge: Knowledge | None = None,
        fallback: Sequence[str] = (),
        rules: Rules | None = None,
        purse: Purse | None = None,
        snapshots: Callable[[], Kept] | None = None,
    ) -> None:
        super().__init__(keeper)
        self._directory = directory
        self._knowledge = knowledge = knowledge or Nothing()
        self._scale = Scale(meter)
        self._models = Models(directory, knowledge)
        self._telling = Telling(knowledge, self._scale)
        self.fitting = Fitting(
            directory=directory,
            models=self._models,
            scale=self._scale,
            retrying=retrying,
            rules=rules or Rules(limit=defaults.limit),
        )
        self._asking = Asking(
            directory=directory,
            models=self._models,
            scale=self._scale,
            telling=self._telling,
            retrying=retrying,
            clock=clock,
            fallback=fallback,
        )
        self.defaults = defaults
        self.purse = purse or Purse(lambda *_: None)
        self.overrides: Mapping[str, Any] = {}  # options of the command line: never written
        self._stop: asyncio.Event | None = None
        self.pending: tuple[AnyPart, ...] = ()  # goes with the next message
        self._draft = DraftCount()
        self._snapshots = snapshots
        self._warm: Warm | None = None

    # -- questions ----------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._stop is not None

    @property
    def warm(self) -> Warm:
        """What a server keeps of what it has read: `save`, `restore`, `drop`."""
        if self._warm is None:
            from chinwag.engine.snapshots import InMemory
            from chinwag.engine.warm import Warm

            kept = self._snapshots() if self._snapshots is not None else InMemory()
            self._warm = Warm(self, self._stoppable, kept)
        return self._warm

    @property
    def unsaved(self) -> int:
        """Entries nobody has acknowledged yet."""
        return self._on_disk and self._on_disk - self._keeper.saved_through(self.session.id)

    # -- the one door -------------------------------------------------------------------------

    def settle(self, entry: AnyEntry, hear: Ear) -> int:
        """Make ``entry`` part of the session. Returns its position.

        A session's first entry is its system prompt, unless there is to be none.
        """
        self._refuse_to_follow(beginning=False)
        if not len(self.session) and self.defaults.system and not isinstance(entry, SystemSet):
            self.settle(SystemSet(text=self.defaults.system), hear)
        stamped = self._stamped(entry)
        self.session = fold(self.session, stamped)
        if isinstance(stamped, AssistantSaid | Compacted) and stamped.provider:
            self.purse.end((stamped.provider, stamped.model), stamped.usage)
        n = len(self.session)
        hear(Settled(n, stamped, self.session))
        if self._on_disk or isinstance(entry, UserSaid | Titled):
            self.hand_over()
        return n

    def _refuse_to_follow(self, *, beginning: bool) -> None:
        """Raises SessionLocked where somebody else writes this session.

        A turn that was on its way when the session was asked for is ended, not refused.
        """
        if self.following and (beginning or self._stop is None):
            raise SessionLocked(
                f"you are reading along: {self.following} writes this session",
                hint="/fork goes on in a copy; /takeover asks for this one",
                owner=self.following,
            )

    def hand_over(self) -> None:
        """Give the keeper what it has not been given; the first time, the whole session.

        Raises SessionLocked where somebody else writes it.
        """
        self._refuse_to_follow(beginning=False)
        at = self._on_disk
        entries = tuple(self.session.entries[at:])
        if entries:
            self._keeper.append(self.session.birth, entries, at, self.session.headline())
            self._on_disk = len(self.session)

    def _stamped(self, entry: AnyEntry) -> AnyEntry:
        tokens, tokenizer = entry.tokens, entry.tokenizer
        if not tokens and isinstance(entry, UserSaid | AssistantSaid | ToolReturned | Compacted):
            tokens, tokenizer = self._weighed(entry)
        return msgspec.structs.replace(
            entry,
            id=entry.id or new_id(),
            at=entry.at or now(),
            tokens=tokens,
            tokenizer=tokenizer,
        )

    # -- talking ------------------------------------------------------------------------------

    async def say(
        self,
        text: str,
        hear: Ear,
        parts: Iterable[AnyPart] = (),
        choice: Key | None = None,
        *,
        foreign: bool = False,
    ) -> None:
        """The person says something; it is saved, and answered when it is safe.

        ``choice`` names another (provider, model) for this once; ``foreign``: not all of ``text``
        is the person's own.
        """
        if not self.session.provider:
            provider, model = self.choice
            self.settle(ModelChosen(provider=provider, model=model), hear)
        parts = ((Text(text),) if text else ()) + tuple(parts)
        said = self._stamped(UserSaid(parts=parts, foreign=foreign))
        await self._can_fit(said, text, hear, choice or self.choice)
        with self._stoppable() as stop:
            n = self.settle(said, hear)
            key = choice or self.choice
            await self._answered(key, hear, stop, self._when_safe(n, hear, stop))

    async def _can_fit(self, said: AnyEntry, text: str, hear: Ear, key: Key) -> None:
        """Raises ContextOverflow, the typed text given back, before anything is settled.

        Nothing is refused for a window nobody has asked about yet.
        """
        try:
            self.fitting.check(self, key, said.tokens)
            return
        except ContextOverflow:
            await self._models.learn(key)
        try:
            self.fitting.check(self, key, said.tokens)
        except ContextOverflow:
            hear(DraftOffered(text))
            raise

    def _when_safe(
        self, n: int, hear: Ear, stop: asyncio.Event, what: str = "your message"
    ) -> Leave:
        """Waits until entry ``n`` is on stable storage, or it is known that it cannot be now.

        The request is made ready while the disk works, and held back until then. Where the person
        has stopped it meanwhile it never leaves: whoever waits here is about to be cancelled.
        """
        session, known = self.session.id, False

        async def leave() -> None:
            nonlocal known
            if not known and not await self._is_safe(session, n):
                text = f"{what} could not be saved yet; asking all the same"
                hear(Notice(text, Level.WARNING))
            known = True  # a second attempt need not say it again
            if stop.is_set():
                await asyncio.get_running_loop().create_future()

        return leave

    async def answer(self, hear: Ear, choice: tuple[str, str] | None = None) -> Outcome | None:
        """Ask the model to answer what the session holds. None when it could not be asked.

        ``choice`` names another (provider, model) for this once.
        """
        with self._stoppable() as stop:
            return await self._answered(choice or self.choice, hear, stop)

    @contextmanager
    def _stoppable(self) -> Iterator[asyncio.Event]:
        """While inside, `interrupt` sets the flag: from the first instant of a turn."""
        self._refuse_to_follow(beginning=True)
        self._stop, self.failure = asyncio.Event(), None
        try:
            yield self._stop
        finally:
            self._stop = None

    async def _answered(
        self, key: Key, hear: Ear, stop: asyncio.Event, leave: Leave = at_once
    ) -> Outcome | None:
        """An answer; and where it calls tools, what they give and the next one, to the last."""
        spent = self.spent
        outcome = await self._turn(*key, hear, stop, leave)
        if self._rounds is None:
            if outcome is not None:
                self.tell_of_calls(hear)
            return outcome
        return await self._rounds.follow(outcome, hear, stop, spent)

    async def _turn(
        self, provider: str, model: str, hear: Ear, stop: asyncio.Event, leave: Leave = at_once
    ) -> Outcome | None:
        """Ask until somebody answers, and settle that answer, or how the last one failed."""
        try:
            asked, outcome = await self._asking.ask(self, (provider, model), hear, stop, leave)
        except CouldNotAsk as why:
            self._settle_failure(*why.key, why.error, hear)
            return None
        self._settle_answer(outcome, asked, hear)
        return outcome

    def begin_part(self, key: Key) -> str:
        """Tell the keeper that an answer comes in: a kill then loses a second of it at most."""
        entry_id = new_id()
        head = PartHead(len(self.session) + 1, entry_id, now(), *key)
        if self._on_disk:
            self._keeper.part_begin(self.session.id, head)
        return entry_id

    def drop_part(self) -> None:
        """What was to come in will not."""
        if self._on_disk:
            self._keeper.part_end(self.session.id)

    def uttered(self, delta: AnyDelta, hear: Ear) -> None:
        if self.purse.budget is not None and self.purse.hears(_size(delta)):
            self.interrupt()
        if self._on_disk:
            self._keeper.part_add(self.session.id, delta)
        hear(Heard(delta))

    def _settle_answer(self, outcome: Outcome, asked: Asked, hear: Ear) -> None:
        entry = answer(outcome, provider=asked.provider, model=asked.model)
        if self.tools and self._models.known(asked.key).tools is False:
            from chinwag.engine import react

            entry = react.called(entry, len(self.session) + 1)
        if self.purse.stopped and outcome.status is Status.INTERRUPTED:
            spent = BudgetSpent(
                f"stopped at the budget of {self.purse.budget}; what was heard is kept",
                hint="/budget AMOUNT allows more, then /continue goes on",
            )
            entry = msgspec.structs.replace(entry, error=spent.message, hint=spent.hint)
            self.failure = spent
            hear(failed(spent))
        if outcome.error is not None:
            self.failure = outcome.error
            hear(failed(outcome.error))
        self._learn_from(asked, entry.usage.input or 0, hear)
        self.settle(msgspec.structs.replace(entry, id=asked.entry_id), hear)
        self.drop_part()
        if self._warm is not None:
            self._warm.heard(entry, hear)

    def _learn_from(self, asked: Asked, reported: int, hear: Ear) -> None:
        """Better our counts by the server's, unless it left out some of the prompt."""
        if not reported or not asked.own_count:
            return
        if not self._telling.was_cut(self.session, asked, reported, hear):
            fixed = self._scale.fixed(self.system, asked.request.tools, asked.model)
            held = asked.own_count - fixed
            self._scale.learn(asked.key, fixed, held, reported, self.session)

    def _settle_failure(self, provider: str, model: str, error: ChinwagError, hear: Ear) -> None:
        self.failure = error
        hear(failed(error))
        if isinstance(error, UsageError | BudgetSpent | ContextOverflow):
            return  # nobody was asked: there is no answer to speak of
        entry = AssistantSaid(
            provider=provider,
            model=model,
            status=Status.FAILED,
            error=error.message,
            hint=error.hint,
        )
        self.settle(entry, hear)

    def interrupt(self) -> bool:
        """Stop the answer that is coming in; what was heard is kept. True if one was."""
        if self._stop is None or self._stop.is_set():
            return False
        self._stop.set()
        return True

    # -- tools (rounds.py) --------------------------------------------------------------------

    @property
    def spent(self) -> Decimal:
        """US dollars that went for answers so far, where prices are known."""
        return self.purse.spent_dollars

    async def ask_again(self, key: Key, hear: Ear, stop: asyncio.Event) -> Outcome | None:
        """Ask ``key`` to answer what the tools gave, once that is safe."""
        leave = self._when_safe(len(self.session), hear, stop, "what the tools gave")
        return await self._turn(*key, hear, stop, leave)

    def _made(self, tooling: Tooling) -> Rounds:
        from chinwag.engine.rounds import Rounds

        return Rounds(self, tooling)

    # -- going back and on --------------------------------------------------------------------

    async def retry(self, hear: Ear, choice: tuple[str, str] | None = None) -> None:
        """Answer the last question anew; the old answer stays as a branch."""
        asked = next((n for n, e in self.session.back() if isinstance(e, UserSaid)), None)
        if asked is None:
            raise UsageError("there is nothing to retry yet", hint="type a message first")
        prompt = self.session.system
        if asked != self.session.head:
            self.settle(Rewound(to=asked, why="retry"), hear)
        if prompt != self.session.system:  # set since the question: it holds for the new answer
            self.settle(SystemSet(text=prompt), hear)
        await self.answer(hear, choice)

    async def go_on(self, hear: Ear) -> None:
        """Ask the model to continue an answer that was cut: word by word where its server can."""
        if self.session.last_answer is None:
            raise UsageError("there is no answer to continue", hint="type a message first")
        head = self.session.entry(self.session.head)
        if _is_open(head) or (requests.is_cut(head) and self._goes_on()):
            await self.answer(hear)
        else:
            await self.say(CONTINUE, hear)

    def _goes_on(self) -> bool:
        provider, model = self.choice
        return self._knowledge.terms(provider).goes_on(model)

    # -- sessions (shelf.py) ------------------------------------------------------------------

    async def open(self, session_id: str, hear: Ear) -> None:
        await super().open(session_id, hear)
        if self._snapshots is None or self.following:
            return
        record = await asyncio.to_thread(self._snapshots().load, session_id)
        if record and self.session.id == session_id:
            from chinwag.engine.snapshots import offered

            if said := offered(record):
                hear(Notice(said))

    async def delete(self, session_id: str, hear: Ear) -> None:
        await super().delete(session_id, hear)
        await self.warm.forget(session_id, hear)

    def _empty(self, title: str) -> Session:
        fresh, chosen = begin(), self.choice
        lines: tuple[AnyEntry, ...] = ()
        if chosen != (self.defaults.provider, self.defaults.model):
            lines = self._first_lines(ModelChosen(provider=chosen[0], model=chosen[1]))
        if title:
            lines = (*(lines or self._first_lines()), self._stamped(Titled(title=title)))
        return fold_all(fresh, lines)

    def _first_lines(self, *more: AnyEntry) -> tuple[AnyEntry, ...]:
        prompt = (SystemSet(text=self.defaults.system),) if self.defaults.system else ()
        return tuple(self._stamped(entry) for entry in (*prompt, *more))

    def _changed(self) -> None:
        self._telling.begin(self.session)


def _is_open(head: AnyEntry) -> bool:
    """Whether a model is to speak next: it called tools, or they have answered."""
    calls = isinstance(head, AssistantSaid) and any(isinstance(p, Call) for p in head.parts)
    return calls or isinstance(head, ToolReturned)


def _size(delta: AnyDelta) -> int:
    """Characters a delta brings."""
    match delta:
        case TextDelta(text=text) | ThinkingDelta(text=text):
            return len(text)
        case CallDelta(arguments=arguments):
            return len(arguments)
        case _:
            return 0
