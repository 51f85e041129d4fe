"""What a server has read already, kept beyond its idle time: a declared capability.

Invariants: the transcript is the truth and this only saves time; whether it did is seen in the next
answer's cached tokens, never taken from a server's word. What a server does not offer is an error
that says what it offers instead. File names on a server are made from ids, never from words.
"""

from __future__ import annotations

import hashlib
from contextlib import aclosing
from typing import Any, Final, Protocol, TypeAlias

import msgspec

from chinwag.errors import ProviderError, UsageError
from chinwag.providers.base import Options, Provider, Request, WarmLevel, Warmth
from chinwag.providers.dialects.base import HttpCall, encoded
from chinwag.talk.delta import Ended

KEPT = "30m"  # how long Ollama is asked to keep a model loaded
PATIENCE: Final = 600.0
"""Seconds for a slot to be written or read, or a model loaded: gigabytes on a slow disk."""


Level: TypeAlias = WarmLevel
__all__ = ["ByAddress", "Level", "Warmth", "level_of", "restore", "save"]


class Talks(Protocol):
    """A provider behind an address, which can be asked beside a talk."""

    async def ask(self, call: HttpCall, model: str = "", patience: float = ...) -> bytes: ...


class _Times(msgspec.Struct):
    save_ms: float = 0.0
    restore_ms: float = 0.0


class _Slot(msgspec.Struct):
    n_saved: int = 0
    n_written: int = 0
    n_restored: int = 0
    n_read: int = 0
    timings: _Times = msgspec.field(default_factory=_Times)


class _Row(msgspec.Struct):
    """One slot of a running llama.cpp; ``n_prompt_tokens`` is what it holds."""

    id: int = 0
    n_prompt_tokens: int = 0
    is_processing: bool = False


class _Props(msgspec.Struct):
    model_path: str = ""
    build_info: str = ""
    chat_template: str = ""
    default_generation_settings: dict[str, Any] = {}


_SLOT = msgspec.json.Decoder(_Slot)
_ROWS = msgspec.json.Decoder(list[_Row])
_PROPS = msgspec.json.Decoder(_Props)
_LEVELS = {"llamacpp": Level.SNAPSHOT, "ollama": Level.KEEP}
_BY_ITSELF: Final = {
    "anthropic": "it caches what its requests mark (system prompt, tools, newest message) for five "
    "minutes after the last use",
    "openai": "it caches the beginning of long prompts by itself, mostly for some minutes",
    "responses": "it caches the beginning of long prompts by itself, mostly for some minutes",
    "gemini": "it caches the beginning of long prompts by itself, for as long as it likes",
}
_NEAR: Final = 8  # tokens by which a slot may differ from the talk it is taken to hold


def level_of(provider: Provider) -> Level:
    """What ``provider`` can be asked for."""
    dialect = getattr(getattr(provider, "dialect", None), "name", "")
    if not dialect:
        return Level.NONE
    return _LEVELS.get(dialect, Level.HINT)


class ByAddress:
    """`base.Warming` of a provider behind an address."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.level = level_of(provider)
        self.itself = by_itself(provider)
        self.address = address_of(provider)

    async def fingerprint(self, model: str) -> str:
        return await fingerprint(self._provider, model)

    async def free_slot(self, model: str, held: int) -> int:
        return await free_slot(self._provider, model, held)

    async def save(self, request: Request, name: str, slot: int) -> Warmth:
        return await save(self._provider, request, name, slot)

    async def restore(self, request: Request, name: str, slot: int) -> Warmth:
        return await restore(self._provider, request.model, name, slot, request.options)

    async def drop(self, model: str, name: str, slot: int) -> None:
        await drop(self._provider, model, name, slot)


def by_itself(provider: Provider) -> str:
    """What a provider at level HINT does of its own accord."""
    dialect = getattr(getattr(provider, "dialect", None), "name", "")
    return _BY_ITSELF.get(dialect, "it may cache the beginning of a prompt by itself")


def address_of(provider: Provider) -> str:
    """A fingerprint of where ``provider`` is; "" for one in this process. It tells no address."""
    url = getattr(getattr(provider, "endpoint", None), "base_url", "")
    return digest(url) if url else ""


def digest(*texts: str) -> str:
    """16 hexadecimal digits of SHA-256 over ``texts``, each apart."""
    whole = "\0".join(texts).encode("utf-8", "replace")
    return hashlib.sha256(whole).hexdigest()[:16]


async def fingerprint(provider: Provider, model: str) -> str:
    """What a snapshot depends on: the model's file, build, window and template of a llama.cpp.

    "" where the server does not say. Raises ProviderError's family.
    """
    try:
        props = _PROPS.decode(await _asked(provider, HttpCall("GET", "//props"), model))
    except msgspec.MsgspecError:
        return ""
    except ProviderError as error:
        if error.status in (404, 405, 501):
            return ""
        raise
    window = str(props.default_generation_settings.get("n_ctx"))
    return digest(props.model_path, props.build_info, window, props.chat_template)


async def free_slot(provider: Provider, model: str, held: int) -> int:
    """The slot that holds this talk of ``held`` tokens already, else the idle one with least in it;
    0 where the server does not say. Raises ProviderError's family."""
    try:
        rows = _ROWS.decode(await _asked(provider, HttpCall("GET", "//slots"), model))
    except msgspec.MsgspecError:
        return 0
    except ProviderError as error:
        if error.status in (404, 405, 501):
            return 0
        raise
    idle = [row for row in rows if not row.is_processing] or rows
    near = [row for row in idle if held and abs(row.n_prompt_tokens - held) <= _NEAR]
    found = min(near or idle, key=lambda row: row.n_prompt_tokens, default=_Row())
    return found.id


