"""`chat models` and `chat keys` as a person runs them."""

from __future__ import annotations

import json

import pytest

from support.servers import Loopback, json_reply
from support.world import World

LISTED = {"data": [{"id": "harbour", "context_length": 4096}, {"id": "waves"}]}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "home")


def table(url):
    return f'[providers.lab]\nbase_url = "{url}/v1"\nkey = "none"\n'


def test_models_of_a_server_that_is_there(world):
    with Loopback(json_reply(LISTED)) as server:
        world.configure(table(server.url))
        run = world.chat("models", "lab/")
        assert run.code == 0
        assert run.out.splitlines()[0].split() == ["lab/harbour", "4,096", "tokens"]
        told = world.chat("models", "harb", "--json", "--refresh").json
        assert [(m["provider"], m["name"]) for m in told] == [("lab", "harbour")]


def test_a_list_of_earlier_is_used_and_named_and_renewed(world):
    with Loopback(json_reply({"error": {"message": "no"}}, status=503)) as server:
        world.configure(table(server.url))
        kept = {"lab": {"address": f"{server.url}/v1", "at": 0, "models": []}}
        kept["lab"]["models"] = [{"provider": "lab", "name": "older"}]
        state = world.data / "state" / "models.json"
        run = world.chat("config", "show", "--json", CHINWAG_STATE_DIR=str(state.parent))
        assert run.code == 0
        state.parent.mkdir(parents=True)
        state.write_text(json.dumps(kept))
        run = world.chat("models", "lab", "--refresh", CHINWAG_STATE_DIR=str(state.parent))
        assert run.out.split() == ["lab/older"]
        assert "lab cannot be asked now" in run.err
        assert "--refresh asks again" in run.err


def test_a_key_is_kept_in_a_file_where_no_keyring_guards_it(world):
    run = world.chat("keys", "set", "openai", given="sk-test-0123456789\n")
    assert run.code == 0
    path = world.chat("keys", "path").out.strip()
    assert path in run.err
    assert "sk-test" not in run.err + run.out
    assert world.chat("keys", "list", "--json").json == [{"provider": "openai", "key": path}]
    refused = world.chat("keys", "set", "openai", "--keyring", given="sk-test-9876543210\n")
    assert refused.code == 2
    assert "--file" in refused.err
    both = world.chat("keys", "set", "openai", "--keyring", "--file", given="x\n")
    assert both.code == 2
    assert world.chat("keys", "delete", "openai").code == 0
    assert world.chat("keys", "delete", "openai").code == 1
