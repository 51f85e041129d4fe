"""Files that go with a message, named by a command or in the words themselves."""

from __future__ import annotations

import pytest

from chinwag.commands.attaching import mentioned
from chinwag.errors import UsageError
from chinwag.talk.event import DraftOffered, Failed, Notice
from chinwag.talk.message import File
from support.desk import desk
from support.engine import Player


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("look at @notes.txt", [("notes.txt",)]),
        ("what is on @photo.png?", [("photo.png?", "photo.png")]),
        ('@"a b.txt" and @c', [("a b.txt",), ("c",)]),
        ("mail me@example.com", []),
        ("nothing", []),
        ("@ alone", []),
        ("(@x)", []),
    ],
)
def test_what_may_be_a_path(text, paths):
    assert mentioned(text) == paths


def with_files(player, **files):
    a_desk = desk(player)

    async def attach(path):
        if files[path] is None:
            raise UsageError(f"{path} is neither a picture nor UTF-8 text")
        return File(name=path, text=files[path])

    async def is_file(path):
        return path in files

    import msgspec

    a_desk._bench = msgspec.structs.replace(a_desk._bench, attach=attach, is_file=is_file)
    return a_desk


def files_of(request):
    return [p.name for m in request.messages for p in m.parts if isinstance(p, File)]


async def test_a_path_in_the_words_is_attached_where_it_is_a_file():
    player, heard = Player(), []
    a_desk = with_files(player, notes="some notes")
    await a_desk.handle("sum up @notes, and ask @bob", heard.append)
    assert files_of(player.requests[0]) == ["notes"]
    assert player.requests[0].messages[0].text == "sum up @notes, and ask @bob"


async def test_what_was_attached_goes_once():
    player, heard = Player(), []
    a_desk = with_files(player, notes="some notes", more="more")
    await a_desk.handle("/file notes", heard.append)
    await a_desk.handle("/file", heard.append)
    assert "notes" in heard[-2].text
    await a_desk.handle("/attach more", heard.append)
    await a_desk.handle("read these", heard.append)
    await a_desk.handle("and now?", heard.append)
    assert files_of(player.requests[0]) == ["notes", "more"]
    assert files_of(player.requests[1]) == ["notes", "more"]  # in the history, not again
    assert a_desk.conversation.pending == ()
    await a_desk.handle("/file notes", heard.append)
    await a_desk.handle("/file --drop", heard.append)
    assert a_desk.conversation.pending == ()


async def test_a_file_that_cannot_be_sent_gives_the_words_back():
    player, heard = Player(), []
    a_desk = with_files(player, blob=None)
    await a_desk.handle("see @blob", heard.append)
    assert player.requests == []
    assert DraftOffered("see @blob") in heard
    assert [e for e in heard if isinstance(e, Failed)]
    assert not [e for e in heard if isinstance(e, Notice)]
