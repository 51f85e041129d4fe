"""A window of ready-made lines, and the column the screen is made of.

Why not prompt_toolkit's own: its window copies every character of every line into the frame, and
its split finds heights by growing them row by row; together that is most of a frame. Here a line is
turned into a row of cells once and taken again as long as it is the same line.

Invariants: a row in a frame is a copy, for menus are drawn over it; only rows of the last frame are
remembered, so memory is that of one screen. `Row.items` answers only what the toolkit's renderer
asks: where the row ends. What a row does not hold (`BLANK`) differs from a blank that it holds, so
that a growing line is sent with its blanks and not with a step over each.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, ItemsView
from functools import partial
from typing import Any, TypeAlias

from prompt_toolkit.application import get_app
from prompt_toolkit.layout import AnyContainer, Container, Dimension, UIContent, UIControl, Window
from prompt_toolkit.layout.containers import to_container
from prompt_toolkit.layout.mouse_handlers import MouseHandler, MouseHandlers
from prompt_toolkit.layout.screen import _CHAR_CACHE, Char, Screen, WritePosition
from prompt_toolkit.mouse_events import MouseEvent, MouseEventType

from chinwag.frontends.tui import scrolling

Line: TypeAlias = list[tuple[str, str]]
Draw: TypeAlias = Callable[[int, int], list[Line]]

BLANK = Char(" ", "class:blank")  # nothing stands there; looks like a blank but is none
MARK = Char("x", "")
NONE: dict[int, Char] = {}
WHEEL = 3
GAP = 5
"""A run of so many unstyled blanks is left out: to step over it costs less than to send it."""


class Row(dict[int, Char]):
    """Cells by column; ``last`` is the last column used while nothing was drawn over it.

    ``source`` is the row this is a copy of. A row that stands where a copy of the same row stood in
    the last frame is ``same``, and so is that one: the renderer is told that both are empty, and
    looks no further.
    """

    __slots__ = ("last", "same", "source")

    def __init__(self, cells: dict[int, Char], last: int, source: Row | None = None) -> None:
        super().__init__(cells)
        self.last = last
        self.source = source
        self.same = False

    def __missing__(self, column: int) -> Char:
        return BLANK

    def __setitem__(self, column: int, char: Char) -> None:
        super().__setitem__(column, char)
        self.last = -1

    def items(self) -> ItemsView[int, Char]:  # type: ignore[override]
        if self.last < 0:
            return super().items()
        return NONE.items() if self.same else {self.last: MARK}.items()


def cells_of(line: Line, columns: int) -> Row:
    """A line as cells; marks join the cell before them, what is too wide is left out."""
    cells: dict[int, Char] = {}
    at = last = 0
    for style, text in line:
        if not style and len(text) >= GAP and text.isspace() and text.isascii():
            at += len(text)
            continue
        for letter in text:
            char = _CHAR_CACHE[letter, style]
            wide = char.width
            if wide == 0:
                _join(cells, at, letter)
                continue
            if at + wide > columns:
                return Row(cells, last)
            cells[at] = char
            if wide > 1:
                cells[at + 1] = _CHAR_CACHE["", style]
            at += wide
            if letter != " " or style:
                last = at - 1
    return Row(cells, last)


def _join(cells: dict[int, Char], at: int, mark: str) -> None:
    """A combining mark belongs to the cell before."""
    for back in (1, 2):
        char = cells.get(at - back)
        if char is not None and char.char:
            cells[at - back] = _CHAR_CACHE[char.char + mark, char.style]
            return


class Lines(UIControl):
    """What a pane shows, as the toolkit's focus and mouse know it."""

    def __init__(self, draw: Draw, *, focusable: bool = False) -> None:
        self.draw = draw
        self._focusable = focusable

    def is_focusable(self) -> bool:
        return self._focusable

    def create_content(self, width: int, height: int) -> UIContent:
        lines = self.draw(width, height)
        return UIContent(lambda at: list(lines[at]), len(lines), show_cursor=False)


