"""The question before a tool runs: whole, safe, and no by default."""

from __future__ import annotations

import pytest

from chinwag.frontends.tui import approval
from chinwag.frontends.tui.state import Question
from chinwag.talk import event as e
from chinwag.talk.entry import AssistantSaid, ToolReturned
from chinwag.talk.message import Call, Result, Text
from chinwag.talk.session import fold_all
from chinwag.talk.tool import Risk
from chinwag.text.cells import width
from chinwag.tools.canonical import canonical, digest_of
from support.fakes import FakeDesk, blank, talk
from support.pilot import pilot


def asked(name="shell", risk=Risk.EXECUTE, rule="", why="", source="", **arguments):
    shown = canonical(name, arguments)
    call = Call("c1", name, "{}")
    return e.ApprovalAsked(call, shown, digest_of(shown), risk, why, rule, name, source)


SHORT = asked("read_file", Risk.READ, rule="read_file(path=docs/*)", path="docs/a.md")
LONG = asked("write_file", Risk.WRITE, path="a", content="\n".join(f"line {n}" for n in range(80)))


async def opened(p, question=SHORT, quiet=True):
    p.shell.dispatch(e.Requested("ollama", "qwen3"))
    p.shell.dispatch(question)
    await p.idle()
    if quiet:
        settle(p)


def settle(p):
    """As if nothing had been pressed for a while."""
    p.shell.picture.reading._quiet_since -= 1


# -- what is shown ------------------------------------------------------------------------------


def text_of(lines):
    return ["".join(text for _, text in line) for line in lines]


@pytest.mark.parametrize("columns", [20, 40, 80, 200])
def test_nothing_of_it_is_left_out(columns):
    command = "echo " + "x" * 500 + "   three blanks   " + "y" * 300
    question = asked(command=command, other="a  b\ttab")
    joined = "".join(
        line.removeprefix("   ").removeprefix("↪ ")
        for line in text_of(approval.whole(question, columns))
    )
    assert command in joined
    assert all(width(line) <= columns for line in text_of(approval.whole(question, columns)))


def test_calls_that_differ_look_different():
    one = approval.whole(asked(command="rm  -r x"), 80)
    for other in (
        "rm -r x",
        "rm  -r x ",
        "rm  -r  x",
        "rm  -r\u00a0x",
        "rm  -r\u200b x",
        "rm\n  -r x",
    ):
        assert approval.whole(asked(command=other), 80) != one


def test_hidden_and_strange_characters_are_shown():
    text = "\n".join(text_of(approval.whole(asked(command="rm \x1b[2K\u202e x\u0430"), 80)))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "‹202e›" in text
    assert "not plain letters" in text
    assert "U+0430" in text


def test_the_rule_is_part_of_what_has_to_be_seen():
    assert "the rule: read_file(path=docs/*)" in "\n".join(text_of(approval.whole(SHORT, 80)))


def test_why_it_is_asked_is_said_in_full_however_narrow():
    why = "text from elsewhere is in this talk, and this call can let data out"
    lines = text_of(approval.whole(asked(command="ls", why=why), 30))
    joined = "".join(line.removeprefix("   ").removeprefix("↪ ") for line in lines)
    assert joined.startswith(why)


def test_choices_of_a_tool_for_which_no_rule_may_answer():
    verdicts = [c.verdict for c in approval.choices(asked(command="ls"))]
    assert verdicts == [e.Verdict.DENY, e.Verdict.ONCE, e.Verdict.NEVER]


# -- at the keyboard ----------------------------------------------------------------------------


async def test_enter_says_no():
    async with pilot(desk := FakeDesk()) as p:
        await opened(p)
        seen = p.text()
        assert "read_file asks to run · read" in seen
        assert 'path: "docs/a.md"' in seen
        assert "› no, do not run it" in seen
        await p.press("enter")
        assert desk.decided == [("c1", SHORT.digest, e.Verdict.DENY, "")]
        assert "asks to run" not in p.text()


