"""The tools that come with the program, each against the contract and for what it does itself."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import ToolFailed, UsageError
from chinwag.talk.message import Call, Result
from chinwag.talk.tool import Risk
from chinwag.tools.base import Limits, Scene, Toolbox
from chinwag.tools.builtin import listed
from chinwag.tools.builtin.calculator import Calculator, calculated
from chinwag.tools.builtin.clock import Clock
from chinwag.tools.builtin.files import ListFiles, ReadFile, SearchFiles, WriteFile
from chinwag.tools.builtin.shell import Shell
from chinwag.tools.sandbox import Sandbox
from contracts.tool import ToolContract


async def run(tool, root, limits=None, **arguments):
    box = Toolbox([tool])
    ready = box.check(Call("1", tool.spec.name, json.dumps(arguments)))
    if isinstance(ready, Result):
        return ready
    result, _ = await box.run(ready, Scene(root=root, limits=limits or Limits()))
    return result


# --- clock ----------------------------------------------------------------------------------------

MOMENT = dt.datetime(2026, 3, 29, 0, 59, 59, tzinfo=dt.UTC)


class TestClock(ToolContract):
    def make(self, root):
        return Clock()

    def good(self):
        return [{}, {"zone": "UTC"}, {"zone": "Asia/Kathmandu"}]

    def bad(self):
        return [{"zone": 1}]


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("UTC", "Sunday 2026-03-29T00:59:59+00:00 (UTC)"),
        ("Europe/Lisbon", "Sunday 2026-03-29T00:59:59+00:00 (Europe/Lisbon)"),
        ("Asia/Kathmandu", "Sunday 2026-03-29T06:44:59+05:45 (Asia/Kathmandu)"),
        ("UTC-3:30", "Saturday 2026-03-28T21:29:59-03:30 (UTC-3:30)"),
        ("+2", "Sunday 2026-03-29T02:59:59+02:00 (+2)"),
    ],
)
async def test_the_clock(tmp_path, zone, said):
    assert (await run(Clock(lambda: MOMENT), tmp_path, zone=zone)).content == said


@pytest.mark.parametrize("zone", ["Lisboa", "UTC+99", "../../etc/passwd", "/etc/passwd", "a\0b"])
async def test_a_zone_that_is_not_known_is_an_error(tmp_path, zone):
    result = await run(Clock(), tmp_path, zone=zone)
    assert result.is_error
    assert "no time zone is called" in result.content


# --- calculator -----------------------------------------------------------------------------------


class TestCalculator(ToolContract):
    def make(self, root):
        return Calculator()

    def good(self):
        return [{"expression": "2**3000"}, {"expression": "1/3"}]

    def bad(self):
        return [{"expression": 3}, {"expression": "1+" * 600}]


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("2 + 3 * 4", "14"),
        ("0.1 + 0.2", "0.3"),
        ("2 ^ 10", "1024"),
        ("-7 // 2", "-4"),
        ("7 % 4 == 3", "True"),
        ("1 < 2 < 2", "False"),
        ("sqrt(2)", "1.4142135623731"),
        ("factorial(20)", "2432902008176640000"),
        ("10 ** 30 + 1", "1000000000000000000000000000001"),
        ("2 ** -2", "0.25"),
        ("0 ** 0", "1"),
        ("1 ** 10 ** 18", "1"),
        ("(-1) ** (10 ** 18 + 1)", "-1"),
        ("round(2.567, 2)", "2.57"),
        ("max(1, 2.5) * pi", "7.85398163397448"),
        ("1e400", "inf"),
        ("0xff + 0b11", "258"),
    ],
)
def test_arithmetic(expression, said):
    assert calculated(expression).startswith(said)


@pytest.mark.parametrize(
    "expression",
    [
        *(
            "9 ** 9 ** 9",
            "2 ** 100000",
            "1 << 10 ** 9",
            "factorial(10 ** 6)",
            "2 ** 9000 * 2 ** 9000",
        ),
        *("__import__('os')", "(1).__class__", "[1]", "'a' * 9", "x", "open('f')", "lambda: 1"),
        *("1/0", "(-1) ** 0.5", "sqrt(-1)", "1 +", "", "sqrt()", "1j", "1 if 1 else 2", "f'{1}'"),
        *("(" * 400 + "1" + ")" * 400, "-" * 900 + "1", "10.0 ** 400", "1 << -1", "1.5 << 2"),
        *(
            "round(1e308, -400)",
            "factorial(2.5)",
            "factorial(1e999)",
            "int",
            "1 in 2",
            "ceil(1e999)",
        ),
    ],
)
def test_what_is_no_arithmetic_or_too_much_is_refused(expression):
    began = time.monotonic()
    try:
        said = calculated(expression)
    except ToolFailed:
        said = ""
    assert said in {"", "1", "0", "0.0", "inf"}
    assert time.monotonic() - began < 0.5


@given(st.text("0123456789+-*/%().<>=e ", max_size=40))
def test_every_expression_has_a_value_or_an_error(expression):
    try:
        said = calculated(expression)
    except ToolFailed as error:
        said = error.message
    assert 0 < len(said) < 4000


# --- files ----------------------------------------------------------------------------------------


def filled(root):
    (root / "sub" / ".hidden").mkdir(parents=True)
    (root / "keys").mkdir()
    (root / "keys" / "key").write_text("canary")
    (root / "a.txt").write_text("one\ntwo\nthree\n" * 100)
    (root / "sub" / "b.py").write_text("import two\n")
    (root / "sub" / ".hidden" / "c.txt").write_text("two\n")
    (root / "picture").write_bytes(b"\x89PNG\0\0two")
    (root / "link").symlink_to("a.txt")
    return [root / "keys"]


class TestListFiles(ToolContract):
    def make(self, root):
        return ListFiles(filled(root))

    def good(self):
        return [{}, {"path": "sub"}]

    def bad(self):
        return [{"path": 1}]


class TestReadFile(ToolContract):
    def make(self, root):
        return ReadFile(filled(root))

    def good(self):
        return [{"path": "a.txt"}, {"path": "a.txt", "first": 2}, {"path": "sub/b.py"}]

    def bad(self):
        return [{"path": "a.txt", "first": 0}, {"path": "a.txt", "last": 1.5}]


class TestSearchFiles(ToolContract):
    def make(self, root):
        return SearchFiles(filled(root))

    def good(self):
        return [{"pattern": "two"}, {"pattern": "two", "glob": "*.py"}]

    def bad(self):
        return [{"pattern": "two", "most": 0}]


class TestWriteFile(ToolContract):
    def make(self, root):
        return WriteFile(filled(root))

    def good(self):
        return [{"path": "new", "text": "x" * 1000}, {"path": "new", "text": "a\nb"}]

    def bad(self):
        return [{"path": "new", "text": None}]


async def test_a_folder_is_listed(tmp_path):
    tool = ListFiles(filled(tmp_path))
    said = (await run(tool, tmp_path)).content
    assert said == "a.txt  1400\nkeys/\nlink (a link)\npicture  9\nsub/"
    assert (await run(tool, tmp_path, path="keys")).is_error
    assert (await run(tool, tmp_path, path="a.txt")).content == "Error: a.txt is no folder"
    (tmp_path / "empty").mkdir()
    assert "empty" in (await run(tool, tmp_path, path="empty")).content


async def test_many_names_are_cut(tmp_path):
    for n in range(1005):
        (tmp_path / f"f{n}").touch()
    assert (await run(ListFiles(), tmp_path)).content.endswith("\n[… 5 more …]")


async def test_a_file_is_read(tmp_path):
    tool = ReadFile(filled(tmp_path))
    assert (await run(tool, tmp_path, path="link")).content == "one\ntwo\nthree\n" * 100
    assert (await run(tool, tmp_path, path="a.txt", first=2, last=3)).content == "two\nthree\n"
    assert (await run(tool, tmp_path, path="a.txt", first=300)).content == "three\n"
    said = (await run(tool, tmp_path, path="a.txt", first=301)).content
    assert said == "Error: a.txt has 300 lines, so there are none to read there"
    assert (
        await run(tool, tmp_path, path="picture")
    ).content == "Error: picture is binary, 9 bytes"
    assert "no tool may reach" in (await run(tool, tmp_path, path="keys/key")).content
    (tmp_path / "void").touch()
    assert (await run(tool, tmp_path, path="void")).content == "(the file is empty)"
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    assert (await run(tool, tmp_path, path="latin")).content == "caf\ufffd"


async def test_files_are_searched(tmp_path):
    tool = SearchFiles(filled(tmp_path))
    assert (await run(tool, tmp_path, pattern="^import (two)")).content == "sub/b.py:1: import two"
    said = (await run(tool, tmp_path, pattern="two", most=2)).content
    assert said == "a.txt:2: two\na.txt:5: two\n[… more than 2 lines match …]"
    assert (await run(tool, tmp_path, pattern="canary|PNG")).content == "(nothing matches)"
    hidden = await run(tool, tmp_path, pattern="two", path="sub/.hidden")
    assert hidden.content == "sub/.hidden/c.txt:1: two"
    assert "is no pattern" in (await run(tool, tmp_path, pattern="(")).content
    assert (await run(tool, tmp_path, pattern="x", path="../")).is_error
    assert (await run(tool, tmp_path, pattern="x", path="keys")).is_error


async def test_a_pattern_that_takes_for_ever_is_ended(tmp_path):
    (tmp_path / "f").write_text("a" * 40 + "b")
    began = time.monotonic()
    task = asyncio.ensure_future(run(SearchFiles(seconds=1), tmp_path, pattern="(a+)+$"))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.01)
        turns += 1
    assert "its 1 seconds were over" in task.result().content
    assert time.monotonic() - began < 3
    assert turns > 5  # the loop went on meanwhile, as far as a loaded machine lets it


async def test_a_file_is_written(tmp_path):
    tool = WriteFile(filled(tmp_path))
    assert tool.spec.risk is Risk.WRITE
    assert (await run(tool, tmp_path, path="n/e/w", text="é")).content == "wrote n/e/w, 2 bytes"
    assert (await run(tool, tmp_path, path="n/e/w", text="")).content == "replaced n/e/w, 0 bytes"
    assert (tmp_path / "n/e/w").read_bytes() == b""
    few = await run(tool, tmp_path, Limits(file=3), path="big", text="four")
    assert few.content == "Error: that is more than 3 bytes"
    assert not (tmp_path / "big").exists()
    assert (await run(tool, tmp_path, path="keys/new", text="x")).is_error


# --- shell ----------------------------------------------------------------------------------------


class TestShell(ToolContract):
    def make(self, root):
        return Shell(Sandbox.found())

    def good(self):
        return [{"command": "printf %2000s x"}, {"command": "echo a\necho b"}]

    def bad(self):
        return [{"command": ""}, {"command": "a\0b"}, {"command": ["ls"]}]


def test_a_shell_is_marked_and_shows_its_argument_list():
    tool = Shell(Sandbox(kind="bwrap", says=""))
    ready = Toolbox([tool]).check(Call("1", "shell", '{"command": "ls | wc"}'))
    assert ready.shown == (
        'shell\n  command: "ls | wc"\n  argv: ["/bin/sh","-c","ls | wc"]\n  kept in by: bwrap'
    )
    assert not tool.spec.always_ask
    assert Shell(Sandbox(kind="none", says="")).spec.always_ask


async def test_a_shell_tells_how_it_ended(tmp_path):
    tool = Shell(Sandbox.found())
    said = await run(tool, tmp_path, command="echo out; echo err >&2; exit 3")
    assert said.content == "out\nerr\n[exit code 3]"
    assert said.is_error
    assert (await run(tool, tmp_path, command="true")).content == "(no output)"
    said = await run(tool, tmp_path, Limits(seconds=0.5), command="echo begun; sleep 30")
    assert "0.5 seconds were over" in said.content
    assert "begun" in said.content


# --- the list -------------------------------------------------------------------------------------


def test_what_comes_with_the_program():
    names = [tool.spec.name for tool in listed.made()]
    assert names == list(listed.USUAL)
    assert not {"shell", "fetch"} & set(names)
    assert [t.spec.name for t in listed.made(listed.NAMES)] == list(listed.NAMES)
    with pytest.raises(UsageError, match="'clok'") as caught:
        listed.made(["clok"])
    assert caught.value.hint == "clock"
