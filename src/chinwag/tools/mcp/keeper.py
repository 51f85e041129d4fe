"""Keeps one server going: asked about, started, watched, started again; or let be.

Runs on the loop of MCP's own thread, one task for each server. Invariants: nothing is started
before the command or address in front of us is what was approved; a tool is offered, and can be
called, only while its definition is what was approved. A server that fails is tried again after
longer and longer pauses, and given up after a few; one that floods us is not tried again by
itself. Whatever happens to it is a sentence, and the last of them can be asked for.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final, Protocol, TypeVar

import msgspec

from chinwag.errors import ChinwagError, CommandError, ToolError, ToolFailed
from chinwag.tools.base import Output
from chinwag.tools.mcp import results
from chinwag.tools.mcp.link import Link, Missing, Progress, Prompt, Resource, connected, imported
from chinwag.tools.mcp.listing import Definition, Listing, listing
from chinwag.tools.mcp.pins import Pin, Question, approved, may_run, question, told
from chinwag.tools.mcp.spec import ServerSpec, environment, said
from chinwag.tools.mcp.spying import Log

TRIES: Final = 5
"""Failures in a row after which a server is left alone."""
LONG: Final = 60.0
"""Seconds after which a connection counts as having worked."""
CHANGES: Final = 10
"""Times a server may offer something else in one connection."""
BREATH: Final = 0.2
"""Seconds between two looks at a list that keeps changing."""
PAUSES: Final = (0.5, 2.0, 8.0, 30.0)
"""Seconds before it is tried again, by how often it has failed."""
_CLOSED: Final = "Connection closed"
"""What the SDK says to those who wait when a connection ends."""
_STATUSES: Final = frozenset(HTTPStatus)
_T = TypeVar("_T")


class State(StrEnum):
    UNAPPROVED = "not approved"
    STARTING = "starting"
    READY = "ready"
    PAUSED = "failed, and will be tried again"
    STOPPED = "stopped"


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """A server as it is now. ``offered`` are definitions by the name they are offered under."""

    name: str
    where: str
    state: State = State.STARTING
    why: str = ""
    offered: dict[str, Definition] = {}
    withheld: tuple[str, ...] = ()
    question: Question = Question()
    seconds: float = 0.0
    software: str = ""
    resources: tuple[Resource, ...] = ()
    prompts: tuple[Prompt, ...] = ()


class Home(Protocol):
    """What a keeper needs of the rest. Called on MCP's loop."""

    environ: Mapping[str, str]

    def pin(self, server: str) -> Pin | None: ...

    async def keep(self, server: str, pin: Pin) -> None:
        """Write a pin down. Raises ChinwagError where that cannot be."""
        ...

    async def secrets(self, spec: ServerSpec) -> tuple[dict[str, str], str]:
        """The values of ``spec.env``, and the token. Raises ChinwagError."""
        ...

    def changed(self, status: Status) -> None: ...

    def say(self, text: str, *, warning: bool = False) -> None: ...


