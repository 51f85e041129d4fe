"""Reading ahead: batches, the deadline, and what is left when it ends."""

import asyncio
import time

import pytest

from chinwag.providers.gathering import AHEAD, Gathering


class Lost(Exception):
    """A connection that broke."""


class Chunks:
    """Yields what it is given: bytes at once, floats as pauses, exceptions as what they are."""

    def __init__(self, *steps):
        self.read = 0
        self.closed = False
        self._steps = steps

    async def play(self):
        try:
            for step in self._steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, BaseException):
                    raise step
                else:
                    self.read += len(step)
                    yield step
        finally:
            self.closed = True


def gathering(*steps, seconds=5.0):
    chunks = Chunks(*steps)
    return chunks, Gathering(chunks.play(), (Lost,), seconds)


async def test_what_comes_at_once_is_taken_at_once_and_in_order():
    chunks, gathered = gathering(b"a", b"b", b"c", 0.01, b"d")
    assert await gathered.take() == b"abc"
    assert await gathered.take() == b"d"
    assert await gathered.take() == b""
    assert await gathered.take() == b""
    assert (gathered.broken, gathered.expired, chunks.closed) == (False, False, True)
    await gathered.close()


async def test_no_more_is_read_ahead_than_agreed():
    piece = b"x" * 1000
    chunks, gathered = gathering(*[piece] * 100)
    await asyncio.sleep(0.01)
    assert AHEAD <= chunks.read < AHEAD + len(piece)
    size = 0
    while data := await gathered.take():
        size += len(data)
    assert size == 100 * len(piece)
    await gathered.close()


async def test_a_break_comes_after_what_came_before_it():
    _, gathered = gathering(b"heard", Lost("gone"))
    assert await gathered.take() == b"heard"
    assert await gathered.take() == b""
    assert gathered.broken
    await gathered.close()


async def test_a_mistake_goes_up():
    _, gathered = gathering(b"heard", ZeroDivisionError("a mistake"))
    assert await gathered.take() == b"heard"
    with pytest.raises(ZeroDivisionError):
        await gathered.take()
    await gathered.close()


async def test_the_deadline_ends_a_wait_and_can_be_set_again():
    _, gathered = gathering(b"a", 0.3, b"b", seconds=0.05)
    assert await gathered.take() == b"a"
    assert await gathered.take() == b""
    assert gathered.expired
    gathered.wait(5.0)
    assert not gathered.expired
    assert await gathered.take() == b"b"
    gathered.wait(0.01)
    assert await gathered.take() == b""
    await gathered.close()


async def test_content_moves_the_deadline():
    _, gathered = gathering(*[0.04, b"."] * 5, seconds=0.1)
    for _ in range(5):
        assert await gathered.take() == b"."
        gathered.wait(0.1)
    await gathered.close()


async def test_the_listeners_own_slowness_is_not_the_servers():
    _, gathered = gathering(b"a", 0.2, b"b", seconds=0.05)
    await asyncio.sleep(0.1)  # nobody waits when the deadline passes
    assert await gathered.take() == b"a"
    gathered.wait(1.0)
    assert await gathered.take() == b"b"
    assert not gathered.expired
    await gathered.close()


async def test_bytes_at_the_very_deadline_do_not_undo_it():
    loop, came = asyncio.get_running_loop(), asyncio.Event()

    async def chunks():
        await came.wait()
        yield b"late"
        await loop.create_future()

    gathered = Gathering(chunks(), (Lost,), 0.05)
    taking = asyncio.create_task(gathered.take())
    await asyncio.sleep(0)
    loop.call_at(loop.time() + 0.045, lambda: (time.sleep(0.02), came.set()))
    assert await asyncio.wait_for(taking, 1) in {b"late", b""}
    left = [await asyncio.wait_for(gathered.take(), 1) for _ in range(2)]
    assert left[-1] == b""
    assert gathered.expired
    await gathered.close()


async def test_hurrying_twice_gives_no_second_delay():
    _, gathered = gathering(b"a", 1.0, seconds=9.0)
    await gathered.take()
    began = asyncio.get_running_loop().time()
    gathered.hurry(0.05)
    gathered.hurry(9.0)
    assert await gathered.take() == b""
    assert gathered.expired
    assert asyncio.get_running_loop().time() - began < 0.9
    await gathered.close()


@pytest.mark.parametrize("steps", [(), (b"a",), (b"a", 9.0), (9.0,), [b"x" * AHEAD] * 3])
@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_closing_leaves_no_task_behind(steps, turns):
    before = asyncio.all_tasks()
    chunks, gathered = gathering(*steps)
    for _ in range(turns):
        await asyncio.sleep(0)
    await gathered.close()
    await gathered.close()
    assert asyncio.all_tasks() == before
    assert chunks.closed or not turns


async def test_whoever_waits_may_be_cancelled():
    chunks, gathered = gathering(9.0)
    waiting = asyncio.create_task(gathered.take())
    await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await gathered.close()
    assert chunks.closed
