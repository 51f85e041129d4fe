"""Chat: one engine behind a face that any thread may use."""

from __future__ import annotations

import asyncio
import gc
import json
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chinwag
from chinwag import (
    BudgetSpent,
    Chat,
    ConfigError,
    ContextOverflow,
    File,
    Image,
    Message,
    ModelUnknown,
    Proposal,
    ProviderError,
    RateLimited,
    Role,
    SessionNotFound,
    SessionUnreadable,
    Status,
    Stop,
    StoreUnavailable,
    StreamBroken,
    Text,
    TruncateCompactor,
    Unreachable,
    UsageError,
    attachment,
    tool,
)
from chinwag.providers.base import Profile
from chinwag.providers.scripted import Pause
from chinwag.talk.delta import Ended, TextDelta, ThinkingDelta, UsageDelta
from chinwag.talk.event import Heard, Requested, Settled
from chinwag.talk.message import Call
from chinwag.talk.usage import Usage
from support.chats import chat, own_threads, scripted, until

SLOW = [TextDelta("One "), Pause(0.01), TextDelta("two "), Pause(60.0), TextDelta("three")]


@pytest.fixture(autouse=True)
def nothing_stays():
    """Every test ends with no thread of ours."""
    yield
    gc.collect()
    assert until(lambda: not own_threads()), own_threads()


# -- a turn ---------------------------------------------------------------------------------------


def test_a_message_and_its_answer():
    made, who = chat("Hello there.", "Four.")
    with made:
        reply = made.send("hi")
        assert (reply.text, str(reply), reply.stop) == ("Hello there.", "Hello there.", Stop.END)
        assert (reply.provider, reply.model) == ("scripted", "script")
        assert reply.message == Message.assistant("Hello there.")
        assert reply.status is Status.COMPLETE
        assert reply.steps[0].text == "Hello there."
        made.send("2 + 2?")
        roles = [m.role for m in made.messages]
        assert roles == ["system", "user", "assistant", "user", "assistant"]
        assert (made.count, len(made), made.turns) == (4, 4, 2)
        assert made.last == Message.assistant("Four.")
        assert [m.text for m in made.sent] == ["hi", "Hello there.", "2 + 2?", "Four."]
    assert who.requests[0].system == "You are a helpful assistant."
    assert [m.text for m in who.requests[1].messages] == ["hi", "Hello there.", "2 + 2?"]


def test_nothing_was_said_yet():
    made, _ = chat()
    with made:
        assert (made.count, made.turns, made.last) == (0, 0, None)
        assert made.messages == [Message.system("You are a helpful assistant.")]
        assert not made.resumed
        assert made
        with pytest.raises(UsageError, match="nothing to answer"):
            made.send()
        with pytest.raises(UsageError, match="without a word"):
            made.send("  \n")
        with pytest.raises(UsageError, match="nothing to take back"):
            made.undo()
        with pytest.raises(UsageError, match="nothing to fork"):
            made.fork()
        assert made.count == 0


@pytest.mark.parametrize("none", ["", None])
def test_no_system_prompt_is_none(none):
    made, who = chat(system=none)
    with made:
        made.send("hi")
        assert [m.role for m in made.messages] == ["user", "assistant"]
    assert who.requests[0].system == ""


def test_what_was_typed_is_what_is_kept():
    text = "    indented\n\ttab \n"
    made, who = chat()
    with made:
        made.send(text)
        assert made.messages[1].text == text
    assert who.requests[0].messages[0].text == text


def test_options_reach_the_request_and_the_document(tmp_path):
    made, who = chat(
        temperature=0.7,
        max_tokens=500,
        top_p=0.9,
        stop="END",
        seed=-3,
        reasoning="low",
        extra={"user": "me"},
    )
    with made:
        made.send("hi")
        made.set(temperature=None, seed=9)
        made.send("again")
        made.save(tmp_path / "t.json")
    first, second = (r.options for r in who.requests)
    assert (first.temperature, first.max_tokens, first.top_p) == (0.7, 500, 0.9)
    assert (first.stop, first.seed, first.reasoning) == (("END",), -3, "low")
    assert first.extra == {"user": "me"}
    assert (second.temperature, second.seed) == (None, 9)
    other = scripted()
    with Chat.load(tmp_path / "t.json", provider=other) as loaded:
        loaded.send("hi")
    assert other.requests[0].options == second


