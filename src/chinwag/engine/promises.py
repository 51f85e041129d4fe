"""What the engine asks of the rooms below, as protocols: it names no concrete class.

Invariant: everything here can be replaced in a test by a few lines.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Protocol, TypeVar

from chinwag.providers.base import Profile, Provider, Terms
from chinwag.stores.base import PartHead, SessionStore
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Headline

T = TypeVar("T")


class Keeper(Protocol):
    """Who saves: the saver thread, or memory in a private talk. Nothing here blocks."""

    @property
    def private(self) -> bool:
        """Whether memory alone keeps what is handed over now."""
        ...

    def hide(self) -> None:
        """From now on memory alone keeps what is handed over."""
        ...

    def reveal(self) -> None:
        """From now on it is saved again."""
        ...

    async def erase(self, session_id: str) -> None:
        """Remove for good what was saved of a session, its deleted forms included."""
        ...

    def opened(self, session_id: str, through: int) -> None:
        """The session was read: ``through`` entries are safe already."""
        ...

    def forget(self, session_id: str) -> None:
        """What could not be written into this session has been saved elsewhere."""
        ...

    def append(
        self, birth: Birth, entries: tuple[AnyEntry, ...], at: int, headline: Headline
    ) -> None: ...

    async def safe(self, session_id: str, through: int, timeout: float | None) -> bool: ...

    def saved_through(self, session_id: str) -> int: ...

    def part_begin(self, session_id: str, head: PartHead) -> None: ...

    def part_add(self, session_id: str, delta: AnyDelta) -> None: ...

    def part_end(self, session_id: str) -> None: ...

    async def call(self, fn: Callable[[SessionStore], T]) -> T: ...

    async def look(self, fn: Callable[[SessionStore], T]) -> T:
        """The same on what is kept for good, in a private talk too: ``fn`` only reads."""
        ...

    def kick(self) -> None: ...


class Directory(Protocol):
    """Who can answer: the catalog."""

    def provider(self, name: str) -> Provider: ...

    def find(self, text: str) -> tuple[str, str]:
        """`provider/model`, `provider:model`, a model or an alias to (provider, model)."""
        ...


class Meter(Protocol):
    """How many tokens something is. ``tokenizer`` is "" for an estimate."""

    def count(self, text: str, model: str) -> tuple[int, str]: ...

    def learn(self, model: str, estimated: int, reported: int) -> None: ...

    def corrected(self, model: str, estimated: int) -> int:
        """An estimate for ``model`` bettered by what servers have reported."""
        ...


class Knowledge(Protocol):
    """What is known of models besides what their servers say. Nothing here waits or fails."""

    def profile(self, provider: str, model: str, told: Profile) -> Profile:
        """``told`` (what the server itself said) bettered by configuration, its gaps filled."""
        ...

    def terms(self, provider: str) -> Terms:
        """What the provider takes of a history, and whether it is on this machine."""
        ...


class Nothing:
    """The knowledge of whoever has only the servers to ask."""

    def profile(self, provider: str, model: str, told: Profile) -> Profile:  # noqa: ARG002
        return told

    def terms(self, provider: str) -> Terms:  # noqa: ARG002
        return Terms()


Opener = Callable[[], AsyncGenerator[AnyDelta, None]]
#: Opens a stream, again where that helps, until its first content; tells (reason, seconds) waits.
Retrying = Callable[[Opener, Callable[[str, float], None]], AsyncGenerator[AnyDelta, None]]
