"""Sessions from one store to another: copied, moved, kept the same in both, looked over.

Invariants. Nothing is ever written over: where two versions go different ways, the second becomes
a session of its own beside the first, with a link to its parent and "(conflict)" in its title.
Attachments are there before the entries that name them. What was written is read back and compared
byte for byte before anything is taken away, and taking away means the trash. Every step may be the
last: doing it again finds what was done and goes on, to the same end. Ids of conflict copies are
derived from where the versions part, so doing it again makes no second copy.

Blocking, as stores are. Errors are of `StoreError`'s family and leave the source as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import assert_never

import msgspec

from chinwag.errors import SessionNotFound, SessionUnreadable, StoreError, UsageError
from chinwag.stores.base import SessionStore
from chinwag.talk import codec
from chinwag.talk.entry import (
    ALPHABET,
    AnyEntry,
    AssistantSaid,
    Cleared,
    Compacted,
    Hidden,
    Marked,
    ModelChosen,
    Noted,
    OptionSet,
    Rewound,
    SystemSet,
    Tagged,
    Titled,
    ToolReturned,
    Unknown,
    UserSaid,
)
from chinwag.talk.message import AnyPart, Call, File, Image
from chinwag.talk.session import NOT_A_NODE, Birth, Header, Headline, Session, fold_all

_MOST_FORKS = 50  # conflict copies of one session after which something is wrong


class Came(StrEnum):
    """What became of a session on its way to another store."""

    COPIED = "copied"
    EXTENDED = "extended"
    SAME = "already there"
    CONFLICT = "copied beside another version"


class Moved(msgspec.Struct, frozen=True):
    """``there`` is the session's id in the other store; ``entries`` and ``blobs`` were written.

    ``gone`` says that the source was put in its trash; ``warning`` why it was not, or what was
    lost before.
    """

    id: str
    there: str
    came: Came
    entries: int = 0
    blobs: int = 0
    gone: bool = False
    warning: str = ""


class Check(msgspec.Struct, frozen=True):
    """What looking over one session found. ``notices`` are no faults."""

    id: str
    name: str
    entries: int = 0
    blobs: int = 0
    problems: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


class _Version(msgspec.Struct, frozen=True):
    """A session as it is to be: birth, entries and each one's line, as the codec writes it.

    ``trouble`` says what of it could not be read.
    """

    birth: Birth
    entries: tuple[AnyEntry, ...]
    trouble: str = ""

    @property
    def lines(self) -> list[bytes]:
        return [codec.encode(entry, n) for n, entry in enumerate(self.entries, 1)]

    @property
    def headline(self) -> Headline:
        return fold_all(Session(self.birth), self.entries).headline()


# -- copying and moving ---------------------------------------------------------------------------


def copy(source: SessionStore, target: SessionStore, session_id: str) -> Moved:
    """``session_id`` in ``target`` as well. Raises StoreError's family."""
    _two(source, target)
    return _put(source, target, _read(source, session_id))


def move(source: SessionStore, target: SessionStore, session_id: str) -> Moved:
    """``session_id`` to ``target``, and here into the trash.

    Raises SessionLocked where somebody writes it, and StoreError's family. A session that is
    damaged is copied as far as it can be read, and stays.
    """
    _two(source, target)
    try:
        header = source.header(session_id)
    except SessionNotFound:
        return _moved_before(target, session_id)
    with _writing(source, session_id):
        version = _read(source, session_id, settle=True)
        moved = _put(source, target, version)
        if trouble := header.damaged or version.trouble:
            return msgspec.structs.replace(moved, warning=f"it stays here too: {trouble}")
        source.delete(session_id)
    return msgspec.structs.replace(moved, gone=True)


def _moved_before(target: SessionStore, session_id: str) -> Moved:
    """It is not at the source: an attempt that was cut off may have brought it over."""
    target.header(session_id)  # raises SessionNotFound
    return Moved(session_id, session_id, Came.SAME, gone=True)


def _two(source: SessionStore, target: SessionStore) -> None:
    if source is target or (source.url == target.url and source.lasting):
        raise UsageError("that is the store it is in", hint="name another: --to URL")


@contextlib.contextmanager
def _writing(store: SessionStore, session_id: str) -> Iterator[None]:
    store.lock(session_id)
    try:
        yield
    finally:
        store.unlock(session_id)


def _read(store: SessionStore, session_id: str, *, settle: bool = False) -> _Version:
    """The session, with an answer a crash has cut; one that is coming in now is not taken."""
    stored = store.read(session_id)
    gaps = any(isinstance(e, Noted) and e.id.startswith("gap-") for e in stored.entries)
    trouble = "; ".join(stored.notices) if gaps else ""
    cut = stored.rescued
    if cut is None or not (settle or not store.holder(session_id)):
        return _Version(stored.birth, stored.entries, trouble)
    return _Version(stored.birth, (*stored.entries, cut), trouble)


