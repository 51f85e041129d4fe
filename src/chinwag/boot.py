"""The console script: from argv alone, with nothing imported, to the screen or to cli.py.

Invariants: a full-screen start paints its first frame before anything heavy is imported, and from
then on the terminal no longer echoes or edits lines itself, so that every byte typed since exec
waits, in order, for the real screen. Whatever happens afterwards, the terminal is given back as it
was found. `--version` costs an interpreter and nothing more. Only `sys`, `os` and this file's own
C-level helpers may be imported at module level.
"""

from __future__ import annotations

import os
import sys

MYPY = False
if MYPY:
    from typing import Any

# Options of `chat` that open the full screen all the same, and whether a value follows.
# Anything else on the command line means: ask cli.py first, paint later.
_WITH_VALUE = frozenset(
    (
        "-m --model -p --provider -s --system -n --session -t --temperature --max-tokens --top-p"
        " --stop -o --option --reasoning --store --data-dir --config --theme --budget"
    ).split()
)
_ALONE = frozenset(
    "-c --continue --private --vi --no-mouse -q --quiet -v --verbose --no-tools".split()
)
_MAYBE = frozenset(("-r", "--resume"))

ENTER_SCREEN = b"\x1b[?1049h\x1b[?25l"
LEAVE_SCREEN = b"\x1b[0m\x1b[?25h\x1b[?2004l\x1b[?1049l"


def main() -> None:
    """Entry point of the `chat` command."""
    argv = sys.argv[1:]
    if argv in (["--version"], ["-V"]):
        from chinwag import __version__

        print(f"chinwag {__version__}")  # noqa: T201 - this is the answer
        return
    early = EarlyScreen() if opens_screen(argv) and _on_terminal() else None
    try:
        code = _run(argv, early)
    finally:
        if early is not None:
            early.give_back()
    _leave(code)


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
    if argv:
        from chinwag.cli import run
    else:
        from chinwag.roads import run_bare as run
    gc.enable()
    gc.freeze()
    return run(argv, early)


def _leave(code: int) -> None:
    """End at once with ``code``: everything is saved and closed, nothing is left to tear down."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # the reader has gone, or it was closed at the start
            os._exit(code or 0)
    sys.exit(code)


class EarlyScreen:
    """The terminal between exec and the real screen.

    ``typed`` holds what had been typed while the terminal was still editing lines itself, with its
    line ends turned back into the Enter key that was pressed.
    """

    def __init__(self) -> None:
        import termios

        self._found: list[Any] = termios.tcgetattr(0)
        self._restored = False
        self.typed = ""
        self._take_over(termios)
        self._paint()

    def _take_over(self, termios: Any) -> None:
        raw = termios.tcgetattr(0)
        raw[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON)
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
        raw[6][termios.VMIN] = 1
        raw[6][termios.VTIME] = 0
        # NOW, not FLUSH: what is typed already must not be thrown away.
        termios.tcsetattr(0, termios.TCSANOW, raw)
        self._take_typed()

    def _take_typed(self) -> None:
        import select

        waiting = b""
        while select.select([0], [], [], 0)[0]:
            piece = os.read(0, 65536)
            if not piece:
                break
            waiting += piece
        # The line discipline had turned the Enter key into a newline; we bind newline to Ctrl+J.
        self.typed = waiting.replace(b"\n", b"\r").decode("utf-8", "surrogateescape")

    def _paint(self) -> None:
        from chinwag.frontends.tui.first_frame import frame

        try:
            columns, rows = os.get_terminal_size(1)
        except OSError:
            columns, rows = 80, 24
        colour = not os.environ.get("NO_COLOR")
        _write(ENTER_SCREEN + frame(columns, rows, "", colour))

    def leave_screen(self) -> None:
        """Back to the normal screen, because what was asked for is no full screen after all."""
        _write(LEAVE_SCREEN)
        self.give_back()

    def give_back(self) -> None:
        """The terminal's own settings again. Harmless when done already."""
        if self._restored:
            return
        self._restored = True
        import termios

        try:
            termios.tcsetattr(0, termios.TCSADRAIN, self._found)
        except termios.error:
            pass  # the terminal has gone: nobody is left to give it back to


def _write(data: bytes) -> None:
    while data:
        data = data[os.write(1, data) :]
