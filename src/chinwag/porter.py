"""`chat sessions export|import|move|sync|verify`: what comes in, goes out, and goes elsewhere.

Invariants: a file that is there is not written over unasked, a symbolic link at the end of a path
never; one file or session in trouble does not keep the others. Part of the roof.
"""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from chinwag.commands import export as forms
from chinwag.errors import ChinwagError, SessionNotFound, StoreError, UsageError, nearest, reason_of
from chinwag.files import OwnFiles
from chinwag.frontends.codes import ANSWERED, FAILED, WRONG_USE
from chinwag.printed import Flags, agreed, columns, house, json, plural, tell, tell_error
from chinwag.shelf import each, header_json, read
from chinwag.stores import moving
from chinwag.stores.base import SessionStore, resolve
from chinwag.stores.importing.base import LIMIT, Skipped
from chinwag.stores.importing.keeping import Came, Importer, Kept
from chinwag.stores.importing.reading import read as read_file
from chinwag.talk.entry import AnyEntry, AssistantSaid, UserSaid
from chinwag.talk.message import AnyPart, File, Image
from chinwag.talk.session import Header, Session, fold_all
from chinwag.text.safe import safe

MOST_FILES = 10_000  # of a folder that is imported


# -- exporting ------------------------------------------------------------------------------------


def export(
    name: str, path: str, form: str, flags: Flags, config: str, *, force: bool, as_json: bool
) -> int:
    """One session into a file, or to `stdout` for ``-``."""
    chosen = form_of(form or ("json" if as_json and path == "-" else ""), path)
    with house(flags, config).store() as store:
        session = read(store, resolve(name, store.headers()).id)
        text = forms.WRITERS[chosen](inlined(session, store))
    if path == "-":
        sys.stdout.write(safe(text) if sys.stdout.isatty() else text)
        return ANSWERED
    full = _written(path, text, force=force)
    if as_json:
        return json({"id": session.id, "format": chosen, "path": full, "bytes": len(text.encode())})
    tell(f"exported {session.title or session.id} as {chosen} to {full}")
    return ANSWERED


def form_of(form: str, path: str) -> str:
    """The format that was named, else the path's ending, else Markdown. Raises UsageError."""
    if not form:
        return forms.ENDINGS.get(Path(path).suffix.lower(), "markdown")
    chosen = forms.OTHER_NAMES.get(form.lower(), form.lower())
    if chosen not in forms.WRITERS:
        names = nearest(chosen, forms.WRITERS) or tuple(forms.WRITERS)
        raise UsageError(f"there is no format {form!r}", hint=f"there is {', '.join(names)}")
    return chosen


def inlined(session: Session, store: SessionStore) -> Session:
    """The session with its attachments inside: a file that leaves the store leaves it whole."""
    entries = tuple(_with_data(entry, store) for entry in session.entries)
    return fold_all(Session(session.birth), entries)


def _with_data(entry: AnyEntry, store: SessionStore) -> AnyEntry:
    if not moving.digests((entry,)) or not isinstance(entry, UserSaid | AssistantSaid):
        return entry
    return msgspec.structs.replace(entry, parts=tuple(_part(p, store) for p in entry.parts))


def _part(part: AnyPart, store: SessionStore) -> AnyPart:
    if not isinstance(part, Image | File) or not part.blob or part.data:
        return part
    try:
        data = base64.b64encode(store.blob(part.blob)).decode()
    except StoreError as error:
        tell(f"{part.name or 'an attachment'} is left out: {error.message}")
        return part
    return msgspec.structs.replace(part, data=data, blob="")


def _written(path: str, text: str, *, force: bool) -> str:
    files = OwnFiles()
    try:
        try:
            return asyncio.run(files.write_text(path, text, overwrite=force))
        except FileExistsError:
            if not agreed(f"{path} is there already. Replace it?", flag="--force"):
                raise UsageError(f"{path} was left as it is", hint="name another path") from None
            return asyncio.run(files.write_text(path, text, overwrite=True))
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"cannot write {path}: {reason}", hint="try another place") from None


