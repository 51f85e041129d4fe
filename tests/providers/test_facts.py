"""The snapshot of model facts, how it is looked up, and how it is made."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import zlib
from pathlib import Path

import msgspec
import pytest

from chinwag.providers import facts as facts_module
from chinwag.providers.base import LongPrompt, Profile
from chinwag.providers.catalog import ROWS
from chinwag.providers.facts import FILE, UNKNOWN, Snapshot, facts, snapshot
from support.make_models import trimmed

MAKER = Path(__file__).parents[1] / "support" / "make_models.py"
ROOT = Path(__file__).parents[2]


def test_what_travels_with_the_program():
    known = facts("openai", "gpt-5-mini")
    assert (known.sees, known.thinks, known.tools) == (True, True, True)
    assert known.max_input == 272_000
    assert known.window is None  # the list gives the most a prompt may be, not the window
    assert (known.price_input, known.price_output, known.price_cached) == (0.25, 2.0, 0.025)
    assert facts("anthropic", "claude-haiku-4-5").price_written == 1.25
    dear = facts("gemini", "gemini-2.5-pro").long_prompt
    assert dear == LongPrompt(200_000, 2.5, 15.0, 0.25, None)


@pytest.mark.parametrize(
    ("provider", "name", "same"),
    [
        ("openai", "gpt-5-mini-2025-08-07", "gpt-5-mini"),
        ("openai", "openai/gpt-5-mini", "gpt-5-mini"),
        ("anthropic", "claude-sonnet-5-20991231", "claude-sonnet-5"),
        ("anthropic", "claude-sonnet-5-latest", "claude-sonnet-5"),
        ("anthropic", "Claude-Sonnet-5", "claude-sonnet-5"),
        ("anthropic", "claude-haiku-4.5", "claude-haiku-4-5"),
        ("gemini", "models/gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_a_name_may_have_a_prefix_and_a_date(provider, name, same):
    assert facts(provider, name) == facts(provider, same) != UNKNOWN


@pytest.mark.parametrize("name", ["anthropic/claude-haiku-4.5", "anthropic/claude-haiku-4.5:free"])
def test_at_a_gateway_a_model_can_the_same_and_its_price_is_not_known(name):
    there, own = facts("openrouter", name), facts("anthropic", "claude-haiku-4-5")
    assert (there.max_input, there.sees) == (own.max_input, own.sees)
    assert not there.is_priced
    assert there.price_written is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [("openai", "no-such"), ("lab", "bench"), ("", ""), ("openai", ""), ("x", "a/b/c:d")],
)
def test_of_a_stranger_nothing_is_known(provider, model):
    assert facts(provider, model) == UNKNOWN


def test_it_is_small_and_quick():
    assert FILE.stat().st_size < 60_000
    best = min(_seconds() for _ in range(5))
    assert best < 0.005, f"{best * 1000:.1f} ms"


def _seconds() -> float:
    start = time.perf_counter()
    snapshot.__wrapped__()
    return time.perf_counter() - start


def test_every_service_of_the_catalog_that_asks_money_is_in_it():
    gateways = {"openrouter", "huggingface", "litellm"}
    paid = {row.name for row in ROWS if not row.local} - gateways
    assert paid <= snapshot().services.keys()


def _makefile() -> str:
    return (ROOT / "Makefile").read_text()


def test_the_note_and_the_makefile_say_the_same():
    note = FILE.with_name("facts.ORIGIN.md").read_text()
    make = dict(re.findall(r"^FACTS_(\w+) := (\S+)$", _makefile(), re.MULTILINE))
    held = snapshot()
    assert held.as_of == make["AS_OF"]
    assert held.source == f"litellm {make['VERSION']}"
    for value in make.values():
        assert value in note
    assert f"{sum(map(len, held.services.values())):,} chat models" in note
    assert f"{FILE.stat().st_size:,} bytes" in note


@pytest.mark.parametrize("damage", [b"", b"not zlib", zlib.compress(b"[1]"), None])
def test_a_damaged_installation_knows_nothing(monkeypatch, tmp_path, damage):
    file = tmp_path / "facts"
    if damage is not None:
        file.write_bytes(damage)
    monkeypatch.setattr(facts_module, "FILE", file)
    assert snapshot.__wrapped__() == Snapshot()


LISTED = {
    "gpt-x-2025-01-01": {"litellm_provider": "openai", "mode": "chat", "max_input_tokens": 1000},
    "gpt-x-2025-06-01": {
        "litellm_provider": "openai",
        "mode": "responses",
        "max_input_tokens": 2000,
        "supports_vision": False,
        "supports_reasoning": True,
        "input_cost_per_token": 1.5e-6,
        "input_cost_per_token_above_200k_tokens": 3e-6,
    },
    "together_ai/maker/m": {
        "litellm_provider": "together_ai",
        "mode": "chat",
        "supported_modalities": ["text"],
        "max_output_tokens": True,
    },
    "azure/eu/gpt-x": {"litellm_provider": "azure", "mode": "chat", "max_input_tokens": 5},
    "painter": {"litellm_provider": "openai", "mode": "image_generation", "max_input_tokens": 5},
    "elsewhere/m": {"litellm_provider": "nobody", "mode": "chat", "max_input_tokens": 5},
    "empty": {"litellm_provider": "openai", "mode": "chat"},
}


def test_what_is_kept_of_the_list():
    kept = trimmed(LISTED)
    newest = [2000, None, "-vr", 1.5, None, None, None, 200_000, 3]
    assert kept["openai"] == {
        "gpt-x": newest,
        "gpt-x-2025-01-01": [1000],
        "gpt-x-2025-06-01": newest,
    }
    assert kept["together"] == {"maker/m": [None, None, "-v"]}
    assert kept["azure-openai"] == {}


def test_making_it_and_reading_it_again(tmp_path, monkeypatch):
    source = tmp_path / "list.json"
    source.write_text(json.dumps(LISTED))
    asked = [sys.executable, str(MAKER), str(source), "--version", "9", "--as-of", "2030-01-02"]
    out = ["--out", str(tmp_path)]
    wrong = subprocess.run(
        [*asked, "--sha256", "0", *out], capture_output=True, text=True, check=False
    )
    assert wrong.returncode == 1
    digest = re.search(r"sha256 (\w+)", wrong.stderr)[1]
    assert not (tmp_path / "facts.json.z").exists()
    subprocess.run([*asked, "--sha256", digest, *out], capture_output=True, check=True)
    monkeypatch.setattr(facts_module, "FILE", tmp_path / "facts.json.z")
    made = snapshot.__wrapped__()
    assert made.as_of == "2030-01-02"
    assert digest in (tmp_path / "facts.ORIGIN.md").read_text()
    assert facts_module._profile(made.services["openai"]["gpt-x"]) == Profile(
        max_input=2000,
        sees=False,
        thinks=True,
        price_input=1.5,
        long_prompt=LongPrompt(200_000, 3.0),
    )


def test_filling_gaps_takes_prices_from_one_mouth():
    told = Profile(window=8, price_input=1.0)
    other = Profile(window=9, max_input=7, sees=True, price_input=2.0, price_cached=0.5)
    assert told.filled(other) == Profile(window=8, max_input=7, sees=True, price_input=1.0)
    assert Profile(sees=False).filled(other) == msgspec.structs.replace(other, sees=False)
    assert told.filled(other).room == 7
    assert Profile().room is None


def test_every_default_model_is_one_that_is_there():
    """A first message to a service must not fail because its default has been retired."""
    from chinwag.providers.catalog import ROWS

    known = snapshot().services
    for row in ROWS:
        if row.default and row.name in known:
            assert row.default in known[row.name], row
