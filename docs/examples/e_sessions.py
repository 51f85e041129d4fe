"""Keeping, finding and moving sessions (F057 to F077)."""

# ruff: noqa: INP001, S101, T201 - examples print, and say what holds

from chinwag import Chat, SessionNotFound, open_store


def a_file() -> None:
    """F057, F058, F075: the whole session as JSON; settings and metadata come back."""
    with Chat("openai/gpt-5-mini", metadata={"name": "trip"}, max_tokens=60) as chat:
        chat.send("My name is Ana.")
        chat.save("talk.json")
    with Chat.load("talk.json") as again:  # the model comes from the file
        assert again.messages == chat.messages
        assert again.metadata == {"name": "trip"}
        again.send("What is my name?")


def a_store() -> None:
    """F059 to F069, F076: one URL says where; every word is safe when send() returns."""
    url = "sqlite:sessions.db"  # or file:folder, redis://localhost:6379/0, memory:
    with Chat("openai/gpt-5-mini", store=url, session="user-123", max_tokens=60) as chat:
        assert not chat.resumed
        chat.send("My name is Ana.")
    with Chat("openai/gpt-5-mini", store=url, session="user-123", max_tokens=60) as chat:
        assert chat.resumed
        assert chat.count == 2
        chat.send("What is my name?")
    with Chat("openai/gpt-5-mini", store=url, session="user-456", max_tokens=60) as other:
        assert other.count == 0  # F068: nobody sees another's talk


def a_manager() -> None:
    """F070, F071: create, get, list, rename, search, delete."""
    with open_store("file:managed", "openai/gpt-5-mini", max_tokens=60) as store:
        chat = store.create("Trip to Lisbon")
        chat.send("What should I see in Lisbon?")
        store.create("Taxes").send("What do I owe?")
        for header in store.sessions():
            print(header.id, header.name, header.headline.messages)
        assert store.open("trip-to-lisbon") is chat
        assert store.get("nothing like it") is None
        assert store.search("lisbon")[0].session_id == chat.id
        store.rename("taxes", "Tax return")
        store.delete("tax-return")
        store.restore("tax-return")
        assert store.exists("tax-return")


def unknown() -> None:
    """F067: an unknown session is an error with near names, never an empty one."""
    with open_store("memory:") as store:
        try:
            store.open("nobody")
        except SessionNotFound as error:
            print(error, "-", error.hint)


def moving() -> None:
    """F064: to another kind of store, compared byte for byte."""
    with open_store("file:managed") as store:
        for moved in store.move_to("sqlite:all.db"):
            print(moved.id, moved.came)
    with open_store("sqlite:all.db") as store:
        assert len(store) == 2


def forking() -> None:
    """F072 to F074: a copy goes its own way."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        chat.send("Tell me about boats")
        with chat.fork() as fork:
            fork.send("And about ships?")
            assert (chat.count, fork.count) == (2, 4)


def testing() -> None:
    """F077, F099: the same code against memory."""
    with Chat("openai/gpt-5-mini", store="memory:", session="t", max_tokens=60) as chat:
        chat.send("Hello")
    with open_store("memory:") as store:
        assert "t" in store


def main() -> None:
    a_file()
    a_store()
    a_manager()
    unknown()
    moving()
    forking()
    testing()


if __name__ == "__main__":
    main()