@pytest.mark.parametrize(
    ("downs", "verdict"),
    [(1, "once"), (2, "session"), (3, "always"), (4, "never"), (9, "never")],
)
async def test_the_arrows_choose(downs, verdict):
    async with pilot(desk := FakeDesk()) as p:
        await opened(p)
        await p.press(*["down"] * downs, "enter")
        assert [d[2] for d in desk.decided] == [verdict]


async def test_letters_are_a_word_to_the_model_and_never_a_yes():
    async with pilot(desk := FakeDesk()) as p:
        await opened(p)
        await p.press("down")
        await p.type("yes please")
        assert "› yes please" in p.text()
        assert "tell the model what you typed" in p.text()
        await p.press("backspace", "enter")
        assert desk.decided == [("c1", SHORT.digest, e.Verdict.DENY, "yes pleas")]


async def test_what_was_typed_before_it_could_be_seen_is_kept_and_not_heeded():
    async with pilot(desk := FakeDesk()) as p:
        await opened(p, quiet=False)
        await p.press("down")
        await p.type("half a mess")
        await p.press("enter")
        assert desk.decided == []
        assert p.shell.state.question.at == 0
        assert p.shell.buffer.text == "half a mess", "it goes on in the draft"
        settle(p)
        await p.press("enter")
        assert [d[2] for d in desk.decided] == [e.Verdict.DENY]
        p.shell.dispatch(e.Rested())
        await p.idle()
        assert "half a mess" in p.text()


async def test_each_early_key_puts_the_question_off():
    reading = approval.Reading()
    reading.draw(Question(SHORT), 80, 20, 10.0)
    assert not reading.heeds(10.2)
    assert not reading.heeds(10.4), "counted from the key before"
    assert reading.heeds(10.8)
    assert reading.heeds(10.81)


async def test_nothing_is_allowed_before_all_of_it_was_seen():
    async with pilot(desk := FakeDesk(), 80, 24) as p:
        await opened(p, LONG)
        assert "lines 1 to" in p.text()
        assert "not seen yet" in p.text()
        await p.press("down", "enter")
        assert desk.decided == []
        await p.press("enter")
        assert desk.decided == []
        for _ in range(12):
            await p.press("pagedown")
        assert "line 79" in p.text()
        assert "not seen yet" not in p.text()
        await p.press("enter")
        assert [d[2] for d in desk.decided] == [e.Verdict.ONCE]


async def test_that_it_has_to_be_read_first_is_said():
    for size in ((80, 24), (20, 6)):
        async with pilot(desk := FakeDesk(), *size) as p:
            await opened(p, LONG)
            await p.press("down", "enter")
            assert desk.decided == []
            assert " see all of it fir" in p.text()
            await p.press("pagedown")
            assert " see all of it fir" not in p.text()


async def test_jumping_over_a_part_is_not_seeing_it():
    reading = approval.Reading()
    reading.draw(Question(LONG), 80, 20, 1.0)
    reading.draw(Question(LONG, top=10_000), 80, 20, 2.0)
    assert not reading.seen
    total = len(approval.whole(LONG, 80))
    for top in range(total):
        reading.draw(Question(LONG, top=top), 80, 20, 3.0)
    assert reading.seen
    reading.draw(Question(LONG), 60, 20, 4.0)
    assert not reading.seen, "another width is another text"


async def test_escape_is_no_and_the_wheel_scrolls():
    async with pilot(desk := FakeDesk(), 80, 24) as p:
        await opened(p, LONG)
        await p.press("wheeldown")
        assert "lines 1 to" not in p.text()
        await p.press("escape")
        await p.until(lambda: bool(desk.decided))
        assert [d[2] for d in desk.decided] == [e.Verdict.DENY]


async def test_ctrl_c_stops_everything():
    async with pilot(desk := FakeDesk()) as p:
        await opened(p)
        await p.press("ctrl+c")
        assert [d[2] for d in desk.decided] == [e.Verdict.DENY]
        assert desk._stop.is_set()
        assert p.shell.state.stopping


async def test_a_question_that_is_settled_elsewhere_goes_away():
    async with pilot(FakeDesk()) as p:
        await opened(p)
        p.shell.dispatch(e.ApprovalAnswered("other", "0", allowed=True))
        await p.idle()
        assert "asks to run" in p.text()
        p.shell.dispatch(e.ApprovalAnswered("c1", SHORT.digest, allowed=True))
        await p.idle()
        assert "asks to run" not in p.text()


