"""What is said of slash commands, said for a shell."""

from __future__ import annotations

import pytest

from chinwag.frontends.hints import in_python, outside


@pytest.mark.parametrize(
    ("inside", "shell"),
    [
        ("/retry asks again", "run it again"),
        ("wait a little, or choose another model with /model", "choose another model with -m"),
        ("choose a model with a larger window: /model", "a larger window: -m"),
        ("/set max_tokens takes less than 5 here", "--max-tokens takes less than 5 here"),
        (
            "MCP server x has not been approved yet; /mcp approve x shows it",
            "chat mcp test x shows",
        ),
        ("/compact makes it shorter; so does /trim", "in the chat (chat -c), /compact makes"),
        ("/fork goes on in a copy; /takeover asks for this one", "--fork goes on in a copy"),
    ],
)
def test_a_hint_of_the_chat_is_one_of_the_shell(inside, shell):
    assert shell in outside(inside)


@pytest.mark.parametrize("text", ["", "check the path", "http://host/v1 is not there", "/usr/bin"])
def test_anything_else_is_as_it_was(text):
    assert outside(text) == text
    assert in_python(text) == text


@pytest.mark.parametrize(
    ("inside", "python"),
    [
        ("/retry asks again", "chat.retry() asks again"),
        ("wait a little, or choose another model with /model", "another model: chat.switch(NAME)"),
        ("/compact makes it shorter; so does /trim", "chat.compact() makes it shorter; so does"),
        ("/budget AMOUNT allows more, then /continue goes on", "then chat.send() goes on"),
        ("/set max_tokens takes less than 5 here", "chat.set(max_tokens=…) takes less than 5"),
        ("shorten it: /system TEXT", "shorten it: chat.set_system(TEXT)"),
        ("http://host/retry is not there", "http://host/retry is not there"),
    ],
)
def test_a_hint_of_the_chat_is_one_for_a_program(inside, python):
    assert python in in_python(inside)
