"""Two windows of the real program on one session; drafts and private talks as a person has them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from support import servers
from support.terminal import Terminal
from support.world import World, said

LONG = "tokens=400 rate=60"


@pytest.fixture(scope="module")
def server():
    with servers.ollama() as running:
        yield running


@pytest.fixture(autouse=True)
def _answered(world: World, server) -> None:
    world.use(server.url, dialect="ollama", model=servers.OLLAMA_MODELS[0])


def ask(person: Terminal, line: str, count: int = 1) -> None:
    """Type a line and wait until the ``count``th of this run has been dealt with."""
    person.say(line)
    person.wait_traced("rested", count, seconds=20)


@pytest.fixture
def first(world: World):
    """A window that writes a session called harbour."""
    with world.enter("-n", "harbour", rows=30) as person:
        ask(person, "say the tide is in")
        person.wait_until(lambda: world.documents() and len(world.talk()) == 2, 5, "saving")
        yield person


def follow(world: World, *args: str) -> Terminal:
    return world.enter("-r", "harbour", *args, rows=30)


def pick(person: Terminal, letters: str) -> None:
    """Take the choice that these letters find."""
    person.send(letters)
    person.wait_for(f"› {letters}")
    person.press("enter")


def test_the_second_window_is_told_at_once_and_reads_along(world, first):
    with follow(world) as second:
        came = time.monotonic()
        screen = second.wait_for("open elsewhere")
        assert f"process {first.pid} on {os.uname().nodename}" in screen
        assert time.monotonic() - came < 1.0
        second.wait_for("go on in a copy")
        second.wait_for("take it over")
        second.press("enter")
        second.wait_for("following: read only")
        ask(first, "say it goes out again", 2)
        second.wait_for("it goes out again", 2)
        second.say("may I")
        second.wait_for("your message was not sent")
        second.press("escape")
        second.wait_for("may I")
        second.press("ctrl-c")
        second.press("ctrl-d")
        assert second.exit_code() == 0
        assert second.restored() == []
    assert len(world.document()["messages"]) > 0
    assert [text for role, text, _ in world.talk() if role == "user"] == [
        "say the tide is in",
        "say it goes out again",
    ]


def test_an_answer_is_read_as_it_streams(world, first):
    with follow(world) as second:
        second.wait_for("go on in a copy")
        second.press("enter")
        first.say(LONG)
        first.wait_for("w20 ")
        second.wait_for("w20 ", 2)
        assert "w300" not in first.screen()
        first.press("escape")
        first.wait_traced("rested", 2)


def test_taking_over_while_an_answer_streams(world, first):
    with follow(world) as second:
        second.wait_for("take it over")
        first.say(LONG)
        first.wait_for("w9 ")
        before = time.monotonic()
        pick(second, "take")
        second.wait_for("written here now", 3)
        taken = time.monotonic() - before
        first.wait_for("read along", 2)
        first.wait_for("following: read only")
        ask(second, "say mine now", 2)
        first.wait_for("mine now", 2)
        second.press("ctrl-d")
        assert second.exit_code() == 0
    assert taken < 1.5, f"{taken:.2f} s, a screen and keys included"
    spoken = world.talk()
    assert [status for _, _, status in spoken] == [
        *["complete"] * 3,
        "interrupted",
        *["complete"] * 2,
    ]
    assert spoken[3][1].startswith("w1 w2 ")
    assert spoken[-1][1] == "mine now"


def test_a_stopped_holder_is_known_at_once(world, first):
    first.signal(signal.SIGSTOP)
    try:
        with follow(world) as second:
            screen = second.wait_for("it is stopped")
            assert "take it over" not in screen
            second.press("enter")  # the copy comes first
            second.wait_for("you are in a copy now")
            ask(second, "say in the copy", 2)
            second.press("ctrl-d")
            assert second.exit_code() == 0
    finally:
        first.signal(signal.SIGCONT)
    copies = [d for d in world.documents() if d.get("parent")]
    assert len(copies) == 1
    assert said(copies[0]["messages"][-1])[1] == "in the copy"


def test_a_holder_stopped_later_does_not_hold_anybody_up(world, first):
    with follow(world) as second:
        second.wait_for("take it over")
        first.signal(signal.SIGSTOP)
        try:
            before = time.monotonic()
            pick(second, "take")
            second.wait_for("it is stopped and cannot answer")
            assert time.monotonic() - before < 1.0
        finally:
            first.signal(signal.SIGCONT)


def test_a_killed_holder_leaves_everything_to_the_next(world, first):
    with follow(world) as second:
        second.wait_for("go on in a copy")
        second.press("enter")
        first.say(LONG)
        second.wait_for("w20 ")
        first.signal(signal.SIGKILL)
        first.exit_code()
        second.wait_for("nobody writes this session any more", 4)
        ask(second, "say still here")
        second.press("ctrl-d")
        assert second.exit_code() == 0
    spoken = world.talk()
    assert spoken[3][2] == "interrupted"
    assert spoken[3][1].startswith("w1 w2 ")
    assert spoken[-1] == ("assistant", "still here", "complete")


def test_in_a_pipe_it_is_an_error_that_says_what_to_do(world, first):
    refused = world.chat("-r", "harbour", "say hello")
    assert refused.code == 1
    assert refused.out == ""
    assert f"process {first.pid}" in refused.err
    assert "--fork" in refused.err
    copied = world.chat("-r", "harbour", "--fork", "say hello")
    assert (copied.code, copied.out) == (0, "hello\n")
    assert len(world.documents()) == 2


def test_the_line_repl_reads_along_and_lets_go(world, first):
    with world.open("-r", "harbour", "--plain", rows=40) as second:
        second.wait_for("following: read only")
        second.wait_for("/takeover")
        ask(first, "say more tides", 2)
        second.wait_for("more tides", 3)
        second.say("/takeover")
        second.wait_for("written here now")
        with follow(world) as third:
            third.wait_for("take it over")
            pick(third, "take")
            third.wait_for("written here now")
        second.wait_for("you read along")


# -- drafts ----------------------------------------------------------------------------------------


def draft_on_disk(world: World, words: str) -> bool:
    return any(words in path.read_text() for path in (world.data / "drafts").glob("*.json"))


def test_a_draft_survives_a_kill(world):
    with world.enter() as person:
        person.send("half a thought")
        person.wait_for("half a thought")
        person.press("left", "left")
        person.wait_until(lambda: draft_on_disk(world, "half a thought"), 1.0, "the draft's file")
        person.signal(signal.SIGKILL)
        person.exit_code()
    with world.enter() as person:
        person.wait_for("half a thought")
        person.send("X")
        person.wait_for("half a thougXht")
        person.press("ctrl-e", "enter")
        person.wait_traced("rested", 1)
        person.wait_until(lambda: not draft_on_disk(world, "a thoug"), 2, "the draft going")
        person.press("ctrl-d")
        assert person.exit_code() == 0
    with world.enter() as person:
        person.send("y")
        person.wait_for("› y")
        assert "thoug" not in person.screen()


def test_a_draft_survives_a_closed_window_and_stays_with_its_session(world):
    with world.enter("-n", "one") as person:
        ask(person, "say hello")
        person.paste("\n".join(f"line {n}" for n in range(30)))
        person.wait_for("[pasted 30 lines]")
        person.hang_up()
        person.exit_code(5)
    with world.enter("-n", "two") as person:
        ask(person, "say other")
        assert "pasted" not in person.screen()
        person.send("of two")
        person.wait_for("of two")
        person.press("ctrl-x")
        person.send("l")
        person.wait_for("Sessions")
        pick(person, "one")
        person.wait_for("[pasted 30 lines]")
        assert "of two" not in person.screen()
        person.press("enter")
        person.wait_for("line 29")
        person.wait_traced("rested", 3)
        person.say("/load two")
        person.wait_for("of two")
        person.signal(signal.SIGTERM)
        person.exit_code(5)
    one = next(d for d in world.documents() if d["meta"]["title"] == "one")
    asked = [said(m)[1] for m in one["messages"] if m.get("role") == "user"]
    assert asked[-1].endswith("line 28\nline 29")
    with world.enter("-r", "two") as person:
        person.wait_for("of two")


def test_a_discarded_draft_comes_back(world):
    with world.enter() as person:
        person.send("not now")
        person.wait_for("not now")
        person.press("ctrl-c")
        person.wait_for("draft put aside")
        person.wait_gone("› not now")
        person.press("ctrl-d")
        assert person.exit_code() == 0
    with world.enter() as person:
        assert "not now" not in person.screen()
        person.press("up")
        person.wait_for("› not now")
        person.press("ctrl-c")
        person.wait_gone("› not now")
        person.say("/draft")
        person.wait_for("drafts that were given up")
        person.press("enter")
        person.wait_for("› not now")


def test_lines_that_wait_survive_a_kill(world):
    with world.enter() as person:
        person.say(LONG)
        person.wait_for("w5 ")
        person.say("then this")
        person.wait_for("next: then this")
        person.wait_until(lambda: draft_on_disk(world, "then this"), 1.0, "the draft's file")
        person.signal(signal.SIGKILL)
        person.exit_code()
    with world.enter("-c") as person:
        person.wait_for("› then this")


# -- private ---------------------------------------------------------------------------------------

SECRET = "xylophone"


def tree(*roots: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file below the roots: when it was changed, its size, its bytes."""
    found = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_symlink() or not path.is_file():
                found[str(path)] = (0, 0, b"")
            else:
                of = path.stat()
                found[str(path)] = (of.st_mtime_ns, of.st_size, path.read_bytes())
    return found


