"""Imported once, noticed the second time; what grew is added, what parted stays."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.errors import UsageError
from chinwag.stores.files import FileStore
from chinwag.stores.importing.base import Skipped, Talk
from chinwag.stores.importing.keeping import Came, Importer
from chinwag.stores.importing.reading import read
from chinwag.stores.memory import MemoryStore
from chinwag.stores.moving import verify
from chinwag.talk.entry import UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Session, fold_all


def claude(*texts, uuid="u1"):
    messages = [
        {"uuid": f"m{n}", "sender": "human" if n % 2 == 0 else "assistant", "text": text}
        for n, text in enumerate(texts)
    ]
    made = {"uuid": uuid, "name": "Talk", "created_at": "2025-03-01T10:00:00Z"}
    return json.dumps([made | {"chat_messages": messages}]).encode()


def bring(store, raw, *, again=False):
    importer = Importer(store, again=again)
    return [importer.keep(t) for t in read(raw) if isinstance(t, Talk)]


@pytest.fixture(params=["memory", "files"])
def store(request, tmp_path):
    with MemoryStore() if request.param == "memory" else FileStore(tmp_path) as made:
        yield made


def test_the_same_file_twice_is_noticed(store):
    (first,) = bring(store, claude("q", "a"))
    assert (first.came, first.header.headline.title) == (Came.NEW, "Talk")
    stored = store.read(first.header.id)
    assert (stored.birth.imported, stored.birth.created) == ("claude", "2025-03-01T10:00:00.000Z")
    assert first.header.id.startswith("20250301-100000-")
    (second,) = bring(store, claude("q", "a"))
    assert (second.came, second.header.id) == (Came.THERE, first.header.id)
    (third,) = bring(store, claude("q", "a"), again=True)
    assert third.came is Came.NEW
    assert len(store.headers()) == 2


def test_what_grew_is_added(store):
    (first,) = bring(store, claude("q", "a"))
    (second,) = bring(store, claude("q", "a", "more"))
    assert (second.came, second.added, second.header.id) == (Came.GROWN, 1, first.header.id)
    assert [e.text for e in store.read(first.header.id).entries if isinstance(e, UserSaid)] == [
        "q",
        "more",
    ]
    (third,) = bring(store, claude("q", "a"))
    assert third.came is Came.THERE


def test_the_list_tells_the_model_that_answered(store):
    plain = json.loads(claude("q", "a"))
    plain[0]["chat_messages"][1]["model"] = "opus"
    (kept,) = bring(store, json.dumps(plain).encode())
    header = store.header(kept.header.id)
    assert (header.headline.provider, header.headline.model) == ("", "opus")
    stored = store.read(header.id)
    assert fold_all(Session(stored.birth), stored.entries).model == "", "nobody was chosen here"
    assert [c.problems for c in verify(store)] == [()]


def test_what_was_gone_on_with_here_is_not_touched(store):
    (first,) = bring(store, claude("q", "a"))
    stored = store.read(first.header.id)
    mine = UserSaid(id="mine", parts=(Text("mine"),))
    session = fold_all(Session(stored.birth), (*stored.entries, mine))
    store.append(stored.birth, (mine,), at=3, headline=session.headline())
    store.unlock(stored.birth.id)
    assert bring(store, claude("q", "a"))[0].came is Came.THERE
    assert bring(store, claude("q", "a", "theirs"))[0].came is Came.BOTH_CHANGED
    assert store.read(first.header.id).entries[-1] == mine


def test_a_session_of_ours_never_meets_the_original(store):
    from chinwag.commands.export import to_json

    (first,) = bring(store, claude("q", "a"))
    stored = store.read(first.header.id)
    text = to_json(fold_all(Session(stored.birth), stored.entries))
    (copy,) = bring(store, text.encode())
    assert copy.came is Came.NEW
    assert copy.header.id != first.header.id
    assert store.read(copy.header.id).entries == stored.entries
    assert store.read(copy.header.id).birth.imported == "chinwag"
    assert bring(store, text.encode())[0].came is Came.THERE


def test_others_may_write_what_was_imported(tmp_path):
    with FileStore(tmp_path) as store, FileStore(tmp_path) as second:
        (kept,) = bring(store, claude("q", "a"))
        second.lock(kept.header.id)


SEEDS = (
    claude("q", "a", "b"),
    json.dumps(
        {
            "messages": [
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
            ]
        }
    ).encode(),
    json.dumps(
        [
            {
                "mapping": {"a": {"parent": None, "message": {"author": {"role": "user"}}}},
                "current_node": "a",
            }
        ]
    ).encode(),
    (
        b'{"format":1,"id":"x","created":"","messages":[\n'
        b'{"n":1,"role":"user","kind":"user","content":"h"}\n],"meta":{}}\n'
    ),
    (
        b'{"session":{"id":3},"schema_version":"session-archive/v1",'
        b'"messages":[{"role":"tool","tool_results":[1]}]}'
    ),
    b'[{"conversations":[{"from":"human","value":{"a":[1]}}]},{"conversations":3}]',
)

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                "messages mapping chat_messages conversations role content parts text type message "
                "author parent current_node tool_calls function name arguments id sender uuid "
                "title create_time session tool_results metadata provider_state from value "
                "format".split()
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(values)
@settings(max_examples=150, deadline=None)
def test_any_json_is_read_or_refused_in_words(value):
    assert all(_harmless(json.dumps(value).encode()))
    several = [value, {"messages": value}, {"mapping": value}]
    assert all(_harmless(json.dumps(several).encode()))


def test_broken_files_are_read_or_refused_in_words():
    dice = random.Random(7)
    for seed in SEEDS:
        for at in range(len(seed)):
            assert all(_harmless(seed[:at]))
        for _ in range(60):
            raw = bytearray(seed)
            for _ in range(dice.randint(1, 5)):
                raw[dice.randrange(len(raw))] = dice.randrange(256)
            assert all(_harmless(bytes(raw)))


def _harmless(raw):
    """Whatever it holds: what it was refused with, both parts of it said."""
    store = MemoryStore()
    importer = Importer(store)
    try:
        for found in read(raw):
            if isinstance(found, Skipped):
                assert found.why
            else:
                importer.keep(found)
    except UsageError as refused:
        return refused.message, refused.hint
    return "read", "whole"
