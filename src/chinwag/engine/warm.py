"""Warm state: have a server keep what it has read of a talk, so that going on with it is quick.

Invariants: the session is the truth and this only saves time, so whatever goes wrong here ends in
words and the talk is read anew. A snapshot is read back only by the model, the server and for the
talk it was made of; whether that helped is seen in the next answer's cached tokens and said once.
Nothing is kept of a private talk, neither here nor on the server. What is kept here names no
address and holds no word of the talk; the file on the server holds all of it, and is emptied when
the record goes. A talk that was saved or restored in a slot goes on in that slot.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

import msgspec

from chinwag.engine.models import Key
from chinwag.engine.snapshots import (
    Kept,
    Snapshot,
    about,
    decoded,
    digest,
    in_vain,
    is_useless,
    prefix_of,
    resumed,
    stays,
)
from chinwag.errors import ChinwagError, ProviderError, UsageError
from chinwag.providers.base import (
    Options,
    Profile,
    Provider,
    Request,
    Warming,
    WarmLevel,
    Warms,
    Warmth,
)
from chinwag.talk.entry import AssistantSaid, Status, now
from chinwag.talk.event import Ear, Level, Notice
from chinwag.talk.session import Session
from chinwag.threads import beside

KEPT: Final = "30 minutes"  # how long Ollama's models stay loaded, once they were asked to
FORGET_WITHIN: Final = 5.0  # seconds a deletion waits for a server to empty its file
_ANEW: Final = "the talk is read anew, and nothing is lost"


class Done(msgspec.Struct, frozen=True):
    """What came of it, in words; ``warmth`` is None where nothing was kept or read back."""

    said: str
    hint: str = ""
    warmth: Warmth | None = None


class Talk(Protocol):
    """What of the conversation is needed here."""

    @property
    def session(self) -> Session: ...

    @property
    def choice(self) -> Key: ...

    @property
    def options(self) -> Options: ...

    @property
    def private(self) -> bool: ...

    def provider(self, name: str) -> Provider: ...

    def known(self, provider: str, model: str) -> Profile: ...

    async def learn_profile(self) -> None:
        """Ask what the model can do: what is sent depends on it."""
        ...

    def request(self, key: Key, profile: Profile) -> Request: ...


class _Due(msgspec.Struct, frozen=True):
    """A snapshot that was read back, of which no answer has shown yet whether it is used."""

    snapshot: Snapshot
    key: Key
    own: bool  # of this very session, not of the one it was forked from


Stoppable = Callable[[], AbstractContextManager[asyncio.Event]]


class Warm:
    """For one conversation. Every method that awaits can be interrupted as an answer can."""

    def __init__(self, talk: Talk, stoppable: Stoppable, kept: Kept) -> None:
        self._talk = talk
        self._stoppable = stoppable
        self._kept = kept
        self._pins: dict[str, tuple[Key, int]] = {}  # session to where it goes on
        self._due: dict[str, _Due] = {}
        self._useless: set[tuple[str, str]] = set()  # (server, model) that were found out and told
        self._writing: set[asyncio.Future[Any]] = set()

    @property
    def level(self) -> WarmLevel:
        """What the model that answers next can be asked to keep."""
        warming = self._warming()
        return warming.level if warming is not None else WarmLevel.NONE

    def pinned(self, key: Key, request: Request) -> Request:
        """The request, sent to the slot in which the talk goes on."""
        pin = self._pins.get(self._talk.session.id)
        if pin is None or pin[0] != key or "id_slot" in request.options.extra:
            return request
        extra = {**request.options.extra, "id_slot": pin[1], "cache_prompt": True}
        options = msgspec.structs.replace(request.options, extra=extra)
        return msgspec.structs.replace(request, options=options)

    # -- save, restore, drop ------------------------------------------------------------------

    async def save(self) -> Done:
        """Have the server keep what it has read. Raises UsageError where it offers no such thing
        or nothing may be kept, SessionLocked, ProviderError's family."""
        return await self._until_stopped(self._save)

    async def restore(self) -> Done:
        """Have it read back. Raises UsageError where the server offers no such thing,
        SessionLocked; whatever else is wrong is said."""
        return await self._until_stopped(self._restore)

    async def drop(self) -> Done:
        """Have it forget: the record, the slot, and what the file holds. Raises UsageError where
        the server offers no such thing, SessionLocked; ProviderError's family from Ollama."""
        return await self._until_stopped(self._drop)

    async def write(self, file: str, slot: int) -> Warmth:
        """Have the server keep the talk in a ``file`` of the caller's, of which no record is made.
        Raises UsageError where it offers no such thing, ProviderError's family."""
        warming = self._some()
        if warming.level is WarmLevel.SNAPSHOT:
            return (await self._written(self._talk.choice, warming, file, slot))[1]
        return await warming.save(self._unsaid(), file, slot)

    async def read_back(self, file: str, slot: int) -> Warmth:
        """Have it read such a file. Raises as ``write`` does."""
        key, warming = self._talk.choice, self._some()
        made = await warming.restore(self._unsaid(), file, slot)
        if warming.level is WarmLevel.SNAPSHOT:
            self._pins[self._talk.session.id] = (key, slot)
        return made

    async def forget(self, session_id: str, hear: Ear) -> None:
        """The session is gone, and so is what was kept of it; a file that stays is named."""
        snapshot = await self._load(session_id)
        if snapshot is None:
            return
        why = ""
        try:
            async with asyncio.timeout(FORGET_WITHIN):
                why = await self._emptied(snapshot)
        except TimeoutError:
            why = "it did not answer in time"
        await self._remove(session_id)
        if why:
            hear(Notice(stays(snapshot, why), Level.WARNING))

    async def _save(self) -> Done:
        key, warming = self._talk.choice, self._some()
        if warming.level is WarmLevel.SNAPSHOT:
            return await self._snapshot(key, warming)
        made = await warming.save(self._unsaid(), "", -1)
        return Done(f"{key[1]} is loaded, and stays so for {KEPT} after each use", warmth=made)

    async def _snapshot(self, key: Key, warming: Warming) -> Done:
        session = self._talk.session
        if self._talk.private:
            raise UsageError(
                "a private talk is not written, to a server's disk neither",
                hint="/save NAME ends that, and keeps the session",
            )
        if not session.tally.messages:
            raise UsageError("there is nothing to keep yet", hint="type a message first")
        await self._talk.learn_profile()
        server = await warming.fingerprint(key[1])
        before = await self._load(session.id)
        self._refuse_useless(before, key, server)
        slot = await self._slot_for(key, warming, _held(session))
        file = f"{session.id}-{digest(*key, server)[:8]}.slot"
        request, made = await self._written(key, warming, file, slot)
        snapshot = Snapshot(
            session=session.id,
            provider=key[0],
            model=key[1],
            address=warming.address,
            server=server,
            slot=_slot_asked(request, slot),
            file=file,
            covered=len(session),
            messages=len(request.messages),
            prefix=prefix_of(request, len(request.messages)),
            tokens=made.tokens,
            bytes=made.bytes,
            at=now(),
        )
        await self._keep(snapshot)
        left = ""
        if before is not None and (before.address, before.file) != (snapshot.address, file):
            left = stays(before, "it is of another model or server")
        return Done(f"{_saved(made)}; the server's file {file} holds this talk", left, made)

    async def _written(
        self, key: Key, warming: Warming, file: str, slot: int
    ) -> tuple[Request, Warmth]:
        """What was read into ``slot`` and is in ``file`` now; the talk goes on there."""
        session_id = self._talk.session.id
        before = self._pins.get(session_id)
        self._pins[session_id] = (key, slot)
        try:
            request = self._talk.request(key, self._talk.known(*key))
            made = await warming.save(request, file, _slot_asked(request, slot))
            if not made.tokens:
                raise ProviderError(f"{key[0]} wrote a file with nothing in it", model=key[1])
        except BaseException:
            self._pin(session_id, before)
            raise
        return request, made

    def _refuse_useless(self, before: Snapshot | None, key: Key, server: str) -> None:
        told = before is not None and before.useless
        same = before is not None and (before.server, before.model) == (server, key[1])
        if (told and same) or (server, key[1]) in self._useless:
            raise UsageError(
                f"{key[1]} does not use what is read back on this server: saving would not help",
                hint="--swa-full may help, or a newer llama.cpp; /warm drop tries anew",
            )

    async def _restore(self) -> Done:
        key, warming = self._talk.choice, self._some()
        if warming.level is not WarmLevel.SNAPSHOT:
            made = await warming.restore(self._unsaid(), "", -1)
            return Done(f"{key[1]} is loaded, and stays so for {KEPT} after each use", warmth=made)
        session = self._talk.session
        snapshot = await self._found(session)
        if snapshot is None:
            return Done(f"nothing was saved of this talk: {_ANEW}", "/warm save keeps it")
        await self._talk.learn_profile()
        try:
            why = self.differs(snapshot) or await self._server_differs(snapshot, warming)
            if why:
                return Done(f"not restored: {why}; {_ANEW}")
            slot = await self._slot_for(key, warming, snapshot.tokens)
            made = await warming.restore(self._unsaid(), snapshot.file, slot)
        except ProviderError as error:
            return Done(f"not restored: {error.message}; {_ANEW}", error.hint)
        if not made.tokens:
            return Done(f"not restored: the file on the server is empty; {_ANEW}")
        self._pins[session.id] = (key, slot)
        self._due[session.id] = _Due(snapshot, key, snapshot.session == session.id)
        return Done(f"{_read(made)}; the next answer shows whether it is used", warmth=made)

    def differs(self, snapshot: Snapshot) -> str:
        """Why a snapshot is not one of this talk as it is now; "" where it is. Asks no server."""
        key = self._talk.choice
        if (snapshot.provider, snapshot.model) != key:
            return f"it is one of {snapshot.provider}/{snapshot.model}"
        warming = self._warming()
        if warming is None or snapshot.address != warming.address:
            return f"{key[0]} is at another address now"
        try:
            request = self._talk.request(key, self._talk.known(*key))
        except UsageError as error:
            return error.message
        if prefix_of(request, snapshot.messages) != snapshot.prefix:
            return "the talk, its system prompt or its tools have changed since"
        if snapshot.useless:
            return f"last time {snapshot.cached:,} of {snapshot.tokens:,} tokens were reused"
        return ""

    async def _server_differs(self, snapshot: Snapshot, warming: Warming) -> str:
        server = await warming.fingerprint(snapshot.model)
        if server != snapshot.server:
            return "the server runs another model, build, window or template now"
        return ""

    async def _drop(self) -> Done:
        key, session_id = self._talk.choice, self._talk.session.id
        snapshot = await self._load(session_id)
        self._useless = {pair for pair in self._useless if pair[1] != key[1]}
        if snapshot is not None:
            why = await self._emptied(snapshot)
            await self._remove(session_id)
            said = "what was kept of this talk is gone, here and on the server"
            return Done(stays(snapshot, why) if why else said)
        warming = self._some()
        if warming.level is WarmLevel.SNAPSHOT:
            return Done("nothing is kept of this talk")
        await warming.drop(key[1], "", -1)
        return Done(f"{key[1]} is unloaded")

    async def _emptied(self, snapshot: Snapshot) -> str:
        """Have the server's file hold nothing; why that could not be, "" where it could."""
        try:
            warming = _warming_of(self._talk.provider(snapshot.provider))
            if warming is None or warming.address != snapshot.address:
                return f"{snapshot.provider} is at another address now"
            slot = await warming.free_slot(snapshot.model, snapshot.tokens)
            await warming.drop(snapshot.model, snapshot.file, slot)
        except ChinwagError as error:
            return error.message
        return ""

    # -- what came of it ----------------------------------------------------------------------

    def heard(self, answer: AssistantSaid, hear: Ear) -> None:
        """An answer was settled: the first one after a restore shows what that was worth."""
        session_id = self._talk.session.id
        due = self._due.get(session_id)
        if due is None or due.key != (answer.provider, answer.model):
            return
        cached = answer.usage.cached
        if cached is None:
            if answer.status is Status.COMPLETE:
                del self._due[session_id]
                hear(Notice(f"{answer.provider} does not say how much of it was reused"))
            return
        del self._due[session_id]
        snapshot = due.snapshot
        useless = is_useless(cached, snapshot.tokens)
        if not useless:
            hear(Notice(resumed(answer, cached, snapshot)))
        elif (pair := (snapshot.server, snapshot.model)) not in self._useless:
            self._useless.add(pair)
            hear(Notice(in_vain(cached, snapshot), Level.WARNING))
        if due.own and not self._talk.private:
            checked = msgspec.structs.replace(snapshot, cached=cached)
            beside(self._writing, self._note(checked))

    async def _note(self, snapshot: Snapshot) -> None:
        try:
            await self._keep(snapshot)
        except ChinwagError:
            pass  # only a convenience: the next restore finds out again

    async def status(self) -> Sequence[tuple[str, str]]:
        """What is kept, as (name, words). The server is asked what its model can do, no more."""
        await self._talk.learn_profile()
        keeps = _level_words(self._warming())
        rows = [("model", "/".join(self._talk.choice)), ("what it keeps", keeps)]
        snapshot = await self._found(self._talk.session)
        if snapshot is not None:
            rows += about(snapshot, self._talk.session)
            why = self.differs(snapshot)
            rows.append(("restore", f"not possible: {why}" if why else "possible"))
        pin = self._pins.get(self._talk.session.id)
        if pin is not None and pin[0] == self._talk.choice:
            rows.append(("the talk goes on in", f"slot {pin[1]}"))
        last = self._talk.session.last_answer
        if last is not None and last.usage.cached is not None and last.usage.input:
            share = f"{last.usage.cached:,} of {last.usage.input:,} tokens"
            rows.append(("reused for the last answer", share))
        return rows

    # -- slots and records --------------------------------------------------------------------

    def _warming(self) -> Warming | None:
        return _warming_of(self._talk.provider(self._talk.choice[0]))

    def _some(self) -> Warming:
        """Raises UsageError where there is nothing to keep warm."""
        warming = self._warming()
        if warming is None:
            raise UsageError(
                f"{self._talk.choice[0]} has nothing to keep warm", hint="llama.cpp and Ollama have"
            )
        return warming

    def _unsaid(self) -> Request:
        """The model that answers next and its options, with nothing said."""
        return Request(self._talk.choice[1], (), options=self._talk.options)

    def _pin(self, session_id: str, pin: tuple[Key, int] | None) -> None:
        if pin is None:
            self._pins.pop(session_id, None)
        else:
            self._pins[session_id] = pin

    async def _slot_for(self, key: Key, warming: Warming, held: int) -> int:
        pin = self._pins.get(self._talk.session.id)
        if pin is not None and pin[0] == key:
            return pin[1]
        return await warming.free_slot(key[1], held)

    async def _found(self, session: Session) -> Snapshot | None:
        """The session's own, else that of the one it was forked from: it may still fit."""
        own = await self._load(session.id)
        if own is None and session.birth.parent:
            return await self._load(session.birth.parent)
        return own

    async def _load(self, session_id: str) -> Snapshot | None:
        data = await asyncio.to_thread(self._kept.load, session_id)
        found = decoded(data)
        return found if found is not None and found.session == session_id else None

    async def _keep(self, snapshot: Snapshot) -> None:
        await asyncio.to_thread(self._kept.keep, snapshot.session, msgspec.json.encode(snapshot))

    async def _remove(self, session_id: str) -> None:
        self._pins.pop(session_id, None)
        self._due.pop(session_id, None)
        await asyncio.to_thread(self._kept.drop, session_id)

    async def _until_stopped(self, work: Callable[[], Coroutine[Any, Any, Done]]) -> Done:
        with self._stoppable() as stop:
            task, stopper = asyncio.ensure_future(work()), asyncio.ensure_future(stop.wait())
            both: set[asyncio.Future[Any]] = {task, stopper}
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                return task.result() if task.done() else Done("stopped")
            finally:
                for one in both:
                    one.cancel()
                await asyncio.gather(*both, return_exceptions=True)


