"""Rounds of tools: what an answer calls is checked, approved, run and settled; then it is asked on.

Invariants. Each call of an answer gets exactly one result, in the order of the calls, however the
round ends: unfit, denied, failed, timed out, stopped, or left by an exception. Nothing runs that
was not decided to run: by a rule, by a mode, or by a person who was shown it; and what runs has the
digest of what was shown. A call is on record, safe, before it runs. One flag stops the question,
the tools and the loop together. A turn has an end: rounds, calls, calls that are alike, and money.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Iterator, Sequence
from contextlib import aclosing
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from chinwag.engine import approvals
from chinwag.engine.approvals import Ask, Decision, Deny, Run
from chinwag.engine.models import Key
from chinwag.engine.rules import Rule
from chinwag.engine.tooling import Bounds, Tooling
from chinwag.engine.turn import Outcome
from chinwag.errors import ChinwagError, StepsSpent
from chinwag.talk.delta import Stop
from chinwag.talk.entry import AnyEntry, AssistantSaid, Status, ToolReturned
from chinwag.talk.event import (
    ApprovalAnswered,
    ApprovalAsked,
    Ear,
    Level,
    Notice,
    ToolProgressed,
    ToolStarted,
    Verdict,
)
from chinwag.talk.message import Call, Result
from chinwag.talk.session import Session
from chinwag.tools.base import Ready, Scene, denied

PERSON = "the person stopped it"
NEVER = "the person does not allow it"
CUT = "the answer was cut off before the call was whole"


class Talks(Protocol):
    """What the conversation gives to whoever runs its tools."""

    @property
    def session(self) -> Session: ...

    @property
    def spent(self) -> Decimal:
        """US dollars so far."""
        ...

    def settle(self, entry: AnyEntry, hear: Ear) -> int: ...

    async def ask_again(self, key: Key, hear: Ear, stop: asyncio.Event) -> Outcome | None:
        """Ask ``key`` to answer what is there now, when it is safe; None where that failed."""
        ...

    def ends_early(self, why: ChinwagError, hear: Ear) -> None:
        """The turn has no whole answer, and why."""
        ...

    async def on_record(self, hear: Ear) -> None:
        """Returns when what is settled is safe, or known not to be savable now."""
        ...

    async def put_away(self, data: bytes, hear: Ear) -> str:
        """Keep a long output beside the session; its SHA-256, "" where it cannot be kept."""
        ...

    def room_for_results(self, count: int) -> int:
        """Bytes each of so many results may have, so that the next request fits."""
        ...


class Turn:
    """How far a turn has come, against its bounds."""

    def __init__(self, bounds: Bounds, spent: Decimal) -> None:
        self._bounds = bounds
        self._spent = spent
        self._steps = self._calls = 0
        self._alike: Counter[tuple[str, str]] = Counter()

    def admits(self, call: Call) -> str:
        """Counts a call in. Why it may not run, "" where it may."""
        self._calls += 1
        kind = (call.name, call.arguments)
        self._alike[kind] += 1
        if self._calls > self._bounds.calls:
            return f"this turn has made its {self._bounds.calls} calls"
        if self._alike[kind] > self._bounds.alike:
            times = self._bounds.alike
            return f"it was called with these very arguments {times} times in this turn already"
        return ""

    def ends(self, spent: Decimal) -> str:
        """After a round: why the model is not asked again by itself, "" where it is."""
        self._steps += 1
        bounds = self._bounds
        if self._steps >= bounds.steps:
            return f"{bounds.steps} rounds of tools"
        if self._calls >= bounds.calls:
            return f"{self._calls} calls of tools"
        if spent - self._spent >= bounds.dollars:
            return f"${spent - self._spent:.2f} spent"
        return ""


def spent_steps(why: str) -> StepsSpent:
    """The offer to go on."""
    return StepsSpent(
        f"{why} in this turn: the model was not asked again",
        hint="/continue lets it go on; what the tools gave is kept",
    )


class Rounds:
    """Runs the tools of a conversation. One round at a time."""

    def __init__(self, talk: Talks, tooling: Tooling) -> None:
        self._talk = talk
        self._tooling = tooling
        self._asking: _Asking | None = None
        self._begun: set[str] = set()  # ids of the calls of this round that began to run

    # -- what a person says -------------------------------------------------------------------

    def answer(self, call_id: str, digest: str, verdict: Verdict, word: str = "") -> bool:
        """What a person says to the call that waits. False where none waits that is just this.

        ``word`` goes to the model with a DENY.
        """
        asking = self._asking
        if asking is None or asking.said.done():
            return False
        if (call_id, digest) != (asking.ready.call.id, asking.ready.digest):
            return False
        asking.said.set_result((verdict, word))
        return True

    # -- the loop -----------------------------------------------------------------------------

    async def follow(
        self, outcome: Outcome | None, hear: Ear, stop: asyncio.Event, spent: Decimal
    ) -> Outcome | None:
        """After an answer: while it calls tools, run them and ask again. The last outcome.

        ``spent`` is what had been spent when the turn began.
        """
        talk = self._talk
        turn = Turn(self._tooling.bounds, spent)
        while outcome is not None and (answer := _calling(talk.session)) is not None:
            await self.settle(answer, turn, hear, stop)
            if stop.is_set() or answer.status is not Status.COMPLETE:
                break
            if why := turn.ends(talk.spent):
                talk.ends_early(spent_steps(why), hear)
                break
            outcome = await talk.ask_again((answer.provider, answer.model), hear, stop)
        return outcome

    # -- a round ------------------------------------------------------------------------------

    async def settle(
        self, answer: AssistantSaid, turn: Turn, hear: Ear, stop: asyncio.Event
    ) -> None:
        """Give each call of ``answer`` its result."""
        calls = [part for part in answer.parts if isinstance(part, Call)]
        fates = [self._fate(call, answer, turn) for call in calls]
        settled = 0
        self._begun.clear()
        try:
            await self._talk.on_record(hear)
            await self._approve(fates, hear, stop)
            for batch in _batches(fates):
                async with aclosing(self._run(batch, len(calls), hear, stop)) as entries:
                    async for entry in entries:
                        self._talk.settle(entry, hear)
                        settled += 1
        finally:
            for call in calls[settled:]:  # whoever waited here was taken away
                left = _stopped(call) if call.id in self._begun else denied(call, PERSON)
                self._talk.settle(ToolReturned(result=left), hear)

    def _fate(self, call: Call, answer: AssistantSaid, turn: Turn) -> Ready | Result:
        """A call that may be decided about; or the result it has already."""
        if answer.status is not Status.COMPLETE or answer.stop is Stop.LENGTH:
            return denied(call, CUT)
        if why := turn.admits(call):
            return denied(call, why)
        return self._tooling.box().check(call)

    async def _approve(self, fates: list[Ready | Result], hear: Ear, stop: asyncio.Event) -> None:
        """Decide about each call, in order; what may not run has its result then.

        A call that a rule let pass is decided about again at the end: while the person was asked
        about another one they may have said never.
        """
        unasked: list[int] = []
        for at, fate in enumerate(fates):
            if not isinstance(fate, Ready):
                continue
            decision = self._decided(fate)
            if stop.is_set():
                fates[at] = denied(fate.call, PERSON)
            elif isinstance(decision, Ask):
                fates[at] = await self._asked(fate, decision.why, hear, stop)
            elif isinstance(decision, Deny):
                fates[at] = _refused(fate, decision, hear)
            else:
                unasked.append(at)
        for at in unasked:
            fate = fates[at]
            if isinstance(fate, Ready) and not isinstance(self._decided(fate), Run):
                fates[at] = denied(fate.call, NEVER)

    def _decided(self, ready: Ready) -> Decision:
        session = self._talk.session
        tainted = approvals.is_tainted(session)
        return self._tooling.decide(ready, session.id, tainted=tainted)

    async def _asked(
        self, ready: Ready, why: str, hear: Ear, stop: asyncio.Event
    ) -> Ready | Result:
        rule, never = approvals.suggested(ready), approvals.forbidding(ready)
        asking = self._asking = _Asking(ready)
        hear(
            ApprovalAsked(
                ready.call,
                ready.shown,
                ready.digest,
                ready.tool.risk,
                why,
                "" if rule is None else str(rule),
                str(never),
                ready.tool.source,
            )
        )
        allowed = False
        try:
            said = await _first(asking.said, stop)
            if said is None:
                return denied(ready.call, PERSON)
            verdict, word = said
            allowed = await self._heed(verdict, rule, never, hear)
            return ready if allowed else denied(ready.call, _why_not(verdict, word))
        finally:
            self._asking = None
            hear(ApprovalAnswered(ready.call.id, ready.digest, allowed))

    async def _heed(self, verdict: Verdict, rule: Rule | None, never: Rule, hear: Ear) -> bool:
        """Keep the rule a verdict makes; whether the call may run."""
        session_id = self._talk.session.id
        match verdict:
            case Verdict.DENY:
                return False
            case Verdict.ONCE:
                return True
            case Verdict.NEVER:
                self._tooling.forbid_here(never, session_id)
                await self._kept(self._tooling.forbid(never), never, hear)
                return False
            case Verdict.SESSION | Verdict.ALWAYS:
                if rule is not None:
                    self._tooling.allow_here(rule, session_id)
                if rule is not None and verdict is Verdict.ALWAYS:
                    await self._kept(self._tooling.allow(rule), rule, hear)
                return True

    async def _kept(self, keeping: Awaitable[None], rule: Rule, hear: Ear) -> None:
        try:
            await keeping
        except ChinwagError as error:
            text = f"the rule {rule} holds in this session only: {error.message}"
            hear(Notice(text, Level.WARNING))

    # -- running ------------------------------------------------------------------------------

    async def _run(
        self, batch: Sequence[Ready | Result], count: int, hear: Ear, stop: asyncio.Event
    ) -> AsyncGenerator[ToolReturned, None]:
        """The results of calls that may run together, in their order."""
        limit = asyncio.Semaphore(self._tooling.bounds.together)

        async def one(fate: Ready | Result) -> ToolReturned:
            if isinstance(fate, Result):
                return ToolReturned(result=fate)
            async with limit:
                return await self._run_one(fate, count, hear, stop)

        tasks = [asyncio.ensure_future(one(fate)) for fate in batch]
        try:
            for task in tasks:
                yield await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _run_one(
        self, ready: Ready, count: int, hear: Ear, stop: asyncio.Event
    ) -> ToolReturned:
        tooling, call = self._tooling, ready.call
        if stop.is_set():
            return ToolReturned(result=denied(call, PERSON))
        shown = min(tooling.limits.shown, self._talk.room_for_results(count))
        scene = Scene(
            root=tooling.root,
            stop=stop,
            limits=msgspec.structs.replace(tooling.limits, shown=shown),
            progress=lambda text: hear(ToolProgressed(call.id, text)),
        )
        self._begun.add(call.id)
        hear(ToolStarted(call, ready.digest))
        began = tooling.clock()
        result, output = await tooling.toolbox.run(ready, scene)
        seconds = round(tooling.clock() - began, 3)
        whole = output.whole
        return ToolReturned(
            result=result,
            seconds=seconds,
            foreign=output.foreign,
            blob=await self._talk.put_away(whole, hear) if whole is not None else "",
            size=len(whole) if whole is not None else 0,
            note=output.note,
        )


def _calling(session: Session) -> AssistantSaid | None:
    """The newest answer, where it calls and has no result yet."""
    entry = session.entry(session.head)
    if isinstance(entry, AssistantSaid) and any(isinstance(p, Call) for p in entry.parts):
        return entry
    return None


class _Asking(msgspec.Struct):
    """A call that waits for a person's word."""

    ready: Ready
    said: asyncio.Future[tuple[Verdict, str]] = msgspec.field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


