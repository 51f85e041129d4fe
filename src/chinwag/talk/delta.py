"""The fragments a provider may utter while it answers.

Invariants: a delta is short-lived and never stored; an entry says it better. ``index`` names the
provider's own block, so that pieces of two blocks may interleave; text and thinking of one answer
keep the order in which their blocks began. ``Ended`` is the provider's own terminal sign: a stream
without one was cut.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from chinwag.talk.usage import Usage


class Stop(StrEnum):
    """Why an answer ended, in our words."""

    END = "end"
    LENGTH = "length"
    TOOLS = "tools"
    FILTER = "filter"
    REFUSAL = "refusal"
    PAUSE = "pause"


class Delta(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type"):
    """One thing uttered."""


class TextDelta(Delta, frozen=True, omit_defaults=True, tag="text"):
    text: str
    index: int = 0


class ThinkingDelta(Delta, frozen=True, omit_defaults=True, tag="thinking"):
    """A piece of thinking; the signature comes whole, or as pieces to be joined."""

    text: str = ""
    signature: str = ""
    redacted: str = ""
    index: int = 0


class CallDelta(Delta, frozen=True, omit_defaults=True, tag="call"):
    """A bit of a call: id and name usually first, arguments in pieces of JSON text."""

    index: int = 0
    id: str = ""
    name: str = ""
    arguments: str = ""
    signature: str = ""


class UsageDelta(Delta, frozen=True, omit_defaults=True, tag="usage"):
    """Usage as far as the provider knows it; a later one completes an earlier one."""

    usage: Usage


class ServedBy(Delta, frozen=True, omit_defaults=True, tag="served"):
    """What the server calls the model (and the exchange) that answers."""

    model: str = ""
    request_id: str = ""


class Ended(Delta, frozen=True, omit_defaults=True, tag="ended"):
    """The terminal sign. ``raw`` is the provider's own word for the reason."""

    stop: Stop
    raw: str = ""


AnyDelta: TypeAlias = TextDelta | ThinkingDelta | CallDelta | UsageDelta | ServedBy | Ended
