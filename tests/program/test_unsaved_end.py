"""Leaving while nothing can be saved: said last, a failure, and no promise to come back."""

import pytest

from support.world import World

ANSWER = "zzz qqq"


@pytest.fixture
def world(tmp_path):
    """Its data folder would have to be made below a file: nothing can be saved, even by root."""
    world = World(tmp_path / "home")
    (world.home / "blocker").write_text("a file\n")
    world.env["CHINWAG_DATA_DIR"] = str(world.home / "blocker" / "data")
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
    assert "could not be saved" in " ".join(lines[-6:])


def test_by_lines(world):
    run = world.chat("--plain", "-p", "guide", given=f"{ANSWER}\n")
    assert run.code == 1
    assert "could not be saved" in run.err
