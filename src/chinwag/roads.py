"""From settings to an ear and out again: which road a run takes, and what it ends with.

Invariants: the full screen only where both ends are a terminal that can; a prompt or piped input is
answered once; nothing is printed to `stdout` but answers. Every road closes the desk, so that what
is acknowledged is saved and what is not is said. Imports are made where a road needs them: each
road pays for itself only.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from chinwag.errors import ChinwagError, ConfigError, StoreError, UsageError
from chinwag.frontends.codes import ANSWERED, FAILED, INTERRUPTED, WRONG_USE, exit_code
from chinwag.text.safe import safe

if TYPE_CHECKING:
    from chinwag.boot import EarlyScreen
    from chinwag.desk import Desk, Opening
    from chinwag.frontends.trace import Trace
    from chinwag.talk.message import AnyPart
    from chinwag.wiring import House

Flags: TypeAlias = Mapping[str, Any]

PIPE_LIMIT = 16 * 1024 * 1024  # bytes of piped input that are read


class Asked(msgspec.Struct, frozen=True):
    """What the command line asks for beyond settings."""

    prompt: str = ""
    files: tuple[str, ...] = ()
    session: str = ""
    resume: str = ""
    pick: bool = False
    latest: bool = False
    fork: bool = False
    options: tuple[tuple[str, str], ...] = ()
    stop: tuple[str, ...] = ()
    schema: str = ""
    json: bool = False
    json_stream: bool = False
    extract: bool = False
    live: bool = True
    dry_run: bool = False
    quiet: bool = False
    verbose: bool = False


def run_bare(argv: list[str], early: EarlyScreen | None) -> int:
    """`chat`, with nothing or a prompt after it: no parser is needed to understand that."""
    try:
        return take(Asked(prompt=" ".join(argv)), {}, "", early)
    except ChinwagError as error:
        if early is not None:
            early.give_back()
        _say(f"{error.message} - {error.hint}" if error.hint else error.message)
        # Nothing has been asked of a model yet: only a store can have failed by itself.
        return FAILED if isinstance(error, StoreError) else WRONG_USE


def take(asked: Asked, flags: Flags, config: str, early: EarlyScreen | None) -> int:
    """Go the road that fits. Raises ConfigError and UsageError before anything has begun."""
    from chinwag import wiring
    from chinwag.config.paths import keep_to_oneself

    keep_to_oneself()
    house = wiring.settle_in(flags, config, dict(os.environ))
    house.check_tools()
    one_line_at_a_time = bool(house.settings.plain)
    piped = "" if one_line_at_a_time and not asked.prompt else _piped(asked)
    if asked.prompt or piped or asked.files or asked.dry_run or asked.json or asked.json_stream:
        _leave_early(early)
        return _once(house, asked, piped)
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


def _somebody_is_there() -> bool:
    """Whether a question can be put in words, and answered by a line."""
    return _is_terminal(sys.stdin) and _is_terminal(sys.stderr)


def _say(text: str) -> None:
    """One sentence to the person, beside every answer."""
    if sys.stderr is not None:
        sys.stderr.write(f"chat: {safe(text)}\n")
        sys.stderr.flush()


# -- what was asked, made ready -------------------------------------------------------------------


def _piped(asked: Asked) -> str:
    """Text from a pipe or a file at `stdin`; a terminal gives none."""
    if "-" in asked.files or sys.stdin is None or _is_terminal(sys.stdin):
        return ""
    try:
        data = sys.stdin.buffer.read(PIPE_LIMIT + 1)
    except (OSError, ValueError):
        return ""
    if len(data) > PIPE_LIMIT:
        raise UsageError(f"the piped text is over {PIPE_LIMIT >> 20} MB", hint="send a part of it")
    return data.decode("utf-8", "replace")


def _words(asked: Asked, piped: str) -> str:
    return "\n\n".join(text for text in (asked.prompt, piped.rstrip("\n")) if text)


def _opening(house: House, asked: Asked) -> Opening:
    from chinwag.desk import Opening
    from chinwag.engine.options import read_option

    pairs = [*asked.options, *(("stop", word) for word in asked.stop)]
    chosen: dict[str, Any] = {}
    for name, word in pairs:
        key, value = _read_any(read_option, name, word)
        chosen[key] = [*chosen.get("stop", []), *value] if key == "stop" else value
    if asked.schema:
        chosen["schema"] = _schema(asked.schema)
    return Opening(
        name=asked.session,
        resume=asked.resume,
        latest=asked.latest,
        fork=asked.fork,
        pick=asked.pick,
        choice=house.asked_choice,
        system=house.asked_system,
        options=chosen,
    )


def _read_any(read: Callable[[str, str], tuple[str, Any]], name: str, word: str) -> tuple[str, Any]:
    """A known option, or any other name with its value as JSON where it is JSON."""
    from chinwag.engine.options import NAMES
    from chinwag.talk.codec import loads

    if name.replace("-", "_").lower() in NAMES:
        return read(name, word)
    try:
        return name, loads(word)
    except ValueError:
        return name, word


def _schema(told: str) -> dict[str, Any]:
    """A JSON schema, written there or in a file. Raises UsageError where it is none."""
    from chinwag.talk.codec import loads

    try:
        text = told if told.lstrip()[:1] == "{" else Path(told).expanduser().read_text("utf-8")
        found = loads(text)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise UsageError(
            f"the schema {told} cannot be read: {why}", hint="--schema FILE|JSON"
        ) from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError("the schema is no JSON object", hint='for instance {"type": "object"}')
    return found


def _misfit(schema: str, answer: str) -> str:
    """Why ``answer`` is not what the schema asks for; "" where it is."""
    from chinwag.talk.codec import loads
    from chinwag.talk.fits import misfit

    try:
        return misfit(loads(answer), _schema(schema))
    except ValueError:
        return "it is no JSON"


def _attached(asked: Asked) -> tuple[AnyPart, ...]:
    from chinwag.attach import attached

    return tuple(attached(path) for path in asked.files)


# -- one answer -----------------------------------------------------------------------------------


def _once(house: House, asked: Asked, piped: str) -> int:
    words, parts = _words(asked, piped), _attached(asked)
    if asked.pick:
        raise UsageError("a picker needs a terminal", hint="name the session: --resume NAME")
    if not words.strip() and not parts:
        raise UsageError("there is nothing to answer", hint='say it: chat "your question"')
    if sys.stdout is None:
        _say("there is nowhere to write the answer: stdout is closed")
        return FAILED
    opening = _opening(house, asked)
    try:
        return asyncio.run(_answered(house, asked, words, parts, opening))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:
        _nobody_reads()
        return FAILED


def _nobody_reads() -> None:
    """Whoever read our output has gone: nothing more is written, not even at the end."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a descriptor is wanted
        os.dup2(nowhere.fileno(), 1)


