"""Small files of a person's own, in place whole or not at all.

Invariants: a file is 0600 from its first instant, in a folder that is 0700; it is replaced in one
step, so a crash or a second program leaves the old or the new one.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Final

from chinwag.config.paths import private_folder
from chinwag.errors import ConfigError

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def read_or_nothing(path: Path) -> bytes:
    """What is there; b"" where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""


def keep_if_possible(path: Path, data: bytes) -> None:
    """For what is only a convenience: where it cannot be written, the next run learns it again."""
    with contextlib.suppress(OSError, ConfigError):
        write_private(path, data)


def write_private(path: Path, data: bytes) -> None:
    """Put ``data`` in the place of ``path``. Raises OSError, or ConfigError for its folder."""
    private_folder(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, _FLAGS, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
