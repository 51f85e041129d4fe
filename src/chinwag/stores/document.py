"""The session document: one JSON file that is also lines, and what to make of a broken one. Pure.

    {"format":1,"id":"20261120-093015-k3f9q2","created":"…","messages":[
    {"n":1,"role":"user","content":"hello",…}
    ,{"n":2,"role":"assistant","content":"hi",…}
    ],"meta":{"title":"…","count":2,"crc":"9a0b1c2d","updated":"…"}}

Invariants: the header line never changes. An entry is one line and is never rewritten, byte for
byte, so keys we do not know survive. The comma *leads*: an entry that was acknowledged shares no
line end with bytes written later. What changes sits in the closing line, at most 4 KB, so that an
append writes its entry and the closing line and nothing else. `crc` is the CRC-32 of every byte
between header and closing line.

Reading trusts nothing: an entry's number is its place; a place whose entry cannot be read holds a
note, so that later places stay true. Only a tail which no reader was ever told of is cut silently.
Something that is no session raises `SessionUnreadable`; it is never an empty session.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Any

import msgspec

from chinwag.errors import SessionUnreadable
from chinwag.stores.base import PartHead
from chinwag.talk import codec
from chinwag.talk.delta import AnyDelta
from chinwag.talk.draft import Draft
from chinwag.talk.entry import AnyEntry, AssistantSaid, Noted, Status
from chinwag.talk.session import Birth, Header, Headline, Session, fold_all

CLOSING_LIMIT = 4096
#: More missing entries in a row than this are taken for a lie of the file.
GAP_LIMIT = 10_000
SIZE_LIMIT = 1 << 30
CUT = "the program ended before the answer did"

_OPENING = b'"messages":['
_CLOSING = b'],"meta":'
_IMPORT = "if another program made it, bring it in with /load or chat sessions import"


class Shape(StrEnum):
    """What a document turned out to be."""

    SOUND = "sound"
    TORN = "torn"  # a write was cut short; nobody had been told it was saved
    CHANGED = "changed"  # every line can be read, but somebody else wrote some of them
    DAMAGED = "damaged"  # lines in the middle cannot be read
    FOREIGN = "foreign"  # our data in another layout


class Document(msgspec.Struct, frozen=True):
    """A document as read. ``header`` and ``body`` are the bytes a rewrite would begin with.

    ``closing_at`` is where the closing line begins in the file that was read, -1 when that file
    cannot be added to as it is and has to be written anew.
    """

    shape: Shape
    birth: Birth
    headline: Headline
    entries: tuple[AnyEntry, ...]
    header: bytes
    body: bytes
    crc: int
    closing_at: int = -1
    closing: bytes = b""
    notices: tuple[str, ...] = ()
    bad_lines: tuple[int, ...] = ()

    @property
    def count(self) -> int:
        return len(self.entries)


class Closing(msgspec.Struct, frozen=True):
    """What a closing line says. Nothing in it is believed without looking."""

    headline: Headline
    count: int
    crc: int


# -- writing ------------------------------------------------------------------------------------


def header_line(birth: Birth) -> bytes:
    plain = {"format": codec.FORMAT, **msgspec.to_builtins(birth)}
    return codec.dumps(plain)[:-1] + b"," + _OPENING + b"\n"


def entry_lines(entries: Sequence[AnyEntry], at: int) -> bytes:
    """Entries as numbers at+1…, one per line, every one but number 1 after a comma."""
    return b"".join(
        (b"," if n > 1 else b"") + codec.encode(entry, n) + b"\n"
        for n, entry in enumerate(entries, at + 1)
    )


def closing_line(headline: Headline, count: int, crc: int, *, least: int = 0) -> bytes:
    """The last line, between `least` and 4096 bytes long: spaces fill, long titles are cut."""
    most = 512
    while True:
        plain = {
            "title": headline.title[:most],
            "named": headline.named,
            "provider": headline.provider[:most],
            "model": headline.model[:most],
            "messages": headline.messages,
            "tokens": headline.tokens,
            "count": count,
            "crc": f"{crc:08x}",
            "updated": headline.updated[:64],
        }
        line = _CLOSING + codec.dumps(plain) + b"}"
        if len(line) < CLOSING_LIMIT:
            return line.ljust(least - 1) + b"\n"
        most //= 2


def whole(birth: Birth, entries: Sequence[AnyEntry], headline: Headline) -> bytes:
    """A complete new document."""
    body = entry_lines(entries, 0)
    return header_line(birth) + body + closing_line(headline, len(entries), crc_of(body))


def crc_of(body: bytes, before: int = 0) -> int:
    return zlib.crc32(body, before)


# -- the two ends, for a list of sessions -------------------------------------------------------


def read_header(line: bytes, session_id: str) -> Birth | None:
    """The facts of a header line, None when it is none. The file's name decides the id."""
    bare = line.rstrip(b"\r\n")
    if not bare.endswith(_OPENING):
        return None
    try:
        plain = codec.loads(bare + b"]}")
    except ValueError:
        return None
    return _birth(plain, session_id)


