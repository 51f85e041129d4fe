"""Keys to actions: one table, all of it rebindable.

Invariants: a key of ours either becomes an intent or asks the shell for an effect; keys that edit
belong to prompt_toolkit. What a person wishes is made to fit by `wishes`. An action is bound once
per key and only where it means something, so the
picker, the history search and the input never fight over a key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from prompt_toolkit.filters import (
    Condition,
    FilterOrBool,
    has_completions,
    vi_insert_mode,
    vi_mode,
)
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from chinwag.frontends.tui.wishes import Fault, Wishes, named, parse, resolved

DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "send": ("enter",),
    "newline": ("ctrl+j", "alt+enter", "shift+enter", "ctrl+enter"),
    "stop": ("escape",),
    "cancel": ("ctrl+c",),
    "quit": ("ctrl+d",),
    "page-up": ("pageup",),
    "page-down": ("pagedown",),
    "line-up": ("shift+up",),
    "line-down": ("shift+down",),
    "top": ("ctrl+home",),
    "bottom": ("ctrl+end",),
    "up": ("up",),
    "down": ("down",),
    "history-search": ("ctrl+r",),
    "complete": ("tab",),
    "complete-back": ("shift+tab",),
    "editor": ("ctrl+g", "ctrl+x ctrl+e"),
    "palette": ("ctrl+p",),
    "sessions": ("ctrl+x l",),
    "new": ("ctrl+x n",),
    "model": ("ctrl+x m",),
    "find": ("ctrl+f",),
    "rewind": ("escape escape",),
    "branches": ("ctrl+x b",),
    "variant-before": ("alt+left",),
    "variant-after": ("alt+right",),
    "compare": ("ctrl+x c",),
    "thinking": ("ctrl+t",),
    "tools": ("ctrl+o",),
    "copy": ("ctrl+y",),
    "mouse": ("ctrl+x s",),
    "help": ("f1", "ctrl+x h"),
    "suspend": ("ctrl+z",),
    "redraw": ("ctrl+l",),
}
"""Action to its keys, in the words of `interface.md` section 5."""

WORDS: Mapping[str, str] = {
    "send": "send; queue while an answer comes",
    "newline": "new line (also \\ before Enter)",
    "stop": "stop the answer, keeping what came; close what is open",
    "cancel": "stop; put the draft aside; twice on an empty line: leave",
    "quit": "leave, on an empty line",
    "page-up": "scroll back a page",
    "page-down": "scroll on a page",
    "line-up": "scroll back a line (also the mouse wheel)",
    "line-down": "scroll on a line",
    "top": "to the beginning",
    "bottom": "to the end, and follow",
    "up": "line up, or the line sent before; takes a queued line back",
    "down": "line down, or the line sent after",
    "history-search": "search the lines sent before",
    "complete": "complete a command, a name, an @file",
    "complete-back": "the completion before",
    "editor": "write the message in your editor",
    "palette": "choose a command",
    "sessions": "open another conversation",
    "new": "begin another conversation",
    "model": "choose who answers",
    "find": "find words in this conversation",
    "rewind": "go back to one of your messages and change it",
    "branches": "show the ways the talk went, and go to one",
    "variant-before": "the answer before, of several (on an empty line)",
    "variant-after": "the next answer, of several (on an empty line)",
    "compare": "two answers side by side",
    "thinking": "show or fold thinking",
    "tools": "show or fold what tools gave back",
    "copy": "copy the last answer",
    "mouse": "leave the mouse to the terminal, or take it back",
    "help": "show every key",
    "suspend": "suspend the program",
    "redraw": "draw the screen anew",
}
"""What every action is for, in the order in which people are told."""

FIXED: Sequence[tuple[str, str]] = (
    ("in a list: choose; narrow it by typing; close", "Up, Down, Enter; letters, Backspace; Esc"),
    ("while finding: earlier, later; stay; go back", "Up or n, Down or N; Enter; Esc"),
)
"""What is not to be changed: (what it does, its keys)."""


class Actions(Protocol):
    """What the shell can be asked to do."""

    @property
    def picking(self) -> bool: ...
    @property
    def typing(self) -> bool: ...
    @property
    def finding(self) -> bool: ...
    @property
    def empty(self) -> bool: ...
    @property
    def busy(self) -> bool: ...
    def act(self, action: str, event: KeyPressEvent) -> None: ...
    def pick(self, action: str, event: KeyPressEvent) -> None: ...
    def find(self, action: str, event: KeyPressEvent) -> None: ...
    def paste(self, data: str) -> None: ...
    def erase(self) -> bool: ...


def table(changed: Wishes) -> list[tuple[str, str]]:
    """What every key does, for people: (what it does, its keys)."""
    keys = chosen(changed)
    rows = [(words, ", ".join(map(named, keys[action])) or "-") for action, words in WORDS.items()]
    return rows + list(FIXED)


def chosen(changed: Wishes) -> dict[str, tuple[str, ...]]:
    """The keys of every action, the person's own wishes first."""
    return resolved(changed, DEFAULTS)[0]


