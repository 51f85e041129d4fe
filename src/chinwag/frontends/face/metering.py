"""Counting for a chat: its own tokenizer where one was given, else the model's, and prices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chinwag.context.counting import Counter
from chinwag.engine.promises import Meter
from chinwag.errors import UsageError
from chinwag.frontends.face.plan import ENCODINGS, Tokenizer


class _Fixed:
    """Counts for every model alike; what it says is taken to be exact."""

    def __init__(self, count: Callable[[str], Any], name: str) -> None:
        self._count = count
        self._name = name

    def count(self, text: str, model: str) -> tuple[int, str]:  # noqa: ARG002 - the promise's
        tokens: Any = self._count(text) if text else 0
        if not isinstance(tokens, int) or tokens < 0:
            raise UsageError(
                f"the tokenizer returned {tokens!r} for a text",
                hint="it takes a text and returns how many tokens that is",
            )
        return int(tokens), self._name

    def learn(self, model: str, estimated: int, reported: int) -> None:
        """An exact count learns nothing."""

    def corrected(self, model: str, estimated: int) -> int:  # noqa: ARG002 - the promise's
        return estimated


def meter(tokenizer: Tokenizer | None) -> Meter:
    """The meter for ``tokenizer``; loading an encoding takes about 0.2 s, once a process."""
    if tokenizer is None:
        return Counter()
    if isinstance(tokenizer, str):
        model, counter = ENCODINGS[tokenizer], _loaded(tokenizer)
        return _Fixed(lambda text: counter.count(text, model)[0], tokenizer)
    return _Fixed(tokenizer, getattr(tokenizer, "__name__", "own"))


_counters: dict[str, Counter] = {}


def _loaded(name: str) -> Counter:
    if name not in _counters:
        counter = Counter()
        counter.load(ENCODINGS[name])
        _counters[name] = counter
    return _counters[name]
