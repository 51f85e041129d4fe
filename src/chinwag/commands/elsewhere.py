"""/store: where this session is kept, and another place for it.

Invariants: a session goes to another store as `stores.moving` takes it, checked before anything is
taken away here; what is in front of the person is saved before it goes.
"""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.sessions import PATIENCE
from chinwag.commands.table import Command, Group
from chinwag.commands.words import flagged, plural, say, warn
from chinwag.errors import CommandError, StoreError, UsageWrong
from chinwag.stores import moving
from chinwag.stores.base import SessionStore
from chinwag.talk.event import Ear
from chinwag.talk.session import Session, slug

USAGE = "/store [URL] [--move]"


async def store(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--move", "--copy")
    if not rest:
        await _shown(bench, hear)
        return
    if len(rest) > 1 or len(flags) > 1:
        raise UsageWrong("one store at a time", usage=USAGE)
    session = bench.conversation.session
    await _saved(bench, session)
    target = bench.other_store(rest[0])
    try:
        moved = await bench.keeper.call(lambda here: moving.copy(here, target, session.id))
        url = target.url
    finally:
        target.close()
    _tell(hear, session, moved, url)
    if "--move" in flags:
        await bench.conversation.delete(session.id, hear)
        say(hear, "here it is in the trash now, and this is a new session")


async def _shown(bench: Bench, hear: Ear) -> None:
    if bench.is_private:
        say(hear, "this talk is private: nothing is written")
        return
    url, how = await bench.keeper.call(_looked)
    say(
        hear,
        f"sessions are kept in {url} ({how}); {USAGE} takes this one "
        "to another: file:DIR, sqlite:PATH, redis://HOST:PORT/DB",
    )


def _looked(here: SessionStore) -> tuple[str, str]:
    """Where the store is, and what is there: the place is to be told even when it is away."""
    try:
        return here.url, plural(len(here.headers()), "session")
    except StoreError as away:
        return here.url, f"now it does not answer: {away.message}"


async def _saved(bench: Bench, session: Session) -> None:
    if bench.is_private:
        raise CommandError(
            "this talk is private: nothing of it is stored", hint="/export writes it"
        )
    if not len(session):
        raise CommandError("there is nothing to store yet", hint="type a message first")
    bench.conversation.hand_over()
    bench.keeper.kick()
    if not await bench.keeper.safe(session.id, len(session), PATIENCE):
        raise CommandError("this session is not saved yet", hint="/save says more")


def _tell(hear: Ear, session: Session, moved: moving.Moved, url: str) -> None:
    if moved.came is moving.Came.CONFLICT:
        warn(hear, f"another version of it is in {url}: this one is beside it as {moved.there}")
        name = moved.there
    else:
        name = slug(session.title) or session.id
        what = "is there already" if moved.came is moving.Came.SAME else "is there now, checked"
        say(hear, f"{session.title or session.id} {what}")
    say(hear, f"open it there with chat --store {url} --resume {name}")


COMMANDS: tuple[Command, ...] = (
    Command(
        "store",
        "where this session is kept; take it to another store",
        Group.SESSIONS,
        store,
        asked="which store, database, backend; move, copy this session to SQLite, Redis, a folder",
        usage="[URL] [--move]",
        most=3,
        detail="Without URL, the store in use. With one (`file:DIR`, `sqlite:PATH`, "
        "`redis://HOST:PORT/DB`) this session is copied there and read back to be sure; `--move` "
        "then puts the one here in the trash. From the shell, for several: "
        "`chat sessions move NAME… --to URL`, and `chat sessions sync --to URL`.",
    ),
)
