"""Defaults, file, environment, flags: merged in that order, each value with its origin.

Invariants: a later source wins value by value, also inside tables; a value that does not fit its
setting is refused where it came from, naming the place and the nearest right name; the value itself
is never repeated in an error, since it may be a key in the wrong place.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from chinwag.config.settings import Settings
from chinwag.errors import ConfigError, nearest, reason_of

PREFIX: Final = "CHINWAG_"
#: Variables that are no settings: where things are, and what checks use.
OTHER_VARIABLES: Final = frozenset(
    PREFIX + name for name in ("CONFIG", "CONFIG_DIR", "STATE_DIR", "TRACE")
)
Plain = dict[str, Any]


class Loaded(msgspec.Struct, frozen=True):
    """The settings, and for each dotted name that somebody set, by whom.

    ``notices`` are sentences about things that were passed over.
    """

    settings: Settings
    origins: dict[str, str] = {}
    notices: tuple[str, ...] = ()

    def origin(self, name: str) -> str:
        """Where ``name`` (``context.limit``) came from: a file and line, a variable, a flag."""
        while name:
            if name in self.origins:
                return self.origins[name]
            name = name.rpartition(".")[0]
        return "default"

    def rows(self) -> Iterator[tuple[str, Any, str]]:
        """(dotted name, value, origin) of every setting, for `chat config show`."""
        for name, value in _leaves(msgspec.to_builtins(self.settings)):
            yield name, value, self.origin(name)


class _Found(msgspec.Struct, frozen=True):
    path: tuple[str, ...]
    value: Any
    origin: str


def load(
    config_file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, Any] | None = None,
    *,
    must_exist: bool = False,
) -> Loaded:
    """Read every source. ``flags`` maps dotted names to values; None stands for "not given".

    A missing file is an error only when ``must_exist``: when the person named it. Raises
    ConfigError.
    """
    found = [*_from_file(config_file, must_exist=must_exist)] if config_file else []
    found += _from_environment(environ or {})
    found += _from_flags(flags or {})
    merged: Plain = {}
    origins: dict[str, str] = {}
    for each in found:
        _put(merged, each.path, each.value)
        origins[".".join(each.path)] = each.origin
    settings = msgspec.convert(merged, Settings)
    return Loaded(settings, origins, tuple(_strangers(environ or {})))


def _put(tree: Plain, path: tuple[str, ...], value: Any) -> None:
    *above, last = path
    for step in above:
        below = tree.get(step)
        tree = tree.setdefault(step, {}) if isinstance(below, dict | None) else _renew(tree, step)
    tree[last] = value


def _renew(tree: Plain, step: str) -> Plain:
    """A table in place of a plain value, as when a theme's name gives way to a table of styles."""
    tree[step] = {}
    fresh: Plain = tree[step]
    return fresh