def read_closing(line: bytes) -> Closing | None:
    """The facts of a closing line, None when it is none."""
    if not line.startswith(_CLOSING):
        return None
    try:
        plain = codec.loads(b'{"messages":[' + line)
    except ValueError:
        return None
    return _closing(plain.get("meta")) if set(plain) >= {"meta"} else None


def last_line(tail: bytes) -> bytes:
    """The last line of a file's last bytes, complete with its line end."""
    return tail[tail[:-1].rfind(b"\n") + 1 :]


def _birth(plain: object, session_id: str) -> Birth | None:
    if not isinstance(plain, dict):
        return None
    version = plain.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return None
    if version > codec.FORMAT:
        raise SessionUnreadable(
            f"the session {session_id} was written by a newer version (format {version})",
            hint="upgrade this program to open it",
            line=1,
        )
    try:
        return msgspec.convert({"created": "", **plain, "id": session_id}, Birth)
    except msgspec.ValidationError:
        return None


def _closing(meta: object) -> Closing | None:
    if not isinstance(meta, dict):
        return None
    count, crc = meta.get("count"), meta.get("crc")
    if not isinstance(count, int) or isinstance(count, bool) or not isinstance(crc, str):
        return None
    try:
        return Closing(msgspec.convert(meta, Headline), count, int(crc, 16))
    except ValueError:
        return None


# -- reading ------------------------------------------------------------------------------------


def parse(raw: bytes, session_id: str) -> Document:
    """A document from its bytes. Raises SessionUnreadable for what is no session."""
    if not raw:
        raise SessionUnreadable(f"the file of session {session_id} is empty (0 bytes)")
    if len(raw) > SIZE_LIMIT:
        raise SessionUnreadable(f"the file of session {session_id} is over {SIZE_LIMIT >> 30} GB")
    first, newline, _ = raw.partition(b"\n")
    birth = read_header(first, session_id)
    if birth is not None and newline:
        return _Lines(raw, birth, first + newline).document()
    return _otherwise(raw, session_id)


