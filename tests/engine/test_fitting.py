"""A conversation that outgrows its window: made to fit, or refused in words, and nothing lost."""

from __future__ import annotations

from itertools import pairwise

import pytest

from chinwag.context.compaction import Proposal, SummariseCompactor, TruncateCompactor
from chinwag.engine.request import SUMMARY_HEAD
from chinwag.engine.room import Rules
from chinwag.errors import ContextOverflow, Unreachable, UsageError
from chinwag.providers.base import Profile, at_once
from chinwag.talk.delta import Ended, Stop, TextDelta, UsageDelta
from chinwag.talk.entry import AssistantSaid, Compacted, Hidden, Mark, UserSaid
from chinwag.talk.event import Compacting, DraftOffered, Failed, Level, Notice, Requested
from chinwag.talk.usage import Usage
from support.engine import ListKeeper, Player, conversation

END = Ended(Stop.END)
TEN = "one two three four five six seven eight nine ten"


class Counting(Player):
    """A model with a window of ``limit`` words that refuses what is larger, and knows when it is
    asked for a summary."""

    def __init__(self, limit=10_000, summary="what was said, in short"):
        super().__init__()
        self.limit = limit
        self.summary = summary
        self.sizes = []
        self.summaries = []

    async def stream(self, request, leave=at_once):
        await leave()
        self.requests.append(request)
        if request.system.startswith("You condense"):
            self.summaries.append(request)
            if isinstance(self.summary, Exception):
                raise self.summary
            yield TextDelta(self.summary)
            yield UsageDelta(Usage(input=7, output=5))
            yield END
            return
        words = len(request.system.split()) + 4
        words += sum(len(m.text.split()) + 4 for m in request.messages)
        self.sizes.append(words)
        assert words <= self.limit, f"{words} of {self.limit}"
        yield TextDelta(TEN)
        yield END


def talk_with(model, policy="trim", limit=100, **more):
    return conversation(model, rules=Rules(policy=policy, limit=limit, **more))


def notices(heard):
    return [event.text for event in heard if isinstance(event, Notice)]


async def chat(talk, times, heard=None):
    heard = [] if heard is None else heard
    for _ in range(times):
        await talk.say(TEN, heard.append)
    return heard


@pytest.mark.parametrize("policy", ["trim", "window", "prune", "compact"])
async def test_no_request_is_larger_than_the_margin_of_the_window(policy):
    model = Counting(limit=80)  # of 100, by the margin of 0.8
    talk = talk_with(model, policy, keep=6)
    heard = await chat(talk, 60)
    assert not [e for e in heard if isinstance(e, Failed)]
    assert len(model.sizes) == 60
    assert sum(isinstance(e, UserSaid) for e in talk.session.entries) == 60
    assert any("no longer sent" in n or "summary" in n for n in notices(heard))


async def test_trimming_goes_down_in_one_step_so_that_caches_live():
    model = Counting(limit=800)
    talk = talk_with(model, limit=1000)
    await chat(talk, 300)
    prompts = [r.messages for r in model.requests]
    kept = sum(b[: len(a)] == a for a, b in pairwise(prompts))
    assert kept >= 0.9 * len(prompts)


async def test_a_summary_takes_the_place_of_what_it_hides_and_rolls_on():
    model = Counting(limit=160)
    talk = talk_with(model, "compact", limit=200)
    heard = await chat(talk, 30)
    assert len(model.summaries) >= 2
    assert any(isinstance(e, Compacting) for e in heard)
    sent = model.requests[-1].messages
    texts = [p.text for m in sent for p in m.parts]
    assert texts.count(SUMMARY_HEAD + model.summary) == 1
    assert "what was said, in short" in model.summaries[1].messages[0].text  # the old one is in it
    entry = next(e for e in talk.session.entries if isinstance(e, Compacted))
    assert entry.usage.output == 5
    assert entry.provider == "lab"
    assert talk.session.usage.output >= 5  # what a summary costs is counted


async def test_a_summary_that_fails_falls_back_and_says_so():
    model = Counting(limit=80, summary=Unreachable("gone"))
    talk = talk_with(model, "compact")
    heard = await chat(talk, 20)
    assert len(model.sizes) == 20
    assert any("no summary could be made (gone)" in n for n in notices(heard))
    assert not [e for e in heard if isinstance(e, Failed)]


async def test_an_empty_summary_falls_back_too():
    model = Counting(limit=80, summary="  ")
    heard = await chat(talk_with(model, "compact"), 20)
    assert any("wrote no summary" in n for n in notices(heard))


