"""Making room: a request never holds more than its budget, whatever was said.

Invariants. What can never fit (a system prompt or a message larger than the window, anything under
the policy `refuse`) is refused in words before anything is settled or sent. What can be made to fit
is, by a policy that settles an entry: the record stays whole, the person is told what left the
view, and taking the entry back brings the same view again. Nothing that was just asked is ever cut
away. A summary that cannot be made falls back to leaving out the oldest, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Literal, Protocol, get_args

import msgspec

from chinwag.context import windows
from chinwag.context.compaction import Compactor, Proposal, SummariseCompactor, checked
from chinwag.engine import request as requests
from chinwag.engine.models import Key, Models
from chinwag.engine.promises import Directory, Retrying
from chinwag.engine.scale import Scale
from chinwag.engine.turn import listen
from chinwag.errors import ChinwagError, ContextOverflow, ProviderError, UsageError, nearest
from chinwag.providers.base import Options, Request
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry, Compacted, Hidden, Status, UserSaid
from chinwag.talk.event import Compacting, Ear, Level, Notice
from chinwag.talk.message import Message
from chinwag.talk.session import Session
from chinwag.talk.shown import Placed, shown, tokens_shown, units_of
from chinwag.talk.tool import ToolSpec
from chinwag.talk.usage import NO_USAGE, Usage

DEFAULT_WINDOW = 32_768
WINDOW_SLACK = 0.8  # of `keep`: where a sliding window is cut to, so that caches live between cuts

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


class Preview(msgspec.Struct, frozen=True):
    """What a compaction would do: messages and tokens that go, and that stay as they are."""

    hidden: int
    hidden_tokens: int
    kept: int
    kept_tokens: int


class Fitting:
    """Makes room; see the module's promise."""

    def __init__(
        self,
        *,
        directory: Directory,
        models: Models,
        scale: Scale,
        retrying: Retrying,
        rules: Rules,
    ) -> None:
        self._directory = directory
        self._models = models
        self._scale = scale
        self._retrying = retrying
        self.rules = rules

    # -- how much ------------------------------------------------------------------------------

    def window(self, key: Key) -> int:
        """Tokens a request to this model may hold at most, answer included."""
        window = self._models.told(key).room or DEFAULT_WINDOW
        return min(window, self.rules.limit or window)

    def room(self, talk: Fits, key: Key) -> Room:
        window = self.window(key)
        reserve = talk.options.max_tokens or 0
        budget = max(1, min(int(window * self.rules.margin), window - reserve))
        fixed = self._scale.fixed(talk.system, talk.tools, key[1])
        sample = 10_000
        factor = 1.0
        if not self._scale.is_exact(key[1]):
            factor = self._scale.meter.corrected(key[1], sample) / sample
        return Room(window, budget, int(fixed * factor), factor or 1.0)

    def filling(self, talk: Fits, key: Key) -> Filling:
        """What fills the window. The parts add up to what `used` says."""
        room = self.room(talk, key)
        used, _ = self._scale.used(talk.session, talk.system, key, talk.tools)
        system = int(self._scale.fixed(talk.system, (), key[1]) * room.scale)
        tools = int(self._scale.fixed("", talk.tools, key[1]) * room.scale)
        found = talk.session.compacted
        summary = int(found[1].tokens * room.scale) if found and found[1].summary else 0
        history = max(0, used - system - tools - summary)
        reserve = talk.options.max_tokens or 0
        return Filling(room.window, system, tools, summary, history, min(reserve, room.window))

    def check(self, talk: Fits, key: Key, tokens: int) -> None:
        """Whether a message of ``tokens`` can be answered at all, before it is settled.

        Raises ContextOverflow.
        """
        room = self.room(talk, key)
        more = int(tokens * room.scale)
        if room.fixed > room.budget:
            raise _too_large("the system prompt", room.fixed, room, "shorten it: /system TEXT")
        if room.fixed + more > room.budget:
            hint = "shorten it, attach less, or choose a model with a larger window: /model"
            raise _too_large("this message", room.fixed + more, room, hint)
        if self.rules.policy == "refuse":
            used, _ = self._scale.used(talk.session, talk.system, key, talk.tools)
            if used + more > room.budget:
                hint = "/compact, /trim or /clear make room; so does a model with a larger window"
                raise _too_large("the conversation with this message", used + more, room, hint)

    # -- making room ---------------------------------------------------------------------------

    async def make_room(self, talk: Fits, key: Key, hear: Ear, stop: asyncio.Event) -> None:
        """Before a request: whatever the policy has to do so that it fits.

        Raises ContextOverflow where nothing helps.
        """
        if self.rules.policy == "window":
            self._slide(talk, hear)
        if self._fits(talk, key):
            return
        if self.rules.policy == "prune":
            self.prune(talk, key, hear, auto=True)
        if self.rules.policy == "compact" and not self._fits(talk, key):
            await self._compact_or_trim(talk, key, hear, stop)
        if self.rules.policy != "refuse" and not self._fits(talk, key) and not stop.is_set():
            self.trim(talk, key, hear, auto=True)
        if not self._fits(talk, key) and not stop.is_set():
            room = self.room(talk, key)
            used, _ = self._scale.used(talk.session, talk.system, key, talk.tools)
            hint = "unpin messages, /clear, or choose a model with a larger window: /model"
            raise _too_large("what has to stay", used, room, hint)

    def held(self, talk: Fits) -> int:
        """Tokens of what is shown of the talk, in our own counts."""
        return tokens_shown(talk.session)

    def _fits(self, talk: Fits, key: Key) -> bool:
        used, _ = self._scale.used(talk.session, talk.system, key, talk.tools)
        return used <= self.room(talk, key).budget

    def _free(self, talk: Fits, key: Key) -> int:
        """Tokens messages may fill, in our own counts, beside the summary in force."""
        found = talk.session.compacted
        summary = found[1].tokens if found else 0
        return max(0, self.room(talk, key).free - summary)

    def _slide(self, talk: Fits, hear: Ear) -> None:
        if len(talk.session.said(after=talk.session.scope.start)) <= self.rules.keep:
            return
        cut = windows.window(talk.session, max(1, int(self.rules.keep * WINDOW_SLACK)))
        if cut is not None:
            self._leave_out(talk, cut, "window", hear, auto=True)

    def trim(
        self, talk: Fits, key: Key, hear: Ear, *, target: int | None = None, auto: bool = False
    ) -> windows.Cut | None:
        """Leave out the oldest turns, down to the low-water mark or to ``target`` tokens."""
        if target is not None:
            cut = windows.trim(talk.session, target, low=1.0)
        else:
            cut = windows.trim(talk.session, self._free(talk, key))
        if cut is None and target is None and not self._fits(talk, key):
            # Our own counts say it fits, the server's say it does not: they have to give way.
            cut = windows.trim(talk.session, tokens_shown(talk.session) * 3 // 4)
        if cut is not None:
            self._leave_out(talk, cut, "trim", hear, auto=auto)
        return cut

    def slide(self, talk: Fits, keep: int, hear: Ear) -> windows.Cut | None:
        """Leave out all but the last ``keep`` messages, now."""
        cut = windows.window(talk.session, keep)
        if cut is not None:
            self._leave_out(talk, cut, "window", hear, auto=False)
        return cut

    def _leave_out(self, talk: Fits, cut: windows.Cut, why: str, hear: Ear, *, auto: bool) -> None:
        summary = talk.session.compacted
        kept = summary[1].summary if summary else ""
        talk.settle(Compacted(summary=kept, through=cut.through, why=why, auto=auto), hear)
        hear(Notice(_left(cut.messages, cut.tokens)))

    def prune(
        self, talk: Fits, key: Key, hear: Ear, *, target: int | None = None, auto: bool = False
    ) -> list[windows.Dropped]:
        """Leave out what is least important, until the rest fits (or ``target`` tokens)."""
        goal = self._free(talk, key) if target is None else target
        dropped = windows.prune(talk.session, goal)
        if dropped:
            self.hide(talk, dropped, "prune", hear, auto=auto)
        return dropped

    def hide(
        self,
        talk: Fits,
        dropped: Sequence[windows.Dropped],
        why: str,
        hear: Ear,
        *,
        auto: bool = False,
    ) -> None:
        pairs = [(n, each.reason) for each in dropped for n in each.ns]
        entry = Hidden(
            ns=tuple(n for n, _ in pairs), reasons=tuple(r for _, r in pairs), why=why, auto=auto
        )
        talk.settle(entry, hear)
        hear(Notice(_left(len(pairs), sum(each.tokens for each in dropped))))

    # -- compaction ----------------------------------------------------------------------------

    async def _compact_or_trim(self, talk: Fits, key: Key, hear: Ear, stop: asyncio.Event) -> None:
        try:
            await self.compact(talk, key, hear, stop, auto=True)
        except ProviderError as error:
            text = f"no summary could be made ({error.message}); the oldest messages are left out"
            hear(Notice(text, Level.WARNING))

    def preview(self, talk: Fits, key: Key, target: int | None = None) -> Preview:
        """What compacting now would hide and keep, where the summariser keeps what it means to."""
        said = _summable(talk.session, current=False)
        keep = self._kept_by_default(said, target or self._target(talk, key))
        old, new = said[: len(said) - keep], said[len(said) - keep :]
        return Preview(len(old), windows.weight(old), len(new), windows.weight(new))

    def _kept_by_default(self, said: Sequence[Placed], target: int) -> int:
        keep_recent = getattr(self.rules.compactor or SummariseCompactor(), "keep_recent", 0)
        kept, tokens = 0, 0
        for _, entry in reversed(said):
            tokens += entry.tokens
            if kept >= keep_recent or tokens > target // 2:
                break
            kept += 1
        return _aligned(said, kept)

    def _target(self, talk: Fits, key: Key) -> int:
        return int(self.room(talk, key).free * windows.LOW_WATER)

    async def compact(
        self,
        talk: Fits,
        key: Key,
        hear: Ear,
        stop: asyncio.Event,
        *,
        hint: str = "",
        target: int | None = None,
        compactor: Compactor | None = None,
        auto: bool = False,
    ) -> Compacted | None:
        """Put a summary in the place of the older messages; None where there is nothing to gain.

        Raises ProviderError's family (no summary came), UsageError (a compactor's nonsense).
        Nothing is changed then, nor when ``stop`` is set meanwhile.
        """
        said = _summable(talk.session, current=auto)
        if not said:
            return None
        messages = requests.view(talk.session, said)
        by = compactor or self.rules.compactor or SummariseCompactor()
        asking = _Asking(self, key, stop)
        goal = target if target is not None else self._target(talk, key)
        hear(Compacting(len(said), windows.weight(said)))
        proposal = await _proposed(by, messages, goal, hint, asking)
        if stop.is_set():
            return None
        keep = _aligned(said, min(proposal.keep, len(said)))
        gone = said[: len(said) - keep]
        if not gone:
            return None
        entry = Compacted(
            summary=proposal.summary,
            through=gone[-1][0],
            auto=auto,
            provider=key[0] if asking.asked else "",
            model=key[1] if asking.asked else "",
            usage=asking.usage,
        )
        n = talk.settle(entry, hear)
        settled = talk.session.entry(n)
        assert isinstance(settled, Compacted)  # noqa: S101 - for the type checker
        hear(Notice(_compacted(gone, settled)))
        return settled

    async def ask(
        self, key: Key, system: str, prompt: str, most: int, stop: asyncio.Event
    ) -> tuple[str, Usage]:
        """One question beside the talk. Raises ProviderError's family."""
        provider = self._directory.provider(key[0])
        request = Request(
            model=key[1],
            messages=(Message.user(prompt),),
            system=system,
            options=Options(max_tokens=most),
        )
        outcome = await listen(
            self._retrying(lambda: provider.stream(request), _unheard), _deaf, stop
        )
        if outcome.error is not None:
            raise outcome.error
        text = outcome.draft.text
        if outcome.status is not Status.COMPLETE or not text.strip():
            raise ProviderError(f"{'/'.join(key)} wrote no summary")
        return text, outcome.draft.usage


class _Asking:
    """What a compactor is given to ask with; remembers what the asking cost."""

    def __init__(self, fitting: Fitting, key: Key, stop: asyncio.Event) -> None:
        self._fitting = fitting
        self._key = key
        self._stop = stop
        self.usage = NO_USAGE
        self.asked = False

    async def __call__(self, system: str, prompt: str, most: int) -> str:
        self.asked = True
        text, usage = await self._fitting.ask(self._key, system, prompt, most, self._stop)
        self.usage = self.usage + usage
        return text


async def _proposed(
    by: Compactor, messages: Sequence[Message], goal: int, hint: str, asking: _Asking
) -> Proposal:
    """What a compactor proposes, looked at. Whatever it raises becomes an error in words."""
    try:
        proposal = await by.compact(messages, goal, hint=hint, ask=asking)
    except ChinwagError:
        raise
    except Exception as error:
        raise UsageError(
            f"the compactor failed: {type(error).__name__}: {error}",
            hint="nothing was changed; mend it, or use SummariseCompactor()",
        ) from error
    return checked(proposal, len(messages))


def _summable(session: Session, *, current: bool) -> list[Placed]:
    """What a summary may stand for: all that is shown, but the question that waits (``current``)
    and what is pinned."""
    said = shown(session)
    if current:
        last = max((at for at, (_, e) in enumerate(said) if isinstance(e, UserSaid)), default=0)
        said = said[:last]
    return [placed for placed in said if placed[0] > session.scope.start]


def _aligned(said: Sequence[Placed], keep: int) -> int:
    """At most ``keep``, so that no call is parted from its results."""
    left = len(said)
    for unit in units_of(said):
        if left <= keep:
            break
        left -= len(unit)
    return left


def _too_large(what: str, asked: int, room: Room, hint: str) -> ContextOverflow:
    return ContextOverflow(
        f"{what} is {asked:,} tokens, more than the {room.budget:,} that may be sent "
        f"(window {room.window:,})",
        hint=hint,
        limit=room.budget,
        asked=asked,
    )


def _left(messages: int, tokens: int) -> str:
    what = "1 message" if messages == 1 else f"{messages:,} messages"
    return f"{what} ({tokens:,} tokens) are no longer sent; /undo takes that back"


def _compacted(gone: Sequence[Placed], entry: Compacted) -> str:
    before = windows.weight(gone)
    into = f"into a summary of {entry.tokens:,}" if entry.summary else "away"
    return f"{len(gone):,} messages ({before:,} tokens) went {into}; /undo takes that back"


def _unheard(_: str, __: float) -> None:
    """A wait beside the talk is not shown."""


def _deaf(_: AnyDelta) -> None:
    """What a summariser says is heard when it is whole."""
