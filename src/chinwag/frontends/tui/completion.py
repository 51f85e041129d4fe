"""The desk's suggestions, and its history, as prompt_toolkit wants them.

Invariants: nothing here decides what fits; the desk does. Labels and descriptions are foreign text
(session titles, file names) and are made safe. What is inserted is raw: it is the person's input.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

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

    def load_history_strings(self) -> Iterable[str]:
        return reversed(self._desk.history())

    def store_string(self, string: str) -> None:
        self._desk.remember(string)


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