def test_another_model_this_once_and_from_now_on():
    with Chat("one/a", provider=scripted("1", name="one")) as made:
        other = scripted("2", name="two", models=("b",))
        made._core.plan.catalog.register("two", lambda: other)
        assert made.send("hi", model="two/b").provider == "two"
        assert made.model == "one/a"
        assert made.send("hi").provider == "one"
        made.switch("two/b")
        assert made.send("hi").provider == "two"
        assert made.retry(model="one/a").provider == "one"
        assert made.count == 6
        with pytest.raises(ModelUnknown):
            made.switch("nobody-knows-this")
        with pytest.raises(ModelUnknown):
            made.send("hi", model="nobody-knows-this")
        assert made.count == 6


def test_thinking_and_usage_come_apart():
    made, _ = chat(
        [
            ThinkingDelta("hm"),
            TextDelta("yes"),
            UsageDelta(Usage(input=10, output=2)),
            Ended(Stop.LENGTH),
        ]
    )
    with made:
        reply = made.send("hi")
        assert (reply.thinking, reply.text, reply.stop) == ("hm", "yes", Stop.LENGTH)
        assert reply.usage == made.usage == Usage(input=10, output=2)
        assert made.cost is None


def test_cost_of_what_was_reported():
    profile = Profile(window=1000, price_input=1.0, price_output=2.0)
    who = scripted(
        [TextDelta("a"), UsageDelta(Usage(input=500_000, output=250_000)), Ended(Stop.END)],
        profile=profile,
    )
    with Chat(provider=who, model="script") as made:
        made.send("hi")
        assert made.cost == Decimal(1)


def test_pictures_and_files(tmp_path):
    picture = tmp_path / "cat.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\nrest")
    notes = tmp_path / "notes.txt"
    notes.write_text("milk")
    made, who = chat()
    with made:
        made.send("what is this?", files=[picture, str(notes), "https://example.test/x.png"])
        made.send("", files=b"plain bytes")
        made.add(Message.user("and this", attachment(picture)))
    parts = who.requests[0].messages[0].parts
    assert [type(p) for p in parts] == [Text, Image, File, Image]
    assert (parts[1].mime, parts[2].text, parts[3].url) == (
        "image/png",
        "milk",
        "https://example.test/x.png",
    )
    with pytest.raises(UsageError, match="no file"):
        attachment(tmp_path / "gone")
    with pytest.raises(UsageError, match="neither a picture, a PDF nor UTF-8"):
        attachment(b"\xff\xfe\x00")


# -- structured answers ---------------------------------------------------------------------------


@dataclass
class City:
    name: str
    people: int


def test_a_structured_answer():
    made, who = chat('{"name": "Lisbon", "people": 545796}', '```json\n{"a": [1]}\n```')
    with made:
        reply = made.send("largest?", schema=City)
        assert reply.data == City("Lisbon", 545796)
        assert made.send("and?", schema={"type": "object"}).data == {"a": [1]}
        made.send("plain")
    schema = who.requests[0].options.schema
    assert schema["type"] == "object"
    assert set(schema["properties"]) == {"name", "people"}
    assert who.requests[2].options.schema is None


class Tree(msgspec.Struct):
    children: list[Tree] = []


def test_a_type_that_names_itself_keeps_its_definitions():
    made, who = chat('{"children": [{"children": []}]}')
    with made:
        assert made.send("grow", schema=Tree).data == Tree([Tree()])
    assert "$defs" in who.requests[0].options.schema


def test_an_answer_that_does_not_fit():
    made, _ = chat('{"name": 1}', "no json")
    with made:
        with pytest.raises(ProviderError, match="does not fit"):
            made.send("largest?", schema=City)
        with pytest.raises(ProviderError, match="does not fit"):
            made.send("largest?", schema=City)
        assert made.count == 4
        with pytest.raises(UsageError, match="no JSON schema"):
            made.send("x", schema=type("Odd", (), {"__slots__": ()}))


# -- streams --------------------------------------------------------------------------------------


def test_a_stream_is_the_engine_s_own_events():
    made, _ = chat("Hello there you.")
    with made:
        stream = made.stream("hi")
        events = list(stream)
        kinds = [type(e) for e in events]
        assert kinds.index(Requested) < kinds.index(Heard)
        assert isinstance(events[-1], Settled)
        heard = [
            e.delta.text for e in events if isinstance(e, Heard) and type(e.delta) is TextDelta
        ]
        assert "".join(heard) == "Hello there you." == stream.reply.text
        assert list(stream) == []
        assert "".join(made.stream("more").texts()) == "Hello there you."
        made.stream("never begun").close()
        assert made.count == 4


