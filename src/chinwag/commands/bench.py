"""What a command works on: the conversation, and the few doors to the world beside it.

Invariants: everything here is handed over by wiring and can be replaced in a test by a few lines;
no concrete class of a lower room is named. A command touches no file itself: ``Files`` does, off
the loop.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

import msgspec

from chinwag.context.pricing import Owed
from chinwag.engine.conversation import Conversation
from chinwag.engine.promises import Directory, Keeper
from chinwag.errors import ChinwagError, UsageError
from chinwag.providers.base import ModelInfo
from chinwag.stores.base import Answer, Reply, SessionStore
from chinwag.talk.event import Ear
from chinwag.talk.message import AnyPart
from chinwag.talk.session import Session
from chinwag.talk.unsent import Unsent

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling
    from chinwag.tools.mcp.servers import Servers


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

    async def read_bytes(self, path: str, limit: int) -> bytes:
        """At most ``limit`` bytes. Raises OSError, or ValueError saying what is wrong."""
        ...


async def _no_problem(_: str) -> ChinwagError | None:
    return None


def _as_reported(session: Session) -> Owed:
    said = session.usage.cost
    return Owed() if said is None else Owed(Decimal(str(said)))


async def _no_files(path: str) -> AnyPart:
    raise UsageError(f"{path} cannot be attached here", hint="put its text into the message")


async def _is_no_file(_: str) -> bool:
    return False


def _nothing_today() -> tuple[int, Decimal]:
    return 0, Decimal(0)


def _no_date() -> str:
    return ""


async def _nobody_to_ask(_: Ear) -> Answer:
    return Answer(Reply.AWAY)


async def _no_drafts() -> Sequence[Unsent]:
    return ()


async def _nothing_typed(_: Session) -> None:
    return


def _no_tools() -> Tooling:
    raise UsageError("there are no tools here")


def _no_other_store(url: str) -> SessionStore:
    raise UsageError(f"no other store can be opened here: {url}")


class Bench(msgspec.Struct, frozen=True):
    """``models`` asks every provider that can be reached, each for a bounded time.

    ``problem`` says why a provider cannot answer now (`KeyMissing` with its hint), None where it
    may; it asks no server. ``plain_problem`` finds that out without running or opening anything.

    ``keys`` is the live key table as (action, keys); ``data_dir``, ``state_dir``, ``config_path``
    are absolute paths as shown to a person; ``store_url`` holds no password. ``owed`` is what a
    session cost so far, ``attach`` makes a part of a path as typed (raises UsageError), ``is_file``
    says whether one is there, ``today`` the tokens and US dollars of this day's paid answers in all
    sessions (reads a file), ``prices_as_of`` the day of the prices that were reckoned with.
    ``take_over`` asks whoever writes the session in front to let it go; ``drafts`` are those that
    were given up, newest first; ``forget_typed`` removes what was typed in a session, sent or not,
    from where it is kept beside it.

    ``tooling`` makes what may be called, where the conversation has none yet.

    ``index_path`` is the search index ("" = none), ``servers`` are those of MCP where there are
    any, ``other_store`` opens a store by its URL.
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
    plain_problem: Callable[[str], Awaitable[ChinwagError | None]] = _no_problem
    owed: Callable[[Session], Owed] = _as_reported
    prices_as_of: Callable[[], str] = _no_date
    attach: Callable[[str], Awaitable[AnyPart]] = _no_files
    is_file: Callable[[str], Awaitable[bool]] = _is_no_file
    today: Callable[[], tuple[int, Decimal]] = _nothing_today
    take_over: Callable[[Ear], Awaitable[Answer]] = _nobody_to_ask
    drafts: Callable[[], Awaitable[Sequence[Unsent]]] = _no_drafts
    forget_typed: Callable[[Session], Awaitable[None]] = _nothing_typed
    index_path: str = ""
    other_store: Callable[[str], SessionStore] = _no_other_store
    servers: Servers | None = None
    tooling: Callable[[], Tooling] = _no_tools

    @property
    def is_private(self) -> bool:
        """Whether what is said now outlives the program nowhere."""
        return self.private or self.conversation.private
