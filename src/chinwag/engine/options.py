"""What may be set on a request, by name: one table, read by /set, flags and configuration.

Invariant: a value that reached a session fits its option; anything else is refused in words before
it is settled. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chinwag.errors import UsageWrong, nearest
from chinwag.providers.base import Options


class Option(msgspec.Struct, frozen=True):
    """One option: ``read`` turns a word into its value or raises ValueError saying the form."""

    name: str
    help: str
    read: Callable[[str], Any]


def _number(low: float, high: float) -> Callable[[str], float]:
    def read(word: str) -> float:
        value = float(word)
        if not low <= value <= high:
            raise ValueError(f"a number from {low:g} to {high:g}")
        return value

    return read


def _count(word: str) -> int:
    value = int(word.replace("_", "").replace(",", ""))
    if value < 1:
        raise ValueError("a whole number above 0")
    return value


def _reasoning(word: str) -> str:
    if word not in {"low", "medium", "high", "off"}:
        raise ValueError("low, medium, high or off")
    return word


def _stop(word: str) -> list[str]:
    return [word.encode().decode("unicode_escape") if "\\" in word else word]


TABLE: tuple[Option, ...] = (
    Option("temperature", "how freely it picks words, 0 to 2", _number(0, 2)),
    Option("top_p", "share of likely words it picks from, 0 to 1", _number(0, 1)),
    Option("top_k", "how many likely words it picks from", _count),
    Option("max_tokens", "the longest answer, in tokens", _count),
    Option("stop", "text at which the answer ends", _stop),
    Option("reasoning", "how much it thinks: low, medium, high, off", _reasoning),
    Option("seed", "the same number gives the same answer where supported", int),
)
NAMES = tuple(option.name for option in TABLE)
_SET = frozenset((*NAMES, "schema"))  # a schema comes from the command line or a program only


def read_option(name: str, word: str) -> tuple[str, Any]:
    """(name, value) of an option given as words; the value None takes it back.

    Raises UsageWrong naming the form, or the nearest option.
    """
    key = name.replace("-", "_").lower()
    found = next((o for o in TABLE if o.name == key), None)
    if found is None:
        near = nearest(key, NAMES)
        hint = f"did you mean {', '.join(near)}?" if near else f"there is {', '.join(NAMES)}"
        raise UsageWrong(f"there is no setting {name!r}", hint=hint)
    if word.lower() in {"default", "none", "unset"}:
        return key, None
    try:
        return key, found.read(word)
    except ValueError as error:
        form = str(error) if "from" in str(error) or "," in str(error) else found.help
        raise UsageWrong(f"{key} cannot be {word!r}: {form}", usage=f"/set {key} VALUE") from None


def merged(defaults: Options, chosen: Mapping[str, Any]) -> Options:
    """The defaults with what the session chose on top; names from elsewhere go into ``extra``."""
    known = {k: v for k, v in chosen.items() if k in _SET}
    if "stop" in known:
        known["stop"] = tuple(known["stop"])
    extra = {**defaults.extra, **{k: v for k, v in chosen.items() if k not in _SET}}
    plain = {name: getattr(defaults, name) for name in Options.__struct_fields__}
    return Options(**{**plain, **known, "extra": extra})
