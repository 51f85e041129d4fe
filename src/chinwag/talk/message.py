"""Parts and messages: what is said, by whom.

Invariants: everything is frozen. A part knows where it came from where that matters (thinking is
signed by the endpoint that thought it). Text is stored raw, exactly as typed or received; making
it safe to draw is the work of ``chinwag.text.safe``. Binary content is named by its hash, or
carried inline as base64 while it is small.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, TypeAlias

import msgspec


class Role(StrEnum):
    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL = "tool"


class Part(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """One piece of a message's content."""


class Text(Part, frozen=True, omit_defaults=True, tag="text"):
    text: str


class Thinking(Part, frozen=True, omit_defaults=True, tag="thinking"):
    """Reasoning the model showed. ``signature`` goes back only to ``source``, which signed it.

    ``source`` is ``provider/model``; ``redacted`` holds opaque thinking the provider hid.
    """

    text: str = ""
    signature: str = ""
    source: str = ""
    redacted: str = ""


class Media(Part, frozen=True, omit_defaults=True, kw_only=True):
    """Something binary: ``mime`` and either ``data`` (base64), ``blob`` (sha256) or ``url``."""

    mime: str = ""
    name: str = ""
    data: str = ""
    blob: str = ""
    url: str = ""


class Image(Media, frozen=True, omit_defaults=True, tag="image"):
    pass


class File(Media, frozen=True, omit_defaults=True, tag="file"):
    text: str = ""

    @property
    def is_text(self) -> bool:
        """Whether ``text`` is all of it, which may be nothing."""
        return bool(self.text) or (
            self.mime.startswith("text/") and not (self.data or self.blob or self.url)
        )


class Call(Part, frozen=True, omit_defaults=True, tag="call"):
    """The model asks for a tool. ``arguments`` is the JSON text as the model wrote it.

    A ``signature`` goes back only to ``source`` (`provider/model`), which signed it.
    """

    id: str
    name: str
    arguments: str = "{}"
    signature: str = ""
    source: str = ""


class Result(Part, frozen=True, omit_defaults=True, tag="result"):
    """What a tool gave back for call ``id``."""

    id: str
    name: str = ""
    content: str = ""
    is_error: bool = False


AnyPart: TypeAlias = Text | Thinking | Image | File | Call | Result


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who said what. ``parts`` is never empty in a message that is sent."""

    role: Role
    parts: tuple[AnyPart, ...] = ()
    name: str = ""

    @property
    def text(self) -> str:
        """What a reader would call the message's words: text parts joined, nothing else."""
        return text_of(self.parts)

    @property
    def thinking(self) -> str:
        return "".join(p.text for p in self.parts if isinstance(p, Thinking))

    @property
    def calls(self) -> tuple[Call, ...]:
        return tuple(p for p in self.parts if isinstance(p, Call))

    @classmethod
    def user(cls, text: str, *more: AnyPart) -> Message:
        return cls(Role.USER, (Text(text), *more) if text else more)

    @classmethod
    def assistant(cls, text: str, *more: AnyPart) -> Message:
        return cls(Role.ASSISTANT, (Text(text), *more) if text else more)

    @classmethod
    def system(cls, text: str) -> Message:
        return cls(Role.SYSTEM, (Text(text),) if text else ())

    @classmethod
    def tool(cls, call_id: str, content: str, *, name: str = "", is_error: bool = False) -> Message:
        return cls(Role.TOOL, (Result(call_id, name, content, is_error),))


def text_of(parts: tuple[AnyPart, ...]) -> str:
    return "".join(p.text for p in parts if isinstance(p, Text))


def plain_parts(parts: tuple[AnyPart, ...]) -> str | list[Any]:
    """Content for a JSON document: a plain string where it is only text, else typed blocks."""
    if all(type(p) is Text for p in parts):
        return text_of(parts) if len(parts) < 2 else [msgspec.to_builtins(p) for p in parts]
    return [msgspec.to_builtins(p) for p in parts]


def parts_from(content: object) -> tuple[AnyPart, ...]:
    """The inverse of :func:`plain_parts`. Raises msgspec.ValidationError naming the path."""
    if isinstance(content, str):
        return (Text(content),) if content else ()
    return msgspec.convert(content, tuple[AnyPart, ...])