def _put(source: SessionStore, target: SessionStore, version: _Version) -> Moved:
    """``version`` in ``target``, checked; see the module's promise."""
    blobs = _carry(source, target, version.entries)
    first = version.birth.id
    for _ in range(_MOST_FORKS):
        there = _there(target, version.birth.id)
        if there is None:
            came = Came.COPIED if version.birth.id == first else Came.CONFLICT
            return _write(target, version, 0, (first, came, blobs))
        common = _common(there, version)
        if common == len(version.entries):
            return Moved(first, version.birth.id, Came.SAME, 0, blobs)
        if common == len(there.entries) and there.birth == version.birth:
            return _write(target, version, common, (first, Came.EXTENDED, blobs))
        version = _parted(version, common)
    raise UsageError(f"there are too many versions of session {first}", hint="delete some of them")


def _there(store: SessionStore, session_id: str) -> _Version | None:
    try:
        stored = store.read(session_id)
    except SessionNotFound:
        return None
    return _Version(stored.birth, stored.entries)


def _common(one: _Version, other: _Version) -> int:
    """How many entries two versions begin with; none where they were born apart."""
    if one.birth != other.birth:
        return 0
    count = 0
    for a, b in zip(one.lines, other.lines, strict=False):
        if a != b:
            break
        count += 1
    return count


def _write(target: SessionStore, version: _Version, at: int, about: tuple[str, Came, int]) -> Moved:
    """Entries from ``at`` on, then all of it read back and compared."""
    first, came, blobs = about
    birth, more = version.birth, version.entries[at:]
    with _writing(target, birth.id):
        target.append(birth, more, at=at, headline=version.headline)
        _compare(target, version)
    return Moved(first, birth.id, came, len(more), blobs)


def _compare(target: SessionStore, version: _Version) -> None:
    """Raises SessionUnreadable when what is there is not what was to be."""
    there = target.read(version.birth.id)
    wrong = ""
    if there.birth != version.birth:
        wrong = "who it is"
    elif _Version(there.birth, there.entries).lines != version.lines:
        wrong = "its entries"
    elif not _alike(target.header(version.birth.id).headline, version.headline):
        wrong = "its title or totals"
    if wrong:
        raise SessionUnreadable(
            f"the copy of session {version.birth.id} is not what was written ({wrong} differ)",
            hint="nothing was taken away; look at the store it went to, and try again",
        )


def _alike(there: Headline, meant: Headline) -> bool:
    """Whether a list would show the same; a store may cut very long titles, and lines of before
    told no model where none was chosen."""
    if not (there.model or meant.provider):
        meant = msgspec.structs.replace(meant, model="")
    return _shown(there) == _shown(meant)


def _shown(line: Headline) -> Headline:
    def cut(text: str) -> str:
        return codec.dumps(text[:100]).decode()

    return msgspec.structs.replace(
        line, title=cut(line.title), provider=cut(line.provider), model=cut(line.model)
    )


# -- versions that part ---------------------------------------------------------------------------


def _parted(version: _Version, at: int) -> _Version:
    """A session of its own for a version that differs after its first ``at`` entries."""
    old = version.birth
    first = version.entries[at]
    seed = f"{old.id}\n{at}\n".encode() + codec.encode(first, at + 1)
    ending = "".join(ALPHABET[b % len(ALPHABET)] for b in hashlib.sha256(seed).digest()[:8])
    birth = msgspec.structs.replace(
        old, id=f"{old.id[:15].rstrip('-')}-{ending}", parent=old.id, parent_at=at
    )
    rest = version.entries[at:]
    if any(isinstance(entry, Unknown) for entry in rest):
        return _Version(birth, version.entries)  # it may name places: nothing is put before it
    base = fold_all(Session(old), version.entries[:at]).title
    title = base or fold_all(Session(old), version.entries).title or old.id
    mark = Titled(title=f"{title} (conflict)", id=ending, at=first.at)
    later = (_shifted(entry, at) for entry in rest)
    return _Version(birth, (*version.entries[:at], mark, *later))


def _shifted(entry: AnyEntry, at: int) -> AnyEntry:
    """An entry after a new one at ``at``+1: what it says of later places moves on by one."""

    def moved(n: int) -> int:
        return n + (n > at)

    match entry:
        case Rewound(to=to):
            return msgspec.structs.replace(entry, to=moved(to))
        case Compacted(through=through):
            return msgspec.structs.replace(entry, through=moved(through))
        case Hidden(ns=ns):
            return msgspec.structs.replace(entry, ns=tuple(map(moved, ns)))
        case Marked(of=of):
            return msgspec.structs.replace(entry, of=moved(of))
        case (
            UserSaid()
            | AssistantSaid()
            | ToolReturned()
            | SystemSet()
            | ModelChosen()
            | OptionSet()
            | Titled()
            | Tagged()
            | Cleared()
            | Noted()
            | Unknown()
        ):
            return entry
        case _:
            assert_never(entry)  # a new kind: does it name places?


# -- keeping two stores the same ------------------------------------------------------------------


