"""`--schema`: what is asked of the server, and what is made of an answer that does not fit."""

from __future__ import annotations

import json

import pytest

from support.servers import Loopback, Reply, finish, said, sse
from support.world import World

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "home")


def answering(text):
    return Loopback(Reply(sse(said(text), finish())))


@pytest.mark.parametrize("written", ["there", "in a file"])
def test_the_schema_goes_out_and_a_fitting_answer_is_printed(world, written):
    told = json.dumps(SCHEMA)
    if written == "in a file":
        path = world.home / "schema.json"
        path.write_text(told)
        told = str(path)
    with answering('{"city": "Lisbon"}') as server:
        world.use(server.url + "/v1")
        run = world.chat("--schema", told, "where?")
        assert (run.code, run.out) == (0, '{"city": "Lisbon"}\n')
        form = server.asked[-1].json["response_format"]["json_schema"]
        assert (form["schema"], form["strict"]) == (SCHEMA, True)


@pytest.mark.parametrize(
    ("text", "why"), [('{"town": 1}', "city is missing"), ("Lisbon, I think", "it is no JSON")]
)
def test_an_answer_that_does_not_fit_is_a_failure(world, text, why):
    with answering(text) as server:
        world.use(server.url + "/v1")
        run = world.chat("--schema", json.dumps(SCHEMA), "where?")
        assert run.code == 1
        assert run.out == text + "\n"
        assert why in run.err


@pytest.mark.parametrize("told", ["[1]", "{", "/no/such/file"])
def test_what_is_no_schema_is_refused_before_anything_is_asked(world, told):
    with answering("x") as server:
        world.use(server.url + "/v1")
        run = world.chat("--schema", told, "where?")
        assert run.code == 2
        assert "schema" in run.err
        assert not [a for a in server.asked if a.method == "POST"]
