"""Commands about sessions: beginning, keeping, naming, finding, leaving, taking away.

Invariants: what is open stays open until the next one has been read; nothing is deleted that was
not named and agreed to; a file that is there is never written over unasked.
"""

from __future__ import annotations

from chinwag.commands import export
from chinwag.commands.bench import Bench
from chinwag.commands.models import warn_if_mute
from chinwag.commands.table import Command, Group, Kind, about_session
from chinwag.commands.words import flagged, plural, say, warn
from chinwag.errors import CommandError, SessionUnreadable, UsageWrong
from chinwag.stores.base import resolve
from chinwag.talk.event import Choice, Ear, Listed, Offered
from chinwag.talk.session import Header, Session, fold_all, slug

LONGEST_NAME = 120  # characters
DOCUMENT_LIMIT = 256_000_000  # bytes of a document that is loaded
PATIENCE = 5.0  # seconds /save waits for the disk


def comeback(session: Session) -> str:
    """The line for the shell that opens this session again."""
    return f"chat --resume {slug(session.title) or session.id}"


def is_path(words: list[str]) -> bool:
    """Whether a file is meant rather than a name."""
    word = words[0] if len(words) == 1 else ""
    return "/" in word or word.startswith("~") or word.lower().endswith(".json")


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
    return not bench.private and bool(session.title)


async def save(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--force")
    if rest and is_path(rest):
        document = export.to_json(bench.conversation.session)
        path = await write(bench, rest[0], document, force=bool(flags), again=f"/save {rest[0]}")
        say(hear, f"a copy of this session is in {path}")
        return
    talk = bench.conversation
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
    if bench.private:
        say(hear, "this talk is private: nothing is written; /export writes a file")
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
    if words and is_path(words):
        await _load_document(bench, words[0], hear)
        return
    headers = await bench.conversation.headers()
    if not words:
        _list(headers, hear)
        return
    header = resolve(" ".join(words), headers)
    await bench.conversation.open(header.id, hear)
    await warn_if_mute(bench, hear)


def _list(headers: list[Header], hear: Ear) -> None:
    if headers:
        hear(Listed(tuple(headers)))
    else:
        say(hear, "there are no saved sessions yet: every message you send is saved in one")


async def _load_document(bench: Bench, path: str, hear: Ear) -> None:
    """A document becomes a session of its own in the store, and is opened there."""
    try:
        text = await bench.files.read_text(path, DOCUMENT_LIMIT)
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise SessionUnreadable(f"cannot read {path}: {error}") from None
    birth, entries = export.from_json(text)
    session = fold_all(Session(birth), entries)
    bench.keeper.append(birth, entries, 0, session.headline())
    if not await bench.keeper.safe(birth.id, len(entries), PATIENCE):
        raise CommandError(f"{path} was read but cannot be saved now", hint="/save says more")
    await bench.conversation.open(birth.id, hear)
    say(
        hear,
        f"read {plural(session.tally.messages, 'message')} from {path} into a session of its own",
    )
    await warn_if_mute(bench, hear)


async def rename(bench: Bench, words: list[str], hear: Ear) -> None:
    if not words or not (name := _name(words)):
        raise UsageWrong("/rename needs a name", usage="/rename NAME")
    bench.conversation.rename(name, hear)
    kept = "" if bench.private else f"; come back with {comeback(bench.conversation.session)}"
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
    say(hear, f"deleted {header.headline.title or header.id} for good")


def _ask_delete(header: Header, hear: Ear) -> None:
    title = header.headline.title or header.id
    choices = (
        Choice("keep it", "", "nothing changes"),
        Choice("delete it", f"/delete {header.id} --yes", "for good; /undo cannot bring it back"),
    )
    hear(Offered(f"Delete {title}? ({about_session(header)})", choices))
    say(hear, f"nothing is deleted yet; /delete {header.id} --yes does it")


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
        usage="[NAME|PATH]",
        aliases=("resume", "sessions"),
        kinds=(Kind.SESSION,),
        most=None,
        detail="NAME is a session's name, the beginning of it, or its id. Without NAME, a list to "
        "choose from. A PATH (with a `/`, or ending in `.json`) reads a document that "
        "`/export json` or `/export openai` wrote, into a session of its own. From the shell: "
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
        "delete a session for good, after asking",
        Group.SESSIONS,
        delete,
        asked="delete, remove an old session, conversation for good",
        usage="[NAME] [--yes]",
        kinds=(Kind.SESSION,),
        most=None,
        detail="This one without NAME. It is asked once; `--yes` answers beforehand. To remove a "
        "conversation but keep the session, use `/clear`.",
    ),
)
