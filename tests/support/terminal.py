"""A terminal with a person at it: runs the installed `chat` in a pseudo-terminal.

Invariants: the program has its own session and this terminal as its controlling one; everything it
writes is kept (`raw`) and drawn on an emulated screen with a normal and an alternate buffer; its
questions (cursor position, device attributes, colours) are answered as a terminal would. Nothing
is waited for without a limit, and what is waited for too long fails showing the screen. Programs
are ended by their process id.
"""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyte

CHAT = str(Path(sys.executable).with_name("chat"))
PATIENCE = 10.0  # seconds; generous, because two cores may be shared by many

KEYS = {
    "enter": "\r",
    "escape": "\x1b",
    "tab": "\t",
    "backspace": "\x7f",
    "up": "\x1b[A",
    "down": "\x1b[B",
    "right": "\x1b[C",
    "left": "\x1b[D",
    "shift-up": "\x1b[1;2A",
    "shift-down": "\x1b[1;2B",
    "page-up": "\x1b[5~",
    "page-down": "\x1b[6~",
    "ctrl-home": "\x1b[1;5H",
    "ctrl-end": "\x1b[1;5F",
    "alt-enter": "\x1b\r",
    **{f"ctrl-{letter}": chr(ord(letter) - 96) for letter in "abcdefghijklmnopqrstuvwxyz"},
}

# An escape sequence: CSI, a string (OSC, DCS, APC …) up to its end, or a two-character one.
_SEQUENCE = re.compile(
    r"\x1b(?:\[(?P<private>[<=>?]?)(?P<numbers>[0-9;:]*)(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|[\]P_^X](?P<string>[^\x07\x1b]*)(?:\x07|\x1b\\)"
    r"|(?P<short>[ -/]*[0-Z\\`-~]))"
)
_UNFINISHED = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]P_^X][^\x07\x1b]*\x1b?|[ -/]*)?\Z")


class _Sheet(pyte.Screen):
    """pyte's screen, with private variants it does not know left alone."""

    def report_device_status(self, *_: Any, **__: Any) -> None:
        """Answered by the terminal itself."""

    report_device_attributes = report_device_status


class Screen:
    """What is to be seen: two sheets, and the modes that matter. Fed with text."""

    def __init__(self, columns: int, rows: int) -> None:
        self.sheets = [_Sheet(columns, rows), _Sheet(columns, rows)]
        self._streams = [pyte.Stream(sheet) for sheet in self.sheets]
        self.modes: set[int] = {25}
        self._waiting = ""

    @property
    def sheet(self) -> _Sheet:
        return self.sheets[1049 in self.modes]

    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.sheet.display]

    def resize(self, columns: int, rows: int) -> None:
        for sheet in self.sheets:
            sheet.resize(rows, columns)

    def feed(self, text: str) -> list[str]:
        """Draw ``text``; returns the answers to what it asks."""
        text = self._waiting + text
        held = _UNFINISHED.search(text)
        self._waiting = held.group() if held else ""
        text = text[: len(text) - len(self._waiting)]
        answers = []
        at = 0
        for found in _SEQUENCE.finditer(text):
            self._draw(text[at : found.start()])
            answers.append(self._sequence(found))
            at = found.end()
        self._draw(text[at:])
        return [answer for answer in answers if answer]

    def _draw(self, text: str) -> None:
        if text:
            self._streams[1049 in self.modes].feed(text)

    def _sequence(self, found: re.Match[str]) -> str:
        final, private, numbers = found["final"], found["private"], found["numbers"]
        if final in ("h", "l") and private == "?":
            self._mode([int(n) for n in numbers.split(";") if n], final == "h")
        elif final == "n" and numbers == "6":
            return f"\x1b[{self.sheet.cursor.y + 1};{self.sheet.cursor.x + 1}R"
        elif final == "c" and private == "":
            return "\x1b[?62;22c"
        elif found["short"] or (_is_known(final) and not private and not found["between"]):
            self._draw(found.group())
        elif (found["string"] or "").startswith(("10;?", "11;?")):
            light = "ffff/ffff/ffff" if found["string"].startswith("10") else "0000/0000/0000"
            return f"\x1b]{found['string'][:2]};rgb:{light}\x1b\\"
        return ""

    def _mode(self, numbers: Sequence[int], on: bool) -> None:
        for number in numbers:
            if number == 1049 and on and 1049 not in self.modes:
                self.sheets[1].reset()
            self.modes = self.modes | {number} if on else self.modes - {number}


