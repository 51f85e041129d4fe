"""A letter typed at the end of a line stands on the screen before the frame that shows its effect.

Invariants: what is written is what the next frame shows in that cell, and the toolkit's renderer is
told so (its last screen, its cursor), so that the frame finds nothing to do there. Only the plain
case is written: one letter of one cell, behind the text that the last frame showed, with room in
the row. Anything else, and every doubt, waits for the frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from prompt_toolkit.data_structures import Point, Size
from prompt_toolkit.layout.screen import Char, Screen
from prompt_toolkit.styles import DEFAULT_ATTRS, Attrs

from chinwag.text.cells import width

if TYPE_CHECKING:
    from prompt_toolkit.application import Application
    from prompt_toolkit.buffer import Buffer
    from prompt_toolkit.layout import Window


class Echo:
    """Of the input drawn in ``window``. ``drawn`` is what is drawn for a character; ``may`` says
    whether the terminal takes what is written now."""

    def __init__(
        self,
        app: Application[None],
        buffer: Buffer,
        window: Window,
        *,
        drawn: Callable[[str], str],
        may: Callable[[], bool],
    ) -> None:
        self._app, self._buffer, self._window = app, buffer, window
        self._drawn, self._may = drawn, may
        self._shown = ("", -1)
        buffer.on_text_insert += self._inserted

    def framed(self) -> None:
        """A frame was drawn: so does the input stand on the screen."""
        self._shown = (self._buffer.text, self._buffer.cursor_position)

    def _inserted(self, _: Buffer) -> None:
        if (letter := self._letter()) and self._may():
            self._write(letter)

    def _letter(self) -> str:
        """The one letter by which the input differs from what stands on the screen, at the end of
        a line; "" where it is not that."""
        buffer, (before, at) = self._buffer, self._shown
        text, cursor = buffer.text, buffer.cursor_position
        letter = text[at:cursor]
        if len(letter) != 1 or buffer.complete_state or buffer.selection_state:
            return ""
        if (
            text[cursor : cursor + 1] not in {"", "\n"}
            or text != before[:at] + letter + before[at:]
        ):
            return ""
        plain = letter.isprintable() and width(letter) == 1 and self._drawn(letter) == letter
        return letter if plain else ""

    def _write(self, letter: str) -> None:
        known = _Known(self._app.renderer)
        screen, at = known.screen, known.cursor
        if screen is None or known.size != self._app.output.get_size():
            return
        row = screen.data_buffer[at.y]
        if not self._has_room(screen, at) or row[at.x].char != " ":
            return
        self._put(letter, known.attributes(row[at.x].style))
        row[at.x] = Char(letter, row[at.x].style)
        behind = Point(x=at.x + 1, y=at.y)
        screen.set_cursor_position(self._window, behind)
        known.cursor = behind
        self.framed()

    def _has_room(self, screen: Screen, at: Point) -> bool:
        """Whether the cursor stands in the input, with a cell to spare behind it."""
        place = screen.visible_windows_to_write_positions.get(self._window)
        focused = self._app.layout.current_window is self._window
        if place is None or not focused or screen.get_cursor_position(self._window) != at:
            return False
        return (
            place.ypos <= at.y < place.ypos + place.height and at.x + 1 < place.xpos + place.width
        )

    def _put(self, letter: str, attributes: Attrs) -> None:
        output, plain = self._app.output, attributes == DEFAULT_ATTRS
        if not plain:
            output.set_attributes(attributes, self._app.color_depth)
        output.write(letter)
        if not plain:
            output.reset_attributes()
        output.flush()


class _Known:
    """What the renderer knows of the terminal; it has no public name for most of that.

    It leaves the attributes reset behind each frame, and so do we.
    """

    def __init__(self, renderer: Any) -> None:
        self._renderer = renderer
        self.screen: Screen | None = renderer.last_rendered_screen
        self.size: Size | None = renderer._last_size  # noqa: SLF001

    @property
    def cursor(self) -> Point:
        at: Point = self._renderer._cursor_pos  # noqa: SLF001
        return at

    @cursor.setter
    def cursor(self, at: Point) -> None:
        self._renderer._cursor_pos = at  # noqa: SLF001

    def attributes(self, style: str) -> Attrs:
        found: Attrs = self._renderer._attrs_for_style[style]  # noqa: SLF001
        return found
