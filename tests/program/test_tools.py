"""Tools through the installed program: in pipes, by lines, on the screen, killed and resumed."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from support import llama, servers, strict, tiny_gguf
from support.terminal import CHAT
from support.world import World

MODEL = servers.OLLAMA_MODELS[0]
KILLS = 20
SEED = 20261126


@pytest.fixture
def served(world: World):
    """An Ollama that calls what it is told to call; the world's provider."""
    with servers.ollama() as server:
        world.use(server.url, dialect="ollama", model=MODEL)
        path = world.home / "config" / "chinwag" / "config.toml"
        path.write_text(f"{path.read_text()}[tools]\nroot = '{world.home}'\n")
        yield server


def results(world: World) -> list[dict]:
    return [m for m in world.document()["messages"] if m.get("role") == "tool"]


# -- pipes --------------------------------------------------------------------------------------


def test_off_a_terminal_nothing_runs_but_by_a_rule(world, served):
    (world.home / "notes.txt").write_text("the harbour is quiet")
    line = 'call read_file {"path": "notes.txt"}'
    refused = world.chat("--tools", "read_file", line)
    assert refused.code == 0
    assert "nothing allows it" in refused.err
    assert "read_file(path=notes.txt)" in refused.err
    assert "quiet" not in refused.out
    allowed = world.chat("--tools", "all", "--approve", "read_file(path=notes.txt)", line)
    assert allowed.out == "The tool said: the harbour is quiet\n"
    assert allowed.err == ""
    other = world.chat(
        "--tools", "read_file", "--approve", "read_file(path=other)", line, CHINWAG_TRACE=""
    )
    assert "quiet" not in other.out


def test_no_tools_are_offered_unless_asked_for(world, served):
    world.chat("hello you")
    world.chat("--no-tools", "hello you")
    world.chat("--tools", "clock", "hello you")
    asked = [a.json for a in served.asked if a.path == "/api/chat"]
    assert [len(body.get("tools", ())) for body in asked] == [0, 0, 1]


def test_all_offers_what_is_harmless(world, served):
    world.chat("--tools", "all", "hello you")
    body = next(a.json for a in served.asked if a.path == "/api/chat")
    names = {tool["function"]["name"] for tool in body["tools"]}
    assert {"clock", "read_file"} <= names
    assert not names & {"shell", "fetch"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--tools", "clok"), "no tool called 'clok' - there is clock"),
        (("--tools", "clock", "--approve", "clock("), "is no rule"),
        (("--approve", "read_file(path=*"), "is no rule"),
    ],
)
def test_what_cannot_be_understood_is_refused_before_anything_is_sent(world, served, args, said):
    run = world.chat(*args, "hello you")
    assert run.code == 2
    assert said in run.err
    assert not [a for a in served.asked if a.path == "/api/chat"]


def test_the_environment_makes_no_rules(world, served):
    for name in ("CHINWAG_TOOLS_APPROVE", "CHINWAG_TOOLS_ALLOW", "CHINWAG_TOOLS_ROOT"):
        run = world.chat("--tools", "clock", "call clock", **{name: "all"})
        assert run.code == 2
        assert name in run.err


def test_a_session_that_came_from_elsewhere_brings_no_rules(world, served):
    """What a document says of tools is data; rules are not looked for in it."""
    world.chat("-n", "talk", "hello you")
    path = next((world.data / "sessions").glob("*.json"))
    document = json.loads(path.read_text())
    document["allow"] = ["clock"]
    document["tools"] = {"approve": "all", "allow": ["clock"]}
    document["messages"].append(
        {"n": len(document["messages"]) + 1, "kind": "option", "id": "x", "name": "approve",
         "value": "all"}
    )  # fmt: skip
    path.write_text(json.dumps(document))
    run = world.chat("-r", "talk", "--tools", "clock", "call clock {}")
    assert "clock was not run" in run.err or run.code != 0


def test_events_and_the_whole_as_json(world, served):
    run = world.chat("--json-stream", "--tools", "clock", "--approve", "clock", "call clock {}")
    names = [event["event"] for event in run.events]
    assert names.index("tool_started") < names.index("rested")
    started = next(e for e in run.events if e["event"] == "tool_started")
    assert started["call"]["name"] == "clock"
    assert len(started["digest"]) == 64
    whole = world.chat("--json", "--tools", "clock", "--approve", "clock", "call clock {}").json
    assert whole["tools"][0]["name"] == "clock"
    assert whole["tools"][0]["content"] in whole["text"]


