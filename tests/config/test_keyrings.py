"""A key goes into a keyring only where one guards it, and is found, listed and deleted there."""

from __future__ import annotations

import io
import sys
from typing import ClassVar

import keyring.backend
import keyring.backends.chainer
import keyring.backends.fail
import keyring.backends.null
import keyring.core
import keyring.errors
import pytest

from chinwag import lists
from chinwag.config import keyrings, secrets
from chinwag.errors import ConfigError, KeyMissing
from chinwag.printed import house as settle

KEY = "sk-proj-Zm9vYmFyYmF6cXV4"


class Guarding(keyring.backend.KeyringBackend):
    """A keyring of the tests' own. ``refuses`` names what it will not do."""

    priority: ClassVar[float] = 5
    name = "Strongbox"

    def __init__(self, *refuses: str, forgets: bool = False) -> None:
        self.held: dict[tuple[str, str], str] = {}
        self.refuses = refuses
        self.forgets = forgets

    def get_password(self, service, username):
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        if "set" in self.refuses:
            raise keyring.errors.KeyringLocked("no")
        if not self.forgets:
            self.held[service, username] = password

    def delete_password(self, service, username):
        if "delete" in self.refuses:
            raise keyring.errors.PasswordDeleteError("no")
        del self.held[service, username]


class Plain(Guarding):
    """What writes plain text says so by its priority."""

    priority: ClassVar[float] = 0.5


class Chain:
    def __init__(self, *backends: object) -> None:
        self.backends = backends


@pytest.fixture
def use(monkeypatch):
    def use(backend):
        for module in (keyring, keyring.core):
            monkeypatch.setattr(module, "get_keyring", lambda: backend)
        return backend

    return use


@pytest.fixture
def keys_file(tmp_path):
    return tmp_path / "config" / "keys.toml"


@pytest.mark.parametrize(
    "open_to_all",
    [
        keyring.backends.fail.Keyring(),
        keyring.backends.null.Keyring(),
        Plain(),
        Chain(),
        Chain(Guarding(), Plain()),
        type("Text", (Guarding,), {"__module__": "keyrings.alt.file"})(),
        object(),
    ],
)
def test_what_guards_nothing_is_given_nothing(use, keys_file, open_to_all):
    use(open_to_all)
    assert keyrings.backend() is None
    with pytest.raises(ConfigError) as caught:
        keyrings.keep(keys_file, "openai", KEY)
    assert "--file" in caught.value.hint
    assert not keys_file.parent.exists()


def test_without_the_extra_it_says_what_to_type(monkeypatch, keys_file):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert keyrings.backend() is None
    with pytest.raises(ConfigError) as caught:
        keyrings.keep(keys_file, "openai", KEY)
    assert "chinwag[keyring]" in caught.value.hint


def test_kept_found_and_dropped(use, keys_file):
    ring = use(Guarding())
    assert keyrings.keep(keys_file, "openai", KEY) == "Strongbox"
    assert ring.held == {("chinwag", "openai"): KEY}
    assert KEY not in secrets.ring_file(keys_file).read_text()
    assert secrets.kept(keys_file) == {"openai": "the system's keyring"}
    assert secrets.kept_key("openai", keys_file).reveal() == KEY
    assert secrets.kept_key("groq", keys_file) is None
    assert keyrings.drop(keys_file, "openai")
    assert not ring.held
    assert not keyrings.drop(keys_file, "openai")
    assert secrets.kept(keys_file) == {}


def test_what_the_keyring_lost_is_said(use, keys_file):
    ring = use(Guarding())
    keyrings.keep(keys_file, "openai", KEY)
    ring.held.clear()
    with pytest.raises(KeyMissing, match="holds no openai") as caught:
        secrets.kept_key("openai", keys_file)
    assert "chat keys set openai" in caught.value.hint
    assert keyrings.drop(keys_file, "openai")  # the list is mended all the same


