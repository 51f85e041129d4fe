"""The fold of deltas into an assistant message.

Invariants: adding deltas one by one gives the message that was settled, on the screen and in the
engine alike, since both use this function. Adding costs O(1) whatever has been said before
(pieces are kept, and joined only when asked). Text and thinking keep the order in which their
blocks began; a surrogate pair cut in two deltas is joined, a lone surrogate becomes U+FFFD.
"""

from __future__ import annotations

import secrets
from typing import TypeAlias

import msgspec

from chinwag.talk.delta import (
    AnyDelta,
    CallDelta,
    Ended,
    ServedBy,
    TextDelta,
    ThinkingDelta,
    UsageDelta,
)
from chinwag.talk.grown import Grown
from chinwag.talk.message import AnyPart, Call, Text, Thinking
from chinwag.talk.usage import NO_USAGE, Usage


class TextBlock(msgspec.Struct, frozen=True):
    index: int
    pieces: Grown[str]


class ThinkingBlock(msgspec.Struct, frozen=True):
    index: int
    pieces: Grown[str]
    signature: str = ""
    redacted: str = ""


class CallBlock(msgspec.Struct, frozen=True):
    index: int
    pieces: Grown[str]
    id: str = ""
    name: str = ""
    signature: str = ""


Block: TypeAlias = TextBlock | ThinkingBlock | CallBlock


class Draft(msgspec.Struct, frozen=True):
    """An answer while it is coming in. ``heard`` counts deltas that carried content."""

    blocks: tuple[Block, ...] = ()
    usage: Usage = NO_USAGE
    ended: Ended | None = None
    served_by: ServedBy = ServedBy()
    heard: int = 0

    def add(self, delta: AnyDelta) -> Draft:
        """The draft with one more thing heard."""
        match delta:
            case TextDelta(text=text, index=index):
                return self._content(_text(self.blocks, index, text)) if text else self
            case ThinkingDelta():
                return self._content(_thinking(self.blocks, delta))
            case CallDelta():
                return self._content(_call(self.blocks, delta))
            case UsageDelta(usage=usage):
                return self._with(usage=self.usage.updated(usage))
            case ServedBy():
                return self._with(served_by=_served(self.served_by, delta))
            case Ended():
                return self._with(ended=delta)

    @property
    def text(self) -> str:
        return _joined(*(b.pieces for b in self.blocks if isinstance(b, TextBlock)))

    @property
    def thinking(self) -> str:
        return _joined(*(b.pieces for b in self.blocks if isinstance(b, ThinkingBlock)))

    @property
    def is_empty(self) -> bool:
        return not self.parts()

    def parts(self, source: str = "") -> tuple[AnyPart, ...]:
        """What has been heard, as message parts; empty blocks are left out.

        ``source`` (``provider/model``) is written on thinking, so that it returns to its author.
        Calls without an id get one made here, once: the parts are made when the draft is settled.
        """
        made = (_part(block, source) for block in self.blocks)
        return tuple(part for part in made if part is not None)

    def _content(self, blocks: tuple[Block, ...]) -> Draft:
        return Draft(blocks, self.usage, self.ended, self.served_by, self.heard + 1)

    def _with(
        self,
        *,
        usage: Usage | None = None,
        ended: Ended | None = None,
        served_by: ServedBy | None = None,
    ) -> Draft:
        return Draft(
            self.blocks,
            usage or self.usage,
            ended or self.ended,
            served_by or self.served_by,
            self.heard,
        )


def _text(blocks: tuple[Block, ...], index: int, text: str) -> tuple[Block, ...]:
    at = _last(blocks, TextBlock, index)
    if at is None:
        return (*blocks, TextBlock(index, Grown((text,))))
    old = blocks[at]
    return _replaced(blocks, at, TextBlock(index, old.pieces.plus(text)))


def _thinking(blocks: tuple[Block, ...], delta: ThinkingDelta) -> tuple[Block, ...]:
    at = _last(blocks, ThinkingBlock, delta.index)
    old = blocks[at] if at is not None else None
    if not isinstance(old, ThinkingBlock):
        old, at = ThinkingBlock(delta.index, Grown()), None
    new = ThinkingBlock(
        delta.index,
        old.pieces.plus(delta.text) if delta.text else old.pieces,
        old.signature + delta.signature,
        old.redacted + delta.redacted,
    )
    return (*blocks, new) if at is None else _replaced(blocks, at, new)


def _call(blocks: tuple[Block, ...], delta: CallDelta) -> tuple[Block, ...]:
    at = next(
        (
            i
            for i, b in reversed(list(enumerate(blocks)))
            if isinstance(b, CallBlock)
            and b.index == delta.index
            and not (delta.id and b.id and delta.id != b.id)
        ),
        None,
    )
    old = blocks[at] if at is not None else None
    if not isinstance(old, CallBlock):
        old, at = CallBlock(delta.index, Grown()), None
    new = CallBlock(
        delta.index,
        old.pieces.plus(delta.arguments) if delta.arguments else old.pieces,
        delta.id or old.id,
        # Some gateways repeat the whole name in every piece, none sends it in pieces.
        delta.name or old.name,
        old.signature + delta.signature,
    )
    return (*blocks, new) if at is None else _replaced(blocks, at, new)


def _last(blocks: tuple[Block, ...], kind: type, index: int) -> int | None:
    """Where this block is being written: the last one, or the last of that kind and index.

    Text after a call or after thinking with the same index begins a new block, since providers
    without block numbers (index always 0) would otherwise pull later words before earlier ones.
    """
    if not blocks:
        return None
    last = len(blocks) - 1
    if type(blocks[last]) is kind and blocks[last].index == index:
        return last
    if index == 0:
        return None
    for at in range(last, -1, -1):
        if type(blocks[at]) is kind and blocks[at].index == index:
            return at
    return None


def _replaced(blocks: tuple[Block, ...], at: int, block: Block) -> tuple[Block, ...]:
    return (*blocks[:at], block, *blocks[at + 1 :])


def _served(old: ServedBy, new: ServedBy) -> ServedBy:
    return ServedBy(new.model or old.model, new.request_id or old.request_id)


def _joined(*pieces: Grown[str]) -> str:
    text = "".join("".join(p) for p in pieces)
    return text if text.isascii() else _repaired(text)


def _repaired(text: str) -> str:
    """Surrogate pairs that came as two deltas joined; lone ones replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _part(block: Block, source: str) -> AnyPart | None:
    match block:
        case TextBlock(pieces=pieces):
            text = _joined(pieces)
            return Text(text) if text else None
        case ThinkingBlock(pieces=pieces, signature=signature, redacted=redacted):
            text = _joined(pieces)
            if not (text or signature or redacted):
                return None
            return Thinking(text, signature, source, redacted)
        case CallBlock(pieces=pieces, id=id, name=name, signature=signature):
            if not name:
                return None
            made = id or f"call_{secrets.token_hex(8)}"
            return Call(made, name, _joined(pieces) or "{}", signature, source if signature else "")
