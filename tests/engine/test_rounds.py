"""Rounds of tools: every call gets one result, and a turn has an end."""

import asyncio

import pytest

from chinwag.engine.approvals import Mode, Policy
from chinwag.engine.tooling import Bounds
from chinwag.errors import BudgetSpent, StepsSpent, ToolFailed
from chinwag.providers.base import Profile
from chinwag.talk.delta import Ended, Stop
from chinwag.talk.entry import AssistantSaid, Status, ToolReturned, UserSaid
from chinwag.talk.event import (
    ApprovalAnswered,
    ApprovalAsked,
    Failed,
    Requested,
    ToolProgressed,
    ToolStarted,
)
from chinwag.talk.message import Role
from chinwag.talk.tool import Risk
from chinwag.tools.base import Limits, Output
from support.engine import ListKeeper, Player, conversation
from support.toolbench import (
    ATTENDED,
    DONE,
    Answering,
    Noting,
    calls,
    deaf,
    results,
    talk_with,
    tooling,
)

# -- the loop -----------------------------------------------------------------------------------


async def test_a_call_is_run_and_the_model_asked_on():
    clock = Noting("clock", "noon")
    talk, player = talk_with(clock, answers=[calls(("clock", '{"zone": "utc"}')), DONE])
    heard = []
    await talk.say("What time is it?", heard.append)
    said = [e for _, e in talk.session.said()]
    assert [type(e) for e in said] == [UserSaid, AssistantSaid, ToolReturned, AssistantSaid]
    assert (said[2].result.id, said[2].result.content, said[2].result.is_error) == (
        "c0",
        "noon",
        False,
    )
    assert said[3].text == "It is noon."
    assert clock.ran == ['clock\n  zone: "utc"']
    first, second = player.requests
    assert [t.name for t in first.tools] == ["clock"]
    assert [m.role for m in second.messages] == [Role.USER, Role.ASSISTANT, Role.TOOL]
    kinds = [type(e) for e in heard]
    assert kinds.index(ToolStarted) > kinds.index(Requested)
    assert [e.text for e in heard if isinstance(e, ToolProgressed)] == ["half way"]
    assert talk.failure is None


async def test_without_tools_nothing_of_them_is_offered_or_run():
    player = Player(calls(("clock", "{}")))
    talk = conversation(player)
    await talk.say("time?", deaf)
    assert player.requests[0].tools == ()
    assert results(talk) == []
    assert len(player.requests) == 1


async def test_results_stand_in_the_order_of_the_calls():
    slow = Noting("slow", "first", seconds=0.05, parallel=True)
    quick = Noting("quick", "second", parallel=True)
    talk, player = talk_with(
        slow, quick, answers=[calls(("slow", "{}"), ("quick", "{}"), ("slow", '{"n": 1}')), DONE]
    )
    await talk.say("go", deaf)
    assert [r.content for r in results(talk)] == ["first", "second", "first"]
    assert slow.most == 2, "what may run together does"
    told = [m.parts[0].content for m in player.requests[1].messages if m.role is Role.TOOL]
    assert told == ["first", "second", "first"]


async def test_what_may_not_run_together_runs_alone():
    tool = Noting("write", "ok", seconds=0.01, risk=Risk.WRITE)
    asked = [(f"i{n}", "write", f'{{"n": {n}}}') for n in range(3)]
    talk, _ = talk_with(tool, answers=[calls(*asked), DONE])
    await talk.say("go", deaf)
    assert tool.most == 1
    assert len(tool.ran) == 3


async def test_no_more_than_so_many_run_at_a_time():
    tool = Noting("read", "ok", seconds=0.01, parallel=True)
    asked = [(f"i{n}", "read", f'{{"n": {n}}}') for n in range(9)]
    talk, _ = talk_with(tool, answers=[calls(*asked), DONE], bounds=Bounds(together=3))
    await talk.say("go", deaf)
    assert tool.most == 3
    assert [r.id for r in results(talk)] == [f"i{n}" for n in range(9)]