def test_leaving_a_stream_interrupts_it_and_keeps_what_was_heard():
    made, who = chat(SLOW, "next")
    with made:
        for event in made.stream("count"):
            if isinstance(event, Heard) and event.delta == TextDelta("two "):
                break
        assert made.last == Message.assistant("One two ")
        assert made.session.last_answer.status is Status.INTERRUPTED
        assert who.closed == 1
        made.send("go on")
    assert [m.text for m in who.requests[1].messages][:2] == ["count", "One two "]


def test_leaving_by_hand():
    made, _ = chat(SLOW)
    with made, made.stream("count") as stream:
        next(e for e in stream if isinstance(e, Heard))
        stream.close()
        assert stream.reply.status is Status.INTERRUPTED
        with pytest.raises(StopIteration):
            next(stream)


def test_a_stream_that_fails_raises_after_its_events():
    made, _ = chat([TextDelta("half "), StreamBroken("gone")])
    with made:
        seen = []
        with pytest.raises(StreamBroken, match="gone"):
            seen.extend(made.stream("hi"))
        assert any(isinstance(e, Heard) for e in seen)
        assert made.last == Message.assistant("half ")


# -- failures -------------------------------------------------------------------------------------


def test_errors_are_the_engine_s_own():
    made, who = chat(
        RateLimited("slow down", wait=90.0), Unreachable("no route", hint="plug it in"), "ok"
    )
    who_retries = made._core.conversation._asking
    who_retries._retrying = lambda opener, _: opener()
    with made:
        with pytest.raises(RateLimited) as limited:
            made.send("hi")
        assert limited.value.wait == 90.0
        assert made.count == 1  # the question is there, and no empty answer
        with pytest.raises(Unreachable) as raised:
            made.send()
        assert raised.value.hint == "plug it in"
        assert made.send().text == "ok"
    assert [m.text for m in who.requests[2].messages] == ["hi"]


def test_a_failed_question_is_not_asked_twice():
    """The same words again after a failure: one message goes out (W02, W24)."""
    made, who = chat(ProviderError("no"), "ok")
    with made:
        with pytest.raises(ProviderError):
            made.send("hi")
        made.send("hi")
    assert [m.text for m in who.requests[1].messages] == ["hi"]


def test_a_complete_answer_is_not_answered():
    made, _ = chat()
    with made:
        made.send("hi")
        with pytest.raises(UsageError, match="is an answer"):
            made.send()


BAD = [
    ({"margin": 0}, "margin"),
    ({"margin": 1.5}, "margin"),
    ({"margin": "a"}, "margin"),
    ({"margin": float("nan")}, "margin"),
    ({"context_limit": 0}, "context_limit"),
    ({"context_limit": -5}, "context_limit"),
    ({"context_limit": True}, "context_limit"),
    ({"context_limit": 2.5}, "context_limit"),
    ({"policy": "forget"}, "policy"),
    ({"keep": 0}, "keep"),
    ({"temperature": 3}, "temperature"),
    ({"temperature": True}, "temperature"),
    ({"temperature": "warm"}, "temperature"),
    ({"max_tokens": 0}, "max_tokens"),
    ({"reasoning": "much"}, "reasoning"),
    ({"stop": [1]}, "stop"),
    ({"stop": [""]}, "stop"),
    ({"tools": print}, "list"),
    ({"tools": ["x"]}, "no tool"),
    ({"max_steps": 0}, "max_steps"),
    ({"metadata": {"a": object()}}, "metadata"),
    ({"metadata": {1: "a"}}, "metadata"),
    ({"metadata": {"a": float("nan")}}, "metadata"),
    ({"metadata": ["a"]}, "metadata"),
    ({"tokenizer": "p99k"}, "tokenizer"),
    ({"compactor": object()}, "compactor"),
    ({"budget": "much"}, "budget"),
    ({"budget": -1}, "budget"),
    ({"system": 5}, "system"),
    ({"session": 5}, "session"),
    ({"store": 5}, "store"),
    ({"temprature": 0.5}, "temperature"),
]


@pytest.mark.parametrize(
    ("settings", "named"), BAD, ids=[f"{n}-{named}" for n, (_, named) in enumerate(BAD)]
)
def test_a_bad_setting_is_said_before_anything_happens(settings, named):
    with pytest.raises(UsageError) as raised:
        chat(**settings)
    assert named in f"{raised.value.message} {raised.value.hint}"
    assert raised.value.hint


