"""The one place which names concrete classes: what is this program made of?

Invariants: nothing is opened, connected or asked here; each thing is built when it is first needed,
so that a road pays only for what it uses. What a conversation stands on is put together by
`assembly`, as it is for programs; who can answer is `answerers`' to say.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from chinwag.answerers import Answerers
from chinwag.assembly import assembled, let_go, snapshots
from chinwag.commands.bench import Bench
from chinwag.commands.table import Sources, Table
from chinwag.config import sources
from chinwag.config.history import History
from chinwag.config.ledger import Ledger
from chinwag.config.masking import masked
from chinwag.config.paths import Places, places
from chinwag.config.private import keep_if_possible, read_or_nothing
from chinwag.context.counting import Counter, encoding_name
from chinwag.context.pricing import Bill
from chinwag.desk import Desk
from chinwag.engine.budget import Budget, Spent
from chinwag.engine.budget import parse as read_budget
from chinwag.engine.conversation import Conversation
from chinwag.engine.drafting import Drafting, Drafts
from chinwag.engine.room import Rules
from chinwag.engine.sending import Defaults
from chinwag.engine.windows import Windows
from chinwag.files import OwnFiles, attach, is_file, paths
from chinwag.providers.base import Options
from chinwag.providers.catalog import Catalog
from chinwag.stores.base import SessionStore
from chinwag.stores.keeping import Keeping
from chinwag.stores.meeting import Meetings
from chinwag.stores.opening import memory, open_store
from chinwag.talk.entry import UserSaid
from chinwag.talk.session import Session
from chinwag.threads import apart, beside, tell

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling
    from chinwag.served import Served
    from chinwag.stores.warmth import WarmFolder

CLOSE_PATIENCE = 3.0  # seconds to wait for a slow disk when leaving


class House(Answerers):
    """Settings and places, and what is built from them."""

    def __init__(
        self, loaded: sources.Loaded, where: Places, environ: Mapping[str, str], flags: set[str]
    ) -> None:
        self.loaded = loaded
        super().__init__(loaded.settings, where, environ, flags)
        self.attended = False  # whether somebody can be asked before a tool runs

    # -- what was asked -----------------------------------------------------------------------

    @property
    def asked_system(self) -> str | None:
        return self.settings.system if "system" in self._flags else None

    # -- parts --------------------------------------------------------------------------------

    def store(self, url: str = "") -> SessionStore:
        """The store of the settings, or the one ``url`` names."""
        return open_store(url or self.settings.store, self.places.data)

    @property
    def shown_store(self) -> str:
        """Where sessions are kept, as a person wrote it but for a password."""
        return str(masked("store", self.settings.store))

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
            memory,
            lambda report: tell(loop, desk.report, report),
            private=self.settings.private,
        )
        counter = Counter(partial(read_or_nothing, self.places.counts))
        conversation, bill = assembled(
            catalog=self.catalog,
            keeper=saver,
            meter=counter,
            defaults=self._defaults(),
            rules=self._rules(),
            fallback=self.settings.fallback,
            budget=self._budget(),
            spent=self._ledger(),
            warm=self.places.warm if store.lasting else None,
        )
        windows = Windows(
            conversation, saver, Meetings(self.store, loop, self.places.data / ".meeting")
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
                paths=paths,
                servers=served.names if served else tuple,
            ),
            past=past,
            store_url=self.shown_store,
            lasting=store.lasting,
            cost=lambda session: bill.of(session).dollars,
            discover=self.discover if self._nobody_said() else None,
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

    # -- what the desk is given ---------------------------------------------------------------

    def _ledger(self) -> Spent:
        """Writes down what was spent, beside the talk; a private talk leaves no trace."""
        ledger, waiting = Ledger(self.places.spent), set[asyncio.Future[Any]]()

        def write(key: tuple[str, str], tokens: int, dollars: Decimal) -> None:
            if self.settings.private or not dollars:
                return
            beside(waiting, apart(ledger.add, "/".join(key), tokens, dollars))

        return write

    def _keep_counts(self, counter: Counter) -> None:
        data = counter.learnt()
        if data is not None and not self.settings.private:
            keep_if_possible(self.places.counts, data)

    def _budget(self) -> Budget | None:
        told = self.settings.budget
        return None if told is None else read_budget(told)

    def _rules(self) -> Rules:
        s = self.settings.context
        limit = s.limit if isinstance(s.limit, int) else None
        return Rules(policy=s.policy, limit=limit, margin=s.margin, keep=s.keep)

    def snapshots(self) -> WarmFolder:
        """Records of what servers keep of sessions."""
        return snapshots(self.places.warm)

    def _drafts(self) -> Drafts:
        from chinwag.stores.drafts import Drafts as Kept

        return Kept(self.places.drafts)

    def _bench(
        self, conversation: Conversation, saver: Keeping, store: SessionStore, bill: Bill
    ) -> Bench:
        return Bench(
            conversation=conversation,
            keeper=saver,
            directory=self.catalog,
            plain_problem=self.plain_problem,
            problem=self.problem,
            models=self.models,
            files=OwnFiles(),
            keys=self._keys,
            owed=bill.of,
            attach=attach,
            is_file=is_file,
            today=Ledger(self.places.spent).of,
            prices_as_of=_prices_as_of,
            store_url=self.shown_store,
            private=not store.lasting,
            data_dir=str(self.places.data),
            state_dir=str(self.places.state),
            config_path=str(self.places.config_file),
            index_path=str(self.places.index),
            other_store=self.store,
            tooling=self.tooling,
        )

    def _prepare(self, provider: str) -> None:
        """The transport and its TLS context, in a thread, before they are needed."""
        if provider == "guide":
            return
        from chinwag.providers.facts import snapshot
        from chinwag.providers.http import prepare

        snapshot()
        prepare(tls=self.catalog.row(provider).base_url.startswith("https:"))

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


def settle_in(flags: Mapping[str, Any], config: str, environ: Mapping[str, str]) -> House:
    """Read every source of settings. Raises ConfigError naming file, line and the nearest key."""
    first = places(environ, data_dir=flags.get("data_dir"), config_file=config or None)
    named = bool(config or environ.get("CHINWAG_CONFIG"))
    loaded = sources.load(first.config_file, environ, flags, must_exist=named)
    where = places(environ, data_dir=loaded.settings.data_dir, config_file=config or None)
    return House(loaded, where, environ, set(flags))


def _prices_as_of() -> str:
    from chinwag.providers.facts import snapshot

    return snapshot().as_of


def _load_tables(counter: Counter, model: str) -> None:
    """Only where they count exactly: for an unknown tokenizer an estimate does, and is corrected
    by what the server reports; 90 MB and half a second would better it by a tenth."""
    if encoding_name(model) is not None:
        counter.load(model)


async def _forget_typed(past: History, drafting: Drafting, index: Path, session: Session) -> None:
    """Remove the words of ``session``, sent or not, from history, drafts and search index."""
    drafting.forget(session.id)
    said = [entry.text for entry in session.entries if isinstance(entry, UserSaid)]

    def forget() -> None:
        past.forget([*said, *(f"/{text}" for text in said)])
        for ending in ("", "-journal", "-wal", "-shm"):  # the search index: it is made anew
            with contextlib.suppress(OSError):
                index.with_name(index.name + ending).unlink(missing_ok=True)

    await apart(forget)


async def _close(saver: Keeping, catalog: Catalog, also: Callable[[], None]) -> list[str]:
    unsaved = await apart(saver.close, CLOSE_PATIENCE)
    await apart(also)
    await let_go(catalog)
    return unsaved


def _table() -> Table:
    from chinwag.commands.builtin import TABLE

    return TABLE
