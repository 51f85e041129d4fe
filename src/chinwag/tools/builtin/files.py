"""Files in the root: list, read, search, write.

Invariants: no path leaves the root (``rooted``); keys, settings and sessions are out of reach even
inside it; what is read at once is bounded. Searching runs in a process of its own, because a
pattern can take for ever and only a process can be ended.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from chinwag.errors import ToolFailed
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.threads import apart
from chinwag.tools.base import Output, Scene, Tool
from chinwag.tools.builtin.rooted import Root

MOST_READ: Final = 16 << 20
"""Bytes of a file that are looked at."""
MOST_LISTED: Final = 1_000
_STEP: Final = (
    "import sys; sys.path.append({!r}); from chinwag.tools.builtin.searching import main; main()"
)


def _schema(required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


def _text(says: str) -> dict[str, Any]:
    return {"type": "string", "description": says}


def _count(says: str) -> dict[str, Any]:
    return {"type": "integer", "minimum": 1, "description": says}


class _FileTool(Tool):
    """What all of them share: the paths that stay out of reach."""

    def __init__(self, spec: ToolSpec, forbidden: Iterable[Path] = ()) -> None:
        self.spec = spec
        self._forbidden = tuple(map(str, forbidden))

    def root(self, scene: Scene) -> Root:
        return Root(scene.root, self._forbidden)


class ListFiles(_FileTool):
    def __init__(self, forbidden: Iterable[Path] = ()) -> None:
        says = (
            f"Lists a folder: names (folders end in /) and sizes in bytes, at most {MOST_LISTED:,}."
        )
        schema = _schema("", path=_text("the folder; the working folder if missing"))
        spec = ToolSpec("list_files", says, schema, Risk.READ, parallel=True, foreign=True)
        super().__init__(spec, forbidden)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        return Output(await apart(self._listed, arguments.get("path", ""), scene))

    def _listed(self, path: str, scene: Scene) -> str:
        with self.root(scene) as root, root.open_folder(path) as folder:
            entries = folder.entries()
            lines = [
                f"{each.name}/" if each.is_dir
                else f"{each.name} (a link)" if each.is_link
                else f"{each.name}  {each.size(folder)}"
                for each in entries[:MOST_LISTED]
            ]  # fmt: skip
        more = len(entries) - len(lines)
        lines += [f"[… {more:,} more …]"] if more else []
        return "\n".join(lines) or "(the folder is empty)"


class ReadFile(_FileTool):
    def __init__(self, forbidden: Iterable[Path] = ()) -> None:
        says = "Reads a text file, or the lines of it from first to last (counted from 1)."
        first, last = _count("the first line wanted"), _count("the last line wanted")
        schema = _schema("path", path=_text("the file"), first=first, last=last)
        spec = ToolSpec("read_file", says, schema, Risk.READ, parallel=True, foreign=True)
        super().__init__(spec, forbidden)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        return Output(await apart(self._read, scene, **arguments))

    def _read(self, scene: Scene, path: str, first: int = 1, last: int = 0) -> str:
        with self.root(scene) as root:
            data, size = root.read(path, MOST_READ)
        text = as_text(data, path, size)
        if first == 1 and not last and size <= MOST_READ:
            return text or "(the file is empty)"
        lines = text.splitlines(keepends=True)
        if first > len(lines) or (last and last < first):
            raise ToolFailed(f"{path} has {len(lines)} lines, so there are none to read there")
        return "".join(lines[first - 1 : last or None])


def as_text(data: bytes, path: str, size: int) -> str:
    """``data`` as text. Raises ToolFailed saying what it seems to be where it is none."""
    if b"\0" in data[:8192]:
        raise ToolFailed(f"{path} is binary, {size:,} bytes")
    # The last character may have been cut in the middle.
    return data.decode("utf-8-sig", "replace")


class WriteFile(_FileTool):
    def __init__(self, forbidden: Iterable[Path] = ()) -> None:
        says = "Writes a text file, replacing what was there; missing folders are made."
        schema = _schema("path text", path=_text("the file"), text=_text("all that it shall hold"))
        super().__init__(ToolSpec("write_file", says, schema, Risk.WRITE), forbidden)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        # In this thread's place: what was begun is finished even if nobody waits any more.
        return Output(await apart(self._written, arguments["path"], arguments["text"], scene))

    def _written(self, path: str, text: str, scene: Scene) -> str:
        data = text.encode("utf-8", "replace")
        if len(data) > scene.limits.file:
            raise ToolFailed(f"that is more than {scene.limits.file:,} bytes")
        if scene.stop.is_set():
            raise ToolFailed("it was stopped before anything was written")
        with self.root(scene) as root:
            is_new = root.write(path, data)
        return f"{'wrote' if is_new else 'replaced'} {path}, {len(data):,} bytes"


class SearchFiles(_FileTool):
    def __init__(self, forbidden: Iterable[Path] = (), seconds: float = 20.0) -> None:
        """``seconds`` is the longest a search may take."""
        says = (
            "Searches text files for a regular expression (Python's); gives path:line: text. "
            "Hidden folders are passed over unless named."
        )
        schema = _schema(
            "pattern",
            pattern=_text("the regular expression"),
            path=_text("the folder to search; the working folder if missing"),
            glob=_text('only files with such names, for example "*.py"'),
            most=_count("how many lines to give; 200 if missing"),
        )
        spec = ToolSpec(
            "search_files",
            says,
            schema,
            Risk.READ,
            parallel=True,
            foreign=True,
            timeout=seconds,
        )
        super().__init__(spec, forbidden)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        asked = {
            "root": str(scene.root),
            "forbidden": self._forbidden,
            "seconds": scene.limits.seconds,
            **arguments,
        }
        found = await _searched(msgspec.json.encode(asked))
        return Output(found.text, is_error=found.is_error)


class _Found(msgspec.Struct):
    text: str
    is_error: bool = False


async def _searched(asked: bytes) -> _Found:
    pipe = asyncio.subprocess.PIPE
    source = str(Path(__file__).parents[3])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _STEP.format(source)),
        stdin=pipe,
        stdout=pipe,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
        cwd="/",
    )
    try:
        said, _ = await process.communicate(asked)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    try:
        return msgspec.json.decode(said, type=_Found)
    except msgspec.DecodeError:
        raise ToolFailed("the search ended without an answer") from None
