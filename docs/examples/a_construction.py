"""Making a chat: one line, keywords, builder (F001 to F013)."""

# ruff: noqa: INP001, S101, T201 - examples print, and say what holds

from chinwag import Chat, SummariseCompactor


def one_line() -> None:
    """F001, F003: a model's name is enough; "You are a helpful assistant." is the prompt."""
    with Chat("ollama/qwen3:8b") as chat:
        print(chat.send("What is Rust?"))
        assert chat.system == "You are a helpful assistant."


def keywords() -> None:
    """F002, F004 to F011: everything else is a keyword, and everything is optional."""
    with Chat(
        "openai/gpt-5-mini",
        system="You are a Rust expert. Be concise.",
        temperature=0.7,
        max_tokens=500,
        context_limit=16_384,  # None: the model's own window
        margin=0.8,
        tokenizer="cl100k_base",
        compactor=SummariseCompactor(keep_recent=4),
        metadata={"user_id": "123", "session_name": "Trip"},
    ) as chat:
        print(chat.send("What is ownership?"))
        assert chat.metadata["user_id"] == "123"
        assert chat.context.window == 16_384
        assert chat.id  # generated, like 20261120-093015-k3f9q2


def step_by_step() -> None:
    """F002: the same as a builder."""
    chat = (
        Chat.builder("openai/gpt-5-mini")
        .system("You are a pirate.")
        .temperature(1.0)
        .context_limit(8192)
        .build()
    )
    with chat:
        print(chat.send("Who are you?"))


def own_server() -> None:
    """F012, F013: any compatible server; a key is given, or where it is."""
    with Chat("qwen3", base_url="http://127.0.0.1:8080/v1", key="none") as chat:
        print(chat.model)


def main() -> None:
    one_line()
    keywords()
    step_by_step()
    own_server()


if __name__ == "__main__":
    main()
