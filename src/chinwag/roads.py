"""From settings to an ear and out again: which road a run takes, and what it ends with.

Invariants: the full screen only where both ends are a terminal that can; a prompt or piped input is
answered once; nothing is printed to `stdout` but answers. Every road closes the desk, so that what
is acknowledged is saved and what is not is said. Imports are made where a road needs them: each
road pays for itself only.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from chinwag.asked import Asked, Flags, check, flags_read, opening, piped
from chinwag.errors import ChinwagError, ConfigError, StoreError, UsageError, reason_of
from chinwag.frontends.codes import ANSWERED, FAILED, WRONG_USE
from chinwag.text.safe import safe

if TYPE_CHECKING:
    from chinwag.boot import EarlyScreen
    from chinwag.desk import Desk
    from chinwag.frontends.trace import Trace
    from chinwag.opening import Opening
    from chinwag.wiring import House


def run_bare(argv: list[str], early: EarlyScreen | None) -> int:
    """`chat`, with nothing or a prompt after it: no parser is needed to understand that."""
    try:
        return take(Asked(prompt=" ".join(argv)), {}, "", early)
    except ChinwagError as error:
        if early is not None:
            early.give_back()
        say(f"{error.message} - {error.hint}" if error.hint else error.message)
        # Nothing has been asked of a model yet: only a store can have failed by itself.
        return FAILED if isinstance(error, StoreError) else WRONG_USE


def take(asked: Asked, flags: Flags, config: str, early: EarlyScreen | None) -> int:
    """Go the road that fits. Raises ConfigError and UsageError before anything has begun."""
    from chinwag import wiring
    from chinwag.config.paths import keep_to_oneself

    keep_to_oneself()
    check(asked)
    house = wiring.settle_in(flags_read(flags), config, dict(os.environ))
    house.check_tools()
    one_line_at_a_time = bool(house.settings.plain)
    data = b"" if one_line_at_a_time and not asked.prompt else piped(asked)
    if asked.prompt or data or asked.files or asked.dry_run or not asked.words_only:
        from chinwag import once

        _leave_early(early)
        return once.answered(house, asked, data)
    if one_line_at_a_time or not _can_draw():
        _leave_early(early)
        if not one_line_at_a_time and not _is_terminal(sys.stdin):
            raise UsageError("there is nothing to answer", hint='say it: chat "your question"')
        return _repl(house, asked)
    return _screen(house, asked, early)


def _leave_early(early: EarlyScreen | None) -> None:
    if early is not None:
        early.give_back()


def _is_terminal(stream: Any) -> bool:
    try:
        return stream is not None and stream.isatty()
    except ValueError:  # closed
        return False


def _can_draw() -> bool:
    both = _is_terminal(sys.stdin) and _is_terminal(sys.stdout)
    return both and os.environ.get("TERM", "") not in ("", "dumb")


def somebody_is_there() -> bool:
    """Whether a question can be put in words, and answered by a line."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def say(text: str) -> None:
    """One sentence to the person, beside every answer."""
    if sys.stderr is not None:
        sys.stderr.write(f"chat: {safe(text)}\n")
        sys.stderr.flush()


# -- what every road has --------------------------------------------------------------------------


def desk_for(
    house: House,
    wanted: Opening,
    trace: Trace | None = None,
    *,
    asked_in_person: bool = False,
    commands: bool = True,
) -> Desk:
    house.attended = asked_in_person
    desk = house.desk(commands=commands)
    desk.opening = wanted
    trace = trace or _trace(house)
    if trace is not None:
        desk.beside = trace.beside
    return desk


def _trace(house: House) -> Trace | None:
    path = house.environ.get("CHINWAG_TRACE", "")
    if not path:
        return None
    from chinwag.frontends.trace import Trace

    try:
        return Trace(path)
    except OSError as error:
        reason = reason_of(error)
        raise ConfigError(
            f"the trace cannot be written: {reason}",
            hint="name a file that can be",
            where="CHINWAG_TRACE",
        ) from None


