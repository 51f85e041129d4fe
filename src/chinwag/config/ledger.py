"""What was spent, day by day: so that a person can be told what today cost, over all sessions.

Invariants: one line is one answer's cost; the file is 0600 from its first instant and only ever
appended to, until it is cut to its newer half; days are the person's own; it holds no words. A
failure here disturbs nothing: what a session cost is in the session.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final

import msgspec

from chinwag.config.private import write_private
from chinwag.errors import ConfigError

LONGEST: Final = 1 << 20  # bytes
_FLAGS: Final = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class Spent(msgspec.Struct, frozen=True):
    """One answer: its day (ISO), who gave it, tokens of prompt and answer, US dollars."""

    day: str
    model: str
    tokens: int
    dollars: float


class Ledger:
    """Blocks on the disk; may be called from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, model: str, tokens: int, dollars: Decimal) -> None:
        spent = Spent(_today().isoformat(), model, tokens, float(dollars))
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self._path, _FLAGS, 0o600)
        except OSError:
            return
        try:
            os.write(fd, msgspec.json.encode(spent) + b"\n")
            is_long = os.fstat(fd).st_size > LONGEST
        except OSError:
            return
        finally:
            os.close(fd)
        if is_long:
            self._shorten()

    def of(self, day: date | None = None) -> tuple[int, Decimal]:
        """Tokens and US dollars of ``day`` (today)."""
        wanted = (day or _today()).isoformat()
        of_day = [spent for spent in self._lines() if spent.day == wanted]
        dollars = sum((Decimal(str(spent.dollars)) for spent in of_day), Decimal(0))
        return sum(spent.tokens for spent in of_day), dollars

    def _lines(self) -> Iterator[Spent]:
        try:
            raw = self._path.read_bytes()
        except OSError:
            return
        for line in raw.splitlines():
            try:
                yield msgspec.json.decode(line, type=Spent)
            except (msgspec.DecodeError, RecursionError):
                continue  # torn by a crash, or written by hand: the others still count

    def _shorten(self) -> None:
        newer = list(self._lines())
        kept = newer[len(newer) // 2 :]
        try:
            write_private(self._path, b"".join(msgspec.json.encode(s) + b"\n" for s in kept))
        except (OSError, ConfigError):
            return


def _today() -> date:
    return datetime.now().astimezone().date()
