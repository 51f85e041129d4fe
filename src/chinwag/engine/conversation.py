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
from functools import partial
from typing import Any

import msgspec

from chinwag.engine import refusals, switching
from chinwag.engine import request as requests
from chinwag.engine.options import merged
from chinwag.engine.promises import Directory, Keeper, Knowledge, Meter, Nothing, Retrying
from chinwag.engine.turn import Outcome, answer, listen
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
    Spoken,
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
    Requested,
    Settled,
    Waiting,
    failed,
)
from chinwag.talk.message import AnyPart, Call, File, Result, Text, Thinking
from chinwag.talk.session import Header, Session, begin, fold, fold_all

DEFAULT_WINDOW = 32_768
MESSAGE_OVERHEAD = 4  # tokens a chat template spends on one message: role and marks
PROFILE_PATIENCE = 1.0  # seconds a first request waits to learn what its model can do
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


class _Asked(msgspec.Struct, frozen=True):
    """One request of a turn: whom, what, our own raw count of it, and the id of its entry."""

    provider: str
    model: str
    request: Request
    own_count: int
    entry_id: str

    @property
    def who(self) -> str:
        return f"{self.provider}/{self.model}"


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
        self._meter = meter
        self._retrying = retrying
        self._clock = clock
        self._knowledge = knowledge or Nothing()
        self._fallback = tuple(fallback)
        self.defaults = defaults
        self.overrides: Mapping[str, Any] = {}  # options of the command line: never written
        self.session: Session = begin()
        self._on_disk = 0  # entries handed to the keeper; 0 = the session is not born there
        self._stop: asyncio.Event | None = None
        self._profiles: dict[tuple[str, str], Profile] = {}
        self._asking: dict[tuple[str, str], asyncio.Future[Profile]] = {}
        self._refused: dict[tuple[str, str], tuple[str, ...]] = {}  # learnt in this run
        self._known_to: tuple[str, str] | None = None  # who has had the talk so far
        self._told_at = 0  # the newest entry whose losses were looked at
        self._reported: dict[tuple[str, str], str] = {}  # what was said of each switch
        self._cut_told: set[tuple[str, str]] = set()

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
        provider, model = self.choice
        limit = self.defaults.limit
        window = self._profiles.get((provider, model), Profile()).room or DEFAULT_WINDOW
        used, exact = self._used(provider, model)
        return Context(used, min(window, limit) if limit else window, exact)

    def _used(self, provider: str, model: str) -> tuple[int, bool]:
        base, since, exact = 0, 0, True
        for n, entry in self.session.back():
            if isinstance(entry, AssistantSaid) and _reported(entry, provider, model):
                usage = entry.usage
                base = (usage.input or 0) + (usage.output or 0) - (usage.reasoning or 0)
                since = self.session.tally.tokens - self.session.tally_at(n).tokens
                exact = since == 0 or bool(self._tokenizer_of(model))
                return base + since, exact
            if isinstance(entry, Cleared):
                break
            if n < self.session.head - 8:
                break
        whole, tokenizers = self._counted(model)
        if not whole or ("" not in tokenizers and len(tokenizers) <= 1):
            return whole, True
        return self._meter.corrected(model, whole), False

    def _counted(self, model: str) -> tuple[int, set[str]]:
        """Our own count of the prompt, and the tokenizers that made it. O(1) but for the system."""
        tally = self.session.tally
        tokens, by = self._meter.count(self.system, model) if self.system else (0, None)
        whole = tally.tokens + (tokens + MESSAGE_OVERHEAD if self.system else 0)
        return whole, {name for name in (by, tally.tokenizer) if name is not None}

    def _tokenizer_of(self, model: str) -> str:
        return self._meter.count("a", model)[1]

    def count(self, text: str) -> tuple[int, bool]:
        """Tokens of ``text`` for the model that answers next, and whether that is exact."""
        tokens, tokenizer = self._meter.count(text, self.choice[1])
        return tokens, bool(tokenizer)

    def known(self, provider: str, model: str) -> Profile:
        """What is known of a model by now, without asking anybody."""
        found = self._profiles.get((provider, model))
        if found is None:
            found = self._knowledge.profile(provider, model, Profile())
        if refusals.PICTURES in self._refused.get((provider, model), ()):
            found = msgspec.structs.replace(found, sees=False)
        return found

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
            tokens, tokenizer = self._count_entry(entry)
        return msgspec.structs.replace(
            entry,
            id=entry.id or new_id(),
            at=entry.at or now(),
            tokens=tokens,
            tokenizer=tokenizer,
        )

    def _count_entry(self, entry: UserSaid | AssistantSaid | ToolReturned) -> tuple[int, str]:
        parts = (entry.result,) if isinstance(entry, ToolReturned) else entry.parts
        text = "\n".join(filter(None, map(_countable, parts)))
        tokens, tokenizer = self._meter.count(text, self.choice[1])
        # An answer of which nothing came is not sent, and costs nothing.
        return (tokens + MESSAGE_OVERHEAD if parts else 0), tokenizer

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
        self, provider_name: str, model: str, hear: Ear, stop: asyncio.Event
    ) -> Outcome | None:
        """Ask until somebody answers, and settle that answer, or how the last one failed."""
        others = self._others(provider_name, model, hear)
        while True:
            try:
                provider = self._directory.provider(provider_name)
                profile = await self._profile(provider, model, stop)
                self._say_losses(provider_name, model, profile, hear)
                request = self._request(provider_name, model, profile)
            except ChinwagError as error:
                self._settle_failure(provider_name, model, error, hear)
                return None
            own_count, _ = self._counted(model)
            entry_id = self._begin_part(provider_name, model)
            asked = _Asked(provider_name, model, request, own_count, entry_id)
            outcome = await self._heard_out(provider, asked, hear, stop)
            failed_first = outcome.status is Status.FAILED and not stop.is_set()
            gives_way = failed_first and switching.gives_way(outcome.error)
            after = next(others, None) if gives_way else None
            if after is None:
                break
            self._say_fallback(asked, outcome, after, hear)
            provider_name, model = after
        self._settle_answer(outcome, asked, hear)
        return outcome

    async def _heard_out(
        self, provider: Provider, asked: _Asked, hear: Ear, stop: asyncio.Event
    ) -> Outcome:
        """One model's answer; what it refuses of the request is left out and asked again."""
        request = asked.request
        while True:
            hear(Requested(asked.provider, asked.model, *self._estimate(asked.model)))
            outcome = await listen(
                self._retrying(
                    partial(provider.stream, request), lambda why, s: hear(Waiting(why, s))
                ),
                lambda delta: self._uttered(delta, hear),
                stop,
                self._clock,
            )
            again = self._learnt(asked, request, outcome, hear)
            if again is None:
                return outcome
            request = again

    def _learnt(self, asked: _Asked, sent: Request, outcome: Outcome, hear: Ear) -> Request | None:
        """The request without what the server has just refused; None where it refused nothing."""
        key = (asked.provider, asked.model)
        before = self._refused.get(key, ())
        name = refusals.refused(outcome.error, sent) if outcome.draft.is_empty else ""
        if name == "max_tokens" and refusals.renamed(outcome.error):
            name = refusals.LIMIT_NAMED_OTHERWISE
        if not name or name in before:
            return None
        self._refused[key] = (*before, name)
        hear(Notice(refusals.told(name, asked.who), Level.WARNING))
        return self._request(*key, self.known(*key))

    def _others(self, provider: str, model: str, hear: Ear) -> Iterator[tuple[str, str]]:
        """The models of the configuration that may answer instead, in its order."""
        seen = {(provider, model)}
        for name in self._fallback:
            try:
                found = self._directory.find(name)
                self._directory.provider(found[0])
            except ChinwagError as error:
                hear(Notice(f"fallback {name}: {error.message}", Level.WARNING))
                continue
            if found not in seen:
                seen.add(found)
                yield found

    def _say_fallback(
        self, asked: _Asked, outcome: Outcome, after: tuple[str, str], hear: Ear
    ) -> None:
        if self._on_disk:
            self._keeper.part_end(self.session.id)
        reason = outcome.error.message if outcome.error else ""
        text = f"{asked.who} cannot answer ({reason}); asking {'/'.join(after)} instead"
        hear(Notice(text, Level.WARNING))

    def _request(self, provider: str, model: str, profile: Profile) -> Request:
        refused = self._refused.get((provider, model), ())
        options = refusals.without(self.options, refused)
        built = requests.build(self.session, model=model, profile=profile, options=options)
        if not built.messages:
            raise UsageError("there is nothing to answer yet", hint="type a message first")
        return built

    def report_switch(self, hear: Ear) -> None:
        """Say what the model that answers next cannot take of this talk; now, and not again."""
        self._reported.pop(self.choice, None)
        self._known_to = None
        self._say_losses(*self.choice, self.known(*self.choice), hear)

    def _say_losses(self, provider: str, model: str, profile: Profile, hear: Ear) -> None:
        """Before the first request to a model: what it cannot take of all that was said; after
        that, of the newest message only."""
        key, terms = (provider, model), self._knowledge.terms(provider)
        newest = next(((n, e) for n, e in self.session.back() if isinstance(e, Spoken)), None)
        if newest is None:
            return
        if key != self._known_to:
            said = self.session.said()
            lost = switching.losses(said, provider, profile, terms, self._room(key, profile))
            text = switching.report("/".join(key), lost)
            again = text == self._reported.get(key)
            self._reported[key] = text
        else:
            lost = switching.media([newest[1]], profile, terms)
            text = switching.report("/".join(key), lost)
            again = newest[0] <= self._told_at
        self._known_to, self._told_at = key, newest[0]
        if text and not again:
            grave = any(loss.grave for loss in lost)
            hear(Notice(text, Level.WARNING if grave else Level.INFO))

    def _room(self, key: tuple[str, str], profile: Profile) -> switching.Room:
        used, exact = self._used(*key)
        return switching.Room(used, profile.room or 0, exact)

    def preview(self, text: str, parts: Iterable[AnyPart] = ()) -> tuple[Request, int, bool]:
        """What saying ``text`` would send, its tokens and whether they are exact. Sends nothing."""
        said = UserSaid(parts=((Text(text),) if text else ()) + tuple(parts))
        tokens, tokenizer = self._count_entry(said)
        session = self.session
        if not len(session) and self.defaults.system:
            session = fold(session, SystemSet(text=self.defaults.system))
        used, exact = self._used(*self.choice)
        built = requests.build(
            fold(session, said),
            model=self.choice[1],
            profile=self.known(*self.choice),
            options=self.options,
        )
        return built, used + tokens, exact and bool(tokenizer)

    def _estimate(self, model: str) -> tuple[int, bool]:
        """Tokens the request will hold as far as is known, and whether that is exact."""
        used, exact = self._used(*self.choice)
        return used, exact and model == self.choice[1]

    async def _profile(self, provider: Provider, model: str, stop: asyncio.Event) -> Profile:
        """What is known of the model; asked once, waited for a moment, never a reason to fail."""
        key = (provider.name, model)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(provider.profile(model))
            asking.add_done_callback(_looked_at)
        if not asking.done():
            stopping = asyncio.ensure_future(stop.wait())
            both: set[asyncio.Future[Any]] = {asking, stopping}
            await asyncio.wait(both, timeout=PROFILE_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
        if asking.done():
            known = _known(asking)
            if known is None:
                self._asking.pop(key, None)  # asked again in the next turn
            else:
                self._profiles[key] = self._knowledge.profile(*key, known)
        return self.known(*key)

    async def learn_profile(self) -> None:
        """Ask what is known of the model that answers next, so that the window is true early."""
        provider_name, model = self.choice
        try:
            provider = self._directory.provider(provider_name)
        except ChinwagError:
            return
        await self._profile(provider, model, asyncio.Event())

    def _begin_part(self, provider: str, model: str) -> str:
        """Tell the keeper that an answer comes in: a kill then loses a second of it at most."""
        entry_id = new_id()
        head = PartHead(len(self.session) + 1, entry_id, now(), provider, model)
        if self._on_disk:
            self._keeper.part_begin(self.session.id, head)
        return entry_id

    def _uttered(self, delta: AnyDelta, hear: Ear) -> None:
        if self._on_disk:
            self._keeper.part_add(self.session.id, delta)
        hear(Heard(delta))

    def _settle_answer(self, outcome: Outcome, asked: _Asked, hear: Ear) -> None:
        entry = answer(outcome, provider=asked.provider, model=asked.model)
        if outcome.error is not None:
            hear(failed(outcome.error))
        reported = entry.usage.input
        if reported and asked.own_count and not self._was_cut(asked, reported, hear):
            self._meter.learn(asked.model, asked.own_count, reported)
        self.settle(msgspec.structs.replace(entry, id=asked.entry_id), hear)
        if self._on_disk:
            self._keeper.part_end(self.session.id)

    def _was_cut(self, asked: _Asked, reported: int, hear: Ear) -> bool:
        """Whether a local server has left out some of the prompt without saying so; said once."""
        terms = self._knowledge.terms(asked.provider)
        whole = self._meter.corrected(asked.model, asked.own_count)
        if not terms.local or not switching.looks_cut(whole, reported, known=True):
            return False
        sent, exact, known = self._sent(asked)
        fits = switching.counts_news_only(reported, switching.news(self.session.said()))
        if fits or not switching.looks_cut(sent, reported, known=known):
            return False
        key = (asked.provider, asked.model)
        if key not in self._cut_told:
            self._cut_told.add(key)
            text = switching.cut_notice(asked.who, sent, reported, terms, exact=exact)
            hear(Notice(text, Level.WARNING))
        return True

    def _sent(self, asked: _Asked) -> tuple[int, bool, bool]:
        """Tokens of what was really sent (no thinking), whether exact, whether worth trusting.

        Every word is counted anew: for the rare case that a report looks wrong.
        """
        parts = (p for m in asked.request.messages for p in m.parts if not isinstance(p, Thinking))
        text = "\n".join([asked.request.system, *filter(None, map(_countable, parts))])
        tokens, tokenizer = self._meter.count(text, asked.model)
        if tokenizer:
            return tokens, True, True
        bettered = self._meter.corrected(asked.model, tokens)
        return bettered, False, bettered != tokens

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
        self._known_to = None
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
        last = self.session.last_answer
        self._known_to = (last.provider, last.model) if last else None
        self._told_at = self.session.head
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
            self._known_to = None
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


def _reported(entry: AssistantSaid, provider: str, model: str) -> bool:
    """Whether this answer carries the server's own count for the model that answers next."""
    same = entry.provider == provider and entry.model == model
    return same and bool(entry.usage.input) and entry.status is Status.COMPLETE


def _looked_at(asking: asyncio.Future[Profile]) -> None:
    """Nobody may be waiting any more when it fails: that is no event for a log."""
    if not asking.cancelled():
        asking.exception()


def _known(asking: asyncio.Future[Profile]) -> Profile | None:
    """What was found out; None where the server could not say now."""
    if asking.cancelled() or isinstance(asking.exception(), ChinwagError):
        return None
    return asking.result()


def _countable(part: AnyPart) -> str:
    match part:
        case Text(text=text) | Thinking(text=text):
            return text
        case Call(name=name, arguments=arguments):
            return f"{name} {arguments}"
        case Result(content=content):
            return content
        case File(text=text):
            return text
        case _:
            return ""
