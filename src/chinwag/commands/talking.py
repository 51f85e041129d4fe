"""Commands about what was said: going back, again, on, and looking at it.

Invariant: each says in one line what it did and how to take it back; nothing said is ever lost.
"""

from __future__ import annotations

from collections.abc import Container

from chinwag.commands.bench import Bench
from chinwag.commands.models import meant
from chinwag.commands.table import Command, Group, Kind
from chinwag.commands.words import escaped, first_words, flagged, number, plural, say, speaker
from chinwag.errors import CommandError, UsageWrong
from chinwag.talk.entry import AssistantSaid, Spoken, Status, ToolReturned, UserSaid
from chinwag.talk.event import DraftOffered, Ear, Page
from chinwag.talk.session import Session
from chinwag.talk.shown import shown
from chinwag.text.moments import MINUTE, local


async def clear(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--all")
    if rest:
        raise UsageWrong(f"/clear does not know {rest[0]!r}", usage="/clear [--all]")
    talk = bench.conversation
    count, drop = talk.session.tally.messages, bool(flags) and bool(talk.system)
    if not count and not drop:
        say(hear, "there is nothing to clear")
        return
    prompted = bool(talk.system)
    talk.clear(hear, keep_system=not flags)
    prompt = "; the system prompt is gone too" if drop else "; the system prompt stays"
    undo = "; /undo brings them back" if count else "; /undo brings it back"
    say(hear, f"cleared {plural(count, 'message')}{prompt if prompted else ''}{undo}")


async def undo(bench: Bench, words: list[str], hear: Ear) -> None:
    times = number(words[0], "/undo [N]") if words else 1
    talk = bench.conversation
    before = talk.session
    text = talk.undo(times, hear)
    say(hear, f"{_changed(before, talk.session, 'took back')}; /redo goes forward again")
    if text:
        hear(DraftOffered(text))


async def redo(bench: Bench, _: list[str], hear: Ear) -> None:
    talk = bench.conversation
    before = talk.session
    talk.redo(hear)
    say(hear, f"{_changed(before, talk.session, 'took away')}; /undo goes back again")


def _changed(before: Session, now: Session, away: str) -> str:
    gained = now.tally.messages - before.tally.messages
    if gained > 0:
        return f"brought back {plural(gained, 'message')}"
    if gained < 0:
        return f"{away} {plural(-gained, 'message')}"
    sent = len(shown(now)) - len(shown(before))
    if sent:
        are = "is" if abs(sent) == 1 else "are"
        what = "sent again" if sent > 0 else "left out again"
        return f"{plural(abs(sent), 'message')} {are} {what}"
    if now.system != before.system:
        return "the system prompt is another one again"
    marks = (before.scope.pinned, before.scope.excluded) != (now.scope.pinned, now.scope.excluded)
    return "what is pinned or excluded changed back" if marks else f"{away} one step"


async def retry(bench: Bench, words: list[str], hear: Ear) -> None:
    choice = None
    if words:
        choice = await meant(bench, words[0])
        if (problem := await bench.problem(choice[0])) is not None:
            raise problem  # before anything is taken back
        bench.directory.provider(choice[0])
    await bench.conversation.retry(hear, choice)


async def go_on(bench: Bench, _: list[str], hear: Ear) -> None:
    await bench.conversation.go_on(hear)


async def edit(bench: Bench, words: list[str], hear: Ear) -> None:
    talk = bench.conversation
    asked = [(n, e) for n, e in talk.session.said() if isinstance(e, UserSaid)]
    if not asked:
        raise CommandError("there is no message to edit yet", hint="type one first")
    wanted = number(words[0], "/edit [N]") if words else asked[-1][0]
    text = next((entry.text for n, entry in asked if n == wanted), None)
    if text is None:
        known = ", ".join(str(n) for n, _ in asked[-8:])
        raise CommandError(
            f"message {wanted} is none of yours in this conversation",
            hint=f"/edit N takes the number shown beside your message: {known}",
        )
    # Rewound as an undo, so that somebody who thinks better of it gets everything back by /redo.
    talk.rewind(talk.session.parent(wanted), hear, why="undo")
    hear(DraftOffered(text))
    say(hear, f"editing message {wanted}: what you send now goes on from there; /redo leaves it be")


async def history(bench: Bench, words: list[str], hear: Ear) -> None:
    session = bench.conversation.session
    said = session.said()
    if not said:
        say(hear, "nothing has been said yet")
        return
    sent = {n for n, _ in shown(session)}
    if words:
        last = said[-number(words[0], "/history [N]") :]
        whole = (f"{_who(n, e, session, sent)}\n\n{_whole(e)}" for n, e in last)
        text = "\n\n---\n\n".join(whole)
    else:
        heads = ((_who(n, e, session, sent), escaped(first_words(_words(e)))) for n, e in said)
        text = "\n".join(f"- {who} {first}" for who, first in heads)
    total = plural(bench.conversation.session.tally.messages, "message")
    hear(Page(f"History: {total}", text))


def _who(n: int, entry: Spoken, session: Session, sent: Container[int]) -> str:
    words = (escaped(local(entry.at, MINUTE)), _mark(n, session, sent))
    return " ".join(filter(None, (f"**{n} {escaped(speaker(entry))}**", *words)))


def _mark(n: int, session: Session, sent: Container[int]) -> str:
    """What is different about a message, for the model."""
    if n in session.scope.pinned:
        return "(pinned)"
    if n in session.scope.excluded:
        return "(excluded)"
    return "" if n in sent else "(not sent any more)"


def _words(entry: Spoken) -> str:
    if isinstance(entry, AssistantSaid) and entry.status is not Status.COMPLETE:
        return f"[{entry.status}] {entry.text or entry.error}"
    return entry.text


def _whole(entry: Spoken) -> str:
    if isinstance(entry, ToolReturned):
        return "\n".join("    " + line for line in entry.text.splitlines())
    return _words(entry)


_N = "Numbers are those shown beside the messages; `/history` lists them."

COMMANDS: tuple[Command, ...] = (
    Command(
        "undo",
        "take back the last step (a turn, a clear, a changed prompt)",
        Group.TALKING,
        undo,
        asked="take back the last message; go back a step; revert; mistake",
        usage="[N]",
        detail="Takes back N steps, 1 without a number. A step is one exchange (your message and "
        "what came of it), a `/clear` or a changed system prompt. Your words return to the input "
        "line. Nothing is deleted: `/redo` brings it back until you send something else.",
        most=1,
    ),
    Command(
        "redo",
        "bring back what /undo took",
        Group.TALKING,
        redo,
        asked="bring back what was undone",
        detail="Works until you send another message.",
    ),
    Command(
        "retry",
        "answer the last message anew, perhaps by another model",
        Group.TALKING,
        retry,
        asked="regenerate the answer; another answer; ask a different model the same question; "
        "try again; repeat",
        usage="[MODEL]",
        aliases=("regenerate",),
        kinds=(Kind.MODEL,),
        most=1,
        detail="Asks again for an answer to your last message: regenerate it. The old answer stays "
        "in the session file. With MODEL that model answers, this once.",
    ),
    Command(
        "continue",
        "let the model go on with an answer that was cut",
        Group.TALKING,
        go_on,
        asked="go on; keep going; unfinished answer",
        detail="For an answer you stopped, or one that reached its longest length.",
    ),
    Command(
        "edit",
        "go back to one of your messages and change it",
        Group.TALKING,
        edit,
        asked="edit an earlier message; change my question; correct a mistake, a typo in my "
        "question",
        usage="[N]",
        most=1,
        detail="To correct a mistake in a question. Goes back to before your message N (the last "
        f"one without a number) and puts its text in the input line. Change it and send. {_N}",
    ),
    Command(
        "clear",
        "empty the conversation, keep the system prompt",
        Group.TALKING,
        clear,
        asked="clear the conversation; empty; start over; forget everything; reset the context",
        usage="[--all]",
        most=None,
        detail="What was said is not sent any more. It stays in the session file, and `/undo` "
        "takes it back. `--all` drops the system prompt too. To begin another session, use `/new`; "
        "to take a session away for good, `/delete`.",
    ),
    Command(
        "history",
        "list the messages with their numbers",
        Group.TALKING,
        history,
        asked="see my old, earlier messages; show the whole conversation; scroll list; numbers "
        "of messages",
        usage="[N]",
        most=1,
        detail="One line a message. With N, the last N messages in full.",
    ),
)
