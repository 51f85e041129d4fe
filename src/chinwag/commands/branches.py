"""/branches, /variant, /compare: the other ways a talk went, and the other answers to a question.

Invariants: going to a branch moves the head and rewrites nothing, so every other branch stays; the
place one came from is always named, to go back to. Nothing is sent.
"""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group
from chinwag.commands.words import escaped, first_words, number, plural, say
from chinwag.errors import CommandError
from chinwag.talk import branches as tree
from chinwag.talk.entry import AssistantSaid, UserSaid
from chinwag.talk.event import Choice, Column, Ear, Level, Notice, Offered, Page
from chinwag.talk.session import NOT_A_NODE, Session
from chinwag.text.moments import local

WAYS = ("next", "before")


async def branches(bench: Bench, words: list[str], hear: Ear) -> None:
    session = bench.conversation.session
    if words:
        _go(bench, number(words[0], "/branches [N]"), hear)
        return
    rows = [row for row in tree.outline(session) if row.messages]
    if len(rows) < 2:
        say(hear, "there is one line of talk and no branch; /edit and /retry begin one")
        return
    tips = sum(row.ends for row in rows)
    title = f"{tips} branches: which one goes on?"
    hear(Offered(title, tuple(_choice(session, row) for row in rows)))


def _choice(session: Session, row: tree.Branch) -> Choice:
    sign = "●" if row.on_path else "○"
    lead = f"{'│ ' * (row.depth - 1)}{'├─' * bool(row.depth)}{sign} "
    where = "you are here" if row.here else local(session.entry(row.tip).at)
    detail = " · ".join(filter(None, (plural(row.messages, "message"), where)))
    return Choice(f"{lead}{_words(session, row.said)}", f"/branches {row.tip}", detail)


def _words(session: Session, n: int) -> str:
    entry = session.entry(n)
    match entry:
        case UserSaid(text=text):
            return f"{n} you: {first_words(text, 60)}"
        case AssistantSaid(text=text, model=model, error=error):
            return f"{n} {model or 'answer'}: {first_words(text or error, 60)}"
        case _:
            return str(n)


def _go(bench: Bench, n: int, hear: Ear) -> None:
    talk = bench.conversation
    session = talk.session
    if n > len(session) or n <= session.base or session.parent(n) == NOT_A_NODE:
        raise CommandError(f"there is no message {n} to go to", hint="/branches lists them")
    tip = session.leaf(n)
    if tip == session.head:
        say(hear, "this is the branch you are on")
        return
    before = session.head
    talk.rewind(tip, hear, why="branch")
    text = f"on the branch of message {n} now; /branches {before} goes back to the one before"
    hear(Notice(text, Level.BRIEF))


# -- the answers to one question -----------------------------------------------------------------


async def variant(bench: Bench, words: list[str], hear: Ear) -> None:
    talk = bench.conversation
    shown, beside = _variants(talk.session)
    at = beside.index(shown)
    wanted = _which(words[0], beside, at, "/variant [K|next|before]") if words else at + 1
    goal = beside[wanted % len(beside)]
    if goal != shown:
        talk.rewind(talk.session.leaf(goal), hear, why="variant")
    text = f"{_named(talk.session, beside, goal)} · /compare"
    hear(Notice(text, Level.BRIEF))


def _variants(session: Session) -> tuple[int, list[int]]:
    """The last answer on the path that has variants, and all of these."""
    shown = tree.last_forked(session)
    if not shown:
        raise CommandError(
            "there is one answer to each question", hint="/retry [MODEL] asks for another"
        )
    return shown, session.variants(shown)


def _which(word: str, beside: list[int], at: int, usage: str) -> int:
    if word in WAYS:
        return at + (1 if word == "next" else -1)
    wanted = number(word, usage)
    if wanted > len(beside):
        raise CommandError(f"there are {len(beside)} answers, and no answer {wanted}", hint=usage)
    return wanted - 1


def _named(session: Session, beside: list[int], n: int) -> str:
    entry = session.entry(n)
    who = f"{entry.provider}/{entry.model}" if isinstance(entry, AssistantSaid) else ""
    return f"answer {beside.index(n) + 1} of {len(beside)}{f', {who}' if who else ''}"


async def compare(bench: Bench, words: list[str], hear: Ear) -> None:
    session = bench.conversation.session
    shown, beside = _variants(session)
    at = beside.index(shown)
    usage = "/compare [K [K]]"
    picked = [_which(word, beside, at, usage) % len(beside) for word in words]
    if not picked:
        picked = [at]
    if len(picked) == 1:
        other = at if picked[0] != at else (at - 1 if at else 1)
        picked = sorted([*picked, other])
    columns = tuple(_column(session, beside, beside[k], shown) for k in picked)
    whole = "\n\n".join(f"**{escaped(c.head)}**\n\n{c.text}" for c in columns)
    hear(Page("Answers compared", whole, columns))


def _column(session: Session, beside: list[int], n: int, shown: int) -> Column:
    entry = session.entry(n)
    text = (entry.text or entry.error) if isinstance(entry, AssistantSaid) else ""
    at = beside.index(n) + 1
    here = "in front" if n == shown else f"/variant {at} takes it"
    who = f" · {entry.provider}/{entry.model}" if isinstance(entry, AssistantSaid) else ""
    return Column(f"{at} of {len(beside)} · {here}{who}", text or "(nothing was said)")


COMMANDS: tuple[Command, ...] = (
    Command(
        "branches",
        "show the ways the talk went, and go to one",
        Group.TALKING,
        branches,
        asked="tree of the conversation; other branch; where is my old version; earlier answers; "
        "go back to what was there before an edit",
        usage="[N]",
        most=1,
        detail="An edit, a retry and an undo begin a new branch; the old one stays. ● is what you "
        "are on, ○ what is beside it. Choosing one, or `/branches N`, goes to the newest message "
        "of the branch through message N. Nothing is lost by it.",
    ),
    Command(
        "variant",
        "flip between the answers to one question",
        Group.TALKING,
        variant,
        asked="previous answer; other answer; first answer was better; switch between answers; "
        "versions of an answer",
        usage="[K|next|before]",
        most=1,
        detail="After `/retry` there are several answers to a question. This shows the next one, "
        "the one before, or the K-th, and the talk goes on from it. On an empty line Alt+Left and "
        "Alt+Right do the same.",
    ),
    Command(
        "compare",
        "show two answers to one question side by side",
        Group.TALKING,
        compare,
        asked="compare answers of two models; diff; side by side; which answer is better",
        usage="[K [K]]",
        most=2,
        detail="The answer in front and the one before it, or answers K and K. In a narrow window "
        "they stand one above the other. `/variant K` chooses the one to go on from.",
    ),
)
