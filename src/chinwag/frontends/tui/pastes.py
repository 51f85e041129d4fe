"""Long pastes folded to a word in the input, and unfolded when sent; pure but for its memory.

Invariants: what is sent is what was pasted, with line ends as `\\n`; a placeholder the person has
changed is only text. No two placeholders are alike, so each stands for one paste.
"""

from __future__ import annotations

from collections.abc import Iterable

MOST_LINES = 20
MOST_CHARACTERS = 4000
MOST_LINES_BACK = 400
MOST_CHARACTERS_BACK = 40_000
"""What is given back (a message taken back) stands there whole up to so much."""


def unfolded(text: str, pastes: Iterable[tuple[str, str]]) -> str:
    """``text`` with every placeholder of ``pastes`` replaced by what it stands for."""
    for name, whole in pastes:
        if name in text:
            text = text.replace(name, whole, 1)
    return text


class Pastes:
    """The pastes of the draft being written."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def fold(self, data: str) -> str:
        """What to put into the input for a paste: itself, or a placeholder."""
        text = data.replace("\r\n", "\n").replace("\r", "\n")
        lines = text.count("\n") + (not text.endswith("\n"))
        if lines > MOST_LINES:
            return self._named(text, f"pasted {lines} lines")
        if len(text) > MOST_CHARACTERS:
            return self._named(text, f"pasted {len(text)} characters")
        return text

    def shortened(self, text: str) -> str:
        """Text that comes back, folded where nobody would want to edit it here."""
        if text.count("\n") > MOST_LINES_BACK or len(text) > MOST_CHARACTERS_BACK:
            return self.fold(text)
        return text

    def unfold(self, text: str) -> str:
        """The draft with every placeholder replaced by what it stands for."""
        return unfolded(text, self._texts.items())

    def standing(self, text: str) -> tuple[tuple[str, str], ...]:
        """The pastes that stand in ``text``: (placeholder, what it stands for)."""
        return tuple((name, whole) for name, whole in self._texts.items() if name in text)

    def bring_back(self, pastes: Iterable[tuple[str, str]]) -> None:
        """Placeholders of a draft that was kept stand for their text again."""
        self._texts.update(pastes)

    def before(self, text: str) -> str:
        """The placeholder ``text`` ends with; "" when it ends with none."""
        return next((name for name in self._texts if text.endswith(name)), "")

    def clear(self) -> None:
        self._texts.clear()

    def _named(self, text: str, what: str) -> str:
        name, count = f"[{what}]", 1
        while name in self._texts:
            count += 1
            name = f"[{what}, {count}]"
        self._texts[name] = text
        return name