class Keeper:
    """One server's; ``run`` goes on until it is cancelled."""

    def __init__(self, spec: ServerSpec, home: Home) -> None:
        self.spec = spec
        self.log = Log()
        self._home = home
        self._command = said(spec)
        self._status = Status(name=spec.name, where=spec.where)
        self._link: Link | None = None
        self._listing: Listing | None = None
        self._ended = asyncio.Event()
        self._relist = asyncio.Event()
        self._nudge = asyncio.Event()
        self._why = ""
        self._refused = self._changes = 0
        self._refusals: set[str] = set()
        self._flooded = self._leaving = False
        self._fails = 0
        self._asked_about = ""

    @property
    def status(self) -> Status:
        return self._status

    # -- going --------------------------------------------------------------------------------

    async def run(self) -> None:
        while not self._leaving:
            await self._allowed()
            began = time.monotonic()
            self._set(state=State.STARTING, why=self._why)
            missing = await self._once()
            worked = time.monotonic() - began > LONG
            self._fails = 1 if worked else self._fails + 1
            await self._pause(for_good=missing or self._flooded)

    async def _allowed(self) -> None:
        """Returns when the command is what was approved."""
        while not may_run(self._home.pin(self.spec.name), self._command):
            self._ask(state=State.UNAPPROVED, why="", offered={})
            await self._nudged(None)

    def _ask(self, **what: Any) -> None:
        """Say that there is something to approve, once for each thing."""
        asked = self.question()
        self._set(question=asked, **what)
        if asked.digest and asked.digest != self._asked_about:
            self._asked_about = asked.digest
            self._changes += 1
            if self._changes > CHANGES:
                self.flooded("it keeps changing what it offers")
                return
            text = f"{asked.sentence}; /mcp approve {self.spec.name} shows it"
            self._home.say(text, warning=True)

    def question(self) -> Question:
        pin = self._home.pin(self.spec.name)
        return question(self.spec.name, self._command, pin, self._listing)

    async def _nudged(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._nudge.wait()
        self._nudge.clear()

    async def _pause(self, *, for_good: bool) -> None:
        name, why = self.spec.name, self._why or "it ended"
        self.log.note(why)
        if self._leaving:
            return
        if self._nudge.is_set():  # somebody wants it anew
            self._nudge.clear()
        elif for_good or self._fails >= TRIES:
            self._set(state=State.STOPPED, why=why, offered={})
            self._home.say(f"MCP server {name} is stopped: {why}", warning=True)
            await self._nudged(None)
        else:
            seconds = PAUSES[min(self._fails, len(PAUSES)) - 1]
            self._set(state=State.PAUSED, why=why)
            if self._fails == 1:
                self._home.say(f"MCP server {name} failed: {why}; it is tried again", warning=True)
            await self._nudged(seconds)

    async def _once(self) -> bool:
        """One connection, to its end. True where it can never work here."""
        self._ended.clear()
        self._relist.clear()
        self._flooded, self._why = False, ""
        self._refusals.clear()
        self._changes = 0
        if self._leaving:
            return True
        try:
            await self._connection()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            self._why = self._why or "the connection broke"
        except Missing as error:
            self._why = f"{error.message}: {error.hint}"
            return True
        except Exception as error:  # noqa: BLE001 - a server's fault, the SDK's: said in words, survived
            self._why = self._why or self._in_words(_words(error))
        finally:
            self._link = None
            self._ended.set()
        words = "" if self.spec.url or self._flooded else self.log.last_words()
        if words and self._why.startswith("it ended"):
            self._why = f"{self._why} ({words})"
        return False

    async def _connection(self) -> None:
        began = time.monotonic()
        await asyncio.to_thread(imported)
        transport = await self._transport()
        async with connected(transport, self, old=self._fails % 2 == 1) as link:
            self._link = link
            await self._look(link)
            await self._look_further(link)
            seconds = time.monotonic() - began
            self._set(state=State.READY, why="", seconds=seconds, software=_software(link))
            watch = asyncio.ensure_future(_quietly(link.watch(self)))
            try:
                await self._stay(link)
            finally:
                watch.cancel()

    async def _transport(self) -> Any:
        from chinwag.tools.mcp.pipe import Pipe
        from chinwag.tools.mcp.web import Web

        values, token = await self._home.secrets(self.spec)
        if self.spec.url:
            return Web(self.spec.url, token, self)
        own = environment(self._home.environ, values)
        return Pipe(self.spec.command, self.spec.folder, own, self)

    async def _stay(self, link: Link) -> None:
        """Until it ends, or is wanted anew; changed lists are read meanwhile."""
        while not self._ended.is_set() and not self._nudge.is_set():
            await _first(self._ended, self._relist, self._nudge)
            if self._relist.is_set() and not self._ended.is_set():
                self._relist.clear()
                await self._look(link)
                await self._look_further(link)
                await asyncio.sleep(BREATH)

    async def _look(self, link: Link) -> None:
        """Read what it offers, and offer of it what was approved."""
        server = self.spec.name
        self._listing = listing(server, await link.tools(), self.spec.offer)
        pin = self._home.pin(server)
        if pin is not None and pin.tools is None:
            await self._home.keep(server, Pin(pin.command, told(self._listing)))
            self._welcome(self._listing)
        self._offer()

    def _welcome(self, found: Listing) -> None:
        names = ", ".join(sorted(found.offered)) or "nothing"
        self._home.say(
            f"MCP server {self.spec.name} offers {names}; /mcp {self.spec.name} says more"
        )

    def _offer(self) -> None:
        found = self._listing or Listing()
        offered = approved(self._home.pin(self.spec.name), found)
        more = tuple(
            f"{name} is not offered: it is not as it was approved"
            for name in sorted(found.offered.keys() - offered.keys())
        )
        for text in found.withheld:
            self.log.note(text)
        self._ask(offered=offered, withheld=found.withheld + more)

    async def _look_further(self, link: Link) -> None:
        """Resources and prompts: what cannot be listed is not there."""
        resources: list[Resource] = []
        prompts: list[Prompt] = []
        with suppress(ToolError):
            resources = await link.resources()
        with suppress(ToolError):
            prompts = await link.prompts()
        self._set(resources=tuple(resources), prompts=tuple(prompts))

    def _set(self, **what: Any) -> None:
        status = msgspec.structs.replace(self._status, **what)
        if status != self._status:
            self._status = status
            self._home.changed(status)

    # -- what is heard of the connection ------------------------------------------------------

    def ended(self, why: str) -> None:
        self._why = self._why or why
        self._ended.set()

    def flooded(self, why: str) -> None:
        self._flooded = True
        self._why = why
        self._ended.set()

    def said(self, text: bytes) -> None:
        self.log.add(text)

    def refused(self, status: int) -> None:
        self._refused = status

    def _in_words(self, text: str) -> str:
        """``text``, with what a server at an address answered where the SDK does not say it."""
        if text != "Server returned an error response" or not self._refused:
            return text
        phrase = HTTPStatus(self._refused).phrase if self._refused in _STATUSES else ""
        hint = " (see its key)" if self._refused in {401, 403} else ""
        return f"it answered {self._refused} {phrase}".rstrip() + hint

    def asked(self, what: str) -> None:
        self.log.note(what)
        if what not in self._refusals:
            self._refusals.add(what)
            self._home.say(f"MCP server {self.spec.name}: {what}")

    def lists_changed(self) -> None:
        self._relist.set()

    # -- what is asked of it ------------------------------------------------------------------

    async def call(
        self, name: str, definition: Definition, arguments: dict[str, Any], progress: Progress
    ) -> Output:
        """Call a tool that is what was approved. Raises ToolError."""
        if self._status.offered.get(name) != definition:
            said = f"{name} is not offered any more"
            raise ToolFailed(said, hint=f"/mcp {self.spec.name} says why")
        link = self._connected()
        result = await self._of(link.call(definition.name, arguments, progress))
        return results.output(result)

    async def read(self, uri: str) -> Any:
        return await self._of(self._connected().read(uri))

    async def prompt(self, name: str, arguments: dict[str, str]) -> str:
        result = await self._of(self._connected().prompt(name, arguments))
        return results.prompt_text(result)

    def _connected(self) -> Link:
        if self._link is None:
            why = f" ({self._why})" if self._why else ""
            said = f"MCP server {self.spec.name} is not there now: {self._status.state}{why}"
            raise ToolFailed(said, hint=f"/mcp restart {self.spec.name}")
        return self._link

    async def _of(self, asked: Awaitable[_T]) -> _T:
        """The answer; or, as soon as the connection is gone, the reason."""
        answer = asyncio.ensure_future(asked)
        answer.add_done_callback(lambda late: late.cancelled() or late.exception())
        gone = asyncio.ensure_future(self._ended.wait())
        try:
            await asyncio.wait({answer, gone}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({answer}, timeout=0.05)  # it may have come just before the end
            failed = answer.done() and (answer.cancelled() or answer.exception() is not None)
            if failed and (answer.cancelled() or str(answer.exception()) == _CLOSED):
                await asyncio.wait({gone}, timeout=1)  # the reason is on its way
            if answer.done() and not answer.cancelled() and not (failed and gone.done()):
                return self._result(answer)
            raise ToolFailed(f"MCP server {self.spec.name} is gone: {self._why or 'it ended'}")
        finally:
            gone.cancel()
            answer.cancel()
            await asyncio.wait({answer}, timeout=1)

    def _result(self, answer: asyncio.Future[_T]) -> _T:
        try:
            return answer.result()
        except ToolFailed as error:
            raise ToolFailed(self._in_words(error.message), hint=error.hint) from None

    async def approve(self, digest: str) -> str:
        """Take what was shown under ``digest`` as approved. Raises CommandError; returns words."""
        name, asked = self.spec.name, self.question()
        if not asked.digest:
            raise CommandError(f"there is nothing to approve about {name}", hint=f"/mcp {name}")
        if digest != asked.digest:
            said = f"{name} is not what that approval was for"
            raise CommandError(said, hint=f"/mcp approve {name} shows what it is now")
        old = self._home.pin(name)
        if may_run(old, self._command):
            await self._home.keep(name, Pin(self._command, told(self._listing or Listing())))
            self._offer()
            return f"the tools of {name} are approved as they are now"
        await self._home.keep(name, Pin(self._command, old.tools if old else None))
        self._set(question=Question())
        self._nudge.set()
        return f"{name} is approved, and starts"

    def leave(self) -> None:
        """Nothing is begun any more: a cancellation may get lost in a library, this does not."""
        self._leaving = True
        self._ended.set()
        self._nudge.set()

    def restart(self) -> None:
        self._fails = 0
        self._set(state=State.STARTING, why="")
        self._nudge.set()


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waits:
            each.cancel()


async def _quietly(work: Awaitable[None]) -> None:
    """A stream of news that breaks is no news: the connection itself says when it ends."""
    with suppress(Exception):
        await work


def _software(link: Link) -> str:
    info = link.info
    name = " ".join(f"{info.name} {info.version}".split())[:100] if info else ""
    return f"{name}, protocol {link.version}" if name else f"protocol {link.version}"


def _words(error: BaseException) -> str:
    """What went wrong, without a name out of the SDK where that can be."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, ChinwagError):
        return f"{error.message} ({error.hint})" if error.hint else error.message
    if isinstance(error, TimeoutError):
        return "it was not ready in time"
    text = " ".join(str(error).split())[:300]
    if type(error).__name__.startswith("Connect"):  # of the SDK's own HTTP library
        return f"it cannot be reached: {text}"
    return text or type(error).__name__
