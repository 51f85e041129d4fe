"""Words to a pipe, and the line REPL: for scripts, screen readers and dumb terminals.

Invariants: the answer, and nothing but the answer, goes to `out`; everything else goes to `err`.
To a terminal foreign text passes `text.safe`; to a pipe it is the text as it came. No cursor codes,
no spinner, no colour, but for the one line of `patience` where somebody asked once at a terminal.
Every way out has its exit code (interface.md, section 2).
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Callable
from typing import Final, TextIO

from chinwag.desk import Desk
from chinwag.errors import ChinwagError
from chinwag.frontends.asking import LineAsker, at_terminal, readable
from chinwag.frontends.codes import ANSWERED, FAILED, INTERRUPTED, exit_code
from chinwag.frontends.hints import outside
from chinwag.frontends.patience import Patience
from chinwag.talk.delta import CallDelta, TextDelta, ThinkingDelta
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.event import (
    AnyEvent,
    ApprovalAnswered,
    ApprovalAsked,
    Choice,
    Compacting,
    CopyAsked,
    DraftOffered,
    EditorAsked,
    Failed,
    Following,
    Heard,
    Leaving,
    Level,
    Listed,
    Notice,
    Offered,
    Opened,
    Page,
    Requested,
    Rested,
    SaveFailed,
    Settled,
    Sought,
    ThemeAsked,
    ToolStarted,
    Waiting,
)
from chinwag.text.moments import local
from chinwag.text.safe import safe, safe_line

_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)
_FENCE = re.compile(r"^(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^\1[`~]*[ \t]*$|\Z)", re.MULTILINE | re.DOTALL)


def first_code(text: str) -> str | None:
    """The inside of the first fenced code block; None where there is none."""
    found = _FENCE.search(text)
    return found.group(2) if found else None


class PlainEar:
    """Writes what it hears. ``live`` prints an answer as it comes, else when it is whole.

    With ``mute`` the answer itself is not printed; with ``quiet`` only warnings are told. ``once``
    is for one answer outside a chat: what is told names the program, and flags, not slash commands.
    With ``mum`` nothing is told but what went wrong.
    """

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        *,
        live: bool = True,
        mute: bool = False,
        quiet: bool = False,
        once: bool = False,
        mum: bool = False,
    ) -> None:
        self._once = once
        self._mum = mum
        self._out = out
        self._err = err
        self._live = live and not mute
        self._mute = mute
        self._quiet = quiet
        self._clean: Callable[[str], str] = safe if out.isatty() else str
        self._at_line_start = True
        self.failure: Failed | None = None
        self.answer: AssistantSaid | None = None
        self.leaving = False
        self.to_edit: str | None = None
        self._following = ""
        #: Who asks before a tool runs; None where nobody is there to be asked.
        self.asker: LineAsker | None = None
        #: Who says that something is waited for; None where that would be in the way.
        self.patience: Patience | None = None

    def __call__(self, event: AnyEvent) -> None:
        if self.patience is not None:
            self._bears(event, self.patience)
        match event:
            case Heard(delta=TextDelta(text=text)) if self._live:
                self.say(text)
            case Settled(entry=AssistantSaid() as answer):
                self._settled(answer)
            case Failed():
                self.failure = event
                self.tell(event.message, event.hint)
            case Notice(text=text, level=level):
                if not self._mum and (not self._quiet or level is Level.WARNING):
                    self.tell(text)
            case Page(title=title, text=text):
                self.tell(f"{title}\n\n{text}" if title else text)
            case Waiting() | Compacting():
                self._waits(event)
            case SaveFailed(reason=reason, hint=hint):
                self.tell(f"not saved: {reason}", hint)
            case Listed() | Offered():
                self._listed(event)
            case Opened(session=session) if session.tally.messages and not self._quiet:
                self.tell(f"{session.title} - {_counted(session.tally.messages)}")
            case CopyAsked() | DraftOffered() | Sought() | EditorAsked() | ThemeAsked():
                self._wanted(event)
            case Leaving():
                self.leaving = True
            case _:
                self._read_along(event)

    def _bears(self, event: AnyEvent, patience: Patience) -> None:
        match event:
            case Requested():
                patience.begin("waiting for the first word")
            case Heard(delta=ThinkingDelta()):
                patience.says("thinking")
            case Heard(delta=TextDelta()) if not self._live:
                patience.says("the answer is coming in")
            case Heard(delta=CallDelta()):
                patience.says("a call of a tool is coming in")
            case Heard(delta=TextDelta()) | Settled() | Failed() | Waiting() | ApprovalAsked():
                patience.end()
            case ToolStarted(call=call):
                patience.begin(f"{safe_line(call.name, 40)} runs")
            case Rested() | Leaving():
                patience.end()
            case _:
                pass

    def _tool(self, event: AnyEvent) -> None:
        match event:
            case ApprovalAsked() if self.asker is not None:
                self.end_line()
                self.asker.ask(event)
            case ApprovalAnswered() if self.asker is not None:
                self.asker.settled(event)
            case ToolStarted(call=call) if not self._quiet:
                self.tell(f"→ {call.name} {call.arguments[:200]}")
            case _:
                pass

    def _waits(self, event: Waiting | Compacting) -> None:
        match event:
            case Waiting(reason=reason, seconds=seconds):
                if not self._mum:
                    self.tell(f"{reason}: trying again {_soon(seconds)}")
            case Compacting(messages=messages):
                if not self._quiet:
                    self.tell(f"writing a summary of {_counted(messages)}")

    def _wanted(self, event: CopyAsked | DraftOffered | Sought | EditorAsked | ThemeAsked) -> None:
        """What a command wants of who shows the talk."""
        match event:
            case CopyAsked(text=text):
                self.say(text + "\n")
            case DraftOffered(text=text):
                if not self._quiet:  # once: whoever gave it has it still
                    self.tell(f"taken back: {text}")
            case Sought(text=text, hits=hits):
                for hit in hits:
                    self.tell(f"  {hit.n} {safe_line(hit.who)}: {safe_line(hit.words)}")
                how = "holds" if len(hits) == 1 else "hold"
                more = "/history N shows the last N in full"
                self.tell(f"{_counted(len(hits))} {how} {text!r}; {more}")
            case EditorAsked(text=text):
                self.to_edit = text
            case ThemeAsked():
                self.tell("there are no colours here: themes are for the full screen")

    def say(self, text: str) -> None:
        self._out.write(self._clean(text))
        self._out.flush()
        if text:
            self._at_line_start = text.endswith("\n")

    def _read_along(self, event: AnyEvent) -> None:
        """What is said in another window."""
        match event:
            case Following(owner=owner):
                self._following = owner
                if owner:
                    self.tell(f"following: read only; {owner} writes", "/fork, or /takeover")
            case Settled(entry=UserSaid(text=text)) if self._following:
                self.tell(f"› {text}")
            case Settled(entry=ToolReturned(result=result)) if not self._quiet:
                first, _, more = result.content.partition("\n")
                self.tell(f"← {result.name}: {first[:200]}{' …' if more else ''}")
            case _:
                self._tool(event)

    def _settled(self, answer: AssistantSaid) -> None:
        self.answer = answer
        if not self._live and not self._mute:
            self.say(answer.text)
        self.end_line()
        if answer.status is Status.INTERRUPTED:
            self.tell("stopped")
        elif answer.status is not Status.COMPLETE and self.failure is None:
            self.failure = Failed("StreamBroken", answer.error, answer.hint)
            self.tell(answer.error, answer.hint or "ask again, or /retry")
        elif answer.remark:
            self.tell(answer.remark)

    def end_line(self) -> None:
        if not self._at_line_start:
            self._out.write("\n")
            self._out.flush()
            self._at_line_start = True

    def tell(self, text: str, hint: str = "") -> None:
        """One thing beside the answer, to `err`."""
        if self.patience is not None:
            self.patience.end()
        self.end_line()
        said = f"{text} - {hint}" if hint else text
        if self._once:
            said = f"chat: {outside(text)} - {outside(hint)}" if hint else f"chat: {outside(text)}"
        self._err.write(safe(said) + "\n")
        self._err.flush()

    def _listed(self, event: Listed | Offered) -> None:
        rows = (
            [
                (h.name, f"{_counted(h.headline.messages)}, {local(h.headline.updated)}", h.damaged)
                for h in event.headers
            ]
            if isinstance(event, Listed)
            else [(c.line, _about(c), "") for c in event.choices if c.line]
        )
        for name, detail, damaged in rows[:200]:
            self.tell(f"  {safe_line(name)}  {safe_line(damaged or detail)}")
        if isinstance(event, Listed):
            self.tell("/load NAME opens one" if rows else "no sessions yet")


def _counted(messages: int) -> str:
    return f"{messages:,} message{'s' * (messages != 1)}"


def _soon(seconds: float) -> str:
    return f"in {seconds:.0f} s" if seconds >= 10 else f"in {seconds:.1f} s"


def _about(choice: Choice) -> str:
    """What a choice is, beside the line that takes it."""
    known = {choice.line, choice.line.partition(" ")[2], ""}
    said = [choice.detail] if choice.label in known else [choice.label, choice.detail]
    return " · ".join(filter(None, said)) or choice.label


NO_CODE: Final = Failed(
    "NoCode", "the answer holds no fenced code block", "run it without -x to see it"
)


def extracted(ear: PlainEar, code: int) -> int:
    """Print only the first code block of what was answered. Returns the exit code."""
    block = first_code(ear.answer.text if ear.answer else "")
    if block is None:
        if not code:
            ear.tell(NO_CODE.message, NO_CODE.hint)
        return code or FAILED
    ear.say(block)
    ear.end_line()
    return code


class interruptible:  # noqa: N801 - reads as a verb where it is used
    """While inside, Ctrl+C stops the answer; a second one within the same answer leaves.

    Where ``told`` is given so does being told to end, or losing the terminal: the answer is settled
    as far as it came, and ``told`` hears which signal said so.
    """

    def __init__(self, desk: Desk, told: Callable[[int], None] | None = None) -> None:
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._signals = (signal.SIGINT, *(_ENDING if told else ()))
        self._told = told or (lambda _: None)

    def __enter__(self) -> None:
        task = asyncio.current_task()

        def came(which: signal.Signals) -> None:
            if which in _ENDING:
                self._told(which)
            if not self._desk.interrupt() and task is not None:
                task.cancel()

        for which in self._signals:
            self._loop.add_signal_handler(which, came, which)

    def __exit__(self, *_: object) -> None:
        for which in self._signals:
            self._loop.remove_signal_handler(which)


class Repl:
    """The line REPL: reads in the main thread, handles on the loop, one line at a time."""

    def __init__(self, desk: Desk, ear: PlainEar, runner: asyncio.Runner) -> None:
        self._desk = desk
        self._ear = ear
        self._runner = runner
        self._prompts = sys.stdin.isatty()

    def run(self) -> int:
        """Until /exit, Ctrl+D or the end of input. Returns the exit code."""
        self._greet()
        stopped = False
        while not self._ear.leaving:
            try:
                line = self._read()
                stopped = False
            except KeyboardInterrupt:
                if stopped:
                    return INTERRUPTED
                stopped = True
                self._ear.tell("Ctrl+C once more, Ctrl+D or /exit leaves")
                continue
            if line is None:
                break
            if line.strip():
                self._desk_handles(line)
        return ANSWERED if self._prompts else exit_code(self._ear.failure, self._ear.answer)

    def _greet(self) -> None:
        self._desk.conversation.may_follow = self._prompts
        if self._prompts:
            self._ear.asker = at_terminal(self._desk.answer_approval)
        self._runner.run(self._desk.start(self._ear))
        status = self._desk.status()
        self._ear.tell(f"chinwag: {status.provider}/{status.model}. /help explains, /exit leaves.")

    def _desk_handles(self, line: str) -> None:
        async def handle() -> None:
            self._desk.remember(line)
            with interruptible(self._desk):
                await self._desk.handle(line, self._ear)

        try:
            self._runner.run(handle())
        except asyncio.CancelledError:
            self._ear.tell("stopped")
        if self._ear.to_edit is not None:
            text, self._ear.to_edit = self._ear.to_edit, None
            self._edit(text)

    def _edit(self, text: str) -> None:
        """What is left in the editor is sent."""
        if not self._prompts:
            self._ear.tell("there is no terminal to open an editor at")
            return
        from chinwag.frontends.editor import edited  # its modules are not for every pipe

        try:
            written = edited(text)
        except ChinwagError as error:
            self._ear.tell(error.message, error.hint)
            return
        if written and written.strip():
            self._ear.tell(written)
            self._desk_handles(written)

    def _read(self) -> str | None:
        """A line, continued while it ends in a backslash; None at the end of input."""
        lines: list[str] = []
        while True:
            line = self._read_one("> " if not lines else ". ")
            if line is None:
                return "\n".join(lines) if lines else None
            if not line.endswith("\\"):
                return "\n".join([*lines, line])
            lines.append(line[:-1])

    def _read_one(self, prompt: str) -> str | None:
        if self._prompts:
            sys.stderr.write(prompt)
            sys.stderr.flush()
            self._runner.run(readable(sys.stdin.fileno()))
        line = sys.stdin.readline()
        return line.rstrip("\n") if line else None
