"""What is said when another model answers, and when a server reads less than it was sent."""

from __future__ import annotations

import pytest

from chinwag.engine import switching
from chinwag.engine.switching import Room, losses, report
from chinwag.errors import (
    BadRequest,
    ConfigError,
    ContextOverflow,
    KeyMissing,
    KeyRefused,
    ModelUnknown,
    Overloaded,
    RateLimited,
    Refused,
    StreamBroken,
    Unreachable,
    UsageError,
)
from chinwag.providers.base import Profile, Terms
from chinwag.talk.entry import AssistantSaid, ToolReturned, UserSaid
from chinwag.talk.message import Call, File, Image, Result, Text, Thinking

CAT = Image(name="cat.png", mime="image/png", data="AA==")
PDF = File(name="a.pdf", mime="application/pdf", data="AA==")
ZIP = File(name="a.zip", mime="application/zip", data="AA==")
NOTES = File(name="a.txt", mime="text/plain", text="words", data="AA==")
PDF_ONLY = Terms(files=("application/pdf",), ids=r"[a-z]{1,9}")


def asked(*parts):
    return UserSaid(parts=(Text("q"), *parts), tokens=5)


def said(*entries):
    return list(enumerate(entries, 1))


def texts(entries, profile=Profile(), terms=Terms(), room=Room(), provider="new"):  # noqa: B008
    return [loss.text for loss in losses(said(*entries), provider, profile, terms, room)]


def test_nothing_lost_nothing_said():
    talk = [asked(CAT, NOTES), AssistantSaid(parts=(Thinking("hm", source="new/m"), Text("a")))]
    assert texts(talk, Profile(sees=True)) == []
    assert texts(talk) == []  # nobody knows whether it sees: nothing is withheld, nothing said
    assert report("new/m", []) == ""


def test_pictures_for_a_model_that_does_not_see():
    [text] = texts([asked(CAT), asked(CAT, CAT)], Profile(sees=False))
    assert "3 pictures are named in words" in text
    assert "1 picture is named" in texts([asked(CAT)], Profile(sees=False))[0]


@pytest.mark.parametrize(
    ("terms", "count"),
    [(Terms(), 0), (PDF_ONLY, 1), (Terms(files=()), 2), (Terms(files=("x",)), 2)],
)
def test_files_a_wire_has_no_form_for(terms, count):
    found = texts([asked(PDF, ZIP, NOTES)], terms=terms)
    assert len(found) == bool(count)
    assert count == 0 or f"read {count} file" in found[0]


def test_the_thinking_of_others_is_not_sent_and_that_is_no_great_loss():
    by = [Thinking("hm", source=f"{who}/m") for who in ("old", "old", "new", "older")]
    answers = [AssistantSaid(parts=(part, Text("a"))) for part in by]
    [loss] = losses(said(*answers), "new", Profile(), Terms(), Room())
    assert "3 answers by others" in loss.text
    assert not loss.grave


def test_ids_that_are_not_kept():
    calls = AssistantSaid(parts=(Call("fine", "t"), Call("call_1", "t"), Call("call_2", "t")))
    talk = [asked(), calls, ToolReturned(result=Result("call_1"))]
    assert texts(talk, terms=PDF_ONLY) == ["2 tool calls are sent under other ids"]
    assert texts(talk, terms=Terms()) == []


@pytest.mark.parametrize(
    ("room", "words"),
    [
        (Room(1001, 1000), "holds 1,001 tokens and its window only 1,000"),
        (Room(1001, 1000, exact=False), "holds ~1,001 tokens"),
        (Room(1000, 1000), ""),
        (Room(1000, 0), ""),
    ],
)
def test_a_history_larger_than_the_window(room, words):
    found = texts([asked()], room=room)
    assert len(found) == bool(words)
    assert words in "".join(found)
    assert not words or "makes room" in found[0]


def test_all_of_it_in_one_sentence():
    talk = [asked(CAT, PDF), AssistantSaid(parts=(Thinking("hm", source="old/m"), Call("A", "t")))]
    terms = Terms(files=(), ids="[a-z]")
    lost = losses(said(*talk), "new", Profile(sees=False), terms, Room(9, 8))
    text = report("new/m", lost)
    assert text.startswith("new/m: it does not see")
    assert len(lost) == text.count(";") + 1 == 5
    assert "\n" not in text


@pytest.mark.parametrize(
    ("error", "way"),
    [
        (Unreachable("x"), True),
        (Overloaded("x"), True),
        (RateLimited("x"), True),
        (RateLimited("x", out_of_credit=True), True),
        (KeyRefused("x"), True),
        (KeyMissing("x"), True),
        (BadRequest("x"), False),
        (Refused("x"), False),
        (ModelUnknown("x"), False),
        (ContextOverflow("x"), False),
        (StreamBroken("x"), False),
        (ConfigError("x"), False),
        (UsageError("x"), False),
        (None, False),
    ],
)
def test_who_gives_way_to_another(error, way):
    assert switching.gives_way(error) is way


@pytest.mark.parametrize(
    ("ours", "reported", "known", "cut"),
    [
        (7500, 2048, True, True),
        (7500, 2048, False, True),
        (3000, 2048, True, True),
        (3000, 2048, False, False),  # our guess may be that wrong
        (2900, 2048, True, False),
        (600, 390, True, True),
        (600, 450, True, False),
        (250, 60, True, False),  # too small to matter
        (100, 5000, True, False),
    ],
)
def test_when_a_report_looks_cut(ours, reported, known, cut):
    assert switching.looks_cut(ours, reported, known=known) is cut


@pytest.mark.parametrize(
    ("reported", "news", "fits"),
    [(30, 10, True), (1000, 1000, True), (2048, 20_000, False), (2048, 10, False), (5, 500, False)],
)
def test_a_server_that_counts_only_what_is_new(reported, news, fits):
    assert switching.counts_news_only(reported, news) is fits


def test_what_is_new_since_the_last_answer():
    first = said(asked(), asked())
    assert switching.news(first) == 0
    assert switching.news([*first, (3, AssistantSaid(tokens=90)), (4, asked()), (5, asked())]) == 10


def test_the_notice_of_a_cut_has_numbers_and_a_way_out():
    text = switching.cut_notice("ollama/m", 7503, 2048, Terms(widen="set num_ctx"), exact=False)
    assert "2,048 of ~7,503 tokens" in text
    assert "set num_ctx" in text
    assert "~" not in switching.cut_notice("o/m", 7503, 2048, Terms(), exact=True)
