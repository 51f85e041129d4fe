"""A session in a file: our document, as `/save` and the file store write it; and other programs'.

Invariants: a file is written whole or not at all, in the place of what was there only once it is
safe (W56); what cannot be read is refused in words and left alone (W39, W81); nothing in a file is
ever run, so a pickle is only recognised, never loaded (W63).
"""

from __future__ import annotations

import os
from pathlib import Path

from chinwag.commands.export import to_json
from chinwag.errors import (
    SessionNotFound,
    SessionUnreadable,
    StoreUnavailable,
    UsageError,
    reason_of,
)
from chinwag.stores import document, whole
from chinwag.stores.disk import Disk
from chinwag.stores.importing.base import LIMIT, Talk
from chinwag.talk import codec
from chinwag.talk.entry import now
from chinwag.talk.session import Birth, Session, fold_all, new_session_id

PathLike = str | os.PathLike[str]


def save(session: Session, path: PathLike) -> Path:
    """Write ``session`` to ``path``. Raises StoreUnavailable; what was there is there still."""
    full = Path(path).expanduser()
    data = to_json(session).encode()
    try:
        whole.put(Disk(), full, data)
    except OSError as error:
        raise _unwritten(full, error) from None
    return full


def _unwritten(path: Path, error: OSError) -> StoreUnavailable:
    reason = reason_of(error)
    return StoreUnavailable(
        f"{path} cannot be written: {reason}", hint="name another path, or mend its permissions"
    )


def load(path: PathLike) -> Session:
    """The session in a file: ours as it was, id and all; another program's as a new one (F058).

    Raises SessionNotFound, SessionUnreadable, StoreUnavailable.
    """
    full = Path(path).expanduser()
    raw = _bytes(full)
    if raw.lstrip()[:1] == b"{" and b'"format"' in raw[:4096]:
        return _ours(raw, full)
    from chinwag.stores.importing.reading import read  # forms that few programs ever meet

    try:
        talk = next(found for found in read(raw) if isinstance(found, Talk))
    except UsageError as error:
        raise SessionUnreadable(
            f"{full} holds no session: {error.message}", hint=error.hint
        ) from None
    birth = Birth(id=new_session_id(), created=talk.created or now(), imported=talk.form)
    return fold_all(Session(birth), talk.entries)


def _bytes(path: Path) -> bytes:
    try:
        if not path.exists():
            raise SessionNotFound(f"there is no file {path}", hint="check the path")
        if not path.is_file():
            raise SessionUnreadable(f"{path} is no file", hint="name the file save() wrote")
        with path.open("rb") as file:
            raw = file.read(LIMIT + 1)
    except OSError as error:
        reason = reason_of(error)
        raise StoreUnavailable(f"{path} cannot be read: {reason}", hint="check it") from None
    if len(raw) > LIMIT:
        raise SessionUnreadable(f"{path} is over {LIMIT // 1_000_000} MB", hint="is it a session?")
    return raw


def _ours(raw: bytes, path: Path) -> Session:
    name = _id_in(raw)
    try:
        found = document.parse(raw, name or "in it")
    except SessionUnreadable as error:
        raise SessionUnreadable(
            f"{path} cannot be read: {error.message}", hint=error.hint, line=error.line
        ) from None
    if found.shape is document.Shape.DAMAGED:
        raise SessionUnreadable(
            f"{path} is damaged: {' '.join(found.notices) or 'not all of it can be read'}",
            hint="`chat sessions import` takes what can be read of it",
        )
    birth = found.birth if name else Birth(id=new_session_id(), created=now())
    return fold_all(Session(birth), found.entries)


def _id_in(raw: bytes) -> str:
    """The id a document says it has, where that is one that we make (W58); else ""."""
    first = raw.partition(b"\n")[0].rstrip(b"\r")
    for form in (first + b"]}", raw):
        try:
            plain = codec.loads(form)
        except ValueError:
            continue
        name = plain.get("id") if isinstance(plain, dict) else None
        return name if isinstance(name, str) and _is_ours(name) else ""
    return ""


def _is_ours(name: str) -> bool:
    parts = name.split("-")
    plain = len(name) <= 64 and name.replace("-", "").isalnum() and name.isascii()
    return plain and len(parts) == 3 and parts[0].isdigit() and parts[1].isdigit()
