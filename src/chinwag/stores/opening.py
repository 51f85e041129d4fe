"""A URL to a store: `file:` (the data folder), `file:FOLDER`, `memory:`.

Invariant: naming a store touches nothing; folders are made when something is written.
"""

from __future__ import annotations

import os
from pathlib import Path

from chinwag.errors import ConfigError
from chinwag.stores.base import SessionStore

KNOWN = ("file:", "memory:")


def open_store(url: str, data_dir: Path) -> SessionStore:
    """The store `url` names; a relative folder is meant from the working folder.

    Raises ConfigError for a kind of store there is not.
    """
    kind, colon, rest = url.strip().partition(":")
    match kind.lower() if colon else "":
        case "file":
            from chinwag.stores.files import FileStore

            return FileStore(_folder(rest) if rest else data_dir)
        case "memory" if not rest.strip("/"):
            from chinwag.stores.memory import MemoryStore

            return MemoryStore()
    raise ConfigError(
        f"no kind of store is called {_shown(url)!r}",
        hint=f"known are {KNOWN[0]} or {KNOWN[0]}FOLDER, and {KNOWN[1]}",
    )


def _folder(rest: str) -> Path:
    plain = rest.removeprefix("//")
    path = Path(plain or ".").expanduser()
    return Path(os.path.abspath(path))  # noqa: PTH100 - a linked folder keeps the name it was given


def _shown(url: str) -> str:
    """Only the kind: what follows it may hold a password."""
    kind, colon, _ = url.partition(":")
    return kind + colon
