"""Choosing from a list by typing some of its letters; pure.

Invariants: the order of what fits is best first, equal ones in the order given; nothing that lacks
a typed letter is shown; an empty filter shows everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from msgspec.structs import replace

from chinwag.frontends.tui.state import Item, Picker, Said
from chinwag.talk.entry import UserSaid
from chinwag.talk.event import Choice
from chinwag.talk.session import Header, shortened
from chinwag.text.moments import local


def sessions(headers: tuple[Header, ...]) -> tuple[Choice, ...]:
    """Sessions as choices: picking one is loading it."""
    return tuple(Choice(_name(h), f"/load {h.id}", _about(h)) for h in headers)


def _name(header: Header) -> str:
    return header.headline.title or header.id


def _about(header: Header) -> str:
    if header.damaged:
        return f"damaged: {header.damaged}"
    line = header.headline
    count = f"{line.messages} message" + ("" if line.messages == 1 else "s")
    day = local(line.updated or header.created)
    return " · ".join(part for part in (count, line.model, day) if part)


def own(items: Sequence[Item]) -> tuple[Choice, ...]:
    """The person's own messages, the newest first: picking one is editing it."""
    said = (item for item in reversed(items) if isinstance(item, Said))
    mine = ((item.n, item.entry) for item in said if isinstance(item.entry, UserSaid))
    return tuple(
        Choice(shortened(entry.text, 200), f"/edit {n}", f"message {n}") for n, entry in mine
    )


def moved(picker: Picker | None, by: int) -> Picker | None:
    """The cursor ``by`` rows further, stopping at the ends."""
    if picker is None:
        return None
    last = len(fitting(picker)) - 1
    return replace(picker, at=max(0, min(picker.at + by, last)))


def typed(picker: Picker | None, text: str) -> Picker | None:
    """The filter with ``text`` added; with "" its last letter is taken back."""
    if picker is None:
        return None
    return replace(picker, typed=picker.typed + text if text else picker.typed[:-1], at=0)


def chosen(picker: Picker | None) -> Choice | None:
    """What Enter would take."""
    if picker is None:
        return None
    found = fitting(picker)
    return found[picker.at] if picker.at < len(found) else None


def fitting(picker: Picker) -> tuple[Choice, ...]:
    """The choices that fit what was typed, best first."""
    return _fitting(picker.choices, picker.typed)


@lru_cache(maxsize=4)
def _fitting(choices: tuple[Choice, ...], typed_text: str) -> tuple[Choice, ...]:
    wanted = typed_text.lower().split()
    if not wanted:
        return choices
    scored = [(_worst(choice, wanted), at) for at, choice in enumerate(choices)]
    best = sorted(pair for pair in scored if pair[0] is not None)
    return tuple(choices[at] for _, at in best)


def _worst(choice: Choice, wanted: list[str]) -> int | None:
    """How badly a choice fits (0 = best); None when some word does not fit at all."""
    label, detail = choice.label.lower(), choice.detail.lower()
    scores = [_misfit(label, detail, word) for word in wanted]
    return None if None in scores else sum(score for score in scores if score is not None)


def _misfit(label: str, detail: str, word: str) -> int | None:
    at = label.find(word)
    if at == 0:
        return 0
    if at > 0:
        return 1 if not label[at - 1].isalnum() else 2
    if word in detail:
        return 3
    return 4 + len(label) if _in_order(word, label) else None


def _in_order(word: str, label: str) -> bool:
    letters = iter(label)
    return all(letter in letters for letter in word)
