"""A server that fails, as the person meets it: waits are said, others answer, nothing is lost."""

from __future__ import annotations

import json

import pytest

from support.servers import RESET, Loopback, Reply, finish, json_reply, said, sse
from support.world import World

BUSY = {"error": {"message": "Too many requests", "type": "rate_limit_error"}}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "home")


def good(text):
    return Reply(sse(said(text), finish()))


def two(world, one, other, *, more=""):
    tables = "".join(
        f'[providers.{name}]\nbase_url = "{server.url}/v1"\nkey = "none"\nmodels = ["m"]\n'
        for name, server in (("one", one), ("other", other))
    )
    world.configure(f'model = "one/m"\n{more}\n{tables}')


def asked(server):
    return [a.json for a in server.asked if a.path.endswith("/chat/completions")]


def test_a_wait_that_the_server_asks_for_is_an_event_and_a_sentence(world):
    busy = json_reply(BUSY, status=429, retry_after_ms="80")
    with Loopback(lambda a: json_reply({"data": []}) if a.method == "GET" else busy) as server:
        world.use(server.url + "/v1")
        run = world.chat("--json-stream", "hello")
        waits = [e for e in run.events if e["event"] == "waiting"]
        assert run.code == 1
        assert len(waits) == 2
        assert len(asked(server)) == 3
        assert all(0.08 <= e["seconds"] <= 0.4 for e in waits)
        assert "slow down" in waits[0]["reason"]
        told = world.chat("hello")
        assert told.err.count("trying again in") == 2
        assert told.out == ""


def test_a_wait_of_more_than_a_minute_is_not_kept(world):
    busy = json_reply(BUSY, status=429, retry_after="3600")
    with Loopback(lambda a: json_reply({"data": []}) if a.method == "GET" else busy) as server:
        world.use(server.url + "/v1")
        assert world.chat("hello").code == 1
        assert len(asked(server)) == 1


def test_another_model_answers_where_the_first_cannot(world):
    broke = json_reply({"error": {"message": "no", "code": "insufficient_quota"}}, status=429)
    with Loopback(broke) as one, Loopback(good("from the other")) as other:
        two(world, one, other, more='fallback = ["none/such", "other/m"]')
        run = world.chat("hello", "--json")
        assert run.code == 0
        assert (run.json["text"], run.json["provider"]) == ("from the other", "other")
        assert any("asking other/m instead" in n for n in run.json["notices"])
        assert any("none/such" in n for n in run.json["notices"])
        assert len(asked(one)) == 1  # no credit: not tried again


def test_what_was_heard_before_it_broke_is_kept_and_nobody_else_is_asked(world):
    cut = Reply([*sse(said("Hel"), said("lo"), done=False), 0.05, RESET])
    with Loopback(cut) as one, Loopback(good("never")) as other:
        two(world, one, other, more='fallback = ["other/m"]')
        run = world.chat("hello")
        assert run.code == 1
        assert run.out == "Hello\n"
        assert 'chat -c "go on"' in run.err
        assert not asked(other)
        assert world.talk()[-1] == ("assistant", "Hello", "partial")


def test_retry_with_another_model_keeps_both_as_branches(world):
    with Loopback(good("the first")) as one, Loopback(good("the second")) as other:
        two(world, one, other)
        run = world.chat("--plain", given="hello\n/retry other/m\n/undo\n/redo\n/exit\n")
        assert run.code == 0
        assert [r["messages"] for r in asked(one)] == [r["messages"] for r in asked(other)]
        (path,) = (world.data / "sessions").glob("*.json")
        kept = path.read_text()
        assert "the first" in kept
        assert "the second" in kept
        talk = world.chat("sessions", "list", "--json").json
        assert talk[0]["messages"] == 2  # the branch in front: a question and one answer


def test_continue_asks_to_go_on_after_a_cut(world):
    replies = iter([Reply([*sse(said("One, two"), done=False)], cut=True), good(", three.")])
    listed = json_reply({"data": []})
    with Loopback(lambda a: listed if a.method == "GET" else next(replies)) as server:
        world.use(server.url + "/v1")
        run = world.chat("--plain", given="count\n/continue\n/exit\n")
        assert "One, two" in run.out
        assert ", three." in run.out
        sent = asked(server)[-1]["messages"]
        assert "One, two" in json.dumps(sent)
