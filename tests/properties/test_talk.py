"""Folds, codecs and drafts: the equalities the whole house rests on."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.talk import codec
from chinwag.talk.delta import CallDelta, Ended, Stop, TextDelta, ThinkingDelta, UsageDelta
from chinwag.talk.draft import Draft
from chinwag.talk.entry import (
    AssistantSaid,
    Cleared,
    Compacted,
    Hidden,
    Mark,
    Marked,
    ModelChosen,
    Noted,
    OptionSet,
    Rewound,
    Status,
    SystemSet,
    Tagged,
    Titled,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.grown import Grown
from chinwag.talk.message import Call, File, Image, Result, Text, Thinking
from chinwag.talk.session import Birth, Session, fold, fold_all, glimpse
from chinwag.talk.usage import Usage

words = st.text(max_size=30)
raw_words = st.text(alphabet=st.characters(exclude_categories=[]), max_size=30)
counts = st.integers(0, 10**9)
parts = st.lists(
    st.one_of(
        st.builds(Text, words.filter(bool)),
        st.builds(Thinking, words, words, words),
        st.builds(Call, words, words, words),
        st.builds(Image, mime=words, data=words),
        st.builds(File, name=words, text=words),
    ),
    max_size=4,
).map(tuple)
usages = st.builds(Usage, st.none() | counts, st.none() | counts, st.none() | counts)
common = {"id": words, "at": words, "tokens": counts, "tokenizer": words}
entries = st.one_of(
    st.builds(UserSaid, parts=parts, foreign=st.booleans(), **common),
    st.builds(
        AssistantSaid,
        parts=parts,
        provider=words,
        model=words,
        status=st.sampled_from(Status),
        stop=st.none() | st.sampled_from(Stop),
        error=words,
        usage=usages,
        **common,
    ),
    st.builds(ToolReturned, result=st.builds(Result, words, words, words, st.booleans()), **common),
    st.builds(SystemSet, text=words, **common),
    st.builds(ModelChosen, provider=words, model=words, **common),
    st.builds(OptionSet, name=words, value=st.none() | st.floats(0, 2) | words, **common),
    st.builds(Titled, title=words, **common),
    st.builds(Compacted, summary=words, through=st.integers(0, 40), **common),
    st.builds(Compacted, summary=words, through=st.integers(-3, 40), usage=usages, **common),
    st.builds(Hidden, ns=st.lists(st.integers(-2, 40)).map(tuple), why=words, **common),
    st.builds(Marked, of=st.integers(-2, 40), mark=st.sampled_from(Mark), **common),
    st.builds(Cleared, keep_system=st.booleans(), **common),
    st.builds(Rewound, to=st.integers(-1, 40), why=st.sampled_from(["undo", "redo", "edit"])),
    st.builds(Noted, text=words, **common),
    st.builds(Tagged, metadata=st.dictionaries(words, words | counts), **common),
)
histories = st.lists(entries, max_size=25)
BIRTH = Birth(id="20261126-000000-aaaaaa", created="2026-11-26T00:00:00.000Z")


def deltas(text=words):
    index = st.integers(0, 2)
    return st.lists(
        st.one_of(
            st.builds(TextDelta, text, index),
            st.builds(ThinkingDelta, text, words, st.just(""), index),
            st.builds(CallDelta, index, st.sampled_from(["", "a", "b"]), words, words),
            st.builds(UsageDelta, usages),
            st.builds(Ended, st.sampled_from(Stop)),
        ),
        max_size=20,
    )


@given(entries, st.integers(1, 10**9))
def test_decode_of_encode_is_the_entry(entry, n):
    line = codec.encode(entry, n)
    assert b"\n" not in line
    assert codec.decode(line) == (n, entry)
    json.loads(line)


@given(entries)
def test_a_message_carries_role_and_content(entry):
    plain = codec.to_plain(entry)
    if isinstance(entry, UserSaid | AssistantSaid | ToolReturned | SystemSet):
        assert plain["role"] in {"user", "assistant", "tool", "system"}
        assert "content" in plain
    else:
        assert "role" not in plain


@given(st.dictionaries(words, words | counts).map(lambda d: {**d, "kind": "from-the-future"}))
def test_a_kind_from_a_later_version_is_kept_as_it_came(plain):
    entry = codec.from_plain(plain)
    assert codec.to_plain(entry) == plain
    assert len(fold(Session(BIRTH), entry).path) == 0


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=50))
def test_any_text_can_be_stored(text):
    line = codec.encode(UserSaid(parts=(Text(text),)), 1)
    json.loads(line.decode())


@given(histories)
def test_resumed_equals_live(history):
    live = fold_all(Session(BIRTH), history)
    lines = [codec.encode(entry, n) for n, entry in enumerate(history, 1)]
    resumed = fold_all(Session(BIRTH), [codec.decode(line)[1] for line in lines])
    assert resumed == live
    for question in ("head", "system", "title", "provider", "model", "usage", "tally"):
        assert getattr(resumed, question) == getattr(live, question)
    assert list(resumed.path) == list(live.path)
    assert resumed.headline() == live.headline()


@given(histories, histories)
def test_folding_a_run_at_once_is_folding_one_by_one(first, second):
    start = fold_all(Session(BIRTH), first)
    one = start
    for entry in second:
        one = fold(one, entry)
    many = fold_all(start, second)
    for name in Session.__slots__:
        assert getattr(one, name) == getattr(many, name), name


@given(histories, histories)
def test_an_old_session_is_never_changed_by_a_new_one(first, second):
    old = fold_all(Session(BIRTH), first)
    before = (list(old.entries), list(old.path), old.tally, old.system)
    one = fold_all(old, second)
    other = fold_all(old, reversed(second))
    assert (list(old.entries), list(old.path), old.tally, old.system) == before
    assert list(one.entries) == [*first, *second]
    assert list(other.entries) == [*first, *reversed(second)]


@given(histories)
def test_the_path_is_a_branch_of_the_tree(history):
    session = fold_all(Session(BIRTH), history)
    path = list(session.path)
    assert path == session.path_to(session.head)
    for before, after in zip([0, *path], path, strict=False):
        assert session.parent(after) == before
    assert session.system == session._find_system()


@given(histories)
def test_undo_then_redo_is_where_one_was(history):
    session = fold_all(Session(BIRTH), history)
    to = session.before_last()
    if to is None:
        return
    undone = fold(session, Rewound(to=to, why="undo"))
    assert undone.redo_target == session.head
    again = fold(undone, Rewound(to=undone.redo_target, why="redo"))
    assert list(again.path) == list(session.path)
    assert (again.tally, again.system) == (session.tally, session.system)


@given(histories)
def test_nothing_that_was_said_ever_leaves_the_record(history):
    session = fold_all(Session(BIRTH), history)
    assert list(session.entries) == history


@given(deltas())
def test_adding_one_by_one_is_what_is_settled(stream):
    draft = Draft()
    for delta in stream:
        draft = draft.add(delta)
    said = "".join(d.text for d in stream if isinstance(d, TextDelta))
    assert sorted(draft.text) == sorted(said)
    assert draft.text == "".join(p.text for p in draft.parts() if isinstance(p, Text))
    entry = AssistantSaid(parts=draft.parts("x/y"))
    assert codec.decode(codec.encode(entry, 1))[1] == entry


@given(st.text(min_size=1, max_size=40), st.data())
def test_text_cut_anywhere_even_inside_a_surrogate_pair_is_whole_again(text, data):
    units = text.encode("utf-16-le", "surrogatepass")
    cut = data.draw(st.integers(0, len(units) // 2)) * 2
    pieces = [
        half.decode("utf-16-le", "surrogatepass") for half in (units[:cut], units[cut:]) if half
    ]
    draft = Draft()
    for piece in pieces:
        draft = draft.add(TextDelta(piece))
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert draft.text == whole


@given(st.lists(st.integers()), st.lists(st.integers()))
def test_grown_is_a_list_that_shares(first, second):
    base = Grown(first)
    one = base
    for item in second:
        one = one.plus(item)
    two = base
    for item in reversed(second):
        two = two.plus(item)
    assert list(base) == first
    assert list(one) == [*first, *second]
    assert list(two) == [*first, *reversed(second)]
    assert one[:] == [*first, *second]
    assert list(reversed(one)) == [*reversed(second), *reversed(first)]


@given(st.integers(0, 30), st.integers(-35, 35), st.integers(-35, 35), st.integers(1, 3))
def test_slices_of_grown_are_those_of_a_list(size, start, stop, step):
    plain = list(range(size))
    grown = Grown(plain)
    grown.plus(-1)  # the backing list is longer than this value
    assert grown[start:stop:step] == plain[start:stop:step]
    assert grown[start:stop:-step] == plain[start:stop:-step]


@settings(deadline=None)
@given(st.binary(max_size=200) | raw_words.map(lambda s: s.encode("utf-8", "surrogatepass")))
def test_rubbish_raises_only_value_errors(data):
    for read in (codec.decode, codec.decode_delta, codec.loads):
        try:
            read(data)
        except ValueError:
            pass


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 5000, '{"n":1,"kind":' + "[" * 70])
def test_bombs_are_refused_before_they_are_parsed(text):
    with pytest.raises(ValueError, match="nested deeper"):
        codec.loads(text)


def test_brackets_inside_strings_are_not_depth():
    assert codec.loads(json.dumps({"a": "[{" * 500 + '\\"[' * 100})) is not None


@given(usages, usages, usages)
def test_usage_adds_like_numbers(a, b, c):
    assert a + b == b + a
    assert (a + b) + c == a + (b + c)
    assert a + Usage() == a


def test_folding_is_linear():
    """20,000 entries fold with one backing list: a copy a step would need minutes."""
    session = Session(BIRTH)
    first = None
    for n in range(20_000):
        session = fold(session, UserSaid(parts=(Text(str(n)),)))
        first = first or session.entries._items
    assert session.entries._items is first
    assert session.tally.messages == 20_000


def test_entries_are_data():
    entry = UserSaid(parts=(Text("x"),))
    with pytest.raises(AttributeError):
        entry.parts = ()
    assert msgspec.structs.asdict(entry)["parts"] == (Text("x"),)


@given(histories, st.integers(0, 25))
def test_a_glimpse_shows_the_end_as_the_whole_does(history, base):
    whole = fold_all(Session(BIRTH), history)
    base = min(base, len(history))
    end = glimpse(BIRTH, whole.headline(), history[base:], base)
    assert len(end) == len(whole)
    if any(isinstance(entry, Rewound | Cleared | Compacted) for entry in history):
        return  # these speak of what a glimpse does not hold
    assert list(end.walk()) == [(n, entry) for n, entry in whole.walk() if n > base]
    assert end.head == whole.head or whole.head <= base
    assert [n for n, _ in end.said()] == [n for n, _ in whole.said() if n > base]
    assert end.title == whole.title or not whole.title
