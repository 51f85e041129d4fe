"""The servers of a talk: the one door the rest of the program has to MCP.

Lives on the talk's loop; what the servers do happens in a thread with a loop of its own, which
begins when `attach` is called and there is a server. Invariants: nothing here blocks the talk; a
toolbox changes only on the talk's loop, between two requests or beside one, never in it; what a
tool of ours may be called by is its server's name first, and no other tool's.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, Protocol, TypeVar

import msgspec

from chinwag.errors import ArgumentsUnfit, CommandError, ToolFailed, UsageError, nearest
from chinwag.talk.fits import misfit
from chinwag.talk.message import AnyPart
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.threads import tell
from chinwag.tools.base import Output, Scene, Tool, Toolbox
from chinwag.tools.mcp import results
from chinwag.tools.mcp.keeper import Keeper, State, Status
from chinwag.tools.mcp.listing import Definition, checkable
from chinwag.tools.mcp.pins import Book, Pin, read, with_pin, written
from chinwag.tools.mcp.spec import ServerSpec, check

_LEAVE: Final = 5.0
#: Seconds that a wish about a server waits for the thread of the servers to begin.
_BEGIN: Final = 10.0
"""Seconds the servers have to end, all together."""
_T = TypeVar("_T")
Say = Callable[[str, bool], None]
"""One line for the person; True where it is a warning. Called on the talk's loop."""


class Shelf(Protocol):
    """Where approvals are kept: a private file of the person's own. May be slow."""

    def read(self) -> bytes: ...

    def write(self, data: bytes) -> None:
        """Raises ChinwagError."""
        ...


Secrets = Callable[[ServerSpec], tuple[dict[str, str], str]]
"""The values of a server's own variables, and its token. May be slow; raises ChinwagError."""