async def test_a_compaction_by_hand_is_one_step_back():
    model = Counting()
    talk = talk_with(model, limit=10_000)
    await chat(talk, 8)
    before = talk.request(talk.choice, talk.known(*talk.choice))
    entry = await talk.compact([].append, hint="the trams")
    assert entry.summary == model.summary
    assert "Dwell on: the trams" in model.summaries[0].messages[0].text
    after = talk.request(talk.choice, talk.known(*talk.choice))
    assert len(after.messages) < len(before.messages)
    talk.undo(1, [].append)
    assert talk.request(talk.choice, talk.known(*talk.choice)) == before


async def test_taking_back_a_turn_takes_back_the_room_that_was_made_for_it():
    model = Counting(limit=80)
    talk = talk_with(model)
    heard = []
    while not any("no longer sent" in n for n in notices(heard)):
        before = talk.session
        await talk.say(TEN, heard.append)
    talk.undo(1, heard.append)
    assert talk.session.said() == before.said()
    assert talk.session.scope == before.scope


async def test_refuse_says_how_much_and_what_would_help_before_anything_is_sent():
    model = Counting(limit=80)
    keeper, heard = ListKeeper(), []
    talk = conversation(model, keeper=keeper, rules=Rules(policy="refuse", limit=100))
    with pytest.raises(ContextOverflow) as caught:
        await chat(talk, 20, heard)
    sent, entries = len(model.requests), len(talk.session)
    assert caught.value.limit == 80
    assert caught.value.asked > 80
    assert "/compact" in caught.value.hint
    assert heard[-1] == DraftOffered(TEN)  # what was typed comes back
    with pytest.raises(ContextOverflow):
        await talk.say(TEN, heard.append)
    assert (len(model.requests), len(talk.session)) == (sent, entries)


@pytest.mark.parametrize("policy", ["compact", "trim", "window", "prune", "refuse"])
async def test_what_can_never_fit_is_refused_in_words(policy):
    model = Counting()
    talk = talk_with(model, policy, limit=50)
    with pytest.raises(ContextOverflow, match="this message is 60 tokens"):
        await talk.say("word " * 50, [].append)
    talk.set_system("word " * 60, [].append)
    with pytest.raises(ContextOverflow, match="the system prompt"):
        await talk.say("hi", [].append)
    assert model.requests == []


async def test_pins_that_fill_the_window_are_said_to():
    model = Counting(limit=80)
    talk = talk_with(model)
    heard = []
    await talk.say(TEN, heard.append)

    async def pin_and_say():
        n = next(n for n, e in talk.session.back() if isinstance(e, UserSaid))
        talk.mark(n, Mark.PIN, heard.append)
        await talk.say(TEN, heard.append)

    for _ in range(4):
        await pin_and_say()
    with pytest.raises(ContextOverflow, match="pinned messages that stay") as caught:
        await pin_and_say()
    assert "unpin" in caught.value.hint
    assert heard[-1] == DraftOffered(TEN)


class Broken:
    def __init__(self, result):
        self.result = result

    async def compact(self, messages, target, *, hint, ask):
        if isinstance(self.result, Exception):
            raise self.result
        return self.result


@pytest.mark.parametrize(
    ("result", "why"),
    [
        (ValueError("oh"), "failed: ValueError: oh"),
        (None, "returned NoneType"),
        ("a summary", "returned str"),
        (Proposal(3, 1), "a summary that is int"),
        (Proposal("s", -1), "would keep -1"),
        (Proposal("s", 10**6), "would keep 1000000"),
        (Proposal("s", True), "keep as bool"),
        (Proposal("s" * 50_000, 1), "50,000 characters"),
    ],
)
async def test_a_compactor_that_talks_nonsense_costs_an_error_and_nothing_else(result, why):
    model = Counting()
    talk = conversation(model, rules=Rules(policy="compact", limit=100, compactor=Broken(result)))
    heard = []
    while not any(isinstance(e, Failed) for e in heard):
        sent = len(model.requests)
        await talk.say(TEN, heard.append)
    failure = next(e for e in heard if isinstance(e, Failed))
    assert failure.kind == "UsageError"
    assert why in failure.message
    assert len(model.requests) == sent  # nothing left for the model
    assert not any(isinstance(e, Compacted) for e in talk.session.entries)
    assert talk.session.entry(talk.session.head).text == TEN  # the question stands, to be retried


async def test_a_compactor_of_ones_own_decides():
    class Haiku:
        async def compact(self, messages, target, *, hint, ask):
            return Proposal(f"{len(messages)} messages passed by", 2)

    talk = conversation(Counting(), rules=Rules(limit=10_000, compactor=Haiku()))
    await chat(talk, 5)
    entry = await talk.compact([].append)
    assert entry.summary == "10 messages passed by"
    assert entry.provider == ""  # no model was asked
    assert len(talk.session.said(after=talk.session.scope.start)) == 2


