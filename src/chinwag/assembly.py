"""A conversation and what it stands on, put together: one recipe, for the desk and for programs.

Invariants: everything comes in as a value. Nothing here reads a setting, a file of ours or the
environment, nothing is opened or asked, and no store or transport is named: the same values make
the same conversation, whoever gives them.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chinwag.context.pricing import UNKNOWN, Bill, Price
from chinwag.engine.budget import Budget, Purse, Spent
from chinwag.engine.conversation import Conversation
from chinwag.engine.promises import Keeper, Meter
from chinwag.engine.room import Rules
from chinwag.engine.sending import Defaults
from chinwag.errors import ChinwagError, ProviderError
from chinwag.providers.base import Profile
from chinwag.providers.catalog import Catalog
from chinwag.providers.knowing import Knowing
from chinwag.providers.retry import with_retries

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling
    from chinwag.stores.warmth import WarmFolder


def assembled(
    *,
    catalog: Catalog,
    keeper: Keeper,
    meter: Meter,
    defaults: Defaults,
    rules: Rules,
    fallback: Sequence[str] = (),
    budget: Budget | None = None,
    spent: Spent = lambda *_: None,
    tooling: Tooling | None = None,
    warm: Path | None = None,
) -> tuple[Conversation, Bill]:
    """A conversation, and what says what a session cost by the same prices as its purse.

    ``spent`` hears of every answer that cost something. ``warm`` is the folder for records of what
    servers keep of talks; without one they last as long as the conversation.
    """
    knowing = Knowing(catalog)
    conversation = Conversation(
        directory=catalog,
        keeper=keeper,
        meter=meter,
        defaults=defaults,
        retrying=with_retries,
        knowledge=knowing,
        fallback=fallback,
        rules=rules,
        snapshots=partial(snapshots, warm) if warm is not None else None,
    )
    price = partial(_price, knowing, conversation)
    conversation.purse = Purse(price, budget, spent)
    if tooling is not None:
        conversation.use(tooling)
    return conversation, Bill(price)


def _price(knowing: Knowing, conversation: Conversation, provider: str, model: str) -> Price | None:
    """What a model costs, as far as is known by now; None where nobody asks for money."""
    known = conversation.known(provider, model)
    if not known.is_priced and knowing.terms(provider).local:
        return None
    return price_of(known)


def price_of(known: Profile) -> Price:
    """What a model costs; UNKNOWN where nobody has said."""
    if not known.is_priced:
        return UNKNOWN
    long, more = known.long_prompt, None
    if long is not None:
        more = Price(long.price_input, long.price_output, long.price_cached, long.price_written)
    return Price(
        input=known.price_input,
        output=known.price_output,
        cached=known.price_cached,
        written=known.price_written,
        long_from=long.tokens if long else None,
        long=more,
    )


def snapshots(folder: Path) -> WarmFolder:
    """Records of what servers keep of sessions."""
    from chinwag.stores.warmth import WarmFolder

    return WarmFolder(folder)


def named(catalog: Catalog, text: str) -> tuple[str, str]:
    """(provider, model) for what somebody named; an empty model is still to be asked for.

    Raises ConfigError or ModelUnknown with near names.
    """
    name = text.lower()
    return (name, default_model(catalog, name)) if name in catalog.names else catalog.find(text)


def default_model(catalog: Catalog, provider: str) -> str:
    """The model a provider's name alone means; "" where its server must be asked."""
    try:
        return catalog.find(provider)[1]
    except ChinwagError:
        return ""


def found_choice(catalog: Catalog, kept: Container[str]) -> tuple[str, str] | None:
    """The first provider whose key is in the environment, else the first of those with a key
    ``kept`` on this machine, and its default model."""
    if found := catalog.default():
        return found
    names = (name for name in catalog.names if name in kept)
    return next(((n, m) for n in names if (m := default_model(catalog, n))), None)


async def let_go(catalog: Catalog) -> None:
    """Close every connection."""
    try:
        await catalog.aclose()
    except ProviderError:
        pass  # a connection that cannot be closed is gone already
