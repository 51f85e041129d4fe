"""A copy of a talk whose end could not be saved, in a place that takes it. Part of the roof.

Invariants: whole or not at all, readable by its owner alone; nothing that lasts is made of a
private talk; where no place takes it, the person is told what they would have been told anyway.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from chinwag.config.private import write_private
from chinwag.errors import ConfigError
from chinwag.talk.session import Session


def rescued(session: Session, state_dir: str) -> str:
    """Write ``session`` beside the state, else where temporary files lie; its path, or ""."""
    from chinwag.stores import document

    if session.base:
        return ""  # its beginning was not read yet, and stands in the store
    data = document.whole(session.birth, tuple(session.entries), session.headline())
    for folder in _folders(state_dir):
        with contextlib.suppress(OSError, ConfigError):
            path = folder() / f"{session.id}.json"
            write_private(path, data)
            return str(path)
    return ""


def _folders(state_dir: str) -> Iterator[Callable[[], Path]]:
    if state_dir:
        yield lambda: Path(state_dir) / "unsaved"
    yield lambda: Path(tempfile.mkdtemp(prefix="chinwag-"))
