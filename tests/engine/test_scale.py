"""The meter's numbers: what is counted, what reports teach, and when a count is called exact."""

from __future__ import annotations

import asyncio
import base64

import msgspec
import pytest

from chinwag.context.counting import Counter
from chinwag.engine import models
from chinwag.engine.conversation import Conversation, Defaults
from chinwag.engine.room import Rules
from chinwag.engine.scale import MESSAGE_OVERHEAD, Scale
from chinwag.errors import Unreachable
from chinwag.providers.base import Profile, Request, Terms
from chinwag.providers.catalog import Catalog, Row
from chinwag.talk.delta import Ended, Stop, TextDelta, ThinkingDelta, UsageDelta
from chinwag.talk.entry import AssistantSaid, Compacted, UserSaid
from chinwag.talk.message import Call, Image, Message, Text, Thinking
from chinwag.talk.session import Birth, Session, fold
from chinwag.talk.usage import Usage
from support.engine import ListKeeper, Player, Shelf, WordMeter, conversation, once

KEY = ("lab", "unknown-1")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + (1024).to_bytes(4) + (1024).to_bytes(4)
PICTURE = Image(mime="image/png", data=base64.b64encode(PNG).decode(), name="sea.png")


@pytest.fixture(scope="module")
def meter():
    counter = Counter()
    for model in ("gpt-4o", "gpt-4", "unknown-1"):
        counter.load(model)
    return counter


def reporting(tokens_in, tokens_out=2, text="aye"):
    return [
        TextDelta(text),
        UsageDelta(Usage(input=tokens_in, output=tokens_out)),
        Ended(Stop.END),
    ]


def talk_with(player, meter, model="unknown-1", **rules):
    return Conversation(
        directory=Shelf(player),
        keeper=ListKeeper(),
        meter=meter,
        defaults=Defaults(provider="lab", model=model, system="Be kind."),
        retrying=once,
        rules=Rules(**rules),
    )


# -- what is counted ------------------------------------------------------------------------------


def test_thinking_is_not_read_again_and_not_counted(meter):
    scale = Scale(meter)
    said = AssistantSaid(parts=(Text("aye"),), provider="lab", model="m")
    thought = AssistantSaid(parts=(Thinking("long " * 99), Text("aye")), provider="lab", model="m")
    assert scale.entry(thought, "gpt-4o") == scale.entry(said, "gpt-4o")
    only = AssistantSaid(parts=(Thinking("long " * 99),), provider="lab", model="m")
    assert scale.entry(only, "gpt-4o")[0] == 0


def test_a_call_costs_what_is_written_of_it(meter):
    call = AssistantSaid(parts=(Call("c", "depth", '{"place": "x"}'),), provider="l", model="m")
    tokens, _ = Scale(meter).entry(call, "gpt-4o")
    assert tokens >= MESSAGE_OVERHEAD + 12


def test_a_picture_costs_only_a_model_that_sees_and_is_never_exact(meter):
    scale, said = Scale(meter), UserSaid(parts=(Text("what is it?"), PICTURE))
    seen, by = scale.entry(said, "gpt-4o")
    named, by_name = scale.entry(said, "gpt-4o", sees=False)
    assert seen > 700
    assert named < 30
    assert (by, by_name) == ("", "")


async def test_a_model_that_does_not_see_is_told_and_charged_the_name_alone():
    blind = conversation(Player(profile=Profile(sees=False)))
    await blind.learn_profile()
    await blind.say("what is it?", [].append, [PICTURE])
    assert blind.context().used < 40
    seeing = conversation(Player(profile=Profile(sees=True)))
    await seeing.learn_profile()
    await seeing.say("what is it?", [].append, [PICTURE])
    assert seeing.context().used > 700