async def _answered(
    house: House, asked: Asked, words: str, parts: tuple[AnyPart, ...], opening: Opening
) -> int:
    from chinwag.frontends import jsonl, plain
    from chinwag.frontends.asking import at_terminal

    words_only = not (asked.json or asked.json_stream)
    in_person = words_only and _somebody_is_there()
    desk = _desk(house, opening, asked_in_person=in_person, commands=False)
    ear: Any
    if asked.json:
        ear = jsonl.WholeEar(sys.stdout.buffer)
    elif asked.json_stream:
        ear = jsonl.StreamEar(sys.stdout.buffer)
    else:
        live = asked.live and not asked.extract
        ear = plain.PlainEar(sys.stdout, sys.stderr, live=live, mute=asked.extract, quiet=True)
        if house.attended:
            ear.asker = at_terminal(desk.answer_approval)
    try:
        with plain.interruptible(desk):
            await desk.start(ear, stay=False)
            if desk.opened and asked.dry_run:
                return _dry_run(desk, words, parts)
            if desk.opened:
                await desk.talk(words, ear, parts)
    finally:
        saved = await _closed(desk)
    if asked.json:
        ear.close()
    code = exit_code(ear.failure, ear.answer) or (ANSWERED if saved else FAILED)
    if asked.extract and not (asked.json or asked.json_stream):
        return plain.extracted(ear, code)
    if asked.schema and not code and (why := _misfit(asked.schema, ear.answer.text)):
        _say(f"the answer does not fit the schema: {why}")
        return FAILED
    return code


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
    sys.stdout.write(msgspec.json.format(dumps(plain), indent=2).decode() + "\n")
    return ANSWERED


