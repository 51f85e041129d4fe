"""Chats with nobody real behind them."""

from __future__ import annotations

import threading
import time

from chinwag import AsyncChat, Chat
from chinwag.providers.scripted import Scripted


def scripted(*answers, **more):
    return Scripted(answers or ("Hello there.",), **more)


def chat(*answers, **settings):
    """A chat and who answers it."""
    who = scripted(*answers)
    return Chat(provider=who, model="script", **settings), who


def achat(*answers, **settings):
    who = scripted(*answers)
    return AsyncChat(provider=who, model="script", **settings), who


def own_threads():
    """Threads of ours that run now."""
    return [t for t in threading.enumerate() if t.name.startswith(("chinwag", "saver"))]


def until(true, patience=3.0):
    """Wait until ``true()``; whether it came so."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.01)
    return bool(true())