def test_an_exact_total_is_what_openai_publishes(meter):
    """Three tokens a message, its role, its words, and three that prime the answer."""
    import tiktoken

    encoding = tiktoken.get_encoding("o200k_base")
    said = [("system", "Be kind."), ("user", "How deep is it?"), ("assistant", "Two fathoms.")]
    right = 3 + sum(3 + len(encoding.encode(role)) + len(encoding.encode(t)) for role, t in said)
    scale, session = Scale(meter), Session(Birth(id="x", created="y"))
    for role, text in said[1:]:
        kind = UserSaid if role == "user" else AssistantSaid
        more = {} if role == "user" else {"provider": "openai", "model": "gpt-4o"}
        entry = kind(parts=(Text(text),), **more)
        tokens, by = scale.entry(entry, "gpt-4o")
        session = fold(session, msgspec.structs.replace(entry, tokens=tokens, tokenizer=by))
    assert scale.used(session, "Be kind.", ("openai", "gpt-4o")) == (right, True)


# -- switching ------------------------------------------------------------------------------------

CHINESE = "港口今晚有多深，谁在看守灯塔？" * 20


async def test_a_switch_to_another_tokenizer_is_marked_and_corrected_by_the_first_report(meter):
    reports = [reporting(400), reporting(900), reporting(910)]
    talk = talk_with(Player(*reports), meter, model="gpt-4o")
    await talk.say(CHINESE, [].append)
    talk.session = fold(talk.session, Compacted(summary="", through=0))  # forget the report
    assert talk.context().exact  # counted by gpt-4o's own tokenizer, all of it
    talk.choose("lab", "gpt-4", [].append)
    assert not talk.context().exact  # another tokenizer: what was counted is a guess now
    await talk.say("and now?", [].append)
    assert talk.context().used == 902  # the report and the answer
    assert talk.context().exact


async def test_what_was_counted_before_the_tokenizer_was_loaded_is_no_exact_count():
    counter = Counter()
    talk = talk_with(Player(), counter, model="gpt-4o")
    await talk.say("hello there", [].append)
    counter.load("gpt-4o")
    assert not talk.context().exact


# -- what reports teach ---------------------------------------------------------------------------


def test_the_first_report_is_met_exactly_and_its_excess_is_no_factor(meter):
    scale = Scale(Counter())
    scale.learn(KEY, 20, 30, 2_050)  # a prompt nobody told us of
    assert scale.bettered(KEY, 20, 30) == 2_050
    more = scale.bettered(KEY, 20, 130) - scale.bettered(KEY, 20, 30)
    assert more <= 5 * 100
    scale.learn(KEY, 20, 130, 2_150)
    scale.learn(KEY, 20, 1_030, 3_050)
    assert scale.bettered(KEY, 20, 1_030) == 3_050
    assert abs(scale.bettered(KEY, 20, 130) - 2_150) <= 200


def test_what_people_say_and_what_models_say_are_told_apart():
    """A model whose own words are one token for two of ours, and other people's two for one."""
    scale = Scale(Counter())
    session = Session(Birth(id="x", created="y"))
    reported = 100
    for n in range(12):
        session = fold(session, UserSaid(id=f"u{n}", parts=(Text("x"),), tokens=40))
        reported += 80
        held = session.tally.tokens
        scale.learn(KEY, 50, held, reported, session)
        usage = Usage(input=reported, output=20)
        answer = AssistantSaid(
            id=f"a{n}", parts=(Text("y"),), tokens=40, provider=KEY[0], model=KEY[1], usage=usage
        )
        session = fold(session, answer)
        reported += 20
    assert scale.meter.corrected(KEY[1], 100) == pytest.approx(200, abs=12)  # a draft's count
    assert scale.density(KEY) == pytest.approx(1.25, abs=0.1)  # half of one, half of the other
    assert scale.head(KEY, 50) == pytest.approx(100, abs=40)


def test_tools_that_are_added_add_to_what_lies_before_the_talk():
    scale = Scale(Counter())
    scale.learn(KEY, 100, 100, 300)
    assert scale.head(KEY, 200) > scale.head(KEY, 100) + 90
    assert scale.head(KEY, 0) >= 0


