"""`chat config show|path|get|set|unset|edit`: settings, from the shell. Part of the roof.

Invariants: as in `printed`. What a configuration holds that is secret is not shown. A file that
cannot be read can still be found and edited; what is set here has been read and fits before it is
written, and every other line stays as it was.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from chinwag.config import sources
from chinwag.config.lines import put
from chinwag.config.masking import masked
from chinwag.config.paths import keep_to_oneself, places
from chinwag.config.private import write_private
from chinwag.config.sources import Loaded
from chinwag.errors import ConfigError
from chinwag.frontends.codes import ANSWERED, FAILED
from chinwag.printed import Flags, columns, house, json, out, tell
from chinwag.talk.codec import dumps
from chinwag.text.safe import safe

BEGINNING: Final = """\
# Settings of chinwag: `chat config show` lists them all, with where each value came from.
# model = "ollama/qwen3:8b"
# system = "You are a helpful assistant."
"""


def show(flags: Flags, path: str, *, as_json: bool) -> int:
    """Every setting, its value, and where it came from."""
    rows = [(n, masked(n, value), origin) for n, value, origin in house(flags, path).loaded.rows()]
    if as_json:
        return json({n: {"value": value, "from": origin} for n, value, origin in rows})
    columns([(name, dumps(value).decode(), origin) for name, value, origin in rows])
    return ANSWERED


def file_of(path: str) -> Path:
    """Where the configuration is; it need not be sound, or there."""
    keep_to_oneself()
    return places(os.environ, config_file=path or None).config_file


def where(path: str) -> int:
    out(str(file_of(path)))
    return ANSWERED


def get(name: str, flags: Flags, path: str, *, as_json: bool) -> int:
    """One setting, or a table of them; a text as it is, anything else as JSON."""
    dotted = ".".join(sources.known(name))
    loaded = house(flags, path).loaded
    rows = list(_of(loaded, dotted))
    if as_json:
        return json([{"name": n, "value": v, "from": origin} for n, v, origin in rows])
    if [n for n, _, _ in rows] == [dotted]:
        _one(dotted, rows[0][1])
    else:
        columns([(n, dumps(v).decode()) for n, v, _ in rows])
    if not rows:
        tell(f"nothing is set in {dotted}")
    return ANSWERED


def _of(loaded: Loaded, dotted: str) -> Any:
    for name, value, origin in loaded.rows():
        if name == dotted or name.startswith(f"{dotted}."):
            yield name, masked(name, value), origin


def _one(name: str, value: Any) -> None:
    if value is None:
        tell(f"{name} is not set")
    else:
        told = value if isinstance(value, str) else dumps(value).decode()
        out(safe(told) if sys.stdout.isatty() else told)


def set_(name: str, word: str, path: str) -> int:
    """Write one setting into the file. Raises ConfigError where it does not fit."""
    found = sources.spoken(name, word)

    def change(text: str) -> str:
        for steps, value in found:
            text = put(text, steps, value)
        return text

    file = _changed(path, change)
    dotted = ".".join(sources.known(name))
    tell(f"{dotted} is set in {file}{_overruled(dotted, path)}")
    return ANSWERED


def unset(name: str, path: str) -> int:
    """Take one setting out of the file; the default holds again."""
    steps = sources.known(name)
    before = _text(file_of(path))
    file = _changed(path, lambda text: put(text, steps, None))
    if _text(file) == before:
        tell(f"{name} is not set in {file}")
        return FAILED
    tell(f"{name} is taken out of {file}{_overruled('.'.join(steps), path)}")
    return ANSWERED


def _overruled(dotted: str, path: str) -> str:
    """Where another source has the last word, so that nobody believes the file does."""
    origin = house({}, path).loaded.origin(dotted)
    return f"; {origin} overrules it" if origin.startswith(sources.PREFIX) else ""


def _changed(path: str, change: Callable[[str], str]) -> Path:
    """The file changed; a link to it stays one. What would not load is not written."""
    file = file_of(path)
    before = _text(file)
    after = change(before)
    if after == before:
        return file
    sources.check(after, str(file))
    try:
        write_private(file.resolve(), after.encode())
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        hint = "name another with --config, or mend its permissions"
        raise ConfigError(f"cannot be written: {reason}", hint=hint, where=str(file)) from error
    return file


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode()  # its line ends as they are
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        reason = (getattr(error, "strerror", None) or "it is not UTF-8 text").lower()
        hint = "mend it, or name another with --config"
        raise ConfigError(f"cannot be read: {reason}", hint=hint, where=str(file)) from None


def edit(path: str) -> int:
    """Open the file in the person's editor; afterwards it is read, and what is wrong is said."""
    from chinwag.frontends.editor import command, environment

    file = file_of(path)
    if not file.exists():
        write_private(file, BEGINNING.encode())
    words = command(os.environ)
    code = subprocess.call([*words, str(file)], env=environment(os.environ))  # noqa: S603 (theirs)
    if code:
        tell(f"chat: the editor {words[0]} ended with {code}")
        return FAILED
    sources.check(_text(file), str(file))
    tell(f"{file} is in order")
    return ANSWERED
