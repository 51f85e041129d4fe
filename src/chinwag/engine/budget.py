"""A budget that really stops: what may be spent from now on, in money or in tokens.

Invariants: nothing is asked once the budget is spent, nor where the prompt alone would pass it; an
answer that passes it while it comes in is stopped, and what was heard is kept. What a model's
answers cost is only guessed while nobody has reported it. Money cannot be kept by a model whose
price is not known, so such a model is refused, in words; what is free costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

import msgspec

from chinwag.context.pricing import NOTHING, Price, cost, shown
from chinwag.engine.models import Key
from chinwag.errors import BudgetSpent, UsageError
from chinwag.talk.usage import Usage

PER_TOKEN = 4  # characters, for words nobody has counted yet
_FORM = re.compile(
    r"(\$?)\s*([0-9]{1,3}(?:[,_][0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?|\.[0-9]+)\s*([km]?)"
    r"\s*(?:tokens?)?",
    re.IGNORECASE,
)
MOST = Decimal(10**15)  # beyond that it is a slip, and no budget
_TIMES = {"": 1, "k": 1000, "m": 1_000_000}
USAGE = "an amount of money (0.50) or of tokens (200k)"


class Budget(msgspec.Struct, frozen=True):
    """How much may be spent: one of ``dollars`` and ``tokens`` (prompt and answer together)."""

    dollars: Decimal | None = None
    tokens: int | None = None

    def __str__(self) -> str:
        return shown(self.dollars) if self.tokens is None else f"{self.tokens:,} tokens"


def parse(text: str) -> Budget | None:
    """``0.50`` and ``$2`` are US dollars; ``200k``, ``1.5M``, ``5000 tokens`` and any whole number
    from 1,000 up are tokens; ``off`` is None. Raises UsageError."""
    word = text.strip()
    if word.lower() in {"off", "none", "no"}:
        return None
    found = _FORM.fullmatch(word)
    try:
        amount = Decimal(found[2].replace("_", "").replace(",", "")) if found else Decimal(0)
    except InvalidOperation:
        amount = Decimal(0)
    if found is None or not 0 < amount <= MOST:
        raise UsageError(f"{word!r} is no budget", hint=f"give {USAGE}")
    named = found[3] or word.lower().endswith(("token", "tokens"))
    whole = amount == amount.to_integral_value() and amount >= 1000
    if not found[1] and (named or whole):
        return Budget(tokens=max(1, int(amount * _TIMES[found[3].lower()])))
    if found[3]:
        raise UsageError(f"{word!r} is no budget", hint=f"give {USAGE}")
    return Budget(dollars=amount)


Pricing = Callable[[str, str], Price | None]
"""The price of (provider, model): UNKNOWN for a stranger, None for what is free."""

Spent = Callable[[Key, int, Decimal], None]
"""Hears of every answer: who gave it, its tokens, what it cost in US dollars."""


class Purse:
    """Holds the budget and what went from it since it was set."""

    def __init__(
        self,
        price: Pricing,
        budget: Budget | None = None,
        tell: Spent = lambda *_: None,
    ) -> None:
        self._price = price
        self._tell = tell
        self.budget = budget
        self.spent_dollars = NOTHING
        self.spent_tokens = 0
        self._asked: tuple[Key, int] | None = None
        self._heard = 0
        self._stopped = False

    def set(self, budget: Budget | None) -> None:
        """From now on this much may be spent; what was spent before does not count."""
        self.budget = budget
        self.spent_dollars, self.spent_tokens = NOTHING, 0

    def spent(self) -> str:
        """In words, for a person."""
        if self.budget is not None and self.budget.tokens is not None:
            return f"{self.spent_tokens:,} tokens"
        return shown(self.spent_dollars)

    @property
    def share(self) -> float:
        """How much of the budget is spent, from 0; 0 where there is none."""
        if self.budget is None:
            return 0.0
        if self.budget.tokens is not None:
            return self.spent_tokens / self.budget.tokens
        return float(self.spent_dollars / (self.budget.dollars or 1))

    def price_of(self, key: Key, tokens: int) -> Decimal | None:
        """US dollars a prompt of ``tokens`` costs; None where the price is not known."""
        price = self._price(*key)
        return NOTHING if price is None else cost(Usage(input=tokens), price)

    def begin(self, key: Key, tokens: int) -> None:
        """A request of ``tokens`` is about to leave. Raises BudgetSpent where it may not."""
        self._asked, self._heard, self._stopped = (key, tokens), 0, False
        if self.budget is None:
            return
        if self.budget.dollars is not None and self.price_of(key, tokens) is None:
            raise BudgetSpent(
                f"the price of {'/'.join(key)} is not known, so {self.budget} cannot be kept",
                hint="give a budget in tokens (/budget 200k), or its price in config.toml",
            )
        if self._is_over(tokens, 0):
            raise BudgetSpent(
                f"the budget of {self.budget} does not cover this request "
                f"({self.spent()} spent, {self._next(key, tokens)} more for the prompt alone)",
                hint="/budget AMOUNT allows more from here on, /budget off ends it",
            )

    def hears(self, characters: int) -> bool:
        """More of the answer came in. True once, when the budget is passed: it has to stop."""
        if self.budget is None or self._asked is None or self._stopped:
            return False
        self._heard += characters
        self._stopped = self._is_over(self._asked[1], self._heard // PER_TOKEN)
        return self._stopped

    @property
    def stopped(self) -> bool:
        """Whether the answer that is coming in was stopped by the budget."""
        return self._stopped

    def end(self, key: Key, usage: Usage) -> None:
        """An answer is settled: what was reported, else what was counted, is spent."""
        asked, self._asked = self._asked, None
        if usage.input is None and usage.output is None:
            # Of a turn in which nothing was heard it is not known that it cost anything.
            prompt = asked[1] if asked and self._heard else 0
            usage = Usage(input=prompt, output=self._heard // PER_TOKEN, cost=usage.cost)
        tokens = (usage.input or 0) + (usage.output or 0)
        price = self._price(*key)
        dollars = (cost(usage, price) if price is not None else NOTHING) or NOTHING
        self.spent_tokens += tokens
        self.spent_dollars += dollars
        self._heard = 0
        if tokens or dollars:
            self._tell(key, tokens, dollars)

    def _is_over(self, prompt: int, answer: int) -> bool:
        assert self.budget is not None  # noqa: S101 - for the type checker: callers looked
        if self.budget.tokens is not None:
            return self.spent_tokens + prompt + answer > self.budget.tokens
        assert self._asked is not None and self.budget.dollars is not None  # noqa: S101, PT018
        price = self._price(*self._asked[0])
        if price is None:
            return False
        more = cost(Usage(input=prompt, output=answer), price) or NOTHING
        return self.spent_dollars + more > self.budget.dollars

    def _next(self, key: Key, tokens: int) -> str:
        if self.budget is not None and self.budget.tokens is not None:
            return f"{tokens:,} tokens"
        return shown(self.price_of(key, tokens))
