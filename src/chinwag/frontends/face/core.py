"""One chat's engine: what `Chat` and `AsyncChat` both stand on.

Invariants: see `holding` and `talking`; what is added here are the engine's own steps, each checked
by its arguments before anything is changed, each one step for an undo.
"""

from __future__ import annotations

from typing import Any

from chinwag.context.compaction import SummariseCompactor
from chinwag.context.windows import Cut, Dropped
from chinwag.engine.sending import Context
from chinwag.errors import UsageError
from chinwag.frontends.face import plan, views
from chinwag.frontends.face.talking import Talking
from chinwag.talk.entry import (
    AssistantSaid,
    Compacted,
    Mark,
    Spoken,
    SystemSet,
    Tagged,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.event import Ear
from chinwag.talk.message import Message, Result, Role
from chinwag.talk.session import Session


class Core(Talking):
    """See the module."""

    # -- messages by hand ------------------------------------------------------------------------

    async def add(self, message: Message) -> None:
        """Raises ContextOverflow where it cannot fit, UsageError where it says nothing."""
        entries = _entries_of(message)

        def done(hear: Ear) -> None:
            for entry in entries:
                self._add(entry, hear)

        await self.do(done)

    def _add(self, entry: Spoken | SystemSet, hear: Ear) -> None:
        talk = self.conversation
        if not isinstance(entry, SystemSet):
            talk.fitting.check(talk, talk.choice, talk.count_entry(entry))
        talk.settle(entry, hear)

    async def mark(self, which: int, mark: Mark) -> None:
        def done(hear: Ear) -> None:
            talk = self.conversation
            talk.mark(views.position(talk.session, talk.system, which), mark, hear)

        await self.do(done)

    # -- what still counts -----------------------------------------------------------------------

    async def clear(self, *, keep_system: bool) -> None:
        await self.do(lambda hear: self.conversation.clear(hear, keep_system=keep_system))

    async def trim(self, target: int | None) -> Cut | None:
        plan.whole("target", target)
        return await self.do(lambda hear: self.conversation.trim(hear, target))

    async def window(self, keep: int) -> Cut | None:
        plan.whole("keep", keep)
        return await self.do(lambda hear: self.conversation.window(keep, hear))

    async def prune(self, target: int | None) -> list[Dropped]:
        plan.whole("target", target)
        return await self.do(lambda hear: self.conversation.prune(hear, target))

    async def focus(self, topic: str) -> list[Dropped]:
        return await self.do(lambda hear: self.conversation.keep_only(topic, hear))

    async def compact(
        self, *, target: int | None, hint: str, compactor: Any = None
    ) -> Compacted | None:
        plan.whole("target", target)

        async def done(hear: Ear) -> Compacted | None:
            await self._named()
            return await self.conversation.compact(
                hear, hint=hint, target=target, compactor=compactor
            )

        return await self.doing(done)

    async def summarise(self, keep: int, hint: str) -> str:
        by = SummariseCompactor(keep_recent=keep, hint=hint)
        made = await self.compact(target=None, hint=hint, compactor=by)
        return made.summary if made else ""

    # -- back and forth ----------------------------------------------------------------------------

    async def undo(self, times: int) -> str:
        plan.whole("times", times)
        return await self.do(lambda hear: self.conversation.undo(times, hear))

    async def redo(self) -> None:
        await self.do(self.conversation.redo)

    async def switch(self, model: str) -> None:
        provider, name = self.plan.catalog.find(model)
        await self.do(lambda hear: self.conversation.choose(provider, name, hear))

    async def set_system(self, text: str) -> None:
        await self.do(lambda hear: self.conversation.set_system(text, hear))

    async def set_option(self, name: str, value: Any) -> None:
        plain = plan.option(name, value)
        await self.do(lambda hear: self.conversation.set_option(name, plain, hear))

    async def rename(self, title: str) -> None:
        if not title.strip():
            raise UsageError("a title without a word", hint='rename("Trip to Lisbon")')
        await self.do(lambda hear: self.conversation.rename(" ".join(title.split()), hear))

    async def tag(self, changes: dict[str, Any], *, anew: bool = False) -> None:
        """Change metadata: None takes a key away. Raises UsageError for what is no JSON."""
        checked = plan.metadata(changes)

        def done(hear: Ear) -> None:
            old = {} if anew else dict(self.conversation.session.metadata)
            new = {k: v for k, v in {**old, **checked}.items() if anew or v is not None}
            if new != dict(self.conversation.session.metadata):
                self.conversation.settle(Tagged(metadata=new), hear)

        await self.do(done)

    async def copy(self, title: str) -> Session:
        """The session's copy, for a chat of its own. Raises UsageError where nothing was said."""

        def done(_: Ear) -> Session:
            if not self.conversation.session.tally.messages:
                raise UsageError("there is nothing to fork yet", hint="send a message first")
            return self.conversation.copied(title)

        return await self.do(done)

    # -- questions -----------------------------------------------------------------------------

    @property
    def session(self) -> Session:
        return self.conversation.session

    @property
    def system(self) -> str:
        return self.conversation.system

    def context(self) -> Context:
        return self.conversation.context()

    def set_budget(self, value: object) -> None:
        self.conversation.purse.set(plan.budget(value))


def _entries_of(message: Message) -> list[Spoken | SystemSet]:
    """What a message given by hand is in a session."""
    match message.role:
        case Role.SYSTEM:
            return [SystemSet(text=message.text)]
        case Role.TOOL:
            results = [part for part in message.parts if isinstance(part, Result)]
            if results:
                return [ToolReturned(result=result) for result in results]
        case Role.USER if message.parts:
            return [UserSaid(parts=message.parts)]
        case Role.ASSISTANT if message.parts:
            return [AssistantSaid(parts=message.parts)]
        case _:
            pass
    raise UsageError(
        f"a {message.role} message that says nothing", hint='Message.user("Hello"), for instance'
    )
