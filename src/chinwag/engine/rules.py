"""Rules by which a call may run unasked: an exact tool, and patterns for its arguments.

    clock                                   any call of clock
    read_file(path=docs/*)                  this argument, and no other
    read_file(path=docs/*, *)               this one, whatever the others are
    run(argv=["git", "status"])             exactly these words

Invariants: the text of a rule and the rule are one: what is written is read back as the same. A
rule names one tool by its whole name. An argument that it does not name fits only where it is the
tool's own default. ``*`` in a text stands for any characters, but never for a step up (``..``) and
never for an unseen character; in an address it stands for no part of the host, but a first label.
A rule that cannot be understood is refused, never guessed at. Pure.
"""

from __future__ import annotations

import json
import re
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chinwag.errors import UsageError

if TYPE_CHECKING:
    from chinwag.talk.tool import ToolSpec

USAGE: Final = "NAME, or NAME(argument=pattern, …); * stands for anything"
ANY: Final = "*"
_TOOL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,127}")
_LABEL: Final = re.compile(r"[^\s=,()\"'*]+")
_BARE: Final = re.compile(r"[^\s,()\"'\[\]{}\\][^,()\"'\\\x00-\x1f\x7f]*")
_ADDRESS: Final = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]+)?|\[[0-9A-Fa-f:.]+\](?::[0-9]+)?")
_STEP_UP: Final = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)")
_UNSEEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")


class Fit(IntEnum):
    """How a rule fits a call. FIXED: it leaves nothing open, so the call says nothing new."""

    NO = 0
    OPEN = 1
    FIXED = 2


class Rule(msgspec.Struct, frozen=True):
    """``fields`` are (argument, pattern), None for any arguments; ``more``: others may be there.

    A pattern is a text in which ``*`` is anything and ``\\*`` a star, or JSON behind ``=``.
    """

    tool: str
    fields: tuple[tuple[str, str], ...] | None = None
    more: bool = False

    def __str__(self) -> str:
        if self.fields is None:
            return self.tool
        words = [f"{_label(name)}={_written(pattern)}" for name, pattern in self.fields]
        return f"{self.tool}({', '.join([*words, *([ANY] if self.more else [])])})"

    def fit(self, spec: ToolSpec, arguments: dict[str, Any]) -> Fit:
        """How it fits a call of ``spec`` with ``arguments``, which are in their one form."""
        if self.tool != spec.name:
            return Fit.NO
        if self.fields is None:
            return Fit.OPEN if arguments else Fit.FIXED
        named = dict(self.fields)
        if not named.keys() <= arguments.keys():
            return Fit.NO
        found = [_fits(pattern, arguments[name]) for name, pattern in self.fields]
        others = {name: value for name, value in arguments.items() if name not in named}
        if not all(_is_default(spec, name, value) for name, value in others.items()):
            found.append(Fit.OPEN if self.more else Fit.NO)
        return min(found, default=Fit.FIXED)


def parse(text: str) -> Rule:
    """Raises UsageError."""
    reader = _Reader(text.strip())
    rule = reader.rule()
    if reader.rest.strip():
        raise _unclear(text, f"what is {reader.rest.strip()[:40]!r} behind it?")
    return rule


def parse_list(text: str) -> tuple[Rule, ...]:
    """Rules with commas between them. Raises UsageError."""
    reader, rules = _Reader(text.strip()), list[Rule]()
    while reader.rest:
        rules.append(reader.rule())
        reader.skip()
        if reader.rest and not reader.takes(","):
            raise _unclear(text, f"a comma is missing before {reader.rest[:40]!r}")
        reader.skip()
    return tuple(rules)


def exactly(spec: ToolSpec, arguments: dict[str, Any]) -> Rule:
    """The rule that fits this very call and no other."""
    return Rule(spec.name, tuple((name, literal(value)) for name, value in arguments.items()))


def literal(value: Any) -> str:
    """The pattern of one value alone."""
    if isinstance(value, str):
        return _text(value.replace("\\", "\\\\").replace("*", "\\*"))
    return "=" + json.dumps(value, ensure_ascii=False, sort_keys=True)


def _text(pattern: str) -> str:
    """A pattern for a text, which must not be taken for JSON."""
    return f"\\{pattern}" if pattern.startswith("=") else pattern


# -- fitting ------------------------------------------------------------------------------------


def _fits(pattern: str, value: Any) -> Fit:
    if pattern == ANY:
        return Fit.OPEN
    if pattern.startswith("="):
        return Fit.FIXED if _same(json.loads(pattern[1:]), value) else Fit.NO
    pieces = _pieces(pattern)
    if not isinstance(value, str):
        same = len(pieces) == 1 and pieces[0] == json.dumps(value)
        return Fit.FIXED if same else Fit.NO
    if len(pieces) == 1:
        return Fit.FIXED if pieces[0] == value else Fit.NO
    if _STEP_UP.search(value) or _UNSEEN.search(value):
        return Fit.NO
    return Fit.OPEN if _address_fits(pieces, value) else Fit.NO


