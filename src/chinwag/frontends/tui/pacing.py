"""When a frame is drawn while something streams.

Invariants: what streams is drawn at most `FRAMES` times a second; in between nothing is drawn and
nothing wakes; a slow screen makes fewer frames, not a slower program; keys come in between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

FRAMES = 25
"""Frames a second while an answer streams."""
SHARE = 20
"""A streamed frame is followed by at least so many times its own cost of rest."""
SLOWEST = 0.25
CALM = 1.0
"""Seconds between two streamed frames for who wants little motion (REDUCED_MOTION is set)."""
PAUSE = 0.004
"""Rest between two slices of rendering, so that keys come in between."""


class Pace:
    """``take_in`` renders a slice of what was heard and says whether there is more; ``draw`` asks
    for a frame. ``calm``: little motion is wanted."""

    def __init__(
        self, take_in: Callable[[], bool], draw: Callable[[], None], *, calm: bool
    ) -> None:
        self._take_in = take_in
        self._draw = draw
        self._calm = CALM if calm else 0.0
        self.tick: asyncio.TimerHandle | None = None
        self._next_frame = 0.0
        self._draw_cost = 0.0
        self._drawing_since = 0.0

    def begin(self) -> None:
        """The first frame may come at once."""
        self._next_frame = time.monotonic()

    def soon(self) -> None:
        """Something streams: a frame when it is time for one."""
        if self.tick is None:
            wait = max(PAUSE, self._next_frame - time.monotonic())
            self.tick = asyncio.get_running_loop().call_later(wait, self._frame)

    def stop(self) -> None:
        if self.tick is not None:
            self.tick.cancel()

    def _frame(self) -> None:
        """Take in what was heard, in a slice, and draw."""
        self.tick = None
        began = time.monotonic()
        more = self._take_in()
        cost = time.monotonic() - began + self._draw_cost
        still = min(max(1 / FRAMES, SHARE * cost), SLOWEST)
        rest = PAUSE if more else max(still, self._calm)
        self._next_frame = time.monotonic() + rest
        self._draw()
        if more:
            self.soon()

    def drawing(self) -> None:
        """A frame is being drawn."""
        self._drawing_since = time.monotonic()

    def drawn(self) -> None:
        """It is drawn: what it cost says when the next one may come."""
        self._draw_cost = time.monotonic() - self._drawing_since
