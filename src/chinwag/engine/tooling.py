"""What a conversation may call, and on whose word: the tools, the rules, the bounds of a turn.

Invariants: a tool that is turned off is neither offered nor run; what is offered is worked out when
a request is made. Rules of a session hold in that session and in this run of the program; only what
a person pressed or wrote makes one. Nothing of this is imported by a talk without tools.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from chinwag.engine.approvals import Decision, Lasting, Policy, Rules, decide
from chinwag.engine.rules import Rule
from chinwag.errors import UsageError, nearest
from chinwag.talk.tool import ToolSpec
from chinwag.tools.base import Limits, Ready, Tool, Toolbox

STEPS: Final = 10
CALLS: Final = 25
ALIKE: Final = 3
DOLLARS: Final = Decimal(1)
TOGETHER: Final = 4


class Bounds(msgspec.Struct, frozen=True):
    """Of one turn: answers that may call (``steps``), calls in all, calls that are alike in all,
    and what it may cost in US dollars where prices are known. ``together`` calls run at a time."""

    steps: int = STEPS
    calls: int = CALLS
    alike: int = ALIKE
    dollars: Decimal = DOLLARS
    together: int = TOGETHER


async def _kept_nowhere(rule: Rule, *, allow: bool) -> None:  # noqa: ARG001 - the promise's
    raise UsageError(f"the rule {rule} can be kept nowhere here", hint="it holds for this session")


class More(msgspec.Struct, frozen=True):
    """Tools that are made when they are first wanted."""

    names: tuple[str, ...]
    make: Callable[[str], Tool]


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


KeepRule = Callable[..., Awaitable[None]]
"""``await keep(rule, allow=True)`` writes a rule down for good. Raises ChinwagError."""


class Tooling:
    """See the module. ``offer`` is "all", or the names that are offered; with ``servers``, so is
    whatever a server of tools brings.

    ``root`` is the folder in which tools work, ``limits`` hold for each call.
    """

    def __init__(
        self,
        toolbox: Toolbox,
        *,
        offer: Iterable[str] | str = "all",
        root: Path | None = None,
        policy: Policy = Policy(),  # noqa: B008 - frozen
        rules: Rules = Rules(),  # noqa: B008 - frozen
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        limits: Limits = Limits(),  # noqa: B008 - frozen
        keep: KeepRule = _kept_nowhere,
        more: More | None = None,
        servers: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.toolbox = toolbox
        self.root = root or Path.cwd()
        self.policy = policy
        self.bounds = bounds
        self.limits = limits
        self.clock = clock
        self._keep = keep
        self._more = more
        self._servers = servers
        self._rules = rules
        self._here: dict[str, tuple[Lasting, ...]] = {}
        self._never_here: dict[str, tuple[Rule, ...]] = {}
        self._all = offer == "all"
        names = _words(offer) if isinstance(offer, str) else offer
        self._on = set(names) - {"all", "none"}
        self._off: set[str] = set()
        self._seen: tuple[tuple[ToolSpec, ...], tuple[ToolSpec, ...]] = ((), ())

    # -- what is offered ----------------------------------------------------------------------

    def is_on(self, name: str) -> bool:
        tool = self.toolbox.get(name)
        if tool is None or name in self._off:
            return False
        return self._all or name in self._on or (self._servers and bool(tool.spec.source))

    def turn(self, name: str, *, on: bool) -> None:
        """Offer a tool from now on, or no more. Raises UsageError with near names."""
        if on and name not in self.toolbox and self._more and name in self._more.names:
            self.toolbox.add(self._more.make(name))
        self.known(name)
        (self._off.discard if on else self._off.add)(name)
        if on:
            self._on.add(name)

    def known(self, name: str) -> None:
        """Raises UsageError, with near names, for a tool that cannot be turned on here."""
        if name not in self.names:
            near = nearest(name, self.names) or self.names
            hint = f"there is {', '.join(near)}" if near else "no tools are set up"
            raise UsageError(f"there is no tool called {name!r}", hint=hint)

    def asks_always(self, name: str) -> bool:
        """Whether no rule answers for it, as far as is known."""
        tool = self.toolbox.get(name)
        return tool is not None and tool.spec.always_ask

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that can be turned on, by name."""
        there = (tool.spec.name for tool in self.toolbox)
        return tuple(sorted({*there, *(self._more.names if self._more else ())}))

    def listed(self) -> Iterator[tuple[ToolSpec, bool]]:
        """Everything that can be turned on, and whether it is. Makes what is not there yet."""
        for name in self.names:
            there = {tool.spec.name: tool.spec for tool in self.toolbox}
            if name in there:
                yield there[name], self.is_on(name)
            elif self._more is not None:
                yield self._more.make(name).spec, False

    def offered(self) -> tuple[ToolSpec, ...]:
        """What the model is told of, by name. The same value while nothing changes."""
        there = tuple(tool.spec for tool in self.toolbox if self.is_on(tool.spec.name))
        if len(there) != len(self._seen[0]) or any(
            a is not b for a, b in zip(there, self._seen[0], strict=True)
        ):
            self._seen = (there, tuple(sorted(there, key=lambda spec: spec.name)))
        return self._seen[1]

    def box(self) -> Toolbox:
        """Those that are offered, as a box of their own."""
        return self.toolbox.chosen(spec.name for spec in self.offered())

    # -- who may run --------------------------------------------------------------------------

    def rules(self, session_id: str) -> Rules:
        """What holds in a session now."""
        return msgspec.structs.replace(
            self._rules,
            here=self._here.get(session_id, ()),
            never_here=self._never_here.get(session_id, ()),
        )

    def decide(self, ready: Ready, session_id: str, *, tainted: bool) -> Decision:
        rules = self.rules(session_id)
        return decide(ready, rules, self.policy, tainted=tainted, now=self.clock())

    def allow_here(self, rule: Rule, session_id: str, seconds: float | None = None) -> None:
        """Allow it in this session, for so long."""
        until = None if seconds is None else self.clock() + seconds
        forbidden = self._never_here.get(session_id, ())
        self._never_here[session_id] = tuple(r for r in forbidden if r.tool != rule.tool)
        self._here[session_id] = (*self._here.get(session_id, ()), Lasting(rule, until))

    def forbid_here(self, rule: Rule, session_id: str) -> None:
        """Forbid it in this session."""
        self._never_here[session_id] = (*self._never_here.get(session_id, ()), rule)

    async def allow(self, rule: Rule) -> None:
        """Allow it for good. Raises ChinwagError where that cannot be written down."""
        await self._keep(rule, allow=True)
        deny = tuple(r for r in self._rules.deny if r.tool != rule.tool)
        allow = (*(r for r in self._rules.allow if r != rule), rule)
        self._rules = msgspec.structs.replace(self._rules, allow=allow, deny=deny)

    async def forbid(self, rule: Rule) -> None:
        """Forbid it for good. Raises ChinwagError where that cannot be written down."""
        await self._keep(rule, allow=False)
        deny = (*(r for r in self._rules.deny if r != rule), rule)
        self._rules = msgspec.structs.replace(self._rules, deny=deny)
