"""The footer: figures on one line, the less important dropped where there is no room; pure.

Invariants: a count that is not exact carries `~`; a problem with saving is never dropped; speed is
that of decoding alone (first to last word heard). The parts are (style name, text), so that rich
can draw them when it is there and plain fragments can stand in before.
"""

from __future__ import annotations

from typing import NamedTuple

from chinwag.frontends.tui.promises import Status
from chinwag.frontends.tui.state import Live, UiState
from chinwag.text.cells import clip, for_screen, width
from chinwag.text.safe import safe_line

BAR = 20
WORTH = 3
"""Parts up to this rank are worth more than the bar and long numbers."""
CHARACTERS_A_TOKEN = 4.2


class Part(NamedTuple):
    """``rank`` 0 is never dropped; the highest goes first."""

    rank: int
    style: str
    text: str


def pieces(
    state: UiState,
    status: Status,
    draft: tuple[int, bool] | None,
    columns: int,
    speed: str | None = None,
    mode: str = "",
    more: int = 0,
) -> list[tuple[str, str]]:
    """The footer as (style name, text), at most ``columns`` wide.

    ``speed`` is what to say of the rate, where somebody has worked it out already, ``mode`` that of
    the input, where it has several, ``more`` about how many tokens of the answer that is heard
    will stay in the conversation.
    """
    parts = _parts(state, status, draft, rate(state.live) if speed is None else speed)
    if mode:
        parts.insert(0, Part(2, "footer", mode))
    room = columns - 1
    for bar, spared in ((BAR, WORTH), (10, WORTH), (0, WORTH), (0, 0)):
        lead = _lead(status, bar, more, short=spared == 0)
        kept = _fitting(parts, room - _width(lead) - 2)
        dropped = min((part.rank for part in parts if part not in kept), default=99)
        fits = _cells(kept) <= room - _width(lead) - 2
        if (fits and dropped > spared) or not spared:
            return _joined(lead, kept, columns)
    return []


def _fitting(parts: list[Part], room: int) -> list[Part]:
    """The parts that fit, the highest ranks dropped first and rank 0 never."""
    kept = list(parts)
    while kept and _cells(kept) > room:
        worst = max(kept, key=lambda part: part.rank)
        if worst.rank == 0:
            break
        kept.remove(worst)
    return kept


def _cells(parts: list[Part]) -> int:
    return sum(width(part.text) + 3 for part in parts) - 3


def _width(lead: list[tuple[str, str]]) -> int:
    return sum(width(text) for _, text in lead)


def _joined(lead: list[tuple[str, str]], parts: list[Part], columns: int) -> list[tuple[str, str]]:
    out = [("footer", " "), *lead]
    for at, part in enumerate(parts):
        out += [("footer", " · " if at else "  "), (part.style, part.text)]
    return _cut(out, columns)


def _cut(out: list[tuple[str, str]], columns: int) -> list[tuple[str, str]]:
    kept: list[tuple[str, str]] = []
    for style, text in out:
        piece = clip(text, columns)
        columns -= width(piece)
        if piece:
            kept.append((style, piece))
    return kept


def _lead(status: Status, bar: int, more: int, *, short: bool) -> list[tuple[str, str]]:
    used = status.used + more
    sign = "" if status.exact and not more else "~"
    if status.window <= 0:
        return [("footer", f"{sign}{used:,} tokens")]
    if short:
        return [("footer", f"{sign}{_short(used)}/{_short(status.window)}")]
    words = [("footer", f"{sign}{used:,} of {status.window:,}")]
    if not bar:
        return words
    share = min(1.0, used / status.window)
    full = min(bar, int(share * bar) + (1 if share > 0 and share * bar < 1 else 0))
    style = "footer.bad" if share > 0.8 else "bar"
    return [*words, ("footer", " "), (style, "█" * full), ("bar.rest", "░" * (bar - full))]


def _short(count: int) -> str:
    if count < 1000:
        return str(count)
    if count < 10_000:
        return f"{count / 1000:.1f}k"
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def _parts(
    state: UiState, status: Status, draft: tuple[int, bool] | None, speed: str
) -> list[Part]:
    out: list[Part] = []
    if draft is not None:
        out.append(Part(3, "footer", f"draft {'' if draft[1] else '~'}{draft[0]:,}"))
    if speed:
        out.append(Part(4, "footer", speed))
    if status.cost is not None:
        out.append(Part(5, "footer", f"${status.cost:.3f}"))
    if status.budget:
        out.append(Part(1, "footer.bad", f"budget: {status.budget}"))
    if len(state.session):
        out.append(_saved(status))
    if status.private:
        out.append(Part(2, "footer.good", "private"))
    if not status.private and not status.store.startswith("file:"):
        out.append(Part(6, "footer", for_screen(safe_line(status.store, 24))))
    if state.busy:
        out.append(Part(1, "footer", "stopping" if state.stopping else "esc stops"))
    if status.model:
        out.append(Part(8, "footer", for_screen(safe_line(status.model, 32))))
    return out


def _saved(status: Status) -> Part:
    if status.private:
        return Part(7, "footer", "nothing is written")
    if status.save_problem:
        return Part(0, "footer.bad", "NOT SAVED")
    if status.queued_saves:
        return Part(2, "footer", "saving")
    return Part(2, "footer", "saved")


def coming(live: Live | None) -> int:
    """About how many tokens what is being heard adds to the conversation."""
    return int(live.lasting / CHARACTERS_A_TOKEN) if live is not None else 0


def rate(live: Live | None) -> str:
    """Tokens a second while an answer streams; "" before there is anything to say."""
    if live is None or not live.first or live.last - live.first < 0.3:
        return ""
    reported = live.draft.usage.output
    count = reported or max(live.draft.heard, live.characters / CHARACTERS_A_TOKEN)
    sign = "" if reported else "~"
    return f"{sign}{count / (live.last - live.first):,.0f}/s"
