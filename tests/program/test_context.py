"""Windows and budgets through the installed program: what cannot be is said before it is sent."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.server


@pytest.fixture(autouse=True)
def _lab(world, llama_server):
    world.use(llama_server.address + "/v1", dialect="llamacpp")


def refused(run, code, *words):
    """One sentence with what to do, and nothing on stdout."""
    lines = [line for line in run.err.splitlines() if line.strip()]
    assert (run.code, run.out, len(lines)) == (code, "", 1), run
    for word in words:
        assert word in lines[0]


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("MARGIN", "0", "context.margin does not fit"),
        ("MARGIN", "1.5", "context.margin does not fit"),
        ("MARGIN", "much", "context.margin does not fit"),
        ("LIMIT", "0", "context.limit does not fit"),
        ("LIMIT", "-5", "context.limit does not fit"),
        ("KEEP", "0", "context.keep does not fit"),
        ("POLICY", "forget", "compact, trim, window, prune or refuse"),
    ],
)
def test_rules_that_mean_nothing_end_it_before_anything_is_sent(world, variable, value, said):
    run = world.chat("hello", **{f"CHINWAG_CONTEXT_{variable}": value})
    refused(run, 2, said, f"CHINWAG_CONTEXT_{variable}")


def test_rules_in_the_file_are_refused_with_their_line(world):
    path = world.configure("[context]\nmargin = 5\n")
    refused(world.chat("hello"), 2, f"{path}:2", "context.margin")


@pytest.mark.parametrize("amount", ["much", "-1", "0", "0,50", "$5k"])
def test_a_budget_that_is_no_amount_is_wrong_use(world, amount):
    refused(world.chat("--budget", amount, "hello"), 2, "is no budget", "200k")


def test_a_budget_that_covers_nothing_sends_nothing(world):
    run = world.chat("--budget", "5 tokens", "how deep is the harbour tonight?")
    refused(run, 3, "the budget of 5 tokens does not cover this request", "give it more: --budget")
    assert world.talk() == [("user", "how deep is the harbour tonight?", "complete")]


def test_a_budget_that_covers_nothing_is_a_field_of_the_answer(world):
    run = world.chat("--json", "--budget", "5 tokens", "how deep is the harbour tonight?")
    assert run.code == 3
    assert run.json["text"] == ""
    assert "does not cover" in json.dumps(run.json["error"])


def test_a_budget_stops_an_answer_and_what_was_heard_is_kept(world, endless_server):
    world.use(endless_server.address + "/v1", model="waves")
    run = world.chat("--budget", "150 tokens", "count")
    assert run.code == 3
    assert run.out.startswith("Waves: ")
    assert "stopped at the budget of 150 tokens" in run.err
    (_, said, status) = world.talk()[-1]
    assert status == "interrupted"
    assert said.startswith("Waves: ")
    assert len(said) < 4 * 150 * 3


def test_money_cannot_be_kept_by_a_model_without_a_price_unless_it_is_here(world):
    assert world.chat("--budget", "0.50", "hello").code == 0  # this machine's models are free
    world.configure(
        'model = "far/m"\n[providers.far]\ndialect = "openai"\nkey = "none"\n'
        'base_url = "http://far.invalid/v1"\nmodels = ["m"]\n'
    )
    refused(world.chat("--budget", "0.50", "hello"), 3, "price of far/m is not known", "tokens")


@pytest.mark.parametrize("policy", ["refuse", "compact", "trim"])
def test_a_message_larger_than_the_window_is_refused_and_nothing_lost(world, policy):
    text = "how deep is it? " * 200
    run = world.chat(text, CHINWAG_CONTEXT_LIMIT="300", CHINWAG_CONTEXT_POLICY=policy)
    refused(run, 3, "this message is", "more than the 240 that may be sent", "larger window: -m")


def test_a_system_prompt_larger_than_the_window_is_refused(world):
    run = world.chat("--system", "be kind " * 300, "hi", CHINWAG_CONTEXT_LIMIT="300")
    refused(run, 3, "the system prompt is", "shorten it: -s TEXT")


def test_refuse_refuses_the_conversation_that_has_grown_too_long(world):
    more = {"CHINWAG_CONTEXT_LIMIT": "400", "CHINWAG_CONTEXT_POLICY": "refuse"}
    codes = [world.chat("how deep is it?", **more).code]
    while codes[-1] == 0 and len(codes) < 12:
        codes.append(world.chat("-c", "how deep is it?", **more).code)
    assert codes[-1] == 3
    assert len(codes) > 2
    refused(world.chat("-c", "how deep is it?", **more), 3, "the conversation with this message")
    roles = [role for role, _, _ in world.talk()]
    assert roles == ["user", "assistant"] * (len(codes) - 1)


def test_trim_goes_on_for_as_long_as_one_likes(world):
    more = {"CHINWAG_CONTEXT_LIMIT": "400", "CHINWAG_CONTEXT_POLICY": "trim"}
    assert world.chat("how deep is it?", **more).code == 0
    for _ in range(7):
        assert world.chat("-c", "how deep is it?", **more).code == 0
    assert len(world.talk()) == 16  # the record is whole


def test_on_the_screen_what_was_typed_comes_back(world):
    text = "how deep is it at the second buoy tonight, and who keeps the lamp there? " * 12
    with world.enter(CHINWAG_CONTEXT_LIMIT="120", columns=100) as person:
        person.say(text)
        person.wait_for("this message is")
        person.wait_for("/model")
        # On the line where it was typed, not in the transcript: nothing was said.
        person.wait_for("how deep is it at the second buoy")
    assert world.documents() == []
