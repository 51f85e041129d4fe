"""What argv alone says about the road."""

from __future__ import annotations

import pytest

from chinwag.boot import is_prompt, opens_screen


@pytest.mark.parametrize(
    "words",
    [
        "",
        "-m a/b",
        "--model=a/b",
        "-r",
        "--resume trip",
        "-r trip -m x",
        "-c",
        "-n x --vi",
        "-r -c",
    ],
)
def test_these_open_the_screen(words):
    assert opens_screen(words.split())


@pytest.mark.parametrize(
    "words",
    [
        "hello",
        "-m a/b hello",
        "--json",
        "--help",
        "-m",
        "sessions list",
        "--plain",
        "-f x",
        "-x",
        "-r trip more",
        "--version",
        "-",
    ],
)
def test_these_ask_the_parser_first(words):
    assert not opens_screen(words.split())


def test_a_start_knows_every_option_that_takes_a_value():
    """A value must not be taken for a prompt: the two tables say the same."""
    from chinwag import boot, cli

    params = cli.typer.main.get_command(cli.talk_app).params
    valued = {n for p in params for n in p.opts if n[0] == "-" and not getattr(p, "is_flag", False)}
    alone = {n for p in params for n in p.opts if n[0] == "-" and getattr(p, "is_flag", False)}
    assert valued >= boot._WITH_VALUE
    assert valued - boot._WITH_VALUE == {"-f", "--file", *boot._MAYBE}
    assert alone >= boot._ALONE


@pytest.mark.parametrize("words", [["what is this?"], ["one\ttwo", "three"], ["models list"]])
def test_words_with_a_blank_are_a_prompt_and_need_no_parser(words):
    assert is_prompt(words)


@pytest.mark.parametrize(
    "words",
    [[], ["hello"], ["models", "a b"], ["ask", "a b"], ["-m x", "a b"], ["a b", "--json"]],
)
def test_whatever_may_be_a_command_or_an_option_is_parsed(words):
    assert not is_prompt(words)