async def save(provider: Provider, request: Request, name: str, slot: int) -> Warmth:
    """Have ``provider`` keep what ``request`` holds. Raises ProviderError's family, UsageError."""
    match level_of(provider):
        case Level.SNAPSHOT:
            await _read_in(provider, request)
            told = await _slot(provider, request.model, slot, "save", name)
            return Warmth(Level.SNAPSHOT, told.n_saved, told.n_written, told.timings.save_ms, slot)
        case Level.KEEP:
            await _stay(provider, request, KEPT)
            return Warmth(Level.KEEP)
        case Level.HINT | Level.NONE as level:
            raise _nothing(provider, level)


async def restore(
    provider: Provider, model: str, name: str, slot: int, options: Options | None = None
) -> Warmth:
    """Have it read back. Raises ProviderError's family, UsageError.

    ``options`` are those of the talk: Ollama loads a model anew for another window.
    """
    match level_of(provider):
        case Level.SNAPSHOT:
            told = await _slot(provider, model, slot, "restore", name)
            return Warmth(
                Level.SNAPSHOT, told.n_restored, told.n_read, told.timings.restore_ms, slot
            )
        case Level.KEEP:
            await _stay(provider, Request(model, (), options=options or Options()), KEPT)
            return Warmth(Level.KEEP)
        case Level.HINT | Level.NONE as level:
            raise _nothing(provider, level)


async def drop(provider: Provider, model: str, name: str, slot: int) -> None:
    """Have it forget. Raises ProviderError's family, UsageError.

    No file on the server can be deleted, but the slot that was emptied is written over it: nothing
    of what was said stays there.
    """
    match level_of(provider):
        case Level.SNAPSHOT:
            await _slot(provider, model, slot, "erase", name)
            await _slot(provider, model, slot, "save", name)
        case Level.KEEP:
            await _stay(provider, Request(model, ()), 0)
        case Level.HINT | Level.NONE as level:
            raise _nothing(provider, level)


def _nothing(provider: Provider, level: Level) -> UsageError:
    if level is Level.HINT:
        return UsageError(
            f"{provider.name} keeps nothing that can be saved: it caches prompts by itself",
            hint="/tokens, and reply.usage.cached, show how much of a prompt was cached",
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


async def _stay(provider: Provider, request: Request, keep: str | int) -> None:
    """Ollama loads the model and lets it stay, or with 0 unloads it: asked with nothing said."""
    dialect, endpoint = getattr(provider, "dialect", None), getattr(provider, "endpoint", None)
    if dialect is None or endpoint is None:
        raise _nothing(provider, Level.NONE)
    told = await provider.profile(request.model)  # its window is that of the talk, or it loads anew
    extra = {**request.options.extra, "stream": False, "keep_alive": keep}
    options = msgspec.structs.replace(request.options, schema=None, extra=extra)
    call = dialect.encode(Request(request.model, (), options=options), endpoint, told)
    await _asked(provider, call, request.model)


async def _asked(provider: Provider, call: HttpCall, model: str) -> bytes:
    ask = getattr(provider, "ask", None)
    if ask is None:
        raise _nothing(provider, Level.NONE)
    told: bytes = await ask(call, model, PATIENCE)
    return told
