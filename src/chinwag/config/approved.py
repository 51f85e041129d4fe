"""What a person approved, in a file of their own.

Invariants: the file is 0600 and written whole. What stands in a file that others could have
written, in a link or in somebody else's file, counts for nothing: it is as if nothing had been
approved, and the person is asked again.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from chinwag.config.private import write_private
from chinwag.errors import ConfigError, reason_of

MOST = 64 << 20  # bytes that are read


class OwnFile:
    """Bytes at ``path`` that only this person can have written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """Its bytes; none where it is not there, or not only ours."""
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(self._path, flags), "rb") as file:
                return file.read(MOST) if _is_ours(os.fstat(file.fileno())) else b""
        except OSError:
            return b""

    def write(self, data: bytes) -> None:
        """Put ``data`` there. Raises ConfigError."""
        try:
            write_private(self._path, data)
        except OSError as error:
            reason = reason_of(error)
            said = f"the approval could not be kept: {reason}"
            raise ConfigError(said, hint="check the folder", where=str(self._path)) from error


def _is_ours(facts: os.stat_result) -> bool:
    others = stat.S_IMODE(facts.st_mode) & 0o077
    return stat.S_ISREG(facts.st_mode) and facts.st_uid == os.getuid() and not others
