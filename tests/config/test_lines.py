"""One setting written into a configuration that somebody wrote by hand."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.config.lines import put
from chinwag.errors import ConfigError

MINE = """# my settings

model = "guide/guide"   # a "#" is no comment

[context]
# tokens
limit = 5  # few
# about what follows
[aliases]
x = "guide/guide"
"""


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("model",), "a/b", 'model = "a/b"   # a "#" is no comment'),
        (("context", "limit"), 7, "limit = 7  # few"),
        (("aliases", "y.z"), "a", '"y.z" = "a"'),
        (("temperature",), 0.5, "temperature = 0.5"),
        (("tools", "offer"), ["a", "b"], 'offer = ["a", "b"]'),
    ],
)
def test_only_one_line_is_another(path, value, line):
    after = put(MINE, path, value)
    old, new = (list(filter(None, text.splitlines())) for text in (MINE, after))
    assert line in new
    assert [each for each in new if each in old] == [each for each in old if each in new], (
        "the others keep their order"
    )
    assert put(after, path, value) == after


def test_a_setting_goes_behind_its_table_and_before_the_comments_of_the_next():
    lines = put(MINE, ("context", "keep"), 9).splitlines()
    assert lines[lines.index("limit = 5  # few") + 1 :][:2] == ["keep = 9", "# about what follows"]


def test_what_is_taken_out_is_gone_and_what_was_not_there_changes_nothing():
    assert tomllib.loads(put(MINE, ("context", "limit"), None)).get("context", {}) == {}
    assert put(MINE, ("context", "keep"), None) == MINE


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("context = 5\n", ("context", "limit")),
        ("[[context]]\nlimit = 5\n", ("context", "limit")),
        ("context.x = 5\n[context.keep]\ny = 1\n", ("context", "keep")),
        ("[[a]]\n[b]\n[a.c.d]\n", ("limit",)),  # tomlkit would put these in another order
    ],
)
def test_what_cannot_be_changed_without_spoiling_something_is_left_alone(text, path):
    with pytest.raises(ConfigError, match="cannot be changed here") as caught:
        put(text, path, 1)
    assert "by hand" in caught.value.hint


WORDS = st.sampled_from(["a", "b.c", 'q"', "model"])
VALUES = st.one_of(st.text(), st.booleans(), st.integers(), st.lists(st.text(), max_size=3))


@given(path=st.lists(WORDS, min_size=1, max_size=3).map(tuple), value=VALUES)
def test_what_was_meant_is_read_back_and_the_rest_is_unchanged(path, value):
    before = tomllib.loads(MINE)
    try:
        after = tomllib.loads(put(MINE, path, value))
    except ConfigError:
        return
    found = after
    for step in path:
        found = found[step]
    assert found == value
    rest = {name: each for name, each in before.items() if name != path[0]}
    assert {name: after[name] for name in rest} == rest
