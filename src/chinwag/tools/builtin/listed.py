"""Which tools come with the program: by name, each made when it is wanted.

Invariant: what can run a program or reach the network is in the list only where it was named; "all"
is what is safe to offer to everybody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from chinwag.errors import UsageError, nearest
from chinwag.tools.base import Tool

USUAL: Final = ("clock", "calculator", "list_files", "read_file", "search_files", "write_file")
ASKED_FOR: Final = ("fetch", "shell")
"""Off unless they are named."""
NAMES: Final = (*USUAL, *ASKED_FOR)


def made(names: Iterable[str] = USUAL, *, forbidden: Iterable[Path] = ()) -> list[Tool]:
    """The tools called ``names``. ``forbidden``: folders of keys, settings and sessions.

    Raises UsageError for a name that is not there.
    """
    kept = tuple(forbidden)
    return [_made(name, kept) for name in dict.fromkeys(names)]


def _made(name: str, forbidden: tuple[Path, ...]) -> Tool:
    match name:
        case "clock":
            from chinwag.tools.builtin.clock import Clock

            return Clock()
        case "calculator":
            from chinwag.tools.builtin.calculator import Calculator

            return Calculator()
        case "fetch":
            from chinwag.tools.builtin.fetch import Fetch
            from chinwag.tools.builtin.getting import get

            return Fetch(get)
        case "shell":
            from chinwag.tools.builtin.shell import Shell
            from chinwag.tools.sandbox import Sandbox

            return Shell(Sandbox.found(forbidden=forbidden))
        case _:
            return _of_files(name, forbidden)


def _of_files(name: str, forbidden: tuple[Path, ...]) -> Tool:
    from chinwag.tools.builtin import files

    kinds: dict[str, Callable[[tuple[Path, ...]], Tool]] = {
        "list_files": files.ListFiles,
        "read_file": files.ReadFile,
        "search_files": files.SearchFiles,
        "write_file": files.WriteFile,
    }
    if name not in kinds:
        near = nearest(name, NAMES) or NAMES
        raise UsageError(f"no tool called {name!r} comes with chinwag", hint=", ".join(near))
    return kinds[name](forbidden)
