"""One answer for a prompt or a pipe, and the line REPL: what goes where, and how it ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import pytest

from support.terminal import CHAT
from support.tiny_gguf import wave
from support.world import World

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def _lab(world, llama_server):
    world.use(llama_server.address + "/v1")


# -- once -----------------------------------------------------------------------------------------


def test_a_prompt_is_answered_once_and_only_the_answer_goes_to_stdout(world, answer):
    run = world.chat("what", "do", "you", "say?")
    assert (run.code, run.out, run.err) == (0, answer + "\n", "")
    assert world.talk() == [
        ("user", "what do you say?", "complete"),
        ("assistant", answer, "complete"),
    ]


def test_ask_says_the_same_explicitly(world, answer):
    run = world.chat("ask", "models")
    assert (run.code, run.out) == (0, answer + "\n")
    assert world.talk()[0] == ("user", "models", "complete")


def test_piped_text_alone_is_the_prompt(world):
    assert world.chat(given="a question from a pipe\n").code == 0
    assert world.talk()[0] == ("user", "a question from a pipe", "complete")


def test_piped_text_is_added_to_the_prompt(world):
    assert world.chat("review this", given="- old\n+ new\n").code == 0
    assert world.talk()[0][1] == "review this\n\n- old\n+ new"


def test_bytes_that_are_no_text_are_taken_all_the_same(world):
    assert world.chat("what is it", given=b"\xff\xfe caf\xe9\n").code == 0
    assert world.talk()[0][1].startswith("what is it\n\n")


def test_dashes_end_the_options(world):
    assert world.chat("--", "--json").code == 0
    assert world.talk()[0][1] == "--json"


def test_json_is_one_object(world, answer):
    run = world.chat("--json", "hello")
    assert run.code == 0
    assert run.out.count("\n") == 1
    got = run.json
    assert got["text"] == answer
    assert (got["status"], got["stop"]) == ("complete", "end")
    assert (got["provider"], got["model"]) == ("lab", "harbour")
    assert got["usage"]["output"] >= 20
    assert got["usage"]["input"] > 0
    assert got["session"] == world.document()["id"]
    assert got["saved"] == world.document()["meta"]["count"]


def test_json_stream_is_one_event_a_line(world, answer):
    run = world.chat("--json-stream", "hello")
    assert run.code == 0
    kinds = [event["event"] for event in run.events]
    assert (
        "".join(e["delta"].get("text", "") for e in run.events if e["event"] == "heard") == answer
    )
    assert kinds.index("requested") < kinds.index("heard")
    assert kinds[-1] == "rested" or "saved" in kinds
    settled = [e["entry"] for e in run.events if e["event"] == "settled"]
    assert [e["role"] for e in settled if "role" in e][-2:] == ["user", "assistant"]


def test_extract_prints_only_the_first_code_block(world):
    run = world.chat("-x", "hello")
    assert (run.code, run.out) == (0, "print('moored')\n")


def test_extract_without_a_block_says_so(world):
    run = world.chat("-p", "guide", "-x", "zzz qqq")
    assert run.code == 1
    assert run.out == ""
    assert "code block" in run.err


def test_no_stream_prints_the_same(world, answer):
    assert world.chat("--no-stream", "hello").out == answer + "\n"


def test_private_writes_nothing(world):
    assert world.chat("--private", "hello").code == 0
    assert not [p for p in world.data.rglob("*") if p.is_file()]


def test_dry_run_sends_nothing_and_shows_what_would_be_sent(world):
    run = world.chat("--dry-run", "-s", "Be brief.", "--max-tokens", "7", "hello")
    assert run.code == 0
    got = run.json
    assert (got["provider"], got["model"]) == ("lab", "harbour")
    assert "Be brief." in run.out
    assert "hello" in run.out
    assert got["tokens"] > 0
    assert not [event for event in _traced(world) if event["what"] == "request"]


def test_options_of_the_request_arrive(world):
    run = world.chat("--json", "--max-tokens", "5", "hello")
    assert run.json["usage"]["output"] == 5
    assert run.json["stop"] == "length"
    assert run.json["text"] == "Every harbour keeps a lamp"


def test_a_session_by_name_goes_on(world, answer):
    world.chat("-n", "trip to lisbon", "first")
    run = world.chat("-n", "trip to lisbon", "second")
    assert run.code == 0
    assert [text for role, text, _ in world.talk() if role == "user"] == ["first", "second"]
    assert world.document()["meta"]["title"] == "trip to lisbon"
    again = world.chat("--resume", "trip-to-lisbon", "third")
    assert again.code == 0, again.err
    assert len(world.talk()) == 6
    assert world.chat("--continue", "fourth").code == 0
    assert len(world.talk()) == 8
    assert len(world.documents()) == 1


def test_resuming_what_is_not_there_names_what_is(world):
    world.chat("-n", "lisbon", "first")
    run = world.chat("--resume", "lisbom", "second")
    assert run.code == 1
    assert "did you mean lisbon" in run.err
    assert len(world.talk()) == 2


def test_a_provider_named_alone_brings_its_own_model(world):
    """Not the configured one, which is another provider's."""
    run = world.chat("--json", "-p", "guide", "zzz qqq")
    assert (run.json["provider"], run.json["model"]) == ("guide", "guide")


def _traced(world: World) -> list[dict]:
    path = world.trace_file
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


# -- off a terminal -------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": ""}])
def test_no_escape_codes_off_a_terminal(world, force):
    run = world.chat("hello", **force)
    assert run.code == 0
    assert "\x1b" not in run.out + run.err


