"""How windows on one session meet: a door beside the lock, and a watch on what is appended.

Invariant: nothing is imported before two windows do meet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chinwag import threads
from chinwag.stores.base import Answer, News, Reply, SessionStore

if TYPE_CHECKING:
    from chinwag.stores import takeover, watching


class Meetings:
    """`engine.windows.Meeting`: see there."""

    def __init__(
        self,
        make_store: Callable[[], SessionStore],
        loop: asyncio.AbstractEventLoop,
        folder: Path,
    ) -> None:
        self._make_store = make_store
        self._loop = loop
        self._folder = folder

    def place(self, session_id: str) -> Path:
        return self._folder / f"{session_id}.ask"

    def door(self, path: Path, asked: Callable[[str], Awaitable[str]]) -> takeover.Door:
        from chinwag.stores import takeover

        return takeover.Door(path, asked)

    def watch(self, session_id: str, after: int, tell: Callable[[News], None]) -> watching.Watch:
        from chinwag.stores import watching

        told = partial(threads.tell, self._loop, tell)
        return watching.Watch(self._make_store, session_id, after, told)

    async def ask(self, path: Path) -> Answer:
        from chinwag.stores import takeover

        return await takeover.ask(path)

    async def can_be_asked(self, path: Path) -> Reply:
        from chinwag.stores import takeover

        return await takeover.can_be_asked(path)
