"""Sending, streaming, failing (F014 to F025)."""

# ruff: noqa: INP001, S101, T201 - examples print, and say what holds

import dataclasses

from chinwag import Chat, ContextOverflow, KeyMissing, Message, ProviderError
from chinwag.talk.event import Heard


def a_conversation() -> None:
    """F014, F015: each answer sees what was said before."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        chat.send("My name is Ana.")
        reply = chat.send("What is my name?")
        print(reply.text)
        assert [m.role for m in chat.messages[1:]] == ["user", "assistant"] * 2


def answer_what_is_there() -> None:
    """F016: without a new message, what is there is answered."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        chat.add(Message.user("Hello"))
        print(chat.send())


def what_comes_back() -> None:
    """F018, F019: text, who answered, why it ended, what it took."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        reply = chat.send("What is Rust?")
        print(reply.provider, reply.model, reply.stop, reply.usage.total)
        print([step.text for step in reply.steps])


def as_it_comes() -> None:
    """F021, X01: words as they come; leaving early keeps what was heard."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        for word in chat.stream("Tell me a story").texts():
            print(word, end="", flush=True)
        print()
        for event in chat.stream("Another one"):
            if isinstance(event, Heard):
                break  # interrupted
        assert chat.turns == 2


def another_model_this_once() -> None:
    """F023: for one answer."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        print(chat.send("Hello", model="anthropic/claude-haiku-5").provider)
        print(chat.send("Hello again").provider)


@dataclasses.dataclass
class City:
    """A city, as the model is asked for it."""

    name: str
    people: int


def structured() -> City:
    """X04: an answer of a type."""
    with Chat("openai/gpt-5-mini") as chat:
        city = chat.send("The largest city of Portugal?", schema=City).data
        assert isinstance(city, City)
        print(city.name, city.people)
        return city


def when_it_fails() -> None:
    """F024, F025: every failure says what to do, and the talk goes on."""
    with Chat("groq/llama-3.3-70b") as chat:
        try:
            chat.send("Hello")
        except KeyMissing as error:
            print(error, "-", error.hint)
        except ContextOverflow as error:
            print("too long:", error.asked, "of", error.limit)
        except ProviderError as error:
            print(error, "-", error.hint)
        assert chat.count >= 1  # what was said is there


def main() -> None:
    a_conversation()
    answer_what_is_there()
    what_comes_back()
    as_it_comes()
    another_model_this_once()


if __name__ == "__main__":
    main()
