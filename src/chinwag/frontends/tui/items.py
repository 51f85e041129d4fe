"""One item of the transcript as lines; pure.

Invariants: every text from outside goes through the door here (`drawable`, `safe_line`); no line is
wider than the columns; a failed, cut or stopped answer says so in words and says what to type.
Without a renderer (rich is still being imported) Markdown is shown as wrapped plain text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, assert_never

from chinwag.frontends.tui import cards, compare, cutting
from chinwag.frontends.tui.drawing import (
    Folds,
    clipped,
    header,
    indented,
    long,
    margin,
    numbered,
    one,
    plain,
)
from chinwag.frontends.tui.state import Item, Kind, Said, Told
from chinwag.frontends.tui.stretch import Later, Line, Stretch
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Cleared,
    Compacted,
    Hidden,
    Mark,
    Marked,
    Noted,
    Status,
    SystemSet,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import AnyPart, Call, File, Image, Result, Text, Thinking
from chinwag.text.cells import clip, width
from chinwag.text.moments import MINUTE, local

Markdown: TypeAlias = Callable[[str, int], list[Stretch]]
"""A Markdown text at a width; another function for pages of ours."""

WHY = {
    Status.INTERRUPTED: "stopped — /continue goes on, /retry asks again",
    Status.PARTIAL: "cut off — /continue goes on, /retry asks again",
    Status.FAILED: "no answer — /retry asks again",
}
WISHES = {
    Mark.PIN: "is pinned: it stays whatever is left out",
    Mark.EXCLUDE: "is excluded: it is not sent",
    Mark.NONE: "is as any other again",
}


def laid(item: Said | Told, folds: Folds, markdown: Markdown, page: Markdown) -> list[Stretch]:
    """An item as stretches, an empty line behind it, unless it is `open_ended`."""
    if isinstance(item, Told):
        return [*_told(item, folds.columns, page), Stretch([[]])]
    entry = item.entry
    if isinstance(entry, UserSaid) and len(entry.text) > cutting.PIECE:
        return [*_asked(item.n, entry, folds.columns), Stretch([[]])]
    if isinstance(entry, ToolReturned) and folds.tools:
        return _opened(entry, folds)
    if isinstance(entry, AssistantSaid):
        return answer_laid(item.n, entry, folds, markdown, item.of)
    if isinstance(entry, ToolReturned):
        return [Later(lambda: _said(item.n, entry, folds), 1)]
    guess = 3 + len(entry.text) // folds.columns if isinstance(entry, UserSaid) else 2
    return [Later(lambda: _closed(_said(item.n, entry, folds)), guess)]


def open_ended(item: Item) -> bool:
    """Whether no empty line stands behind it, so that calls and results stay together; what comes
    next and is no result leaves one (`Transcript`)."""
    if not isinstance(item, Said):
        return False
    entry = item.entry
    return isinstance(entry, ToolReturned) or (
        isinstance(entry, AssistantSaid) and _ends_in_a_call(entry)
    )


def _ends_in_a_call(entry: AssistantSaid) -> bool:
    whole = entry.status is Status.COMPLETE and not entry.remark
    return whole and bool(entry.parts) and isinstance(entry.parts[-1], Call)


def answer_laid(
    n: int,
    entry: AssistantSaid,
    folds: Folds,
    markdown: Markdown,
    of: tuple[int, int] = (1, 1),
) -> list[Stretch]:
    """An answer: its head, its parts and how it ended, and the line behind it."""
    columns = folds.columns
    head = Stretch([answer_head(n, entry, columns, timed=folds.tools, of=of)])
    parts = [(part_laid(p, folds, markdown), isinstance(p, Call)) for p in entry.parts]
    out = joined(parts)
    ending = ending_of(entry, columns)
    gap: list[Line] = [[]] if out and ending else []
    behind: list[Line] = [] if _ends_in_a_call(entry) else [[]]
    return [head, *out, Stretch([*gap, *ending]), Stretch(behind)]


def joined(parts: Sequence[tuple[list[Stretch], bool]]) -> list[Stretch]:
    """Parts with an empty line between them, but none between calls (True)."""
    out: list[Stretch] = []
    called = False
    for part, calls in parts:
        if part:
            out += [Stretch([[]]), *part] if out and not (called and calls) else part
            called = calls
    return out


def _closed(lines: list[Line]) -> list[Line]:
    return [*lines, []] if lines else []


def _said(n: int, entry: AnyEntry, folds: Folds) -> list[Line]:
    columns = folds.columns
    match entry:
        case UserSaid(parts=parts):
            head = header(str(n), "you", "class:you", clock(entry.at), columns)
            return [head, *_user(parts, columns)]
        case ToolReturned(result=result, seconds=seconds, note=note, size=size):
            return [*cards.returned(result, seconds, folds), *cards.besides(note, size, folds)]
        case SystemSet(text=text):
            words = one(text, columns) if text else "none from here on"
            lead = f"{numbered(str(n), columns)}system  "
            return [clipped([("class:meta", lead), ("class:meta", words)], columns)]
        case Compacted(summary=summary, through=through, why="compact") if summary:
            label = f"1 to {through} are told to the model as this summary; /undo takes it back"
            return [divider(label, columns), *plain(summary, columns, "class:thinking")]
        case Compacted(through=through, why=why):
            return [divider(f"1 to {through} {_left_out(why, columns)}", columns)]
        case Hidden(ns=ns, why=why):
            what = f"{ns[0]}" if len(ns) == 1 else f"{len(ns)} messages"
            return [divider(f"{what} {_left_out(why, columns, count=len(ns))}", columns)]
        case Marked(of=of, mark=wish):
            return mark("·", f"message {of} {WISHES[wish]}", "class:notice", columns)
        case Cleared():
            return [divider("cleared; /undo brings back what was here", columns)]
        case Noted(text=text):
            return mark("·", text, "class:notice", columns)
        case _:
            return []


def _asked(n: int, entry: UserSaid, columns: int) -> list[Stretch]:
    """A long question: what is seen of it is made."""
    out = [Stretch([header(str(n), "you", "class:you", clock(entry.at), columns)])]
    for part in entry.parts:
        if isinstance(part, Text):
            out += long(part.text.strip("\n"), columns)
        else:
            out.append(Stretch(_user((part,), columns)))
    return out


def _opened(entry: ToolReturned, folds: Folds) -> list[Stretch]:
    """All of what a tool gave back."""
    return [
        *cards.opened(entry.result, entry.seconds, folds),
        Stretch(cards.besides(entry.note, entry.size, folds)),
    ]


def _left_out(why: str, columns: int, *, count: int = 2) -> str:
    verb = "is" if count == 1 else "are"
    return f"{verb} no longer sent ({one(why, columns)}); /undo takes it back"


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
    return local(at, MINUTE)


# -- answers -----------------------------------------------------------------------------------


def answer_head(
    n: int,
    entry: AssistantSaid,
    columns: int,
    *,
    timed: bool = False,
    of: tuple[int, int] = (1, 1),
) -> Line:
    """Who answers, and what it took; with ``timed``, when; which ``of`` several it is."""
    who = entry.model or entry.served or "assistant"
    figures = _figures(entry)
    if timed and clock(entry.at):
        figures.append(clock(entry.at))
    if of[1] > 1:
        figures.append(f"{of[0]} of {of[1]}")
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


def part_laid(part: AnyPart, folds: Folds, markdown: Markdown) -> list[Stretch]:
    """One part of an answer."""
    columns = folds.columns
    match part:
        case Text(text=text):
            return markdown(text, columns) if text.strip() else []
        case Thinking(text=text):
            return _thought(text, folds)
        case Call(name=name, arguments=arguments):
            return cards.asked_whole(name, arguments, folds)
        case Image() | File() | Result():
            return [Stretch(_user((part,), columns))]
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


def _thought(text: str, folds: Folds) -> list[Stretch]:
    """Thinking that is over."""
    if not folds.thinking or len(text) <= cutting.PIECE:
        return [Stretch(thinking(text, len(text), folds, done=True))]
    head = Stretch(thinking("", len(text), folds, done=True))
    return [head, *long(text.strip("\n"), folds.columns, "class:thinking")]


def ending_of(entry: AssistantSaid, columns: int) -> list[Line]:
    """In words, how an answer ended that is not complete."""
    if entry.status is Status.COMPLETE:
        words = entry.remark
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


def _told(told: Told, columns: int, page: Markdown) -> list[Stretch]:
    match told.kind:
        case Kind.NOTICE:
            return [Stretch(mark("·", told.text, "class:notice", columns))]
        case Kind.WARNING:
            return [Stretch(mark("!", told.text, "class:warning", columns))]
        case Kind.FAILURE:
            out = mark("✗", told.text, "class:failure", columns)
            hint = plain(told.hint, columns, "class:hint") if told.hint else []
            return [Stretch([*out, *hint])]
        case Kind.PAGE:
            title = one(told.title or "page", columns - 8)
            top, end = Stretch([divider(title, columns)]), Stretch([divider("", columns)])
            if told.beside:
                return [top, *compare.laid(told.beside, columns, page), end]
            return [top, *page(told.text, columns), end]
        case _:
            assert_never(told.kind)
