"""A calm terminal chat for any language model; the same engine as a Python library.

Invariant: importing this imports nothing else. Public names are fetched when they are first used.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # what `typing` would say, without its 20 ms

_HOMES = {
    "ChinwagError": "chinwag.errors",
    "Message": "chinwag.talk.message",
    "Session": "chinwag.talk.session",
    "Usage": "chinwag.talk.usage",
}

__all__ = ["ChinwagError", "Message", "Session", "Usage", "__version__"]

if TYPE_CHECKING:
    from typing import Any

    from chinwag.errors import ChinwagError
    from chinwag.talk.message import Message
    from chinwag.talk.session import Session
    from chinwag.talk.usage import Usage


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
