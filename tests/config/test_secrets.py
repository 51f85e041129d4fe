"""Keys are found where they should be and shown nowhere."""

from __future__ import annotations

import pickle
import sys
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.config import secrets
from chinwag.config.secrets import SHOWN, Secret, find_key, missing, read_keys, redact
from chinwag.errors import ConfigError, KeyMissing

KEY = "sk-proj-Zm9vYmFyYmF6cXV4"


def found(spec=None, *, names=(), environ=None, keys_file=None) -> str | None:
    secret = find_key("lab", spec=spec, names=names, environ=environ or {}, keys_file=keys_file)
    return secret.reveal() if secret else None


@pytest.fixture
def keys_file(tmp_path):
    path = tmp_path / "keys.toml"
    path.write_text(f'lab = "{KEY}"\n')
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("show", [str, repr, "{}".format, "{!r:>20}".format, lambda s: f"{[s]}"])
def test_a_secret_is_not_shown(show):
    assert KEY not in show(Secret(KEY))
    assert SHOWN in show(Secret(KEY))


def test_nor_written_down():
    with pytest.raises(TypeError):
        pickle.dumps(Secret(KEY))
    assert not hasattr(Secret(KEY), "__dict__")


def test_the_first_variable_that_is_set():
    environ = {"A": "", "B": f" {KEY}\n", "C": "other"}
    assert found(names=("A", "B", "C"), environ=environ) == KEY
    assert found(names=("A",), environ=environ) is None


def test_the_file_serves_when_no_variable_does(keys_file):
    assert found(names=("A",), keys_file=keys_file) == KEY
    assert found(names=("A",), environ={"A": "env"}, keys_file=keys_file) == "env"
    assert found(keys_file=keys_file.with_name("none")) is None


def test_what_the_configuration_says_is_the_only_word(keys_file):
    environ = {"A": "env", "B": "other"}
    assert found("env:B", names=("A",), environ=environ, keys_file=keys_file) == "other"
    assert found("none", names=("A",), environ=environ, keys_file=keys_file) is None
    with pytest.raises(KeyMissing) as caught:
        found("env:Z", names=("A",), environ=environ, keys_file=keys_file)
    assert "export Z=" in caught.value.hint


@pytest.mark.parametrize("spec", [KEY, "env:", "cmd:", "keyring:", "none:x", "ENV:A", "file:/x"])
def test_a_key_written_into_the_configuration_is_refused_unshown(spec):
    with pytest.raises(ConfigError) as caught:
        found(spec)
    assert caught.value.where == "providers.lab.key"
    assert spec not in caught.value.message
    assert "env:NAME" in caught.value.hint


def python(code: str) -> str:
    return f"cmd:{sys.executable} -c '{code}'"


def test_a_command_gives_its_first_line():
    assert found(python(f'print("{KEY}"); print("user: me")')) == KEY


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (python("pass"), "said nothing"),
        (python("import sys; sys.exit(3)"), "exit code 3"),
        ("cmd:/no/such/program", "could not be started: no such file"),
        ("cmd:pass 'show", "cannot be understood"),
        (python("import os; os.write(1, bytes([255]))"), "cannot be understood"),
    ],
)
def test_a_command_that_gives_none(spec, words):
    with pytest.raises(KeyMissing, match=words) as caught:
        found(spec)
    assert "config.toml" in caught.value.hint


def test_a_command_that_hangs_is_stopped(monkeypatch):
    monkeypatch.setattr(secrets, "COMMAND_SECONDS", 0.2)
    with pytest.raises(KeyMissing, match="longer than"):
        found(python("import time; time.sleep(60)"))


def test_no_shell_stands_between():
    assert found("cmd:echo $HOME;ls") == "$HOME;ls"


