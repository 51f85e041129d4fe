"""What a key asks for: either an intent, or something the input or the toolkit does itself.

Invariants: a bracketed paste never sends; Enter in the middle of a burst that is not marked as a
paste is a new line; what was typed before the first paint counts as typed. Every action of the key
table has one method here.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prompt_toolkit.key_binding import KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.search import SearchDirection, start_search

from chinwag.frontends.tui import completion, view
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.finding import Finder
from chinwag.text.safe import repair

if TYPE_CHECKING:
    from chinwag.frontends.tui.shell import Shell

TYPEAHEAD = 0.1
"""Seconds after the first paint in which what comes was typed before the screen was there."""
COMMANDS = {
    "sessions": "/load",
    "new": "/new",
    "model": "/model",
    "branches": "/branches",
    "variant-before": "/variant before",
    "variant-after": "/variant next",
    "compare": "/compare",
    "help": "/help keys",
}
"""Keys that stand for a command."""
FLIPS = ("variant-before", "variant-after")
LATER = "not while an answer comes; Esc stops it"
MOUSE = {
    True: "the wheel scrolls here again",
    False: "the mouse is the terminal's now: select and copy with it",
}


class Acting:
    """Carries out actions for a shell."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self.buffer = shell.buffer
        self._page: Callable[[], int] = lambda: max(1, shell.picture.size[1] - 1)
        self.finder = Finder(shell, lambda: shell.picture.size)
        self._plain: Mapping[str, Callable[[], None]] = {
            "stop": self._stop,
            "cancel": self._cancel,
            "quit": self._quit_or_delete,
            "page-up": lambda: self.scroll(-self._page()),
            "page-down": lambda: self.scroll(self._page()),
            "line-up": lambda: self.scroll(-1),
            "line-down": lambda: self.scroll(1),
            "top": lambda: shell.dispatch(s.Scrolled(s.Anchor(0, 0))),
            "bottom": lambda: shell.dispatch(s.Scrolled(None)),
            "up": self._up,
            "down": self.buffer.auto_down,
            "complete": lambda: self._complete(back=False),
            "complete-back": lambda: self._complete(back=True),
            "editor": shell.edit_outside,
            "palette": lambda: shell.dispatch(
                s.PaletteOpened(completion.palette(shell.desk.complete))
            ),
            "thinking": lambda: shell.dispatch(s.ThinkingToggled()),
            "tools": lambda: shell.dispatch(s.ToolsToggled()),
            "copy": lambda: shell.dispatch(s.CopyPressed()),
            "find": lambda: self.finder.key("again") if self.finding else self.finder.begin(),
            "rewind": lambda: shell.dispatch(s.RewindPressed()),
            "history-search": self._search_history,
            "mouse": self._change_mouse,
            "suspend": shell.app_suspend,
            "redraw": shell.app_redraw,
        }

    @property
    def picking(self) -> bool:
        state = self._shell.state
        return state.picker is not None or state.question is not None

    @property
    def finding(self) -> bool:
        return self._shell.state.find is not None and not self.picking

    @property
    def empty(self) -> bool:
        return not self.buffer.text

    @property
    def typing(self) -> bool:
        return (
            not self.picking
            and not self.finding
            and self._shell.parts.layout.current_control is self._shell.parts.input
        )

    @property
    def busy(self) -> bool:
        return self._shell.state.busy

    def act(self, action: str, event: KeyPressEvent) -> None:
        """Carry out an action of the key table."""
        if action == "send":
            self._send(event)
        elif action == "newline":
            self._newline(event)
        elif action == "unknown":
            typed = event.data if event.data.isprintable() else "and that key"
            self._shell.dispatch(s.Toasted(f"Ctrl+X {typed} means nothing here; F1 shows the keys"))
        elif action in FLIPS and self.busy:
            self._shell.dispatch(s.Toasted(LATER))
        elif action in COMMANDS:
            self._shell.dispatch(s.CommandPressed(COMMANDS[action]))
        else:
            self._plain[action]()

    def find(self, action: str, event: KeyPressEvent) -> None:
        """Carry out a key while something is looked for."""
        text = "".join(c for c in event.data if c.isprintable()) if action == "typed" else ""
        self.finder.key(action, text)

    def pick(self, action: str, event: KeyPressEvent) -> None:
        """Carry out a key while something is picked, or a question is open."""
        if self._shell.state.question is not None:
            self._question(action, event)
            return
        match action:
            case "enter" | "tab":
                self._shell.dispatch(s.Picked())
            case "up" | "down":
                self._shell.dispatch(s.PickerMoved(-1 if action == "up" else 1))
            case "page-up" | "page-down":
                by = view.PICKER_ROWS - 1
                self._shell.dispatch(s.PickerMoved(-by if action == "page-up" else by))
            case "erase":
                self._shell.dispatch(s.PickerTyped(""))
            case "clear":
                while self._shell.state.picker and self._shell.state.picker.typed:
                    self._shell.dispatch(s.PickerTyped(""))
            case "typed":
                if text := "".join(c for c in event.data if c.isprintable()):
                    self._shell.dispatch(s.PickerTyped(text))
            case "left" | "right":
                pass  # the filter is typed at its end
            case _:
                raise ValueError(f"no such action: {action}")

    def _question(self, action: str, event: KeyPressEvent) -> None:
        """A key for the question; what came before it could be seen is typed, not heeded."""
        reading = self._shell.picture.reading
        text = "".join(c for c in event.data if c.isprintable()) if action == "typed" else ""
        if not reading.heeds(time.monotonic()):
            self.buffer.insert_text(text)
            return
        match action:
            case "enter":
                self._shell.dispatch(s.QuestionAnswered(reading.seen))
            case "up" | "left":
                self._shell.dispatch(s.QuestionMoved(-1))
            case "down" | "right" | "tab":
                self._shell.dispatch(s.QuestionMoved(1))
            case "page-up" | "page-down":
                by = reading.page if action == "page-down" else -reading.page
                self._shell.dispatch(s.QuestionScrolled(reading.top + by))
            case "erase":
                self._shell.dispatch(s.QuestionTyped(""))
            case "clear":
                while self._shell.state.question and self._shell.state.question.word:
                    self._shell.dispatch(s.QuestionTyped(""))
            case "typed" if text:
                self._shell.dispatch(s.QuestionTyped(text))
            case _:
                pass

    def paste(self, data: str) -> None:
        """A bracketed paste: never sends."""
        self.buffer.insert_text(self._shell.pastes.fold(data))

    def erase(self) -> bool:
        """Take away the whole placeholder before the cursor; False when there is none."""
        name = self._shell.pastes.before(self.buffer.document.text_before_cursor)
        if name:
            self.buffer.delete_before_cursor(len(name))
        return bool(name)

    def scroll(self, by: int) -> None:
        """Move the view by lines (negative = back)."""
        if self._shell.state.question is not None:
            self._shell.dispatch(s.QuestionScrolled(self._shell.picture.reading.top + by))
            return
        columns, rows = self._shell.picture.size
        self._shell.dispatch(
            s.Scrolled(self._shell.transcript.moved(self._shell.state, by, columns, rows))
        )

    def _send(self, event: KeyPressEvent) -> None:
        buffer = self.buffer
        if self._pasting(event):
            buffer.insert_text("\n")
        elif buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor(1)
            buffer.insert_text("\n")
        else:
            self._submit()

    def _newline(self, event: KeyPressEvent) -> None:
        line_feed = event.key_sequence[-1].key == Keys.ControlJ
        if line_feed and self._typed_ahead() and not self._shell.early_keys:
            self._submit()  # a terminal not yet in raw mode made a line feed of Enter
        else:
            self.buffer.insert_text("\n")

    def _submit(self) -> None:
        text = self._shell.drafts.command_behind() or repair(
            self._shell.pastes.unfold(self.buffer.text)
        )
        if not text.strip():
            self._shell.clear_draft()
            return
        self._shell.past.append_string(text)
        self._shell.clear_draft()
        self._shell.dispatch(s.Submitted(text))

    def _typed_ahead(self) -> bool:
        return time.monotonic() - self._shell.shown_at < TYPEAHEAD or not self._shell.shown_at

    def _pasting(self, event: KeyPressEvent) -> bool:
        """Whether Enter stands in the middle of a burst: a paste the terminal did not mark."""
        if self._typed_ahead():
            return False
        following = event.key_processor.input_queue
        if not following:
            return False
        key = following[0].key
        return key in (Keys.ControlM, Keys.ControlJ) or len(key) == 1

    def _stop(self) -> None:
        if self.finding:
            self.finder.key("back")
            return
        if self.buffer.complete_state is not None:
            self.buffer.cancel_completion()
        self._shell.dispatch(s.StopPressed())

    def _cancel(self) -> None:
        if self.finding:
            self.finder.key("back")
        else:
            self._shell.dispatch(s.CancelPressed(bool(self.buffer.text)))

    def _quit_or_delete(self) -> None:
        if self.finding:
            self.finder.key("back")
        elif self.picking:
            self._shell.dispatch(s.StopPressed())
        elif self.buffer.text:
            self.buffer.delete()
        else:
            self._shell.dispatch(s.EndPressed())

    def _up(self) -> None:
        if not self.buffer.text and self._shell.state.queue:
            self._shell.dispatch(s.TakenBack())
        else:
            self.buffer.auto_up()

    def _complete(self, *, back: bool) -> None:
        buffer = self.buffer
        if buffer.complete_state is None:
            buffer.start_completion(insert_common_part=True)
        elif back:
            buffer.complete_previous()
        else:
            buffer.complete_next()

    def _search_history(self) -> None:
        self.buffer.renew()
        start_search(direction=SearchDirection.BACKWARD)

    def _change_mouse(self) -> None:
        self._shell.mouse = not self._shell.mouse
        self._shell.dispatch(s.Toasted(MOUSE[self._shell.mouse]))