@pytest.mark.parametrize("size", [(80, 24), (40, 12), (30, 8), (20, 5), (200, 60)])
async def test_every_size(size):
    async with pilot(desk := FakeDesk(), *size) as p:
        await opened(p, LONG)
        for _ in range(200):
            if p.shell.picture.reading.seen:
                break
            await p.press("pagedown")
        assert p.shell.picture.reading.seen
        await p.press("down", "enter")
        assert [d[2] for d in desk.decided] == [e.Verdict.ONCE]


async def test_what_is_special_is_said():
    question = asked("fetch", Risk.NETWORK, why="text from elsewhere", source="mcp:web", url="x")
    async with pilot(FakeDesk()) as p:
        await opened(p, question)
        assert "fetch asks to run · network · from mcp:web" in p.text()
        assert "text from elsewhere" in p.text()


# -- while it runs, and after -------------------------------------------------------------------


async def test_a_tool_that_runs_says_for_how_long():
    async with pilot(FakeDesk()) as p:
        p.shell.dispatch(e.Requested("ollama", "qwen3"))
        p.shell.dispatch(e.ToolStarted(Call("c1", "shell", "{}")))
        p.shell.dispatch(e.ToolStarted(Call("c2", "fetch", "{}")))
        await p.until(lambda: "shell · 1 s" in p.text())
        assert "fetch · " in p.text()
        p.shell.dispatch(e.ToolProgressed("c2", "3 of 4\x1b[2J"))
        await p.until(lambda: "3 of 4" in p.text())
        session = fold_all(blank(), [AssistantSaid(parts=(Call("c1", "shell", "{}"),))])
        result = ToolReturned(result=Result("c1", "shell", "done"), seconds=1.2)
        p.shell.dispatch(e.Settled(2, result, session))
        await p.idle()
        assert "shell · " not in p.text().replace("shell: done", "")
        assert "← shell: done · 1.2 s" in p.text()
        p.shell.dispatch(e.Rested())
        await p.idle()
        assert "fetch · " not in p.text()


async def test_one_line_a_call_opens_to_all_of_it():
    content = "\n".join(f"row {n}" for n in range(5))
    said = [
        AssistantSaid(parts=(Text("I look."), Call("c1", "read_file", '{"path": "a.md"}'))),
        ToolReturned(result=Result("c1", "read_file", content), note="a note", size=70_000),
    ]
    async with pilot(FakeDesk(fold_all(blank(), said))) as p:
        assert "→ read_file  path=a.md" in p.text()
        assert "row 4" not in p.text()
        assert "a note" not in p.text()
        await p.press("ctrl+o")
        assert "row 4" in p.text()
        assert "a note · all 70,000 bytes are kept: /tools output" in p.text()


@pytest.mark.parametrize("rows", range(1, 30))
@pytest.mark.parametrize("question", [SHORT, LONG])
def test_what_counts_as_seen_was_drawn_however_low_the_screen(question, rows):
    text = approval.whole(question, 40)
    for at in range(len(approval.choices(question))):
        for top in (0, 1, len(text)):
            asking = Question(question, at=at, top=top)
            found = approval.laid(asking, text, 40, rows, seen=False)
            drawn = text_of(found.lines)
            assert len(drawn) <= rows
            assert sum(line.startswith(" ›") for line in drawn) == 1  # what Enter would say
            assert all(line in drawn for line in text_of(text[found.first : found.last]))


async def test_what_led_to_the_question_stands_above_it():
    async with pilot(FakeDesk(talk("What is in it?", "I would have to look."))) as p:
        await opened(p)
        lines = p.text().split("\n")
        said = next(n for n, line in enumerate(lines) if "I would have to look." in line)
        asks = next(n for n, line in enumerate(lines) if "asks to run" in line)
        assert said < asks
        assert lines[-2].startswith(" ›")
        assert "never: no call" in lines[-4]  # the answers stand above the input
        await opened(p, LONG)
        assert "I would have to look." not in p.text()
