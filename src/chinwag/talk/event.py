"""Everything an ear can hear.

Invariants: every event is frozen data and can be written as JSON (`to_plain`): no callback, future
or exception object inside. Deltas may be joined or dropped by an ear that is only looking; every
other event must arrive, in order. An ear (`hear`) is called on the loop and returns at once.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any, TypeAlias

import msgspec

from chinwag.errors import ChinwagError
from chinwag.talk.codec import to_plain as entry_to_plain
from chinwag.talk.delta import AnyDelta
from chinwag.talk.entry import AnyEntry
from chinwag.talk.message import Call
from chinwag.talk.session import Header, Session
from chinwag.talk.tool import Risk


class Level(StrEnum):
    INFO = "info"
    WARNING = "warning"
    BRIEF = "brief"
    """Of interest for a moment: a screen need not keep it."""


class Event(msgspec.Struct, frozen=True, tag_field="event"):
    """Something that happened."""


class Requested(Event, frozen=True, tag="requested"):
    """A request is about to leave for ``provider``'s ``model``; ``tokens`` is our own count."""

    provider: str
    model: str
    tokens: int = 0
    exact: bool = False


class Heard(Event, frozen=True, tag="heard"):
    """The model uttered something."""

    delta: AnyDelta


class Settled(Event, frozen=True, tag="settled"):
    """An entry has become part of the session, at position ``n``. ``session`` is the new fold."""

    n: int
    entry: AnyEntry
    session: Session


class Verdict(StrEnum):
    """What a person says to a call. DENY may carry a word for the model."""

    ONCE = "once"
    SESSION = "session"
    ALWAYS = "always"
    NEVER = "never"
    DENY = "deny"


class ApprovalAsked(Event, frozen=True, tag="approval_asked"):
    """A call waits for a person's word. ``shown`` is all that will be done, raw; what is approved
    is what has ``digest``. ``why`` says what is special about asking now. ``rule`` is what SESSION
    and ALWAYS would allow from then on ("": no rule may answer for this tool), ``never`` what NEVER
    would forbid. ``source`` is where the tool comes from ("" = the person's own, or built in).
    """

    call: Call
    shown: str
    digest: str
    risk: Risk
    why: str = ""
    rule: str = ""
    never: str = ""
    source: str = ""


class ApprovalAnswered(Event, frozen=True, tag="approval_answered"):
    """The question about call ``id`` is settled, by whomever; nobody need answer it any more."""

    id: str
    digest: str
    allowed: bool


class ToolStarted(Event, frozen=True, tag="tool_started"):
    """A call runs from now on. ``digest`` is of what runs, as it was approved."""

    call: Call
    digest: str = ""


class ToolProgressed(Event, frozen=True, tag="tool_progressed"):
    """Call ``id`` says how far it is: foreign text."""

    id: str
    text: str


class Compacting(Event, frozen=True, tag="compacting"):
    """A summary of ``messages`` messages (``tokens`` in all) is being written; it takes a while."""

    messages: int
    tokens: int


class Waiting(Event, frozen=True, tag="waiting"):
    """Nothing comes for ``seconds`` because of ``reason`` (a retry, a rate limit)."""

    reason: str
    seconds: float


class Saved(Event, frozen=True, tag="saved"):
    """Entries 1 to ``through`` of the session are on stable storage."""

    session: str
    through: int


class SaveFailed(Event, frozen=True, tag="save_failed"):
    """``waiting`` entries are only in memory because of ``reason``; saving is tried again."""

    session: str
    reason: str
    waiting: int
    hint: str = ""


class Notice(Event, frozen=True, tag="notice"):
    """One line for the person."""

    text: str
    level: Level = Level.INFO


class Page(Event, frozen=True, tag="page"):
    """A longer text for the person, in Markdown: help, a history, a table. Not part of the talk.

    ``beside`` are texts that say the same as ``text`` and are best seen side by side.
    """

    title: str
    text: str
    beside: tuple[Column, ...] = ()


