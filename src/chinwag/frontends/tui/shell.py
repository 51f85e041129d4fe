"""The prompt_toolkit application: feeds happenings to `update`, draws the state, performs effects.

Invariants. `hear` is `dispatch`: called on the loop, returns at once, O(1) for a delta. A key is
drawn at once, what streams when `pacing` says so. Nothing imports rich, pygments or markdown-it
before the first paint; a thread does so after it (`appearance`). The terminal is given back
whatever happens, and a mistake of ours goes up after that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, assert_never

from msgspec.structs import replace
from prompt_toolkit.application import Application, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import Output

from chinwag.errors import ChinwagError
from chinwag.frontends.tui import clipboard, completion, screen, terminal
from chinwag.frontends.tui import keys as bound
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.actions import Acting
from chinwag.frontends.tui.appearance import Appearance
from chinwag.frontends.tui.attention import Attention
from chinwag.frontends.tui.drafts import InputDraft
from chinwag.frontends.tui.echo import Echo
from chinwag.frontends.tui.pacing import Pace
from chinwag.frontends.tui.pastes import Pastes
from chinwag.frontends.tui.picture import Picture
from chinwag.frontends.tui.promises import Desk
from chinwag.frontends.tui.reported import Reports
from chinwag.frontends.tui.theme import Looks
from chinwag.frontends.tui.transcript import Transcript
from chinwag.frontends.tui.update import opened, silence, silent, title_of, update
from chinwag.talk import event as e
from chinwag.talk.session import Session
from chinwag.text.safe import safe_line

LAST_WORDS = 2.0
"""Seconds an interrupted answer has to be settled in before the screen is left."""
ESCAPE = 0.05
"""Seconds after which Esc is Esc, and not the beginning of something."""


_VI = {
    InputMode.INSERT: "vi: insert",
    InputMode.NAVIGATION: "vi: normal",
    InputMode.REPLACE: "vi: replace",
    InputMode.REPLACE_SINGLE: "vi: replace",
}


class App(Application[None]):
    """prompt_toolkit's, but Esc waits less for what may follow than Ctrl+X does."""

    @property
    def timeoutlen(self) -> float:
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
        theme: str | Mapping[str, str] = "auto",
        vi: bool = False,
        mouse: bool = True,
        first_keys: str | None = None,
        painted: Callable[[], None] | None = None,
        input: Input | None = None,  # noqa: A002 (prompt_toolkit's name for it)
        output: Output | None = None,
        keys: Mapping[str, Sequence[str] | str] | None = None,
        notify: str = "off",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.desk = desk
        twice = bound.rewinds_by_escape(keys or {})
        self.state = replace(opened(desk.session), escape_twice=twice)
        self.transcript = Transcript()
        self._environ = os.environ if environ is None else environ
        calm = bool(self._environ.get("REDUCED_MOTION"))
        self.pace = Pace(self._take_in, self._draw, calm=calm)
        self.appearance = Appearance(
            theme, self._environ, changed=self._restyle, loaded=self._loaded
        )
        self._painted = painted
        self._first_keys = first_keys
        self.pastes = Pastes()
        self._early: list[str] = []
        self._second: asyncio.TimerHandle | None = None
        self.shown_at = 0.0
        self._title = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._leaving = False
        self.past = completion.DeskHistory(desk)
        self._started = False
        self.drafts = InputDraft(desk, self.past, self.pastes)
        self.buffer = completion.InputBuffer(
            completer=completion.DeskCompleter(desk),
            complete_while_typing=Condition(self._commanding),
            history=self.past,
            multiline=True,
            on_text_changed=self.drafts.changed,
            on_cursor_position_changed=self.drafts.changed,
        )
        self.drafts.buffer = self.buffer
        self.buffer.on_text_changed += self._typed
        self.mouse = mouse
        self.output = output or terminal.open_terminal()
        self.picture = Picture(self, self.pastes.unfold)
        self.acting = Acting(self)
        self.app = self._application(input or create_input(), vi=vi, keys=keys or {})
        self.echo = Echo(
            self.app,
            self.buffer,
            self.parts.typed,
            drawn=screen.drawn,
            may=lambda: not self.clogged,
        )
        self._listen(notify)

    def _application(
        self, keyboard: Input, *, vi: bool, keys: Mapping[str, Sequence[str] | str]
    ) -> App:
        self.parts = screen.Parts(
            buffer=self.buffer,
            above=self.picture.above,
            footer=self.picture.foot,
            filter_line=self.picture.filter_line,
            filter_cursor=self.picture.filter_cursor,
            wheel=self.acting.scroll,
            picking=lambda: self.acting.picking or self.acting.finding,
        )
        app = App(
            layout=self.parts.layout,
            style=screen.style(self.appearance.looks),
            include_default_pygments_style=False,
            key_bindings=bound.bindings(self.acting, keys),
            full_screen=True,
            mouse_support=Condition(lambda: self.mouse),
            editing_mode=EditingMode.VI if vi else EditingMode.EMACS,
            max_render_postpone_time=None,
            terminal_size_polling_interval=None,
            erase_when_done=True,
            input=keyboard,
            output=self.output,
            before_render=lambda _: self.pace.drawing(),
            after_render=self._after_render,
        )
        app.ttimeoutlen = ESCAPE
        return app

    def _listen(self, notify: str) -> None:
        """What the terminal tells beside keys; and where somebody wants to be called, the keys."""
        self.attention = Attention(notify, self._environ)
        if isinstance(self.output, terminal.Terminal):
            self.output.focus = self.attention.on
        if self.attention.on:
            self.app.key_processor.before_key_press += self.attention.key
        parser = getattr(self.app.input, "vt100_parser", None)
        if parser is not None:
            Reports(parser, self.attention.focused)

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
        """Before the first frame: what was typed already stands in it."""
        self.pace.begin()
        if self._first_keys:
            parser = Vt100Parser(self.app.key_processor.feed)
            parser.feed(self._first_keys)
            parser.flush()
            self.app.key_processor.process_keys()

    async def _end(self) -> None:
        self._leaving = True
        self.pace.stop()
        self.desk.interrupt()
        if self.state.busy and self._tasks:
            # What was heard so far is settled by the turn itself: let it come to that.
            await asyncio.wait(self._tasks, timeout=LAST_WORDS)
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

    def _mistake(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something of ours went wrong in a callback: leave, and let it be seen."""
        found = context.get("exception")
        if isinstance(found, EOFError | OSError):
            self.leave()
            return
        self._failure = self._failure or found or RuntimeError(str(context.get("message")))
        self.leave()

    def leave(self) -> None:
        """End the application (once); an answer of the terminal on its way is awaited."""
        owed = self.appearance.owed
        if owed and isinstance(self.output, terminal.Terminal):
            asyncio.get_running_loop().call_later(owed, self.leave)
            return
        future = self.app.future
        if future is not None and not future.done():
            self.app.exit()

    # -- happenings ---------------------------------------------------------------------------

    def dispatch(self, what: s.Happening) -> None:
        """Something happened: an event of the desk, or an intent of the person."""
        before = self.state
        self.state, effects = update(self.state, what, time.monotonic())
        if type(what) is e.Heard:
            self._soon()
            return
        self._follow(what)
        if before.session.id != self.state.session.id:
            self._change_sessions(before.session)
        self.drafts.waits(self.state.queue)
        for effect in effects:
            self._perform(effect)
        self._draw()

    def _follow(self, what: s.Happening) -> None:
        """Keep what is remembered outside the state in step with it."""
        match what:
            case e.Settled():
                self.transcript.settle(self.state, self.picture.size[0])
            case e.Opened():
                self.transcript.forget()
            case s.ThinkingToggled():
                self._soon()
            case e.Requested():
                self._soon()
                self._count_down()
            case e.Waiting() | e.ToolStarted() | e.Compacting():
                self._count_down()
            case _:
                pass
        self._focus()
        self._name_window()

    def _count_down(self) -> None:
        """Draw each second of a wait: the only timer there is, and only then."""
        quiet, now = silent(self.state), time.monotonic()
        if quiet:
            self.dispatch(s.Ticked(int(now - self.state.since)))
        elif (seconds := silence(self.state, now)) != self.state.silence:
            self.dispatch(s.Ticked(0, seconds))
        self._draw()
        left = self.state.until - time.monotonic() if self.state.waiting else 0.0
        left = 1.0 if self.state.running or quiet or self.state.live is not None else left
        if self._second is not None:
            self._second.cancel()
            self._second = None
        if left > 0:
            loop = asyncio.get_running_loop()
            self._second = loop.call_later(min(1.0, left), self._count_down)

    def _focus(self) -> None:
        layout = self.parts.layout
        over = self.acting.picking or self.acting.finding
        if over and layout.current_control is not self.parts.filter:
            layout.focus(self.parts.filter)
        elif not over and layout.current_control is self.parts.filter:
            layout.focus(self.parts.input)

    def _name_window(self) -> None:
        title = safe_line(title_of(self.state), 60)
        if title and title != self._title:
            self._title = title
            self.output.set_title(f"{title} · chinwag")

    def _perform(self, effect: s.Effect) -> None:
        match effect:
            case s.Handle(line=line):
                if self._leaving:
                    pass  # nothing new is begun; what was typed stands in the history
                elif self.shown_at:
                    self._spawn(self.desk.handle(line, self.dispatch))
                else:
                    self._early.append(line)  # the desk is started first
            case s.Interrupt():
                self.desk.interrupt()
            case s.Decide(id=id_, digest=digest, verdict=verdict, word=word):
                self.desk.answer_approval(id_, digest, verdict, word)
            case s.Copy(text=text, what=what):
                self._spawn(self._copy(text, what))
            case s.PutDraft(text=text, cursor=cursor, pastes=pastes):
                self.drafts.put(text, cursor, pastes)
            case s.DropDraft():
                self.drafts.give_up()
            case s.Leave():
                self.leave()
            case _:
                self._perform_here(effect)

    def _perform_here(self, effect: s.Edit | s.Wear | s.Seek | s.Ring) -> None:
        """What concerns the screen alone."""
        match effect:
            case s.Edit(text=text):
                self.edit_outside(text)
            case s.Wear(name=name):
                self.appearance.wear(name)
            case s.Seek(text=text):
                self.acting.finder.begin(text, typing=False)
            case s.Ring():
                if called := self.attention.call():
                    self._write_raw(called)
            case _:
                assert_never(effect)

    def edit_outside(self, text: str = "") -> None:
        """Open the outside editor on ``text``, else on the draft."""
        self._spawn(self._edited(text))

    async def _edited(self, text: str) -> None:
        from chinwag.frontends.editor import edited

        whole = text or self.pastes.unfold(self.buffer.text)
        try:
            written = await run_in_terminal(lambda: edited(whole, self._environ), in_executor=True)
        except ChinwagError as error:
            self.dispatch(e.Failed(error.kind, error.message, error.hint))
            return
        if written is None:
            self.dispatch(s.Toasted("the editor failed: the draft is as it was"))
            return
        self.drafts.replace(written)

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

    def _take_in(self) -> bool:
        """Render a slice of what was heard; whether there is more."""
        more = self.transcript.hear(self.state, self.picture.size[0])
        return self.transcript.work() or more

    def _soon(self) -> None:
        """Something streams: it is drawn when it is time for it."""
        if self.app.is_running:
            self.pace.soon()

    def _after_render(self, _: Any) -> None:
        self.echo.framed()
        self.pace.drawn()
        if self.transcript.busy:
            self._soon()
        if not self.shown_at:
            self.shown_at = time.monotonic()
            asyncio.get_running_loop().call_soon(self._after_first_paint)

    def _after_first_paint(self) -> None:
        if self._painted is not None:
            self._painted()
        self.appearance.ask(getattr(self.app.input, "vt100_parser", None), self._write_raw)
        self._spawn(self._start())
        early, self._early = self._early, []
        for line in early:
            self._spawn(self.desk.handle(line, self.dispatch))

    async def _start(self) -> None:
        """The desk first: a long session is there sooner when nothing else is being imported."""
        await self.desk.start(self.dispatch)
        self._started = True
        await self.desk.draft_back(self.dispatch)
        for fault in self.appearance.faults():
            self.dispatch(e.Notice(fault, e.Level.WARNING))
        loop = asyncio.get_running_loop()
        load = self.appearance.load
        threading.Thread(target=load, args=(loop,), daemon=True, name="markdown").start()

    def _restyle(self, found: Looks) -> None:
        self.app.style = screen.style(found)
        self._draw()

    def _loaded(self, talk: Any, pages: Any) -> None:
        self.picture.use(talk)
        self.transcript.use(talk, pages)
        if self.state.live is not None:
            self._soon()
        self._draw()

    # -- what the picture and the actions ask for ---------------------------------------------

    @property
    def early_keys(self) -> bool:
        """Whether somebody before us had the terminal in raw mode and collected keys."""
        return self._first_keys is not None

    def rows(self) -> int:
        return self.output.get_size().rows

    def draft(self) -> str:
        return self.buffer.text

    def mode(self) -> str:
        if self.app.editing_mode is not EditingMode.VI:
            return ""
        return _VI.get(self.app.vi_state.input_mode, "vi")

    def found_row(self, top: s.Anchor, rows: int) -> int | None:
        return self.acting.finder.row(top, rows)

    def stale(self) -> None:
        self._soon()

    def app_suspend(self) -> None:
        self.app.suspend_to_background()

    def app_redraw(self) -> None:
        self.app.renderer.clear()

    def _typed(self, _: Buffer) -> None:
        """What was said about the key before goes when something is typed."""
        if self.buffer.text and (self.state.toast or self.state.quit_armed):
            self.dispatch(s.Typed())

    def clear_draft(self) -> None:
        """Empty the input."""
        self.drafts.clear()

    def _change_sessions(self, before: Session) -> None:
        self.drafts.move(before, self.state.session)
        if self._started:
            self._spawn(self.desk.draft_back(self.dispatch))

    def _commanding(self) -> bool:
        """Whether a command or an @file is being typed: its completions come by themselves."""
        if self.buffer.text.startswith("/") and "\n" not in self.buffer.text:
            return True
        return completion.names_a_file(self.buffer.document.current_line_before_cursor)
