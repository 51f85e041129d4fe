"""aimock from npm: somebody else's idea of five services, in a process of its own on loopback.

It is looked for in the folder CHINWAG_TEST_AIMOCK names, or in node_modules at the project root. A
server is ended by its process id, and ends by itself when its standard input closes (the tests
died). Chaos is asked for by headers, so that one server serves the tests that want it and those
that do not.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
VERSION = "1.43.0"
INSTALL = f"npm install --prefix . --no-save --no-audit --no-fund @copilotkit/aimock@{VERSION}"
READY = 20.0  # seconds; it takes 0.3 where nothing else runs
_RUN = "process.stdin.on('end', () => process.exit()).resume(); import(process.argv[1]);"


def program() -> Path:
    """Where its command line would be."""
    base = os.environ.get("CHINWAG_TEST_AIMOCK") or str(ROOT / "node_modules")
    for place in (Path(base), Path(base) / "node_modules"):
        if (found := place / "@copilotkit/aimock/dist/aimock-cli.js").exists():
            return found
    return Path(base) / "@copilotkit/aimock/dist/aimock-cli.js"


def missing() -> str:
    """Why it cannot run here; "" when it can, and always in CI: there its absence is a failure."""
    if os.environ.get("CI"):
        return ""
    if shutil.which("node") is None:
        return "node is not installed (version 20.15 or later)"
    return "" if program().exists() else f"aimock is not here; type: {INSTALL}"


class Aimock:
    """A server that answers by ``fixtures``: rules of what is said to what is answered."""

    def __init__(self, folder: Path, fixtures: list[dict[str, Any]]) -> None:
        rules = folder / "fixtures.json"
        rules.write_text(json.dumps({"fixtures": fixtures}), "utf-8")
        config = folder / "aimock.json"
        config.write_text(json.dumps({"llm": {"fixtures": str(rules)}}), "utf-8")
        node = shutil.which("node")
        assert node is not None, "node is not installed"
        assert program().exists(), f"aimock is not here; type: {INSTALL}"
        self._log = (folder / "aimock.log").open("wb")
        self._process = subprocess.Popen(
            [node, "-e", _RUN, str(program()), "--config", str(config), "--port", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        try:
            self.address = self._told()
        except BaseException:
            self.end()
            raise

    def _told(self) -> str:
        out = self._process.stdout
        assert out is not None
        while select.select([out], [], [], READY)[0]:
            line = out.readline().decode()
            if found := re.search(r"listening on (http://\S+)", line):
                return found[1]
            if not line:
                break
        raise AssertionError(f"aimock did not start:\n{Path(self._log.name).read_text('utf-8')}")

    def journal(self) -> list[dict[str, Any]]:
        """Every request it has had, in order."""
        with urllib.request.urlopen(f"{self.address}/__aimock/journal", timeout=5) as answer:
            entries: list[dict[str, Any]] = json.load(answer)
        return entries

    def end(self) -> None:
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout, self._log):
            if pipe is not None:
                pipe.close()


@contextlib.contextmanager
def serving(folder: Path, fixtures: list[dict[str, Any]]) -> Iterator[Aimock]:
    server = Aimock(folder, fixtures)
    try:
        yield server
    finally:
        server.end()
