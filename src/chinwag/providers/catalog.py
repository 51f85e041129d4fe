"""Rows: who can answer, at which address, in which dialect, with a key from where.

Invariants: another compatible service is a row, not code. Nothing is imported or connected before
a provider is asked for; a provider is built once for each full configuration, and no key is part
of that configuration: keys are looked up when a request needs them. A name that is not known is an
error with the nearest names, never a guess.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from chinwag.errors import ConfigError, ModelUnknown, nearest
from chinwag.providers.base import Profile, Provider

if TYPE_CHECKING:
    from urllib.parse import SplitResult

    from chinwag.providers.dialects.base import Dialect, Endpoint


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One provider. A row of configuration says only what differs from the built-in one.

    ``key`` is a spec (`env:NAME`, `keyring:NAME`, `cmd:…`, `none`); ``keys`` and ``addresses`` name
    environment variables, in order. ``local`` marks servers of this machine, which want no key.
    ``facts`` are what configuration says of single models.
    """

    name: str
    dialect: str = ""
    base_url: str = ""
    keys: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    default: str = ""
    key: str = ""
    models: tuple[str, ...] = ()
    headers: dict[str, str] = {}
    local: bool = False
    window: int | None = None
    max_output: int | None = None
    facts: dict[str, Profile] = {}
    connect: float | None = None
    first_byte: float | None = None
    stall: float | None = None
    insecure: bool = False


def _row(name: str, base_url: str, default: str, *keys: str, dialect: str = "openai") -> Row:
    usual = name.upper()
    return Row(
        name=name,
        dialect=dialect,
        base_url=base_url,
        keys=keys or (f"{usual}_API_KEY",),
        addresses=(f"{usual}_BASE_URL",),
        default=default,
    )


def _here(name: str, port: int, *addresses: str, dialect: str = "openai", path: str = "/v1") -> Row:
    return Row(
        name=name,
        dialect=dialect,
        base_url=f"http://127.0.0.1:{port}{path}",
        addresses=addresses,
        keys=(f"{name.upper()}_API_KEY",),
        local=True,
    )


ROWS: Final = (
    _row("openai", "https://api.openai.com/v1", "gpt-5-mini"),
    _row("anthropic", "https://api.anthropic.com", "claude-sonnet-5", dialect="anthropic"),
    _row(
        "gemini",
        "https://generativelanguage.googleapis.com",
        "gemini-flash-latest",
        "GEMINI_API_KEY",
        "GOOGLE_API_KEY",
        dialect="gemini",
    ),
    _row("openrouter", "https://openrouter.ai/api/v1", "openrouter/auto"),
    _row("groq", "https://api.groq.com/openai/v1", "openai/gpt-oss-120b"),
    _row("mistral", "https://api.mistral.ai/v1", "mistral-medium-latest"),
    _row("deepseek", "https://api.deepseek.com", "deepseek-v4-flash"),
    _row("xai", "https://api.x.ai/v1", "grok-4.5"),
    _row("together", "https://api.together.xyz/v1", "openai/gpt-oss-120b"),
    _row(
        "fireworks",
        "https://api.fireworks.ai/inference/v1",
        "accounts/fireworks/models/gpt-oss-120b",
    ),
    _row(
        "huggingface",
        "https://router.huggingface.co/v1",
        "meta-llama/Llama-3.1-8B-Instruct",
        "HF_TOKEN",
    ),
    _row("zai", "https://api.z.ai/api/paas/v4", "glm-5.3"),
    # Everybody has an address of their own there; models are deployments, named as one likes.
    Row(
        name="azure-openai",
        dialect="openai",
        keys=("AZURE_OPENAI_API_KEY",),
        addresses=("AZURE_OPENAI_ENDPOINT",),
    ),
    # The account's own address; which models there are depends on its region.
    Row(
        name="snowflake",
        dialect="openai",
        keys=("SNOWFLAKE_PAT", "SNOWFLAKE_JWT"),
        addresses=("SNOWFLAKE_BASE_URL",),
    ),
    # A gateway, mostly on this machine. Not looked for there: what it reaches costs money.
    _row("litellm", "http://127.0.0.1:4000/v1", ""),
    _here("ollama", 11434, "OLLAMA_HOST", dialect="ollama", path=""),
    _here("llamacpp", 8080, "LLAMACPP_BASE_URL", dialect="llamacpp"),
    _here("lmstudio", 1234, "LMSTUDIO_BASE_URL"),
    _here("vllm", 8000, "VLLM_BASE_URL"),
)
"""The built-in rows, in the order in which a key in the environment is looked for."""

