"""Sessions in Redis: many hosts, one server. `redis://HOST:PORT/DB`, `rediss://…` for TLS.

Invariants. Entry n of a session is the stream entry n-0, so that Redis itself refuses whoever comes
second to a place; a script adds entries, headline and count in one step, or nothing. Each entry
carries a token of the attempt to write it: when a reply was lost, the same entry is sent again with
the same token, and the script says whether it had been stored or the place is somebody else's.
Correctness rests on that alone. The lease only tells the second window who writes; it expires by
itself, and a holder on this machine that has died is passed over at once.

`chinwag:sessions` is written *before* a session comes into being, so it never lacks one that is
there; what it names in vain is dropped a day later. Where it was itself lost (it has no mark of
being complete), all keys are scanned once and it is made anew. Nothing expires unless the URL
says `?ttl=DAYS`; then attachments are kept as long as the sessions that speak of them.

Not asyncio: a store is used from the saver's thread, which may block, and so may every other
backend's; a loop inside it would add a hop to each command and nothing else. `wait` may be called
from another thread: it blocks in `XREAD BLOCK` on a connection apart.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from chinwag.errors import (
    SessionConflict,
    SessionNotFound,
    SessionUnreadable,
    StoreError,
    UsageError,
)
from chinwag.stores import part_form
from chinwag.stores import redis_lease as holding
from chinwag.stores import redis_rows as rows_of
from chinwag.stores import redis_scripts as at_once
from chinwag.stores.base import (
    TRASH_DAYS,
    PartHead,
    SessionStore,
    Stored,
    Trashed,
    conflict,
    last_used_first,
)
from chinwag.stores.names import is_id, not_there
from chinwag.stores.redis_address import demand_library, parse
from chinwag.stores.redis_blobs import Blobs
from chinwag.stores.redis_scripts import SESSIONS, TRASH, gone, key
from chinwag.talk import codec
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid
from chinwag.talk.session import Birth, Header, Headline

if TYPE_CHECKING:
    from chinwag.stores.redis_link import Link

LEASE = 30.0  # seconds after which a holder that is not heard of any more counts as gone
CHUNK = 2000  # sessions asked for at once
ROWS = 500  # entries asked for at once: the server gives them in one step, 4 ms for so many
DAY = 86400


class _Part(msgspec.Struct, eq=False):
    token: str
    written: int = 1


class RedisStore(SessionStore):
    """Sessions in one Redis. ``lease`` in seconds; 0 leaves the ids alone to decide."""

    lasting = True

    def __init__(self, url: str, *, lease: float = LEASE) -> None:
        demand_library()
        self._address = parse(url)
        self.url = self._address.url
        self._ttl = self._address.ttl
        self._linked: Link | None = None
        self._linking = threading.Lock()
        self._leases = holding.Leases(lambda: self._link, lease)
        #: Sessions known to be in the list of all.
        self._seen: set[str] = set()
        self._parts: dict[str, _Part] = {}
        #: Entries sent whose fate is not known, by session and number: their bytes and token.
        self._doubt: dict[str, dict[int, tuple[bytes, str]]] = {}
        self._blobs = Blobs(lambda: self._link, self._ttl)

    @property
    def _link(self) -> Link:
        """The way to the server; whoever asks first waits for the library to be imported."""
        with self._linking:
            if self._linked is None:
                from chinwag.stores.redis_link import Link

                self._linked = Link(self._address)
            return self._linked

    @property
    def notices(self) -> tuple[str, ...]:
        """What this server may do to what is stored; connects. Empty where nobody answers."""
        with contextlib.suppress(StoreError):
            self._link.connect()
        return self._link.notices

    # -- writing ------------------------------------------------------------------------------

    def append(
        self, birth: Birth, entries: Sequence[AnyEntry], *, at: int, headline: Headline
    ) -> int:
        session_id = self._known(birth.id)
        sent = self._with_tokens(session_id, entries, at)
        if at == 0:
            self._link.script(at_once.LIST, [SESSIONS], [session_id])
        self._doubt.setdefault(session_id, {}).update(sent)
        facts = [rows_of.birth_line(birth), rows_of.headline_line(headline)]
        lease = self._leases.me if self._leases.milliseconds else ""
        args: list[Any] = [at, *facts, self._ttl, lease, self._leases.milliseconds]
        for n in sorted(sent):
            args += sent[n]
        self._judge(session_id, at, self._append(session_id, args, sent))
        self._settle(session_id, at + len(entries))
        self._leases.hold(session_id)
        self._blobs.keep(session_id, (data for data, _ in sent.values()))
        return at + len(entries)

    def _append(
        self, session_id: str, args: Sequence[Any], sent: dict[int, tuple[bytes, str]]
    ) -> list[bytes]:
        keys = [key(session_id, what) for what in ("entries", "head", "lease")]
        heavy = sum(len(data) for data, _ in sent.values())

        def answer() -> list[bytes]:
            told: list[bytes] = self._link.script(at_once.APPEND, keys, args, heavy=heavy)
            return told

        told = answer()
        if told[0] == b"locked" and self._leases.pass_over(session_id, told[1]):
            told = answer()
        return told

    def _with_tokens(
        self, session_id: str, entries: Sequence[AnyEntry], at: int
    ) -> dict[int, tuple[bytes, str]]:
        """Each entry's bytes, and its token: an old one where the same is sent once more."""
        fresh, doubt = secrets.token_hex(8), self._doubt.get(session_id, {})
        sent = {}
        for n, entry in enumerate(entries, at + 1):
            data = codec.encode(entry, n)
            before = doubt.get(n)
            sent[n] = before if before and before[0] == data else (data, fresh)
        return sent

    def _settle(self, session_id: str, through: int) -> None:
        left = {n: x for n, x in self._doubt.pop(session_id, {}).items() if n > through}
        if left:
            self._doubt[session_id] = left

    def _judge(self, session_id: str, at: int, told: list[bytes]) -> None:
        """Raise what a script's refusal means."""
        match told:
            case [b"ok"]:
                return
            case [b"locked", owner]:
                self._doubt.pop(session_id, None)
                raise holding.locked(session_id, owner)
            case [b"none"]:
                raise self._not_found(session_id)
            case [_, found]:
                self._doubt.pop(session_id, None)
                raise conflict(session_id, at, int(found))
            case _:
                raise SessionUnreadable(f"the Redis gave no answer of ours: {told!r:.80}")

    # -- reading ------------------------------------------------------------------------------

    def read(self, session_id: str) -> Stored:
        found = self._read(session_id, 0, None)
        head, rows = found.head, found.rows
        entries, bad = rows_of.entries_of(session_id, rows, 1, head.count)
        self._list(session_id)
        self._blobs.keep(session_id, (value for _, value in rows))
        elsewhere = found.owner and not self._leases.is_ours(found.owner)
        is_coming = elsewhere and not holding.is_dead(found.owner)
        rescued = None if is_coming else self._rescue(session_id, found.part, entries)
        birth = head.birth or Birth(id=session_id, created=rows_of.created(session_id))
        return Stored(birth, entries, rescued, rows_of.damage(bad, len(entries)))

    def span(
        self, session_id: str, after: int, upto: int | None = None
    ) -> tuple[tuple[AnyEntry, ...], int]:
        after = max(0, after)
        found = self._read(session_id, after, upto)
        end = found.count if upto is None else min(upto, found.count)
        entries, _ = rows_of.entries_of(session_id, found.rows, after + 1, end)
        return entries[: max(0, end - after)], found.count

    def _read(self, session_id: str, after: int, upto: int | None) -> rows_of.Found:
        """What there is of a session, with the entries after+1…upto.

        Raises SessionNotFound, SessionUnreadable.
        """
        keys = [key(self._known(session_id), w) for w in ("entries", "head", "part", "lease")]
        end = "+" if upto is None else f"{max(0, upto)}-0"
        answer = self._link.script(at_once.READ, keys, [f"{after + 1}-0", end, ROWS])
        found = rows_of.found(answer, session_id)
        if not found.is_there and found.head.birth is None:
            raise self._not_found(session_id)
        if not found.is_there and found.head.count:
            raise SessionUnreadable(
                f"all {found.head.count} entries of the session {session_id} are gone",
                hint="the memory of this Redis was too small, or another program deleted them",
            )
        chunk = found.rows
        while len(chunk) == ROWS:
            start = rows_of.following(chunk[-1][0])
            chunk = rows_of.rows(self._link.script(at_once.ROWS, keys[:1], [start, end, ROWS]))
            found.rows.extend(chunk)
        return found

    def _list(self, session_id: str) -> None:
        """See that the list has a session that was reached by its id; a full server may not."""
        if session_id not in self._seen:
            with contextlib.suppress(StoreError):
                if self._link.run("ZSCORE", SESSIONS, session_id) is None:
                    self._link.script(at_once.LIST, [SESSIONS], [session_id])
                self._seen.add(session_id)

    def _rescue(
        self, session_id: str, part: bytes, entries: Sequence[AnyEntry]
    ) -> AssistantSaid | None:
        if session_id in self._parts:
            return None  # it is coming in right now, into our own hands
        read = part_form.read_part(part)
        rescued = part_form.rescued(*read, {entry.id for entry in entries}) if read else None
        if rescued is None and part and session_id in self._leases.held:
            self._link.script(at_once.END, [key(session_id, "part")], [""])
        return rescued

    def header(self, session_id: str) -> Header:
        self._known(session_id)
        (header,) = self._headers([session_id])
        if header is None:
            raise self._not_found(session_id)
        return header

    def headers(self) -> list[Header]:
        ids = [name for name in self._listed(SESSIONS) if is_id(name)]
        found, stale = [], []
        for session_id, header in zip(ids, self._headers(ids), strict=True):
            if header is None:
                stale.append(session_id)
            else:
                found.append(header)
        if stale:
            with contextlib.suppress(StoreError):  # only tidying
                self._link.script(at_once.UNLIST, [SESSIONS], [DAY, *stale])
        return last_used_first(found)

    def _headers(self, ids: Sequence[str]) -> list[Header | None]:
        places = [(name, key(name, "head"), key(name, "entries")) for name in ids]
        return self._lines(places)

    def _lines(self, places: Sequence[tuple[str, str, str]]) -> list[Header | None]:
        """Lines of a list, from the id and the two keys of each; None for what is not there."""
        found: list[Header | None] = []
        for start in range(0, len(places), CHUNK):
            found += self._looked_at(places[start : start + CHUNK])
        for at, header in enumerate(found):
            if header is not None and header.damaged:
                # It may have been deleted between the two looks at it.
                found[at : at + 1] = self._looked_at(places[at : at + 1])
        return found

    def _looked_at(self, places: Sequence[tuple[str, str, str]]) -> list[Header | None]:
        asked: list[tuple[Any, ...]] = []
        for _, head, entries in places:
            asked += [("HMGET", head, *rows_of.FIELDS), ("XLEN", entries)]
        told = self._link.many(asked)
        return [
            rows_of.header(name, told[2 * at], told[2 * at + 1])
            for at, (name, _, _) in enumerate(places)
        ]

    def _listed(self, index: str) -> list[str]:
        """The members of an index; where it does not say that it is complete, it is made so."""
        raw = self._link.run("ZRANGE", index, 0, -1)
        names = {name.decode("utf-8", "replace") for name in raw}
        if at_once.COMPLETE not in names:
            names |= self._scan()[index]
        return sorted(names - {at_once.COMPLETE})

    def _scan(self) -> dict[str, set[str]]:
        """Both indexes anew, from every key there is; written down if the server lets us."""
        found: dict[str, set[str]] = {SESSIONS: set(), TRASH: set()}
        for raw in self._link.scan(at_once.EVERYTHING):
            if (named := at_once.named(raw)) and is_id(named[0]):
                session_id, stamp = named
                found[TRASH if stamp else SESSIONS].add(
                    f"{stamp}:{session_id}" if stamp else session_id
                )
        with contextlib.suppress(StoreError):
            for index, members in found.items():
                todo = [*members, at_once.COMPLETE]  # the mark comes last
                for start in range(0, len(todo), CHUNK):
                    self._link.script(at_once.LIST, [index], todo[start : start + CHUNK])
        return found

    def wait(self, session_id: str, after: int, seconds: float) -> bool:
        """Until there is more than ``after``, at most ``seconds``; whether there is. Any thread."""
        return self._link.waited(key(self._known(session_id), "entries"), max(0, after), seconds)

    # -- the trash ----------------------------------------------------------------------------

    def delete(self, session_id: str) -> None:
        self._known(session_id)
        stamp = f"{time.time_ns():020d}"
        member = f"{stamp}:{session_id}"
        keys = [key(session_id, what) for what in ("entries", "head", "part", "lease")]
        keys += [gone(session_id, stamp, what) for what in ("entries", "head", "part")]
        self.header(session_id)  # nothing is listed as deleted that was never there
        self._link.script(at_once.LIST, [TRASH], [member])
        told = self._unheld(session_id, at_once.DELETE, keys)
        if told != [b"ok"]:
            self._link.run("ZREM", TRASH, member)
        self._judge(session_id, 0, told)
        self._forget(session_id)
        self.prune()

    def _unheld(self, session_id: str, script: at_once.Script, keys: list[str]) -> list[bytes]:
        """What a script says that nobody else may be writing for; tried again past the dead."""
        told: list[bytes] = self._link.script(script, keys, [self._leases.me])
        if told[0] == b"locked" and self._leases.pass_over(session_id, told[1]):
            told = self._link.script(script, keys, [self._leases.me])
        return told

    def _forget(self, session_id: str) -> None:
        self._parts.pop(session_id, None)
        self._doubt.pop(session_id, None)
        self._blobs.forget(session_id)
        self._leases.held.discard(session_id)
        self._seen.discard(session_id)

    def erase(self, session_id: str) -> None:
        self._known(session_id)
        stamps = [stamp for stamp, name in self._deleted() if name == session_id]
        whats = ("entries", "head", "part")
        keys = [key(session_id, what) for what in ("lease", *whats)]
        keys += [gone(session_id, stamp, what) for stamp in stamps for what in whats]
        self._judge(session_id, 0, self._unheld(session_id, at_once.ERASE, keys))
        self._link.run("ZREM", SESSIONS, session_id)
        for stamp in stamps:
            self._link.run("ZREM", TRASH, f"{stamp}:{session_id}")
        self._forget(session_id)

    def trashed(self) -> list[Trashed]:
        deleted = self._deleted()
        places = [
            (name, gone(name, stamp, "head"), gone(name, stamp, "entries"))
            for stamp, name in deleted
        ]
        found = []
        for (stamp, _), header in zip(deleted, self._lines(places), strict=True):
            if header is not None:
                at = datetime.fromtimestamp(int(stamp) / 1e9, UTC)
                found.append(Trashed(header, f"{at:%Y-%m-%dT%H:%M:%SZ}"))
        return found

    def _deleted(self) -> list[tuple[str, str]]:
        """When and what was deleted, newest first."""
        pairs = (member.partition(":") for member in self._listed(TRASH))
        named = ((stamp, name) for stamp, _, name in pairs if stamp.isdecimal())
        return sorted(((s, n) for s, n in named if is_id(n)), reverse=True)

    def restore(self, session_id: str) -> None:
        stamps = [stamp for stamp, name in self._deleted() if name == session_id]
        for stamp in stamps:
            self._link.script(at_once.LIST, [SESSIONS], [session_id])
            whats = ("entries", "head", "part")
            keys = [key(session_id, what) for what in whats]
            keys += [gone(session_id, stamp, what) for what in whats]
            told = self._link.script(at_once.RESTORE, keys, [stamp])
            if told[0] == b"conflict":
                raise SessionConflict(
                    f"there is a session {session_id} already",
                    hint="delete that one first",
                    found=int(told[1]),
                )
            self._link.run("ZREM", TRASH, f"{stamp}:{session_id}")
            if told == [b"ok"]:
                return
        raise SessionNotFound(f"no session {session_id!r} is in the trash")

    def prune(self, days: float = TRASH_DAYS) -> int:
        oldest = time.time_ns() - round(days * DAY * 1e9)
        count = 0
        for stamp, name in self._deleted():
            if int(stamp) > oldest:
                continue
            keys = [gone(name, stamp, what) for what in ("entries", "head", "part")]
            count += self._link.run("DEL", *keys) > 0
            self._link.run("ZREM", TRASH, f"{stamp}:{name}")
        return count

    # -- blobs and locks ----------------------------------------------------------------------

    def put_blob(self, data: bytes) -> str:
        return self._blobs.put(data)

    def blob(self, digest: str) -> bytes:
        return self._blobs.get(digest)

    def lock(self, session_id: str) -> None:
        self._leases.take(self._known(session_id))

    def holder(self, session_id: str) -> str:
        return self._leases.holder(self._known(session_id))

    def unlock(self, session_id: str) -> None:
        self._leases.let_go(session_id)

    # -- parts --------------------------------------------------------------------------------

    def begin_part(self, session_id: str, head: PartHead) -> None:
        part = _Part(secrets.token_hex(8))
        args = [part.token, part_form.part_head(head), self._ttl]
        self._link.script(at_once.BEGIN, [key(self._known(session_id), "part")], args)
        self._parts[session_id] = part

    def add_part(
        self,
        session_id: str,
        deltas: Sequence[AnyDelta],
        *,
        sync: bool,  # noqa: ARG002 - the server decides when it writes to disk, the same for all
    ) -> None:
        part = self._parts.get(session_id)
        if part is None:
            raise UsageError(f"no answer is coming in for session {session_id}")
        part.written += 1  # also if it fails: what may be there is never taken for what comes next
        args = [part.token, part.written, part_form.part_lines(deltas)]
        if not self._link.script(at_once.ADD, [key(session_id, "part")], args):
            raise SessionConflict(
                f"the answer coming in for session {session_id} was taken away by something else",
                hint="it is saved whole when it has ended",
            )

    def end_part(self, session_id: str) -> None:
        part = self._parts.pop(session_id, None)
        where = key(self._known(session_id), "part")
        self._link.script(at_once.END, [where], [part.token if part else ""])

    def overheard(
        self, session_id: str, since: int
    ) -> tuple[PartHead, tuple[AnyDelta, ...]] | None:
        where = key(self._known(session_id), "part")
        _, _, part = self._link.script(at_once.ROWS, [where], ["-", "+", 1_000_000])
        return part_form.read_deltas(part, since)

    # -- small things -------------------------------------------------------------------------

    def close(self) -> None:
        self._leases.close()
        if self._linked is not None:
            self._link.close()

    def _known(self, session_id: str) -> str:
        if not is_id(session_id):
            raise SessionNotFound(f"{session_id!r} is no session id")
        return session_id

    def _not_found(self, session_id: str) -> SessionNotFound:
        names: list[bytes] = []
        with contextlib.suppress(StoreError):
            names = self._link.run("ZRANGE", SESSIONS, -CHUNK, -1)
        return not_there(session_id, (name.decode("utf-8", "replace") for name in names if name))
