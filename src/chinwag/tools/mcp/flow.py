"""How much a server may send. Pure.

Invariant: whoever takes no more than the bucket holds is never stopped; whoever goes on taking
faster than it fills is, after a bounded amount.
"""

from __future__ import annotations

from typing import Final

FRAME: Final = 8 << 20
"""Bytes of one message."""
BURST: Final = 32 << 20
"""Bytes that may come at once, however fast."""
STEADY: Final = 2 << 20
"""Bytes a second that may go on and on."""
MESSAGES: Final = 2_000
"""Messages that may come at once, then a tenth of it a second."""


class Flood(Exception):
    """A server sent more than it may. Its text is a part of a sentence."""


class Bucket:
    """Holds ``most``, and fills by ``rate`` a second."""

    def __init__(self, most: float, rate: float, now: float) -> None:
        self._most, self._rate = most, rate
        self._left, self._at = most, now

    def take(self, amount: float, now: float) -> bool:
        """Whether ``amount`` was there to take; ``now`` is in seconds and never goes back."""
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
        self._left -= amount
        return self._left >= 0


class Flow:
    """Counts what one connection brings. Raises Flood."""

    def __init__(self, now: float) -> None:
        self._bytes = Bucket(BURST, STEADY, now)
        self._messages = Bucket(MESSAGES, MESSAGES / 10, now)

    def came(self, size: int, now: float) -> None:
        if not self._bytes.take(size, now):
            raise Flood(f"it sent more than {BURST >> 20} MB without a pause")

    def message(self, now: float) -> None:
        if not self._messages.take(1, now):
            raise Flood(f"it sent more than {MESSAGES:,} messages without a pause")


def too_long() -> Flood:
    return Flood(f"it sent a message of more than {FRAME >> 20} MB")
