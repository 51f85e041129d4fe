"""What it means for a conversation that another model answers. Pure.

Invariants: only what is so is said, with numbers, each with what is done about it; where nothing
is lost nothing is said. What the model can do is taken from its profile: what nobody knows is not
guessed at, here or in the request.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import msgspec

from chinwag.errors import ChinwagError, KeyMissing, KeyRefused, ProviderError, RateLimited
from chinwag.providers.base import Profile, Terms
from chinwag.talk.entry import AssistantSaid, Spoken, ToolReturned
from chinwag.talk.message import AnyPart, Call, File, Image, Thinking

LEAST_CUT = 200  # tokens a server must have passed over before it is said
SURE, LIKELY = 0.7, 0.5  # shares of the prompt it may have read, by how well we can count


class Loss(msgspec.Struct, frozen=True):
    """Something a model does not get, in words. ``grave`` where the answer may suffer from it."""

    text: str
    grave: bool = True


class Room(msgspec.Struct, frozen=True):
    """How much is to be sent and how much fits, in tokens; ``window`` 0 where nobody knows."""

    used: int = 0
    window: int = 0
    exact: bool = True


def losses(
    said: Sequence[tuple[int, Spoken]], provider: str, profile: Profile, terms: Terms, room: Room
) -> list[Loss]:
    """What the model that answers next cannot take of what was said, and what is done about it."""
    entries = [entry for _, entry in said]
    light = (*_thinking(entries, provider), *_ids(entries, terms))
    return [
        *media(entries, profile, terms),
        *(Loss(text, grave=False) for text in light),
        *map(Loss, _size(room)),
    ]


def media(entries: Sequence[Spoken], profile: Profile, terms: Terms) -> list[Loss]:
    """The pictures and files among it alone."""
    return [Loss(text) for text in _media(entries, profile, terms)]


def report(who: str, lost: Sequence[Loss]) -> str:
    """One sentence; "" where there is nothing to say."""
    return f"{who}: {'; '.join(loss.text for loss in lost)}" if lost else ""


def _parts(entries: Sequence[Spoken]) -> Iterator[AnyPart]:
    for entry in entries:
        if not isinstance(entry, ToolReturned):
            yield from entry.parts


def _media(entries: Sequence[Spoken], profile: Profile, terms: Terms) -> Iterator[str]:
    if profile.sees is False:
        blind = sum(isinstance(p, Image) for p in _parts(entries))
        if blind:
            named = _counted(blind, "picture is", "pictures are")
            yield f"it does not see, so {named} named in words"
    kept = [p for p in _parts(entries) if isinstance(p, File) and not _travels(p, terms)]
    if kept:
        yield f"it cannot read {_counted(len(kept), 'file', 'files')}, sent by name only"


def _travels(part: File, terms: Terms) -> bool:
    """A text file always does, an empty one too; another one where the wire has a form for it."""
    return part.is_text or part.mime.startswith(terms.files)


def _thinking(entries: Sequence[Spoken], provider: str) -> Iterator[str]:
    """Signed thinking is worth something to its signer only, and unsigned to nobody else."""
    count = sum(
        any(isinstance(p, Thinking) and _by_another(p, provider) for p in entry.parts)
        for entry in entries
        if isinstance(entry, AssistantSaid)
    )
    if count:
        yield f"the thinking of {_counted(count, 'answer', 'answers')} by others is not sent to it"


def _by_another(part: Thinking, provider: str) -> bool:
    return part.source.partition("/")[0] != provider


def _ids(entries: Sequence[Spoken], terms: Terms) -> Iterator[str]:
    if not terms.ids:
        return
    odd = {p.id for p in _parts(entries) if isinstance(p, Call) and not _keeps(terms.ids, p.id)}
    if odd:
        yield f"{_counted(len(odd), 'tool call is', 'tool calls are')} sent under other ids"


def _keeps(pattern: str, name: str) -> bool:
    return re.fullmatch(pattern, name) is not None


def _size(room: Room) -> Iterator[str]:
    if room.window and room.used > room.window:
        mark = "" if room.exact else "~"
        yield (
            f"the conversation holds {mark}{room.used:,} tokens and its window only "
            f"{room.window:,}: the next message makes room first (/compact and /clear do it now)"
        )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


# -- who answers instead --------------------------------------------------------------------------


def gives_way(error: ChinwagError | None) -> bool:
    """Whether another model may answer where this one failed before its first word."""
    match error:
        case KeyMissing() | KeyRefused():
            return True
        case RateLimited(out_of_credit=True):
            return True
        case ProviderError(may_retry=again):
            return again
        case _:
            return False


# -- a prompt that was cut in silence -------------------------------------------------------------


def looks_cut(ours: int, reported: int, *, known: bool) -> bool:
    """Whether a server that says it read ``reported`` tokens has passed over some of ``ours``.

    ``known`` says that ours is exact, or corrected by what this model reported before.
    """
    share = SURE if known else LIKELY
    return reported < ours * share and ours - reported > LEAST_CUT


def counts_news_only(reported: int, news: int) -> bool:
    """Whether a report fits what is new since the last answer: some servers leave out what they
    had in their cache."""
    return 0.7 * news <= reported <= 1.5 * news + 64


def cut_notice(who: str, ours: int, reported: int, terms: Terms, *, exact: bool) -> str:
    mark = "" if exact else "~"
    return (
        f"{who} has read only {reported:,} of {mark}{ours:,} tokens: the beginning of the "
        f"conversation was cut off without a word; {terms.widen}, or make it shorter with /clear "
        "or /undo"
    )


def news(said: Sequence[tuple[int, Spoken]]) -> int:
    """Tokens said since the last answer; 0 where nothing was answered before."""
    total = 0
    for _, entry in reversed(said):
        if isinstance(entry, AssistantSaid):
            return total
        total += entry.tokens
    return 0
