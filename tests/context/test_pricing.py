"""What an answer costs, and that nobody's guess is taken for it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.context.pricing import UNKNOWN, Bill, Owed, Price, cost, shown
from chinwag.talk.entry import AssistantSaid, Status, UserSaid
from chinwag.talk.grown import Grown
from chinwag.talk.message import Text
from chinwag.talk.session import begin, fold, fold_all
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


LONG = Price(1.0, 2.0, None, None, 100, Price(10.0, 20.0))


@pytest.mark.parametrize(
    ("usage", "price", "right"),
    [
        (Usage(input=1_000_000, cache_written=1_000_000), Price(1.0, 1.0, written=1.25), "1.25"),
        (Usage(input=1_000_000, cache_written=1_000_000), Price(1.0, 1.0), "1"),
        (
            Usage(input=1_000_000, cached=500_000, cache_written=900_000),
            Price(1.0, 1.0, 0.0, 3.0),
            "1.5",
        ),
        (Usage(input=100, output=100), LONG, "0.0003"),
        (Usage(input=101, output=100), LONG, "0.00301"),
    ],
)
def test_cost_of_caches_and_of_long_prompts(usage, price, right):
    assert cost(usage, price) == Decimal(right)


def answered(model="m", status=Status.COMPLETE, text="x", **usage):
    parts = (Text(text),) if text else ()
    return AssistantSaid(
        parts=parts, provider="p", model=model, status=status, usage=Usage(**usage)
    )


class Prices:
    def __init__(self, **known):
        self.known = known
        self.asked = []

    def __call__(self, provider, model):
        self.asked.append(model)
        return self.known.get(model, UNKNOWN)


def test_a_bill_is_what_servers_said_and_what_was_reckoned():
    prices = Prices(m=Price(1.0, 2.0), free=None, long=LONG)
    bill, session = Bill(prices), begin()
    assert bill.of(session) == Owed()
    assert bill.of(session).dollars is None
    session = fold_all(
        session,
        [
            UserSaid(parts=(Text("q"),)),
            answered(input=1_000_000, output=500_000),
            answered(cost=0.25, input=7),
            answered("long", input=50, output=0),
            answered("long", input=1000, output=0),
            answered("free", input=5, output=5),
        ],
    )
    owed = bill.of(session)
    assert owed.computed == Decimal("2.01005")
    assert owed.amount == Decimal("2.26005")
    assert owed.unknown == 0


def test_what_nobody_can_say_is_counted_and_not_guessed():
    bill = Bill(Prices(m=Price(1.0, 2.0)))
    session = fold_all(
        begin(),
        [
            answered("stranger", input=10, output=1),
            answered(),  # heard, but its usage was never told
            answered(status=Status.FAILED, text=""),  # never began
        ],
    )
    assert bill.of(session) == Owed(None, Decimal(0), 2)


def test_each_entry_is_looked_at_once_and_each_price_too():
    class Counted(Grown):
        read = 0

        def __getitem__(self, index):
            part = super().__getitem__(index)
            Counted.read += len(part) if isinstance(index, slice) else 0
            return part

    prices = Prices(m=Price(1.0, 1.0))
    bill, session = Bill(prices), fold_all(begin(), [answered(input=5)] * 50)
    session.entries = Counted(session.entries)
    for _ in range(100):
        bill.of(session)
    assert Counted.read == 50
    more = fold(session, answered(input=5))
    assert bill.of(more).computed == Decimal("0.000255")
    assert prices.asked == ["m"]


def test_another_session_has_another_bill():
    bill = Bill(Prices(m=Price(1.0, 1.0)))
    one = fold_all(begin(), [answered(input=1_000_000)])
    two = fold_all(begin(), [answered(input=2_000_000)])
    assert [bill.of(s).dollars for s in (one, two, one)] == [1.0, 2.0, 1.0]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**5), st.booleans())))
def test_a_running_sum_is_the_sum(answers):
    price = Price(0.3, 2.5, 0.03, None, 200_000, Price(0.6, 5.0))
    entries = [
        answered("m" if known else "x", input=read, output=wrote) for read, wrote, known in answers
    ]
    bill, session = Bill(Prices(m=price)), begin()
    for entry in entries:
        session = fold(session, entry)
        bill.of(session)
    right = sum((cost(e.usage, price) for e in entries if e.model == "m"), Decimal(0))
    assert bill.of(session).computed == right
    assert bill.of(session) == Bill(Prices(m=price)).of(session)
