"""Every kind of broken stream, in every dialect it can happen to, judged through all three floors.

The transport, the retries and the turn's own listening are the real ones, on real sockets; only the
waits between attempts are counted instead of slept. What is asked of each: the verdict is right,
what was shown is kept, a part is never called the whole, nothing is asked again after a word, and
no key is in what is said.
"""

import asyncio
import time
from collections import Counter

import pytest

from chinwag.engine.turn import answer, listen
from chinwag.providers import http
from chinwag.providers.base import Request
from chinwag.providers.dialects.anthropic import Anthropic
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.gemini import Gemini
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.ollama import Ollama
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.dialects.responses import Responses
from chinwag.providers.http import HttpProvider
from chinwag.providers.retry import ATTEMPTS, with_retries
from chinwag.talk.entry import Status
from chinwag.talk.message import Message, Text
from support.faults import KEY, KINDS, SHORT, TONGUES, FaultServer, Kind

DIALECTS = {d.name: d for d in (OpenAI(), LlamaCpp(), Anthropic(), Ollama(), Responses(), Gemini())}
ASKED = Request("m", (Message.user("hi"),))
VERDICTS = {Status.COMPLETE: "complete", Status.PARTIAL: "partial", Status.FAILED: "failed"}


@pytest.fixture(scope="module")
def server():
    with FaultServer() as running:
        yield running


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """The waits for what may follow a whole answer, shortened: their length is no promise."""
    monkeypatch.setattr(http, "_LINGER", 0.3)
    monkeypatch.setattr(http, "_DRAIN", 0.1)


def test_the_table():
    """Enough of them, and each dialect has its share."""
    assert len(KINDS) >= 57
    assert set(TONGUES) == set(DIALECTS)
    shares = Counter(tongue for kind in KINDS.values() for tongue in kind.tongues)
    assert min(shares.values()) >= 57
    verdicts = Counter(kind.expect.verdict for kind in KINDS.values())
    assert min(verdicts[v] for v in ("complete", "partial", "failed")) >= 20


@pytest.mark.parametrize("name", KINDS)
async def test_judged_rightly(server, name):
    kind = KINDS[name]
    told = await asyncio.gather(*(judged(server, kind, tongue) for tongue in kind.tongues))
    wrong = [line for lines in told for line in lines]
    assert not wrong, "\n".join(wrong)
    assert server.stolen == []


class Times:
    """A clock that only sleeping moves, and what was slept."""

    def __init__(self):
        self.now = 0.0
        self.slept = []

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def made(server, kind: Kind, tongue, name, **more):
    settings = {
        "name": "lab",
        "base_url": server.url(kind, tongue, name),
        "key": lambda: KEY,
        "connect": SHORT if kind.at == "full" or kind.patience == SHORT else 5.0,
        "first_byte": kind.patience,
        "stall": kind.patience,
        **more,
    }
    return HttpProvider(Endpoint(**settings), DIALECTS[tongue])


async def judged(server, kind, tongue):
    """What is wrong with how this kind is judged in this tongue, in lines; best none."""
    name = f"{kind.name}-{tongue}-{time.monotonic_ns()}"
    provider = made(server, kind, tongue, name)
    try:
        if kind.twice:
            first, _, _ = await heard(provider)
            assert first.status is Status.COMPLETE, first
            await asyncio.sleep(0.02)
        before = server.hits[name]
        outcome, attempts, times = await heard(provider)
    finally:
        await provider.aclose()
    expect = kind.expected(tongue)
    entry = answer(outcome, provider="lab", model="m")
    words = f"{entry.error} {entry.hint} {outcome.error!r}"
    text = "".join(p.text for p in entry.parts if isinstance(p, Text))
    checks = {
        "verdict": (VERDICTS.get(outcome.status), expect.verdict),
        "text": (short(text), short(expect.text)),
        "error": (type(outcome.error).__name__ if expect.error else "", expect.error),
        "says": (expect.says in words or words, True),
        "key": (KEY[:12] in words, False),
        "sentence": (len(entry.error) < 1200, True),
        "explained": (bool(outcome.error), expect.verdict != "complete"),
        "terminal sign": (entry.stop is not None, expect.verdict == "complete"),
    }
    if expect.attempts:
        checks["attempts"] = (attempts, expect.attempts)
        checks["waits"] = (len(times.slept), expect.attempts - 1)
    if kind.at == "http" and expect.attempts:
        checks["requests"] = (server.hits[name] - before, expect.attempts)
    for slept, (low, high) in zip(times.slept, expect.waits or (), strict=False):
        checks[f"wait {slept}"] = (low <= slept <= high, True)
    return [
        f"{kind.name}/{tongue}: {what} is {got!r}, not {due!r} ({words})"
        for what, (got, due) in checks.items()
        if got != due
    ]


async def heard(provider):
    """(outcome, attempts, times) of one question."""
    times = Times()
    attempts = 0

    def opened():
        nonlocal attempts
        attempts += 1
        return provider.stream(ASKED)

    stream = with_retries(opened, lambda *_: None, sleep=times.sleep, clock=times, rnd=lambda: 0.5)
    outcome = await listen(stream, lambda _: None, asyncio.Event())
    assert attempts <= ATTEMPTS
    return outcome, attempts, times


def short(text):
    return text if len(text) < 200 else f"{text[:20]}…{text[-20:]} ({len(text)})"
