"""Writers of one database killed at random instants, and a look at what they leave. A program:

    python killing_sqlite.py DATABASE KILLS SEED

Each round two writers are forked, on one session or on one each, and killed with SIGKILL after a
random time; what a store acknowledged is told through a pipe. Then the next program opens the
database. Prints one line of JSON with what was counted; a broken promise ends it with a traceback.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import select
import signal
import sqlite3
import sys
import time
from pathlib import Path

from chinwag.errors import SessionConflict, SessionLocked, SessionNotFound, StoreUnavailable
from chinwag.stores.base import PartHead
from chinwag.stores.sqlite import SqliteStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid, UserSaid, new_id
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Headline, new_session_id

MOST = 12  # acknowledgements that are waited for before a kill, at most
PATIENCE = 5.0  # seconds, on a busy machine
LATER = 0.02  # seconds a writer lives on after that, at most


def live(path: Path, born: Birth, chance: random.Random, pipe: int) -> None:
    """Append, stream, settle, over and over. The session may be another writer's."""
    store = SqliteStore(path)
    count = 0
    with contextlib.suppress(SessionNotFound):
        count = len(store.read(born.id).entries)
    while True:
        entries: list[AnyEntry] = [_said(chance) for _ in range(chance.randint(1, 3))]
        name, text = new_id(), ""
        try:
            store.begin_part(born.id, PartHead(count + 1, name, "t"))
            for n in range(chance.randint(0, 4)):
                text += f"{n} bits of it, "
                store.add_part(born.id, [TextDelta(f"{n} bits of it, ")], sync=False)
            entries.append(AssistantSaid(id=name, parts=(Text(text),) if text else ()))
            count = store.append(born, entries, at=count, headline=Headline(title=str(count)))
        except (SessionConflict, SessionLocked, StoreUnavailable):
            with contextlib.suppress(SessionNotFound, StoreUnavailable):
                count = store.span(born.id, 0, 0)[1]
            time.sleep(0.001)
            continue
        at = count - len(entries)
        told = [f"{born.id} {n} {entry.id}\n" for n, entry in enumerate(entries, at + 1)]
        os.write(pipe, "".join(told).encode())
        if chance.random() < 0.3:
            store.unlock(born.id)


def _said(chance: random.Random) -> UserSaid:
    return UserSaid(id=new_id(), parts=(Text("word " * chance.randint(1, 900)),))


def started(path: Path, born: Birth, seed: float, pipe: int) -> int:
    child = os.fork()
    if child:
        return child
    try:
        live(path, born, random.Random(seed), pipe)
    except BaseException as error:  # noqa: BLE001 - a fork must never go on as its parent
        os.write(pipe, f"died {error!r}\n".encode())
    os._exit(1)


def round_of(path: Path, births: list[Birth], chance: random.Random) -> list[str]:
    """Two writers' lives; what they were told."""
    source, sink = os.pipe()
    children = [started(path, born, chance.random(), sink) for born in births]
    os.close(sink)
    told = heard(source, chance.choice([0, 0, 1, chance.randint(1, MOST)]))
    time.sleep(chance.random() * LATER)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        time.sleep(chance.random() * 0.005)
    with os.fdopen(source, "rb") as pipe:
        return (told + pipe.read()).decode().splitlines(keepends=True)


def heard(source: int, lines: int) -> bytes:
    """What writers were told, until it is so many lines."""
    told, limit = b"", time.monotonic() + PATIENCE
    while told.count(b"\n") < lines and time.monotonic() < limit:
        if select.select([source], [], [], 0.1)[0]:
            told += os.read(source, 65536)
    return told


def check(path: Path, saved: dict[str, dict[int, str]]) -> int:
    """Everything acknowledged is there, once, in its place."""
    total = 0
    with SqliteStore(path) as store:
        headers = {h.id: h for h in store.headers()}
        for session_id, ids in saved.items():
            stored = store.read(session_id)
            found = [entry.id for entry in stored.entries]
            assert stored.notices == ()
            assert headers[session_id].entries == len(found)
            for n, name in ids.items():
                assert found[n - 1] == name, f"acknowledged entry {n} is not there"
            assert len(set(found)) == len(found), "an entry is there twice"
            assert stored.rescued is None or stored.rescued.id not in found
            total += len(found)
    db = sqlite3.connect(path)
    assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    return total


def main(path: Path, kills: int, seed: int) -> None:
    chance = random.Random(seed)
    births = [_born(), _born()]
    saved: dict[str, dict[int, str]] = {}
    entries = 0
    for _ in range(kills // 2):
        if chance.random() < 0.3:
            births = [_born(), _born()]
        both = births if chance.random() < 0.5 else [births[0]] * 2
        for line in round_of(path, both, chance):
            assert not line.startswith("died"), line
            if line.endswith("\n"):
                session_id, n, name = line.split()
                before = saved.setdefault(session_id, {}).setdefault(int(n), name)
                assert before == name, "one place was acknowledged to two writers"
        if path.exists():
            entries = check(path, saved)
    print(json.dumps({"kills": kills // 2 * 2, "entries": entries}))


def _born() -> Birth:
    return Birth(id=new_session_id(), created="2026-11-20T09:00:00.000Z")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
