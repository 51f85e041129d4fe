"""The console script: from argv alone, with nothing imported, to the screen or to cli.py.

Invariants: a full-screen start paints its first frame before anything heavy is imported, and from
then on the terminal no longer echoes or edits lines itself, so that every byte typed since exec
waits, in order, for the real screen. Whatever happens afterwards, the terminal is given back as it
was found. `--version` costs an interpreter and nothing more. Only what the interpreter has loaded
already, or has in C, is imported at module level.
"""

from __future__ import annotations

import _thread
import os
import sys
from select import select

MYPY = False
if MYPY:
    from typing import Any

# Options of `chat` that open the full screen all the same, and whether a value follows.
# Anything else on the command line means: ask cli.py first, paint later.
_WITH_VALUE = frozenset(
    (
        "-m --model -p --provider -s --system -n --session -t --temperature --max-tokens --top-p"
        " --stop --tools --approve -o --option --reasoning --schema --budget --store --data-dir"
        " --config --theme"
    ).split()
)
_ALONE = frozenset(
    "-c --continue --private --no-tools --vi --no-mouse -q --quiet -v --verbose".split()
)
_MAYBE = frozenset(("-r", "--resume"))

ENTER_SCREEN = b"\x1b[?1049h\x1b[?25l"
LEAVE_SCREEN = b"\x1b[0m\x1b[?25h\x1b[?2004l\x1b[?1049l"


def main() -> None:
    """Entry point of the `chat` command."""
    _fill_gaps()
    argv = sys.argv[1:]
    if argv in (["--version"], ["-V"]):
        from chinwag import __version__

        try:
            if sys.stdout is not None:
                sys.stdout.write(f"chinwag {__version__}\n")
        except OSError as error:
            _unwritten(error)
        _leave(0)
    early = EarlyScreen() if opens_screen(argv) and _on_terminal() else None
    try:
        code = _run(argv, early)
    finally:
        if early is not None:
            early.give_back()
    _leave(code)


def _fill_gaps() -> None:
    """Where stdin, stdout or stderr came closed, nothing is to get its number: a session that did
    would be written into by whoever prints. What is said to nobody is not said."""
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (fd := os.open(os.devnull, os.O_RDWR)) < 3:
            pass
        os.close(fd)
        if sys.stderr is None:
            sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115 - as long as the program


def opens_screen(argv: list[str]) -> bool:
    """Whether these words, as far as can be told without parsing, open the full screen."""
    words = iter(argv)
    waiting = ""
    for word in words:
        name, equals, _ = word.partition("=")
        if name in _WITH_VALUE:
            if not equals and next(words, None) is None:
                return False
        elif name in _MAYBE:
            waiting = name
        elif waiting and not word.startswith("-"):
            waiting = ""
        elif name not in _ALONE:
            return False
    return True


def is_prompt(argv: list[str]) -> bool:
    """Whether these are words for a model and nothing else: what has a blank is no command."""
    return bool(argv) and any(map(str.isspace, argv[0])) and not any(w[:1] == "-" for w in argv)


def _on_terminal() -> bool:
    if os.environ.get("TERM", "") in ("", "dumb") or os.environ.get("CHINWAG_PLAIN"):
        return False
    try:
        return os.isatty(0) and os.isatty(1)
    except OSError:
        return False


def _run(argv: list[str], early: EarlyScreen | None) -> int:
    import gc

    # Collecting during imports only walks what will live for ever: 8 % of a start.
    gc.disable()
    if argv and not is_prompt(argv):
        from chinwag.cli import run
    else:
        from chinwag.roads import run_bare as run
    gc.enable()
    gc.freeze()
    if is_prompt(argv):
        gc.set_threshold(50_000, 20, 20)  # over in a moment, and most of that is imports to come
    return run(argv, early)


def _leave(code: int) -> None:
    """End at once with ``code``: everything is saved and closed, nothing is left to tear down."""
    for stream in filter(None, (sys.stdout, sys.stderr)):  # one that was closed is None
        try:
            stream.flush()
        except (BrokenPipeError, ValueError):  # the reader has gone, or it was closed at the start
            os._exit(code or 0)
        except OSError as error:
            _unwritten(error)
    sys.exit(code)


def _unwritten(error: OSError) -> None:
    """A full disk, say: what was printed is nowhere, and that is no success."""
    why = (error.strerror or str(error)).lower()
    os.write(2, f"chat: the output cannot be written: {why}\n".encode())
    os._exit(1)