class _Lines:
    """One walk over the lines of a document; keeps what was found on the way."""

    def __init__(self, raw: bytes, birth: Birth, header: bytes) -> None:
        self.raw, self.birth, self.header = raw, birth, header
        self.entries: list[AnyEntry] = []
        self.kept: list[bytes] = []  # lines of the body that a rewrite would have
        self.bad: list[int] = []  # numbers of lines that could not be read
        self.pending: list[int] = []  # bad lines with nothing good after them yet
        self.missing = 0
        self.straight = True  # the body in the file is the body a rewrite would have
        self.closing: Closing | None = None
        self.closing_at = -1
        self.closing_bytes = b""
        self.rest_at = len(raw)  # where what follows the closing line begins
        self.holed = False

    def document(self) -> Document:
        self._walk()
        if self.closing is not None and self._trusted():
            return self._complete()
        return self._broken()

    def _walk(self) -> None:
        at = len(self.header)
        for number, line in enumerate(self.raw[at:].split(b"\n"), 2):
            self._line(line, number, at)
            at += len(line) + 1
            if self.closing is not None and self._trusted():
                self.rest_at = min(at, len(self.raw))
                return

    def _line(self, line: bytes, number: int, at: int) -> None:
        if not line or line.isspace():
            self.straight = self.straight and at >= len(self.raw)
            return
        if (closing := read_closing(line)) is not None:
            self.closing, self.closing_at = closing, at
            self.closing_bytes = self.raw[at : at + len(line) + 1]
            return
        text = line[1:] if line.startswith(b",") else line
        if not self._entry(text, line, number):
            self.pending.append(number)

    def _entry(self, text: bytes, line: bytes, number: int) -> bool:
        try:
            n, entry = codec.decode(text)
        except ValueError:
            return False
        expected = len(self.entries) + 1
        if not expected <= n <= expected + GAP_LIMIT:
            return False  # an entry again, or out of its place: the first one stands
        if self.closing is not None:
            self.closing, self.straight = None, False  # it was not the last line after all
        self._good_after_bad()
        self._fill(n - 1)
        self.straight = self.straight and (line is text) == (n == 1)
        self.entries.append(entry)
        self.kept.append(text)
        return True

    def _good_after_bad(self) -> None:
        if self.pending:
            self.bad += self.pending
            self.pending = []
            self.straight = False

    def _fill(self, through: int) -> None:
        """Notes in the places of entries that are gone, so that later places stay true."""
        for n in range(len(self.entries) + 1, through + 1):
            note = Noted(id=f"gap-{n}", text=f"entry {n} could not be read")
            self.entries.append(note)
            self.kept.append(codec.encode(note, n))
            self.missing += 1
            self.straight = False

    def _trusted(self) -> bool:
        """Whether the closing line fits everything before it: then the document is complete."""
        return (
            self.closing is not None
            and self.straight
            and not self.pending
            and self.closing.count == len(self.entries)
            and self.closing.crc == crc_of(self._region())
        )

    def _region(self) -> bytes:
        return self.raw[len(self.header) : self.closing_at]

    def _complete(self) -> Document:
        assert self.closing is not None
        rest = self.raw[self.rest_at :].strip()
        torn = bool(rest) or self.rest_at < len(self.raw)
        return Document(
            shape=Shape.TORN if torn else Shape.SOUND,
            birth=self.birth,
            headline=self.closing.headline,
            entries=tuple(self.entries),
            header=self.header,
            body=self._region(),
            crc=self.closing.crc,
            closing_at=-1 if torn else self.closing_at,
            closing=self.closing_bytes,
            notices=("an unfinished write at the end was cut off",) if rest else (),
        )

    def _broken(self) -> Document:
        """No closing line that fits: torn, changed from outside, or damaged."""
        if self.closing is not None:
            if self.pending:
                self._good_after_bad()
                if self.closing.count <= len(self.entries) + GAP_LIMIT:
                    self._fill(self.closing.count)
        elif not self.entries:
            raise SessionUnreadable(
                f"nothing in the file of session {self.birth.id} could be read",
                hint="the file was left as it is",
                line=2,
            )
        if self.bad:
            return self._as(Shape.DAMAGED, self._damage())
        if self.closing is None:
            return self._torn()
        return self._changed()

    def _damage(self) -> str:
        lines = ", ".join(map(str, self.bad[:5])) + ("…" if len(self.bad) > 5 else "")
        return (
            f"the session file is damaged (line {lines}): {self.missing} of its "
            f"{len(self.entries)} entries could not be read; the damaged file is kept beside it"
        )

    def _torn(self) -> Document:
        cut = self.raw.rpartition(b"\n")[2] if self.pending else b""
        if self.missing or self.raw.find(b"\0") >= 0:
            self.bad += self.pending
            return self._as(Shape.DAMAGED, self._damage() if self.bad else _OUTSIDE)
        what = "an unfinished write at the end was cut off"
        return self._as(Shape.TORN, what if cut or self.pending else what)

    def _changed(self) -> Document:
        assert self.closing is not None
        if self.raw[self.closing_at + len(self.closing_bytes) :].strip():
            return self._as(Shape.DAMAGED, _OUTSIDE)
        document = self._as(Shape.CHANGED, _OUTSIDE)
        if not self.straight:
            return document
        region = self._region()
        return msgspec.structs.replace(
            document,
            body=region,
            crc=crc_of(region),
            closing_at=self.closing_at,
            closing=self.closing_bytes,
        )

    def _as(self, shape: Shape, notice: str) -> Document:
        body = join_lines(self.kept)
        return Document(
            shape=shape,
            birth=self.birth,
            headline=headline_of(self.birth, self.entries),
            entries=tuple(self.entries),
            header=self.header,
            body=body,
            crc=crc_of(body),
            notices=(notice,),
            bad_lines=tuple(self.bad),
        )


_OUTSIDE = (
    "the session file was changed by something else since it was last saved; "
    "it was read as it is now, and a copy is kept before anything is written"
)


def join_lines(lines: Iterable[bytes]) -> bytes:
    """Entries' JSON texts as the body of a document."""
    return b"".join((b"," if at else b"") + line + b"\n" for at, line in enumerate(lines))


