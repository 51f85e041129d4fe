"""Every setting, its type and its default.

Invariants: settings are frozen values; None means that nobody said, and is never sent; nothing in
here is a key, only where one is found.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Dialect = Literal["openai", "responses", "anthropic", "gemini", "ollama", "llamacpp"]
Policy = Literal["compact", "trim", "window", "prune", "refuse"]
Reasoning = Literal["low", "medium", "high", "off"]
Positive = Annotated[int, Meta(ge=1)]
Share = Annotated[float, Meta(ge=0, le=1)]

DEFAULT_SYSTEM = "You are a helpful assistant."


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider of one's own, or what differs from a built-in one of the same name.

    ``key`` says where the key is: ``env:NAME``, ``keyring:NAME``, ``cmd:…`` or ``none``. ``name``
    is what is shown for it.
    """

    dialect: Dialect | None = None
    base_url: str | None = None
    key: str | None = None
    models: tuple[str, ...] = ()
    name: str | None = None


class ContextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a conversation is sent. ``limit`` is in tokens, or the model's own window;
    ``margin`` the share of it at which ``policy`` acts; ``keep`` counts messages, for window."""

    limit: Positive | Literal["model"] = "model"
    margin: Annotated[float, Meta(gt=0, le=1)] = 0.8
    policy: Policy = "compact"
    keep: Positive = 50


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set in config.toml, by CHINWAG_… or by an option."""

    model: str | None = None
    provider: str | None = None
    system: str = DEFAULT_SYSTEM
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Positive | None = None
    max_tokens: Positive | None = None
    stop: tuple[str, ...] = ()
    reasoning: Reasoning | None = None
    seed: int | None = None
    store: str = "file:"
    theme: str | dict[str, str] = "auto"
    plain: bool = False
    vi: bool = False
    mouse: bool = True
    private: bool = False
    data_dir: str | None = None
    context: ContextSettings = ContextSettings()
    providers: dict[str, ProviderSettings] = {}
    aliases: dict[str, str] = {}
    keys: dict[str, str | tuple[str, ...]] = {}
