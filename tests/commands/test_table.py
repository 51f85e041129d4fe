"""One table: looked up, completed, coloured, explained."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.commands import help as help_room
from chinwag.commands.builtin import TABLE
from chinwag.commands.parse import Called
from chinwag.commands.table import Command, Group, Sources, Table, at_path
from chinwag.errors import CommandUnknown, UsageWrong
from chinwag.providers.base import ModelInfo
from chinwag.talk.session import Header, Headline

HEADERS = [
    Header("20261120-093015-k3f9q2", headline=Headline(title="Two days in Lisbon", messages=4)),
    Header(
        "20261121-093015-abcdef", headline=Headline(title="Tax", messages=1, updated="2026-11-21")
    ),
    Header("20261122-093015-zzzzzz", damaged="cut in the middle"),
]
MODELS = [
    ModelInfo("ollama", "qwen3:4b", detail="4 GB"),
    ModelInfo("ollama", "llama3.2:3b"),
    ModelInfo("openai", "gpt-5-mini"),
]
SOURCES = Sources(
    sessions=lambda: HEADERS,
    models=lambda: MODELS,
    providers=lambda: ("openai", "ollama", "guide"),
    paths=lambda typed: [p for p in ("notes.md", "my talk.json", "src/") if p.startswith(typed)],
    topics=help_room.TOPICS,
)

EXPECTED = (
    "help ? exit quit q bye clear new history save load resume sessions rename title name delete "
    "fork undo redo retry regenerate continue edit provider model models system set tokens cost "
    "context copy export"
).split()


def complete(line):
    return [s.text for s in TABLE.complete(line, len(line), SOURCES)]


@pytest.mark.parametrize("name", EXPECTED)
def test_every_name_of_the_contract_is_there(name):
    assert TABLE.get(name) is not None
    assert TABLE.get(f"/{name.upper()}") is TABLE.get(name)


def test_every_row_is_whole():
    for command in TABLE.commands:
        assert command.summary
        assert "\n" not in command.summary
        assert len(command.summary) <= 72
        assert not command.summary.endswith(".")
        assert command.line.startswith(f"/{command.name}")


def test_no_two_commands_share_a_name():
    row = TABLE.commands[0]
    with pytest.raises(ValueError, match="two commands"):
        Table([row, row])


def test_unknown_names_come_with_near_ones():
    with pytest.raises(CommandUnknown) as caught:
        TABLE.find("moddel")
    assert "model" in caught.value.near
    assert "/model" in caught.value.hint
    assert "//" in caught.value.hint
    assert "nothing was sent" in caught.value.message


def test_a_lone_slash_with_words_is_no_command():
    with pytest.raises(CommandUnknown):
        TABLE.find("")


async def test_too_many_words_show_the_usage_line():
    with pytest.raises(UsageWrong) as caught:
        await TABLE.perform(Called("undo", ("1", "2"), "1 2"), None, print)
    assert caught.value.usage == "/undo [N]"
    with pytest.raises(UsageWrong, match="no argument"):
        await TABLE.perform(Called("exit", ("now",), "now"), None, print)


def test_names_are_completed_with_their_descriptions():
    found = TABLE.complete("/re", 3, SOURCES)
    assert [s.text for s in found[:2]] == ["/redo", "/retry "]
    assert {"/rename ", "/resume "} <= {s.text for s in found}
    assert all(s.start == 0 and s.detail for s in found)
    assert len(complete("/")) == len(TABLE.commands)
    assert complete("/q") == ["/quit", "/q"]
    assert complete("/moddel") == ["/model "]


@pytest.mark.parametrize(
    ("line", "texts"),
    [
        ("/load tw", ["two-days-in-lisbon"]),
        ("/load lisbon", ["two-days-in-lisbon"]),
        ("/load two days", ["two-days-in-lisbon"]),
        ("/delete ", ["two-days-in-lisbon", "tax", "20261122-093015-zzzzzz"]),
        ("/model qwen", ["ollama/qwen3:4b"]),
        ("/retry open", ["openai/gpt-5-mini"]),
        ("/provider o", ["openai", "ollama"]),
        ("/provider ollama l", ["llama3.2:3b", "ollama"][:1]),
        ("/set temp", ["temperature"]),
        ("/set reasoning h", ["high"]),
        ("/export m", ["markdown", "'my talk.json'"]),
        ("/export html n", ["notes.md"]),
        ("/system @n", ["@notes.md"]),
        ("/system be n", []),
        ("/save my", ["'my talk.json'"]),
        ("/help und", ["undo"]),
        ("/help pip", ["pipes"]),
        ("/undo 1", []),
        ("/nosuch x", []),
        ("hello /he", []),
        ("//he", []),
        ("/system a\n/he", []),
        ("/usr/bi", []),
    ],
)
def test_arguments_are_completed_by_kind(line, texts):
    found = complete(line)
    assert [t for t in found if t in texts] == texts
    assert bool(found) == bool(texts)


def test_a_suggestion_replaces_just_the_word():
    (found,) = TABLE.complete("/load two da and more", len("/load two da"), SOURCES)
    assert found.start == len("/load ")
    (found,) = TABLE.complete("/provider ollama qw", 19, SOURCES)
    assert (found.start, found.text) == (len("/provider ollama "), "qwen3:4b")


def test_a_damaged_session_says_so():
    assert [s.detail for s in TABLE.complete("/load 20261122", 14, SOURCES)] == [
        "damaged: cut in the middle"
    ]


@given(st.text(alphabet="/helpmodsytav @'\"\\\n .", max_size=30), st.integers(0, 40))
def test_completing_never_raises(line, cursor):
    for s in TABLE.complete(line, cursor, SOURCES):
        assert 0 <= s.start <= len(line)


def test_colours_know_commands():
    assert TABLE.span("/undo 2") == (5, True)
    assert TABLE.span("/nosuch") == (7, False)
    assert TABLE.span("/usr/bin") is None
    assert TABLE.span("hello") is None


def test_the_usage_of_what_is_being_typed():
    assert TABLE.usage_hint("/undo ").startswith("/undo [N]")
    assert TABLE.usage_hint("/undo") == ""
    assert TABLE.usage_hint("talk") == ""


def test_a_command_of_ones_own():
    async def run(bench, words, hear):
        hear(words)

    table = Table([Command("x", "does x", Group.PROGRAM, run)])
    assert table.find("x").line == "/x"


def test_an_at_path_is_completed_in_the_middle_of_a_message():
    names = ["notes.txt", "my file.txt", "notes/"]
    sources = Sources(paths=lambda typed: [n for n in names if n.startswith(typed)])
    found = at_path("what is in @no", sources)
    assert [(s.text, s.start, s.detail) for s in found] == [
        ("@notes.txt", 11, "goes with the message"),
        ("@notes/", 11, "folder"),
    ]
    assert [s.text for s in at_path("@my", sources)] == ['@"my file.txt"']
    assert [s.text for s in at_path('and @"my fi', sources)] == ['@"my file.txt"']
    assert (
        at_path("a@no", sources) == at_path("@no ", sources) == at_path("/copy @no", sources) == []
    )