@pytest.mark.parametrize(
    ("model", "settings", "error"),
    [
        ("nobody-knows-this", {}, ModelUnknown),
        ("gpt-5-mini", {"provider": "opnai"}, ConfigError),
        ("x", {"provider": object()}, UsageError),
        ("gpt-5-mini", {"store": "ftp:x"}, ConfigError),
        (None, {"key": "abc"}, UsageError),
    ],
)
def test_who_cannot_be_asked(model, settings, error):
    with pytest.raises(error):
        Chat(model, **settings)


def test_nobody_is_there_to_be_asked(monkeypatch):
    async def nobody(_):
        return []

    monkeypatch.setattr("chinwag.providers.discovery.discover", nobody)
    with Chat() as made, pytest.raises(UsageError, match="no model was named"):
        made.send("hi")


def test_a_key_in_the_environment_is_enough(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "made-up")
    with Chat() as made:
        assert made.model.startswith("anthropic/")


def test_a_key_given_is_in_no_document_and_no_words(tmp_path):
    made = Chat("some-model", base_url="http://127.0.0.1:9/v1", key="sk-very-secret")
    with made:
        assert made.model == "server/some-model"
        catalog = made._core.plan.catalog
        assert catalog._key(catalog.row("server")) == "sk-very-secret"
        made.add(Message.user("hi"))
        with pytest.raises(Unreachable) as raised:
            made.send(model=None)
        made.save(tmp_path / "t.json")
        told = repr(made) + made.to_json() + repr(raised.value) + raised.value.hint
    assert "very-secret" not in told + (tmp_path / "t.json").read_text()


# -- what still counts ----------------------------------------------------------------------------


def filled(n=6, **settings):
    made, who = chat("an answer of some words", **settings)
    for i in range(n):
        made.send(f"question number {i} about boats")
    return made, who


def test_each_policy_is_one_step_back():
    made, _ = filled()
    with made:
        before = made.sent
        assert len(before) == 12
        for work in (
            lambda: made.trim(target=30),
            lambda: made.window(4),
            lambda: made.prune(target=30),
            made.clear,
            lambda: made.exclude(1),
            lambda: made.pin(1),
            lambda: made.compact(target=40, compactor=TruncateCompactor()),
        ):
            work()
            made.undo()
            assert made.sent == before
        assert made.count == 12


def test_a_window_of_four():
    made, _ = filled()
    with made:
        assert made.window(4).messages == 8
        assert [m.text[:18] for m in made.sent if m.role is Role.USER] == [
            "question number 4 ",
            "question number 5 ",
        ]
        assert made.count == 12  # nothing is forgotten
        assert made.window(4) is None


def test_pins_stay_and_exclusions_go():
    made, _ = filled()
    with made:
        made.pin(1)
        made.exclude(-2)
        made.window(2)
        told = " ".join(m.text for m in made.sent)
        assert "number 0" in told
        assert "number 5" not in told
        made.unmark(-2)
        assert "number 5" in " ".join(m.text for m in made.sent)
        with pytest.raises(UsageError, match="system prompt"):
            made.pin(0)
        with pytest.raises(UsageError, match="no message 99"):
            made.exclude(99)
        with pytest.raises(UsageError, match="no message -99"):
            made.exclude(-99)


def test_clear_with_and_without_the_prompt():
    made, who = chat(system="Speak like a pirate.")
    with made:
        made.send("hi")
        made.clear()
        assert (made.count, made.last, made.system) == (0, None, "Speak like a pirate.")
        made.send("hello")
        assert [m.text for m in who.requests[1].messages] == ["hello"]
        made.clear(keep_system=False)
        assert made.messages == []
        made.send("hello")
    assert who.requests[2].system == ""


def test_a_summary_reaches_the_model_once():
    made, who = filled()
    with made:
        who._answers = ["They spoke of boats and harbours.", "ok"]
        who.requests.clear()
        assert made.summarise(keep=2) == "They spoke of boats and harbours."
        made.send("go on")
        told = "\n".join(m.text for m in who.requests[1].messages)
        assert told.count("They spoke of boats and harbours.") == 1
        assert "number 0" not in told
        assert made.count == 14
        assert made.summarise(keep=100) == ""


