"""One recipe for a conversation, whoever gives the values: the desk's and a program's are alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from chinwag.assembly import assembled, default_model, found_choice, named
from chinwag.context.counting import Counter
from chinwag.context.pricing import UNKNOWN
from chinwag.engine.room import Rules
from chinwag.engine.sending import Defaults
from chinwag.errors import ModelUnknown
from chinwag.providers.base import Profile
from chinwag.providers.catalog import Catalog, Row
from support.engine import ListKeeper

ROWS = (
    Row(name="far", dialect="openai", base_url="https://models.example/v1", models=("big",)),
    Row(
        name="near",
        dialect="openai",
        base_url="http://127.0.0.1:9/v1",
        models=("small", "sold"),
        facts={"sold": Profile(price_input=1.0, price_output=2.0)},
    ),
)


def catalog(**environ):
    return Catalog(ROWS, env=environ, find_key=lambda _: None)


def made(**more):
    return assembled(
        catalog=catalog(),
        keeper=ListKeeper(),
        meter=Counter(),
        defaults=Defaults(provider="near", model="small"),
        rules=Rules(),
        **more,
    )


def test_the_purse_and_the_bill_know_the_same_prices():
    """What is on this machine asks for nothing, unless somebody says that it does."""
    talk, bill = made()
    for price in (talk.purse._price, bill._price):
        assert price("near", "small") is None
        assert price("near", "sold").input == 1.0
        assert price("far", "big") == UNKNOWN


def test_nothing_is_read_or_written_before_it_is_needed(tmp_path: Path):
    talk, _ = made(warm=tmp_path / "warm")
    assert talk.warm.level is not None
    assert list(tmp_path.iterdir()) == []


def test_a_name_alone():
    assert named(catalog(), "FAR") == ("far", "big")
    assert named(catalog(), "near/sold") == ("near", "sold")
    assert default_model(catalog(), "nobody") == ""
    with pytest.raises(ModelUnknown):
        named(catalog(), "no-such-model-anywhere")


def test_whose_key_is_found_first():
    kept = {"near": "file", "far": "file"}
    assert found_choice(catalog(), {}) is None
    assert found_choice(catalog(), kept) == next(
        (n, default_model(catalog(), n)) for n in catalog().names if n in kept
    )
    assert found_choice(catalog(OPENAI_API_KEY="x"), kept)[0] == "openai"