async def test_what_is_wrong_is_told_to_the_model_and_it_goes_on():
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    fine = Noting("fine", schema=schema)
    bad = Noting("bad", ToolFailed("the disk is full", hint="write less"))
    worse = Noting("worse", ZeroDivisionError("division by zero"))
    wanted = [("fien", "{}"), ("fine", '{"n": "x"}'), ("fine", "{"), ("bad", "{}"), ("worse", "{}")]
    talk, player = talk_with(fine, bad, worse, answers=[calls(*wanted), DONE])
    await talk.say("go", deaf)
    told = [r.content for r in results(talk)]
    assert all(r.is_error for r in results(talk))
    assert "Did you mean fine" in told[0]
    assert "$.n" in told[1] or "n" in told[1]
    assert "not JSON" in told[2]
    assert "the disk is full; write less" in told[3]
    assert "ZeroDivisionError: division by zero" in told[4]
    assert fine.ran == []
    assert talk.session.entries[-1].text == "It is noon."
    assert len(player.requests) == 2


async def test_two_calls_of_one_id_both_get_their_result():
    """Some servers number their calls anew in each answer, or not at all."""
    tool = Noting("clock")
    same = [("x", "clock", '{"n": 1}'), ("x", "clock", '{"n": 2}')]
    talk, player = talk_with(tool, answers=[calls(*same), calls(("x", "clock", "{}")), DONE])
    await talk.say("go", deaf)
    assert len(results(talk)) == 3
    ids = [m.parts[0].id for m in player.requests[-1].messages if m.role is Role.TOOL]
    assert len(set(ids)) == 3


async def test_a_turned_off_tool_is_neither_offered_nor_run():
    clock, calendar = Noting("clock"), Noting("calendar")
    talk, player = talk_with(clock, calendar, answers=[calls(("clock", "{}")), DONE])
    talk.tooling.turn("clock", on=False)
    assert [t.name for t in talk.tools] == ["calendar"]
    await talk.say("time?", deaf)
    assert clock.ran == []
    assert "no tool called 'clock'" in results(talk)[0].content
    talk.tooling.turn("clock", on=True)
    assert [t.name for t in talk.tools] == ["calendar", "clock"]
    assert [t.name for t in player.requests[0].tools] == ["calendar"]


async def test_tools_are_counted():
    talk, _ = talk_with(Noting("clock"))
    with_tools = talk.context().used
    talk.use(None)
    assert talk.context().used < with_tools


# -- bounds -------------------------------------------------------------------------------------


async def test_the_steps_end_and_continue_goes_on():
    tool = Noting("more")
    asked = [calls((f"i{n}", "more", f'{{"n": {n}}}')) for n in range(12)]
    talk, player = talk_with(tool, answers=[*asked, DONE])
    heard = []
    await talk.say("go", heard.append)
    assert len(player.requests) == 10
    assert len(tool.ran) == 10
    assert isinstance(talk.session.entries[-1], ToolReturned), "what was done is kept"
    told = [e for e in heard if isinstance(e, Failed)]
    assert [e.kind for e in told] == ["StepsSpent"]
    assert "/continue" in told[0].hint
    assert isinstance(talk.failure, StepsSpent)
    await talk.go_on(deaf)
    assert talk.failure is None
    assert talk.session.entries[-1].text == "It is noon."
    assert [type(e) for e in talk.session.entries].count(UserSaid) == 1, "nothing was said for it"


async def test_calls_of_a_turn_are_bounded():
    tool = Noting("more", parallel=True)
    many = [(f"i{n}", "more", f'{{"n": {n}}}') for n in range(30)]
    talk, player = talk_with(tool, answers=[calls(*many), DONE])
    await talk.say("go", deaf)
    assert len(tool.ran) == 25
    assert len(results(talk)) == 30
    assert "its 25 calls" in results(talk)[-1].content
    assert len(player.requests) == 1
    assert isinstance(talk.failure, StepsSpent)


async def test_the_same_call_again_and_again_is_told_so():
    tool = Noting("again")
    asked = [calls((f"i{n}", "again", "{}")) for n in range(5)]
    talk, _ = talk_with(tool, answers=[*asked, DONE])
    await talk.say("go", deaf)
    assert len(tool.ran) == 3
    assert "these very arguments 3 times" in results(talk)[3].content
    assert talk.session.entries[-1].text == "It is noon."


async def test_the_budget_holds_inside_a_turn():
    from chinwag.engine.budget import parse as budget

    talk, player = talk_with(
        Noting("more"), answers=[calls((f"i{n}", "more", f'{{"n": {n}}}')) for n in range(9)]
    )
    talk.purse.set(budget("30 tokens"))
    await talk.say("go", deaf)
    assert isinstance(talk.failure, BudgetSpent)
    assert len(player.requests) < 9


