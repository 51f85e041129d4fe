"""What an answer costs, and that nobody's guess is taken for it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from chinwag.context.pricing import Price, cost, shown
from chinwag.talk.usage import Usage


@pytest.mark.parametrize(
    ("usage", "price", "right"),
    [
        (Usage(input=1_000_000, output=500_000), Price(2.0, 8.0), "6"),
        (Usage(input=1_000_000, cached=400_000), Price(2.0, 8.0, 0.5), "1.4"),
        (Usage(input=1_000_000, cached=400_000), Price(2.0, 8.0), "2"),
        (Usage(input=100, cached=900), Price(1.0, 1.0, 0.0), "0"),
        (Usage(), Price(1.0, 1.0), "0"),
        (Usage(input=3, output=3), Price(0.1, 0.2), "0.0000009"),
        (Usage(input=5, cost=0.25), Price(), "0.25"),
        (Usage(input=5), Price(0.0, None), "0"),
        (Usage(input=5, output=1), Price(1.0, None), None),
        (Usage(input=5), Price(), None),
    ],
)
def test_cost(usage, price, right):
    assert cost(usage, price) == (None if right is None else Decimal(right))


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, ""), ("0", "$0.000"), ("0.0000214", "$0.00002"), ("0.0125", "$0.012"), ("3", "$3.000")],
)
def test_shown(amount, text):
    assert shown(None if amount is None else Decimal(amount)) == text
