"""What is written can be read; what is foreign stays harmless."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.commands import export
from chinwag.commands.table import FORMATS
from chinwag.errors import UsageError
from chinwag.stores.importing.reading import read
from chinwag.talk.entry import (
    AssistantSaid,
    Cleared,
    ModelChosen,
    Rewound,
    Status,
    SystemSet,
    Titled,
    ToolReturned,
    Unknown,
    UserSaid,
)
from chinwag.talk.message import Call, Image, Result, Text, Thinking
from chinwag.talk.session import Session, begin, fold_all

HOSTILE = (
    "<script>alert(1)</script> \x1b]0;pwned\x07 \u202e\u200b "
    "![x](http://127.0.0.1/t.png) [l](javascript:x)"
)


def talk(*entries):
    return fold_all(begin(), entries)


def rich(text=HOSTILE):
    return talk(
        SystemSet(id="s", text=text),
        ModelChosen(id="m", provider="lab", model=text),
        UserSaid(id="u", at="2026-11-20T09:31:00.000Z", parts=(Text(text), Image(name=text))),
        AssistantSaid(
            id="a",
            parts=(Thinking(text), Text(text), Call("c1", "now", '{"a": 1}')),
            provider="lab",
            model=text,
        ),
        ToolReturned(id="t", result=Result("c1", "now", "```\n" + text)),
        AssistantSaid(id="b", parts=(Text("half"),), status=Status.INTERRUPTED, error=text),
        Unknown(raw={"kind": "future", "id": "z", "x": [1]}),
        Titled(id="n", title=text),
    )


texts = st.text(min_size=1, max_size=30)
entries = st.lists(
    st.one_of(
        st.builds(UserSaid, id=st.just("u"), parts=st.tuples(st.builds(Text, texts))),
        st.builds(AssistantSaid, id=st.just("a"), parts=st.tuples(st.builds(Text, texts))),
        st.builds(SystemSet, id=st.just("s"), text=texts),
        st.builds(Titled, id=st.just("t"), title=texts),
        st.just(Cleared(id="c")),
        st.builds(Rewound, id=st.just("r"), to=st.integers(0, 5), why=st.just("undo")),
    ),
    max_size=8,
)


def documents(text, session):
    """The entries of every conversation in ``text``; nothing where nobody said anything."""
    if not session.said() and '"format"' not in text:
        with pytest.raises(UsageError, match="nobody says"):
            list(read(text.encode()))
        return []
    return [found.entries for found in read(text.encode())]


def test_every_format_has_a_writer():
    assert {name for name, _ in FORMATS} == set(export.WRITERS)
    assert set(export.ENDINGS.values()) <= set(export.WRITERS)


@given(entries)
def test_our_document_reads_back_to_an_equal_session(told):
    session = talk(*told)
    (document,) = documents(export.to_json(session), session)
    assert fold_all(Session(session.birth), document) == session


def test_everything_comes_back():
    session = rich()
    assert documents(export.to_json(session), session) == [tuple(session.entries)]


def test_our_document_is_one_entry_a_line_and_plain_json():
    session = rich()
    text = export.to_json(session)
    assert len(text.splitlines()) == len(session) + 2
    plain = json.loads(text)
    assert plain["format"] == 1
    assert [m["n"] for m in plain["messages"]] == list(range(1, len(session) + 1))
    assert plain["meta"]["count"] == len(session)
    assert [m["role"] for m in plain["messages"] if "role" in m][:3] == [
        "system",
        "user",
        "assistant",
    ]


def test_the_store_reads_our_document(tmp_path):
    from chinwag.stores.files import FileStore

    session = talk(
        UserSaid(id="u", parts=(Text("hi"),)), AssistantSaid(id="a", parts=(Text("yo"),))
    )
    folder = Path(tmp_path) / "sessions"
    folder.mkdir(mode=0o700)
    (folder / f"{session.id}.json").write_text(export.to_json(session))
    stored = _store(FileStore, tmp_path).read(session.id)
    assert stored.entries == tuple(session.entries)


def _store(kind, tmp_path):
    return kind(Path(tmp_path))


@given(entries)
def test_openai_form_reads_back_to_the_same_words(told):
    session = talk(*told)
    again = next(iter(documents(export.to_openai(session), session)), ())
    spoken = [e.text for e in again if isinstance(e, UserSaid | AssistantSaid)]
    assert spoken == [e.text for _, e in session.said()]


def test_openai_form_holds_calls_and_results():
    messages = json.loads(export.to_openai(rich("x")))["messages"]
    assert [m["role"] for m in messages] == ["system", "user", "assistant", "tool", "assistant"]
    assert messages[2]["tool_calls"][0]["function"] == {"name": "now", "arguments": '{"a": 1}'}
    assert messages[3]["tool_call_id"] == "c1"


@pytest.mark.parametrize("form", ["markdown", "html", "text"])
def test_readers_forms_hold_no_control_characters(form):
    text = export.WRITERS[form](rich())
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u200b\u2066-\u2069]", text)
    assert "interrupted" in text
    assert "lab/" in text


def test_a_page_runs_nothing_and_loads_nothing():
    page = export.to_html(rich())
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r"(?:href|src)\s*=\s*[\"']?javascript:", page)
    assert "default-src &#x27;none&#x27;" in page
    assert "&lt;script&gt;" in page


@given(st.text(alphabet="<>\"'&`*_[]()!#\\ scriptjavq:/\n-=", max_size=80))
def test_no_text_becomes_a_tag_of_its_own(text):
    page = export.to_html(talk(UserSaid(parts=(Text(text),)), Titled(title=text)))
    assert not re.search(r"<(?:script|img|iframe|style(?!>\n:root)|object|svg|on\w+)", page)
    assert not re.search(r"<[a-z]+[^>]*\son\w+\s*=", page)
    assert page.endswith("</body>\n</html>\n")


def test_what_a_tool_gave_cannot_leave_its_fence():
    text = export.to_markdown(rich("```\n# not a heading"))
    assert "````" in text


def test_markdown_reads_well():
    session = talk(
        UserSaid(at="2026-11-20T09:31:00.000Z", parts=(Text("What *if*?"),)),
        AssistantSaid(provider="lab", model="m", parts=(Text("Then that."),)),
    )
    assert export.to_markdown(session) == (
        "# What *if*?\n\n## 1 you · 2026-11-20 09:31\n\nWhat *if*?\n\n## 2 lab/m\n\nThen that.\n"
    )


def test_a_document_of_the_future_is_refused():
    with pytest.raises(UsageError, match="format 2"):
        list(read(b'{"format":2,"messages":[]}'))
