"""What a person wishes of the keys (`[keys]` in the configuration), made to fit; pure.

Invariants: whatever is wished, every action that had a key by itself keeps one or its loss is said;
a key does one thing in one place, and who loses it is named; a key that cannot be pressed, or that
types a letter, is refused in words and the action keeps what it had. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from prompt_toolkit.keys import ALL_KEYS

from chinwag.errors import nearest

_WORDS: Final = {
    "pgup": "pageup", "pgdn": "pagedown", "esc": "escape", "return": "enter", "del": "delete",
    "shift+enter": "f24", "ctrl+enter": "f23", "ctrl+space": "ctrl+@",
}  # fmt: skip
_SHOWN: Final = {"pageup": "PgUp", "pagedown": "PgDn", "escape": "Esc"}
Wishes = Mapping[str, Sequence[str] | str]


class Fault(NamedTuple):
    """What is wrong with the wish for ``action``, in a sentence."""

    action: str
    told: str


def parse(key: str) -> tuple[str, ...]:
    """`ctrl+x l` in prompt_toolkit's words; `alt+` is the escape before a key."""
    out: list[str] = []
    for typed in key.split():
        word = typed if len(typed) == 1 else typed.lower()
        held, name = _parted(_WORDS.get(word, word))
        if "alt" in held:
            out.append("escape")
        prefix = "".join(f"{mark}-" for mark, on in (("c", "ctrl"), ("s", "shift")) if on in held)
        out.append(prefix + _WORDS.get(name, name))
    return tuple(out)


def _parted(word: str) -> tuple[list[str], str]:
    """What is held, and the key."""
    *held, name = word.split("+") if word.strip("+") else [word]
    if not set(held) <= {"ctrl", "alt", "shift"}:
        return [], word
    if known := _WORDS.get("+".join([*(h for h in held if h != "alt"), name])):
        return [h for h in held if h == "alt"], known
    return held, name


def named(key: str) -> str:
    """`ctrl+x l` as people write it: `Ctrl+X l`."""
    strokes = [stroke.split("+") for stroke in key.split()]
    return " ".join("+".join(_named(word, held=len(s) > 1) for word in s) for s in strokes)


def _named(word: str, *, held: bool) -> str:
    name = _SHOWN.get(_WORDS.get(word.lower(), word.lower()), word.capitalize())
    return name if held or len(word) > 1 else word


def resolved(
    wishes: Wishes, defaults: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, tuple[str, ...]], list[Fault]]:
    """The keys of every action, and what of the wishes could not be had or costs another."""
    faults: list[Fault] = []
    keys = dict(defaults)
    taken: dict[tuple[str, ...], str] = {}
    wished: dict[str, tuple[str, ...]] = {}
    for action, wish in wishes.items():
        if action not in defaults:
            faults.append(_unknown(action, defaults))
            continue
        asked = (wish,) if isinstance(wish, str) else tuple(dict.fromkeys(wish))
        fitting = tuple(key for key in asked if not _refused(action, key, faults))
        if fitting or not asked:
            wished[action] = _granted(action, fitting, taken, faults)
    keys.update(wished)
    for action in keys.keys() - wished.keys():
        keys[action] = _spared(action, keys[action], taken, faults)
    faults += _hidden(wished, keys)
    return keys, faults


def _unknown(action: str, defaults: Mapping[str, tuple[str, ...]]) -> Fault:
    near = nearest(action, defaults, 1)
    hint = f"did you mean {near[0]}?" if near else "/help keys lists what keys can do"
    return Fault(action, f"no key can do {action!r}: {hint}")


def _refused(action: str, key: str, faults: list[Fault]) -> bool:
    strokes = parse(key)
    wrong = [stroke for stroke in strokes if stroke not in ALL_KEYS and len(stroke) != 1]
    if not strokes or wrong:
        hint = "keys are written ctrl+k, alt+enter, shift+up, f2, ctrl+x l"
        faults.append(Fault(action, f"there is no key {key!r} for {action}: {hint}"))
    elif len(strokes[0]) == 1:
        told = f"{key!r} types a letter and cannot be {action}: hold ctrl or alt with it"
        faults.append(Fault(action, told))
    else:
        return False
    return True


def _granted(
    action: str,
    asked: tuple[str, ...],
    taken: dict[tuple[str, ...], str],
    faults: list[Fault],
) -> tuple[str, ...]:
    """Who asks first has the key."""
    got = []
    for key in asked:
        holder = taken.setdefault(parse(key), action)
        if holder == action:
            got.append(key)
        else:
            told = f"{named(key)} is asked for by {holder} and by {action}: {holder} has it"
            faults.append(Fault(action, told))
    return tuple(got)


def _spared(
    action: str,
    keys: tuple[str, ...],
    taken: dict[tuple[str, ...], str],
    faults: list[Fault],
) -> tuple[str, ...]:
    """What an action that was not spoken of keeps."""
    left = tuple(key for key in keys if parse(key) not in taken)
    for key in keys:
        winner = taken.get(parse(key))
        if winner is not None:
            other = (
                f"; it has {', '.join(map(named, left))} left" if left else ", which has none now"
            )
            faults.append(Fault(winner, f"{named(key)} is {winner} now and not {action}{other}"))
    return left


def _hidden(wished: Mapping[str, Sequence[str]], keys: Mapping[str, Sequence[str]]) -> list[Fault]:
    """Keys that others begin with: they wait a second for what may follow."""
    found = []
    for action, own in wished.items():
        for key in own:
            strokes = parse(key)
            longer = [
                (named(other), by)
                for by, theirs in keys.items()
                for other in theirs
                if strokes[0] != "escape"
                and parse(other)[: len(strokes)] == strokes
                and len(parse(other)) > len(strokes)
            ]
            if longer:
                other, by = longer[0]
                told = f"{named(key)} ({action}) waits a second: {other} ({by}) begins with it"
                found.append(Fault(action, told))
    return found
