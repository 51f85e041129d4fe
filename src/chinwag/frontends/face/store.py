"""A store of sessions for programs: what is kept, found, opened, moved, thrown away (F059, F071).

Invariants: a store blocks and is used from one thread at a time, so it has a thread of its own and
may be called from any; everything is looked up in the store itself, never in what this program has
opened (W57). Sessions are meant by id, title, its slug, or an unambiguous beginning of one; an
unknown one is an error with near names. Closing it closes the chats it has opened.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack

from chinwag.errors import ChinwagError, SessionConflict, SessionNotFound, UsageError
from chinwag.frontends.face import keeping
from chinwag.frontends.face.chat import Chat
from chinwag.frontends.face.plan import Settings, data_folder
from chinwag.stores import moving
from chinwag.stores.base import SessionStore, Trashed, resolve
from chinwag.stores.opening import open_store as open_room
from chinwag.talk.entry import Titled, new_id, now
from chinwag.talk.session import Header, Session, fold, fold_all

if TYPE_CHECKING:
    from chinwag.stores.search import Hit, Index

T = TypeVar("T")


def open_store(url: str = "file:", model: str | None = None, **settings: Unpack[Settings]) -> Store:
    """The store ``url`` names: file: (where `chat` keeps its sessions), file:FOLDER, sqlite:PATH,
    redis://HOST:PORT/DB, rediss://…, memory: (this process).

    ``model`` and the settings of `Chat` hold for every chat it opens. Raises ConfigError.
    """
    return Store(url, model, settings)


class Store:
    """See the module; `open_store` makes one. Methods raise StoreError's family."""

    def __init__(self, url: str, model: str | None, settings: Mapping[str, Any]) -> None:
        self.given_url = url
        self._model = model
        self._settings = {k: v for k, v in settings.items() if k not in {"store", "session"}}
        shared = keeping.is_memory(url)
        self._store = keeping.shared_memory() if shared else open_room(url, data_folder())
        self._is_shared = shared
        self._worker = ThreadPoolExecutor(1, "chinwag-store")
        self._index: Index | None = None
        self._chats: weakref.WeakValueDictionary[str, Chat] = weakref.WeakValueDictionary()
        self._closed = False

    @property
    def url(self) -> str:
        """Without credentials."""
        return self._store.url

    def _do(self, work: Callable[[SessionStore], T]) -> T:
        if self._closed:
            raise UsageError("this store is closed", hint="open it again: open_store(url)")
        return self._worker.submit(work, self._store).result()

    # -- what is there ------------------------------------------------------------------------

    def sessions(self) -> list[Header]:
        """Every session, last used first; damaged ones are marked, never left out (F070, W59)."""
        return self._do(lambda store: store.headers())

    def header(self, name: str) -> Header:
        """Title, model, counts and times of one. Raises SessionNotFound with near names."""
        return self._do(lambda store: resolve(name, store.headers()))

    def exists(self, name: str) -> bool:
        """Whether there is such a session, empty or not (F059)."""
        try:
            self.header(name)
        except SessionNotFound:
            return False
        return True

    def read(self, name: str) -> Session:
        """The whole session as a value, without opening it for writing."""

        def work(store: SessionStore) -> Session:
            stored = store.read(resolve(name, store.headers()).id)
            return fold_all(Session(stored.birth), stored.entries)

        return self._do(work)

    def search(self, text: str, limit: int = 20) -> list[Hit]:
        """The ``limit`` best messages in which all words of ``text`` are found, best first."""

        def work(store: SessionStore) -> list[Hit]:
            index = self._made_index()
            while index.catch_up(store, budget_s=1.0):
                pass
            return list(index.search(text, limit, url=store.url).hits)

        return self._do(work)

    def _made_index(self) -> Index:
        if self._index is None:
            from chinwag.stores.search import Index as New

            self._index = New(None)
        return self._index

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self.exists(name)

    def __len__(self) -> int:
        return len(self.sessions())

    def __iter__(self) -> Iterator[Header]:
        return iter(self.sessions())

    def __bool__(self) -> bool:
        return True  # an empty store is a store

    # -- chats --------------------------------------------------------------------------------

    def open(self, name: str, model: str | None = None, **settings: Unpack[Settings]) -> Chat:
        """A chat that goes on with a session that is there; the same one while it is open.

        Raises SessionNotFound, SessionLocked (somebody else writes it), SessionUnreadable.
        """
        return self._chat(self.header(name).id, model, settings)

    def create(
        self, name: str = "", model: str | None = None, **settings: Unpack[Settings]
    ) -> Chat:
        """A chat in a new session; kept from its first message on. Raises SessionConflict where
        the name is taken."""
        if name and self.exists(name):
            raise SessionConflict(
                f"there is a session {name!r} already", hint="open() goes on with it"
            )
        both = {**self._settings, **settings, **({"title": name} if name else {})}
        chat = Chat(model or self._model, **{**both, "store": self.given_url})
        self._chats[chat.id] = chat
        return chat

    def get(self, name: str, model: str | None = None, **settings: Unpack[Settings]) -> Chat | None:
        """`open`, or None where there is no such session."""
        try:
            return self.open(name, model, **settings)
        except SessionNotFound:
            return None

    def _chat(self, session_id: str, model: str | None, settings: Mapping[str, Any]) -> Chat:
        there = self._chats.get(session_id)
        if there is not None and not there.closed:
            return there
        more = {**self._settings, **settings, "store": self.given_url, "session": session_id}
        chat = Chat(model or self._model, **more)
        self._chats[session_id] = chat
        return chat

    def _leave(self, session_id: str) -> None:
        """A chat of ours does not stand in the way of what is to be done with its session."""
        if (chat := self._chats.pop(session_id, None)) is not None:
            chat.close()

    # -- changing -----------------------------------------------------------------------------

    def rename(self, name: str, title: str) -> Header:
        """Give it another title; its id stays. Raises SessionLocked."""
        if not title.strip():
            raise UsageError("a session needs a title", hint='rename("old", "new")')
        found = self.header(name)
        chat = self._chats.get(found.id)
        if chat is not None and not chat.closed:
            chat.rename(title)
        else:
            self._do(lambda store: _renamed(store, found.id, " ".join(title.split())))
        return self._do(lambda store: store.header(found.id))

    def delete(self, name: str) -> None:
        """Put it in the trash, where it stays for 30 days: `restore` brings it back (F070)."""
        found = self.header(name)
        self._leave(found.id)
        self._do(lambda store: store.delete(found.id))

    def trashed(self) -> list[Trashed]:
        return self._do(lambda store: store.trashed())

    def restore(self, name: str) -> Header:
        """Bring a deleted session back. Raises SessionNotFound, SessionConflict."""

        def work(store: SessionStore) -> Header:
            found = resolve(name, (each.header for each in store.trashed()))
            store.restore(found.id)
            return store.header(found.id)

        return self._do(work)

    def copy_to(self, url: str, names: Iterable[str] | None = None) -> list[moving.Moved]:
        """Copy sessions (None: all) to another store, attachments too; compared byte for byte."""
        return self._carry(url, names, moving.copy)

    def move_to(self, url: str, names: Iterable[str] | None = None) -> list[moving.Moved]:
        """Move sessions (None: all) to another store (F064). What has arrived safely goes to the
        trash here; a session somebody writes raises SessionLocked, and doing it again goes on."""
        return self._carry(url, names, moving.move)

    def _carry(
        self,
        url: str,
        names: Iterable[str] | None,
        one: Callable[[SessionStore, SessionStore, str], moving.Moved],
    ) -> list[moving.Moved]:
        ids = (
            [h.id for h in self.sessions()] if names is None else [self.header(n).id for n in names]
        )
        for session_id in ids:
            self._leave(session_id)

        def work(store: SessionStore) -> list[moving.Moved]:
            shared = keeping.is_memory(url)
            other = keeping.shared_memory() if shared else open_room(url, data_folder())
            try:
                return [one(store, other, session_id) for session_id in ids]
            finally:
                if not shared:
                    other.close()

        return self._do(work)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the chats it opened and let go of the store; again is free.

        Raises StoreUnavailable where something of a chat could not be saved.
        """
        if self._closed:
            return
        try:
            for session_id in list(self._chats):
                self._leave(session_id)
        finally:
            self._worker.submit(self._shut).result()
            self._closed = True
            self._worker.shutdown()

    def _shut(self) -> None:
        if self._index is not None:
            self._index.close()
        if not self._is_shared:
            self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self.close()
        except ChinwagError:
            if kind is None:  # what went wrong before says more
                raise

    def __repr__(self) -> str:
        return f"<Store {self.url}>"


def _renamed(store: SessionStore, session_id: str, title: str) -> None:
    store.lock(session_id)
    try:
        stored = store.read(session_id)
        session = fold_all(Session(stored.birth), stored.entries)
        if stored.rescued is not None:  # an answer a crash had cut: its place is next
            session = fold(session, stored.rescued)
        renamed = fold(session, Titled(title=title, id=new_id(), at=now()))
        at = len(stored.entries)
        store.append(renamed.birth, tuple(renamed.entries[at:]), at=at, headline=renamed.headline())
        if stored.rescued is not None:
            store.end_part(session_id)
    finally:
        store.unlock(session_id)
