"""What was measured, beside what was asked: one line each, printed as it is known."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


class Table:
    """``missed`` counts the due goals that were not reached."""

    def __init__(self) -> None:
        self.missed = 0

    def title(self, text: str) -> None:
        print(f"\n{text}", flush=True)

    def note(self, name: str, measured: str, why: str = "") -> None:
        """A figure without a goal."""
        print(f"  {name:<46} {measured:>16}   {why}".rstrip(), flush=True)

    def ratio(self, name: str, measured: float, goal: float, *, due: bool = True) -> None:
        """At most ``goal`` times something of the same run."""
        self._judged(name, f"{measured:.2f} x", f"{goal:.2f} x", measured <= goal, due)

    def millis(self, name: str, measured: float, goal: float) -> None:
        """At most so long on the machine the goals were set on; ``measured`` is in seconds."""
        self._judged(
            name, f"{measured * 1e3:.1f} ms", f"{goal:.1f} ms", measured * 1e3 <= goal, True
        )

    def seconds(self, name: str, measured: float, goal: float) -> None:
        self._judged(name, f"{measured:+.2f} s", f"{goal:+.2f} s", measured <= goal, True)

    def nothing(self, name: str, lost: int) -> None:
        self._judged(name, str(lost), "0", lost == 0, True)

    def _judged(self, name: str, measured: str, goal: str, good: bool, due: bool) -> None:
        word = "ok" if good else "MISSED" if due else "not yet due"
        self.missed += due and not good
        print(f"  {name:<46} {measured:>16}   goal {goal:>8}   {word}", flush=True)


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def least(values: Sequence[float]) -> float:
    """The first decile: what else runs on the machine only ever adds."""
    return statistics.quantiles(values, n=10, method="inclusive")[0]


def ms(values: Sequence[float]) -> str:
    """Median in milliseconds, and the spread."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle * 1e3:.1f} ms ({low * 1e3:.0f}-{high * 1e3:.0f})"


def us(values: Sequence[float]) -> str:
    """Median in microseconds, and where half of them lie."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle * 1e6:,.0f} us ({low * 1e6:,.0f}-{high * 1e6:,.0f})"
