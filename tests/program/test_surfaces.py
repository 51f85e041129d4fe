"""Foreign text on every road that ends at a terminal: nothing of it is obeyed, nothing hides."""

import json

import pytest

from support.hostile import raw_controls, unseen
from support.servers import Loopback, Reply, json_reply, sse

EVIL = "a\x1b]0;owned\x07\x9b2J\u202eb"


@pytest.fixture
def asked(world):
    """A talk with a model that calls a tool of an evil name; returns the id of the session."""
    call = {"index": 0, "id": EVIL, "function": {"name": EVIL, "arguments": json.dumps({EVIL: 1})}}
    first = {"index": 0, "delta": {"content": EVIL, "tool_calls": [call]}}
    answers = [
        Reply(sse({"choices": [first]})),
        Reply(
            sse({"choices": [{"index": 0, "delta": {"content": EVIL}, "finish_reason": "stop"}]})
        ),
    ]

    def answer(question):
        if question.method == "GET":
            return json_reply({"data": [{"id": EVIL}]})
        return answers.pop(0) if len(answers) > 1 else answers[0]

    with Loopback(answer) as server:
        world.use(server.url + "/v1")
        run = world.chat("--tools", "all", "--json", EVIL)
        assert run.code == 0, run.out + run.err
        assert unseen(run.out.replace("\n", "")) == []
        assert EVIL in run.json["text"]
        yield run.json["session"]


@pytest.mark.parametrize(
    "args",
    [
        ("sessions", "show", "{id}"),
        ("sessions", "show", "--json", "{id}"),
        ("sessions", "list", "--json"),
        ("sessions", "search", "--json", "owned"),
        ("sessions", "export", "{id}", "--format", "json"),
        ("models", "--json"),
        ("--json", EVIL),
        ("--json-stream", EVIL),
        ("--dry-run", EVIL),
    ],
)
def test_at_a_terminal(world, asked, args):
    with world.open(*(arg.replace("{id}", asked) for arg in args)) as person:
        assert person.exit_code() == 0
        written = person.raw.decode()
    assert "owned" in written or "models" in args
    assert raw_controls(written) == []


def test_the_password_of_a_store_is_on_no_screen_and_in_no_file(world):
    url = "redis://:canary@pw@127.0.0.1:1/0"
    with world.enter("-p", "guide", "--store", url, columns=120) as person:
        person.say(f"/store {url}")
        person.wait_for("✗")
        person.say("hello")
        person.wait_for("NOT SAVED")
        typed = person.raw.count(url.encode())
        person.press("ctrl-d")
        assert person.exit_code() == 1
        written = person.raw.decode()
    assert "***" in written
    assert written.count("canary") == typed, "more than the keys that were typed"
    for command in (("doctor",), ("config", "show"), ("sessions", "list"), ("hello",)):
        run = world.chat("--store", url, *command)
        assert "canary" not in run.out + run.err, command
    kept = [path for path in world.home.rglob("*") if path.is_file()]
    assert [path for path in kept if b"canary" in path.read_bytes()] == []
