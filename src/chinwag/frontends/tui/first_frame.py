"""The empty screen as bytes, for whoever paints before anything is imported.

Invariants: nothing is imported here, not even from us, so importing costs nothing. Rows and
columns are used as the real first frame uses them (`view.py` takes its numbers from here), so that
the hand-over does not flicker.
"""

COMPACT_ROWS = 12
"""On fewer rows than this the rules are left out: 20x6 keeps three rows for the talk."""
PROMPT = "› "
RULE = "─"


def is_compact(rows: int) -> bool:
    """Whether the screen is too low for rules."""
    return rows < COMPACT_ROWS


def frame(columns: int, rows: int, title: str = "", colour: bool = True) -> bytes:  # noqa: FBT001, FBT002 (boot)
    """The empty screen of that size, cursor in the input line; ``title`` must be safe text.

    Expects the alternate screen, cleared or not; leaves the cursor visible after the prompt.
    """
    dim, bold, plain = ("\x1b[90m", "\x1b[1m", "\x1b[0m") if colour else ("", "", "")
    columns, rows = max(columns, 4), max(rows, 2)
    rule = f"{dim} {RULE * (columns - 2)} {plain}"
    out = ["\x1b[H\x1b[2J"]
    if title and rows > 3:
        out.append(f"\x1b[1;2H{bold}{title[: columns - 2]}{plain}")
    if not is_compact(rows):
        out.append(f"\x1b[2;1H{rule}\x1b[{rows - 2};1H{rule}")
    out.append(f"\x1b[{rows - 1};2H{dim}{PROMPT}{plain}")
    return "".join(out).encode()
