"""The real program killed at random instants: never an unreadable session, nothing lost.

What was acknowledged is known from `CHINWAG_TRACE`: its `saved` lines say how many entries of
which session are on the disk. (tests/stores kills the store itself, far more often.)
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from support import servers
from support.world import World

RUNS = 120
AT_ONCE = 2
SEED = 20261120
NAMES = ("alpha", "beta", "gamma")
LINES = (
    "say one two three\ntokens=60 rate=400\n/undo\n/retry\nsay four\n/rename other name\n/exit\n"
)

pytestmark = pytest.mark.slow

#: Starts like `chat`, but in a process that was forked with everything imported: a kill then falls
#: into the program's work, not into the interpreter's start. What there is to import, a first run
#: that is left alone tells; how long one takes, a second one: the strikes fall within twice that.
RUNNER = """
import contextlib, importlib, os, signal, sys, time
from chinwag.boot import main

def run(args, at_end=lambda: None):
    pid = os.fork()
    if pid:
        return pid
    os.dup2(os.open(args[0], os.O_RDONLY), 0)
    sys.stdin = open(0)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["chat", *args[1:]]
    leave = os._exit
    def leaving(code):
        at_end()
        leave(code)
    os._exit = leaving
    try:
        main()
    finally:
        os._exit(0)

first = sys.stdin.readline().rstrip("\\n").split("\\t")
source, sink = os.pipe()
run(first, lambda: os.write(sink, " ".join(sys.modules).encode()))
os.close(sink)
with open(source) as told:
    for name in told.read().split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
os.wait()
began = time.monotonic()
os.waitpid(run(first), 0)
print(time.monotonic() - began, flush=True)
for line in sys.stdin:
    seconds, *args = line.rstrip("\\n").split("\\t")
    pid = run(args)
    time.sleep(float(seconds))  # the instant of the strike, not a wait for something
    os.kill(pid, signal.SIGKILL)  # not waited for yet: the number is still its own
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@contextmanager
def running(world: World, number: int) -> Iterator[subprocess.Popen]:
    with (world.home / f"stderr-{number}").open("wb") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=world.env | {"CHINWAG_TRACE": str(world.home / f"trace-{number}")},
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


class Chance:
    """What is done in each run, and when it is struck; the same for the same seed."""

    def __init__(self, world: World, number: int) -> None:
        self.longest = 0.5  # seconds a run lives at most
        self._random = random.Random(SEED + number)
        self._lines = world.home / "lines"
        self._lines.write_text(LINES)
        self.nothing = world.home / "nothing"
        self.nothing.write_text("")
        self._large = world.home / "large.png"
        self._large.write_bytes(b"\x89PNG\r\n\x1a\n" + self._random.randbytes(300_000))
        self._number = number

    def run(self) -> tuple[list[str], float]:
        """(what is read, the arguments), and after how many seconds it is killed.

        Half of the runs begin something, half go on with what others began.
        """
        old = f"{self._random.choice(NAMES)}-{self._number}"
        name = old if self._random.random() < 0.5 else f"new-{self._random.randrange(10**9)}"
        kind = self._random.random()
        seconds = self._random.random() ** 2 * self.longest
        nothing = str(self.nothing)
        if kind < 0.3:
            return [nothing, "-n", name, "tokens=80 rate=400"], seconds
        if kind < 0.4:
            return [nothing, "--json", "-n", name, "say short"], seconds
        if kind < 0.5:
            return [nothing, "-n", name, "-f", str(self._large), "say short"], seconds
        if kind < 0.6:
            what = self._random.choice(["delete --yes", "restore", "rename"]).split()
            more = [f"{old} again"] if what == ["rename"] else []
            return [nothing, "sessions", *what, old, *more], seconds / 3
        return [str(self._lines), "--plain", "-n", name], seconds


