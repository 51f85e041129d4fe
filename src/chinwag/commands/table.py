"""What a command is, the table of them, and what the table tells a completer. Pure.

Invariants: a command is described once, in its row; parsing, running, completion, colouring, help
and the guide all read that row. No two commands answer to one name. Completing never raises and
never asks a server or a disk: it looks at what the sources hold at that moment.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import TypeAlias

import msgspec

from chinwag.commands.bench import Bench
from chinwag.commands.parse import Called, whole
from chinwag.engine import options
from chinwag.errors import CommandUnknown, UsageWrong, nearest
from chinwag.providers.base import ModelInfo
from chinwag.talk.event import Ear
from chinwag.talk.session import Header
from chinwag.text.moments import DAY, local

Run: TypeAlias = Callable[[Bench, list[str], Ear], Awaitable[None]]

MOST_SUGGESTIONS = 60


class Kind(StrEnum):
    """What an argument names: where its completions come from."""

    SESSION = "session"
    MODEL = "model"
    PROVIDER = "provider"
    MODEL_OF = "model of the provider before"
    OPTION = "option"
    VALUE = "value of the option before"
    FORMAT = "format, or a path"
    PATH = "path"
    PROMPT = "text, or @path"
    TOPIC = "command or topic"
    THEME = "theme"
    SWITCH = "on or off"
    TOOL = "tool"
    MCP = "an MCP server, or what to do with one"
    SERVER = "MCP server"
    WARM = "what to do with warm state"


class Group(StrEnum):
    """Under which heading help shows a command, in this order."""

    TALKING = "Talking"
    SESSIONS = "Sessions"
    MODELS = "Models"
    CONTEXT = "Context and output"
    PROGRAM = "This program"


class Command(msgspec.Struct, frozen=True):
    """One row. ``summary`` is one line, ``detail`` Markdown for `/help NAME`.

    ``most`` bounds the words after the name (None: any number, as in a name of several words).
    With ``free`` everything after the name is one word, newlines and quotes included. ``asked``
    holds words people ask for it by, for the guide's search.
    """

    name: str
    summary: str
    group: Group
    run: Run
    usage: str = ""
    detail: str = ""
    aliases: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    most: int | None = 0
    free: bool = False
    asked: str = ""

    @property
    def line(self) -> str:
        """The usage line: `/load NAME|PATH`."""
        return f"/{self.name} {self.usage}".rstrip()


class Suggestion(msgspec.Struct, frozen=True):
    """``text`` replaces the line from ``start`` up to the cursor."""

    text: str
    start: int
    label: str
    detail: str


def _none() -> Iterable[str]:
    return ()


def _no_paths(_: str) -> Iterable[str]:
    return ()


class Sources(msgspec.Struct, frozen=True):
    """What there is to complete from, as known now; ``paths`` gives paths that begin with a text.

    ``topics`` are the help pages (name, title), ``tools`` tools
    (name, what they do), ``servers`` those of MCP (name, how it is).
    """

    sessions: Callable[[], Iterable[Header]] = tuple
    models: Callable[[], Iterable[ModelInfo]] = tuple
    providers: Callable[[], Iterable[str]] = _none
    paths: Callable[[str], Iterable[str]] = _no_paths
    topics: Sequence[tuple[str, str]] = ()
    tools: Callable[[], Iterable[tuple[str, str]]] = tuple
    servers: Callable[[], Iterable[tuple[str, str]]] = tuple


class Table:
    """The commands by name and alias."""

    def __init__(self, commands: Iterable[Command]) -> None:
        self.commands = tuple(commands)
        self._by_name: dict[str, Command] = {}
        for command in self.commands:
            for name in (command.name, *command.aliases):
                if name in self._by_name:
                    raise ValueError(f"two commands are called {name!r}")
                self._by_name[name] = command

    def get(self, name: str) -> Command | None:
        return self._by_name.get(name.removeprefix("/").lower())

    def find(self, name: str) -> Command:
        """The command called ``name``. Raises CommandUnknown with the nearest names."""
        found = self.get(name)
        if found is not None:
            return found
        if not name:
            raise CommandUnknown(
                "a slash, but no command", hint="/help lists them; // begins a message with a slash"
            )
        alike = nearest(name, self._by_name, 6)
        near = tuple(dict.fromkeys(self._by_name[n].name for n in alike))[:3]
        hint = "did you mean " + " or ".join(f"/{n}" for n in near) + "?" if near else ""
        more = "/help lists the commands; // begins a message with a slash"
        raise CommandUnknown(
            f"there is no command /{name}; nothing was sent",
            hint=f"{hint} {more}".strip(),
            near=near,
        )

    async def perform(self, called: Called, bench: Bench, hear: Ear) -> None:
        """Carry out what was called. Raises CommandUnknown, UsageWrong, ChinwagError's family."""
        if not called.name and not called.rest:
            called = Called("help")
        command = self.find(called.name)
        words = whole(called.rest) if command.free else called.words
        if command.most is not None and len(words) > command.most:
            raise UsageWrong(_too_many(command), usage=command.line)
        await command.run(bench, list(words), hear)

    def span(self, line: str) -> tuple[int, bool] | None:
        """For colouring: how many characters the command's name takes, and whether it is known."""
        word = re.match(r"/[\w?-]+(?!\S)", line)
        return (word.end(), self.get(word[0]) is not None) if word else None

    def usage_hint(self, line: str) -> str:
        """The usage line of the command being typed, "" where none is."""
        word = re.match(r"/([\w?-]+)\s", line)
        command = self.get(word[1]) if word else None
        return f"{command.line}  {command.summary}" if command else ""

    def complete(self, line: str, cursor: int, sources: Sources) -> list[Suggestion]:
        """What may stand at the cursor, best first."""
        before = line[:cursor]
        if not before.startswith("/") or before.startswith("//") or "\n" in before:
            return []
        name = re.match(r"/(\S*)$", before)
        found = self._names(name[1].lower()) if name else self._arguments(before, sources)
        return found[:MOST_SUGGESTIONS]

    def _names(self, typed: str) -> list[Suggestion]:
        starts = [c for c in self.commands if c.name.startswith(typed)]
        by_alias = [
            (alias, c)
            for c in self.commands
            for alias in c.aliases
            if c not in starts and typed and alias.startswith(typed)
        ]
        found = [_named(c, "") for c in starts] + [_named(c, a) for a, c in by_alias]
        if found or "/" in typed:
            return found
        near = dict.fromkeys(self._by_name[n].name for n in nearest(typed, self._by_name))
        return [_named(self._by_name[n], "") for n in near]

    def _arguments(self, before: str, sources: Sources) -> list[Suggestion]:
        tokens = list(re.finditer(r"\"[^\"]*\"?|'[^']*'?|\S+", before))
        command = self.get(tokens[0][0])
        if command is None or not command.kinds:
            return []
        words = [t[0] for t in tokens[1:]]
        fresh = before[-1].isspace()
        typed = "" if fresh else words[-1]
        at = len(words) - (not fresh)
        start = len(before) - len(typed)
        if command.most is None and at >= len(command.kinds):
            at = len(command.kinds) - 1
            start = tokens[at + 1].start()
            typed = before[start:]
        if at >= len(command.kinds):
            return []
        asked = _Asked(typed.strip("'\""), start, words[at - 1] if at else "")
        return list(self._of(command.kinds[at], asked, sources))

    def _of(self, kind: Kind, asked: _Asked, sources: Sources) -> Iterator[Suggestion]:
        match kind:
            case Kind.SESSION:
                yield from _sessions(asked, sources.sessions())
            case Kind.MODEL:
                yield from _models(asked, sources.models())
            case Kind.PROVIDER:
                yield from asked.among((name, "") for name in sources.providers())
            case Kind.MODEL_OF:
                own = (m for m in sources.models() if m.provider == asked.before)
                yield from asked.among((m.name, m.detail) for m in own)
            case Kind.OPTION:
                yield from asked.among((o.name, o.help) for o in options.TABLE)
            case Kind.VALUE:
                yield from asked.among(_values(asked.before))
            case Kind.FORMAT:
                yield from asked.among(FORMATS)
                yield from _paths(asked, sources) if asked.typed else ()
            case Kind.PATH:
                yield from _paths(asked, sources)
            case Kind.PROMPT:
                yield from _paths(asked, sources, "@") if asked.typed.startswith("@") else ()
            case Kind.THEME | Kind.SWITCH | Kind.TOOL | Kind.WARM:
                yield from asked.among(FIXED.get(kind) or sources.tools())
            case Kind.TOPIC:
                yield from asked.among((c.name, c.summary) for c in self.commands)
                yield from asked.among(sources.topics)
            case Kind.MCP:
                yield from asked.among(sources.servers())
                yield from asked.among(MCP_VERBS)
            case Kind.SERVER:
                yield from asked.among(sources.servers())


