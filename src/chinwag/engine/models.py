"""What is known of the models one talks to: asked once, waited for a moment, kept for the run.

Invariant: nothing here is a reason to fail. A server that does not say what its model can do is
asked again in the next turn; what it refused in this run is remembered, and not sent again.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from chinwag.engine import refusals
from chinwag.engine.promises import Directory, Knowledge
from chinwag.errors import ChinwagError
from chinwag.providers.base import Counts, Profile, Provider, Request

COUNT_PATIENCE = 1.0  # seconds to wait for a server that can count
PROFILE_PATIENCE = 1.0  # seconds a first request waits to learn what its model can do

Key = tuple[str, str]
"""(provider, model)"""


class Models:
    """Profiles and refusals by (provider, model)."""

    def __init__(self, directory: Directory, knowledge: Knowledge) -> None:
        self._directory = directory
        self._knowledge = knowledge
        self._profiles: dict[Key, Profile] = {}
        self._asking: dict[Key, asyncio.Future[Profile]] = {}
        self._refused: dict[Key, tuple[str, ...]] = {}  # learnt in this run
        self._narrow: dict[Key, int] = {}  # windows that refusals have told of, in tokens
        self._looked: set[Key] = set()

    def told(self, key: Key) -> Profile:
        """What its server has said by now; what is known otherwise, once it was asked in vain.

        Nothing is looked up before: that would cost a start its first paint.
        """
        return self.known(key) if key in self._looked else Profile()

    def known(self, key: Key) -> Profile:
        """What is known of a model by now, without asking anybody."""
        found = self._profiles.get(key)
        if found is None:
            found = self._knowledge.profile(*key, Profile())
        if refusals.PICTURES in self.refused(key):
            found = msgspec.structs.replace(found, sees=False)
        if refusals.TOOLS in self.refused(key):
            found = msgspec.structs.replace(found, tools=False)
        if (limit := self._narrow.get(key)) and limit < (found.room or limit + 1):
            found = msgspec.structs.replace(found, window=limit)
        return found

    def refused(self, key: Key) -> tuple[str, ...]:
        return self._refused.get(key, ())

    def learn_refusal(self, key: Key, name: str) -> None:
        self._refused[key] = (*self.refused(key), name)

    def narrow(self, key: Key, limit: int) -> None:
        """The server has refused a request: it holds no more than ``limit`` tokens."""
        self._narrow[key] = min(limit, self._narrow.get(key, limit))

    async def profile(self, provider: Provider, model: str, stop: asyncio.Event) -> Profile:
        """What is known of the model; asked once, waited for a moment or until ``stop``."""
        key = (provider.name, model)
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.ensure_future(provider.profile(model))
            asking.add_done_callback(_looked_at)
        if not asking.done():
            await _moment(asking, stop)
        if asking.done() and key not in self._profiles:
            said = _said(asking)
            if said is None:
                self._asking.pop(key, None)  # asked again in the next turn
            else:
                self._profiles[key] = self._knowledge.profile(*key, said)
        self._looked.add(key)
        return self.known(key)

    async def counted(self, key: Key, request: Request) -> int | None:
        """Tokens of ``request`` as the server itself counts; None where it does not say so soon."""
        try:
            provider = self._directory.provider(key[0])
            if not isinstance(provider, Counts):
                return None
            async with asyncio.timeout(COUNT_PATIENCE):
                return await provider.count(request)
        except (ChinwagError, TimeoutError):
            return None

    async def learn(self, key: Key) -> None:
        """Ask what is known of a model, so that its window is true early."""
        try:
            provider = self._directory.provider(key[0])
        except ChinwagError:
            return
        await self.profile(provider, key[1], asyncio.Event())


async def _moment(asking: asyncio.Future[Profile], stop: asyncio.Event) -> None:
    stopping = asyncio.ensure_future(stop.wait())
    both: set[asyncio.Future[Any]] = {asking, stopping}
    await asyncio.wait(both, timeout=PROFILE_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()


def _looked_at(asking: asyncio.Future[Profile]) -> None:
    """Nobody may be waiting any more when it fails: that is no event for a log."""
    if not asking.cancelled():
        asking.exception()


def _said(asking: asyncio.Future[Profile]) -> Profile | None:
    """What was found out; None where the server could not say now."""
    if asking.cancelled() or isinstance(asking.exception(), ChinwagError):
        return None
    return asking.result()
