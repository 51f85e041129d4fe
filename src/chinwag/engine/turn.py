"""One answer: ask, listen, and say how it came out. Settling it is the conversation's work.

Invariants: what was heard is never lost, whether the stream ended, broke, or the person stopped it;
an interruption is something read here beside the stream (`stop`), never thrown into it; the
provider's iterator is closed before `listen` returns, so the connection is too. However fast
deltas come, the loop gets its turn every few milliseconds, so that keys are read meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from chinwag.errors import GOES_ON, ChinwagError
from chinwag.talk.delta import AnyDelta, CallDelta, Ended, TextDelta, ThinkingDelta
from chinwag.talk.draft import Draft
from chinwag.talk.entry import AssistantSaid, Status

SLICE = 0.004  # seconds of listening after which others on the loop get their turn

FORGIVEN = "the answer was stopped"


class Outcome(msgspec.Struct, frozen=True):
    """How an answer came out: the draft, and why it is not complete if it is not."""

    draft: Draft
    status: Status
    error: ChinwagError | None = None
    seconds: float = 0.0
    first: float = 0.0


async def listen(
    stream: AsyncGenerator[AnyDelta, None],
    hear: Callable[[AnyDelta], None],
    stop: asyncio.Event,
    clock: Callable[[], float] = time.monotonic,
) -> Outcome:
    """Hear the stream out, or until ``stop`` is set. Raises nothing of the world's."""
    heard = _Heard(hear, clock)
    if stop.is_set():  # stopped before anything left: nothing leaves
        return heard.outcome(None, stopped=True)
    pump = asyncio.create_task(_pump(stream, heard))
    stopper = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({pump, stopper}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopper.cancel()
        stopped = not pump.done()
        pump.cancel()
        error = await _end_of(pump)
    return heard.outcome(error, stopped=stopped)


class _Heard:
    """The growing draft and its times: the one mutable box of a turn."""

    def __init__(self, hear: Callable[[AnyDelta], None], clock: Callable[[], float]) -> None:
        self._hear = hear
        self._clock = clock
        self._begun = clock()
        self._first = 0.0
        self._draft = Draft()

    def take(self, delta: AnyDelta) -> None:
        self._draft = self._draft.add(delta)
        if not self._first and isinstance(delta, TextDelta | ThinkingDelta | CallDelta):
            self._first = self._clock() - self._begun
        self._hear(delta)

    def outcome(self, error: ChinwagError | None, *, stopped: bool) -> Outcome:
        seconds = self._clock() - self._begun
        status = _status(self._draft, error, stopped=stopped)
        if error is not None and not self._draft.text:
            error.hint = error.hint.replace(GOES_ON, "")  # there is nothing to go on from
        return Outcome(self._draft, status, error, seconds, self._first)


def _status(draft: Draft, error: ChinwagError | None, *, stopped: bool) -> Status:
    if isinstance(draft.ended, Ended) and error is None:
        return Status.COMPLETE
    if stopped:
        return Status.INTERRUPTED
    return Status.FAILED if draft.is_empty else Status.PARTIAL


async def _pump(stream: AsyncGenerator[AnyDelta, None], heard: _Heard) -> None:
    async with aclosing(stream):
        due = time.monotonic() + SLICE
        async for delta in stream:
            heard.take(delta)
            if time.monotonic() > due:
                await asyncio.sleep(0)
                due = time.monotonic() + SLICE


async def _end_of(pump: asyncio.Task[None]) -> ChinwagError | None:
    """Wait for the pump to have closed its stream; the world's error, ours go up."""
    await asyncio.wait({pump})
    if pump.cancelled():
        return None
    match pump.exception():
        case None:
            return None
        case ChinwagError() as error:
            return error
        case bug:
            raise bug


def answer(outcome: Outcome, *, provider: str, model: str) -> AssistantSaid:
    """The entry an outcome is."""
    draft = outcome.draft
    served = draft.served_by.model
    return AssistantSaid(
        parts=draft.parts(source=f"{provider}/{model}"),
        provider=provider,
        model=model,
        served=served if served != model else "",
        status=outcome.status,
        stop=draft.ended.stop if draft.ended else None,
        error=_reason(outcome),
        hint=outcome.error.hint if outcome.error else "",
        usage=draft.usage,
        seconds=round(outcome.seconds, 3),
        first=round(outcome.first, 3),
    )


def _reason(outcome: Outcome) -> str:
    if outcome.error is not None:
        return outcome.error.message
    return {
        Status.INTERRUPTED: FORGIVEN,
        Status.PARTIAL: "the stream ended before the answer did",
        Status.FAILED: "the server closed the stream without an answer",
        Status.COMPLETE: "",
    }[outcome.status]