class EarlyScreen:
    """The terminal between exec and the real screen.

    It paints the first frame, then a thread reads keys and shows them while the imports run, so
    that the first letter is seen at once. `hand_over` gives every byte typed since exec, in order;
    it must be called before anybody else reads the terminal. Whoever takes over restores the
    screen; until then that is done here, whatever happens.
    """

    def __init__(self) -> None:
        import termios

        self._found: list[Any] = termios.tcgetattr(0)
        self._restored = self._handed_over = False
        self._typed = bytearray()
        self._shown = 0  # characters of the line that are on the screen; -1: no more are shown
        self._half = b""  # the first byte of a letter of two
        self._columns = 80
        self._stopping = os.pipe()
        self._ended = _thread.allocate_lock()
        self._take_over(termios)
        self._paint()
        self._show(bytes(self._typed))
        self._ended.acquire()
        _thread.start_new_thread(self._read_on, ())

    def _take_over(self, termios: Any) -> None:
        raw = termios.tcgetattr(0)
        raw[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON)
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        raw[6][termios.VMIN] = 1
        raw[6][termios.VTIME] = 0
        # NOW, not FLUSH: what is typed already must not be thrown away.
        termios.tcsetattr(0, termios.TCSANOW, raw)
        while self._waits(0):
            piece = os.read(0, 65536)
            if not piece:
                break
            # The line discipline had turned the Enter key into a newline, which is another key.
            self._typed += piece.replace(b"\n", b"\r")

    def _waits(self, seconds: float) -> bool:
        return bool(select([0], [], [], seconds)[0])

    def _paint(self) -> None:
        from chinwag.frontends.tui.first_frame import frame

        try:
            self._columns, rows = os.get_terminal_size(1)
        except OSError:
            rows = 24
        colour = not os.environ.get("NO_COLOR")
        _write(ENTER_SCREEN + frame(self._columns, rows, "", colour))

    def _read_on(self) -> None:
        """The thread: keys to `_typed` and, while they are plain, to the screen."""
        try:
            wake = self._stopping[0]
            while wake not in select([0, wake], [], [], None)[0] or self._in_a_letter():
                piece = os.read(0, 4096)
                if not piece:
                    break
                self._typed += piece
                self._show(piece)
        except OSError:
            pass  # the terminal has gone; the real screen will notice
        finally:
            self._ended.release()

    def _in_a_letter(self) -> bool:
        """Whether the last bytes are the beginning of a letter whose end is on its way."""
        tail = bytes(self._typed[-4:])
        for back in range(1, len(tail) + 1):
            byte = tail[-back]
            if byte >= 0xC0:
                size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
                return back < size and self._waits(0.05)
            if byte < 0x80:
                return False
        return False

    def _show(self, piece: bytes) -> None:
        """Show plain letters as they are typed; after anything else the real screen shows all."""
        for byte in piece:
            if self._shown < 0:
                return
            letter, self._half = self._half + bytes((byte,)), b""
            if byte in (0x7F, 0x08) and len(letter) == 1 and self._shown:
                self._shown -= 1
                _write(b"\b \b")
            elif len(letter) == 1 and 0xC3 <= byte <= 0xD4:
                self._half = letter
            elif _is_plain(letter) and self._shown < self._columns - 4:
                self._shown += 1
                _write(letter)
            else:
                self._shown = -1

    def hand_over(self) -> str:
        """The real screen takes over: returns all that was typed."""
        self._handed_over = True
        return self._stop()

    def _stop(self) -> str:
        """End the reading; returns what was read. Harmless when it has ended."""
        if self._stopping[1] >= 0:
            os.write(self._stopping[1], b".")
            self._ended.acquire()
            for end in self._stopping:
                os.close(end)
            self._stopping = (-1, -1)
        typed, self._typed = bytes(self._typed), bytearray()
        return typed.decode("utf-8", "surrogateescape")

    def give_back(self) -> None:
        """The terminal as it was found. Harmless when done already."""
        if self._restored:
            return
        self._restored = True
        self._stop()
        import termios

        try:
            if not self._handed_over:
                _write(LEAVE_SCREEN)
            # At once: a terminal that has stopped reading is not waited for.
            termios.tcsetattr(0, termios.TCSANOW, self._found)
        except (OSError, termios.error):
            pass  # the terminal has gone: nobody is left to give it back to


def _is_plain(letter: bytes) -> bool:
    """Whether a letter takes one cell for certain: Latin, Greek, Cyrillic, and no mark."""
    if len(letter) == 1:
        return 0x20 <= letter[0] < 0x7F
    code = (letter[0] & 0x1F) << 6 | letter[1] & 0x3F
    two = 0x80 <= letter[1] < 0xC0
    return two and (0xC0 <= code < 0x250 or 0x386 <= code < 0x483 or 0x48A <= code < 0x530)


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
