"""The conversation: holds the current session; `settle` is the only door through which it changes.

Invariants: `settle` folds, tells, hands to the keeper, in that order, and nothing else changes a
session. What a person said is safe (or known not to be savable, and said so) before the request
leaves. A session that holds nothing said by anybody is not written: looking in leaves no litter.
One turn runs at a time; an interruption is a flag the turn reads. A turn settles one answer: where
another model was asked because the first could not, or one was asked again without what it
refuses, that is said, and the entry names who answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec

from chinwag.engine import refusals
from chinwag.engine import request as requests
from chinwag.engine.asking import Asking, CouldNotAsk
from chinwag.engine.models import Key, Models
from chinwag.engine.options import merged
from chinwag.engine.promises import Directory, Keeper, Knowledge, Meter, Nothing, Retrying
from chinwag.engine.scale import Scale
from chinwag.engine.telling import Asked, Telling
from chinwag.engine.turn import Outcome, answer
from chinwag.errors import ChinwagError, SessionNotFound, UsageError
from chinwag.providers.base import Options, Profile, Provider, Request
from chinwag.stores.base import PartHead, Stored
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Cleared,
    ModelChosen,
    OptionSet,
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
    Ear,
    Heard,
    Level,
    Notice,
    Opened,
    Settled,
    failed,
)
from chinwag.talk.message import AnyPart, Text
from chinwag.talk.session import Header, Session, begin, fold, fold_all

DEFAULT_WINDOW = 32_768
SAVE_PATIENCE = 5.0  # seconds a request waits for the disk before it goes out all the same

CONTINUE = "Continue exactly where you stopped, without repeating anything."


class Defaults(msgspec.Struct):
    """What a session starts from when nobody said otherwise; discovery may better the model."""

    provider: str = "guide"
    model: str = "guide"
    system: str = "You are a helpful assistant."
    options: Options = Options()
    limit: int | None = None


class Context(msgspec.Struct, frozen=True):
    """How full the window is: ``used`` tokens of ``window``, without the draft."""

    used: int
    window: int
    exact: bool


class Conversation:
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
    ) -> None:
        self._directory = directory
        self._keeper = keeper
        knowledge = knowledge or Nothing()
        self._scale = Scale(meter)
        self._models = Models(directory, knowledge)
        self._telling = Telling(knowledge, self._scale)
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
        self.overrides: Mapping[str, Any] = {}  # options of the command line: never written
        self.session: Session = begin()
        self._on_disk = 0  # entries handed to the keeper; 0 = the session is not born there
        self._stop: asyncio.Event | None = None

    # -- questions ----------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        return self._stop is not None

    @property
    def choice(self) -> tuple[str, str]:
        """(provider, model) that answers next."""
        if self.session.provider:
            return self.session.provider, self.session.model
        return self.defaults.provider, self.defaults.model

    @property
    def system(self) -> str:
        """The prompt in force: the session's, or the one a first message will bring."""
        return self.session.system if len(self.session) else self.defaults.system

    @property
    def options(self) -> Options:
        return merged(self.defaults.options, {**self.session.options, **self.overrides})

    @property
    def unsaved(self) -> int:
        """Entries nobody has acknowledged yet."""
        return self._on_disk and self._on_disk - self._keeper.saved_through(self.session.id)

    def context(self) -> Context:
        """Tokens the next request would hold. O(1): the tally, bettered by reported usage."""
        limit = self.defaults.limit
        window = self._models.told(self.choice).room or DEFAULT_WINDOW
        used, exact = self._scale.used(self.session, self.system, self.choice)
        return Context(used, min(window, limit) if limit else window, exact)

    def count(self, text: str) -> tuple[int, bool]:
        """Tokens of ``text`` for the model that answers next, and whether that is exact."""
        tokens, tokenizer = self._scale.meter.count(text, self.choice[1])
        return tokens, bool(tokenizer)

    def known(self, provider: str, model: str) -> Profile:
        """What is known of a model by now, without asking anybody."""
        return self._models.known((provider, model))

    def provider(self, name: str) -> Provider:
        return self._directory.provider(name)

    # -- the one door -------------------------------------------------------------------------

    def settle(self, entry: AnyEntry, hear: Ear) -> int:
        """Make ``entry`` part of the session. Returns its position.

        A session's first entry is its system prompt, unless there is to be none.
        """
        if not len(self.session) and self.defaults.system and not isinstance(entry, SystemSet):
            self.settle(SystemSet(text=self.defaults.system), hear)
        stamped = self._stamped(entry)
        self.session = fold(self.session, stamped)
        n = len(self.session)
        hear(Settled(n, stamped, self.session))
        if self._on_disk or isinstance(entry, UserSaid | Titled):
            self.hand_over()
        return n

    def hand_over(self) -> None:
        """Give the keeper what it has not been given; the first time, the whole session."""
        at = self._on_disk
        entries = tuple(self.session.entries[at:])
        if entries:
            self._keeper.append(self.session.birth, entries, at, self.session.headline())
            self._on_disk = len(self.session)

    def _stamped(self, entry: AnyEntry) -> AnyEntry:
        tokens, tokenizer = entry.tokens, entry.tokenizer
        if not tokens and isinstance(entry, UserSaid | AssistantSaid | ToolReturned):
            tokens, tokenizer = self._scale.entry(entry, self.choice[1])
        return msgspec.structs.replace(
            entry,
            id=entry.id or new_id(),
            at=entry.at or now(),
            tokens=tokens,
            tokenizer=tokenizer,
        )

    # -- talking ------------------------------------------------------------------------------

    async def say(self, text: str, hear: Ear, parts: Iterable[AnyPart] = ()) -> None:
        """The person says something; it is made safe, then answered."""
        if not self.session.provider:
            provider, model = self.choice
            self.settle(ModelChosen(provider=provider, model=model), hear)
        said = ((Text(text),) if text else ()) + tuple(parts)
        with self._stoppable() as stop:
            n = self.settle(UserSaid(parts=said), hear)
            await self._made_safe(n, hear)
            await self._turn(*self.choice, hear, stop)

    async def _made_safe(self, n: int, hear: Ear) -> None:
        """Wait until entry ``n`` is on stable storage, or it is known that it cannot be now."""
        if not await self._keeper.safe(self.session.id, n, SAVE_PATIENCE):
            hear(Notice("your message could not be saved yet; asking all the same", Level.WARNING))

    async def answer(self, hear: Ear, choice: tuple[str, str] | None = None) -> Outcome | None:
        """Ask the model to answer what the session holds. None when it could not be asked.

        ``choice`` names another (provider, model) for this once.
        """
        with self._stoppable() as stop:
            return await self._turn(*(choice or self.choice), hear, stop)

    @contextmanager
    def _stoppable(self) -> Iterator[asyncio.Event]:
        """While inside, `interrupt` sets the flag: from the first instant of a turn."""
        self._stop = asyncio.Event()
        try:
            yield self._stop
        finally:
            self._stop = None

    async def _turn(
        self, provider: str, model: str, hear: Ear, stop: asyncio.Event
    ) -> Outcome | None:
        """Ask until somebody answers, and settle that answer, or how the last one failed."""
        try:
            asked, outcome = await self._asking.ask(self, (provider, model), hear, stop)
        except CouldNotAsk as why:
            self._settle_failure(*why.key, why.error, hear)
            return None
        self._settle_answer(outcome, asked, hear)
        return outcome

    def request(self, key: Key, profile: Profile) -> Request:
        """What would be sent to ``key`` now. Raises UsageError where there is nothing to answer."""
        options = refusals.without(self.options, self._models.refused(key))
        built = requests.build(self.session, model=key[1], profile=profile, options=options)
        if not built.messages:
            raise UsageError("there is nothing to answer yet", hint="type a message first")
        return built

    def report_switch(self, hear: Ear) -> None:
        """Say what the model that answers next cannot take of this talk; now, and not again."""
        key = self.choice
        self._telling.anew(key)
        self._telling.losses(self.session, self.system, key, self._models.known(key), hear)

    def preview(self, text: str, parts: Iterable[AnyPart] = ()) -> tuple[Request, int, bool]:
        """What saying ``text`` would send, its tokens and whether they are exact. Sends nothing."""
        said = UserSaid(parts=((Text(text),) if text else ()) + tuple(parts))
        tokens, tokenizer = self._scale.entry(said, self.choice[1])
        session = self.session
        if not len(session) and self.defaults.system:
            session = fold(session, SystemSet(text=self.defaults.system))
        used, exact = self._scale.used(self.session, self.system, self.choice)
        built = requests.build(
            fold(session, said),
            model=self.choice[1],
            profile=self.known(*self.choice),
            options=self.options,
        )
        return built, used + tokens, exact and bool(tokenizer)

    async def learn_profile(self) -> None:
        """Ask what is known of the model that answers next, so that the window is true early."""
        await self._models.learn(self.choice)

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
        if self._on_disk:
            self._keeper.part_add(self.session.id, delta)
        hear(Heard(delta))

    def _settle_answer(self, outcome: Outcome, asked: Asked, hear: Ear) -> None:
        entry = answer(outcome, provider=asked.provider, model=asked.model)
        if outcome.error is not None:
            hear(failed(outcome.error))
        self._learn_from(asked, entry.usage.input or 0, hear)
        self.settle(msgspec.structs.replace(entry, id=asked.entry_id), hear)
        self.drop_part()

    def _learn_from(self, asked: Asked, reported: int, hear: Ear) -> None:
        """Better our counts by the server's, unless it left out some of the prompt."""
        if not reported or not asked.own_count:
            return
        if not self._telling.was_cut(self.session, asked, reported, hear):
            self._scale.meter.learn(asked.model, asked.own_count, reported)

    def _settle_failure(self, provider: str, model: str, error: ChinwagError, hear: Ear) -> None:
        hear(failed(error))
        if isinstance(error, UsageError):
            return
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

    # -- going back and on --------------------------------------------------------------------

    async def retry(self, hear: Ear, choice: tuple[str, str] | None = None) -> None:
        """Answer the last question anew; the old answer stays as a branch."""
        asked = next((n for n, e in self.session.back() if isinstance(e, UserSaid)), None)
        if asked is None:
            raise UsageError("there is nothing to retry yet", hint="type a message first")
        if asked != self.session.head:
            self.settle(Rewound(to=asked, why="retry"), hear)
        await self.answer(hear, choice)

    async def go_on(self, hear: Ear) -> None:
        """Ask the model to continue an answer that was cut."""
        if self.session.last_answer is None:
            raise UsageError("there is no answer to continue", hint="type a message first")
        await self.say(CONTINUE, hear)

    def undo(self, times: int, hear: Ear) -> str:
        """Take back ``times`` steps; returns what the person had said first among them."""
        to = self.session.before_last(times)
        if to is None:
            raise UsageError("there is nothing to take back", hint="/history shows what is there")
        lost = self.session.path_to(self.session.head)
        said = (self.session.entry(n) for n in lost if n > to)
        text = next((e.text for e in said if isinstance(e, UserSaid)), "")
        self.settle(Rewound(to=to, why="undo"), hear)
        return text

    def redo(self, hear: Ear) -> None:
        to = self.session.redo_target
        if to is None:
            raise UsageError("there is nothing to bring back", hint="/undo comes first")
        self.settle(Rewound(to=to, why="redo"), hear)

    def rewind(self, n: int, hear: Ear, why: str = "edit") -> None:
        """Move the head to node ``n`` (0 = the beginning): what comes next is a new branch."""
        self.settle(Rewound(to=n, why=why), hear)

    def clear(self, hear: Ear, *, keep_system: bool = True) -> None:
        self.settle(Cleared(keep_system=keep_system), hear)

    # -- what is in force ---------------------------------------------------------------------

    def choose(self, provider: str, model: str, hear: Ear) -> None:
        """From now on this model answers."""
        self._directory.provider(provider)  # raises where there is no such provider
        self.settle(ModelChosen(provider=provider, model=model), hear)

    def set_system(self, text: str, hear: Ear) -> None:
        self.settle(SystemSet(text=text), hear)

    def set_option(self, name: str, value: Any, hear: Ear) -> None:
        self.overrides = {k: v for k, v in self.overrides.items() if k != name}
        self.settle(OptionSet(name=name, value=value), hear)

    def rename(self, title: str, hear: Ear) -> None:
        self.settle(Titled(title=title), hear)

    # -- sessions -----------------------------------------------------------------------------

    async def begin(self, hear: Ear, title: str = "") -> None:
        """A new, empty session in front of the person; the old one stays where it is kept."""
        chosen = self.choice
        await self._let_go()
        self.session = begin()
        self._on_disk = 0
        self._telling.begin(self.session)
        if chosen != (self.defaults.provider, self.defaults.model):
            entry = ModelChosen(provider=chosen[0], model=chosen[1])
            self.session = fold_all(self.session, self._first_lines(entry))
        if title:
            lines = () if len(self.session) else self._first_lines()
            self.session = fold_all(self.session, (*lines, self._stamped(Titled(title=title))))
        hear(Opened(self.session))

    def _first_lines(self, *more: AnyEntry) -> tuple[AnyEntry, ...]:
        prompt = (SystemSet(text=self.defaults.system),) if self.defaults.system else ()
        return tuple(self._stamped(entry) for entry in (*prompt, *more))

    async def headers(self) -> list[Header]:
        """Every kept session, last used first."""
        return await self._keeper.call(lambda store: store.headers())

    async def open(self, session_id: str, hear: Ear) -> None:
        """Another session in front of the person. Raises StoreError's family, changing nothing."""
        if session_id == self.session.id and self._on_disk:
            hear(Opened(self.session))
            return
        stored = await self._keeper.call(lambda store: _locked_read(store, session_id))
        await self._let_go()
        self.adopt(stored, hear)

    def adopt(self, stored: Stored, hear: Ear) -> None:
        """Show what was read; an answer a crash had cut is settled as interrupted."""
        self.session = fold_all(Session(stored.birth), stored.entries)
        self._on_disk = len(self.session)
        self._telling.begin(self.session)
        self._keeper.opened(self.session.id, self._on_disk)
        hear(Opened(self.session))
        for notice in stored.notices:
            hear(Notice(notice, Level.WARNING))
        if stored.rescued is not None:
            self.settle(stored.rescued, hear)
            self._keeper.part_end(self.session.id)

    async def fork(self, hear: Ear, title: str = "") -> None:
        """A copy with a life of its own; the parent stays as it is."""
        old = self.session
        if not old.tally.messages:
            raise UsageError("there is nothing to fork yet", hint="type a message first")
        name = title or f"{old.title} (fork)"
        await self._let_go()
        fresh = begin(parent=old.id, parent_at=len(old))
        self.session = fold_all(fresh, old.entries)
        self._on_disk = 0
        self.settle(Titled(title=name), hear)
        hear(Opened(self.session))

    async def delete(self, session_id: str, hear: Ear) -> None:
        """Take a session away; deleting the open one leaves a new one in front."""
        if session_id == self.session.id:
            if not self._on_disk:
                raise SessionNotFound("this session is not saved yet: there is nothing to delete")
            await self._let_go()
            self.session = begin()
            self._on_disk = 0
            self._telling.begin(self.session)
            await self._keeper.call(lambda store: store.delete(session_id))
            hear(Opened(self.session))
            return
        await self._keeper.call(lambda store: store.delete(session_id))

    async def _let_go(self) -> None:
        """Others may write the session we leave."""
        if self._on_disk:
            old = self.session.id
            await self._keeper.call(lambda store: store.unlock(old))

    async def conflicted(self, hear: Ear) -> None:
        """Somebody else wrote our session: our words go on in a fork, nothing is lost."""
        name = f"{self.session.title} (conflict)"
        text = "another program changed this session: what you said since goes on in a fork"
        hear(Notice(text, Level.WARNING))
        lost = self.session.id
        await self.fork(hear, name)
        self._keeper.forget(lost)


def _locked_read(store: Any, session_id: str) -> Stored:
    store.lock(session_id)
    try:
        stored: Stored = store.read(session_id)
    except ChinwagError:
        store.unlock(session_id)
        raise
    return stored