def test_a_compactor_of_ones_own():
    class Mine:
        async def compact(self, messages, target, *, hint, ask):
            return Proposal(f"{len(messages)} messages about {hint}", 2)

    class Nonsense:
        async def compact(self, messages, target, *, hint, ask):
            return "what?"

    made, _ = filled(compactor=Mine())
    with made:
        assert made.compact(hint="boats").summary == "12 messages about boats"
        made.undo()
        with pytest.raises(UsageError, match="not a Proposal"):
            made.compact(compactor=Nonsense())
        assert len(made.sent) == 12


def test_refuse_says_what_would_help():
    made, _ = chat("ok", context_limit=60, margin=1.0, policy="refuse")
    with made:
        made.send("short")
        with pytest.raises(ContextOverflow) as raised:
            made.add(Message.user("word " * 100))
        assert raised.value.asked > raised.value.limit
        assert raised.value.hint
        assert made.count == 2


def test_a_talk_never_outgrows_its_window():
    made, who = chat("an answer of some words", context_limit=120, margin=0.8, policy="trim")
    with made:
        for i in range(30):
            reply = made.send(f"question number {i} about boats and the harbour")
            assert made.total_tokens <= 120
        assert made.count == 60
    assert len(who.requests[-1].messages) < 12
    assert reply.text


def test_a_budget_really_stops():
    made, who = chat("ok", budget="40 tokens")
    with made:
        made.send("hi")
        with pytest.raises(BudgetSpent):  # noqa: PT012 - one of these has to be too much
            for _ in range(5):
                made.send("more words than before")
        asked = len(who.requests)
        with pytest.raises(BudgetSpent):
            made.send("again")
        assert len(who.requests) == asked
        made.set_budget(None)
        made.send("again")


def test_counting_with_a_tokenizer_of_ones_own():
    made, _ = chat(tokenizer=lambda text: len(text.split()), system=None)
    with made:
        assert made.count_tokens("one two three") == 3
        assert made.context.exact
        made.send("one two three")
    made, _ = chat(tokenizer="cl100k_base")
    with made:
        assert made.count_tokens("hello world") == 2
        assert made.count_tokens("<|endoftext|>") > 1  # plain text, not a control token
    made, _ = chat(tokenizer=lambda text: "many")
    with made, pytest.raises(UsageError, match="tokenizer returned"):
        made.count_tokens("x")


# -- back and forth -------------------------------------------------------------------------------


def test_undo_redo_retry():
    made, _ = chat("a", "b", "c")
    with made:
        made.send("one")
        made.send("two")
        assert made.undo() == "two"
        assert made.count == 2
        made.redo()
        assert made.count == 4
        assert made.retry().text == "c"
        assert [m.text for m in made.messages[1:]] == ["one", "a", "two", "c"]
        assert made.undo(2) == "one"
        assert made.count == 0


def test_a_fork_lives_on_its_own():
    made, _ = chat("a")
    with made:
        made.send("one")
        made.tag(user="123")
        with made.fork() as fork:
            assert fork.id != made.id
            assert fork.session.birth.parent == made.id
            assert fork.metadata == {"user": "123"}
            fork.send("two")
            made.send("three")
            assert [m.text for m in fork.messages[1:]] == ["one", "a", "two", "a"]
            assert [m.text for m in made.messages[1:]] == ["one", "a", "three", "a"]


def test_metadata_and_title():
    made, _ = chat(metadata={"user_id": "123", "deep": {"a": [1, None]}}, title="Trip")
    with made:
        made.send("hi")
        assert made.title == "Trip"
        made.rename("Trip to  Lisbon")
        made.tag(mood="good", user_id=None)
        assert made.title == "Trip to Lisbon"
        assert made.metadata == {"deep": {"a": [1, None]}, "mood": "good"}
        with pytest.raises(TypeError):
            made.metadata["x"] = 1
        with pytest.raises(UsageError, match="no form"):
            made.tag(x=object())
        with pytest.raises(UsageError, match="title without"):
            made.rename(" ")


# -- by hand, and other forms ---------------------------------------------------------------------


def talk_with_tools():
    made, who = chat("It is noon.", tools=[])
    made.add(Message.system("Be brief."))
    made.add(Message.user("What time is it?"))
    made.add(Message.assistant("", Call("c1", "get_time", '{"zone":"WET"}')))
    made.add(Message.tool("c1", "12:00", name="get_time"))
    return made, who


