"""What a type checker knows of the face: this file passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, assert_type

from chinwag import (
    AsyncChat,
    AsyncStream,
    Chat,
    Compactor,
    File,
    Image,
    Message,
    Proposal,
    Reply,
    Status,
    Step,
    Stop,
    Store,
    Stream,
    SummariseCompactor,
    TruncateCompactor,
    Usage,
    attachment,
    open_store,
    tool,
)
from chinwag.context.windows import Cut, Dropped
from chinwag.stores.moving import Moved
from chinwag.talk.entry import Compacted
from chinwag.talk.event import AnyEvent


@tool(risk="read")
def get_time(zone: str, hour: int = 0) -> str:
    """The time."""
    return f"{zone} {hour}"


@tool
def bare() -> int:
    """A number."""
    return 1


assert_type(get_time("UTC", 1), str)
assert_type(bare(), int)


class Mine:
    async def compact(
        self, messages: Sequence[Message], target: int, *, hint: str, ask: Any
    ) -> Proposal:
        return Proposal("", 1)


mine: Compactor = Mine()


def sync() -> None:
    chat = Chat(
        "openai/gpt-5-mini",
        system="Be concise.",
        temperature=0.7,
        max_tokens=500,
        stop=["END"],
        context_limit=16384,
        margin=0.8,
        policy="trim",
        compactor=TruncateCompactor(),
        tools=[get_time],
        max_steps=10,
        store="sqlite:sessions.db",
        session="user-123",
        metadata={"user_id": "123"},
        budget="$2",
        tokenizer=len,
    )
    reply = chat.send("What is Rust?", model="x", files=["a.png"], schema={"type": "object"})
    assert_type(reply, Reply)
    assert_type(reply.text, str)
    assert_type(reply.steps, tuple[Step, ...])
    assert_type(reply.usage, Usage)
    assert_type(reply.stop, Stop | None)
    assert_type(reply.status, Status)
    stream = chat.stream("more")
    assert_type(stream, Stream)
    for event in stream:
        assert_type(event, AnyEvent)
    assert_type(stream.texts(), Iterator[str])
    assert_type(stream.reply, Reply | None)
    assert_type(chat.messages, list[Message])
    assert_type(chat.last, Message | None)
    assert_type(chat.metadata, Mapping[str, Any])
    assert_type(chat.cost, Decimal | None)
    assert_type(chat.total_tokens, int)
    assert_type(chat.trim(), Cut | None)
    assert_type(chat.prune(), list[Dropped])
    assert_type(chat.compact(target=1000, compactor=mine), Compacted | None)
    assert_type(chat.summarise(keep=10), str)
    assert_type(chat.fork(), Chat)
    assert_type(chat.undo(), str)
    assert_type(chat.to_messages("anthropic"), list[dict[str, Any]])
    assert_type(Chat.load("talk.json"), Chat)
    assert_type(Chat.from_dicts(chat.to_dicts()), Chat)
    assert_type(Chat.builder("x").model("y").build(), Chat)
    assert_type(attachment("a.png"), Image | File)
    with chat as same:
        assert_type(same, Chat)


async def awaited() -> None:
    async with AsyncChat("openai/gpt-5-mini", compactor=SummariseCompactor()) as chat:
        assert_type(chat, AsyncChat)
        assert_type(await chat.send("hi"), Reply)
        stream = chat.stream("more")
        assert_type(stream, AsyncStream)
        async for event in stream:
            assert_type(event, AnyEvent)
        async for word in chat.stream("more").texts():
            assert_type(word, str)
        assert_type(await chat.fork(), AsyncChat)


def stores() -> None:
    with open_store("redis://localhost:6379/0", "openai/gpt-5-mini", system="x") as store:
        assert_type(store, Store)
        assert_type(store.open("x"), Chat)
        assert_type(store.get("x"), Chat | None)
        assert_type(store.move_to("sqlite:all.db"), list[Moved])
