"""Text to the clipboard: through the terminal when we are far away, else through the desktop.

Invariants: the text is raw (what was said, not what was drawn) and travels as base64, so nothing in
it can speak to the terminal. The answer says which way was taken, for the terminal gives no
receipt. Inside tmux, tmux itself is given the text: it hands it on where its settings would let no
escape sequence of ours through.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Final

MOST_BYTES = 74_000
"""More than this many terminals drop silently."""
PATIENCE: Final = 2.0
"""Seconds tmux has to take the text."""
SCREEN_PIECE: Final = 200
"""Characters GNU screen passes through at a time."""


async def copy(text: str, write: Callable[[str], None], environ: Mapping[str, str]) -> str:
    """Copy; returns a few words on how, or raises OSError saying why not."""
    if _desktop(environ):
        try:
            await asyncio.to_thread(_by_desktop, text)
        except OSError:
            pass  # no clipboard program: the terminal may know one
        else:
            return "copied"
    data = text.encode("utf-8", "replace")
    if environ.get("TMUX") and await _by_tmux(data, environ):
        return "copied through tmux"
    if len(data) > MOST_BYTES:
        raise OSError(f"too long for the terminal's clipboard ({len(data):,} bytes); /export it")
    write(through(f"\x1b]52;c;{base64.b64encode(data).decode()}\x07", environ))
    return "sent to the terminal's clipboard"


def through(sequence: str, environ: Mapping[str, str]) -> str:
    """A sequence as it has to be sent so that the terminal behind tmux or screen gets it."""
    if environ.get("TMUX"):
        return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
    if environ.get("STY"):
        pieces = range(0, len(sequence), SCREEN_PIECE)
        return "".join(f"\x1bP{sequence[at : at + SCREEN_PIECE]}\x1b\\" for at in pieces)
    return sequence


async def _by_tmux(data: bytes, environ: Mapping[str, str]) -> bool:
    """Have tmux (3.2 or later) keep the text and hand it to its terminal; False where it cannot."""
    kept = {name: environ[name] for name in ("TMUX", "PATH", "HOME", "TERM") if name in environ}
    pipe, nowhere = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    try:
        tmux = await asyncio.create_subprocess_exec(
            "tmux", "load-buffer", "-w", "-", stdin=pipe, stdout=nowhere, stderr=nowhere, env=kept
        )
    except OSError:
        return False
    try:
        await asyncio.wait_for(tmux.communicate(data), PATIENCE)
    except TimeoutError:
        tmux.kill()
        await tmux.wait()
    return tmux.returncode == 0


def _desktop(environ: Mapping[str, str]) -> bool:
    if environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"):
        return False
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")) or _is_mac()


def _is_mac() -> bool:
    import sys

    return sys.platform == "darwin"


def _by_desktop(text: str) -> None:
    import pyperclip

    try:
        pyperclip.copy(text)
    except pyperclip.PyperclipException as error:
        raise OSError(str(error)) from error