def test_the_reader_of_our_output_may_leave_early(world):
    """As `chat … | head -c 5` does: no traceback, and the answer is on disk."""
    process = subprocess.Popen(
        [CHAT, "hello"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=world.env,
    )
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(30) in (0, 1)
    assert "Traceback" not in err
    assert world.talk()[0] == ("user", "hello", "complete")


def test_stdin_closed(world, answer):
    command = f'exec "{CHAT}" hello <&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, env=world.env, timeout=30, check=False
    )
    assert (done.returncode, done.stdout.decode()) == (0, answer + "\n")
    assert b"Traceback" not in done.stderr


def test_stdout_closed(world):
    command = f'exec "{CHAT}" hello >&-'
    done = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, env=world.env, timeout=30, check=False
    )
    assert done.returncode in (1, 2)
    err = done.stderr.decode()
    assert "Traceback" not in err
    assert "stdout" in err
    assert len(err.splitlines()) == 1


def test_nothing_to_answer_is_wrong_use(world):
    run = world.chat()
    assert run.code == 2
    assert "nothing to answer" in run.err


def test_one_wrong_option_is_one_sentence(world):
    run = world.chat("--modell", "x", "hello")
    assert run.code == 2
    assert len(run.err.strip().splitlines()) == 1
    assert "--modell" in run.err


def test_ctrl_c_ends_one_answer_with_130_and_keeps_what_was_said(world, endless_server):
    world.use(endless_server.address + "/v1")
    process = subprocess.Popen(
        [CHAT, "hello"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=world.env,
    )
    begun = ""
    while wave(3) not in begun:
        piece = os.read(process.stdout.fileno(), 100)
        assert piece, f"it ended by itself: {begun}"
        begun += piece.decode()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    role, text, status = world.talk()[-1]
    assert (role, status) == ("assistant", "interrupted")
    shown = begun + out.decode()
    assert text.startswith(f"Waves: {wave(0)}")
    assert shown.strip().startswith(text.strip()[:20])
    assert text.count(wave(0)) < 5, "it was not stopped"


# -- words that need no model ---------------------------------------------------------------------


def test_version_and_help(world):
    run = world.chat("--version")
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith("chinwag ")
    run = world.chat("--help")
    assert (run.code, run.err) == (0, "")
    for word in ("--model", "--resume", "--json-stream", "--plain", "sessions", "doctor"):
        assert word in run.out
    assert not world.data.exists()


@pytest.mark.parametrize(
    ("typed", "meant"), [("sesions", "sessions"), ("modles", "models"), ("doktor", "doctor")]
)
def test_a_misspelt_command_is_refused_and_never_sent(world, typed, meant):
    run = world.chat(typed)
    assert run.code == 2
    assert meant in run.err
    assert not [event for event in _traced(world) if event["what"] == "request"]
    assert not world.data.exists() or not world.documents()


def test_a_word_that_is_near_no_command_is_a_prompt(world, answer):
    assert world.chat("harbours").out == answer + "\n"


# -- the line REPL --------------------------------------------------------------------------------


def test_plain_in_a_pipe_answers_line_by_line(world, answer):
    run = world.chat("--plain", given="hello\n/tokens\nagain\n/exit\n")
    assert run.code == 0
    assert run.out.count(answer) == 2
    assert "token" in run.err
    assert "\x1b" not in run.out + run.err
    assert [text for role, text, _ in world.talk() if role == "user"] == ["hello", "again"]


def test_plain_ends_with_its_input(world, answer):
    run = world.chat("--plain", given="hello")
    assert (run.code, run.out) == (0, answer + "\n")


def test_plain_an_unknown_command_never_reaches_the_model(world):
    run = world.chat("--plain", given="/hepl\n")
    assert "/help" in run.err
    assert not [event for event in _traced(world) if event["what"] == "request"]


def test_plain_at_a_terminal(world, answer):
    with world.open("--plain", rows=40) as person:
        person.wait_for("/help")
        person.say("hello there")
        person.wait_for("very small model.")
        person.say("/exit")
        assert person.exit_code() == 0
        assert person.restored() == []
        assert b"\x1b" not in person.raw
    assert world.talk()[-1] == ("assistant", answer, "complete")


def test_plain_ctrl_c_stops_the_answer_and_ctrl_d_leaves(world, endless_server):
    world.use(endless_server.address + "/v1")
    with world.open("--plain") as person:
        person.wait_for("/help")
        person.say("count the waves")
        person.wait_for(wave(3))
        person.press("ctrl-c")
        person.wait_for("stopped")
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
    assert world.talk()[-1][2] == "interrupted"


def test_a_dumb_terminal_gets_the_line_repl(world, answer):
    with world.open(TERM="dumb") as person:
        person.wait_for("/help")
        person.say("hello")
        person.wait_for("very small model.")
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert b"\x1b" not in person.raw
    assert world.talk()[-1] == ("assistant", answer, "complete")


def test_one_answer_at_a_terminal_leaves_it_as_it_was(world, answer):
    with world.open("hello", rows=40) as person:
        assert person.exit_code() == 0
        person.wait_for("very small model.")
        assert person.restored() == []


# -- a fresh machine ------------------------------------------------------------------------------


def test_with_nothing_configured_the_guide_answers(tmp_path):
    home = World(tmp_path / "fresh")
    run = home.chat("how do I add a key")
    assert run.code == 0
    assert "key" in run.out.lower()
    assert home.document()["messages"][-1]["provider"] == "guide"


def test_files_and_folders_are_private(world):
    world.chat("hello")
    for path in [world.data, *world.data.rglob("*")]:
        mode = path.stat().st_mode & 0o777
        assert mode == (0o700 if path.is_dir() else 0o600), f"{path}: {mode:o}"
