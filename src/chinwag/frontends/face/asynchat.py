"""AsyncChat: the same engine on the caller's own loop.

Invariants: reading is plain, whatever changes something is awaited; it belongs to the loop it was
first used on; who is cancelled while an answer comes in ends it first, and what was heard is kept.
The session asked for is opened by `async with`, else by the first call that waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Self, Unpack

from chinwag.context.compaction import Compactor
from chinwag.context.windows import Cut, Dropped
from chinwag.errors import ChinwagError
from chinwag.frontends.face import document, holding, views
from chinwag.frontends.face.builder import Builder
from chinwag.frontends.face.core import Core
from chinwag.frontends.face.files import Given
from chinwag.frontends.face.plan import Plan, Settings
from chinwag.frontends.face.reading import Reading
from chinwag.frontends.face.reply import Reply, Schema
from chinwag.frontends.face.streams import AsyncStream
from chinwag.frontends.face.warm import AsyncWarm
from chinwag.talk.entry import Compacted, Mark
from chinwag.talk.message import Message
from chinwag.talk.session import Session, begin, fold_all


class AsyncChat(Reading):
    """See `Chat`: the same keywords, the same methods, awaited."""

    def __init__(self, model: str | None = None, **settings: Unpack[Settings]) -> None:
        self._core = Core(Plan(model, settings))

    @classmethod
    def builder(cls, model: str | None = None) -> Builder[Self]:
        return Builder(cls, model)

    @classmethod
    def load(
        cls, path: document.PathLike, model: str | None = None, **settings: Unpack[Settings]
    ) -> Self:
        return cls._from(document.load(path), model, settings)

    @classmethod
    def from_dicts(
        cls,
        messages: Iterable[Mapping[str, Any]],
        model: str | None = None,
        **settings: Unpack[Settings],
    ) -> Self:
        return cls._from(fold_all(begin(), views.entries_of(messages)), model, settings)

    @classmethod
    def _from(cls, session: Session, model: str | None, settings: Mapping[str, Any]) -> Self:
        made = cls.__new__(cls)
        made._core = Core(Plan(model, settings), begin_with=session)  # noqa: SLF001 - one of our own
        return made

    # -- talking ------------------------------------------------------------------------------

    async def send(
        self,
        text: str | None = None,
        *,
        model: str | None = None,
        files: Iterable[Given] | Given = (),
        schema: Schema | None = None,
    ) -> Reply:
        return await self._core.send(text, model=model, files=files, schema=schema)

    def stream(
        self,
        text: str | None = None,
        *,
        model: str | None = None,
        files: Iterable[Given] | Given = (),
        schema: Schema | None = None,
    ) -> AsyncStream:
        """`async for event in chat.stream("…")`; `async with` it to be sure that leaving early is
        settled when the block ends."""
        core = self._core
        return AsyncStream(
            core, lambda ear: core.send(text, ear, model=model, files=files, schema=schema)
        )

    async def retry(self, model: str | None = None) -> Reply:
        return await self._core.retry(model=model)

    def interrupt(self) -> None:
        """Stop the answer that is coming in, from any thread."""
        self._core.interrupt_soon()

    async def add(self, message: Message) -> None:
        await self._core.add(message)

    @property
    def warm(self) -> AsyncWarm:
        return AsyncWarm(self._core)

    # -- what is in force ---------------------------------------------------------------------

    async def switch(self, model: str) -> None:
        await self._core.switch(model)

    async def set_system(self, text: str) -> None:
        await self._core.set_system(text)

    async def set(self, **options: Any) -> None:
        for name, value in options.items():
            await self._core.set_option(name, value)

    async def rename(self, title: str) -> None:
        await self._core.rename(title)

    async def tag(self, **values: Any) -> None:
        await self._core.tag(values)

    def set_budget(self, budget: str | float | None) -> None:
        self._core.set_budget(budget)

    # -- what still counts --------------------------------------------------------------------

    async def clear(self, keep_system: bool = True) -> None:  # noqa: FBT001, FBT002 - as in Chat
        await self._core.clear(keep_system=keep_system)

    async def trim(self, target: int | None = None) -> Cut | None:
        return await self._core.trim(target)

    async def window(self, keep: int) -> Cut | None:
        return await self._core.window(keep)

    async def prune(self, target: int | None = None) -> list[Dropped]:
        return await self._core.prune(target)

    async def focus(self, topic: str) -> list[Dropped]:
        return await self._core.focus(topic)

    async def compact(
        self, target: int | None = None, hint: str = "", compactor: Compactor | None = None
    ) -> Compacted | None:
        return await self._core.compact(target=target, hint=hint, compactor=compactor)

    async def summarise(self, keep: int = 10, hint: str = "") -> str:
        return await self._core.summarise(keep, hint)

    async def pin(self, which: int) -> None:
        await self._core.mark(which, Mark.PIN)

    async def exclude(self, which: int) -> None:
        await self._core.mark(which, Mark.EXCLUDE)

    async def unmark(self, which: int) -> None:
        await self._core.mark(which, Mark.NONE)

    # -- back and forth -----------------------------------------------------------------------

    async def undo(self, times: int = 1) -> str:
        return await self._core.undo(times)

    async def redo(self) -> None:
        await self._core.redo()

    async def fork(self, title: str = "") -> Self:
        copy = await self._core.copy(title)
        plan = self._core.plan
        made = type(self)._from(copy, plan.model, plan.for_a_copy())  # noqa: SLF001 - one of our own
        await made._core.ready()  # noqa: SLF001 - one of our own
        return made

    # -- files, and the end -------------------------------------------------------------------

    def save(self, path: document.PathLike) -> None:
        """Write the whole session to a file; blocks for as long as the disk takes."""
        document.save(views.with_system(self.session, self.system), path)

    async def close(self) -> None:
        """Save what waits, let go of everything; again is free. Raises StoreUnavailable."""
        if not self._core.closed:
            await holding.closed(self._core)

    async def __aenter__(self) -> Self:
        try:
            await self._core.ready()
        except BaseException:
            await self.__aexit__(True)
            raise
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        try:
            await self.close()
        except ChinwagError:
            if kind is None:  # what went wrong before says more
                raise