class Local:
    """Knowledge of a server on this machine."""

    def profile(self, provider, model, told):
        return told

    def terms(self, provider):
        return Terms(local=True)


async def test_a_report_of_a_prompt_that_was_cut_in_silence_is_no_base():
    long = "word " * 3_000
    talk = conversation(Player(reporting(500)), knowledge=Local(), model="some-model")
    await talk.say(long, [].append)
    assert talk.context().used > 3_000
    assert not talk.context().exact


async def test_a_report_of_what_was_new_alone_is_no_base():
    talk = conversation(
        Player(reporting(3_010), reporting(7, 3)), knowledge=Local(), model="some-model"
    )
    await talk.say("word " * 3_000, [].append)
    await talk.say("and now?", [].append)
    assert talk.context().used > 3_000


async def test_what_is_said_after_a_report_is_corrected_too():
    class Twice(WordMeter):
        def corrected(self, model, estimated):
            return estimated * 2

    talk = conversation(Player(reporting(50, 2)), model="some-model")
    talk._scale.meter = Twice()
    await talk.say("one two three", [].append)
    talk.settle(UserSaid(parts=(Text("four five six"),)), [].append)
    assert talk.context().used == 50 + 2 + 2 * (3 + MESSAGE_OVERHEAD)


async def test_thinking_in_an_answer_is_not_in_the_base():
    usage = Usage(input=40, output=30, reasoning=25)
    script = [ThinkingDelta("hm"), TextDelta("aye"), UsageDelta(usage), Ended(Stop.END)]
    talk = conversation(Player(script))
    await talk.say("hi", [].append)
    assert talk.context().used == 45


# -- what fills the window ------------------------------------------------------------------------


async def test_the_parts_always_add_up_to_the_whole():
    talk = conversation(Player(reporting(3, 1)), model="some-model", system="word " * 50)
    await talk.say("hi", [].append)
    filling = talk.filling()
    parts = filling.system + filling.tools + filling.summary + filling.history
    assert parts == talk.context().used == 4  # though we had thought of 54 for the prompt alone
    assert min(filling.system, filling.tools, filling.summary, filling.history) >= 0


# -- servers that count ---------------------------------------------------------------------------


class CountsSo(Player):
    def __init__(self, outcome):
        super().__init__()
        self.outcome = outcome

    async def count(self, request):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        await asyncio.sleep(0 if self.outcome else 60)
        return self.outcome


@pytest.mark.parametrize("outcome", [None, Unreachable("gone")])
async def test_a_server_that_cannot_count_now_changes_nothing(outcome, monkeypatch):
    monkeypatch.setattr(models, "COUNT_PATIENCE", 0.01)
    talk = conversation(CountsSo(outcome), model="some-model")
    await talk.say("one two three", [].append)
    before = talk.context()
    assert await talk.counted() is None
    assert talk.context() == before


async def test_what_a_server_has_counted_is_the_base_of_what_is_said_next():
    talk = conversation(CountsSo(500), model="some-model")
    await talk.say("one two three", [].append)
    assert await talk.counted() == 500
    assert talk.context().used == 500
    assert talk.context().exact
    talk.settle(UserSaid(parts=(Text("four five six"),)), [].append)
    assert talk.context().used == 500 + 3 + MESSAGE_OVERHEAD
    talk.set_system("another prompt", [].append)
    assert not talk.context().exact


async def test_a_service_that_does_not_offer_it_is_not_asked():
    address = "http://127.0.0.1:9"  # nobody is there: to ask would be an error
    catalog = Catalog([Row(name="lab", dialect="openai", base_url=address, key="none")])
    request = Request(model="m", messages=(Message.user("hi"),))
    assert await catalog.provider("lab").count(request) is None
    await catalog.aclose()
