"""`make demo ARGS=--svg`: the picture of the program in the README, `docs/screen.svg`.

Drawn by the program's own screen in an emulated terminal, with the dark theme; always the same.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from io import StringIO
from itertools import groupby
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.text import Text

from chinwag.frontends.tui import picture, shell
from support.fakes import FakeDesk, Status, talk
from support.pilot import pilot

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs" / "screen.svg"
COLUMNS, ROWS = 90, 28

ASKED = "What if it rains? Show me the tram times as a table, and a script to fetch them."
ANSWER = """Take line **28** before nine; it is covered all the way.

| line | first | every |
|------|-------|-------|
| 28 | 05:40 | 11 min |
| 15E | 06:00 | 9 min |

```python
import httpx

print(httpx.get("https://x.example/28").text)
```
"""
FIRST = "Two days in Lisbon, please"
_ELSEWHERE = re.compile(r"(?:@font-face \{\{.*?\}\}|<!--.*?-->)\s*", re.DOTALL)
_COLOURS = {"brown": "yellow", "brightbrown": "bright_yellow"}


async def _screen() -> list[list[Any]]:
    desk = FakeDesk(
        talk(FIRST, "Gladly. By tram, or on foot?", ASKED, ANSWER), status=Status(used=3412)
    )
    still = SimpleNamespace(monotonic=lambda: 1000.0)
    with mock.patch.object(shell, "time", still), mock.patch.object(picture, "time", still):
        async with pilot(desk, COLUMNS, ROWS, theme="dark") as p:
            await p.type("and on a Sunday?")
            await p.idle()
            screen = p.glass.screen  # empty again as soon as the program is left
            return [[screen.buffer[y][x] for x in range(COLUMNS)] for y in range(ROWS)]


def _style(char: Any) -> Style:
    def colour(name: str) -> str | None:
        if name == "default":
            return None
        if re.fullmatch(r"[0-9a-f]{6}", name):
            return f"#{name}"
        name = _COLOURS.get(name, name)
        return re.sub(r"^bright(?!_)", "bright_", name)

    return Style(
        color=colour(char.fg),
        bgcolor=colour(char.bg),
        bold=char.bold,
        italic=char.italics,
        underline=char.underscore,
        reverse=char.reverse,
    )


def drawn() -> str:
    """The picture as SVG: no font and nothing else is loaded from elsewhere."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        rows = asyncio.run(_screen())
    finally:
        os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
        time.tzset()
    console = Console(record=True, width=COLUMNS, file=StringIO(), color_system="truecolor")
    for row in rows:
        line = Text()
        for style, run in groupby(row, _style):
            line.append("".join(char.data or " " for char in run), style)
        console.print(line, no_wrap=True, overflow="crop")
    form = _ELSEWHERE.sub("", CONSOLE_SVG_FORMAT)
    return console.export_svg(title="chat", code_format=form, unique_id="chinwag")


def words(svg: str) -> list[str]:
    """What can be read in a picture, row by row, without looks and positions."""
    rows: dict[str, str] = {}
    for y, text in re.findall(
        r'<text class="chinwag-r\d+"[^>]* y="([^"]+)"[^>]*>(.*?)</text>', svg
    ):
        rows[y] = rows.get(y, "") + text.replace("&#160;", " ")
    return [" ".join(text.split()) for text in rows.values()]


def main() -> int:
    PATH.parent.mkdir(exist_ok=True)
    PATH.write_text(drawn(), "utf-8")
    print(f"wrote {PATH.relative_to(ROOT)}")
    return 0
