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
from typing import TYPE_CHECKING, Any

from chinwag.errors import SessionLocked, StoreError
from chinwag.stores import redis_scripts as at_once
from chinwag.stores.disk import whoami
from chinwag.stores.locks import owner_of
from chinwag.stores.redis_scripts import key
from chinwag.talk import codec

if TYPE_CHECKING:
    from chinwag.stores.redis_link import Link


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


class Leases:
    """The leases of one store. ``lease`` in seconds; 0: there are none."""

    def __init__(self, link: Callable[[], Link], lease: float) -> None:
        self._link = link
        self.milliseconds = round(lease * 1000)
        self.me = me()
        self.held: set[str] = set()
        self.renewal = Renewal(self._renew, lease / 3)

    def take(self, session_id: str) -> None:
        """Raises SessionLocked where somebody else who lives has it."""
        if session_id in self.held or not self.milliseconds:
            return
        owner = self._asked(session_id)
        if not self.is_ours(owner) and self.pass_over(session_id, owner):
            owner = self._asked(session_id)
        if not self.is_ours(owner):
            raise locked(session_id, owner)
        self.hold(session_id)

    def _asked(self, session_id: str) -> bytes:
        args = [self.me, self.milliseconds]
        owner: bytes = self._link().script(at_once.LEASE, [key(session_id, "lease")], args)
        return owner

    def hold(self, session_id: str) -> None:
        """It is ours now: keep it from expiring."""
        if self.milliseconds:
            self.held.add(session_id)
            self.renewal.start()

    def is_ours(self, owner: bytes) -> bool:
        return owner == self.me.encode()

    def pass_over(self, session_id: str, owner: bytes) -> bool:
        """Take the lease from a holder that died on this machine; whether there was such a one."""
        if not is_dead(owner):
            return False
        self._link().script(at_once.RELEASE, [key(session_id, "lease")], [owner])
        return True

    def _renew(self) -> None:
        """From the renewal's thread."""
        for session_id in tuple(self.held):
            self._asked(session_id)

    def holder(self, session_id: str) -> str:
        """Who else has it; "" where nobody has who lives."""
        owner = self._link().run("GET", key(session_id, "lease"))
        return "" if owner is None or self.is_ours(owner) or is_dead(owner) else owner_of(owner)

    def let_go(self, *session_ids: str) -> None:
        held = [session_id for session_id in session_ids if session_id in self.held]
        self.held.difference_update(held)
        with contextlib.suppress(StoreError):  # where nobody answers they expire by themselves
            for session_id in held:
                self._link().script(at_once.RELEASE, [key(session_id, "lease")], [self.me])

    def close(self) -> None:
        self.renewal.stop()
        self.let_go(*self.held)
