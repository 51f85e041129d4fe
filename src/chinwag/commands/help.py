"""/help and /exit: the commands by group, one in detail, the live keys, and the pages.

Invariants: nothing here describes a command: the table does. Pages are files beside this one, read
when somebody asks; what depends on this machine (where things lie) is filled in then.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group, Kind, Table
from chinwag.commands.words import escaped, table
from chinwag.errors import CommandUnknown, nearest
from chinwag.talk.event import Ear, Leaving, Page

#: The pages in the order one would read them: file name and title.
TOPICS: tuple[tuple[str, str], ...] = (
    ("getting-started", "Getting started"),
    ("keys-and-providers", "API keys and providers"),
    ("local-models", "Models on your own machine"),
    ("sessions", "Sessions"),
    ("sessions-json", "Sessions as JSON"),
    ("pipes", "Pipes and scripts"),
    ("configuration", "Configuration"),
    ("tokens", "Tokens and the window"),
    ("tools", "Tools"),
    ("mcp", "Servers of tools (MCP)"),
    ("screen", "The screen and its keys"),
    ("privacy", "Privacy"),
    ("troubleshooting", "When something does not work"),
    ("about", "About this program"),
)
KEYS = "keys"


def facts(
    *, data_dir: str, state_dir: str = "", config_path: str = "", store_url: str = "file:"
) -> dict[str, str]:
    """What pages say about this machine."""
    return {
        "data_dir": data_dir,
        "state_dir": state_dir,
        "config_path": config_path,
        "store_url": store_url,
    }


_ASKED = re.compile(r"<!-- asked: (.*?) -->\n*", re.DOTALL)
"""Words people ask by, in a page but not shown: the guide finds its sections by them."""


def page(name: str, known: Mapping[str, str]) -> str:
    """A page's Markdown, its first line `# Title`. Raises KeyError for an unknown name."""
    return _ASKED.sub("", _source(name, known))


def _source(name: str, known: Mapping[str, str]) -> str:
    if name not in dict(TOPICS):
        raise KeyError(name)
    text = (Path(__file__).parent / "pages" / f"{name}.md").read_text("utf-8")
    for key, value in {**facts(data_dir=""), **known}.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def overview(commands: Table) -> str:
    """Every command by group, and where to read on."""
    parts = [_group(group, commands) for group in Group]
    topics = " · ".join(f"`{name}`" for name, _ in TOPICS)
    parts.append(
        "**More**\n\n`/help COMMAND` explains one, `/help keys` shows the keys, and `/help TOPIC` "
        f"a page: {topics}.\n\nA message that begins with a slash: `//text`."
    )
    return "\n\n".join(parts)


def _group(group: Group, commands: Table) -> str:
    own = [c for c in commands.commands if c.group is group]
    rows = ((f"`{c.line}`".replace("|", "\\|"), c.summary) for c in own)
    return f"**{group.value}**\n\n{table(('command', 'what it does'), rows)}"


def explained(command: Command) -> str:
    """One command in full."""
    lines = [f"`{command.line}`", f"{command.summary[:1].upper()}{command.summary[1:]}."]
    lines += [command.detail] if command.detail else []
    if command.aliases:
        lines.append("Also: " + ", ".join(f"`/{alias}`" for alias in command.aliases))
    return "\n\n".join(lines)


def keys_page(keys: Iterable[tuple[str, str]]) -> str:
    """The live key table."""
    return table(("action", "keys"), ((escaped(action), escaped(k)) for action, k in keys))


class Passage(NamedTuple):
    """What can be told about one thing; ``keywords`` are further words it is found by."""

    title: str
    text: str
    command: str
    keywords: str = ""


def passages(commands: Table, known: Mapping[str, str]) -> list[Passage]:
    """What the guide searches: each section of each page, and each command."""
    found = [p for name, title in TOPICS for p in _sections(name, title, _source(name, known))]
    return found + [_passage(command) for command in commands.commands]


def _sections(name: str, title: str, text: str) -> Iterable[Passage]:
    for section in text.removeprefix("# ").split("\n## "):
        heading, _, rest = section.partition("\n")
        body = _ASKED.sub("", rest).strip()
        if body:
            asked = " ".join([title, *_ASKED.findall(rest)])
            yield Passage(heading.strip(), body, f"/help {name}", asked)


def _passage(command: Command) -> Passage:
    aliases = "".join(f" /{alias}" for alias in command.aliases)
    text = f"`{command.line}` — {command.summary}.\n\n{command.detail}".strip()
    return Passage(
        f"/{command.name}",
        text,
        f"/help {command.name}",
        f"{command.summary} {aliases} {command.asked}",
    )


def commands(the_table: Callable[[], Table]) -> tuple[Command, ...]:
    """/help and /exit; the table is asked for later, since they are part of it."""

    async def help_(bench: Bench, words: list[str], hear: Ear) -> None:
        hear(_asked(" ".join(words).strip().lower(), bench, the_table()))

    return (
        Command(
            "help",
            "show the commands, one of them, the keys, or a page",
            Group.PROGRAM,
            help_,
            asked="list of commands; what commands are there; slash commands; keyboard shortcuts",
            usage="[COMMAND|keys|TOPIC]",
            aliases=("?",),
            kinds=(Kind.TOPIC,),
            most=None,
            detail="Topics: " + ", ".join(f"`{name}`" for name, _ in TOPICS) + ".",
        ),
        Command(
            "exit",
            "leave; the conversation is saved",
            Group.PROGRAM,
            _exit,
            asked="quit; leave; exit; get out of here; close the program; end",
            aliases=("quit", "q", "bye"),
            detail="Ctrl+D on an empty line does the same, and Ctrl+C twice. On leaving, the line "
            "to come back with is printed: `chat --resume NAME`.",
        ),
    )


def _asked(wanted: str, bench: Bench, the_table: Table) -> Page:
    if not wanted:
        return Page("Help", overview(the_table))
    if wanted == KEYS:
        return Page("Keys", keys_page(bench.keys()))
    command = the_table.get(wanted)
    topic = _topic(wanted)
    # A word that is both (sessions, tokens) means the page: it names the command.
    if topic and not wanted.startswith("/"):
        text = page(topic, _facts_of(bench))
        return Page(dict(TOPICS)[topic], text.partition("\n")[2].strip())
    if command is not None:
        return Page(f"/{command.name}", explained(command))
    raise _unknown(wanted, the_table)


def _facts_of(bench: Bench) -> dict[str, str]:
    return facts(
        data_dir=bench.data_dir,
        state_dir=bench.state_dir,
        config_path=bench.config_path,
        store_url=bench.store_url,
    )


def _topic(wanted: str) -> str:
    """The page called so, by its name or its title's beginning."""
    key = wanted.replace(" ", "-")
    for name, title in TOPICS:
        if key == name or wanted == title.lower():
            return name
    return ""


def _unknown(wanted: str, the_table: Table) -> CommandUnknown:
    names = [n for c in the_table.commands for n in (c.name, *c.aliases)]
    near = nearest(wanted.removeprefix("/"), [*names, KEYS, *(name for name, _ in TOPICS)])
    hint = f"did you mean {', '.join(f'/help {n}' for n in near)}?" if near else "/help lists all"
    return CommandUnknown(f"there is no help on {wanted!r}", hint=hint, near=near)


async def _exit(_: Bench, __: list[str], hear: Ear) -> None:
    hear(Leaving())
