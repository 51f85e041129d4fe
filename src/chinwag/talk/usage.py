"""Tokens and money as reported: addition, not policy.

Invariant: a field is None where the provider did not say; None plus a number is the number, so a
sum never invents what nobody reported.
"""

from __future__ import annotations

import msgspec


def _plus(a: int | None, b: int | None) -> int | None:
    if a is None:
        return b
    return a if b is None else a + b


class Usage(msgspec.Struct, frozen=True, omit_defaults=True):
    """What one answer used, in tokens; ``cost`` in US dollars where the server itself said it.

    ``input`` counts the whole prompt, cached part included; ``cached`` of them were read from a
    prompt cache, ``cache_written`` newly written to one. ``output`` counts everything generated,
    ``reasoning`` of them thinking.
    """

    input: int | None = None
    output: int | None = None
    cached: int | None = None
    cache_written: int | None = None
    reasoning: int | None = None
    cost: float | None = None

    @property
    def total(self) -> int | None:
        return _plus(self.input, self.output)

    def __add__(self, other: Usage) -> Usage:
        cost = self.cost if other.cost is None else (self.cost or 0.0) + other.cost
        return Usage(
            input=_plus(self.input, other.input),
            output=_plus(self.output, other.output),
            cached=_plus(self.cached, other.cached),
            cache_written=_plus(self.cache_written, other.cache_written),
            reasoning=_plus(self.reasoning, other.reasoning),
            cost=cost,
        )

    def updated(self, later: Usage) -> Usage:
        """The later report wins field by field: streams repeat and complete their usage."""
        said = {
            name: value
            for name in self.__struct_fields__
            if (value := getattr(later, name)) is not None
        }
        return msgspec.structs.replace(self, **said)


NO_USAGE = Usage()
"""Where nothing was reported."""
