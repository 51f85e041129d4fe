"""Fenced code blocks of a Markdown text, found by looking at its lines. Pure, and quick.

Invariants: the screen numbers code blocks by this and `/copy 3` takes them by this, so the two
never disagree; a block's text is the source as it was written, without the indentation of the list
or quotation it stands in. It agrees with a full Markdown parser on what is and is not a fence but
for constructions nobody writes (a fence inside an HTML block, say). Linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Compiled, and kept by `re`, when a fence is first looked for.
_OPENING = (
    r"(?P<lead>(?:[ \t]*(?:>|(?:[-*+]|\d{1,9}[.)])(?=[ \t])))*[ \t]*)"
    r"(?P<mark>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)"
)
_ITEM = r"[ \t]*(?:>[ \t]?)*(?:[-*+]|\d{1,9}[.)])[ \t]"


class Fence(NamedTuple):
    """``language`` is the first word after the mark, "" where none is given."""

    language: str
    text: str


def fences(markdown: str) -> Iterator[Fence]:
    """Every fenced block, in order; one that is never closed ends with the text."""
    if "```" not in markdown and "~~~" not in markdown:
        return
    lines = iter(markdown.split("\n"))
    in_list = False
    for line in lines:
        found = re.match(_OPENING, line)
        if found is None or not _may_open(found["lead"], in_list=in_list):
            in_list = _goes_on(line, in_list=in_list)
            continue
        in_list = in_list or _is_item(found["lead"])
        words = found["info"].split(None, 1)
        yield Fence(words[0] if words else "", _body(lines, found["lead"], found["mark"]))


def count(markdown: str) -> int:
    """How many fenced blocks there are. Quick where every mark stands at the margin."""
    if "```" not in markdown and "~~~" not in markdown:
        return 0
    if _is_one_at_the_margin(markdown):
        return 1
    marked = [re.match(_MARKED, line) for line in _lines_with_marks(markdown)]
    found = [each.groups() for each in marked if each is not None]
    if any(lead.strip(" ") or len(lead) > 3 for lead, _, _ in found):
        return sum(1 for _ in fences(markdown))
    return _counted(found)


def _is_one_at_the_margin(markdown: str) -> bool:
    """The commonest answer: two marks at the margin, the second with nothing behind it."""
    first = markdown.find("```")
    second = markdown.find("```", first + 3)
    if first < 0 or second < 0 or "~~~" in markdown or markdown.find("```", second + 3) >= 0:
        return False
    opens = first == 0 or markdown[first - 1] == "\n"
    closes = markdown[second - 1] == "\n" and markdown[second + 3 : second + 4] in ("", "\n")
    return opens and closes and "`" not in markdown[first + 3 : markdown.find("\n", first)]


#: What may stand before a mark that opens or closes a block: blanks, and signs of lists and quotes.
_MARKED = r"([ \t>*+.)\d-]*)(`{3,}|~{3,})(.*)"


def _lines_with_marks(markdown: str) -> Iterator[str]:
    end = -1
    for found in re.finditer("```|~~~", markdown):
        if found.start() > end:
            start = markdown.rfind("\n", 0, found.start()) + 1
            end = markdown.find("\n", found.start())
            end = len(markdown) if end < 0 else end
            yield markdown[start:end]


def _counted(marked: Sequence[Sequence[str]]) -> int:
    """Blocks among lines that begin with a mark and stand in nothing."""
    blocks, opened = 0, ""
    for _, mark, rest in marked:
        if opened:
            if mark[0] == opened[0] and len(mark) >= len(opened) and not rest.strip(" \t"):
                opened = ""
        elif mark[0] == "~" or "`" not in rest:
            blocks, opened = blocks + 1, mark
    return blocks


def _is_item(lead: str) -> bool:
    return bool(re.match(_ITEM, lead + " "))


def _may_open(lead: str, *, in_list: bool) -> bool:
    """Four columns in are an indented block, unless a list is what indents."""
    return in_list or _is_item(lead) or _columns(lead.rpartition(">")[2]) < 4


def _goes_on(line: str, *, in_list: bool) -> bool:
    """Whether a list is still open after ``line``: until something stands at the margin."""
    if re.match(_ITEM, line):
        return True
    return in_list and (not line.strip() or line[0] in " \t>")


def _columns(lead: str) -> int:
    return len(lead.expandtabs(4))


def _body(lines: Iterator[str], lead: str, mark: str) -> str:
    """The lines up to the closing mark, taken from ``lines``."""
    inside = _columns(re.sub(r"[-*+>]|\d+[.)]", lambda m: " " * len(m[0]), lead))
    quoted = lead.count(">")
    closing = re.compile(rf"[ \t]*{re.escape(mark[0])}{{{len(mark)},}}[ \t]*")
    out: list[str] = []
    for raw in lines:
        line = _unquoted(raw, quoted)
        if line is None:
            break  # the quotation the block stood in has ended
        if closing.fullmatch(line):
            return "".join(f"{text}\n" for text in out)
        out.append(_dedented(line, inside - quoted if quoted else inside))
    while out and not out[-1].strip():
        out.pop()
    return "".join(f"{text}\n" for text in out)


def _unquoted(line: str, depth: int) -> str | None:
    for _ in range(depth):
        bare = line.lstrip(" ")
        if not bare.startswith(">"):
            return None
        line = bare[1:].removeprefix(" ")
    return line


def _dedented(line: str, columns: int) -> str:
    """Without up to so many leading blanks."""
    at = 0
    while at < columns and at < len(line) and line[at] == " ":
        at += 1
    return line[at:]
