"""What a program asks of a chat, checked: the keywords of `Chat` and `AsyncChat`, and who answers.

Invariants: whatever is wrong with a keyword is said by its name before anything is opened or sent.
A key that was given is held here alone: it is no part of a session, a row or an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chinwag.assembly import found_choice, named

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import msgspec

from chinwag.config import secrets
from chinwag.config.paths import Places, places
from chinwag.context.compaction import Compactor
from chinwag.engine.budget import Budget
from chinwag.engine.budget import parse as read_budget
from chinwag.engine.options import NAMES, read_option
from chinwag.engine.room import Rules
from chinwag.errors import UsageError, UsageWrong, nearest
from chinwag.frontends.face import tools as own_tools
from chinwag.providers.base import Provider
from chinwag.providers.catalog import Catalog, Row
from chinwag.talk import codec

SYSTEM = "You are a helpful assistant."
GIVEN = "given"  # the key spec of a key that the program itself gave
STEPS = 10
ENCODINGS = {"cl100k_base": "gpt-4", "o200k_base": "gpt-4o"}  # to a model that is counted with it

Tokenizer = str | Callable[[str], int]


class Settings(TypedDict, total=False):
    """Every keyword of `Chat`, all of them optional."""

    #: The system prompt; "You are a helpful assistant." unless said, none for "" or None (F003).
    system: str | None
    #: 0 to 2; not sent unless said, so that each model has its own rule (F005).
    temperature: float | None
    #: The longest answer, in tokens.
    max_tokens: int | None
    top_p: float | None
    top_k: int | None
    #: Text, or texts, at which an answer ends.
    stop: str | Sequence[str]
    #: The same number gives the same answer where a server knows how.
    seed: int | None
    #: low, medium, high or off.
    reasoning: str | None
    #: Goes into the request's body as it is.
    extra: Mapping[str, Any]
    #: Tokens a request may hold, answer included; None = the model's own window (F006, F007).
    context_limit: int | None
    #: The share of the window at which the policy acts: above 0, at most 1 (F033).
    margin: float
    #: compact, trim, window, prune or refuse.
    policy: str
    #: Messages that the policy `window` keeps (F039).
    keep: int
    #: What writes summaries, or lets messages go (F036).
    compactor: Compactor
    #: Functions the model may call, or dicts that describe them (F009).
    tools: Sequence[Any]
    #: Who is asked before a tool runs: a function of `talk.event.ApprovalAsked` that returns True,
    #: False or a text for the model, or a coroutine. None: what is given in ``tools`` may run.
    approve: own_tools.Approve | None
    #: Answers in a row that may call tools, in one turn (F017).
    max_steps: int
    #: Where sessions are kept: a URL, or what `open_store` gave.
    store: Any
    #: The session's id or name: opened where it is there, else begun (F010, F066).
    session: str
    title: str
    #: What the program wants kept with the session: JSON-ready (F011).
    metadata: Mapping[str, Any]
    #: US dollars (a number, "$2") or tokens ("200k"): what may be spent from now on.
    budget: str | float | None
    #: A provider's name beside ``model``, or an object that answers (F013).
    provider: str | Provider
    #: An own server's address, and its wire format ("openai" unless said).
    base_url: str
    dialect: str
    #: A key itself, or where it is: env:NAME, keyring:NAME, cmd:…, none.
    key: str
    #: Models that are asked where the first does not answer.
    fallback: Sequence[str]
    #: cl100k_base, o200k_base, or a function from text to a number of tokens (F008).
    tokenizer: Tokenizer


class Plan:
    """Checked settings. Raises UsageError, ConfigError or ModelUnknown when made."""

    def __init__(self, model: str | None, settings: Mapping[str, Any]) -> None:
        _known(settings)
        get = settings.get
        self.model = model
        self.settings = dict(settings)
        self.system: str = SYSTEM if "system" not in settings else _text("system", get("system"))
        self.options = _options(settings)
        self.rules = Rules(
            policy=get("policy", "compact"),
            limit=whole("context_limit", get("context_limit")),
            margin=_real("margin", get("margin", 0.8)),
            keep=whole("keep", get("keep")) or 50,
            compactor=_compactor(get("compactor")),
        )
        self.tools = own_tools.toolbox(get("tools", ()))
        self.approve = _approve(get("approve"))
        self.max_steps = whole("max_steps", get("max_steps")) or STEPS
        self.metadata = metadata(get("metadata", {}))
        self.budget = budget(get("budget"))
        self.session: str = _text("session", get("session"))
        self.title: str = _text("title", get("title"))
        self.tokenizer = _tokenizer(get("tokenizer"))
        self.fallback = tuple(get("fallback", ()))
        self.places: Places = places(os.environ)
        self._key: str = _text("key", get("key"))
        self.catalog, self.choice = self._who()

    @property
    def asked_system(self) -> str | None:
        """The system prompt, where the program said one."""
        return self.system if "system" in self.settings else None

    def for_a_copy(self) -> dict[str, Any]:
        """The settings of a fork: which session and what is written in it come with the copy."""
        theirs = {"session", "title", "metadata"}
        kept = {name: value for name, value in self.settings.items() if name not in theirs}
        if self.session and "store" not in kept:
            kept["store"] = "file:"
        return kept

    # -- who answers ---------------------------------------------------------------------------

    def _who(self) -> tuple[Catalog, tuple[str, str] | None]:
        provider = self.settings.get("provider")
        if provider is None or isinstance(provider, str):
            return self._named(provider or "")
        if not callable(getattr(provider, "stream", None)):
            raise UsageError(
                f"{type(provider).__name__} is no provider: it cannot stream",
                hint='give a name such as "openai", or an object like providers.base.Provider',
            )
        catalog = self._catalog()
        catalog.register(provider.name, lambda: provider)
        return catalog, (provider.name, (self.model or "").removeprefix(provider.name + "/"))

    def _named(self, provider: str) -> tuple[Catalog, tuple[str, str] | None]:
        own = {"base_url": self.settings.get("base_url", ""), "dialect": self._dialect()}
        if not (own["base_url"] or own["dialect"] or self._key):
            catalog = self._catalog()
            return catalog, _choice(catalog, provider, self.model)
        name, model = self._at_own_address(provider, own["base_url"])
        row = Row(name=name, key=self._spec(), models=(model,) if model else (), **own)
        return self._catalog(row), (name, model)

    def _dialect(self) -> str:
        return _text("dialect", self.settings.get("dialect"))

    def _at_own_address(self, provider: str, base_url: str) -> tuple[str, str]:
        """(provider, model) where an address, a wire format or a key was given."""
        model = self.model or ""
        if not provider:
            head, mark, rest = model.partition("/")
            if mark and head in self._catalog().names:
                provider, model = head, rest
            elif base_url:
                provider = "server"
            elif found := _choice(self._catalog(), "", self.model):
                return found
            else:
                raise UsageError("a key alone names nobody", hint="name a model as well")
        return provider, model.removeprefix(provider + "/")

    def _spec(self) -> str:
        """Where the key is, as a row says it."""
        if not self._key:
            return "none" if "base_url" in self.settings and self._is_own else ""
        is_spec = self._key == "none" or self._key.startswith(("env:", "keyring:", "cmd:"))
        return self._key if is_spec else GIVEN

    @property
    def _is_own(self) -> bool:
        """Whether the server is nobody's whose usual key we know."""
        provider = self.settings.get("provider")
        head = (self.model or "").partition("/")[0]
        return (provider or head) not in self._catalog().names

    def _catalog(self, *rows: Row) -> Catalog:
        return Catalog(rows, env=os.environ, find_key=self._find_key)

    def _find_key(self, spec: str) -> str | None:
        """May wait for a command or a keyring: the catalog calls it in a thread."""
        if spec == GIVEN:
            return self._key
        return secrets.value_of(spec, environ=os.environ, keys_file=self.places.keys_file)

    def found_choice(self) -> tuple[str, str] | None:
        """The first provider with a key in the environment, else in the key file (F001, F082)."""
        return found_choice(self.catalog, secrets.kept(self.places.keys_file))

    def tooling(self) -> Tooling | None:
        """What the model may call, and on whose word."""
        if self.tools is None:
            return None
        return own_tools.tooling(self.tools, self.max_steps, self.approve)