def sync(one: SessionStore, other: SessionStore) -> Iterator[Moved | StoreError]:
    """Every session of each in both; the shorter of two versions is extended.

    A session that cannot be read or is being written is given back as its error, and the rest
    goes on.
    """
    _two(one, other)
    for source, target in ((one, other), (other, one)):
        for header in source.headers():
            try:
                moved = _synced(source, target, header)
            except StoreError as error:
                yield error
                continue
            if moved is not None and moved.came is not Came.SAME:
                yield moved


def _synced(source: SessionStore, target: SessionStore, header: Header) -> Moved | None:
    version = _read(source, header.id)
    if version.birth.parent and _stands_for(version, target):
        return None
    return _put(source, target, version)


def _stands_for(version: _Version, target: SessionStore) -> bool:
    """Whether this is the conflict copy of what ``target`` has as the session itself."""
    own = _there(target, version.birth.parent)
    at = version.birth.parent_at
    if own is None or at >= len(own.entries):
        return False
    parted = _parted(own, at)
    return parted.birth.id == version.birth.id and _common(parted, version) == len(version.entries)


# -- attachments ----------------------------------------------------------------------------------


def digests(entries: Sequence[AnyEntry]) -> list[str]:
    """What entries name by hash (attachments, long outputs), each once, in order."""
    found: dict[str, None] = {}
    for entry in entries:
        for part in parts_of(entry):
            if isinstance(part, Image | File) and part.blob:
                found[part.blob] = None
        if isinstance(entry, ToolReturned) and entry.blob:
            found[entry.blob] = None
    return list(found)


def parts_of(entry: AnyEntry) -> tuple[AnyPart, ...]:
    return entry.parts if isinstance(entry, UserSaid | AssistantSaid) else ()


def _carry(source: SessionStore, target: SessionStore, entries: Sequence[AnyEntry]) -> int:
    """Attachments into ``target``; those that are there stay. Returns how many were written.

    One that is lost already is left to `verify` to tell of: the words are not held back for it.
    """
    count = 0
    for digest in digests(entries):
        with contextlib.suppress(SessionNotFound, SessionUnreadable):
            target.blob(digest)
            continue
        try:
            data = source.blob(digest)
        except (SessionNotFound, SessionUnreadable):
            continue
        if target.put_blob(data) != digest:
            raise SessionUnreadable(f"the attachment {digest} changed on its way")
        target.blob(digest)
        count += 1
    return count


# -- looking over ---------------------------------------------------------------------------------


def verify(store: SessionStore, ids: Sequence[str] | None = None) -> Iterator[Check]:
    """Everything of each session loaded and checked; mends nothing. One `Check` per session."""
    for header in store.headers():
        if ids is None or header.id in ids:
            yield _checked(store, header)


def _checked(store: SessionStore, header: Header) -> Check:
    try:
        stored = store.read(header.id)
    except StoreError as error:
        return Check(header.id, header.name, header.entries, problems=(error.message,))
    session = fold_all(Session(stored.birth), stored.entries)
    named = digests(stored.entries)
    problems = [header.damaged] if header.damaged else []
    # What a store says of a session that it did not find as it left it.
    problems += [notice for notice in stored.notices if notice != header.damaged]
    problems += _miscounted(header, session)
    problems += _dangling(session)
    problems += _unsound(store, named)
    cut = "an answer was cut off; opening the session keeps what came of it"
    notices = (cut,) if stored.rescued is not None and not store.holder(header.id) else ()
    return Check(header.id, header.name, len(session), len(named), tuple(problems), notices)


def _miscounted(header: Header, session: Session) -> Iterator[str]:
    if header.entries != len(session):
        yield f"the list says {header.entries} entries, {len(session)} are there"
    if header.id != session.id:
        yield f"it says it is session {session.id}"
    if not _alike(header.headline, session.headline()):
        yield "the list shows another title, model or total than the session has"


def _dangling(session: Session) -> Iterator[str]:
    """What points at something that is not there."""
    ids: dict[str, int] = {}
    calls: set[str] = set()
    for n, entry in enumerate(session.entries, 1):
        if entry.id and ids.setdefault(entry.id, n) != n:
            yield f"entry {n} has the id of entry {ids[entry.id]}"
        match entry:
            case Rewound(to=to) if to and (to >= n or session.parent(to) == NOT_A_NODE):
                yield f"entry {n} goes back to {to}, where nothing was said"
            case Compacted(through=through) if not 0 <= through < n:
                yield f"entry {n} sums up to {through}, which comes later"
            case AssistantSaid(parts=parts):
                calls.update(p.id for p in parts if isinstance(p, Call))
            case ToolReturned(result=result) if result.id not in calls:
                yield f"entry {n} answers a call nobody made"
            case _:
                pass


def _unsound(store: SessionStore, named: Sequence[str]) -> Iterator[str]:
    for digest in named:
        try:
            store.blob(digest)
        except StoreError as error:
            yield f"attachment {digest[:12]}: {error.message}"
