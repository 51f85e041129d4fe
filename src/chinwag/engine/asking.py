"""Who is asked for one answer: the model chosen, again without what it refuses, or another instead.

Invariants: only a model of which nothing was heard gives way to the next of the fallback list; each
refused thing is left out once and said; what is asked is built from the session as it is at that
moment. Settling the answer is the conversation's work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

from chinwag.engine import refusals, switching
from chinwag.engine.models import Key, Models
from chinwag.engine.promises import Directory, Retrying
from chinwag.engine.scale import Scale
from chinwag.engine.telling import Asked, Telling
from chinwag.engine.turn import Outcome, listen
from chinwag.errors import ChinwagError, ContextOverflow
from chinwag.providers.base import Leave, Profile, Provider, Request
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import Status
from chinwag.talk.event import Ear, Level, Notice, Requested, Waiting
from chinwag.talk.session import Session
from chinwag.talk.tool import ToolSpec


class Asks(Protocol):
    """What the conversation gives to whoever asks for it."""

    @property
    def session(self) -> Session: ...

    @property
    def system(self) -> str: ...

    @property
    def tools(self) -> Sequence[ToolSpec]:
        """What is offered, in whatever form the model is told of it."""
        ...

    def request(self, key: Key, profile: Profile) -> Request:
        """Raises UsageError where there is nothing to answer."""
        ...

    async def make_room(self, key: Key, hear: Ear, stop: asyncio.Event) -> None:
        """Raises ContextOverflow where what has to be sent cannot fit."""
        ...

    def spends(self, key: Key) -> None:
        """A request is about to leave. Raises BudgetSpent where it may not."""
        ...

    def begin_part(self, key: Key) -> str:
        """An answer will come in; returns the id of its entry."""
        ...

    def drop_part(self) -> None: ...

    def uttered(self, delta: AnyDelta, hear: Ear) -> None: ...


class CouldNotAsk(Exception):
    """The world's reason why nothing could be sent to ``key``."""

    def __init__(self, key: Key, error: ChinwagError) -> None:
        super().__init__(error.message)
        self.key = key
        self.error = error


class Asking:
    """Asks models; see the module's promise."""

    def __init__(
        self,
        *,
        directory: Directory,
        models: Models,
        scale: Scale,
        telling: Telling,
        retrying: Retrying,
        clock: Callable[[], float] = time.monotonic,
        fallback: Sequence[str] = (),
    ) -> None:
        self._directory = directory
        self._models = models
        self._scale = scale
        self._telling = telling
        self._retrying = retrying
        self._clock = clock
        self._fallback = tuple(fallback)

    async def ask(
        self, asks: Asks, key: Key, hear: Ear, stop: asyncio.Event, leave: Leave
    ) -> tuple[Asked, Outcome]:
        """Ask until somebody answers; the last one's answer, or how it failed.

        Raises CouldNotAsk where a request could not even be made.
        """
        others = self._others(key, hear)
        too_long: set[Key] = set()
        while True:
            try:
                provider = self._directory.provider(key[0])
                profile = await self._models.profile(provider, key[1], stop)
                await asks.make_room(key, hear, stop)
                self._telling.losses(asks.session, asks.system, key, profile, hear)
                request = asks.request(key, profile)
                asks.spends(key)
            except ChinwagError as error:
                raise CouldNotAsk(key, error) from error
            own_count, _ = self._scale.own(asks.session, asks.system, key[1], asks.tools)
            asked = Asked(*key, request, own_count, asks.begin_part(key))
            outcome = await self._heard_out(asks, provider, asked, hear, stop, leave)
            failed_first = outcome.status is Status.FAILED and not stop.is_set()
            if failed_first and key not in too_long and self._learnt_size(asked, outcome):
                too_long.add(key)
                asks.drop_part()
                hear(Notice(_too_long(asked, outcome), Level.WARNING))
                continue
            gives_way = failed_first and switching.gives_way(outcome.error)
            after = next(others, None) if gives_way else None
            if after is None:
                return asked, outcome
            asks.drop_part()
            hear(Notice(_instead(asked, outcome, after), Level.WARNING))
            key = after

    async def _heard_out(
        self,
        asks: Asks,
        provider: Provider,
        asked: Asked,
        hear: Ear,
        stop: asyncio.Event,
        leave: Leave,
    ) -> Outcome:
        """One model's answer; what it refuses of the request is left out and asked again."""
        request = asked.request
        while True:
            used, exact = self._scale.used(asks.session, asks.system, asked.key, asks.tools)
            hear(Requested(asked.provider, asked.model, used, exact))
            outcome = await listen(
                self._retrying(
                    partial(provider.stream, request, leave), lambda why, s: hear(Waiting(why, s))
                ),
                lambda delta: asks.uttered(delta, hear),
                stop,
                self._clock,
            )
            name = self._refused_now(asked, request, outcome)
            if not name:
                return outcome
            self._models.learn_refusal(asked.key, name)
            hear(Notice(refusals.told(name, asked.who), Level.WARNING))
            request = asks.request(asked.key, self._models.known(asked.key))

    def _learnt_size(self, asked: Asked, outcome: Outcome) -> bool:
        """Whether the request was refused as too long, in numbers that were news to us: asked again
        after them, it will be made to fit."""
        error = outcome.error
        if not isinstance(error, ContextOverflow) or not outcome.draft.is_empty:
            return False
        fixed = self._scale.fixed(asked.request.system, asked.request.tools, asked.model)
        held = asked.own_count - fixed
        before = self._models.known(asked.key).room, self._scale.bettered(asked.key, fixed, held)
        if error.limit:
            self._models.narrow(asked.key, error.limit)
        if error.asked:
            self._scale.learn(asked.key, fixed, held, error.asked)
        after = self._models.known(asked.key).room, self._scale.bettered(asked.key, fixed, held)
        return before != after

    def _refused_now(self, asked: Asked, sent: Request, outcome: Outcome) -> str:
        """What of the request the server has just refused; "" where nothing new."""
        name = refusals.refused(outcome.error, sent) if outcome.draft.is_empty else ""
        if name == "max_tokens" and refusals.renamed(outcome.error):
            name = refusals.LIMIT_NAMED_OTHERWISE
        return name if name not in self._models.refused(asked.key) else ""

    def _others(self, key: Key, hear: Ear) -> Iterator[Key]:
        """The models of the configuration that may answer instead, in its order."""
        seen = {key}
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


def _too_long(asked: Asked, outcome: Outcome) -> str:
    reason = outcome.error.message if outcome.error else ""
    return f"{asked.who} refused it: {reason}; making room and asking again"


def _instead(asked: Asked, outcome: Outcome, after: Key) -> str:
    reason = outcome.error.message if outcome.error else ""
    return f"{asked.who} cannot answer ({reason}); asking {'/'.join(after)} instead"
