"""What every provider keeps, whoever it is: inherit, say how to make one, and be judged."""

from __future__ import annotations

import asyncio

import pytest

from chinwag.errors import ProviderError
from chinwag.providers.base import Provider, Request
from chinwag.talk.delta import Ended
from chinwag.talk.draft import Draft
from chinwag.talk.message import Message

ASKED = Request("m", (Message.user("hi"),))


class ProviderContract:
    """Each fixture gives a provider; an implementation overrides them.

    ``answering`` says "Hello." and ends; ``breaking`` says "Hel" and is cut; ``hanging`` says "Hel"
    and nothing more; ``refusing`` raises an error of ProviderError's family before any word.
    """

    @pytest.fixture
    async def answering(self) -> Provider:
        raise NotImplementedError

    @pytest.fixture
    async def breaking(self) -> Provider:
        raise NotImplementedError

    @pytest.fixture
    async def hanging(self) -> Provider:
        raise NotImplementedError

    @pytest.fixture
    async def refusing(self) -> Provider:
        raise NotImplementedError

    def released(self) -> bool:
        """Whether whatever a stream held has been let go of."""
        return True

    async def _let_go(self) -> None:
        assert await asyncio.to_thread(self.released)
        await asyncio.sleep(0.02)  # the loop closes a library's inner generators in its next rounds
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def test_the_end_is_said_once_and_last(self, answering: Provider):
        deltas = [delta async for delta in answering.stream(ASKED)]
        assert sum(isinstance(d, Ended) for d in deltas) == 1
        assert isinstance(deltas[-1], Ended)
        assert _draft(deltas).text == "Hello."

    async def test_asking_again_answers_again(self, answering: Provider):
        first = [delta async for delta in answering.stream(ASKED)]
        assert [delta async for delta in answering.stream(ASKED)] == first

    async def test_two_may_be_asked_at_once(self, answering: Provider):
        async def text() -> str:
            return _draft([d async for d in answering.stream(ASKED)]).text

        assert await asyncio.gather(text(), text()) == ["Hello.", "Hello."]

    async def test_a_cut_is_raised_after_what_was_heard(self, breaking: Provider):
        heard = []

        async def listen() -> None:
            async for delta in breaking.stream(ASKED):
                heard.append(delta)  # noqa: PERF401  # what came before the error counts

        with pytest.raises(ProviderError):
            await listen()
        assert _draft(heard).text == "Hel"
        assert not any(isinstance(d, Ended) for d in heard)

    async def test_a_refusal_has_a_hint(self, refusing: Provider):
        with pytest.raises(ProviderError) as raised:
            await anext(refusing.stream(ASKED))
        assert raised.value.message
        assert raised.value.hint

    async def test_leaving_lets_go_at_once(self, hanging: Provider):
        stream = hanging.stream(ASKED)
        await anext(stream)
        async with asyncio.timeout(1):
            await stream.aclose()
        await self._let_go()

    async def test_cancelling_lets_go_at_once(self, hanging: Provider):
        async def listen() -> None:
            async for _ in hanging.stream(ASKED):
                pass

        task = asyncio.ensure_future(listen())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            async with asyncio.timeout(1):
                await task
        await self._let_go()

    async def test_closing_twice_does_no_harm(self, answering: Provider):
        await answering.aclose()
        await answering.aclose()


def _draft(deltas: list) -> Draft:
    draft = Draft()
    for delta in deltas:
        draft = draft.add(delta)
    return draft
