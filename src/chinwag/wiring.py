"""The one place which names concrete classes: what is this program made of?

Invariants: nothing is opened, connected or asked here; each thing is built when it is first needed,
so that a road pays only for what it uses. A key is looked up when a request needs it, and lives
nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chinwag.commands.bench import Bench
from chinwag.commands.table import Sources, Table
from chinwag.config import secrets, sources
from chinwag.config.history import History
from chinwag.config.ledger import Ledger
from chinwag.config.paths import Places, places
from chinwag.config.private import write_private
from chinwag.config.settings import ModelFacts, ProviderSettings, Settings
from chinwag.context.counting import Counter, encoding_name
from chinwag.context.pricing import UNKNOWN, Bill, Price
from chinwag.desk import Desk, Found, aside
from chinwag.engine.budget import Budget, Purse
from chinwag.engine.budget import parse as read_budget
from chinwag.engine.conversation import Conversation, Defaults
from chinwag.engine.drafting import Drafting, Drafts
from chinwag.engine.room import Rules
from chinwag.engine.windows import Door, Watch, Windows
from chinwag.errors import ChinwagError, ConfigError, ProviderError
from chinwag.providers.base import ModelInfo, Options, Profile, Provider
from chinwag.providers.catalog import Catalog, Row
from chinwag.providers.knowing import Knowing
from chinwag.providers.listing import Found as ModelsFound
from chinwag.providers.listing import Listing
from chinwag.providers.retry import with_retries
from chinwag.stores.base import Answer, News, Reply, SessionStore
from chinwag.stores.keeping import Keeping
from chinwag.stores.opening import open_store
from chinwag.talk.entry import UserSaid
from chinwag.talk.message import AnyPart
from chinwag.talk.session import Session

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling
    from chinwag.served import Served
    from chinwag.stores.warmth import WarmFolder

CLOSE_PATIENCE = 3.0  # seconds to wait for a slow disk when leaving


class House:
    """Settings and places, and what is built from them."""

    def __init__(
        self, loaded: sources.Loaded, where: Places, environ: Mapping[str, str], flags: set[str]
    ) -> None:
        self.loaded = loaded
        self.settings: Settings = loaded.settings
        self.places = where
        self.environ = environ
        self._flags = flags
        self.catalog = self._catalog()
        self.knowing = Knowing(self.catalog)
        self.attended = False  # whether somebody can be asked before a tool runs
        self.listing = ModelsFound()  # of the models that were named last

    # -- what was asked -----------------------------------------------------------------------

    @property
    def choice(self) -> tuple[str, str] | None:
        """(provider, model) that configuration or flags name; an empty model is still to be asked.

        Raises ConfigError or ModelUnknown with near names.
        """
        provider, model = self.settings.provider, self.settings.model
        if provider:
            if provider != "guide":
                self.catalog.row(provider)  # raises where there is no such provider
            return provider, self._model_of(provider, model)
        if model and model.lower() in self.catalog.names:
            return model.lower(), self.default_model(model.lower())
        return self.catalog.find(model) if model else None

    def _model_of(self, provider: str, model: str | None) -> str:
        """The model meant beside a provider: one configured for another is not."""
        head, _, rest = (model or "").partition("/")
        if head == provider and rest:
            return rest
        said_together = "model" in self._flags or "provider" not in self._flags
        return model if model and said_together else self.default_model(provider)

    @property
    def asked_choice(self) -> tuple[str, str] | None:
        """The same, where the command line itself said so."""
        return self.choice if self._flags & {"model", "provider"} else None

    @property
    def asked_system(self) -> str | None:
        return self.settings.system if "system" in self._flags else None

    def default_model(self, provider: str) -> str:
        """The model a provider's name alone means; "" where its server must be asked."""
        try:
            return self.catalog.find(provider)[1]
        except ChinwagError:
            return ""

    # -- parts --------------------------------------------------------------------------------

    def store(self, url: str = "") -> SessionStore:
        """The store of the settings, or the one ``url`` names."""
        return open_store(url or self.settings.store, self.places.data)

    def _catalog(self) -> Catalog:
        rows = [_row(name, own) for name, own in self.settings.providers.items()]
        catalog = Catalog(
            rows, aliases=self.settings.aliases, env=self.environ, find_key=self._find_key
        )
        catalog.register("guide", self._guide, ("guide",))
        return catalog

    def _guide(self) -> Provider:
        from chinwag.commands.builtin import TABLE
        from chinwag.commands.help import passages
        from chinwag.providers.guide import Guide

        return Guide(lambda: passages(TABLE, self._facts()))

    def _facts(self) -> dict[str, str]:
        return {
            "data_dir": str(self.places.data),
            "state_dir": str(self.places.state),
            "config_path": str(self.places.config_file),
        }

    def _find_key(self, spec: str) -> str | None:
        """The key a spec names; without one in the configuration, the key file's."""
        configured = {own.key for own in self.settings.providers.values()}
        if spec not in configured and spec.startswith("keyring:"):
            kept = secrets.kept_key(spec.partition(":")[2], self.places.keys_file)
            return kept.reveal() if kept else None
        own = self.settings.providers.items()
        name = next((n for n, p in own if p.key == spec), spec.partition(":")[2])
        found = secrets.find_key(name, spec=spec, environ=self.environ)
        return found.reveal() if found else None

    def _kept_keys(self) -> Mapping[str, str]:
        """Provider to where its kept key is; no keyring is asked."""
        return secrets.kept(self.places.keys_file)

    def found_choice(self) -> tuple[str, str] | None:
        """The first provider whose key is in the environment, else in the key file."""
        if found := self.catalog.default():
            return found
        kept = self._kept_keys()
        names = (name for name in self.catalog.names if name in kept)
        return next(((n, m) for n in names if (m := self.default_model(n))), None)

    def key_places(self) -> dict[str, str]:
        """Provider to where its key is, for those that have one."""
        return dict(self._kept_keys()) | {
            row.name: row.key for row in self.catalog.rows() if row.key
        }

    def _defaults(self) -> Defaults:
        chosen = self.choice or self.found_choice() or ("guide", "guide")
        s = self.settings
        limit = s.context.limit
        return Defaults(
            provider=chosen[0],
            model=chosen[1],
            system=s.system,
            options=Options(
                temperature=s.temperature,
                top_p=s.top_p,
                top_k=s.top_k,
                max_tokens=s.max_tokens,
                stop=tuple(s.stop),
                reasoning=s.reasoning,
                seed=s.seed,
            ),
            limit=limit if isinstance(limit, int) else None,
        )

    # -- the whole ----------------------------------------------------------------------------

    def desk(self, *, commands: bool = True) -> Desk:
        """A desk with everything behind it. Call it on the running loop.

        Without ``commands`` it only takes what is said to the model: a single question is answered
        sooner by what the table of commands costs to import.
        """
        loop = asyncio.get_running_loop()
        store = self.store()
        saver = Keeping(
            store,
            _memory,
            lambda report: _across(loop, desk.report, report),
            private=self.settings.private,
        )
        counter = Counter(partial(_read_or_nothing, self.places.counts))
        conversation = Conversation(
            directory=self.catalog,
            keeper=saver,
            meter=counter,
            defaults=self._defaults(),
            retrying=with_retries,
            knowledge=self.knowing,
            fallback=self.settings.fallback,
            rules=self._rules(),
            snapshots=self.snapshots if store.lasting else None,
        )
        conversation.purse = Purse(
            partial(self._price, conversation), self._budget(), self._ledger()
        )
        bill = Bill(partial(self._price, conversation))
        windows = Windows(
            conversation, saver, _Meeting(self.store, loop, self.places.data / ".meeting")
        )
        drafting = Drafting(self._drafts)
        past = History(self.places.history, self._known_keys, private=bool(self.settings.private))
        served = self._served()
        bench = msgspec.structs.replace(
            self._bench(conversation, saver, store, bill),
            servers=served.servers if served else None,
            take_over=windows.take_over,
            drafts=drafting.recent,
            forget_typed=partial(_forget_typed, past, drafting, self.places.index),
        )
        desk = Desk(
            conversation=conversation,
            table=_table() if commands else Table(()),
            bench=bench,
            sources=Sources(
                providers=lambda: self.catalog.names,
                paths=_paths,
                topics=_topics(),
                servers=served.names if served else tuple,
            ),
            past=past,
            store_url=self.settings.store,
            lasting=store.lasting,
            cost=lambda session: bill.of(session).dollars,
            discover=self._discover if self._nobody_said() else None,
            load_counter=partial(_load_tables, counter),
            models=self.models,
            prepare=self._prepare,
            close=partial(_close, saver, self.catalog, partial(self._keep_counts, counter)),
            windows=windows,
            drafting=drafting,
            tooling=self.tooling if self.offers_tools or served else None,
        )
        desk.notices = self.loaded.notices
        desk.served = served
        return desk

    def _served(self) -> Served | None:
        """The MCP servers, unless somebody said that there are to be no tools."""
        no_tools = not self.offers_tools and self.loaded.origin("tools.offer") != "default"
        if not self.settings.mcp or no_tools:
            return None
        from chinwag import served

        made = served.servers(self.settings, self.places, self.environ)
        return served.Served(made)

    # -- tools --------------------------------------------------------------------------------

    @property
    def offers_tools(self) -> bool:
        """Whether the model is to be told of any, as the person has set it."""
        if self.loaded.origin("tools.offer") == "default":
            return bool(self.settings.mcp)
        return self.settings.tools.offer not in ("none", "", ())

    def check_tools(self) -> None:
        """Whether what is said of tools can be understood. Raises UsageError, ConfigError."""
        told = self.settings.tools
        if self.offers_tools or told.approve != "ask" or told.allow:
            from chinwag import arming

            arming.check(self.loaded)

    def tooling(self) -> Tooling:
        """What may be called, and on whose word. Reads a file; raises ConfigError, UsageError."""
        from chinwag import arming

        return arming.tooling(self.loaded, self.places, attended=self.attended)

    def _ledger(self) -> Callable[[tuple[str, str], int, Decimal], None]:
        """Writes down what was spent, beside the talk; a private talk leaves no trace."""
        ledger, waiting = Ledger(self.places.spent), set[asyncio.Future[None]]()

        def tell(key: tuple[str, str], tokens: int, dollars: Decimal) -> None:
            if self.settings.private or not dollars:
                return
            task = asyncio.ensure_future(aside(partial(ledger.add, "/".join(key), tokens, dollars)))
            waiting.add(task)
            task.add_done_callback(waiting.discard)

        return tell

    def _keep_counts(self, counter: Counter) -> None:
        data = counter.learnt()
        if data is None or self.settings.private:
            return
        try:
            write_private(self.places.counts, data)
        except (OSError, ConfigError):
            pass  # only a convenience: the next run learns again

    def _budget(self) -> Budget | None:
        told = self.settings.budget
        return None if told is None else read_budget(told)

    def _rules(self) -> Rules:
        s = self.settings.context
        limit = s.limit if isinstance(s.limit, int) else None
        return Rules(policy=s.policy, limit=limit, margin=s.margin, keep=s.keep)

    def _nobody_said(self) -> bool:
        return self.choice is None and self.found_choice() is None

    def _price(self, conversation: Conversation, provider: str, model: str) -> Price | None:
        """What a model costs, as far as is known by now; None where nobody asks for money."""
        if self.knowing.terms(provider).local:
            return None
        return _price_of(conversation.known(provider, model))

    def snapshots(self) -> WarmFolder:
        """Records of what servers keep of sessions."""
        from chinwag.stores.warmth import WarmFolder

        return WarmFolder(self.places.warm)

    def _drafts(self) -> Drafts:
        from chinwag.stores.drafts import Drafts as Kept

        return Kept(self.places.drafts)

    def _bench(
        self, conversation: Conversation, saver: Keeping, store: SessionStore, bill: Bill
    ) -> Bench:
        from chinwag.files import OwnFiles

        return Bench(
            conversation=conversation,
            keeper=saver,
            directory=self.catalog,
            problem=self._problem,
            models=self.models,
            files=OwnFiles(),
            keys=self._keys,
            owed=bill.of,
            attach=_attach,
            is_file=_is_file,
            today=Ledger(self.places.spent).of,
            prices_as_of=_prices_as_of,
            store_url=self.settings.store,
            private=not store.lasting,
            data_dir=str(self.places.data),
            state_dir=str(self.places.state),
            config_path=str(self.places.config_file),
            index_path=str(self.places.index),
            other_store=self.store,
            tooling=self.tooling,
        )

    def _keys(self) -> Iterable[tuple[str, str]]:
        from chinwag.frontends.tui.keys import table

        return table(self.settings.keys)

    def _known_keys(self) -> Iterable[str]:
        """Key values that are in the environment: never to be written to the history."""
        return [
            value
            for name, value in self.environ.items()
            if name.endswith(("_API_KEY", "_TOKEN", "_KEY")) and len(value) > 7
        ]

    def _prepare(self, provider: str) -> None:
        """The transport and its TLS context, in a thread, before they are needed."""
        if provider == "guide":
            return
        from chinwag.providers.facts import snapshot
        from chinwag.providers.http import prepare

        snapshot()
        prepare(tls=self.catalog.row(provider).base_url.startswith("https:"))

    async def _problem(self, provider: str) -> ChinwagError | None:
        """Why a provider cannot answer now; its key is looked for, no server is asked."""
        try:
            asked = self.catalog.provider(provider)
            check = getattr(asked, "check", None)  # only an endpoint has a key to miss
            if check is not None:
                await check()
        except ChinwagError as error:
            return error
        return None

    async def _discover(self) -> Sequence[Found]:
        from chinwag.providers.discovery import discover

        servers = await discover(self.environ)
        for server in servers:
            self.catalog.learn(server.name, server.models)
        return [Found(s.name, s.base_url, s.models) for s in servers if s.models]

    async def models(self, *, anew: bool = False) -> list[ModelInfo]:
        """What every provider that can be reached offers; slow and dead ones are left out.

        Lists of the last day stand for servers elsewhere unless ``anew``; ``listing`` says so.
        """
        own = {n: tuple(ModelInfo(n, m) for m in p.models) for n, p in self._own() if p.models}
        addresses = {n: url for n, url in self._reachable().items() if n not in own}
        self.listing = found = await self._listing().find(addresses, anew=anew)
        for name, models in own.items():
            self.catalog.learn(name, [info.name for info in models])
        configured = (info for models in own.values() for info in models)
        return [self._completed(info) for info in (*configured, *found.models)]

    def _own(self) -> Iterable[tuple[str, ProviderSettings]]:
        return self.settings.providers.items()

    def _listing(self) -> Listing:
        return Listing(
            self.catalog,
            load=partial(_read_or_nothing, self.places.models),
            save=(lambda _: None) if self.settings.private else self._save_lists,
            is_here=lambda name: self.knowing.terms(name).local,
        )

    def _save_lists(self, data: bytes) -> None:
        try:
            write_private(self.places.models, data)
        except (OSError, ConfigError):
            pass  # only a convenience: the next run asks again

    def _reachable(self) -> dict[str, str]:
        """Name to address of whom it makes sense to ask: on this machine, or with a key."""
        keyed = self.key_places().keys() | self.settings.providers.keys()
        rows = self.catalog.rows()
        return {row.name: row.base_url for row in rows if row.local or row.name in keyed}

    def _completed(self, info: ModelInfo) -> ModelInfo:
        profile = self.knowing.profile(info.provider, info.name, info.profile)
        return ModelInfo(info.provider, info.name, profile, info.detail)