async def closed(desk: Desk) -> bool:
    """Close the desk; say it where something could not be saved. True if all was."""
    lost = await _lost(desk)
    for sentence in lost:
        say(sentence)
    return not lost


async def _lost(desk: Desk) -> list[str]:
    """Close the desk. A sentence for each session whose end could not be saved."""
    unsaved = await desk.close()
    status = desk.status()
    why = f": {status.save_problem}" if status.save_problem else ""
    what_to_do = f" - {status.save_remedy}" if status.save_remedy else ""
    end = f"could not be saved{why}{what_to_do}"
    said = [f"the end of session {session_id} {end}" for session_id in unsaved]
    if desk.session.id in unsaved and (copy := _rescued(desk)):
        store = desk.status().store
        elsewhere = "" if store.startswith("file:") else f" --store {store}"
        how = f"chat sessions import {shlex.quote(copy)}{elsewhere}"
        said.append(f"all of it is in {copy} - later: {how}")
    return said


def _rescued(desk: Desk) -> str:
    from chinwag.rescue import rescued

    return "" if desk.conversation.private else rescued(desk.session, desk.state_dir)


# -- the line REPL --------------------------------------------------------------------------------


def _repl(house: House, asked: Asked) -> int:
    from chinwag.frontends.plain import PlainEar, Repl

    if sys.stdin is None or sys.stdout is None:
        raise UsageError(
            "a talk needs both stdin and stdout", hint='one of them is closed; or ask: chat "…"'
        )
    wanted = opening(house, asked)
    with asyncio.Runner() as runner:
        desk = runner.run(_made(house, wanted))
        ear = PlainEar(sys.stdout, sys.stderr, live=asked.live, quiet=asked.quiet)
        code, saved = FAILED, False
        try:
            code = Repl(desk, ear, runner).run()
        finally:
            saved = runner.run(closed(desk))
        return code or (ANSWERED if saved else FAILED)


async def _made(house: House, wanted: Opening) -> Desk:
    return desk_for(house, wanted, asked_in_person=somebody_is_there())


# -- the full screen ------------------------------------------------------------------------------


def _screen(house: House, asked: Asked, early: EarlyScreen | None) -> int:
    from chinwag.frontends.tui.farewell import farewell

    wanted = opening(house, asked)
    try:
        desk, lost = asyncio.run(_shown(house, wanted, early))
    finally:
        if early is not None:
            early.give_back()
    private = desk.conversation.private
    kept = desk.lasting and desk.status().queued_saves < len(desk.session)
    words = "" if private else farewell(desk.session, _columns(), saved=kept)
    if words and not asked.quiet:
        from chinwag.frontends.tui.terminal import last_words

        last_words(words)
    for sentence in lost:  # last, or a long answer would carry it off the screen
        say(sentence)
    return FAILED if lost else ANSWERED


def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80


async def _shown(
    house: House, wanted: Opening, early: EarlyScreen | None
) -> tuple[Desk, list[str]]:
    """The talk on the screen, until it is left. What to say of words that could not be saved."""
    from chinwag.frontends.tui.shell import Shell

    trace = _trace(house)
    desk = desk_for(house, wanted, trace, asked_in_person=True)
    desk.conversation.may_follow = True
    desk.notices = (*desk.notices, *_key_faults(house))
    shell = Shell(
        desk,
        theme=house.settings.theme,
        vi=house.settings.vi,
        mouse=house.settings.mouse,
        first_keys=early.hand_over() if early else None,
        painted=trace.painted if trace else None,
        keys=house.settings.keys,
        notify=house.settings.notify,
    )
    try:
        await shell.run()
    except BaseException:
        await closed(desk)
        raise
    return desk, await _lost(desk)


def _key_faults(house: House) -> list[str]:
    """What of `[keys]` cannot be had, or costs another, and where it stands."""
    if not house.settings.keys:
        return []
    from chinwag.frontends.tui.keys import faults

    found = faults(house.settings.keys)
    return [f"{house.loaded.origin(f'keys.{f.action}')}: {f.told}" for f in found]
