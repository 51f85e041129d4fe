"""What an answer cost, and what a session cost so far. Pure, but for the running sum of a `Bill`.

Invariants: a price nobody knows gives None, never zero; what the server itself said wins; amounts
are US dollars, prices US dollars per million tokens. An answer's price is looked up once, when it
is first counted, so a bill costs nothing while nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec

from chinwag.talk.entry import AssistantSaid, Status
from chinwag.talk.session import Session
from chinwag.talk.usage import Usage

MILLION = Decimal(1_000_000)
NOTHING = Decimal(0)


class Price(msgspec.Struct, frozen=True):
    """US dollars per million tokens; None where nobody said.

    ``cached`` is for the part of the prompt that was read from a cache, ``written`` for the part
    that newly went into one; both are the same as ``input`` where they are not given. A prompt of
    more than ``long_from`` tokens costs ``long`` instead, all of it.
    """

    input: float | None = None
    output: float | None = None
    cached: float | None = None
    written: float | None = None
    long_from: int | None = None
    long: Price | None = None

    @property
    def is_known(self) -> bool:
        return self.input is not None or self.output is not None


UNKNOWN = Price()


def cost(usage: Usage, price: Price) -> Decimal | None:
    """What ``usage`` cost in US dollars, or None where that cannot be known."""
    if usage.cost is not None:
        return Decimal(str(usage.cost))
    whole = usage.input or 0
    if price.long is not None and price.long_from is not None and whole > price.long_from:
        return cost(usage, price.long)
    cached = min(usage.cached or 0, whole)
    written = min(usage.cache_written or 0, whole - cached)
    bill = (
        (whole - cached - written, price.input),
        (cached, price.input if price.cached is None else price.cached),
        (written, price.input if price.written is None else price.written),
        (usage.output or 0, price.output),
    )
    if any(tokens and each is None for tokens, each in bill):
        return None
    return sum((Decimal(n) * Decimal(str(each or 0)) for n, each in bill), NOTHING) / MILLION


class Owed(msgspec.Struct, frozen=True):
    """What a session cost. ``amount`` is None where nothing of it is known.

    ``computed`` is the part of it that no server said, reckoned from a list of prices; ``unknown``
    counts answers that cost something nobody could say.
    """

    amount: Decimal | None = None
    computed: Decimal = NOTHING
    unknown: int = 0

    def plus(self, entry: AssistantSaid, price: Price | None) -> Owed:
        """One more answer; a price of None means that it is free."""
        spent = cost(entry.usage, price or UNKNOWN)
        if price is None and entry.usage.cost is None:
            return self
        if spent is None or not _is_told(entry):
            return msgspec.structs.replace(self, unknown=self.unknown + _counts(entry))
        return Owed(
            (self.amount or NOTHING) + spent,
            self.computed + (spent if entry.usage.cost is None else NOTHING),
            self.unknown,
        )


def _is_told(entry: AssistantSaid) -> bool:
    return entry.usage.cost is not None or entry.usage.total is not None


def _counts(entry: AssistantSaid) -> bool:
    """A turn that failed before a word was heard is not taken to have cost anything."""
    return bool(entry.parts) or entry.status is not Status.FAILED


class Bill:
    """A running sum over one session at a time: each entry is looked at once.

    ``price`` gives the price of (provider, model): UNKNOWN for a stranger, None for what is free.
    """

    def __init__(self, price: Callable[[str, str], Price | None]) -> None:
        self._price = price
        self._session = ""
        self._counted = 0
        self._owed = Owed()

    def of(self, session: Session) -> Owed:
        """What every answer of ``session`` cost, branches that were left included."""
        if session.id != self._session or len(session) < self._counted:
            self._session, self._counted, self._owed = session.id, 0, Owed()
        for entry in session.entries[self._counted :]:
            if isinstance(entry, AssistantSaid):
                self._owed = self._owed.plus(entry, self._price(entry.provider, entry.model))
        self._counted = len(session)
        return self._owed


def shown(amount: Decimal | None) -> str:
    """``$0.012``; more digits for the smallest amounts, "" for an unknown one."""
    if amount is None:
        return ""
    return f"${amount:.5f}" if 0 < amount < Decimal("0.001") else f"${amount:.3f}"
