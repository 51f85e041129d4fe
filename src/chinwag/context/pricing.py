"""What an answer cost. Pure.

Invariants: a price nobody knows gives None, never zero; what the server itself said wins; amounts
are US dollars, prices US dollars per million tokens.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from chinwag.talk.usage import Usage

MILLION = Decimal(1_000_000)


class Price(msgspec.Struct, frozen=True):
    """US dollars per million tokens; None where nobody said.

    ``cached`` is for the part of the prompt that was read from a cache, and the same as ``input``
    where it is not given.
    """

    input: float | None = None
    output: float | None = None
    cached: float | None = None


def cost(usage: Usage, price: Price) -> Decimal | None:
    """What ``usage`` cost in US dollars, or None where that cannot be known."""
    if usage.cost is not None:
        return Decimal(str(usage.cost))
    whole, cached = usage.input or 0, min(usage.cached or 0, usage.input or 0)
    read = price.input if price.cached is None else price.cached
    bill = ((whole - cached, price.input), (cached, read), (usage.output or 0, price.output))
    if any(tokens and each is None for tokens, each in bill):
        return None
    return sum((Decimal(n) * Decimal(str(each or 0)) for n, each in bill), Decimal(0)) / MILLION


def shown(amount: Decimal | None) -> str:
    """``$0.012``; more digits for the smallest amounts, "" for an unknown one."""
    if amount is None:
        return ""
    return f"${amount:.5f}" if 0 < amount < Decimal("0.001") else f"${amount:.3f}"