class Column(msgspec.Struct, frozen=True):
    """One of several texts side by side: a line above it, and the text in Markdown."""

    head: str
    text: str


class Listed(Event, frozen=True, tag="listed"):
    """Sessions to choose from, newest first; the choice is the line ``/load ID``."""

    headers: tuple[Header, ...]


class Offered(Event, frozen=True, tag="offered"):
    """Things to choose from: picking one is handling its line."""

    title: str
    choices: tuple[Choice, ...]


class Choice(msgspec.Struct, frozen=True):
    """``label`` and ``detail`` are shown, ``line`` is what picking it means."""

    label: str
    line: str
    detail: str = ""


class Sought(Event, frozen=True, tag="sought"):
    """``text`` was looked for in the conversation, and stands in these messages, oldest first."""

    text: str
    hits: tuple[Hit, ...]


class Hit(msgspec.Struct, frozen=True):
    """Message ``n``, who said it, and the words around what was looked for."""

    n: int
    who: str
    words: str


class EditorAsked(Event, frozen=True, tag="editor_asked"):
    """The person wants to write in an outside editor, from ``text`` on."""

    text: str = ""


class ThemeAsked(Event, frozen=True, tag="theme_asked"):
    """The screen is to look like theme ``name``."""

    name: str


class Opened(Event, frozen=True, tag="opened"):
    """Another session is in front of the person now; with ``at``, to be shown at that entry."""

    session: Session
    at: int = 0


class Following(Event, frozen=True, tag="following"):
    """The session in front is written by ``owner`` (process, host, terminal, since): read only.

    An empty ``owner``: by us, from now on.
    """

    session: str
    owner: str


class Failed(Event, frozen=True, tag="failed"):
    """Something did not work. ``kind`` is the name in the error tree, ``hint`` what to do."""

    kind: str
    message: str
    hint: str = ""


class CopyAsked(Event, frozen=True, tag="copy_asked"):
    """Text for the clipboard, source as it was said. ``what`` names it for the person."""

    text: str
    what: str


class DraftOffered(Event, frozen=True, tag="draft_offered"):
    """Text to be put into the empty input line (a message taken back, a draft kept).

    ``cursor`` counts characters (None: the end); ``pastes`` are (placeholder in it, its text).
    """

    text: str
    cursor: int | None = None
    pastes: tuple[tuple[str, str], ...] = ()


class Learnt(Event, frozen=True, tag="learnt"):
    """Something a status shows is known better now (a window, an exact count)."""


class Rested(Event, frozen=True, tag="rested"):
    """The line that was handled is done with."""


class Leaving(Event, frozen=True, tag="leaving"):
    """The person asked to leave."""


AnyEvent: TypeAlias = (
    Requested
    | Heard
    | Settled
    | ApprovalAsked
    | ApprovalAnswered
    | ToolStarted
    | ToolProgressed
    | Compacting
    | Waiting
    | Saved
    | SaveFailed
    | Notice
    | Page
    | Listed
    | Offered
    | Sought
    | EditorAsked
    | ThemeAsked
    | Opened
    | Following
    | Failed
    | CopyAsked
    | DraftOffered
    | Learnt
    | Rested
    | Leaving
)

Ear: TypeAlias = Callable[[AnyEvent], None]


def failed(error: ChinwagError) -> Failed:
    return Failed(error.kind, error.message, error.hint)


def to_plain(event: AnyEvent) -> dict[str, Any]:
    """JSON-ready data. A session inside is given by its id and headline, an entry as on disk."""
    match event:
        case Settled(n=n, entry=entry, session=session):
            plain = {"n": n, **entry_to_plain(entry)}
            return {"event": "settled", "session": session.id, "entry": plain}
        case Opened(session=session, at=at):
            headline = msgspec.to_builtins(session.headline())
            opened = {
                "event": "opened",
                "session": session.id,
                "entries": len(session),
                "headline": headline,
            }
            return opened | ({"at": at} if at else {})
        case _:
            return dict(msgspec.to_builtins(event))
