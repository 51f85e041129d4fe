"""The program when the terminal is hard on it: it is alive, or gone cleanly, within three seconds.

T3 to T6 of the plan, each with an answer coming in: what was said and typed is saved, and the
screen is given back.
"""

from __future__ import annotations

import random
import signal
import time

import pytest

from chinwag.frontends.tui.reported import ASK, UNASK
from support.servers import Loopback, Reply, finish, json_reply, said, sse
from support.world import World

SOON = 3.0  # seconds
#: Keys that leave, suspend, or open something that waits: not junk but wishes.
WISHES = b"\x03\x04\x07\x10\x18\x1a\r\n"


def counting(asked):
    """An answer of four words a tenth of a second, without end for a test."""
    if asked.method == "GET":
        return json_reply({"data": []})
    parts = [b"".join(sse(*[said(f"w{n}-{k} ") for k in range(4)], done=False)) for n in range(400)]
    return Reply([piece for part in parts for piece in (part, 0.1)])


@pytest.fixture
def endless(world: World):
    with Loopback(counting) as server:
        world.use(server.url + "/v1")
        yield server


@pytest.fixture
def quick(world: World):
    whole = Reply(sse(said("heard"), finish()))
    listed = json_reply({"data": []})
    with Loopback(lambda asked: listed if asked.method == "GET" else whole) as server:
        world.use(server.url + "/v1")
        path = world.home / "config" / "chinwag" / "config.toml"
        path.write_text(path.read_text() + "window = 4000000\n")
        yield server


def talking(world, **more):
    """Somebody to whom an answer is coming in, with a draft typed meanwhile."""
    person = world.enter(**more)
    person.say("count")
    person.wait_for("w2-1")
    person.send("half a thought")
    person.wait_for("half a thought")
    person.wait_until(lambda: drafted(world), SOON, "the draft being kept")
    return person


def drafted(world) -> bool:
    kept = world.home.rglob("*")
    return any(p.is_file() and b"half a thought" in p.read_bytes() for p in kept)


def is_kept(world):
    role, text, status = world.talk()[-1]
    assert (role, status) == ("assistant", "interrupted")
    assert text.startswith("w0-0 w0-1")
    assert drafted(world)


def settled(person, quiet=0.6):
    """Wait until the program has dealt with what it was sent, as its stillness shows."""
    limit, since = time.monotonic() + 15, time.monotonic()
    while time.monotonic() - since < quiet:
        assert time.monotonic() < limit, "it never comes to rest"
        if person.pump(0.05):
            since = time.monotonic()


def asked_back(person) -> bool:
    """Whether the terminal was asked to tell keys as before, as often as to tell them apart."""
    raw = bytes(person.raw)
    return 0 < raw.count(ASK.encode()) <= raw.count(UNASK.encode())


