"""The layout: three windows and the floats over them, drawn from lines.

Invariants: whatever is above the input is one control whose content is exactly what is seen, so
prompt_toolkit never scrolls, measures or walks the talk. The input grows to a third of the screen.
The input shows what may be shown: characters that hide or reorder are drawn as a dot, one for one,
so that the cursor stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from prompt_toolkit.application.current import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout import (
    BufferControl,
    ConditionalContainer,
    Float,
    FloatContainer,
    Layout,
    Window,
)
from prompt_toolkit.layout.menus import CompletionsMenu
from prompt_toolkit.layout.processors import (
    HighlightIncrementalSearchProcessor,
    HighlightSelectionProcessor,
    Processor,
    TabsProcessor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.styles import Style
from prompt_toolkit.widgets import SearchToolbar

from chinwag.frontends.tui.first_frame import PROMPT, is_compact
from chinwag.frontends.tui.pane import Column, Draw, Pane
from chinwag.frontends.tui.theme import Looks
from chinwag.text.safe import safe

MENU_ROWS = 8


class Shown(Processor):
    """What stands in the input, without what may not be drawn."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        if all(fragment[1].isascii() for fragment in fragments):
            return Transformation(fragments)
        shown: StyleAndTextTuples = [
            (fragment[0], "".join(map(drawn, fragment[1]))) for fragment in fragments
        ]
        return Transformation(shown)


_JOINERS = re.compile("[\u200c\u200d\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")


def drawn(char: str) -> str:
    """What is drawn for one character of the input."""
    if char.isascii() or (safe(char) == char and not _JOINERS.match(char)):
        return char
    return "·"


class Tabs(TabsProcessor):
    """Tabs as the blanks they stand for; lines without cost nothing."""

    def __init__(self) -> None:
        super().__init__(tabstop=4, char1=" ", char2=" ")

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        fragments = transformation_input.fragments
        if not any("\t" in fragment[1] for fragment in fragments):
            return Transformation(fragments)
        return super().apply_transformation(transformation_input)


class Menu(Float):
    """The completions, right above the input: they cover neither it nor the footer.

    ``below`` tells how many rows there are from the input down.
    """

    def __init__(self, below: Callable[[], int]) -> None:
        self._below = below
        menu = CompletionsMenu(max_height=MENU_ROWS, scroll_offset=1)
        super().__init__(menu, xcursor=True, height=self._rows)

    @property
    def bottom(self) -> int | None:
        return self._below()

    @bottom.setter
    def bottom(self, value: int | None) -> None:
        """The toolkit's own place is not wanted."""

    def _rows(self) -> int:
        app = get_app()
        state = app.current_buffer.complete_state
        room = app.output.get_size().rows - self._below() - 1
        return max(0, min(MENU_ROWS, room, len(state.completions) if state else 0))


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
        picking: Callable[[], bool],
    ) -> None:
        search = SearchToolbar(ignore_case=True, backward_search_prompt=" earlier lines: ")
        self.input = BufferControl(
            buffer,
            input_processors=[
                Tabs(),
                Shown(),
                HighlightIncrementalSearchProcessor(),
                HighlightSelectionProcessor(),
            ],
            include_default_input_processors=False,
            search_buffer_control=search.control,
            preview_search=True,
        )
        self.filter_pane = Pane(filter_line, cursor=filter_cursor)
        self.filter = self.filter_pane.content
        not_picking = Condition(lambda: not picking())
        self.typed = Window(self.input, wrap_lines=True, get_line_prefix=_prefix)
        foot = Pane(footer)
        body = Column(
            [
                Pane(above, wheel=wheel),
                ConditionalContainer(self.typed, not_picking),
                ConditionalContainer(_one_row(self.filter_pane), ~not_picking),
                search,
                _one_row(foot),
            ],
            third=1,
        )
        self.root = FloatContainer(body, [Menu(self._below)])
        self.layout = Layout(self.root, focused_element=self.input)

    def _below(self) -> int:
        """Rows from the rule above the input down, as in this frame."""
        info = self.typed.render_info
        rule = 0 if is_compact(get_app().output.get_size().rows) else 1
        return rule + (info.window_height if info else 1) + 1


def _one_row(pane: Pane) -> Pane:
    pane.height = 1
    return pane


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
