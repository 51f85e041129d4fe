"""The one door in: whatever the line, nothing of our tree is raised and the end is `Rested`."""

from __future__ import annotations

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.opening import Found, Opening
from chinwag.stores.saver import ConflictReport, FailedReport, SavedReport
from chinwag.talk.delta import Ended, Stop, TextDelta
from chinwag.talk.entry import UserSaid
from chinwag.talk.event import (
    Failed,
    Leaving,
    Listed,
    Notice,
    Opened,
    Rested,
    Saved,
    SaveFailed,
    to_plain,
)
from support.desk import Past, StoreKeeper, desk
from support.engine import Player


async def heard_of(a_desk, *lines):
    heard = []
    for line in lines:
        await a_desk.handle(line, heard.append)
        assert isinstance(heard[-1], Rested)
    return heard


async def test_talk_reaches_the_model_and_a_command_does_not():
    player = Player()
    a_desk = desk(player)
    await heard_of(a_desk, "hello", "/tokens", "//usr is a folder", "/usr/bin/env is a program")
    asked = [r.messages[-1].text for r in player.requests]
    assert asked == ["hello", "/usr is a folder", "/usr/bin/env is a program"]


@pytest.mark.parametrize("line", ["/sav", "/nonsense", "/undoo 2", "/HELPP", "/", "exit", ".help"])
async def test_a_slip_never_reaches_the_model(line):
    player = Player()
    heard = await heard_of(desk(player), line)
    assert not player.requests
    assert len(heard) > 1, "something is said"


async def test_an_unknown_command_names_the_nearest():
    heard = await heard_of(desk(), "/modle")
    failure = next(e for e in heard if isinstance(e, Failed))
    assert failure.kind == "CommandUnknown"
    assert "/model" in failure.hint


@given(st.text(max_size=30))
def test_any_line_is_handled_and_every_event_is_json(text):
    async def run():
        for line in (text, "/" + text, "//" + text):
            for event in await heard_of(desk(), line):
                to_plain(event)

    asyncio.run(run())


async def test_blank_lines_say_nothing():
    player = Player()
    assert len(await heard_of(desk(player), "", "   ", "\n")) == 3
    assert not player.requests


async def test_leaving():
    heard = await heard_of(desk(), "/quit")
    assert any(isinstance(e, Leaving) for e in heard)


async def test_a_session_is_opened_by_name_or_begun():
    keeper = StoreKeeper()
    first = desk(keeper=keeper)
    await heard_of(first, "about trams", "/rename Trip to Lisbon")
    for opening in (
        Opening(resume="trip-to-lisbon"),
        Opening(resume="trip"),
        Opening(name="Trip to Lisbon"),
        Opening(latest=True),
        Opening(resume=first.session.id),
    ):
        again, heard = desk(keeper=keeper), []
        again.opening = opening
        await again.start(heard.append, stay=False)
        assert again.opened
        assert again.session == first.session
    fresh, heard = desk(keeper=keeper), []
    fresh.opening = Opening(name="Another")
    await fresh.start(heard.append, stay=False)
    assert fresh.session.title == "Another"
    assert len(keeper.sessions) == 1, "a name alone is not written"


async def test_a_session_that_is_not_there_is_said_with_near_names():
    keeper = StoreKeeper()
    await heard_of(desk(keeper=keeper), "x", "/rename lisbon")
    lost, heard = desk(keeper=keeper), []
    lost.opening = Opening(resume="lisbom")
    await lost.start(heard.append, stay=False)
    assert not lost.opened
    failure = next(e for e in heard if isinstance(e, Failed))
    assert failure.kind == "SessionNotFound"
    assert "lisbon" in failure.hint


async def test_a_picker_is_a_list_and_the_choice_is_a_line():
    keeper = StoreKeeper()
    first = desk(keeper=keeper)
    await heard_of(first, "hello")
    picking, heard = desk(keeper=keeper), []
    picking.opening = Opening(pick=True)
    await picking.start(heard.append, stay=False)
    listed = next(e for e in heard if isinstance(e, Listed))
    heard = await heard_of(picking, f"/load {listed.headers[0].id}")
    assert any(isinstance(e, Opened) for e in heard)
    assert picking.session == first.session


async def test_the_command_line_holds_for_a_resumed_session():
    keeper = StoreKeeper()
    one, two = Player(name="one"), Player(name="two")
    await heard_of(desk(one, two, keeper=keeper), "hello", "/set temperature 0.2")
    again = desk(one, two, keeper=keeper)
    again.opening = Opening(
        latest=True, choice=("two", "big"), system="Sing.", options={"temperature": 1.5}
    )
    await again.start([].append, stay=False)
    await heard_of(again, "again")
    sent = two.requests[0]
    assert (sent.model, sent.system, sent.options.temperature) == ("big", "Sing.", 1.5)