def _pieces(pattern: str) -> list[str]:
    """What stands between the stars, escapes undone."""
    out = [""]
    for found in re.finditer(r"\\(.)|(\*)|([^\\*]+|\\$)", pattern, re.DOTALL):
        if found[2]:
            out.append("")
        else:
            out[-1] += found[1] or found[3]
    return out


def _address_fits(pieces: list[str], value: str) -> bool:
    """Whether the text fits; of an address, the host as a host and not as a text."""
    wanted = _ADDRESS.fullmatch("\0".join(pieces))
    if wanted is None:
        return _text_fits(pieces, value)
    given = _ADDRESS.fullmatch(value)
    if given is None or "\\" in value or not value.isprintable() or " " in value:
        return False
    return (
        given[1] == wanted[1]
        and _host_fits(wanted[2], given[2])
        and _text_fits(wanted[3].split("\0"), given[3])
    )


def _host_fits(wanted: str, given: str) -> bool:
    if not _HOST.fullmatch(given):
        return False
    wanted, given = wanted.lower(), given.lower()
    if wanted.startswith("\0."):
        return given.endswith(wanted[1:]) and len(given) > len(wanted) - 1
    return given == wanted


def _text_fits(pieces: list[str], value: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pieces)), value, re.DOTALL) is not None


def _same(one: Any, other: Any) -> bool:
    """Equal, and of one type: 1 is neither true nor 1.0."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _is_default(spec: ToolSpec, name: str, value: Any) -> bool:
    field = (spec.schema.get("properties") or {}).get(name)
    return isinstance(field, dict) and "default" in field and _same(field["default"], value)


# -- as text ------------------------------------------------------------------------------------


def _label(name: str) -> str:
    return name if _LABEL.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _written(pattern: str) -> str:
    if pattern.startswith("="):
        return pattern[1:] if pattern[1:2] in "[{" else f"={pattern[1:]}"
    bare = _BARE.fullmatch(pattern) and pattern == pattern.strip()
    return pattern if bare else json.dumps(pattern, ensure_ascii=False)


class _Reader:
    """Reads a rule from the beginning of ``rest``."""

    def __init__(self, text: str) -> None:
        self._whole = text
        self.rest = text

    def rule(self) -> Rule:
        tool = self._match(_TOOL, "a rule begins with the name of a tool")
        if not self.takes("("):
            return Rule(tool)
        fields: list[tuple[str, str]] = []
        more = False
        self.skip()
        while not self.takes(")"):
            if more:
                raise _unclear(self._whole, "* comes last")
            more = self.takes(ANY)
            if not more:
                fields.append(self._field())
            self.skip()
            if not self.rest.startswith(")") and not self.takes(","):
                raise _unclear(self._whole, "it does not end with a bracket")
            self.skip()
        if len({name for name, _ in fields}) != len(fields):
            raise _unclear(self._whole, "an argument is there twice")
        return Rule(tool, tuple(fields), more)

    def takes(self, mark: str) -> bool:
        found = self.rest.startswith(mark)
        if found:
            self.rest = self.rest[len(mark) :]
        return found

    def skip(self) -> None:
        self.rest = self.rest.lstrip()

    def _field(self) -> tuple[str, str]:
        if self.rest.startswith('"'):
            name = str(self._json())
        else:
            name = self._match(_LABEL, "an argument has a name")
        self.skip()
        if not self.takes("="):
            raise _unclear(self._whole, f"what is the pattern of {name}?")
        self.skip()
        pattern = self._pattern(name)
        _check_host(pattern, self._whole)
        return name, pattern

    def _pattern(self, name: str) -> str:
        if self.rest.startswith('"'):
            return _text(str(self._json()))
        if self.rest[:1] in "[{" or self.takes("="):
            return "=" + json.dumps(self._json(), ensure_ascii=False, sort_keys=True)
        return self._match(_BARE, f"what is the pattern of {name}?").rstrip()

    def _json(self) -> Any:
        try:
            value, end = json.JSONDecoder().raw_decode(self.rest)
        except (ValueError, RecursionError):
            raise _unclear(self._whole, "what is in quotes or brackets must be JSON") from None
        self.rest = self.rest[end:]
        return value

    def _match(self, form: re.Pattern[str], why: str) -> str:
        found = form.match(self.rest)
        if found is None:
            raise _unclear(self._whole, why)
        self.rest = self.rest[found.end() :]
        return found[0]


def _check_host(pattern: str, whole: str) -> None:
    """A star in a host would let `example.com*` be `example.com.elsewhere.org`."""
    found = _ADDRESS.fullmatch("\0".join(_pieces(pattern)))
    if found is not None and "\0" in found[2].removeprefix("\0."):
        raise _unclear(whole, "in a host only its first label may be *, as in https://*.x.org/*")
    if found is None and "://" in pattern and "*" in pattern.partition("://")[0]:
        raise _unclear(whole, "an address begins with its scheme")


def _unclear(text: str, why: str) -> UsageError:
    return UsageError(f"{text[:200]!r} is no rule: {why}", hint=f"a rule is {USAGE}")
