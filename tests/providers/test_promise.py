"""Both providers that stand on their own keep the promise of base.py."""

import time

import pytest

from chinwag.errors import KeyRefused
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.http import HttpProvider
from chinwag.providers.scripted import Pause, Scripted
from chinwag.talk.delta import Ended, Stop, TextDelta, UsageDelta
from chinwag.talk.draft import Draft
from chinwag.talk.message import Call
from chinwag.talk.usage import Usage
from contracts.provider import ASKED, ProviderContract
from support.servers import HANG, Loopback, Reply, finish, json_reply, said, sse

HELLO = sse(said("Hel"), said("lo."), finish())


class TestHttp(ProviderContract):
    async def _at(self, reply):
        with Loopback(reply) as server:
            self.server = server
            there = HttpProvider(Endpoint(name="lab", base_url=server.url), OpenAI())
            yield there
            await there.aclose()

    @pytest.fixture
    async def answering(self):
        async for there in self._at(Reply(HELLO)):
            yield there

    @pytest.fixture
    async def breaking(self):
        async for there in self._at(Reply(HELLO[:1])):
            yield there

    @pytest.fixture
    async def hanging(self):
        async for there in self._at(Reply([HELLO[0], HANG])):
            yield there

    @pytest.fixture
    async def refusing(self):
        async for there in self._at(json_reply({}, 401)):
            yield there

    def released(self):
        return self.server.wait_until(lambda: self.server.open_connections == 0, 1)


class TestScripted(ProviderContract):
    @pytest.fixture
    async def answering(self):
        return Scripted(["Hello."])

    @pytest.fixture
    async def breaking(self):
        return Scripted([[TextDelta("Hel")]])

    @pytest.fixture
    async def hanging(self):
        self.script = Scripted([["Hel", Pause(60)]])
        return self.script

    @pytest.fixture
    async def refusing(self):
        return Scripted([KeyRefused("no", hint="set another")])

    def released(self):
        return self.script.closed == 1


async def played(answer):
    return [d async for d in Scripted([answer]).stream(ASKED)]


async def test_a_text_is_spoken_word_by_word():
    deltas = await played("One two\n three ")
    assert [d.text for d in deltas if isinstance(d, TextDelta)] == ["One", " two", "\n three", " "]
    assert deltas[-2:] == [UsageDelta(Usage(output=4)), Ended(Stop.END, "script")]


async def test_calls_end_with_tools():
    deltas = await played(["Let me see.", Call("c1", "clock"), Call("c2", "clock", '{"a":1}')])
    draft = Draft()
    for delta in deltas:
        draft = draft.add(delta)
    assert [p.id for p in draft.parts() if isinstance(p, Call)] == ["c1", "c2"]
    assert draft.ended.stop is Stop.TOOLS


async def test_answers_in_turn_and_the_last_again():
    script = Scripted(["a", lambda request: request.messages[0].text])
    texts = []
    for _ in range(3):
        deltas = [d async for d in script.stream(ASKED)]
        texts.append(deltas[0].text)
    assert texts == ["a", "hi", "hi"]
    assert script.requests == [ASKED] * 3


async def test_a_rate_takes_its_time():
    began = time.monotonic()
    deltas = [d async for d in Scripted(["a b c d"], rate=100).stream(ASKED)]
    assert isinstance(deltas[-1], Ended)
    assert time.monotonic() - began >= 0.04