_MAKERS: Final = (
    (r"(?:gpt-|o\d(?:$|-)|chatgpt-)", "openai"),
    (r"claude-", "anthropic"),
    (r"gemini-", "gemini"),
    (r"grok-", "xai"),
    (r"glm-\d", "zai"),
    (r"deepseek-(?:chat|reasoner)", "deepseek"),
    (r"(?:mistral|magistral|ministral|codestral|devstral|pixtral)-", "mistral"),
)


_SPELLING: Final = r"(?s)\A([^/:]*)([/:]?)(.*)\Z"


class Found(msgspec.Struct, frozen=True):
    """One provider as `chat providers` shows it. ``key`` says where its key is, never what."""

    name: str
    dialect: str
    base_url: str
    key: str = ""
    default: str = ""
    local: bool = False


class Catalog:
    """Who can answer. ``find_key`` turns a key spec into a key, or None; it may block."""

    def __init__(
        self,
        rows: Iterable[Row] = (),
        *,
        aliases: Mapping[str, str] | None = None,
        env: Mapping[str, str] | None = None,
        find_key: Callable[[str], str | None] | None = None,
    ) -> None:
        self._env = dict(env or {})
        self._aliases = dict(aliases or {})
        self._find_key = find_key
        self._rows = _merged(rows)
        self._factories: dict[str, Callable[[], Provider]] = {}
        self._made: dict[str, tuple[bytes, Provider]] = {}
        self._seen: dict[str, tuple[str, ...]] = {}

    def register(
        self, name: str, factory: Callable[[], Provider], models: tuple[str, ...] = ()
    ) -> None:
        """A provider that is no endpoint: the guide, a script, a model in this process."""
        self._factories[name] = factory
        self._made.pop(name, None)
        if models:
            self._seen[name] = models

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self._rows, *self._factories]))

    def rows(self) -> list[Found]:
        """Every provider that has an address, with it and where its key is found."""
        found = (self._found(row) for row in self._rows.values() if self._is_somewhere(row))
        return [*found, *map(_registered, self._factories)]

    def row(self, name: str) -> Row:
        """The row of ``name`` with its address settled. Raises ConfigError with near names."""
        if (row := self._rows.get(name)) is None:
            near = nearest(name, self.names)
            raise ConfigError(
                f"there is no provider named {name}",
                hint=_did_you_mean(near) or f"there are: {', '.join(self.names)}",
            )
        return msgspec.structs.replace(row, base_url=self._address(row))

    def provider(self, name: str) -> Provider:
        """The provider of that name, made when first asked for. Raises ConfigError."""
        if name in self._factories:
            if name not in self._made:
                self._made[name] = (b"", self._factories[name]())
            return self._made[name][1]
        row = self.row(name)
        config = msgspec.json.encode(row)
        made = self._made.get(name)
        if made is None or made[0] != config:
            self._made[name] = made = (config, self._build(row))
        return made[1]

    def learn(self, name: str, models: Iterable[str]) -> None:
        """Remembers which models a provider has said it has, to find them by name alone."""
        self._seen[name] = tuple(models)

    def find(self, text: str) -> tuple[str, str]:
        """(provider, model) for `provider/model`, `provider:model`, a model or an alias.

        A provider's name alone means its default model. Raises ModelUnknown or ConfigError.
        """
        text = self._unaliased(text.strip())
        return self._told(text) or self._bare(text) or self._lost(text)

    def default(self) -> tuple[str, str] | None:
        """The first provider whose key is in the environment, and its default model."""
        for row in self._rows.values():
            named = row.key.removeprefix("env:") if row.key.startswith("env:") else ""
            names = (named,) if named else row.keys
            model = self._default_model(row.name)
            if model and not row.local and any(self._env.get(n) for n in names):
                return row.name, model
        return None

    async def aclose(self) -> None:
        """Lets go of every connection of every provider that was made."""
        for _, provider in self._made.values():
            await provider.aclose()
        self._made.clear()

    def _unaliased(self, text: str) -> str:
        seen = set()
        while text in self._aliases and text not in seen:
            seen.add(text)
            text = self._aliases[text]
        if text in seen:
            raise ConfigError(f"the alias {text} means itself", where="[aliases]")
        if not text:
            raise ConfigError("no model was named", hint="for instance openai/gpt-5-mini")
        return text

    def _told(self, text: str) -> tuple[str, str] | None:
        names = {name.lower(): name for name in self.names}
        if (name := names.get(text.lower())) is not None:
            return name, self._default_of(name)
        for mark in "/:":
            head, found, rest = text.partition(mark)
            if found and rest and (name := names.get(head.lower())) is not None:
                return name, rest
        return None

    def _bare(self, text: str) -> tuple[str, str] | None:
        for name in self.names:
            if text in self._models(name):
                return name, text
        for pattern, name in _MAKERS:
            if re.match(pattern, text):
                return name, text
        return None

    def _lost(self, text: str) -> tuple[str, str]:
        head, mark, rest = re.findall(_SPELLING, text)[0]
        models = [model for name in self.names for model in self._models(name)]
        near = nearest(text, [*self._aliases, *self._spelt(), *models])
        if rest:  # a slip in the provider's name is likelier than one in both
            near = (*(f"{name}{mark}{rest}" for name in nearest(head, self.names, 1)), *near)
        raise ModelUnknown(
            f"no model is known as {text}",
            near=near,
            hint=_did_you_mean(near) or "say provider/model; `chat models` lists what can be named",
            model=text,
        )

    def _spelt(self) -> Iterator[str]:
        for name in self.names:
            yield name
            yield from (f"{name}/{model}" for model in self._models(name))

    def _models(self, name: str) -> tuple[str, ...]:
        row = self._rows.get(name)
        own = (*row.models, *((row.default,) if row.default else ())) if row else ()
        return (*own, *self._seen.get(name, ()))

    def _default_model(self, name: str) -> str:
        row = self._rows.get(name)
        if row is not None and row.models:
            return row.default if row.default in row.models else row.models[0]
        return (row.default if row else "") or next(iter(self._models(name)), "")

    def _default_of(self, name: str) -> str:
        if model := self._default_model(name):
            return model
        raise ConfigError(
            f"{name} has no default model",
            hint=f"say which: {name}/NAME; `chat models` lists what is there",
        )

    def _is_somewhere(self, row: Row) -> bool:
        return bool(row.base_url or any(self._env.get(name) for name in row.addresses))

    def _address(self, row: Row) -> str:
        """Configuration first, then the usual variable, then the built-in address."""
        built_in = _BUILT_IN.get(row.name)
        address = row.base_url
        if built_in is None or row.base_url == built_in.base_url:
            told = (self._env.get(variable, "").strip() for variable in row.addresses)
            address = next((t for t in told if t), row.base_url)
        if not address and row.addresses:
            raise ConfigError(
                f"{row.name} has no address yet",
                hint=f"set {row.addresses[0]}, or `base_url` in [providers.{row.name}]",
            )
        address = _normal(row, address)
        if not address.startswith(("http://", "https://")) or not _split(address).hostname:
            raise ConfigError(
                f"{address or 'nothing'} is no address",
                hint="an address looks like https://host/v1",
                where=f"[providers.{row.name}] base_url",
            )
        return address

    def _build(self, row: Row) -> Provider:
        from chinwag.providers.http import HttpProvider

        return HttpProvider(self._endpoint(row), _dialect(row))

    def _endpoint(self, row: Row) -> Endpoint:
        from chinwag.providers.dialects.base import Endpoint

        times = {n: getattr(row, n) for n in ("connect", "first_byte", "stall")}
        return Endpoint(
            name=row.name,
            base_url=row.base_url,
            headers=row.headers,
            key=lambda: self._key(row),
            key_hint=_key_hint(row),
            needs_key=_needs_key(row),
            insecure=row.insecure,
            window=row.window,
            max_output=row.max_output,
            **{n: value for n, value in times.items() if value is not None},
        )

    def _key(self, row: Row) -> str | None:
        if row.key == "none":
            return None
        if row.key:
            return self._looked_up(row.key)
        for name in row.keys:
            if value := self._env.get(name):
                return value
        return self._looked_up(f"keyring:{row.name}")

    def _looked_up(self, spec: str) -> str | None:
        if self._find_key is not None:
            return self._find_key(spec)
        return self._env.get(spec.removeprefix("env:")) if spec.startswith("env:") else None

    def _found(self, row: Row) -> Found:
        named = [n for n in row.keys if self._env.get(n)]
        where = row.key or (f"env:{named[0]}" if named else "")
        address = self._address(row)
        return Found(
            row.name, row.dialect, address, where, self._default_model(row.name), row.local
        )


