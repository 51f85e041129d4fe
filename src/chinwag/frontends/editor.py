"""The outside editor, on a text of ours.

Invariants: the text lies in a file that only its owner can read, and the file is gone afterwards
whatever happened; no key of a provider reaches the editor; an editor that fails changes nothing.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from chinwag.errors import CommandError

USUAL: Final = ("editor", "nano", "vim", "vi", "emacs")
_SECRET: Final = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD")


def command(environ: Mapping[str, str]) -> list[str]:
    """What to run. Raises CommandError where there is none."""
    for name in ("VISUAL", "EDITOR"):
        words = shlex.split(environ.get(name, ""))
        if words and shutil.which(words[0], path=environ.get("PATH")):
            return words
    found = (shutil.which(name, path=environ.get("PATH")) for name in USUAL)
    usual = next((path for path in found if path), None)
    if usual is None:
        told = environ.get("VISUAL") or environ.get("EDITOR")
        what = f"the editor {told} is not there" if told else "there is no editor here"
        raise CommandError(what, hint="EDITOR=/path/to/one says which to use")
    return [usual]


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What an editor gets: no keys of providers."""
    return {k: v for k, v in environ.items() if not k.endswith(_SECRET)}


def edited(text: str, environ: Mapping[str, str] | None = None) -> str | None:
    """``text`` as it is left in the editor; None where the editor failed. Waits for it.

    Raises CommandError where no editor can be run.
    """
    environ = os.environ if environ is None else environ
    words = command(environ)
    fd, name = tempfile.mkstemp(prefix="chinwag-", suffix=".md")
    try:
        with os.fdopen(fd, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        if subprocess.call([*words, name], env=environment(environ)):  # noqa: S603 (the person named it)
            return None
        return Path(name).read_text("utf-8", "replace").rstrip("\n")
    except OSError as error:
        raise CommandError(f"the editor does not run: {error.strerror or error}") from None
    finally:
        Path(name).unlink(missing_ok=True)
