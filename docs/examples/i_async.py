"""The same, awaited; many talks at once (F068, F100, F101)."""

# ruff: noqa: INP001, S101, T201 - examples print, and say what holds

import asyncio

from chinwag import AsyncChat


async def one() -> None:
    async with AsyncChat("openai/gpt-5-mini", context_limit=8192, max_tokens=60) as chat:
        reply = await chat.send("What is Rust?")
        print(reply.text)
        async for word in chat.stream("Tell me more").texts():
            print(word, end="", flush=True)
        print()
        assert chat.turns == 2


async def many() -> None:
    """Ten talks at once; each has its own history."""
    chats = [AsyncChat("openai/gpt-5-mini", max_tokens=20) for _ in range(10)]
    await asyncio.gather(*(chat.send(f"I am number {n}") for n, chat in enumerate(chats)))
    assert [chat.count for chat in chats] == [2] * 10
    await asyncio.gather(*(chat.close() for chat in chats))


async def stopped() -> None:
    """A time limit ends the answer; what was heard until then is kept."""
    async with AsyncChat("openai/gpt-5-mini", max_tokens=60) as chat:
        try:
            async with asyncio.timeout(30):
                await chat.send("Tell me a long story")
        except TimeoutError:
            print("stopped at:", chat.last)


def main() -> None:
    asyncio.run(one())
    asyncio.run(many())
    asyncio.run(stopped())


if __name__ == "__main__":
    main()
