"""/tools and /allow."""

import msgspec
import pytest

from chinwag.commands.builtin import TABLE
from chinwag.commands.table import Sources
from chinwag.engine.approvals import Policy, Rules
from chinwag.engine.rules import parse
from chinwag.engine.tooling import More
from chinwag.errors import CommandError, UsageError, UsageWrong
from chinwag.talk.entry import ToolReturned
from chinwag.talk.event import Level, Notice, Page
from chinwag.talk.message import Result
from chinwag.talk.tool import Risk
from support.toolbench import ATTENDED, Noting, tooling


class Kept:
    def __init__(self):
        self.rules = []

    async def __call__(self, rule, *, allow):
        self.rules.append((str(rule), allow))


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def tools(place, kept):
    """A place with a clock offered and more tools to be had."""

    def make(name):
        return Noting(name, risk=Risk.EXECUTE, always_ask=name == "shell")

    made = tooling(
        Noting("clock"),
        policy=ATTENDED,
        keep=kept,
        more=More(("clock", "shell", "write"), make),
        rules=Rules(allow=(parse("clock(zone=utc)"),), deny=(parse("write"),)),
    )
    place.bench = msgspec.structs.replace(place.bench, tooling=lambda: made)
    return place


def said(place):
    return place.of(Notice)[-1]


async def test_they_are_listed_with_what_they_may_do(tools):
    await tools("/tools")
    page = tools.of(Page)[-1]
    assert page.title == "Tools: 1 of 3 offered"
    rows = {row.split("|")[1].strip(): row for row in page.text.splitlines() if row[:3] == "| `"}
    assert "**on**" in rows["`clock`"]
    assert "off" in rows["`shell`"]
    assert "execute, always asks" in rows["`shell`"]
    assert "- allowed: `clock(zone=utc)`" in page.text
    assert "- never: `write`" in page.text
    assert "Every call is asked about" in page.text


async def test_on_and_off(tools):
    await tools("/tools on shell")
    assert [t.name for t in tools.talk.tools] == ["clock", "shell"]
    assert "you are asked before it runs" in said(tools).text
    await tools("/tools off clock shell")
    assert tools.talk.tools == ()
    assert said(tools).text == "clock, shell: not offered any more"
    await tools("/tools on clock")
    assert [t.name for t in tools.talk.tools] == ["clock"]


@pytest.mark.parametrize("line", ["/tools on", "/tools up clock", "/tools clock"])
async def test_what_is_no_use_of_it(tools, line):
    with pytest.raises(UsageWrong):
        await tools(line)


async def test_a_tool_nobody_knows(tools):
    for line in ("/tools on clok", "/allow clok", "/tools off clok"):
        with pytest.raises(UsageError) as raised:
            await tools(line)
        assert "clock" in raised.value.hint


async def test_where_there_are_none(place):
    with pytest.raises(UsageError, match="no tools here"):
        await place("/tools")


async def test_allowing_in_this_session(tools, kept):
    await tools("/allow clock(zone=*, city=Lisbon)")
    assert said(tools).text == "clock(zone=*, city=Lisbon) runs unasked in this session"
    here = tools.talk.tooling.rules(tools.talk.session.id).here
    assert [(str(each.rule), each.until) for each in here] == [("clock(zone=*, city=Lisbon)", None)]
    assert kept.rules == []
    await tools("/tools")
    assert "allowed in this session: `clock(zone=*, city=Lisbon)`" in tools.of(Page)[-1].text


async def test_allowing_for_a_time(tools):
    await tools("/allow clock --for 30m")
    here = tools.talk.tooling.rules(tools.talk.session.id).here
    assert here[0].until - tools.talk.tooling.clock() == pytest.approx(1800, abs=60)
    assert "for 30 minutes" in said(tools).text


async def test_allowing_for_good(tools, kept):
    await tools("/allow clock --always")
    assert kept.rules == [("clock", True)]
    assert "from now on" in said(tools).text
    with pytest.raises(UsageWrong):
        await tools("/allow clock --always --for 3m")


async def test_what_is_forbidden_for_good_is_not_allowed_by_the_way(tools, kept):
    with pytest.raises(CommandError, match="forbidden for good"):
        await tools("/allow write(path=a)")
    await tools("/allow write(path=a) --always")
    assert kept.rules == [("write(path=a)", True)]
    assert tools.talk.tooling.rules("").deny == ()


async def test_what_always_asks_says_so(tools):
    await tools("/tools on shell")
    await tools("/allow shell")
    assert said(tools).level is Level.WARNING
    assert "every time" in said(tools).text


@pytest.mark.parametrize("line", ["/allow", "/allow --always"])
async def test_nothing_to_allow(tools, line):
    with pytest.raises(UsageWrong):
        await tools(line)


async def test_what_is_no_rule(tools):
    with pytest.raises(UsageError, match="is no rule"):
        await tools("/allow clock(")


async def test_unattended_it_says_that_nothing_runs(tools):
    await tools("/tools")
    tools.talk.tooling.policy = Policy()
    await tools("/tools")
    assert "Nothing runs but by a rule" in tools.of(Page)[-1].text


def test_they_complete():
    sources = Sources(tools=lambda: [("clock", "the time"), ("shell", "")])

    def offered(line):
        return [s.label for s in TABLE.complete(line, len(line), sources)]

    assert offered("/tools o") == ["on", "off", "output"]
    assert offered("/tools on ") == ["clock", "shell"]
    assert offered("/tools off sh") == ["shell"]


def gave(content, *, whole=b"", blob="", name="read_file"):
    return ToolReturned(
        result=Result("c1", name, content), blob=blob, size=len(whole), foreign=True
    )


async def test_the_whole_of_a_long_output_is_shown_or_written(tools):
    whole = b"first\n" + b"``` middle\n" * 1000 + b"last"
    blob = tools.keeper.store.put_blob(whole)
    talk = tools.bench.conversation
    with pytest.raises(CommandError, match="no tool was called"):
        await tools("/tools output")
    talk.settle(gave("first … last", whole=whole, blob=blob), tools.heard.append)
    n = len(talk.session)
    talk.settle(gave("short", name="clock"), tools.heard.append)
    await tools("/tools output")  # the newest that was cut
    page = tools.of(Page)[-1]
    assert page.title == f"What read_file gave back ({n})"
    assert page.text == f"````text\n{whole.decode()}\n````"
    await tools(f"/tools output {n + 1}")
    assert tools.of(Page)[-1].text == "```text\nshort\n```"
    await tools(f"/tools output {n} out.txt")
    assert tools.files.files["out.txt"] == whole.decode()
    with pytest.raises(CommandError, match="there already"):
        await tools(f"/tools output {n} out.txt")
    await tools(f"/tools output {n} out.txt --force")
    with pytest.raises(CommandError, match="message 99 is no tool's"):
        await tools("/tools output 99")


async def test_an_output_that_could_not_be_kept_is_said_so(tools):
    tools.bench.conversation.settle(gave("head … tail", whole=b"x" * 99), tools.heard.append)
    await tools("/tools output")
    assert said(tools).level is Level.WARNING
    assert "head … tail" in tools.of(Page)[-1].text
