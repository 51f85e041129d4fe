"""Commands for what is not to be kept, and for what was not sent.

Invariants: while a talk is private nothing of it is written anywhere; what was written before is
removed only when that was asked for, and then for good.
"""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group
from chinwag.commands.words import first_words, flagged, number, plural, say
from chinwag.errors import CommandError, UsageWrong
from chinwag.talk.event import Choice, DraftOffered, Ear, Offered
from chinwag.talk.message import File
from chinwag.talk.unsent import Unsent
from chinwag.text.moments import local


async def private(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--erase")
    if rest:
        raise UsageWrong(f"/private does not know {rest[0]!r}", usage="/private [--erase]")
    if flags:
        await _erase(bench, hear)
        return
    still = "still" if bench.is_private else "from now on"
    written = await bench.conversation.go_private()
    say(hear, f"private {still}: nothing is written, nor of new sessions; /save NAME keeps one")
    if written:
        _ask_erase(bench, hear)


def _ask_erase(bench: Bench, hear: Ear) -> None:
    count = plural(bench.conversation.session.tally.messages, "message")
    choices = (
        Choice("keep them", "", "what was written before stays"),
        Choice("delete them", "/private --erase", "for good, from the trash and the history too"),
    )
    hear(Offered(f"{count} of this session are written already", choices))


async def _erase(bench: Bench, hear: Ear) -> None:
    talk = bench.conversation
    if not talk.private:
        raise CommandError("this talk is not private", hint="/private first; /delete also deletes")
    gone = await talk.erase_written()
    await talk.warm.forget(talk.session.id, hear)
    await bench.forget_typed(talk.session)
    what = "what was written of this session is gone for good" if gone else "nothing was written"
    say(hear, f"{what}; here it stays until you leave")


async def draft(bench: Bench, words: list[str], hear: Ear) -> None:
    found = await bench.drafts()
    if not found:
        say(hear, "no draft was given up; Ctrl+C puts one aside, Up brings it back")
    elif words:
        _offer(found[min(number(words[0], "/draft [N]"), len(found)) - 1], hear)
    else:
        rows = (
            Choice(first_words(one.text), f"/draft {n}", _when(one))
            for n, one in enumerate(found, 1)
        )
        hear(Offered("drafts that were given up", tuple(rows)))


def _offer(found: Unsent, hear: Ear) -> None:
    pastes = tuple((p.name, p.text) for p in found.attachments if isinstance(p, File))
    hear(DraftOffered(found.text, found.cursor, pastes))


def _when(found: Unsent) -> str:
    return local(found.at)


COMMANDS: tuple[Command, ...] = (
    Command(
        "draft",
        "bring back a message that was given up before it was sent",
        Group.TALKING,
        draft,
        asked="lost, discarded, unsent draft; recover what I typed; ctrl+c",
        usage="[N]",
        aliases=("drafts",),
        most=1,
        detail="What stands in the input is kept as you type: it is there again after a crash, and "
        "when you come back to its session. What Ctrl+C put aside is in this list; N takes the "
        "N-th, the newest first.",
    ),
    Command(
        "private",
        "write nothing of this talk from now on",
        Group.PROGRAM,
        private,
        asked="off the record; leave no trace; incognito; do not save; without history",
        usage="[--erase]",
        most=1,
        detail="Nothing of what is said from then on is written, nor of new sessions: no session, "
        "no history, no draft. What was written before stays unless you say `--erase`. `/save "
        "NAME` ends it and keeps the session. `chat --private` begins so.",
    ),
)
