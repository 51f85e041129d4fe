"""The parts of the README that are made from tables: `python tests/support/readme.py` renews them.

Each stands between `<!-- NAME: … -->` and `<!-- /NAME -->`.
"""

from __future__ import annotations

import re
from pathlib import Path

from chinwag.commands.words import escaped
from chinwag.frontends.tui.keys import DEFAULTS, FIXED, WORDS
from chinwag.frontends.tui.wishes import named

README = Path(__file__).parents[2] / "README.md"


def keys() -> str:
    """Every key: what it does, the keys, and its name in `[keys]`."""
    rows = ["| what it does | keys | in `[keys]` |", "|---|---|---|"]
    for action, held in DEFAULTS.items():
        rows.append(f"| {_cell(WORDS[action])} | {', '.join(map(named, held))} | `{action}` |")
    rows += [f"| {_cell(what)} | {held} | |" for what, held in FIXED]
    return "\n".join(rows)


def _cell(text: str) -> str:
    return escaped(text)


PARTS = {"keys": keys}


def renewed(text: str) -> str:
    """The README with every made part as it should be."""
    for name, make in PARTS.items():
        pattern = re.compile(rf"(<!-- {name}:[^>]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
        made = make()
        text, count = pattern.subn(lambda m, made=made: f"{m[1]}{made}\n{m[2]}", text)
        if count != 1:
            raise ValueError(f"README.md has {count} places for {name}")
    return text


if __name__ == "__main__":
    README.write_text(renewed(README.read_text("utf-8")), "utf-8")
