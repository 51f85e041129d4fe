"""The real llama.cpp server, in a process of its own on a loopback port.

    python tests/support/llama.py MODEL.gguf MOST_TOKENS WINDOW    prints its address, then serves

`xllamacpp` carries llama.cpp's own server; the model is `tiny_gguf`'s. A server is always ended by
its process id, and ends by itself when its standard input closes (the tests died).
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

READY = 30.0  # seconds; it takes 0.1 where nothing else runs


def missing() -> str:
    """Why there can be no llama.cpp server here; "" when there can."""
    absent = [n for n in ("xllamacpp", "gguf", "numpy") if importlib.util.find_spec(n) is None]
    return f"{', '.join(absent)} not installed (make test installs it)" if absent else ""


def may_skip() -> bool:
    """Whether a test may go without: where nothing is installed, but never in CI."""
    return bool(missing()) and os.environ.get("CI") != "true"


class Server:
    """A server that answers. ``address`` has no path: `http://127.0.0.1:PORT`."""

    def __init__(self, model: Path, most: int = 400, window: int = 8192) -> None:
        self._log = model.with_suffix(".log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(model), str(most), str(window)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**os.environ, "HOME": str(model.parent)},
        )
        try:
            self.address = self._told()
            self._wait_healthy()
        except BaseException:
            self.end()
            raise

    def _told(self) -> str:
        out = self._process.stdout
        while select.select([out], [], [], READY)[0]:
            line = out.readline().decode()
            if line.startswith("listening "):
                return line.split()[1]
            if not line:
                break
        raise AssertionError(f"llama.cpp did not start:\n{self.log()[-2000:]}")

    def _wait_healthy(self) -> None:
        end = time.monotonic() + READY
        while time.monotonic() < end:
            if _healthy(self.address):
                return
            time.sleep(0.02)
        raise AssertionError(f"llama.cpp is not healthy:\n{self.log()[-2000:]}")

    def log(self) -> str:
        return Path(self._log.name).read_text("utf-8", "replace")

    def end(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            pipe.close()


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address + "/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


@contextlib.contextmanager
def serving(model: Path, most: int = 400, window: int = 8192) -> Iterator[Server]:
    server = Server(model, most, window)
    try:
        yield server
    finally:
        server.end()


def _serve(model: str, most: int, window: int) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {Path(model).stem}
    params.n_ctx = 2 * window
    params.n_parallel = 2
    params.n_predict = most
    params.cpuparams.n_threads = 1
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.use_jinja = True
    params.warmup = False
    params.slot_save_path = f"{Path(model).parent}/"
    server = xllamacpp.Server(params)
    print("listening", server.listening_address, flush=True)
    sys.stdin.buffer.read()
    os._exit(0)  # nothing to save; the engine's own threads need no farewell


if __name__ == "__main__":
    _serve(sys.argv[1], *map(int, sys.argv[2:]))
