"""The layout: three windows and the floats over them, drawn from lines.

Invariants: whatever is above the input is one control whose content is exactly what is seen, so
prompt_toolkit never scrolls, measures or walks the talk. The input grows to a third of the screen.
The input shows what may be shown: characters that hide or reorder are drawn as a dot, one for one,
so that the cursor stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TypeAlias

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Point
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Dimension,
    Float,
    FloatContainer,
    HSplit,
    Layout,
    UIContent,
    UIControl,
    Window,
)
from prompt_toolkit.layout.controls import GetLinePrefixCallable
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
    Processor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.mouse_events import MouseEvent, MouseEventType
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

from chinwag.frontends.tui.first_frame import PROMPT
from chinwag.frontends.tui.theme import Looks
from chinwag.text.safe import safe

Line: TypeAlias = list[tuple[str, str]]
Draw: TypeAlias = Callable[[int, int], list[Line]]

WHEEL = 3
MENU_ROWS = 8


class Lines(UIControl):
    """A control that draws exactly the lines a function gives for its size."""

    def __init__(
        self,
        draw: Draw,
        *,
        wheel: Callable[[int], None] | None = None,
        cursor: Callable[[], int] | None = None,
    ) -> None:
        self._draw = draw
        self._wheel = wheel
        self._cursor = cursor

    def is_focusable(self) -> bool:
        return self._cursor is not None

    def preferred_height(
        self,
        width: int,  # noqa: ARG002 (the toolkit's signature)
        max_available_height: int,  # noqa: ARG002
        wrap_lines: bool,  # noqa: ARG002, FBT001
        get_line_prefix: GetLinePrefixCallable | None,  # noqa: ARG002
    ) -> int | None:
        return None  # it takes what it is given; asking for the lines would draw them twice

    def create_content(self, width: int, height: int) -> UIContent:
        lines = self._draw(width, height) or [[]]

        def line(at: int) -> StyleAndTextTuples:
            return list(lines[at]) if at < len(lines) else []

        at = Point(self._cursor(), 0) if self._cursor else None
        return UIContent(line, len(lines), cursor_position=at, show_cursor=at is not None)

    def mouse_handler(self, mouse_event: MouseEvent) -> object:
        if self._wheel is None:
            return NotImplemented
        match mouse_event.event_type:
            case MouseEventType.SCROLL_UP:
                self._wheel(-WHEEL)
            case MouseEventType.SCROLL_DOWN:
                self._wheel(WHEEL)
            case _:
                return NotImplemented
        return None


class Shown(Processor):
    """What stands in the input, without what may not be drawn."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        if all(fragment[1].isascii() for fragment in fragments):
            return Transformation(fragments)
        drawn: StyleAndTextTuples = [
            (fragment[0], "".join(map(_drawn, fragment[1]))) for fragment in fragments
        ]
        return Transformation(drawn)


_JOINERS = re.compile("[\u200c\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")


def _drawn(char: str) -> str:
    if char.isascii() or (safe(char) == char and not _JOINERS.match(char)):
        return char
    return "·"


class Parts:
    """The windows, and the layout they make."""

    def __init__(
        self,
        *,
        buffer: Buffer,
        above: Draw,
        footer: Draw,
        filter_line: Draw,
        filter_cursor: Callable[[], int],
        wheel: Callable[[int], None],
        rows: Callable[[], int],
        picking: Callable[[], bool],
    ) -> None:
        search = SearchToolbar(ignore_case=True, backward_search_prompt=" earlier lines: ")
        self.input = BufferControl(
            buffer,
            input_processors=[
                Shown(),
                HighlightIncrementalSearchProcessor(),
                HighlightSelectionProcessor(),
            ],
            include_default_input_processors=False,
            search_buffer_control=search.control,
            preview_search=True,
        )
        self.filter = Lines(filter_line, cursor=filter_cursor)
        not_picking = Condition(lambda: not picking())
        typed = Window(
            self.input,
            height=lambda: Dimension(min=1, max=max(1, rows() // 3)),
            dont_extend_height=True,
            wrap_lines=True,
            get_line_prefix=_prefix,
        )
        body = HSplit(
            [
                Window(Lines(above, wheel=wheel)),
                ConditionalContainer(typed, not_picking),
                ConditionalContainer(Window(self.filter, height=1), ~not_picking),
                search,
                Window(Lines(footer), height=1),
            ]
        )
        menu = CompletionsMenu(max_height=MENU_ROWS, scroll_offset=1)
        self.root = FloatContainer(body, [Float(menu, xcursor=True, ycursor=True)])
        self.layout = Layout(self.root, focused_element=self.input)


def _prefix(line: int, wrapped: int) -> StyleAndTextTuples:
    if line == 0 and wrapped == 0:
        return [("class:prompt", f" {PROMPT}")]
    return [("", " " * (1 + len(PROMPT)))]


_TOOLKIT: Mapping[str, str] = {
    "completion-menu": "noinherit",
    "completion-menu.completion": "noinherit reverse",
    "completion-menu.completion.current": "noinherit bold",
    "completion-menu.meta.completion": "noinherit reverse",
    "completion-menu.meta.completion.current": "noinherit",
    "scrollbar.background": "noinherit",
    "scrollbar.button": "noinherit reverse",
    "search-toolbar": "",
    "search-toolbar.prompt": "bold",
    "search": "underline",
    "search.current": "reverse",
    "incsearch": "underline",
    "incsearch.current": "reverse",
    "selected": "reverse",
}


def style(looks: Looks) -> Style:
    """The looks as prompt_toolkit's style."""
    return Style.from_dict({**_TOOLKIT, **looks})