#: What `/tools` does to a tool.
SWITCH: tuple[tuple[str, str], ...] = (
    ("on", "offer it"),
    ("off", "offer it no more"),
    ("output", "the whole of what a call gave back"),
)

#: What the screen may look like.
THEMES: tuple[tuple[str, str], ...] = (
    ("auto", "the terminal's own colours, or what suits its background"),
    ("dark", "for a dark background"),
    ("light", "for a light background"),
    ("none", "no colour: bold, italic and underlined only"),
)

#: What `/warm` does.
WARM: tuple[tuple[str, str], ...] = (
    ("save", "have the server keep what it has read"),
    ("restore", "have it read that back"),
    ("drop", "have it forget"),
)

#: What arguments that are always the same may be.
FIXED = {Kind.SWITCH: SWITCH, Kind.THEME: THEMES, Kind.WARM: WARM}

#: What `/export` writes, by name.
FORMATS: tuple[tuple[str, str], ...] = (
    ("markdown", "to read and to edit"),
    ("json", "whole, with branches and settings; /load reads it again"),
    ("openai", 'messages as {"role", "content"} for other programs'),
    ("html", "one page for a browser, nothing loaded from elsewhere"),
    ("text", "plain text"),
)


#: What can be done with an MCP server.
MCP_VERBS: tuple[tuple[str, str], ...] = (
    ("approve", "look at what a server would run, or offers now, and say yes"),
    ("restart", "start a server again"),
    ("log", "what a server said beside its answers"),
    ("prompt", "put a prompt of a server into the input"),
)


