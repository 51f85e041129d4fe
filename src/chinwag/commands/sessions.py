"""Commands about sessions: beginning, keeping, naming, finding, leaving, taking away.

Invariants: what is open stays open until the next one has been read; nothing is deleted that was
not named and agreed to; a file that is there is never written over unasked.
"""

from __future__ import annotations

import re

import msgspec

from chinwag.commands import export
from chinwag.commands.bench import Bench
from chinwag.commands.models import warn_if_mute
from chinwag.commands.table import Command, Group, Kind, about_session
from chinwag.commands.words import flagged, plural, say, warn
from chinwag.errors import CommandError, SessionNotFound, UsageWrong
from chinwag.stores.base import TRASH_DAYS, SessionStore, resolve
from chinwag.stores.importing.base import LIMIT, Skipped
from chinwag.stores.importing.keeping import Came, Importer, Kept
from chinwag.stores.importing.reading import read
from chinwag.talk.event import AnyEvent, Choice, Ear, Listed, Offered, Opened
from chinwag.talk.session import Header, Session, slug

LONGEST_NAME = 120  # characters
PATIENCE = 5.0  # seconds /save waits for the disk
_FILES = (".json", ".jsonl", ".zip", ".db", ".sqlite")
_AT = re.compile(r"(.+)#(\d{1,9})")


def comeback(session: Session) -> str:
    """The line for the shell that opens this session again."""
    return f"chat --resume {slug(session.title) or session.id}"


def is_path(words: list[str]) -> bool:
    """Whether a file is meant rather than a name."""
    word = words[0] if len(words) == 1 else ""
    return "/" in word or word.startswith("~") or word.lower().endswith(_FILES)


def _name(words: list[str]) -> str:
    name = " ".join(" ".join(words).split())
    if len(name) > LONGEST_NAME:
        raise CommandError(
            f"the name is longer than {LONGEST_NAME} characters", hint="a few words will do"
        )
    return name


async def new(bench: Bench, words: list[str], hear: Ear) -> None:
    old = bench.conversation.session
    name = _name(words)
    if not old.tally.messages and not old.title_set and not name:
        say(hear, "this session is empty: just type")
        return
    await bench.conversation.begin(hear, name)
    kept = f"; the one before: /load {slug(old.title) or old.id}" if _is_kept(bench, old) else ""
    say(hear, f"a new session{f' named {name}' if name else ''}{kept}")


def _is_kept(bench: Bench, session: Session) -> bool:
    return not bench.is_private and bool(session.title)


