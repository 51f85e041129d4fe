"""A refusal read: what the server's words name, and nothing that they do not."""

from __future__ import annotations

import pytest

from chinwag.engine.refusals import PICTURES, refused, renamed, told, without
from chinwag.errors import BadRequest, Overloaded
from chinwag.providers.base import Options, Request
from chinwag.talk.message import Image, Message

FULL = Options(
    temperature=0.5, top_p=0.9, top_k=5, max_tokens=100, stop=("x",), reasoning="low", seed=1
)


def asked(options=FULL, *, picture=False):
    more = (Image(mime="image/png", data="AA=="),) if picture else ()
    return Request("m", (Message.user("q", *more),), options=options)


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
        ("Unsupported value: 'temperature' does not support 0.5 with this model.", "temperature"),
        ("'max_tokens' is not supported. Use 'max_completion_tokens' instead.", "max_tokens"),
        ("`temperature` is deprecated for this model.", "temperature"),
        ("`temperature` and `top_p` cannot both be specified for this model.", "temperature"),
        ("`top_k` must be unset when thinking is enabled", "top_k"),
        ("seed: Extra inputs are not permitted", "seed"),
        ("Unknown name \"topK\" at 'generation_config': Cannot find field.", "top_k"),
        ("property 'reasoning_effort' is unsupported", "reasoning"),
        ("Model grok does not support parameter reasoningEffort.", "reasoning"),
        ("thinking is not supported by this model", "reasoning"),
        ("Argument not supported on this model: stop", "stop"),
        ("Unrecognized request argument supplied: top_p", "top_p"),
        ("max_tokens: 99 > 64, which is the maximum allowed number of output tokens", ""),
        ("temperature: range 0 to 1", ""),
        ("messages: at least one message is required", ""),
        ("this model does not support stopping by itself", ""),
        ("unsupported", ""),
        ("", ""),
    ],
)
def test_what_is_named(words, name):
    assert refused(BadRequest(words), asked()) == name


def test_only_what_was_sent_can_be_given_up():
    error = BadRequest("Unsupported parameter: 'temperature' is not supported with this model.")
    assert refused(error, asked(Options(top_p=0.5))) == ""
    assert refused(Overloaded(error.message), asked()) == ""
    assert refused(None, asked()) == ""


@pytest.mark.parametrize(
    "words",
    [
        "No endpoints found that support image input: not supported",
        "unknown variant `image_url`, expected `text`",
        "messages[0].content must be a string",
        "This model does not support images",
        "vision is not supported",
    ],
)
def test_pictures_are_given_up_where_there_are_some(words):
    assert refused(BadRequest(words), asked(Options(), picture=True)) == PICTURES
    assert refused(BadRequest(words), asked(Options())) == ""


def test_what_is_left_out():
    assert without(FULL, ["temperature", "stop", PICTURES]) == Options(
        top_p=0.9, top_k=5, max_tokens=100, reasoning="low", seed=1
    )
    assert without(FULL, []) == FULL


def test_a_limit_by_its_newer_name():
    other = BadRequest("'max_tokens' is not supported. Use 'max_completion_tokens' instead.")
    assert renamed(other)
    assert not renamed(BadRequest("'max_tokens' is not supported"))
    moved = without(Options(max_tokens=9, extra={"a": 1}), ["max_completion_tokens"])
    assert moved == Options(extra={"max_completion_tokens": 9, "a": 1})
    assert without(Options(), ["max_completion_tokens"]) == Options()


@pytest.mark.parametrize("name", ["temperature", PICTURES, "max_completion_tokens"])
def test_it_is_said_in_a_sentence(name):
    assert told(name, "lab/m").startswith("lab/m ")