def test_the_steps_of_a_turn_end_with_their_own_code(world, served):
    served.replies = [lambda asked: _calls() if asked.path == "/api/chat" else _nothing()]
    config = world.home / "config" / "chinwag" / "config.toml"
    config.write_text(config.read_text() + "max_steps = 2\n")
    run = world.chat("--tools", "clock", "--approve", "all", "go on for ever")
    assert run.code == 3
    assert 'chat -c "go on" lets it go on' in run.err
    assert len(results(world)) == 2


def _nothing():
    return servers.json_reply({}, 404)


def _calls():
    function = {"name": "clock", "arguments": {}}
    lines = [
        {"model": MODEL, "message": {"role": "assistant", "tool_calls": [{"function": function}]}},
        {"model": MODEL, "message": {"role": "assistant"}, "done": True, "done_reason": "stop"},
    ]
    body = [json.dumps({"done": False, **line}).encode() + b"\n" for line in lines]
    return servers.Reply(body, content_type="application/x-ndjson")


def test_tools_are_listed(world):
    listed = world.chat("tools", "--json").json
    names = {tool["name"]: tool for tool in listed["tools"]}
    assert names["shell"]["risk"] == "execute"
    assert not names["clock"]["offered"]
    assert "shell" in world.chat("tools").out


def test_a_long_output_is_kept_whole_beside_the_session(world, served):
    text = "".join(f"line {n}\n" for n in range(30_000))
    (world.home / "long.txt").write_text(text)
    world.chat(
        *("--tools", "read_file", "--approve", "read_file(path=long.txt)", "-o", "num_ctx=4096"),
        'call read_file {"path": "long.txt"}',
    )
    told = results(world)[0]
    assert len(told["content"]) <= 64 << 10
    assert told["blob"]
    blob = world.data / "blobs" / told["blob"][:2] / told["blob"][2:]
    assert blob.stat().st_size == told["size"] > 64 << 10
    moved = world.chat("sessions", "verify", "--json")
    assert moved.code == 0, moved.err


# -- a person -----------------------------------------------------------------------------------


def test_by_lines_a_person_is_asked(world, served):
    (world.home / "notes.txt").write_text("the harbour is quiet")
    with world.open("--plain", "--tools", "read_file") as person:
        person.wait_for(">")
        person.say('call read_file {"path": "notes.txt"}')
        person.wait_for("run it?")
        assert 'path: "notes.txt"' in person.screen()
        person.say("yes")
        person.wait_for("The tool said: the harbour is quiet")
        person.say('call read_file {"path": "notes.txt"}')
        person.wait_until(lambda: person.screen().count("run it?") == 2)
        person.say("not today")
        person.wait_for("the person said no, and: not today")
        person.say("/exit")
        assert person.exit_code() == 0
    assert [bool(r.get("is_error")) for r in results(world)] == [False, True]


def test_one_answer_at_a_terminal_asks_too(world, served):
    (world.home / "notes.txt").write_text("the harbour is quiet")
    line = 'call read_file {"path": "notes.txt"}'
    with world.open("--tools", "read_file", line) as person:
        person.wait_for("run it?")
        person.send("y\r")
        person.wait_for("The tool said: the harbour is quiet")
        assert person.exit_code() == 0
    with world.open("--tools", "read_file", line) as person:
        person.wait_for("run it?")
        person.send("\x03")
        person.exit_code()
        assert "quiet" not in person.screen()
    stopped = world.documents()[-1]["messages"][-1]
    assert stopped["content"] == "Error: read_file was not run: the person stopped it."


