"""MCP servers beside a talk: made from the configuration, begun and ended with it. Part of wiring,
imported only where a server is configured.

Invariants: a talk that is to last waits for no server; a single answer waits for
those that were approved, for a while.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from chinwag.commands.mcp import brought, resources
from chinwag.config import secrets
from chinwag.config.approved import OwnFile
from chinwag.talk.event import Ear, Learnt, Level, Notice
from chinwag.talk.message import AnyPart
from chinwag.tools.mcp.servers import Servers, attach
from chinwag.tools.mcp.spec import KEY_FORMS, ServerSpec

if TYPE_CHECKING:
    from chinwag.config.paths import Places
    from chinwag.config.settings import ServerSettings, Settings
    from chinwag.engine.tooling import Tooling

PATIENCE: Final = 20.0
"""Seconds a single answer waits for servers that are starting."""


def spec_of(name: str, own: ServerSettings) -> ServerSpec:
    """A server as the tools know it: the two rooms are strangers to each other."""
    folder = Path(own.folder or "~").expanduser().absolute() if own.command else ""
    return ServerSpec(
        name=name,
        command=own.command,
        url=own.url or "",
        folder=str(folder),
        env=own.env,
        key=own.key or "",
        timeout=own.timeout,
        offer=own.offer,
    )


def servers(settings: Settings, places: Places, environ: Mapping[str, str]) -> Servers:
    """Every server of the configuration, none of them begun. Raises ConfigError."""
    return Servers(
        [spec_of(name, own) for name, own in settings.mcp.items()],
        shelf=OwnFile(places.mcp_approved),
        secrets=lambda spec: _found(spec, environ),
        environ=environ,
    )


def _found(spec: ServerSpec, environ: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The values of a server's variables, and its token. Raises KeyMissing, ConfigError."""

    def value(told: str) -> str:
        key = secrets.find_key(f"mcp.{spec.name}", spec=told, environ=environ)
        return key.reveal() if key else ""

    values = {n: value(v) if v.startswith(KEY_FORMS) else v for n, v in spec.env.items()}
    return values, value(spec.key) if spec.key else ""


class Served:
    """`desk.Served`: see there. Which tools are offered is for the tooling to say."""

    def __init__(self, made: Servers) -> None:
        self.servers = made

    async def begin(self, tooling: Tooling, hear: Ear, *, stay: bool) -> None:
        """Let tools come into ``tooling``; with ``stay`` nobody waits for them."""

        def say(text: str, warning: bool) -> None:  # noqa: FBT001 - the promise's
            hear(Notice(text, Level.WARNING if warning else Level.INFO))

        attach(self.servers, tooling.toolbox, say, lambda: hear(Learnt()))
        if not stay:
            await self.servers.settled(PATIENCE)

    def names(self) -> list[tuple[str, str]]:
        """Every server, and how it is: for completion."""
        return [(s.name, str(s.state)) for s in self.servers.statuses()]

    async def bring(self, text: str) -> Sequence[AnyPart]:
        return await brought(self.servers, text)

    def resources(self, typed: str) -> Iterable[tuple[str, str]]:
        return resources(self.servers.statuses(), typed)

    async def close(self) -> None:
        await self.servers.close()


async def looked_at(made: Servers, seconds: float) -> None:
    """Begin without a talk, and wait until every server is ready, refused or given up."""
    from chinwag.tools.base import Toolbox

    attach(made, Toolbox(), lambda *_: None)
    await asyncio.sleep(0)
    await made.settled(seconds)
