"""Tools of a program: run, asked about, bounded; and what of them is kept."""

from __future__ import annotations

import asyncio
import threading

import pytest

from chinwag import Message, Role, StepsSpent, UsageError, tool
from chinwag.talk.message import Call
from support.chats import achat, chat, own_threads, until


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    assert until(lambda: not own_threads()), own_threads()


@tool(risk="read")
def add(a: int, b: int = 0) -> int:
    """Add two numbers."""
    return a + b


@tool(risk="write")
def write(text: str) -> str:
    """Write a text."""
    return f"wrote {text}"


def divide(a: float, b: float) -> float:
    """Divide two numbers."""
    return a / b


def calling(name="add", arguments='{"a": 2, "b": 3}'):
    return Call("c1", name, arguments)


def test_a_call_is_run_and_all_of_it_is_kept(tmp_path):
    made, who = chat(calling(), "It is 5.", "again", tools=[add])
    with made:
        reply = made.send("2 + 3?")
        assert reply.text == "It is 5."
        assert [s.calls[0].name if s.calls else "" for s in reply.steps] == ["add", ""]
        assert [r.content for r in reply.steps[0].results] == ["5"]
        assert [m.role for m in made.messages[1:]] == ["user", "assistant", "tool", "assistant"]
        made.send("and?")
        made.save(tmp_path / "t.json")
        assert made.undo(2) == "2 + 3?"
    assert [spec.name for spec in who.requests[0].tools] == ["add"]
    told = who.requests[2].messages
    assert [m.role for m in told] == ["user", "assistant", "tool", "assistant", "user"]
    assert "5" in (tmp_path / "t.json").read_text()


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("divide", '{"a": 1, "b": 0}', "ZeroDivisionError"),
        ("divide", '{"a": 1}', "b"),
        ("divide", '{"a": "x", "b": 1}', "float"),
        ("divide", "not json", "JSON"),
        ("dividee", '{"a": 1, "b": 1}', "divide"),
    ],
)
def test_what_fails_is_told_to_the_model(name, arguments, said):
    made, who = chat(calling(name, arguments), "sorry", tools=[divide])
    with made:
        reply = made.send("1 / 0?")
        assert reply.text == "sorry"
        result = reply.steps[0].results[0]
        assert result.is_error
        assert said in result.content
    assert who.requests[1].messages[-1].parts[0].is_error


def test_a_model_that_never_stops_calling_is_stopped():
    def more(request):
        return calling(arguments=f'{{"a": {len(request.messages)}}}')

    made, who = chat(more, tools=[add], max_steps=3)
    with made:
        with pytest.raises(StepsSpent) as raised:
            made.send("count")
        assert raised.value.hint
        assert len(who.requests) == 3
        assert made.last.role is Role.TOOL  # every call has its result
        who._answers = ["enough"]
        assert made.send().text == "enough"


def test_a_program_that_is_asked():
    asked = []

    def approve(event):
        asked.append((event.call.name, event.risk, threading.current_thread().name))
        return True if event.risk == "read" else "only reading is allowed"

    both = [Call("c1", "add", '{"a": 1}'), Call("c2", "write", '{"text": "x"}')]
    made, _ = chat(both, "done", tools=[add, write], approve=approve)
    with made:
        reply = made.send("do both")
        first, second = reply.steps[0].results
        assert (first.content, first.is_error) == ("1", False)
        assert second.is_error
        assert "only reading is allowed" in second.content
    assert [name for name, _, _ in asked] == ["add", "write"]
    assert all(not thread.startswith("chinwag") for _, _, thread in asked)


async def test_asked_by_a_coroutine():
    async def approve(event):
        await asyncio.sleep(0)
        return False

    made, _ = achat(calling(), "pity", tools=[add], approve=approve)
    async with made:
        reply = await made.send("2 + 3?")
        assert reply.steps[0].results[0].is_error


def test_an_approve_that_fails_refuses_and_says_so():
    def approve(event):
        raise RuntimeError("no idea")

    made, _ = chat(calling(), "pity", tools=[add], approve=approve)
    with made:
        with pytest.raises(UsageError, match="no idea"):
            made.send("2 + 3?")
        assert "no" in made.messages[3].parts[0].content
        assert made.last == Message.assistant("pity")


@pytest.mark.parametrize("word", [None, 1, [], "yes please"])
def test_only_true_is_yes(word):
    made, _ = chat(calling(), "ok", tools=[add], approve=lambda event: word)
    with made:
        assert made.send("2 + 3?").steps[0].results[0].is_error


def test_what_is_no_tool():
    for bad in (["x"], add, [5], [add, add], [lambda *args: 1]):
        with pytest.raises(UsageError):
            chat(tools=bad)
    with pytest.raises(UsageError, match="approve"):
        chat(tools=[add], approve="yes")


def test_a_fork_has_the_tools_as_well():
    made, _ = chat("hello", calling(), "5", tools=[add])
    with made:
        made.send("hi")
        with made.fork() as fork:
            assert fork.send("2 + 3?").steps[0].results[0].content == "5"
