"""Thinking as OpenRouter tells it: a list of entries that come in pieces, some of them sealed.

Invariants: two entries are never joined, whatever numbers they bear: one goes on only while its
kind, number and id stay the same and its seal has not come. What an entry needs beside its words to
be taken back (kind, format, id, number) stands in front of its seal, as one JSON object; a plain
entry of words needs none. What goes back is what came, in its order.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chinwag.talk.delta import ThinkingDelta
from chinwag.talk.message import Thinking

Body = dict[str, Any]

_TEXT: Final = "reasoning.text"
_SUMMARY: Final = "reasoning.summary"
_SEALED: Final = "reasoning.encrypted"
_KEPT: Final = ("type", "format", "id", "index")


class Details:
    """Reads the entries of one answer. ``block`` is the number of the one being written."""

    __slots__ = ("_key", "_sealed", "block")

    def __init__(self) -> None:
        self.block = 0
        self._key: tuple[Any, ...] | None = None
        self._sealed = False

    def read(self, entries: list[Any], told: str = "") -> list[ThinkingDelta]:
        """What ``entries`` utter; ``told`` is their text, where the chunk says it beside them."""
        said: list[ThinkingDelta] = []
        for entry in entries:
            if isinstance(entry, dict):
                self._entry(entry, told, said)
        if told and not any(delta.text for delta in said):
            said.insert(0, ThinkingDelta(told, index=self.block))
        return said

    def _entry(self, entry: Body, told: str, said: list[ThinkingDelta]) -> None:
        sealed = _word(entry, "data")
        signature = _word(entry, "signature")
        spoken = _word(entry, "text") or _word(entry, "summary")
        if not (spoken or signature or sealed):
            return
        head = self._opened(entry, whole=bool(sealed))
        if sealed:
            said.append(ThinkingDelta(redacted=head + sealed, index=self.block))
            return
        text = _unsaid(told, said) if told else spoken
        said.append(ThinkingDelta(text, head + signature, index=self.block))
        self._sealed = self._sealed or bool(signature)

    def _opened(self, entry: Body, *, whole: bool) -> str:
        """Begins a block where this is another entry; returns what is to be kept of its form."""
        key = (_kind(entry), entry.get("index"), entry.get("id"))
        if key == self._key and not self._sealed:
            return ""
        if self._key is not None or self.block == 0:
            self.block += 1
        self._key, self._sealed = key, whole
        return _head(entry)


def _unsaid(told: str, said: list[ThinkingDelta]) -> str:
    """The text beside the entries belongs to the first of them that has words."""
    return "" if any(delta.text for delta in said) else told


def _word(entry: Body, name: str) -> str:
    value = entry.get(name)
    return value if isinstance(value, str) else ""


def _kind(entry: Body) -> str:
    return _word(entry, "type") or (_SEALED if entry.get("data") else _TEXT)


def _head(entry: Body) -> str:
    kept = {name: entry[name] for name in _KEPT if entry.get(name) is not None}
    if _kind(entry) == _SEALED:
        kept.setdefault("type", _SEALED)
    if kept.keys() <= {"type", "index"} and kept.get("type", _TEXT) in (_TEXT, _SEALED):
        return ""  # nothing that is not known anyhow
    return msgspec.json.encode(kept).decode()


def sent(part: Thinking, *, unsigned: bool) -> list[Body]:
    """The entries that ``part`` was made of; words without a seal only where ``unsigned``."""
    out: list[Body] = []
    head, signature = _apart(part.signature)
    if signature or (part.text and (head or unsigned)):
        name = "summary" if head.get("type") == _SUMMARY else "text"
        seal = {"signature": signature} if signature else {}
        out.append({"type": _TEXT, **head, name: part.text, **seal})
    if part.redacted:
        head, data = _apart(part.redacted)
        out.append({"type": _SEALED, **head, "data": data})
    return out


def _apart(sealed: str) -> tuple[Body, str]:
    """The form in front of a seal, and the seal itself."""
    if not sealed.startswith("{"):
        return {}, sealed
    import json  # the standard one can stop where the object ends

    try:
        head, end = json.JSONDecoder().raw_decode(sealed)
    except ValueError:
        return {}, sealed
    return head, sealed[end:]
