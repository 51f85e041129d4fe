"""What is known of models, from the configuration to the screen: windows, prices, costs."""

from __future__ import annotations

import re

import pytest

from chinwag import wiring
from chinwag.config.settings import ModelFacts
from chinwag.providers.base import Profile
from chinwag.talk.entry import AssistantSaid, ModelChosen, UserSaid
from chinwag.talk.event import Page
from chinwag.talk.message import Text
from chinwag.talk.session import fold_all
from chinwag.talk.usage import Usage
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
    assert wiring._profile_of(ModelFacts(**told)) == Profile(**told)


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
        assert desk.conversation._fallback == ("lab/bench",)
    finally:
        await desk.close()
