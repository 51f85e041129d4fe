"""A session, the fold that makes it, and the questions one asks of it.

Invariants. A live session and a resumed one are equal, for both are the fold of the same entries.
The entries that are *nodes* (what was said, system prompts, clears, compactions, notes) form a
tree: a node's parent is the head at the time it came, and then it is the head. `Rewound` moves the
head; so an edit or a retry makes a sibling and nothing is ever rewritten. The *path* runs from the
root to the head and is what the person sees; a node's *scope* says what of it still counts. What
belongs to the session as a whole (title, model, options, metadata) is not on the tree: going back
in the talk does not change the model under one's feet. Folding one entry costs O(1) along a branch;
a `Rewound` costs the length of the path.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Cleared,
    Compacted,
    Hidden,
    Marked,
    ModelChosen,
    Noted,
    OptionSet,
    Rewound,
    Spoken,
    SystemSet,
    Tagged,
    Titled,
    ToolReturned,
    Unknown,
    UserSaid,
    new_id,
    now,
)
from chinwag.talk.grown import Grown
from chinwag.talk.scope import WHOLE, Scope, scoped
from chinwag.talk.usage import NO_USAGE, Usage

NOT_A_NODE = -1


class Birth(msgspec.Struct, frozen=True, omit_defaults=True):
    """What never changes about a session: who it is and where it came from.

    ``parent`` is the id of the session it was forked from, at that one's entry ``parent_at``;
    ``imported`` names the form it was imported from: its tools start unapproved.
    """

    id: str
    created: str
    parent: str = ""
    parent_at: int = 0
    imported: str = ""


class Headline(msgspec.Struct, frozen=True, omit_defaults=True):
    """What changes about a session and is shown in a list: derived from the fold, never set."""

    title: str = ""
    named: bool = False
    provider: str = ""
    model: str = ""
    messages: int = 0
    tokens: int = 0
    updated: str = ""


class Header(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line of a list of sessions. ``damaged`` says in words what is wrong with it."""

    id: str
    created: str = ""
    headline: Headline = Headline()
    entries: int = 0
    size: int = 0
    damaged: str = ""

    @property
    def name(self) -> str:
        """What one types to get it back: the slug of the title, or the id."""
        return slug(self.headline.title) or self.id

    def is_called(self, name: str) -> bool:
        """Whether ``name`` is its id or its title, however that is spelt."""
        return name == self.id or (slug(self.headline.title) == slug(name) != "")


class Tally(msgspec.Struct, frozen=True):
    """What lies on the path up to a node, since the last clear: so a footer costs O(1).

    ``tokenizer`` is the one that counted all of it; "" where it is estimated or mixed.
    """

    messages: int = 0
    turns: int = 0
    tokens: int = 0
    tokenizer: str | None = None


NOTHING = Tally()


def new_session_id(at: datetime | None = None) -> str:
    """Sortable, generated, never made from a title: 20261120-093015-k3f9q2."""
    return (at or datetime.now(UTC)).strftime("%Y%m%d-%H%M%S-") + new_id(6)


def begin(**more: Any) -> Session:
    """A new, empty session."""
    return Session(Birth(id=new_session_id(), created=now(), **more))


