"""Stored moments (ISO 8601, in UTC) as people read them: by the clock on their wall. Pure.

Invariant: what is no moment gives "", never an error: it may come from somebody else's file.
"""

from __future__ import annotations

from datetime import datetime

DAY = "%Y-%m-%d"
MINUTE = "%H:%M"


def local(at: str, form: str = f"{DAY} {MINUTE}") -> str:
    """The local day and minute of a stored moment, or what of it ``form`` names."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime(form)
    except (ValueError, OverflowError, OSError):
        return ""
