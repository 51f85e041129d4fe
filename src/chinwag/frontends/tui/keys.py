"""Keys to actions: one table, all of it rebindable.

Invariants: a key of ours either becomes an intent or asks the shell for an effect; keys that edit
belong to prompt_toolkit. An action is bound once per key and only where it means something, so the
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

DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "send": ("enter",),
    "newline": ("ctrl+j", "alt+enter"),
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
    "complete": ("tab",),
    "complete-back": ("shift+tab",),
    "editor": ("ctrl+g", "ctrl+x ctrl+e"),
    "palette": ("ctrl+p",),
    "sessions": ("ctrl+x l",),
    "new": ("ctrl+x n",),
    "model": ("ctrl+x m",),
    "thinking": ("ctrl+t",),
    "tools": ("ctrl+o",),
    "copy": ("ctrl+y",),
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
    "complete": "complete a command, a name, an @file",
    "complete-back": "the completion before",
    "editor": "write the message in your editor",
    "palette": "choose a command",
    "sessions": "open another conversation",
    "new": "begin another conversation",
    "model": "choose who answers",
    "thinking": "show or fold thinking",
    "tools": "show or fold what tools gave back",
    "copy": "copy the last answer",
    "suspend": "suspend the program",
    "redraw": "draw the screen anew",
}
"""What every action is for, in the order in which people are told."""

_NAMES = {"pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc"}
_WORDS = {"pgup": "pageup", "pgdn": "pagedown", "esc": "escape", "return": "enter", "del": "delete"}


class Actions(Protocol):
    """What the shell can be asked to do."""

    @property
    def picking(self) -> bool: ...
    @property
    def typing(self) -> bool: ...
    @property
    def busy(self) -> bool: ...
    def act(self, action: str, event: KeyPressEvent) -> None: ...
    def pick(self, action: str, event: KeyPressEvent) -> None: ...
    def paste(self, data: str) -> None: ...
    def erase(self) -> bool: ...


def parse(key: str) -> tuple[str, ...]:
    """`ctrl+x l` in prompt_toolkit's words; `alt+` is the escape before a key."""
    out: list[str] = []
    for word in key.lower().split():
        *held, name = word.split("+") if word != "+" else ["+"]
        name = _WORDS.get(name, name)
        if "alt" in held:
            out.append("escape")
        prefix = "".join(f"{mark}-" for mark, on in (("c", "ctrl"), ("s", "shift")) if on in held)
        out.append(prefix + name)
    return tuple(out)


def table(changed: Mapping[str, Sequence[str] | str]) -> list[tuple[str, str]]:
    """What every key does, for people: (what it does, its keys)."""
    keys = chosen(changed)
    return [(words, ", ".join(map(named, keys[action]))) for action, words in WORDS.items()]


def named(key: str) -> str:
    """`ctrl+x l` as people write it: `Ctrl+X l`."""
    strokes = [stroke.split("+") for stroke in key.split()]
    return " ".join("+".join(_named(word, held=len(s) > 1) for word in s) for s in strokes)


def _named(word: str, *, held: bool) -> str:
    name = _NAMES.get(word, word.capitalize())
    return name if held or len(word) > 1 else word


def chosen(changed: Mapping[str, Sequence[str] | str]) -> dict[str, tuple[str, ...]]:
    """The keys of every action, the person's own wishes first."""
    keys = dict(DEFAULTS)
    for action, wish in changed.items():
        if action in keys:
            keys[action] = (wish,) if isinstance(wish, str) else tuple(wish)
    return keys


def bindings(actions: Actions, changed: Mapping[str, Sequence[str] | str]) -> KeyBindings:
    """Everything we bind."""
    made = KeyBindings()
    keys = chosen(changed)
    typing = Condition(lambda: actions.typing)
    picking = Condition(lambda: actions.picking)
    busy = Condition(lambda: actions.busy)
    only: dict[str, FilterOrBool] = {
        "stop": (typing | picking) & (~vi_mode | ~vi_insert_mode | busy | has_completions),
        "send": typing,
        "up": typing & ~vi_mode | typing & vi_insert_mode,
        "down": typing & ~vi_mode | typing & vi_insert_mode,
    }
    for action, wished in keys.items():
        where = only.get(action, typing | picking)
        for key in wished:
            _bind(made, key, where, _doing(actions.act, action))
    for action, key in _PICKER:
        _bind(made, key, picking, _doing(actions.pick, action))
    _bind_text(made, actions, typing, picking)
    return made


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