_BUILT_IN: Final = {row.name: row for row in ROWS}


def ollama_address(text: str) -> str:
    """OLLAMA_HOST in all its forms, as the address a client uses.

    `host`, `:port`, `host:port`, `[::1]:port`, with or without a scheme and a path; the address of
    every interface, which a server listens on, means this machine.
    """
    scheme, mark, rest = text.strip().strip("\"'").partition("://")
    if not mark:
        scheme, rest = "http", scheme
    port = {"http": 80, "https": 443}.get(scheme, 11434) if mark else 11434
    host, slash, path = rest.partition("/")
    if host.count(":") > 1 and not host.startswith("["):
        host = f"[{host}]"  # a bare IPv6 address
    name, colon, number = host.rpartition(":")
    if colon and number.isdigit():
        host, port = name, int(number)
    if host in ("", "0.0.0.0", "[::]"):  # noqa: S104  # read here, not bound to
        host = "127.0.0.1"
    return f"{scheme}://{host}:{port}{slash}{path}".rstrip("/")


def _split(address: str) -> SplitResult:
    from urllib.parse import urlsplit  # 5 ms, paid when an address is asked for

    return urlsplit(address)


def _normal(row: Row, address: str) -> str:
    if row.dialect == "ollama":
        return ollama_address(address).removesuffix("/v1")
    address = address.rstrip("/")
    if (row.local or row.name == "litellm") and address and not _split(address).path:
        return address + "/v1"
    if row.name == "azure-openai" and _split(address).path in ("", "/openai"):
        return address.removesuffix("/openai") + "/openai/v1"
    if row.name == "snowflake" and address and not _split(address).path:
        return address + "/api/v2/cortex/v1"
    return address


