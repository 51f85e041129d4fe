"""The rules of the screen: a state and a happening give a state and effects."""

import pytest

from chinwag.frontends.tui import state as s
from chinwag.frontends.tui import view
from chinwag.frontends.tui.update import LEAVE_HINT, opened, update
from chinwag.talk import event as e
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import AssistantSaid, Cleared, Rewound, Status
from chinwag.talk.event import Choice
from chinwag.talk.session import Header, Headline, Session, fold
from support.fakes import FakeDesk, blank, entry, long_talk, talk


def after(state, *whats, now=1.0):
    """The state and all effects after some happenings."""
    effects = []
    for what in whats:
        state, more = update(state, what, now)
        effects.extend(more)
    return state, effects


def settled(session: Session, what) -> e.Settled:
    session = fold(session, what)
    return e.Settled(len(session), what, session)


@pytest.fixture
def idle():
    return opened(blank())


@pytest.fixture
def busy(idle):
    return after(idle, s.Submitted("one"))[0]


def test_who_writes_is_said_before_a_long_session_is_there(idle):
    state, effects = after(idle, e.Following("x", "process 7"))
    assert (state.toast, effects) == ("open elsewhere: process 7", [])
    assert after(state, e.Following("x", ""))[0].toast == ""


def test_a_line_goes_to_the_desk_and_later_ones_wait_their_turn(idle):
    state, effects = after(idle, s.Submitted("one"), s.Submitted("two"), s.Submitted("three"))
    assert effects == [s.Handle("one")]
    assert state.queue == ("two", "three")
    state, effects = after(state, e.Rested())
    assert effects == [s.Handle("two")]
    assert (state.queue, state.busy) == (("three",), True)
    state, effects = after(state, e.Rested(), e.Rested())
    assert effects == [s.Handle("three")]
    assert not state.busy


def test_blank_lines_are_not_sent(idle):
    assert after(idle, s.Submitted("  \n "))[1] == []


def test_the_last_queued_line_is_taken_back_first(busy):
    state, effects = after(busy, s.Submitted("two"), s.Submitted("three"), s.TakenBack())
    assert effects == [s.PutDraft("three")]
    assert state.queue == ("two",)


def test_esc_stops_an_answer_and_does_nothing_when_idle(idle, busy):
    state, effects = after(busy, s.StopPressed())
    assert (effects, state.stopping) == ([s.Interrupt()], True)
    assert after(idle, s.StopPressed())[1] == []


def test_ctrl_c_stops_first_and_leaves_only_when_pressed_twice_with_nothing_to_lose(idle, busy):
    assert after(busy, s.CancelPressed(drafted=True))[1] == [s.Interrupt()]
    assert after(idle, s.CancelPressed(drafted=True))[1] == [s.DropDraft()]
    state, effects = after(idle, s.CancelPressed(drafted=False))
    assert (effects, state.toast) == ([], LEAVE_HINT)
    assert after(state, s.CancelPressed(drafted=False))[1] == [s.Leave()]


def test_another_key_between_two_ctrl_c_disarms_leaving(idle):
    armed, _ = after(idle, s.CancelPressed(drafted=False), s.ThinkingToggled())
    assert after(armed, s.CancelPressed(drafted=False))[1] == []


def test_an_answer_that_will_not_stop_can_be_left(busy):
    stuck, _ = after(busy, s.CancelPressed(drafted=False), s.CancelPressed(drafted=False))
    assert after(stuck, s.CancelPressed(drafted=False))[1] == [s.Leave()]


def test_deltas_fold_into_the_live_answer_and_settling_drops_it(busy):
    asked = entry(0, "one")
    state, _ = after(busy, settled(blank(), asked), e.Requested("ollama", "m"))
    state, _ = after(state, e.Heard(TextDelta("Hel")), now=2.0)
    state, _ = after(state, e.Heard(TextDelta("lo")), now=3.0)
    assert state.live.draft.text == "Hello"
    assert (state.live.first, state.live.last, state.live.characters) == (2.0, 3.0, 5)
    state, _ = after(state, settled(state.session, entry(1, "Hello")))
    assert state.live is None
    assert [item.n for item in state.items] == [1, 2] or len(state.items) == 2


def test_a_reader_of_the_live_answer_keeps_his_place_when_a_notice_comes(busy):
    state, _ = after(busy, e.Requested("o", "m"), s.Scrolled(s.Anchor(0, 7)))
    state, _ = after(state, e.Notice("saved elsewhere"))
    assert state.anchor == s.Anchor(1, 7)
    state, _ = after(state, settled(blank(), entry(1, "x")))
    assert state.anchor == s.Anchor(1, 7)


def test_going_back_shows_the_path_and_keeps_what_the_program_said():
    session = talk("a", "b", "c", "d")
    state, _ = after(opened(session), e.Notice("early"))
    state, _ = after(state, settled(session, Rewound(to=3, why="undo")), e.Notice("taken back"))
    assert [type(item).__name__ for item in state.items] == ["Said", "Said", "Told", "Told"]
    assert [item.entry.text for item in state.items if isinstance(item, s.Said)] == ["a", "b"]