@pytest.mark.parametrize("backend", [Guarding("set"), Guarding(forgets=True)])
def test_a_keyring_that_does_not_take_it(use, keys_file, backend):
    use(backend)
    with pytest.raises(ConfigError, match="did not take the key") as caught:
        keyrings.keep(keys_file, "openai", KEY)
    assert KEY not in str(caught.value)
    assert secrets.kept(keys_file) == {}


def test_a_keyring_that_does_not_let_go(use, keys_file):
    use(Guarding("delete"))
    keyrings.keep(keys_file, "openai", KEY)
    with pytest.raises(ConfigError, match="does not let go"):
        keyrings.drop(keys_file, "openai")
    assert "openai" in secrets.kept(keys_file)


def test_nothing_is_imported_to_list_what_is_kept(use, keys_file, monkeypatch):
    use(Guarding())
    keyrings.keep(keys_file, "openai", KEY)
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert secrets.kept(keys_file) == {"openai": "the system's keyring"}


# --- chat keys ------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("CHINWAG_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("CHINWAG_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return tmp_path


def typed(monkeypatch, text=KEY):
    monkeypatch.setattr(sys, "stdin", io.StringIO(text + "\n"))


def listed(capsys):
    capsys.readouterr()
    assert lists.keys({}, "", as_json=False) == 0
    return capsys.readouterr().out


def test_set_prefers_the_keyring_and_says_so(use, home, monkeypatch, capsys, keys_file):
    ring = use(Guarding())
    typed(monkeypatch)
    assert lists.set_key("openai", "") == 0
    assert "keyring (Strongbox)" in capsys.readouterr().err
    assert ring.held[("chinwag", "openai")] == KEY
    assert not keys_file.exists()
    assert "the system's keyring" in listed(capsys)
    assert lists.keys_path("") == 0
    told = capsys.readouterr()
    assert told.out.strip() == str(keys_file)
    assert "Strongbox" in told.err
    assert lists.delete_key("openai", "") == 0
    assert not ring.held
    assert listed(capsys) == ""
    assert lists.delete_key("openai", "") == 1


def test_a_key_is_in_one_place_only(use, home, monkeypatch, capsys, keys_file):
    ring = use(Guarding())
    typed(monkeypatch)
    lists.set_key("openai", "", place="file")
    assert secrets.read_keys(keys_file) == {"openai": KEY}
    assert not ring.held
    typed(monkeypatch)
    lists.set_key("openai", "")
    assert secrets.read_keys(keys_file) == {}
    assert ring.held
    typed(monkeypatch)
    lists.set_key("openai", "", place="file")
    assert not ring.held
    assert str(keys_file) in listed(capsys)


def test_a_keyring_that_is_locked_gives_way_unless_it_was_asked_for(
    use, home, monkeypatch, capsys, keys_file
):
    use(Guarding("set"))
    typed(monkeypatch)
    assert lists.set_key("openai", "") == 0
    told = capsys.readouterr().err
    assert "did not take the key" in told
    assert str(keys_file) in told
    typed(monkeypatch, "sk-other")
    with pytest.raises(ConfigError):
        lists.set_key("openai", "", place="keyring")
    assert secrets.read_keys(keys_file) == {"openai": KEY}


def test_a_key_that_is_still_found_elsewhere_is_named(use, home, monkeypatch, capsys):
    use(Guarding())
    typed(monkeypatch)
    lists.set_key("openai", "")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    assert lists.delete_key("openai", "") == 0
    told = capsys.readouterr().err
    assert "env:OPENAI_API_KEY" in told
    assert KEY not in told


def test_the_kept_key_is_the_one_that_is_sent(use, home, monkeypatch, capsys):
    use(Guarding())
    typed(monkeypatch)
    lists.set_key("openai", "")
    house = settle({}, "")
    assert house.found_choice() == ("openai", "gpt-5-mini")
    assert house.catalog.provider("openai").endpoint.key() == KEY
