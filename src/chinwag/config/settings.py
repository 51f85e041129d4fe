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
Amount = Annotated[float, Meta(ge=0)]
Address = Annotated[str, Meta(pattern=r"^https?://[^\s/]")]
Whereabouts = Annotated[str, Meta(pattern=r"^((env|keyring|cmd):.|none$)")]

DEFAULT_SYSTEM = "You are a helpful assistant."


class ModelFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is true of one model, whatever anybody else says. Limits in tokens, prices in US dollars
    per million tokens."""

    window: Positive | None = None
    max_input: Positive | None = None
    max_output: Positive | None = None
    sees: bool | None = None
    thinks: bool | None = None
    tools: bool | None = None
    price_input: Amount | None = None
    price_output: Amount | None = None
    price_cached: Amount | None = None
    price_written: Amount | None = None


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider of one's own, or what differs from a built-in one of the same name.

    ``key`` says where the key is: ``env:NAME``, ``keyring:NAME``, ``cmd:…`` or ``none``. ``name``
    is what is shown for it. ``insecure`` lets a key travel to another machine over plain http.
    ``window`` and ``max_output``, in tokens, hold for every model of it,
    ``facts`` for the one it names.
    """

    dialect: Dialect | None = None
    base_url: Address | None = None
    key: Whereabouts | None = None
    models: tuple[str, ...] = ()
    name: str | None = None
    window: Positive | None = None
    max_output: Positive | None = None
    facts: dict[str, ModelFacts] = {}
    insecure: bool = False


class ContextSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much of a conversation is sent. ``limit`` is in tokens, or the model's own window;
    ``margin`` the share of it at which ``policy`` acts; ``keep`` counts messages, for window."""

    limit: Positive | Literal["model"] = "model"
    margin: Annotated[float, Meta(gt=0, le=1)] = 0.8
    policy: Policy = "compact"
    keep: Positive = 50


class ServerSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A server of tools (MCP): a ``command`` to run in ``folder`` (the home folder), or a ``url``.

    ``env`` holds variables for it, each a value or where one is found (``env:NAME``,
    ``keyring:NAME``, ``cmd:…``); ``key`` says so of the token for ``url``. ``timeout`` is in
    seconds for one call, ``offer`` names the tools that are wanted (all of them, where empty).
    """

    command: tuple[str, ...] = ()
    url: str | None = None
    folder: str | None = None
    env: dict[str, str] = {}
    key: str | None = None
    timeout: Annotated[float, Meta(gt=0, le=3600)] | None = None
    offer: tuple[str, ...] = ()


class ToolSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the model may call. ``offer`` is "none", "all" or names; ``root`` is the folder in which
    tools work (the one the program was started in), ``approve`` is ask, never, all or rules,
    ``allow`` are rules by which a call runs unasked. ``max_steps`` bounds the rounds of one turn,
    ``seconds`` one call."""

    offer: str | tuple[str, ...] = "none"
    root: str | None = None
    approve: str = "ask"
    allow: tuple[str, ...] = ()
    max_steps: Positive = 10
    seconds: Annotated[float, Meta(gt=0)] = 60.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set in config.toml, by CHINWAG_… or by an option.

    ``fallback`` names the models that are asked, in order, when the chosen one cannot answer.
    """

    model: str | None = None
    provider: str | None = None
    fallback: tuple[str, ...] = ()
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
    notify: Literal["off", "bell", "osc9", "osc777"] = "off"
    private: bool = False
    budget: str | None = None
    data_dir: str | None = None
    context: ContextSettings = ContextSettings()
    tools: ToolSettings = ToolSettings()
    providers: dict[str, ProviderSettings] = {}
    aliases: dict[str, str] = {}
    mcp: dict[str, ServerSettings] = {}
    keys: dict[str, str | tuple[str, ...]] = {}
