"""Who may write a session: `FOLDER/ID`, a file whose lock (flock) is held while it is open.

Invariants: the lock is the kernel's, so it ends with its holder, however that one ends. The file is
never unlinked: two programs could then hold "the" lock. What the file says (pid, host, terminal,
since when) is for people only and decides nothing. A look at a lock holds it, shared, for an
instant; whoever wants the lock therefore tries a few times before it is refused.

Any store of this machine may use it. Errors are in our words.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import time
from pathlib import Path

from chinwag.errors import SessionLocked
from chinwag.stores.disk import (
    Disk,
    NotOurs,
    in_words,
    make_folder,
    open_own,
    read_all,
    whoami,
    write_all,
)
from chinwag.stores.names import is_id, path_of
from chinwag.stores.whole import names_in, shut
from chinwag.talk import codec

_NO_LOCKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.ENOSYS, errno.EINVAL}
_TRIES = 5
_PAUSE = 0.01  # seconds between tries: a look at a lock takes far less
_NOBODY = "in another program"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d")


class Locks:
    """The locks of a store. ``folder`` holds nothing else; it is made when it is needed."""

    def __init__(self, folder: Path, disk: Disk | None = None) -> None:
        self._folder = folder
        self._disk = disk or Disk()
        self._held: dict[str, int] = {}

    def __contains__(self, session_id: str) -> bool:
        """Whether we hold it."""
        return session_id in self._held

    def held(self) -> list[str]:
        """The sessions whose locks we hold."""
        return list(self._held)

    def meeting(self, session_id: str) -> Path:
        """Where the holder can be asked to let go (takeover.py)."""
        return path_of(self._folder, session_id, ".ask")

    def taken(self) -> list[tuple[str, str]]:
        """(session, who writes it) for each that anybody but us writes now."""
        ids = [name for name in names_in(self._disk, self._folder) if is_id(name)]
        return [(name, owner) for name in sorted(ids) if (owner := self.holder(name))]

    def lock(self, session_id: str) -> None:
        """Become the one writer; idempotent. Raises SessionLocked, StoreUnavailable."""
        path = path_of(self._folder, session_id)
        if session_id in self._held:
            return
        with in_words(path):
            make_folder(self._disk, self._folder)
            fd = open_own(self._disk, path, os.O_RDWR | os.O_CREAT)
            try:
                self._grasp(fd, session_id)
            except BaseException:
                shut(self._disk, fd)
                raise
        self._held[session_id] = fd

    def _grasp(self, fd: int, session_id: str) -> None:
        signature = codec.dumps(whoami())  # before the lock, so that it is unsigned for no time
        for left in range(_TRIES, -1, -1):
            try:
                self._disk.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not left:
                    raise _refusal(session_id, self._owner(fd, 2 * _TRIES)) from None
                time.sleep(_PAUSE)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                return  # no locks on this file system: looking before each write remains
            else:
                self._sign(fd, signature)
                return

    def _sign(self, fd: int, signature: bytes) -> None:
        with contextlib.suppress(OSError):  # only a message; a full disk must not matter
            self._disk.truncate(fd, 0)
            write_all(self._disk, fd, signature, 0)

    def unlock(self, session_id: str) -> None:
        """Let others write. Harmless when not locked."""
        shut(self._disk, self._held.pop(session_id, -1))

    def close(self) -> None:
        """Let go of all of them."""
        for session_id in self.held():
            self.unlock(session_id)

    def holder(self, session_id: str) -> str:
        """Who holds it, as part of a sentence; "" if nobody does, or we do. Takes at most 50 ms."""
        path = path_of(self._folder, session_id)
        if session_id in self._held:
            return ""
        try:
            fd = open_own(self._disk, path, os.O_RDONLY)
        except (OSError, NotOurs):
            return ""
        try:
            return self._owner(fd) if self._is_taken(fd) else ""
        except OSError:
            return _NOBODY
        finally:
            shut(self._disk, fd)

    def _is_taken(self, fd: int) -> bool:
        try:
            self._disk.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False  # it cannot be locked here at all
        return False

    def _owner(self, fd: int, tries: int = _TRIES) -> str:
        """What the holder wrote down; it may be about to, having got the lock this instant."""
        for _ in range(tries):
            owner = owner_of(read_all(self._disk, fd, 0, 4096))
            if owner != _NOBODY:
                return owner
            time.sleep(_PAUSE)
        return _NOBODY


def owner_of(raw: bytes) -> str:
    """Who a lock file says holds it, as part of a sentence; whatever it may say."""
    try:
        who = codec.loads(raw)
    except ValueError:
        who = {}
    if not isinstance(who, dict) or not who.get("pid"):
        return _NOBODY
    tty = f", terminal {_brief(who['tty'])}" if who.get("tty") else ""
    return (
        f"process {_brief(who['pid'])} on {_brief(who.get('host'))}{tty}, "
        f"since {_minute(_brief(who.get('since')))}"
    )


def _minute(moment: str) -> str:
    """A moment as people write it, to the minute, by the holder's clock."""
    return f"{moment[:10]} {moment[11:16]}" if _MOMENT.match(moment) else moment


def _brief(value: object) -> str:
    """One word of a message, however long or odd what stands in the file."""
    return " ".join(str(value).split())[:100]


def _refusal(session_id: str, owner: str) -> SessionLocked:
    return SessionLocked(
        f"the session {session_id} is open elsewhere: {owner}",
        hint="leave it there first, or go on in a copy of it",
        owner=owner,
    )