def _batches(fates: Sequence[Ready | Result]) -> Iterator[list[Ready | Result]]:
    """Neighbours that may run at one time; a call that may not is alone."""
    batch: list[Ready | Result] = []
    for fate in fates:
        alone = isinstance(fate, Ready) and not fate.tool.parallel
        if alone and batch:
            yield batch
            batch = []
        batch.append(fate)
        if alone:
            yield batch
            batch = []
    if batch:
        yield batch


async def _first(
    said: asyncio.Future[tuple[Verdict, str]], stop: asyncio.Event
) -> tuple[Verdict, str] | None:
    """What was said; None where the turn was stopped before."""
    stopper = asyncio.ensure_future(stop.wait())
    try:
        both: set[asyncio.Future[Any]] = {said, stopper}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        return said.result() if said.done() and not stop.is_set() else None
    finally:
        stopper.cancel()


def _stopped(call: Call) -> Result:
    """A call that ran when everything was stopped at once: nobody knows how far it came."""
    said = f"Error: stopped; what {call.name} did until then is not known."
    return Result(call.id, call.name, said, is_error=True)


def _refused(ready: Ready, why: Deny, hear: Ear) -> Result:
    text = f"{ready.call.name} was not run: {why.reason}"
    hear(Notice(f"{text} - {why.hint}" if why.hint else text, Level.WARNING))
    return denied(ready.call, why.reason)


def _why_not(verdict: Verdict, word: str) -> str:
    if verdict is Verdict.NEVER:
        return NEVER
    words = " ".join(word.split())
    return f"the person said no, and: {words}" if words else "the person said no"
