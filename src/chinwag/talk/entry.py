"""The lasting facts. A session is the fold of its entries and nothing else.

Invariants: an entry never changes and is never removed; an edit, a retry, an undo is a new entry
(`Rewound` moves the head, and what is said next becomes a sibling). An entry's position in its
session, counted from 1, is its number for ever; `id` is random and tells two writers' entries
apart. `at` is UTC for people to read, never used for order. `tokens` is counted once, by
`tokenizer` ("" = an estimate), and stored so that nothing is counted twice.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from chinwag.talk.delta import Stop
from chinwag.talk.message import AnyPart, Call, Message, Result, Role, text_of
from chinwag.talk.usage import NO_USAGE, Usage

ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"  # no letter that reads like a digit


def new_id(size: int = 10) -> str:
    """A random name: 31**10 is enough to tell apart what meets in one session."""
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in secrets.token_bytes(size))


def now() -> str:
    """UTC, milliseconds, as RFC 3339."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


class Status(StrEnum):
    """How an answer came out. Only COMPLETE had the provider's terminal sign."""

    COMPLETE = "complete"
    INTERRUPTED = "interrupted"
    PARTIAL = "partial"
    FAILED = "failed"


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """What every entry carries."""

    id: str = ""
    at: str = ""
    tokens: int = 0
    tokenizer: str = ""


class UserSaid(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="user"):
    """``foreign``: some of the text came through a pipe, and anybody may have written it."""

    parts: tuple[AnyPart, ...]
    foreign: bool = False

    @property
    def text(self) -> str:
        return text_of(self.parts)


class AssistantSaid(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="assistant"):
    """An answer, whole or cut. ``error`` says in words why it is not complete.

    ``seconds`` is the time from request to end, ``first`` to the first content, both measured on
    the monotonic clock; ``served`` is the model's name as the server gave it, where it differs.
    """

    parts: tuple[AnyPart, ...] = ()
    provider: str = ""
    model: str = ""
    served: str = ""
    status: Status = Status.COMPLETE
    stop: Stop | None = None
    error: str = ""
    hint: str = ""
    usage: Usage = NO_USAGE
    seconds: float = 0.0
    first: float = 0.0

    @property
    def text(self) -> str:
        return text_of(self.parts)

    @property
    def remark(self) -> str:
        """What is to be said of an answer though it is whole; "" of most."""
        if self.status is not Status.COMPLETE:
            return ""
        if self.stop in _REMARKS:
            return _REMARKS[self.stop]
        says = self.text.strip() or any(isinstance(part, Call) for part in self.parts)
        return "" if says else "the model answered without a word — /retry asks again"


_REMARKS = {
    Stop.LENGTH: "the answer reached its length limit — /continue goes on",
    Stop.FILTER: "the provider's filter stopped this answer",
}


class ToolReturned(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="tool"):
    """What came back for one call; ``seconds`` is how long it ran.

    ``foreign``: the text may have been written by anybody. Where ``result`` is only a part of what
    came, ``blob`` is the SHA-256 of the whole, kept beside the session, and ``size`` its bytes.
    ``note`` is for the person alone.
    """

    result: Result
    seconds: float = 0.0
    foreign: bool = False
    blob: str = ""
    size: int = 0
    note: str = ""

    @property
    def text(self) -> str:
        return self.result.content


class SystemSet(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="system"):
    """The system prompt from here on; empty means none."""

    text: str = ""


class ModelChosen(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="model"):
    provider: str
    model: str


class OptionSet(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="option"):
    """A request option from here on; None takes it back to the provider's own default."""

    name: str
    value: Any = None


class Titled(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="title"):
    title: str


class Compacted(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="compacted"):
    """``summary`` stands for everything on the branch up to and including position ``through``.

    Without a summary it is simply not sent any more. ``why`` names the policy (compact, trim,
    window). ``auto``: the program did it to make room for the question before it, and taking that
    turn back takes it back. Who wrote the summary, and what that cost, is kept as for an answer.
    """

    summary: str
    through: int
    why: str = "compact"
    auto: bool = False
    provider: str = ""
    model: str = ""
    usage: Usage = NO_USAGE


class Hidden(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="hidden"):
    """Positions ``ns`` are not sent any more; ``reasons`` says why of each, in the same order."""

    ns: tuple[int, ...]
    reasons: tuple[str, ...] = ()
    why: str = "prune"
    auto: bool = False


class Mark(StrEnum):
    """What a person wants of one message. PIN: no policy may leave it out. EXCLUDE: never sent."""

    PIN = "pin"
    EXCLUDE = "exclude"
    NONE = "none"


class Marked(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="marked"):
    """The person's wish for the message at position ``of``, until the next one."""

    of: int
    mark: Mark = Mark.NONE


class Cleared(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="cleared"):
    """The conversation starts empty from here; nothing before it is sent any more."""

    keep_system: bool = True


class Rewound(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="rewound"):
    """The head moves to position ``to`` (0 = the very beginning); ``why`` is a command's name."""

    to: int
    why: str = ""


class Tagged(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="tagged"):
    """What a program wants to keep with its session from here on: the whole of it, JSON-ready."""

    metadata: dict[str, Any] = {}


class Noted(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="note"):
    """Something the program itself has to say in the place where it happened (a gap, an import)."""

    text: str


class Unknown(Entry, frozen=True, kw_only=True, omit_defaults=True, tag="unknown"):
    """An entry of a kind this version does not know: kept as it came, without effect."""

    raw: dict[str, Any] = {}


AnyEntry: TypeAlias = (
    UserSaid
    | AssistantSaid
    | ToolReturned
    | SystemSet
    | ModelChosen
    | OptionSet
    | Titled
    | Compacted
    | Hidden
    | Marked
    | Cleared
    | Rewound
    | Tagged
    | Noted
    | Unknown
)

Spoken: TypeAlias = UserSaid | AssistantSaid | ToolReturned


def message_of(entry: Spoken) -> Message:
    """The message an entry is, as a provider would be told it."""
    match entry:
        case UserSaid(parts=parts):
            return Message(Role.USER, parts)
        case AssistantSaid(parts=parts):
            return Message(Role.ASSISTANT, parts)
        case ToolReturned(result=result):
            return Message(Role.TOOL, (result,))
