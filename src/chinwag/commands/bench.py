"""What a command works on: the conversation, and the few doors to the world beside it.

Invariants: everything here is handed over by wiring and can be replaced in a test by a few lines;
no concrete class of a lower room is named. A command touches no file itself: ``Files`` does, off
the loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from typing import Protocol

import msgspec

from chinwag.context.pricing import Owed
from chinwag.engine.conversation import Conversation
from chinwag.engine.promises import Directory, Keeper
from chinwag.errors import ChinwagError
from chinwag.providers.base import ModelInfo
from chinwag.talk.session import Session


class Catalog(Directory, Protocol):
    """The directory, with what a chooser shows besides."""

    @property
    def names(self) -> Sequence[str]:
        """Every provider that may be named, best known first."""
        ...


class Files(Protocol):
    """Reading and writing what a person names. Paths come as typed: ``~`` is for it to expand."""

    async def write_text(self, path: str, text: str, *, overwrite: bool) -> str:
        """Write ``text`` (UTF-8, mode 0600, no symbolic link followed); returns the full path.

        Raises FileExistsError when something is there and ``overwrite`` is false, else OSError.
        """
        ...

    async def read_text(self, path: str, limit: int) -> str:
        """At most ``limit`` bytes of UTF-8. Raises OSError, or ValueError saying what is wrong."""
        ...


async def _no_problem(_: str) -> ChinwagError | None:
    return None


def _as_reported(session: Session) -> Owed:
    said = session.usage.cost
    return Owed() if said is None else Owed(Decimal(str(said)))


def _no_date() -> str:
    return ""


class Bench(msgspec.Struct, frozen=True):
    """``models`` asks every provider that can be reached, each for a bounded time.

    ``problem`` says why a provider cannot answer now (`KeyMissing` with its hint), None where it
    may; it asks no server.

    ``keys`` is the live key table as (action, keys); ``data_dir``, ``state_dir``, ``config_path``
    are absolute paths as shown to a person; ``store_url`` holds no password. ``owed`` is what a
    session cost so far, ``prices_as_of`` the day of the prices that were reckoned with.
    """

    conversation: Conversation
    keeper: Keeper
    directory: Catalog
    models: Callable[[], Awaitable[Sequence[ModelInfo]]]
    files: Files
    keys: Callable[[], Iterable[tuple[str, str]]]
    data_dir: str = ""
    state_dir: str = ""
    config_path: str = ""
    store_url: str = "file:"
    private: bool = False
    problem: Callable[[str], Awaitable[ChinwagError | None]] = _no_problem
    owed: Callable[[Session], Owed] = _as_reported
    prices_as_of: Callable[[], str] = _no_date
