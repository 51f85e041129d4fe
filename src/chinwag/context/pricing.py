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

    @property
    def dollars(self) -> float | None:
        return None if self.amount is None else float(self.amount)


class _Group(msgspec.Struct):
    """Answers that are priced alike, added up: thousands of them cost one multiplication."""

    price: Price
    answers: int = 0
    input: int = 0
    output: int = 0
    cached: int = 0
    written: int = 0

    def add(self, usage: Usage) -> None:
        self.answers += 1
        self.input += usage.input or 0
        self.output += usage.output or 0
        self.cached += usage.cached or 0
        self.written += usage.cache_written or 0

    def cost(self) -> Decimal | None:
        usage = Usage(
            input=self.input,
            output=self.output,
            cached=self.cached,
            cache_written=self.written,
        )
        return cost(usage, self.price)


class Bill:
    """A running sum over one session at a time: each entry is looked at once.

    ``price`` gives the price of (provider, model): UNKNOWN for a stranger, None for what is free.
    """

    def __init__(self, price: Callable[[str, str], Price | None]) -> None:
        self._price = price
        self._begin("")

    def _begin(self, session: str) -> None:
        self._session = session
        self._counted = 0
        self._said: float | None = None
        self._untold = 0
        self._prices: dict[tuple[str, str], Price | None] = {}
        self._groups: dict[tuple[str, str, bool], _Group] = {}
        self._owed = Owed()

    def of(self, session: Session) -> Owed:
        """What every answer of ``session`` cost, branches that were left included."""
        if session.id != self._session or len(session) < self._counted:
            self._begin(session.id)
        if len(session) > self._counted:
            for entry in session.entries[self._counted :]:
                if isinstance(entry, AssistantSaid):
                    self._add(entry)
            self._counted = len(session)
            self._owed = self._sum()
        return self._owed

    def _add(self, entry: AssistantSaid) -> None:
        usage = entry.usage
        if usage.cost is not None:
            self._said = (self._said or 0.0) + usage.cost
            return
        price = self._priced(entry.provider, entry.model)
        if price is None:
            return
        if usage.input is None and usage.output is None:
            # A turn that failed before a word was heard is not taken to have cost anything.
            self._untold += bool(entry.parts) or entry.status is not Status.FAILED
            return
        long = price.long_from is not None and (usage.input or 0) > price.long_from
        key = (entry.provider, entry.model, long)
        if (group := self._groups.get(key)) is None:
            one = price.long if long and price.long else msgspec.structs.replace(price, long=None)
            group = self._groups[key] = _Group(one)
        group.add(usage)

    def _priced(self, provider: str, model: str) -> Price | None:
        key = (provider, model)
        if key not in self._prices:
            self._prices[key] = self._price(provider, model)
        return self._prices[key]

    def _sum(self) -> Owed:
        amount = None if self._said is None else Decimal(str(self._said))
        computed, unknown = NOTHING, self._untold
        for group in self._groups.values():
            if (spent := group.cost()) is None:
                unknown += group.answers
            else:
                computed += spent
                amount = (amount or NOTHING) + spent
        return Owed(amount, computed, unknown)


def shown(amount: Decimal | None) -> str:
    """``$0.012``; more digits for the smallest amounts, "" for an unknown one."""
    if amount is None:
        return ""
    return f"${amount:.5f}" if 0 < amount < Decimal("0.001") else f"${amount:.3f}"
