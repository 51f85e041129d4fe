"""May this call run? Decided here, from the call, the rules and the mode; pure.

Invariants: nothing runs unasked but by a rule of the person's own, and what a rule forbids does not
run. No rule answers for a tool that always asks. Once foreign text is in the talk, what can let
data out is asked about again, unless a rule fixes every word of the call: such a call says nothing
new. Where nobody can be asked, what would have been asked is denied, in words.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

import msgspec

from chinwag.engine import rules as written
from chinwag.engine.rules import Fit, Rule
from chinwag.talk.entry import Cleared, ToolReturned, UserSaid
from chinwag.talk.message import Media
from chinwag.talk.session import Session
from chinwag.talk.tool import Risk

if TYPE_CHECKING:
    from chinwag.talk.tool import ToolSpec

FOREIGN: Final = "text from elsewhere is in this talk, and this call can let data out"
UNCONFINED: Final = "this tool is asked about every time"


class Mode(StrEnum):
    """Who is asked before a tool runs, where no rule answers."""

    ASK = "ask"
    NEVER = "never"
    ALL = "all"


class Ready(Protocol):
    """What is decided about: a call that was checked."""

    @property
    def tool(self) -> ToolSpec: ...
    @property
    def arguments(self) -> dict[str, Any]: ...


class Lasting(msgspec.Struct, frozen=True):
    """A rule and the moment on the monotonic clock at which it ends; None: with the session."""

    rule: Rule
    until: float | None = None


class Rules(msgspec.Struct, frozen=True):
    """What the person allowed and forbade: for good, and in one session."""

    allow: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    here: tuple[Lasting, ...] = ()
    never_here: tuple[Rule, ...] = ()

    def fit(self, ready: Ready, now: float) -> Fit:
        """How well what is allowed fits; NO where it is forbidden, or nothing does."""
        living = (each.rule for each in self.here if each.until is None or now < each.until)
        allowed = (*self.allow, *living)
        return max((r.fit(ready.tool, ready.arguments) for r in allowed), default=Fit.NO)

    def forbids(self, ready: Ready) -> bool:
        forbidden = (*self.deny, *self.never_here)
        return any(r.fit(ready.tool, ready.arguments) for r in forbidden)


class Policy(msgspec.Struct, frozen=True):
    """``attended``: somebody can be asked. ``wary``: foreign text suspends what lets data out."""

    mode: Mode = Mode.ASK
    attended: bool = False
    wary: bool = True


class Run(msgspec.Struct, frozen=True):
    """It runs unasked."""


class Ask(msgspec.Struct, frozen=True):
    """The person is asked; ``why`` says what is special about it."""

    why: str = ""


class Deny(msgspec.Struct, frozen=True):
    """It does not run; ``reason`` ends a sentence for the model, ``hint`` is for the person."""

    reason: str
    hint: str = ""


Decision: TypeAlias = Run | Ask | Deny


def decide(
    ready: Ready, rules: Rules, policy: Policy, *, tainted: bool, now: float | None = None
) -> Decision:
    """What becomes of a call, before anybody has been asked about it."""
    if rules.forbids(ready):
        return Deny("the person does not allow it")
    fit = rules.fit(ready, time.monotonic() if now is None else now)
    if ready.tool.always_ask:
        return _asked(UNCONFINED, ready, policy)
    if policy.wary and tainted and lets_out(ready.tool) and fit is not Fit.FIXED:
        return _asked(FOREIGN, ready, policy)
    if fit or policy.mode is Mode.ALL:
        return Run()
    return _asked("", ready, policy)


def _asked(why: str, ready: Ready, policy: Policy) -> Decision:
    if policy.attended and policy.mode is not Mode.NEVER:
        return Ask(why)
    rule = written.exactly(ready.tool, ready.arguments)
    said = f"{why}, and nobody can be asked" if why else "nothing allows it"
    hint = "" if ready.tool.always_ask else f"this rule would (--approve, or /allow): {rule}"
    return Deny(said, hint)


def lets_out(spec: ToolSpec) -> bool:
    """Whether a call can carry data away: over the network, by a program, to another process."""
    return spec.risk in {Risk.NETWORK, Risk.EXECUTE} or bool(spec.source)


def is_tainted(session: Session) -> bool:
    """Whether what the model sees may hold words of anybody's. O(the path since the last clear).

    What came with an imported session was written by nobody we know; a summary may carry words of
    what it stands for. A file or picture that is attached, and what is piped in beside a question,
    may have been written by anybody, though a person chose it.
    """
    if session.birth.imported:
        return True
    for _, entry in session.back():
        if isinstance(entry, Cleared):
            return False
        if isinstance(entry, ToolReturned | UserSaid) and entry.foreign:
            return True
        if isinstance(entry, UserSaid) and any(isinstance(p, Media) for p in entry.parts):
            return True
    return False


_PATHS: Final = frozenset(("path", "file", "folder", "directory", "dir", "filename"))


def suggested(ready: Ready) -> Rule | None:
    """The rule that is offered for calls like this one; None where none may answer for it.

    What can let data out is allowed word by word; what writes, for this path; what reads, for this
    folder, or wholly where no path is named.
    """
    spec, arguments = ready.tool, ready.arguments
    if spec.always_ask:
        return None
    if lets_out(spec):
        return written.exactly(spec, arguments)
    paths = [(n, v) for n, v in arguments.items() if _is_path(n) and isinstance(v, str)]
    if not paths:
        return Rule(spec.name) if spec.risk is Risk.READ else written.exactly(spec, arguments)
    wide = spec.risk is Risk.READ
    fields = tuple(
        (name, _folder(value) if wide else written.literal(value)) for name, value in paths
    )
    return Rule(spec.name, fields, more=len(paths) < len(arguments))


def _is_path(name: str) -> bool:
    last = name.lower().rpartition("_")[2]
    return last in _PATHS


def _folder(path: str) -> str:
    folder, slash, _ = path.rpartition("/")
    inside = bool(folder) and ".." not in folder.split("/")
    return written.literal(folder) + f"{slash}*" if inside else written.literal(path)


def forbidding(ready: Ready) -> Rule:
    """What "never" means: no call of this tool."""
    return Rule(ready.tool.name)