class McpTool(Tool):
    """A tool of a server, as it was approved."""

    def __init__(self, spec: ToolSpec, definition: Definition, servers: Servers) -> None:
        self.spec = spec
        self._definition = definition
        self._servers = servers
        self._checked = checkable(spec.schema)

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Checked by what of its schema cannot hold us up; the server checks the rest."""
        if reason := misfit(arguments, self._checked):
            raise ArgumentsUnfit(reason)
        return arguments

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        name = self.spec.name
        return await self._servers.call(name, self._definition, arguments, scene.progress)


class Servers:
    """All servers of the configuration."""

    def __init__(
        self,
        specs: Sequence[ServerSpec],
        *,
        shelf: Shelf,
        secrets: Secrets,
        environ: Mapping[str, str],
    ) -> None:
        self.specs = {check(spec).name: spec for spec in specs}
        self._shelf = shelf
        self._secrets = secrets
        self.environ = environ
        self._book = Book()
        self._keepers: dict[str, Keeper] = {}
        self._statuses: dict[str, Status] = {
            name: Status(name=name, where=spec.where) for name, spec in self.specs.items()
        }
        self._toolbox: Toolbox = Toolbox()
        self._say: Say = lambda *_: None
        self._changed: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None
        self._theirs: asyncio.AbstractEventLoop | None = None
        self._ours: asyncio.AbstractEventLoop | None = None
        self._begun = threading.Event()
        self._over: asyncio.Event | None = None
        self._news = asyncio.Event()

    # -- beginning and end --------------------------------------------------------------------

    def attach(
        self, toolbox: Toolbox, say: Say, changed: Callable[[], None] = lambda: None
    ) -> None:
        """Begin: tools come into ``toolbox`` as servers get ready, and go with them.

        Call it on the talk's loop, after the first paint. ``changed`` is called after each change.
        """
        if self._thread is not None or not self.specs:
            return
        self._toolbox, self._say, self._changed = toolbox, say, changed
        self._ours = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._live, name="mcp", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """End every server, and wait for that; at most a few seconds."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self._take_away(*self._statuses)
        self._ours = None
        await asyncio.to_thread(self._begun.wait, _LEAVE)
        if self._theirs is not None and self._over is not None:
            tell(self._theirs, self._over.set)
        await asyncio.to_thread(thread.join, _LEAVE)

    def _live(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        """In the thread: keep all servers until it is over."""
        self._theirs, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._book = read(self._shelf.read())
        self._keepers = {name: Keeper(spec, self) for name, spec in self.specs.items()}
        tasks = [asyncio.ensure_future(self._kept(keeper)) for keeper in self._keepers.values()]
        self._begun.set()
        over = asyncio.ensure_future(self._over.wait())
        try:
            await over
        finally:
            for keeper in self._keepers.values():
                keeper.leave()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_LEAVE)

    async def _kept(self, keeper: Keeper) -> None:
        """A keeper that falls over leaves the others alone, and is said to have fallen."""
        try:
            await keeper.run()
        except Exception as error:  # noqa: BLE001 - a mistake of ours: seen, and the talk goes on
            why = f"{type(error).__name__}: {error}"
            self.changed(
                msgspec.structs.replace(keeper.status, state=State.STOPPED, why=why, offered={})
            )
            self.say(
                f"MCP server {keeper.spec.name} is stopped by a mistake of ours: {why}",
                warning=True,
            )

    # -- what keepers ask for, on their loop --------------------------------------------------

    def pin(self, server: str) -> Pin | None:
        return self._book.servers.get(server)

    async def keep(self, server: str, pin: Pin) -> None:
        """What another chat approved meanwhile stays approved."""

        def kept() -> Book:
            book = with_pin(read(self._shelf.read()), server, pin)
            self._shelf.write(written(book))
            return book

        self._book = await asyncio.to_thread(kept)

    async def secrets(self, spec: ServerSpec) -> tuple[dict[str, str], str]:
        return await asyncio.to_thread(self._secrets, spec)

    def changed(self, status: Status) -> None:
        self._post(lambda: self._renew(status))

    def say(self, text: str, *, warning: bool = False) -> None:
        self._post(lambda: self._say(text, warning))

    def _post(self, work: Callable[[], None]) -> None:
        if self._ours is not None:
            tell(self._ours, work)

    # -- the toolbox, on our loop -------------------------------------------------------------

    def _renew(self, status: Status) -> None:
        if self._ours is None:
            return
        before, self._statuses[status.name] = self._statuses[status.name], status
        if before.offered != status.offered:
            self._take_away(status.name)
            for name, definition in sorted(status.offered.items()):
                self._put(status.name, name, definition)
        self._news.set()
        self._changed()

    def _take_away(self, *servers: str) -> None:
        sources = {f"mcp:{server}" for server in servers}
        for tool in list(self._toolbox):
            if tool.spec.source in sources:
                self._toolbox.remove(tool.spec.name)

    def _put(self, server: str, name: str, definition: Definition) -> None:
        spec = self.specs[server]
        told = definition.description or definition.title
        shown = ToolSpec(
            name,
            told,
            definition.schema,
            risk=Risk.NETWORK if spec.url else Risk.EXECUTE,
            source=f"mcp:{server}",
            foreign=True,
            timeout=spec.timeout,
        )
        try:
            self._toolbox.add(McpTool(shown, definition, self))
        except UsageError as error:
            self._say(f"MCP server {server}: {error.message}", True)

    # -- what the talk asks for ---------------------------------------------------------------

    def statuses(self) -> tuple[Status, ...]:
        """Every server as it is now, by name."""
        return tuple(self._statuses[name] for name in sorted(self._statuses))

    def status(self, name: str) -> Status:
        """Raises CommandError with near names."""
        if name not in self._statuses:
            near = nearest(name, self._statuses) or tuple(self._statuses)
            hint = f"there is {', '.join(near)}" if near else "chat mcp add NAME -- COMMAND…"
            raise CommandError(f"there is no MCP server {name!r}", hint=hint)
        return self._statuses[name]

    async def settled(self, seconds: float) -> None:
        """Wait until no server is starting any more, at most ``seconds``."""
        await self._until(
            lambda: all(s.state is not State.STARTING for s in self._statuses.values()), seconds
        )

    async def ready(self, name: str, seconds: float) -> Status:
        """One server, once it is not starting any more or ``seconds`` are over."""
        self.status(name)
        await self._until(lambda: self._statuses[name].state is not State.STARTING, seconds)
        return self._statuses[name]

    async def moved_on(self, name: str, before: Status, seconds: float) -> None:
        """Wait until what was asked ``before`` is answered and has had its effect."""

        def moved() -> bool:
            now = self._statuses[name]
            going = now.state is State.STARTING
            going = going or (now.state is State.UNAPPROVED and not now.question.digest)
            return not going and now.question != before.question

        await self._until(moved, seconds)

    async def _until(self, holds: Callable[[], bool], seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not holds():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass

    async def call(
        self,
        name: str,
        definition: Definition,
        arguments: dict[str, Any],
        progress: Callable[[str], None],
    ) -> Output:
        """Call the tool offered as ``name``. Raises ToolError."""
        server = name.partition("__")[0]

        def told(text: str) -> None:
            self._post(lambda: progress(text))

        keeper = await self._keeper(server)
        return await self._there(keeper.call(name, definition, arguments, told))

    async def approve(self, server: str, digest: str) -> str:
        """Say yes to what was shown under ``digest``. Raises CommandError; returns what it did."""
        keeper = await self._keeper(server)
        return await self._there(keeper.approve(digest))

    async def restart(self, server: str) -> None:
        async def anew(keeper: Keeper) -> None:
            keeper.restart()

        await self._there(anew(await self._keeper(server)))

    async def log(self, server: str) -> str:
        async def text(keeper: Keeper) -> str:
            return keeper.log.text

        return await self._there(text(await self._keeper(server)))

    async def attached(self, server: str, uri: str) -> list[AnyPart]:
        """A resource as parts of a message. Raises ToolError, or UsageError for what is neither
        text nor a picture."""

        async def got(keeper: Keeper) -> list[AnyPart]:
            return results.parts(uri, await keeper.read(uri))

        return await self._there(got(await self._keeper(server)))

    async def prompt(self, server: str, name: str, arguments: dict[str, str]) -> str:
        """A prompt of a server, filled in, as text. Raises ToolError."""
        keeper = await self._keeper(server)
        return await self._there(keeper.prompt(name, arguments))

    async def _keeper(self, server: str) -> Keeper:
        """Who keeps ``server``; waits for the thread that was just begun, which imports much."""
        self.status(server)
        if self._thread is not None:
            await asyncio.to_thread(self._begun.wait, _BEGIN)
        if server not in self._keepers:
            raise ToolFailed(f"MCP server {server} is not there yet", hint="wait a moment")
        return self._keepers[server]

    async def _there(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Do ``work`` in the thread of the servers; cancelling here cancels it there."""
        if self._theirs is None or self._thread is None:
            work.close()
            raise ToolFailed("MCP servers are not running", hint="begin a chat")
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._theirs))


def attach(
    servers: Servers, toolbox: Toolbox, say: Say, changed: Callable[[], None] = lambda: None
) -> Callable[[], Awaitable[None]]:
    """Give ``toolbox`` the tools of ``servers``, now and as they come; returns how to end it."""
    servers.attach(toolbox, say, changed)
    return servers.close
