"""A budget really stops: before a request, in the middle of an answer, and in words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.context.pricing import UNKNOWN, Price
from chinwag.engine.budget import Budget, Purse, parse
from chinwag.errors import BudgetSpent, UsageError
from chinwag.talk.delta import Ended, Stop, TextDelta, UsageDelta
from chinwag.talk.entry import Status
from chinwag.talk.event import Failed
from chinwag.talk.usage import Usage
from support.engine import Player, conversation

END = Ended(Stop.END)
DEAR = Price(input=1_000_000, output=2_000_000)  # a dollar a token, two for one of the answer


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0.50", Budget(dollars=Decimal("0.50"))),
        ("$2", Budget(dollars=Decimal(2))),
        ("$1,000.5", Budget(dollars=Decimal("1000.5"))),
        ("5", Budget(dollars=Decimal(5))),
        ("200k", Budget(tokens=200_000)),
        ("1.5M", Budget(tokens=1_500_000)),
        ("5000", Budget(tokens=5000)),
        ("70 tokens", Budget(tokens=70)),
        ("off", None),
    ],
)
def test_amounts_are_read_as_people_write_them(text, wanted):
    assert parse(text) == wanted


NO_AMOUNTS = ["", "0", "-1", "much", "$5k", "1.2.3", "nan", "1e9", "$", "5 apples", "200kk", "10%"]
SLIPS = ["0,50", "1,5", "12,34", "1,0000", "9" * 40, "\u0665"]  # a comma for a point, and such


@pytest.mark.parametrize("text", [*NO_AMOUNTS, *SLIPS])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(UsageError):
        parse(text)


@given(st.text(max_size=12))
def test_any_text_is_an_amount_or_refused(text):
    try:
        found = parse(text)
    except UsageError:
        return
    assert found is None or (found.dollars is None) != (found.tokens is None)


def purse(amount, price=DEAR):
    return Purse(lambda *_: price, parse(amount))


async def test_a_request_the_budget_does_not_cover_is_not_sent():
    player, heard = Player(), []
    talk = conversation(player)
    talk.purse = purse("10 tokens")
    await talk.say("one two three four five six seven eight", heard.append)
    assert player.requests == []
    failure = next(e for e in heard if isinstance(e, Failed))
    assert failure.kind == "BudgetSpent"
    assert "/budget" in failure.hint
    assert talk.session.entry(talk.session.head).text.startswith("one")  # nothing is lost


async def test_an_answer_that_passes_it_is_stopped_and_kept():
    answer = [step for _ in range(400) for step in (TextDelta("word and word "), 0.0)]
    player, heard = Player([*answer, END]), []
    talk = conversation(player)
    talk.purse = purse("120 tokens")
    await talk.say("go", heard.append)
    entry = talk.session.last_answer
    assert entry.status is Status.INTERRUPTED
    assert 100 < len(entry.text) < 1000
    assert "budget" in entry.error
    assert [e.kind for e in heard if isinstance(e, Failed)] == ["BudgetSpent"]
    assert not talk.busy


async def test_money_is_counted_from_what_was_reported():
    player = Player([TextDelta("ok"), UsageDelta(Usage(input=30, output=5)), END])
    talk = conversation(player)
    talk.purse = purse("$60")
    await talk.say("hi", [].append)
    assert talk.purse.spent_dollars == 40
    heard = []
    await talk.say("again", heard.append)  # 30 and more for the prompt alone
    assert [e.kind for e in heard if isinstance(e, Failed)] == ["BudgetSpent"]
    talk.purse.set(parse("$500"))
    await talk.retry(heard.append)
    assert talk.session.last_answer.text == "ok"


async def test_money_cannot_be_kept_where_the_price_is_not_known():
    player, heard = Player(), []
    talk = conversation(player)
    talk.purse = purse("$5", UNKNOWN)
    await talk.say("hi", heard.append)
    assert player.requests == []
    assert "price" in next(e for e in heard if isinstance(e, Failed)).message


async def test_what_is_free_is_not_stopped_by_money():
    talk = conversation(Player())
    talk.purse = purse("$0.01", None)
    await talk.say("hi", [].append)
    assert talk.session.last_answer.text == "ok"


def test_nothing_is_counted_twice():
    held = purse("100 tokens")
    held.begin(("p", "m"), 10)
    assert not held.hears(40)
    held.end(("p", "m"), Usage(input=12, output=9))
    assert held.spent_tokens == 21
    held.begin(("p", "m"), 10)
    held.hears(40)
    held.end(("p", "m"), Usage())  # nobody reported: our own counts
    assert held.spent_tokens == 21 + 10 + 10
    with pytest.raises(BudgetSpent):
        held.begin(("p", "m"), 70)
