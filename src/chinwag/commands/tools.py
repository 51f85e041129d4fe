"""Commands about tools: which the model may call, and what may run unasked.

Invariants: only a line that a person typed makes a rule here; turning a tool off takes it from the
very next request, and nothing that is off runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chinwag.commands.bench import Bench
from chinwag.commands.sessions import write
from chinwag.commands.table import Command, Group, Kind
from chinwag.commands.words import escaped, fence, first_words, flagged, plural, say, table, warn
from chinwag.errors import CommandError, UsageWrong
from chinwag.talk.entry import ToolReturned
from chinwag.talk.event import Ear, Page

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling

_TOOLS = "/tools [on|off NAME|output [N] [PATH]]"
_ALLOW = "/allow RULE [--for 30m] [--always]"
_UNITS = {"s": 1, "m": 60, "h": 3600}


async def tools(bench: Bench, words: list[str], hear: Ear) -> None:
    if words[:1] == ["output"]:
        await _output(bench, words[1:], hear)
        return
    tooling = _tooling(bench)
    if not words:
        hear(_page(bench, tooling))
        return
    if len(words) < 2 or words[0] not in {"on", "off"}:
        raise UsageWrong("on or off, and which?", usage=_TOOLS)
    for name in words[1:]:
        tooling.turn(name, on=words[0] == "on")
    names = ", ".join(words[1:])
    if words[0] == "off":
        say(hear, f"{names}: not offered any more")
    else:
        asks = "; you are asked before it runs" if tooling.policy.attended else ""
        say(hear, f"{names}: offered from the next message on{asks}")


async def _output(bench: Bench, words: list[str], hear: Ear) -> None:
    """All that a call gave back: that of message N, else the newest that was cut."""
    rest, flags = flagged(words, "--force")
    n, returned = _given_back(bench, rest)
    name, whole = returned.result.name or "a tool", returned.result.content
    if returned.blob:
        data = await bench.keeper.call(lambda store: store.blob(returned.blob))
        whole = data.decode("utf-8", "replace")
    elif returned.size:
        warn(
            hear, "the rest of it could not be kept when it came; this is what the model was given"
        )
    paths = rest[1:] if rest[:1] == [str(n)] else rest
    if not paths:
        hear(Page(f"What {name} gave back ({n})", fence(whole)))
        return
    path = await write(
        bench, paths[0], whole, force=bool(flags), again=f"/tools output {n} {paths[0]}"
    )
    say(hear, f"what {name} gave back is in {path}")


def _given_back(bench: Bench, words: list[str]) -> tuple[int, ToolReturned]:
    said = [(n, e) for n, e in bench.conversation.session.walk() if isinstance(e, ToolReturned)]
    if not said:
        raise CommandError("no tool was called in this talk", hint="/tools lists what there is")
    if words[:1] and words[0].isdecimal():
        for n, entry in said:
            if n == int(words[0]):
                return n, entry
        near = ", ".join(str(n) for n, _ in said[-5:])
        raise CommandError(f"message {words[0]} is no tool's", hint=f"there is {near}")
    return next(((n, e) for n, e in reversed(said) if e.size), said[-1])


def _tooling(bench: Bench) -> Tooling:
    talk = bench.conversation
    if talk.tooling is None:
        talk.use(bench.tooling())
    found = talk.tooling
    assert found is not None  # noqa: S101 - it was put there just now
    return found


def _page(bench: Bench, tooling: Tooling) -> Page:
    rows = [
        (
            f"`{spec.name}`",
            "**on**" if on else "off",
            spec.risk + (", always asks" if spec.always_ask else ""),
            escaped(first_words(_sentence(spec.description), 90)),
        )
        for spec, on in tooling.listed()
    ]
    on = sum(is_on for _, is_on in tooling.listed())
    text = table(("tool", "", "may", "what it does"), rows)
    return Page(f"Tools: {on} of {len(rows)} offered", f"{text}\n\n{_rules(bench, tooling)}")


def _sentence(text: str) -> str:
    """The first sentence of a description."""
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0]


def _rules(bench: Bench, tooling: Tooling) -> str:
    rules = tooling.rules(bench.conversation.session.id)
    lines = [f"- allowed: {_code(str(r))}" for r in rules.allow]
    lines += [f"- allowed in this session: {_code(str(r.rule))}" for r in rules.here]
    lines += [f"- never: {_code(str(r))}" for r in rules.deny]
    lines += [f"- never in this session: {_code(str(r))}" for r in rules.never_here]
    asks = "Every call is asked about" if tooling.policy.attended else "Nothing runs"
    more = " but by a rule. `/tools on NAME` offers one, `/allow RULE` makes a rule."
    return "\n".join([asks + more, "", *dict.fromkeys(lines)])


def _code(text: str) -> str:
    """Foreign text between backquotes; more of them than it holds."""
    marks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{marks} {text} {marks}" if "`" in text else f"`{text}`"


async def allow(bench: Bench, words: list[str], hear: Ear) -> None:
    from chinwag.engine.rules import parse

    text, seconds, always = _asked(words[0] if words else "")
    if not text:
        raise UsageWrong("which calls are to run unasked?", usage=_ALLOW)
    tooling, rule = _tooling(bench), parse(text)
    tooling.known(rule.tool)  # raises for a tool nobody knows
    forbidden = [r for r in tooling.rules("").deny if r.tool == rule.tool]
    if forbidden and not always:
        raise CommandError(
            f"{rule.tool} is forbidden for good: {forbidden[0]}",
            hint="--always lifts that, and allows it in this folder",
        )
    if always:
        await tooling.allow(rule)
    tooling.allow_here(rule, bench.conversation.session.id, seconds)
    how_long = "in this folder from now on" if always else "in this session"
    if seconds is not None:
        how_long = f"in this session, for {plural(int(seconds) // 60 or 1, 'minute')}"
    if tooling.asks_always(rule.tool):
        warn(hear, f"{rule.tool} is asked about every time, whatever the rules say")
    else:
        say(hear, f"{rule} runs unasked {how_long}")


def _asked(line: str) -> tuple[str, float | None, bool]:
    """The rule, for how many seconds, and whether for good."""
    seconds: float | None = None
    always = False
    while found := re.search(r"(?:^|\s+)--(always|for\s+(\d+)\s*([smh]))\s*$", line):
        line = line[: found.start()]
        always = always or found[1] == "always"
        if found[2]:
            seconds = int(found[2]) * _UNITS[found[3]]
    if always and seconds is not None:
        raise UsageWrong("for good, or for a time?", usage=_ALLOW)
    return line.strip(), seconds, always


COMMANDS: tuple[Command, ...] = (
    Command(
        "tools",
        "which tools the model may call; turn one on or off",
        Group.CONTEXT,
        tools,
        asked="let the model read files, run commands, use tools; function calling; list tools",
        usage="[on|off NAME|output [N] [PATH]]",
        kinds=(Kind.SWITCH, Kind.TOOL),
        most=None,
        detail="Lists what can be offered to the model, what each may do, and the rules that let "
        "calls run unasked. `/tools on NAME` offers one from the next message on, `/tools off "
        "NAME` takes it back. Offering is not allowing: before a call runs you are shown all of "
        "it, and asked. Of a long output the model is given head and tail; `/tools output` shows "
        "the newest such output whole, `/tools output N PATH` writes that of message N to a file. "
        "`chat --tools NAME,…` offers from the start, `--tools all` offers what is "
        "harmless; `fetch` and `shell` have to be named.",
    ),
    Command(
        "allow",
        "let calls of a tool run without being asked",
        Group.CONTEXT,
        allow,
        asked="approve automatically; stop asking; permission; rule for a tool",
        usage="RULE [--for 30m] [--always]",
        free=True,
        most=1,
        detail="A rule is a tool's name, `clock`, or a name with patterns for its arguments: "
        "`read_file(path=docs/*)`. `*` stands for anything; an argument that is not named has to "
        "be left out, unless `*` comes last, as in `read_file(path=docs/*, *)`. It holds in this "
        "session; `--for 30m` ends it after a time, `--always` writes it down in rules.toml, for "
        "the folder you work in. Once text from elsewhere has come into the talk (a fetched page), "
        "what can let data out is asked about again, whatever the rules say.",
    ),
)
