"""The prompt_toolkit application: feeds happenings to `update`, draws the state, performs effects.

Invariants. `hear` is `dispatch`: called on the loop, returns at once, O(1) for a delta. A key is
drawn at once; what streams is drawn at most `FRAMES` times a second, in between nothing is drawn
and nothing wakes, and a slow screen makes fewer frames, not a slower program. Nothing imports rich,
pygments or markdown-it before the first paint; a thread does so after it. The terminal is given back
whatever happens, and a mistake of ours goes up after that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output

from chinwag.frontends.tui import clipboard, completion, footer, keys as bound, screen, terminal
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui import view
from chinwag.frontends.tui.first_frame import is_compact
from chinwag.frontends.tui.items import clipped
from chinwag.frontends.tui.pastes import Pastes
from chinwag.frontends.tui.promises import Desk
from chinwag.frontends.tui.theme import looks
from chinwag.frontends.tui.transcript import COUNTED, Transcript
from chinwag.frontends.tui.update import opened, title_of, update
from chinwag.talk import event as e
from chinwag.text.safe import safe_line

FRAMES = 25
"""Frames a second while an answer streams."""
SHARE = 14
"""A streamed frame is followed by at least so many times its own cost of rest."""
SLOWEST = 0.25
TYPEAHEAD = 0.1
"""Seconds after the first paint in which what comes was typed before the screen was there."""
PAUSE = 0.004
"""Rest between two slices of rendering, so that keys come in between."""
ESCAPE = 0.05
"""Seconds after which Esc is Esc, and not the beginning of something."""
COUNT_AT_ONCE = 40_000
"""Characters of a draft counted in a frame; a longer one is guessed while it is typed."""

Line = list[tuple[str, str]]


class App(Application[None]):
    """prompt_toolkit's, but Esc waits less for what may follow than Ctrl+X does."""

    @property
    def timeoutlen(self) -> float:  # type: ignore[override]
        held = self.key_processor.key_buffer
        return ESCAPE if held and held[0].key == Keys.Escape else 1.0

    @timeoutlen.setter
    def timeoutlen(self, value: float | None) -> None:
        """The toolkit's own default is not wanted."""


