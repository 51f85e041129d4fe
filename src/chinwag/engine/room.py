"""How much of a talk is sent, as values: rules a person set, what there is room for, what fills it.

Invariant: rules that mean nothing cannot be made; every number is in tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import msgspec

from chinwag.context.compaction import Compactor
from chinwag.engine.models import Key
from chinwag.errors import UsageError, nearest
from chinwag.providers.base import Options
from chinwag.talk.entry import AnyEntry
from chinwag.talk.event import Ear
from chinwag.talk.session import Session
from chinwag.talk.tool import ToolSpec

Policy = Literal["compact", "trim", "window", "prune", "refuse"]


class Rules(msgspec.Struct, frozen=True):
    """How much of the talk is sent. ``limit`` in tokens (None: the model's own window), ``margin``
    the share of it at which ``policy`` acts, ``keep`` messages for the policy `window`.

    Raises UsageError for values that mean nothing.
    """

    policy: str = "compact"
    limit: int | None = None
    margin: float = 0.8
    keep: int = 50
    compactor: Compactor | None = None

    def __post_init__(self) -> None:
        known = get_args(Policy)
        if self.policy not in known:
            near = nearest(self.policy, known) or known
            raise UsageError(
                f"no context policy is called {self.policy!r}", hint=f"there is {', '.join(near)}"
            )
        if self.limit is not None and self.limit < 1:
            raise UsageError(
                f"a context limit of {self.limit} tokens holds nothing",
                hint="give a number above 0, or none for the model's own window",
            )
        if not 0 < self.margin <= 1:
            raise UsageError(
                f"a margin of {self.margin:g} is no share of the window",
                hint="give a number above 0 and at most 1; 0.8 is usual",
            )
        if self.keep < 1:
            raise UsageError(f"keeping {self.keep} messages keeps nothing", hint="give 1 or more")


class Room(msgspec.Struct, frozen=True):
    """``window`` and ``budget`` (the share of it a request may fill), ``fixed`` (system prompt and
    tools), all in tokens as the model counts; ``scale`` turns our own counts into those."""

    window: int
    budget: int
    fixed: int
    scale: float = 1.0

    @property
    def free(self) -> int:
        """What messages may fill, in our own counts."""
        return max(0, int((self.budget - self.fixed) / self.scale))


class Filling(msgspec.Struct, frozen=True):
    """What the next request is made of, in tokens as the model counts; ``reserve`` is kept free
    for the answer where somebody bounded it."""

    window: int
    system: int = 0
    tools: int = 0
    summary: int = 0
    history: int = 0
    reserve: int = 0


class Fits(Protocol):
    """What the conversation gives to whoever makes room in it."""

    @property
    def session(self) -> Session: ...

    @property
    def system(self) -> str: ...

    @property
    def options(self) -> Options: ...

    @property
    def tools(self) -> Sequence[ToolSpec]: ...

    def settle(self, entry: AnyEntry, hear: Ear) -> int: ...

    def spends(self, key: Key, tokens: int | None = None) -> None:
        """A request (of ``tokens``, else of the talk) will leave. Raises BudgetSpent."""
        ...


class Preview(msgspec.Struct, frozen=True):
    """What a compaction would do: messages and tokens that go, and that stay as they are."""

    hidden: int
    hidden_tokens: int
    kept: int
    kept_tokens: int
