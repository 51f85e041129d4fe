"""What a tool promises, and the set of them that a talk may use.

Invariants: a call becomes exactly one result, however it ends: unknown, unreadable, unfit, failed,
timed out or stopped, and what is wrong is said in words that a model can act on. Nothing runs but
what was checked: ``Ready.shown`` names everything that will be done, ``Ready.digest`` is its hash,
and ``run`` refuses whatever no longer has that hash. A name is one tool's, and nobody takes it
over. No tool is tried twice: nobody here knows whether that would be harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from chinwag.errors import ArgumentsUnfit, ToolError, UsageError, nearest
from chinwag.talk.fits import misfit
from chinwag.talk.message import Call, Result
from chinwag.talk.tool import ToolSpec
from chinwag.tools.canonical import canonical, digest_of
from chinwag.tools.capping import LEAST, capped, cleaned, kept

MOST_ARGUMENTS: Final = 1 << 20
"""Bytes of arguments that are looked at."""
GRACE: Final = 1.5
"""Seconds a tool has to clean up after it was told to stop; then it is left alone."""
NAME: Final = "[A-Za-z_][A-Za-z0-9_-]{0,63}"
"""A name that every server takes."""


def _silent(_: str) -> None:
    """Nobody wants to hear how far it is."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one call may use. ``seconds`` by the clock; everything else is in bytes or counts.

    ``kept`` is put away whole, ``shown`` goes to the model; past ``output`` a child is stopped.
    ``memory`` and ``processes`` are of a child and all its descendants together, ``file`` is the
    largest file it may write.
    """

    seconds: float = 60.0
    kept: int = 1 << 20
    shown: int = 64 << 10
    output: int = 64 << 20
    memory: int = 1 << 30
    processes: int = 128
    file: int = 256 << 20


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """Where a call runs: the folder it may work in, and the flag by which it is told to stop."""

    root: Path
    stop: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    limits: Limits = Limits()
    progress: Callable[[str], None] = _silent


class Output(msgspec.Struct, frozen=True):
    """What a call gave. ``text`` is for the model; ``whole`` is all of it where that is a cut.

    ``foreign``: the text may have been written by anybody. ``note`` is for the person alone.
    """

    text: str
    is_error: bool = False
    foreign: bool = False
    whole: bytes | None = None
    note: str = ""


class Tool(Protocol):
    """A spec and a coroutine. Inherit from it, and ``fit`` and ``shows`` are there already."""

    spec: ToolSpec

    stops_itself: bool = False
    """It minds ``scene.stop`` and gives what it has by then; it is not cancelled before GRACE."""

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """``arguments`` in their one form, as JSON values. Raises ArgumentsUnfit with the path."""
        if reason := misfit(arguments, self.spec.schema):
            raise ArgumentsUnfit(reason)
        return arguments

    def shows(self, arguments: dict[str, Any]) -> str:
        """All that ``run`` will do with these, for a person; no two calls may look alike."""
        return canonical(self.spec.name, arguments)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        """Do it. Raises ToolError, or anything: whatever comes is told to the model as an error."""
        raise NotImplementedError


class Ready(msgspec.Struct, frozen=True):
    """A call that may be asked about, and run: ``shown`` is exactly what will be done."""

    call: Call
    tool: ToolSpec
    arguments: dict[str, Any]
    shown: str
    digest: str


class Toolbox:
    """Tools by name."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        self.add(*tools)

    def __len__(self) -> int:
        return len(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __contains__(self, name: str) -> bool:
        return name in self._tools

    def get(self, name: str) -> Tool | None:
        return self._tools.get(name)

    def add(self, *tools: Tool) -> None:
        """Raises UsageError for a name that is taken, or that no server would take."""
        import re  # a talk without tools has none of this

        for tool in tools:
            name = tool.spec.name
            if not re.fullmatch(NAME, name):
                hint = "use letters, digits, _ and -, at most 64, not a digit first"
                raise UsageError(f"no tool can be called {name!r}", hint=hint)
            if (there := self._tools.get(name)) is not None:
                whose = f" (from {there.spec.source})" if there.spec.source else ""
                said = f"there is a tool called {name} already{whose}"
                raise UsageError(said, hint="give one of them another name")
            self._tools[name] = tool

    def remove(self, name: str) -> None:
        """Gone from here on: a call that was already checked is refused when it should run."""
        self._tools.pop(name, None)

    def chosen(self, names: Iterable[str] | str) -> Toolbox:
        """Those called ``names`` ("all", "none" or names), as a box of their own."""
        if isinstance(names, str):
            words = {"all": list(self._tools), "none": []}
            names = words[names] if names in words else names.replace(",", " ").split()
        return Toolbox(self._named(name) for name in dict.fromkeys(names))

    def specs(self, names: Iterable[str] | str = "all") -> tuple[ToolSpec, ...]:
        """What these look like, by name in order. Raises UsageError for a name not here."""
        box = self if names == "all" else self.chosen(names)
        return tuple(sorted((tool.spec for tool in box), key=lambda spec: spec.name))

    def check(self, call: Call) -> Ready | Result:
        """The call as it would run; or the error that is its result."""
        tool = self._tools.get(call.name)
        if tool is None:
            return _refused(call, self._unknown(call.name))
        try:
            arguments = tool.fit(_parsed(call.arguments))
            shown = tool.shows(arguments)
        except ToolError as error:
            return _refused(call, f"{call.name} was not run. {_sentence(error)}")
        except RecursionError:
            return _refused(call, f"{call.name} was not run. The arguments are nested too deeply")
        return Ready(call, tool.spec, arguments, shown, digest_of(shown))

    async def run(self, ready: Ready, scene: Scene) -> tuple[Result, Output]:
        """Run what was checked. Raises nothing but the cancellation of whoever waits here."""
        tool = self._tools.get(ready.call.name)
        if tool is None or tool.spec != ready.tool or not _is_what_was_shown(tool, ready):
            output = failed(f"{ready.call.name} was not run: it is not what was asked about")
        else:
            output = await _run(tool, ready.arguments, scene)
        output = _fit_to_send(output, scene.limits, foreign=ready.tool.foreign)
        return Result(ready.call.id, ready.call.name, output.text, output.is_error), output

    def _named(self, name: str) -> Tool:
        if name in self._tools:
            return self._tools[name]
        near = nearest(name, self._tools) or tuple(self._tools)
        hint = f"there is {', '.join(near)}" if near else "no tools are set up"
        raise UsageError(f"there is no tool called {name!r}", hint=hint)

    def _unknown(self, name: str) -> str:
        said = f"There is no tool called {name!r}."
        if near := nearest(name, self._tools):
            return f"{said} Did you mean {' or '.join(near)}?"
        names = ", ".join(sorted(self._tools))
        return f"{said} There is {names}." if names else f"{said} There are no tools."


def failed(reason: str) -> Output:
    """An error as the model is told it."""
    return Output(f"Error: {reason}", is_error=True)


def denied(call: Call, reason: str = "the person said no") -> Result:
    """The one result of a call that was not allowed."""
    return _refused(call, f"{call.name} was not run: {reason}.")


def _refused(call: Call, reason: str) -> Result:
    text, _ = capped(cleaned(f"Error: {reason}")[0], 4096)
    return Result(call.id, call.name, text, is_error=True)


def _sentence(error: ToolError) -> str:
    """What happened and what to do, as one line."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > MOST_ARGUMENTS:
        raise ArgumentsUnfit(f"The arguments are too long ({len(text):,} characters)")
    try:
        value = msgspec.json.decode(text) if text.strip() else {}
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        said = f"The arguments are not JSON ({error})"
        raise ArgumentsUnfit(said, hint="send one JSON object") from None
    if not isinstance(value, dict):
        raise ArgumentsUnfit("The arguments are not a JSON object", hint='send {"name": value, …}')
    return value


def _is_what_was_shown(tool: Tool, ready: Ready) -> bool:
    return digest_of(tool.shows(ready.arguments)) == ready.digest == digest_of(ready.shown)


async def _run(tool: Tool, arguments: dict[str, Any], scene: Scene) -> Output:
    """The tool's output, or what became of it."""
    if scene.stop.is_set():
        return failed(f"{tool.spec.name} was not run: the person stopped it")
    seconds = scene.limits.seconds if tool.spec.timeout is None else tool.spec.timeout
    limits = msgspec.structs.replace(scene.limits, seconds=seconds)
    ending = asyncio.Event()
    inner = msgspec.structs.replace(scene, stop=ending, limits=limits)
    task = asyncio.ensure_future(_guarded(tool, arguments, inner))
    stop = asyncio.ensure_future(scene.stop.wait())
    try:
        await asyncio.wait({task, stop}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        why = "the person stopped it" if stop.done() else f"its {seconds:g} seconds were over"
        ending.set()
        return _ended(why, await _last_words(tool, task))
    finally:
        stop.cancel()
        ending.set()
        await _let_go(task)


async def _guarded(tool: Tool, arguments: dict[str, Any], scene: Scene) -> Output:
    try:
        output: object = await tool.run(arguments, scene)
    except ToolError as error:
        return failed(_sentence(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # somebody else's code: told, not raised
        said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        return failed(f"{tool.spec.name} failed: {said}")
    if not isinstance(output, Output):
        said = f"{tool.spec.name} gave {type(output).__name__}, which is no output"
        return failed(said)
    return output


async def _last_words(tool: Tool, task: asyncio.Task[Output]) -> Output | None:
    """What a tool that stops itself has to give, if it does so soon."""
    if tool.stops_itself:
        await asyncio.wait({task}, timeout=GRACE)
    return task.result() if task.done() and not task.cancelled() else None


def _ended(why: str, output: Output | None) -> Output:
    said = f"Error: stopped, because {why}"
    if output is None or not output.text:
        return Output(said, is_error=True)
    text = f"{said}. What it gave until then:\n{output.text}"
    return msgspec.structs.replace(output, text=text, is_error=True)


async def _let_go(task: asyncio.Task[Output]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=GRACE)
    if not task.done():
        task.add_done_callback(lambda late: late.cancelled() or late.exception())


def _fit_to_send(output: Output, limits: Limits, *, foreign: bool) -> Output:
    text, unseen = cleaned(str(output.text))
    text, all_of_it = capped(text, max(limits.shown, LEAST))
    whole = output.whole if output.whole is not None else all_of_it
    note = output.note
    if unseen:
        said = f"{unseen} invisible characters were taken out"
        note = f"{note}; {said}" if note else said
    return Output(
        text,
        output.is_error,
        output.foreign or (foreign and bool(text)),
        None if whole is None else kept(whole, limits.kept),
        note,
    )