def without_a_trace(world: World) -> dict[str, str]:
    """The environment of a run whose folders are all in the world, and which is not traced."""
    temp = world.home / "tmp"
    temp.mkdir(exist_ok=True)
    return {"CHINWAG_TRACE": "", "TMPDIR": str(temp)}


def whole_private_talk(person: Terminal) -> None:
    """Questions, a paste, a draft given up, a new session, an undo; then leaving."""
    person.say(f"say {SECRET} one")
    person.wait_for(f"\n    {SECRET} one\n")
    person.paste("\n".join(f"{SECRET} {n}" for n in range(30)))
    person.wait_for("[pasted 30 lines]")
    person.press("enter")
    person.wait_for(f"{SECRET} 29")
    person.send(f"{SECRET} draft")
    person.wait_for(f"{SECRET} draft")
    time.sleep(0.6)  # longer than a draft waits
    person.press("ctrl-c")
    person.wait_for("put aside")
    person.say("/undo")
    person.wait_for("took back")
    person.press("ctrl-c")
    person.say("/new")
    person.wait_for("a new session")
    person.say(f"say {SECRET} two")
    person.wait_for(f"\n    {SECRET} two\n")
    person.press("ctrl-d")
    assert person.exit_code() == 0


def test_a_private_talk_leaves_no_trace(world):
    """Not one file is made or changed under home, with sessions and a history there already."""
    world.chat("-n", "open talk", "say not secret")
    with world.enter() as person:
        ask(person, "say in the history")
        person.press("ctrl-d")
        assert person.exit_code() == 0
    env = without_a_trace(world)
    before = tree(world.home)
    with world.open("--private", rows=40, **env) as person:
        person.ready().wait_for("private")
        whole_private_talk(person)
    once = world.chat("--private", f"say {SECRET} three", **env)
    assert once.out == f"{SECRET} three\n"
    after = tree(world.home)
    assert {p for p in after if after[p] != before.get(p)} == set()
    assert before.keys() == after.keys()


