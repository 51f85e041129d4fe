"""The command for a session that is open in another window.

Invariant: nothing is taken by force; where nobody lets go, a copy is offered.
"""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group
from chinwag.commands.words import say
from chinwag.engine.windows import choices
from chinwag.errors import SessionLocked
from chinwag.stores.base import Answer, Reply
from chinwag.talk.event import Ear, Offered

_WHY = {
    Reply.STOPPED: "it is stopped and cannot answer",
    Reply.AWAY: "it cannot be asked from here",
    Reply.SILENT: "it did not answer in time",
}


async def take_over(bench: Bench, _: list[str], hear: Ear) -> None:
    talk = bench.conversation
    if not talk.following:
        say(hear, "this session is written here already")
        return
    owner = talk.following
    answer = await bench.take_over(hear)
    if answer.reply is Reply.LET_GO:
        say(hear, "this session is written here now")
        return
    hear(Offered("it is still written elsewhere", choices(Reply.AWAY)))
    raise SessionLocked(
        f"{owner} keeps this session: {_why(answer)}",
        hint="/fork goes on in a copy",
        owner=owner,
    )


def _why(answer: Answer) -> str:
    return _WHY.get(answer.reply, answer.why)


COMMANDS: tuple[Command, ...] = (
    Command(
        "takeover",
        "write the session you read along in",
        Group.SESSIONS,
        take_over,
        asked="open in another window, elsewhere; read only; take over, steal the session; locked",
        aliases=("take",),
        detail="A session is written in one window at a time; a second one reads along. This asks "
        "the other window, which finishes what it is saving, lets go and reads along itself. Where "
        "it cannot answer, `/fork` goes on in a copy.",
    ),
)