def _desk(
    house: House,
    opening: Opening,
    trace: Trace | None = None,
    *,
    asked_in_person: bool = False,
    commands: bool = True,
) -> Desk:
    house.attended = asked_in_person
    desk = house.desk(commands=commands)
    desk.opening = opening
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
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"the trace cannot be written: {reason}",
            hint="name a file that can be",
            where="CHINWAG_TRACE",
        ) from None


async def _closed(desk: Desk) -> bool:
    """Close the desk; say it where something could not be saved. True if all was."""
    unsaved = await desk.close()
    status = desk.status()
    for session_id in unsaved:
        why = f": {status.save_problem}" if status.save_problem else ""
        what_to_do = f" - {status.save_remedy}" if status.save_remedy else ""
        _say(f"the end of session {session_id} could not be saved{why}{what_to_do}")
    return not unsaved


# -- the line REPL --------------------------------------------------------------------------------


def _repl(house: House, asked: Asked) -> int:
    from chinwag.frontends.plain import PlainEar, Repl

    if sys.stdin is None or sys.stdout is None:
        raise UsageError(
            "a talk needs both stdin and stdout", hint='one of them is closed; or ask: chat "…"'
        )
    opening = _opening(house, asked)
    with asyncio.Runner() as runner:
        desk = runner.run(_made(house, opening))
        ear = PlainEar(sys.stdout, sys.stderr, live=asked.live, quiet=asked.quiet)
        try:
            return Repl(desk, ear, runner).run()
        finally:
            runner.run(_closed(desk))


async def _made(house: House, opening: Opening) -> Desk:
    return _desk(house, opening, asked_in_person=_somebody_is_there())


# -- the full screen ------------------------------------------------------------------------------


def _screen(house: House, asked: Asked, early: EarlyScreen | None) -> int:
    from chinwag.frontends.tui.farewell import farewell

    opening = _opening(house, asked)
    try:
        desk = asyncio.run(_shown(house, opening, early))
    finally:
        if early is not None:
            early.give_back()
    private = desk.conversation.private
    words = "" if private else farewell(desk.session, _columns(), saved=desk.lasting)
    if words and not asked.quiet:
        from chinwag.frontends.tui.terminal import last_words

        last_words(words)
    return ANSWERED


def _columns() -> int:
    try:
        return os.get_terminal_size().columns
    except OSError:
        return 80


async def _shown(house: House, opening: Opening, early: EarlyScreen | None) -> Desk:
    from chinwag.frontends.tui.shell import Shell

    trace = _trace(house)
    desk = _desk(house, opening, trace, asked_in_person=True)
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
    finally:
        await _closed(desk)
    return desk


def _key_faults(house: House) -> list[str]:
    """What of `[keys]` cannot be had, or costs another, and where it stands."""
    if not house.settings.keys:
        return []
    from chinwag.frontends.tui.keys import faults

    found = faults(house.settings.keys)
    return [f"{house.loaded.origin(f'keys.{f.action}')}: {f.told}" for f in found]


def read_prompt(text: str) -> str:
    """A system prompt as given: `@FILE` reads the file. Raises ConfigError."""
    if not text.startswith("@"):
        return text
    path = Path(text[1:]).expanduser()
    try:
        return path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f"{path} cannot be read: {reason.lower()}",
            hint="check the path after @",
            where="--system",
        ) from None