class Session:
    """The fold of some entries: an immutable value. Use :func:`fold` to get the next one."""

    __slots__ = (
        "_parents",
        "_path",
        "_scopes",
        "_tallies",
        "_undone",
        "_view",
        "base",
        "birth",
        "entries",
        "metadata",
        "model",
        "options",
        "provider",
        "system",
        "title_set",
        "usage",
    )

    def __init__(self, birth: Birth, base: int = 0) -> None:
        """``base`` entries are left out at the beginning: see `glimpse`."""
        self.birth = birth
        self.base = base
        self.entries: Grown[AnyEntry] = Grown()
        self.title_set = ""
        self.provider = ""
        self.model = ""
        self.options: Mapping[str, Any] = {}
        self.metadata: Mapping[str, Any] = {}
        self.usage = Usage()
        self.system = ""
        self._parents: Grown[int] = Grown()
        self._tallies: Grown[Tally] = Grown()
        self._scopes: Grown[Scope] = Grown()
        self._path: Grown[int] = Grown()
        self._undone: tuple[int, ...] = ()
        #: What `shown` found last, here or further down the branch: it says itself what it is of.
        self._view: Any = None

    # -- identity -----------------------------------------------------------------------------

    @property
    def id(self) -> str:
        return self.birth.id

    def __len__(self) -> int:
        return self.base + len(self.entries)

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Session):
            return NotImplemented
        same = self.birth == other.birth and self.base == other.base
        return same and self.entries == other.entries

    def __hash__(self) -> int:
        return hash((self.birth.id, len(self)))

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.title!r} {len(self)} entries, head {self.head}>"

    def entry(self, n: int) -> AnyEntry:
        """The entry at position ``n``, counted from 1."""
        if n <= self.base:
            raise IndexError(n)
        return self.entries[n - 1 - self.base]

    # -- the tree -----------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """The position of the newest entry on the path; 0 when nothing is there."""
        return self._path[-1] if self._path else 0

    @property
    def path(self) -> Grown[int]:
        """Positions from the root to the head."""
        return self._path

    def parent(self, n: int) -> int:
        """The node before ``n`` on its branch (0 = root); -1 for entries that are no nodes."""
        return self._parents[n - 1 - self.base] if n > self.base else 0

    def children(self, n: int) -> list[int]:
        """Nodes that follow node ``n``, oldest first: more than one means branches."""
        return [at for at, parent in enumerate(self._parents, self.base + 1) if parent == n]

    def variants(self, n: int) -> list[int]:
        """Node ``n`` and its siblings of the same kind: the answers to one question, say."""
        kind = type(self.entry(n))
        return [at for at in self.children(self.parent(n)) if type(self.entry(at)) is kind]

    def path_to(self, n: int) -> list[int]:
        """Positions from the root to node ``n``."""
        path: list[int] = []
        while n > 0:
            path.append(n)
            n = self.parent(n)
        return path[::-1]

    def path_from(self, n: int) -> Iterator[int]:
        """Positions of the path from ``n`` on. O(log n) to begin: a path only ever ascends."""
        for at in range(bisect_left(self._path, n), len(self._path)):
            yield self._path[at]

    def node_at(self, n: int) -> int:
        """The last position on the path at or before ``n``; 0 where there is none. O(log n)."""
        at = bisect_right(self._path, n)
        return self._path[at - 1] if at else 0

    def leaf(self, n: int) -> int:
        """The newest end of the branch through node ``n``."""
        last = {n}
        newest = n
        for at in range(n + 1, len(self) + 1):
            if self.parent(at) in last:
                last.add(at)
                newest = at
        return newest

    # -- what is on the path ------------------------------------------------------------------

    def walk(self) -> Iterator[tuple[int, AnyEntry]]:
        """Every entry on the path with its position, from the root."""
        for n in self._path:
            yield n, self.entry(n)

    def back(self) -> Iterator[tuple[int, AnyEntry]]:
        """Every entry on the path with its position, from the head."""
        for at in range(len(self._path) - 1, -1, -1):
            n = self._path[at]
            yield n, self.entries[n - 1 - self.base]

    def said(self, after: int = -1) -> list[tuple[int, Spoken]]:
        """What was said since the last clear, oldest first, with positions; or what lies after
        position ``after``, at a cost of as much."""
        after = max(after, self.scope.cleared)
        found: list[tuple[int, Spoken]] = []
        for n, entry in self.back():
            if n <= after:
                break
            if isinstance(entry, UserSaid | AssistantSaid | ToolReturned):
                found.append((n, entry))
        return found[::-1]

    @property
    def scope(self) -> Scope:
        """What of the branch still counts. O(1)."""
        return self.scope_at(self.head)

    def scope_at(self, n: int) -> Scope:
        """The same, as it was at node ``n``."""
        return self._scopes[n - 1 - self.base] if n > self.base else WHOLE

    @property
    def remembered(self) -> Any:
        """What `shown` left here, so that the next entry need not look at all of them again."""
        return self._view

    def remember(self, view: Any) -> None:
        """Leave something here for this session and those that follow it. No part of the value."""
        self._view = view

    @property
    def compacted(self) -> tuple[int, Compacted] | None:
        """The compaction in force with the last position it hides, if there is one. O(1)."""
        scope = self.scope
        if not scope.compacted:
            return None
        entry = self.entry(scope.compacted)
        return (scope.through, entry) if isinstance(entry, Compacted) else None

    @property
    def tally(self) -> Tally:
        """Messages, turns and tokens on the path since the last clear."""
        return self.tally_at(self.head)

    def tally_at(self, n: int) -> Tally:
        """The same, up to node ``n``."""
        return self._tallies[n - 1 - self.base] if n > self.base else NOTHING

    def _find_system(self) -> str:
        for _, entry in self.back():
            if isinstance(entry, SystemSet):
                return entry.text
            if isinstance(entry, Cleared) and not entry.keep_system:
                return ""
        return ""

    @property
    def last_answer(self) -> AssistantSaid | None:
        for _, entry in self.back():
            if isinstance(entry, AssistantSaid):
                return entry
            if isinstance(entry, Cleared):
                return None
        return None

    # -- going back ---------------------------------------------------------------------------

    def before_last(self, times: int = 1) -> int | None:
        """Where the head would be ``times`` steps ago; None when there is nothing to take back.

        A step is a turn (from what the person said to the end of what came of it), or a clear, a
        compaction, a mark or a changed system prompt. The prompt a session began with is no step.
        """
        at = self.head
        for _ in range(times):
            step = self._step_start(at)
            if step is None:
                return None
            at = self.parent(step)
        return at

    def _step_start(self, at: int) -> int | None:
        while at > 0:
            entry = self.entry(at)
            parent = self.parent(at)
            if isinstance(entry, UserSaid | Cleared | Marked):
                return at
            if isinstance(entry, Compacted | Hidden) and not entry.auto:
                return at
            if isinstance(entry, SystemSet) and parent > 0:
                return at
            at = parent
        return None

    @property
    def redo_target(self) -> int | None:
        return self._undone[-1] if self._undone else None

    # -- names --------------------------------------------------------------------------------

    @property
    def title(self) -> str:
        """The name it was given, else the first words that were said; empty for an empty one."""
        if self.title_set:
            return self.title_set
        for entry in self.entries:
            if isinstance(entry, UserSaid) and entry.text.strip():
                return shortened(entry.text)
        return ""

    def headline(self) -> Headline:
        last = self.entries[-1] if self.entries else None
        # Who answered, where nobody was chosen here: what was imported names its models so.
        spoke = None if self.model else self.last_answer
        return Headline(
            title=self.title,
            named=bool(self.title_set),
            provider=self.provider,
            model=spoke.model if spoke else self.model,
            messages=self.tally.messages,
            tokens=self.tally.tokens,
            updated=(last.at if last else "") or self.birth.created,  # imports may know no times
        )


