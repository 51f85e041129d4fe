"""Folders are where they should be, and private from the first instant."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from chinwag.config.paths import is_open_to_others, places, private_folder
from chinwag.errors import ConfigError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_usual_places_and_nothing_is_made(own_world):
    found = places(os.environ)
    assert found.data == own_world / "data" / "chinwag"
    assert found.state == own_world / "state" / "chinwag"
    assert found.config_file == own_world / "config" / "chinwag" / "config.toml"
    assert found.keys_file == own_world / "config" / "chinwag" / "keys.toml"
    assert found.sessions == found.data / "sessions"
    assert found.history == found.state / "history"
    assert not own_world.exists()


def test_a_data_folder_of_ones_own_takes_the_state_along():
    found = places({"CHINWAG_DATA_DIR": "/a"})
    assert (found.data, found.state) == (Path("/a"), Path("/a/state"))
    assert found.log == Path("/a/state/log")
    assert places({"CHINWAG_DATA_DIR": "/a"}, data_dir="/b").sessions == Path("/b/sessions")
    assert places({"CHINWAG_DATA_DIR": "/a", "CHINWAG_STATE_DIR": "/s"}).state == Path("/s")


def test_configuration_elsewhere():
    environ = {"CHINWAG_CONFIG": "/e/c.toml", "CHINWAG_CONFIG_DIR": "/d"}
    assert places(environ).config_file == Path("/e/c.toml")
    assert places(environ).keys_file == Path("/d/keys.toml")
    assert places(environ, config_file="/f/x.toml").config_file == Path("/f/x.toml")


def test_home_and_relative_names(own_world, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert places({}, data_dir="~/d").data == own_world / "d"
    assert places({}, data_dir="d").data == tmp_path / "d"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_every_level_is_private_whatever_the_umask(tmp_path, mask):
    before = os.umask(mask)
    try:
        made = private_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert [mode(p) for p in (made, made.parent, made.parent.parent)] == [0o700] * 3
    assert not is_open_to_others(made)


def test_it_is_never_wider_not_even_for_an_instant(tmp_path, monkeypatch):
    seen = []
    real = os.mkdir
    monkeypatch.setattr(os, "mkdir", lambda p, m=0o777, **k: (seen.append(m), real(p, m, **k)))
    private_folder(tmp_path / "a" / "b")
    assert seen == [0o700, 0o700]


def test_an_existing_folder_is_left_alone_and_its_looseness_seen(tmp_path):
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose").chmod(0o755)
    assert mode(private_folder(tmp_path / "loose")) == 0o755
    assert is_open_to_others(tmp_path / "loose")
    assert not is_open_to_others(tmp_path / "none")


def test_a_link_to_a_folder_will_do(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    private_folder(tmp_path / "link" / "below")
    assert (tmp_path / "real" / "below").is_dir()


@pytest.mark.parametrize("below", ["", "x/y"])
def test_a_file_in_the_way_is_said_in_a_sentence(tmp_path, below):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made") as caught:
        private_folder(tmp_path / "file" / below)
    assert "--data-dir" in caught.value.hint


def test_a_broken_link_is_said_too(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    with pytest.raises(ConfigError, match="cannot be made"):
        private_folder(tmp_path / "link")


KEPT = """
import os, resource
from chinwag.config.paths import keep_to_oneself
os.umask(0)
keep_to_oneself()
print(resource.getrlimit(resource.RLIMIT_CORE)[0], oct(os.umask(0)))
"""


def test_a_program_keeps_its_memory_and_its_files_to_itself():
    told = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["0", "0o77"]
