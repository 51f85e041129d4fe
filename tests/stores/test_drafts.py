"""What was typed and not sent: it survives, it is nobody else's, and no file can break it."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chinwag.errors import SessionNotFound, StoreUnavailable
from chinwag.stores.drafts import KEPT, KEPT_SIZE, Draft, Drafts
from chinwag.talk.message import File, Image
from contracts.store import WORDS
from stores.disks import TestDisk, files_under

ID = "20261120-093015-k3f9q2"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data" / "drafts"


@pytest.fixture
def drafts(folder: Path) -> Iterator[Drafts]:
    disk = TestDisk()
    drafts = Drafts(folder, disk)
    yield drafts
    drafts.close()
    assert disk.opened == set()


def text_of(draft: Draft | None) -> str:
    assert draft is not None
    return draft.text


@pytest.mark.parametrize("session", ["", ID])
def test_what_was_kept_is_there_for_the_next_program(
    drafts: Drafts, folder: Path, session: str
) -> None:
    kept = Draft(WORDS, 5, (Image(mime="image/png", name="a", data="QUJD"), File(text="b")))
    drafts.keep(session, Draft("before"))
    drafts.keep(session, kept)
    drafts.close()
    again = Drafts(folder)
    for _ in range(2):  # it stays until something else is kept
        found = again.take(session)
        assert found is not None
        assert (found.text, found.cursor, found.attachments) == (WORDS, 5, kept.attachments)
        assert found.at
    again.keep(session, Draft("  \n"))
    again.close()
    assert Drafts(folder).take(session) is None
    assert [p for p in files_under(folder) if ".locks" not in str(p)] == []


def test_drafts_of_sessions_do_not_mix(drafts: Drafts) -> None:
    drafts.keep(ID, Draft("one"))
    drafts.keep("other", Draft("two"))
    drafts.keep("", Draft("three"))
    assert [text_of(drafts.take(s)) for s in (ID, "other", "")] == ["one", "two", "three"]
    for name in ("../x", "a/b", "_new.x", ".", "A"):
        for attempt in (lambda n=name: drafts.take(n), lambda n=name: drafts.keep(n, Draft("x"))):
            with pytest.raises(SessionNotFound):
                attempt()


def test_a_program_that_runs_keeps_its_draft_to_itself(drafts: Drafts, folder: Path) -> None:
    drafts.keep("", Draft("mine"))
    second = Drafts(folder)
    assert second.take("") is None
    second.keep("", Draft("theirs"))
    assert text_of(drafts.take("")) == "mine"
    drafts.close()
    second.close()
    third = Drafts(folder)
    assert text_of(third.take("")) == "theirs"  # the newest; the other one is not lost
    assert [d.text for d in third.recent()] == ["mine"]
    third.keep("", Draft())
    third.close()
    assert Drafts(folder).take("") is None


TYPIST = """
import os, sys
from pathlib import Path
from chinwag.stores.drafts import Draft, Drafts
drafts = Drafts(Path(sys.argv[1]))
for n in range(10_000):
    drafts.keep(sys.argv[2], Draft("word " * (n % 50) + str(n), n))
    os.write(1, b"%d\\n" % n)
