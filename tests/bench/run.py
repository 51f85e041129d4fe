"""What the program costs, as ratios to floors measured in the same run. `make bench`.

    python tests/bench/run.py [--quick] [--only start,frame,stream,append,wire]

Candidates take turns, so that a busy moment strikes all of them; medians are compared. The exit
code is 1 when a goal that is due was missed. Times are wall seconds unless CPU is said.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE)]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

import talks  # noqa: E402 - the paths above come first
from table import Table, median, ms  # noqa: E402
from wire import wire  # noqa: E402

from support.terminal import CHAT, Terminal, own_environment  # noqa: E402
from support.world import World  # noqa: E402

KEY = "λ"  # a letter no frame holds, so that a repaint is not taken for an echo
TYPED = "typed while it starts: 0123456789 abcdefghijklmnopqrstuvwxyz ."


# -- start ----------------------------------------------------------------------------------------


class Start:
    """One start: seconds from exec to the first visible sign, to an echoed key, to the screen."""

    def __init__(self, command: Sequence[str], env: dict[str, str]) -> None:
        with Terminal(command, env, draws=False) as terminal:
            self.paint = self.echo = 0.0
            while not (self.paint and terminal.reads_keys()):
                self._pump(terminal)
                if not self.paint and "›".encode() in terminal.raw:
                    self.paint = time.monotonic() - terminal.started
            at = len(terminal.raw)
            terminal.send(KEY)
            while KEY.encode() not in terminal.raw[at:]:
                self._pump(terminal)
            self.echo = time.monotonic() - terminal.started
            self.screen = self._screen(terminal)
            terminal.send("\x7f\x04")
            terminal.exit_code(20)

    def _pump(self, terminal: Terminal) -> None:
        terminal.pump(0.0005)
        assert time.monotonic() - terminal.started < 20, bytes(terminal.raw[-500:])

    def _screen(self, terminal: Terminal) -> float:
        """When the program itself says that its real screen is painted; 0 where it cannot say."""
        if "CHINWAG_TRACE" not in terminal.env:
            return 0.0
        painted = terminal.wait_traced("painted", seconds=20)
        return float(painted["t"]) - terminal.started


def start(table: Table, folder: Path, quick: bool) -> None:
    world = World(folder / "start")
    floors = own_environment(folder / "start")
    rounds = {"raw": [], "bare": [], "ours": []}  # type: dict[str, list[Start]]
    for n in range(5 if quick else 15):
        env = world.env | {"CHINWAG_TRACE": str(world.home / f"trace-{n}")}
        rounds["raw"].append(Start([sys.executable, str(HERE / "floor_raw.py")], floors))
        rounds["bare"].append(Start([sys.executable, str(HERE / "floor_screen.py")], floors))
        rounds["ours"].append(Start([CHAT], env))
    table.title("start (from exec; floors: a raw painter, a bare prompt_toolkit full screen)")
    for name, runs in rounds.items():
        table.note(f"{name}: first paint", ms([run.paint for run in runs]))
        table.note(f"{name}: first key echoed", ms([run.echo for run in runs]))
    table.note("ours: the real screen painted", ms([run.screen for run in rounds["ours"]]))
    echo = {name: median([run.echo for run in runs]) for name, runs in rounds.items()}
    screen = median([run.screen for run in rounds["ours"]])
    table.ratio("first key echoed, to bare", echo["ours"] / echo["bare"], 1.6)
    table.ratio("first key echoed, to raw", echo["ours"] / echo["raw"], 2.8, due=False)
    table.ratio("real screen, to bare's first key", screen / echo["bare"], 1.6, due=False)
    table.nothing("letters lost or out of order since exec", lost(world, 2 if quick else 6))


def lost(world: World, rounds: int) -> int:
    """Letters typed from the instant of exec on that did not arrive in their place."""
    missing = 0
    for n in range(rounds):
        env = world.env | {"CHINWAG_TRACE": str(world.home / f"typed-{n}")}
        with Terminal([CHAT], env) as terminal:
            for letter in TYPED:
                terminal.send(letter)
                terminal.pump(0.002)
            terminal.wait_traced("painted", seconds=20)
            with contextlib.suppress(AssertionError):
                terminal.wait_for(TYPED, 3)
            shown = next((s for s in terminal.lines() if s.startswith(" ›")), " ›")[3:]
            missing += sum(a != b for a, b in zip(TYPED.ljust(99), shown.ljust(99), strict=False))
            terminal.send("\x03\x04")
            terminal.exit_code(20)
    return missing


# -- frames ---------------------------------------------------------------------------------------


class Frames:
    """The real screen on the real desk, with a session open, drawing to nowhere."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._name = name

    async def measured(self, count: int) -> tuple[list[float], list[float]]:
        """Seconds of frames in which a letter was typed, and of frames after scrolling."""
        from prompt_toolkit.input import create_pipe_input
        from prompt_toolkit.output import DummyOutput

        from chinwag import wiring
        from chinwag.desk import Opening
        from chinwag.frontends.tui.shell import Shell

        desk = wiring.settle_in({}, "", self._world.env).desk()
        desk.opening = Opening(resume=self._name)
        with create_pipe_input() as keyboard:
            shell = Shell(desk, input=keyboard, output=DummyOutput(), environ=self._world.env)
            task = asyncio.create_task(shell.run())
            await self._until(lambda: shell.transcript.ready and len(desk.session) > 10)
            await self._until(lambda: not shell.transcript.busy)
            try:
                return await self._frames(shell, count)
            finally:
                shell.leave()
                await task
                await desk.close()

    async def _frames(self, shell: Any, count: int) -> tuple[list[float], list[float]]:
        typing, scrolling = [], []
        for n in range(count):
            shell.buffer.insert_text("ab "[n % 3])
            typing.append(self._frame(shell))
            await asyncio.sleep(0)
        for _ in range(count):
            shell.acting.scroll(-5)
            scrolling.append(self._frame(shell))
            await asyncio.sleep(0)
        return typing, scrolling

    def _frame(self, shell: Any) -> float:
        before = time.perf_counter()
        shell.app._redraw()
        return time.perf_counter() - before

    async def _until(self, true: Callable[[], bool]) -> None:
        limit = time.monotonic() + 30
        while not true():
            assert time.monotonic() < limit, "the screen did not come up"
            await asyncio.sleep(0.01)


