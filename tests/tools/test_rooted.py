"""Paths cannot leave their root, whatever links and dots they go through."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.errors import ToolFailed
from chinwag.tools.builtin.rooted import Root

SECRET = b"the canary"


@pytest.fixture
def house(tmp_path):
    """A root with a forbidden folder inside it, and things outside that links point to."""
    root = tmp_path / "root"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "keys").mkdir()
    (root / "keys" / "key").write_bytes(SECRET)
    (root / "sub" / "file").write_bytes(b"inside")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_bytes(SECRET)
    (root / "inner").symlink_to("sub/file")
    (root / "whole").symlink_to(root / "sub")
    (root / "out").symlink_to("../outside")
    (root / "far").symlink_to(tmp_path / "outside" / "secret")
    (root / "to_keys").symlink_to("sub/../keys")
    (root / "loop").symlink_to("loop")
    (root / "dangling").symlink_to("../outside/new")
    os.link(root / "keys" / "key", root / "sub" / "hard")
    return root


def opened(house):
    return Root(house, [house / "keys", house / "keys" / "key"])


@pytest.mark.parametrize(
    "path",
    ["sub/file", "./sub//file", "sub/deep/../file", "inner", "whole/file", "whole/../sub/file"],
)
def test_what_lies_inside_is_read(house, path):
    with opened(house) as root:
        assert root.read(path, 100) == (b"inside", 6)
        assert root.read(str(house / path), 3) == (b"ins", 6)


@pytest.mark.parametrize(
    "path",
    [
        *("..", "../outside/secret", "sub/../../outside/secret", "/etc/passwd", "/", "out/secret"),
        *("far", "out", "keys/key", "keys", "to_keys/key", "KEYS/../keys/key", "sub/hard", "loop"),
        *("whole/../../outside/secret", "sub/file/../../keys/key", "nothing", "sub", "", "a\0b"),
        *("/proc/self/environ", "sub/\0", "//etc/passwd", "sub/deep/../../../outside/secret"),
    ],
)
def test_what_does_not_is_not(house, path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    with opened(house) as root, pytest.raises(ToolFailed) as caught:
        root.read(path, 100)
    assert "canary" not in caught.value.message
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_root_that_only_begins_alike_is_outside(house, tmp_path):
    (tmp_path / "rooted").mkdir()
    (tmp_path / "rooted" / "x").write_bytes(SECRET)
    with opened(house) as root, pytest.raises(ToolFailed, match="lies outside"):
        root.read(str(tmp_path / "rooted" / "x"), 10)


@pytest.mark.parametrize("path", ["new", "sub/new", "made/on/the/way", "whole/new"])
def test_a_file_is_written_whole(house, path):
    with opened(house) as root:
        assert root.write(path, b"one")
        assert not root.write(path, b"two")
    assert (house / path).read_bytes() == b"two"
    assert not list(house.rglob("*.new"))


def test_what_was_there_keeps_its_mode_and_a_link_its_target(house):
    (house / "sub" / "file").chmod(0o750)
    with opened(house) as root:
        root.write("inner", b"new")
    assert (house / "inner").is_symlink()
    assert (house / "sub" / "file").read_bytes() == b"new"
    assert (house / "sub" / "file").stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(
    "path",
    [
        *("../new", "out/new", "far", "dangling", "keys/new", "keys/key", "to_keys/new", "keys"),
        *("sub/hard", "sub", "", "loop", "sub/file/x", "/tmp/chinwag-never", "out/a/b/c"),
    ],
)
def test_nothing_is_written_elsewhere(house, tmp_path, path):
    def everything():
        return sorted((p, p.read_bytes()) for p in tmp_path.rglob("*") if p.is_file())

    before = everything()
    with opened(house) as root, pytest.raises(ToolFailed):
        root.write(path, b"owned")
    assert everything() == before


def test_a_forbidden_folder_that_is_not_there_is_not_made(house):
    with Root(house, [house / "later"]) as root, pytest.raises(ToolFailed, match="no tool may"):
        root.write("later/config", b"x")
    assert not (house / "later").exists()


def test_pipes_and_devices_are_not_read(house):
    os.mkfifo(house / "pipe")
    with opened(house) as root, pytest.raises(ToolFailed, match="no regular file"):
        root.read("pipe", 10)
    with opened(house) as root, pytest.raises(ToolFailed, match="not replaced"):
        root.write("pipe", b"x")


def test_a_link_swapped_in_meanwhile_leads_nowhere(house, tmp_path):
    """Somebody turns a folder into a link and back as fast as they can."""
    (house / "turn").mkdir()
    (house / "turn" / "secret").write_bytes(b"inside")
    over = threading.Event()

    def swap():
        while not over.is_set():
            (house / "turn").rename(house / "away")
            (house / "turn").symlink_to("../outside")
            (house / "turn").unlink()
            (house / "away").rename(house / "turn")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        with opened(house) as root:
            for _ in range(2000):
                try:
                    seen.add(root.read("turn/secret", 100)[0])
                except ToolFailed:
                    pass
    finally:
        over.set()
        thread.join()
    assert seen <= {b"inside"}


def test_files_are_found_without_what_is_forbidden(house):
    with opened(house) as root:
        found = sorted(folder.at(name) for folder, name in root.files("", 100))
        assert found == ["sub/file", "sub/hard"]
        assert len(list(root.files("", 1))) == 1


STEPS = st.lists(
    st.sampled_from([*"sub deep file inner whole out far keys to_keys loop .. .".split(), "", "x"]),
    max_size=6,
)


@settings(max_examples=300)
@given(STEPS, st.booleans())
def test_no_path_reads_the_canary(tmp_path_factory, steps, absolute):
    house = _shared(tmp_path_factory)
    path = "/".join([str(house), *steps] if absolute else steps)
    with opened(house) as root:
        try:
            data, _ = root.read(path, 100)
        except ToolFailed:
            return
    assert data == b"inside"
    assert os.path.realpath(house / path).startswith(f"{house}/")


_made: list = []


def _shared(factory):
    if not _made:
        _made.append(house.__wrapped__(factory.mktemp("shared")))
    return _made[0]
