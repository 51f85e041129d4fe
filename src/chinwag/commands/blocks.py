"""Code blocks of a conversation by number: what `/copy 3` takes. Pure.

Invariant: blocks are the fenced ones (`text.fences`), counted from 1 along the path since the last
clear, in answers only: the numbers the screen shows. A block's text is the source as it was said.
"""

from __future__ import annotations

from collections.abc import Iterator

from chinwag.talk.entry import AssistantSaid
from chinwag.talk.session import Session
from chinwag.text.fences import Fence, fences


def numbered(session: Session) -> Iterator[tuple[int, Fence]]:
    """Every code block with its number."""
    number = 0
    for _, entry in session.said():
        if isinstance(entry, AssistantSaid):
            for block in fences(entry.text):
                number += 1
                yield number, block