def faults(changed: Wishes) -> list[Fault]:
    """What is wrong with the wishes, or what they cost."""
    return resolved(changed, DEFAULTS)[1]


def rewinds_by_escape(changed: Wishes) -> bool:
    """Whether Esc twice goes back to an earlier message."""
    return TWICE in map(parse, chosen(changed)["rewind"])


def bindings(actions: Actions, changed: Wishes) -> KeyBindings:
    """Everything we bind."""
    made = KeyBindings()
    keys = chosen(changed)
    typing = Condition(lambda: actions.typing)
    picking = Condition(lambda: actions.picking)
    busy = Condition(lambda: actions.busy)
    finding = Condition(lambda: actions.finding)
    flipping = typing & Condition(lambda: actions.empty)
    only: dict[str, FilterOrBool] = {
        **dict.fromkeys(EVERYWHERE, typing | picking | finding),
        "variant-before": flipping,
        "variant-after": flipping,
        "stop": finding
        | (typing | picking) & (~vi_mode | ~vi_insert_mode | busy | has_completions),
        "send": typing,
        "up": typing & ~vi_mode | typing & vi_insert_mode,
        "down": typing & ~vi_mode | typing & vi_insert_mode,
    }
    for action, wished in keys.items():
        where = only.get(action, typing | picking)
        for key in wished:
            if parse(key) == TWICE:
                continue  # Esc is pressed twice, not within a moment: the state knows
            _bind(made, key, where, _doing(actions.act, action))
    for action, key in _PICKER:
        _bind(made, key, picking, _doing(actions.pick, action))
    for action, key in _FINDER:
        _bind(made, key, finding, _doing(actions.find, action))
    _bind_text(made, actions, typing, picking)
    made.add(Keys.ControlX, Keys.Any, filter=typing)(_doing(actions.act, "unknown"))
    made.add(Keys.BracketedPaste, filter=finding)(_doing(actions.find, "typed"))
    made.add(Keys.Any, filter=finding)(_doing(actions.find, "typed"))
    return made


EVERYWHERE = (
    "cancel", "quit", "page-up", "page-down", "line-up", "line-down", "top", "bottom", "thinking",
    "tools", "copy", "find", "mouse", "suspend", "redraw",
)  # fmt: skip
"""What goes on while something is looked for, too."""
TWICE = ("escape", "escape")
_FINDER = (
    ("enter", "enter"),
    ("up", "up"),
    ("down", "down"),
    ("erase", "backspace"),
    ("clear", "ctrl+u"),
    ("up", "ctrl+p"),
    ("down", "ctrl+n"),
)
_PICKER = (
    ("enter", "enter"),
    ("tab", "tab"),
    ("up", "up"),
    ("down", "down"),
    ("left", "left"),
    ("right", "right"),
    ("page-up", "pageup"),
    ("page-down", "pagedown"),
    ("erase", "backspace"),
    ("clear", "ctrl+u"),
    ("up", "ctrl+p"),
    ("down", "ctrl+n"),
)


def _doing(do: Callable[[str, KeyPressEvent], None], action: str) -> Callable[[Any], None]:
    def handler(event: KeyPressEvent) -> None:
        do(action, event)

    return handler


def _bind(made: KeyBindings, key: str, where: FilterOrBool, handler: Callable[[Any], None]) -> None:
    made.add(*parse(key), filter=where)(handler)


def _bind_text(made: KeyBindings, actions: Actions, typing: Condition, picking: Condition) -> None:
    @made.add(Keys.BracketedPaste, filter=typing)
    def _(event: KeyPressEvent) -> None:
        actions.paste(event.data)

    @made.add(Keys.BracketedPaste, filter=picking)
    @made.add(Keys.Any, filter=picking)
    def _(event: KeyPressEvent) -> None:
        actions.pick("typed", event)

    @made.add("backspace", filter=typing & Condition(actions.erase))
    def _(event: KeyPressEvent) -> None:
        """The condition has already taken a whole placeholder away."""
