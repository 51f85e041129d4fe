"""The set of tools: what is wrong with a call, what runs, and how it ends."""

from __future__ import annotations

import asyncio
import hashlib
import time

import msgspec
import pytest

from chinwag.errors import ToolFailed, UsageError
from chinwag.talk.message import Call, Result
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.tools.base import Limits, Output, Ready, Scene, Tool, Toolbox, denied

SCHEMA = {
    "type": "object",
    "properties": {"days": {"type": "array", "items": {"type": "integer"}}},
    "additionalProperties": False,
}


class Made(Tool):
    """A tool that does what it is told by a function."""

    def __init__(self, work=None, name="made", **spec):
        self.spec = ToolSpec(name, "made for a test", SCHEMA, Risk.READ, **spec)
        self.work = work

    async def run(self, arguments, scene):
        return await self.work(arguments, scene)


async def ran(work, tmp_path, *, limits=None, stop=None, **spec):
    box = Toolbox([tool := Made(work, **spec)])
    scene = Scene(root=tmp_path, limits=limits or Limits(), stop=stop or asyncio.Event())
    return await box.run(box.check(Call("1", tool.spec.name)), scene)


def test_a_second_tool_of_a_name_is_refused():
    box = Toolbox([Made(source="mcp:one")])
    with pytest.raises(UsageError, match=r"called made already \(from mcp:one\)"):
        box.add(Made())
    assert len(box) == 1


@pytest.mark.parametrize("name", ["", "1x", "a b", "a.b", "x" * 65, "ä", "a\n"])
def test_a_name_that_no_server_takes_is_refused(name):
    with pytest.raises(UsageError):
        Toolbox([Made(name=name)])


def test_specs_are_chosen_by_name():
    box = Toolbox([Made(name=name) for name in ("zebra", "ant", "bee")])
    assert [spec.name for spec in box.specs()] == ["ant", "bee", "zebra"]
    assert box.specs("none") == ()
    assert [spec.name for spec in box.specs("bee, zebra")] == ["bee", "zebra"]
    assert [spec.name for spec in box.specs(["ant", "ant"])] == ["ant"]
    with pytest.raises(UsageError, match="'antt'") as caught:
        box.specs(["antt"])
    assert "ant" in caught.value.hint
    assert "bee" not in box.chosen(["ant"])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (Call("1", "mad"), "There is no tool called 'mad'. Did you mean made?"),
        (Call("1", "q" * 9000), "There is no tool called 'qqq"),
        (Call("1", "made", "{days"), "not JSON"),
        (Call("1", "made", '{"days": "\\ud800"}'), "not JSON"),
        (Call("1", "made", "[" * 5000), "not JSON"),
        (Call("1", "made", "[1]"), "not a JSON object"),
        (Call("1", "made", '{"days": [1, "two"]}'), "days[1]: must be integer, not string"),
        (Call("1", "made", '{"day": 1}'), "day is not one of its fields (days)"),
        (Call("1", "made", '{"days": "' + "x" * (1 << 20) + '"}'), "too long"),
    ],
)
def test_what_is_wrong_is_said_to_the_model(call, said):
    found = Toolbox([Made()]).check(call)
    assert isinstance(found, Result)
    assert (found.id, found.is_error) == ("1", True)
    assert said in found.content
    assert len(found.content) <= 4096


def test_a_call_that_fits_is_ready():
    ready = Toolbox([Made()]).check(Call("1", "made", ' {"days": [2, 1]} '))
    assert isinstance(ready, Ready)
    assert ready.arguments == {"days": [2, 1]}
    assert ready.shown == "made\n  days: [2,1]"
    assert ready.digest == hashlib.sha256(ready.shown.encode()).hexdigest()


def test_arguments_nested_too_deeply_are_an_error():
    class Deep(Made):
        def __init__(self):
            super().__init__()
            nested = {"type": "array", "items": {"$ref": "#/properties/days"}}
            self.spec = ToolSpec("made", "d", {"type": "object", "properties": {"days": nested}})

    text = '{"days": ' + "[" * 900 + "]" * 900 + "}"
    found = Toolbox([Deep()]).check(Call("1", "made", text))
    assert isinstance(found, Result)
    assert found.content.endswith("nested too deeply")


def test_no_arguments_at_all_are_none():
    assert Toolbox([Made()]).check(Call("1", "made", "")).arguments == {}


