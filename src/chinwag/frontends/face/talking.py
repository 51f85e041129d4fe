"""Turns: something is said, and answered; and what a server keeps of it.

Invariants: a turn that fails raises the engine's own exception, after it was settled; when a turn
is over what was said is safe, or the reply says that it is not. What holds for one turn alone (its
model, its schema) is in no session.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any

import msgspec

from chinwag.errors import ProviderError, UsageError
from chinwag.frontends.face import reply, tools
from chinwag.frontends.face.files import Given, parts
from chinwag.frontends.face.holding import Holding
from chinwag.providers.base import WarmLevel, Warmth
from chinwag.stores.names import is_id
from chinwag.talk.entry import (
    AssistantSaid,
    Status,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.event import AnyEvent, ApprovalAsked, Ear, Notice, Verdict


class Talking(Holding):
    """See the module."""

    # -- turns -----------------------------------------------------------------------------------

    def key(self, model: str | None) -> tuple[str, str] | None:
        """(provider, model) for this once. Raises ConfigError, ModelUnknown."""
        return self.plan.catalog.find(model) if model else None

    async def send(
        self,
        text: str | None,
        hear: Ear | None = None,
        *,
        model: str | None = None,
        files: Iterable[Given] | Given = (),
        schema: reply.Schema | None = None,
    ) -> reply.Reply:
        """Say ``text`` (None: answer what is there) and hear the answer out."""
        key = self.key(model)
        attached = parts(files)
        talk = self.conversation
        if text is None and not attached:
            return await self.turn(lambda ear: self._answer(ear, key), hear, schema)
        if not (text or "").strip() and not attached:
            raise UsageError("a message without a word", hint="send() answers what is there")
        return await self.turn(lambda ear: talk.say(text or "", ear, attached, key), hear, schema)

    async def retry(self, hear: Ear | None = None, *, model: str | None = None) -> reply.Reply:
        key = self.key(model)
        return await self.turn(lambda ear: self.conversation.retry(ear, key), hear, None)

    async def _answer(self, ear: Ear, key: tuple[str, str] | None) -> None:
        answer = next((e for _, e in self.conversation.session.back() if _is_spoken(e)), None)
        if answer is None:
            raise UsageError("there is nothing to answer yet", hint='send("Hello")')
        if isinstance(answer, AssistantSaid) and answer.status is Status.COMPLETE:
            raise UsageError("the last message is an answer", hint='send("…"), or retry()')
        await self.conversation.answer(ear, key)

    async def turn(
        self,
        work: Callable[[Ear], Awaitable[Any]],
        hear: Ear | None,
        schema: reply.Schema | None,
    ) -> reply.Reply:
        """One turn. Raises whatever it failed for; what was heard is in the session then."""
        wanted = reply.schema_of(schema) if schema is not None else None
        await self.ready()
        heard: reply.Reply = await self._locked(lambda: self._turn(work, hear, wanted))
        if schema is None or heard.status is not Status.COMPLETE:
            return heard
        return msgspec.structs.replace(heard, data=reply.data_of(heard, schema))

    async def _turn(
        self,
        work: Callable[[Ear], Awaitable[Any]],
        hear: Ear | None,
        wanted: dict[str, Any] | None,
    ) -> reply.Reply:
        talk = self.conversation
        await self._named()
        told, self._late = self._late, []
        before = len(talk.session)
        talk.failure = None
        talk.overrides = {"schema": wanted} if wanted is not None else {}
        try:
            await work(partial(self._collect, told, hear))
        finally:
            talk.overrides = {}
            await self._safe()
        if talk.failure is not None:
            raise talk.failure
        told += self._late
        self._late = []
        answered = reply.reply_of(talk.session.entries[before:], told)
        if answered is None:
            raise ProviderError("nobody answered", hint="send() asks again")
        return answered

    def _collect(self, told: list[str], hear: Ear | None, event: AnyEvent) -> None:
        if isinstance(event, Notice):
            told.append(event.text)
        if isinstance(event, ApprovalAsked) and self.plan.approve is not None:
            self._beside(self._approved(self.plan.approve, event))
        if hear is not None:
            hear(event)

    async def _approved(self, approve: tools.Approve, asked: ApprovalAsked) -> None:
        """Pass on what the program says to a call; where it fails to, the call does not run."""
        talk, verdict, word = self.conversation, Verdict.DENY, ""
        try:
            verdict, word = await tools.said(approve, asked)
        except Exception as error:  # noqa: BLE001 - somebody else's code: said, and not obeyed
            talk.failure = UsageError(
                f"approve failed: {type(error).__name__}: {error}",
                hint="the call was refused; what was said until then is kept",
            )
        finally:
            talk.answer_approval(asked.call.id, asked.digest, verdict, word)

    # -- what the server has read already --------------------------------------------------------

    def warm_level(self) -> WarmLevel:
        """What the model that answers next can be asked to keep."""
        named = self.conversation.choice[0] != ""
        return self.conversation.warm.level if named else WarmLevel.NONE

    async def warm_save(self, name: str, slot: int) -> Warmth:
        async def done(_: Ear) -> Warmth:
            await self._named()
            return await self.conversation.warm.write(self._file(name), _slot_of(slot))

        return await self.doing(done)

    async def warm_restore(self, name: str, slot: int) -> Warmth:
        async def done(_: Ear) -> Warmth:
            await self._named()
            return await self.conversation.warm.read_back(self._file(name), _slot_of(slot))

        return await self.doing(done)

    def _file(self, name: str) -> str:
        """A snapshot's name on the server: made of an id, never of what was said."""
        wanted = name or self.conversation.session.id
        if not is_id(wanted):
            raise UsageError(f"{wanted!r} is no session id", hint="give the id it was saved under")
        return f"{wanted}.slot"


def _slot_of(slot: int) -> int:
    if slot < 0:
        raise UsageError(f"there is no slot {slot!r}", hint="slots count from 0")
    return slot


def _is_spoken(entry: object) -> bool:
    if isinstance(entry, AssistantSaid):
        return bool(entry.parts)
    return isinstance(entry, UserSaid | ToolReturned)
