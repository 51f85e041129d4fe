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
from pathlib import Path

import pytest

from support import servers
from support.world import World

RUNS = 60
SEED = 20261120
LONGEST = 0.6  # seconds a run lives at most
LINES = (
    "say one two three\ntokens=60 rate=400\n/undo\n/retry\nsay four\n/rename other name\n/exit\n"
)

pytestmark = pytest.mark.slow

#: Starts like `chat`, but in a process that was forked with everything imported: a kill then falls
#: into the program's work, not into the interpreter's start.
RUNNER = """
import os, signal, sys, time
import chinwag.cli, chinwag.wiring, chinwag.frontends.plain, chinwag.frontends.jsonl
import chinwag.providers.http, chinwag.stores.files, chinwag.context.counting
from chinwag.boot import main
for line in sys.stdin:
    seconds, *args = line.rstrip("\\n").split("\\t")
    pid = os.fork()
    if not pid:
        os.dup2(os.open(args[0], os.O_RDONLY), 0)
        sys.stdin = open(0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.argv = ["chat", *args[1:]]
        try:
            main()
        finally:
            os._exit(0)
    time.sleep(float(seconds))  # the instant of the strike, not a wait for something
    os.kill(pid, signal.SIGKILL)  # not waited for yet: the number is still its own
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


@pytest.fixture
def runner(world: World):
    with (world.home / "stderr").open("wb") as complaints:
        process = subprocess.Popen(
            [sys.executable, "-c", RUNNER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=world.env,
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

    def __init__(self, world: World, seed: int) -> None:
        self._random = random.Random(seed)
        self._lines = world.home / "lines"
        self._lines.write_text(LINES)
        self._nothing = world.home / "nothing"
        self._nothing.write_text("")

    def run(self) -> tuple[list[str], float]:
        """(what is read, the arguments), and after how many seconds it is killed."""
        name = self._random.choice(["alpha", "beta", "gamma"])
        kind = self._random.random()
        seconds = self._random.random() ** 2 * LONGEST
        if kind < 0.4:
            return [str(self._nothing), "-n", name, "tokens=80 rate=400"], seconds
        if kind < 0.5:
            return [str(self._nothing), "--json", "-n", name, "say short"], seconds
        return [str(self._lines), "--plain", "-n", name], seconds


def acknowledged(world: World) -> dict[str, int]:
    """Entries of each session that the program said are safe."""
    most: dict[str, int] = {}
    if world.trace_file.exists():
        for line in world.trace_file.read_bytes().rpartition(b"\n")[0].splitlines():
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


def test_random_kills(world, runner, soak):
    with servers.ollama() as server:
        model = servers.OLLAMA_MODELS[0]
        world.use(server.url, dialect="ollama", model=model)
        chance = Chance(world, SEED)
        ends = []
        for _ in range(RUNS * soak):
            args, seconds = chance.run()
            ends.append(struck(runner, args, seconds))
        safe = acknowledged(world)
        torn = [p.name for p in (world.data / "sessions").glob("*.json") if not readable(p)]
        for name in ("alpha", "beta", "gamma"):
            opened = world.chat("-n", name, "say goodbye")
            assert opened.code == 0, opened.err
    assert ends.count(-signal.SIGKILL) > len(ends) // 2, "the strikes came too late"
    assert len(torn) <= 1, f"a write in progress may be torn until it is opened: {torn}"
    folder = world.data / "sessions"
    assert not [p.name for p in folder.glob("*") if "damaged" in p.name]
    documents = {d["id"]: d for d in world.documents()}
    for session, entries in safe.items():
        assert session in documents, f"{session} has gone"
        assert len(documents[session]["messages"]) >= entries
    statuses = [m.get("status") for d in documents.values() for m in d["messages"]]
    assert "interrupted" in statuses, "no answer was struck while it streamed"
    for document in documents.values():
        numbers = [m["n"] for m in document["messages"]]
        assert numbers == list(range(1, len(numbers) + 1))
        ids = [m["id"] for m in document["messages"] if m.get("id")]
        assert len(ids) == len(set(ids)), "an entry is there twice"
    assert "Traceback" not in (world.home / "stderr").read_text()
