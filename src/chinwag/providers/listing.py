"""Which models each provider has, asked or remembered: a picker need not wait for servers.

Invariants: a list is what a server said, with the address that said it and when; it never outlives
a change of address. A server on this machine is always asked and never remembered. What stood for
a server, and who could not be asked, is told with the list. What cannot be read is as if it were
not there, and what cannot be written is no failure: the file is a convenience.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

import msgspec

from chinwag.errors import ChinwagError
from chinwag.providers.base import ModelInfo, Provider

FRESH: Final = 24 * 3600.0
"""Seconds for which a list stands for its server unasked."""
PATIENCE: Final = 3.0
"""Seconds every provider together may take."""


class Listed(msgspec.Struct, frozen=True):
    """What the server at ``address`` listed ``at`` (wall clock, seconds since 1970)."""

    address: str
    at: float
    models: tuple[ModelInfo, ...]

    def is_fresh(self, now: float) -> bool:
        """Whether it is of the last day; a clock that was set back makes it stale."""
        return 0 <= now - self.at < FRESH


Lists = dict[str, Listed]
_LISTS: Final = msgspec.json.Decoder(Lists)


class Found(msgspec.Struct, frozen=True):
    """``models`` of everybody; ``kept`` names whose list is an older one and when it was made;
    ``silent`` whom nobody could ask now, and why.
    """

    models: tuple[ModelInfo, ...] = ()
    kept: dict[str, float] = {}
    silent: dict[str, str] = {}


class Asked(Protocol):
    """What is needed of the catalog."""

    def provider(self, name: str) -> Provider: ...

    def learn(self, name: str, models: Iterable[str]) -> None: ...


class Listing:
    """Asks, and remembers. ``load`` and ``save`` read and write the file; they are run in a thread
    and may raise nothing. ``is_here`` says of a provider whether it is on this machine.
    """

    def __init__(
        self,
        directory: Asked,
        *,
        load: Callable[[], bytes],
        save: Callable[[bytes], None],
        is_here: Callable[[str], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._load = load
        self._save = save
        self._is_here = is_here
        self._clock = clock

    async def find(self, addresses: Mapping[str, str], *, anew: bool = False) -> Found:
        """The models of the providers in ``addresses`` (name to address), in that order.

        ``anew`` asks everybody; a list that is not fresh is then used for nobody who answers.
        """
        before = _mine(read(await asyncio.to_thread(self._load)), addresses)
        now = self._clock()
        trusted = {} if anew else {n: k for n, k in before.items() if k.is_fresh(now)}
        told = await self._asked([name for name in addresses if name not in trusted])
        lists = {n: t for n, t in told.items() if not isinstance(t, str)}
        await self._remember(before, lists, addresses)
        kept = {n: k for n, k in before.items() if n not in lists}
        offered = {**{n: k.models for n, k in kept.items()}, **lists}
        for name, models in offered.items():
            self._directory.learn(name, [info.name for info in models])
        return Found(
            tuple(info for name in addresses for info in offered.get(name, ())),
            {name: listed.at for name, listed in kept.items()},
            {n: t for n, t in told.items() if isinstance(t, str)},
        )

    async def _asked(self, names: list[str]) -> dict[str, tuple[ModelInfo, ...] | str]:
        """What each said, or why it said nothing."""
        if not names:
            return {}
        asking = {name: asyncio.ensure_future(self._ask(name)) for name in names}
        _, late = await asyncio.wait(asking.values(), timeout=PATIENCE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        slow = f"no answer within {PATIENCE:g} s"
        return {n: slow if task in late else task.result() for n, task in asking.items()}

    async def _ask(self, name: str) -> tuple[ModelInfo, ...] | str:
        try:
            return tuple(await self._directory.provider(name).models())
        except ChinwagError as error:
            return error.message

    async def _remember(
        self,
        before: Lists,
        told: Mapping[str, tuple[ModelInfo, ...]],
        addresses: Mapping[str, str],
    ) -> None:
        now = self._clock()
        fresh = {
            name: Listed(addresses[name], now, models)
            for name, models in told.items()
            if models and not self._is_here(name)
        }
        if fresh:
            await asyncio.to_thread(self._save, written({**before, **fresh}))


def _mine(lists: Lists, addresses: Mapping[str, str]) -> Lists:
    """Those that came from the addresses which are asked now."""
    return {n: k for n, k in lists.items() if k.address == addresses.get(n)}


def read(data: bytes) -> Lists:
    """The lists in ``data``; none where it cannot be read."""
    try:
        return _LISTS.decode(data or b"{}")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def written(lists: Lists) -> bytes:
    return msgspec.json.encode(lists, order="sorted")
