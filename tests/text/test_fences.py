"""Fences found by lines are the fences a full parser finds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chinwag.text.fences import Fence, count, fences
from support.shared import DATA, need

PARSER = MarkdownIt("commonmark").enable("table")


def parsed(text):
    """What the parser says: (language, source) of each fence."""
    found = (t for t in PARSER.parse(text) if t.type == "fence")
    return [(t.info.split(None, 1)[0] if t.info.strip() else "", t.content) for t in found]


TEXTS = [
    "no code",
    "```py\na = 1\n```",
    "text\n\n```py\na = 1\n\n\nb\n```\n\nmore\n\n~~~\nc\n~~~\n",
    "````md\n```\ninner\n```\n````",
    "```\nnever closed\n",
    "```\n~~~\n```\n",
    "- item\n\n  ```sh\n  ls\n    deep\n  ```\n- next\n",
    "1. one\n   ```sh\n   ls\n   ```\n2. two\n\n   ```\n   x\n   ```\n",
    "    ```\n    indented, no fence\n    ```\n",
    "> ```py\n> quoted\n> ```\n\nout\n",
    "> ```\n> ends with its quotation\nout\n",
    "inline ``` no fence\n\n```a`b\nno\n",
    "``` py title=x\ncode\n```\n",
    "- ```py\n  in the item\n  ```\n",
    "``\nno\n``\n",
    "```py\r\na\r\n```\r\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_same_as_a_parser(text):
    text = text.replace("\r\n", "\n")
    assert [tuple(f) for f in fences(text)] == parsed(text)


pieces = st.sampled_from(
    ["```", "```py", "````", "~~~", "text", "", "  deep", "- item", "1. one", "    four", "a = 1"]
)


@given(st.lists(pieces, max_size=8).map("\n".join))
def test_the_number_of_blocks_at_the_margin_is_a_parsers(text):
    plain = "\n".join(line.lstrip(" -1.") for line in text.split("\n"))
    assert count(plain) == len(parsed(plain))


@given(st.lists(pieces, max_size=10).map("\n".join))
def test_counting_quickly_is_counting(text):
    assert count(text) == len(list(fences(text)))


@given(st.text(alphabet="`~ \nab\t", max_size=60))
def test_counting_quickly_is_counting_whatever_comes(text):
    assert count(text) == len(list(fences(text)))


@given(st.text(alphabet="`~ \n>-1.ab\t", max_size=60))
def test_anything_is_taken(text):
    for fence in fences(text):
        assert isinstance(fence, Fence)


@pytest.mark.parametrize("name", ["markdown/torture.md", "markdown/commonmark-spec.txt"])
def test_real_documents(name):
    text = need(DATA / name).read_text(encoding="utf-8")
    ours, theirs = [tuple(f) for f in fences(text)], parsed(text)
    same = sum(a == b for a, b in zip(ours, theirs, strict=False))
    assert abs(len(ours) - len(theirs)) <= 0.01 * len(theirs)
    assert same >= 0.95 * min(len(ours), len(theirs)) or len(theirs) < 20
