"""One talk, many providers (F078 to F082)."""

# ruff: noqa: INP001, S101, T201 - examples print, and say what holds

import json

from chinwag import Chat


def across() -> None:
    """F078, F080, F081: begun with one, continued with another; history and settings stay."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        chat.send("What is the capital of France?")
        chat.switch("anthropic/claude-haiku-5")
        print(chat.send("And how large is it?").provider)
        assert chat.count == 4


def as_each_is_told() -> None:
    """F079: the messages in a provider's own form."""
    with Chat("openai/gpt-5-mini", system="Be brief.", max_tokens=60) as chat:
        chat.send("Hello")
        assert chat.to_messages("openai")[0]["role"] == "system"
        assert chat.to_messages("anthropic")[0]["role"] == "user"
        assert "system" in chat.to_request("anthropic")
        print(json.dumps(chat.to_messages("gemini"), ensure_ascii=False)[:200])


def whoever_is_there() -> None:
    """F082: without a model, the first provider with a key in the environment."""
    with Chat() as chat:
        print(chat.model or "to be found out with the first message")


def main() -> None:
    across()
    as_each_is_told()
    whoever_is_there()


if __name__ == "__main__":
    main()