async def test_money_of_a_turn_is_bounded():
    from chinwag.context.pricing import Price
    from chinwag.engine.budget import Purse
    from chinwag.talk.delta import UsageDelta
    from chinwag.talk.usage import Usage

    def dear(n):
        asked = calls((f"i{n}", "more", f'{{"n": {n}}}'))
        return [*asked[:-1], UsageDelta(Usage(input=400, output=0)), asked[-1]]

    talk, player = talk_with(Noting("more"), answers=[dear(n) for n in range(9)])
    talk.purse = Purse(lambda provider, model: Price(1000.0, 1000.0))  # $1 for 1,000 tokens
    await talk.say("go", deaf)
    assert len(player.requests) == 3
    assert isinstance(talk.failure, StepsSpent)
    assert talk.failure.message.startswith("$1.20 spent")


@pytest.mark.parametrize(
    ("said", "plain"),
    [
        ("registry.ollama.ai/library/gemma:2b does not support tools", True),
        ('"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser', True),
        ("tools param requires --jinja flag", True),
        ("This model does not support function calling.", True),
        ("Unsupported parameter: 'tools'", True),
        ("Unknown parameter: 'tools'.", True),
        ("No endpoints found that support tool use.", True),
        ("messages with role 'tool' must follow a message with 'tool_calls'", False),
        ("tool_call_id is not allowed here", False),
        ("temperature is not supported with this model", False),
    ],
)
def test_what_says_that_a_model_takes_no_tools(said, plain):
    from chinwag.engine import refusals
    from chinwag.errors import BadRequest
    from chinwag.providers.base import Request

    request = Request("m", (), tools=(Noting("clock").spec,))
    assert (refusals.refused(BadRequest(said), request) == refusals.TOOLS) is plain
    without = Request("m", ())
    assert refusals.refused(BadRequest(said), without) != refusals.TOOLS


async def test_a_long_result_is_cut_for_the_model_and_kept_whole():
    text = "".join(f"line {n}\n" for n in range(20_000))
    keeper = ListKeeper()
    talk = conversation(Player(calls(("read", "{}")), DONE), keeper=keeper, limit=1_000_000)
    talk.use(tooling(Noting("read", text)))
    await talk.say("read", deaf)
    entry = next(e for e in talk.session.entries if isinstance(e, ToolReturned))
    assert len(entry.result.content.encode()) <= 64 << 10
    assert entry.result.content.startswith("line 0\n")
    assert entry.result.content.endswith("line 19999\n")
    assert keeper.blobs[entry.blob].decode() == text
    assert entry.size == len(text)


async def test_results_leave_room_for_the_next_request():
    """64 KB are more than a small window holds."""
    player = Player(calls(("read", "{}"), ("read", '{"n": 2}')), DONE, profile=Profile(window=4096))
    talk = conversation(player, model="guess")
    talk.use(tooling(Noting("read", "word " * 40_000)))
    await talk.say("read", deaf)
    assert talk.failure is None
    assert talk.session.entries[-1].text == "It is noon."
    sizes = [len(r.content) for r in results(talk)]
    assert all(2000 <= size < 8192 for size in sizes), sizes


# -- however it ends ----------------------------------------------------------------------------


async def test_stopping_stops_the_tool_and_the_loop():
    tool = Noting("sleep", seconds=30, parallel=True)
    talk, player = talk_with(
        tool, answers=[calls(("sleep", "{}"), ("sleep", '{"n": 1}'), ("other", "{}")), DONE]
    )
    going = asyncio.ensure_future(talk.say("go", deaf))
    while not tool.ran:
        await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()
    assert talk.interrupt()
    await going
    assert asyncio.get_running_loop().time() - began < 1
    assert [r.id for r in results(talk)] == ["c0", "c1", "c2"]
    assert len(player.requests) == 1
    assert not talk.busy
    await talk.say("and now?", deaf)
    assert talk.session.entries[-1].text == "It is noon."


async def test_stopping_while_a_person_is_asked():
    tool = Noting("clock")
    talk, player = talk_with(
        tool, policy=ATTENDED, answers=[calls(("clock", "{}"), ("clock", '{"n": 1}')), DONE]
    )
    ear = Answering(
        talk, lambda event: asyncio.get_running_loop().call_soon(talk.interrupt) and None
    )
    await talk.say("go", ear)
    assert tool.ran == []
    assert [r.content for r in results(talk)] == [
        "Error: clock was not run: the person stopped it."
    ] * 2
    assert [e.allowed for e in ear.heard if isinstance(e, ApprovalAnswered)] == [False]
    assert len(ear.asked) == 1
    assert len(player.requests) == 1


