"""An ear for checks: one JSON line for each thing acknowledged or painted.

Invariants: a line is written whole (one `write` to a descriptor opened for appending) and never
before the thing it tells of has happened. Without `CHINWAG_TRACE` nothing of this is built.
"""

from __future__ import annotations

import os
import time
from typing import Any

from chinwag.talk.codec import dumps
from chinwag.talk.delta import TextDelta, ThinkingDelta
from chinwag.talk.entry import AssistantSaid
from chinwag.talk.event import AnyEvent, Ear, Heard, Requested, Rested, Saved, Settled


class Trace:
    """Appends `{"t": seconds on the monotonic clock, "what": …}` lines to ``path``."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, 0o600)
        self._first = True

    def mark(self, what: str, **more: Any) -> None:
        os.write(self._fd, dumps({"t": time.monotonic(), "what": what, **more}) + b"\n")

    def painted(self) -> None:
        self.mark("painted")

    def heard(self, event: AnyEvent) -> None:
        match event:
            case Requested(provider=provider, model=model):
                self._first = True
                self.mark("request", provider=provider, model=model)
            case Heard(delta=TextDelta() | ThinkingDelta()) if self._first:
                self._first = False
                self.mark("first")
            case Settled(n=n, entry=AssistantSaid(status=status)):
                self.mark("done", n=n, status=str(status))
            case Saved(session=session, through=through):
                self.mark("saved", session=session, entries=through)
            case Rested():
                self.mark("rested")
            case _:
                pass

    def beside(self, hear: Ear) -> Ear:
        """An ear that hears and is written down."""

        def both(event: AnyEvent) -> None:
            hear(event)
            self.heard(event)

        return both
