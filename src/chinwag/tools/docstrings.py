"""What a docstring says of a function and of each of its parameters.

Invariants: Google's, NumPy's and reST's forms are read, whichever is used; a docstring of no form
is all description, and nothing in one is ever an error. Pure.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Final

_SECTION: Final = re.compile(
    r"(args|arguments|parameters|params|returns?|yields?|raises|examples?|notes?|attributes"
    r"|see also|references|warnings?|other parameters|keyword args|keyword arguments):?",
    re.IGNORECASE,
)
_OF_PARAMETERS: Final = {
    *("args", "arguments", "parameters", "params"),
    *("other parameters", "keyword args", "keyword arguments"),
}
_FIELD: Final = re.compile(r":(\w+)(?:\s+([^:]*))?:\s*(.*)")
_GOOGLE: Final = re.compile(r"\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)")
_NUMPY: Final = re.compile(r"\*{0,2}(\w+(?:\s*,\s*\w+)*)\s*(?::.*)?")


def read(docstring: str | None) -> tuple[str, dict[str, str]]:
    """(the description, {parameter: what is said of it}); each text on as few lines as it has."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    start = next((n for n in range(len(lines)) if _begins(lines, n)), len(lines))
    said: dict[str, str] = {}
    for title, body in _sections(lines[start:]):
        if title == "fields":
            said |= _fields(body)
        elif title in _OF_PARAMETERS:
            said |= _entries(body)
    return "\n".join(lines[:start]).strip(), {k: v for k, v in said.items() if v}


def _begins(lines: list[str], n: int) -> bool:
    """Whether a section of the docstring begins at line ``n``."""
    line = lines[n]
    if line.startswith(":"):
        return _FIELD.match(line) is not None
    if line[:1].isspace() or not _SECTION.fullmatch(line.strip()):
        return False
    below = lines[n + 1] if n + 1 < len(lines) else ""
    return _is_rule(below) or (line.rstrip().endswith(":") and below[:1].isspace())


def _is_rule(line: str) -> bool:
    return len(line.strip()) > 2 and set(line.strip()) == {"-"}


def _sections(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    title, body = "", list[str]()
    for n, line in enumerate(lines):
        if _begins(lines, n) and not (title == "fields" and line.startswith(":")):
            yield title, body
            is_field = line.startswith(":")
            title = "fields" if is_field else line.strip().rstrip(":").lower()
            body = [line] if is_field else []
        elif not _is_rule(line):
            body.append(line)
    yield title, body


def _fields(body: list[str]) -> dict[str, str]:
    """`:param int name: text`, and the lines that go on below it."""
    said: dict[str, str] = {}
    name = ""
    for line in body:
        if found := _FIELD.match(line):
            words = (found[2] or "").split()
            is_parameter = found[1] in {"param", "parameter", "arg", "argument", "key", "keyword"}
            name = words[-1].lstrip("*") if is_parameter and words else ""
            if name:
                said[name] = found[3].strip()
        elif name and line.strip():
            said[name] = f"{said[name]} {line.strip()}".strip()
        elif not line.strip():
            name = ""
    return said


def _entries(body: list[str]) -> dict[str, str]:
    """The parameters of a section; what is said stands behind a colon, or on lines further in."""
    filled = [line for line in body if line.strip()]
    if not filled:
        return {}
    left = min(map(_indent, filled))
    split = _google if left else _numpy  # Google's stand further in than their title
    said: dict[str, str] = {}
    names: list[str] = []
    for line in filled:
        if _indent(line) == left:
            names, text = split(line.strip())
            said |= dict.fromkeys(names, text)
        else:
            said |= {name: f"{said[name]} {line.strip()}".strip() for name in names}
    return said


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _google(line: str) -> tuple[list[str], str]:
    found = _GOOGLE.fullmatch(line)
    return ([found[1]], found[2]) if found else ([], "")


def _numpy(line: str) -> tuple[list[str], str]:
    found = _NUMPY.fullmatch(line)
    return ([name.strip() for name in found[1].split(",")], "") if found else ([], "")
