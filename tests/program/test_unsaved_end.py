"""Leaving while nothing can be saved: said last, a failure, and no promise to come back."""

from pathlib import Path

import pytest

from support.world import World

ANSWER = "zzz qqq"


@pytest.fixture
def world(tmp_path):
    """Its data folder would have to be made below a file: nothing can be saved, even by root."""
    world = World(tmp_path / "home")
    (world.home / "blocker").write_text("a file\n")
    world.env["CHINWAG_DATA_DIR"] = str(world.home / "blocker" / "data")
    world.env["TMPDIR"] = str(world.home)
    return world


def test_on_the_screen(world):
    with world.enter("-p", "guide") as person:
        person.say(ANSWER)
        person.wait_for("NOT SAVED")
        assert "/save PATH" in person.screen()
        person.press("ctrl-d")
        assert person.exit_code() == 1
        lines = [line for line in person.lines() if line]
    assert "chat --resume" not in "\n".join(lines)
    end = "".join(lines[-10:]).replace(" ", "")  # the terminal breaks a long line anywhere
    assert "couldnotbesaved" in end
    assert "chatsessionsimport" in end


def test_by_lines(world):
    run = world.chat("--plain", "-p", "guide", given=f"{ANSWER}\n")
    assert run.code == 1
    assert "could not be saved" in run.err


def test_what_could_not_be_saved_lies_in_a_copy_that_can_be_brought_back(world):
    run = world.chat("--plain", "-p", "guide", given=f"{ANSWER}\n")
    copy = run.err.rpartition("chat sessions import ")[2].strip()
    assert Path(copy).is_relative_to(world.home)
    assert Path(copy).stat().st_mode & 0o777 == 0o600
    world.env["CHINWAG_DATA_DIR"] = str(world.data)
    run = world.chat("sessions", "import", copy)
    assert run.code == 0, run.err
    assert world.talk()[0][1] == ANSWER


def test_no_copy_is_made_of_a_private_talk(world):
    world.chat("--plain", "--private", "-p", "guide", given=f"{ANSWER}\n")
    assert not list(world.home.glob("chinwag-*"))