async def test_an_error_is_told_and_not_raised(tmp_path):
    async def fails(_, __):
        raise ToolFailed("the door is shut", hint="knock")

    async def breaks(_, __):
        raise ZeroDivisionError("by\nzero")

    async def leaves(_, __):
        raise SystemExit(3)

    async def gives_nothing(_, __):
        return "a text, and no output"

    assert (await ran(fails, tmp_path))[0].content == "Error: the door is shut; knock"
    said = (await ran(breaks, tmp_path))[0]
    assert said.content == "Error: made failed: ZeroDivisionError: by zero"
    assert said.is_error
    assert "SystemExit" in (await ran(leaves, tmp_path))[0].content
    assert "gave str" in (await ran(gives_nothing, tmp_path))[0].content


async def test_its_time_is_over(tmp_path):
    async def waits(_, __):
        await asyncio.sleep(60)

    began = time.monotonic()
    result, _ = await ran(waits, tmp_path, limits=Limits(seconds=0.05))
    assert result.content == "Error: stopped, because its 0.05 seconds were over"
    assert time.monotonic() - began < 1
    result, _ = await ran(waits, tmp_path, timeout=0.1)
    assert "0.1 seconds" in result.content


async def test_one_that_will_not_end_is_left_behind(tmp_path):
    ended = []

    async def stubborn(_, __):
        for _ in range(30):
            try:
                await asyncio.sleep(0.1)
            except asyncio.CancelledError:
                pass
        ended.append(1)
        raise ValueError("late")

    result, _ = await ran(stubborn, tmp_path, limits=Limits(seconds=0.05))
    assert result.is_error
    assert not ended
    await asyncio.sleep(2)
    assert ended


async def test_the_person_stops_it(tmp_path):
    async def waits(_, scene):
        scene.progress("begun")
        await asyncio.sleep(60)

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    result, _ = await ran(waits, tmp_path, stop=stop)
    assert result.content == "Error: stopped, because the person stopped it"


async def test_one_that_stops_itself_gives_what_it_has(tmp_path):
    async def gathers(_, scene):
        await scene.stop.wait()
        return Output("half of it")

    Made.stops_itself = True
    try:
        result, _ = await ran(gathers, tmp_path, limits=Limits(seconds=0.05))
    finally:
        Made.stops_itself = False
    assert result.is_error
    assert "0.05 seconds were over. What it gave until then:\nhalf of it" in result.content


async def test_cancelling_the_waiter_cancels_the_tool(tmp_path):
    seen = []

    async def waits(_, __):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    task = asyncio.ensure_future(ran(waits, tmp_path))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert seen == ["cancelled"]


async def test_much_is_cut_in_the_middle_and_kept(tmp_path):
    text = "".join(f"line {n} é\n" for n in range(20_000))

    async def talks(_, __):
        return Output(text)

    result, output = await ran(talks, tmp_path, limits=Limits(shown=2000, kept=100_000))
    assert len(result.content.encode()) <= 2000
    assert result.content.startswith("line 0 é\n")
    assert result.content.endswith("line 19999 é\n")
    assert f"of {len(text.encode()):,} bytes are left out here" in result.content
    assert len(output.whole) == 100_000
    _, output = await ran(talks, tmp_path)
    assert output.whole == text.encode()


async def test_unseen_characters_are_taken_out_and_counted(tmp_path):
    async def whispers(_, __):
        return Output("a\U000e0041\U000e0042b\ud83d\ude00\ud800")

    result, output = await ran(whispers, tmp_path, foreign=True)
    assert result.content == "ab\U0001f600\ufffd"
    assert output.note == "2 invisible characters were taken out"
    assert output.foreign


async def test_only_what_was_checked_runs(tmp_path):
    ran_with = []

    async def notes(arguments, _):
        ran_with.append(arguments)
        return Output("ok")

    tool = Made(notes)
    box = Toolbox([tool])
    scene = Scene(root=tmp_path)
    ready = box.check(Call("1", "made", '{"days": [1]}'))
    ready.arguments["days"].append(2)  # somebody's hand between the question and the run
    result, _ = await box.run(ready, scene)
    assert "not what was asked about" in result.content
    ready = box.check(Call("1", "made", '{"days": [1]}'))
    lied = msgspec.structs.replace(ready, shown="made\n  days: []")
    assert (await box.run(lied, scene))[0].is_error
    box.remove("made")
    assert (await box.run(ready, scene))[0].is_error
    box.add(Made(notes, foreign=True))  # another one took the name
    assert (await box.run(ready, scene))[0].is_error
    assert ran_with == []
    ready = box.check(Call("1", "made", '{"days": [1]}'))
    assert (await box.run(ready, scene))[0].content == "ok"
    assert ran_with == [{"days": [1]}]


def test_a_denied_call_has_its_result():
    result = denied(Call("7", "made"))
    assert (result.id, result.is_error) == ("7", True)
    assert result.content == "Error: made was not run: the person said no."
