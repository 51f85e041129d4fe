"""Commands about MCP servers: what is there, what was approved, what they have to give.

Invariants: nobody approves what was not shown: a yes names the digest of the text it is about.
What a server says is foreign text: it is shown in a fence it cannot close, or escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from chinwag.commands.bench import Bench
from chinwag.commands.table import MCP_VERBS, Command, Group, Kind
from chinwag.commands.words import escaped, fence, first_words, plural, say, table
from chinwag.errors import CommandError, UsageWrong, nearest
from chinwag.talk.event import Choice, DraftOffered, Ear, Offered, Page
from chinwag.talk.message import AnyPart

if TYPE_CHECKING:
    from chinwag.tools.mcp.keeper import Status
    from chinwag.tools.mcp.servers import Servers

USAGE: Final = "/mcp [NAME|approve NAME|restart NAME|log NAME|prompt NAME PROMPT [KEY=VALUE]…]"


#: Seconds that a question about a server that is just starting waits for it.
_PATIENCE: Final = 5.0


async def mcp(bench: Bench, words: list[str], hear: Ear) -> None:
    servers = _servers(bench)
    match words:
        case []:
            _list(servers, hear)
        case ["approve", name]:
            _ask(await servers.ready(name, _PATIENCE), hear)
        case ["approve", name, digest]:
            say(hear, await servers.approve(name, digest))
        case ["restart", name]:
            await servers.restart(name)
            say(hear, f"MCP server {name} is started again")
        case ["log", name]:
            _log(name, await servers.log(name), hear)
        case ["prompt", name]:
            _prompts(servers.status(name), hear)
        case ["prompt", name, prompt, *values]:
            await _prompt(servers, name, prompt, values, hear)
        case [name] if name not in dict(MCP_VERBS):
            hear(Page(f"MCP server {name}", _details(servers.status(name))))
        case _:
            raise UsageWrong("that is not how /mcp is used", usage=USAGE)


def _servers(bench: Bench) -> Servers:
    if bench.servers is None:
        raise CommandError(
            "no MCP server is configured", hint="in a shell: chat mcp add NAME -- COMMAND…"
        )
    return bench.servers


def _list(servers: Servers, hear: Ear) -> None:
    rows = [
        (f"`{s.name}`", _state(s), plural(len(s.offered), "tool"), escaped(first_words(s.where)))
        for s in servers.statuses()
    ]
    text = table(("server", "now", "offers", "what it is"), rows)
    hear(Page("MCP servers", f"{text}\n\n`/mcp NAME` says more of one."))


def _state(status: Status) -> str:
    more = first_words(status.why, 80) or ("its tools are others now" if _waits(status) else "")
    return escaped(f"{status.state}: {more}" if more else str(status.state))


def _waits(status: Status) -> bool:
    return bool(status.question.digest) and status.state.value != "not approved"


def _details(status: Status) -> str:
    parts = [f"{_state(status)}", fence(status.where)]
    if status.software:
        parts.append(escaped(f"{status.software}; ready after {status.seconds:.1f} s"))
    if status.question.digest:
        parts.append(f"{escaped(status.question.sentence)}: `/mcp approve {status.name}`")
    for name, definition in sorted(status.offered.items()):
        told = definition.description or definition.title or "(it says nothing about itself)"
        parts.append(f"`{name}`\n\n{fence(told)}")
    parts += [f"- {escaped(text)}" for text in status.withheld]
    parts += _gives(status)
    return "\n\n".join(parts)


def _gives(status: Status) -> Iterator[str]:
    if status.resources:
        yield f"Resources: write `@{status.name}:URI` in a message."
        yield "\n".join(
            f"- {escaped(r.uri)} {escaped(first_words(r.name))}" for r in status.resources[:100]
        )
    if status.prompts:
        yield f"Prompts: `/mcp prompt {status.name} NAME`."
        yield "\n".join(
            f"- {escaped(p.name)} {escaped(first_words(p.description))}"
            for p in status.prompts[:100]
        )


def _ask(status: Status, hear: Ear) -> None:
    asked = status.question
    if not asked.digest and status.state.value == "starting":
        say(hear, f"{status.name} is still starting: ask again when it is there")
        return
    if not asked.digest:
        say(hear, f"there is nothing to approve about {status.name}")
        return
    hear(Page(asked.sentence, fence(asked.text)))
    new = status.state.value == "not approved"
    yes = "Allow: run it with my rights" if new else "Allow: offer these tools"
    if status.where.startswith(("http://", "https://")) and new:
        yes = "Allow: ask this address"
    hear(
        Offered(
            f"{asked.sentence}; what it is stands above",
            (
                Choice("Not now", f"/mcp {status.name}", "nothing of it is started or offered"),
                Choice(yes, f"/mcp approve {status.name} {asked.digest}", asked.digest),
            ),
        )
    )


def _log(name: str, text: str, hear: Ear) -> None:
    if not text.strip():
        say(hear, f"MCP server {name} has said nothing beside its answers")
        return
    hear(Page(f"What MCP server {name} said", fence(text.strip("\n"))))


def _prompts(status: Status, hear: Ear) -> None:
    if not status.prompts:
        say(hear, f"MCP server {status.name} has no prompts")
        return
    choices = tuple(
        Choice(
            p.name,
            f"/mcp prompt {status.name} {p.name}",
            " ".join([*(f"{n}=…" for n, _ in p.arguments), first_words(p.description)]),
        )
        for p in status.prompts[:100]
    )
    hear(Offered(f"Prompts of {status.name}", choices))


async def _prompt(
    servers: Servers, name: str, prompt: str, values: Sequence[str], hear: Ear
) -> None:
    status = servers.status(name)
    known = {p.name: p for p in status.prompts}
    if known and prompt not in known:
        near = nearest(prompt, known) or tuple(known)
        said = f"{name} has no prompt {prompt!r}"
        raise CommandError(said, hint=f"it has {', '.join(near[:5])}")
    arguments = dict(_pair(value) for value in values)
    needed = [n for n, must in known[prompt].arguments if must] if known else []
    if missing := [n for n in needed if n not in arguments]:
        usage = f"/mcp prompt {name} {prompt} " + " ".join(f"{n}=…" for n in needed)
        raise UsageWrong(f"{prompt} needs {', '.join(missing)}", usage=usage)
    text = await servers.prompt(name, prompt, arguments)
    hear(DraftOffered(text))
    say(hear, f"the prompt {prompt} of {name} is in the input: look it over, then send it")


def _pair(value: str) -> tuple[str, str]:
    name, equals, rest = value.partition("=")
    if not equals:
        raise UsageWrong(f"{value!r} is not KEY=VALUE", usage=USAGE)
    return name, rest


# -- resources in a message -----------------------------------------------------------------------

_MENTION: Final = re.compile(r"(?<!\S)@([A-Za-z][A-Za-z0-9-]{0,31}):(\S+)")
_AFTER: Final = ".,;:!?)]}'\""


def mentioned(text: str, statuses: Sequence[Status]) -> list[tuple[str, str]]:
    """The resources (server, URI) that a message names as ``@server:URI``, each once."""
    known = {s.name: {r.uri for r in s.resources} for s in statuses}
    found: dict[tuple[str, str], None] = {}
    for server, uri in _MENTION.findall(text):
        if server in known:
            bare = uri.rstrip(_AFTER)
            found[server, uri if uri in known[server] or not bare else bare] = None
    return list(found)


async def brought(servers: Servers, text: str) -> list[AnyPart]:
    """What a message names, as parts of it. Raises ToolError, or UsageError."""
    named = mentioned(text, servers.statuses())
    return [part for server, uri in named for part in await servers.attached(server, uri)]


def resources(statuses: Sequence[Status], typed: str) -> Iterator[tuple[str, str]]:
    """``@server:URI`` that begin with ``typed`` or whose name holds it, with their names."""
    wanted = typed.removeprefix("@").lower()
    for status in statuses:
        for resource in status.resources:
            word = f"{status.name}:{resource.uri}"
            server, colon, rest = wanted.partition(":")
            named = colon and server == status.name.lower() and rest in resource.name.lower()
            if word.lower().startswith(wanted) or named:
                yield f"@{word}", resource.name


COMMANDS: tuple[Command, ...] = (
    Command(
        "mcp",
        "servers of tools: what they are, what they offer, and whether they may",
        Group.MODELS,
        mcp,
        asked="model context protocol; tool servers; approve a server; plugins; extensions",
        usage="[NAME|approve NAME|restart NAME|log NAME|prompt NAME PROMPT [KEY=VALUE]…]",
        kinds=(Kind.MCP, Kind.SERVER),
        most=None,
        detail="Without NAME, every MCP server of the configuration and how it is. A server is "
        "started only after you have seen its whole command, or its address, with "
        "`/mcp approve NAME` and said yes; what it says of its tools is kept, and when it says "
        "something else later, that is not offered before you have seen the difference.\n\n"
        "Its tools are called `SERVER__tool`. `@SERVER:URI` in a message attaches one of its "
        "resources; `/mcp prompt SERVER NAME KEY=VALUE` puts one of its prompts into the input, to "
        "be looked over. `chat mcp add NAME -- COMMAND…` in a shell adds a server.",
    ),
)
