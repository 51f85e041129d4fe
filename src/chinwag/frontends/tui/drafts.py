"""The draft in the input: told as it changes, put aside, brought back, left with its session.

Invariants: nothing that was typed is dropped: what makes way for something else is put aside where
Up and /draft find it. A draft stays with its session; typed before anything was said, or in a copy,
it goes on. Lines that wait for their turn belong to what is not sent.
"""

from __future__ import annotations

from collections.abc import Sequence

from prompt_toolkit.buffer import Buffer

from chinwag.frontends.tui.completion import DeskHistory
from chinwag.frontends.tui.pastes import Pastes, unfolded
from chinwag.frontends.tui.promises import Desk
from chinwag.talk.session import Session

BETWEEN = "\n\n"
"""Between lines that wait, in the draft they become when the program ends."""


class InputDraft:
    """What stands in ``buffer``. ``changed`` is to be called after each change of it."""

    def __init__(self, desk: Desk, past: DeskHistory, pastes: Pastes) -> None:
        self._desk = desk
        self._past = past
        self._pastes = pastes
        self._queue: tuple[str, ...] = ()
        self._switching = False
        self.buffer: Buffer | None = None
        self._brought = ""

    def changed(self, _: object = None) -> None:
        """Have kept what is not sent: what stands in the input, after what waits for its turn."""
        if self.buffer is None or self._switching:
            return
        text, cursor = self.buffer.text, self.buffer.cursor_position
        if self._queue:
            before = BETWEEN.join(self._queue) + BETWEEN * bool(text)
            text, cursor = before + text, len(before) + cursor
        self._desk.draft_changed(text, cursor, self._pastes.standing(text))

    def waits(self, queue: tuple[str, ...]) -> None:
        """Other lines wait for their turn now."""
        if queue != self._queue:
            self._queue = queue
            self.changed()

    def clear(self) -> None:
        """Empty the input."""
        self._brought = ""
        self._pastes.clear()
        if self.buffer is not None:
            self.buffer.reset()
        self.changed()

    def give_up(self) -> None:
        """Empty the input; what stood there is put aside."""
        if self.buffer is not None and self.buffer.text:
            self._put_aside(self.buffer.text, self._pastes.standing(self.buffer.text))
        self.clear()

    def replace(self, text: str) -> None:
        """Another text in the place of what stands there; undo brings that back."""
        if self.buffer is not None:
            self.buffer.save_to_undo_stack()
            self.buffer.text = text
            self.buffer.cursor_position = len(text)

    def put(self, text: str, cursor: int | None, pastes: Sequence[tuple[str, str]]) -> None:
        """Text for the input; where something else stands there it is put aside."""
        if self.buffer is None:
            return
        if self.buffer.text:
            if self.buffer.text != text:
                self._put_aside(text, pastes)
            return
        self._pastes.bring_back(pastes)
        if not pastes and cursor is None:
            text = self._pastes.shortened(text)
        self.buffer.text = self._brought = text
        self.buffer.cursor_position = len(text) if cursor is None else min(cursor, len(text))

    def command_behind(self) -> str:
        """A command typed behind text that was put back unasked, as in `/undo` twice; the text is
        put aside then. "" for anything else, which is what it looks like."""
        text = self.buffer.text if self.buffer is not None else ""
        if not self._brought or not text.startswith(self._brought):
            return ""
        line = text.removeprefix(self._brought)
        name = line.partition(" ")[0]
        if name[:1] != "/" or not any(
            found.text.strip() == name for found in self._desk.complete(name, len(name))
        ):
            return ""
        self._put_aside(self._brought, self._pastes.standing(self._brought))
        return line

    def _put_aside(self, text: str, pastes: Sequence[tuple[str, str]]) -> None:
        self._past.append_string(unfolded(text, pastes))
        self._desk.draft_put_aside(text, pastes)

    def move(self, before: Session, now: Session) -> None:
        """Another session is in front."""
        if before.tally.messages and now.birth.parent != before.id:
            self._switching = True
            self.clear()
            self._switching = False
        self.changed()
