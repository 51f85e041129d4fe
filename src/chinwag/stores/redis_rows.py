"""What a session is in Redis, as values and back. Pure.

Invariants: an entry's id is its place, whatever else it says; a place whose entry cannot be read
holds a note, so that later places stay true. What is no session of ours raises SessionUnreadable.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import msgspec

from chinwag.errors import SessionUnreadable, StoreError
from chinwag.stores import document as doc
from chinwag.talk import codec
from chinwag.talk.entry import AnyEntry, Noted
from chinwag.talk.session import Birth, Header, Headline

#: The fields of the hash, in the order that `head` takes their values.
FIELDS = ("birth", "line", "count", "size")
#: An entry's id in its stream, and its bytes.
Row: TypeAlias = tuple[bytes, bytes]


class Head(msgspec.Struct, frozen=True):
    """What the hash of a session says; ``birth`` is None where the hash is gone."""

    birth: Birth | None
    line: Headline
    count: int
    size: int


class Found(msgspec.Struct, frozen=True):
    """What there is of a session at one instant; ``rows`` are those that were asked for."""

    head: Head
    is_there: bool
    rows: list[Row]
    count: int
    part: bytes
    owner: bytes


def found(answer: list[Any], session_id: str) -> Found:
    """From what the script READ gives. Raises SessionUnreadable."""
    raw, is_there, asked, newest, (_, _, part), owner = answer
    known = head(raw, session_id)
    count = max(known.count, number(newest) if newest else 0)
    return Found(known, bool(is_there), rows(asked), count, part, owner or b"")


def rows(answer: Sequence[bytes]) -> list[Row]:
    """Rows from the three strings a script gives them in."""
    ids, sizes, values = answer
    found, at = [], 0
    for row_id, size in zip(ids.split(), map(int, sizes.split()), strict=True):
        found.append((row_id, values[at : at + size]))
        at += size
    return found


def birth_line(birth: Birth) -> bytes:
    return codec.dumps({"format": codec.FORMAT, **msgspec.to_builtins(birth)})


def headline_line(headline: Headline) -> bytes:
    return codec.dumps(msgspec.to_builtins(headline))


def head(raw: Sequence[bytes | None], session_id: str) -> Head:
    """The head from its hash. Raises SessionUnreadable for a newer format, and for junk."""
    birth, line, count, size = raw
    try:
        return Head(
            birth=_birth(birth, session_id) if birth is not None else None,
            line=msgspec.convert(codec.loads(line), Headline) if line else Headline(),
            count=int(count or 0),
            size=int(size or 0),
        )
    except ValueError as error:
        raise SessionUnreadable(
            f"what the Redis holds of session {session_id} is none of ours: {error}",
            hint="it was left as it is",
        ) from None


def _birth(raw: bytes, session_id: str) -> Birth:
    plain = codec.loads(raw)
    version = plain.get("format") if isinstance(plain, dict) else None
    if not isinstance(version, int) or version < 1:
        raise ValueError("a session without its format")
    if version > codec.FORMAT:
        raise SessionUnreadable(
            f"the session {session_id} was written by a newer version (format {version})",
            hint="upgrade this program to open it",
        )
    return msgspec.convert({**plain, "id": session_id}, Birth)


def header(session_id: str, raw: Any, length: Any) -> Header | None:
    """A line of the list, from the answers about its two keys; None for what is not there."""
    try:
        known, there = head(answered(raw), session_id), int(answered(length))
    except StoreError as error:
        return Header(session_id, created(session_id), damaged=error.message)
    if known.birth is None and not there:
        return None
    damaged = ""
    if known.birth is None:
        damaged = "its title and totals are gone from the Redis; its entries are there"
    elif there < known.count:
        damaged = f"{known.count - there} of its {known.count} entries are gone from the Redis"
    began = known.birth.created if known.birth else created(session_id)
    return Header(session_id, began, known.line, max(known.count, there), known.size, damaged)


def answered(answer: Any) -> Any:
    if isinstance(answer, StoreError):
        raise answer
    return answer


def created(session_id: str) -> str:
    """When a session began, as far as its id tells."""
    try:
        at = datetime.strptime(session_id[:15], "%Y%m%d-%H%M%S")  # noqa: DTZ007 - ids are in UTC
    except ValueError:
        return ""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def number(row_id: bytes) -> int:
    return int(row_id.partition(b"-")[0])


def following(row_id: bytes) -> str:
    """The least id after this one. (Older servers know no way to say "after".)"""
    n, _, part = row_id.partition(b"-")
    return f"{n.decode()}-{int(part or 0) + 1}"


def entries_of(
    session_id: str, found: Iterable[Row], first: int, through: int
) -> tuple[tuple[AnyEntry, ...], list[int]]:
    """Entries from number ``first`` to at least ``through``, and the numbers of those that could
    not be read: a note stands in the place of each, so that later places stay true."""
    entries: list[AnyEntry] = []
    bad: list[int] = []

    def fill(upto: int) -> None:
        for n in range(first + len(entries), upto + 1):
            entries.append(Noted(id=f"gap-{n}", text=f"entry {n} could not be read"))
            bad.append(n)

    for n, entry in _decoded(found):
        if n - first - len(entries) > doc.GAP_LIMIT:
            raise SessionUnreadable(
                f"the session {session_id} holds an entry {n} that is none of ours",
                hint="another program wrote it; it was left as it is",
            )
        if entry is not None and n >= first + len(entries):
            fill(n - 1)
            entries.append(entry)
    if through - first - len(entries) <= doc.GAP_LIMIT:
        fill(through)
    return tuple(entries), bad


def _decoded(found: Iterable[Row]) -> Iterator[tuple[int, AnyEntry | None]]:
    for row_id, value in found:
        try:
            yield number(row_id), codec.decode(value)[1]
        except ValueError:
            yield number(row_id), None


def damage(bad: Sequence[int], count: int) -> tuple[str, ...]:
    if not bad:
        return ()
    where = ", ".join(map(str, bad[:5])) + ("…" if len(bad) > 5 else "")
    told = f"{len(bad)} of the {count} entries of this session ({where}) could not be read"
    return (f"{told}; what the Redis holds was left as it is",)
