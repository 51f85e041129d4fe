"""A URL to a store: `file:` (the data folder), `file:FOLDER`, `sqlite:PATH`, `memory:`,
`redis://HOST:PORT/DB`, `rediss://…`.

Invariant: naming a store touches nothing; folders are made when something is written.
"""

from __future__ import annotations

import os
from pathlib import Path

from chinwag.errors import ConfigError
from chinwag.stores.base import SessionStore

#: What `sqlite:` alone names, in the data folder.
DATABASE = "sessions.sqlite"


def open_store(url: str, data_dir: Path) -> SessionStore:
    """The store `url` names; a relative folder is meant from the working folder.

    Raises ConfigError for a kind of store there is not.
    """
    kind, colon, rest = url.strip().partition(":")
    match kind.lower() if colon else "":
        case "file":
            from chinwag.stores.files import FileStore

            return FileStore(_folder(rest) if rest else data_dir)
        case "sqlite":
            from chinwag.stores.sqlite import SqliteStore

            return SqliteStore(_folder(rest) if rest.strip("/") else data_dir / DATABASE)
        case "redis" | "rediss":
            from chinwag.stores.redis import RedisStore

            return RedisStore(url.strip())
        case "memory" if not rest.strip("/"):
            from chinwag.stores.memory import MemoryStore

            return MemoryStore()
    raise ConfigError(
        f"no kind of store is called {_shown(url)!r}",
        hint="known are file: or file:FOLDER, sqlite: or sqlite:PATH, redis://HOST:PORT/DB "
        "or rediss:// with TLS, and memory:",
    )


def memory() -> SessionStore:
    """A store of its own that lasts as long as the program."""
    return open_store("memory:", Path())


def _folder(rest: str) -> Path:
    plain = rest.removeprefix("//")
    path = Path(plain or ".").expanduser()
    return Path(os.path.abspath(path))  # noqa: PTH100 - a linked folder keeps the name it was given


def _shown(url: str) -> str:
    """Only the kind: what follows it may hold a password."""
    kind, colon, _ = url.partition(":")
    return kind + colon
