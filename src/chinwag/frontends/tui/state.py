"""What the screen knows, what a person may do to it, and what it wants done.

Invariants: everything is frozen; only `update.py` makes a new state from an old one. The text being
typed is not in here: prompt_toolkit's buffer owns it and hands it over once, whole, as `Submitted`.
Positions in the transcript are anchors (an item and a line in it), never line counts, so a state
does not depend on the width of the screen. `Live` is what is being heard and is dropped when it
settles.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import msgspec

from chinwag.talk.draft import Draft
from chinwag.talk.entry import AnyEntry
from chinwag.talk.event import AnyEvent, ApprovalAsked, Choice, Column, Verdict
from chinwag.talk.grown import Grown
from chinwag.talk.session import Session


class Kind(StrEnum):
    """What sort of thing the program itself said."""

    NOTICE = "notice"
    WARNING = "warning"
    FAILURE = "failure"
    PAGE = "page"


class Said(msgspec.Struct, frozen=True):
    """An entry on the session's path, at position ``n``.

    ``of``: an answer that is the first, second … of so many to the same question.
    """

    n: int
    entry: AnyEntry
    of: tuple[int, int] = (1, 1)


class Told(msgspec.Struct, frozen=True):
    """Something the program said; no part of the talk. ``after`` is the last entry before it."""

    id: int
    after: int
    kind: Kind
    text: str
    title: str = ""
    hint: str = ""
    beside: tuple[Column, ...] = ()


Item: TypeAlias = Said | Told


class Live(msgspec.Struct, frozen=True):
    """The answer that is coming in. Times are seconds on the monotonic clock; 0 = not yet.

    ``lasting`` of its ``characters`` stay in the conversation: thinking does not.
    """

    draft: Draft = Draft()
    asked: float = 0.0
    first: float = 0.0
    last: float = 0.0
    characters: int = 0
    lasting: int = 0


class Anchor(msgspec.Struct, frozen=True):
    """The first visible line: line ``line`` of stretch ``stretch`` of item ``item``.

    The live answer is the last item. Stretches do not depend on the width of the screen.
    """

    item: int
    line: int
    stretch: int = 0


class Picker(msgspec.Struct, frozen=True):
    """Things to choose from. ``at`` counts among those that fit ``typed``."""

    title: str
    choices: tuple[Choice, ...]
    typed: str = ""
    at: int = 0


class Find(msgspec.Struct, frozen=True):
    """What is looked for in the conversation (finding.py).

    The place in front is line ``line`` of item ``item`` (-1: none), in the ``nth`` of ``total``
    items that hold the text. With ``typing`` letters go into the text, else they are keys. The
    search began at ``start`` (item, line), and the view was at ``back``.
    """

    text: str = ""
    typing: bool = True
    item: int = -1
    line: int = 0
    nth: int = 0
    total: int = 0
    start: tuple[int, int] = (0, 0)
    back: Anchor | None = None


class Question(msgspec.Struct, frozen=True):
    """A call that waits for a person's word (approval.py). ``at`` is the answer that is marked,
    ``top`` the first line that is shown, ``word`` what is typed for the model."""

    asked: ApprovalAsked
    at: int = 0
    top: int = 0
    word: str = ""


class Running(msgspec.Struct, frozen=True):
    """A tool that runs since a moment on the monotonic clock; ``said`` is how far it says it is."""

    id: str
    name: str
    since: float
    said: str = ""


class UiState(msgspec.Struct, frozen=True):
    """Everything the screen knows but the draft. ``anchor`` is None while the end is followed.

    ``waiting`` is why nothing comes just now, ``until`` the moment on the monotonic clock when it
    is tried again (0 where that is not known). ``escaped`` is when Esc was pressed with nothing to
    close or to stop, ``escape_twice`` whether that twice goes back to an earlier message, ``begun``
    when the line that is handled was sent, ``waited`` for how many seconds nothing has come.
    ``silence`` is for how many seconds an answer that has begun says nothing more, once that is
    worth a word. ``alone``: nobody writes any more the session that is read along.
    """

    session: Session
    items: Grown[Item] = Grown()
    told: int = 0
    live: Live | None = None
    busy: bool = False
    stopping: bool = False
    waiting: str = ""
    until: float = 0.0
    since: float = 0.0
    queue: tuple[str, ...] = ()
    anchor: Anchor | None = None
    thinking_open: bool = False
    tools_open: bool = False
    picker: Picker | None = None
    question: Question | None = None
    running: tuple[Running, ...] = ()
    find: Find | None = None
    toast: str = ""
    quit_armed: bool = False
    escaped: float = 0.0
    escape_twice: bool = True
    begun: float = 0.0
    waited: int = 0
    silence: int = 0
    alone: bool = False


# -- intents: what the person did --------------------------------------------------------------


class Submitted(msgspec.Struct, frozen=True):
    text: str


class Typed(msgspec.Struct, frozen=True):
    """Something else stands in the input: a word about the key before is stale."""


class Ticked(msgspec.Struct, frozen=True):
    """A second of waiting is over; nothing has come for so many."""

    waited: int
    silence: int = 0


class StopPressed(msgspec.Struct, frozen=True):
    """Esc: close what is open, else stop the answer."""


class CancelPressed(msgspec.Struct, frozen=True):
    """Ctrl+C. ``drafted``: something stands in the input."""

    drafted: bool


class EndPressed(msgspec.Struct, frozen=True):
    """Ctrl+D on an empty input."""


class TakenBack(msgspec.Struct, frozen=True):
    """Up on an empty input while lines are queued."""


class Scrolled(msgspec.Struct, frozen=True):
    """The view begins at ``to`` now; None follows the end."""

    to: Anchor | None


class ThinkingToggled(msgspec.Struct, frozen=True):
    pass


class ToolsToggled(msgspec.Struct, frozen=True):
    pass


class CopyPressed(msgspec.Struct, frozen=True):
    pass


class PaletteOpened(msgspec.Struct, frozen=True):
    choices: tuple[Choice, ...]


class PickerMoved(msgspec.Struct, frozen=True):
    by: int


class PickerTyped(msgspec.Struct, frozen=True):
    """A letter for the filter; "" takes the last one back."""

    text: str


class Picked(msgspec.Struct, frozen=True):
    pass


class QuestionMoved(msgspec.Struct, frozen=True):
    by: int


class QuestionScrolled(msgspec.Struct, frozen=True):
    """The text of the question begins at line ``top`` now."""

    top: int


class QuestionTyped(msgspec.Struct, frozen=True):
    """A letter for the model; "" takes the last one back."""

    text: str


class QuestionAnswered(msgspec.Struct, frozen=True):
    """Enter. ``seen``: all of the question was on the screen."""

    seen: bool


class FindMoved(msgspec.Struct, frozen=True):
    """What is looked for, or where; None ends it. The view begins at ``to`` now."""

    find: Find | None
    to: Anchor | None


class RewindPressed(msgspec.Struct, frozen=True):
    """Choose one of one's own messages, to change it."""


