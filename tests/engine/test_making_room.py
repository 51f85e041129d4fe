"""The hard cases of making room: one turn that outgrows the window, servers that refuse, summaries
that help nobody, budgets that are spent."""

from __future__ import annotations

import pytest

from chinwag.context.compaction import Proposal
from chinwag.engine import fitting
from chinwag.engine.budget import Purse, parse
from chinwag.engine.room import Rules
from chinwag.errors import BudgetSpent, ContextOverflow
from chinwag.providers.base import Profile, at_once
from chinwag.talk.delta import Ended, Stop, TextDelta
from chinwag.talk.entry import AssistantSaid, Compacted, Hidden, Mark, ToolReturned, UserSaid
from chinwag.talk.event import DraftOffered, Failed, Notice
from chinwag.talk.message import Call, Result
from support.engine import Player, conversation

TEN = "one two three four five six seven eight nine ten"


class Server(Player):
    """Counts words and four for each message, and refuses what is more than ``limit``."""

    def __init__(self, limit, *, tells=True, summary="in short", window=None):
        super().__init__(profile=Profile(window=window))
        self.limit = limit
        self.tells = tells
        self.summary = summary
        self.refused = 0
        self.sizes = []

    async def stream(self, request, leave=at_once):
        await leave()
        self.requests.append(request)
        words = len(request.system.split()) + 4
        words += sum(sum(len(_text(p).split()) for p in m.parts) + 4 for m in request.messages)
        if words > self.limit:
            self.refused += 1
            numbers = {"limit": self.limit, "asked": words} if self.tells else {}
            raise ContextOverflow("too long", **numbers)
        self.sizes.append(words)
        yield TextDelta(self.summary if request.system.startswith("You condense") else TEN)
        yield Ended(Stop.END)


def _text(part):
    return getattr(part, "text", "") or getattr(part, "content", "") or str(part)


def failures(heard):
    return [event.message for event in heard if isinstance(event, Failed)]


def notices(heard):
    return [event.text for event in heard if isinstance(event, Notice)]


def rounds_of_tools(talk, count, words, hear):
    for n in range(count):
        call = Call(f"c{n}", "look", "{}")
        talk.settle(AssistantSaid(parts=(call,), provider="lab", model="m"), hear)
        result = Result(call.id, "look", "word " * words)
        talk.settle(ToolReturned(result=result), hear)


# -- one turn that is too large by itself ---------------------------------------------------------


@pytest.mark.parametrize("policy", ["trim", "window", "prune", "compact"])
async def test_a_turn_of_many_tools_loses_its_older_rounds_never_its_question(policy):
    server, heard = Server(160), []
    talk = conversation(server, rules=Rules(policy=policy, limit=200))
    await talk.say("an earlier question", heard.append)
    await talk.say("look at everything", heard.append)
    rounds_of_tools(talk, 8, 30, heard.append)
    assert await talk.answer(heard.append) is not None
    assert failures(heard) == []
    sent = server.requests[-1].messages
    assert "look at everything" in [m.text for m in sent]
    assert sent[-1].parts[0].id == "c7"  # the newest round is there
    calls = [c.id for m in sent for c in m.calls]
    assert calls == [p.id for m in sent for p in m.parts if isinstance(p, Result)]
    assert 1 <= len(calls) < 8


async def test_where_not_even_that_helps_nothing_is_left_out_and_it_is_said():
    server, heard = Server(160), []
    talk = conversation(server, rules=Rules(policy="trim", limit=200))
    await talk.say("an earlier question", heard.append)
    await talk.say("look", heard.append)
    rounds_of_tools(talk, 1, 300, heard.append)
    before = talk.session
    assert await talk.answer(heard.append) is None
    assert "what has to stay" in failures(heard)[-1]
    assert talk.session == before
    assert len(server.requests) == 2


async def test_what_was_just_asked_is_never_cut_away_for_a_summary():
    class Long:
        async def compact(self, messages, target, *, hint, ask):
            return Proposal("word " * 60, 0)

    server, heard = Server(160), []
    talk = conversation(server, rules=Rules(policy="trim", limit=200, compactor=Long()))
    for _ in range(3):
        await talk.say(TEN, heard.append)
    assert await talk.compact(heard.append) is not None
    with pytest.raises(ContextOverflow, match="with the summary"):
        await talk.say("word " * 100, heard.append)
    assert heard[-1] == DraftOffered("word " * 100)
    await talk.say(TEN, heard.append)
    assert TEN in server.requests[-1].messages[-1].text


# -- servers that refuse --------------------------------------------------------------------------


