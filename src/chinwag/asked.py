"""What a command line asks for, made ready: words, attachments, options. Part of the roof.

Invariants: what cannot be understood, or contradicts itself, is refused with UsageError or
ConfigError before anything has begun; what is read is bounded. Nothing is written here.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from chinwag.errors import ConfigError, UsageError, UsageWrong

if TYPE_CHECKING:
    from chinwag.opening import Opening
    from chinwag.talk.message import AnyPart
    from chinwag.wiring import House

Flags: TypeAlias = Mapping[str, Any]

PIPE_LIMIT: Final = 16 * 1024 * 1024  # bytes of piped input that are read
PROMPT_LIMIT: Final = 1024 * 1024  # characters of a system prompt that is read from a file


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

    @property
    def words_only(self) -> bool:
        """Whether the answer is for people, or a pipe of text."""
        return not (self.json or self.json_stream)


def check(asked: Asked) -> None:
    """Raises UsageError where two flags cannot both be meant: none is passed over in silence."""
    picked = bool(asked.resume or asked.pick)
    ways = (("-n", bool(asked.session)), ("-r", picked), ("-c", asked.latest))
    named = [flag for flag, said in ways if said]
    if len(named) > 1:
        said = f"{' and '.join(named)} each say which session"
        raise UsageError(said, hint="keep one of them")
    if asked.fork and not named:
        raise UsageError("--fork copies a session, and none is named", hint="add -r NAME, or -c")
    if asked.json_stream and (asked.json or asked.extract):
        other = "--json" if asked.json else "-x"
        said = f"--json-stream and {other} are two forms of one answer"
        raise UsageError(said, hint="keep one of them")


def flags_read(flags: Flags) -> Flags:
    """With a system prompt that stands in a file read from it. Raises ConfigError."""
    system = flags.get("system")
    return flags if system is None else {**flags, "system": _prompt(system)}


def _prompt(text: str) -> str:
    """A system prompt as given: `@FILE` reads the file."""
    if not text.startswith("@"):
        return text
    try:
        with Path(text[1:]).expanduser().open(encoding="utf-8") as file:
            found = file.read(PROMPT_LIMIT + 1)
    except RuntimeError:
        raise _no_prompt(text[1:], "there is no such home folder") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None)
        why = reason.lower() if reason else "it is not UTF-8 text"
        raise _no_prompt(text[1:], why) from None
    if len(found) > PROMPT_LIMIT:
        raise _no_prompt(text[1:], f"it is over {PROMPT_LIMIT:,} characters")
    return found.rstrip("\n")


def _no_prompt(path: str, why: str) -> ConfigError:
    said = f"{path} cannot be read: {why}"
    return ConfigError(said, hint="check the path after @", where="--system")


# -- words and files ------------------------------------------------------------------------------


def piped(asked: Asked) -> bytes:
    """What comes from a pipe or a file at `stdin`. A terminal gives none, unless `-` says so."""
    if "-" in asked.files or sys.stdin is None:
        return b""
    if _is_terminal(sys.stdin) and asked.prompt != "-":
        return b""
    try:
        data = sys.stdin.buffer.read(PIPE_LIMIT + 1)
    except (OSError, ValueError):
        return b""
    if len(data) > PIPE_LIMIT:
        raise UsageError(f"the piped text is over {PIPE_LIMIT >> 20} MB", hint="send a part of it")
    return data


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except ValueError:  # closed
        return False


def said(asked: Asked, data: bytes) -> tuple[str, tuple[AnyPart, ...]]:
    """The words and the parts of the message; ``data`` is what was piped in. Raises UsageError."""
    from chinwag.attach import attached

    picture, text = _told_apart(data)
    prompt = "" if asked.prompt == "-" else asked.prompt
    words = "\n\n".join(each for each in (prompt, text.rstrip("\n")) if each)
    return words, (*(attached(path) for path in asked.files), *picture)


def _told_apart(data: bytes) -> tuple[tuple[AnyPart, ...], str]:
    """A piped picture or PDF is attached; what is no text at all would be noise to a model."""
    if b"\0" not in data and not data.startswith(b"%PDF-"):
        return (), data.decode("utf-8", "replace")
    from chinwag.talk.attachment import part_of

    try:
        return (part_of("stdin", data),), ""
    except UsageError:
        hint = "convert it first; a picture is taken as it is"
        raise UsageError("what is piped in is no text", hint=hint) from None


# -- options --------------------------------------------------------------------------------------


def opening(house: House, asked: Asked) -> Opening:
    """Which session is wanted, and what holds in it. Raises UsageError."""
    from chinwag.opening import Opening

    return Opening(
        name=asked.session,
        resume=asked.resume,
        latest=asked.latest,
        fork=asked.fork,
        pick=asked.pick,
        choice=house.asked_choice,
        system=house.asked_system,
        options=_chosen(asked),
    )


def _chosen(asked: Asked) -> dict[str, Any]:
    from chinwag.engine.options import read_option

    pairs = [*asked.options, *(("stop", word) for word in asked.stop)]
    chosen: dict[str, Any] = {}
    for name, word in pairs:
        key, value = _read_any(read_option, name, word)
        chosen[key] = [*chosen.get("stop", []), *value] if key == "stop" else value
    if asked.schema:
        chosen["schema"] = schema(asked.schema)
    return chosen


def _read_any(read: Callable[[str, str], tuple[str, Any]], name: str, word: str) -> tuple[str, Any]:
    """A known option, or any other name with its value as JSON where it is JSON."""
    from chinwag.engine.options import NAMES
    from chinwag.talk.codec import loads

    if name.replace("-", "_").lower() in NAMES:
        try:
            return read(name, word)
        except UsageWrong as error:  # its usage is that of the chat's own command
            raise UsageError(error.message, hint=_flag(name)) from None
    try:
        return name, loads(word)
    except ValueError:
        return name, word


def _flag(name: str) -> str:
    dashed = name.replace("_", "-").lower()
    own = {"temperature", "max-tokens", "top-p", "stop", "reasoning"}
    return f"usage: --{dashed} VALUE" if dashed in own else f"usage: -o {dashed}=VALUE"


def schema(told: str) -> dict[str, Any]:
    """A JSON schema, written there or in a file. Raises UsageError where it is none."""
    from chinwag.talk.codec import loads

    try:
        text = told if told.lstrip()[:1] == "{" else Path(told).expanduser().read_text("utf-8")
        found = loads(text)
    except (OSError, RuntimeError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(
            f"the schema {told} cannot be read: {why}", hint="--schema FILE|JSON"
        ) from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UsageError("the schema is no JSON object", hint='for instance {"type": "object"}')
    return found


def misfit(told: str, answer: str) -> str:
    """Why ``answer`` is not what the schema asks for; "" where it is."""
    from chinwag.talk.codec import loads
    from chinwag.talk.fits import misfit as why_not

    try:
        return why_not(loads(answer), schema(told))
    except ValueError:
        return "it is no JSON"
