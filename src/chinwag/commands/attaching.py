"""Files that go along with a message: `/file PATH`, and `@path` in what is typed.

Invariants: `@path` is only ever a file where one of that name is there; anything else (a name, an
address, a decorator) stays words. What was attached goes with the next message that is sent, once,
and stays for the one after where that message was refused.
"""

from __future__ import annotations

import re

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group, Kind
from chinwag.commands.words import escaped, flagged, plural, say
from chinwag.errors import UsageWrong
from chinwag.talk.event import Ear
from chinwag.talk.message import AnyPart, File, Image

_MENTION = re.compile(r'(?:^|(?<=\s))@(?:"([^"\n]+)"|(\S+))')
_ENDINGS = ".,;:!?)]}'"


def mentioned(text: str) -> list[tuple[str, ...]]:
    """What may be paths in ``text``, each as the spellings to try: with and without the marks
    that end a sentence."""
    found: list[tuple[str, ...]] = []
    for match in _MENTION.finditer(text):
        quoted, bare = match.groups()
        if quoted:
            found.append((quoted,))
            continue
        shorter = bare.rstrip(_ENDINGS)
        found.append((bare, shorter) if shorter and shorter != bare else (bare,))
    return found


def named(part: AnyPart) -> str:
    match part:
        case Image(name=name) | File(name=name):
            return name or "a file"
        case _:
            return "a part"


async def file(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--drop")
    talk = bench.conversation
    if flags:
        count, talk.pending = len(talk.pending), ()
        say(hear, f"{plural(count, 'attachment')} dropped" if count else "nothing is attached")
        return
    if not rest:
        names = ", ".join(escaped(named(part)) for part in talk.pending)
        say(hear, f"goes with your next message: {names}" if names else "nothing is attached")
        return
    if len(rest) > 1:
        raise UsageWrong("one path at a time", usage='/file PATH (quote a path with blanks: "a b")')
    part = await bench.attach(rest[0])
    talk.pending = (*talk.pending, part)
    say(hear, f"{named(part)} goes with your next message; /file --drop takes it back")


COMMANDS: tuple[Command, ...] = (
    Command(
        "file",
        "attach a file or picture to your next message",
        Group.TALKING,
        file,
        asked="attach; upload; send a picture, photo, image, pdf; add a file; include a file",
        usage="[PATH|--drop]",
        aliases=("attach",),
        kinds=(Kind.PATH,),
        most=3,
        detail="Pictures and UTF-8 text up to 16 MB. `@path` in a message does the same: "
        "`what is on @photo.png?`. Alone, it lists what is attached; `--drop` takes it back.",
    ),
)