def _choice(catalog: Catalog, provider: str, model: str | None) -> tuple[str, str] | None:
    """(provider, model); an empty model is still to be asked for. Raises ConfigError,
    ModelUnknown."""
    if provider:
        catalog.row(provider)  # raises where there is no such provider
        if model:
            return provider, model.removeprefix(provider + "/")
        model = provider
    return named(catalog, model) if model else None


# -- single keywords ------------------------------------------------------------------------------


def _known(settings: Mapping[str, Any]) -> None:
    for name in settings:
        if name not in Settings.__annotations__:
            near = nearest(name, Settings.__annotations__)
            raise UsageError(
                f"a chat has no setting {name!r}",
                hint=f"did you mean {' or '.join(near)}?" if near else "see docs/python.md",
            )


def _options(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What goes into a request, by name: only what was said."""
    said = {name: settings[name] for name in NAMES if settings.get(name) is not None}
    options = {name: option(name, value) for name, value in said.items()}
    extra = dict(settings.get("extra", {}))
    _json_ready("extra", extra)
    return extra | options


def option(name: str, value: Any) -> Any:
    """The value as it is kept; None takes an option back. Raises UsageError."""
    if value is None:
        return None
    if name == "stop":
        stops = [value] if isinstance(value, str) else list(value)
        if not all(isinstance(each, str) and each for each in stops):
            raise UsageError("stop is a text, or a list of texts", hint='stop=["END"]')
        return stops
    if isinstance(value, bool):
        raise UsageError(f"{name} cannot be {value}", hint=f"{name}=… takes a value")
    try:
        return read_option(name, str(value))[1]
    except UsageWrong as error:
        raise UsageError(error.message, hint=f"give {name}=… another value") from None


def _text(name: str, value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UsageError(f"{name} is {type(value).__name__}, not text", hint=f'{name}="…"')
    return value


def whole(name: str, value: object) -> int | None:
    """A number above 0. None is unlimited, and nothing else is (W28)."""
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}, no whole number", hint=f"{name}=1000, or None")
    if value < 1:
        raise UsageError(f"{name} cannot be {value}", hint="give a number above 0, or None")
    return value


def _real(name: str, value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise UsageError(f"{name} is {value!r}, no number", hint=f"{name}=0.8")
    return float(value)


def _compactor(value: Any) -> Compactor | None:
    if value is not None and not callable(getattr(value, "compact", None)):
        raise UsageError(
            f"{type(value).__name__} is no compactor",
            hint="give TruncateCompactor(), SummariseCompactor(), or an object with `compact`",
        )
    made: Compactor | None = value
    return made


def _approve(value: Any) -> own_tools.Approve | None:
    if value is not None and not callable(value):
        raise UsageError(f"approve is {value!r}, which cannot be asked", hint="give a function")
    made: own_tools.Approve | None = value
    return made


def _tokenizer(value: object) -> Tokenizer | None:
    if value is None or callable(value) or value in ENCODINGS:
        return value
    raise UsageError(
        f"no tokenizer is called {value!r}",
        hint=f"there is {', '.join(ENCODINGS)}; or give a function from text to a number",
    )


def metadata(value: object) -> dict[str, Any]:
    """Metadata as it is kept: plain JSON, a copy. Raises UsageError naming what is none (W56)."""
    if not isinstance(value, Mapping):
        raise UsageError("metadata is a dict", hint='metadata={"user_id": "123"}')
    return _json_ready("metadata", dict(value))


def _json_ready(name: str, value: dict[Any, Any]) -> dict[str, Any]:
    for key, each in value.items():
        try:
            same = isinstance(key, str) and codec.loads(codec.dumps(each)) == each
        except (TypeError, ValueError, msgspec.MsgspecError):
            same = False
        if not same:
            raise UsageError(
                f"{name}[{key!r}] is {type(each).__name__}, which JSON has no form for",
                hint="keep text, numbers, true, false, None, lists and dicts of them",
            )
    return value


def budget(value: object) -> Budget | None:
    """``value`` as a budget; a number is US dollars. Raises UsageError."""
    if value is None or isinstance(value, Budget):
        return value
    if isinstance(value, bool):
        raise UsageError(f"{value} is no budget", hint='budget=0.50, "$2" or "200k"')
    return read_budget(f"${value}" if isinstance(value, int | float) else str(value))


def data_folder() -> Path:
    """Where `file:` keeps sessions."""
    return places(os.environ).data