def glimpse(birth: Birth, headline: Headline, entries: Iterable[AnyEntry], base: int) -> Session:
    """The end of a session, to be looked at while the whole is read: ``entries`` are numbers
    base+1…, what came before is not here. Only for showing: nothing may be settled on it."""
    session = Session(birth, base)
    session.title_set = headline.title
    if headline.provider:  # without one it only tells who answered: nobody is chosen by that
        session.provider, session.model = headline.provider, headline.model
    return fold_all(session, entries)


def fold(session: Session, entry: AnyEntry) -> Session:
    """The session after one more entry. O(1) along a branch."""
    new = _copied(session)
    new.entries = session.entries.plus(entry)
    match entry:
        case Titled(title=title):
            new.title_set = title
        case ModelChosen(provider=provider, model=model):
            new.provider, new.model = provider, model
        case OptionSet(name=name, value=value):
            kept = {k: v for k, v in session.options.items() if k != name}
            new.options = kept if value is None else {**kept, name: value}
        case Tagged(metadata=metadata):
            new.metadata = metadata
        case Rewound(to=to, why=why):
            _rewind(new, session, to, why)
        case Unknown():
            pass
        case SystemSet(text=text):
            new.system = text
            return _node(new, session, entry)
        case Cleared(keep_system=keep):
            new.system = session.system if keep else ""
            return _node(new, session, entry)
        case Compacted(usage=usage):
            new.usage = session.usage + usage
            return _node(new, session, entry)
        case UserSaid() | ToolReturned() | Hidden() | Marked() | Noted():
            return _node(new, session, entry)
        case AssistantSaid(usage=usage):
            new.usage = session.usage + usage
            return _node(new, session, entry)
    new._parents = session._parents.plus(NOT_A_NODE)
    new._tallies = session._tallies.plus(NOTHING)
    new._scopes = session._scopes.plus(WHOLE)
    return new