def test_messages_by_hand():
    made, who = talk_with_tools()
    with made:
        assert made.send().text == "It is noon."
        with pytest.raises(UsageError, match="says nothing"):
            made.add(Message.user(""))
        with pytest.raises(UsageError, match="says nothing"):
            made.add(Message(Role.TOOL, (Text("x"),)))
        assert made.count == 4
    assert [m.role for m in who.requests[0].messages] == ["user", "assistant", "tool"]
    assert who.requests[0].system == "Be brief."


def test_dicts_round_trip():
    made, _ = talk_with_tools()
    with made:
        made.send()
        dicts = made.to_dicts()
    assert json.loads(json.dumps(dicts)) == dicts
    assert [d["role"] for d in dicts] == ["system", "user", "assistant", "tool", "assistant"]
    assert dicts[2]["tool_calls"][0]["function"]["name"] == "get_time"
    assert dicts[3]["tool_call_id"] == "c1"
    with Chat.from_dicts(dicts, provider=scripted(), model="script") as again:
        assert again.to_dicts() == dicts
        again.clear()  # the prompt stands in the record, not beside it (W21)
        assert again.system == "Be brief."
    with pytest.raises(UsageError, match="message 1 cannot be read"):
        Chat.from_dicts([{"role": "wizard", "content": "x"}])
    with pytest.raises(UsageError, match="cannot be read"):
        Chat.from_dicts(["hello", {"role": "user", "content": "x"}])
    with Chat.from_dicts([], provider=scripted(), model="script") as empty:
        assert empty.count == 0


@pytest.mark.parametrize(
    ("form", "roles"),
    [
        ("openai", ["system", "user", "assistant", "tool", "assistant"]),
        ("ollama", ["system", "user", "assistant", "tool", "assistant"]),
        ("groq", ["system", "user", "assistant", "tool", "assistant"]),
        ("anthropic", ["user", "assistant", "user", "assistant"]),
        ("gemini", ["user", "model", "user", "model"]),
    ],
)
def test_each_provider_is_told_in_its_own_form(form, roles):
    made, _ = talk_with_tools()
    with made:
        made.send()
        assert [m["role"] for m in made.to_messages(form)] == roles
        assert "Be brief." in json.dumps(made.to_request(form))
    with pytest.raises(UsageError, match="no provider or wire format") as raised:
        made.to_messages("antropic")
    assert "anthropic" in raised.value.hint


@tool
def get_noon() -> str:
    """When noon is."""
    return "12:00"


def test_the_builder_says_the_same():
    built = (
        Chat.builder()
        .model("scripted/script")
        .provider(scripted())
        .system("Be kind.")
        .temperature(0.5)
        .context_limit(900)
        .metadata(user="1")
        .tools(get_noon)
        .build()
    )
    with built:
        assert built.system == "Be kind."
        assert built.context.window == 900
        assert built.metadata == {"user": "1"}
    with pytest.raises(UsageError, match="no setting 'temprature'"):
        Chat.builder().temprature(0.5)


# -- files ----------------------------------------------------------------------------------------


def test_save_and_load(tmp_path):
    path = tmp_path / "talk.json"
    made, _ = chat("a", metadata={"user_id": "123"}, system="Be kind.", title="Trip")
    with made:
        made.send("one")
        made.undo()
        made.send("two")
        made.save(path)
        with Chat.load(path, provider=scripted("b")) as loaded:
            assert loaded.session == made.session
            assert (loaded.id, loaded.title, loaded.system) == (made.id, "Trip", "Be kind.")
            assert loaded.metadata == {"user_id": "123"}
            assert loaded.resumed
            assert loaded.send("three").text == "b"
    assert json.loads(path.read_text())["id"] == made.id
    assert path.stat().st_mode & 0o077 == 0


def test_a_save_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "talk.json"
    path.write_text("precious")
    made, _ = chat()
    with made:
        made.send("one")
        with pytest.raises(StoreUnavailable):
            made.save(tmp_path / "gone" / "talk.json")
        with pytest.raises(StoreUnavailable):
            made.save(tmp_path)
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


