"""A calm terminal chat for any language model; the same engine as a Python library.

Invariant: importing this imports nothing else. Public names are fetched when they are first used.
"""

from __future__ import annotations

__version__ = "0.1.0"

TYPE_CHECKING = False  # what `typing` would say, without its 20 ms

_HOMES = {
    "chinwag.context.compaction": "Compactor Proposal SummariseCompactor TruncateCompactor",
    "chinwag.errors": "BadRequest BudgetSpent ChinwagError ConfigError ContextOverflow KeyMissing"
    " KeyRefused ModelUnknown Overloaded ProviderError RateLimited Refused SessionConflict"
    " SessionLocked SessionNotFound SessionUnreadable StepsSpent StoreError StoreUnavailable"
    " StreamBroken ToolError Unreachable UsageError",
    "chinwag.frontends.face.asynchat": "AsyncChat",
    "chinwag.frontends.face.chat": "Chat",
    "chinwag.frontends.face.files": "attachment",
    "chinwag.frontends.face.reply": "Reply Step",
    "chinwag.frontends.face.store": "Store open_store",
    "chinwag.frontends.face.streams": "AsyncStream Stream",
    "chinwag.talk.delta": "Stop",
    "chinwag.talk.entry": "Status",
    "chinwag.talk.message": "Call File Image Message Result Role Text Thinking",
    "chinwag.talk.session": "Session",
    "chinwag.talk.usage": "Usage",
    "chinwag.tools.declaring": "tool",
}
_HOME = {name: home for home, names in _HOMES.items() for name in names.split()}

if TYPE_CHECKING:
    from typing import Any

    from chinwag.context.compaction import (
        Compactor,
        Proposal,
        SummariseCompactor,
        TruncateCompactor,
    )
    from chinwag.errors import (
        BadRequest,
        BudgetSpent,
        ChinwagError,
        ConfigError,
        ContextOverflow,
        KeyMissing,
        KeyRefused,
        ModelUnknown,
        Overloaded,
        ProviderError,
        RateLimited,
        Refused,
        SessionConflict,
        SessionLocked,
        SessionNotFound,
        SessionUnreadable,
        StepsSpent,
        StoreError,
        StoreUnavailable,
        StreamBroken,
        ToolError,
        Unreachable,
        UsageError,
    )
    from chinwag.frontends.face.asynchat import AsyncChat
    from chinwag.frontends.face.chat import Chat
    from chinwag.frontends.face.files import attachment
    from chinwag.frontends.face.reply import Reply, Step
    from chinwag.frontends.face.store import Store, open_store
    from chinwag.frontends.face.streams import AsyncStream, Stream
    from chinwag.talk.delta import Stop
    from chinwag.talk.entry import Status
    from chinwag.talk.message import Call, File, Image, Message, Result, Role, Text, Thinking
    from chinwag.talk.session import Session
    from chinwag.talk.usage import Usage
    from chinwag.tools.declaring import tool

__all__ = [
    "AsyncChat",
    "AsyncStream",
    "BadRequest",
    "BudgetSpent",
    "Call",
    "Chat",
    "ChinwagError",
    "Compactor",
    "ConfigError",
    "ContextOverflow",
    "File",
    "Image",
    "KeyMissing",
    "KeyRefused",
    "Message",
    "ModelUnknown",
    "Overloaded",
    "Proposal",
    "ProviderError",
    "RateLimited",
    "Refused",
    "Reply",
    "Result",
    "Role",
    "Session",
    "SessionConflict",
    "SessionLocked",
    "SessionNotFound",
    "SessionUnreadable",
    "Status",
    "Step",
    "StepsSpent",
    "Stop",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "Stream",
    "StreamBroken",
    "SummariseCompactor",
    "Text",
    "Thinking",
    "ToolError",
    "TruncateCompactor",
    "Unreachable",
    "Usage",
    "UsageError",
    "__version__",
    "attachment",
    "open_store",
    "tool",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(_HOME[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
