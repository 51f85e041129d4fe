"""`chat models`, `providers`, `keys`, `config`, `doctor`: what is there.

Invariants: the list goes to `stdout`, as aligned text or as JSON and nothing else; foreign text is
made safe for a terminal and left alone in JSON. Part of the roof: it names what wiring built.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from chinwag import wiring
from chinwag.commands.models import described
from chinwag.config import keyrings
from chinwag.config.keyfile import drop_key, fitting, keep_key
from chinwag.errors import ConfigError, UsageError
from chinwag.frontends.codes import ANSWERED, FAILED
from chinwag.printed import Flags, columns, json, out
from chinwag.printed import house as settle
from chinwag.text.safe import safe_line

# -- who can answer -------------------------------------------------------------------------------


def models(query: str, flags: Flags, config: str, *, as_json: bool, anew: bool = False) -> int:
    house = settle(flags, config)
    wanted = query.lower()
    listed = asyncio.run(_models(house, anew=anew))
    found = [m for m in listed if wanted in f"{m.provider}/{m.name}".lower()]
    _say_listing(house)
    if as_json:
        return json([_model_json(m) for m in found])
    if not found:
        more = "; --refresh asks every provider anew" if not anew else ""
        sys.stderr.write(f"no model is called like {safe_line(query)}{more}\n")
    columns([(f"{m.provider}/{m.name}", described(m.profile), m.detail) for m in found])
    return ANSWERED


def _model_json(info: Any) -> dict[str, Any]:
    """One model: always the same names, whatever is known of it."""
    own = {"id": f"{info.provider}/{info.name}", "provider": info.provider, "name": info.name}
    return own | {"detail": info.detail, "profile": msgspec.to_builtins(info.profile)}


async def _models(house: wiring.House, *, anew: bool) -> list[Any]:
    try:
        return await house.models(anew=anew)
    finally:
        await house.catalog.aclose()


def _say_listing(house: wiring.House) -> None:
    """Which lists are of an earlier time, and who could not be asked though he should answer."""
    told = house.listing
    keyed = house.key_places().keys() | house.settings.providers.keys()
    for name, why in told.silent.items():
        if name in keyed:
            sys.stderr.write(f"{safe_line(name)} cannot be asked now: {safe_line(why)}\n")
    if told.kept:
        first = datetime.fromtimestamp(min(told.kept.values()), UTC).astimezone()
        names = safe_line(", ".join(told.kept))
        sys.stderr.write(f"as {names} said on {first:%Y-%m-%d %H:%M}; --refresh asks again\n")


def providers(flags: Flags, config: str, *, as_json: bool) -> int:
    house = settle(flags, config)
    rows, keyed = house.catalog.rows(), house.key_places()
    if as_json:
        return json([{**msgspec.to_builtins(r), "key": keyed.get(r.name, "")} for r in rows])
    columns([(r.name, r.dialect, r.base_url, _key_state(r, keyed)) for r in rows])
    return ANSWERED


def _key_state(row: Any, keyed: Mapping[str, str]) -> str:
    if row.name in keyed:
        return f"key: {keyed[row.name]}"
    return "no key needed" if row.local else "no key"


# -- tools ---------------------------------------------------------------------------------------


def tools(flags: Flags, path: str, *, as_json: bool) -> int:
    tooling = settle(flags, path).tooling()
    rows, rules = list(tooling.listed()), tooling.rules("")
    if as_json:
        return json(
            {
                "tools": [
                    {
                        "name": spec.name,
                        "offered": on,
                        "risk": str(spec.risk),
                        "source": spec.source,
                        "always_asks": spec.always_ask,
                        "description": spec.description,
                        "schema": spec.schema,
                    }
                    for spec, on in rows
                ],
                "allow": [str(rule) for rule in rules.allow],
                "deny": [str(rule) for rule in rules.deny],
            }
        )
    columns([(s.name, "offered" if on else "off", str(s.risk), s.description) for s, on in rows])
    columns([("allowed", str(rule)) for rule in rules.allow])
    columns([("never", str(rule)) for rule in rules.deny])
    return ANSWERED


# -- keys -----------------------------------------------------------------------------------------


def keys(flags: Flags, path: str, *, as_json: bool) -> int:
    """Where each provider's key is, never what it is."""
    found = sorted(settle(flags, path).key_places().items())
    if as_json:
        return json([{"provider": name, "key": where} for name, where in found])
    if not found:
        sys.stderr.write("no key yet: chat keys set PROVIDER keeps one\n")
    columns(found)
    return ANSWERED


def set_key(provider: str, path: str, *, place: str = "") -> int:
    """Keep a key in the keyring where a real one answers, else in the file; ``place`` insists."""
    house = settle({}, path)
    house.catalog.row(provider)  # raises with near names where there is no such provider
    key = fitting(_typed_key(provider))
    where = _kept_in(house.places.keys_file, provider, key, place)
    sys.stderr.write(f"the key of {safe_line(provider)} is in {safe_line(where)}\n")
    return ANSWERED


def _kept_in(keys_file: Path, provider: str, key: str, place: str) -> str:
    """Keeps it, and lets go of what was kept elsewhere: one provider, one key."""
    if place != "file" and (place == "keyring" or keyrings.backend() is not None):
        try:
            name = keyrings.keep(keys_file, provider, key)
        except ConfigError as error:
            if place:
                raise
            sys.stderr.write(f"{safe_line(error.message)}\n")
        else:
            drop_key(keys_file, provider)
            return f"the system's keyring ({name})"
    keep_key(keys_file, provider, key)
    try:
        keyrings.drop(keys_file, provider)
    except ConfigError as error:
        sys.stderr.write(f"an older key is still there: {safe_line(error.message)}\n")
    return str(keys_file)


def _typed_key(provider: str) -> str:
    """From a prompt that does not echo, or from a pipe; never from the command line."""
    if sys.stdin is None:
        raise UsageError("there is nobody to type the key", hint="pipe it in, or use a terminal")
    if not sys.stdin.isatty():
        return sys.stdin.readline()
    from getpass import getpass

    try:
        return getpass(f"key of {safe_line(provider)} (not shown): ")
    except EOFError:
        return ""


def delete_key(provider: str, path: str) -> int:
    house = settle({}, path)
    keys_file = house.places.keys_file
    gone = [drop_key(keys_file, provider), keyrings.drop(keys_file, provider)]
    sys.stderr.write(f"{'deleted the' if any(gone) else 'there was no'} kept key of ")
    sys.stderr.write(f"{safe_line(provider)}{_still(house, provider)}\n")
    return ANSWERED if any(gone) else FAILED


def _still(house: wiring.House, provider: str) -> str:
    """Where a key of it is all the same, so that nobody believes it gone."""
    left = house.key_places().get(provider, "")
    return f"; one is still found by {safe_line(left)}" if left else ""


def keys_path(path: str) -> int:
    out(str(settle({}, path).places.keys_file))
    if (found := keyrings.backend()) is not None:
        name = safe_line(keyrings.name_of(found))
        sys.stderr.write(f"`chat keys set` uses the system's keyring ({name}) before this file\n")
    return ANSWERED