def test_on_the_screen_a_person_decides(world, served):
    (world.home / "notes.txt").write_text("the harbour is quiet")
    with world.enter("--tools", "read_file") as person:
        person.say('call read_file {"path": "notes.txt"}')
        person.wait_for("read_file asks to run")
        time.sleep(0.4)  # the guard against what was typed before
        person.press("enter")
        person.wait_for("the person said no")
        person.say('call read_file {"path": "notes.txt"}')
        person.wait_for("read_file asks to run")
        time.sleep(0.4)
        person.press("down", "down", "down", "enter")
        person.wait_for("The tool said: the harbour is quiet")
        person.say('call read_file {"path": "notes.txt"}')
        person.wait_until(lambda: person.screen().count("The tool said: the harbour") == 2)
        person.send("\x04")
        assert person.exit_code() == 0
        assert person.restored() == []
    rules = world.home / "config" / "chinwag" / "rules.toml"
    assert "read_file(path=notes.txt)" in rules.read_text()
    assert rules.stat().st_mode & 0o777 == 0o600
    kept = world.chat("--tools", "read_file", 'call read_file {"path": "notes.txt"}')
    assert "quiet" in kept.out, "the rule holds for later runs"


def test_ctrl_c_stops_the_tool_and_the_turn(world, served):
    with world.enter("--tools", "shell") as person:
        person.say('call shell {"command": "sleep 61.25 & sleep 61.25"}')
        person.wait_for("shell asks to run")
        time.sleep(0.4)
        person.press("down", "enter")
        person.wait_for("shell · 1 s")
        began = time.monotonic()
        person.send("\x03")
        person.wait_for("stopped")
        person.wait_gone("shell · ")
        assert time.monotonic() - began < 5
        person.wait_until(lambda: not _sleeping("61.25"))
        person.send("\x04")
        assert person.exit_code() == 0
    assert len(results(world)) == 1
    assert len([a for a in served.asked if a.path == "/api/chat"]) == 1


def _sleeping(seconds: str) -> list[str]:
    """Processes that sleep for just so long."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:2] == [b"sleep", seconds.encode()]:
            found.append(path.parent.name)
    return found


# -- killed and resumed -------------------------------------------------------------------------


@pytest.mark.slow
def test_killed_in_the_middle_and_resumed_every_history_is_taken(world, soak, monkeypatch):
    """Struck at random instants from the first request on; the model is another each time."""
    monkeypatch.setattr(strict, "answer_to", _two_tools)
    chance = random.Random(SEED)
    with ExitStack() as stack:
        homes = [stack.enter_context(strict.Server(d)) for d in ("openai", "anthropic", "ollama")]
        _configure(world, homes)
        struck = 0
        for turn in range(KILLS * soak):
            home = chance.choice(homes)
            struck += _strike(world, home, f"talk-{turn % 4}", chance) == -signal.SIGKILL
        assert struck > KILLS * soak // 3, "the strikes came too late"
        sent = 0
        for name in {f"talk-{n % 4}" for n in range(KILLS * soak)}:
            for home in homes:
                run = world.chat("-r", name, "-m", f"{home.dialect}/m", "say goodbye")
                if "there is no" in run.err or "is not there" in run.err:
                    continue  # struck before it was born
                assert run.code == 0, run.err
                sent += 1
        assert sent
        assert [home.refusals for home in homes] == [[], [], []]
    documents = world.documents()
    answered = [m for d in documents for m in d["messages"] if m.get("role") == "tool"]
    assert answered, "no tool was run"
    for document in documents:
        made = [
            p["id"]
            for m in document["messages"]
            if m.get("role") == "assistant" and isinstance(m["content"], list)
            for p in m["content"]
            if p["type"] == "call"
        ]
        told = [m["tool_call_id"] for m in document["messages"] if m.get("role") == "tool"]
        assert set(told) <= set(made)
    listed = world.chat("sessions", "list", "--json").json
    assert not [line for line in listed if line.get("damaged")]


def _two_tools(question: str, turn: int) -> strict.Answer:
    if not question or "goodbye" in question:
        return strict.Answer(f"The tools have answered ({turn}).")
    return strict.Answer("I look.", "", (("clock", {"zone": "UTC"}), ("list_files", {"path": "."})))


def _configure(world: World, homes: list[strict.Server]) -> None:
    world.env["LAB_KEY"] = strict.KEY
    tables = [
        f'[providers.{home.dialect}]\nbase_url = "{home.url}"\n'
        'key = "env:LAB_KEY"\nmodels = ["m"]\n'
        for home in homes
    ]
    world.configure("[tools]\noffer = 'all'\nallow = ['clock', 'list_files']\n" + "".join(tables))


def _started(world: World, *args: str) -> subprocess.Popen:
    return subprocess.Popen(
        [CHAT, *args],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=world.env,
        cwd=world.home,
    )


def _strike(world: World, home: strict.Server, name: str, chance: random.Random) -> int:
    """Run a turn with tools, and kill it some time after its first request; how it ended."""
    before = len(home.bodies)
    process = _started(world, "-n", name, "-m", f"{home.dialect}/m", "look round")
    until = time.monotonic() + 20
    while len(home.bodies) == before and process.poll() is None and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(chance.random() ** 2 * 0.12)  # the instant of the strike
    if process.poll() is None:
        process.kill()
    return process.wait(10)


# -- a real server ------------------------------------------------------------------------------

CALL = '<tool_call>|{"name": |"clock"|, "arguments": {|"zone": |"utc"|}}|</tool_call>'


@pytest.fixture(scope="module")
def calling_server(_models: Path):
    """llama.cpp with a model that calls the clock, whatever it is asked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tiny_gguf, "SCRIPT", CALL.split("|"))
        path = tiny_gguf.write(_models / "calls.gguf", template=tiny_gguf.TOOL_TEMPLATE)
    with llama.serving(path) as server:
        yield server