async def test_a_local_server_that_is_there_answers_where_nobody_chose():
    server = Player(name="ollama")

    async def look():
        return [Found("ollama", "http://127.0.0.1:11434", ("qwen3:8b", "other"))]

    a_desk, heard = desk(Player(name="guide"), server, provider="guide", discover=look), []
    await a_desk.start(heard.append, stay=False)
    await heard_of(a_desk, "hi")
    assert server.requests[0].model == "qwen3:8b"
    assert any(isinstance(e, Notice) and "found ollama" in e.text for e in heard)


async def test_a_line_typed_before_looking_round_has_ended_waits_for_it():
    found = asyncio.Event()
    server = Player(name="ollama")

    async def look():
        await found.wait()
        return [Found("ollama", "here", ("m",))]

    a_desk = desk(Player(name="guide"), server, provider="guide", discover=look)
    starting = asyncio.create_task(a_desk.start([].append, stay=False))
    await asyncio.sleep(0)
    line = asyncio.create_task(a_desk.handle("hi", [].append))
    await asyncio.sleep(0.01)
    assert not server.requests
    found.set()
    await asyncio.gather(starting, line)
    assert len(server.requests) == 1


async def test_what_the_saver_says_is_heard_and_shown():
    a_desk, heard = desk(), []
    await a_desk.start(heard.append, stay=False)
    a_desk.report(FailedReport("s", "the disk is full", "free some space", 2))
    assert a_desk.status().save_problem == "the disk is full"
    a_desk.report(SavedReport("s", 4))
    assert a_desk.status().save_problem == ""
    assert [type(e) for e in heard] == [SaveFailed, Saved]


async def test_after_a_conflict_the_talk_goes_on_in_a_fork():
    keeper = StoreKeeper()
    a_desk, heard = desk(keeper=keeper), []
    await a_desk.start(heard.append, stay=False)
    await heard_of(a_desk, "mine")
    old = a_desk.session
    a_desk.report(ConflictReport(old.id, (), "changed"))
    await asyncio.gather(*a_desk._tasks)
    assert a_desk.session.birth.parent == old.id
    assert "(conflict)" in a_desk.session.title
    # Said after it opened: a screen begins anew with another session, and forgets what was told.
    assert [type(e) for e in heard if isinstance(e, Opened | Notice)][-2:] == [Opened, Notice]
    words = [e.text for e in keeper.sessions[a_desk.session.id] if isinstance(e, UserSaid)]
    assert words == ["mine"]


async def test_history_is_kept_unless_private():
    kept, private = Past("old"), Past()
    a_desk = desk(past=kept)
    a_desk.remember("new")
    await asyncio.gather(*a_desk._tasks)
    assert a_desk.history() == ["old", "new"]
    hidden = desk(past=private, lasting=False)
    hidden.remember("secret")
    await asyncio.gather(*hidden._tasks)
    assert private.kept == []


async def test_closing_stops_what_runs():
    player = Player([TextDelta("so "), 30.0, Ended(Stop.END)])
    a_desk, heard = desk(player), []
    turn = asyncio.create_task(a_desk.handle("hi", heard.append))
    while not player.requests:
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    assert await a_desk.close() == []
    await asyncio.wait_for(turn, 1)
    assert a_desk.session.last_answer.text == "so "


async def test_what_a_store_says_of_itself_is_told_once():
    keeper, heard = StoreKeeper(), []
    keeper.notices = ("this server may lose messages",)
    a_desk = desk(keeper=keeper)
    await a_desk.start(heard.append)
    for _ in range(20):
        await asyncio.sleep(0.01)
    told = [e.text for e in heard if isinstance(e, Notice)]
    assert told.count("this server may lose messages") == 1
    await a_desk.close()


async def test_nobody_reading_is_no_mistake_of_what_happens_beside_the_lines():
    def gone(_):
        raise BrokenPipeError

    a_desk = desk()
    with contextlib.suppress(BrokenPipeError):
        await a_desk.start(gone)
    a_desk.report(SavedReport(a_desk.session.id, 1))  # the loop would print a traceback
    with pytest.raises(BrokenPipeError):
        await a_desk.handle("hello", gone)  # the line in hand ends by it
    await a_desk.close()