class Bomb:
    def __reduce__(self):
        return (Path.write_text, (Path("exploded"), "boom"))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"{}",
        b"[]",
        b'{"format": 99, "id": "20261120-093015-k3f9q2", "messages": []}',
        b'{"format": 1, "id": "20261120-093015-k3f9q2", "messages": [5]}',
        b"[" * 100_000,
        b'{"messages": ' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"\x00\xff" * 100,
        b'\xff\xfe{"messages": []}',
        pickle.dumps(Bomb()),
        pickle.dumps(Bomb(), 0),
    ],
    ids=range(12),
)
def test_a_hostile_file_is_refused_in_words(tmp_path, monkeypatch, raw):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "talk.json"
    path.write_bytes(raw)
    with pytest.raises(SessionUnreadable) as raised:
        Chat.load(path, provider=scripted())
    assert str(path) in raised.value.message
    assert path.read_bytes() == raw
    assert not Path("exploded").exists()


def test_every_cut_of_a_document_is_loaded_or_refused(tmp_path):
    made, _ = chat("an answer")
    with made:
        made.send("one")
        raw = made.to_json().encode()
    path = tmp_path / "talk.json"
    for cut in range(0, len(raw), 7):
        path.write_bytes(raw[:cut])
        with suppress(SessionUnreadable):
            Chat.load(path, provider=scripted()).close()


def test_a_file_is_not_there(tmp_path):
    with pytest.raises(SessionNotFound, match="no file"):
        Chat.load(tmp_path / "talk.json")
    with pytest.raises(SessionUnreadable, match="is no file"):
        Chat.load(tmp_path)


def test_an_id_in_a_file_never_becomes_a_path(tmp_path):
    made, _ = chat("a")
    with made:
        made.send("one")
        text = made.to_json().replace(made.id, "../escaped")
    path = tmp_path / "talk.json"
    path.write_text(text)
    with Chat.load(path, provider=scripted()) as loaded:
        assert "/" not in loaded.id


def test_other_programs_files(tmp_path):
    path = tmp_path / "talk.json"
    path.write_text(json.dumps([{"role": "user", "content": "hi"}]))
    with Chat.load(path, provider=scripted("hello"), model="script") as loaded:
        assert loaded.send().text == "hello"
        assert loaded.session.birth.imported


# -- loops, threads, ends -------------------------------------------------------------------------


async def test_a_sync_chat_works_inside_a_running_loop():
    assert asyncio.get_running_loop().is_running()
    made, _ = chat("inside")
    with made:
        assert made.send("hi").text == "inside"
        assert "".join(made.stream("more").texts()) == "inside"


def test_interrupted_from_another_thread():
    made, _ = chat(SLOW)
    with made:
        heard = threading.Event()

        def stop():
            heard.wait(10)
            made.interrupt()

        thread = threading.Thread(target=stop)
        thread.start()
        stream = made.stream("count")
        for event in stream:
            if isinstance(event, Heard) and event.delta == TextDelta("two "):
                heard.set()
        thread.join()
        assert stream.reply.status is Status.INTERRUPTED
        assert stream.reply.stop is None
        assert stream.reply.text == "One two "
        made.interrupt()  # nothing comes in: nothing happens