def frame(table: Table, folder: Path, quick: bool) -> None:
    small, large = 100, 10_000
    world = World(folder / "frame")
    world.configure('model = "guide/guide"\n')
    for count in (small, large):
        talks.write(world.data, count, f"talk-{count}")
    typing: dict[int, list[float]] = {small: [], large: []}
    scrolling: dict[int, list[float]] = {small: [], large: []}
    for _ in range(2 if quick else 4):
        for count in (small, large):
            found = asyncio.run(Frames(world, f"talk-{count}").measured(60))
            typing[count] += found[0]
            scrolling[count] += found[1]
    table.title("frames (the real screen and desk in this process), and opening a long session")
    for count in (small, large):
        table.note(f"a letter typed, {count:,} messages", ms(typing[count]))
        table.note(f"scrolled, {count:,} messages", ms(scrolling[count]))
    table.ratio("frame, 10,000 to 100", median(typing[large]) / median(typing[small]), 1.5)
    after = median(scrolling[large]) / median(scrolling[small])
    table.ratio("scrolled frame, 10,000 to 100", after, 1.5)
    opened: dict[int, list[float]] = {small: [], large: []}
    for n in range(3 if quick else 7):
        for count in (small, large):
            opened[count].append(resumed(world, count, n))
    for count in (small, large):
        table.note(f"chat --resume, {count:,} messages, last one seen", ms(opened[count]))
    table.seconds("10,000 more than 100", median(opened[large]) - median(opened[small]), 0.3)


def resumed(world: World, count: int, n: int) -> float:
    """Seconds from exec until the end of the last answer is on the screen."""
    trace = world.home / f"resumed-{count}-{n}"
    command = [CHAT, "--resume", f"talk-{count}"]
    with Terminal(command, world.env | {"CHINWAG_TRACE": str(trace)}, draws=False) as terminal:
        at = terminal.wait_raw(f"stone{count // 2 - 1}x".encode(), 30)
        terminal.ready()
        terminal.send("\x04")
        terminal.exit_code(20)
        return at - terminal.started


