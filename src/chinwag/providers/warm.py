"""What a server has read already, kept beyond its idle time: a declared capability.

Invariants: the transcript is the truth and this only saves time; whether it did is seen in the next
answer's cached tokens, never taken from a server's word. What a server does not offer is an error
that says what it offers instead. File names on a server are made from ids, never from words.
"""

from __future__ import annotations

from contextlib import aclosing
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from chinwag.errors import ProviderError, UsageError
from chinwag.providers.base import Provider, Request
from chinwag.providers.dialects.base import HttpCall, encoded
from chinwag.talk.delta import Ended

KEPT = "30m"  # how long Ollama is asked to keep a model loaded


class Level(StrEnum):
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

    level: Level
    tokens: int = 0
    bytes: int = 0
    milliseconds: float = 0.0
    slot: int = -1


class Talks(Protocol):
    """A provider behind an address, which can be asked beside a talk."""

    async def ask(self, call: HttpCall, model: str = "") -> bytes: ...


class _Times(msgspec.Struct):
    save_ms: float = 0.0
    restore_ms: float = 0.0


class _Slot(msgspec.Struct):
    n_saved: int = 0
    n_written: int = 0
    n_restored: int = 0
    n_read: int = 0
    timings: _Times = msgspec.field(default_factory=_Times)


_SLOT = msgspec.json.Decoder(_Slot)
_LEVELS = {"llamacpp": Level.SNAPSHOT, "ollama": Level.KEEP}


def level_of(provider: Provider) -> Level:
    """What ``provider`` can be asked for."""
    dialect = getattr(getattr(provider, "dialect", None), "name", "")
    if not dialect:
        return Level.NONE
    return _LEVELS.get(dialect, Level.HINT)


def pinned(options: dict[str, Any], slot: int) -> dict[str, Any]:
    """Options of a request that goes to this slot, and reads what is there."""
    return options | {"id_slot": slot, "cache_prompt": True} if slot >= 0 else options


async def save(provider: Provider, request: Request, name: str, slot: int) -> Warmth:
    """Have ``provider`` keep what ``request`` holds. Raises ProviderError's family, UsageError."""
    match level_of(provider):
        case Level.SNAPSHOT:
            await _read_in(provider, request)
            told = await _slot(provider, request.model, slot, "save", name)
            return Warmth(Level.SNAPSHOT, told.n_saved, told.n_written, told.timings.save_ms, slot)
        case Level.KEEP:
            await _stay(provider, request.model)
            return Warmth(Level.KEEP)
        case Level.HINT | Level.NONE as level:
            raise _nothing(provider, level)


async def restore(provider: Provider, model: str, name: str, slot: int) -> Warmth:
    """Have it read back. Raises ProviderError's family, UsageError."""
    match level_of(provider):
        case Level.SNAPSHOT:
            told = await _slot(provider, model, slot, "restore", name)
            return Warmth(
                Level.SNAPSHOT, told.n_restored, told.n_read, told.timings.restore_ms, slot
            )
        case Level.KEEP:
            await _stay(provider, model)
            return Warmth(Level.KEEP)
        case Level.HINT | Level.NONE as level:
            raise _nothing(provider, level)


def _nothing(provider: Provider, level: Level) -> UsageError:
    if level is Level.HINT:
        return UsageError(
            f"{provider.name} keeps nothing that can be saved: it caches prompts by itself",
            hint="reply.usage.cached shows how much of a prompt came from there",
        )
    return UsageError(f"{provider.name} has nothing to keep warm", hint="llama.cpp and Ollama have")


async def _read_in(provider: Provider, request: Request) -> None:
    """Have the slot hold the whole prompt: one token is asked for, and thrown away."""
    options = msgspec.structs.replace(request.options, max_tokens=1)
    async with aclosing(
        provider.stream(msgspec.structs.replace(request, options=options))
    ) as stream:
        async for delta in stream:
            if isinstance(delta, Ended):
                break


async def _slot(provider: Provider, model: str, slot: int, action: str, name: str) -> _Slot:
    path = f"//slots/{max(slot, 0)}?action={action}"
    call = HttpCall("POST", path, {}, encoded({"filename": name}))
    try:
        return _SLOT.decode(await _asked(provider, call, model))
    except msgspec.MsgspecError as error:
        raise ProviderError(
            f"{provider.name} gave no account of its slot: {error}", model=model
        ) from None
    except ProviderError as error:
        if error.status == 501 or "slot-save-path" in error.message:
            error.hint = "start the server with --slot-save-path FOLDER"
        elif action == "restore" and error.status == 400:
            error.hint = "save() first; a snapshot is of one model, and of one way to run it"
        raise


async def _stay(provider: Provider, model: str) -> None:
    body = {"model": model, "messages": [], "stream": False, "keep_alive": KEPT}
    call = HttpCall("POST", "/api/chat", {}, encoded(body))
    await _asked(provider, call, model)


async def _asked(provider: Provider, call: HttpCall, model: str) -> bytes:
    ask = getattr(provider, "ask", None)
    if ask is None:
        raise _nothing(provider, Level.NONE)
    told: bytes = await ask(call, model)
    return told