class CommandPressed(msgspec.Struct, frozen=True):
    """A key that stands for a command line."""

    line: str


class Toasted(msgspec.Struct, frozen=True):
    """A word about what just happened, until the next key."""

    text: str


Intent: TypeAlias = (
    Submitted
    | Typed
    | Ticked
    | StopPressed
    | CancelPressed
    | EndPressed
    | TakenBack
    | Scrolled
    | ThinkingToggled
    | ToolsToggled
    | CopyPressed
    | PaletteOpened
    | PickerMoved
    | PickerTyped
    | Picked
    | QuestionMoved
    | QuestionScrolled
    | QuestionTyped
    | QuestionAnswered
    | FindMoved
    | RewindPressed
    | CommandPressed
    | Toasted
)
Happening: TypeAlias = AnyEvent | Intent


# -- effects: what the screen wants done -------------------------------------------------------


class Handle(msgspec.Struct, frozen=True):
    """Give the line to the desk."""

    line: str


class Interrupt(msgspec.Struct, frozen=True):
    pass


class Copy(msgspec.Struct, frozen=True):
    """Put raw text on the clipboard; ``what`` names it for the person."""

    text: str
    what: str


class PutDraft(msgspec.Struct, frozen=True):
    """Put the text into the input if nothing stands there; else where Up finds it.

    ``cursor`` None is the end; ``pastes`` are (placeholder in it, its text).
    """

    text: str
    cursor: int | None = None
    pastes: tuple[tuple[str, str], ...] = ()


class DropDraft(msgspec.Struct, frozen=True):
    """Clear the input, keeping what stood there where Up finds it."""


class Decide(msgspec.Struct, frozen=True):
    """Tell the desk what the person says to call ``id``, of which ``digest`` was shown."""

    id: str
    digest: str
    verdict: Verdict
    word: str = ""


class Edit(msgspec.Struct, frozen=True):
    """Open the outside editor: on ``text``, else on what stands in the input."""

    text: str = ""


class Wear(msgspec.Struct, frozen=True):
    """Look like theme ``name``."""

    name: str


class Seek(msgspec.Struct, frozen=True):
    """Look for ``text`` in the conversation."""

    text: str


class Ring(msgspec.Struct, frozen=True):
    """A long wait is over."""


class Leave(msgspec.Struct, frozen=True):
    pass


Effect: TypeAlias = (
    Handle | Interrupt | Decide | Copy | PutDraft | DropDraft | Edit | Wear | Seek | Ring | Leave
)
