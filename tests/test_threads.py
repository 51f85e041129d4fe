"""Between a loop and threads: what is done apart comes back; a loop that has ended is let be."""

from __future__ import annotations

import asyncio
import threading

import pytest

from chinwag.threads import apart, tell


async def test_what_is_done_apart_is_done_in_another_thread_and_comes_back():
    assert await apart(lambda word, more: (word, more), "a", more=1) == ("a", 1)
    assert await apart(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize(
    ("raised", "seen"),
    [(ValueError("x"), ValueError), (StopIteration(), RuntimeError)],
)
async def test_what_it_raises_is_raised_where_it_is_awaited(raised, seen):
    def fail():
        raise raised

    with pytest.raises(seen):
        await apart(fail)


async def test_who_is_cancelled_does_not_wait_for_the_thread():
    go_on, ended = threading.Event(), threading.Event()

    def work():
        go_on.wait(5)
        ended.set()

    task = asyncio.ensure_future(apart(work))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ended.is_set()
    go_on.set()
    assert ended.wait(5)


def test_a_loop_that_has_ended_is_told_nothing():
    loop = asyncio.new_event_loop()
    loop.close()
    heard = []
    tell(loop, heard.append, 1)
    assert heard == []
