"""Messages and history (F046 to F056)."""

# ruff: noqa: INP001, S101, T201 - examples print, and say what holds

from chinwag import Call, Chat, Message, Role


def reading() -> None:
    """F046 to F049, F056: all, by role, the last, how many."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        assert chat.last is None
        chat.send("Hello")
        for message in chat.messages:
            print(f"{message.role}: {message.text[:60]}")
        assert chat.messages[0].role is Role.SYSTEM
        assert chat.count == 2  # question and answer; the system prompt is no message
        assert chat.turns == 1


def by_hand() -> None:
    """F050, F055, F086: put anything into the history, tools' calls and results too."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        chat.add(Message.system("You tell the time."))
        chat.add(Message.user("What time is it?"))
        chat.add(Message.assistant("", Call("c1", "get_time", "{}")))
        chat.add(Message.tool("c1", "12:00", name="get_time"))
        print(chat.send())
        assert chat.messages[3].role is Role.TOOL


def dicts() -> None:
    """F051: out and back, system prompt included."""
    with Chat("openai/gpt-5-mini", system="Be brief.", max_tokens=60) as chat:
        chat.send("Hello")
        plain = chat.to_dicts()
    with Chat.from_dicts(plain, "openai/gpt-5-mini") as again:
        assert again.to_dicts() == plain
        assert again.system == "Be brief."


def clearing() -> None:
    """F041, F052 to F054: with the prompt or without; the record stays, and so does the id."""
    with Chat("openai/gpt-5-mini", system="Be brief.", max_tokens=60) as chat:
        chat.send("Hello")
        before = chat.id
        chat.clear()
        assert [m.role for m in chat.messages] == ["system"]
        chat.clear(keep_system=False)
        assert chat.messages == []
        assert chat.id == before
        chat.undo(2)
        assert chat.count == 2


def main() -> None:
    reading()
    by_hand()
    dicts()
    clearing()


if __name__ == "__main__":
    main()