"""


@pytest.mark.parametrize("session", ["", ID])
def test_a_killed_typist_loses_nothing_that_was_kept(folder: Path, session: str) -> None:
    for _ in range(5):
        command = [sys.executable, "-c", TYPIST, str(folder), session]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            while int(child.stdout.readline()) < 20:
                pass
            child.kill()
            last = [int(line) for line in child.stdout.read().split()][-1:] or [20]
        drafts = Drafts(folder)
        number = int(text_of(drafts.take(session)).split()[-1])
        assert last[0] <= number <= last[0] + 1
        drafts.keep(session, Draft())
        drafts.close()


def test_the_last_discarded_can_be_recalled(drafts: Drafts, folder: Path) -> None:
    for n in range(KEPT + 5):
        drafts.discard(Draft(f"text {n}", 2))
    drafts.discard(Draft("text 20"))
    drafts.discard(Draft(" "))
    texts = [d.text for d in Drafts(folder).recent()]
    assert texts[:3] == ["text 20", "text 24", "text 23"]
    assert len(texts) == len(set(texts)) == KEPT


def test_discarded_ones_take_only_so_much_room(drafts: Drafts, folder: Path) -> None:
    for letter in "abcdef":
        drafts.discard(Draft(letter * (1 << 20)))
    assert [d.text[0] for d in drafts.recent()] == list("fed")
    assert (folder / "_discarded.json").stat().st_size <= KEPT_SIZE + 100
    drafts.discard(Draft("z" * (KEPT_SIZE + 1)))
    assert [d.text[0] for d in drafts.recent()] == ["z"]


def test_large_attachments_lie_beside_and_come_back(drafts: Drafts, folder: Path) -> None:
    kept = Draft("look", 4, (Image(mime="image/png", data="QUJD" * 200_000),))
    drafts.keep(ID, kept)
    assert (folder / f"{ID}.json").stat().st_size < 1000
    found = Drafts(folder).take(ID)
    assert found is not None
    assert found.attachments == kept.attachments


HOSTILE = [
    b"",
    b"\0" * 100,
    b"\xff\xfe",
    b"[]",
    b"null",
    b"{}" * 9,
    b'{"text":7}',
    b'{"text":"a","cursor":"b"}',
    b'{"text":"a","attachments":[{"type":"call"}]}',
    b"[" * 100_000,
    b'{"text":"a","cursor":1e999}',
    b'{"discarded":7}',
    b'{"discarded":[1]}',
]


@pytest.mark.parametrize("raw", HOSTILE, ids=lambda raw: repr(raw[:20]))
@pytest.mark.parametrize("name", [f"{ID}.json", "_new.abc.json", "_discarded.json"])
def test_no_file_keeps_anybody_from_typing(
    drafts: Drafts, folder: Path, raw: bytes, name: str
) -> None:
    folder.mkdir(0o700, parents=True)
    (folder / name).write_bytes(raw)
    assert drafts.take(ID) is None
    assert drafts.take("") is None
    assert drafts.recent() == []
    drafts.keep(ID, Draft("typed"))
    drafts.keep("", Draft("here too"))
    drafts.discard(Draft("and here"))
    assert raw in [p.read_bytes() for p in files_under(folder)], "what was there is kept"
    assert text_of(drafts.take(ID)) == "typed"
    assert text_of(drafts.take("")) == "here too"
    assert [d.text for d in drafts.recent()] == ["and here"]


def test_a_cursor_is_always_within_the_text(drafts: Drafts, folder: Path) -> None:
    for cursor, wanted in ((-5, 0), (99, 3), (2, 2)):
        drafts.keep(ID, Draft("abc", cursor))
        found = drafts.take(ID)
        assert found is not None
        assert found.cursor == wanted


@pytest.mark.parametrize("what", ["symlink", "fifo", "hard link", "folder"])
def test_odd_files_are_not_followed(
    drafts: Drafts, folder: Path, what: str, tmp_path: Path
) -> None:
    folder.mkdir(0o700, parents=True)
    target = tmp_path / "precious"
    target.write_text('{"text":"secret"}')
    path = folder / f"{ID}.json"
    match what:
        case "symlink":
            path.symlink_to(target)
        case "fifo":
            os.mkfifo(path)
        case "hard link":
            path.hardlink_to(target)
        case "folder":
            path.mkdir()
    assert drafts.take(ID) is None
    try:
        drafts.keep(ID, Draft("typed"))
    except StoreUnavailable:
        assert what == "folder"
    assert target.read_text() == '{"text":"secret"}'


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_drafts_are_private(folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        drafts = Drafts(folder)
        drafts.keep("", Draft("a"))
        drafts.discard(Draft("b"))
        drafts.close()
    finally:
        os.umask(before)
    for path in [folder, *folder.rglob("*")]:
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS])
def test_a_disk_that_fails_anywhere_leaves_the_old_draft(folder: Path, error: int) -> None:
    number = 0
    while True:
        number += 1
        Drafts(folder).keep(ID, Draft("old"))
        disk = TestDisk(number, error, forever=True, syncs=False)
        drafts = Drafts(folder, disk)
        refused = False
        try:
            drafts.keep(ID, Draft("new"))
        except StoreUnavailable:
            refused = True
        disk.heal()
        found = Drafts(folder).take(ID)
        assert text_of(found) in ({"old", "new"} if refused else {"new"})
        if disk.calls < number:
            break
    assert number > 5


def test_what_is_kept_is_plain_json(drafts: Drafts, folder: Path) -> None:
    drafts.keep(ID, Draft("a\ud800b", 1))
    plain = json.loads((folder / f"{ID}.json").read_text())
    assert plain["text"] == "a\ufffdb"
