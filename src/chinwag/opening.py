"""How a run begins: which session is in front, who answers in it.

Invariants: what the command line asked for holds for a session that was there before, too; a local
server is taken only where nobody said who answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from chinwag.engine.conversation import Conversation
from chinwag.errors import ModelUnknown
from chinwag.providers.base import Provider
from chinwag.stores.base import resolve
from chinwag.stores.haste import no_collecting
from chinwag.talk.event import Ear, Notice


class Opening(msgspec.Struct, frozen=True):
    """Which session to begin with: nothing set means a new, unnamed one.

    ``name`` opens or begins, ``resume`` must exist, ``latest`` is the one used last, ``pick`` asks,
    ``fork`` goes on in a copy. ``choice``, ``system`` and ``options`` were asked for on the command
    line: they hold for a resumed session too.
    """

    name: str = ""
    resume: str = ""
    latest: bool = False
    pick: bool = False
    fork: bool = False
    choice: tuple[str, str] | None = None
    system: str | None = None
    options: dict[str, Any] = {}


class Found(msgspec.Struct, frozen=True):
    """A local server that answered: its provider name and models, the first one preferred."""

    provider: str
    address: str
    models: tuple[str, ...]


Discover = Callable[[], Awaitable[Sequence[Found]]]


async def open_asked(conversation: Conversation, opening: Opening, hear: Ear) -> None:
    """Open, begin or fork what was asked for by name, or the session used last.

    Raises SessionNotFound with near names, StoreError's family.
    """
    wanted = opening.resume or opening.name
    headers = await conversation.kept()
    if opening.latest:
        found = next((h for h in headers if not h.damaged), None)
        if found is None:
            hear(Notice("there is no earlier session: this is a new one"))
            return
    elif opening.name and not any(h.is_called(wanted) for h in headers):
        await conversation.begin(hear, opening.name)
        return
    else:
        found = resolve(wanted, headers)
    if conversation.private:  # nothing is written there: not even that it is open
        await conversation.borrow(found.id, hear)
        hear(Notice(f"private: what is said from here on is not kept in {found.name}"))
        return
    if opening.fork:
        await conversation.fork_of(found.id, hear)
        return
    with no_collecting():
        await conversation.open(found.id, hear)


async def as_asked(conversation: Conversation, opening: Opening, hear: Ear) -> None:
    """What the command line asked for holds for the session that was opened, too."""
    conversation.overrides = opening.options
    if opening.system is not None and conversation.system != opening.system:
        conversation.set_system(opening.system, hear)
    defaults = conversation.defaults
    if not defaults.model:
        defaults.model = await _first_model(conversation, defaults.provider)
    if opening.choice is not None:
        provider, model = opening.choice
        model = model or await _first_model(conversation, provider)
        if conversation.choice != (provider, model):
            conversation.choose(provider, model, hear)


async def _first_model(conversation: Conversation, provider: str) -> str:
    named = f"-m {provider}/MODEL"
    return await first_model(conversation.provider(provider), named)


async def first_model(provider: Provider, named: str) -> str:
    """What a server offers first, where only the provider was named; ``named`` shows how one says
    more. Raises ModelUnknown, ProviderError's family."""
    models = await provider.models()
    if not models:
        raise ModelUnknown(f"{provider.name} offers no model now", hint=f"name one: {named}")
    return models[0].name


async def look_round(conversation: Conversation, discover: Discover, hear: Ear) -> None:
    """Where nobody said which model answers, a local server that is there does."""
    found = await discover()
    if not found or conversation.session.provider:
        return
    first = found[0]
    defaults = conversation.defaults
    defaults.provider, defaults.model = first.provider, first.models[0]
    more = f" and {len(first.models) - 1} more" if len(first.models) > 1 else ""
    hear(Notice(f"found {first.provider} at {first.address}: {first.models[0]}{more}"))
