"""Who writes a session in Redis: what a lease says, and how it is kept.

Invariant: a lease is for people. Nothing that is stored depends on it, so one that ran out too
early, or was taken from a process that seemed dead, costs a message and no words.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from chinwag.errors import SessionLocked, StoreError
from chinwag.stores.disk import whoami
from chinwag.stores.locks import owner_of
from chinwag.talk import codec


def me() -> str:
    """What our leases say: for people, and by its last word for us alone."""
    return codec.dumps({**whoami(), "place": place(), "by": secrets.token_hex(8)}).decode()


def place() -> str:
    """Where a process number means something: this boot, and this namespace of processes."""
    with contextlib.suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    return str(whoami()["host"])


def _lease(owner: bytes) -> dict[str, Any]:
    try:
        who = codec.loads(owner)
    except ValueError:
        return {}
    return who if isinstance(who, dict) else {}


def is_dead(owner: bytes) -> bool:
    """Whether a holder was a process of this machine which is no more. Of others nobody knows."""
    who = _lease(owner)
    pid = who.get("pid")
    if who.get("place") != place() or not isinstance(pid, int) or pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def locked(session_id: str, owner: bytes) -> SessionLocked:
    said = owner_of(owner)
    return SessionLocked(
        f"the session {session_id} is open elsewhere: {said}",
        hint="leave it there first, or go on in a copy of it",
        owner=said,
    )


class Renewal:
    """A thread that keeps leases from expiring; there is none before the first lease."""

    def __init__(self, renew: Callable[[], None], every: float) -> None:
        self._renew, self._every = renew, every
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self._thread is None and not self._stop.is_set():
            self._thread = threading.Thread(target=self._run, name="redis-lease", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            with contextlib.suppress(StoreError):  # the next append says so, if it lasts
                self._renew()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5)
