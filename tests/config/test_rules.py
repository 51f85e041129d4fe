"""The file of lasting rules."""

import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.config.rules import KeptRules, read_rules, write_rules
from chinwag.errors import ConfigError


def test_nothing_is_kept_where_there_is_no_file(tmp_path):
    assert read_rules(tmp_path / "rules.toml") == KeptRules()


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.lists(texts, max_size=4),
    st.lists(texts, max_size=2),
    st.dictionaries(texts, st.lists(texts, min_size=1, max_size=2), max_size=2),
)
def test_what_is_written_is_read(tmp_path_factory, allow, deny, folders):
    path = tmp_path_factory.mktemp("rules") / "config" / "rules.toml"
    here = {folder: tuple(rules) for folder, rules in folders.items()}
    kept = KeptRules(tuple(allow), tuple(deny), here)
    write_rules(path, kept)
    assert read_rules(path) == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_others_may_write_is_not_heeded(tmp_path):
    path = tmp_path / "rules.toml"
    write_rules(path, KeptRules(("clock",)))
    path.chmod(0o620)
    with pytest.raises(ConfigError) as raised:
        read_rules(path)
    assert "chmod 600" in raised.value.hint


@pytest.mark.parametrize("text", ["allow = 1", "allow = [1]", "more = []", "allow = ["])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "rules.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="no rules"):
        read_rules(path)


def test_a_folder_in_its_place(tmp_path):
    (tmp_path / "rules.toml").mkdir()
    with pytest.raises(ConfigError):
        read_rules(tmp_path / "rules.toml")
    with pytest.raises(ConfigError):
        write_rules(tmp_path / "rules.toml", KeptRules())
