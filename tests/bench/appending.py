"""What one message more costs a short session and a long one."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import talks
from table import Table, median, ms


def append(table: Table, folder: Path, quick: bool) -> None:
    sizes = (10, 1_000, 10_000 if quick else 50_000)
    rounds = 40 if quick else 150
    writers = {size: Appender(folder / f"append-{size}", size) for size in sizes}
    raw = RawAppender(folder / "raw")
    times: dict[int, list[float]] = {size: [] for size in (0, *sizes)}
    written: dict[int, list[float]] = {size: [] for size in (0, *sizes)}
    for _ in range(rounds):
        for size, writer in ((0, raw), *writers.items()):
            before, began = bytes_written(), time.perf_counter()
            writer.append()
            times[size].append(time.perf_counter() - began)
            written[size].append(bytes_written() - before)
    table.title("one message of 1 kB more (floor: write + fdatasync of the same bytes)")
    for size in (0, *sizes):
        name = f"at {size:,} entries" if size else "write + fdatasync"
        table.note(name, ms(times[size]), f"{median(written[size]):,.0f} bytes")
    few, many = sizes[0], sizes[-1]
    table.ratio(f"time, {many:,} to 10", median(times[many]) / median(times[few]), 1.5)
    table.ratio(f"bytes, {many:,} to 10", median(written[many]) / median(written[few]), 1.5)
    table.ratio("time at 10, to the floor", median(times[few]) / median(times[0]), 3.0, due=False)


def bytes_written() -> int:
    """Bytes this process has handed to the kernel to write."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise AssertionError("the kernel does not count what is written")


class Appender:
    """A store with a session of so many entries, to which one more is added at a time."""

    def __init__(self, folder: Path, size: int) -> None:
        from chinwag.stores.files import FileStore
        from chinwag.talk.entry import UserSaid, new_id, now
        from chinwag.talk.message import Text

        self._make = lambda text: UserSaid(id=new_id(), at=now(), parts=(Text(text),))
        self._store = FileStore(folder)
        self._session, _ = talks.talk(0, "long")
        self._headline = self._session.headline()
        self._count = 0
        while self._count < size:
            self._add([self._make("a short one")] * min(5_000, size - self._count))

    def _add(self, entries: list[Any]) -> None:
        birth, at = self._session.birth, self._count
        self._count = self._store.append(birth, entries, at=at, headline=self._headline)

    def append(self) -> None:
        self._add([self._make("x" * 1000)])


class RawAppender:
    """The same bytes, written at the end of a file and synced."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def append(self) -> None:
        os.write(self._fd, b"x" * 1200)
        os.fdatasync(self._fd)
