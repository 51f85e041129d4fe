"""Small files of a person's own, in place whole or not at all.

Invariants: a file is 0600 from its first instant, in a folder that is 0700; it is replaced in one
step, so a crash or a second program leaves the old or the new one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from chinwag.config.paths import private_folder

_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


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
