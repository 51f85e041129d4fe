"""`chat.warm`: have a server keep what it has read of this talk, so that resuming is quick (F022,
F072, F073).

Invariants: the session is the truth, and this only saves time; a talk that was saved or restored in
a slot goes on in that slot; another model, or another way to run it, reads everything anew.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from chinwag.frontends.face.core import Core
from chinwag.providers.warm import Level, Warmth

Run = Callable[[Coroutine[Any, Any, Warmth]], Warmth]


class Warm:
    """For `Chat`. ``slot`` is the llama.cpp server's slot in which the talk goes on."""

    def __init__(self, core: Core, run: Run) -> None:
        self._core = core
        self._run = run

    @property
    def level(self) -> Level:
        """none, hint (cached by itself), keep (stays loaded) or snapshot (on the server's disk)."""
        return self._core.warm_level()

    def save(self, name: str = "", *, slot: int = 0) -> Warmth:
        """Have the server keep what it has read. Raises UsageError where it offers no such thing,
        ProviderError's family."""
        return self._run(self._core.warm_save(name, slot))

    def restore(self, name: str = "", *, slot: int = 0) -> Warmth:
        """Have it read back; ``name`` is the id of the session that was saved, this one's unless
        said. Whether it helped is in the next reply: ``usage.cached``."""
        return self._run(self._core.warm_restore(name, slot))


class AsyncWarm:
    """For `AsyncChat`."""

    def __init__(self, core: Core) -> None:
        self._core = core

    @property
    def level(self) -> Level:
        return self._core.warm_level()

    async def save(self, name: str = "", *, slot: int = 0) -> Warmth:
        return await self._core.warm_save(name, slot)

    async def restore(self, name: str = "", *, slot: int = 0) -> Warmth:
        return await self._core.warm_restore(name, slot)
