"""The key table, what a person wishes of it, and what a terminal tells beside plain keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.keys import Keys

from chinwag.frontends.tui import keys, wishes
from chinwag.frontends.tui.reported import CTRL_ENTER, SHIFT_ENTER, Reports


def told(**changed):
    return [fault.told for fault in keys.faults(changed)]


def test_every_action_has_words_and_no_two_have_a_key():
    assert list(keys.DEFAULTS) == list(keys.WORDS)
    assert told() == []
    held = [wishes.parse(key) for own in keys.DEFAULTS.values() for key in own]
    assert len(held) == len(set(held))


def test_a_wish_is_granted_and_who_loses_the_key_is_named():
    changed = {"copy": "ctrl+t", "palette": ["ctrl+k", "f2"]}
    assert keys.chosen(changed)["copy"] == ("ctrl+t",)
    assert keys.chosen(changed)["palette"] == ("ctrl+k", "f2")
    assert keys.chosen(changed)["thinking"] == ()
    assert told(**changed) == ["Ctrl+T is copy now and not thinking, which has none now"]
    assert told(copy="f1") == ["F1 is copy now and not help; it has Ctrl+X h left"]


def test_two_wishes_for_one_key_go_to_the_first():
    changed = {"copy": "ctrl+k", "tools": "CTRL+K"}
    assert keys.chosen(changed)["copy"] == ("ctrl+k",)
    assert keys.chosen(changed)["tools"] == ()
    assert told(**changed) == ["Ctrl+K is asked for by copy and by tools: copy has it"]


@pytest.mark.parametrize(
    ("action", "key", "why"),
    [
        ("copie", "ctrl+k", "did you mean copy?"),
        ("copy", "k", "types a letter"),
        ("copy", "strg+k", "there is no key"),
        ("copy", "ctrl+", "there is no key"),
        ("copy", "", "there is no key"),
        ("copy", "ctrl+x", "waits a second"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_lost_by_it(action, key, why):
    (sentence,) = told(**{action: key})
    assert why in sentence
    assert keys.chosen({action: key})["copy"] == (("ctrl+y",) if key != "ctrl+x" else ("ctrl+x",))


def test_keys_are_read_and_written_as_people_do():
    assert wishes.parse("alt+enter") == ("escape", "enter")
    assert wishes.parse("ctrl+x l") == ("c-x", "l")
    assert wishes.parse("alt+Left") == ("escape", "left")
    assert wishes.parse("shift+pgup") == ("s-pageup",)
    assert wishes.parse("shift+enter") == (SHIFT_ENTER.value,)
    assert wishes.named("ctrl+x ctrl+e") == "Ctrl+X Ctrl+E"
    assert wishes.named("pageup") == "PgUp"
    assert wishes.named("shift+enter") == "Shift+Enter"


@given(
    st.dictionaries(
        st.sampled_from([*keys.DEFAULTS, "strange"]),
        st.lists(st.sampled_from(["ctrl+t", "ctrl+x", "f5", "x", "", "+", "alt+é", "ctrl+x l"])),
    )
)
def test_whatever_is_wished_no_key_does_two_things(changed):
    class Nobody:
        picking = typing = finding = empty = busy = False

        def erase(self):
            return False

    found = keys.chosen(changed)
    held = [wishes.parse(key) for own in found.values() for key in own]
    assert len(held) == len(set(held))
    Nobody.act = Nobody.pick = Nobody.find = lambda *_: None
    assert keys.bindings(Nobody(), changed).bindings


# -- what the terminal tells ---------------------------------------------------------------------


def typed(*pieces):
    """The keys that come of what is read, and what was told of the window."""
    got, told = [], []
    parser = Vt100Parser(lambda press: got.append((press.key, press.data)))
    reports = Reports(parser, told.append)
    for piece in pieces:
        reports.feed(piece)
    parser.flush()
    return got, told


def names(*pieces):
    return [key for key, _ in typed(*pieces)[0]]


@pytest.mark.parametrize(
    ("told", "key"),
    [
        ("\x1b[13;2u", SHIFT_ENTER),
        ("\x1b[27;2;13~", SHIFT_ENTER),
        ("\x1b[13;130u", SHIFT_ENTER),  # with Num Lock on
        ("\x1b[13;5u", CTRL_ENTER),
        ("\x1b[27u", Keys.Escape),
        ("\x1b[99;5u", Keys.ControlC),
        ("\x1b[1089::99;5u", Keys.ControlC),  # on a keyboard of another script
        ("\x1b[27;5;103~", Keys.ControlG),
        ("\x1b[9;2u", Keys.BackTab),
        ("\x1b[127u", Keys.ControlH),
        ("\x1b[57414u", Keys.ControlM),
        ("\x1b[32;2u", " "),
        ("\x1b[97;2u", "A"),
        ("\x1b[5~", Keys.PageUp),
        ("\x1b[1;2A", Keys.ShiftUp),
    ],
)
def test_what_is_told_becomes_the_key_it_is(told, key):
    assert names(told) == [key]


def test_alt_is_the_escape_before_a_key():
    assert names("\x1b[98;3u") == [Keys.Escape, "b"]
    assert names("\x1b[98;4u") == [Keys.Escape, "B"]
    assert names("\x1b[13;3u") == [Keys.Escape, Keys.ControlM]


def test_a_key_without_an_old_name_is_dropped_and_never_typed():
    assert names("a\x1b[57358u\x1b[59;5u\x1b[97;9ub") == ["a", "b"]


def test_a_report_cut_in_two_is_one_key():
    for at in range(3, len("\x1b[13;2u")):
        assert names("\x1b[13;2u"[:at], "\x1b[13;2u"[at:]) == [SHIFT_ENTER]


def test_what_is_pasted_is_not_looked_at():
    pasted = "\x1b[200~a\x1b[13;2ub\x1b[I\x1b[201~"
    for pieces in ([pasted], [pasted[:9], pasted[9:]]):
        got, told = typed(*pieces)
        assert got == [(Keys.BracketedPaste, "a\x1b[13;2ub\x1b[I")]
        assert told == []


def test_the_window_is_told_and_typed_nowhere():
    assert typed("a\x1b[Ib\x1b[Oc") == ([("a", "a"), ("b", "b"), ("c", "c")], [True, False])


@given(st.lists(st.sampled_from(["\x1b", "[", "1", "3", ";", "2", "u", "~", "x", "I", ":"])))
def test_junk_never_raises_and_no_letter_is_lost_for_good(pieces):
    typed("".join(pieces))
    assert names(*pieces, "y")[-1] == "y" or names(*pieces, "y", "y")[-1] == "y"
