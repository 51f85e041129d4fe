"""MCP servers of the tests' own, and a person who says yes to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from pathlib import Path

from chinwag.talk.message import Call
from chinwag.tools.base import Ready, Scene, Toolbox
from chinwag.tools.mcp.keeper import State
from chinwag.tools.mcp.servers import Servers
from chinwag.tools.mcp.spec import ServerSpec

SERVER = str(Path(__file__).with_name("mcp_server.py"))
PATIENCE = 30.0  # seconds; the SDK's import alone takes several where two cores are shared


def small(name="lab", /, env=None, timeout=None, offer=(), folder="/", **behaviour):
    """A server of `support.mcp_server`, that behaves so."""
    command = (sys.executable, "-S", SERVER, json.dumps(behaviour))
    return ServerSpec(
        name=name, command=command, folder=folder, env=env or {}, timeout=timeout, offer=offer
    )


class Shelf:
    """Approvals, in memory."""

    def __init__(self) -> None:
        self.data = b""

    def read(self) -> bytes:
        return self.data

    def write(self, data: bytes) -> None:
        self.data = data


class Bench:
    """Servers with a toolbox, and all that was said of them."""

    def __init__(self, *specs, shelf=None, environ=None, secrets=None):
        self.shelf = shelf or Shelf()
        self.box = Toolbox()
        self.said = []
        self.warned = []
        self.servers = Servers(
            specs,
            shelf=self.shelf,
            secrets=secrets or (lambda spec: (dict(spec.env), "")),
            environ=environ or dict(os.environ),
        )

    async def __aenter__(self):
        self.servers.attach(self.box, self._say)
        await self.servers.settled(PATIENCE)
        return self

    async def __aexit__(self, *_):
        await self.servers.close()

    def _say(self, text, warning):
        (self.warned if warning else self.said).append(text)

    def status(self, name="lab"):
        return self.servers.status(name)

    async def yes(self, *names):
        """Approve what is asked about, and wait for what comes of it."""
        for name in names or ("lab",):
            before = self.status(name)
            assert before.question.digest, before
            await self.servers.approve(name, before.question.digest)
            await self.servers.moved_on(name, before, PATIENCE)
        return self.status(names[0] if names else "lab")

    async def until(self, holds, seconds=PATIENCE):
        limit = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < limit, (
                [(s.name, s.state, s.why) for s in self.servers.statuses()],
                self.said,
                self.warned,
            )
            await asyncio.sleep(0.01)

    async def ready(self, name="lab"):
        await self.until(lambda: self.status(name).state is State.READY)

    async def call(self, tool, arguments="{}", **scene):
        """The result of a call, and what it gave."""
        if not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        ready = self.box.check(Call("c1", tool, arguments))
        if not isinstance(ready, Ready):
            return ready, None
        return await self.box.run(ready, Scene(root=Path("/"), **scene))


@contextlib.asynccontextmanager
async def approved(*specs, **more):
    """Servers that were said yes to, and are there."""
    async with Bench(*specs, **more) as bench:
        await bench.yes(*(spec.name for spec in specs))
        for spec in specs:
            await bench.ready(spec.name)
        yield bench


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] != b"Z"


def held() -> int:
    """The memory this process holds now, in bytes."""
    return int(Path("/proc/self/statm").read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
