"""The process that searches: a pattern may take for ever, and then this is ended.

Standard library only. Reads one JSON object from standard input, writes one to standard output.

Invariants: it ends itself when the time is over, even inside the search for one match (an alarm of
the kernel's), and never gives more than ``MOST_TEXT``.
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import signal
import sys

from chinwag.errors import ToolFailed
from chinwag.tools.builtin.rooted import Folder, Root

TYPE_CHECKING = False  # what `typing` would say, without its 20 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

MOST_FILES = 50_000
MOST_SIZE = 4 << 20
"""Bytes of a file that are searched."""
MOST_LINE = 400
MOST_TEXT = 1 << 20


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    signal.setitimer(signal.ITIMER_REAL, float(asked["seconds"]) + 1)  # ends this process
    try:
        said: dict[str, Any] = {"text": found(asked)}
    except ToolFailed as error:
        said = {"text": f"Error: {error.message}", "is_error": True}
    sys.stdout.write(json.dumps(said))


def found(asked: dict[str, Any]) -> str:
    try:
        pattern = re.compile(asked["pattern"])
    except (re.error, RecursionError, OverflowError) as error:
        raise ToolFailed(f"{asked['pattern']!r} is no pattern: {error}") from None
    most = int(asked.get("most", 200))
    lines: list[str] = []
    size = 0
    with Root(asked["root"], asked["forbidden"]) as root:
        for line in _matches(root, asked.get("path", ""), asked.get("glob", "*"), pattern):
            if len(lines) == most or size > MOST_TEXT:
                return "\n".join([*lines, f"[… more than {len(lines)} lines match …]"])
            lines.append(line)
            size += len(line)
    return "\n".join(lines) or "(nothing matches)"


def _matches(root: Root, path: str, glob: str, pattern: re.Pattern[str]) -> Iterator[str]:
    for folder, name in root.files(path, MOST_FILES):
        where = folder.at(name)
        inside = where[len(path.strip("/")) :]
        if any(step.startswith(".") for step in inside.strip("/").split("/")[:-1]):
            continue
        if fnmatch.fnmatch(name, glob) or fnmatch.fnmatch(where, glob):
            yield from _in_file(root, folder, name, pattern)


def _in_file(root: Root, folder: Folder, name: str, pattern: re.Pattern[str]) -> Iterator[str]:
    try:
        with os.fdopen(root.open_file(folder, name), "rb") as file:
            data = file.read(MOST_SIZE)
    except (ToolFailed, OSError):
        return
    if b"\0" in data[:8192]:
        return
    for number, line in enumerate(data.decode("utf-8", "replace").splitlines(), 1):
        if pattern.search(line):
            yield f"{folder.at(name)}:{number}: {line[:MOST_LINE]}"
