"""Whatever somebody wrote, one change is one change: all other lines stay, to the byte."""

from __future__ import annotations

import re
import tomllib
from typing import Any, NamedTuple

import pytest
from hypothesis import assume, event, given
from hypothesis import strategies as st

from chinwag.config.lines import put
from chinwag.errors import ConfigError

Path = tuple[str, ...]


class Piece(NamedTuple):
    """Some lines, and what they set or open; a comment and a blank line do neither."""

    text: str
    path: Path = ()
    opens: bool = False


VALUES = (
    "5",
    "0x1F",
    "1_000",
    "5.0",
    "1e3",
    "true",
    '"a # b"',
    "'c:\\new'",
    '"""\n[no.header]\n# no comment\n"""',
    "'''\nx = 1\n'''",
    "[]",
    '[1, "two", ]',
    '[\n  "a", # one\n\n  "b",\n]',
    "{}",
    "{x = 1}",
    '{ x = 1, y = {z = "w"} }',
    "{x.y = 1, x.z = 2}",
    "1979-05-27T07:32:00Z",
    "07:32:00",
)
NAMES = ("a", "b", "x", "y", '"q.r"', "'s t'", '"é"')


def plain(name: str) -> str:
    return name.strip("\"'")


@st.composite
def settings(draw: st.DrawFn, table: Path) -> list[Piece]:
    """The lines of one table."""
    found = []
    for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)):
        below = draw(st.lists(st.sampled_from(NAMES), max_size=2))
        dot, equals = (
            draw(st.sampled_from([".", " . "])),
            draw(st.sampled_from(["=", " = ", "  = "])),
        )
        indent, behind = (
            draw(st.sampled_from(["", "  "])),
            draw(st.sampled_from(["", " # c", "   #"])),
        )
        key = dot.join((name, *below))
        text = f"{indent}{key}{equals}{draw(st.sampled_from(VALUES))}{behind}\n"
        found += draw(st.lists(st.sampled_from([Piece("\n"), Piece("# said\n")]), max_size=2))
        found.append(Piece(text, (*table, *map(plain, (name, *below)))))
    return found + draw(
        st.lists(st.sampled_from([Piece("\n"), Piece("# of the next\n")]), max_size=2)
    )


@st.composite
def files(draw: st.DrawFn) -> list[Piece]:
    found = draw(settings(()))
    headers = st.lists(st.sampled_from((*NAMES[:4], "m", "m", "n")), min_size=1, max_size=3)
    for names in draw(st.lists(headers, max_size=4, unique_by=tuple)):
        path = tuple(map(plain, names))
        form = draw(st.sampled_from(["[{}]\n", "[{}]  # h\n", "[ {} ]\n", "[{}]\n", "[[{}]]\n"]))
        found.append(Piece(form.format(".".join(names)), path, opens=True))
        found += draw(settings(path))
    end = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    found = [piece._replace(text=piece.text.replace("\n", end)) for piece in found]
    found = sound(found)
    if found and draw(st.booleans()):
        found[-1] = found[-1]._replace(text=found[-1].text.removesuffix(end))
    return found


def sound(pieces: list[Piece]) -> list[Piece]:
    """Without what says a thing twice."""
    kept: list[Piece] = []
    for piece in pieces:
        try:
            tomllib.loads(whole([*kept, piece]))
        except tomllib.TOMLDecodeError:
            continue
        kept.append(piece)
    return kept


