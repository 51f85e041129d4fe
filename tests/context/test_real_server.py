"""Our numbers against those of the real llama.cpp server: its vocabulary, template and reports."""

from __future__ import annotations

import json
import random
import urllib.request

import msgspec
import pytest

from chinwag.context.counting import Counter
from chinwag.engine.conversation import Conversation, Defaults
from chinwag.engine.room import Rules
from chinwag.providers.base import Request
from chinwag.providers.catalog import Catalog, Row
from chinwag.providers.retry import with_retries
from chinwag.talk.entry import AssistantSaid, Compacted, Status, ToolReturned, UserSaid
from chinwag.talk.event import Failed, Requested
from chinwag.talk.message import Call, Message, Result, Text
from chinwag.talk.tool import ToolSpec
from support import llama, tiny_gguf
from support.engine import ListKeeper

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(llama.may_skip(), reason=llama.missing() or "-"),
]

SYSTEM = "Be kind, and be brief."
WINDOW = 2_048
TURNS = 300  # under trim; a third of it under the others, but in a soak
WORDS = (
    "harbour lamp buoy tide rope mast chart keeper north depth noon water ship master late "
    "second the of and before after whether tonight what how deep is that which we go"
).split()
WHEEL = [
    f" {w}"
    for w in "This the of to in that is was for on with as are from be by at can not or".split()
]
SCRIPTS = [(0x20, 0x7E), (0xA1, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x4E00, 0x9FFF)]
SCRIPTS += [(0xAC00, 0xD7A3), (0x5D0, 0x5EA), (0x620, 0x64A), (0x1F300, 0x1F5FF)]
TOOLS = (
    ToolSpec(
        name="depth",
        description="How deep the water is at a place, in fathoms, at an hour of the day.",
        schema={
            "type": "object",
            "properties": {
                "place": {"type": "string", "description": "a buoy, a stone or a mole"},
                "hour": {"type": "integer", "minimum": 0, "maximum": 23},
            },
            "required": ["place"],
        },
    ),
    ToolSpec(
        name="keeper",
        description="Who keeps the lamp on an evening of this week.",
        schema={"type": "object", "properties": {"evening": {"type": "string"}}},
    ),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """One with everyday words for its vocabulary, which goes on talking until it is stopped."""
    path = tmp_path_factory.mktemp("models") / "tools.gguf"
    merges = tiny_gguf.everyday_merges(3_000)
    return tiny_gguf.write(path, template=tiny_gguf.TOOL_TEMPLATE, more=merges, wheel=WHEEL)


@pytest.fixture(scope="module")
def server(model):
    with llama.serving(model) as running:
        yield running


@pytest.fixture
def small_server(model):
    with llama.serving(model, window=WINDOW) as running:
        yield running


def catalog_of(server):
    address = server.address + "/v1"
    row = Row(name="lab", dialect="llamacpp", base_url=address, key="none", models=("tools",))
    return Catalog([row])


@pytest.fixture
async def catalog(server):
    made = catalog_of(server)
    yield made
    await made.aclose()


@pytest.fixture
async def small(small_server):
    made = catalog_of(small_server)
    yield made
    await made.aclose()


class Equipped(Conversation):
    """A conversation that offers tools whose calls are settled by hand."""

    @property
    def tools(self):
        return TOOLS

    def request(self, key, profile):
        return msgspec.structs.replace(super().request(key, profile), tools=TOOLS)


def talk_with(catalog, kind=Conversation, policy="trim", system=SYSTEM, limit=None):
    meter = Counter()
    meter.load("tools")
    return kind(
        directory=catalog,
        keeper=ListKeeper(),
        meter=meter,
        defaults=Defaults(provider="lab", model="tools", system=system),
        retrying=with_retries,
        rules=Rules(policy=policy, keep=20, limit=limit),
    )


def question(chance):
    return " ".join(chance.choices(WORDS, k=chance.randint(4, 24))) + "?"


def tokenized(server, text):
    body = json.dumps({"content": text, "add_special": False}).encode()
    asked = urllib.request.Request(
        server.address + "/tokenize", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=10) as answer:
        return len(json.load(answer)["tokens"])


async def test_a_text_of_many_scripts_is_counted_as_the_server_cuts_it_up(server, catalog):
    chance = random.Random(5)
    provider = catalog.provider("lab")

    def request(text):
        return Request(model="tools", messages=(Message.user(text),))

    text = "".join(chr(chance.randint(*chance.choice(SCRIPTS))) for _ in range(20_000))
    bare = await provider.count(request("x"))
    counted = await provider.count(request(text))
    assert counted - bare == tokenized(server, text) - tokenized(server, "x")


async def test_what_the_server_counts_beforehand_is_what_it_reports(catalog):
    talk = talk_with(catalog, Equipped)
    await talk.say("How deep is it?", [].append)
    request = talk.request(talk.choice, talk.known(*talk.choice))
    counted = await catalog.provider("lab").count(request)
    asked = [e for e in talk.session.entries if isinstance(e, UserSaid)]
    assert asked
    # The answer stands at the end of it now; asked again, the same prompt comes in.
    await talk.retry([].append)
    first, second = (e for e in talk.session.entries if isinstance(e, AssistantSaid))
    assert first.usage.input == second.usage.input < counted


async def test_asking_the_server_to_count_betters_our_own_counts(catalog):
    talk = talk_with(catalog, Equipped)
    talk.settle(UserSaid(parts=(Text("How deep is it at the second buoy?"),)), [].append)
    before = talk.context()
    counted = await talk.counted()
    assert not before.exact
    assert abs(before.used - counted) > 0.02 * counted  # nobody knows this vocabulary
    assert talk.context().used == counted


async def test_the_meter_is_within_two_percent_after_one_correction(catalog):
    """Rounds of tools, results of every length, answers, a summary in between."""
    chance = random.Random(2)
    talk = talk_with(
        catalog, Equipped, system=SYSTEM + " The keeper is tired tonight." * 40, limit=4096
    )
    told = []

    def hear(event):
        if isinstance(event, Requested):
            told.append(event.tokens)
        assert not isinstance(event, Failed), event

    for turn in range(30):
        talk.set_option("max_tokens", chance.randint(5, 80), hear)
        await talk.say(question(chance), hear)
        for round_ in range(chance.randint(0, 2)):
            call = Call(f"c{turn}-{round_}", "depth", '{"place": "stone", "hour": 4}')
            result = Result(call.id, "depth", question(chance))
            talk.settle(AssistantSaid(parts=(call,), provider="lab", model="tools"), hear)
            talk.settle(ToolReturned(result=result), hear)
            talk.set_option("max_tokens", chance.randint(5, 80), hear)
            await talk.answer(hear)
    answers = [e for e in talk.session.entries if isinstance(e, AssistantSaid) and e.usage.input]
    reports = [e.usage.input for e in answers]
    settled = [e for e in talk.session.entries if isinstance(e, Compacted)]
    assert settled  # the window was full more than once
    assert len(told) == len(reports) > 15
    off = [abs(ours - real) / real for ours, real in zip(told, reports, strict=True)]
    assert max(off[1:]) <= 0.02, [f"{each:.3f}" for each in off]


@pytest.mark.parametrize("policy", ["trim", "window", "prune", "compact"])
async def test_hundreds_of_turns_on_the_real_server(small, policy, soak):
    turns = TURNS if policy == "trim" or soak > 1 else TURNS // 3
    chance, talk, failures = random.Random(policy), talk_with(small, policy=policy), []

    def hear(event):
        if isinstance(event, Failed):
            failures.append(event)

    talk.set_option("max_tokens", 20, hear)
    for _ in range(turns):
        await talk.say(question(chance), hear)
    answers = [e for e in talk.session.entries if isinstance(e, AssistantSaid)]
    assert failures == []
    assert [e.status for e in answers] == [Status.COMPLETE] * turns
    assert max(e.usage.input + e.usage.output for e in answers) <= WINDOW
    system = tokenized_system(answers)
    hit = sum((e.usage.cached or 0) > system for e in answers[1:])
    if policy == "trim":
        assert hit >= 0.9 * (turns - 1), f"{hit} of {turns - 1}"


def tokenized_system(answers):
    """More than the system prompt and its marks are; each letter is a token at most."""
    return len(f"<|turn|>system\n{SYSTEM}<|stop|><|turn|>user\n")
