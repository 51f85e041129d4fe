from __future__ import annotations

from pathlib import Path

import pytest

from chinwag.errors import ConfigError
from chinwag.stores.files import FileStore
from chinwag.stores.memory import MemoryStore
from chinwag.stores.opening import open_store
from chinwag.stores.sqlite import SqliteStore
from chinwag.talk.session import Headline
from contracts.store import birth, some


def test_the_data_folder_is_the_usual_place(tmp_path: Path) -> None:
    store = open_store("file:", tmp_path / "data")
    assert isinstance(store, FileStore)
    assert store.root == tmp_path / "data"
    assert store.lasting
    assert store.headers() == []
    assert list(tmp_path.iterdir()) == []  # naming and listing touch nothing


@pytest.mark.parametrize("form", ["file:{}/x", "file://{}/x", "FILE:{}/y/../x"])
def test_another_folder(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path), tmp_path / "data")
    assert isinstance(store, FileStore)
    assert store.root == tmp_path / "x"
    with store:
        store.append(birth(), some(1), at=0, headline=Headline())
    assert (tmp_path / "x" / "sessions").is_dir()
    assert not (tmp_path / "data").exists()


def test_relative_and_home_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for url, root in (("file:talks", "talks"), ("file:~/talks", "home/talks")):
        store = open_store(url, tmp_path)
        assert isinstance(store, FileStore)
        assert store.root == tmp_path / root


@pytest.mark.parametrize("form", ["sqlite:{}/x.db", "sqlite://{}/x.db", "SQLite:{}/y/../x.db"])
def test_a_database(tmp_path: Path, form: str) -> None:
    store = open_store(form.format(tmp_path), tmp_path / "data")
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / "x.db"
    assert store.url == f"sqlite:{tmp_path}/x.db"
    assert store.lasting
    assert store.headers() == []
    assert list(tmp_path.iterdir()) == []  # naming and listing touch nothing
    with store:
        store.append(birth(), some(1), at=0, headline=Headline())
    assert (tmp_path / "x.db").is_file()


@pytest.mark.parametrize("url", ["sqlite:", "sqlite://"])
def test_the_usual_database_is_in_the_data_folder(tmp_path: Path, url: str) -> None:
    store = open_store(url, tmp_path / "data")
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / "data" / "sessions.sqlite"


@pytest.mark.parametrize("url", ["memory:", "memory://"])
def test_memory(url: str, tmp_path: Path) -> None:
    assert isinstance(open_store(url, tmp_path), MemoryStore)


@pytest.mark.parametrize("url", ["", "talks", "nosuch:x", "memory:x", ":", "http://me:secret@h/"])
def test_unknown_kinds_are_refused_naming_the_known(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_store(url, tmp_path)
    assert "file:" in caught.value.hint
    assert "sqlite:" in caught.value.hint
    assert "memory:" in caught.value.hint
    assert "secret" not in caught.value.message + caught.value.hint