def _read_or_nothing(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def settle_in(flags: Mapping[str, Any], config: str, environ: Mapping[str, str]) -> House:
    """Read every source of settings. Raises ConfigError naming file, line and the nearest key."""
    first = places(environ, data_dir=flags.get("data_dir"), config_file=config or None)
    named = bool(config or environ.get("CHINWAG_CONFIG"))
    loaded = sources.load(first.config_file, environ, flags, must_exist=named)
    where = places(environ, data_dir=loaded.settings.data_dir, config_file=config or None)
    return House(loaded, where, environ, set(flags))


def _row(name: str, own: ProviderSettings) -> Row:
    return Row(
        name=name,
        dialect=own.dialect or "",
        base_url=own.base_url or "",
        key=own.key or "",
        models=own.models,
        window=own.window,
        max_output=own.max_output,
        insecure=own.insecure,
        facts={model: _profile_of(facts) for model, facts in own.facts.items()},
    )


def _profile_of(facts: ModelFacts) -> Profile:
    """The same, as the engine knows it: the two rooms are strangers to each other."""
    return Profile(**{name: getattr(facts, name) for name in facts.__struct_fields__})


def _price_of(known: Profile) -> Price:
    if not known.is_priced:
        return UNKNOWN
    long, more = known.long_prompt, None
    if long is not None:
        more = Price(long.price_input, long.price_output, long.price_cached, long.price_written)
    return Price(
        known.price_input,
        known.price_output,
        known.price_cached,
        known.price_written,
        long.tokens if long else None,
        more,
    )


def _prices_as_of() -> str:
    from chinwag.providers.facts import snapshot

    return snapshot().as_of


def _load_tables(counter: Counter, model: str) -> None:
    """Only where they count exactly: for an unknown tokenizer an estimate does, and is corrected
    by what the server reports; 90 MB and half a second would better it by a tenth."""
    if encoding_name(model) is not None:
        counter.load(model)


class _Meeting:
    """How windows on one session meet: `engine.windows.Meeting`. Imported when they do."""

    def __init__(
        self,
        make_store: Callable[[], SessionStore],
        loop: asyncio.AbstractEventLoop,
        folder: Path,
    ) -> None:
        self._make_store = make_store
        self._loop = loop
        self._folder = folder

    def place(self, session_id: str) -> Path:
        return self._folder / f"{session_id}.ask"

    def door(self, path: Path, asked: Callable[[str], Awaitable[str]]) -> Door:
        from chinwag.stores import takeover

        return takeover.Door(path, asked)

    def watch(self, session_id: str, after: int, tell: Callable[[News], None]) -> Watch:
        from chinwag.stores import watching

        told = partial(_across, self._loop, tell)
        return watching.Watch(self._make_store, session_id, after, told)

    async def ask(self, path: Path) -> Answer:
        from chinwag.stores import takeover

        return await takeover.ask(path)

    async def can_be_asked(self, path: Path) -> Reply:
        from chinwag.stores import takeover

        return await takeover.can_be_asked(path)


async def _forget_typed(past: History, drafting: Drafting, index: Path, session: Session) -> None:
    """Remove the words of ``session``, sent or not, from history, drafts and search index."""
    drafting.forget(session.id)
    said = [entry.text for entry in session.entries if isinstance(entry, UserSaid)]

    def forget() -> None:
        past.forget([*said, *(f"/{text}" for text in said)])
        for ending in ("", "-journal", "-wal", "-shm"):  # the search index: it is made anew
            with contextlib.suppress(OSError):
                index.with_name(index.name + ending).unlink(missing_ok=True)

    await aside(forget)


def _memory() -> SessionStore:
    from chinwag.stores.memory import MemoryStore

    return MemoryStore()


def _across(loop: asyncio.AbstractEventLoop, tell: Callable[[Any], None], report: Any) -> None:
    """From another thread to the loop; after the loop has ended nobody is left to tell."""
    try:
        loop.call_soon_threadsafe(tell, report)
    except RuntimeError:
        pass


async def _attach(path: str) -> AnyPart:
    from chinwag.attach import attached

    return await asyncio.to_thread(attached, path)


async def _is_file(path: str) -> bool:
    def look() -> bool:
        try:
            return Path(path).expanduser().is_file()
        except (OSError, RuntimeError, ValueError):  # a name too long, no such home, a null byte
            return False

    return await asyncio.to_thread(look)


async def _close(saver: Keeping, catalog: Catalog, also: Callable[[], None]) -> list[str]:
    unsaved: list[str] = []
    await aside(lambda: unsaved.extend(saver.close(CLOSE_PATIENCE)))
    await aside(also)
    try:
        await catalog.aclose()
    except ProviderError:
        pass  # a connection that cannot be closed is gone already
    return unsaved


def _table() -> Table:
    from chinwag.commands.builtin import TABLE

    return TABLE


def _topics() -> Sequence[tuple[str, str]]:
    return ()


def _paths(typed: str) -> Iterable[str]:
    """Paths that begin with what is typed; a folder ends in a slash. At most one folder is read."""
    folder, _, start = typed.rpartition("/")
    base = Path(folder or ("/" if typed.startswith("/") else ".")).expanduser()
    try:
        names = sorted(base.iterdir())[:2000]
    except (OSError, RuntimeError):
        return
    for path in names:
        if path.name.startswith(start) and (start.startswith(".") or not path.name.startswith(".")):
            name = f"{path.name}/" if path.is_dir() else path.name
            yield f"{folder}/{name}" if "/" in typed else name
