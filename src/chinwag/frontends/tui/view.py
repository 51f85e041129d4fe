"""State to lines: header, welcome, tray, picker; pure.

Invariants: every function gives lines no wider than the columns; titles, names and errors are
foreign text and pass `safe_line`. Rows are used as `first_frame` paints them.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from chinwag.frontends.tui import first_frame, picking
from chinwag.frontends.tui.drawing import clipped, indented, one, sides
from chinwag.frontends.tui.heard import ELSEWHERE
from chinwag.frontends.tui.live import waited
from chinwag.frontends.tui.promises import Status
from chinwag.frontends.tui.state import Kind, Picker, Question, Told, UiState
from chinwag.frontends.tui.update import queued_line, title_of
from chinwag.text.cells import pad, width

Line: TypeAlias = list[tuple[str, str]]

QUEUED_SHOWN = 3
RUNNING_SHOWN = 4
COPY = " · /save PATH writes a copy"
WIDE = 72
"""Columns from which on there is room for why nothing is saved, and for what to do."""
SPINNER = "⠋⠙⠸⠴⠦⠇"
NOTICES = 5
"""Lines of the program beside which the welcome stays."""
PICKER_ROWS = 10
MEASURED = 200
"""So many choices tell how wide their column is."""


def header(state: UiState, status: Status, columns: int, rows: int) -> list[Line]:
    """Title left, provider/model right, and a rule where there is room."""
    model = f"{status.provider}/{status.model}" if status.model else status.provider
    title = title_of(state) or "new chat"
    room = columns - 2
    most = max(room // 2, min(room - 8, width(model)))
    right = one(model if width(model) <= most else status.model or model, most)
    left = one(title, room - (width(right) + 2 if right else 0))
    if width(left) < min(6, width(title)) and columns < 30:
        left, right = one(title, room), ""
    line = sides([("class:title", f" {left}")], right, columns, "class:model")
    return [line] if first_frame.is_compact(rows) else [line, rule(columns)]


def rule(columns: int) -> Line:
    """A line across."""
    return [("class:rule", f" {first_frame.RULE * max(0, columns - 2)}")]


def more_line(below: int, most: int, columns: int) -> Line:
    """Says how much lies below the view."""
    if below <= 0:
        return []
    count = f"more than {most:,}" if below > most else f"{below:,}"
    noun = "line" if below == 1 else "lines"
    long = f"↓ {count} more {noun} below · Ctrl+End"
    words = long if width(long) < columns - 2 else f"↓ {count} more"
    words = one(words, columns - 1)
    return [("", " " * max(0, columns - 1 - width(words))), ("class:more", words)]


def is_new(state: UiState) -> bool:
    """Whether nothing has been said yet, and the program has had no more than a few words."""
    few = len(state.items) <= NOTICES
    told = all(isinstance(item, Told) and item.kind is not Kind.PAGE for item in state.items[:])
    return state.live is None and few and told


def welcome(status: Status, columns: int, rows: int) -> list[Line]:
    """The empty screen: who is there, what to type, where help is."""
    model = f"{status.provider}/{status.model}" if status.model else status.provider
    name = one(model, max(8, columns - 24)) if model else "nobody yet"
    tries = (
        ("what can you do?", "or anything else; Enter sends"),
        ("/model", "choose who answers"),
        ("/help", "all commands, and /help keys"),
    )
    hello: list[Line] = [[("class:title", "chinwag"), ("class:meta", f" · you talk to {name}")]]
    if status.private:
        hello.append([("class:meta", "private: nothing of this is written")])
    roomy = rows > len(tries) + 3
    body = [*([[]] if roomy else []), *hello, *([[]] if roomy else [])]
    wide = max(len(typed) for typed, _ in tries) + 3
    for typed, why in tries:
        words: Line = [("class:you", pad(typed, wide) if columns >= 48 else typed)]
        body.append([*words, ("class:meta", why)] if columns >= 48 else words)
    return [clipped(line, columns) for line in indented(body, columns)]


def tray(state: UiState, status: Status, columns: int, now: float = 0.0) -> list[Line]:
    """Above the input: what waits to be sent, and what there is to say just now.

    ``now`` is the moment on the monotonic clock, for counting down.
    """
    out: list[Line] = []
    hidden = max(0, len(state.queue) - QUEUED_SHOWN)
    for at, text in enumerate(state.queue[hidden:]):
        more = f" (and {hidden} before)" if hidden and not at else ""
        words = one(f"next: {queued_line(text)}{more}", columns - 3)
        out.append([("class:queued", f" ⋯ {words}")])
    out += [[("class:toast", f" {line}")] for line in _running(state, columns - 2, now)]
    said = bool(status.following) and state.toast == ELSEWHERE.format(status.following)
    word = "" if said else state.toast or _waiting(state, now)
    if word:
        out.append([("class:toast", f" {one(word, columns - 2)}")])
    if status.following and state.alone:
        words = one("nobody else writes this any more: send, and it goes on here", columns - 2)
        out.append([("class:toast", f" {words}")])
    elif status.following:
        words = one(f"following: read only · /fork · /takeover · {status.following}", columns - 2)
        out.append([("class:toast", f" {words}")])
    if status.save_problem:
        remedy = COPY if columns >= WIDE else ""
        words = one(f"not saved: {status.save_problem}", columns - 2 - len(remedy))
        out.append([("class:footer.bad", f" {words}{remedy}")])
    return out


def _running(state: UiState, columns: int, now: float) -> list[str]:
    """A line for each tool that runs: a sign that turns, its name, for how long."""
    lines = []
    for run in state.running[:RUNNING_SHOWN]:
        seconds = max(0.0, now - run.since)
        said = f" · {run.said}" if run.said else ""
        sign = SPINNER[int(seconds) % len(SPINNER)]
        lines.append(one(f"{sign} {run.name} · {seconds:.0f} s{said}", columns))
    if (hidden := len(state.running) - RUNNING_SHOWN) > 0:
        lines.append(f"and {hidden} more")
    return lines


def word_line(question: Question, columns: int) -> tuple[Line, int]:
    """What is typed for the model while a question is open, and the column of the cursor."""
    typed = one(question.word, max(1, columns - 4))
    line: Line = [("class:prompt", f" {first_frame.PROMPT}"), ("", typed)]
    hints = ("↑↓ choose · Enter says it · Esc no", "↑↓ Enter Esc", "")
    fitting = (hint for hint in hints if width(hint) + 6 + width(typed) <= columns)
    return sides(line, "" if question.word else next(fitting, ""), columns), 3 + width(typed)


def _waiting(state: UiState, now: float) -> str:
    """Why nothing comes, and in how many seconds it is tried again."""
    left = math.ceil(state.until - now)
    if state.waiting and not state.until:
        return waited(state.waiting, state.waited)
    if not state.waiting or left <= 0:
        return state.waiting
    return f"{state.waiting}; again in {left} s"


def picker(picked: Picker, columns: int, rows: int) -> list[Line]:
    """The choices, the one Enter takes marked, with a title above."""
    found = picking.fitting(picked)
    room = max(1, min(PICKER_ROWS, rows // 2))
    first = max(0, min(picked.at - room // 2, len(found) - room))
    count = f"{len(found)} of {len(picked.choices)}" if picked.typed else f"{len(found)}"
    title = f" {one(picked.title, columns - 12)} · {count} "
    out: list[Line] = [clipped([("class:page", title)], columns)]
    if not found:
        out.append(
            clipped([("class:meta", " nothing fits; Backspace widens, Esc closes")], columns)
        )
    wide = min(
        max((width(c.label) for c in found[:MEASURED]), default=0) + 2, max(12, columns * 2 // 5)
    )
    for at, choice in enumerate(found[first : first + room], first):
        here = at == picked.at
        sign = "›" if here else " "
        label = pad(one(choice.label, wide - 1), wide)
        detail = one(choice.detail, columns - wide - 4)
        style = "class:pick.at" if here else "class:pick"
        line = [(style, f" {sign} {label}"), ("class:pick.detail", f" {detail}")]
        out.append(clipped(line, columns))
    return out


def picker_prompt(picked: Picker, columns: int) -> tuple[Line, int]:
    """The filter line, and the column of the cursor."""
    typed = one(picked.typed, max(1, columns - 22))
    line: Line = [("class:prompt", f" {first_frame.PROMPT}"), ("", typed)]
    at = 3 + width(typed)
    hint = "Enter picks · Esc closes" if columns >= 60 else ""
    return sides(line, hint, columns), at
