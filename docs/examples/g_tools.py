"""Tools: functions the model may call (F009, F017, F083 to F088, X09)."""

# ruff: noqa: INP001, S101, T201 - examples print, and say what holds

import json

from chinwag import Chat, Message, tool
from chinwag.talk.event import ApprovalAsked


@tool(risk="read")
def get_weather(city: str) -> str:
    """The weather in a city now."""
    return f"sunny in {city}"


@tool(risk="write", timeout=10)
def write_note(text: str) -> str:
    """Write a note."""
    return f"noted: {text}"


def by_itself() -> None:
    """F084 to F087: calls are run, results go back, until there is an answer; all of it is kept."""
    with Chat("ollama/qwen3:8b", tools=[get_weather], max_steps=5) as chat:
        reply = chat.send("What is the weather in Lisbon?")
        print(reply.text)
        for step in reply.steps:
            print([call.name for call in step.calls], [r.content for r in step.results])
        assert [m.role for m in chat.messages[1:]] == ["user", "assistant", "tool", "assistant"]


def asked_first() -> None:
    """A program may be asked before each call: True, False, or a word for the model."""

    def approve(asked: ApprovalAsked) -> bool | str:
        print("to be run:", asked.shown)
        return True if asked.risk == "read" else "only reading is allowed"

    with Chat("ollama/qwen3:8b", tools=[get_weather, write_note], approve=approve) as chat:
        print(chat.send("What is the weather in Lisbon?"))


def by_hand() -> None:
    """X09: without tools of its own a chat hands the calls to you; what they gave goes back."""
    with Chat("ollama/qwen3:8b") as chat:
        reply = chat.send("What is the weather in Lisbon?")
        for call in reply.calls:
            try:
                content, failed = get_weather(**json.loads(call.arguments)), False
            except (TypeError, ValueError) as error:
                content, failed = str(error), True  # F088: the model is told
            chat.add(Message.tool(call.id, content, name=call.name, is_error=failed))
        if reply.calls:
            print(chat.send())


def main() -> None:
    by_itself()
    asked_first()
    by_hand()


if __name__ == "__main__":
    main()
