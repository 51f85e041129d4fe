"""Text to the clipboard: through the terminal when we are far away, else through the desktop.

Invariants: the text is raw (what was said, not what was drawn) and travels as base64, so nothing in
it can speak to the terminal. The answer says which way was taken, for the terminal gives no
receipt.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Mapping

MOST_BYTES = 74_000
"""More than this many terminals drop silently."""


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
    if len(data) > MOST_BYTES:
        raise OSError(f"too long for the terminal's clipboard ({len(data):,} bytes); /export it")
    write(f"\x1b]52;c;{base64.b64encode(data).decode()}\x07")
    return "sent to the terminal's clipboard"


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
