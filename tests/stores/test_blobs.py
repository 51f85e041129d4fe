"""Large attachments lie beside the session and come back into it, or it says that they are gone."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chinwag.errors import SessionNotFound, SessionUnreadable
from chinwag.stores.blobs import INLINE
from chinwag.stores.files import FileStore
from chinwag.talk.entry import AnyEntry, AssistantSaid, UserSaid
from chinwag.talk.message import AnyPart, File, Image, Text
from chinwag.talk.session import Headline
from contracts.store import birth, some
from stores.disks import TestDisk, files_under

RAW = os.urandom(INLINE)
DATA = base64.b64encode(RAW).decode()
TEXT = "line\n" * INLINE
SMALL = Image(mime="image/png", name="s", data="QUJD")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FileStore]:
    disk = TestDisk()
    with FileStore(tmp_path / "data", disk) as store:
        yield store
    assert disk.opened == set()


def said(*parts: AnyPart) -> tuple[AnyEntry, ...]:
    return (UserSaid(id="u", parts=(Text("look"), *parts)),)


def blobs(store: FileStore) -> list[Path]:
    return files_under(store.root / "blobs")


@pytest.mark.parametrize(
    ("part", "count"),
    [
        (Image(mime="image/png", name="p", data=DATA), 1),
        (File(mime="text/plain", name="f", text=TEXT), 1),
        (File(mime="x/y", name="f", text=TEXT, data=DATA, blob="a" * 64), 2),
        (Image(mime="image/png", data="no base64 at all! " * INLINE), 1),
        (Image(mime="image/png", data=DATA + "\n"), 1),
        (Image(mime="image/png", data=DATA.rstrip("=") + "=="), 1),
        (File(name="f", text="é\U0001f600" * INLINE, url="http://x"), 1),
    ],
    ids=["picture", "text", "both", "no base64", "newline", "odd end", "wide"],
)
def test_what_is_large_comes_back_as_it_was(store: FileStore, part: AnyPart, count: int) -> None:
    born = birth()
    entries = (*said(part, SMALL), AssistantSaid(id="a", parts=(part,)), *some(1))
    store.append(born, entries, at=0, headline=Headline())
    document = store.folder / f"{born.id}.json"
    assert document.stat().st_size < 10_000
    assert len(blobs(store)) == count
    for other in (store, FileStore(store.root)):
        stored = other.read(born.id)
        assert stored.entries == entries
        assert stored.notices == ()
        assert other.span(born.id, 0)[0] == entries
        other.close()
    assert store.append(born, some(1, 2), at=3, headline=Headline()) == 4


def test_a_blob_holds_the_file_itself(store: FileStore) -> None:
    born = birth()
    store.append(born, said(Image(data=DATA)), at=0, headline=Headline())
    (path,) = blobs(store)
    assert path.read_bytes() == RAW
    assert path.parent.name + path.name == hashlib.sha256(RAW).hexdigest()
    (_, part) = json.loads((store.folder / f"{born.id}.json").read_text())["messages"][0]["content"]
    assert part == {"type": "image", "blob": f"{hashlib.sha256(RAW).hexdigest()};base64"}


def test_what_is_small_or_a_reference_of_the_callers_stays(store: FileStore) -> None:
    born, digest = birth(), store.put_blob(b"kept by the caller")
    entries = said(SMALL, File(text="t" * INLINE), File(name="r", blob=digest))
    store.append(born, entries, at=0, headline=Headline())
    assert len(blobs(store)) == 1
    assert store.read(born.id).entries == entries


@pytest.mark.parametrize("how", ["gone", "damaged", "symlink", "fifo", "cut", "unreadable name"])
def test_a_blob_that_is_gone_is_a_notice_and_a_placeholder(
    store: FileStore, how: str, tmp_path: Path
) -> None:
    born = birth()
    entries = (*said(Image(name="harbour.png", data=DATA), SMALL), *some(2))
    store.append(born, entries, at=0, headline=Headline())
    (path,) = blobs(store)
    match how:
        case "damaged":
            path.write_bytes(RAW[::-1])
        case "cut":
            os.truncate(path, 100)
        case "symlink":
            path.rename(tmp_path / "moved")
            path.symlink_to(tmp_path / "moved")
        case "fifo":
            path.unlink()
            os.mkfifo(path)
        case "gone":
            path.unlink()
        case "unreadable name":
            document = store.folder / f"{born.id}.json"
            document.write_bytes(document.read_bytes().replace(b";base64", b";base65"))
    stored = store.read(born.id)
    assert stored.entries[1:] == entries[1:]
    first = stored.entries[0]
    assert isinstance(first, UserSaid)
    assert first.parts == (Text("look"), Text("[the attachment harbour.png is missing]"), SMALL)
    assert any("harbour.png is missing" in notice for notice in stored.notices)
    assert store.span(born.id, 0, 1)[0] == (first,)


def test_a_damaged_blob_is_put_aside_when_the_same_comes_again(store: FileStore) -> None:
    digest = store.put_blob(RAW)
    (path,) = blobs(store)
    path.write_bytes(b"damaged")
    with pytest.raises(SessionUnreadable):
        store.blob(digest)
    again = FileStore(store.root)
    assert again.put_blob(RAW) == digest
    assert again.blob(digest) == RAW
    assert b"damaged" in [p.read_bytes() for p in blobs(store)]


def test_keeping_the_same_again_writes_nothing(store: FileStore) -> None:
    disk = store._disk
    assert isinstance(disk, TestDisk)
    store.put_blob(RAW)
    written = disk.written
    store.put_blob(RAW)
    with FileStore(store.root, disk) as other:
        other.put_blob(RAW)
    assert disk.written == written


def test_pruning_lets_go_of_content_that_nobody_names_any_more(store: FileStore) -> None:
    kept, deleted = birth(), birth()
    store.append(kept, said(Image(data=DATA)), at=0, headline=Headline())
    store.append(deleted, said(File(text=TEXT), Image(data=DATA)), at=0, headline=Headline())
    fresh = store.put_blob(b"put just now, its entry not yet written")
    own = store.put_blob(b"named by an entry of the caller's")
    store.append(kept, said(File(blob=own)), at=1, headline=Headline())
    a_while_ago = time.time() - 3 * 86400
    for path in blobs(store):
        if path.name != fresh[2:]:
            os.utime(path, (a_while_ago, a_while_ago))
    store.delete(deleted.id)
    assert store.prune() == 0
    assert len(blobs(store)) == 4  # what is in the trash can still be restored
    assert store.prune(0) == 1
    assert store.read(kept.id).notices == ()
    assert {p.parent.name + p.name for p in blobs(store)} == {
        hashlib.sha256(RAW).hexdigest(),
        fresh,
        own,
    }
    with pytest.raises(SessionNotFound):
        store.blob(hashlib.sha256(TEXT.encode()).hexdigest())
