"""Session ids as file names.

Invariant: only an id of our own form ever becomes a path. It has no dot, slash or capital, so that
it cannot leave its folder, hide, or be the same file as another one where case does not count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from chinwag.errors import SessionNotFound

_ID = re.compile(r"[0-9a-z][0-9a-z-]{0,63}")


def is_id(name: str) -> bool:
    """Whether ``name`` may be the id of a session."""
    return _ID.fullmatch(name) is not None


def path_of(folder: Path, session_id: str, ending: str = "") -> Path:
    """Where something of that session lies in ``folder``. Raises SessionNotFound for no id."""
    if not is_id(session_id):
        raise SessionNotFound(
            f"{session_id!r} is no session id", hint="chat sessions list shows them all"
        )
    return folder / (session_id + ending)


def stamp() -> str:
    """Now, as a part of a file name that sorts: 20261120T093015Z (UTC)."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"


def near_ids(session_id: str, ids: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Ids that differ from ``session_id`` in at most two places, or go on where it ends.

    Cheap, since "not there" is also what every new session hears: comparing ten thousand ids as
    words are compared takes seconds.
    """
    found: list[str] = []
    for other in ids:
        if other.startswith(session_id) or _differ_little(session_id, other):
            found.append(other)
            if len(found) == most:
                break
    return tuple(found)


def not_there(session_id: str, ids: Iterable[str]) -> SessionNotFound:
    """The error for a session that is not among ``ids``, with near ones."""
    near = near_ids(session_id, ids)
    return SessionNotFound(
        f"the session {session_id} is not there",
        hint=f"did you mean {', '.join(near)}?" if near else "",
        near=near,
    )


def _differ_little(one: str, other: str) -> bool:
    if len(one) != len(other) or (one[:8] != other[:8] and one[-6:] != other[-6:]):
        return False
    return sum(a != b for a, b in zip(one, other, strict=True)) <= 2
