"""Following a session that somebody else writes: a thread that looks, with a store of its own.

Invariants: nothing is written and no lock taken; the saver and its store are never waited for.
Every entry is told once, in order, with how many there were before it. What is heard of an answer
that is still coming in is told as far as it is known, each piece once. `tell` is called FROM THE
THREAD. A store that fails for a while is asked again; the thread ends soon after `stop`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from chinwag.errors import ChinwagError
from chinwag.stores.base import News, SessionStore
from chinwag.talk.delta import AnyDelta

LOOK_EVERY = 0.25  # seconds between two looks at an answer that is coming in
HOLDER_EVERY = 1.0  # seconds between two looks at who writes


class Watch:
    """Tells what is new from the moment it is made."""

    def __init__(
        self,
        make_store: Callable[[], SessionStore],
        session_id: str,
        after: int,
        tell: Callable[[News], None],
    ) -> None:
        self.session_id = session_id
        self._make_store = make_store
        self._after = after
        self._tell = tell
        self._ended = threading.Event()
        self._part = ""
        self._heard = 0
        self._holder: str | None = None
        self._look_at_holder = 0.0
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def stop(self) -> None:
        """Tell no more. Returns at once."""
        self._ended.set()

    def _run(self) -> None:
        try:
            with self._make_store() as store:
                while not self._ended.is_set():
                    self._look(store)
        except ChinwagError:
            pass  # it cannot even be closed: nothing was open for writing

    def _look(self, store: SessionStore) -> None:
        try:
            news = self._found(store)
        except ChinwagError:
            self._ended.wait(LOOK_EVERY)  # away for the moment, or deleted: the holder tells
            return
        if news is not None and not self._ended.is_set():
            self._tell(news)

    def _found(self, store: SessionStore) -> News | None:
        """What is new, waiting a little for it; None for nothing."""
        changed = store.wait(self.session_id, self._after, LOOK_EVERY)
        part, deltas = self._overheard(store)
        holder, other = self._holding(store)
        entries, count = (
            store.span(self.session_id, self._after) if changed or other else ((), self._after)
        )
        if not (entries or deltas or other or part != self._part or count < self._after):
            return None
        news = News(
            self.session_id, self._after, entries, part, deltas, holder, count < self._after
        )
        self._after, self._part = count, part
        return news

    def _overheard(self, store: SessionStore) -> tuple[str, tuple[AnyDelta, ...]]:
        since = self._heard
        found = store.overheard(self.session_id, since)
        if found is not None and found[0].id != self._part and since:
            since, found = 0, store.overheard(self.session_id, 0)
        if found is None:
            self._heard = 0
            return "", ()
        head, deltas = found
        self._heard = since + len(deltas)
        return head.id, deltas

    def _holding(self, store: SessionStore) -> tuple[str, bool]:
        """Who writes, and whether that is news."""
        now = time.monotonic()
        if self._holder is not None and now < self._look_at_holder:
            return self._holder, False
        self._look_at_holder = now + HOLDER_EVERY
        holder = store.holder(self.session_id)
        news, self._holder = holder != self._holder, holder
        return holder, news
