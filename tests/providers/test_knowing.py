"""Who is believed of what: configuration, then the server, then the snapshot."""

from __future__ import annotations

import pytest

from chinwag.providers.base import Profile, Terms
from chinwag.providers.catalog import ROWS, Catalog, Row
from chinwag.providers.dialects import anthropic, gemini, openai, responses
from chinwag.providers.facts import facts
from chinwag.providers.knowing import _FILES, _IDS, _MISTRAL_IDS, Knowing

NOTHING = Profile()


def knowing(*rows, **env):
    return Knowing(Catalog(rows, env=env))


def test_the_order_of_trust():
    known = knowing(
        Row(name="openai", window=90, facts={"gpt-5-mini": Profile(sees=False, max_output=3)})
    )
    told = Profile(window=70, tools=False, sees=True)
    found = known.profile("openai", "gpt-5-mini", told)
    assert (found.window, found.sees, found.max_output) == (90, False, 3)  # configuration
    assert found.tools is False  # the server
    assert found.price_input == 0.25  # the snapshot
    other = known.profile("openai", "gpt-5", told)
    assert (other.window, other.sees) == (90, True)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9100/v1", "http://localhost:8000"])
def test_a_server_on_this_machine_is_never_guessed_at(address):
    known = knowing(Row(name="lab", base_url=address))
    assert known.profile("lab", "gpt-5-mini", NOTHING) == NOTHING
    assert known.terms("lab").local
    assert knowing().profile("ollama", "gpt-5-mini", NOTHING) == NOTHING


def test_somebody_elses_address_has_somebody_elses_prices():
    known = knowing(OPENAI_BASE_URL="https://gateway.example/v1")
    found = known.profile("openai", "gpt-5-mini", NOTHING)
    assert found.max_input == facts("openai", "gpt-5-mini").max_input
    assert not found.is_priced
    own = Row(name="cerebras", base_url="https://api.cerebras.ai/v1")
    model = next(iter(facts.__wrapped__.__globals__["snapshot"]().services["cerebras"]))
    assert knowing(own).profile("cerebras", model, NOTHING).is_priced
    azure = knowing(AZURE_OPENAI_ENDPOINT="https://mine.openai.azure.com")
    assert azure.profile("azure-openai", "gpt-5-mini", NOTHING).is_priced


def test_what_is_no_row_is_in_this_process():
    assert knowing().profile("guide", "guide", Profile(window=1)) == Profile(window=1)
    assert knowing().terms("guide") == Terms(local=True)
    assert knowing().terms("azure-openai") == Terms(local=True)  # has no address: cannot be asked


def test_terms_are_those_of_the_dialects():
    assert anthropic._ID.pattern == _IDS["anthropic"]
    assert openai._ANY_ID.pattern == _IDS["openai"] == _IDS["llamacpp"]
    assert responses._ID.pattern == _IDS["responses"]
    assert openai._MISTRAL_ID.pattern == _MISTRAL_IDS
    assert _FILES["gemini"] == gemini._INLINE


def test_every_row_has_its_terms():
    known = knowing()
    local = {row.name for row in ROWS if row.local}
    for row in ROWS:
        if row.base_url:
            assert known.terms(row.name).local == (row.name in local)
    assert known.terms("mistral").ids == _MISTRAL_IDS
    assert known.terms("ollama").files == ()
    assert "num_ctx" in known.terms("ollama").widen
    assert "--ctx-size" in known.terms("llamacpp").widen


@pytest.mark.parametrize(
    ("provider", "model", "may"),
    [
        ("anthropic", "claude-3-5-haiku-latest", True),
        ("anthropic", "claude-sonnet-4-5-20250929", True),
        ("anthropic", "claude-opus-4-20250514", True),
        ("anthropic", "claude-opus-4-1", True),
        ("anthropic", "claude-opus-4-6", False),
        ("anthropic", "claude-sonnet-5", False),
        ("anthropic", "claude-opus-4-15", False),
        ("llamacpp", "anything", True),
        ("vllm", "anything", True),
        ("mistral", "mistral-small-latest", True),
        ("openai", "gpt-5", False),
        ("gemini", "gemini-3-pro", False),
        ("ollama", "qwen3", False),
    ],
)
def test_who_goes_on_with_an_answer_that_was_begun(provider, model, may):
    assert knowing().terms(provider).goes_on(model) is may
