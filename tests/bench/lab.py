"""The bench server from outside, and what a process has spent."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from chinwag.context.counting import Counter
from chinwag.engine.conversation import Conversation, Defaults
from chinwag.providers.catalog import Catalog, Row
from chinwag.providers.retry import with_retries
from chinwag.stores.files import FileStore
from chinwag.stores.memory import MemoryStore
from chinwag.stores.saver import Saver
from support.terminal import Terminal

HERE = Path(__file__).parent


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


def asking(text: str) -> dict[str, object]:
    """The body of a bare question."""
    return {
        "model": "bench",
        "messages": [{"role": "user", "content": text}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@contextlib.asynccontextmanager
async def talking(address: str, folder: Path | None) -> AsyncIterator[Conversation]:
    """The engine on the real transport and saver; without a folder, a private talk."""
    row = Row(name="lab", dialect="openai", base_url=f"{address}/v1", key="none", models=("bench",))
    catalog = Catalog([row])
    store = FileStore(folder) if folder else MemoryStore()
    saver = Saver(store, lambda report: None)
    yield Conversation(
        directory=catalog,
        keeper=saver,
        meter=Counter(),
        defaults=Defaults(provider="lab", model="bench"),
        retrying=with_retries,
    )
    await catalog.aclose()
    saver.close()
