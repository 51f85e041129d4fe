"""What goes wrong outside: each time one sentence saying what and what to do, and nothing lost."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import socket
import subprocess
from pathlib import Path

from support.servers import Loopback, Reply, json_reply
from support.terminal import CHAT
from support.tiny_gguf import wave
from support.world import World


def one_sentence(err: str, *words: str) -> None:
    """Exactly one line for the person, with what to do behind a dash, and no Python in it."""
    lines = [line for line in err.splitlines() if line.strip()]
    assert len(lines) == 1, f"not one sentence:\n{err}"
    for word in words:
        assert word.lower() in lines[0].lower(), f"{word!r} is not in {lines[0]!r}"
    for ugly in ("Traceback", "Errno", "Exception", "<class", "object at 0x"):
        assert ugly not in lines[0]


def kept(world: World, text: str) -> None:
    """The question is on disk, whatever became of the answer."""
    assert text in [said for role, said, _ in world.talk() if role == "user"]


def closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


# -- the provider ---------------------------------------------------------------------------------


def test_no_key(world):
    world.configure('model = "openai/gpt-5-mini"\n')
    run = world.chat("hello")
    assert (run.code, run.out) == (1, "")
    one_sentence(run.err, "key", "OPENAI_API_KEY")


def test_no_key_with_json_is_a_field(world):
    world.configure('model = "openai/gpt-5-mini"\n')
    run = world.chat("--json", "hello")
    assert run.code == 1
    assert "OPENAI_API_KEY" in json.dumps(run.json["error"])
    assert run.json["text"] == ""


def test_a_wrong_key(world):
    refusal = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
    with Loopback(json_reply(refusal, 401)) as server:
        world.use(server.url + "/v1", key="env:LAB_KEY")
        run = world.chat("hello", LAB_KEY="sk-canary-7f3a9c")
        assert (run.code, run.out) == (1, "")
        one_sentence(run.err, "key")
        assert "canary" not in run.err
        posts = [asked for asked in server.asked if asked.method == "POST"]
        assert [post.headers["authorization"] for post in posts] == ["Bearer sk-canary-7f3a9c"]
    kept(world, "hello")
    everything = b"".join(p.read_bytes() for p in world.home.rglob("*") if p.is_file())
    assert b"canary" not in everything


def test_a_model_name_nobody_knows(world):
    run = world.chat("-m", "gpt5-mini-typo", "hello")
    assert (run.code, run.out) == (2, "")
    one_sentence(run.err, "gpt5-mini-typo")


def test_a_provider_nobody_knows_names_the_nearest(world):
    run = world.chat("-p", "antropic", "hello")
    assert (run.code, run.out) == (2, "")
    one_sentence(run.err, "antropic", "anthropic")


def test_a_model_the_server_does_not_have(world):
    refusal = {
        "error": {"message": "The model `harbour` does not exist", "code": "model_not_found"}
    }
    with Loopback(json_reply(refusal, 404)) as server:
        world.use(server.url + "/v1")
        run = world.chat("hello")
    assert (run.code, run.out) == (1, "")
    one_sentence(run.err, "harbour")
    kept(world, "hello")


def test_the_server_is_down(world):
    port = closed_port()
    world.use(f"http://127.0.0.1:{port}/v1")
    run = world.chat("hello", seconds=60)
    assert (run.code, run.out) == (1, "")
    one_sentence(run.err.splitlines()[-1], str(port))
    kept(world, "hello")


def test_html_instead_of_json(world):
    page = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>portal</body></html>"
    with Loopback(Reply([page], 200, "text/html", framing="length")) as server:
        world.use(server.url + "/v1")
        run = world.chat("hello")
    assert run.code == 1
    assert "<html" not in run.out + run.err.lower()
    one_sentence(run.err, "web page", "base_url")
    kept(world, "hello")


def test_an_error_that_tries_to_draw(world):
    """What a server says reaches a terminal without its escape codes."""
    evil = {"error": {"message": "no \x1b[2J\x1b]0;owned\x07 more", "code": "bad"}}
    with Loopback(json_reply(evil, 400)) as server:
        world.use(server.url + "/v1")
        with world.open("hello") as person:
            assert person.exit_code() == 1
            assert b"\x1b[2J" not in person.raw
            assert b"\x1b]0;" not in person.raw
            assert person.restored() == []


def test_the_same_on_the_screen(world):
    """Full screen: the sentence is shown, the talk goes on, the terminal is given back."""
    world.use(f"http://127.0.0.1:{closed_port()}/v1")
    with world.open(rows=30) as person:
        person.ready()
        person.wait_traced("painted")
        person.say("anybody there?")
        person.wait_traced("rested", seconds=30)
        person.wait_for("127.0.0.1")
        person.say("/exit")
        assert person.exit_code() == 0
        assert person.restored() == []
    kept(world, "anybody there?")


# -- the configuration ----------------------------------------------------------------------------


def test_an_unknown_setting_names_file_line_and_the_nearest(world):
    path = world.configure('theme = "dark"\nmodle = "guide/guide"\n')
    run = world.chat("hello")
    assert (run.code, run.out) == (2, "")
    one_sentence(run.err, str(path), "2", "modle", "model")


def test_the_same_where_the_screen_was_already_painted(world):
    """The early frame is taken back before the sentence is said."""
    world.configure('modle = "guide/guide"\n')
    with world.open() as person:
        assert person.exit_code() == 2
        assert person.restored() == []
        assert "modle" in person.screen()


def test_a_configuration_that_is_no_toml(world):
    world.configure('model = "guide\n')
    run = world.chat("hello")
    assert (run.code, run.out) == (2, "")
    one_sentence(run.err, "config.toml")


def test_a_wrong_number(world):
    run = world.chat("-p", "guide", "--temperature", "warm", "hello")
    assert (run.code, run.out) == (2, "")
    one_sentence(run.err, "warm")


# -- files ----------------------------------------------------------------------------------------


def session(world: World, name: str, text: str) -> Path:
    folder = world.data / "sessions"
    folder.mkdir(parents=True, exist_ok=True)
    world.data.chmod(0o700)
    path = folder / f"{name}.json"
    path.write_text(text)
    return path


def test_a_session_file_that_is_not_json(world):
    path = session(world, "20261120-093015-k3f9q2", "Dear diary, this is no session.\n")
    run = world.chat("--resume", "20261120-093015-k3f9q2", "-p", "guide", "hello")
    assert run.code == 1, run.err
    assert run.out == ""
    one_sentence(run.err, "20261120-093015-k3f9q2")
    assert path.read_text() == "Dear diary, this is no session.\n"


def test_the_others_are_still_listed(world):
    world.chat("-p", "guide", "-n", "sound", "zzz qqq")
    session(world, "20261120-093015-k3f9q2", "\0" * 64)
    run = world.chat("sessions", "list")
    assert run.code == 0
    assert "sound" in run.out
    assert "20261120-093015-k3f9q2" in run.out + run.err


def test_a_folder_where_nothing_can_be_written(world):
    """Root may write anywhere, so the folder is one no permission can make: under a file."""
    blocker = world.home / "blocker"
    blocker.write_text("a file\n")
    run = world.chat("-p", "guide", "zzz qqq", CHINWAG_DATA_DIR=str(blocker / "data"))
    assert run.code == 1, run.err
    assert str(blocker) in run.err
    assert "Traceback" not in run.err
    assert blocker.read_text() == "a file\n"


@contextlib.contextmanager
def own_disk(path: Path, options: str):
    """A small file system mounted at ``path``; False where this machine does not let us."""
    path.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"mode=0700,{options}", "tmpfs", str(path)]
    done = subprocess.run(command, capture_output=True, check=False) if os.geteuid() == 0 else None
    mounted = done is not None and done.returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(path)], check=True, capture_output=True)


def test_a_folder_without_write_permission(world):
    """Root may write where permissions forbid it, so root gets a read-only file system."""
    folder = world.home / "locked"
    with own_disk(folder, "size=64k,ro") as mounted:
        if not mounted:
            assert os.geteuid(), "root could not mount: nothing is read-only for root here"
            folder.chmod(0o500)
        run = world.chat("-p", "guide", "zzz qqq", CHINWAG_DATA_DIR=str(folder / "data"))
        assert list(folder.iterdir()) == []
    assert run.code == 1
    assert str(folder) in run.err
    assert "Traceback" not in run.err


def test_a_full_disk(world):
    """What was there stays, nothing false is said, and it goes on once there is room again."""
    with own_disk(world.home / "small", "size=64k") as mounted:
        disk = world.home / "small"
        env = {"CHINWAG_DATA_DIR": str(disk / "chinwag")}
        assert world.chat("-p", "guide", "-n", "diary", "zzz qqq", **env).code == 0
        before = world.documents(disk / "chinwag")
        with full(world, disk, mounted) as limited:
            run = limited("-p", "guide", "-n", "diary", "one more " * 1500, **env)
        assert run.code == 1
        assert any(word in run.err.lower() for word in ("no space", "full", "too large"))
        assert world.documents(disk / "chinwag") == before
        assert world.chat("-p", "guide", "-n", "diary", "and again", **env).code == 0
        (after,) = world.documents(disk / "chinwag")
        assert after["messages"][: len(before[0]["messages"])] == before[0]["messages"]


@contextlib.contextmanager
def full(world: World, disk: Path, mounted: bool):
    """A `chat` that finds no room: the disk is filled, or no file may pass 8 kB."""
    filler = disk / "filler"
    if mounted:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(b"x" * 512):
                pass
        yield world.chat
        filler.unlink()
    else:
        yield functools.partial(world.chat, before="ulimit -f 16;")


def test_an_attachment_that_is_not_there(world):
    run = world.chat("-p", "guide", "-f", "no-such-file.txt", "hello")
    assert run.code == 2
    one_sentence(run.err, "no-such-file.txt")


def test_a_session_two_programs_want(world, endless_server):
    """The second is told who has it; the first notices nothing."""
    world.use(endless_server.address + "/v1")
    with world.open("-n", "shared", "--plain") as first:
        first.wait_for("/help")
        first.say("count the waves")
        first.wait_for(wave(3))
        run = world.chat("--resume", "shared", "me too")
        assert run.code == 1
        assert "another" in run.err or "open" in run.err or "use" in run.err
        first.press("ctrl-c")
        first.wait_for("stopped")
        first.press("ctrl-d")
        assert first.exit_code() == 0
    assert [text for role, text, _ in world.talk() if role == "user"] == ["count the waves"]


# -- the terminal ---------------------------------------------------------------------------------


def test_stdin_closed_and_nothing_asked(world):
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "{CHAT}" <&-'],
        capture_output=True,
        env=world.env,
        timeout=30,
        check=False,
    )
    assert done.returncode == 2
    one_sentence(done.stderr.decode(), "nothing")


def test_all_three_closed(world):
    done = subprocess.run(
        ["/bin/sh", "-c", f'exec "{CHAT}" -p guide hello <&- >&- 2>&-'],
        env=world.env,
        timeout=30,
        check=False,
    )
    assert done.returncode in (0, 1, 2)


def test_a_trace_that_cannot_be_written(world):
    run = world.chat(
        "-p", "guide", "hello", CHINWAG_TRACE=str(world.home / "no" / "such" / "folder")
    )
    assert run.code == 2
    one_sentence(run.err, "CHINWAG_TRACE")


def test_a_mistake_of_ours_gives_the_terminal_back(world):
    """Something breaks after the early frame and before the real screen: a library is not whole."""
    broken = world.home / "broken"
    broken.mkdir()
    (broken / "msgspec.py").write_text("raise RuntimeError('this library is not whole')\n")
    with world.open(PYTHONPATH=broken) as person:
        assert person.exit_code() == 1
        assert person.restored() == []
        assert "this library is not whole" in person.screen()


def test_a_model_without_a_key_is_said_before_anything_is_typed(world):
    with world.enter("-m", "anthropic/claude-haiku-5") as person:
        person.wait_for("cannot answer now")
        assert "ANTHROPIC_API_KEY" in person.screen()
        person.press("ctrl-d")
