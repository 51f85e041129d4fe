"""A line is talk, a command or another program's command; a command is never sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.commands.parse import Called, Slip, Talk, parse, split, whole


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("hello", "hello"),
        ("", ""),
        ("//help", "/help"),
        ("//usr is a folder", "/usr is a folder"),
        ("///doc", "//doc"),
        ("// a comment\nint x;", "// a comment\nint x;"),
        ("/// a doc comment", "/// a doc comment"),
        ("/usr/bin/env does what?", "/usr/bin/env does what?"),
        ("/notes.txt is mine", "/notes.txt is mine"),
        ("/* a comment */\nint main;", "/* a comment */\nint main;"),
        ("/^a+$/ matches what?", "/^a+$/ matches what?"),
        ("1/2 is a half", "1/2 is a half"),
        ("  /indented\n  code", "  /indented\n  code"),
        ("exit the vim editor how?", "exit the vim editor how?"),
        ("quit\nsmoking", "quit\nsmoking"),
        ("help", "help"),
    ],
)
def test_talk(line, text):
    assert parse(line) == Talk(text)


@pytest.mark.parametrize(
    ("line", "called"),
    [
        ("/", Called("")),
        ("/help", Called("help")),
        ("  /help  ", Called("help")),
        ("/?", Called("?")),
        ("/HELP undo", Called("help", ("undo",), "undo")),
        ("/nosuch thing", Called("nosuch", ("thing",), "thing")),
        ("/etc", Called("etc")),
        ("/exit.", Called("exit.")),
        ("/load 'two days' x", Called("load", ("two days", "x"), "'two days' x")),
        ("/rename Bob's plan", Called("rename", ("Bob's", "plan"), "Bob's plan")),
        ("/system a\n\n  b", Called("system", ("a", "b"), "a\n\n  b")),
        ("/system\na\nb", Called("system", ("a", "b"), "a\nb")),
        ("/ model", Called("", ("model",), "model")),
    ],
)
def test_commands(line, called):
    assert parse(line) == called


@pytest.mark.parametrize("line", ["exit", "quit", ":q", "bye", " EXIT ", ".exit", "!quit", ":wq"])
def test_other_programs_ways_out_are_told_and_not_sent(line):
    parsed = parse(line)
    assert isinstance(parsed, Slip)
    assert "/exit" in parsed.notice


@pytest.mark.parametrize("line", [".help", "!help", ".model gpt-5", "!edit", " .session work"])
def test_other_programs_help(line):
    parsed = parse(line)
    assert isinstance(parsed, Slip)
    assert "/help" in parsed.notice


@pytest.mark.parametrize(
    "line",
    ["!important is ignored", ".gitignore of a node project", ".set", "!models are odd\nsee"],
)
def test_what_only_begins_so_is_said(line):
    assert isinstance(parse(line), Slip if line == ".set" else Talk)


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("", ()),
        ("two days in lisbon", ("two days in lisbon",)),
        ("'two days'", ("two days",)),
        ('"say "hi""', ('"say "hi""',)),
        ("don't", ("don't",)),
        ('"a" and "b"', ('"a" and "b"',)),
        ("a\n  b", ("a\n  b",)),
        ("'", ("'",)),
    ],
)
def test_free_text_is_one_word(rest, words):
    assert whole(rest) == words


@given(st.text())
def test_parsing_is_total(line):
    assert isinstance(parse(line), Talk | Called | Slip)
    assert isinstance(split(line), tuple)


@given(st.from_regex(r"/[a-z]{1,12}( [a-z ]{0,20})?", fullmatch=True))
def test_what_looks_like_a_command_is_never_talk(line):
    assert isinstance(parse(line), Called)


@given(st.text(min_size=1).filter(lambda t: not t[0].isspace()))
def test_two_slashes_send_any_text_that_begins_with_one(text):
    assert parse("//" + text.lstrip("/")) in (
        Talk("/" + text.lstrip("/")),
        Talk("//" + text.lstrip("/")),  # nothing but slashes, or slashes and a blank
    )