def test_two_hundred_resizes(world, endless):
    with talking(world) as person:
        for n in range(200):
            person.resize(18 + (n * 7) % 120, 4 + (n * 5) % 46)
            person.signal(signal.SIGWINCH)
            person.pump(0.002)
        person.resize(80, 24)
        began = time.monotonic()
        person.press("escape")
        person.wait_for("stopped")
        person.wait_for("half a thought")
        assert time.monotonic() - began < SOON
        person.press("ctrl-c", "ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []


@pytest.mark.parametrize("seed", [1, 2])
def test_junk_bytes(world, quick, seed):
    """Whatever a broken line or a cat at the keyboard sends, the next sentence is heard."""
    chance = random.Random(seed)
    junk = bytes(b for b in chance.randbytes(2400) if b not in WISHES)
    begun = [
        b"\x1b[",
        b"\x1b]",
        b"\x1bP",
        b"\x1b[27;",
        b"\x1b[<0;",
        b"\x1bO",
        b"\xf0\x9f",
        b"\x1b[1;",
    ]
    pieces = [junk[at : at + 60] + chance.choice(begun) for at in range(0, len(junk), 60)]
    with world.enter() as person:
        for piece in pieces:
            person.send(piece)
            person.pump()
        settled(person)
        for key in ("escape", "escape", "ctrl-l"):
            person.press(key)
            time.sleep(0.15)
        person.send("\x1b[201~")
        person.press("ctrl-c")
        person.send("are you there")
        person.wait_for("are you there", SOON)
        person.signal(signal.SIGTERM)
        person.exit_code(SOON)
        assert person.restored() == []


def test_a_paste_of_a_megabyte(world, quick):
    whole = "".join(f"line {n} of a long, long paste\n" for n in range(32_000))
    assert len(whole) > 1_000_000
    with world.enter() as person:
        began = time.monotonic()
        person.paste(whole)
        person.wait_for("[pasted 32000 lines]", SOON)
        person.send(" why?")
        person.wait_for("why?", SOON)
        assert time.monotonic() - began < 2 * SOON  # two cores are shared
        person.press("enter")
        person.wait_for("heard", 10)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    (sent,) = [a.json for a in quick.asked if a.method == "POST"]
    assert sent["messages"][-1]["content"] == whole + " why?"


def test_a_long_paste_in_the_draft_survives_the_end(world, quick):
    whole = "".join(f"line {n}\n" for n in range(20_000))
    with world.enter() as person:
        person.send("first")
        person.press("enter")
        person.wait_for("heard")
        person.paste(whole)
        person.wait_for("[pasted 20000 lines]")
        person.signal(signal.SIGTERM)
        person.exit_code(SOON)
        assert person.restored() == []
    with world.enter("--continue") as person:
        person.wait_for("[pasted 20000 lines]")
        person.wait_for("4,000,000")  # the window is known
        person.press("enter")
        person.wait_traced("rested", 1)
        person.press("ctrl-d")
        assert person.exit_code() == 0
    assert world.talk()[2][1] == whole.rstrip("\n") or world.talk()[2][1] == whole


def test_a_signal(world, endless):
    with talking(world) as person:
        person.signal(signal.SIGTERM)
        person.exit_code(SOON)
        assert person.restored() == []
        assert asked_back(person)
    is_kept(world)


def test_a_terminal_that_stops_reading(world, endless):
    """Nothing is taken any more, then the end is wished for: gone, and nothing lost."""
    with talking(world) as person:
        for n in range(60):  # enough frames to fill what the kernel holds for a terminal
            person._size(30 + n % 50, 10 + n % 20)
            time.sleep(0.02)
        person.signal(signal.SIGHUP)
        began = time.monotonic()
        while not person._ended():  # without reading
            assert time.monotonic() - began < SOON
            time.sleep(0.02)
    is_kept(world)


def test_a_terminal_that_reads_again(world, endless):
    """Frames that could not be sent are left out; the newest is drawn when it reads again."""
    with talking(world) as person:
        for n in range(60):
            person._size(30 + n % 50, 10 + n % 20)
            time.sleep(0.02)
        person.resize(80, 24)
        person.press("ctrl-l")
        person.wait_for("half a thought", SOON)
        person.press("escape")
        person.wait_for("stopped", SOON)
        person.press("ctrl-c", "ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []


def test_the_window_is_closed(world, endless):
    with talking(world) as person:
        person.hang_up()
        person.exit_code(SOON)
    is_kept(world)


def test_every_ordinary_way_out_gives_everything_back(world, quick):
    for way in ("/exit\r", "\x04", "\x03\x03"):
        with world.enter() as person:
            person.send("hello")
            person.press("enter")
            person.wait_for("heard")
            person.wait_traced("rested")
            person.send(way)
            assert person.exit_code() == 0
            assert person.restored() == []
            assert asked_back(person)
            assert "chat --resume" in person.screen()


def test_an_editor_has_the_terminal_as_it_was_and_gives_it_back(world, quick, tmp_path):
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nstty -a >"$0.stty"\nprintf "%s, edited" "$(cat "$1")" >"$1"\n')
    editor.chmod(0o755)
    with world.enter(EDITOR=str(editor)) as person:
        person.send("a draft")
        person.wait_for("a draft")
        person.press("ctrl-g")
        person.wait_for("a draft, edited")
        assert 1049 in person.modes
        stty = (tmp_path / "editor.stty").read_text()
        assert " icanon" in f" {stty}".replace("\n", " ")
        person.press("enter")
        person.wait_for("heard")
        person.press("ctrl-d")
        assert person.exit_code() == 0
        assert person.restored() == []
        assert asked_back(person)


def test_wrong_keys_are_told_with_file_and_line(world, quick):
    path = world.home / "config" / "chinwag" / "config.toml"
    path.write_text(path.read_text() + '[keys]\ncopy = "ctrl+t"\ncopie = "f2"\n')
    lines = path.read_text().split("\n")
    with world.enter(columns=160) as person:
        seen = person.wait_for("did you mean copy?")
        strange, taken = lines.index('copie = "f2"') + 1, lines.index('copy = "ctrl+t"') + 1
        assert f"config.toml:{strange}: no key can do" in seen
        assert f"config.toml:{taken}: Ctrl+T is copy now" in seen
        person.press("ctrl-d")
        assert person.exit_code() == 0
