"""`chat mcp …` in the shell, and a server's tools in an answer and on the line REPL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib

import pytest

pytest.importorskip("mcp", reason="the mcp extra is not installed")

from support.mcp import SERVER, alive
from support.servers import Loopback, Reply, finish, said, sse
from support.terminal import CHAT

COMMAND = (sys.executable, "-S", SERVER)


def add(world, *more):
    run = world.chat("mcp", "add", "lab", *more, "--", *COMMAND)
    assert run.code == 0, run.err
    return run


def config(world):
    return (world.home / "config" / "chinwag" / "config.toml").read_text()


def calls(name, **arguments):
    """A model's answer that calls a tool."""
    call = {"index": 0, "id": "call_1", "type": "function"}
    call["function"] = {"name": name, "arguments": json.dumps(arguments)}
    delta = {"role": "assistant", "content": None, "tool_calls": [call]}
    return Reply(
        sse(
            {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}, finish("tool_calls")
        )
    )


def test_a_server_is_added_listed_tried_and_removed(world):
    world.configure('# mine\nmodel = "guide/guide"  # offline\n\n[aliases]\nx = "guide/guide"\n')
    before = config(world)
    run = add(world, "--env", "A=b", "-e", "TOKEN")
    assert "gets:    TOKEN from env:TOKEN" in run.err
    assert "nothing of it runs before you say yes" in run.err
    assert config(world).startswith(before)
    table = tomllib.loads(config(world))["mcp"]["lab"]
    assert table == {"command": list(COMMAND), "env": {"A": "b", "TOKEN": "env:TOKEN"}}

    again = world.chat("mcp", "add", "lab", "--", "true")
    assert again.code == 2
    assert "there is a mcp.lab already" in again.err

    assert world.chat("mcp", "list").out.startswith("lab  not approved  ")
    refused = world.chat("mcp", "test", "lab")
    assert refused.code == 2
    assert "Nobody is here to answer" in refused.err
    assert "TOKEN from env:TOKEN" in refused.err

    tried = world.chat("mcp", "test", "lab", "--yes", "--json", TOKEN="t0ken")
    assert tried.code == 0, tried.err
    assert tried.json["state"] == "ready"
    assert "lab__echo" in [tool["name"] for tool in tried.json["tools"]]
    assert tried.json["milliseconds"] > 0
    approved = world.home / "config" / "chinwag" / "mcp-approved.json"
    assert approved.stat().st_mode & 0o777 == 0o600
    assert "t0ken" not in approved.read_text()

    once_more = world.chat("mcp", "test", "lab", TOKEN="t0ken")
    assert (once_more.code, once_more.err.splitlines()[0]) == (0, "small 1, protocol 2025-11-25")
    assert once_more.out.startswith("lab: ready after ")
    assert world.chat("mcp", "list", "--json").json[0]["approved"] is True

    missing = world.chat("mcp", "test", "lab")
    assert missing.code == 1
    assert "there is no key for mcp.lab" in missing.err

    assert world.chat("mcp", "remove", "lab").code == 0
    assert config(world).rstrip("\n") == before.rstrip("\n")
    assert "lab" not in json.loads(approved.read_text())["servers"]
    assert "there is no MCP server 'lab'" in world.chat("mcp", "remove", "lab").err


def test_what_cannot_be_added_is_refused_and_nothing_written(world):
    world.configure('model = "guide/guide"\n')
    for words, said_ in [
        (("no_such", "--", "true"), "no MCP server can be called 'no_such'"),
        (("web", "https://me:sk-1@host/"), "does not stand in an address"),
        (("web", "http://host.example/", "--key", "env:K"), "not sent in the clear"),
        (("web", "https://host/", "--key", "sk-123456"), "must say where it is"),
    ]:
        run = world.chat("mcp", "add", *words)
        assert (run.code, said_ in run.err) == (2, True), run.err
        assert "sk-1" not in run.err
    assert config(world) == 'model = "guide/guide"\n'


def model(*answers):
    """A server whose model gives these answers, the last one again and again."""
    waiting = list(answers)

    def play(asked):
        if not asked.path.endswith("/chat/completions"):
            return Reply([b"{}"], 404, "application/json", {}, "length")
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return Loopback(play)


def asked_of(server):
    return [a.json for a in server.asked if a.path.endswith("/chat/completions")]


def lab(world, server, extra=""):
    base = f'model = "lab/m"\n[providers.lab]\nbase_url = "{server.url}/v1"\nkey = "none"\n'
    world.configure(f'{base}models = ["m"]\n{extra}')


