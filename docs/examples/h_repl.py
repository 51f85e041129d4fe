"""A small chat program of one's own (F020, F025, F089 to F098). `chat` itself is the large one."""

# ruff: noqa: INP001, T201 - examples print

from chinwag import Chat, ChinwagError


def main() -> None:
    name = input("Session (empty for none): ").strip()
    settings = {"session": name, "store": "file:sessions"} if name else {}
    with Chat("openai/gpt-5-mini", max_tokens=60, **settings) as chat:  # type: ignore[arg-type]
        print(f"{chat.count} messages are here. /help for help.")
        while True:
            try:
                line = input("> ")
            except EOFError:
                break
            match line.strip():
                case "":
                    continue
                case "/exit" | "/quit":
                    break
                case "/help":
                    print("/clear /history /steps /undo /exit")
                case "/clear":
                    chat.clear()
                case "/history":
                    print(f"{chat.turns} turns, {chat.count} messages, {chat.total_tokens} tokens")
                case "/undo":
                    print(f"taken back: {chat.undo()}")
                case word if word.startswith("/"):
                    print(f"{word} is no command; /help lists them")  # never sent to the model
                case _:
                    _answer(chat, line)
    print("Goodbye.")


def _answer(chat: Chat, line: str) -> None:
    try:
        for word in chat.stream(line).texts():
            print(word, end="", flush=True)
        print(f"\n(Total tokens: {chat.total_tokens})")
    except ChinwagError as error:
        print(f"\n{error}. {error.hint}")  # and the loop goes on


if __name__ == "__main__":
    main()
