"""One item of the transcript as lines; pure.

Invariants: every text from outside goes through the door here (`drawable`, `safe_line`); no line is
wider than the columns; a failed, cut or stopped answer says so in words and says what to type.
Without a renderer (rich is still being imported) Markdown is shown as wrapped plain text.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias, assert_never

from chinwag.frontends.tui.markdown import drawable
from chinwag.frontends.tui.state import Kind, Said, Told
from chinwag.talk.delta import Stop
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Cleared,
    Compacted,
    Noted,
    Status,
    SystemSet,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Result, Text, Thinking
from chinwag.text.cells import clip, for_screen, width, wrap
from chinwag.text.safe import safe_line

Line: TypeAlias = list[tuple[str, str]]
Markdown: TypeAlias = Callable[[str, int], list[Line]]
"""Lines of a Markdown text at a width; another function for pages of ours."""

WHY = {
    Status.INTERRUPTED: "stopped — /continue goes on, /retry asks again",
    Status.PARTIAL: "cut off — /continue goes on, /retry asks again",
    Status.FAILED: "no answer — /retry asks again",
}
LENGTH = "the answer reached its length limit — /continue goes on"
FILTER = "the provider's filter stopped this answer"


class Folds:
    """What is unfolded, and how wide it is drawn."""

    __slots__ = ("columns", "thinking", "tools")

    def __init__(self, columns: int, *, thinking: bool = False, tools: bool = False) -> None:
        self.columns = columns
        self.thinking = thinking
        self.tools = tools


def margin(columns: int) -> int:
    """How far text is indented."""
    return 4 if columns >= 40 else 1


def indented(lines: list[Line], columns: int) -> list[Line]:
    """The lines behind the margin; empty ones stay empty."""
    blank = ("", " " * margin(columns))
    return [[blank, *line] if line else line for line in lines]


def plain(text: str, columns: int, style: str = "") -> list[Line]:
    """Text as it was typed, wrapped."""
    room = max(1, columns - margin(columns) - 1)
    lines = [[(style, line)] if line else [] for line in wrap(drawable(text), room)]
    return indented(lines, columns)


def one(text: str, columns: int) -> str:
    """Foreign text on one line of at most so many cells."""
    return clip(for_screen(safe_line(text)), max(columns, 0))


def sides(left: Line, right: str, columns: int, style: str = "class:meta") -> Line:
    """A line with something at its right end, left out where there is no room."""
    used = sum(width(text) for _, text in left)
    gap = columns - 1 - used - width(right)
    if not right or gap < 2:
        return clipped(left, columns)
    return [*left, ("", " " * gap), (style, right)]


def clipped(line: Line, columns: int) -> Line:
    """The line cut to the columns."""
    left, out = columns, []
    for style, text in line:
        kept = clip(text, left) if width(text) > left else text
        left -= width(kept)
        if kept:
            out.append((style, kept))
    return out


def lines_of(item: Said | Told, folds: Folds, markdown: Markdown, page: Markdown) -> list[Line]:
    """The lines of an item, an empty one behind them."""
    if isinstance(item, Told):
        return [*_told(item, folds.columns, page), []]
    lines = _said(item.n, item.entry, folds, markdown)
    return [*lines, []] if lines else []


def _said(n: int, entry: AnyEntry, folds: Folds, markdown: Markdown) -> list[Line]:
    columns = folds.columns
    match entry:
        case UserSaid(parts=parts):
            head = header(str(n), "you", "class:you", clock(entry.at), columns)
            return [head, *_user(parts, columns)]
        case AssistantSaid():
            return [answer_head(n, entry, columns), *answer(entry, folds, markdown)]
        case ToolReturned(result=result):
            return _result(result, folds)
        case SystemSet(text=text):
            words = one(text, columns) if text else "none from here on"
            return [clipped([("class:meta", f" {n}  system  "), ("class:meta", words)], columns)]
        case Compacted(summary=summary, through=through):
            label = f"1 to {through} are told to the model as this summary; /undo takes it back"
            return [divider(label, columns), *plain(summary, columns, "class:thinking")]
        case Cleared():
            return [divider("cleared; /undo brings back what was here", columns)]
        case Noted(text=text):
            return mark("·", text, "class:notice", columns)
        case _:
            return []


def header(number: str, who: str, style: str, right: str, columns: int) -> Line:
    """` 3  you                    09:31`"""
    lead = f" {number}  " if number else " "
    lead = lead.ljust(margin(columns)) if columns >= 40 else lead
    return sides([("class:number", lead), (style, one(who, columns - 8))], right, columns)


def divider(label: str, columns: int) -> Line:
    """A rule with words in it."""
    words = clip(f" ── {label} " if label else " ", columns)
    return [("class:rule", words + "─" * max(0, columns - 1 - width(words)))]


def mark(sign: str, text: str, style: str, columns: int) -> list[Line]:
    """A line of the program: a sign where the number would be."""
    lines = plain(text, columns, style)
    first = lines[0] if lines and lines[0] else [("", " " * margin(columns))]
    sign = sign if margin(columns) > 2 else ""
    lead = f"  {sign}".ljust(margin(columns)) if sign else " " * margin(columns)
    return [[(style, lead), *first[1:]], *lines[1:]]


def clock(at: str) -> str:
    """The local time of day of a stored moment; "" where it is none."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime("%H:%M")
    except (ValueError, OverflowError, OSError):
        return ""


