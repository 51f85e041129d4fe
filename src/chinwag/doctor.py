"""`chat doctor`: what this machine has, and what is amiss. Part of the roof.

Invariants: as in `printed`. Nothing is started, nothing is changed, no server but those on loopback
is asked, no key is shown. What is amiss says what to do; a configuration that cannot be read is a
finding like another.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from typing import Final

from chinwag import __version__, mcp_shell, wiring
from chinwag.config.masking import masked
from chinwag.config.paths import is_open_to_others
from chinwag.errors import ChinwagError, ConfigError
from chinwag.frontends.codes import ANSWERED, FAILED, WRONG_USE
from chinwag.printed import Flags, columns, house, json
from chinwag.tools.mcp.spec import ServerSpec, check

Finding = tuple[str, str, bool]
"""What it is about, how it is, whether that is well."""

EXTRAS: Final = {"redis": "redis", "keyring": "keyring", "mcp": "mcp", "local": "xllamacpp"}
"""What can be installed beside, and the module it brings."""


def doctor(flags: Flags, path: str, *, as_json: bool) -> int:
    """Each finding: what, how it is, and whether that is well."""
    try:
        home = house(flags, path)
    except ConfigError as error:
        told = f"{_said(error)} `chat config edit` opens it."
        return _printed([("configuration", told, False)], as_json, WRONG_USE)
    return _printed(list(_findings(home)), as_json, FAILED)


def _printed(found: list[Finding], as_json: bool, code: int) -> int:  # noqa: FBT001 - a form
    if as_json:
        json([{"what": w, "is": text, "ok": ok} for w, text, ok in found])
    else:
        columns([("ok" if ok else "--", what, text) for what, text, ok in found])
    return ANSWERED if all(ok for _, _, ok in found) else code


def _said(error: ChinwagError) -> str:
    return f"{error.message} - {error.hint}" if error.hint else error.message


def _findings(home: wiring.House) -> Iterator[Finding]:
    where = home.places
    yield "version", f"chinwag {__version__}, Python {platform.python_version()}", True
    yield "configuration", _there(where.config_file.exists(), str(where.config_file)), True
    yield from _settings(home)
    yield "store", *_store(home)
    yield "sessions", *_closed_to_others(home)
    yield "may be written", *_writable(str(where.data))
    yield "open elsewhere", *_open_elsewhere(home)
    yield from _answering(home)
    yield from _tools(home)
    term = os.environ.get("TERM", "")
    yield "terminal", term or "unknown", True
    proxy = os.environ.get("HTTPS_PROXY") or os.environ.get("https_proxy") or "none"
    yield "proxy", str(masked("proxy", proxy)), True
    yield "extras", ", ".join(map(_extra, EXTRAS)), True


def _extra(name: str) -> str:
    there = importlib.util.find_spec(EXTRAS[name]) is not None
    return f"{name} {'is there' if there else 'is not installed'}"


def _there(is_there: bool, text: str) -> str:  # noqa: FBT001 - a word about a file
    return text if is_there else f"{text} (not there: defaults hold)"


# -- settings -------------------------------------------------------------------------------------


def _settings(home: wiring.House) -> Iterator[Finding]:
    """What can be read, and yet leads nowhere: a finding each, with where it stands."""
    faults = list(_faults(home))
    for where, said in faults:
        yield "settings", f"{where}: {said}", False
    for notice in home.loaded.notices:
        yield "settings", notice, False
    if not faults and not home.loaded.notices:
        yield "settings", "in order", True


def _faults(home: wiring.House) -> Iterator[tuple[str, str]]:
    from chinwag.frontends.tui import theme

    origin, settings = home.loaded.origin, home.settings
    yield from ((origin("theme"), said) for said in theme.faults(settings.theme))
    if settings.keys:
        from chinwag.frontends.tui import keys

        yield from ((origin(f"keys.{f.action}"), f.told) for f in keys.faults(settings.keys))
    for name, target in settings.aliases.items():
        try:
            home.catalog.find(target)
        except ChinwagError as error:
            yield origin(f"aliases.{name}"), f"{name} leads nowhere: {_said(error)}"
    try:
        home.check_tools()
    except ChinwagError as error:
        yield origin("tools"), _said(error)


# -- where talks are kept -------------------------------------------------------------------------


def _store(home: wiring.House) -> tuple[str, bool]:
    try:
        with home.store() as store:
            return str(masked("store", store.url)), True
    except ChinwagError as error:
        return _said(error), False


def _closed_to_others(home: wiring.House) -> tuple[str, bool]:
    folder = home.places.sessions
    if is_open_to_others(folder):
        return f"{folder} can be read by other accounts - chmod 700 {folder}", False
    return str(folder), True


def _writable(folder: str) -> tuple[str, bool]:
    above = folder
    while above and not os.path.exists(above):  # noqa: PTH110 - walking up plain text
        above = os.path.dirname(above)  # noqa: PTH120 - the same
    ok = os.access(above or "/", os.W_OK) and os.path.isdir(above or "/")  # noqa: PTH112 - the same
    return (folder, True) if ok else (f"{folder} cannot be written - --data-dir names another", ok)


def _open_elsewhere(home: wiring.House) -> tuple[str, bool]:
    """Which sessions other programs write just now."""
    try:
        with home.store() as store:
            found = [f"{session}: {who}" for session, who in store.writers()]
    except ChinwagError as error:
        return _said(error), False
    return "; ".join(found) or "no session", True


# -- who answers ----------------------------------------------------------------------------------


def _answering(home: wiring.House) -> Iterator[Finding]:
    servers = asyncio.run(_servers(home))
    try:
        chosen = home.choice or home.found_choice() or next(iter(servers), ("guide", "guide"))
        problem = asyncio.run(home.problem(chosen[0]))
        text = f"{chosen[0]}/{chosen[1]}" if chosen[1] else f"what {chosen[0]} offers first"
        yield "model", f"{text}: {_said(problem)}" if problem else text, problem is None
    except ChinwagError as error:
        yield "model", _said(error), False
    yield "keys found for", ", ".join(home.key_places()) or "nobody", True
    told = [f"{name} with {model} at {address}" for (name, model), address in servers.items()]
    yield "local servers", ", ".join(told) or "none answers", True


async def _servers(home: wiring.House) -> dict[tuple[str, str], str]:
    """(provider, first model) of each server on this machine, and its address."""
    return {(s.provider, s.models[0]): s.address for s in await home.discover()}


# -- tools ----------------------------------------------------------------------------------------


def _tools(home: wiring.House) -> Iterator[Finding]:
    from chinwag.tools.sandbox import Sandbox, describe

    yield "tools", describe(Sandbox.found()), True
    known = mcp_shell.known(home)
    if not known:
        yield "MCP servers", "none", True
    for spec, approved in known:
        yield f"MCP {spec.name}", *_server(spec, approved=approved)


def _server(spec: ServerSpec, *, approved: bool) -> tuple[str, bool]:
    """Not started: whether it could be, and may."""
    try:
        check(spec)
    except ChinwagError as error:
        return _said(error), False
    if spec.command and shutil.which(spec.command[0]) is None:
        hint = "install it, or write the whole path of it in the configuration"
        return f"there is no program {spec.command[0]} - {hint}", False
    where = str(masked("url", spec.where))
    if not approved:
        return f"{where}, not approved yet - chat mcp test {spec.name} shows it", True
    return f"{where}, approved", True