def _leaves(tree: Plain, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield above + name, value


# --- what fits where ------------------------------------------------------------------------------


@cache
def _fields(kind: Any) -> dict[str, Any] | None:
    """The types of a table's known names; None for what is no such table."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {f.name: f.type for f in msgspec.structs.fields(kind)}
    return None


@cache
def _free_table(kind: Any) -> Any:
    """What a table of any names holds (dict[str, X], also inside a union), else None."""
    union = typing.get_origin(kind) in {types.UnionType, typing.Union}
    for option in typing.get_args(kind) if union else (kind,):
        if typing.get_origin(option) is dict:
            return typing.get_args(option)[1]
    return None


class _Place(msgspec.Struct, frozen=True):
    """Says where in its source a dotted path stands."""

    source: str
    text: str = ""

    def of(self, path: tuple[str, ...]) -> str:
        line = line_of(self.text, path) if self.text else 0
        return f"{self.source}:{line}" if line else self.source


def _fitting(
    value: Any, kind: Any, path: tuple[str, ...], place: _Place, *, strict: bool
) -> Iterator[_Found]:
    """``value`` as leaves that fit ``kind``; raises ConfigError at the first that does not."""
    fields, free = _fields(kind), _free_table(kind)
    if isinstance(value, dict) and (fields is not None or free is not None):
        for name, inner in value.items():
            if fields is not None and name not in fields:
                raise _unknown(name, fields, path, place)
            below = fields[name] if fields is not None else free
            yield from _fitting(inner, below, (*path, name), place, strict=strict)
        return
    try:
        fits = msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _unfit(error, path, place) from None
    yield _Found(path, msgspec.to_builtins(fits), place.of(path))


def _unknown(
    name: str, fields: Mapping[str, Any], path: tuple[str, ...], place: _Place
) -> ConfigError:
    dotted = ".".join((*path, name))
    near = nearest(name, fields, 1)
    hint = f"Did you mean {near[0]}?" if near else f"Known here: {', '.join(fields)}."
    return ConfigError(f"there is no setting {dotted}", hint=hint, where=place.of((*path, name)))


def _unfit(error: msgspec.ValidationError, path: tuple[str, ...], place: _Place) -> ConfigError:
    what = _in_words(str(error).split(" - at ")[0].replace("`", ""))
    dotted = ".".join(path)
    hint = _FORMS.get(path[-1] if path else "", "") or _FORM_OF.get(what, "")
    hint = hint or f"Put a fitting value for {dotted}."
    return ConfigError(f"{dotted} does not fit: {what}", hint=hint, where=place.of(path))


_KINDS: Final = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}


def _in_words(what: str) -> str:
    """A complaint of the decoder as a person would say it, without the value: it may be a key."""
    if what.startswith("Invalid enum value"):
        return "this is not one of the values it can have"
    if "matching regex" in what:
        return "it has not the form it needs"
    found = re.fullmatch(r"Expected ([\w |]+?)( [<>]=? [\d.]+)?(?:, got (\w+))?", what)
    if found is None:
        return what[:1].lower() + what[1:]
    names = [n for n in found[1].split(" | ") if n != "null"]
    wanted = " or ".join(_KINDS.get(name, name) for name in names)
    got = f", and this is {_KINDS.get(found[3], found[3])}" if found[3] else ""
    return f"it must be {wanted}{_BOUNDS.get(found[2] or '', found[2] or '')}{got}"


_BOUNDS: Final = {" >= 1": " above 0", " >= 0.0": " of at least 0", " > 0.0": " above 0"}
_FORM_OF: Final = {
    "it must be a text, and this is a whole number": "Put it in quotes.",
    "it must be true or false, and this is a text": "true or false, without quotes.",
    "it must be a list, and this is a text": 'A list, such as ["one", "two"].',
}


_FORMS: Final = {
    "base_url": "An address, such as https://host/v1 or http://127.0.0.1:8080/v1.",
    "key": "Say where it is: env:NAME, keyring:NAME, cmd:COMMAND, or none.",
    "command": 'A list of words, such as ["npx", "-y", "some-server"].',
    "temperature": "A number from 0 to 2.",
    "top_p": "A number from 0 to 1.",
    "margin": "A share above 0 and up to 1, such as 0.8.",
    "limit": 'A number of tokens, or "model".',
    "policy": "compact, trim, window, prune or refuse.",
    "reasoning": "low, medium, high or off.",
    "notify": "off, bell, osc9 or osc777.",
    "dialect": "openai, responses, anthropic, gemini, ollama or llamacpp.",
    "offer": 'none, all, or names, such as ["clock", "read_file"].',
    "allow": 'A list of rules, such as ["clock", "read_file(path=docs/*)"].',
    "stop": 'A list of texts, such as ["END"].',
    "models": 'A list of names, such as ["bench"].',
    "fallback": 'A list of models, such as ["ollama/qwen3:8b"].',
}


# --- the file -------------------------------------------------------------------------------------


def _from_file(path: Path, *, must_exist: bool) -> Iterator[_Found]:
    text = _read(path, must_exist=must_exist)
    if text is not None:
        yield from _from_text(text, str(path))


def check(text: str, name: str) -> None:
    """Whether ``text`` would do as the configuration ``name``. Raises ConfigError."""
    for _ in _from_text(text, name):
        pass


def _from_text(text: str, path: str) -> Iterator[_Found]:
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told, _, place = str(error).partition(" (at ")
        line = re.search(r"line (\d+)", place)
        raise ConfigError(
            f"this is not TOML: {told[:1].lower()}{told[1:]}",
            hint="Texts stand in quotes, and a table begins with [name].",
            where=f"{path}:{line[1] if line else _last_line(text)}",
        ) from None
    yield from _fitting(data, Settings, (), _Place(path, text), strict=True)


def _last_line(text: str) -> int:
    return text.rstrip().count("\n") + 1


def _read(path: Path, *, must_exist: bool) -> str | None:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        if not must_exist:
            return None
        raise ConfigError(
            "there is no such file", hint="Check the name after --config.", where=str(path)
        ) from None
    except UnicodeDecodeError:
        raise ConfigError(
            "this is not UTF-8 text", hint="Save it as UTF-8.", where=str(path)
        ) from None
    except OSError as error:
        reason = reason_of(error)
        hint = "Make it a file that you may read, or name another with --config."
        raise ConfigError(f"cannot be read: {reason}", hint=hint, where=str(path)) from error


_STEP: Final = r"""(?:[\w-]+|"[^"]*"|'[^']*')"""


def _steps(dotted: str) -> tuple[str, ...]:
    return tuple(step.strip("\"'") for step in re.findall(_STEP, dotted))


@lru_cache(maxsize=4)
def _line_index(text: str) -> dict[tuple[str, ...], int]:
    """Which line, from 1, of a TOML ``text`` first opens a table or sets a key."""
    header = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
    key = re.compile(rf"\s*({_STEP}(?:\s*\.\s*{_STEP})*)\s*=")
    index: dict[tuple[str, ...], int] = {}
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if opens := header.match(line):
            table = _steps(opens[1])
            index.setdefault(table, number)
        elif sets := key.match(line):
            index.setdefault((*table, *_steps(sets[1])), number)
    return index


def line_of(text: str, path: tuple[str, ...]) -> int:
    """The line, from 1, of the TOML ``text`` that sets ``path`` or the most of it; 0 where none."""
    index = _line_index(text)
    tries = (path[:length] for length in range(len(path), 0, -1))
    return next((index[each] for each in tries if each in index), 0)


# --- the environment and the flags ----------------------------------------------------------------


def variables() -> dict[str, tuple[str, ...]]:
    """Every variable that sets something, and the path of what it sets."""
    names: dict[str, tuple[str, ...]] = {}
    for top, kind in (_fields(Settings) or {}).items():
        names[PREFIX + top.upper()] = (top,)
        for inner in _fields(kind) or {}:
            names[f"{PREFIX}{top}_{inner}".upper()] = (top, inner)
    return names


def _kind_of(path: tuple[str, ...]) -> Any:
    kind: Any = Settings
    for step in path:
        fields, free = _fields(kind), _free_table(kind)
        kind = (fields or {}).get(step) if fields is not None else free
    return kind


def _from_environment(environ: Mapping[str, str]) -> Iterator[_Found]:
    if not any(name.startswith(PREFIX) for name in environ):
        return
    for name, path in variables().items():
        text = environ.get(name, "")
        if text:
            kind = _kind_of(path)
            place = _Place(name)
            yield from _fitting(_spoken(text, kind, place), kind, path, place, strict=False)


def _spoken(text: str, kind: Any, place: _Place) -> Any:
    """A word as a value: tables and lists in TOML's own short form, yes and no for switches."""
    if kind is bool:
        return {"yes": True, "on": True, "no": False, "off": False}.get(text.lower(), text)
    if text[0] in "{[" and (_fields(kind) or _free_table(kind) or typing.get_origin(kind) is tuple):
        import tomllib

        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            hint = 'For example {name = "value"} or ["one", "two"].'
            raise ConfigError("this is not TOML", hint=hint, where=place.source) from None
    return [text] if typing.get_origin(kind) is tuple else text


def spoken(dotted: str, word: str) -> list[tuple[tuple[str, ...], Any]]:
    """The settings that ``dotted`` (``context.limit``) and a word for it mean, as path and value:
    several where the word is a table. Raises ConfigError with the nearest name."""
    path = _steps(dotted)
    if not path:
        raise ConfigError("no setting is named", hint="for instance context.limit")
    kind, place = _kind_of(path), _Place("")
    value = _spoken(word, kind, place) if kind is not None and word else word
    for step in reversed(path):
        value = {step: value}
    found = _fitting(value, Settings, (), place, strict=False)
    return [(f.path, list(f.value) if isinstance(f.value, tuple) else f.value) for f in found]


def known(dotted: str) -> tuple[str, ...]:
    """The path of a setting or a table of them. Raises ConfigError with the nearest name."""
    path, kind = _steps(dotted), Settings
    for at, step in enumerate(path):
        fields, free = _fields(kind), _free_table(kind)
        if free is None and (fields is None or step not in fields):
            raise _unknown(step, fields or {}, path[:at], _Place(""))
        kind = fields[step] if fields is not None else free
    if not path:
        raise ConfigError("no setting is named", hint="for instance context.limit")
    return path


def _strangers(environ: Mapping[str, str]) -> Iterator[str]:
    mine = [name for name in environ if name.startswith(PREFIX)]
    if not mine:
        return
    known = variables().keys() | OTHER_VARIABLES
    for name in sorted(set(mine) - known):
        near = nearest(name, known, 1)
        yield f"{name} sets nothing" + (f"; did you mean {near[0]}?" if near else ".")


def _from_flags(flags: Mapping[str, Any]) -> Iterator[_Found]:
    for name, value in flags.items():
        if value is None:
            continue
        path = tuple(name.split("."))
        place = _Place("--" + path[-1].replace("_", "-"))
        fields = _fields(Settings) or {}
        if path[0] not in fields:
            raise _unknown(path[0], fields, (), place)
        kind = _kind_of(path)
        plain = list(value) if isinstance(value, tuple) else value
        yield from _fitting(plain, kind, path, place, strict=False)