def _merged(rows: Iterable[Row]) -> dict[str, Row]:
    merged = dict(_BUILT_IN)
    for row in rows:
        merged[row.name] = _over(merged.get(row.name), row)
    return merged


def _over(old: Row | None, new: Row) -> Row:
    """``new`` on top of ``old``: what it does not say stays as it was."""
    if old is None:
        return msgspec.structs.replace(new, dialect=new.dialect or "openai")
    said = {
        name: value
        for name in new.__struct_fields__
        if (value := getattr(new, name)) not in (None, "", (), {}, False)
    }
    return msgspec.structs.replace(old, **said)


def _dialect(row: Row) -> Dialect:
    """The dialect by name; each is imported when it is first spoken."""
    match row.dialect:
        case "openai":
            from chinwag.providers.dialects.openai import OpenAI

            return OpenAI()
        case "llamacpp":
            from chinwag.providers.dialects.llamacpp import LlamaCpp

            return LlamaCpp()
        case "anthropic":
            from chinwag.providers.dialects.anthropic import Anthropic

            return Anthropic()
        case "ollama":
            from chinwag.providers.dialects.ollama import Ollama

            return Ollama()
        case "responses":
            from chinwag.providers.dialects.responses import Responses

            return Responses()
        case "gemini":
            from chinwag.providers.dialects.gemini import Gemini

            return Gemini()
    near = nearest(row.dialect, DIALECTS)
    raise ConfigError(
        f"there is no dialect named {row.dialect}",
        hint=_did_you_mean(near) or f"there are: {', '.join(DIALECTS)}",
        where=f"[providers.{row.name}] dialect",
    )


DIALECTS: Final = ("openai", "responses", "anthropic", "gemini", "ollama", "llamacpp")


def _needs_key(row: Row) -> bool:
    if row.key:
        return row.key != "none"
    # At another address than the vendor's own, somebody's gateway may want none.
    built_in = _BUILT_IN.get(row.name)
    own = built_in is not None and built_in.base_url in ("", row.base_url)
    return own and not row.local and "//127.0.0.1" not in row.base_url


def _key_hint(row: Row) -> str:
    if row.key.startswith("env:"):
        return f"set {row.key.removeprefix('env:')} in the environment"
    if row.key:
        return f"see `key` in [providers.{row.name}]"
    usual = f"set {row.keys[0]}, or " if row.keys else "set "
    return f"{usual}`key` in [providers.{row.name}]; `chat keys set {row.name}` keeps one safely"


def _registered(name: str) -> Found:
    return Found(name, "", "", local=True)


def _did_you_mean(near: tuple[str, ...]) -> str:
    return f"did you mean {' or '.join(near)}?" if near else ""