def test_an_answer_may_use_a_servers_tool_where_a_rule_allows_it(world):
    with model(calls("lab__echo", text="28 at 05:40"), Reply(sse(said("done"), finish()))) as m:
        lab(world, m)
        add(world)
        assert world.chat("mcp", "test", "lab", "--yes").code == 0
        words = ("--tools", "lab__echo", "--approve", "lab__echo", "when?")
        run = world.chat(*words, seconds=60)
        assert (run.code, run.out) == (0, "done\n"), run.err
        first, second = asked_of(m)
        assert [t["function"]["name"] for t in first["tools"]] == ["lab__echo"]
        assert second["messages"][-1]["content"] == "28 at 05:40"


def test_without_a_rule_nothing_of_a_server_runs_off_a_terminal(world):
    with model(calls("lab__echo", text="x"), Reply(sse(said("well"), finish()))) as m:
        lab(world, m)
        add(world)
        assert world.chat("mcp", "test", "lab", "--yes").code == 0
        world.chat("when?", seconds=60)
        assert "was not run" in asked_of(m)[-1]["messages"][-1]["content"]


def test_a_server_that_was_not_approved_holds_nothing_up_and_offers_nothing(world):
    with model(Reply(sse(said("hello"), finish()))) as m:
        lab(world, m)
        add(world)
        began = time.monotonic()
        run = world.chat("hi", seconds=60)
        assert (run.code, run.out) == (0, "hello\n"), run.err
        assert "lab has not been approved yet" in run.err
        assert time.monotonic() - began < 15
        assert all("tools" not in asked for asked in asked_of(m))


def test_the_line_repl_approves_lists_attaches_and_prompts(world):
    with model(Reply(sse(said("read it"), finish()))) as m:
        lab(world, m)
        add(world)
        assert world.chat("mcp", "test", "lab", "--yes").code == 0
        lines = "/mcp\n/mcp lab\n/mcp log lab\n/mcp approve lab\n"
        run = world.chat("--plain", given=lines, seconds=60)
        assert run.code == 0, run.err
        m.asked.clear()
        run = world.chat("what is in @lab:note://one ?", seconds=60)
        assert (run.code, run.out) == (0, "read it\n"), run.err
        assert "buy bread" in json.dumps(asked_of(m)[-1])


def test_no_tools_means_no_servers_and_an_unknown_tool_is_refused(world):
    with model(Reply(sse(said("plain"), finish()))) as m:
        lab(world, m)
        add(world)
        run = world.chat("--no-tools", "hi", seconds=60)
        assert (run.code, run.out, run.err) == (0, "plain\n", "")
        run = world.chat("--tools", "other__echo", "hi", seconds=60)
        assert run.code == 2
        assert "there is no tool called 'other__echo'" in run.err


def test_on_the_screen_a_server_is_looked_at_and_said_yes_to(world):
    world.configure('model = "guide/guide"\n')
    add(world)
    with world.enter(rows=40, columns=110) as person:
        person.wait_for("lab has not been approved yet")
        person.say("/mcp approve lab")
        shown = person.wait_for("Not now", 20)
        assert "command: " in shown
        assert "mcp_server.py" in shown.replace("\n", "")
        person.press("down")
        person.press("enter")
        person.wait_for("lab__echo", 60)
        person.say("/mcp")
        person.wait_for("ready", 20)
        person.press("escape")
        person.press("ctrl-d")
        assert person.exit_code(20) == 0
        assert person.restored() == []
    assert world.chat("mcp", "list", "--json").json[0]["approved"] is True


def test_a_chat_that_is_killed_leaves_nobody(world):
    with model(calls("lab__daemon"), calls("lab__slow", seconds=60)) as m:
        lab(world, m)
        add(world)
        assert world.chat("mcp", "test", "lab", "--yes").code == 0
        words = [CHAT, "--approve", "lab__daemon,lab__slow", "go"]
        chat = subprocess.Popen(
            words, env=world.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        try:
            assert m.wait_until(lambda: len(asked_of(m)) >= 2, 60)
            found = json.loads(asked_of(m)[-1]["messages"][-1]["content"])
            assert all(map(alive, found))
        finally:
            os.kill(chat.pid, 9)
            chat.wait()
        limit = time.monotonic() + 5
        while any(map(alive, found)) and time.monotonic() < limit:
            time.sleep(0.01)
        assert not any(map(alive, found))


ROAD = """
import sys
sys.argv = ["chat", *sys.argv[1:]]
from chinwag.boot import main
try:
    main()
except SystemExit:
    pass
found = [m for m in sys.modules if m.split(".")[0] == "mcp" or m.startswith("chinwag.tools.mcp")]
print("imported", sorted(found)[:3])
"""


def test_without_a_server_nothing_of_mcp_is_imported(world):
    world.configure('model = "guide/guide"\n')
    command = [sys.executable, "-c", ROAD, "models"]
    done = subprocess.run(command, env=world.env, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("imported []\n")
