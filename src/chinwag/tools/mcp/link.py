"""One connection to a server, through the SDK: what it offers, and its answers.

Runs on the loop of the thread that MCP lives in; the SDK is imported here, and takes half a second.
Invariants: every answer is waited for a bounded time; a failure is a ToolError whose sentence says
what happened, never a name out of the SDK. Sampling, elicitation and roots are not offered, so a
server that asks for them is refused in words. What a list says is read anew each time: no cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol, TypeVar

import msgspec

from chinwag.errors import ToolError, ToolFailed, ToolTimedOut
from chinwag.tools.mcp.listing import MOST_TOOLS, Definition

STARTING: Final = 120.0
"""Seconds a server has to be ready: some are fetched first."""
LISTING: Final = 30.0
"""Seconds for a list."""
MOST_LISTED: Final = 1_000
"""Resources or prompts of one server that are listed."""
_T = TypeVar("_T")
Progress = Callable[[str], None]


class Resource(msgspec.Struct, frozen=True):
    uri: str
    name: str = ""
    description: str = ""
    mime: str = ""


class Prompt(msgspec.Struct, frozen=True):
    """``arguments`` are (name, whether it must be given)."""

    name: str
    description: str = ""
    arguments: tuple[tuple[str, bool], ...] = ()


class Changes(Protocol):
    """Who hears that a list is another by now."""

    def lists_changed(self) -> None: ...


class Missing(ToolError):
    """The SDK is not installed."""


def imported() -> None:
    """Import the SDK, and keep it from writing on the screen. Raises Missing."""
    try:
        import mcp  # noqa: F401
    except ImportError:
        said = "MCP servers need a package that is not installed"
        raise Missing(said, hint="pip install 'chinwag[mcp]'") from None
    import logging

    for name in ("mcp", "client", "httpx2", "httpcore2"):
        quiet = logging.getLogger(name)
        quiet.addHandler(logging.NullHandler())
        quiet.propagate = False


class Link:
    """A client that has shaken hands."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.info = client.server_info
        self.version = str(client.protocol_version)

    @property
    def can(self) -> Any:
        return self._client.server_capabilities

    async def tools(self) -> list[Definition]:
        if self.can.tools is None:
            return []
        pages = self._pages(self._client.list_tools, "tools", MOST_TOOLS + 1)
        return [_definition(tool) async for tool in pages]

    async def resources(self) -> list[Resource]:
        if self.can.resources is None:
            return []
        pages = self._pages(self._client.list_resources, "resources", MOST_LISTED)
        return [
            Resource(str(r.uri), r.name or "", r.description or "", r.mime_type or "")
            async for r in pages
        ]

    async def prompts(self) -> list[Prompt]:
        if self.can.prompts is None:
            return []
        pages = self._pages(self._client.list_prompts, "prompts", MOST_LISTED)
        return [Prompt(p.name, p.description or "", _arguments(p.arguments)) async for p in pages]

    async def call(self, tool: str, arguments: dict[str, Any], progress: Progress) -> Any:
        """The SDK's result. Its time limit is the caller's."""

        async def told(done: float, total: float | None, text: str | None) -> None:
            progress(_how_far(done, total, text))

        asked = self._client.call_tool(tool, arguments, progress_callback=told)
        return await _answer(asked, None)

    async def read(self, uri: str) -> Any:
        return await _answer(self._client.read_resource(uri), LISTING)

    async def prompt(self, name: str, arguments: dict[str, str]) -> Any:
        return await _answer(self._client.get_prompt(name, arguments), LISTING)

    async def watch(self, changes: Changes) -> None:
        """Hear of changed tools, where the protocol has a stream for it; else return at once."""
        from mcp.client.subscriptions import ListenNotSupportedError

        if self.can.tools is None or not self.can.tools.list_changed:
            return
        try:
            async with self._client.listen(tools_list_changed=True) as told:
                async for _ in told:
                    changes.lists_changed()
        except ListenNotSupportedError:
            return

    async def _pages(self, ask: Any, name: str, most: int) -> AsyncIterator[Any]:
        cursor, count = None, 0
        for _ in range(100):
            page = await _answer(ask(cursor=cursor), LISTING)
            for each in getattr(page, name):
                count += 1
                if count > most:
                    return
                yield each
            cursor = page.next_cursor
            if not cursor:
                return


@asynccontextmanager
async def connected(transport: Any, changes: Changes, *, old: bool) -> AsyncIterator[Link]:
    """A link over ``transport``, which is ended on leaving. ``old``: shake hands the old way."""
    import mcp_types
    from mcp import Client

    from chinwag import __version__

    lists = (
        mcp_types.ToolListChangedNotification,
        mcp_types.ResourceListChangedNotification,
        mcp_types.PromptListChangedNotification,
    )

    async def heard(message: Any) -> None:
        if isinstance(message, lists):
            changes.lists_changed()

    client = Client(
        transport,
        cache=None,
        mode="legacy" if old else "auto",
        message_handler=heard,
        client_info=mcp_types.Implementation(name="chinwag", version=__version__),
    )
    # Entered and left by one task, as the SDK's cancel scopes have to be; the limit is on entering.
    async with asyncio.timeout(STARTING) as limit, client:
        limit.reschedule(None)
        yield Link(client)


async def _answer(asked: Awaitable[_T], seconds: float | None) -> _T:
    """What was asked for, or a sentence about why not."""
    from mcp import InputRequiredRoundsExceededError, MCPError
    from pydantic import ValidationError

    try:
        async with asyncio.timeout(seconds):
            return await asked
    except TimeoutError:
        raise ToolTimedOut(f"it did not answer within {seconds or 0:g} seconds") from None
    except MCPError as error:
        raise ToolFailed(_said(error)) from None
    except ValidationError:
        raise ToolFailed("its answer is not of the form the protocol asks for") from None
    except (InputRequiredRoundsExceededError, RuntimeError) as error:
        raise ToolFailed(_said(error)) from None


def _said(error: Exception) -> str:
    text = getattr(getattr(error, "error", None), "message", "") or str(error)
    return " ".join(text.split())[:2000] or type(error).__name__


def _definition(tool: Any) -> Definition:
    hints = tool.annotations.model_dump(exclude_none=True) if tool.annotations else {}
    return Definition(
        tool.name, tool.title or "", tool.description or "", dict(tool.input_schema), hints
    )


def _arguments(found: Any) -> tuple[tuple[str, bool], ...]:
    return tuple((each.name, bool(each.required)) for each in found or ())


def _how_far(done: float, total: float | None, text: str | None) -> str:
    count = f"{done:g} of {total:g}" if total else f"{done:g}"
    return f"{count}: {text}" if text else count