class _Asked(msgspec.Struct, frozen=True):
    """What is typed of an argument so far, where it starts, and the word before it."""

    typed: str
    start: int
    before: str

    def among(self, names: Iterable[tuple[str, str]]) -> Iterator[Suggestion]:
        """Names that begin with what is typed, then names that hold it."""
        typed = self.typed.lower()
        pool = [(n, d) for n, d in names if typed in n.lower()]
        pool.sort(key=lambda row: not row[0].lower().startswith(typed))
        for name, detail in pool:
            yield Suggestion(_quoted(name), self.start, name, detail)


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[^\s'\"\\]+", word) else shlex.quote(word)


def _too_many(command: Command) -> str:
    if not command.most:
        return f"/{command.name} takes no argument"
    return f"/{command.name} takes at most {command.most} argument{'s' * (command.most > 1)}"


def _named(command: Command, alias: str) -> Suggestion:
    text = f"/{alias or command.name}" + (" " if command.usage else "")
    label = f"/{alias} → /{command.name}" if alias else command.line
    return Suggestion(text, 0, label, command.summary)


def _sessions(asked: _Asked, headers: Iterable[Header]) -> Iterator[Suggestion]:
    typed = asked.typed.lower()
    for header in headers:
        title = header.headline.title.lower()
        if header.name.startswith(typed) or header.id.startswith(typed) or typed in title:
            yield Suggestion(header.name, asked.start, header.name, about_session(header))


def about_session(header: Header) -> str:
    """One line about a session in a list."""
    if header.damaged:
        return f"damaged: {header.damaged}"
    head = header.headline
    count = f"{head.messages} message" + "s" * (head.messages != 1)
    model = f"{head.provider}/{head.model}" if head.provider else head.model
    return " · ".join(filter(None, (count, local(head.updated, DAY), model)))


def _models(asked: _Asked, models: Iterable[ModelInfo]) -> Iterator[Suggestion]:
    yield from asked.among((f"{m.provider}/{m.name}", m.detail) for m in models)


def _values(option: str) -> list[tuple[str, str]]:
    back = ("default", "what the provider itself takes")
    if option == "reasoning":
        return [(word, "") for word in ("low", "medium", "high", "off")] + [back]
    return [back]


def _paths(asked: _Asked, sources: Sources, mark: str = "") -> Iterator[Suggestion]:
    for path in sources.paths(asked.typed.removeprefix(mark)):
        yield Suggestion(mark + _quoted(path), asked.start, path, "")


def at_path(before: str, sources: Sources) -> list[Suggestion]:
    """What an unfinished `@path` at the end of a message may become."""
    word = re.search(r"(?:^|\s)(@(?:[\"'][^\"']*|\S*))$", before)
    if word is None or before.startswith("/"):
        return []
    asked = _Asked(word[1].replace('"', "").replace("'", ""), word.start(1), "")
    return [*_files(asked, sources)][:MOST_SUGGESTIONS]


def _files(asked: _Asked, sources: Sources) -> Iterator[Suggestion]:
    for path in sources.paths(asked.typed.removeprefix("@")):
        what = "folder" if path.endswith("/") else "goes with the message"
        plain = re.fullmatch(r"[^\s'\"\\]+", path)
        name = path if plain else f'"{path}{"" if what == "folder" else chr(34)}'
        yield Suggestion(f"@{name}", asked.start, path, what)