async def test_taken_away_altogether():
    """Whoever waits for the turn is cancelled: the calls have their results all the same."""
    tool = Noting("sleep", seconds=30)
    talk, _ = talk_with(tool, answers=[calls(("sleep", "{}"), ("sleep", '{"n": 1}')), DONE])
    going = asyncio.ensure_future(talk.say("go", deaf))
    while not tool.ran:
        await asyncio.sleep(0)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    first, second = results(talk)
    assert first.content == "Error: stopped; what sleep did until then is not known."
    assert second.content == "Error: sleep was not run: the person stopped it."
    assert tool.now == 0


async def test_calls_of_an_answer_that_was_cut_do_not_run():
    tool = Noting("clock")
    cut = calls(("clock", '{"zone": "u'))[:-1]
    talk, player = talk_with(tool, answers=[cut, DONE])
    await talk.say("go", deaf)
    assert tool.ran == []
    assert "cut off" in results(talk)[0].content
    assert len(player.requests) == 1
    await talk.say("go on", deaf)
    assert talk.session.entries[-1].text == "It is noon."


async def test_calls_of_an_answer_at_its_length_limit_do_not_run():
    tool = Noting("clock")
    long = [*calls(("clock", "{}"))[:-1], Ended(Stop.LENGTH)]
    talk, _ = talk_with(tool, answers=[long, DONE])
    await talk.say("go", deaf)
    assert tool.ran == []
    assert talk.session.entries[-1].text == "It is noon."


async def test_a_timeout_is_a_result():
    tool = Noting("slow", seconds=30, timeout=0.05)
    talk, _ = talk_with(tool, answers=[calls(("slow", "{}")), DONE])
    await talk.say("go", deaf)
    assert "0.05 seconds were over" in results(talk)[0].content
    assert talk.session.entries[-1].text == "It is noon."


async def test_resumed_in_the_middle_the_unanswered_call_is_told_not_run():
    keeper = ListKeeper()
    tool = Noting("clock")
    talk = conversation(Player(calls(("clock", "{}"), ("clock", '{"n": 1}'))), keeper=keeper)
    talk.use(tooling(tool))
    await talk.say("go", deaf)
    kept = keeper.sessions[talk.session.id]
    answered = next(n for n, e in enumerate(kept) if isinstance(e, ToolReturned))
    del kept[answered + 1 :]  # as a kill would have left it
    player = Player(DONE)
    again = conversation(player, keeper=keeper)
    again.use(tooling(tool))
    await again.open(talk.session.id, deaf)
    await again.go_on(deaf)
    told = [m.parts[0].content for m in player.requests[0].messages if m.role is Role.TOOL]
    assert told[0] == "done"
    assert told[1].startswith("not run to its end:")
    assert again.session.entries[-1].text == "It is noon."


async def test_each_call_is_safe_before_it_runs():
    keeper = ListKeeper()
    seen = []
    tool = Noting("clock", lambda a: seen.append(len(keeper.log)) or "noon")
    talk = conversation(Player(calls(("clock", "{}")), DONE), keeper=keeper)
    talk.use(tooling(tool))
    await talk.say("go", deaf)
    before = keeper.log[: seen[0]]
    appended = max(n for n, what in enumerate(before) if what[0] == "append")
    assert any(what[0] == "safe" for what in before[appended:])


async def test_limits_are_handed_to_the_tool():
    seen = []

    class Looking(Noting):
        async def run(self, arguments, scene):
            seen.append(scene)
            return Output("ok")

    talk, _ = talk_with(
        Looking("look"), answers=[calls(("look", "{}")), DONE], limits=Limits(seconds=7)
    )
    await talk.say("go", deaf)
    assert seen[0].limits.seconds == 7
    assert seen[0].root.is_absolute()


async def test_where_nobody_is_asked_no_question_is_heard():
    talk, _ = talk_with(
        Noting("clock"),
        policy=Policy(Mode.ASK, attended=False),
        answers=[calls(("clock", "{}")), DONE],
    )
    heard = []
    await talk.say("go", heard.append)
    assert not [e for e in heard if isinstance(e, ApprovalAsked)]
    assert results(talk)[0].is_error
    assert all(
        e.status is Status.COMPLETE for e in talk.session.entries if isinstance(e, AssistantSaid)
    )
