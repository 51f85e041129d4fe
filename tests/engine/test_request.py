"""What leaves for a model is always a history it will accept, whatever the session holds."""

from __future__ import annotations

from hypothesis import given

from chinwag.engine import request as requests
from chinwag.providers.base import Options, Profile
from chinwag.talk.entry import AssistantSaid, Compacted, UserSaid
from chinwag.talk.message import Call, Image, Message, Result, Role, Text, Thinking
from chinwag.talk.session import Session, fold, fold_all
from properties.test_talk import BIRTH, histories


def built(session, profile=Profile()):  # noqa: B008 - frozen
    return requests.build(session, model="m", profile=profile, options=Options())


@given(histories)
def test_the_history_is_valid_whatever_happened(history):
    request = built(fold_all(Session(BIRTH), history))
    messages = request.messages
    if messages:
        assert messages[0].role is Role.USER
    open_calls = set()
    for before, message in zip((None, *messages), messages, strict=False):
        assert message.parts
        assert message.role is not Role.SYSTEM
        if before is not None and message.role is Role.USER:
            assert before.role is not Role.USER
        results = [p.id for p in message.parts if isinstance(p, Result)]
        if message.role is Role.TOOL:
            assert set(results) <= open_calls
            assert len(results) == len(set(results))
            open_calls -= set(results)
        else:
            assert not open_calls
            open_calls = {c.id for c in message.calls}
    assert not open_calls


@given(histories)
def test_one_more_question_only_appends(history):
    session = fold_all(Session(BIRTH), history)
    before = built(fold(session, AssistantSaid(parts=(Text("answer"),)))).messages
    session = fold(session, AssistantSaid(parts=(Text("answer"),)))
    after = built(fold(session, UserSaid(parts=(Text("next"),)))).messages
    assert after[: len(before)] == before


@given(histories)
def test_building_is_pure(history):
    session = fold_all(Session(BIRTH), history)
    assert built(session) == built(session)
    assert list(session.entries) == history


def test_a_summary_stands_for_what_it_hides():
    session = fold_all(
        Session(BIRTH),
        [
            UserSaid(parts=(Text("old"),)),
            AssistantSaid(parts=(Text("gone"),)),
            Compacted(summary="they greeted", through=2),
            UserSaid(parts=(Text("new"),)),
        ],
    )
    text = "".join(m.text for m in built(session).messages)
    assert "they greeted" in text
    assert "new" in text
    assert "old" not in text


def test_pictures_are_named_where_they_cannot_be_seen():
    said = UserSaid(parts=(Text("look"), Image(name="cat.png", mime="image/png", data="AA==")))
    session = fold(Session(BIRTH), said)
    blind = built(session, Profile(sees=False)).messages[0]
    assert blind == Message(Role.USER, (Text("look"), Text("[picture cat.png]")))
    assert built(session).messages[0].parts == said.parts


def test_two_calls_of_one_answer_are_each_answered_once():
    calls = (Call("a", "x"), Call("b", "y"))
    session = fold_all(
        Session(BIRTH),
        [UserSaid(parts=(Text("q"),)), AssistantSaid(parts=calls), UserSaid(parts=(Text("r"),))],
    )
    answered = [p.id for m in built(session).messages for p in m.parts if isinstance(p, Result)]
    assert answered == ["a", "b"]


def test_thinking_alone_is_no_answer():
    session = fold_all(
        Session(BIRTH),
        [UserSaid(parts=(Text("q"),)), AssistantSaid(parts=(Thinking("hm"),))],
    )
    assert [m.role for m in built(session).messages] == [Role.USER]
