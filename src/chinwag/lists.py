"""`chat sessions`, `models`, `providers`, `keys`, `config`, `doctor`: what is there.

Invariants: the list goes to `stdout`, as aligned text or as JSON and nothing else; foreign text is
made safe for a terminal and left alone in JSON. Part of the roof: it names what wiring built.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from chinwag import wiring
from chinwag.commands.models import described
from chinwag.config.keyfile import drop_key, keep_key
from chinwag.config.paths import is_open_to_others
from chinwag.errors import UsageError
from chinwag.frontends.codes import ANSWERED, FAILED
from chinwag.stores.base import SessionStore, resolve
from chinwag.talk.codec import dumps, to_plain
from chinwag.talk.entry import AssistantSaid, Titled, UserSaid, new_id, now
from chinwag.talk.session import Header, Session, fold, fold_all
from chinwag.text.cells import pad, width
from chinwag.text.safe import safe, safe_line

Flags = Mapping[str, Any]


def _house(flags: Flags, config: str) -> wiring.House:
    os.umask(0o077)
    return wiring.settle_in(flags, config, dict(os.environ))


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")


def _json(value: Any) -> int:
    _print(msgspec.json.format(dumps(value), indent=2).decode())
    return ANSWERED


def _columns(rows: Sequence[Sequence[str]]) -> None:
    """Aligned, the last column as it is; made safe here and nowhere else."""
    shown = [[str(safe_line(cell)) for cell in row] for row in rows]
    if not shown:
        return
    widths = [max(width(row[i]) for row in shown) for i in range(len(shown[0]))]
    for row in shown:
        cells = [pad(cell, w) for cell, w in zip(row[:-1], widths, strict=False)]
        _print("  ".join([*cells, row[-1]]).rstrip())


# -- sessions -------------------------------------------------------------------------------------


def sessions(flags: Flags, config: str, *, as_json: bool) -> int:
    with _house(flags, config).store() as store:
        headers = store.headers()
    if as_json:
        return _json([_header(h) for h in headers])
    if not headers:
        sys.stderr.write("no sessions yet: chat begins one\n")
    _columns([_session_row(h) for h in headers])
    return ANSWERED


def _header(header: Header) -> dict[str, Any]:
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
    }


def _session_row(header: Header) -> tuple[str, ...]:
    head = header.headline
    model = f"{head.provider}/{head.model}" if head.provider else ""
    count = f"{head.messages} messages"
    when = head.updated[:16].replace("T", " ")
    return (header.id, when, count, model, header.damaged or head.title)


def show(name: str, flags: Flags, config: str, *, as_json: bool) -> int:
    with _house(flags, config).store() as store:
        session = _read(store, name)
    if as_json:
        return _json(
            {
                **msgspec.to_builtins(session.birth),
                "headline": msgspec.to_builtins(session.headline()),
                "messages": [{"n": n, **to_plain(e)} for n, e in enumerate(session.entries, 1)],
            }
        )
    clean = safe if sys.stdout.isatty() else str
    for _, entry in session.said():
        who = {UserSaid: "you", AssistantSaid: "assistant"}.get(type(entry), "tool")
        mark = _mark(entry)
        _print(f"{who}{mark}:\n{clean(entry.text)}\n")
    return ANSWERED


def _mark(entry: object) -> str:
    cut = isinstance(entry, AssistantSaid) and entry.status != "complete"
    return f" ({entry.status})" if cut and isinstance(entry, AssistantSaid) else ""


def _read(store: SessionStore, name: str) -> Session:
    stored = store.read(resolve(name, store.headers()).id)
    return fold_all(Session(stored.birth), stored.entries)


def rename(name: str, title: str, flags: Flags, config: str) -> int:
    if not title.strip():
        raise UsageError("a session needs a name", hint="chat sessions rename OLD NEW")
    with _house(flags, config).store() as store:
        found = resolve(name, store.headers())
        store.lock(found.id)
        session = _read(store, found.id)
        entry = Titled(title=title.strip(), id=new_id(), at=now())
        headline = fold(session, entry).headline()
        store.append(session.birth, (entry,), at=len(session), headline=headline)
    sys.stderr.write(f"{safe_line(found.name)} is called {safe_line(title)} now\n")
    return ANSWERED


def delete(name: str, flags: Flags, config: str, *, sure: bool) -> int:
    with _house(flags, config).store() as store:
        found = resolve(name, store.headers())
        if not sure and not _agreed(found):
            sys.stderr.write("nothing was deleted\n")
            return FAILED
        store.delete(found.id)
    sys.stderr.write(f"deleted {safe_line(found.name)}\n")
    return ANSWERED


def _agreed(header: Header) -> bool:
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError("deleting asks first, and nobody is here to answer", hint="add --yes")
    count = header.headline.messages
    sys.stderr.write(f"delete {safe_line(header.name)} with {count} messages? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


# -- who can answer -------------------------------------------------------------------------------


def models(query: str, flags: Flags, config: str, *, as_json: bool) -> int:
    house = _house(flags, config)
    wanted = query.lower()
    found = [m for m in asyncio.run(_models(house)) if wanted in f"{m.provider}/{m.name}".lower()]
    if as_json:
        return _json([msgspec.to_builtins(m) for m in found])
    _columns([(f"{m.provider}/{m.name}", described(m.profile), m.detail) for m in found])
    return ANSWERED


async def _models(house: wiring.House) -> list[Any]:
    try:
        return await house.models()
    finally:
        await house.catalog.aclose()


def providers(flags: Flags, config: str, *, as_json: bool) -> int:
    house = _house(flags, config)
    rows, keyed = house.catalog.rows(), house.key_places()
    if as_json:
        return _json([{**msgspec.to_builtins(r), "key": keyed.get(r.name, "")} for r in rows])
    _columns([(r.name, r.dialect, r.base_url, _key_state(r, keyed)) for r in rows])
    return ANSWERED


def _key_state(row: Any, keyed: Mapping[str, str]) -> str:
    if row.name in keyed:
        return f"key: {keyed[row.name]}"
    return "no key needed" if row.local else "no key"


# -- settings and health --------------------------------------------------------------------------


def config(flags: Flags, path: str, *, as_json: bool) -> int:
    rows = list(_house(flags, path).loaded.rows())
    if as_json:
        return _json({n: {"value": value, "from": origin} for n, value, origin in rows})
    _columns([(name, _value(value), origin) for name, value, origin in rows])
    return ANSWERED


def _value(value: object) -> str:
    return dumps(value).decode()


def config_path(path: str) -> int:
    _print(str(_house({}, path).places.config_file))
    return ANSWERED


def doctor(flags: Flags, path: str, *, as_json: bool) -> int:
    """Each finding: what, how it is, and whether that is well."""
    house = _house(flags, path)
    found = list(_findings(house))
    if as_json:
        return _json([{"what": w, "is": text, "ok": ok} for w, text, ok in found])
    _columns([("ok" if ok else "--", what, text) for what, text, ok in found])
    return ANSWERED if all(ok for _, _, ok in found) else FAILED


def _findings(house: wiring.House) -> Iterable[tuple[str, str, bool]]:
    where = house.places
    yield "configuration", _there(where.config_file.exists(), str(where.config_file)), True
    yield "sessions", str(where.sessions), not is_open_to_others(where.sessions)
    yield "may be written", *_writable(str(where.data))
    chosen = house.choice or house.found_choice()
    yield "model", "/".join(chosen) if chosen else "a local server, else the guide", True
    yield "keys found for", ", ".join(house.key_places()) or "nobody", True
    servers = asyncio.run(_servers(house))
    yield "local servers", ", ".join(servers) or "none answers", True
    term = os.environ.get("TERM", "")
    yield "terminal", term or "unknown", True
    yield "proxy", os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "none", True


async def _servers(house: wiring.House) -> list[str]:
    from chinwag.providers.discovery import discover

    return [f"{s.name} at {s.base_url}" for s in await discover(house.environ)]


def _there(is_there: bool, text: str) -> str:  # noqa: FBT001 - a word about a file
    return text if is_there else f"{text} (not there: defaults hold)"


def _writable(folder: str) -> tuple[str, bool]:
    above = folder
    while above and not os.path.exists(above):  # noqa: PTH110 - walking up plain text
        above = os.path.dirname(above)  # noqa: PTH120 - the same
    ok = os.access(above or "/", os.W_OK)
    return folder if ok else f"{folder} cannot be written", ok


# -- keys -----------------------------------------------------------------------------------------


def keys(flags: Flags, path: str, *, as_json: bool) -> int:
    """Where each provider's key is, never what it is."""
    found = sorted(_house(flags, path).key_places().items())
    if as_json:
        return _json([{"provider": name, "key": where} for name, where in found])
    if not found:
        sys.stderr.write("no key yet: chat keys set PROVIDER keeps one\n")
    _columns(found)
    return ANSWERED


def set_key(provider: str, path: str) -> int:
    house = _house({}, path)
    house.catalog.row(provider)  # raises with near names where there is no such provider
    keep_key(house.places.keys_file, provider, _typed_key(provider))
    sys.stderr.write(f"the key of {safe_line(provider)} is in {house.places.keys_file}\n")
    return ANSWERED


def _typed_key(provider: str) -> str:
    """From a prompt that does not echo, or from a pipe; never from the command line."""
    if sys.stdin is None:
        raise UsageError("there is nobody to type the key", hint="pipe it in, or use a terminal")
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    from getpass import getpass

    try:
        return getpass(f"key of {safe_line(provider)} (not shown): ")
    except EOFError:
        return ""


def delete_key(provider: str, path: str) -> int:
    gone = drop_key(_house({}, path).places.keys_file, provider)
    sys.stderr.write(f"{'deleted' if gone else 'there was no'} key of {safe_line(provider)}\n")
    return ANSWERED if gone else FAILED


def keys_path(path: str) -> int:
    _print(str(_house({}, path).places.keys_file))
    return ANSWERED