def _is_known(final: str | None) -> bool:
    """Whether pyte draws a plain CSI with that end; window and keyboard modes it would misread."""
    return bool(final) and final not in "ntu"


def own_environment(home: Path, **more: str) -> dict[str, str]:
    """What a person's shell would give, with a home of its own and no local server to be found."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "CHINWAG_DATA_DIR": str(home / "chinwag"),
        # Port 1 refuses: whatever serves on this machine is not for the tests to find.
        "OLLAMA_HOST": "127.0.0.1:1",
        "LLAMACPP_BASE_URL": "http://127.0.0.1:1/v1",
        "LMSTUDIO_BASE_URL": "http://127.0.0.1:1/v1",
        "VLLM_BASE_URL": "http://127.0.0.1:1/v1",
        **more,
    }


class Terminal:
    """One run of a program at a terminal. Use it in a `with`: what still runs then is ended."""

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        *,
        columns: int = 80,
        rows: int = 24,
        typed: bytes = b"",
        draws: bool = True,
    ) -> None:
        """``typed`` waits in the terminal before the program is there; ``draws`` feeds `screen`."""
        self.env = dict(env)
        self.columns, self.rows = columns, rows
        self._master, slave = pty.openpty()
        self._before = termios.tcgetattr(slave)
        self._size(columns, rows)
        if typed:
            os.write(self._master, typed)
        self.started = time.monotonic()
        self.pid = os.posix_spawn(
            command[0],
            list(command),
            self.env,
            file_actions=[
                # A session leader without one gets this terminal as its controlling one.
                (os.POSIX_SPAWN_OPEN, 0, os.ttyname(slave), os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 0, 1),
                (os.POSIX_SPAWN_DUP2, 0, 2),
            ],
            setsid=True,
        )
        os.close(slave)
        self._command = list(command)
        self._screen = Screen(columns, rows) if draws else None
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._status: int | None = None
        self._open = True
        self.raw = bytearray()

    # -- the two ends -------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Kill what still runs, and let the terminal go."""
        if self._status is None:
            self.signal(signal.SIGKILL)
            with contextlib.suppress(AssertionError):
                self.exit_code(PATIENCE)
        self.hang_up()

    def hang_up(self) -> None:
        """The terminal goes away, as a closed window does."""
        if self._open:
            self._open = False
            os.close(self._master)

    def signal(self, number: int) -> None:
        """A signal for the program; never after it has been waited for."""
        if self._status is None:
            os.kill(self.pid, number)

    # -- looking ------------------------------------------------------------------------------

    def pump(self, seconds: float = 0.0) -> bool:
        """Take in what the program writes, waiting at most so long for it. False: nothing came."""
        if not self._open or not select.select([self._master], [], [], seconds)[0]:
            return False
        try:
            piece = os.read(self._master, 1 << 16)
        except OSError:  # every descriptor of the other end is closed
            piece = b""
        if not piece:
            time.sleep(min(seconds, 0.01))  # an ended program's terminal is always readable
            return False
        self.raw += piece
        if self._screen is not None:
            for answer in self._screen.feed(self._decode(piece)):
                self.send(answer)
        return True

    def lines(self) -> list[str]:
        """The screen as lines without trailing blanks."""
        assert self._screen is not None, "this terminal does not draw"
        while self.pump():
            pass
        return self._screen.lines()

    def screen(self) -> str:
        return "\n".join(self.lines())

    @property
    def modes(self) -> set[int]:
        """Private modes that are on: 25 cursor shown, 1049 alternate screen, 2004 paste marks."""
        self.lines()
        assert self._screen is not None
        return self._screen.modes

    @property
    def cursor(self) -> tuple[int, int]:
        """(column, row) from 0."""
        self.lines()
        assert self._screen is not None
        return self._screen.sheet.cursor.x, self._screen.sheet.cursor.y

    def wait_until(
        self, true: Callable[[], Any], seconds: float = PATIENCE, what: str = "it"
    ) -> Any:
        """The first true value of ``true()``; fails, showing the screen, when there is none."""
        limit = time.monotonic() + seconds
        while True:
            value = true()
            if value:
                return value
            if time.monotonic() > limit or (self._ended() and not self.pump()):
                value = true()
                assert value, self._told(f"{what} did not happen in {seconds:g} s")
                return value
            self.pump(0.02)

    def wait_for(self, text: str, seconds: float = PATIENCE) -> str:
        """Wait until ``text`` can be read on the screen; returns the screen."""
        self.wait_until(lambda: text in self.screen(), seconds, f"{text!r} on the screen")
        return self.screen()

    def wait_gone(self, text: str, seconds: float = PATIENCE) -> None:
        self.wait_until(lambda: text not in self.screen(), seconds, f"{text!r} leaving the screen")

    def wait_raw(self, mark: bytes, seconds: float = PATIENCE, start: int = 0) -> float:
        """Wait for bytes in what was written; returns when they came, on the monotonic clock."""
        limit = time.monotonic() + seconds
        while mark not in memoryview(self.raw)[start:].tobytes():
            assert time.monotonic() < limit, f"{mark!r} never came: {bytes(self.raw[-400:])!r}"
            self.pump(0.02)
        return time.monotonic()

    def reads_keys(self) -> bool:
        """Whether the program has taken the keyboard: no line editing, no echo by the kernel."""
        flags = termios.tcgetattr(self._master)[3]
        return not flags & (termios.ICANON | termios.ECHO)

    def ready(self, seconds: float = PATIENCE) -> Self:
        """Wait until keys are the program's own; before, the kernel would echo them."""
        self.wait_until(self.reads_keys, seconds, "taking over the keyboard")
        return self

    def restored(self) -> list[str]:
        """What is not as it was before the program; empty when all is."""
        faults = []
        now = termios.tcgetattr(self._master)
        if now != self._before:
            faults.append(f"terminal settings {now[:4]} instead of {self._before[:4]}")
        left = self.modes
        if 25 not in left:
            faults.append("the cursor is hidden")
        faults += [f"mode {number} is still on" for number in sorted(left - {25, 7, 12})]
        return faults

    def _told(self, problem: str) -> str:
        how = "runs" if self._status is None else f"ended with {self._status}"
        picture = self.screen() if self._screen is not None else bytes(self.raw[-600:])
        bar = "-" * self.columns
        return f"{problem}; {' '.join(self._command[1:])!r} {how}\n{bar}\n{picture}\n{bar}"

    # -- doing --------------------------------------------------------------------------------

    def send(self, text: str | bytes) -> None:
        """Type ``text``, as keys or bytes, however much it is."""
        data = text.encode() if isinstance(text, str) else text
        limit = time.monotonic() + PATIENCE
        os.set_blocking(self._master, False)
        while data:
            try:
                data = data[os.write(self._master, data) :]
            except BlockingIOError:
                assert time.monotonic() < limit, self._told("nobody reads the keyboard")
                self.pump(0.01)
            except OSError:  # nobody is there to read it
                return

    def press(self, *names: str) -> None:
        for name in names:
            self.send(KEYS[name])

    def say(self, line: str) -> None:
        """Type a line and send it, once it can be seen in the input."""
        self.send(line)
        self.wait_for(line[-20:])
        self.press("enter")

    def paste(self, text: str) -> None:
        """As a terminal pastes: between marks where the program asked for them."""
        text = text.replace("\n", "\r")
        self.send(f"\x1b[200~{text}\x1b[201~" if 2004 in self.modes else text)

    def resize(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        if self._screen is not None:
            self._screen.resize(columns, rows)
        self._size(columns, rows)

    def _size(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    # -- the end ------------------------------------------------------------------------------

    def _ended(self) -> bool:
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status is not None

    def exit_code(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; negative means the signal it died of."""
        self.wait_until(self._ended, seconds, "the end")
        while self.pump():
            pass
        assert self._status is not None
        return self._status

    def trace(self) -> list[dict[str, Any]]:
        """What the program noted in `CHINWAG_TRACE` so far; a line being written is left out."""
        path = Path(self.env["CHINWAG_TRACE"])
        whole = path.read_bytes().rpartition(b"\n")[0] if path.exists() else b""
        return [json.loads(line) for line in whole.splitlines()]

    def wait_traced(self, what: str, count: int = 1, seconds: float = PATIENCE) -> dict[str, Any]:
        """Wait until ``what`` has happened ``count`` times; returns the last of them."""

        def found() -> list[dict[str, Any]]:
            events = [event for event in self.trace() if event["what"] == what]
            return events if len(events) >= count else []

        return self.wait_until(found, seconds, f"{count} x {what} in the trace")[-1]


@contextlib.contextmanager
def at_terminal(command: Sequence[str], env: Mapping[str, str], **more: Any) -> Iterator[Terminal]:
    with Terminal(command, env, **more) as terminal:
        yield terminal
