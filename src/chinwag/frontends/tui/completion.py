"""The desk's suggestions, and its history, as prompt_toolkit wants them.

Invariants: nothing here decides what fits; the desk does. Labels and descriptions are foreign text
(session titles, file names) and are made safe. What is inserted is raw: it is the person's input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.history import History

from chinwag.frontends.tui.drawing import one
from chinwag.frontends.tui.promises import Desk
from chinwag.talk.event import Choice

_OPTIONAL = re.compile(r"\[[^\[\]]*\]")
MOST = 200
LABEL_CELLS = 40
DETAIL_CELLS = 60


class DeskCompleter(Completer):
    """Asks the desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,  # noqa: ARG002 (the toolkit's signature)
    ) -> Iterable[Completion]:
        cursor = document.cursor_position
        for found in list(self._desk.complete(document.text, cursor))[:MOST]:
            yield Completion(
                found.text,
                start_position=min(0, found.start - cursor),
                display=one(found.label, LABEL_CELLS),
                display_meta=one(found.detail, DETAIL_CELLS),
            )


class DeskHistory(History):
    """Lines typed before: the desk's, and those of this run."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._known = 0  # of the desk's lines
        self._stored: list[str] = []  # handed to the desk, and not yet met among its lines

    def load_history_strings(self) -> Iterable[str]:
        lines = self._desk.history()
        self._known = len(lines)
        return reversed(lines)

    def store_string(self, string: str) -> None:
        self._stored.append(string)
        self._desk.remember(string)

    def renewed(self) -> list[str]:
        """What other programs have added since the last look, oldest first; it belongs here now."""
        if not self._loaded:
            return []
        lines = self._desk.history()
        fresh, self._known = lines[self._known :], len(lines)
        theirs = []
        for line in fresh:
            if line in self._stored:
                self._stored.remove(line)
            else:
                theirs.append(line)
        self._loaded_strings[:0] = reversed(theirs)
        return theirs


class InputBuffer(Buffer):
    """What is being typed, below the lines typed before, those of other running programs too."""

    def history_backward(self, count: int = 1) -> None:
        self.renew()
        super().history_backward(count)

    def renew(self) -> None:
        """Put lines that others have added meanwhile right above what is being typed."""
        last, loading = len(self._working_lines) - 1, self._load_history_task
        past = self.history
        if self.working_index != last or loading is None or not loading.done():
            return  # in the middle of a walk lines must not move
        if not isinstance(past, DeskHistory) or not (fresh := past.renewed()):
            return
        for line in reversed(fresh):
            self._working_lines.insert(last, line)
        cursor = self.cursor_position
        self.working_index = last + len(fresh)
        self.cursor_position = cursor


def names_a_file(before: str) -> bool:
    """Whether what is typed ends in an unfinished `@path`."""
    word = before.rsplit(maxsplit=1)[-1] if before and not before[-1].isspace() else ""
    return word.startswith("@")


def _wants_words(label: str) -> bool:
    """Whether a command, as its usage shows it, means nothing without words after it."""
    before = ""
    while label != before:
        before, label = label, _OPTIONAL.sub("", label)
    return any(word.isupper() for word in label.split()[1:])


def palette(complete: Callable[[str, int], Iterable[object]]) -> tuple[Choice, ...]:
    """All commands as choices, in the desk's order."""
    out: dict[str, Choice] = {}
    for found in complete("/", 1):
        label = str(getattr(found, "label", ""))
        line = str(getattr(found, "text", "")).rstrip()
        line = line if line.startswith("/") else f"/{line}"
        line += " " * _wants_words(label)
        out.setdefault(line, Choice(label, line, str(getattr(found, "detail", ""))))
    return tuple(out.values())
