"""Colour for code, line by line; pure.

Invariants: a line is coloured from the state in which the line before left the lexer; so a fence of
any length costs the same per line, and a fence read in pieces looks like one read whole. The text
that comes out is the text that went in. The language is what the fence says; it is never guessed.
pygments is imported when the first fence is met, not before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

Pieces: TypeAlias = list[tuple[str, str]]
"""(name of a style, text)"""

LONGEST_LINE = 1000
"""A longer line (minified code) is left plain: a lexer may take long over it."""

# Comments that reach over lines are one regular expression in most lexers, so a lexer that sees
# one line at a time misses them. These are the languages which write them /* so */.
_SLASH_STAR = frozenset(
    "c cpp c++ csharp c# java javascript js typescript ts jsx tsx go rust swift kotlin scala php"
    " css scss less sql dart groovy objective-c zig".split()
)
_STAR = re.compile(r"\*/")
_NAMES = (
    ("Token.Comment", "code.comment"),
    ("Token.Keyword.Constant", "code.builtin"),
    ("Token.Keyword", "code.keyword"),
    ("Token.Operator.Word", "code.keyword"),
    ("Token.Literal.String", "code.string"),
    ("Token.Literal.Number", "code.number"),
    ("Token.Name.Function", "code.name"),
    ("Token.Name.Class", "code.name"),
    ("Token.Name.Decorator", "code.name"),
    ("Token.Name.Tag", "code.keyword"),
    ("Token.Name.Attribute", "code.name"),
    ("Token.Name.Builtin", "code.builtin"),
    ("Token.Generic.Deleted", "code.bad"),
    ("Token.Generic.Inserted", "code.string"),
    ("Token.Generic.Heading", "code.keyword"),
    ("Token.Generic.Subheading", "code.keyword"),
)


class State(NamedTuple):
    """How a line left the lexer: its stack, and whether a comment is open."""

    stack: tuple[str, ...] = ("root",)
    commented: bool = False


BEGIN = State()


class Colours:
    """Colours the lines of a fence. Which line comes when is told by the state."""

    def __init__(self, language: str) -> None:
        self._lexer = _lexer(language)
        self._starred = language.lower() in _SLASH_STAR

    def line(self, line: str, state: State = BEGIN) -> tuple[Pieces, State]:
        """A line without its newline as pieces, and the state for the next one."""
        if state.commented:
            return self._rest_of_comment(line, state)
        stack = list(state.stack)
        pieces = list(self._pieces(line, stack))
        if self._starred and "/*" in line:
            return self._maybe_open_comment(line, pieces, state.stack, tuple(stack))
        return pieces, State(tuple(stack))

    def _rest_of_comment(self, line: str, state: State) -> tuple[Pieces, State]:
        end = _STAR.search(line)
        if end is None:
            return [("code.comment", line)], state
        pieces, after = self.line(line[end.end() :], State(state.stack))
        return [("code.comment", line[: end.end()]), *pieces], after

    def _maybe_open_comment(
        self, line: str, pieces: Pieces, before: tuple[str, ...], after: tuple[str, ...]
    ) -> tuple[Pieces, State]:
        """Whether a comment begins in this line and does not end in it."""
        at = line.rfind("/*")
        if "*/" in line[at + 2 :] or _style_at(pieces, at) == "code.string":
            return pieces, State(after)
        stack = list(before)
        pieces = [*self._pieces(line[:at], stack), ("code.comment", line[at:])]
        return pieces, State(tuple(stack), commented=True)

    def _pieces(self, line: str, stack: list[str]) -> Iterator[tuple[str, str]]:
        if self._lexer is None or len(line) > LONGEST_LINE:
            yield "code", line
            return
        last, held = "", ""
        for token, text in _tokens(self._lexer, line + "\n", stack):
            name = _style(token)
            clean = text.replace("\n", "")
            if name != last and held:
                yield last, held
                held = ""
            last, held = name, held + clean
        if held:
            yield last, held


def _style_at(pieces: Pieces, at: int) -> str:
    for name, text in pieces:
        at -= len(text)
        if at < 0:
            return name
    return ""


@lru_cache(maxsize=64)
def _lexer(language: str) -> Any:
    """pygments' lexer of that name, or None."""
    if not language:
        return None
    from pygments.lexers import get_lexer_by_name  # type: ignore[import-untyped]
    from pygments.util import ClassNotFound  # type: ignore[import-untyped]

    try:
        return get_lexer_by_name(language.lower())
    except ClassNotFound:
        return None


@lru_cache(maxsize=512)
def _style(token: Any) -> str:
    name = str(token)
    return next((style for prefix, style in _NAMES if name.startswith(prefix)), "code")


def _tokens(lexer: Any, text: str, stack: list[str]) -> Iterator[tuple[Any, str]]:
    """The tokens of one line; ``stack`` is the lexer's state before and, changed, after it."""
    rules = _rules(lexer)
    if rules is None:
        yield from ((token, part) for _, token, part in lexer.get_tokens_unprocessed(text))
        return
    at, steps, most = 0, 0, 20 * len(text) + 100
    while at < len(text):
        steps += 1
        found = _match(rules, stack, text, at) if steps < most else None
        if found is None:
            if text[at] == "\n":  # where no rule knows the end of a line, lexers begin anew
                stack[:] = ["root"]
            yield None, text[at]
            at += 1
            continue
        match, action, move = found
        if callable(action) and not isinstance(action, tuple):
            yield from ((token, part) for _, token, part in action(lexer, match) if part)
        elif action is not None:
            yield action, match.group()
        at = match.end()
        _move(stack, move)


def _match(
    rules: dict[str, Any], stack: list[str], text: str, at: int
) -> tuple[re.Match[str], Any, Any] | None:
    for matches, action, move in rules[stack[-1]]:
        match = matches(text, at)
        if match:
            return match, action, move
    return None


def _move(stack: list[str], move: Any) -> None:
    """Carry out what a rule says about the state stack."""
    if move is None:
        return
    for step in move if isinstance(move, tuple) else (move,):
        if step == "#push":
            stack.append(stack[-1])
        elif step == "#pop":
            del stack[max(1, len(stack) - 1) :]
        elif isinstance(step, int):
            del stack[max(1, len(stack) + step) :]
        else:
            stack.append(step)


def _rules(lexer: Any) -> dict[str, Any] | None:
    """The rule tables of a plain RegexLexer; None for lexers that work in another way."""
    from pygments.lexer import RegexLexer  # type: ignore[import-untyped]

    plain = RegexLexer.get_tokens_unprocessed
    if not isinstance(lexer, RegexLexer) or type(lexer).get_tokens_unprocessed is not plain:
        return None
    tables: dict[str, Any] | None = getattr(lexer, "_tokens", None)
    return tables