class Shell:
    """The screen in front of a desk."""

    def __init__(
        self,
        desk: Desk,
        *,
        theme: str = "auto",
        vi: bool = False,
        mouse: bool = True,
        first_keys: str = "",
        painted: Callable[[], None] | None = None,
        input: Input | None = None,  # noqa: A002 (prompt_toolkit's name for it)
        output: Output | None = None,
        keys: Mapping[str, Sequence[str] | str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.desk = desk
        self.state = opened(desk.session)
        self.transcript = Transcript()
        self._environ = os.environ if environ is None else environ
        self._looks = looks(theme, self._environ)
        self._painted = painted
        self._first_keys = first_keys
        self._pastes = Pastes()
        self._size = (80, 20)
        self._tick: asyncio.TimerHandle | None = None
        self._next_frame = 0.0
        self._draw_cost = 0.0
        self._drawing_since = 0.0
        self._shown_at = 0.0
        self._title = ""
        self._renderer: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._counted: tuple[str, tuple[int, bool]] = ("", (0, True))
        self._footed: tuple[Any, Line] = (None, [])
        self._history = completion.DeskHistory(desk)
        self.buffer = Buffer(
            completer=completion.DeskCompleter(desk),
            complete_while_typing=Condition(self._commanding),
            history=self._history,
            multiline=True,
        )
        self.output = output or terminal.open_terminal()
        self.app = self._application(input or create_input(), vi=vi, mouse=mouse, keys=keys or {})

    def _application(
        self, keyboard: Input, *, vi: bool, mouse: bool, keys: Mapping[str, Sequence[str] | str]
    ) -> App:
        self._parts = screen.Parts(
            buffer=self.buffer,
            above=self._above,
            footer=self._footer,
            filter_line=self._filter_line,
            filter_cursor=self._filter_cursor,
            wheel=self.scroll,
            rows=lambda: self.output.get_size().rows,
            picking=lambda: self.picking,
        )
        app = App(
            layout=self._parts.layout,
            style=screen.style(self._looks),
            include_default_pygments_style=False,
            key_bindings=bound.bindings(self, keys),
            full_screen=True,
            mouse_support=mouse,
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            max_render_postpone_time=None,
            terminal_size_polling_interval=None,
            erase_when_done=True,
            input=keyboard,
            output=self.output,
            before_render=self._before_render,
            after_render=self._after_render,
        )
        app.ttimeoutlen = ESCAPE
        return app

    # -- running ------------------------------------------------------------------------------

    async def run(self) -> None:
        """The whole life of the screen; returns when the terminal has been given back.

        Raises whatever mistake of ours ended it.
        """
        loop = asyncio.get_running_loop()
        before = loop.get_exception_handler()
        loop.set_exception_handler(self._mistake)
        self._watch_terminal()
        watched = self._watch_signals(loop)
        try:
            await self.app.run_async(pre_run=self._begin, set_exception_handler=False)
        except (EOFError, OSError):
            pass  # the terminal is gone: there is nobody to tell
        finally:
            for number in watched:
                loop.remove_signal_handler(number)
            await self._end()
            loop.set_exception_handler(before)
        if self._failure is not None:
            raise self._failure

    def _begin(self) -> None:
        self._next_frame = time.monotonic()

    async def _end(self) -> None:
        self.desk.interrupt()
        if self._tick is not None:
            self._tick.cancel()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._title:
            self.output.set_title("")
            self.output.flush()
        if isinstance(self.output, terminal.Terminal):
            self.output.close()

    def _watch_terminal(self) -> None:
        if isinstance(self.output, terminal.Terminal):
            self.output.drained = self.app.invalidate
            self.output.lost = self.leave

    def _watch_signals(self, loop: asyncio.AbstractEventLoop) -> list[int]:
        if threading.current_thread() is not threading.main_thread():
            return []
        numbers: list[int] = [signal.SIGTERM, signal.SIGHUP]
        for number in numbers:
            loop.add_signal_handler(number, self.leave)
        return numbers

    def _mistake(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something of ours went wrong in a callback: leave, and let it be seen."""
        found = context.get("exception")
        if isinstance(found, EOFError | OSError):
            self.leave()
            return
        self._failure = self._failure or found or RuntimeError(str(context.get("message")))
        self.leave()

    def leave(self) -> None:
        """End the application (once)."""
        future = self.app.future
        if future is not None and not future.done():
            self.app.exit()

    # -- happenings ---------------------------------------------------------------------------

    def dispatch(self, what: s.Happening) -> None:
        """Something happened: an event of the desk, or an intent of the person."""
        self.state, effects = update(self.state, what, time.monotonic())
        if type(what) is e.Heard:
            self._soon()
            return
        self._follow(what)
        for effect in effects:
            self._perform(effect)
        self._draw()

    def _follow(self, what: s.Happening) -> None:
        """Keep what is remembered outside the state in step with it."""
        match what:
            case e.Settled():
                self.transcript.settle(self.state, self._size[0])
            case e.Opened():
                self.transcript.forget()
            case s.ThinkingToggled() | e.Requested():
                self._soon()
            case _:
                pass
        self._focus()
        self._name_window()

    def _focus(self) -> None:
        layout = self._parts.layout
        if self.picking and layout.current_control is not self._parts.filter:
            layout.focus(self._parts.filter)
        elif not self.picking and layout.current_control is self._parts.filter:
            layout.focus(self._parts.input)

    def _name_window(self) -> None:
        title = safe_line(title_of(self.state), 60)
        if title and title != self._title:
            self._title = title
            self.output.set_title(f"{title} · chinwag")

    def _perform(self, effect: s.Effect) -> None:
        match effect:
            case s.Handle(line=line):
                self._spawn(self.desk.handle(line, self.dispatch))
            case s.Interrupt():
                self.desk.interrupt()
            case s.Copy(text=text, what=what):
                self._spawn(self._copy(text, what))
            case s.PutDraft(text=text):
                self._put_draft(text)
            case s.DropDraft():
                self._history.put_aside(self._pastes.unfold(self.buffer.text))
                self._clear_draft()
            case s.Leave():
                self.leave()

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (found := task.exception()) is not None:
            self._failure = self._failure or found
            self.leave()

    async def _copy(self, text: str, what: str) -> None:
        try:
            how = await clipboard.copy(text, self._write_raw, self._environ)
        except OSError as error:
            self.dispatch(s.Toasted(f"not copied: {error}"))
        else:
            self.dispatch(s.Toasted(f"{how}: {what}"))

    def _write_raw(self, data: str) -> None:
        self.output.write_raw(data)
        self.output.flush()

    # -- frames -------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Draw soon; nothing is drawn for a terminal that does not take what it was given."""
        if not self.clogged:
            self.app.invalidate()

    @property
    def clogged(self) -> bool:
        return isinstance(self.output, terminal.Terminal) and self.output.clogged

    def _soon(self) -> None:
        """Something streams: a frame when it is time for one."""
        if self._tick is None and self.app.is_running:
            loop = asyncio.get_running_loop()
            wait = max(PAUSE, self._next_frame - time.monotonic())
            self._tick = loop.call_later(wait, self._frame)

    def _frame(self) -> None:
        """Take in what was heard, in a slice, and draw."""
        self._tick = None
        began = time.monotonic()
        more = self.transcript.hear(self.state, self._size[0])
        more = self.transcript.work() or more
        cost = time.monotonic() - began + self._draw_cost
        rest = PAUSE if more else min(max(1 / FRAMES, SHARE * cost), SLOWEST)
        self._next_frame = time.monotonic() + rest
        self._draw()
        if more:
            self._soon()

    def _before_render(self, _: Any) -> None:
        self._drawing_since = time.monotonic()

    def _after_render(self, _: Any) -> None:
        self._draw_cost = time.monotonic() - self._drawing_since
        if self.transcript.busy:
            self._soon()
        if not self._shown_at:
            self._shown_at = time.monotonic()
            asyncio.get_running_loop().call_soon(self._after_first_paint)

    def _after_first_paint(self) -> None:
        if self._painted is not None:
            self._painted()
        self._feed(self._first_keys)
        self._spawn(self.desk.start(self.dispatch))
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._load, args=(loop,), daemon=True, name="markdown").start()

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread: what Markdown needs. Then the talk is drawn again."""
        from chinwag.frontends.tui.rendering import Renderer

        talk, pages = Renderer(self._looks), Renderer(self._looks, breaks=False)
        talk.blocks("*a* `b`\n\n| c |\n|-|\n| d |\n", 40)
        try:
            loop.call_soon_threadsafe(self._loaded, talk, pages)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    def _loaded(self, talk: Any, pages: Any) -> None:
        self._renderer = talk
        self.transcript.use(talk, pages)
        self._footed = (None, [])
        if self.state.live is not None:
            self._soon()
        self._draw()

    def _feed(self, typed: str) -> None:
        """Keys that came before the screen was there."""
        if typed:
            parser = Vt100Parser(self.app.key_processor.feed)
            parser.feed(typed)
            parser.flush()
            self.app.key_processor.process_keys()

    # -- drawing ------------------------------------------------------------------------------

    def _above(self, columns: int, height: int) -> list[Line]:
        """Header, talk, tray or picker, rule: exactly ``height`` lines."""
        rows = self.output.get_size().rows
        status = self.desk.status()
        head = view.header(self.state, status, columns, rows)
        foot = view.tray(self.state, status, columns)
        if self.state.picker is not None:
            foot = view.picker(self.state.picker, columns, height - len(head) - 2)
        if not is_compact(rows):
            foot = [*foot, view.rule(columns)]
        room = max(1, height - len(head) - len(foot))
        talk = self._talk(columns, room)
        blank: list[Line] = [[] for _ in range(room - len(talk))]
        return [*head, *talk, *blank, *foot][: max(1, height)]

    def _talk(self, columns: int, room: int) -> list[Line]:
        if columns != self._size[0] and self.state.live is not None:
            self._soon()
        self._size = (columns, room)
        if not self.state.items and self.state.live is None:
            return view.welcome(self.desk.status(), columns, room)[:room]
        seen = self.transcript.view(self.state, columns, room)
        if seen.below and room > 1:
            return [*seen.lines[: room - 1], view.more_line(seen.below + 1, COUNTED, columns)]
        return seen.lines

    def _footer(self, columns: int, _: int) -> list[Line]:
        draft = self._draft_count()
        pieces = footer.pieces(self.state, self.desk.status(), draft, columns)
        key = tuple(pieces)
        if key != self._footed[0]:
            self._footed = (key, self._foot_line(pieces, columns))
        return [self._footed[1]]

    def _foot_line(self, pieces: list[tuple[str, str]], columns: int) -> Line:
        if self._renderer is not None:
            line: Line = self._renderer.one_line(pieces)
        else:
            line = [(f"class:{name}", text) for name, text in pieces]
        return clipped(line, columns)

    def _draft_count(self) -> tuple[int, bool] | None:
        text = self.buffer.text
        if not text or self._commanding():
            return None
        if text != self._counted[0]:
            self._counted = (text, self._count(self._pastes.unfold(text)))
        return self._counted[1]

    def _count(self, text: str) -> tuple[int, bool]:
        if len(text) <= COUNT_AT_ONCE:
            return self.desk.count(text)
        sample, exact = self.desk.count(text[:COUNT_AT_ONCE])
        del exact
        return sample * len(text) // COUNT_AT_ONCE, False

    def _filter_line(self, columns: int, _: int) -> list[Line]:
        picker = self.state.picker
        return [view.picker_prompt(picker, columns)[0]] if picker else []

    def _filter_cursor(self) -> int:
        picker = self.state.picker
        return view.picker_prompt(picker, self._size[0])[1] if picker else 0

    # -- what keys ask for (keys.Actions) -----------------------------------------------------

    @property
    def picking(self) -> bool:
        return self.state.picker is not None

    @property
    def typing(self) -> bool:
        return not self.picking and self._parts.layout.current_control is self._parts.input

    @property
    def busy(self) -> bool:
        return self.state.busy

    def _commanding(self) -> bool:
        text = self.buffer.text
        return text.startswith("/") and "\n" not in text

    def act(self, action: str, event: KeyPressEvent) -> None:
        """Carry out an action of the key table."""
        rows = max(1, self._size[1] - 1)
        match action:
            case "send":
                self._send(event)
            case "newline":
                self._newline(event)
            case "stop":
                self._stop()
            case "cancel":
                self.dispatch(s.CancelPressed(bool(self.buffer.text)))
            case "quit":
                self._quit_or_delete()
            case "page-up" | "page-down":
                self.scroll(-rows if action == "page-up" else rows)
            case "line-up" | "line-down":
                self.scroll(-1 if action == "line-up" else 1)
            case "top":
                self.dispatch(s.Scrolled(s.Anchor(0, 0)))
            case "bottom":
                self.dispatch(s.Scrolled(None))
            case "up":
                self._up()
            case "down":
                self.buffer.auto_down()
            case "complete" | "complete-back":
                self._complete(back=action == "complete-back")
            case "editor":
                self.buffer.text = self._pastes.unfold(self.buffer.text)
                self.buffer.tempfile_suffix = ".md"
                self.buffer.open_in_editor()
            case "palette":
                self.dispatch(s.PaletteOpened(completion.palette(self.desk.complete)))
            case "sessions" | "new" | "model":
                lines = {"sessions": "/load", "new": "/new", "model": "/model"}
                self.dispatch(s.CommandPressed(lines[action]))
            case "thinking":
                self.dispatch(s.ThinkingToggled())
            case "tools":
                self.dispatch(s.ToolsToggled())
            case "copy":
                self.dispatch(s.CopyPressed())
            case "suspend":
                self.app.suspend_to_background()
            case "redraw":
                self.app.renderer.clear()
            case _:
                raise ValueError(f"no such action: {action}")

    def pick(self, action: str, event: KeyPressEvent) -> None:
        """Carry out a key while something is picked."""
        match action:
            case "enter" | "tab":
                self.dispatch(s.Picked())
            case "up" | "down":
                self.dispatch(s.PickerMoved(-1 if action == "up" else 1))
            case "page-up" | "page-down":
                by = view.PICKER_ROWS - 1
                self.dispatch(s.PickerMoved(-by if action == "page-up" else by))
            case "erase":
                self.dispatch(s.PickerTyped(""))
            case "clear":
                while self.state.picker and self.state.picker.typed:
                    self.dispatch(s.PickerTyped(""))
            case "typed":
                if text := "".join(c for c in event.data if c.isprintable()):
                    self.dispatch(s.PickerTyped(text))
            case _:
                raise ValueError(f"no such action: {action}")

    def paste(self, data: str) -> None:
        """A bracketed paste: never sends."""
        self.buffer.insert_text(self._pastes.fold(data))

    def erase(self) -> bool:
        """Take away the whole placeholder before the cursor; False when there is none."""
        name = self._pastes.before(self.buffer.document.text_before_cursor)
        if name:
            self.buffer.delete_before_cursor(len(name))
        return bool(name)

    def scroll(self, by: int) -> None:
        """Move the view by lines (negative = back)."""
        columns, rows = self._size
        self.dispatch(s.Scrolled(self.transcript.moved(self.state, by, columns, rows)))

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
        if event.key_sequence[-1].key == Keys.ControlJ and self._typed_ahead():
            self._submit()  # a terminal not yet in raw mode made a line feed of Enter
        else:
            self.buffer.insert_text("\n")

    def _submit(self) -> None:
        text = self._pastes.unfold(self.buffer.text)
        if not text.strip():
            self._clear_draft()
            return
        self._history.append_string(text)
        self._clear_draft()
        self.dispatch(s.Submitted(text))

    def _typed_ahead(self) -> bool:
        return time.monotonic() - self._shown_at < TYPEAHEAD or not self._shown_at

    def _pasting(self, event: KeyPressEvent) -> bool:
        """Whether Enter stands in the middle of a burst: a paste the terminal did not mark."""
        if self._typed_ahead():
            return False
        following = event.key_processor.input_queue
        return (
            bool(following)
            and isinstance(key := following[0].key, str)
            and (len(key) == 1 or key in (Keys.ControlM, Keys.ControlJ))
        )

    def _stop(self) -> None:
        if self.buffer.complete_state is not None:
            self.buffer.cancel_completion()
        self.dispatch(s.StopPressed())

    def _quit_or_delete(self) -> None:
        if self.picking:
            self.dispatch(s.StopPressed())
        elif self.buffer.text:
            self.buffer.delete()
        else:
            self.dispatch(s.EndPressed())

    def _up(self) -> None:
        if not self.buffer.text and self.state.queue:
            self.dispatch(s.TakenBack())
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

    def _put_draft(self, text: str) -> None:
        if not self.buffer.text:
            self.buffer.text = text
            self.buffer.cursor_position = len(text)

    def _clear_draft(self) -> None:
        self._pastes.clear()
        self.buffer.reset()
