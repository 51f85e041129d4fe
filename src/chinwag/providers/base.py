"""What a provider promises: one method, `stream`. Three nouns where others have one.

A *dialect* is a wire format (dialects/), an *endpoint* somebody's address with a key, a *profile*
what a model can do. Invariants: a provider never changes a request and keeps nothing of it; it
yields deltas until `Ended`, or raises one of `ProviderError`'s family; a stream that stops without
either was cut, and `stream` says so itself by raising `StreamBroken`. Closing the iterator closes
the connection at once.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

import msgspec

from chinwag.talk.delta import AnyDelta
from chinwag.talk.message import Message
from chinwag.talk.tool import ToolSpec

Leave = Callable[[], Awaitable[None]]
"""Awaited before a request leaves, when it is otherwise ready: it returns once it may."""


async def at_once() -> None:
    """For a request that need not wait for anything."""


class Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """What may be asked of a model beyond the words. None is never sent.

    ``max_tokens`` bounds the answer; ``reasoning`` is low, medium, high or off; ``schema`` is a
    JSON schema the answer must fit; ``extra`` goes into the body as it is.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    reasoning: str | None = None
    seed: int | None = None
    schema: dict[str, Any] | None = None
    extra: dict[str, Any] = {}


class Request(msgspec.Struct, frozen=True):
    """Everything one answer needs, neutral: each dialect makes its own view of it.

    ``messages`` holds no system message; turns start with the user; every call is answered;
    no part is empty. ``session`` is the session's id, for servers that route caches by a key.
    """

    model: str
    messages: tuple[Message, ...]
    system: str = ""
    tools: tuple[ToolSpec, ...] = ()
    options: Options = Options()
    session: str = ""


class LongPrompt(msgspec.Struct, frozen=True, omit_defaults=True):
    """What every token costs once the prompt holds more than ``tokens``; prices as in Profile."""

    tokens: int
    price_input: float | None = None
    price_output: float | None = None
    price_cached: float | None = None
    price_written: float | None = None


class Profile(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a model can do, as far as is known; None means nobody said.

    ``window`` is prompt and answer together, ``max_input`` the most a prompt alone may be,
    ``max_output`` the longest answer, all in tokens; prices are US dollars per million tokens,
    ``price_cached`` for what is read from a prompt cache, ``price_written`` for what goes into one.
    """

    window: int | None = None
    max_output: int | None = None
    sees: bool | None = None
    thinks: bool | None = None
    tools: bool | None = None
    price_input: float | None = None
    price_output: float | None = None
    price_cached: float | None = None
    max_input: int | None = None
    price_written: float | None = None
    long_prompt: LongPrompt | None = None

    @property
    def room(self) -> int | None:
        """The most tokens a request may hold: sources differ in which limit they name."""
        told = [limit for limit in (self.window, self.max_input) if limit]
        return min(told) if told else None

    @property
    def is_priced(self) -> bool:
        return self.price_input is not None or self.price_output is not None

    def filled(self, other: Profile) -> Profile:
        """This profile, with ``other``'s answers where it has none. Prices come from one mouth."""
        gaps = [n for n in self.__struct_fields__ if getattr(self, n) is None]
        if self.is_priced:
            gaps = [n for n in gaps if n not in _PRICES]
        return msgspec.structs.replace(self, **{n: getattr(other, n) for n in gaps})


_PRICES = frozenset(("price_input", "price_output", "price_cached", "price_written", "long_prompt"))


class Terms(msgspec.Struct, frozen=True):
    """What a provider's wire format takes of a history, and how its window is made larger.

    ``files`` are the beginnings of the media types that travel as they are ("" = any), ``ids`` is a
    pattern of call ids that are kept ("" = any), ``widen`` says what to do about a small window,
    ``prefill`` is a pattern of the models that go on with an answer whose beginning a request ends
    with, word by word ("" = none: they are asked in words).
    """

    local: bool = False
    files: tuple[str, ...] = ("",)
    ids: str = ""
    widen: str = "load the model with a larger context size"
    prefill: str = ""

    def goes_on(self, model: str) -> bool:
        """Whether ``model`` may be handed the beginning of its answer."""
        return bool(self.prefill) and re.fullmatch(self.prefill, model) is not None


class ModelInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model of one provider. ``name`` is what `provider/name` selects."""

    provider: str
    name: str
    profile: Profile = Profile()
    detail: str = ""


class Provider(Protocol):
    """Somebody who answers. ``name`` is the provider's name in `provider/model`."""

    name: str

    def stream(self, request: Request, leave: Leave = at_once) -> AsyncGenerator[AnyDelta, None]:
        """The answer, piece by piece. Raises ProviderError's family; see the module's promise.

        ``leave`` is awaited before anything of the request leaves; what can be made ready before
        that is made ready meanwhile.
        """
        ...

    async def models(self) -> list[ModelInfo]:
        """The models that can be named, as the server says. Raises ProviderError's family."""
        ...

    async def profile(self, model: str) -> Profile:
        """What this server itself says of ``model``; an empty profile where it says nothing."""
        ...

    async def aclose(self) -> None:
        """Let go of every connection."""
        ...


@runtime_checkable
class Counts(Protocol):
    """A provider that can be asked how many tokens something is. Many cannot."""

    async def count(self, request: Request) -> int | None:
        """Tokens of ``request`` as the server itself counts them, by its own template and
        vocabulary; None where this one does not offer that. Raises ProviderError's family."""
        ...


class WarmLevel(StrEnum):
    """NONE: nothing is kept. HINT: prefixes are cached by themselves, nothing can be asked for.
    KEEP: the model stays loaded for a time. SNAPSHOT: what was read is written to the server's disk
    and read back."""

    NONE = "none"
    HINT = "hint"
    KEEP = "keep"
    SNAPSHOT = "snapshot"


class Warmth(msgspec.Struct, frozen=True):
    """What was saved or restored: ``tokens`` and ``bytes`` as the server says, 0 where it does not.

    ``slot`` is where in the server the talk goes on; -1 for any.
    """

    level: WarmLevel
    tokens: int = 0
    bytes: int = 0
    milliseconds: float = 0.0
    slot: int = -1


class Warming(Protocol):
    """What a server can be asked to keep of what it has read; only where ``level`` says so.

    ``address`` is a fingerprint of where it is, ``itself`` what it does unasked, in words. Times
    may be long: a file may have gigabytes. Everything raises ProviderError's family, and UsageError
    where there is no such thing.
    """

    level: WarmLevel
    address: str
    itself: str

    async def fingerprint(self, model: str) -> str:
        """What a snapshot depends on: model file, build, window, template; "" if nobody says."""
        ...

    async def free_slot(self, model: str, held: int) -> int:
        """The idle slot that holds ``held`` tokens already, else the one with least in it."""
        ...

    async def save(self, request: Request, name: str, slot: int) -> Warmth:
        """Have it read ``request`` in ``slot``, and write what is there as its file ``name``."""
        ...

    async def restore(self, request: Request, name: str, slot: int) -> Warmth:
        """Have ``name`` read back into ``slot``; of the request model and options are looked at."""
        ...

    async def drop(self, model: str, name: str, slot: int) -> None:
        """Empty ``slot`` and then the file; or unload the model."""
        ...


@runtime_checkable
class Warms(Protocol):
    """A provider that may have something to keep warm."""

    def warming(self) -> Warming: ...
