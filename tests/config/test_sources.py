"""Settings come from four places, the later wins, and what is wrong is named with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.config.settings import ContextSettings, ProviderSettings, Settings
from chinwag.config.sources import line_of, load, variables
from chinwag.errors import ConfigError

EXAMPLE = """\
# mine
model = "openai/gpt-5-mini"
temperature = 1
stop = ["END"]
theme = { you = "bold" }

[context]
limit = 16384
policy = "trim"

[providers.lab]
dialect = "openai"
base_url = "http://127.0.0.1:9100/v1"
key = "env:LAB_KEY"
models = ["bench"]

[aliases]
fast = "groq/llama-3.3-70b"

[keys]
send = "enter"
newline = ["c-j", "escape enter"]
"""


@pytest.fixture
def config(tmp_path):
    def write(text: str):
        path = tmp_path / "config.toml"
        path.write_text(text)
        return path

    return write


def test_the_defaults():
    settings = load().settings
    assert settings == Settings()
    assert settings.system == "You are a helpful assistant."
    assert settings.temperature is None
    assert settings.store == "file:"
    assert settings.context == ContextSettings("model", 0.8, "compact", 50)


def test_a_whole_file(config):
    settings = load(config(EXAMPLE)).settings
    assert settings.model == "openai/gpt-5-mini"
    assert settings.temperature == 1.0
    assert settings.stop == ("END",)
    assert settings.theme == {"you": "bold"}
    assert settings.context == ContextSettings(16384, 0.8, "trim", 50)
    lab = ProviderSettings("openai", "http://127.0.0.1:9100/v1", "env:LAB_KEY", ("bench",))
    assert settings.providers == {"lab": lab}
    assert settings.aliases == {"fast": "groq/llama-3.3-70b"}
    assert settings.keys == {"send": "enter", "newline": ("c-j", "escape enter")}


def test_file_then_environment_then_flags(config):
    path = config('model = "file"\nprovider = "file"\nsystem = "file"\n[context]\nkeep = 7\n')
    environ = {"CHINWAG_MODEL": "env", "CHINWAG_PROVIDER": "env", "CHINWAG_CONTEXT_LIMIT": "900"}
    loaded = load(path, environ, {"model": "flag", "temperature": None})
    assert (loaded.settings.model, loaded.settings.provider) == ("flag", "env")
    assert loaded.settings.system == "file"
    assert loaded.settings.context == ContextSettings(limit=900, keep=7)
    assert loaded.origin("model") == "--model"
    assert loaded.origin("provider") == "CHINWAG_PROVIDER"
    assert loaded.origin("system") == f"{path}:3"
    assert loaded.origin("context.keep") == f"{path}:5"
    assert loaded.origin("context.limit") == "CHINWAG_CONTEXT_LIMIT"
    assert loaded.origin("context.margin") == "default"
    assert loaded.origin("temperature") == "default"


def test_tables_are_merged_name_by_name(config):
    path = config('[aliases]\na = "1"\nb = "2"\n[providers.lab]\ndialect = "ollama"\n')
    environ = {
        "CHINWAG_ALIASES": '{b = "3", c = "4"}',
        "CHINWAG_PROVIDERS": '{lab = {key = "none"}}',
    }
    loaded = load(path, environ)
    assert loaded.settings.aliases == {"a": "1", "b": "3", "c": "4"}
    assert loaded.settings.providers["lab"] == ProviderSettings(dialect="ollama", key="none")
    assert loaded.origin("aliases.b") == "CHINWAG_ALIASES"


def test_a_table_of_styles_takes_the_place_of_a_themes_name(config):
    loaded = load(config('theme = "dark"'), {"CHINWAG_THEME": '{you = "bold"}'})
    assert loaded.settings.theme == {"you": "bold"}
    assert load(config(EXAMPLE), {"CHINWAG_THEME": "light"}).settings.theme == "light"


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("CHINWAG_TEMPERATURE", "0.5", "temperature", 0.5),
        ("CHINWAG_MAX_TOKENS", "200", "max_tokens", 200),
        ("CHINWAG_PLAIN", "1", "plain", True),
        ("CHINWAG_PLAIN", "yes", "plain", True),
        ("CHINWAG_MOUSE", "off", "mouse", False),
        ("CHINWAG_MOUSE", "false", "mouse", False),
        ("CHINWAG_STOP", "END", "stop", ("END",)),
        ("CHINWAG_STOP", '["a", "b"]', "stop", ("a", "b")),
        ("CHINWAG_SYSTEM", "[sic] {x}", "system", "[sic] {x}"),
        ("CHINWAG_DATA_DIR", "/x", "data_dir", "/x"),
        ("CHINWAG_MODEL", "", "model", None),
    ],
)
def test_words_of_the_environment(name, text, field, value):
    assert getattr(load(None, {name: text}).settings, field) == value


def test_every_setting_has_a_variable():
    names = variables()
    assert {path[0] for path in names.values()} == set(Settings.__struct_fields__)
    assert names["CHINWAG_CONTEXT_MARGIN"] == ("context", "margin")


def test_a_strange_variable_is_told_of_and_not_fatal():
    environ = {"CHINWAG_MODLE": "x", "CHINWAG_TRACE": "t", "CHINWAG_CONFIG": "c", "PATH": "p"}
    assert load(None, environ).notices == (
        "CHINWAG_MODLE sets nothing; did you mean CHINWAG_MODEL?",
    )


def test_rows_name_every_value_with_its_origin(config):
    path = config(EXAMPLE)
    rows = {name: (value, origin) for name, value, origin in load(path, {}).rows()}
    assert rows["providers.lab.base_url"] == ("http://127.0.0.1:9100/v1", f"{path}:13")
    assert rows["keys.newline"] == (("c-j", "escape enter"), f"{path}:22")
    assert rows["vi"] == (False, "default")
    assert rows["theme.you"] == ("bold", f"{path}:5")


# --- what is wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "words", "hint"),
    [
        ('model = "x"\nmodle = "y"', 2, "there is no setting modle", "model"),
        ("[context]\nmargins = 1", 2, "there is no setting context.margins", "margin"),
        ('[providers.lab]\nbase-url = "x"', 2, "no setting providers.lab.base-url", "base_url"),
        ("[contxt]\nlimit = 5", 1, "no setting contxt", "context"),
        ("[zzzz]", 1, "there is no setting zzzz", "model"),
        (
            "\n\ntemperature = 'hot'",
            3,
            "temperature does not fit: it must be a number, and this is a text",
            "0 to 2",
        ),
        ("temperature = 3.5", 1, "temperature does not fit: it must be a number <= 2", "0 to 2"),
        ("[context]\nlimit = 0", 2, "context.limit does not fit", '"model"'),
        ("[context]\n# c\npolicy = 'forget'", 3, "not one of the values", "refuse"),
        (
            "context = 5",
            1,
            "context does not fit: it must be a table, and this is a whole number",
            "context",
        ),
        ("context = {limit = 5, margin = 2}", 1, "context.margin does not fit", "0.8"),
        ("vi = 1", 1, "vi does not fit: it must be true or false, and this is a whole", "vi"),
        ("[providers]\nlab = 'x'", 2, "providers.lab does not fit", "providers.lab"),
        ("providers.lab.models = 'bench'", 1, "it must be a list, and this is a text", "bench"),
        ("model = ", 1, "this is not TOML", "quotes"),
        ("a = 1\na = 2", 2, "this is not TOML", "quotes"),
        ("[context\n", 1, "this is not TOML", "quotes"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(config, text, line, words, hint):
    path = config(text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert caught.value.where == f"{path}:{line}"
    assert words in caught.value.message
    assert hint in caught.value.hint
    assert "`" not in caught.value.message


def test_a_value_in_the_wrong_place_is_not_repeated(config):
    with pytest.raises(ConfigError) as caught:
        load(config('[providers.lab]\ndialect = "sk-abcdefghijkl"'))
    assert "abcdef" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("environ", "flags", "where"),
    [
        ({"CHINWAG_TEMPERATURE": "warm"}, {}, "CHINWAG_TEMPERATURE"),
        ({"CHINWAG_ALIASES": "{fast = "}, {}, "CHINWAG_ALIASES"),
        ({"CHINWAG_ALIASES": "fast"}, {}, "CHINWAG_ALIASES"),
        ({"CHINWAG_PLAIN": "perhaps"}, {}, "CHINWAG_PLAIN"),
        ({}, {"temperature": 9.0}, "--temperature"),
        ({}, {"max_tokens": 0}, "--max-tokens"),
        ({}, {"context.limit": -1}, "--limit"),
        ({}, {"tempo": 1}, "--tempo"),
    ],
)
def test_wrong_words_elsewhere(environ, flags, where):
    with pytest.raises(ConfigError) as caught:
        load(None, environ, flags)
    assert caught.value.where == where
    assert caught.value.hint


def test_a_missing_file_matters_only_when_it_was_named(tmp_path):
    path = tmp_path / "none.toml"
    assert load(path).settings == Settings()
    with pytest.raises(ConfigError, match="no such file"):
        load(path, must_exist=True)


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "bin.toml").write_bytes(b"model = '\xff'")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "bin.toml")
    with pytest.raises(ConfigError, match="is a directory"):
        load(tmp_path)


def test_lines_are_found_in_all_spellings():
    text = 'a.b = 1\n[c]\n"d e" = 2\n[[f]]\ng=3\n[c.h] # x\ni = {j = 1}\n'
    assert line_of(text, ("a", "b")) == 1
    assert line_of(text, ("c", "d e")) == 3
    assert line_of(text, ("f", "g")) == 5
    assert line_of(text, ("c", "h", "i", "j")) == 7
    assert line_of(text, ("zzz",)) == 0


@given(
    st.dictionaries(
        st.sampled_from(sorted(Settings.__struct_fields__)),
        st.one_of(st.text(), st.integers(), st.floats(), st.booleans(), st.lists(st.text())),
    )
)
def test_any_flags_give_settings_or_a_config_error(flags):
    try:
        told = load(None, {}, flags).origins.values()
    except ConfigError as error:
        told = [error.where]
    assert set(told) <= {"--" + name.replace("_", "-") for name in flags}