# -- importing ------------------------------------------------------------------------------------


def import_(paths: Sequence[str], flags: Flags, config: str, *, again: bool, as_json: bool) -> int:
    """Every conversation of every file, in any form that is known."""
    if not paths:
        raise UsageError("which file?", hint="chat sessions import PATH…")
    with house(flags, config).store() as store:
        rows = list(_imported(paths, store, again=again, quiet=as_json))
        url = store.url
    kept = [row for row in rows if isinstance(row, tuple)]
    if as_json:
        json([_kept_json(path, one, url) for path, one in kept])
    else:
        tell(_summed([one for _, one in kept]))
    return max((row for row in rows if isinstance(row, int)), default=ANSWERED)


def _imported(
    paths: Sequence[str], store: SessionStore, *, again: bool, quiet: bool
) -> Iterator[tuple[str, Kept] | int]:
    """What became of each conversation; a number is what went wrong, as an exit code."""
    importer = Importer(store, again=again)
    for path in _files(paths):
        try:
            for found in read_file(_bytes(path)):
                if isinstance(found, Skipped):
                    tell(f"{path}: {found.what} was skipped: {found.why}")
                    continue
                kept = importer.keep(found)
                for loss in found.losses:
                    tell(f"{path}: {kept.header.name}: {loss}")
                if not quiet:
                    _tell_kept(kept)
                yield path, kept
        except ChinwagError as error:
            tell_error(type(error)(f"{path}: {error.message}", hint=error.hint))
            yield FAILED if isinstance(error, StoreError) else WRONG_USE


def _files(paths: Sequence[str]) -> Iterator[str]:
    """The files named, and those in the folders named: what is in one is told by its content."""
    for path in paths:
        folder = Path(path).expanduser() if path != "-" else Path()
        if path == "-" or not folder.is_dir():
            yield path
            continue
        inside = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
        if not inside or len(inside) > MOST_FILES:
            raise UsageError(f"{path} holds {len(inside)} files", hint="name the files")
        yield from map(str, inside)


def _bytes(path: str) -> bytes:
    if path == "-":
        return sys.stdin.buffer.read(LIMIT + 1) if sys.stdin else b""
    try:
        return asyncio.run(OwnFiles().read_bytes(path, LIMIT))
    except OSError as error:
        reason = reason_of(error)
        raise UsageError(f"it cannot be read: {reason}", hint="check the path") from None
    except ValueError as error:
        raise UsageError(f"it cannot be read: {error}") from None


def _tell_kept(kept: Kept) -> None:
    name, count = kept.header.name, plural(kept.header.headline.messages, "message")
    match kept.came:
        case Came.NEW:
            tell(f"imported {name} ({count})")
        case Came.GROWN:
            tell(f"{name} has {plural(kept.added, 'new entry').replace('entrys', 'entries')}")
        case Came.THERE:
            tell(f"already imported as {name} ({count}); --again imports it once more")
        case Came.BOTH_CHANGED:
            tell(f"imported before as {name}, and changed since; --again imports it beside that")


def _kept_json(path: str, kept: Kept, url: str) -> dict[str, Any]:
    return header_json(kept.header, url) | {"from": path, "came": kept.came, "added": kept.added}


def _summed(kept: Sequence[Kept]) -> str:
    fresh = sum(k.came is Came.NEW for k in kept)
    rest = len(kept) - fresh
    return f"{plural(fresh, 'session')} imported" + (f", {rest} there before" if rest else "")


# -- to another store -----------------------------------------------------------------------------


