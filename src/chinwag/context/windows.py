"""Which of a conversation still fits: pure choices over a record that never changes.

Invariants. A choice names positions; nothing is removed by it. What it keeps never exceeds its
budget; turns go whole, so a call is never parted from its results and the first message kept is a
person's; what is pinned stays. Choosing again from what a choice left chooses nothing (a fixed
point). A cut goes down to a low-water mark in one step, so that the turns after it only append to
the request and a server's prompt cache is hit. Looking costs what is kept, not what there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.message import File, Image
from chinwag.talk.session import Session
from chinwag.talk.shown import Placed, held_by_pins, shown, tokens_shown, units_of

LOW_WATER = 0.5  # of the budget: what a cut leaves
LATE = 6  # messages at the end that no pruning touches


class Cut(msgspec.Struct, frozen=True):
    """Everything up to position ``through`` goes: ``messages`` of them, ``tokens`` in all."""

    through: int
    messages: int
    tokens: int


class Dropped(msgspec.Struct, frozen=True):
    """One message (with the results of its calls) that goes, and why."""

    ns: tuple[int, ...]
    tokens: int
    score: float
    reason: str


def turns_back(session: Session) -> Iterator[list[Placed]]:
    """What is shown after the last cut, newest turn first: from a question to before the next."""
    scope = session.scope
    turn: list[Placed] = []
    for n, entry in session.back():
        if n <= scope.start:
            break
        if not isinstance(entry, UserSaid | AssistantSaid | ToolReturned):
            continue
        turn.append((n, entry))
        if isinstance(entry, UserSaid):
            yield turn[::-1]
            turn = []
    if turn:
        yield turn[::-1]


def trim(
    session: Session, budget: int, *, low: float = LOW_WATER, spare: bool = False
) -> Cut | None:
    """The oldest turns that go so that what stays fits ``budget`` tokens; None when all fits.

    What stays is at most ``low`` of the budget, unless the newest turn alone is more than that:
    then it stays by itself where it fits or is to be spared, and nothing stays where it does not.
    """
    held = tokens_shown(session)
    if held <= budget:
        return None
    may_go = _may_go(session)
    pinned = 0 if may_go is None else held - weight(p for p in shown(session) if p[0] in may_go)
    room, mark = budget - pinned, budget * low - pinned
    kept, first = 0, 0
    for turn in turns_back(session):
        more = weight(p for p in turn if may_go is None or p[0] in may_go)
        if kept + more > (mark if kept else room) and (first or not spare):
            break
        kept += more
        first = turn[0][0]
    return _cut_before(session, first)


def window(session: Session, keep: int) -> Cut | None:
    """What goes so that at most ``keep`` messages stay, turns whole; None when no more are there.

    Where even the newest turn has more than ``keep`` messages, it stays all the same.
    """
    kept, first = 0, 0
    for turn in turns_back(session):
        if first and kept + len(turn) > keep:
            return _cut_before(session, first)
        kept += len(turn)
        first = turn[0][0]
    return None


def prune(session: Session, budget: int, *, low: float = 1.0) -> list[Dropped]:
    """The least important messages that go so that what stays fits ``budget``; the least first.

    Once something has to go, what stays is at most ``low`` of the budget. Never the newest, nor
    what is pinned or decided. May not be enough: then `trim` follows.
    """
    held = tokens_shown(session)
    if held <= budget:
        return []
    said = shown(session)
    over = held - int(budget * low)
    chosen: list[Dropped] = []
    for each in sorted(_scored(session, said), key=lambda d: (d.score, d.ns)):
        if over <= 0:
            break
        chosen.append(each)
        over -= each.tokens
    return chosen


def rounds(session: Session, budget: int) -> list[Dropped]:
    """The oldest rounds of tools of the newest turn that go so that what is shown fits ``budget``.

    For a turn that outgrows the window by itself: the question and the newest round stay.
    """
    over = tokens_shown(session) - budget
    turn = next(turns_back(session), [])
    gone: list[Dropped] = []
    for unit in [u for u in units_of(turn) if not isinstance(u[0][1], UserSaid)][:-1]:
        ns = tuple(n for n, _ in unit)
        if over <= 0:
            break
        if not session.scope.leaves_out(ns) and session.scope.pinned.isdisjoint(ns):
            gone.append(Dropped(ns, weight(unit), 0.0, "an earlier round of tools"))
            over -= gone[-1].tokens
    return gone


def about(session: Session, topic: str, *, late: int = LATE) -> list[Dropped]:
    """What goes when only ``topic`` matters: messages that share no word with it.

    A question stays with its answer where either speaks of the topic, the newest stay anyway.
    """
    wanted = _words(topic)
    if not wanted:
        return []
    said = shown(session)
    newest = _newest(said, late)
    gone = []
    for turn in _turns(said):
        ns = tuple(n for n, _ in turn)
        pinned = any(n in session.scope.pinned for n in ns)
        if pinned or newest & set(ns) or any(_speaks_of(e.text, wanted) for _, e in turn):
            continue
        gone.append(Dropped(ns, weight(turn), 0.0, "not about it"))
    return gone


def weight(said: Iterable[Placed]) -> int:
    """Tokens of what was said, as counted when it was."""
    return sum(entry.tokens for _, entry in said)


def _cut_before(session: Session, first: int) -> Cut | None:
    """Everything before position ``first`` goes (0: everything there is)."""
    scope = session.scope
    through = session.parent(first) if first else session.head
    if through <= scope.start:
        return None
    may_go = _may_go(session)
    gone = [
        placed
        for placed in session.said(after=scope.start)
        if placed[0] <= through and (may_go is None or placed[0] in may_go)
    ]
    return Cut(through, len(gone), weight(gone)) if gone else None


def _may_go(session: Session) -> frozenset[int] | None:
    """Positions that are shown and not held by a pin; None where nothing is marked: all of them."""
    scope = session.scope
    if not (scope.pinned or scope.excluded or scope.hidden):
        return None
    held = held_by_pins(session)
    return frozenset(n for n, _ in shown(session) if n not in held)


# -- what a message is worth --------------------------------------------------------------------

_DECIDES = re.compile(
    r"\b(?:decid|agree|must|never|always|remember|important|require|constraint|final|chose|"
    r"choose|name is|call me|prefer|deadline|todo|plan)\w*",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"\W*(?:hi|hello|hey|thanks?|thank you|ok(?:ay)?|yes|no|sure|great|nice|cool|good|got it|"
    r"welcome|you'?re welcome|bye)\b[\W\w]{0,40}",
    re.IGNORECASE,
)
_FILLER = frozenset(
    "the a an and or but if of to in on at for with is are was were be been it this that"
    " these those i you he she we they me my your our as by from not do does did have has had"
    " can could would should will what which who how why when where there here so just about"
    " into than then".split()
)


def _scored(session: Session, said: Sequence[Placed]) -> list[Dropped]:
    """Every message that may go, with what it is worth: 0 is nothing."""
    late = _newest(said)
    recent = _words(" ".join(entry.text for _, entry in said[-LATE:]))
    count = len(said)
    scored = []
    for at, unit in enumerate(units_of(said)):
        ns = tuple(n for n, _ in unit)
        if late & set(ns) or any(n in session.scope.pinned for n in ns):
            continue  # what belongs together stays together
        score, reason = _worth(unit, recent, at / count)
        if score < 1:
            scored.append(Dropped(ns, weight(unit), score, reason))
    return scored


def _newest(said: Sequence[Placed], late: int = LATE) -> set[int]:
    """Positions of the last messages, and of what was asked last."""
    asked = next((n for n, entry in reversed(said) if isinstance(entry, UserSaid)), 0)
    return {asked, *(n for n, _ in said[-late:])}


def _worth(unit: Sequence[Placed], recent: frozenset[str], age: float) -> tuple[float, str]:
    """0 (nothing lost) to 1 (kept whatever happens), and in words why it may go."""
    entry = unit[0][1]
    text = entry.text
    if isinstance(entry, AssistantSaid) and entry.status is Status.FAILED:
        return 0.0, "an answer that failed"
    if _DECIDES.search(text) and not isinstance(entry, ToolReturned):
        return 1.0, "a decision"
    if _has_media(unit):
        return 1.0, "a picture or file"
    if len(text) < 60 and _CHATTER.fullmatch(text.strip()):
        return 0.05, "small talk"
    shared = len(_words(text) & recent)
    worth = 0.2 + 0.3 * age + min(0.4, 0.05 * shared)
    if any(isinstance(each, ToolReturned) for _, each in unit):
        return worth * 0.6, "output of a tool, long ago"
    if not shared:
        return worth, "not referred to since"
    return worth, "old, and little referred to"


def _has_media(unit: Sequence[Placed]) -> bool:
    said = (e for _, e in unit if isinstance(e, UserSaid))
    return any(isinstance(p, Image | File) for e in said for p in e.parts)


def _words(text: str) -> frozenset[str]:
    """The words that carry something, without their endings' last letters."""
    found = re.findall(r"\w{3,}", text.lower())
    return frozenset(word[:8] for word in found if word not in _FILLER)


def _speaks_of(text: str, wanted: frozenset[str]) -> bool:
    return bool(_words(text) & wanted)


def _turns(said: Sequence[Placed]) -> Iterator[Sequence[Placed]]:
    starts = [at for at, (_, entry) in enumerate(said) if at == 0 or isinstance(entry, UserSaid)]
    for start, end in pairwise([*starts, len(said)]):
        yield said[start:end]
