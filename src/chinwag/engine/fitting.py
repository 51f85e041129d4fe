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

from chinwag.context import windows
from chinwag.context.compaction import Compactor, Proposal, SummariseCompactor, checked
from chinwag.engine import refusals
from chinwag.engine import request as requests
from chinwag.engine.models import Key, Models
from chinwag.engine.promises import Directory, Retrying
from chinwag.engine.room import Filling, Fits, Preview, Room, Rules
from chinwag.engine.scale import Scale
from chinwag.engine.turn import listen
from chinwag.errors import ChinwagError, ContextOverflow, ProviderError, UsageError
from chinwag.providers.base import Options, Request
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import Compacted, Hidden, Status, UserSaid
from chinwag.talk.event import Compacting, Ear, Level, Notice
from chinwag.talk.message import Message
from chinwag.talk.session import Session
from chinwag.talk.shown import Placed, held_by_pins, shown, tokens_shown, units_of
from chinwag.talk.usage import NO_USAGE, Usage

DEFAULT_WINDOW = 32_768
PRUNED_TO = 0.75  # of what is free: where pruning stops once it has begun, so that caches live
MOST_HIDDEN = 1_000  # messages left out one by one; beyond that the oldest go as turns
SUMMARY_SHARE = 0.5  # of what messages may fill: a longer summary would leave no room to talk
WINDOW_SLACK = 0.8  # of `keep`: where a sliding window is cut to, so that caches live between cuts


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
        return Room(window, budget, self._scale.head(key, fixed), self._scale.density(key))

    def filling(self, talk: Fits, key: Key) -> Filling:
        """What fills the window. The parts add up to what `used` says."""
        room = self.room(talk, key)
        used, _ = self._scale.used(talk.session, talk.system, key, talk.tools)
        system = int(self._scale.fixed(talk.system, (), key[1]) * room.scale)
        tools = int(self._scale.fixed("", talk.tools, key[1]) * room.scale)
        found = talk.session.compacted
        summary = int(found[1].tokens * room.scale) if found and found[1].summary else 0
        if (known := system + tools + summary) > used:  # what was reported is less than we thought
            system, tools, summary = (n * used // known for n in (system, tools, summary))
        history = used - system - tools - summary
        reserve = talk.options.max_tokens or 0
        return Filling(room.window, system, tools, summary, history, min(reserve, room.window))

    def check(self, talk: Fits, key: Key, tokens: int) -> None:
        """Whether a message of ``tokens`` can be answered at all, before it is settled.

        Raises ContextOverflow.
        """
        room = self.room(talk, key)
        more = self._scale.message(key, tokens)
        reserve = talk.options.max_tokens or 0
        if room.fixed > room.budget and reserve and room.fixed <= room.window * self.rules.margin:
            hint = f"/set max_tokens takes less than {room.window - room.fixed:,} here"
            raise _too_large("the system prompt", room.fixed, room, hint, reserve)
        if room.fixed > room.budget:
            raise _too_large("the system prompt", room.fixed, room, "shorten it: /system TEXT")
        if room.fixed + more > room.budget:
            hint = "shorten it, attach less, or choose a model with a larger window: /model"
            raise _too_large("this message", room.fixed + more, room, hint, reserve)
        stays = int(self._stays(talk) * room.scale)
        if room.fixed + stays + more > room.budget:
            what = "this message with the summary and the pinned messages that stay"
            raise _too_large(what, room.fixed + stays + more, room, UNPIN, reserve)
        if self.rules.policy == "refuse":
            used, _ = self._scale.used(talk.session, talk.system, key, talk.tools)
            if used + more > room.budget:
                what = "the conversation with this message"
                raise _too_large(what, used + more, room, MAKE_ROOM)

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
            self._trim_and_more(talk, key, hear)
        if not self._fits(talk, key) and not stop.is_set():
            room = self.room(talk, key)
            used, _ = self._scale.used(talk.session, talk.system, key, talk.tools)
            if self.rules.policy == "refuse":
                raise _too_large("the conversation", used, room, MAKE_ROOM)
            raise _too_large("what has to stay", used, room, UNPIN, talk.options.max_tokens or 0)

    def _trim_and_more(self, talk: Fits, key: Key, hear: Ear) -> None:
        """Turns go; where the newest is too large by itself, its older rounds of tools.

        Nothing goes where even that would not help.
        """
        free = self._free(talk, key)
        inner = windows.rounds(talk.session, 0)
        turn = {n for n, _ in next(windows.turns_back(talk.session), [])}
        newest = windows.weight(p for p in shown(talk.session) if p[0] in turn)
        if newest - sum(each.tokens for each in inner) + self._pinned(talk) > free:
            return
        self.trim(talk, key, hear, auto=True)
        if not self._fits(talk, key) and (rounds := windows.rounds(talk.session, free)):
            self.hide(talk, rounds, "rounds", hear, auto=True)

    def _pinned(self, talk: Fits) -> int:
        """Tokens of what is shown because of a pin, the newest turn left aside; our own counts."""
        if not talk.session.scope.pinned:
            return 0
        held = held_by_pins(talk.session)
        newest = {n for n, _ in next(windows.turns_back(talk.session), [])}
        return windows.weight(p for p in shown(talk.session) if p[0] in held - newest)

    def _stays(self, talk: Fits) -> int:
        """Tokens of what no policy leaves out: a summary and what is pinned; our own counts."""
        found = talk.session.compacted
        pins = held_by_pins(talk.session) if talk.session.scope.pinned else frozenset()
        pinned = windows.weight(p for p in shown(talk.session) if p[0] in pins) if pins else 0
        return pinned + (found[1].tokens if found and found[1].summary else 0)

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
            cut = windows.trim(talk.session, self._free(talk, key), spare=auto)
        if cut is None and target is None and not self._fits(talk, key):
            # Our own counts say it fits, the server's say it does not: they have to give way.
            cut = windows.trim(talk.session, tokens_shown(talk.session) * 3 // 4, spare=auto)
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
        free = self._free(talk, key)
        if target is not None:
            dropped = windows.prune(talk.session, target)
        else:
            dropped = windows.prune(talk.session, free, low=PRUNED_TO)
        if dropped:
            self.hide(talk, dropped, "prune", hear, auto=auto)
        if auto and len(talk.session.scope.hidden) > MOST_HIDDEN:
            cut = windows.trim(talk.session, int(free * windows.LOW_WATER), low=1.0, spare=True)
            if cut is not None:
                self._leave_out(talk, cut, "trim", hear, auto=True)
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
            text = f"no summary could be made ({error.message}); the oldest turns are left out"
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
        asking = _Asking(self, talk, key, stop)
        goal = target if target is not None else self._target(talk, key)
        hear(Compacting(len(said), windows.weight(said)))
        proposal = await _proposed(by, messages, goal, hint, asking)
        if stop.is_set():
            return None
        self._check_summary(talk, key, proposal.summary)
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

    def _check_summary(self, talk: Fits, key: Key, summary: str) -> None:
        """Raises ProviderError where ``summary`` would leave no room to talk."""
        tokens, _ = self._scale.entry(Compacted(summary=summary, through=0), key[1])
        free = self.room(talk, key).free
        if tokens > free * SUMMARY_SHARE:
            raise ProviderError(
                f"the summary is {tokens:,} tokens, too long for the {free:,} there are",
                hint="/compact again, or /trim leaves out the oldest turns",
            )

    async def ask(
        self, talk: Fits, key: Key, system: str, prompt: str, most: int, stop: asyncio.Event
    ) -> tuple[str, Usage]:
        """One question beside the talk. Raises ProviderError's family, BudgetSpent."""
        provider = self._directory.provider(key[0])
        room = self.room(talk, key)
        prompt, tokens = self._shortened(system, prompt, key, room, most)
        talk.spends(key, tokens)
        options = refusals.without(Options(max_tokens=most), self._models.refused(key))
        request = Request(
            model=key[1], messages=(Message.user(prompt),), system=system, options=options
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

    def _shortened(
        self, system: str, prompt: str, key: Key, room: Room, most: int
    ) -> tuple[str, int]:
        """``prompt`` without its middle where it would not fit beside an answer of ``most`` tokens;
        and the tokens of the whole request."""
        allowed = max(64, min(room.budget, room.window - most))
        while True:
            own = self._scale.fixed(system, (), key[1]) + self._scale.fixed(prompt, (), key[1])
            tokens = self._scale.message(key, own)
            if tokens <= allowed or len(prompt) < 400:
                return prompt, tokens
            half = int(len(prompt) * min(0.9, allowed / tokens) * 0.475)
            prompt = f"{prompt[:half]}\n[…]\n{prompt[-half:]}"


class _Asking:
    """What a compactor is given to ask with; remembers what the asking cost."""

    def __init__(self, fitting: Fitting, talk: Fits, key: Key, stop: asyncio.Event) -> None:
        self._fitting = fitting
        self._talk = talk
        self._key = key
        self._stop = stop
        self.usage = NO_USAGE
        self.asked = False

    async def __call__(self, system: str, prompt: str, most: int) -> str:
        self.asked = True
        text, usage = await self._fitting.ask(
            self._talk, self._key, system, prompt, most, self._stop
        )
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


UNPIN = "unpin messages, /clear, or choose a model with a larger window: /model"
MAKE_ROOM = "/compact, /trim or /clear make room; so does a model with a larger window"


def _too_large(what: str, asked: int, room: Room, hint: str, reserve: int = 0) -> ContextOverflow:
    kept = f", {reserve:,} of it kept for the answer" if reserve else ""
    return ContextOverflow(
        f"{what} is {asked:,} tokens, more than the {room.budget:,} that may be sent "
        f"(window {room.window:,}{kept})",
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
    if entry.tokens >= before:
        into += ", which saves nothing"
    return f"{len(gone):,} messages ({before:,} tokens) went {into}; /undo takes that back"


def _unheard(_: str, __: float) -> None:
    """A wait beside the talk is not shown."""


def _deaf(_: AnyDelta) -> None:
    """What a summariser says is heard when it is whole."""