async def test_truncating_asks_nobody():
    model = Counting()
    talk = conversation(model, rules=Rules(limit=10_000, compactor=TruncateCompactor()))
    await chat(talk, 10)
    sent = len(model.requests)
    entry = await talk.compact([].append, target=60)
    assert entry.summary == ""
    assert len(model.requests) == sent


async def test_stopping_a_summary_changes_nothing():
    class Slow(Counting):
        async def stream(self, request, leave=at_once):
            if request.system.startswith("You condense"):
                self.talk.interrupt()
            async for delta in super().stream(request, leave):
                yield delta

    model = Slow()
    talk = model.talk = talk_with(model, "compact", limit=10_000)
    await chat(talk, 8)
    before = talk.session
    assert await talk.compact([].append) is None or talk.session == before
    assert talk.session == before
    assert not talk.busy


async def test_a_topic_keeps_what_speaks_of_it():
    model = Counting()
    talk = talk_with(model, limit=10_000)
    for text in ["trams in Lisbon", "the weather", "tea or coffee", "fares", "maps", "night"]:
        await talk.say(text, [].append)
    dropped = talk.keep_only("Lisbon", [].append)
    kept = [m.text for m in talk.request(talk.choice, talk.known(*talk.choice)).messages]
    assert "trams in Lisbon" in kept
    assert "the weather" not in kept
    assert dropped
    assert isinstance(talk.session.entry(talk.session.head), Hidden)


async def test_an_excluded_message_is_not_sent_and_comes_back():
    talk = talk_with(Counting(), limit=10_000)
    await talk.say("the password is swordfish", [].append)
    n = next(n for n, e in talk.session.said() if isinstance(e, UserSaid))
    talk.mark(n, Mark.EXCLUDE, [].append)
    await talk.say("hello", [].append)
    assert "swordfish" not in str(talk.request(talk.choice, talk.known(*talk.choice)))
    talk.mark(n, Mark.NONE, [].append)
    assert "swordfish" in str(talk.request(talk.choice, talk.known(*talk.choice)))
    with pytest.raises(UsageError, match="no message 99"):
        talk.mark(99, Mark.PIN, [].append)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"policy": "forget"}, "no context policy"),
        ({"limit": 0}, "holds nothing"),
        ({"limit": -5}, "holds nothing"),
        ({"margin": 0}, "no share"),
        ({"margin": 1.5}, "no share"),
        ({"margin": -0.1}, "no share"),
        ({"keep": 0}, "keeps nothing"),
    ],
)
def test_rules_that_mean_nothing_are_refused(values, why):
    with pytest.raises(UsageError, match=why):
        Rules(**values)


def test_a_summariser_with_impossible_numbers_is_refused():
    with pytest.raises(UsageError):
        SummariseCompactor(keep_recent=-1)
    with pytest.raises(UsageError):
        SummariseCompactor(summary_tokens=0)


async def test_the_margin_is_the_one_that_was_set():
    talk = talk_with(Counting(limit=1600), limit=2000)
    assert talk.fitting.room(talk, talk.choice).budget == 1600


async def test_the_reply_has_room_reserved():
    model = Counting()
    talk = talk_with(model, limit=1000)
    talk.set_option("max_tokens", 600, [].append)
    assert talk.fitting.room(talk, talk.choice).budget == 400


async def test_making_room_comes_before_the_request_and_after_the_question():
    model = Counting(limit=80)
    talk = talk_with(model)
    heard = await chat(talk, 20)
    kinds = [type(e).__name__ for e in heard]
    at = next(i for i, e in enumerate(heard) if isinstance(e, Notice) and e.level is Level.INFO)
    assert "Requested" in kinds[at:]
    assert isinstance(heard[at + 1], Requested)
    entries = list(talk.session.entries)
    first = next(i for i, e in enumerate(entries) if isinstance(e, Compacted))
    assert isinstance(entries[first - 1], UserSaid)
    assert isinstance(entries[first + 1], AssistantSaid)


async def test_nothing_is_refused_for_a_window_nobody_has_asked_about():
    player = Player(profile=Profile(window=200_000))
    talk = conversation(player)
    await talk.say("word " * 40_000, [].append)
    assert len(player.requests) == 1
    small = conversation(Player(profile=Profile(window=20)))
    with pytest.raises(ContextOverflow):
        await small.say("word " * 40_000, [].append)
