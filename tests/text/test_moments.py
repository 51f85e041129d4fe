"""Stored moments by the clock on the wall."""

import time

import pytest

from chinwag.commands.table import about_session
from chinwag.frontends.tui.picking import sessions
from chinwag.talk.session import Header, Headline
from chinwag.text.moments import DAY, MINUTE, local


@pytest.fixture
def tokyo(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_a_moment_is_told_by_the_clock_on_the_wall(tokyo):
    assert local("2026-11-20T23:31:00.000Z") == "2026-11-21 08:31"
    assert local("2026-11-20T23:31:00.000Z", DAY) == "2026-11-21"
    assert local("2026-11-20T23:31:00.000Z", MINUTE) == "08:31"


@pytest.mark.parametrize("at", ["", "yesterday", "2026-13-01", "9999-12-31T23:59:59Z"])
def test_what_is_no_moment_here_is_left_out(tokyo, at):
    assert local(at) == ""


def test_lists_of_sessions_tell_it_too(tokyo):
    head = Headline(title="a", messages=1, updated="2026-11-20T23:31:00.000Z")
    header = Header("x", headline=head)
    assert sessions((header,))[0].detail == "1 message · 2026-11-21 08:31"
    assert about_session(header) == "1 message · 2026-11-21"