def acknowledged(world: World) -> dict[str, int]:
    """Entries of each session that the program said are safe."""
    most: dict[str, int] = {}
    for trace in world.home.glob("trace-*"):
        for line in trace.read_bytes().rpartition(b"\n")[0].splitlines():
            event = json.loads(line)
            if event["what"] == "saved":
                most[event["session"]] = max(most.get(event["session"], 0), event["entries"])
    return most


def struck(process: subprocess.Popen, args: list[str], seconds: float) -> int:
    """Run it, kill it after so long; returns how it ended (-9: it was struck)."""
    process.stdin.write("\t".join([str(seconds), *args]) + "\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def readable(path: Path) -> bool:
    try:
        json.loads(path.read_bytes())
    except ValueError:
        return False
    return True


def strike(world: World, number: int, runs: int) -> list[int]:
    """One runner's strikes, one after the other; how each run ended."""
    chance = Chance(world, number)
    with running(world, number) as process:
        args = [str(chance.nothing), "-n", f"alpha-{number}", "tokens=80 rate=400"]
        process.stdin.write("\t".join(args) + "\n")
        process.stdin.flush()
        chance.longest = 2 * float(process.stdout.readline())
        return [struck(process, *chance.run()) for _ in range(runs)]


def everything(world: World) -> list[dict[str, Any]]:
    """Every session, those in the trash included."""
    trash = sorted((world.data / "trash").glob("*.json"))
    return [*world.documents(), *(json.loads(path.read_text()) for path in trash)]


def test_random_kills(world, soak):
    """`make soak` strikes 6,000 times; the store alone is struck as often in tests/stores."""
    with ExitStack() as stack:
        server = stack.enter_context(servers.ollama())
        world.use(server.url, dialect="ollama", model=servers.OLLAMA_MODELS[0])
        threads = stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        runs = (RUNS if soak == 1 else 300 * soak) // AT_ONCE
        ends = [
            end
            for done in threads.map(lambda n: strike(world, n, runs), range(AT_ONCE))
            for end in done
        ]
        safe = acknowledged(world)
        torn = [p.stem for p in (world.data / "sessions").glob("*.json") if not readable(p)]
        assert len(torn) <= max(2, len(ends) // 50), f"a torn tail is rare: {torn}"
        cut = [p.stem for p in (world.data / "sessions").glob("*.part")]
        assert cut, "no answer was struck while it streamed"
        for session in {*torn, *cut[:8]}:
            opened = world.chat("-r", session, "say goodbye")
            assert opened.code == 0, opened.err
        listed = world.chat("sessions", "list", "--json").json
    assert ends.count(-signal.SIGKILL) > len(ends) // 2, "the strikes came too late"
    folder = world.data / "sessions"
    assert not [p.name for p in folder.glob("*") if "damaged" in p.name]
    assert not [line for line in listed if line.get("damaged")]
    documents = everything(world)
    entries = {d["id"]: len(d["messages"]) for d in documents}
    assert len(entries) == len(documents), "a session is in two places"
    for session, count in safe.items():
        assert session in entries, f"{session} has gone"
        assert entries[session] >= count
    statuses = {m.get("status") for d in documents for m in d["messages"]}
    assert "interrupted" in statuses, "half an answer was not brought back"
    for document in documents:
        numbers = [m["n"] for m in document["messages"]]
        assert numbers == list(range(1, len(numbers) + 1))
        ids = [m["id"] for m in document["messages"] if m.get("id")]
        assert len(ids) == len(set(ids)), "an entry is there twice"
    named = {part["blob"].split(";")[0] for d in documents for part in attachments(d)}
    assert named, "nothing large was attached"
    for digest in named:
        assert (world.data / "blobs" / digest[:2] / digest[2:]).stat().st_size > 300_000
    for number in range(AT_ONCE):
        assert "Traceback" not in (world.home / f"stderr-{number}").read_text()


def attachments(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a session whose content lies in a blob."""
    parts = [
        p for m in document["messages"] if isinstance(m.get("content"), list) for p in m["content"]
    ]
    return [part for part in parts if part.get("blob")]