def move(
    names: Sequence[str],
    to: str,
    flags: Flags,
    config: str,
    *,
    copy: bool,
    all_: bool,
    as_json: bool,
) -> int:
    """Sessions into another store; with ``copy`` they stay here as well."""
    if bool(names) == all_:
        raise UsageError("which sessions?", hint="name some, or say --all")
    home = house(flags, config)
    with home.store() as store, home.store(_url(to)) as target:
        here = {h.id: h for h in store.headers()}
        wanted = list(here) if all_ else list(names)
        carry = moving.copy if copy else moving.move

        def found(name: str) -> Header:
            try:
                return here[name] if all_ else resolve(name, store.headers())
            except SessionNotFound:
                if not any(h.id == name for h in target.headers()):
                    raise
                return target.header(name)  # an attempt that was cut off had brought it over

        def carried(header: Header) -> dict[str, Any]:
            moved = carry(store, target, header.id)
            if not as_json:
                tell(_told(moved, header.name, target.url))
            return _moved_json(moved, store.url, target.url)

        done, code = each(wanted, found, carried)
    if as_json:
        json(done)
    elif all_:
        tell(f"{plural(len(done), 'session')} of {len(wanted)}")
    return FAILED if any(d["warning"] for d in done) else code


def _url(to: str) -> str:
    if not to:
        raise UsageError("where to?", hint="--to URL: file:DIR, sqlite:PATH, redis://HOST:PORT/DB")
    return to


def _told(moved: moving.Moved, name: str, url: str) -> str:
    how = "moved" if moved.gone else "copied"
    text = f"{name}: {how} to {url}"
    if moved.came is moving.Came.SAME:
        text = f"{name}: {moved.came} ({url})" + (", now only there" if moved.gone else "")
    if moved.came is moving.Came.CONFLICT:
        text = f"{name}: another version is there; {how} beside it as {moved.there}"
    return f"{text} - {moved.warning}" if moved.warning else text


def _moved_json(moved: moving.Moved, here: str, there: str) -> dict[str, Any]:
    return {
        "id": moved.id,
        "there": moved.there,
        "came": moved.came,
        "entries": moved.entries,
        "attachments": moved.blobs,
        "gone": moved.gone,
        "warning": moved.warning or None,
        "from": here,
        "to": there,
    }


def sync(to: str, flags: Flags, config: str, *, as_json: bool) -> int:
    """Every session of this store and another in both; nothing is written over."""
    home = house(flags, config)
    done: list[dict[str, Any]] = []
    code = ANSWERED
    with home.store() as store, home.store(_url(to)) as target:
        for moved in moving.sync(store, target):
            if isinstance(moved, StoreError):
                tell_error(moved)
                code = FAILED
                continue
            done.append({"id": moved.id, "there": moved.there, "came": moved.came})
            if not as_json:
                tell(f"{moved.id}: {moved.came}" + _beside(moved))
    if as_json:
        json(done)
    elif not done and code == ANSWERED:
        tell("both stores hold the same already")
    return code


def _beside(moved: moving.Moved) -> str:
    return f" as {moved.there}" if moved.there != moved.id else ""


def verify(names: Sequence[str], flags: Flags, config: str, *, as_json: bool) -> int:
    """Load and check everything; 1 where something is wrong."""
    with house(flags, config).store() as store:
        ids = [resolve(name, store.headers()).id for name in names] or None
        checks = list(moving.verify(store, ids))
    if as_json:
        json([msgspec.to_builtins(c) | {"ok": not c.problems} for c in checks])
    else:
        columns([_check_row(c) for c in checks])
        wrong = sum(bool(c.problems) for c in checks)
        tell(f"{plural(len(checks), 'session')} looked over, {wrong or 'none'} with problems")
    return FAILED if any(c.problems for c in checks) else ANSWERED


def _check_row(check: moving.Check) -> tuple[str, ...]:
    mark = "!!" if check.problems else "ok"
    said = "; ".join((*check.problems, *check.notices))
    return (mark, check.id, plural(check.entries, "entry").replace("entrys", "entries"), said)
