"""Commands that make room in the model's window, and keep things in it or out of it.

Invariant: what leaves the view stays in the record; each says what went, and one /undo brings the
same view back.
"""

from __future__ import annotations

from chinwag.commands.bench import Bench
from chinwag.commands.table import Command, Group
from chinwag.commands.words import flagged, number, plural, say
from chinwag.engine.budget import USAGE, parse
from chinwag.errors import CommandError, UsageWrong
from chinwag.talk.entry import Mark
from chinwag.talk.event import Ear

_NOTHING = "there is nothing to leave out"


async def compact(bench: Bench, words: list[str], hear: Ear) -> None:
    rest, flags = flagged(words, "--preview")
    talk = bench.conversation
    before = talk.fitting.preview(talk, talk.choice)
    if not before.hidden:
        say(hear, "there is too little to summarise yet")
        return
    say(
        hear,
        f"{plural(before.hidden, 'message')} ({before.hidden_tokens:,} tokens) "
        f"{'would be' if flags else 'are being'} summarised; "
        f"{plural(before.kept, 'message')} ({before.kept_tokens:,} tokens) "
        f"{'would stay' if flags else 'stay'} as said",
    )
    if not flags and await talk.compact(hear, hint=" ".join(rest)) is None:
        say(hear, "nothing was changed")


async def trim(bench: Bench, words: list[str], hear: Ear) -> None:
    target = number(words[0], "/trim [TOKENS]") if words else None
    if bench.conversation.trim(hear, target) is None:
        say(hear, f"{_NOTHING}: everything fits")


async def window(bench: Bench, words: list[str], hear: Ear) -> None:
    if not words:
        raise UsageWrong("how many messages are to stay?", usage="/window N")
    keep = number(words[0], "/window N")
    if bench.conversation.window(keep, hear) is None:
        say(hear, f"{_NOTHING}: there are no more than {plural(keep, 'message')}")


async def prune(bench: Bench, words: list[str], hear: Ear) -> None:
    talk = bench.conversation
    rest, flags = flagged(words, "--about")
    if flags:
        if not rest:
            raise UsageWrong("about what?", usage="/prune --about TOPIC")
        dropped = talk.keep_only(" ".join(rest), hear)
    else:
        held = talk.fitting.held(talk)
        dropped = talk.prune(hear, number(rest[0], "/prune [TOKENS]") if rest else held * 3 // 4)
    if not dropped:
        say(hear, f"{_NOTHING}: what is there is recent, pinned or decided")
        return
    for each in dropped[:8]:
        say(hear, f"{', '.join(f'#{n}' for n in each.ns)}: {each.reason}")
    if len(dropped) > 8:
        say(hear, f"and {len(dropped) - 8} more")


async def pin(bench: Bench, words: list[str], hear: Ear) -> None:
    _mark(bench, words, hear, Mark.PIN, "pin")


async def exclude(bench: Bench, words: list[str], hear: Ear) -> None:
    _mark(bench, words, hear, Mark.EXCLUDE, "exclude")


def _mark(bench: Bench, words: list[str], hear: Ear, mark: Mark, name: str) -> None:
    talk = bench.conversation
    scope = talk.session.scope
    marked = scope.pinned if mark is Mark.PIN else scope.excluded
    if not words:
        numbers = ", ".join(f"#{n}" for n in sorted(marked))
        done = "pinned" if mark is Mark.PIN else "excluded"
        say(hear, f"{done}: {numbers}" if numbers else f"nothing is {done}; /{name} N does it")
        return
    n = number(words[0], f"/{name} N")
    if n in marked:
        talk.mark(n, Mark.NONE, hear)
        say(hear, f"message {n} is as any other again")
        return
    if not talk.session.said():
        raise CommandError("nothing has been said yet", hint="type a message first")
    talk.mark(n, mark, hear)
    what = "stays whatever is left out" if mark is Mark.PIN else "is not sent any more"
    say(hear, f"message {n} {what}; /{name} {n} takes that back")


async def budget(bench: Bench, words: list[str], hear: Ear) -> None:
    purse = bench.conversation.purse
    if words:
        purse.set(parse(" ".join(words)))
        if purse.budget is None:
            say(hear, "no budget: nothing stops what is asked")
            return
        say(hear, f"from here on {purse.budget} may be spent; then asking stops")
        return
    if purse.budget is None:
        say(hear, f"no budget is set; /budget takes {USAGE}")
        return
    say(hear, f"{purse.spent() or 'nothing'} of {purse.budget} spent since it was set")


COMMANDS: tuple[Command, ...] = (
    Command(
        "compact",
        "put a summary in the place of the older messages",
        Group.CONTEXT,
        compact,
        asked="make it shorter; summarize the conversation; free the window; context is full",
        usage="[HINT] [--preview]",
        aliases=("summarize", "summarise", "compress"),
        most=40,
        detail="HINT says what the summary should dwell on. The record keeps every word; `/undo` "
        "brings them back into the conversation. `--preview` only says what would go.",
    ),
    Command(
        "trim",
        "leave out the oldest turns",
        Group.CONTEXT,
        trim,
        asked="drop old messages; cut the conversation down to a number of tokens",
        usage="[TOKENS]",
        most=1,
        detail="Down to TOKENS, or by as much as the model's window asks for.",
    ),
    Command(
        "window",
        "leave out all but the last N messages",
        Group.CONTEXT,
        window,
        asked="keep only the last messages; sliding window",
        usage="N",
        most=1,
    ),
    Command(
        "prune",
        "leave out what matters least",
        Group.CONTEXT,
        prune,
        asked="remove small talk, failed answers, unimportant messages; keep one topic",
        usage="[TOKENS] | --about TOPIC",
        most=20,
        detail="Recent messages, pinned ones and decisions stay. Without TOKENS about a quarter "
        "goes. `--about TOPIC` leaves out what does not speak of it.",
    ),
    Command(
        "pin",
        "keep a message whatever is left out",
        Group.CONTEXT,
        pin,
        asked="always remember this message; keep it in the context",
        usage="[N]",
        most=1,
        detail="N is the number shown beside the message; again takes it back. Alone, it lists.",
    ),
    Command(
        "exclude",
        "do not send a message any more",
        Group.CONTEXT,
        exclude,
        asked="hide one message from the model; forget this message",
        usage="[N]",
        most=1,
        detail="N is the number shown beside the message; again takes it back. Alone, it lists.",
    ),
    Command(
        "budget",
        "stop before more is spent",
        Group.CONTEXT,
        budget,
        asked="limit the cost; spend at most; money limit; token limit",
        usage="[AMOUNT|off]",
        most=2,
        detail="AMOUNT is money in US dollars (`0.50`) or tokens (`200k`), from now on. A request "
        "that would pass it is not sent, an answer that passes it is stopped.",
    ),
)
