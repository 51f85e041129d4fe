"""What is known of models, from the configuration to the screen: windows, prices, costs."""

from __future__ import annotations

import re

import pytest

from chinwag import answerers, wiring
from chinwag.config.settings import ModelFacts
from chinwag.providers.base import Profile
from chinwag.talk.entry import AssistantSaid, ModelChosen, UserSaid
from chinwag.talk.event import Page
from chinwag.talk.message import Text
from chinwag.talk.session import fold_all
from chinwag.talk.usage import Usage
from support.servers import Asked, Loopback, Reply, finish, json_reply, sse
from support.servers import said as said_
from support.world import World

CONFIG = """
fallback = ["lab/bench"]
[providers.openai]
models = ["gpt-5-mini", "gpt-4o"]
key = "none"
[providers.lab]
base_url = "http://127.0.0.1:9/v1"
key = "none"
models = ["bench", "Bench-2"]
window = 4096
[providers.lab.facts."Bench-2"]
window = 8192
sees = true
price_input = 0.5
price_output = 1.5
"""


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path / "home")
    world.config = str(world.configure(CONFIG))
    return world


def settled(world):
    return wiring.settle_in({}, world.config, world.env)


def said(model="gpt-5-mini", provider="openai", **usage):
    answer = AssistantSaid(parts=(Text("a"),), provider=provider, model=model, usage=Usage(**usage))
    return [UserSaid(parts=(Text("q"),)), answer]


def test_models_are_listed_with_what_is_known(world):
    found = {m["name"]: m for m in world.chat("models", "--json").json}
    assert found["gpt-5-mini"]["profile"]["max_input"] == 272_000
    assert found["gpt-5-mini"]["profile"]["price_output"] == 2.0
    assert found["bench"]["profile"] == {"window": 4096}
    known = {"window": 8192, "sees": True, "price_input": 0.5, "price_output": 1.5}
    assert found["Bench-2"]["profile"] == known


def test_a_query_narrows_the_list_whatever_its_letters(world):
    [line] = world.chat("models", "bENCH-2").out.splitlines()
    assert line == "lab/Bench-2  8,192 tokens · sees · $0.5 in, $1.5 out per million"


def test_every_fact_of_the_configuration_reaches_the_profile():
    told = {"window": 1, "max_input": 2, "max_output": 3, "sees": True, "thinks": False}
    told |= {"tools": True, "price_input": 4.0, "price_output": 5.0, "price_cached": 6.0}
    told |= {"price_written": 7.0}
    assert told.keys() == set(ModelFacts.__struct_fields__)
    assert answerers.profile_of(ModelFacts(**told)) == Profile(**told)


async def test_a_session_costs_what_its_models_ask(world):
    desk = settled(world).desk()
    try:
        talk = desk.conversation
        assert desk.status().cost is None
        chosen = ModelChosen(provider="openai", model="gpt-5-mini")
        talk.session = fold_all(talk.session, [chosen, *said(input=1_000_000, output=100_000)])
        assert desk.status().cost == pytest.approx(0.45)
        more = [*said(cost=1.0), *said("bench", "lab", input=10**9), *said("no-such", input=5)]
        talk.session = fold_all(talk.session, more)
        assert desk.status().cost == pytest.approx(1.45)
        pages = []
        await desk.handle("/tokens", lambda e: pages.append(e) if isinstance(e, Page) else None)
        assert re.search(r"cost +\| \$1\.450 \(reckoned with prices as of 20\d\d-", pages[0].text)
        assert "without 1 answer whose price is not known" in pages[0].text
    finally:
        await desk.close()


async def test_a_talk_without_prices_says_nothing_of_cost(world):
    desk = settled(world).desk()
    try:
        talk = desk.conversation
        talk.session = fold_all(talk.session, said("bench", "lab", input=10, output=10))
        pages = []
        await desk.handle("/tokens", lambda e: pages.append(e) if isinstance(e, Page) else None)
        assert "cost" not in pages[0].text
    finally:
        await desk.close()


async def test_the_window_is_known_without_a_server(world):
    desk = settled(world).desk()
    try:
        desk.conversation.defaults.provider = "openai"
        desk.conversation.defaults.model = "gpt-5-mini"
        await desk.conversation.learn_profile()
        assert desk.status().window == 272_000
        assert desk.conversation._asking._fallback == ("lab/bench",)
    finally:
        await desk.close()


# -- the whole program, with a server that is not as one would wish -----------------------------


def chat(asked: Asked) -> Reply:
    """Refuses a key at /shut, temperature at /cold, and reads only 300 tokens at /short."""
    if asked.method == "GET":
        return json_reply({"data": []})
    if asked.path.startswith("/shut"):
        return json_reply({"error": {"message": "bad key", "code": "invalid_api_key"}}, 401)
    if asked.path.startswith("/cold") and "temperature" in asked.json:
        words = "Unsupported parameter: 'temperature' is not supported with this model."
        return json_reply({"error": {"message": words, "type": "invalid_request_error"}}, 400)
    usage = {"choices": [], "usage": {"prompt_tokens": 300, "completion_tokens": 1}}
    return Reply(sse(said_("here I am"), finish(), usage))


def table(name, address):
    return f'[providers.{name}]\nbase_url = "{address}/{name}"\nkey = "none"\nmodels = ["m"]\n'


@pytest.fixture
def served(world):
    with Loopback(chat) as server:
        tables = "".join(table(name, server.url) for name in ("shut", "cold", "short"))
        world.configure(f'model = "shut/m"\nfallback = ["cold/m"]\n{tables}')
        yield world, server


def test_another_model_answers_in_the_same_turn(served):
    world, _ = served
    run = world.chat("hello", "--json")
    assert run.code == 0
    assert (run.json["provider"], run.json["text"]) == ("cold", "here I am")
    [notice] = run.json["notices"]
    assert notice.startswith("shut/m cannot answer (")
    assert notice.endswith("asking cold/m instead")


def test_what_is_refused_is_left_out(served):
    world, server = served
    run = world.chat("-m", "cold/m", "-t", "0.5", "hello")
    assert run.out == "here I am\n"
    assert "cold/m does not take temperature" in run.err
    sent = [a.json.get("temperature") for a in server.asked if a.method == "POST"]
    assert sent == [0.5, None]


def test_a_prompt_that_was_cut_is_said(served):
    world, _ = served
    run = world.chat("-m", "short/m", given="many words to be read " * 500)
    assert run.code == 0
    assert re.search(r"short/m has read only 300 of ~[\d,]+ tokens", run.err)
    short = world.chat("-m", "short/m", "few words")
    assert "has read only" not in short.err
