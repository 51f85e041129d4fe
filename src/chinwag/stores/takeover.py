"""One window asks another to let go of a session: a private socket beside the session's lock.

Invariants. Only programs of the same person on the same machine meet: the socket lies in a folder
only they may enter, and who is at the other end is asked of the kernel. Nothing is taken by force:
the holder is asked, and what it answers holds. Whether somebody can answer (runs, is stopped, is
on another machine) is known at once, without a word said. Nobody is woken while nobody asks. A
socket of somebody who died is replaced by the next holder, who has the session's lock.

Works beside any store whose locks are files of this machine (`SessionStore.meeting`).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

from chinwag.stores.base import Answer, Reply
from chinwag.stores.disk import whoami
from chinwag.stores.locks import owner_of
from chinwag.talk import codec

PATIENCE = 1.0  # seconds an asked holder has to answer in
NEWLY = 0.2  # seconds in which a holder that has just got the lock opens its door
LISTENING = 0.5  # seconds a visitor has to say what it wants
LONGEST = 4096  # bytes of a question or an answer
_MOST = 100  # bytes of a path that every system takes as a socket's


#: Asked by whom (part of a sentence); returns "" when the session was let go, else why not.
Asked = Callable[[str], Awaitable[str]]


def ourselves() -> str:
    """Who we are, as part of a sentence: process, machine, terminal, since when."""
    return owner_of(codec.dumps(whoami()))


# -- asking ---------------------------------------------------------------------------------------


async def ask(path: Path, patience: float = PATIENCE) -> Answer:
    """Ask whoever holds the session whose meeting place ``path`` is to let it go."""
    try:
        met = await _connected(path)
    except OSError:
        return Answer(Reply.AWAY)
    with met:
        try:
            async with asyncio.timeout(patience):
                return await _spoken(met)
        except (OSError, TimeoutError):
            return Answer(Reply.SILENT)


async def _connected(path: Path) -> socket.socket:
    """Raises OSError where nobody listens, after a moment for somebody who is about to."""
    loop = asyncio.get_running_loop()
    until = loop.time() + NEWLY
    while True:
        try:
            return await _connect(path)
        except OSError:
            if loop.time() > until:
                raise
        await asyncio.sleep(0.02)


async def _connect(path: Path) -> socket.socket:
    met = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        met.setblocking(False)
        with _short(path) as name:
            await asyncio.get_running_loop().sock_connect(met, name)
    except BaseException:
        met.close()
        raise
    return met


async def _spoken(met: socket.socket) -> Answer:
    pid, user = _other(met)
    if user != os.geteuid():
        return Answer(Reply.AWAY)
    if _is_stopped(pid):
        return Answer(Reply.STOPPED)
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(met, codec.dumps({"please": "let go", "who": ourselves()}) + b"\n")
    said = await _line(met)
    if said is None:  # it went away in the middle, or is no program of ours
        return Answer(Reply.SILENT)
    why = str(said.get("why") or "")[:200]
    return Answer(Reply.KEPT, why) if why else Answer(Reply.LET_GO)


async def can_be_asked(path: Path) -> Reply:
    """Whether asking would be answered: LET_GO says only that it would not be in vain."""
    try:
        met = await _connect(path)
    except OSError:
        return Reply.AWAY
    with met:
        pid, user = _other(met)
        if user != os.geteuid():
            return Reply.AWAY
        return Reply.STOPPED if _is_stopped(pid) else Reply.LET_GO


async def _line(met: socket.socket) -> dict[str, Any] | None:
    """One line of JSON; None where none comes, or another thing."""
    raw = b""
    while not raw.endswith(b"\n"):
        piece = await asyncio.get_running_loop().sock_recv(met, LONGEST)
        raw += piece
        if not piece or len(raw) > LONGEST:
            return None
    try:
        said = codec.loads(raw)
    except ValueError:
        return None
    return said if isinstance(said, dict) else None


def _other(met: socket.socket) -> tuple[int, int]:
    """Process (0: unknown) and user at the other end, as the kernel knows them."""
    if not hasattr(socket, "SO_PEERCRED"):  # the folder keeps strangers out all the same
        return 0, os.geteuid()
    raw = met.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, user, _ = struct.unpack("3i", raw)
    return pid, user


def _is_stopped(pid: int) -> bool:
    """Whether a process was stopped (Ctrl+Z, a debugger): it will not answer."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return False
    return told.rpartition(")")[2].split()[:1] in (["T"], ["t"])


# -- being asked ----------------------------------------------------------------------------------


class Door:
    """The holder's end. Whoever opens it has the session's lock. ``asked`` runs on the loop."""

    def __init__(self, path: Path, asked: Asked) -> None:
        self._path = path
        self._asked = asked
        self._met: socket.socket | None = None
        self._serving: asyncio.Task[None] | None = None
        self._answering = False
        self._here: tuple[int, int] | None = None  # device and inode of the socket

    def open(self) -> bool:
        """Listen. False where this file system has no sockets: then nobody can ask."""
        try:
            self._met = self._bound()
        except OSError:
            return False
        self._serving = asyncio.get_running_loop().create_task(self._serve(self._met))
        return True

    def _bound(self) -> socket.socket:
        self._path.parent.mkdir(0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(self._path.lstat().st_mode):
                self._path.unlink()
        met = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            met.setblocking(False)
            with _short(self._path) as name:
                met.bind(name)
            met.listen(8)
            of = self._path.lstat()
        except OSError:
            met.close()
            raise
        self._here = of.st_dev, of.st_ino
        return met

    async def _serve(self, met: socket.socket) -> None:
        """One after the other: who asks is answered before the next one is heard."""
        loop = asyncio.get_running_loop()
        while self._met is not None:
            try:
                visitor, _ = await loop.sock_accept(met)
            except OSError:
                return  # it was closed under our hands
            with visitor, contextlib.suppress(OSError, TimeoutError):
                await self._answer(visitor)

    async def _answer(self, visitor: socket.socket) -> None:
        async with asyncio.timeout(LISTENING):
            said = await _line(visitor)
        if said is None or said.get("please") != "let go" or _other(visitor)[1] != os.geteuid():
            return  # only looked whether we are here, or is nobody of ours
        self._answering = True
        why = await self._asked(" ".join(str(said.get("who")).split())[:200])
        await asyncio.get_running_loop().sock_sendall(visitor, codec.dumps({"why": why}) + b"\n")
        self._answering = False

    def close(self) -> None:
        """Listen no more; who is being answered still gets the answer. Harmless when closed."""
        if self._met is None:
            return
        if self._serving is not None and not self._answering:
            self._serving.cancel()
        asyncio.get_running_loop().remove_reader(self._met)  # its number may be another's soon
        self._met.close()
        self._met = None
        with contextlib.suppress(OSError):
            of = self._path.lstat()
            if (of.st_dev, of.st_ino) == self._here:  # not another's, who came after us
                self._path.unlink()


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """``path`` as a socket may be called; by way of its folder's descriptor where it is long."""
    if len(os.fsencode(path)) <= _MOST or not sys.platform.startswith("linux"):
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
