"""A tool's child: started confined, listened to with a cap, and ended with all it made.

Invariants: whatever the child does, no more of its output is held here than ``limits.kept`` and a
pipe's worth; when ``run`` returns or is cancelled, the child and all its descendants are gone.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from chinwag.errors import ToolFailed
from chinwag.threads import apart
from chinwag.tools.base import Limits, Output, Scene
from chinwag.tools.capping import cut
from chinwag.tools.sandbox import Place, Sandbox, supervised

_CHUNK: Final = 64 << 10
_LAST: Final = 1.6
"""Seconds to wait for the supervisor's word that everything has ended."""
_PATIENCE: Final = 8.0
"""Seconds until a supervisor that does not end is ended itself, which lets go of what is left."""


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a child ended. ``code`` is negative for a signal; ``why`` is "" where it ended itself,

    else time, stopped, output, memory or processes. ``output`` is all of it, or head and tail of
    ``total`` bytes; ``error`` says why it could not be started.
    """

    code: int
    why: str = ""
    output: bytes = b""
    total: int = 0
    error: str = ""
    seconds: float = 0.0


class _Told(msgspec.Struct):
    code: int = -9
    why: str = ""
    error: str = ""


class Heard:
    """Output as it comes: the head, and as much of the end."""

    def __init__(self, most: int) -> None:
        self._half = max(most // 2, 1)
        self._head = bytearray()
        self._tail = bytearray()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        self.total += len(chunk)
        room = self._half - len(self._head)
        if room > 0:
            self._head += chunk[:room]
            chunk = chunk[room:]
        self._tail += chunk
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    @property
    def kept(self) -> bytes:
        """All of it where that is no more than the most; else its head and its tail."""
        missing = self.total - 2 * self._half
        if missing <= 0:
            return bytes(self._head + self._tail)
        mark = f"\n[… {missing:,} bytes were not kept …]\n".encode()
        return bytes(self._head + mark + self._tail[-self._half :])


async def run(argv: Sequence[str], scene: Scene, sandbox: Sandbox) -> Ended:
    """Run ``argv`` in ``scene.root`` until it ends, its time is over, or ``scene.stop`` is set.

    Raises ToolFailed where nothing can be started.
    """
    began = time.monotonic()
    in_memory = sandbox.kind == "bwrap"
    temporary = scene.root if in_memory else Path(tempfile.mkdtemp(prefix="chinwag-"))
    try:
        ended = await _run(argv, scene, sandbox, Place(root=scene.root, temporary=temporary))
    finally:
        if not in_memory:
            await apart(shutil.rmtree, temporary, ignore_errors=True)
    return msgspec.structs.replace(ended, seconds=time.monotonic() - began)


async def _run(argv: Sequence[str], scene: Scene, sandbox: Sandbox, place: Place) -> Ended:
    limits = msgspec.structs.asdict(scene.limits)
    command, environment = supervised(argv, sandbox=sandbox, place=place, limits=limits)
    pipe = asyncio.subprocess.PIPE
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            env=environment,
            cwd="/",
            start_new_session=True,
            limit=_CHUNK,
        )
    except (OSError, ValueError) as error:
        raise ToolFailed(f"the child could not be started: {error}") from None
    try:
        return await _listened(process, scene)
    finally:
        await _gone(process)


async def _listened(process: asyncio.subprocess.Process, scene: Scene) -> Ended:
    heard = Heard(scene.limits.kept)
    pump = asyncio.ensure_future(_pumped(process, heard, scene.limits.output))
    report = asyncio.ensure_future(_reported(process))
    stop = asyncio.ensure_future(scene.stop.wait())
    tasks = (pump, report, stop)
    try:
        why = await _until_over(pump, report, stop)
        _end(process)
        await asyncio.wait({report}, timeout=_LAST)
        told = report.result() if report.done() else _Told(why="told")
        if not why:  # what it wrote last is in the pipe yet
            await asyncio.wait({pump}, timeout=_LAST)
    finally:
        for task in tasks:
            task.cancel()
    return Ended(
        code=told.code,
        why=why if told.why == "told" else told.why,
        output=heard.kept,
        total=heard.total,
        error=told.error,
    )


async def _until_over(
    pump: asyncio.Task[bool], report: asyncio.Task[_Told], stop: asyncio.Task[Literal[True]]
) -> str:
    """Why it has to be ended; "" where it has ended. One that closes its output goes on."""
    waiting: set[asyncio.Task[Any]] = {pump, report, stop}
    while not report.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if pump in done and not pump.result():
            return "output"
        if stop in done:
            return "stopped"
    return ""


async def _pumped(process: asyncio.subprocess.Process, heard: Heard, most: int) -> bool:
    """Listen to the end; False where it was more than ``most`` bytes."""
    stdout = process.stdout
    while stdout is not None and (chunk := await stdout.read(_CHUNK)):
        heard.add(chunk)
        if heard.total > most:
            return False
    return True


def _end(process: asyncio.subprocess.Process) -> None:
    """The supervisor reads the end of its input as the order to end everything."""
    if process.stdin is not None:
        process.stdin.close()


async def _reported(process: asyncio.subprocess.Process) -> _Told:
    said = await process.stderr.read() if process.stderr is not None else b""
    try:
        return msgspec.json.decode(said, type=_Told)
    except msgspec.DecodeError:
        words = said.decode("utf-8", "replace").strip().splitlines()
        return _Told(code=127, error=words[-1][:500] if words else "its supervisor is gone")


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Nobody is left. The supervisor ends the rest when it is told; if it does not, it goes too."""
    _end(process)
    try:
        await asyncio.wait_for(_over(process), _PATIENCE)
    except (TimeoutError, asyncio.CancelledError):
        if process.returncode is None:
            process.kill()
            await process.wait()
        _raise_if_cancelled()


async def _over(process: asyncio.subprocess.Process) -> None:
    """Its pipes are read to their ends, or they would stay open here."""
    for stream in (process.stdout, process.stderr):
        while stream is not None and await stream.read(_CHUNK):
            pass
    await process.wait()


def _raise_if_cancelled() -> None:
    """A cancellation that came while we were clearing up still counts."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def told(ended: Ended, limits: Limits) -> Output:
    """How it ended, as the model is told it: its output, and a line on what was not as usual."""
    if ended.error:
        raise ToolFailed(f"it could not be started: {ended.error}")
    whole = ended.output if ended.total > limits.shown else None
    text = ended.output.decode("utf-8", "replace")
    if whole is not None:
        text = cut(ended.output, limits.shown - 200, ended.total)
    if ended.why == "stopped":  # whoever stopped it says why
        return Output(text, whole=whole)
    why = _REASONS.get(ended.why, "").format(limits)
    if not why and ended.code:
        signal = f"ended by signal {-ended.code}"
        why = signal if ended.code < 0 else f"exit code {ended.code}"
    text = f"{text.rstrip()}\n[{why}]".lstrip() if why else text or "(no output)"
    return Output(text, is_error=bool(why), whole=whole)


_REASONS: Final = {
    "time": "stopped: its {0.seconds:g} seconds were over",
    "output": "stopped: it wrote more than {0.output:,} bytes",
    "memory": "stopped: it held more than {0.memory:,} bytes of memory",
    "processes": "stopped: there were more than {0.processes} processes",
}
