"""Outside the chat: flags that meet, what is piped in, how it ends, and what is said about it."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from support.servers import HANG, Loopback, Reply, finish, json_reply, said, sse
from support.terminal import CHAT
from support.world import World

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "home")


@pytest.fixture
def server(world):
    with Loopback(_echoed) as server:
        world.use(server.url + "/v1")
        yield server


def _echoed(asked):
    if asked.method == "GET":
        return json_reply({"data": [{"id": "harbour"}]})
    content = asked.json["messages"][-1]["content"]
    text = content if isinstance(content, str) else content[0]["text"]
    if text.startswith("fail"):
        return json_reply({"error": {"message": "no"}}, status=400)
    return Reply(sse(said(text), finish()))


def sent(server):
    return next(a.json for a in reversed(server.asked) if a.method == "POST")["messages"]


# -- flags that meet ------------------------------------------------------------------------------


def test_a_system_prompt_is_read_from_a_file(world, server):
    (world.home / "brief.txt").write_text("Be brief.\n")
    assert world.chat("-s", "@brief.txt", "hi").code == 0
    assert sent(server)[0] == {"role": "system", "content": "Be brief."}
    lost = world.chat("-s", "@nowhere.txt", "hi")
    assert (lost.code, "nowhere.txt cannot be read" in lost.err) == (2, True)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-c", "-n", "a"), "-n and -c each say which session"),
        (("-r", "a", "-n", "b"), "-n and -r each say which session"),
        (("--fork",), "add -r NAME, or -c"),
        (("--json", "--json-stream"), "two forms of one answer"),
        (("-x", "--json-stream"), "two forms of one answer"),
        (("-n", ""), "the name after -n is empty"),
        (("-r", ""), "the name after -r is empty"),
        (("--approve", "maybe"), "names no tool there is: 'maybe'"),
        (("-t", "9"), "usage: --temperature VALUE"),
        (("-o", "seed=x"), "usage: -o seed=VALUE"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_is_sent(world, server, flags, words):
    run = world.chat(*flags, "hi")
    assert (run.code, run.out) == (2, "")
    assert words in run.err
    assert server.asked == []
    assert world.documents() == []


def test_json_holds_only_the_code_where_code_was_asked_for(world, server):
    run = world.chat("--json", "-x", "so:\n```sh\nls\n```\n")
    assert (run.code, run.json["text"]) == (0, "ls\n")
    none = world.chat("--json", "-x", "plain words")
    assert (none.code, none.json["error"]["kind"]) == (1, "NoCode")


def test_json_says_that_the_answer_does_not_fit_the_schema(world, server):
    run = world.chat("--json", "--schema", '{"type": "array"}', '{"a": 1}')
    assert run.code == 1
    assert run.json["error"]["kind"] == "AnswerUnfit"
    assert "does not fit the schema" in run.json["error"]["message"]
    events = world.chat("--json-stream", "--schema", '{"type": "array"}', '{"a": 1}').events
    assert events[-1]["event"] == "failed"


def test_json_of_what_was_never_sent_names_who_was_to_answer(world, server):
    run = world.chat("--json", "--budget", "10tokens", "far too long for that")
    assert run.code == 3
    assert (run.json["provider"], run.json["model"], run.json["first"]) == ("lab", "harbour", None)
    assert run.json["error"]["hint"] == "give it more: --budget"


def test_hints_are_those_of_a_shell(world, server):
    run = world.chat("fail")
    assert run.code == 1
    assert run.err.startswith("chat: lab did not accept the request")
    assert "--dry-run shows what is sent" in run.err
    assert "/set" not in run.err


def test_verbose_says_what_it_took_and_quiet_says_nothing(world, server):
    run = world.chat("-v", "hi")
    assert "chat: lab/harbour: " in run.err
    assert f"chat -r {world.document()['id']}" in run.err
    strange = {"CHINWAG_TEMPRATURE": "1"}
    assert "did you mean CHINWAG_TEMPERATURE?" in world.chat("hi", **strange).err
    assert world.chat("-q", "hi", **strange).err == ""


# -- what is piped in -----------------------------------------------------------------------------


def test_a_dash_is_what_is_piped_in(world, server):
    assert world.chat("-", given="a question\n").out == "a question\n"


def test_a_piped_picture_is_attached(world, server):
    assert world.chat("what is it?", given=PNG).code == 0
    kinds = [part["type"] for part in sent(server)[-1]["content"]]
    assert kinds == ["text", "image_url"]


def test_piped_bytes_that_are_nothing_are_refused(world, server):
    run = world.chat("what is it?", given=b"\x00\x01\xff\xfe\x00")
    assert (run.code, "no text" in run.err) == (2, True)


def test_what_a_shell_hands_over_is_a_file(world, server):
    done = subprocess.run(
        ["/bin/bash", "-c", f'{CHAT} -f <(echo from a command) "see"'],
        env=world.env,
        cwd=world.home,
        capture_output=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stderr
    assert "from a command" in json.dumps(sent(server)[-1])


def test_an_empty_file_is_sent_as_one_and_nothing_at_stdin_is_refused(world, server):
    (world.home / "empty.txt").write_text("")
    run = world.chat("-f", "empty.txt", "hi")
    assert (run.code, run.err) == (0, "")
    assert '<file name="empty.txt">' in json.dumps(sent(server)[-1]).replace('\\"', '"')
    assert world.chat("-f", "-", "hi").code == 2


def test_a_folder_is_called_one(world, server):
    (world.home / "notes").mkdir()
    run = world.chat("-f", "notes", "hi")
    assert (run.code, "notes is a folder" in run.err) == (2, True)
    assert world.chat("-f", "~nobody-of-that-name/x", "hi").code == 2


# -- output that has no place ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [("hi",), ("--json", "hi"), ("--dry-run", "hi"), ("keys", "path"), ("--help",), ("--version",)],
)
def test_a_full_disk_is_no_success(world, server, args):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    run = world.chat(*args, before="exec >/dev/full;")
    assert run.code == 1
    assert "cannot be written: no space left on device" in run.err


@pytest.mark.parametrize("args", [("sessions", "list"), ("doctor",), ("config", "show")])
def test_a_closed_stdout_is_said(world, args):
    run = world.chat(*args, before="exec >&-;")
    assert (run.code, "stdout is closed" in run.err) == (1, True)


def test_a_closed_stderr_costs_no_session_a_line(world, server):
    assert world.chat("fail", before="exec 2>&-;").code == 1
    assert world.chat("hi", before="exec 2>&-;").out == "hi\n"
    assert all(isinstance(d, dict) for d in world.documents())
    assert "chat:" not in "".join(map(json.dumps, world.documents()))


@pytest.mark.parametrize(("which", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_being_told_to_end_settles_what_was_heard(world, which, code):
    with Loopback(Reply([*sse(said("as far as "), done=False), HANG])) as server:
        world.use(server.url + "/v1")
        told, ended = _signalled(world, which)
    assert ended == code
    assert told[-3]["entry"]["status"] == "interrupted"
    assert world.talk()[-1] == ("assistant", "as far as ", "interrupted")


def _signalled(world, which):
    """The events of a run that got a signal when its answer began, and how it ended."""
    with subprocess.Popen(
        [CHAT, "--json-stream", "hi"],
        env=world.env,
        cwd=world.home,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        told = []
        for line in run.stdout:
            told.append(json.loads(line))
            if told[-1]["event"] == "heard":
                run.send_signal(which)
        return told, run.wait(20)


# -- words, help, models --------------------------------------------------------------------------


def test_help_is_a_word_too(world, server):
    assert "--resume" in world.chat("help").out
    assert "Usage: chat sessions" in world.chat("help", "sessions").out
    assert server.asked == []
    assert world.chat("help", "me").out == "help me\n"


def test_a_group_without_a_command_shows_what_it_has(world):
    run = world.chat("sessions")
    assert run.code == 2
    assert run.err.startswith("Usage: chat sessions")
    assert "chat mcp add --help" in world.chat("mcp", "add").err


def test_a_provider_of_ones_own_answers_where_nobody_said(world, server):
    world.configure(
        f'[providers.lab]\ndialect = "openai"\nbase_url = "{server.url}/v1"\nmodels = ["q"]\n'
    )
    run = world.chat("--json", "hi")
    assert (run.json["provider"], run.json["model"]) == ("lab", "q")


def test_a_place_that_is_no_database_is_said_and_left(world, server):
    (world.home / "letters.txt").write_text("mine\n" * 200)
    run = world.chat("--store", "sqlite:letters.txt", "hi")
    assert (run.code, run.out) == (1, "hi\n")
    assert "is no database" in run.err
    assert "fork" not in run.err
    assert (world.home / "letters.txt").read_text() == "mine\n" * 200


def test_models_that_nobody_has_are_said_and_each_has_the_same_fields(world, server):
    run = world.chat("models", "nothing-like-it")
    assert (run.code, run.out) == (0, "")
    assert "no model is called like nothing-like-it" in run.err
    told = world.chat("models", "--json").json
    assert {tuple(m) for m in told} == {("id", "provider", "name", "detail", "profile")}


def test_sessions_of_one_name_are_told_apart_by_their_ids(world, server):
    for _ in range(2):
        assert world.chat("same words").code == 0
    ids = {d["id"] for d in world.documents()}
    run = world.chat("sessions", "show", "sam")
    assert run.code == 1
    assert all(i in run.err for i in ids)


def test_export_for_programs_is_json_and_an_import_without_times_has_a_date(world, server):
    (world.home / "m.json").write_text('{"messages": [{"role": "user", "content": "hello"}]}')
    (came,) = world.chat("sessions", "import", "m.json", "--json").json
    assert came["updated"] == came["created"] != ""
    assert "1 message " in world.chat("sessions", "list").out
    assert world.chat("sessions", "export", came["id"], "--json").json["id"] == came["id"]


# -- private --------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [("-r", "trip"), ("-n", "trip"), ("-c",)])
def test_a_private_question_goes_on_from_a_kept_session_and_writes_nothing(world, server, how):
    assert world.chat("-n", "trip", "the first question").code == 0
    before = {
        p: p.read_bytes() for p in world.home.rglob("*") if p.is_file() and p.suffix == ".json"
    }
    run = world.chat("--private", *how, "an aside")
    assert (run.code, run.out) == (0, "an aside\n")
    assert [m["content"] for m in sent(server)[1:]] == [
        "the first question",
        "the first question",
        "an aside",
    ]
    after = {
        p: p.read_bytes() for p in world.home.rglob("*") if p.is_file() and p.suffix == ".json"
    }
    assert after == before


def test_a_private_talk_knows_of_no_session_that_is_not_there(world, server):
    assert world.chat("--private", "-r", "nowhere", "hi").code == 1
    assert world.chat("--private", "-n", "fresh", "hi").out == "hi\n"
    assert world.documents() == []


def test_a_pdf_travels_as_what_it_is(world, server):
    (world.home / "paper.pdf").write_bytes(b"%PDF-1.7\n/Type /Page\n")
    assert world.chat("-f", "paper.pdf", "sum up").code == 0
    assert [part["type"] for part in sent(server)[-1]["content"]] == ["text", "file"]
    assert world.chat("sum up", given=b"%PDF-1.7\n/Type /Page\n").code == 0
    assert [part["type"] for part in sent(server)[-1]["content"]] == ["text", "file"]


@pytest.mark.parametrize(
    ("words", "given", "foreign"),
    [(("review",), "a diff\n", True), ((), "a question\n", False), (("hi",), None, False)],
)
def test_what_is_piped_in_beside_a_question_is_from_elsewhere(world, server, words, given, foreign):
    assert world.chat(*words, given=given).code == 0
    said = [m for m in world.document()["messages"] if m.get("role") == "user"]
    assert [m.get("foreign", False) for m in said] == [foreign]