@pytest.mark.parametrize("value", ["a b", "tail\x00", "ключ", "a\nb", "\x1b[31m"])
def test_what_cannot_be_a_header_is_no_key(value):
    with pytest.raises(ConfigError) as caught:
        found(names=("A",), environ={"A": value})
    assert value not in str(caught.value)


# --- the keyring ----------------------------------------------------------------------------------


def test_without_the_extra_it_says_what_to_type(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(KeyMissing) as caught:
        found("keyring:lab")
    assert "chinwag[keyring]" in caught.value.hint


class Unanswered(Exception):
    pass


@pytest.fixture
def keyring(monkeypatch):
    """A keyring package of the tests' own: one name is there, one fails."""

    def get_password(service: str, name: str) -> str | None:
        if name == "broken":
            raise Unanswered
        return {("chinwag", "lab"): KEY}.get((service, name))

    package, errors = types.ModuleType("keyring"), types.ModuleType("keyring.errors")
    package.get_password, package.errors, errors.KeyringError = get_password, errors, Unanswered
    monkeypatch.setitem(sys.modules, "keyring", package)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)


@pytest.mark.usefixtures("keyring")
def test_with_it():
    assert found("keyring:lab") == KEY
    with pytest.raises(KeyMissing, match="holds no other"):
        found("keyring:other")
    with pytest.raises(KeyMissing, match="no keyring answers"):
        found("keyring:broken")


# --- the file of keys -----------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602])
def test_a_file_that_others_can_reach_is_refused(keys_file, mode):
    keys_file.chmod(mode)
    with pytest.raises(ConfigError) as caught:
        read_keys(keys_file)
    assert caught.value.hint == f"chmod 600 {keys_file}"


def test_a_link_is_refused(keys_file, tmp_path):
    (tmp_path / "link").symlink_to(keys_file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_keys(tmp_path / "link")


def test_a_pipe_does_not_hang_it(tmp_path):
    import os

    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(ConfigError, match="not your own file"):
        read_keys(tmp_path / "pipe")


@pytest.mark.parametrize("text", [f"lab = {KEY}", "[lab]\nkey = 'x'", f'lab = "{KEY}', "lab = 5"])
def test_a_file_that_is_no_list_is_refused_unshown(keys_file, text):
    keys_file.write_text(text)
    with pytest.raises(ConfigError, match="no list of keys") as caught:
        read_keys(keys_file)
    assert KEY not in str(caught.value)


def test_bytes_that_are_no_text(keys_file):
    keys_file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_keys(keys_file)


def test_missing_names_the_variable_to_set():
    assert missing("openai", ["OPENAI_API_KEY", "X"]).hint == "export OPENAI_API_KEY=…"
    assert "config.toml" in missing("lab", []).hint


# --- taking keys out of text ----------------------------------------------------------------------


@given(st.text(min_size=1), st.text(), st.text())
def test_known_values_never_remain(value, before, after):
    told = redact(before + value + after, [Secret(value)])
    assert value not in told.replace(SHOWN, "") or value in before + after


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        "key sk-ant-api03-abcdefghijklmnop_QRST",
        "AIzaSyA-1234567890abcdefghijkl",
        "gsk_abcdefghijklmnop1234",
        "Authorization: Bearer abcdefgh12345678",
        "GET /v1beta/models?key=abcdefgh12345678",
        "x-api-key: abcdefgh12345678",
    ],
)
def test_shapes_of_keys_are_taken_out(text):
    told = redact(text)
    assert SHOWN in told
    assert not set(told.split()) & {KEY, "abcdefgh12345678"}
    assert "12345678" not in told
    assert "mnop" not in told


@pytest.mark.parametrize(
    "text", ["the task-force asked", "sk-ip this", "desk-lamp-with-a-very-long-name", "a key=x"]
)
def test_words_stay(text):
    assert redact(text) == text


def test_longer_keys_go_first():
    assert redact("abcdef abc", [Secret("abc"), Secret("abcdef")]) == f"{SHOWN} {SHOWN}"