def fold_all(session: Session, entries: Iterable[AnyEntry]) -> Session:
    """`fold` for each of ``entries``; what was simply said is taken in run by run, at once."""
    todo = list(entries)
    at = 0
    while at < len(todo):
        end = at
        while end < len(todo) and isinstance(todo[end], _SPOKEN):
            end += 1
        if end > at:
            session = _fold_said(session, todo[at:end])
            at = end
        else:
            session = fold(session, todo[at])
            at += 1
    return session


_SPOKEN = (UserSaid, AssistantSaid, ToolReturned)


def _fold_said(session: Session, said: list[AnyEntry]) -> Session:
    """The session after a run of things said: what `fold` makes of them one by one."""
    new = _copied(session)
    first = len(session) + 1
    tally, usage = session.tally, session.usage
    tallies: list[Tally] = []
    for entry in said:
        tally = _tally(tally, entry)
        tallies.append(tally)
        if isinstance(entry, AssistantSaid) and entry.usage is not NO_USAGE:
            usage = usage + entry.usage
    path = list(range(first, first + len(said)))
    new.entries = session.entries.extended(said)
    new.usage = usage
    new._parents = session._parents.extended([session.head, *path[:-1]])
    new._tallies = session._tallies.extended(tallies)
    new._scopes = session._scopes.extended([session.scope] * len(said))
    new._path = session._path.extended(path)
    new._undone = ()
    return new


def _copied(session: Session) -> Session:
    new: Session = Session.__new__(Session)
    for name in Session.__slots__:
        setattr(new, name, getattr(session, name))
    return new


def _node(new: Session, old: Session, entry: AnyEntry) -> Session:
    new._parents = old._parents.plus(old.head)
    new._tallies = old._tallies.plus(_tally(old.tally, entry))
    new._scopes = old._scopes.plus(scoped(old.scope, len(new), entry))
    new._path = old._path.plus(len(new))
    new._undone = ()
    return new


def _tally(before: Tally, entry: AnyEntry) -> Tally:
    if isinstance(entry, Cleared):
        return NOTHING
    if not isinstance(entry, UserSaid | AssistantSaid | ToolReturned):
        return before
    same = before.tokenizer in {None, entry.tokenizer}
    return Tally(
        before.messages + (not isinstance(entry, ToolReturned)),
        before.turns + isinstance(entry, UserSaid),
        before.tokens + entry.tokens,
        entry.tokenizer if same else "",
    )


def _rewind(new: Session, old: Session, to: int, why: str) -> None:
    """Move the head. A position that is no node of this session is ignored: files may lie."""
    if to != 0 and not (old.base < to <= len(old) and old.parent(to) != NOT_A_NODE):
        return
    match why:
        case "undo":
            new._undone = (*old._undone, old.head)
        case "redo":
            new._undone = old._undone[:-1]
        case _:
            new._undone = ()
    new._path = Grown(old.path_to(to))
    new.system = new._find_system()


def shortened(text: str, most: int = 48) -> str:
    """The first words of ``text`` on one line, at most ``most`` characters."""
    line = " ".join(text[: most * 8].split())
    if len(line) <= most:
        return line
    cut = line[:most].rsplit(" ", 1)[0]
    return (cut or line[:most]).rstrip(" ,.;:") + "…"


_NOT_SLUG = re.compile(r"[^\w]+", re.UNICODE)


def slug(title: str) -> str:
    """A title as one types it: lower case, words joined by hyphens; may be empty."""
    return _NOT_SLUG.sub("-", title.rstrip("…").lower()).strip("-_")
