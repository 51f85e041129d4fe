"""How much is sent: counting, limits, policies (F006, F007, F026 to F045)."""

# ruff: noqa: ARG002, INP001, PT017, S101, T201 - examples print, and say what holds

from collections.abc import Sequence

from chinwag import (
    BudgetSpent,
    Chat,
    ContextOverflow,
    Message,
    Proposal,
    SummariseCompactor,
    TruncateCompactor,
)


def counting() -> None:
    """F028 to F031, F044: tokens of a text, of the talk, after each reply."""
    with Chat("openai/gpt-5-mini", tokenizer="o200k_base", max_tokens=60) as chat:
        reply = chat.send("What is Rust?")
        print(reply.text, f"(Total tokens: {chat.total_tokens:,} of {chat.context.window:,})")
        assert chat.count_tokens("hello world") == 2


def oldest_go_first() -> None:
    """F026, F027: whole turns go, the prompt stays, the record keeps everything."""
    with Chat("openai/gpt-5-mini", context_limit=300, policy="trim", max_tokens=40) as chat:
        for n in range(12):
            chat.send(f"Tell me fact number {n} about the harbour of Lisbon, please.")
            assert chat.total_tokens <= 300
        assert chat.turns == 12
        print(len(chat.sent), "of", chat.count, "messages are sent")


def refusing() -> None:
    """F032, F033: without a policy that may cut, too much is an error before anything is sent."""
    with Chat("openai/gpt-5-mini", context_limit=2000, margin=0.8, policy="refuse") as chat:
        try:
            chat.add(Message.user("word " * 3000))
        except ContextOverflow as error:
            print(f"{error.asked} tokens, {error.limit} allowed: {error.hint}")
            assert error.limit == 1600


def compacting() -> None:
    """F034 to F036, F038: at the margin by itself, or by hand; one step back undoes it."""
    with Chat(
        "openai/gpt-5-mini", context_limit=4000, compactor=TruncateCompactor(), max_tokens=60
    ) as chat:
        for n in range(6):
            chat.send(f"Question {n} about boats")
        chat.compact(target=100)
        assert len(chat.sent) < chat.count
        chat.undo()
        print(chat.summarise(keep=4) or "nothing to summarise")


class FirstAndLast:
    """F036: a compactor of one's own."""

    async def compact(
        self, messages: Sequence[Message], target: int, *, hint: str, ask: object
    ) -> Proposal:
        return Proposal(f"It began with: {messages[0].text}", keep=2)


def own_compactor() -> None:
    """F036: a strategy is one method."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        for n in range(4):
            chat.send(f"Question {n}")
        done = chat.compact(compactor=FirstAndLast())
        assert done is not None
        assert done.summary == "It began with: Question 0"


def windows() -> None:
    """F039 to F042: the last 50; what matters; what is about something; from anew."""
    with Chat("openai/gpt-5-mini", max_tokens=60) as chat:
        for n in range(5):
            chat.send(f"Question {n} about {'boats' if n < 2 else 'cheese'}")
        chat.pin(1)
        chat.window(4)
        chat.prune(target=60)
        chat.undo(2)
        chat.focus("boats")
        chat.clear()
        assert chat.count == 0
        chat.undo()


def what_it_may_cost() -> None:
    """F037, F043, F045: the whole is sent each turn, so a budget stops."""
    with Chat("openai/gpt-5-mini", budget="300 tokens", max_tokens=60) as chat:
        try:
            for n in range(50):
                chat.send(f"Question {n} about boats")
        except BudgetSpent as error:
            print(error)
        print(chat.cost, chat.usage)


def summaries_of_ones_own() -> SummariseCompactor:
    """F038: how it is written is yours to say."""
    return SummariseCompactor(keep_recent=10, summary_tokens=200, hint="names and dates")


def main() -> None:
    counting()
    oldest_go_first()
    refusing()
    compacting()
    own_compactor()
    windows()
    what_it_may_cost()
    summaries_of_ones_own()


if __name__ == "__main__":
    main()
