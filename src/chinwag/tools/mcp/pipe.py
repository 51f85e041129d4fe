"""A server's process, and the lines between it and us.

Invariants: the process runs under the supervisor (`tools.supervisor`): with all its descendants it
is gone when this is left, and when our program dies by whatever hand. It gets the environment it is
given, three pipes, and no other descriptor of ours. No more than one message and a pipe's worth of
what it says is held here; what it says beside the protocol goes to its log, whose end is kept. A
line that is no message is passed over and logged: programs greet.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from chinwag.errors import ToolFailed
from chinwag.tools.mcp.flow import FRAME, Flood, Flow, too_long
from chinwag.tools.mcp.spying import Told, looked_at

_CHUNK: Final = 64 << 10
_LEAVE: Final = 1.0
"""Seconds a server has to end by itself once its input is closed."""
_END: Final = 2.5
"""Seconds the supervisor has to end everything."""
_ERRORS_A_SECOND: Final = 4 << 20
"""Bytes of stderr read in a second: who writes faster waits at the pipe, and we do not."""
_BOOT: Final = (
    "import sys; sys.path.append({!r}); from chinwag.tools.supervisor import main; main()"
)


def command_line(argv: Sequence[str], folder: str) -> list[str]:
    """What runs ``argv`` in ``folder`` under a supervisor, with our three pipes as its own.

    It is not confined: a person has seen the whole command and said yes to it.
    """
    config: dict[str, Any] = {
        "control": False,
        "kind": "none",
        "cwd": folder,
        "umask": 0o077,
        "seconds": 0,
        "memory": 0,
        "processes": 0,
        "rlimits": {"CORE": 0},
        "families": None,
    }
    source = str(Path(__file__).parents[3])
    return [sys.executable, "-I", "-S", "-c", _BOOT.format(source), json.dumps(config), *argv]


class Pipe:
    """An SDK transport over a process. ``tell`` hears what becomes of it; see `spying.Told`."""

    def __init__(
        self, argv: Sequence[str], folder: str, environment: Mapping[str, str], tell: Told
    ) -> None:
        self._argv = tuple(argv)
        self._folder = folder
        self._environment = dict(environment)
        self._tell = tell
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[Any] = []

    async def __aenter__(self) -> tuple[Any, Any]:
        import anyio

        self._process = await self._started()
        to_us, ours = anyio.create_memory_object_stream[Any](0)
        theirs, to_them = anyio.create_memory_object_stream[Any](0)
        self._streams = [to_us, ours, theirs, to_them]
        out, into, errors = self._process.stdout, self._process.stdin, self._process.stderr
        if out is None or into is None or errors is None:
            raise ToolFailed("it has no pipes", hint="see its command")  # pragma: no cover
        work = (self._read(out, to_us), self._write(to_them, into), self._log(errors))
        self._tasks = [asyncio.ensure_future(each) for each in work]
        return ours, theirs

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the process. Takes its time even where we are being cancelled."""
        ending = asyncio.ensure_future(self._end())
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            while not ending.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({ending})
            raise

    async def _started(self) -> asyncio.subprocess.Process:
        first = self._argv[0]
        named = os.path.join(self._folder, first) if os.sep in first else first  # noqa: PTH118
        if shutil.which(named, path=self._environment.get("PATH", os.defpath)) is None:
            hint = "install it, or write the whole path of it in the configuration"
            raise ToolFailed(f"there is no program {first}", hint=hint)
        if not os.path.isdir(self._folder):  # noqa: ASYNC240, PTH112 - one look, in MCP's own thread
            raise ToolFailed(f"there is no folder {self._folder}", hint="make it, or name another")
        pipe = asyncio.subprocess.PIPE
        try:
            return await asyncio.create_subprocess_exec(
                *command_line(self._argv, self._folder),
                stdin=pipe,
                stdout=pipe,
                stderr=pipe,
                env=self._environment,
                cwd="/",
                start_new_session=True,
                limit=_CHUNK,
            )
        except (OSError, ValueError) as error:
            raise ToolFailed(f"it cannot be started: {error}", hint="see its command") from None

    # -- what it says -------------------------------------------------------------------------

    async def _read(self, out: asyncio.StreamReader, to_us: Any) -> None:
        """Its lines as messages, until it ends or says too much."""
        import anyio

        why = "it ended"
        try:
            await self._lines(out, to_us)
            why = await self._how()
        except Flood as flood:
            why = str(flood)
            self._tell.flooded(why)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # we are leaving
        finally:
            self._tell.ended(why)
            await to_us.aclose()

    async def _lines(self, out: asyncio.StreamReader, to_us: Any) -> None:
        flow, kept = Flow(time.monotonic()), bytearray()
        while chunk := await out.read(_CHUNK):
            flow.came(len(chunk), time.monotonic())
            start = 0
            while (end := chunk.find(b"\n", start)) >= 0:
                kept += chunk[start:end]
                start = end + 1
                line, kept = bytes(kept), bytearray()
                await self._message(line, flow, to_us)
            kept += chunk[start:]
            if len(kept) > FRAME:
                raise too_long()

    async def _how(self) -> str:
        """How the process ended, where it has."""
        process = self._process
        if process is None or not await _exited(process, 0.5):
            return "it closed its output"
        code = process.returncode or 0
        how = f"signal {code - 128}" if code > 128 else f"exit code {code}"
        return f"it ended with {how}" if code else "it ended"

    async def _message(self, line: bytes, flow: Flow, to_us: Any) -> None:
        if not line.strip():
            return
        if len(line) > FRAME:
            raise too_long()
        flow.message(time.monotonic())
        message = looked_at(line, self._tell)
        if message is not None:
            await to_us.send(message)

    async def _log(self, errors: asyncio.StreamReader) -> None:
        """What it says at stderr, as fast as is good for us."""
        while chunk := await errors.read(_CHUNK):
            self._tell.said(chunk)
            await asyncio.sleep(len(chunk) / _ERRORS_A_SECOND)

    # -- what we say --------------------------------------------------------------------------

    async def _write(self, to_them: Any, into: asyncio.StreamWriter) -> None:
        try:
            async for sent in to_them:
                text = sent.message.model_dump_json(by_alias=True, exclude_unset=True)
                into.write(text.encode() + b"\n")
                await into.drain()
        except (OSError, RuntimeError):
            self._tell.ended("it takes no more messages")

    # -- its end ------------------------------------------------------------------------------

    async def _end(self) -> None:
        process = self._process
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            await self._gone(process)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            await stream.aclose()
        transport = getattr(process, "_transport", None)
        if transport is not None:  # somebody who outlived it may hold its pipes
            transport.close()

    async def _gone(self, process: asyncio.subprocess.Process) -> None:
        """It is asked by the end of its input, then told; in the end it is not asked any more.

        Its pipes are emptied meanwhile by nobody: a server that cannot write for that is told.
        """
        for seconds, then in ((_LEAVE, process.terminate), (_END, process.kill)):
            if await _exited(process, seconds):
                return
            with suppress(ProcessLookupError):
                then()
        await _exited(process, _END)


async def _exited(process: asyncio.subprocess.Process, seconds: float) -> bool:
    """Whether it has; `wait` would wait for the pipes too, which somebody else may hold."""
    limit = time.monotonic() + seconds
    while process.returncode is None and time.monotonic() < limit:  # noqa: ASYNC110 - see above
        await asyncio.sleep(0.005)
    return process.returncode is not None
