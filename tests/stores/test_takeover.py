"""Asking for a session over a socket of one's own: who answers, who cannot, and how soon."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest

from chinwag.stores.base import Answer, Reply
from chinwag.stores.takeover import Door, ask, can_be_asked

DEEP = "a-rather-long-folder-name/" * 6


@pytest.fixture(params=["near", "deep"])
def place(request, tmp_path):
    """A meeting place; also one whose path is longer than a socket's may be."""
    folder = tmp_path / (DEEP if request.param == "deep" else "locks")
    folder.mkdir(mode=0o700, parents=True)
    return folder / "20261120-093015-k3f9q2.ask"


def door(place, answer=""):
    asked = []

    async def on_asked(who):
        asked.append(who)
        return answer

    return Door(place, on_asked), asked


async def test_who_is_asked_is_told_by_whom_and_answers(place):
    opened, asked = door(place)
    assert opened.open()
    assert stat.S_ISSOCK(place.lstat().st_mode)
    assert await can_be_asked(place) is Reply.LET_GO
    assert asked == [], "to look is not to ask"
    assert await ask(place) == Answer(Reply.LET_GO)
    assert asked[0].startswith(f"process {os.getpid()} on ")
    opened.close()
    opened.close()
    assert not place.exists()
    assert await can_be_asked(place) is Reply.AWAY


async def test_no_is_an_answer(place):
    opened, _ = door(place, "not everything is saved yet")
    opened.open()
    assert await ask(place) == Answer(Reply.KEPT, "not everything is saved yet")
    opened.close()


async def test_many_ask_at_once_and_each_is_answered(place):
    opened, asked = door(place, "no")
    opened.open()
    answers = await asyncio.gather(*(ask(place) for _ in range(8)))
    assert {a.reply for a in answers} == {Reply.KEPT}
    assert len(asked) == 8
    opened.close()


async def test_shutting_the_door_while_answering_still_answers(place):
    async def on_asked(_):
        opened.close()
        await asyncio.sleep(0.05)
        return ""

    opened = Door(place, on_asked)
    opened.open()
    assert await ask(place) == Answer(Reply.LET_GO)
    assert not place.exists()


async def test_what_a_dead_one_left_is_replaced_and_anothers_is_not_removed(place):
    dead = socket.socket(socket.AF_UNIX)
    if len(os.fsencode(place)) < 100:
        dead.bind(str(place))
    dead.close()
    assert await can_be_asked(place) is Reply.AWAY
    first, _ = door(place)
    assert first.open()
    second, _ = door(place)
    assert second.open()
    first.close()
    assert await can_be_asked(place) is Reply.LET_GO, "the second one's is still there"
    second.close()


async def test_nobody_there_is_known_soon(place):
    before = time.monotonic()
    assert await ask(place) == Answer(Reply.AWAY)
    assert time.monotonic() - before < 0.5


@pytest.mark.parametrize(
    "said", [b"", b"\n", b"[]\n", b"{", b"\xff\xfe\n", b'{"please": 1}\n', b"x" * 9000]
)
async def test_junk_is_not_obeyed_and_stops_nobody(place, said):
    opened, asked = door(place)
    opened.open()
    loop = asyncio.get_running_loop()
    folder = os.open(place.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as junk:
        junk.setblocking(False)
        await loop.sock_connect(junk, f"/proc/self/fd/{folder}/{place.name}")
        await loop.sock_sendall(junk, said)
    os.close(folder)
    assert await ask(place) == Answer(Reply.LET_GO)
    assert len(asked) == 1
    opened.close()


async def test_whoever_says_nothing_holds_up_nobody_for_long(place, monkeypatch):
    monkeypatch.setattr("chinwag.stores.takeover.LISTENING", 0.1)
    opened, _ = door(place)
    opened.open()
    folder = os.open(place.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(mute, f"/proc/self/fd/{folder}/{place.name}")
        assert await ask(place) == Answer(Reply.LET_GO)
    os.close(folder)
    opened.close()


HOLDER = """
import asyncio, pathlib, sys
from chinwag.stores.takeover import Door
async def main():
    async def asked(who):
        await asyncio.sleep(60)
    Door(pathlib.Path(sys.argv[1]), asked).open()
    print("open", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.fixture
def holder(tmp_path):
    """Another program that holds a session and is in no hurry."""
    place = tmp_path / "held.ask"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(place)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "open\n"
    yield process, place
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait(10)
    process.stdout.close()


async def test_who_does_not_answer_in_time_is_not_waited_for(holder):
    _, place = holder
    before = time.monotonic()
    assert await ask(place, patience=0.3) == Answer(Reply.SILENT)
    assert time.monotonic() - before < 1.0


async def test_who_is_stopped_is_known_at_once(holder):
    process, place = holder
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)  # noqa: ASYNC222 - it is stopped already
    before = time.monotonic()
    assert await can_be_asked(place) is Reply.STOPPED
    assert await ask(place) == Answer(Reply.STOPPED)
    assert time.monotonic() - before < 0.2


async def test_who_was_killed_is_away(holder):
    process, place = holder
    process.kill()
    process.wait(10)
    assert place.exists()
    assert await can_be_asked(place) is Reply.AWAY