def test_a_fresh_home_stays_empty(tmp_path):
    fresh = World(tmp_path / "fresh")
    env = without_a_trace(fresh)
    before = tree(fresh.home)
    with fresh.open("--private", rows=40, **env) as person:
        person.ready().wait_for("private")
        person.say(f"what is {SECRET}?")
        person.wait_for("I only know this program's own help")
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert tree(fresh.home) == before


def test_private_from_now_on_and_what_was_written_is_deleted(world):
    env = without_a_trace(world)
    with world.open(rows=40, **env) as person:
        person.ready()
        person.say(f"say {SECRET} one")
        person.wait_for(f"\n    {SECRET} one\n")
        person.send(f"{SECRET} draft")
        person.wait_until(lambda: draft_on_disk(world, SECRET), 2, "the draft's file")
        person.press("ctrl-c")
        person.wait_for("put aside")
        person.say("/private")
        person.wait_for("of this session are written already")
        person.press("escape")
        world_before = tree(world.data)
        person.say(f"say {SECRET} two")
        person.wait_for(f"\n    {SECRET} two\n")
        person.say("/new")
        person.wait_for("a new session")
        assert tree(world.data) == world_before
        assert sum(SECRET.encode() in data for _, _, data in world_before.values()) >= 1
        person.say(f"/load say-{SECRET}")
        person.wait_for(f"\n    {SECRET} two\n")
        person.say("/private --erase")
        person.wait_for("gone for good")
        person.press("ctrl-d")
        assert person.exit_code() == 0
    left = [p for p, (_, _, data) in tree(world.home).items() if SECRET.encode() in data]
    assert left == [], "a word of it is still somewhere"


def test_saving_a_private_talk_makes_it_lasting(world):
    with world.enter("--private", rows=40) as person:
        ask(person, "say between us")
        assert world.data.exists() is False or not list(world.data.rglob("*.json"))
        ask(person, "/save after all", 2)
        person.wait_for("chat --resume after-all")
        ask(person, "say and on", 3)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert [text for _, text, _ in world.talk()] == [
        "say between us",
        "between us",
        "say and on",
        "and on",
    ]


def test_the_doctor_knows_what_is_open(world, first):
    told = world.chat("doctor", "--json")
    rows = {row["what"]: row for row in told.json}
    assert f"process {first.pid}" in rows["open elsewhere"]["is"]
    first.press("ctrl-d")
    first.exit_code()
    rows = {row["what"]: row for row in world.chat("doctor", "--json").json}
    assert rows["open elsewhere"]["is"] == "no session"