def _llama(world: World, server: llama.Server, model: str, more: str = "") -> None:
    world.configure(
        f'model = "lab/{model}"\n[providers.lab]\ndialect = "llamacpp"\n'
        f'base_url = "{server.address}/v1"\nkey = "none"\nmodels = ["{model}"]\n{more}'
        "[tools]\noffer = 'clock'\nallow = ['clock']\nmax_steps = 2\n"
    )


def test_a_real_server_whose_model_calls(world, calling_server):
    _llama(world, calling_server, "calls")
    run = world.chat("-n", "real", "--json", "what time is it?")
    assert run.code == 3, run.err
    assert run.json["error"]["kind"] == "StepsSpent"
    assert [tool["name"] for tool in run.json["tools"]] == ["clock", "clock"]
    assert not any(tool["is_error"] for tool in run.json["tools"])
    roles = [m["role"] for m in world.document()["messages"] if "role" in m]
    assert roles == ["system", "user", "assistant", "tool", "assistant", "tool"]
    after = world.chat("-r", "real", "--no-tools", "and in words?")
    assert after.code == 0, after.err
    assert "clock" in after.out


def test_a_real_server_whose_grammar_forces_the_call(world, llama_server):
    """The model cannot call: the form in words, which a schema makes llama.cpp's grammar."""
    _llama(world, llama_server, "harbour", "[providers.lab.facts.harbour]\ntools = false\n")
    empty = {"type": "object", "properties": {}, "additionalProperties": False}
    form = {
        "type": "object",
        "properties": {"tool": {"const": "clock"}, "arguments": empty},
        "required": ["tool", "arguments"],
        "additionalProperties": False,
    }
    run = world.chat("-n", "real", "--json", "--schema", json.dumps(form), "what time is it?")
    assert run.code == 3, run.err
    assert [tool["name"] for tool in run.json["tools"]] == ["clock", "clock"]
    assert not any(tool["is_error"] for tool in run.json["tools"])
    after = world.chat("-r", "real", "and in words?")
    assert after.out.strip() == "".join(tiny_gguf.SCRIPT).strip()


@pytest.mark.slow
def test_killed_beside_a_real_server(world, calling_server, soak):
    _llama(world, calling_server, "calls")
    chance = random.Random(SEED)
    took = time.monotonic()
    world.chat("-n", "real", "go")
    took = time.monotonic() - took
    ends = []
    for _ in range(KILLS // 2 * soak):
        process = _started(world, "-n", "real", "go on")
        time.sleep(took * chance.uniform(0.4, 1.0))  # the instant of the strike
        process.kill()
        ends.append(process.wait(10))
    assert ends.count(-signal.SIGKILL) > len(ends) // 3, "the strikes came too late"
    after = world.chat("-r", "real", "--no-tools", "and in words?")
    assert after.code == 0, after.err