def whole(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def at(tree: Any, path: Path) -> Any:
    for step in path:
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tree


def paths(tree: Any, above: Path = ()) -> list[Path]:
    if not isinstance(tree, dict):
        return []
    here = [(*above, name) for name in tree]
    return here + [path for one in here for path in paths(tree[one[-1]], one)]


NEW = (
    st.text(max_size=3) | st.integers() | st.booleans() | st.lists(st.text(max_size=3), max_size=2)
)
ELSEWHERE = st.tuples(st.sampled_from(NAMES[:4]), st.sampled_from(NAMES[:4])) | st.sampled_from(
    [("fresh",), ("m", "fresh")]
)


@given(files(), st.data())
def test_one_change_is_one_change(pieces, data):
    text = whole(pieces)
    there = paths(tomllib.loads(text))
    path = data.draw(st.sampled_from(there) | ELSEWHERE if there else ELSEWHERE)
    value = data.draw(NEW | st.none())
    try:
        after = put(text, path, value)
    except ConfigError:
        event("refused")
        return
    found = at(tomllib.loads(after), path)
    assert (type(found), found) == (type(value), value)
    one = [piece for piece in pieces if piece.path == path and not piece.opens]
    if path not in there:
        event("put in")
        inline = [p for p in pieces if not p.opens and p.path and path[: len(p.path)] == p.path]
        if inline:
            only_this(pieces, inline[0], after, gone=False)
        else:
            only_more(text, after)
    elif one:
        event("set anew, or taken out")
        only_this(pieces, one[0], after, gone=value is None)
    elif value is None:
        event("a table is taken out")
        only_less(pieces, path, after)


def only_more(text: str, after: str) -> None:
    """Nothing but what stands now at one place is new."""
    pairs = enumerate(zip(text, after, strict=False))
    kept = next((number for number, (old, new) in pairs if old != new), len(text))
    assert after.endswith(text[kept:])


def only_this(pieces: list[Piece], one: Piece, after: str, *, gone: bool) -> None:
    number = pieces.index(one)
    before, behind = whole(pieces[:number]), whole(pieces[number + 1 :])
    assert after.startswith(before)
    assert after.endswith(behind)
    line = after[len(before) : len(after) - len(behind)]
    if gone:
        assert line == ""
    else:
        assert line.partition("=")[0] == one.text.partition("=")[0]
        assert line.endswith(re.search(r"(\s+#[^#\n\"']*)?(\r?\n)?$", one.text)[0])


def only_less(pieces: list[Piece], path: Path, after: str) -> None:
    """Everything that is not in it stands there still, in order."""
    position, inside = 0, False
    for piece in pieces:
        inside = piece.path[: len(path)] == path if piece.opens else inside
        within = inside or piece.path[: len(path)] == path
        around = piece.path and path[: len(piece.path)] == piece.path and not piece.opens
        if not within and not around:
            position = after.index(piece.text, position) + len(piece.text)


@given(files())
def test_a_table_put_in_and_taken_out_again_leaves_what_was(pieces):
    text = whole(pieces)
    assume("[[" not in text)  # beside these tomlkit may change the order, and it is refused
    server = {"command": ["x", "a b"], "env": {"T": "env:T"}}
    more = put(text, ("m", "fresh"), server)
    assert more.startswith(text)
    assert at(tomllib.loads(more), ("m", "fresh")) == server
    assert put(more, ("m", "fresh"), None).rstrip() == text.rstrip()


@pytest.mark.parametrize(
    ("text", "path", "value", "after"),
    [
        ('stop = [\n  "a", # c\n] # d\nx = 1\n', ("stop",), ["b"], 'stop = ["b"] # d\nx = 1\n'),
        ('system = """\na\n"""\n', ("system",), "b\nc", 'system = "b\\nc"\n'),
        ("a = {b = 5}  # c\n", ("a", "b"), 1, "a = {b = 1}  # c\n"),
        ("a = {b = 5}\n", ("a", "c"), 1, "a = {b = 5, c = 1}\n"),
        ("a = { b = 5 } # d\n", ("a", "c"), 1, "a = { b = 5, c = 1 } # d\n"),
        ("a = {b = 5, c = 1}\n", ("a", "b"), None, "a = { c = 1}\n"),
        ("a.b = 5 # c\nx = 1\n", ("a", "c"), 1, "a.b = 5 # c\na.c = 1\nx = 1\n"),
        ("a = 1\r\n\r\n[t]\r\nb = 2\r\n", ("c",), 3, "a = 1\r\nc = 3\r\n\r\n[t]\r\nb = 2\r\n"),
        ("a = 1\r\n", ("t", "b"), 3, "a = 1\r\n\r\n[t]\r\nb = 3\r\n"),
        ("[t]\na = 1", ("t", "b"), 3, "[t]\na = 1\nb = 3\n"),
        ("# all\n\n# of t\n[t]\na = 1\n", ("b",), 3, "# all\nb = 3\n\n# of t\n[t]\na = 1\n"),
        (
            "[t]\na = 1\n# of u\n[t.u]\nb = 1\n",
            ("t", "c"),
            2,
            "[t]\na = 1\nc = 2\n# of u\n[t.u]\nb = 1\n",
        ),
        ("[t.u]\nb = 1\n", ("t", "c"), 2, "[t.u]\nb = 1\n\n[t]\nc = 2\n"),
        ("[m.a]\nx = 1\n\n[n]\n", ("m", "b", "x"), 2, "[m.a]\nx = 1\n\n[n]\n\n[m.b]\nx = 2\n"),
        ("x = 1\n", ("x",), True, "x = true\n"),
        ("x = 1\n", ("t", "b"), None, "x = 1\n"),
    ],
)
def test_forms_that_people_write(text, path, value, after):
    assert put(text, path, value) == after
