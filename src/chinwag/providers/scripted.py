"""A provider that plays a script: for tests, demonstrations and documentation.

Invariants: the same script gives the same deltas in the same order; without a rate and without
pauses nothing waits longer than one turn of the loop. Every request is kept, so that a test can
see what was asked. It keeps the promise of ``base.Provider``: a script that forgets its ending
raises ``StreamBroken``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

import msgspec

from chinwag.errors import StreamBroken
from chinwag.providers.base import Leave, ModelInfo, Profile, Request, at_once
from chinwag.talk.delta import AnyDelta, CallDelta, Delta, Ended, Stop, TextDelta, UsageDelta
from chinwag.talk.message import Call
from chinwag.talk.usage import Usage

_TOKENS: Final = re.compile(r"\s*\S+|\s+$")


class Pause(msgspec.Struct, frozen=True):
    """Waits that many seconds."""

    seconds: float


Step: TypeAlias = AnyDelta | Pause | Call | str | BaseException
Answer: TypeAlias = str | Call | BaseException | Sequence[Step]
"""A text (streamed word by word), a tool call, an error to raise, or a list of steps.

A text alone, a call alone and a list without ``Ended`` whose steps are all texts and calls end
well by themselves; a list that holds a delta says its own ending, or is cut.
"""


class Scripted:
    """Plays ``answers`` one after the other, the last one again and again.

    ``rate`` is tokens (words) a second; None is as fast as they can be taken. An answer may also be
    a function of the request.
    """

    def __init__(
        self,
        answers: Iterable[Answer | Callable[[Request], Answer]] = ("Hello.",),
        *,
        rate: float | None = None,
        name: str = "scripted",
        models: Sequence[str] = ("script",),
        profile: Profile = Profile(),  # noqa: B008  # frozen
    ) -> None:
        self.name = name
        self.requests: list[Request] = []
        self.closed = 0
        self._answers = list(answers)
        self._rate = rate
        self._models = tuple(models)
        self._profile = profile

    async def stream(
        self, request: Request, leave: Leave = at_once
    ) -> AsyncGenerator[AnyDelta, None]:
        await leave()
        answer = self._next(request)
        self.requests.append(request)
        try:
            for step in _steps(answer):
                if isinstance(step, BaseException):
                    raise step
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    continue
                yield step
                if isinstance(step, Ended):
                    return
                # Waiting even without a rate: a provider that never waits starves the screen.
                await asyncio.sleep(1 / self._rate if self._rate else 0)
            raise StreamBroken("the script was cut off before its end", model=request.model)
        finally:
            self.closed += 1

    async def models(self) -> list[ModelInfo]:
        return [ModelInfo(self.name, model, self._profile) for model in self._models]

    async def profile(self, model: str) -> Profile:  # noqa: ARG002  # the promise's signature
        return self._profile

    async def aclose(self) -> None:
        """Nothing to let go of."""

    def _next(self, request: Request) -> Answer:
        at = min(len(self.requests), len(self._answers) - 1)
        answer = self._answers[at] if self._answers else ""
        return answer(request) if callable(answer) else answer


def _steps(answer: Answer) -> Iterator[AnyDelta | Pause | BaseException]:
    steps: Sequence[Step] = (
        [answer] if isinstance(answer, str | Call | BaseException) else list(answer)
    )
    calls = 0
    words = 0
    for step in steps:
        if isinstance(step, str):
            for word in pieces(step):
                words += 1
                yield TextDelta(word)
        elif isinstance(step, Call):
            yield CallDelta(calls, step.id, step.name, step.arguments, step.signature)
            calls += 1
        else:
            yield step
    if not any(isinstance(step, Delta | BaseException) for step in steps):
        yield UsageDelta(Usage(output=words))
        yield Ended(Stop.TOOLS if calls else Stop.END, "script")


def pieces(text: str) -> list[str]:
    """``text`` cut into words with the blanks before them; joined they are the text."""
    return _TOKENS.findall(text)
