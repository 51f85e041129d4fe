"""Markdown as lines: the same in pieces as whole, never too wide, never twice."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chinwag.frontends.tui import blocks
from chinwag.frontends.tui.code import BEGIN, Colours
from chinwag.frontends.tui.drawing import drawable
from chinwag.frontends.tui.markdown import Document, render
from chinwag.frontends.tui.rendering import Renderer
from chinwag.frontends.tui.theme import THEMES
from chinwag.text.cells import width
from support.shared import DATA, need

RENDERER = Renderer(THEMES["auto"])

SAMPLE = """# Two days

Take line **28** *early*; see [times](https://x.example/28) and `code`.

1. first
2. second
   - deeper
3. third

> quoted
> twice

| a | b |
|---|--:|
| 1 | 22 |

```python
def f(x):
    '''doc
    string'''
    return x
```

- loose

- list 窓際 👩‍👩‍👧
***
last &#x202e;line
"""

bits = st.sampled_from(
    "word |words words |**|*|`|```\n|\n|\n\n|- |1. |2. |> |# |    || a | b |\n|---|---|\n|\t|~~~\n"
    "|===\n|---\n|<b>|&amp;|&#27;|[x](y)|窓|é|e\u0301|👨‍👩‍👧|\u202e|\x1b[31m|\r\n|!".split("|")
)
texts = st.lists(bits, max_size=40).map("".join)


def plain(lines) -> list[str]:
    return ["".join(text for _, text in line) for line in lines]


def in_pieces(text: str, cuts: list[int], columns: int) -> list:
    document = Document(RENDERER, columns)
    at = 0
    for cut in sorted({min(c, len(text)) for c in cuts} | {len(text)}):
        document.feed(text[at:cut])
        document.step()
        document.show()
        at = cut
    document.finish()
    return document.lines


def test_what_it_looks_like():
    assert plain(render(RENDERER, SAMPLE, 60)) == [
        "Two days",
        "",
        "Take line 28 early; see times (https://x.example/28) and",
        "code.",
        "",
        "1. first",
        "2. second",
        "   • deeper",
        "3. third",
        "",
        "> quoted",
        "> twice",
        "",
        "a   b",
        "1  22",
        "",
        "python                                                    ¶1",
        "  def f(x):",
        "      '''doc",
        "      string'''",
        "      return x",
        "",
        "• loose",
        "",
        "• list 窓際 👩",
        "",
        "─" * 60,
        "",
        "last ‹202e›line",
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50])
def test_cut_into_pieces_it_looks_the_same(size):
    whole = render(RENDERER, SAMPLE, 50)
    assert in_pieces(SAMPLE, list(range(0, len(SAMPLE), size)), 50) == whole


@given(texts, st.lists(st.integers(0, 200), max_size=12))
@example("1. a\n\n2. b\n", [6, 7])
@example("a\n---\n", [2, 3, 4])
@example("```\nx\n```\ny", [3, 6, 8, 9])
def test_however_it_is_cut_the_finished_lines_are_the_same(text, cuts):
    assert in_pieces(text, cuts, 40) == render(RENDERER, text, 40)


@given(texts, st.integers(1, 60))
def test_no_line_is_wider_than_asked_and_nothing_raw_gets_out(text, columns):
    for line in plain(render(RENDERER, text, columns)):
        assert width(line) <= columns
        assert all(char.isprintable() or char in "\u200d\ufe0f" for char in line), repr(line)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 3000,
        "- item of a list\n" * 400,
        "".join(f"{n}. item\n" for n in range(1, 400)),
        "窓際の席は早い者勝ちです。" * 200,
        "para one.\n\n" + "long **bold** words " * 300 + "\n\n# after\n",
        "```\n" + "x = 1\n" * 500,
    ],
    ids=["words", "list", "numbers", "cjk", "mixed", "code"],
)
def test_long_blocks_are_cut_inside_without_a_trace(text):
    whole = render(RENDERER, text, 40)
    pieces = in_pieces(text, list(range(0, len(text), 97)), 40)
    assert pieces == whole
    flat = "".join("".join(plain(whole)).split())
    for mark in ("399. item", "# after"):
        assert mark.lstrip("# ") in " ".join(plain(whole)) or mark not in text
    assert len(flat) >= 0.9 * len("".join(text.split())) - 2000
    assert max(width(line) for line in plain(whole)) <= 40


@pytest.mark.parametrize(
    "piece", ["word ", "- item\n", "x = 1\n", "one. \n\n", "1. item here\n"], ids=repr
)
def test_work_grows_with_the_text_and_not_faster(piece):
    costs = []
    for count in (500, 2000):
        document = Document(RENDERER, 60)
        document.feed("```\n" if "=" in piece else "")
        for _ in range(count // 10):
            document.feed(piece * 10)
            while document.step():
                pass
            document.show()
        costs.append(document.rendered)
    assert costs[1] < 4 * 1.3 * costs[0] + 3000 * 10


@pytest.mark.parametrize("end", ["```", "```\n", "~~~", ""])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_fence_at_the_very_end_is_one_block(end, size):
    text = f"{'~~~' if end == '~~~' else '```'}sh\nls\n{end}"
    document = Document(RENDERER, 40)
    for at in range(0, len(text), size):
        document.feed(text[at : at + size])
        document.step()
        document.show()
        assert "¶2" not in "".join(plain(document.lines))
    document.finish()
    assert plain(document.lines) == ["sh" + " " * 36 + "¶1", "  ls"]
    assert document.number == 2


def test_code_blocks_are_numbered_through():
    text = "```\na\n```\n\ntext\n\n```sh\nb\n```\n- x\n  ```c\n  d\n  ```\n"
    labels = [line for line in plain(render(RENDERER, text, 30)) if "¶" in line]
    assert [label.split() for label in labels] == [["text", "¶1"], ["sh", "¶2"], ["c", "¶3"]]


def test_tables_too_wide_become_lines():
    table = "| " + " | ".join("abcdefgh") + " |\n" + "|--" * 8 + "|\n| " + " | ".join("12345678")
    lines = plain(render(RENDERER, table + " |\n", 20))
    assert lines[:2] == ["a: 1", "b: 2"]


def test_links_show_where_they_go_and_carry_no_escape():
    (line,) = render(RENDERER, "[here](http://evil.example/\u202ex)", 60)
    text = "".join(part for _, part in line)
    assert "evil.example" in text
    assert "\u202e" not in text


LONG_CODE = '''import os
class A:
    """A doc
    over lines."""
    def f(self, x: int = 3) -> str:
        return f"{x}" + 'a' # note
@deco
def g(): pass
'''


def coloured(colours, lines):
    """Each line's pieces, the state handed on."""
    state, out = BEGIN, []
    for line in lines:
        pieces, state = colours.line(line, state)
        out.append(pieces)
    return out


def test_code_read_line_by_line_is_coloured_as_if_read_whole():
    from pygments.lexers import PythonLexer

    from chinwag.frontends.tui import code

    colours = Colours("python")
    by_line = [pair for line in coloured(colours, LONG_CODE.splitlines()) for pair in line]
    whole = [
        (code._style(token), text.replace("\n", ""))
        for _, token, text in PythonLexer().get_tokens_unprocessed(LONG_CODE)
    ]

    def letters(pairs):
        return [(style, char) for style, text in pairs for char in text if char != " "]

    assert letters(by_line) == letters(whole)


def test_comments_over_lines_are_known_in_c():
    colours = Colours("c")
    lines = ("int a; /* one", "two", "three */ int b;", 's = "/*";', "int c;")
    got = coloured(colours, lines)
    assert got[1] == [("code.comment", "two")]
    assert got[2][0] == ("code.comment", "three */")
    assert got[4][0] == ("code.keyword", "int")


@given(st.text(max_size=60), st.sampled_from(["python", "c", "html", "diff", "json", "nope", ""]))
def test_colouring_changes_no_letter(line, language):
    line = line.replace("\n", "").replace("\r", "")
    colours = Colours(language)
    assert "".join(text for _, text in colours.line(line)[0]) == line


def cut(text):
    scanner = blocks.Scanner()
    found = scanner.feed(text)
    return [(s.kind, s.source) for s in found], scanner.rest


@pytest.mark.parametrize(
    ("text", "finished", "rest"),
    [
        ("only a line\n", [], "only a line\n"),
        ("one\n\ntwo\n", [("blocks", "one\n\n")], "two\n"),
        ("```py\nx\n", [("fence", "```py"), ("code", "x")], ""),
        ("1. a\n\n2. b\n", [("item", "1. a\n\n")], "2. b\n"),
        ("1. a\n\n2", [], "1. a\n\n2"),
        ("para\n- a\n", [("blocks", "para\n")], "- a\n"),
        ("head\n---\n- a\n", [("blocks", "head\n---\n")], "- a\n"),
        ("- a\n  - b\n\n  c\n", [], "- a\n  - b\n\n  c\n"),
        ("<div>\n- a\n# b\n", [], "<div>\n- a\n# b\n"),
        ("<!-- a\n\n# b -->\nc\n", [("blocks", "<!-- a\n\n# b -->\n")], "c\n"),
        ("a | b\n--|--\n1 | 2\n", [], "a | b\n--|--\n1 | 2\n"),
    ],
)
def test_what_is_certain_enough_to_cut(text, finished, rest):
    assert cut(text) == (finished, rest)


NESTED = "[foo]\n\n> [foo]: /url\n"  # a definition inside a quotation is known in it alone


def test_cut_into_sections_it_is_what_the_whole_text_says():
    spec = need(DATA / "markdown" / "commonmark-spec.txt").read_text("utf-8")
    examples = re.findall(r"^`{32} example\n(.*?)^\.\n", spec, re.MULTILINE | re.DOTALL)
    assert len(examples) > 600
    for text in [*(each.replace("→", "\t") for each in examples), spec]:
        lines, _ = RENDERER.blocks(drawable(text), 80)
        ours = [line for line in plain(render(RENDERER, text, 80)) if line]
        assert ours == [line for line in plain(lines) if line] or text == NESTED


def test_footnotes_tasks_pictures_and_strokes_can_be_read():
    text = """A claim[^1], ~~not~~ one.

[^1]: Said so.
[m]: https://x.example

- [ ] to do
- [x] done

![a map](https://maps.example/1.png) [there][m]
"""
    assert plain(render(RENDERER, text, 70)) == [
        "A claim[^1], not one.",
        "",
        "[^1]: Said so.",
        "",
        "☐ to do",
        "✓ done",
        "",
        "[image: a map] (https://maps.example/1.png) there (https://x.example)",
    ]


def test_a_list_without_end_is_frozen_item_by_item():
    document = Document(RENDERER, 60)
    for n in range(1, 400):
        document.feed(f"{n}. item\n")
        document.step()
        document.show()
        assert document.stretches[-1].lines()
    assert document.rendered < 400 * 2 * len("399. item\n")


def test_a_giant_table_is_shown_as_it_was_written():
    table = "| a | b |\n|---|---|\n" + "| cell | cell |\n" * 3000
    assert plain(render(RENDERER, table, 60))[-1] == "| cell | cell |"


@pytest.mark.parametrize("text", ["a" * 400_000, "[a](http://x) " * 30_000, "*a _b " * 60_000])
def test_of_a_burst_no_more_is_laid_out_than_has_been_taken_in(text):
    """A megabyte that comes at once must not hold up the keys: it is drawn as it is taken in."""
    document = Document(Renderer(THEMES["dark"]), 80)
    document.feed(text)
    document.step()
    before = document.rendered
    document.show()
    for stretch in document.stretches[-1:]:
        stretch.lines()
    assert document.rendered - before < 50_000