def headline_of(birth: Birth, entries: Iterable[AnyEntry]) -> Headline:
    return fold_all(Session(birth), entries).headline()


# -- what does not begin with our header --------------------------------------------------------


def _otherwise(raw: bytes, session_id: str) -> Document:
    """Another layout of our own data, a session without its header, or no session at all."""
    try:
        plain = codec.loads(raw)
    except (ValueError, MemoryError):
        return _headless(raw, session_id)
    birth = _birth(plain, session_id)
    if birth is None or not isinstance(plain.get("messages"), list):
        raise SessionUnreadable(
            f"the file of session {session_id} is JSON, but no session of ours", hint=_IMPORT
        )
    return _foreign(plain, birth)


def _foreign(plain: dict[str, Any], birth: Birth) -> Document:
    entries: list[AnyEntry] = []
    lines: list[bytes] = []
    for at, item in enumerate(plain["messages"], 1):
        try:
            if not isinstance(item, dict):
                raise ValueError("an entry that is no object")
            if item.get("n", at) != at:
                raise ValueError(f"it says it is entry {item.get('n')!r}")
            entries.append(codec.from_plain(item))
        except ValueError as error:
            raise SessionUnreadable(
                f"entry {at} of session {birth.id} is none of ours: {error}", hint=_IMPORT
            ) from None
        lines.append(codec.dumps({"n": at, **item}))
    body = join_lines(lines)
    kept = {k: v for k, v in plain.items() if k not in {"messages", "meta", "id"}}
    header = codec.dumps({"format": plain["format"], "id": birth.id, **kept})
    return Document(
        shape=Shape.FOREIGN,
        birth=birth,
        headline=headline_of(birth, entries),
        entries=tuple(entries),
        header=header[:-1] + b"," + _OPENING + b"\n",
        body=body,
        crc=crc_of(body),
        notices=("the session file has another layout; the original is kept when it is written",),
    )


def _headless(raw: bytes, session_id: str) -> Document:
    birth = Birth(id=session_id, created="")
    lines = _Lines(b"\n" + raw, birth, b"\n")
    lines.header = b"\n"
    lines._walk()
    if not lines.entries:
        raise SessionUnreadable(
            f"the file of session {session_id} is no session: not one entry in it can be read",
            hint="the file was left as it is; if it is yours, mend it or move it away",
            line=1,
        )
    lines.bad.append(1)
    lines.straight = False
    document = lines._broken()
    return msgspec.structs.replace(
        document, header=header_line(birth), bad_lines=(1, *document.bad_lines[1:])
    )


# -- lists and parts ----------------------------------------------------------------------------


def header_of(document: Document, size: int) -> Header:
    """A session's line in the list, from the whole of it."""
    damaged = document.shape is Shape.DAMAGED
    return Header(
        id=document.birth.id,
        created=document.birth.created,
        headline=document.headline,
        entries=document.count,
        size=size,
        damaged=document.notices[0] if damaged and document.notices else "",
    )


def part_head(head: PartHead) -> bytes:
    return codec.dumps(msgspec.to_builtins(head)) + b"\n"


def part_lines(deltas: Iterable[AnyDelta]) -> bytes:
    return b"".join(codec.encode_delta(delta) + b"\n" for delta in deltas)


def read_part(raw: bytes) -> tuple[PartHead, Draft] | None:
    """An answer that was coming in; what was torn at its end is left out. None: nothing there."""
    first, *rest = raw.split(b"\n")
    try:
        head = msgspec.convert(codec.loads(first), PartHead)
    except ValueError:
        return None
    draft = Draft()
    for line in rest:
        if not line:
            continue
        try:
            draft = draft.add(codec.decode_delta(line))
        except ValueError:
            break  # what comes after a torn piece would be out of place
    return head, draft


def rescued(head: PartHead, draft: Draft, ids: Collection[str]) -> AssistantSaid | None:
    """The answer a part held, marked interrupted; None when it was settled or says nothing."""
    source = f"{head.provider}/{head.model}"
    parts = draft.parts(source)
    if head.id in ids or not parts:
        return None
    served = draft.served_by.model
    return AssistantSaid(
        id=head.id,
        at=head.at,
        parts=parts,
        provider=head.provider,
        model=head.model,
        served=served if served != head.model else "",
        status=Status.INTERRUPTED,
        error=CUT,
        usage=draft.usage,
    )
