"""What a type checker refuses: each marked line, with that code, and no other."""

from __future__ import annotations

from chinwag import AsyncChat, Chat, Message, open_store, tool

chat = Chat("openai/gpt-5-mini")
Chat("openai/gpt-5-mini", temprature=0.7)  # expect: call-arg
Chat("openai/gpt-5-mini", temperature="warm")  # expect: typeddict-item,arg-type
Chat(5)  # expect: arg-type
chat.send(5)  # expect: arg-type
chat.add("hello")  # expect: arg-type
chat.reply  # noqa: B018  # expect: attr-defined
Message.user(5)  # expect: arg-type
text: int = chat.send("x").text  # expect: assignment
tool(risk="some")  # expect: call-overload
open_store("file:", sytem="x")  # expect: call-arg


async def awaited() -> None:
    other = AsyncChat("openai/gpt-5-mini")
    word: str = other.send("x")  # noqa: F841  # expect: assignment
