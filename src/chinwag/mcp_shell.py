"""`chat mcp add|list|remove|test`: servers of tools, from the shell. Part of the roof.

Invariants: as in `printed`. What is added is shown whole before it is written down, and is not
approved by that unless somebody says yes to it here; the configuration keeps every line that is not
about this server. `test` starts only what was approved, or what somebody says yes to.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from chinwag import served, wiring
from chinwag.config.approved import OwnFile
from chinwag.config.private import write_private
from chinwag.config.settings import ServerSettings
from chinwag.config.tables import added, removed
from chinwag.errors import ChinwagError, ConfigError, UsageError, reason_of
from chinwag.frontends.codes import ANSWERED, FAILED
from chinwag.printed import agreed, columns, house, json, out, plural, tell, tell_error
from chinwag.tools.mcp.keeper import State, Status
from chinwag.tools.mcp.pins import may_run, read, with_pin, written
from chinwag.tools.mcp.servers import Servers
from chinwag.tools.mcp.spec import ServerSpec, check, said

SECONDS: Final = 120.0
"""How long `test` waits for a server: some are fetched first."""


def add(
    name: str, words: Sequence[str], path: str, *, env: Sequence[str], key: str, folder: str
) -> int:
    """Write a server into the configuration. Raises ConfigError, UsageError."""
    home = house({}, path)
    own = _settings(words, env, key, folder)
    spec = check(served.spec_of(name, own))
    told = msgspec.json.decode(msgspec.json.encode(own))
    plain = {n: v for n, v in told.items() if v not in (None, [], {})}
    file = home.places.config_file
    _rewrite(file, added(_text(file), ("mcp", name), plain))
    tell(said(spec))
    tell(f"added to {file}; nothing of it runs before you say yes: chat mcp test {name}, or /mcp")
    return ANSWERED


def _settings(words: Sequence[str], env: Sequence[str], key: str, folder: str) -> ServerSettings:
    if not words:
        hint = "chat mcp add NAME -- COMMAND…, or chat mcp add NAME https://…"
        raise UsageError("what is to be added is missing", hint=hint)
    is_url = len(words) == 1 and words[0].startswith(("http://", "https://"))
    return ServerSettings(
        command=() if is_url else tuple(words),
        url=words[0] if is_url else None,
        folder=folder or None,
        env=dict(_variable(each) for each in env),
        key=key or None,
    )


def _variable(text: str) -> tuple[str, str]:
    """NAME=VALUE; a bare NAME is passed on from the environment, so that no key is written down."""
    name, equals, value = text.partition("=")
    if not name:
        raise UsageError(f"{text!r} is not NAME or NAME=VALUE", hint="--env TOKEN, or --env A=b")
    return name, value if equals else f"env:{name}"


def remove(name: str, path: str) -> int:
    """Take a server out of the configuration, and what was approved of it."""
    home = house({}, path)
    _there(home, name)
    file = home.places.config_file
    _rewrite(file, removed(_text(file), ("mcp", name)))
    approved = OwnFile(home.places.mcp_approved)
    book = read(approved.read())
    if name in book.servers:
        approved.write(written(with_pin(book, name, None)))
    tell(f"{name} is removed from {file}")
    return ANSWERED


def _there(home: wiring.House, name: str) -> ServerSpec:
    """The server of that name. Raises ConfigError with near names."""
    from chinwag.errors import nearest

    own = home.settings.mcp
    if name not in own:
        near = nearest(name, own) or tuple(own)
        hint = f"there is {', '.join(near)}" if near else "chat mcp add NAME -- COMMAND…"
        raise ConfigError(f"there is no MCP server {name!r}", hint=hint)
    return served.spec_of(name, own[name])


def _text(file: Any) -> str:
    try:
        return str(file.read_bytes().decode())  # its line ends as they are
    except FileNotFoundError:
        return ""


def _rewrite(file: Any, text: str) -> None:
    """A link to the file stays one: what it leads to is replaced."""
    try:
        write_private(file.resolve(), text.encode())
    except OSError as error:
        reason = reason_of(error)
        raise ConfigError(f"cannot be written: {reason}", where=str(file)) from error


def list_(path: str, *, as_json: bool) -> int:
    """Every server of the configuration, and whether it was approved; none is started."""
    there = known(house({}, path))
    if as_json:
        return json([_plain(spec, approved=yes) for spec, yes in there])
    if not there:
        tell("no MCP server yet: chat mcp add NAME -- COMMAND…")
    columns([(s.name, "approved" if yes else "not approved", s.where) for s, yes in there])
    return ANSWERED


def known(home: wiring.House) -> list[tuple[ServerSpec, bool]]:
    """Every server of the configuration by name, and whether it was approved as it is now."""
    book = read(OwnFile(home.places.mcp_approved).read())
    specs = [served.spec_of(name, own) for name, own in sorted(home.settings.mcp.items())]
    return [(spec, may_run(book.servers.get(spec.name), said(spec))) for spec in specs]


def _plain(spec: ServerSpec, *, approved: bool) -> dict[str, Any]:
    """For programs; of its variables the names alone."""
    plain = msgspec.to_builtins(spec) | {"env": sorted(spec.env), "approved": approved}
    return {name: value for name, value in plain.items() if value not in (None, "", (), [])}


# -- trying one -----------------------------------------------------------------------------------


def try_one(name: str, path: str, *, as_json: bool, yes: bool) -> int:
    """Start it, say what it offers and how long that took, end it."""
    home = house({}, path)
    spec = _there(home, name)
    one = msgspec.structs.replace(home.settings, mcp={name: home.settings.mcp[name]})
    made = served.servers(one, home.places, home.environ)
    return asyncio.run(_tried(made, spec, as_json=as_json, yes=yes))


async def _tried(made: Servers, spec: ServerSpec, *, as_json: bool, yes: bool) -> int:
    try:
        await served.looked_at(made, SECONDS)
        began = time.monotonic()
        while (status := made.status(spec.name)).question.digest:
            if not await _agreed(status, yes=yes):
                tell(f"{spec.name} is not approved, and was not started")
                return FAILED
            await made.approve(spec.name, status.question.digest)
            began = time.monotonic()
            await made.moved_on(spec.name, status, SECONDS)
        if status.state is not State.READY:
            await made.settled(max(0.0, SECONDS - (time.monotonic() - began)))
        return _told(made.status(spec.name), as_json=as_json)
    except UsageError:
        raise
    except ChinwagError as error:
        tell_error(error)
        return FAILED
    finally:
        await made.close()


async def _agreed(status: Status, *, yes: bool) -> bool:
    tell(f"{status.question.sentence}:\n{status.question.text}")
    if yes:
        return True
    what = "Run it with your rights?" if status.state is State.UNAPPROVED else "Offer these?"
    return await asyncio.to_thread(agreed, what, flag="--yes")


def _told(status: Status, *, as_json: bool) -> int:
    ready = status.state is State.READY
    if as_json:
        json(_report(status))
        return ANSWERED if ready else FAILED
    if not ready:
        tell(f"{status.name}: {status.state}{f', because {status.why}' if status.why else ''}")
        return FAILED
    count = plural(len(status.offered), "tool")
    out(f"{status.name}: ready after {status.seconds * 1000:,.0f} ms, {count}")
    tell(status.software)
    columns([(n, _first_line(d.description)) for n, d in sorted(status.offered.items())])
    for text in status.withheld:
        tell(text)
    return ANSWERED


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:100]


def _report(status: Status) -> dict[str, Any]:
    return {
        "server": status.name,
        "state": str(status.state),
        "why": status.why,
        "milliseconds": round(status.seconds * 1000, 1),
        "software": status.software,
        "tools": [
            {"name": n, "description": d.description, "schema": d.schema}
            for n, d in sorted(status.offered.items())
        ],
        "withheld": list(status.withheld),
        "resources": [msgspec.to_builtins(r) for r in status.resources],
        "prompts": [msgspec.to_builtins(p) for p in status.prompts],
    }
