"""`chat sessions list|show|search|rename|fork|delete|trash|restore|prune`: what is kept here.

Invariants: one session in trouble (damaged, open elsewhere) does not keep the others from being
shown or dealt with; nothing is changed that another program writes; deleting is asked and goes to
the trash. Part of the roof.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from chinwag.errors import SessionNotFound, StoreError, UsageError
from chinwag.frontends.codes import ANSWERED, FAILED
from chinwag.printed import Flags, agreed, columns, house, json, out, plural, tell, tell_error
from chinwag.stores.base import TRASH_DAYS, SessionStore, resolve
from chinwag.talk.codec import to_plain
from chinwag.talk.entry import AnyEntry, AssistantSaid, Titled, ToolReturned, UserSaid, new_id, now
from chinwag.talk.message import Image
from chinwag.talk.session import (
    Birth,
    Header,
    Session,
    fold,
    fold_all,
    new_session_id,
    slug,
)
from chinwag.text.moments import DAY, local
from chinwag.text.safe import safe

if TYPE_CHECKING:
    from chinwag.stores.warmth import WarmFolder

CATCH_UP = 5.0  # seconds a search waits for the index to take in what is new


# -- listing --------------------------------------------------------------------------------------


def sessions(
    flags: Flags, config: str, *, as_json: bool, text: str = "", limit: int = 0, since: str = ""
) -> int:
    """Every session, or those whose title, name or model holds ``text``."""
    oldest = moment(since) if since else ""
    with house(flags, config).store() as store:
        headers = store.headers()
        url = store.url
    found = [h for h in headers if _fits(h, text.lower(), oldest)]
    found = found[:limit] if limit > 0 else found
    if as_json:
        return json([header_json(h, url) for h in found])
    if not headers:
        tell(f"no sessions yet in {url}: chat begins one")
    elif not found:
        tell(f"none of {plural(len(headers), 'session')} in {url} is like that")
    columns([_row(h) for h in found])
    return ANSWERED


def _fits(header: Header, text: str, oldest: str) -> bool:
    head = header.headline
    where = f"{head.title}\n{header.name}\n{header.id}\n{head.provider}/{head.model}".lower()
    return text in where and head.updated >= oldest


def moment(word: str, today: datetime | None = None) -> str:
    """A time as people say it (2026-11-20, 7d, 12h, today), in UTC. Raises UsageError."""
    here = (today or datetime.now(UTC)).astimezone()
    midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
    said = word.strip().lower()
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    try:
        if said in {"today", "yesterday"}:
            then = midnight - timedelta(days=said == "yesterday")
        elif said[-1:] in units and said[:-1].isdecimal():
            then = here - timedelta(**{units[said[-1]]: int(said[:-1])})
        else:
            then = datetime.fromisoformat(word.strip())
            then = then if then.tzinfo else then.replace(tzinfo=here.tzinfo)
    except (ValueError, OverflowError):
        hint = "write 2026-11-20, 7d, 12h, today or yesterday"
        raise UsageError(f"{word!r} is no time", hint=hint) from None
    return then.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def header_json(header: Header, url: str) -> dict[str, Any]:
    """One session as `list --json` has it; help page `sessions-json`."""
    head = header.headline
    return {
        "id": header.id,
        "name": header.name,
        "title": head.title,
        "created": header.created,
        "updated": head.updated,
        "provider": head.provider,
        "model": head.model,
        "messages": head.messages,
        "entries": header.entries,
        "size": header.size,
        "damaged": header.damaged or None,
        "store": url,
    }


def _row(header: Header) -> tuple[str, ...]:
    head = header.headline
    model = f"{head.provider}/{head.model}" if head.provider else head.model
    count = plural(head.messages, "message")
    when = local(head.updated)
    return (header.id, when, count, model, header.damaged or head.title)


# -- one of them ----------------------------------------------------------------------------------


def read(store: SessionStore, session_id: str) -> Session:
    stored = store.read(session_id)
    session = fold_all(Session(stored.birth), stored.entries)
    return fold(session, stored.rescued) if stored.rescued is not None else session


def show(
    name: str,
    flags: Flags,
    config: str,
    *,
    as_json: bool,
    last: int = 0,
    branches: bool = False,
) -> int:
    """One session as text, or as its document; ``last`` messages of it, ``branches`` and all."""
    with house(flags, config).store() as store:
        found = resolve(name, store.headers())
        session = read(store, found.id)
        url = store.url
    if as_json:
        return json(_document(session, last) | {"store": url})
    on_path = set(session.path)
    shown = list(_spoken(session) if branches else session.said())
    clean = safe if sys.stdout.isatty() else str
    for n, entry in shown[-last:] if last > 0 else shown:
        elsewhere = "" if n in on_path else " (another branch)"
        out(clean(f"{_who(entry)}{_mark(entry)}{elsewhere}:\n{_told(entry)}\n"))
    if not shown:
        tell(f"nothing has been said in {found.name} yet")
    return ANSWERED


def _document(session: Session, last: int) -> dict[str, Any]:
    numbered = list(enumerate(session.entries, 1))
    return {
        **msgspec.to_builtins(session.birth),
        "headline": msgspec.to_builtins(session.headline()),
        "path": list(session.path),
        "messages": [
            {"n": n, **to_plain(entry)} for n, entry in (numbered[-last:] if last > 0 else numbered)
        ],
    }


def _spoken(session: Session) -> Iterator[tuple[int, AnyEntry]]:
    for n, entry in enumerate(session.entries, 1):
        if isinstance(entry, UserSaid | AssistantSaid | ToolReturned):
            yield n, entry


def _who(entry: AnyEntry) -> str:
    match entry:
        case UserSaid():
            return "you"
        case AssistantSaid():
            return "assistant"
        case ToolReturned(result=result):
            return f"tool {result.name}".strip()
        case _:
            return "note"


def _mark(entry: AnyEntry) -> str:
    cut = isinstance(entry, AssistantSaid) and entry.status != "complete"
    return f" ({entry.status})" if cut and isinstance(entry, AssistantSaid) else ""


def _told(entry: AnyEntry) -> str:
    """What was said, with pictures by their names."""
    if not isinstance(entry, UserSaid | AssistantSaid):
        return entry.text if isinstance(entry, ToolReturned) else ""
    pictures = [p for p in entry.parts if isinstance(p, Image)]
    return "\n".join([*(f"[{p.name or p.mime or 'a picture'}]" for p in pictures), entry.text])


# -- searching ------------------------------------------------------------------------------------


def search(text: str, flags: Flags, config: str, *, as_json: bool, limit: int) -> int:
    """Messages that hold ``text``, in every session of the store."""
    from chinwag.stores.search import Index

    if not text.strip():
        raise UsageError("what is to be looked for?", hint="chat sessions search TEXT")
    home = house(flags, config)
    with home.store() as store, Index(home.places.index if store.lasting else None) as index:
        _catch_up(index, store)
        found = index.search(text, limit, url=store.url)
    if as_json:
        json({"hits": [_hit(hit) for hit in found.hits], "missing": found.missing})
        return ANSWERED if found.hits else FAILED
    columns([_hit_row(hit) for hit in found.hits])
    if found.missing:
        tell(f"{plural(found.missing, 'session')} not searched yet: search again")
    elif not found.hits:
        tell(f"{text!r} was not found")
    return ANSWERED if found.hits else FAILED


def _catch_up(index: Any, store: SessionStore) -> None:
    """Let the index take in what is new; say so where that takes a while."""
    until = time.monotonic() + CATCH_UP
    said = False
    while left := index.catch_up(store, budget_s=0.25):
        if time.monotonic() > until:
            break
        if not said:
            tell(f"reading {plural(left, 'session')} that changed …")
            said = True


def _hit(hit: Any) -> dict[str, Any]:
    return {
        "id": hit.session_id,
        "name": slug(hit.title) or hit.session_id,
        "title": hit.title,
        "n": hit.n,
        "role": hit.role,
        "at": hit.at,
        "text": hit.snippet,
        "marks": hit.marks,
        "store": hit.url,
    }


def _hit_row(hit: Any) -> tuple[str, ...]:
    name = slug(hit.title)[:40] or hit.session_id
    return (f"{name}#{hit.n}", local(hit.at, DAY), hit.role, hit.snippet)


# -- changing -------------------------------------------------------------------------------------


@contextmanager
def writing(store: SessionStore, session_id: str) -> Iterator[None]:
    """Nobody else may write it meanwhile. Raises SessionLocked naming who does."""
    store.lock(session_id)
    try:
        yield
    finally:
        store.unlock(session_id)


def rename(name: str, title: str, flags: Flags, config: str, *, as_json: bool = False) -> int:
    if not title.strip():
        raise UsageError("a session needs a name", hint="chat sessions rename OLD NEW")
    with house(flags, config).store() as store:
        found = resolve(name, store.headers())
        with writing(store, found.id):
            session = _settled(store, found.id)
            entry = Titled(title=" ".join(title.split()), id=new_id(), at=now())
            headline = fold(session, entry).headline()
            store.append(session.birth, (entry,), at=len(session), headline=headline)
        after = store.header(found.id)
        url = store.url
    if as_json:
        return json(header_json(after, url))
    tell(f"{found.name} is called {after.headline.title} now")
    return ANSWERED


def _settled(store: SessionStore, session_id: str) -> Session:
    """The session, an answer that a crash had cut settled in it first: its place is next."""
    stored = store.read(session_id)
    session = fold_all(Session(stored.birth), stored.entries)
    if stored.rescued is not None:
        after = fold(session, stored.rescued)
        line = after.headline()
        store.append(stored.birth, (stored.rescued,), at=len(session), headline=line)
        store.end_part(session_id)
        session = after
    return session


def fork(name: str, title: str, flags: Flags, config: str, *, as_json: bool) -> int:
    """A copy with a life of its own; the original may be open elsewhere meanwhile."""
    with house(flags, config).store() as store:
        found = resolve(name, store.headers())
        old = read(store, found.id)
        made = Birth(new_session_id(), now(), parent=old.id, parent_at=len(old))
        called = " ".join(title.split()) or f"{old.title or old.id} (fork)"
        copy = fold_all(Session(made), (*old.entries, Titled(title=called, id=new_id(), at=now())))
        store.append(made, tuple(copy.entries), at=0, headline=copy.headline())
        store.unlock(made.id)
        header = store.header(made.id)
        url = store.url
    if as_json:
        return json(header_json(header, url) | {"parent": old.id})
    tell(f"{called} is a copy of {found.name}; chat --resume {header.name} opens it")
    return ANSWERED


def each(
    names: Sequence[str], found: Callable[[str], Header], work: Callable[[Header], dict[str, Any]]
) -> tuple[list[dict[str, Any]], int]:
    """Do ``work`` for each; what goes wrong with one is told, and the rest goes on."""
    done: list[dict[str, Any]] = []
    code = ANSWERED
    for name in names:
        try:
            done.append(work(found(name)))
        except StoreError as error:
            tell_error(error)
            code = FAILED
    return done, code


def _forget_warm(records: WarmFolder, session_id: str) -> None:
    """What was kept to resume it quickly goes too; a file on a server is named."""
    data = records.load(session_id)
    if data:
        from chinwag.engine.snapshots import left_behind

        records.drop(session_id)
        if said := left_behind(data):
            tell(safe(said))


def delete(
    names: Sequence[str], flags: Flags, config: str, *, sure: bool, as_json: bool = False
) -> int:
    home = house(flags, config)
    with home.store() as store:

        def gone(header: Header) -> dict[str, Any]:
            with writing(store, header.id):
                if not sure and not _sure(header):
                    tell("nothing was deleted")
                    return {"id": header.id, "name": header.name, "deleted": False}
                store.delete(header.id)
                _forget_warm(home.snapshots(), header.id)
            if not as_json:
                tell(f"deleted {header.name}; for {TRASH_DAYS} days `{_restores(header)}` helps")
            return {"id": header.id, "name": header.name, "deleted": True}

        done, code = each(names, lambda name: resolve(name, store.headers()), gone)
    if as_json:
        json(done)
    return code if all(d["deleted"] for d in done) else FAILED


def _sure(header: Header) -> bool:
    count = plural(header.headline.messages, "message")
    return agreed(f"Delete {header.name} ({count})?", flag="--yes")


def _restores(header: Header) -> str:
    return f"chat sessions restore {header.id}"


# -- the trash ------------------------------------------------------------------------------------


def trash(flags: Flags, config: str, *, as_json: bool) -> int:
    with house(flags, config).store() as store:
        found = store.trashed()
        url = store.url
    if as_json:
        return json([header_json(t.header, url) | {"deleted": t.at} for t in found])
    if not found:
        tell("the trash is empty")
    columns([(t.header.id, local(t.at), *_row(t.header)[2:]) for t in found])
    return ANSWERED


def restore(names: Sequence[str], flags: Flags, config: str, *, as_json: bool) -> int:
    with house(flags, config).store() as store:

        def found(name: str) -> Header:
            there = [t.header for t in store.trashed()]
            try:
                return resolve(name, there)
            except SessionNotFound as error:
                hint = error.hint if error.near else "chat sessions trash shows what is in it"
                raise SessionNotFound(
                    f"{name!r} is not in the trash", hint=hint, near=error.near
                ) from None

        def back(header: Header) -> dict[str, Any]:
            store.restore(header.id)
            if not as_json:
                tell(f"{header.name} is back; chat --resume {header.name} opens it")
            return header_json(store.header(header.id), store.url)

        done, code = each(names, found, back)
    if as_json:
        json(done)
    return code


def prune(flags: Flags, config: str, *, days: float, sure: bool, as_json: bool) -> int:
    """Let go of what has lain in the trash for ``days``; asks where that is less than usual."""
    if days < 0:
        raise UsageError("days are counted from 0 up", hint="chat sessions prune --days 7")
    with house(flags, config).store() as store:
        going = _going(store, days)
        question = f"Let go of {plural(going, 'deleted session')} for good?"
        if going and days < TRASH_DAYS and not sure and not agreed(question, flag="--yes"):
            tell("nothing was let go of")
            return FAILED
        count = store.prune(days)
        left = len(store.trashed())
    if as_json:
        return json({"pruned": count, "left": left})
    tell(f"{plural(count, 'deleted session')} gone for good, {left} left in the trash")
    return ANSWERED


def _going(store: SessionStore, days: float) -> int:
    oldest = datetime.now(UTC) - timedelta(days=days)
    return sum(t.at <= oldest.strftime("%Y-%m-%dT%H:%M:%SZ") for t in store.trashed())
