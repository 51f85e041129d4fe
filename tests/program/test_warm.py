"""Warm state across two runs of the installed program, with servers that keep and that do not."""

from __future__ import annotations

import json

import pytest

from support.slots import Slots

SEA = "tell me of the sea and of the ships and of the storms"


@pytest.fixture
def slots(world):
    with Slots() as running:
        world.use(running.url, dialect="llamacpp", model="tiny")
        yield running


def records(world):
    return list((world.data / "warm").glob("*.json"))


def test_saved_by_one_run_and_reused_by_the_next(world, slots):
    run = world.chat("--plain", given=f"{SEA}\n/warm save\n")
    assert "tokens saved" in run.err, run.err
    (record,) = records(world)
    assert record.stat().st_mode & 0o777 == 0o600
    kept = json.loads(record.read_text())
    assert record.stem == kept["session"] == world.document()["id"]
    slots.restart()
    run = world.chat("--plain", "--continue", given="/warm restore\nand then\n/warm\n")
    assert f"resumed: {kept['tokens']} of {kept['tokens']} tokens reused" in run.err, run.err
    assert f"was saved ({kept['tokens']} tokens): /warm restore" in run.err
    assert slots.bodies[-1]["id_slot"] == kept["slot"]


def test_a_private_talk_leaves_nothing_anywhere(world, slots):
    run = world.chat("--plain", "--private", given=f"{SEA}\n/warm save\n")
    assert "a private talk is not written" in run.err, run.err
    assert records(world) == []
    assert slots.files == {}


def test_deleting_the_session_takes_the_record_along_and_names_the_file(world, slots):
    world.chat("--plain", given=f"{SEA}\n/warm save\n")
    (name,) = slots.files
    run = world.chat("sessions", "delete", world.document()["id"], "--yes")
    assert run.code == 0
    assert records(world) == []
    assert name in run.err


def test_the_real_server_across_two_runs(world, llama_server):
    world.use(f"{llama_server.address}/v1", dialect="llamacpp")
    run = world.chat("--plain", given=f"{SEA * 20}\n/warm save\n")
    assert "tokens saved" in run.err, run.err
    run = world.chat("--plain", "--continue", given="/warm restore\nand then\n/warm drop\n")
    assert "tokens reused" in run.err, run.err
    assert "gone, here and on the server" in run.err
    assert records(world) == []
