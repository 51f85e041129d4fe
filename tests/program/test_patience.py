"""Somebody who asks once at a terminal and waits is told so, on a line that goes again."""

from __future__ import annotations

import pytest

from support.servers import Loopback, Reply, finish, said, sse
from support.terminal import CHAT, Terminal
from support.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "home")


def slow(_):
    return Reply([3.0, *sse(said("a word"), finish())])


def test_a_wait_is_said_and_taken_back(world):
    with Loopback(slow) as server:
        world.use(server.url + "/v1")
        with Terminal([CHAT, "hello"], world.env, columns=60, rows=10) as terminal:
            terminal.wait_for("waiting for the first word · 2 s")
            assert terminal.exit_code(20) == 0
            assert "waiting" not in terminal.screen()
            assert terminal.screen().strip() == "a word"


@pytest.mark.parametrize(("more", "term"), [((), "dumb"), (("-q",), "xterm")])
def test_nothing_is_said_where_it_would_be_in_the_way(world, more, term):
    with Loopback(slow) as server:
        world.use(server.url + "/v1")
        env = {**world.env, "TERM": term}
        with Terminal([CHAT, *more, "hello"], env, columns=60, rows=10) as terminal:
            assert terminal.exit_code(20) == 0
            assert b"waiting" not in bytes(terminal.raw)