# -- answers -----------------------------------------------------------------------------------


def answer_head(n: int, entry: AssistantSaid, columns: int) -> Line:
    who = entry.model or entry.served or "assistant"
    figures = _figures(entry)
    while figures and width(" · ".join(figures)) > columns - len(who) - 10:
        figures = figures[1:]
    return header(str(n), who, "class:bot", " · ".join(figures), columns)


def _figures(entry: AssistantSaid) -> list[str]:
    made = entry.usage.output
    count = made if made is not None else entry.tokens
    sign = "" if made is not None or entry.tokenizer else "~"
    out = [f"{entry.seconds:.1f} s"] if entry.seconds else []
    if count:
        out.append(f"{sign}{count:,} token" + ("" if count == 1 else "s"))
    decode = entry.seconds - entry.first
    if count and entry.first and decode > 0.05:
        out.append(f"{sign}{count / decode:,.0f}/s")
    return out


def answer(entry: AssistantSaid, folds: Folds, markdown: Markdown) -> list[Line]:
    """The body of an answer and how it ended."""
    out: list[Line] = []
    for part in entry.parts:
        lines = part_lines(part, folds, markdown)
        if out and lines:
            out.append([])
        out.extend(lines)
    ending = ending_of(entry, folds.columns)
    return [*out, *([[]] if out and ending else []), *ending]


def part_lines(part: AnyPart, folds: Folds, markdown: Markdown) -> list[Line]:
    """One part of an answer."""
    columns = folds.columns
    match part:
        case Text(text=text):
            return markdown(text, columns) if text.strip() else []
        case Thinking(text=text):
            return thinking(text, len(text), folds, done=True)
        case Call(name=name, arguments=arguments):
            return call(name, arguments, columns)
        case Image() | File() | Result():
            return _user((part,), columns)
        case _:
            assert_never(part)


def thinking(text: str, size: int, folds: Folds, *, done: bool) -> list[Line]:
    """Thinking, folded to a line or open."""
    word = "thought" if done else "thinking"
    how = "folds" if folds.thinking else "shows"
    label = f"{word} · {size:,} characters · Ctrl+T {how}"
    if size == 0:
        label = f"{word} · not shown by the provider"
    head = indented([[("class:thinking", clip(label, folds.columns - 5))]], folds.columns)
    if not folds.thinking or not text:
        return head
    return [*head, *plain(text.strip("\n"), folds.columns, "class:thinking")]


def call(name: str, arguments: str, columns: int) -> list[Line]:
    """A call of a tool on one line."""
    words = one(f"{name} {arguments}", columns - margin(columns) - 3)
    return indented([[("class:hint", "→ "), ("class:hint", words)]], columns)


def _result(result: Result, folds: Folds) -> list[Line]:
    columns = folds.columns
    style = "class:failure" if result.is_error else "class:hint"
    if folds.tools:
        return plain(result.content, columns, style)
    count = result.content.count("\n") + 1
    first = result.content.strip().split("\n", 1)[0]
    more = f" · {count} lines, Ctrl+O shows" if count > 1 else ""
    room = columns - margin(columns) - 3 - width(more)
    return indented([[(style, f"← {one(first, room)}{more}")]], columns)


def ending_of(entry: AssistantSaid, columns: int) -> list[Line]:
    """In words, how an answer ended that is not complete."""
    if entry.status is Status.COMPLETE:
        words = {Stop.LENGTH: LENGTH, Stop.FILTER: FILTER}.get(entry.stop or Stop.END, "")
        return mark("!", words, "class:warning", columns) if words else []
    why = entry.error.strip()
    if entry.status is Status.INTERRUPTED or not why:
        return mark("!", WHY[entry.status], "class:warning", columns)
    out = mark("!", why, "class:failure", columns)
    hint = entry.hint.strip() or WHY[entry.status].partition(" — ")[2]
    return [*out, *plain(hint, columns, "class:hint")]


# -- what a person and the program say ---------------------------------------------------------


def _user(parts: tuple[AnyPart, ...], columns: int) -> list[Line]:
    out: list[Line] = []
    for part in parts:
        match part:
            case Text(text=text):
                out.extend(plain(text.strip("\n"), columns))
            case Image(name=name, mime=mime) | File(name=name, mime=mime):
                words = one(f"attached {name or mime or 'a file'}", columns - 6)
                out.extend(indented([[("class:hint", words)]], columns))
            case _:
                continue
    return out


def _told(told: Told, columns: int, page: Markdown) -> list[Line]:
    match told.kind:
        case Kind.NOTICE:
            return mark("·", told.text, "class:notice", columns)
        case Kind.WARNING:
            return mark("!", told.text, "class:warning", columns)
        case Kind.FAILURE:
            out = mark("✗", told.text, "class:failure", columns)
            return [*out, *(plain(told.hint, columns, "class:hint") if told.hint else [])]
        case Kind.PAGE:
            title = one(told.title or "page", columns - 8)
            return [divider(title, columns), *page(told.text, columns), divider("", columns)]
        case _:
            assert_never(told.kind)
