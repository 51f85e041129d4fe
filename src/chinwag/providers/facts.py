"""What is known of models that no server tells: windows, prices, abilities, from a dated snapshot.

Invariants: nobody's guess. A fact the snapshot does not hold is None; a price is given only for
the service that asks it, never for a gateway to the same model; the snapshot's limit is that of a
prompt and is called so (``max_input``). It is unpacked when it is first asked for (about 2 ms) and
looked up in memory from then on. See facts.ORIGIN.md for where it comes from.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

import msgspec

from chinwag.providers.base import LongPrompt, Profile

FILE: Final = Path(__file__).with_name("facts.json.z")
UNKNOWN: Final = Profile()

#: How gateways write the makers of models, and the service of the snapshot that is theirs.
_MAKERS: Final = {
    "openai": "openai",
    "anthropic": "anthropic",
    "google": "gemini",
    "gemini": "gemini",
    "mistralai": "mistral",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "deepseek-ai": "deepseek",
    "x-ai": "xai",
    "xai": "xai",
    "z-ai": "zai",
    "zai-org": "zai",
    "moonshotai": "moonshot",
    "qwen": "dashscope",
    "minimax": "minimax",
}
_DATED: Final = r"[-@](?:20\d\d-?[01]\d-?[0-3]\d|latest)\Z"


class Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One model. ``can`` names abilities by letters, `-` before one that it lacks."""

    max_input: int | None = None
    max_output: int | None = None
    can: str | None = None
    price_input: float | None = None
    price_output: float | None = None
    price_cached: float | None = None
    price_written: float | None = None
    long_tokens: int | None = None
    long_input: float | None = None
    long_output: float | None = None
    long_cached: float | None = None
    long_written: float | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """Rows by service and model; ``as_of`` is the day they are true for, YYYY-MM-DD."""

    as_of: str = ""
    source: str = ""
    services: dict[str, dict[str, Row]] = {}


@cache
def snapshot() -> Snapshot:
    """The facts that travel with the program; none where an installation has lost them."""
    try:
        packed = FILE.read_bytes()
        return msgspec.json.decode(zlib.decompress(packed), type=Snapshot)
    except (OSError, zlib.error, ValueError):
        return Snapshot()


@lru_cache(maxsize=1024)
def facts(provider: str, model: str) -> Profile:
    """What the snapshot knows of ``provider``'s ``model``; an empty profile for a stranger.

    Dates at the end of a name, `-latest`, a variant (`:free`) and the prefix of a maker may be
    there or not. Through a service of another name a model is as able as at its maker's, but what
    it costs there is not known.
    """
    services = snapshot().services
    if own := services.get(provider):
        row = _row(own, model)
        return UNKNOWN if row is None else _profile(row)
    for maker in _makers(model):
        if (row := _row(services.get(maker, {}), model)) is not None:
            return _without_prices(_profile(row))
    return UNKNOWN


def _makers(model: str) -> Iterator[str]:
    """The service whose model it is: by its prefix, or any of them where it has none."""
    head, slash, _ = model.lower().rpartition("/")
    if not slash:
        yield from dict.fromkeys(_MAKERS.values())
    elif maker := _MAKERS.get(head.rpartition("/")[2]):
        yield maker


def _row(rows: dict[str, Row], model: str) -> Row | None:
    for name in _spellings(model):
        if name in rows:
            return rows[name]
    wanted = {_plain(name) for name in _spellings(model)}
    return next((row for name, row in rows.items() if _plain(name) in wanted), None)


def _spellings(model: str) -> Iterator[str]:
    """The name as it is, then with less and less around it."""
    yield model
    yield (bare := model.partition(":")[0])
    yield re.sub(_DATED, "", bare)
    if "/" in bare:
        yield from _spellings(bare.rpartition("/")[2])


def _plain(name: str) -> str:
    return name.lower().replace(".", "-")


def _profile(row: Row) -> Profile:
    return Profile(
        max_input=row.max_input,
        max_output=row.max_output,
        sees=_able(row, "v"),
        thinks=_able(row, "r"),
        tools=_able(row, "t"),
        price_input=row.price_input,
        price_output=row.price_output,
        price_cached=row.price_cached,
        price_written=row.price_written,
        long_prompt=_long(row),
    )


def _able(row: Row, letter: str) -> bool | None:
    can = row.can or ""
    return None if letter not in can else f"-{letter}" not in can


def _long(row: Row) -> LongPrompt | None:
    if row.long_tokens is None:
        return None
    return LongPrompt(
        row.long_tokens, row.long_input, row.long_output, row.long_cached, row.long_written
    )


def _without_prices(profile: Profile) -> Profile:
    return msgspec.structs.replace(
        profile,
        price_input=None,
        price_output=None,
        price_cached=None,
        price_written=None,
        long_prompt=None,
    )