def _held(session: Session) -> int:
    """Tokens a slot holds after the last answer, as the server reported them; 0 unless it did."""
    last = session.last_answer
    return (last.usage.total or 0) if last is not None else 0


def _slot_asked(request: Request, slot: int) -> int:
    """The slot the request goes to: a person may have set another."""
    asked = request.options.extra.get("id_slot")
    return asked if isinstance(asked, int) and asked >= 0 else slot


def _saved(made: Warmth) -> str:
    size = f" ({made.bytes / 1e6:,.1f} MB)" if made.bytes else ""
    return f"{made.tokens:,} tokens saved{size}"


def _read(made: Warmth) -> str:
    return f"{made.tokens:,} tokens read back in {made.milliseconds / 1000:,.1f} s"


def _level_words(warming: Warming | None) -> str:
    match warming.level if warming is not None else WarmLevel.NONE:
        case WarmLevel.NONE:
            return "nothing"
        case WarmLevel.HINT:
            itself = warming.itself if warming is not None else ""
            return f"nothing that can be asked for; {itself}"
        case WarmLevel.KEEP:
            return f"the model in memory: /warm save keeps it loaded for {KEPT}"
        case WarmLevel.SNAPSHOT:
            return "what it has read, on its own disk, where it runs with --slot-save-path"


def _warming_of(provider: Provider) -> Warming | None:
    return provider.warming() if isinstance(provider, Warms) else None
