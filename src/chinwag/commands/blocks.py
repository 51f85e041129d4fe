"""Code blocks of a conversation by number: what `/copy 3` takes. Pure.

Invariant: a block is what Markdown says is one (fenced or indented), counted from 1 along the path
since the last clear, in answers only; its text is the source as it was said.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from chinwag.talk.entry import AssistantSaid
from chinwag.talk.session import Session


class Block(msgspec.Struct, frozen=True):
    """``language`` is the first word after the fence, "" where none is given."""

    language: str
    text: str


def code_blocks(markdown: str) -> list[Block]:
    """The code blocks of one text, in order."""
    if "```" not in markdown and "~~~" not in markdown and "    " not in markdown:
        return []
    from markdown_it import MarkdownIt

    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    return [
        Block(token.info.split(None, 1)[0] if token.info.strip() else "", token.content)
        for token in tokens
        if token.type in {"fence", "code_block"}
    ]


def numbered(session: Session) -> Iterator[tuple[int, Block]]:
    """Every code block with its number."""
    number = 0
    for _, entry in session.said():
        if isinstance(entry, AssistantSaid):
            for block in code_blocks(entry.text):
                number += 1
                yield number, block