def test_clearing_hides_what_was_before_and_undoing_it_brings_it_back():
    session = talk("a", "b")
    state, _ = after(opened(session), settled(session, Cleared()))
    assert len(state.items) == 1
    state, _ = after(state, settled(state.session, Rewound(to=3, why="undo")))
    assert [item.entry.text for item in state.items if isinstance(item, s.Said)] == ["a", "b"]


def test_opening_another_session_begins_at_its_end_without_old_notices(idle):
    state, _ = after(idle, e.Notice("old"), s.Scrolled(s.Anchor(0, 0)), e.Opened(long_talk(20)))
    assert len(state.items) == 20
    assert state.anchor is None
    assert state.live is None


def test_a_page_is_shown_from_its_beginning(idle):
    state, _ = after(idle, e.Notice("x"), e.Page("help", "text"))
    assert state.anchor == s.Anchor(1, 0)


def test_sessions_are_offered_and_picking_one_loads_it(idle):
    headers = (Header("id1", headline=Headline(title="Lisbon", messages=3)), Header("id2"))
    state, _ = after(idle, e.Listed(headers))
    assert [c.label for c in state.picker.choices] == ["Lisbon", "id2"]
    state, effects = after(state, s.PickerMoved(9), s.Picked())
    assert effects == [s.Handle("/load id2")]
    assert state.picker is None


def test_nothing_to_offer_is_said_in_words(idle):
    state, _ = after(idle, e.Listed(()))
    assert state.picker is None
    assert "nothing to choose" in state.items[0].text


def test_esc_and_ctrl_c_close_the_picker_and_touch_nothing_else(busy):
    state, _ = after(busy, e.Offered("models", (Choice("m", "/model m"),)))
    for key in (s.StopPressed(), s.CancelPressed(drafted=False)):
        closed, effects = after(state, key)
        assert (closed.picker, effects) == (None, [])


def test_a_failure_is_shown_with_its_hint(busy):
    state, _ = after(busy, e.Failed("Unreachable", "no answer", "is it running?"))
    assert (state.items[0].kind, state.items[0].hint) == (s.Kind.FAILURE, "is it running?")


def test_copying_takes_the_raw_text_of_the_last_answer(idle):
    state = opened(talk("q", "**a**\x1b[0m"))
    assert after(state, s.CopyPressed())[1] == [s.Copy("**a**\x1b[0m", "the last answer")]
    assert after(idle, s.CopyPressed())[0].toast


def test_leaving_and_drafts_offered_are_passed_on(idle):
    assert after(idle, e.Leaving())[1] == [s.Leave()]
    assert after(idle, e.DraftOffered("again"))[1] == [s.PutDraft("again")]
    assert after(idle, e.CopyAsked("t", "block 1"))[1] == [s.Copy("t", "block 1")]


def test_sending_follows_the_end_again(idle):
    state, _ = after(opened(long_talk(9)), s.Scrolled(s.Anchor(0, 0)), s.Submitted("x"))
    assert state.anchor is None


def test_update_changes_nothing_it_was_given(idle):
    before = (idle.items, idle.queue, idle.live)
    after(idle, s.Submitted("x"), e.Notice("y"), e.Heard(TextDelta("z")), s.Submitted("w"))
    assert (idle.items, idle.queue, idle.live) == before
    assert len(idle.items) == 0


def test_a_word_about_stopping_goes_when_it_has_stopped(busy):
    state = busy
    for _ in range(2):
        state, _ = update(state, s.CancelPressed(drafted=False), 1.0)
    assert state.toast
    state, _ = update(state, e.Rested(), 2.0)
    assert not state.toast


def test_a_wait_is_counted_down(busy):
    state, _ = update(busy, e.Waiting("the server is overloaded", 7.2), 100.0)
    status = FakeDesk().status()

    def word(now):
        return "".join(text for _, text in view.tray(state, status, 80, now)[0])

    assert "overloaded; again in 8 s" in word(100.0)
    assert "again in 1 s" in word(106.9)
    assert "again" not in word(108.0)
    state, _ = update(state, e.Requested("p", "m"), 108.0)
    assert view.tray(state, status, 80, 108.0) == []


def test_a_failure_that_an_answer_carries_is_said_once(busy):
    failed = AssistantSaid(status=Status.FAILED, error="refuses connections", hint="start it")
    state, _ = after(busy, e.Failed("Unreachable", "refuses connections", "start it"))
    assert isinstance(state.items[-1], s.Told)
    count = len(state.items)
    state, _ = after(state, settled(state.session, failed))
    assert len(state.items) == count
    assert state.items[-1].entry is failed
    state, _ = after(state, e.Failed("CommandUnknown", "no such command", ""))
    state, _ = after(state, settled(state.session, failed))
    assert len(state.items) == count + 2, "another failure stays"
