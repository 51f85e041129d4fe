"""Writers killed at random instants, and a look at what they leave. Run as a program:

    python killing.py ROOT KILLS SEED
    python killing.py ROOT ROUNDS SEED two

One process forks a writer, kills it with SIGKILL after a random time, and then opens the session
as the next program would. A writer tells through a pipe what the store acknowledged, when it did.
Half of the writers go on with a session that another one began; they append, stream, attach, give
names, delete, restore, leave. With `two`, two writers at a time want the same session: one gets it,
the other is told who has it, until that one lets go or is killed. Prints one line of JSON with what
was counted; any promise that was broken ends it with a traceback.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from chinwag.errors import SessionLocked
from chinwag.stores import blobs
from chinwag.stores.base import PartHead
from chinwag.stores.files import FileStore
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AnyEntry, AssistantSaid, Titled, UserSaid, new_id
from chinwag.talk.message import File, Text
from chinwag.talk.session import Birth, Headline, new_session_id

LIVES = 2.0  # the longest life of a writer, to the time it takes one to save and stream a little
LEAST = 0.03  # seconds
OF_TWO = 10  # two that wait for each other live so many times longer


class Writer:
    """The child: appends, streams, settles, over and over, until it is killed."""

    def __init__(self, root: Path, born: Birth, chance: random.Random, pipe: int) -> None:
        self.store = FileStore(root, whole=chance.random() < 0.2)
        self.born, self.chance, self.pipe = born, chance, pipe
        self.count = 0

    def live(self) -> None:
        self.store.lock(self.born.id)
        if (self.store.folder / f"{self.born.id}.json").exists():
            stored = self.store.read(self.born.id)
            self.count = len(stored.entries)
            if stored.rescued:
                self.append(stored.rescued)
            self.store.end_part(self.born.id)
        while True:
            self.append(*(self.said() for _ in range(self.chance.randint(1, 3))))
            self.answer()
            match self.chance.randrange(8):
                case 0:
                    self.append(Titled(id=new_id(), title="harbour"))
                case 1:
                    self.store.delete(self.born.id)
                    self.store.restore(self.born.id)
                    self.store.lock(self.born.id)
                case 2:
                    self.store.close()
                    self.store.lock(self.born.id)

    def contend(self) -> None:
        """Want the session again and again; have it for a while."""
        while True:
            began = time.perf_counter()
            try:
                self.store.lock(self.born.id)
            except SessionLocked as refusal:
                self.tell(f"told {time.perf_counter() - began:.6f} {refusal.owner}")
                time.sleep(self.chance.random() * 0.003)
                continue
            if (self.store.folder / f"{self.born.id}.json").exists():
                self.count = len(self.store.read(self.born.id).entries)
            for _ in range(self.chance.randint(1, 5)):
                self.append(self.said())
            time.sleep(self.chance.choice([0, 0.08]))
            self.store.unlock(self.born.id)
            time.sleep(self.chance.random() * 0.002)

    def said(self) -> UserSaid:
        text = Text("word " * self.chance.randint(1, 900))
        if self.chance.random() < 0.1:
            file = File(name="f", text=f"{self.chance.random()} " * 200)
            return UserSaid(id=new_id(), parts=(text, file))
        return UserSaid(id=new_id(), parts=(text,))

    def append(self, *entries: AnyEntry) -> None:
        line = Headline(title="t" * self.chance.randint(0, 200))
        before = self.count
        self.count = self.store.append(self.born, entries, at=before, headline=line)
        for n, entry in enumerate(entries, before + 1):
            self.tell(f"saved {n} {entry.id}")

    def answer(self) -> None:
        name, text = new_id(), ""
        self.store.begin_part(self.born.id, PartHead(self.count + 1, name, "t"))
        for n in range(self.chance.randint(0, 6)):
            piece = f"{n} bits of it, "
            text += piece
            self.store.add_part(self.born.id, [TextDelta(piece)], sync=self.chance.random() < 0.2)
            self.tell(f"heard {name} {len(text)}")
        self.append(AssistantSaid(id=name, parts=(Text(text),) if text else ()))
        self.store.end_part(self.born.id)

    def tell(self, line: str) -> None:
        os.write(self.pipe, line.encode() + b"\n")


def forked(root: Path, born: Birth, seed: float, how: str) -> tuple[int, int]:
    """A writer of its own process, and the pipe through which it tells what it was told."""
    source, sink = os.pipe()
    child = os.fork()
    if child:
        os.close(sink)
        return child, source
    os.close(source)
    try:
        writer = Writer(root, born, random.Random(seed), sink)
        writer.live() if how == "one" else writer.contend()
    except BaseException as error:  # noqa: BLE001 - a fork must never go on as its parent
        os.write(sink, f"died {error!r}\n".encode())
    os._exit(1)


def longest(root: Path) -> float:
    """Seconds a writer may live: enough to have begun, on a machine as busy as this one is now."""
    began = time.perf_counter()
    child, source = forked(root, _born(), 0.5, "one")
    with os.fdopen(source, "rb") as pipe:
        for _ in range(6):
            pipe.readline()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return max(LEAST, LIVES * (time.perf_counter() - began))


def killed(root: Path, born: Birth, chance: random.Random, writers: int, life: float) -> list[str]:
    """The lives of so many writers at a time; what they were told."""
    how = "one" if writers == 1 else "two"
    children = [forked(root, born, chance.random(), how) for _ in range(writers)]
    lines: list[str] = []
    for child, source in children:
        time.sleep(chance.random() ** 2 * life * (1 if writers == 1 else OF_TWO))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        with os.fdopen(source, "rb") as pipe:
            lines += pipe.read().decode().splitlines()
    return lines


def check(root: Path, born: Birth, saved: dict[int, str], heard: tuple[str, int]) -> int:
    """Whether everything that was promised is kept; how many entries there are."""
    path = root / "sessions" / f"{born.id}.json"
    with FileStore(root) as store:
        in_trash = [t.header.id for t in store.trashed()]
        if not path.exists() and born.id in in_trash:
            store.restore(born.id)
        elif not path.exists():
            assert not saved, "an acknowledged session is gone"
            return 0
        assert store.header(born.id).damaged == ""
        store.lock(born.id)
        stored = store.read(born.id)
        ids = [entry.id for entry in stored.entries]
        for n, name in saved.items():
            assert ids[n - 1] == name, f"acknowledged entry {n} is not there"
        assert len(set(ids)) == len(ids), "an entry is there twice"
        plain = json.loads(path.read_bytes())
        assert [m["n"] for m in plain["messages"]] == list(range(1, len(ids) + 1))
        name, size = heard
        if size and name not in ids:
            assert stored.rescued is not None, "an answer that was coming in is gone"
            assert stored.rescued.id == name
            assert len(stored.rescued.text) >= size
        elif stored.rescued:
            assert stored.rescued.id not in ids
    return len(ids)


def main(root: Path, kills: int, seed: int, writers: int) -> None:
    blobs.INLINE = 2000
    chance = random.Random(seed)
    born, saved, torn, entries = _born(), dict[int, str](), 0, 0
    told: list[float] = []
    for n in range(kills):
        if n % 50 == 0:
            life = longest(root)
        if chance.random() < 0.5:
            born, saved = _born(), {}
        heard = ("", 0)
        for line in killed(root, born, chance, writers, life):
            what, first, *rest = line.split(" ", 2)
            assert what != "died", line
            if what == "saved":
                assert saved.setdefault(int(first), rest[0]) == rest[0], "one place, two entries"
            elif what == "told":
                assert rest[0].startswith("process "), "nobody was named"
                told.append(float(first))
            else:
                heard = (first, int(rest[0]))
        torn += not _valid(root / "sessions" / f"{born.id}.json")
        entries += check(root, born, saved, heard)
    counted = {"kills": kills, "entries": entries, "not valid before opening": torn}
    print(json.dumps(counted | {"told": len(told), "slowest": max(told, default=0)}))


def _born() -> Birth:
    return Birth(id=new_session_id(), created="2026-11-20T09:00:00.000Z")


def _valid(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:
        return False
    return True


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), len(sys.argv) - 3)