async def test_a_window_that_was_not_known_is_learnt_from_the_first_refusal():
    server, heard = Server(120), []
    talk = conversation(server, rules=Rules(policy="trim"), model="some-model")
    for _ in range(30):
        await talk.say(TEN, heard.append)
    assert failures(heard) == []
    assert server.refused == 1
    assert talk.context().window == 120
    assert any("making room and asking again" in n for n in notices(heard))
    answers = [e for e in talk.session.entries if isinstance(e, AssistantSaid)]
    assert len(answers) == 30


async def test_a_refusal_without_numbers_is_told_as_it_is():
    server, heard = Server(60, tells=False), []
    talk = conversation(server, rules=Rules(policy="trim"))
    for _ in range(3):
        await talk.say(TEN, heard.append)
    assert failures(heard) == ["too long"]
    assert server.refused == 1


async def test_refuse_leaves_nothing_out_even_when_the_server_refuses():
    server, heard = Server(60), []
    talk = conversation(server, rules=Rules(policy="refuse"))
    for _ in range(3):
        before = talk.session
        try:
            await talk.say(TEN, heard.append)
        except ContextOverflow:
            break
    assert server.refused == 1
    assert not any(isinstance(e, Compacted | Hidden) for e in talk.session.entries)
    assert "/compact" in [e for e in heard if isinstance(e, Failed)][-1].hint
    assert len(before.said()) + 1 >= len(talk.session.said())


# -- summaries ------------------------------------------------------------------------------------


async def test_a_summary_that_is_too_long_gives_way_to_trimming():
    server, heard = Server(800, summary="word " * 450), []
    talk = conversation(server, rules=Rules(policy="compact", limit=1_000))
    for _ in range(40):
        await talk.say(TEN, heard.append)
    assert failures(heard) == []
    assert any("the summary is 4" in n and "too long" in n for n in notices(heard))
    assert not any(isinstance(e, Compacted) and e.summary for e in talk.session.entries)


async def test_what_a_summariser_reads_fits_the_window_whatever_is_said():
    server, heard = Server(900), []
    talk = conversation(server, rules=Rules(policy="compact", limit=1_000))
    for _ in range(30):
        await talk.say("a " * 400, heard.append)  # many words of few letters
    assert failures(heard) == []
    assert server.refused == 0
    assert any(isinstance(e, Compacted) and e.summary for e in talk.session.entries)


# -- budgets --------------------------------------------------------------------------------------


async def test_a_summary_is_not_asked_for_once_the_budget_is_spent():
    server, heard = Server(10_000), []
    talk = conversation(server)
    talk.purse = Purse(lambda *_: None, parse("1000"))
    for _ in range(5):
        await talk.say(TEN, heard.append)
    talk.purse.set(parse("1 tokens"))
    sent, before = len(server.requests), talk.session
    with pytest.raises(BudgetSpent):
        await talk.compact(heard.append)
    assert (len(server.requests), talk.session) == (sent, before)


# -- pruning --------------------------------------------------------------------------------------


async def test_pruning_begins_seldom_and_in_the_end_turns_go_whole(monkeypatch):
    monkeypatch.setattr(fitting, "MOST_HIDDEN", 20)
    server, heard = Server(320), []
    talk = conversation(server, rules=Rules(policy="prune", limit=400))
    for n in range(120):
        await talk.say(f"number {n}", heard.append)
    assert failures(heard) == []
    pruned = [e for e in talk.session.entries if isinstance(e, Hidden)]
    assert 3 <= len(pruned) <= 40
    assert any(isinstance(e, Compacted) for e in talk.session.entries)
    assert len(talk.session.scope.hidden) <= 20


async def test_a_message_that_is_pinned_stays_through_every_kind_of_room_making():
    server, heard = Server(320), []
    talk = conversation(server, rules=Rules(policy="prune", limit=400))
    await talk.say("the pinned one", heard.append)
    n = next(n for n, e in talk.session.said() if isinstance(e, UserSaid))
    talk.mark(n, Mark.PIN, heard.append)
    for policy in ("prune", "trim", "window", "compact"):
        talk.fitting.rules = Rules(policy=policy, limit=400, keep=8)
        for at in range(30):
            await talk.say(f"number {at}", heard.append)
            assert "the pinned one" in str(server.requests[-1].messages)
    assert failures(heard) == []


async def test_an_answer_that_is_reserved_too_much_room_says_which_setting_it_is():
    talk = conversation(Server(10_000), rules=Rules(limit=1_000))
    talk.set_option("max_tokens", 5_000, [].append)
    with pytest.raises(ContextOverflow, match="5,000 of it kept for the answer") as caught:
        await talk.say("hi", [].append)
    assert "/set max_tokens" in caught.value.hint
