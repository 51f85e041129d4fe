"""`/warm` in words, completion and help; what a deletion on the command line takes along."""

from __future__ import annotations

import pytest

from chinwag.commands.builtin import TABLE
from chinwag.commands.parse import parse
from chinwag.commands.table import Sources
from chinwag.errors import UsageError, UsageWrong
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.http import HttpProvider
from chinwag.talk.event import Notice, Page
from support.desk import desk
from support.engine import Player
from support.slots import Slots


async def done(bench, line):
    heard = []
    await TABLE.perform(parse(line), bench, heard.append)
    return heard


def test_it_is_completed_and_named():
    texts = [s.text for s in TABLE.complete("/warm ", 6, Sources())]
    assert texts == ["save", "restore", "drop"]
    assert TABLE.complete("/warm r", 7, Sources())[0].text == "restore"
    assert TABLE.find("warm").line == "/warm [save|restore|drop]"


async def test_saved_restored_looked_at_and_dropped():
    with Slots() as slots:
        provider = HttpProvider(Endpoint(name="here", base_url=slots.url), LlamaCpp())
        a_desk = desk(provider, model="tiny")
        bench = a_desk._bench
        await a_desk.handle("tell me of the sea", [].append)
        (saved,) = await done(bench, "/warm save")
        assert isinstance(saved, Notice)
        assert "tokens saved" in saved.text
        slots.restart()
        (restored,) = await done(bench, "/warm restore")
        assert "read back" in restored.text
        (page,) = await done(bench, "/warm")
        assert isinstance(page, Page)
        assert "here/tiny" in page.text
        assert "possible" in page.text
        (dropped,) = await done(bench, "/warm drop")
        assert "gone" in dropped.text
        (nothing,) = await done(bench, "/warm restore")
        assert nothing.text.endswith("(/warm save keeps it)")
        await provider.aclose()


async def test_what_it_does_not_know_and_who_keeps_nothing():
    bench = desk(Player())._bench
    with pytest.raises(UsageWrong, match="does not know 'restor'") as raised:
        await done(bench, "/warm restor")
    assert raised.value.hint == "did you mean restore?"
    with pytest.raises(UsageWrong) as raised:
        await done(bench, "/warm xyz")
    assert "save|restore|drop" in raised.value.hint
    with pytest.raises(UsageError, match="nothing to keep warm"):
        await done(bench, "/warm save")
    (page,) = await done(bench, "/warm")
    assert "nothing" in page.text
