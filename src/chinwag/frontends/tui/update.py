"""The one function that changes what the screen knows; pure.

Invariants: `update` has no clock, no I/O and no memory; the same state and happening give the same
result. Effects come back as data, in the order in which they are to be performed. Hearing a delta
costs O(1). A line goes to the desk only while nothing else is handled; others wait in the queue.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from msgspec.structs import replace

from chinwag.frontends.tui import approval, picking
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.heard import STILL_STOPPING, Next, after_event, heard, shown
from chinwag.frontends.tui.state import Copy, Handle, UiState
from chinwag.talk import event as e
from chinwag.talk.grown import Grown
from chinwag.talk.session import Session, shortened

Looking: TypeAlias = (
    s.Scrolled
    | s.Toasted
    | s.Ticked
    | s.ThinkingToggled
    | s.ToolsToggled
    | s.PaletteOpened
    | s.PickerMoved
    | s.PickerTyped
    | s.QuestionMoved
    | s.QuestionScrolled
    | s.QuestionTyped
    | s.FindMoved
)

LEAVE_HINT = "Ctrl+C once more leaves (so does Ctrl+D)"
STOPPING = "stopping"
STALLED = 20
"""Seconds without a word in the middle of an answer, from which on that is said."""
REWIND = 1.0
"""Seconds within which Esc twice means going back to an earlier message."""
REWIND_HINT = "Esc again: change an earlier message"
FOLDED = {
    ("thinking", True): "thinking is shown whole",
    ("thinking", False): "thinking is folded",
    ("tools", True): "what tools gave back, and times, are shown whole",
    ("tools", False): "what tools gave back is folded",
}
NOT_SEEN = "see all of it first: PgDn; no line of it may run unseen"


def opened(session: Session) -> UiState:
    """The state a session is first shown in."""
    return UiState(session=session, items=Grown(shown(session)))


def update(state: UiState, what: s.Happening, now: float) -> Next:
    """The next state and what is to be done; ``now`` in seconds on the monotonic clock."""
    match what:
        case e.Heard(delta=delta):
            return replace(state, live=heard(state.live, delta, now), waiting=""), ()
        case (
            e.Requested()
            | e.Settled()
            | e.ApprovalAsked()
            | e.ApprovalAnswered()
            | e.ToolStarted()
            | e.ToolProgressed()
            | e.Compacting()
            | e.Waiting()
            | e.Saved()
            | e.SaveFailed()
            | e.Notice()
            | e.Page()
            | e.Listed()
            | e.Offered()
            | e.Sought()
            | e.EditorAsked()
            | e.ThemeAsked()
            | e.Opened()
            | e.Following()
            | e.Failed()
            | e.CopyAsked()
            | e.DraftOffered()
            | e.Learnt()
            | e.Rested()
            | e.Leaving()
        ):
            return after_event(state, what, now)
        case s.Scrolled() | s.Toasted() | s.Ticked():
            return _looked(state, what), ()
        case _:
            return _intent(replace(state, toast="", quit_armed=False), what, now, state.quit_armed)


# -- what the person did -----------------------------------------------------------------------


def silent(state: UiState) -> bool:
    """Whether something has been asked for of which nothing has come yet."""
    if state.live is not None:
        return not state.live.first
    return bool(state.waiting) and not state.until


def silence(state: UiState, now: float) -> int:
    """For how many seconds an answer that has begun says nothing more; 0 where that may be."""
    live = state.live
    if live is None or not live.first:
        return 0
    seconds = int(now - live.last)
    return seconds if seconds >= STALLED else 0


def _intent(state: UiState, what: s.Intent, now: float, armed: bool) -> Next:  # noqa: FBT001 (pure data)
    match what:
        case s.Submitted(text=text):
            return _submitted(state, text, now)
        case s.Typed():
            return replace(state, escaped=0.0), ()
        case s.StopPressed():
            return _escaped(state, now)
        case s.RewindPressed():
            return _rewinding(state), ()
        case s.CancelPressed(drafted=drafted):
            return _cancelled(state, drafted=drafted, armed=armed)
        case s.EndPressed():
            return state, (s.Leave(),)
        case s.TakenBack():
            return _taken_back(state)
        case s.CopyPressed():
            return _copied(state)
        case s.Picked():
            return _picked(state, now)
        case s.QuestionAnswered(seen=seen):
            return _decided(state, seen=seen)
        case s.CommandPressed(line=line):
            return _submitted(state, line, now)
        case _:
            return _looked(state, what), ()


def _looked(state: UiState, what: Looking) -> UiState:
    """What changes only the view."""
    match what:
        case s.Scrolled(to=to):
            return replace(state, anchor=to)
        case s.Toasted(text=text):
            return replace(state, toast=text)
        case s.Ticked(waited=waited, silence=silence):
            return replace(state, waited=waited, silence=silence)
        case s.ThinkingToggled():
            toast = FOLDED["thinking", not state.thinking_open]
            return replace(state, thinking_open=not state.thinking_open, toast=toast)
        case s.ToolsToggled():
            toast = FOLDED["tools", not state.tools_open]
            return replace(state, tools_open=not state.tools_open, toast=toast)
        case s.PaletteOpened(choices=choices):
            return replace(state, picker=s.Picker("Commands", choices), find=None)
        case s.FindMoved(find=find, to=to):
            return replace(state, find=find, anchor=to)
        case s.PickerMoved(by=by):
            return replace(state, picker=picking.moved(state.picker, by))
        case s.PickerTyped(text=text):
            return replace(state, picker=picking.typed(state.picker, text))
        case s.QuestionMoved() | s.QuestionScrolled() | s.QuestionTyped():
            return _questioned(state, what)
        case _:
            assert_never(what)


def _questioned(
    state: UiState, what: s.QuestionMoved | s.QuestionScrolled | s.QuestionTyped
) -> UiState:
    question = state.question
    if question is None:
        return state
    match what:
        case s.QuestionMoved(by=by):
            question = approval.moved(question, by)
        case s.QuestionScrolled(top=top):
            question = replace(question, top=max(0, top))
        case s.QuestionTyped(text=text):
            question = approval.typed(question, text)
    return replace(state, question=question)


def _decided(state: UiState, *, seen: bool) -> Next:
    """What is marked is said; nothing is allowed that was not seen whole."""
    question = state.question
    if question is None:
        return state, ()
    choice = approval.chosen(question)
    if choice.allows and not seen:
        return replace(state, toast=NOT_SEEN), ()
    return _told_no(state, choice.verdict)


def _told_no(state: UiState, verdict: e.Verdict = e.Verdict.DENY) -> Next:
    """The question is gone from the screen; the desk is told (without more: no)."""
    question = state.question
    if question is None:
        return state, ()
    word = question.word if verdict is e.Verdict.DENY else ""
    asked = question.asked
    decide = s.Decide(asked.call.id, asked.digest, verdict, word)
    return replace(state, question=None), (decide,)


def _submitted(state: UiState, text: str, now: float) -> Next:
    if not text.strip():
        return state, ()
    state = replace(state, anchor=None, picker=None, find=None)
    if state.busy:
        return replace(state, queue=(*state.queue, text)), ()
    return replace(state, busy=True, since=now, begun=now), (Handle(text),)


def _escaped(state: UiState, now: float) -> Next:
    """Esc: close or stop; with nothing to close or to stop, twice, go back."""
    if state.busy or state.picker is not None or state.question is not None:
        return _stopped(state)
    if not state.escape_twice:
        return state, ()
    if now - state.escaped < REWIND:
        return _rewinding(state), ()
    hint = REWIND_HINT if picking.own(state.items) else ""
    return replace(state, escaped=now, toast=hint), ()


def _rewinding(state: UiState) -> UiState:
    own = picking.own(state.items)
    if not own:
        return replace(state, toast="you have said nothing yet that could be changed")
    picker = s.Picker("Change which message? What came after it stays, as a branch", own)
    return replace(state, picker=picker, escaped=0.0, find=None)


def _stopped(state: UiState) -> Next:
    if state.question is not None:
        return _told_no(state)
    if state.picker is not None:
        return replace(state, picker=None), ()
    if state.busy:
        return replace(state, stopping=True), (s.Interrupt(),)
    return state, ()


def _cancelled(state: UiState, *, drafted: bool, armed: bool) -> Next:
    if state.question is not None:  # the tool, the question and the loop together
        state, effects = _told_no(state)
        return replace(state, stopping=True), (s.Interrupt(), *effects)
    if state.picker is not None or (state.busy and not state.stopping):
        return _stopped(state)
    if armed and (state.busy or not drafted):
        return state, (s.Leave(),)
    if state.busy:
        return replace(state, quit_armed=True, toast=STILL_STOPPING), (s.Interrupt(),)
    if drafted:
        return replace(state, toast="draft put aside; Up brings it back"), (s.DropDraft(),)
    return replace(state, quit_armed=True, toast=LEAVE_HINT), ()


def _taken_back(state: UiState) -> Next:
    if not state.queue:
        return state, ()
    return replace(state, queue=state.queue[:-1]), (s.PutDraft(state.queue[-1]),)


def _copied(state: UiState) -> Next:
    live = state.live.draft.text if state.live else ""
    if live:
        return state, (Copy(live, "the answer so far"),)
    last = state.session.last_answer
    if last is None or not last.text:
        return replace(state, toast="there is no answer to copy yet"), ()
    return state, (Copy(last.text, "the last answer"),)


def _picked(state: UiState, now: float) -> Next:
    chosen = picking.chosen(state.picker)
    if chosen is None:  # nothing fits what was typed: that is still to be seen, and to be changed
        return state, ()
    state = replace(state, picker=None)
    if chosen.line.endswith(" "):  # a command that wants words after it
        return state, (s.DropDraft(), s.PutDraft(chosen.line))
    after, effects = _submitted(state, chosen.line, now)
    if chosen.line.startswith("/edit "):  # what stands in the input makes way for the message
        effects = (s.DropDraft(), *effects)
    return after, effects


def title_of(state: UiState) -> str:
    """What the header calls the session (raw text)."""
    return state.session.title or ""


def queued_line(text: str) -> str:
    """A queued line as it is shown above the input (raw text, one line)."""
    return shortened(text, 72)
