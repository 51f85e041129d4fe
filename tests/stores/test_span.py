"""Parts of a session from where they lie in its file: the same as reading it all, far cheaper."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from chinwag.errors import StoreError
from chinwag.stores import document as doc
from chinwag.stores.files import FileStore
from chinwag.talk.entry import AnyEntry, UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Headline
from contracts.store import EVERY_KIND, birth, some
from stores.disks import TestDisk


def uneven(count: int, chance: random.Random) -> tuple[AnyEntry, ...]:
    """Entries from a few bytes to a megabyte long."""
    sizes = [chance.choice([1, 10, 300, 3000, 70_000]) for _ in range(count)]
    sizes[chance.randrange(count)] = 1_000_000
    return tuple(
        UserSaid(id=f"u{n}", parts=(Text('{"n":7,' + "w" * size),)) for n, size in enumerate(sizes)
    )


@pytest.mark.parametrize("seed", range(6))
def test_any_span_is_what_reading_everything_gives(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    disk = TestDisk()
    with FileStore(tmp_path, disk) as store:
        born, count = birth(), chance.choice([1, 40, 700])
        entries = uneven(count, chance)
        store.append(born, entries, at=0, headline=Headline())
        before = disk.names.count("pread"), disk.read
        for _ in range(60):
            after = chance.randrange(-2, count + 3)
            upto = chance.choice([None, chance.randrange(count + 3)])
            found, total = store.span(born.id, after, upto)
            assert total == count
            assert found == entries[max(0, after) : upto]
        largest = (tmp_path / "sessions" / f"{born.id}.json").stat().st_size
        assert disk.read - before[1] <= 61 * (largest + 1_200_000)


def test_a_long_session_is_read_from_its_end_and_its_middle(tmp_path: Path) -> None:
    disk = TestDisk()
    with FileStore(tmp_path, disk) as store:
        born = birth()
        store.append(born, some(50_000), at=0, headline=Headline())
        for after in (49_900, 25_000, 0, 31_415):
            read, calls = disk.read, disk.counts["pread"]
            found, count = store.span(born.id, after, after + 100)
            assert (count, found) == (50_000, some(100, after + 1))
            assert disk.read - read < 400_000
            assert disk.counts["pread"] - calls < 60


def odd(store: FileStore, born: Birth, how: str) -> None:
    """Bring a session's file into a form that has no quick way through."""
    path = store.folder / f"{born.id}.json"
    raw = path.read_bytes()
    match how:
        case "indented":
            raw = json.dumps(json.loads(raw), indent=1).encode()
        case "CRLF":
            raw = raw.replace(b"\n", b"\r\n")
        case "blank lines":
            raw = raw.replace(b"\n,", b"\n\n,")
        case "damaged":
            raw = raw.replace(b"message 5", b"\0")
        case "torn":
            raw = raw[:-150]
        case "no header":
            raw = raw.partition(b"\n")[2]
        case "numbers elsewhere":
            raw = raw.replace(b'"n":5,', b'"m":5,"n":5,')
        case "swapped":
            raw = raw.replace(b'"n":5,', b'"n":55,').replace(b'"n":6,', b'"n":5,')
        case "lying count":
            raw = raw.replace(b'"count":9', b'"count":7')
    path.write_bytes(raw)


@pytest.mark.parametrize(
    "how",
    [
        *("indented", "CRLF", "blank lines", "damaged", "torn", "no header"),
        *("numbers elsewhere", "swapped", "lying count"),
    ],
)
def test_a_file_that_is_not_as_we_left_it_is_read_whole(tmp_path: Path, how: str) -> None:
    with FileStore(tmp_path) as store:
        born = birth()
        store.append(born, some(9), at=0, headline=Headline())
        odd(store, born, how)
        wanted = store.read(born.id).entries
        for after, upto in ((0, None), (4, None), (4, 6), (8, None)):
            found, count = store.span(born.id, after, upto)
            assert found == wanted[after:upto]
            assert count == len(wanted)


def test_every_kind_of_entry_can_be_reached(tmp_path: Path) -> None:
    with FileStore(tmp_path) as store:
        born = birth()
        store.append(born, EVERY_KIND * 30, at=0, headline=Headline())
        whole = store.read(born.id).entries
        for after in range(0, len(whole), 17):
            assert store.span(born.id, after, after + 5)[0] == whole[after : after + 5]


def test_what_is_being_written_is_followed(tmp_path: Path) -> None:
    """Another store reads the end over and over while this one writes: always whole entries."""
    born = birth()
    with FileStore(tmp_path, whole=False) as writer:
        writer.append(born, some(1), at=0, headline=Headline())
        problems: list[object] = []
        done = threading.Event()

        def follow() -> None:
            seen = 0
            with FileStore(tmp_path) as reader:
                while seen < 200 and not problems:
                    try:
                        found, count = reader.span(born.id, seen)
                        if found != some(count - seen, seen + 1):
                            problems.append((seen, count))
                        seen = max(seen, count)
                    except StoreError as error:
                        problems.append(error)
                    if done.is_set() and seen < 200 and count < 200:
                        problems.append(f"only {count} seen")

        thread = threading.Thread(target=follow)
        thread.start()
        for n in range(2, 201):
            writer.append(born, some(1, n), at=n - 1, headline=Headline(title="t" * (n % 90)))
        time.sleep(0.05)
        done.set()
        thread.join(20)
    assert problems == []
    assert not thread.is_alive()


LOOK = """
import re, sys, time
from pathlib import Path
from chinwag.stores.files import FileStore
store = FileStore(Path(sys.argv[1]))
(header,) = store.headers()
assert header.entries == 1_000_000
times = []
for after in (999_800, 999_600, 500_000, 0, 123_456):
    began = time.perf_counter()
    entries, count = store.span(header.id, after, after + 200)
    times.append(time.perf_counter() - began)
    assert count == 1_000_000
    assert [e.text.split()[0] for e in entries] == [str(n) for n in range(after + 1, after + 201)]
status = Path("/proc/self/status").read_text()  # getrusage counts what we were forked from
print(max(times), int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) // 1024)
"""


@pytest.mark.slow
def test_a_million_entries_open_from_their_end_in_little_memory(tmp_path: Path) -> None:
    """330 MB under `ulimit -v 600000`: the last 200, those before, the middle, the first."""
    folder = tmp_path / "sessions"
    folder.mkdir(0o700)
    born, crc, words = birth(), 0, "word " * 48
    line = ',{"n":%d,"kind":"user","id":"u","role":"user","content":"%d %s"}\n'
    with (folder / f"{born.id}.json").open("wb") as file:
        file.write(doc.header_line(born))
        for at in range(0, 1_000_000, 10_000):
            rows = "".join(line % (n, n, words) for n in range(at + 1, at + 10_001))
            body = rows.encode()[at == 0 :]
            crc = doc.crc_of(body, crc)
            file.write(body)
        file.write(doc.closing_line(Headline(title="T"), 1_000_000, crc))
        assert file.tell() > 300_000_000
    (folder / f"{born.id}.json").chmod(0o600)
    command = 'ulimit -v 600000; exec "$0" -c "$1" "$2"'
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, LOOK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    slowest, memory = done.stdout.split()
    assert float(slowest) < 0.05 * 4  # measured: 0.003; other tests may have the processor
    assert int(memory) <= 150