# -- streaming ------------------------------------------------------------------------------------


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """The address of a bench server, in a process of its own."""
    command = [sys.executable, str(HERE / "serve.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


def told(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=10) as answer:
        return json.load(answer)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process and its threads, to the nanosecond where the kernel counts them."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    with contextlib.suppress(OSError, ValueError):
        spent = sum(int((task / "schedstat").read_text().split()[0]) for task in tasks)
        if spent:
            return spent / 1e9
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def settled(terminal: Terminal, calm: float = 0.3) -> float:
    """CPU seconds spent by the time the program has had nothing to do for ``calm`` seconds."""
    limit = time.monotonic() + 60
    spent, since = cpu_of(terminal.pid), time.monotonic()
    while time.monotonic() - since < calm:
        assert time.monotonic() < limit, "the program never comes to rest"
        terminal.pump(0.02)
        now = cpu_of(terminal.pid)
        if now - spent > 0.003:
            spent, since = now, time.monotonic()
    return spent


def quarters(terminal: Terminal, address: str, before: float) -> list[float]:
    """CPU seconds of each quarter of the answer that is sent; ``before`` it so many were spent."""
    out = []
    for n in range(1, 5):
        limit = time.monotonic() + 120
        while told(address + "/sent")["sent"] < n:
            assert time.monotonic() < limit, "the quarter never ended"
            terminal.pump(0.05)
        spent = settled(terminal)
        out.append(spent - before)
        before = spent
        told(address + "/go")
    return out


def stream(table: Table, folder: Path, quick: bool) -> None:
    tokens = 4_000 if quick else 20_000
    ours: list[list[float]] = []
    floor: list[list[float]] = []
    size = 0
    with serving() as address:
        world = World(folder / "stream")
        world.use(address + "/v1", model="bench")
        for n in range(1 if quick else 3):
            floor.append(_floor_stream(world, address, tokens))
            found, size = _our_stream(world, address, tokens, n)
            ours.append(found)
    table.title(f"streaming {tokens:,} tokens as fast as they are taken, CPU a token")
    per = tokens / 4 / 1e6
    for n in range(4):
        mine, bare = (median([run[n] for run in runs]) / per for runs in (ours, floor))
        table.note(f"quarter {n + 1}: ours / httpx + print", f"{mine:.0f} / {bare:.0f} us")
    table.note("bytes to the terminal", f"{size:,}")
    whole = median([sum(run) for run in ours]) / median([sum(run) for run in floor])
    table.ratio("last quarter to first", median([run[3] / run[0] for run in ours]), 1.3)
    table.ratio("whole answer, to httpx + print", whole, 3.0, due=False)


def _our_stream(world: World, address: str, tokens: int, n: int) -> tuple[list[float], int]:
    env = world.env | {"CHINWAG_TRACE": str(world.home / f"trace-{n}")}
    with Terminal([CHAT], env, draws=False) as terminal:
        terminal.ready()
        terminal.wait_traced("painted")
        settled(terminal)
        terminal.send("tokens=600\r")  # what the first answer imports is not what is measured
        terminal.wait_traced("rested", 1, 30)
        before = settled(terminal)
        size = len(terminal.raw)
        terminal.send(f"tokens={tokens} quarters\r")
        terminal.wait_traced("request", 2, 30)
        found = quarters(terminal, address, before)
        terminal.wait_traced("rested", 2, 60)
        size = len(terminal.raw) - size
        terminal.send("\x04")
        terminal.exit_code(20)
    return found, size


def _floor_stream(world: World, address: str, tokens: int) -> list[float]:
    question = f"tokens={tokens} quarters"
    command = [sys.executable, str(HERE / "floor_stream.py"), address + "/v1", question]
    with Terminal(command, world.env, draws=False) as terminal:
        # Its imports are over before the first token is printed.
        terminal.wait_raw(b"Section")
        before = cpu_of(terminal.pid)
        found = quarters(terminal, address, before)
        terminal.exit_code(20)
    return found


# -- appending ------------------------------------------------------------------------------------


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


PARTS = {"start": start, "frame": frame, "stream": stream, "append": append, "wire": wire}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, a shorter answer")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between")
    asked = parser.parse_args()
    source = HERE.parents[1] / "src"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(source)], check=True)
    table = Table()
    with tempfile.TemporaryDirectory(prefix="chinwag-bench-") as folder:
        for name in asked.only.split(","):
            PARTS[name](table, Path(folder), asked.quick)
    print(f"\n{table.missed} due goals missed" if table.missed else "\nevery due goal reached")
    return 1 if table.missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
