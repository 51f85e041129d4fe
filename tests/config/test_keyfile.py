"""A key goes into a file that only its owner can read, and comes out for the header alone."""

from __future__ import annotations

import os

import pytest

from chinwag.config.keyfile import drop_key, keep_key
from chinwag.config.secrets import read_keys
from chinwag.errors import ConfigError


def test_kept_read_changed_and_dropped(tmp_path):
    path = tmp_path / "config" / "keys.toml"
    old = os.umask(0)
    try:
        keep_key(path, "openai", " sk-one\n")
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    keep_key(path, "my lab", 'odd"\\key')
    keep_key(path, "openai", "sk-two")
    assert read_keys(path) == {"openai": "sk-two", "my lab": 'odd"\\key'}
    assert drop_key(path, "openai")
    assert not drop_key(path, "openai")
    assert read_keys(path) == {"my lab": 'odd"\\key'}
    assert [p.name for p in path.parent.iterdir()] == ["keys.toml"]


@pytest.mark.parametrize("value", ["", "  ", "two words", "naïve", "a\nb"])
def test_what_cannot_be_a_key_is_refused_without_being_repeated(tmp_path, value):
    with pytest.raises(ConfigError) as caught:
        keep_key(tmp_path / "keys.toml", "openai", value)
    assert value.strip() == "" or value not in str(caught.value)
    assert not (tmp_path / "keys.toml").exists()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        keep_key(tmp_path / "file" / "keys.toml", "openai", "sk-one")
