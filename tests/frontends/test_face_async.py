"""AsyncChat: the same engine on the caller's loop."""

from __future__ import annotations

import asyncio
import gc

import pytest

from chinwag import (
    AsyncChat,
    Chat,
    Message,
    Overloaded,
    ProviderError,
    SessionLocked,
    Status,
    TruncateCompactor,
    UsageError,
)
from chinwag.frontends.face.chat import Chat as Sync
from chinwag.providers.scripted import Pause
from chinwag.talk.delta import TextDelta
from chinwag.talk.event import Heard
from support.chats import achat, own_threads, scripted

SLOW = [TextDelta("One "), Pause(60.0), TextDelta("two")]


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    gc.collect()
    assert not own_threads()


async def test_a_talk():
    made, who = achat("Hello.", "b", "c", temperature=0.5, metadata={"a": 1})
    async with made as chat:
        assert (await chat.send("hi")).text == "Hello."
        assert chat.last == Message.assistant("Hello.")
        await chat.tag(b=2)
        await chat.rename("Trip")
        await chat.set(seed=4)
        assert (await chat.retry()).text == "b"
        await chat.set_system("Be brief.")
        await chat.add(Message.user("and?"))
        assert (await chat.send()).text == "c"
        assert (chat.title, dict(chat.metadata), chat.count) == ("Trip", {"a": 1, "b": 2}, 4)
        assert await chat.undo() == "and?"
        await chat.redo()
        await chat.pin(1)
        await chat.exclude(2)
        await chat.unmark(2)
        await chat.switch("scripted/script")
        assert await chat.prune() == []
        assert await chat.trim() is None
        assert await chat.focus("nothing at all") is not None
        assert (await chat.compact(target=5, compactor=TruncateCompactor())) is not None
        fork = await chat.fork()
        await fork.clear()
        assert (fork.count, chat.count) == (0, 4)
        await fork.close()
    assert who.requests[2].system == "Be brief."
    assert who.requests[2].options.seed == 4


async def test_it_needs_no_block():
    made, _ = achat()
    assert (await made.send("hi")).text == "Hello there."
    await made.close()
    await made.close()
    with pytest.raises(UsageError, match="closed"):
        await made.send("hi")


async def test_a_stream_left_early_keeps_what_was_heard():
    made, _ = achat(SLOW, "next")
    async with made as chat:
        async with chat.stream("count") as stream:
            async for event in stream:
                if isinstance(event, Heard):
                    break
        assert chat.last == Message.assistant("One ")
        assert stream.reply.status is Status.INTERRUPTED
        assert "".join([t async for t in chat.stream("go on").texts()]) == "next"


async def test_a_stream_that_is_dropped_ends_by_itself():
    made, _ = achat(SLOW, "next")
    async with made as chat:
        async for event in chat.stream("count"):
            if isinstance(event, Heard):
                break
        gc.collect()
        assert (await asyncio.wait_for(chat.send("go on"), 10)).text == "next"
        assert [m.text for m in chat.messages[1:3]] == ["count", "One "]


async def test_who_is_cancelled_keeps_what_was_heard():
    made, who = achat(SLOW, "next")
    async with made as chat:
        asking = asyncio.create_task(chat.send("count"))
        while not who.requests:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert chat.last == Message.assistant("One ")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await made.send("x") if len(who.requests) > 1 else await _slowly(chat, who)


async def _slowly(chat, who):
    who._answers[1] = SLOW
    await chat.send("again")


async def test_interrupt_from_within():
    made, _ = achat(SLOW)
    async with made as chat:
        asking = asyncio.create_task(chat.send("count"))
        await asyncio.sleep(0.05)
        chat.interrupt()
        reply = await asking
        assert (reply.status, reply.text) == (Status.INTERRUPTED, "One ")


async def test_failures_are_raised():
    made, _ = achat(ProviderError("no"), [TextDelta("half "), Overloaded("busy")])
    async with made as chat:
        with pytest.raises(ProviderError, match="no"):
            await chat.send("hi")
        stream = chat.stream()
        with pytest.raises(Overloaded):
            _ = [event async for event in stream]
        assert chat.last.text == "half "


async def test_many_at_once_on_one_loop():
    made = [achat(f"I am {i}")[0] for i in range(100)]
    replies = await asyncio.gather(*(each.send("hi") for each in made))
    assert [r.text for r in replies] == [f"I am {i}" for i in range(100)]
    same = [made[0].send(f"n{i}") for i in range(10)]
    await asyncio.gather(*same)
    assert made[0].count == 22
    await asyncio.gather(*(each.close() for each in made))


def test_it_belongs_to_one_loop():
    made, _ = achat()
    asyncio.run(made.send("hi"))

    async def elsewhere():
        with pytest.raises(UsageError, match="belongs to the loop"):
            await made.send("hi")

    asyncio.run(elsewhere())


async def test_a_session_is_opened_where_it_is_kept(tmp_path):
    url = f"file:{tmp_path}"
    async with AsyncChat(provider=scripted(), model="script", store=url, session="trip") as chat:
        await chat.send("hi")
        assert not chat.resumed
        chat.save(tmp_path / "copy.json")
    async with AsyncChat(provider=scripted(), model="script", store=url, session="trip") as chat:
        assert chat.resumed
        assert chat.count == 2
    async with AsyncChat.load(tmp_path / "copy.json", provider=scripted()) as chat:
        assert chat.count == 2
    async with AsyncChat.from_dicts(chat.to_dicts(), provider=scripted(), model="x") as again:
        assert again.count == 2
    built = AsyncChat.builder("scripted/script").provider(scripted()).system("x").build()
    assert (await built.send("hi")).text
    await built.close()


def test_the_two_faces_have_the_same_features():
    """What one can do the other can; names in one that are not in the other are on purpose."""
    only = {"aclose"}
    names = {n for n in dir(Chat) if not n.startswith("_")}
    assert names ^ {n for n in dir(AsyncChat) if not n.startswith("_")} <= only
    assert Sync is Chat


async def test_two_chats_in_one_memory_part_where_they_collide():
    """A session of `memory:` that two chats write: the second goes on in a fork."""
    one = AsyncChat(provider=scripted("1"), model="script", store="memory:", session="shared-a")
    two = AsyncChat(provider=scripted("2"), model="script", store="memory:", session="shared-a")
    async with one, two:
        await one.send("hi")
        three = AsyncChat(provider=scripted("3"), model="s", store="memory:", session="shared-a")
        async with three:
            assert three.resumed
            await three.send("from three")
            reply = await one.send("from one")
            assert reply.text == "1"
            await asyncio.sleep(0.05)
            assert [m.text for m in three.messages[-2:]] == ["from three", "3"]
            assert [m.text for m in one.messages[-2:]] == ["from one", "1"]
            assert one.id != three.id


async def test_what_could_not_be_opened_is_let_go_of(tmp_path):
    url = f"file:{tmp_path}"
    async with AsyncChat(provider=scripted(), model="s", store=url, session="trip") as chat:
        await chat.send("hi")
        with pytest.raises(SessionLocked):
            async with AsyncChat(provider=scripted(), model="s", store=url, session="trip"):
                pass
