"""Tools: declared as functions, run by hand (F083, F086, F088, X09)."""

# ruff: noqa: INP001, T201 - examples print

import json

from chinwag import Chat, Message, tool


@tool(risk="read")
def get_weather(city: str) -> str:
    """The weather in a city now."""
    return f"sunny in {city}"


def by_hand() -> None:
    """X09: the model's call is in the reply; what it gave goes back as a message."""
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
        print([m.role for m in chat.messages])


def main() -> None:
    by_hand()


if __name__ == "__main__":
    main()
