"""Tables put into and taken out of a configuration that somebody wrote by hand."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.config.approved import OwnFile
from chinwag.config.tables import added, removed
from chinwag.errors import ConfigError

MINE = """# my settings
model = "guide/guide"   # offline

[mcp.first]  # the one from work
command = ["a", "b"]  # two words
# about its variables
[mcp.first.env]
A = "1"

# what I call them
[aliases]
x = "guide/guide"

[mcp.second]
url = "https://host/"
"""


def test_a_table_is_put_at_the_end_and_taken_out_again():
    more = added(MINE, ("mcp", "third"), {"command": ["x", "a b"], "env": {"T": "env:T"}})
    assert more.startswith(MINE)
    assert tomllib.loads(more)["mcp"]["third"] == {"command": ["x", "a b"], "env": {"T": "env:T"}}
    assert removed(more, ("mcp", "third")).rstrip("\n") == MINE.rstrip("\n")


def test_the_tables_below_go_too_and_the_comments_of_the_next_stay():
    rest = removed(MINE, ("mcp", "first"))
    assert "first" not in rest
    assert "about its variables" not in rest
    assert rest.startswith('# my settings\nmodel = "guide/guide"   # offline\n')
    assert "# what I call them\n[aliases]" in rest
    assert tomllib.loads(rest)["mcp"] == {"second": {"url": "https://host/"}}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ('mcp = {one = {command = ["x"]}}\n', "mcp = {}\n"),
        ('mcp.one.command = ["x"]\nmodel = "y"\n', 'model = "y"\n'),
        ('[mcp.one]\ncommand = ["x"]\nfolder = """\n[aliases]\n"""\n', ""),
    ],
)
def test_it_goes_in_whatever_form_it_stands(text, rest):
    assert removed(text, ("mcp", "one")) == rest
    with pytest.raises(ConfigError, match="already"):
        added(text, ("mcp", "one"), {"command": ["y"]})


def test_what_would_spoil_something_is_refused():
    text = "[[a]]\n[mcp.one]\n[a.c.d]\n"  # tomlkit would put these in another order
    for change in (lambda: removed(text, ("mcp", "one")), lambda: added(text, ("mcp", "b"), {})):
        with pytest.raises(ConfigError) as caught:
            change()
        assert "by hand" in caught.value.hint


def test_what_is_not_there_or_no_text_is_refused():
    with pytest.raises(ConfigError, match="there is no mcp"):
        removed(MINE, ("mcp", "none"))
    with pytest.raises(ConfigError, match="not TOML"):
        added("[", ("mcp", "x"), {"url": "https://a/"})
    with pytest.raises(ConfigError, match="not text"):
        added("", ("mcp", "x"), {"url": "\ud800"})


words = st.text(st.characters(codec="utf-8"), min_size=1, max_size=10)
tables = st.dictionaries(
    words,
    words | st.lists(words, max_size=3) | st.dictionaries(words, words, max_size=2),
    max_size=3,
)


@given(words, tables)
def test_whatever_is_added_is_read_back_and_the_rest_unchanged(name, table):
    if name in ("first", "second") or not table:
        return
    text = added(MINE, ("mcp", name), table)
    found = tomllib.loads(text)
    assert found["mcp"].pop(name) == table
    assert found == tomllib.loads(MINE)
    assert text.startswith(MINE)


def test_an_approval_that_others_could_have_written_counts_for_nothing(tmp_path):
    file = OwnFile(tmp_path / "config" / "mcp-approved.json")
    assert file.read() == b""
    file.write(b"yes")
    path = tmp_path / "config" / "mcp-approved.json"
    assert file.read() == b"yes"
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o620)
    assert file.read() == b""
    path.chmod(0o600)
    link = tmp_path / "link.json"
    link.symlink_to(path)
    assert OwnFile(link).read() == b""
    assert OwnFile(tmp_path).read() == b""


def test_where_nothing_can_be_written_it_is_said(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "mcp-approved.json").mkdir()
    with pytest.raises(ConfigError, match="could not be kept"):
        OwnFile(folder / "mcp-approved.json").write(b"x")
