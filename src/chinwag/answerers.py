"""Who can answer in this run, from settings, keys and servers. Part of the roof.

Invariants: a key is looked up when a request needs it, and lives nowhere else; no server is asked
but by `models`, which leaves out those that are slow or dead, and by the look round on loopback.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from chinwag.assembly import default_model, found_choice, named
from chinwag.config import secrets
from chinwag.config.paths import Places
from chinwag.config.private import keep_if_possible, read_or_nothing
from chinwag.config.settings import ModelFacts, ProviderSettings, Settings
from chinwag.errors import ChinwagError
from chinwag.opening import Found
from chinwag.providers.base import ModelInfo, Profile, Provider
from chinwag.providers.catalog import Catalog, Row
from chinwag.providers.knowing import Knowing

if TYPE_CHECKING:
    from chinwag.providers.listing import Found as ModelsFound
    from chinwag.providers.listing import Listing


class Answerers:
    """See the module. ``environ`` and ``flags`` (names of settings) are those of this run."""

    def __init__(
        self, settings: Settings, where: Places, environ: Mapping[str, str], flags: set[str]
    ) -> None:
        self.settings = settings
        self.places = where
        self.environ = environ
        self._flags = flags
        self.catalog = self._catalog()
        self._knowing = Knowing(self.catalog)
        self._found: ModelsFound | None = None

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

    # -- who was asked for --------------------------------------------------------------------

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
        return named(self.catalog, model) if model else None

    def _model_of(self, provider: str, model: str | None) -> str:
        """The model meant beside a provider: one configured for another is not."""
        head, _, rest = (model or "").partition("/")
        if head == provider and rest:
            return rest
        said_together = "model" in self._flags or "provider" not in self._flags
        return model if model and said_together else default_model(self.catalog, provider)

    @property
    def asked_choice(self) -> tuple[str, str] | None:
        """The same, where the command line itself said so."""
        return self.choice if self._flags & {"model", "provider"} else None

    def found_choice(self) -> tuple[str, str] | None:
        """The first provider whose key is in the environment, else in the key file; else the first
        that the person has described and that wants no key."""
        return found_choice(self.catalog, self._kept_keys()) or self._described()

    def _described(self) -> tuple[str, str] | None:
        free = ((n, p) for n, p in self._own() if p.base_url and p.key in {None, "none"})
        return next(((name, own.models[0]) for name, own in free if own.models), None)

    def _nobody_said(self) -> bool:
        return self.choice is None and self.found_choice() is None

    # -- keys ---------------------------------------------------------------------------------

    def _find_key(self, spec: str) -> str | None:
        """The key a spec names; without one in the configuration, the key file's."""
        own = self.settings.providers.items()
        name = next((n for n, p in own if p.key == spec), None)
        if name is None:
            keys_file = self.places.keys_file
            return secrets.value_of(spec, environ=self.environ, keys_file=keys_file)
        found = secrets.find_key(name, spec=spec, environ=self.environ)
        return found.reveal() if found else None

    def _kept_keys(self) -> Mapping[str, str]:
        """Provider to where its kept key is; no keyring is asked."""
        return secrets.kept(self.places.keys_file)

    def key_places(self) -> dict[str, str]:
        """Provider to where its key is, for those that have one."""
        return dict(self._kept_keys()) | {
            row.name: row.key for row in self.catalog.rows() if row.key
        }

    # -- before the first request -------------------------------------------------------------

    async def problem(self, provider: str) -> ChinwagError | None:
        """Why a provider cannot answer now; its key is looked for, no server is asked."""
        try:
            asked = self.catalog.provider(provider)
            check = getattr(asked, "check", None)  # only an endpoint has a key to miss
            if check is not None:
                await check()
        except ChinwagError as error:
            return error
        return None

    async def plain_problem(self, provider: str) -> ChinwagError | None:
        """The same, unasked: no command is run for it, and no keyring wants to be opened."""
        own = self.settings.providers.get(provider)
        if own is not None and (own.key or "").startswith(("cmd:", "keyring:")):
            return None
        return await self.problem(provider)

    async def discover(self) -> Sequence[Found]:
        from chinwag.providers import discovery

        servers = await discovery.discover(self.environ)
        for server in servers:
            self.catalog.learn(server.name, server.models)
        return [Found(s.name, s.base_url, s.models) for s in servers if s.models]

    # -- models -------------------------------------------------------------------------------

    async def models(self, *, anew: bool = False) -> list[ModelInfo]:
        """What every provider that can be reached offers; slow and dead ones are left out.

        Lists of the last day stand for servers elsewhere unless ``anew``; ``listing`` says so.
        """
        own = {n: tuple(ModelInfo(n, m) for m in p.models) for n, p in self._own() if p.models}
        addresses = {n: url for n, url in self._reachable().items() if n not in own}
        self._found = found = await self._listing().find(addresses, anew=anew)
        for name, models in own.items():
            self.catalog.learn(name, [info.name for info in models])
        configured = (info for models in own.values() for info in models)
        return [self._completed(info) for info in (*configured, *found.models)]

    def _own(self) -> Iterable[tuple[str, ProviderSettings]]:
        return self.settings.providers.items()

    @property
    def listing(self) -> ModelsFound:
        """Of the models that were named last: which lists are older ones, who was silent."""
        from chinwag.providers.listing import Found

        return self._found or Found()

    def _listing(self) -> Listing:
        from chinwag.providers.listing import Listing

        private = self.settings.private
        return Listing(
            self.catalog,
            load=partial(read_or_nothing, self.places.models),
            save=(lambda _: None) if private else partial(keep_if_possible, self.places.models),
            is_here=lambda name: self._knowing.terms(name).local,
        )

    def _reachable(self) -> dict[str, str]:
        """Name to address of whom it makes sense to ask: on this machine, or with a key."""
        keyed = self.key_places().keys() | self.settings.providers.keys()
        rows = self.catalog.rows()
        return {row.name: row.base_url for row in rows if row.local or row.name in keyed}

    def _completed(self, info: ModelInfo) -> ModelInfo:
        profile = self._knowing.profile(info.provider, info.name, info.profile)
        return ModelInfo(info.provider, info.name, profile, info.detail)


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
        facts={model: profile_of(facts) for model, facts in own.facts.items()},
    )


def profile_of(facts: ModelFacts) -> Profile:
    """The same, as the engine knows it: the two rooms are strangers to each other."""
    return Profile(**{name: getattr(facts, name) for name in facts.__struct_fields__})