def test_calls_from_many_threads_are_done_one_by_one():
    made, who = chat("ok")
    with made:
        threads = [threading.Thread(target=made.send, args=(f"n{i}",)) for i in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert made.count == 40
        roles = [m.role for m in made.messages[1:]]
        assert roles == ["user", "assistant"] * 20
    assert [len(r.messages) for r in who.requests] == list(range(1, 41, 2))


def test_many_chats_at_once_share_one_thread():
    made = [chat(f"I am {i}")[0] for i in range(50)]
    threads = [threading.Thread(target=each.send, args=("hi",)) for each in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [each.last.text for each in made] == [f"I am {i}" for i in range(50)]
    assert len(own_threads()) == 1
    for each in made:
        each.close()


def test_a_thousand_chats_leave_nothing():
    def files():
        return len(list(Path("/proc/self/fd").iterdir()))

    chat()[0].close()
    before = files()
    for i in range(1000):
        made, _ = chat("ok")
        if i % 10 == 0:
            made.send("hi")
        made.close()
    assert until(lambda: not own_threads())
    gc.collect()
    assert files() <= before + 2


def test_a_closed_chat_says_so_and_can_still_be_read():
    made, _ = chat("ok")
    made.send("hi")
    made.close()
    made.close()
    assert made.last.text == "ok"
    assert "closed" in repr(made)
    with pytest.raises(UsageError, match="closed"):
        made.send("hi")
    with pytest.raises(UsageError, match="closed"):
        list(made.stream("hi"))


def test_closing_while_an_answer_comes_in_keeps_what_was_heard():
    made, _ = chat(SLOW)
    stream = made.stream("count")
    while True:
        event = next(stream)
        if isinstance(event, Heard) and event.delta == TextDelta("two "):
            break
    made.close()
    assert made.last == Message.assistant("One two ")
    stream.close()


def test_a_chat_that_is_dropped_closes_itself():
    made, who = chat("ok")
    made.send("hi")
    assert own_threads()
    del made
    gc.collect()
    assert until(lambda: not own_threads())
    assert len(who.requests) == 1


def test_waiting_on_its_own_loop_is_refused():
    class Mine:
        async def compact(self, messages, target, *, hint, ask):
            made.send("again")

    made, _ = filled(compactor=Mine())
    with made, pytest.raises(UsageError, match="own loop"):
        made.compact()


PROGRAM = """
import sys, warnings
warnings.simplefilter("error")
from chinwag import Chat
from chinwag.providers.scripted import Scripted
chat = Chat("scripted/script", provider=Scripted(["ok"]), store=sys.argv[1], session="kept")
print(chat.send("hi"), chat.count)
"""


def test_a_program_that_never_closes_ends_in_silence_and_saves(tmp_path):
    for count in (2, 4):
        run = subprocess.run(
            [sys.executable, "-X", "dev", "-c", PROGRAM, f"sqlite:{tmp_path}/s.db"],
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        assert (run.stdout, run.stderr, run.returncode) == (f"ok {count}\n", "", 0)


CTRL_C = """
import os, signal, threading
from chinwag import Chat
from chinwag.providers.scripted import Scripted, Pause
from chinwag.talk.delta import TextDelta
chat = Chat("scripted/script", provider=Scripted([[TextDelta("One "), Pause(60.0)]]))
threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    chat.send("hi")
except KeyboardInterrupt:
    print(repr(chat.last.text), chat.session.last_answer.status)
chat.close()
"""


def test_ctrl_c_keeps_what_was_heard():
    run = subprocess.run(
        [sys.executable, "-c", CTRL_C], capture_output=True, check=False, text=True, timeout=60
    )
    assert (run.stdout, run.stderr) == ("'One ' interrupted\n", "")


def test_every_public_name_is_there_and_costs_nothing_before():
    for name in chinwag.__all__:
        assert getattr(chinwag, name) is not None
    assert set(chinwag.__all__) - {"__version__"} == set(chinwag._HOME)
    with pytest.raises(AttributeError):
        chinwag.nothing_like_it  # noqa: B018
    code = "import sys, chinwag; print([m for m in sys.modules if m.startswith('chinwag')])"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, text=True, timeout=60
    )
    assert run.stdout == "['chinwag']\n"


FORKED = """
import os
from chinwag import Chat, UsageError
from chinwag.providers.scripted import Scripted
chat = Chat("scripted/script", provider=Scripted(["ok"]))
chat.send("hi")
child = os.fork()
if not child:
    try:
        chat.send("again")
    except UsageError as error:
        print(error.message, flush=True)
    print(Chat("scripted/script", provider=Scripted(["new"])).send("hi"), flush=True)
else:
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), chat.send("again"), chat.count)
"""


def test_a_process_that_was_forked_gets_a_loop_of_its_own():
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert run.stdout.splitlines() == [
        "this chat belongs to the process this one was forked from",
        "new",
        "0 ok 4",
    ]
    assert run.stderr == ""


words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
talks = st.lists(
    st.one_of(
        st.builds(Message.user, words),
        st.builds(Message.assistant, words),
        st.builds(lambda t: Message.user(t, Image(mime="image/png", data="aGk=")), words),
        st.builds(lambda t, n: Message.assistant(t, Call("c1", n, "{}")), words, words),
        st.builds(lambda t: Message.tool("c1", t), words),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=25)
@given(talks, words)
def test_any_talk_survives_dicts_and_documents(tmp_path_factory, talk, system):
    path = tmp_path_factory.mktemp("talk") / "t.json"
    made, _ = chat(system=system)
    with made:
        for message in talk:
            made.add(message)
        assert made.messages == [Message.system(system), *talk]
        dicts = made.to_dicts()
        made.save(path)
        with Chat.from_dicts(dicts, "s/x", provider=scripted(name="s")) as again:
            assert again.to_dicts() == dicts
        with Chat.load(path, provider=scripted()) as loaded:
            assert loaded.session == made.session
            assert loaded.messages == made.messages
