"""What was typed and not sent.

Invariant: frozen, and no part of a session: it becomes one only when it is sent.
"""

from __future__ import annotations

import msgspec

from chinwag.talk.message import AnyPart


class Unsent(msgspec.Struct, frozen=True, omit_defaults=True):
    """``cursor`` counts characters of ``text``; ``at`` is when it was kept (UTC)."""

    text: str = ""
    cursor: int = 0
    attachments: tuple[AnyPart, ...] = ()
    at: str = ""

    def __bool__(self) -> bool:
        return bool(self.text.strip() or self.attachments)