class Pane(Window):
    """A window whose lines fill it exactly."""

    def __init__(
        self,
        draw: Draw,
        *,
        wheel: Callable[[int], None] | None = None,
        cursor: Callable[[], int] | None = None,
    ) -> None:
        super().__init__(Lines(draw, focusable=cursor is not None))
        self._draw = draw
        self._wheel = wheel
        self._cursor = cursor
        self._rows: dict[int, tuple[Line, Row]] = {}
        self._columns = 0
        self._lines: list[Line] = []
        self._top = 0
        self._scrolls = wheel is not None
        self._mouse_row: defaultdict[int, MouseHandler] = defaultdict(lambda: self._mouse)

    def write_to_screen(
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,  # noqa: ARG002 (the toolkit's signature)
        erase_bg: bool,  # noqa: ARG002, FBT001
        z_index: int | None,  # noqa: ARG002
    ) -> None:
        top, columns, height = write_position.ypos, write_position.width, write_position.height
        if height <= 0 or columns <= 0:
            return
        lines = self._draw(columns, height)[:height]
        if self._scrolls and columns == self._columns and len(lines) == len(self._lines):
            self._let_scroll(top, columns, lines)
        self._lines = lines
        self._put(screen, top, columns, lines)
        screen.width = max(screen.width, columns)
        screen.height = max(screen.height, top + height)
        screen.visible_windows_to_write_positions[self] = write_position
        if self._cursor is not None:
            screen.set_cursor_position(self, _point(self._cursor(), top))
        if self._wheel is not None:
            for y in range(top, top + height):
                mouse_handlers.mouse_handlers[y] = self._mouse_row

    def _let_scroll(self, top: int, columns: int, lines: list[Line]) -> None:
        """Let the terminal move what only moved."""
        move = scrolling.moved(self._lines, lines) if top == self._top else None
        self._top = top
        if move is not None:
            blank = partial(Row, {}, 0)
            scrolling.scroll(get_app().renderer, move, top, columns, blank)

    def _put(self, screen: Screen, top: int, columns: int, lines: list[Line]) -> None:
        known = self._rows if columns == self._columns else {}
        rows: dict[int, tuple[Line, Row]] = {}
        buffer: Any = screen.data_buffer  # ours are dicts with a default, too
        before = _rows_before(columns)
        for y, line in enumerate(lines, top):
            found = known.get(id(line))
            row = found[1] if found is not None else cells_of(line, columns)
            rows[id(line)] = (line, row)  # the line is held, so its id stays its own
            buffer[y] = fresh = Row(row, row.last, row)
            old = before.get(y)
            if isinstance(old, Row) and old.source is row and old.last >= 0:
                old.same = fresh.same = True
        self._rows, self._columns = rows, columns

    def _mouse(self, event: MouseEvent) -> Any:
        if self._wheel is None:
            return NotImplemented
        match event.event_type:
            case MouseEventType.SCROLL_UP:
                self._wheel(-WHEEL)
            case MouseEventType.SCROLL_DOWN:
                self._wheel(WHEEL)
            case _:
                return NotImplemented
        return None


def _rows_before(columns: int) -> dict[int, Any]:
    """The rows of the last frame, where the next one is compared with it."""
    app = get_app()
    last = app.renderer.last_rendered_screen
    if last is None or last.width != columns or app.is_done:
        return {}
    rows: Any = last.data_buffer
    return dict(rows)


def _forget_sameness() -> None:
    """What was the same in the last frame says nothing about the next one."""
    last = get_app().renderer.last_rendered_screen
    for row in last.data_buffer.values() if last is not None else ():
        if isinstance(row, Row):
            row.same = False


def _point(x: int, y: int) -> Any:
    from prompt_toolkit.data_structures import Point

    return Point(x=x, y=y)


class Column(Container):
    """The screen from top to bottom: the first child takes what the others leave."""

    def __init__(self, children: list[AnyContainer], *, third: int) -> None:
        self._children = [to_container(child) for child in children]
        self._third = third  # the child that may grow to a third of the screen

    def reset(self) -> None:
        for child in self._children:
            child.reset()

    def preferred_width(self, max_available_width: int) -> Dimension:
        return Dimension(preferred=max_available_width)

    def preferred_height(self, width: int, max_available_height: int) -> Dimension:  # noqa: ARG002
        return Dimension(preferred=max_available_height)

    def get_children(self) -> list[Container]:
        return self._children

    def write_to_screen(
        self,
        screen: Screen,
        mouse_handlers: MouseHandlers,
        write_position: WritePosition,
        parent_style: str,
        erase_bg: bool,  # noqa: FBT001 (the toolkit's signature)
        z_index: int | None,
    ) -> None:
        _forget_sameness()
        width, rows = write_position.width, write_position.height
        heights = self._heights(width, rows)
        top = write_position.ypos
        for child, height in zip(self._children, heights, strict=True):
            if height > 0:
                place = WritePosition(write_position.xpos, top, width, height)
                child.write_to_screen(
                    screen, mouse_handlers, place, parent_style, erase_bg, z_index
                )
            top += height

    def _heights(self, width: int, rows: int) -> list[int]:
        out = [0]
        for at, child in enumerate(self._children[1:], 1):
            most = max(1, rows // 3) if at == self._third else 1
            wished = child.preferred_height(width, most).preferred
            out.append(min(wished, most, max(0, rows - sum(out))))
        out[0] = max(0, rows - sum(out))
        return out