async def save(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--force")
    if rest and is_path(rest):
        document = export.to_json(bench.conversation.session)
        path = await write(bench, rest[0], document, force=bool(flags), again=f"/save {rest[0]}")
        say(hear, f"a copy of this session is in {path}")
        return
    talk = bench.conversation
    if rest and talk.private:
        talk.go_lasting()
        say(hear, "not private any more: this session is saved, whole, and so is what follows")
    if rest:
        talk.rename(_name(rest), hear)
    elif not talk.session.title:
        say(hear, "there is nothing to save yet: every message is saved as you send it")
        return
    talk.hand_over()
    bench.keeper.kick()
    await _report_saved(bench, hear)


async def _report_saved(bench: Bench, hear: Ear) -> None:
    session = bench.conversation.session
    if bench.is_private:
        say(hear, "this talk is private: nothing is written; /save NAME keeps it after all")
    elif not await bench.keeper.safe(session.id, len(session), PATIENCE):
        warn(hear, "not saved yet; it is tried again. /save PATH writes a copy elsewhere")
    elif bench.store_url.startswith("memory:"):
        say(hear, "kept in memory only, until the program ends; /save PATH writes a file")
    else:
        say(hear, f"saved; come back with {comeback(session)}")


async def write(bench: Bench, path: str, text: str, *, force: bool, again: str) -> str:
    """Write a file somebody named. Raises CommandError saying why not; returns its full path."""
    try:
        return await bench.files.write_text(path, text, overwrite=force)
    except FileExistsError:
        raise CommandError(
            f"{path} is there already", hint=f"{again} --force replaces it"
        ) from None
    except OSError as error:
        raise CommandError(
            f"cannot write {path}: {error.strerror or error}", hint="try another place"
        ) from None


async def load(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--again", "--copy")
    if rest and is_path(rest):
        await _load_file(bench, rest[0], hear, again="--again" in flags)
        return
    headers = await bench.conversation.headers()
    if not rest:
        _list(headers, hear, hidden=bench.is_private)
        return
    header, at = _meant(" ".join(rest), headers)
    if "--copy" in flags:
        await bench.conversation.fork_of(header.id, hear)
        return
    await bench.conversation.open(header.id, _showing(hear, at) if at else hear)
    if at and at not in set(bench.conversation.session.path):
        warn(hear, f"message {at} is on another branch: /branches shows them")
    await warn_if_mute(bench, hear)


def _meant(name: str, headers: list[Header]) -> tuple[Header, int]:
    """The session that is meant, and the entry in it after a `#`; 0 where none is named."""
    named = _AT.fullmatch(name)
    if named and any(h.id == named[1] for h in headers):
        return resolve(named[1], headers), int(named[2])
    try:
        return resolve(name, headers), 0
    except SessionNotFound:
        if named is None:
            raise
        return resolve(named[1], headers), int(named[2])


def _showing(hear: Ear, at: int) -> Ear:
    """An ear that hears a session opened at one of its entries."""

    def heard(event: AnyEvent) -> None:
        hear(msgspec.structs.replace(event, at=at) if isinstance(event, Opened) else event)

    return heard


def _list(headers: list[Header], hear: Ear, *, hidden: bool) -> None:
    if headers:
        hear(Listed(tuple(headers)))
    elif hidden:
        say(hear, "private: what was kept before cannot be opened here; /exit, then chat -r")
    else:
        say(hear, "there are no saved sessions yet: every message you send is saved in one")


async def _load_file(bench: Bench, path: str, hear: Ear, *, again: bool) -> None:
    """Conversations of a file become sessions of their own; a single one is opened."""
    if bench.conversation.private:
        hint = "from the shell: chat sessions import PATH"
        raise CommandError("this talk is private: nothing is stored", hint=hint)
    try:
        raw = await bench.files.read_bytes(path, LIMIT)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise CommandError(f"cannot read {path}: {error}") from None
    kept, losses = await bench.keeper.call(lambda store: _imported(store, raw, again=again))
    for loss in losses:
        warn(hear, loss)
    if len(kept) == 1:
        await _open_imported(bench, path, kept[0], hear)
        return
    fresh = sum(one.came is Came.NEW for one in kept)
    say(hear, f"{plural(fresh, 'session')} read from {path}; {len(kept) - fresh} were here before")
    hear(Listed(tuple(one.header for one in kept)))


def _imported(store: SessionStore, raw: bytes, *, again: bool) -> tuple[list[Kept], list[str]]:
    """What became of each conversation, and sentences about what was not taken."""
    importer = Importer(store, again=again)
    kept: list[Kept] = []
    losses: list[str] = []
    for found in read(raw):
        if isinstance(found, Skipped):
            losses.append(f"{found.what} was skipped: {found.why}")
            continue
        kept.append(importer.keep(found))
        losses += [f"{kept[-1].header.name}: {loss}" for loss in found.losses]
    return kept, losses


async def _open_imported(bench: Bench, path: str, kept: Kept, hear: Ear) -> None:
    await bench.conversation.open(kept.header.id, hear)
    again = f"/load {path} --again reads it into a new one"
    match kept.came:
        case Came.NEW:
            count = plural(kept.header.headline.messages, "message")
            say(hear, f"read {count} from {path} into a session of its own")
        case Came.GROWN:
            say(hear, f"read what is new in {path} since it was imported")
        case Came.THERE:
            say(hear, f"{path} was imported before: this is that session; {again}")
        case Came.BOTH_CHANGED:
            warn(hear, f"{path} and this session, imported from it, both changed since; {again}")
    await warn_if_mute(bench, hear)


async def rename(bench: Bench, words: list[str], hear: Ear) -> None:
    if not words or not (name := _name(words)):
        raise UsageWrong("/rename needs a name", usage="/rename NAME")
    bench.conversation.rename(name, hear)
    kept = "" if bench.is_private else f"; come back with {comeback(bench.conversation.session)}"
    say(hear, f"this session is called {name} now{kept}")


async def delete(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--yes", "-y")
    headers = await bench.conversation.headers()
    current = bench.conversation.session
    wanted = " ".join(rest) or current.id
    if not rest and all(h.id != current.id for h in headers):
        raise CommandError("this session is not saved: there is nothing to delete")
    header = resolve(wanted, headers)
    if not flags:
        _ask_delete(header, hear)
        return
    await bench.conversation.delete(header.id, hear)
    back = f"for {TRASH_DAYS} days chat sessions restore {header.id} brings it back"
    say(hear, f"deleted {header.headline.title or header.id}; {back}")


def _ask_delete(header: Header, hear: Ear) -> None:
    title = header.headline.title or header.id
    choices = (
        Choice("keep it", "", "nothing changes"),
        Choice("delete it", f"/delete {header.id} --yes", f"to the trash, for {TRASH_DAYS} days"),
    )
    hear(Offered(f"Delete {title}? ({about_session(header)})", choices))


async def fork(bench: Bench, words: list[str], hear: Ear) -> None:
    old = bench.conversation.session
    await bench.conversation.fork(hear, _name(words))
    now = bench.conversation.session
    say(hear, f"you are in a copy now, {now.title}; the original stays: /load {old.id}")


COMMANDS: tuple[Command, ...] = (
    Command(
        "new",
        "begin a new session; the one before is kept",
        Group.SESSIONS,
        new,
        asked="start a new conversation; new session; fresh start",
        usage="[NAME]",
        most=None,
        detail="Model and settings of configuration hold; a model you chose goes with you.",
    ),
    Command(
        "load",
        "open a saved session",
        Group.SESSIONS,
        load,
        asked="resume, reopen, open an old, earlier conversation; list of sessions; switch session",
        usage="[NAME|PATH] [--again] [--copy]",
        aliases=("resume", "sessions"),
        kinds=(Kind.SESSION,),
        most=None,
        detail="NAME is a session's name, the beginning of it, or its id. Without NAME, a list to "
        "choose from. A PATH (with a `/`, or ending in `.json`, `.jsonl`, `.zip`, `.db`) imports a "
        "file: what `/export json` or `/export openai` wrote, ChatGPT's and Claude's data exports, "
        "`llm`'s log, lists of messages. What was imported before is opened; `--again` reads it "
        "anew. `NAME#7` opens at message 7. One that is open in another window is read along: "
        "`/fork` and `/takeover` go on from there; `--copy` opens a copy at once. From the shell: "
        "`chat --resume NAME`, or `chat --continue` for the session used last.",
    ),
    Command(
        "save",
        "save now, under a name, or a copy as a file",
        Group.SESSIONS,
        save,
        asked="save the conversation, session; save now; autosave; write a copy",
        usage="[NAME|PATH] [--force]",
        kinds=(Kind.PATH,),
        most=None,
        detail="You need not: every message is saved before it is sent. NAME names the session. A "
        "PATH (with a `/`, or ending in `.json`) writes a copy of the whole session there; "
        "`--force` replaces a file.",
    ),
    Command(
        "rename",
        "give this session a name",
        Group.SESSIONS,
        rename,
        asked="rename this conversation; title; call it",
        usage="NAME",
        aliases=("title", "name"),
        most=1,
        free=True,
        detail="The name is what `/load` and `chat --resume` take, with hyphens for blanks. "
        "Without one, the first words of the conversation serve.",
    ),
    Command(
        "fork",
        "go on in a copy of this session",
        Group.SESSIONS,
        fork,
        asked="duplicate, copy, branch this session; try another direction",
        usage="[NAME]",
        most=None,
        detail="To try another direction. Both have a life of their own from there.",
    ),
    Command(
        "delete",
        "put a session in the trash, after asking",
        Group.SESSIONS,
        delete,
        asked="delete, remove an old session, conversation; throw away",
        usage="[NAME] [--yes]",
        kinds=(Kind.SESSION,),
        most=None,
        detail="This one without NAME. It is asked once; `--yes` answers beforehand. For 30 days "
        "`chat sessions restore NAME` brings it back. To empty a conversation but keep the "
        "session, use `/clear`.",
    ),
)
