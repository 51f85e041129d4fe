"""What is shown is the call: it can be read back, whatever the arguments are."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.talk.message import Call
from chinwag.talk.tool import ToolSpec
from chinwag.tools.base import Output, Scene, Tool, Toolbox
from chinwag.tools.canonical import BAR, canonical
from chinwag.tools.capping import LEAST, capped, cleaned, cut, kept

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab\n:"), inner, max_size=3)
    ),
    max_leaves=6,
)
TRICKS = st.sampled_from(
    ["x\n  b: 1", "\n", "a\n", "\n    | x", '"', "x\r\ny", "\u2028", "true", "1", "\x1b[2J"]
)
ARGUMENTS = st.dictionaries(
    st.text('abz_ :\n"é', min_size=1, max_size=4) | st.sampled_from(["path", "text"]),
    VALUES | TRICKS,
    max_size=4,
)


def read_back(shown: str) -> tuple[str, dict]:
    """The inverse, written from the docstring alone."""
    name, *lines = shown.split("\n")
    arguments: dict = {}
    barred = ""
    for line in lines:
        if line.startswith(BAR):
            text = line[len(BAR) :]
            arguments[barred] = (
                text if arguments[barred] is None else f"{arguments[barred]}\n{text}"
            )
            continue
        if line.startswith('  "'):
            key, end = json.JSONDecoder(strict=False).raw_decode(line[2:])
            rest = line[2 + end :]
        else:
            key, _, rest = line[2:].partition(":")
            rest = ":" + rest
        barred = key
        arguments[key] = None if rest == ":" else msgspec.json.decode(rest[2:])
    return name, arguments


@given(ARGUMENTS)
def test_the_call_can_be_read_back_from_what_is_shown(arguments):
    name, found = read_back(canonical("tool", arguments))
    assert name == "tool"
    assert msgspec.json.encode(found, order="deterministic") == msgspec.json.encode(
        arguments, order="deterministic"
    )


@settings(max_examples=60)
@given(ARGUMENTS)
def test_what_was_shown_is_what_ran(arguments):
    ran = []

    class Recorder(Tool):
        spec = ToolSpec("tool", "d", {"type": "object"})

        async def run(self, arguments, scene):
            ran.append(arguments)
            return Output("ok")

    box = Toolbox([Recorder()])
    ready = box.check(Call("1", "tool", json.dumps(arguments)))
    asyncio.run(box.run(ready, Scene(root=Path("/"))))
    name, found = read_back(ready.shown)
    assert msgspec.json.encode([name, found], order="deterministic") == msgspec.json.encode(
        ["tool", ran[0]], order="deterministic"
    )


def test_a_text_of_lines_is_shown_line_by_line():
    shown = canonical("write_file", {"text": "one\n  path: /etc/passwd\n", "path": "a"})
    assert shown == (
        'write_file\n  path: "a"\n  text:\n    | one\n    |   path: /etc/passwd\n    | '
    )


@given(st.text("aé\U0001f600\n", max_size=3000), st.integers(LEAST, 1000))
def test_what_is_cut_keeps_its_ends(text, most):
    short, whole = capped(text, most)
    assert len(short.encode()) <= most
    if whole is None:
        assert short == text
    else:
        assert whole == text.encode()
        assert text.startswith(short.partition("\n[…")[0])
        assert text.endswith(short.rpartition("…]\n")[2])


def test_the_line_between_says_how_much_is_missing():
    said = cut(b"a" * 600 + b"z" * 400, 300, total=5000)
    head, missing, tail = said.split("\n")
    assert set(head) == {"a"}
    assert set(tail) == {"z"}
    assert missing == f"[… {5000 - len(head) - len(tail):,} of 5,000 bytes are left out here …]"


def test_little_things():
    assert kept(b"12345", 5) == b"12345"
    assert kept(b"123456", 4) == b"1256"
    assert cleaned("a\ud800\U000e0020") == ("a\ufffd", 1)
