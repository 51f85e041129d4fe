"""When to try again: by reliability.md, section 5; never after the first word."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import (
    BadRequest,
    KeyRefused,
    Overloaded,
    ProviderError,
    RateLimited,
    StreamBroken,
    Unreachable,
)
from chinwag.providers.base import Request
from chinwag.providers.retry import ATTEMPTS, LONGEST, OBEYED, next_wait, with_retries
from chinwag.providers.scripted import Scripted
from chinwag.talk.delta import Ended, ServedBy, TextDelta
from chinwag.talk.message import Message

ASKED = Request("m", (Message.user("hi"),))


def test_three_attempts():
    error = Unreachable("x")
    assert next_wait(error, 1, 0, 0.5) is not None
    assert next_wait(error, 2, 0, 0.5) is not None
    assert next_wait(error, 3, 0, 0.5) is None


@given(
    st.integers(1, 5),
    st.floats(0, 200),
    st.floats(0, 0.999),
    st.none() | st.floats(0, 200),
)
def test_waits_stay_within_bounds(attempt, elapsed, rnd, told):
    wait = next_wait(RateLimited("x", wait=told), attempt, elapsed, rnd)
    if wait is None:
        backoff = min(20.0, 2.0 ** (attempt - 1)) if told is None else told + 0.25
        long = told is not None and told > OBEYED
        assert long or attempt >= ATTEMPTS or elapsed + backoff > LONGEST
        return
    assert attempt < ATTEMPTS
    assert elapsed + wait <= LONGEST
    assert OBEYED + 1 > wait >= (told or 0)


@pytest.mark.parametrize(
    "error",
    [BadRequest("x"), KeyRefused("x"), StreamBroken("x"), RateLimited("x", out_of_credit=True)],
)
def test_not_tried_again(error):
    assert next_wait(error, 1, 0, 0.5) is None


def test_full_jitter():
    assert next_wait(Overloaded("x"), 1, 0, 0.0) == 0.0
    assert next_wait(Overloaded("x"), 2, 0, 0.5) == 1.0


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


async def run(script, waits):
    clock = Clock()
    heard = []
    stream = with_retries(
        lambda: script.stream(ASKED),
        lambda reason, seconds: waits.append((reason, seconds)),
        sleep=clock.sleep,
        clock=clock,
        rnd=lambda: 0.5,
    )
    try:
        async for delta in stream:
            heard.append(delta)  # noqa: PERF401  # what came before the error counts
    except ProviderError as error:
        return heard, clock, error
    return heard, clock, None


async def test_the_first_attempt_that_speaks_is_heard():
    script = Scripted([Unreachable("gone"), RateLimited("slow", wait=3.0), "Hello."])
    waits = []
    heard, clock, error = await run(script, waits)
    assert error is None
    assert [d.text for d in heard if isinstance(d, TextDelta)] == ["Hello."]
    assert clock.slept == [0.5, 3.125]
    assert waits == [("gone", 0.5), ("slow", 3.125)]
    assert script.closed == 3


async def test_never_after_content():
    script = Scripted([[TextDelta("Hel"), Overloaded("busy")], "Hello."])
    heard, clock, error = await run(script, [])
    assert isinstance(error, Overloaded)
    assert heard == [TextDelta("Hel")]
    assert clock.slept == []
    assert len(script.requests) == 1


async def test_what_is_no_content_does_not_stand_in_the_way():
    script = Scripted([[ServedBy("m"), Overloaded("busy")], "Hi"])
    heard, _, error = await run(script, [])
    assert error is None
    assert isinstance(heard[-1], Ended)


async def test_the_last_error_is_raised():
    script = Scripted([Unreachable("one"), Unreachable("two"), Unreachable("three")])
    _, clock, error = await run(script, [])
    assert error.message == "three"
    assert len(clock.slept) == 2


async def test_leaving_closes_the_attempt():
    script = Scripted(["one two three"])
    stream = with_retries(lambda: script.stream(ASKED), lambda *_: None)
    await anext(stream)
    await stream.aclose()
    assert script.closed == 1
