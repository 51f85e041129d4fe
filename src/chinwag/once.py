"""One answer to a prompt or a pipe, and the program ends. Part of the roof.

Invariants: the answer, or JSON, goes to `stdout` and nothing else does; the desk is closed however
it ends, so that what was heard is kept; whoever reads our output may go at any time.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chinwag import roads
from chinwag.asked import Asked, misfit, opening, said
from chinwag.errors import UsageError
from chinwag.frontends.codes import ANSWERED, FAILED, INTERRUPTED, exit_code
from chinwag.frontends.patience import Patience, has_a_line
from chinwag.frontends.plain import NO_CODE, PlainEar, extracted, first_code, interruptible
from chinwag.talk.event import Failed
from chinwag.text.safe import json_shown

if TYPE_CHECKING:
    from chinwag.desk import Desk
    from chinwag.talk.message import AnyPart
    from chinwag.wiring import House

CANNOT_BE_WRITTEN: Final = (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EFBIG)


def answered(house: House, asked: Asked, piped: bytes) -> int:
    """Ask, and print what is answered. Returns the exit code; raises UsageError, ConfigError."""
    words, parts = said(asked, piped)
    if asked.pick:
        raise UsageError("a picker needs a terminal", hint="name the session: --resume NAME")
    if not words.strip() and not parts:
        raise UsageError("there is nothing to answer", hint='say it: chat "your question"')
    if sys.stdout is None:
        roads.say("there is nowhere to write the answer: stdout is closed")
        return FAILED
    # What stands alone in a pipe is the question; beside one, it is what the question is about.
    foreign = bool(piped and asked.prompt not in {"", "-"})
    one = _One(house, asked, words, parts, foreign=foreign)
    try:
        return asyncio.run(one.run())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return one.ended()
    except BrokenPipeError:
        nobody_reads()
        return FAILED
    except OSError as error:
        if error.filename or error.errno not in CANNOT_BE_WRITTEN:
            raise
        nobody_reads()
        roads.say(f"the answer cannot be written: {(error.strerror or '').lower()}")
        return FAILED


def nobody_reads() -> None:
    """Whoever read our output has gone: nothing more is written, not even at the end."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nowhere.fileno(), 1)


class _One:
    """One question and its answer."""

    def __init__(
        self,
        house: House,
        asked: Asked,
        words: str,
        parts: tuple[AnyPart, ...],
        *,
        foreign: bool = False,
    ) -> None:
        self._house = house
        self._asked = asked
        self._said = words, parts
        self._foreign = foreign
        self._opening = opening(house, asked)
        self._signal = 0

    async def run(self) -> int:
        asked = self._asked
        in_person = asked.words_only and roads.somebody_is_there()
        desk = roads.desk_for(self._house, self._opening, asked_in_person=in_person, commands=False)
        ear = self._ear(desk)
        try:
            with interruptible(desk, self._told_to_end):
                await desk.start(ear, stay=False)
                if desk.opened and asked.dry_run:
                    return _dry_run(desk, *self._said)
                if desk.opened:
                    await desk.talk(self._said[0], ear, self._said[1], foreign=self._foreign)
        finally:
            saved = await roads.closed(desk)
        code = exit_code(ear.failure, ear.answer) or (ANSWERED if saved else FAILED)
        return self.ended(self._handed(desk, ear, code))

    def _told_to_end(self, which: int) -> None:
        self._signal = which

    def ended(self, code: int = INTERRUPTED) -> int:
        """The code of a run that was told to end is that of the signal."""
        return 128 + self._signal if self._signal and code == INTERRUPTED else code

    def _ear(self, desk: Desk) -> Any:
        from chinwag.frontends import jsonl

        asked = self._asked
        if asked.json:
            return jsonl.WholeEar(sys.stdout.buffer)
        if asked.json_stream:
            return jsonl.StreamEar(sys.stdout.buffer)
        ear = PlainEar(
            sys.stdout,
            sys.stderr,
            live=asked.live and not asked.extract,
            mute=asked.extract,
            quiet=not asked.verbose,
            mum=asked.quiet,
            once=True,
        )
        environ = self._house.environ
        if not asked.quiet and has_a_line(sys.stderr, environ):
            ear.patience = Patience(sys.stderr, dim="NO_COLOR" not in environ)
        if self._house.attended:
            from chinwag.frontends.asking import at_terminal

            ear.asker = at_terminal(desk.answer_approval)
        return ear

    def _handed(self, desk: Desk, ear: Any, code: int) -> int:
        """The answer as it was wanted; returns the code it ends with."""
        wrong = None if code else self._wrong(ear)
        if wrong is not None and wrong is not NO_CODE:
            ear(wrong)
        if self._asked.json:
            self._whole(desk, ear)
        elif self._asked.extract:
            code = extracted(ear, code)
        elif self._asked.verbose and self._asked.words_only:
            _sum_up(desk, ear)
        return FAILED if wrong is not None else code

    def _wrong(self, ear: Any) -> Failed | None:
        """What an answer lacks that came whole."""
        text = ear.answer.text if ear.answer else ""
        if self._asked.extract:
            code = first_code(text)
            if code is None:
                return NO_CODE
            text = code
        if self._asked.schema and (why := misfit(self._asked.schema, text)):
            hint = "run it again, or choose another model with -m"
            return Failed("AnswerUnfit", f"the answer does not fit the schema: {why}", hint)
        return None

    def _whole(self, desk: Desk, ear: Any) -> None:
        if self._asked.extract and ear.answer is not None:
            ear.text = first_code(ear.answer.text)
            if ear.text is None and ear.failure is None:
                ear(NO_CODE)
        ear.choice = desk.conversation.choice
        ear.close()


def _sum_up(desk: Desk, ear: PlainEar) -> None:
    """What the answer took, for who wants to know."""
    if ear.answer is None:
        return
    answer, usage = ear.answer, ear.answer.usage
    tokens = f"{usage.input or 0:,} tokens read, {usage.output or 0:,} written"
    ear.tell(f"{answer.provider}/{answer.model}: {tokens}, {answer.seconds:.1f} s")
    if desk.lasting:
        ear.tell(f"kept as {desk.session.id}; chat -r {desk.session.id} goes on with it")


def _dry_run(desk: Desk, words: str, parts: tuple[AnyPart, ...]) -> int:
    from chinwag.talk.codec import dumps

    request, tokens, exact = desk.conversation.preview(words, parts)
    provider, _ = desk.conversation.choice
    plain = {
        "provider": provider,
        **msgspec.to_builtins(request),
        "tokens": tokens,
        "exact": exact,
    }
    sys.stdout.write(json_shown(msgspec.json.format(dumps(plain), indent=2)).decode() + "\n")
    return ANSWERED
