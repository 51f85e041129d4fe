"""/search: words in every kept session, and the message they are in; /find: in this conversation.

Invariants: a search answers from what the index has, and says what it has not taken in yet; the
index catches up in short slices, so that nothing that is to be saved waits for it. Nothing is
opened before the person has chosen.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group
from chinwag.commands.words import first_words, flagged, plural, say, speaker, warn
from chinwag.errors import ChinwagError, CommandError, UsageWrong
from chinwag.talk.event import Choice, Ear, Hit, Offered, Sought
from chinwag.text.marks import unmarked
from chinwag.text.moments import DAY, local

if TYPE_CHECKING:
    from chinwag.stores.base import SessionStore
    from chinwag.stores.search import Found, Index
    from chinwag.stores.search import Hit as Place

MOST = 30  # messages offered
CATCH_UP = 3.0  # seconds in all
SLICE = 0.1  # seconds at a time in the saver's thread
SHORT = 0.03  # the same, where nobody waits for it


async def search(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--all")
    text = " ".join(f'"{word}"' if " " in word else word for word in rest).strip()
    if not text:
        raise UsageWrong("what is to be looked for?", usage="/search TEXT")
    if not bench.index_path:
        raise CommandError("nothing is kept here that could be searched")
    found = await _found(bench, text, everywhere=bool(flags))
    if found.missing:
        warn(hear, f"{plural(found.missing, 'session')} not yet searched; /search again finds more")
    if not found.hits:
        where = " that a private talk may look into" if bench.is_private else ""
        say(hear, f"{text!r} is in no kept session{where}")
        return
    hear(Offered(f"{plural(len(found.hits), 'message')} with {text!r}", _choices(found.hits)))


async def _found(bench: Bench, text: str, *, everywhere: bool) -> Found:
    """Let the index catch up for a while, slice by slice, and ask it."""
    index = _Kept(bench.index_path)
    until = time.monotonic() + CATCH_UP
    try:
        while await bench.keeper.call(index.catch_up):
            if time.monotonic() > until:
                break
        return await bench.keeper.call(lambda store: index.ask(store, text, everywhere=everywhere))
    finally:
        await bench.keeper.call(index.close)


async def caught_up(bench: Bench, quiet: Callable[[], Awaitable[None]]) -> None:
    """Have the index take in what it has not yet, each slice in a moment when it is ``quiet``, so
    that a first search in years of talks finds what is in them."""
    if not bench.index_path or bench.is_private:
        return
    index = _Kept(bench.index_path)
    try:
        await quiet()
        while await bench.keeper.call(index.quietly):
            await quiet()
    except ChinwagError:
        pass  # whoever searches is told
    finally:
        await bench.keeper.call(index.close)


class _Kept:
    """One index for all its slices: a new one would list the whole store each time.

    Made and used in the thread of the store alone.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._index: Index | None = None

    def catch_up(self, store: SessionStore) -> int:
        budget = SLICE if store.lasting else CATCH_UP
        return self._of(store).catch_up(store, budget_s=budget)

    def quietly(self, store: SessionStore) -> int:
        return self._of(store).catch_up(store, budget_s=SHORT) if store.lasting else 0

    def ask(self, store: SessionStore, text: str, *, everywhere: bool) -> Found:
        where = "" if everywhere and store.lasting else store.url
        return self._of(store).search(text, MOST, url=where)

    def _of(self, store: SessionStore) -> Index:
        from chinwag.stores.search import Index  # SQLite, for whoever searches

        if self._index is None:  # what is in memory alone leaves no trace in a file
            self._index = Index(self._path if store.lasting else None)
        return self._index

    def close(self, _: SessionStore) -> None:
        if self._index is not None:
            self._index.close()


def _choices(hits: Sequence[Place]) -> tuple[Choice, ...]:
    return tuple(
        Choice(_label(hit), f"/load {hit.session_id}#{hit.n}", hit.snippet) for hit in hits
    )


def _label(hit: Place) -> str:
    name = first_words(hit.title, 40) or hit.session_id
    who = {"user": "you", "assistant": "answer"}.get(hit.role, hit.role)
    return " · ".join(filter(None, (name, local(hit.at, DAY), who)))


AROUND = 60  # characters before and behind what was found


async def find(bench: Bench, words: list[str], hear: Ear) -> None:
    text = " ".join(words).strip()
    if not text:
        raise UsageWrong("what is to be looked for?", usage="/find TEXT")
    wanted = re.compile(r"\s+".join(map(re.escape, text.split())), re.IGNORECASE)
    hits = tuple(
        Hit(n, speaker(entry), _around(said, *found.span()))
        for n, entry in bench.conversation.session.said()
        for said in (_read_as(entry.text, wanted),)
        if (found := wanted.search(said))
    )
    if not hits:
        say(hear, f"{text!r} is not in this conversation; /search looks in all sessions")
        return
    hear(Sought(text, hits))


def _read_as(text: str, wanted: re.Pattern[str]) -> str:
    """The text, or where the words are not in it, the text without its marks."""
    return text if wanted.search(text) else unmarked(text)


def _around(text: str, start: int, end: int) -> str:
    """The words round a place, on one line."""
    first, last = max(0, start - AROUND), end + AROUND
    words = " ".join(text[first:last].split())
    return f"{'…' * (first > 0)}{words}{'…' * (last < len(text))}"


COMMANDS: tuple[Command, ...] = (
    Command(
        "find",
        "find words in this conversation",
        Group.TALKING,
        find,
        asked="search in this conversation; find text; where did I say; Ctrl+F",
        usage="TEXT",
        most=1,
        free=True,
        detail="Every place is marked: n and N (or the arrows) go from one to the next, Enter "
        "stays there, Esc goes back to where you were. Ctrl+F finds as you type.",
    ),
    Command(
        "search",
        "find words in all your sessions",
        Group.SESSIONS,
        search,
        asked="full text search; find an old conversation where I said; look for words in all "
        "conversations; which session was it",
        usage="TEXT",
        most=None,
        detail="All words must be in the message, the last one may be only the beginning of one; "
        '"words in quotation marks" stand one after the other. Choosing one opens its session at '
        "that message. From the shell: `chat sessions search TEXT`.",
    ),
)
