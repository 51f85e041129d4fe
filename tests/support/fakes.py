"""A desk that plays scripted events, for the screen alone: no engine, no store, no provider.

`FakeDesk.script` maps a line to what is heard when it is handled: events, numbers (seconds to
wait) and functions from the desk to events. A line without a script is answered with `echo`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from chinwag.talk import event as e
from chinwag.talk.delta import Ended, Stop, TextDelta
from chinwag.talk.draft import Draft
from chinwag.talk.entry import AnyEntry, AssistantSaid, ModelChosen, UserSaid
from chinwag.talk.entry import Status as Came
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Session, fold, fold_all

AT = "2026-11-20T09:{:02d}:00.000Z"
BIRTH = Birth(id="20261120-093015-k3f9q2", created=AT.format(30))


class Status(msgspec.Struct, frozen=True):
    """As chinwag.desk's."""

    provider: str = "ollama"
    model: str = "qwen3:8b"
    window: int = 32768
    used: int = 3412
    exact: bool = True
    cost: float | None = 0.0
    store: str = "file:"
    private: bool = False
    queued_saves: int = 0
    save_problem: str = ""
    following: str = ""
    budget: str = ""


class Suggestion(msgspec.Struct, frozen=True):
    """As chinwag.commands.table's."""

    text: str
    start: int
    label: str
    detail: str


COMMANDS = (
    ("/help", "all commands, or one of them"),
    ("/model", "choose who answers"),
    ("/new", "begin another conversation"),
    ("/load", "open an earlier conversation"),
    ("/tokens", "what the context is made of"),
    ("/exit", "leave"),
)

Step = Any
"""An event, seconds to wait, or a function from the desk to an event or a list of steps."""


def blank() -> Session:
    """An empty session with a model chosen."""
    return fold(Session(BIRTH), ModelChosen(provider="ollama", model="qwen3:8b"))


def talk(*said: str, session: Session | None = None) -> Session:
    """A session in which person and model speak in turn."""
    return fold_all(session or blank(), [entry(n, text) for n, text in enumerate(said)])


def entry(n: int, text: str, **more: Any) -> AnyEntry:
    """What was said at the n-th turn (even: the person)."""
    at = AT.format((31 + n) % 60)
    if n % 2 == 0:
        return UserSaid(parts=(Text(text),), at=at, tokens=len(text) // 4)
    more = {"seconds": 4.8, "first": 0.4, "tokens": 212, "tokenizer": "o200k_base", **more}
    return AssistantSaid(
        parts=(Text(text),), at=at, provider="ollama", model="qwen3:8b", stop=Stop.END, **more
    )


def long_talk(count: int) -> Session:
    """A session of so many messages."""
    texts = (
        f"Question {n}?" if n % 2 == 0 else f"Answer **{n}**: {'word ' * 40}" for n in range(count)
    )
    return talk(*texts)


class FakeDesk:
    """See the module."""

    def __init__(
        self,
        session: Session | None = None,
        script: dict[str, Sequence[Step]] | None = None,
        status: Status | None = None,
        lines: Sequence[str] = (),
    ) -> None:
        self._session = session or blank()
        self.script = script or {}
        self.shown = status or Status()
        self.lines = list(lines)
        self.handled: list[str] = []
        self.decided: list[tuple[str, str, str, str]] = []
        self.remembered: list[str] = []
        self.started = False
        self.draft: tuple[str, int, tuple[Any, ...]] = ("", 0, ())
        self.aside: list[tuple[str, tuple[Any, ...]]] = []
        self.kept_draft: e.DraftOffered | None = None
        self.on_start: Sequence[Step] = ()
        self._draft = Draft()
        self._stop = asyncio.Event()
        self._hear: e.Ear = lambda _: None

    @property
    def session(self) -> Session:
        return self._session

    async def handle(self, line: str, hear: e.Ear) -> None:
        self.handled.append(line)
        self._hear = hear
        self._stop.clear()
        self._draft = Draft()
        for step in self.script.get(line, self.echo(line)):
            if self._stop.is_set() or not await self._play(step):
                break
        if self._stop.is_set() and not self._draft.is_empty:
            self.answered(status=Came.INTERRUPTED)
        hear(e.Rested())

    async def _play(self, step: Step) -> bool:
        """One step; False when interrupted meanwhile."""
        if isinstance(step, int | float):
            try:
                await asyncio.wait_for(self._stop.wait(), step)
            except TimeoutError:
                return True
            return False
        if callable(step):
            made = step(self)
            for more in made if isinstance(made, list) else []:
                if not await self._play(more):
                    return False
            return True
        if isinstance(step, e.Heard):
            self._draft = self._draft.add(step.delta)
        self._hear(step)
        return True

    def settle(self, entry: AnyEntry) -> None:
        """An entry becomes part of the session."""
        self._session = fold(self._session, entry)
        self._hear(e.Settled(len(self._session), entry, self._session))

    def answered(self, **more: Any) -> None:
        """What was heard becomes an answer."""
        made = entry(1, "", **more)
        assert isinstance(made, AssistantSaid)
        self.settle(msgspec.structs.replace(made, parts=self._draft.parts("ollama/qwen3:8b")))
        self._draft = Draft()

    def echo(self, line: str) -> list[Step]:
        """An answer that says the line back, word by word."""
        return [
            lambda desk: desk.settle(entry(0, line)),
            e.Requested("ollama", "qwen3:8b", 12, exact=True),
            *heard(f"You said: {line}"),
            lambda desk: desk.answered(),
        ]

    def interrupt(self) -> bool:
        was = not self._stop.is_set()
        self._stop.set()
        return was

    def answer_approval(self, call_id: str, digest: str, verdict: str, word: str = "") -> bool:
        self.decided.append((call_id, digest, verdict, word))
        return True

    def status(self) -> Status:
        return self.shown

    def count(self, text: str) -> tuple[int, bool]:
        return max(1, len(text) // 4), True

    def complete(self, line: str, cursor: int) -> list[Suggestion]:
        typed = line[:cursor]
        return [
            Suggestion(name, 0, name, detail)
            for name, detail in COMMANDS
            if typed.startswith("/") and name.startswith(typed)
        ]

    def history(self) -> list[str]:
        return self.lines

    def remember(self, line: str) -> None:
        self.remembered.append(line)

    def draft_changed(self, text, cursor, pastes) -> None:
        self.draft = text, cursor, tuple(pastes)

    def draft_put_aside(self, text, pastes) -> None:
        self.aside.append((text, tuple(pastes)))

    async def draft_back(self, hear: e.Ear) -> None:
        if self.kept_draft is not None:
            hear(self.kept_draft)

    async def start(self, hear: e.Ear) -> None:
        self.started = True
        self._hear = hear
        for step in self.on_start:
            await self._play(step)

    async def close(self) -> None:
        return


def heard(text: str, size: int = 5) -> list[Step]:
    """A text as deltas of so many characters."""
    return [e.Heard(TextDelta(text[at : at + size])) for at in range(0, len(text), size)]


def said(line: str, answer: str, **more: Any) -> list[Step]:
    """The person's line and a streamed answer to it."""
    return [
        lambda desk: desk.settle(entry(0, line)),
        e.Requested("ollama", "qwen3:8b", 12, exact=True),
        *heard(answer),
        e.Heard(Ended(Stop.END)),
        lambda desk: desk.answered(**more),
    ]


Play = Callable[[FakeDesk], Iterable[Step]]
