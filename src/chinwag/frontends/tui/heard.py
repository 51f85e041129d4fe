"""What the screen knows after an event of the desk; pure, as all of `update`.

Invariants: hearing a delta costs O(1); what the program said stands where it was said, whatever
becomes of the path around it; a reader keeps his place.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from msgspec.structs import replace

from chinwag.frontends.tui import picking
from chinwag.frontends.tui import state as s
from chinwag.frontends.tui.state import Copy, Effect, Handle, Kind, Live, Said, Told, UiState
from chinwag.talk import event as e
from chinwag.talk.branches import place, places
from chinwag.talk.delta import AnyDelta, CallDelta, TextDelta, ThinkingDelta
from chinwag.talk.entry import (
    AnyEntry,
    AssistantSaid,
    Cleared,
    Compacted,
    Noted,
    Rewound,
    SystemSet,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.grown import Grown
from chinwag.talk.session import Session

Next: TypeAlias = tuple[UiState, tuple[Effect, ...]]
Telling: TypeAlias = (
    e.Heard
    | e.Saved
    | e.SaveFailed
    | e.Learnt
    | e.Notice
    | e.Page
    | e.Listed
    | e.Offered
    | e.Following
)
STILL_STOPPING = "still stopping; Ctrl+C once more leaves"
ELSEWHERE = "open elsewhere: {}"
LONG = 10.0
"""Seconds after which who waits may have turned to something else."""


def after_event(state: UiState, what: e.AnyEvent, now: float) -> Next:
    """The next state and what is to be done."""
    match what:
        case e.Requested():
            return replace(
                state, live=Live(asked=now), busy=True, waiting="", since=now, waited=0, silence=0
            ), ()
        case e.Settled(n=n, entry=entry, session=session):
            return _settled(state, n, entry, session), ()
        case e.ApprovalAsked() | e.ApprovalAnswered() | e.ToolStarted() | e.ToolProgressed():
            return _called(state, what, now), ()
        case e.Compacting(messages=messages):
            text = f"writing a summary of {messages:,} messages"
            return replace(state, waiting=text, until=0.0, busy=True, since=now, waited=0), ()
        case e.Waiting(reason=reason, seconds=seconds):
            then = now + seconds
            return replace(state, waiting=reason, until=then, live=None, since=now), ()
        case e.Opened(session=session):
            return _opened(state, session, what.at), ()
        case e.Failed(message=message, hint=hint):
            return tell(replace(state, live=None), Kind.FAILURE, message, hint=hint), ()
        case e.CopyAsked() | e.Sought() | e.EditorAsked() | e.ThemeAsked() | e.DraftOffered():
            return _wanted(state, what)
        case e.Rested():
            return _rested(state, now)
        case e.Leaving():
            return state, (s.Leave(),)
        case _:
            return _told(state, what), ()


def _called(
    state: UiState,
    what: e.ApprovalAsked | e.ApprovalAnswered | e.ToolStarted | e.ToolProgressed,
    now: float,
) -> UiState:
    match what:
        case e.ApprovalAsked():
            return replace(state, question=s.Question(what), picker=None, waiting="")
        case e.ApprovalAnswered(id=id_, digest=digest):
            return _answered(state, id_, digest)
        case e.ToolStarted(call=call):
            started = s.Running(call.id, call.name, now)
            return replace(state, running=(*state.running, started), since=now)
        case e.ToolProgressed(id=id_, text=text):
            running = (replace(r, said=text) if r.id == id_ else r for r in state.running)
            return replace(state, running=tuple(running))


def _wanted(
    state: UiState, what: e.CopyAsked | e.Sought | e.EditorAsked | e.ThemeAsked | e.DraftOffered
) -> Next:
    """What a command wants of the screen."""
    match what:
        case e.CopyAsked(text=text, what=name):
            return state, (Copy(text, name),)
        case e.Sought(text=text):
            return state, (s.Seek(text),)
        case e.EditorAsked(text=text):
            return state, (s.Edit(text),)
        case e.ThemeAsked(name=name):
            return replace(state, toast=f"theme: {name}"), (s.Wear(name),)
        case e.DraftOffered(text=text, cursor=cursor, pastes=pastes):
            return state, (s.PutDraft(text, cursor, pastes),)
        case _:
            assert_never(what)


def _answered(state: UiState, id_: str, digest: str) -> UiState:
    """A question that was settled, perhaps elsewhere, is asked no more."""
    question = state.question
    if question is None or (question.asked.call.id, question.asked.digest) != (id_, digest):
        return state
    return replace(state, question=None)


def _told(state: UiState, what: Telling) -> UiState:
    """What the program has to say or to offer."""
    match what:
        case e.Heard() | e.Saved() | e.SaveFailed() | e.Learnt():
            return state  # the footer asks the desk
        case e.Following(owner=owner):
            toast = ELSEWHERE.format(owner) if owner else ""
            return replace(state, toast=toast, alone=not owner)
        case e.Notice(text=text, level=e.Level.BRIEF):
            return replace(state, toast=text)
        case e.Notice(text=text, level=level):
            kind = Kind.WARNING if level is e.Level.WARNING else Kind.NOTICE
            return tell(state, kind, text)
        case e.Page(title=title, text=text, beside=beside):
            told = tell(state, Kind.PAGE, text, title=title, beside=beside)
            return replace(told, anchor=s.Anchor(len(state.items), 0))
        case e.Listed(headers=headers):
            return _offered(state, "Sessions", picking.sessions(headers))
        case e.Offered(title=title, choices=choices):
            return _offered(state, title, choices)
        case _:
            assert_never(what)


def heard(live: Live | None, delta: AnyDelta, now: float) -> Live:
    """The answer that comes in, with one piece more."""
    if live is None:
        live = Live(asked=now)
    draft = live.draft.add(delta)
    match delta:
        case TextDelta(text=text) | ThinkingDelta(text=text) | CallDelta(arguments=text):
            size = live.characters + len(text)
            lasting = live.lasting + (0 if isinstance(delta, ThinkingDelta) else len(text))
            return Live(draft, live.asked, live.first or now, now, size, lasting)
        case _:
            return replace(live, draft=draft)


def _rested(state: UiState, now: float) -> Next:
    ring = (s.Ring(),) if _waited(state, now) and not state.stopping else ()
    state = replace(
        state, busy=False, stopping=False, waiting="", live=None, question=None, running=()
    )
    if state.toast == STILL_STOPPING:
        state = replace(state, toast="", quit_armed=False)
    if not state.queue:
        return state, ring
    line, *rest = state.queue
    return replace(state, queue=tuple(rest), busy=True, since=now, begun=now), (Handle(line),)


def _waited(state: UiState, now: float) -> bool:
    """Whether what is handled took so long that who sent it may have turned away."""
    return state.busy and bool(state.begun) and now - state.begun >= LONG


def _without_echo(state: UiState, entry: AssistantSaid) -> UiState:
    """A failure was told when it happened; the answer that carries it says it from now on."""
    last = state.items[-1] if state.items else None
    if not isinstance(last, Told) or last.kind is not Kind.FAILURE or last.text != entry.error:
        return state
    return replace(state, items=Grown(state.items[:-1]))


def _settled(state: UiState, n: int, entry: AnyEntry, session: Session) -> UiState:
    state = replace(state, session=session)
    match entry:
        case AssistantSaid():
            state = replace(_without_echo(state, entry), live=None, waiting="")
            return _appended(state, Said(n, entry, place(session, n)))
        case ToolReturned(result=result):
            running = tuple(r for r in state.running if r.id != result.id)
            return _appended(replace(state, running=running), Said(n, entry))
        case UserSaid() | SystemSet() | Noted() | Compacted():
            return _appended(state, Said(n, entry))
        case Cleared() | Rewound():
            items = _rewoven(session, state.items)
            return replace(state, items=Grown(items), anchor=None)
        case _:
            return state


def _opened(state: UiState, session: Session, at: int = 0) -> UiState:
    if state.session.base and not session.base and state.session.id == session.id:
        completed = _completed(state, session)
        return completed if completed.anchor is not None else _landed(completed, at)
    fresh = replace(
        state,
        session=session,
        items=Grown(shown(session)),
        live=None,
        anchor=None,
        picker=None,
        find=None,
    )
    return _landed(fresh, at)


def _landed(state: UiState, at: int) -> UiState:
    """The view begins at entry ``at`` (0: at none), where it is shown."""
    places = (n for n, item in enumerate(state.items) if isinstance(item, Said) and item.n == at)
    found = next(places, None) if at else None
    return state if found is None else replace(state, anchor=s.Anchor(found, 0))


def _completed(state: UiState, session: Session) -> UiState:
    """The beginning of a session whose end was shown: put before it, nothing moves."""
    base = state.session.base
    earlier = [item for item in shown(session) if isinstance(item, Said) and item.n <= base]
    anchor = state.anchor
    if anchor is not None:
        anchor = replace(anchor, item=anchor.item + len(earlier))
    return replace(state, session=session, items=Grown([*earlier, *state.items]), anchor=anchor)


def _offered(state: UiState, title: str, choices: tuple[e.Choice, ...]) -> UiState:
    if not choices:
        return tell(state, Kind.NOTICE, f"{title}: there is nothing to choose from")
    return replace(state, picker=s.Picker(title, choices))


def tell(
    state: UiState,
    kind: Kind,
    text: str,
    *,
    title: str = "",
    hint: str = "",
    beside: tuple[e.Column, ...] = (),
) -> UiState:
    """The state with something more said by the program."""
    told = Told(state.told + 1, len(state.session), kind, text, title, hint, beside)
    return replace(_appended(state, told), told=state.told + 1)


def _appended(state: UiState, item: s.Item) -> UiState:
    """One item more, before the live answer; a reader of the live answer keeps his place."""
    anchor = state.anchor
    if anchor and state.live and anchor.item == len(state.items):
        anchor = replace(anchor, item=anchor.item + 1)
    return replace(state, items=state.items.plus(item), anchor=anchor)


# -- the transcript of a session ---------------------------------------------------------------


def shown(session: Session) -> list[s.Item]:
    """What is on the path since the last clear (the clear itself included), oldest first."""
    found: list[s.Item] = []
    forked = places(session)
    for n, entry in session.back():
        found.append(Said(n, entry, forked.get(n, (1, 1))))
        if isinstance(entry, Cleared):
            break
    return found[::-1]


def _rewoven(session: Session, items: Grown[s.Item]) -> list[s.Item]:
    """The session's path, with what the program said kept in its places."""
    path = shown(session)
    first = path[0].n if path and isinstance(path[0], Said) else 0
    told = [item for item in items if isinstance(item, Told) and item.after >= first]
    woven: list[s.Item] = []
    for item in path:
        while told and isinstance(item, Said) and told[0].after < item.n:
            woven.append(told.pop(0))
        woven.append(item)
    return woven + [item for item in told if item.kind is not Kind.PAGE]
