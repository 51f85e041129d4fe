"""What sub-commands print with: aligned text, JSON, a question. Part of the roof.

Invariants: results go to `stdout`, as aligned text or as JSON and nothing else; everything said to
the person goes to `stderr`. Foreign text is made safe for a terminal here, and left alone in JSON.
Nobody is asked who is not there: off a terminal a question is a UsageError naming the flag.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from chinwag import wiring
from chinwag.config.paths import keep_to_oneself
from chinwag.errors import ChinwagError, UsageError
from chinwag.frontends.codes import ANSWERED
from chinwag.talk.codec import dumps
from chinwag.text.cells import pad, width
from chinwag.text.safe import json_shown, safe, safe_line

Flags: TypeAlias = Mapping[str, Any]


def house(flags: Flags, config: str) -> wiring.House:
    keep_to_oneself()
    return wiring.settle_in(flags, config, dict(os.environ))


def out(text: str) -> None:
    sys.stdout.write(text + "\n")


def tell(text: str) -> None:
    """One line for the person; foreign parts of it are made safe."""
    sys.stderr.write(safe(text) + "\n")


def tell_error(error: ChinwagError) -> None:
    tell(f"chat: {error.message} - {error.hint}" if error.hint else f"chat: {error.message}")


def json(value: Any) -> int:
    out(json_shown(msgspec.json.format(dumps(value), indent=2)).decode())
    return ANSWERED


def columns(rows: Sequence[Sequence[str]]) -> None:
    """Aligned, the last column as it is; made safe here and nowhere else."""
    shown = [[str(safe_line(cell)) for cell in row] for row in rows]
    if not shown:
        return
    widths = [max(width(row[i]) for row in shown) for i in range(len(shown[0]))]
    for row in shown:
        cells = [pad(cell, w) for cell, w in zip(row[:-1], widths, strict=False)]
        out("  ".join([*cells, row[-1]]).rstrip())


def agreed(question: str, *, flag: str) -> bool:
    """Whether somebody at the terminal says yes. Raises UsageError where nobody can."""
    if not sys.stdin or not sys.stdin.isatty():
        raise UsageError(f"{question} Nobody is here to answer", hint=f"add {flag}")
    sys.stderr.write(f"{safe_line(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"
