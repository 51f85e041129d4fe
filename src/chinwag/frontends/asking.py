"""The question before a tool runs, as lines of text: for a line REPL and one answer at a terminal.

Invariants: all that would be done is printed, display-safe, before anybody is asked; what was typed
before the question is thrown away, not taken for its answer; only the whole word for yes is a yes,
anything else is a no, and goes to the model as its reason. At the end of input the answer is no.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final, TextIO

from chinwag.talk.event import ApprovalAnswered, ApprovalAsked, Verdict
from chinwag.text.safe import safe

_WORDS: Final = {
    "y": Verdict.ONCE,
    "yes": Verdict.ONCE,
    "session": Verdict.SESSION,
    "always": Verdict.ALWAYS,
    "never": Verdict.NEVER,
    "n": Verdict.DENY,
    "no": Verdict.DENY,
    "": Verdict.DENY,
}

PROMPT: Final = "run it? "

Answer = Callable[[str, str, Verdict, str], bool]
"""Tells (call id, digest, verdict, word for the model); whether that call waited."""


class LineAsker:
    """Asks on ``err``, reads from ``source``; one question at a time."""

    def __init__(self, answer: Answer, err: TextIO, source: TextIO) -> None:
        self._answer = answer
        self._err = err
        self._source = source
        self._task: asyncio.Task[None] | None = None

    def ask(self, asked: ApprovalAsked) -> None:
        self._task = asyncio.get_running_loop().create_task(self._ask(asked))

    def settled(self, answered: ApprovalAnswered) -> None:  # noqa: ARG002 - only one is ever open
        """Nobody need answer any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _ask(self, asked: ApprovalAsked) -> None:
        self._err.write(safe(question(asked)))
        self._err.flush()
        _forget_typed(self._source)
        self._err.write(PROMPT)
        self._err.flush()
        await readable(self._source.fileno())
        verdict, word = said(self._source.readline(), asked)
        self._answer(asked.call.id, asked.digest, verdict, word)


def question(asked: ApprovalAsked) -> str:
    """Everything a person has to know, and what can be said (raw)."""
    source = f", from {asked.source}" if asked.source else ""
    lines = [f"{asked.call.name} asks to run ({asked.risk}{source})"]
    lines += [asked.why] if asked.why else []
    lines += [f"  {line}" for line in asked.shown.split("\n")]
    ways = ["yes", "no"]
    if asked.rule:
        lines.append(f"  the rule: {asked.rule}")
        ways[1:1] = ["session", "always (by the rule, in this folder)"]
    if asked.never:
        ways.append(f"never (no call of {asked.never})")
    lines.append(f"{', '.join(ways)}; anything else is a no, and told to the model")
    return "\n".join([*lines, ""])


def said(line: str, asked: ApprovalAsked) -> tuple[Verdict, str]:
    """What a typed line says, and the word for the model."""
    word = line.strip()
    verdict = _WORDS.get(word.lower())
    if verdict is None:
        return Verdict.DENY, word
    if verdict in {Verdict.SESSION, Verdict.ALWAYS} and not asked.rule:
        return Verdict.DENY, ""
    return verdict, ""


def _forget_typed(source: TextIO) -> None:
    """What was typed before the question is no answer to it."""
    import termios

    try:
        termios.tcflush(source.fileno(), termios.TCIFLUSH)
    except (OSError, ValueError, termios.error):
        pass  # no terminal: nothing is typed ahead there


async def readable(fd: int) -> None:
    """Until a line can be read; what happens beside the lines goes on meanwhile."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    try:
        loop.add_reader(fd, ready.set)
    except OSError:
        return  # such a descriptor cannot be waited for: reading it waits
    try:
        await ready.wait()
    finally:
        loop.remove_reader(fd)


def at_terminal(answer: Answer) -> LineAsker:
    """Asks the person at the terminal of this process."""
    return LineAsker(answer, sys.stderr, sys.stdin)
