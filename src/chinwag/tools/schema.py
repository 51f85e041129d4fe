"""A Python signature to a JSON schema, and a call's arguments to Python values. Pure.

Invariants: a schema is an object that allows no field but the parameters, with every reference
written out (servers differ in what they follow) unless a type contains itself. What fits the schema
can be given to the function. A parameter that is not given is not passed, so that the function's
own default holds. Arguments written as a text where a number is meant are taken for it: models do.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec

from chinwag.errors import ArgumentsUnfit, UsageError
from chinwag.tools import docstrings

_Parameter = inspect.Parameter
_REFS: Final = "#/$defs/"


class Signature:
    """What a function takes. ``schema`` is of the arguments object, ``says`` for the model."""

    def __init__(self, function: Callable[..., Any], says: str = "", left_out: int = 0) -> None:
        """``left_out``: how many first parameters somebody else gives. Raises UsageError."""
        self._name = getattr(function, "__name__", type(function).__name__)
        parameters = _parameters(function, self._name)[left_out:]
        self.says, said = docstrings.read(says or inspect.getdoc(function))
        self._positional = [p.name for p in parameters if p.kind is _Parameter.POSITIONAL_ONLY]
        types = _types(function, parameters, self._name)
        self._struct = _struct(self._name, parameters, types)
        self.schema = _schema(self._struct, parameters, said, self._name)

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments in their one form, as JSON values. Raises ArgumentsUnfit with the path."""
        fitted = self._converted(arguments)
        plain = {name: getattr(fitted, name) for name in self._struct.__struct_fields__}
        given = {name: value for name, value in plain.items() if value is not msgspec.UNSET}
        return dict(msgspec.to_builtins(given, enc_hook=_as_builtin))

    def values(self, arguments: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Arguments in their one form as Python values: those by position, and those by name."""
        fitted = self._converted(arguments)
        given = {name: getattr(fitted, name) for name in arguments}
        first = [given.pop(name) for name in self._positional if name in given]
        return first, given

    def _converted(self, arguments: dict[str, Any]) -> msgspec.Struct:
        try:
            return msgspec.convert(arguments, self._struct, strict=False, dec_hook=_from_json)
        except (msgspec.ValidationError, RecursionError) as error:
            raise ArgumentsUnfit(_in_words(str(error))) from None


def _in_words(said: str) -> str:
    """`Expected int, got str - at $.days`, as `days: …`."""
    reason, _, path = said.replace("`", "").partition(" - at ")
    path = path.removeprefix("$").removeprefix(".")
    return f"{path}: {reason}" if path else reason


def _parameters(function: Callable[..., Any], name: str) -> list[_Parameter]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):
        hint = "wrap it in a function with parameters of its own"
        raise UsageError(f"{name} does not say what it takes", hint=hint) from None
    for each in parameters:
        if each.kind in (_Parameter.VAR_POSITIONAL, _Parameter.VAR_KEYWORD):
            stars = "*" if each.kind is _Parameter.VAR_POSITIONAL else "**"
            said = f"{name} takes {stars}{each.name}, which no model can be told about"
            raise UsageError(said, hint="name each parameter")
    return parameters


def _types(function: Callable[..., Any], parameters: list[_Parameter], name: str) -> dict[str, Any]:
    target = function if inspect.isroutine(function) else type(function).__call__
    if isinstance(function, type):
        target = function.__init__  # type: ignore[misc]  # the very class that will be called
    target = inspect.unwrap(target)
    try:
        hints = typing.get_type_hints(getattr(target, "func", target), include_extras=True)
    except Exception as error:  # somebody else's annotations, which are code  # noqa: BLE001
        hint = "import what the annotations name where the function is defined"
        raise UsageError(f"the types of {name} cannot be read: {error}", hint=hint) from None
    return {p.name: _described(hints.get(p.name, _guessed(p))) for p in parameters}


def _guessed(parameter: _Parameter) -> Any:
    """The type of a parameter that has none: that of its default, where that is plain."""
    kind = type(parameter.default)
    return kind if kind in (bool, int, float, str) else Any


def _described(hint: Any) -> Any:
    """`Annotated[T, "text"]` with the text where msgspec looks for it."""
    if typing.get_origin(hint) is not Annotated:
        return hint
    inner, *notes = typing.get_args(hint)
    texts = [t for t in map(_text_of, notes) if t]
    metas = tuple(note for note in notes if isinstance(note, msgspec.Meta))
    if texts:
        metas = (*metas, msgspec.Meta(description=" ".join(texts)))
    return Annotated[(_described(inner), *metas)] if metas else _described(inner)


def _text_of(note: Any) -> str:
    if isinstance(note, msgspec.Meta):
        return ""
    said = note if isinstance(note, str) else getattr(note, "description", None)
    return said if isinstance(said, str) else ""


def _struct(
    name: str, parameters: list[_Parameter], types: Mapping[str, Any]
) -> type[msgspec.Struct]:
    fields: list[Any] = []
    for each in parameters:
        kind = types[each.name]
        if each.default is _Parameter.empty:
            fields.append((each.name, kind))
        else:
            fields.append((each.name, kind | msgspec.UnsetType if kind is not Any else Any, _UNSET))
    try:
        return msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{name} cannot be a tool: {error}", hint="see the docs on tools"
        ) from None


_UNSET: Final = msgspec.field(default=msgspec.UNSET)


def _schema(
    struct: type[msgspec.Struct],
    parameters: list[_Parameter],
    said: Mapping[str, str],
    name: str,
) -> dict[str, Any]:
    try:
        found = msgspec.json.schema(struct, schema_hook=_foreign_schema)
        msgspec.convert({}, dict[str, struct], dec_hook=_from_json)  # type: ignore[valid-type]  # made at run time
    except (TypeError, ValueError) as error:
        hint = "use str, int, float, bool, list, dict, Literal, Enum, a dataclass or a Struct"
        raise UsageError(f"{name} takes what JSON cannot hold: {error}", hint=hint) from None
    flat = flattened(found)
    flat.pop("title", None)
    for each in parameters:
        field = flat["properties"][each.name]
        if each.name in said:
            field.setdefault("description", said[each.name])
        if type(each.default) in (bool, int, float, str):
            field.setdefault("default", each.default)
    return flat


def flattened(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` with what its references name in their place; what contains itself stays named."""
    definitions = schema.get("$defs", {})
    body = {key: value for key, value in schema.items() if key != "$defs"}
    still: set[str] = set()
    flat = _put_in(body, definitions, (), still)
    done: dict[str, Any] = {}
    while missing := still - done.keys():
        name = missing.pop()
        done[name] = _put_in(definitions[name], definitions, (name,), still)
    return {**flat, "$defs": done} if done else flat


def _put_in(value: Any, defs: Mapping[str, Any], within: tuple[str, ...], still: set[str]) -> Any:
    if isinstance(value, list):
        return [_put_in(each, defs, within, still) for each in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).removeprefix(_REFS)
    if name and name in defs:
        if name in within:
            still.add(name)
            return value
        rest = {key: each for key, each in value.items() if key != "$ref"}
        return {**_put_in(defs[name], defs, (*within, name), still), **rest}
    return {key: _put_in(each, defs, within, still) for key, each in value.items()}


def _foreign_schema(kind: type) -> dict[str, Any]:
    """A pydantic model's own schema; pydantic is not ours to import."""
    if hasattr(kind, "model_json_schema"):
        return flattened(kind.model_json_schema())
    raise NotImplementedError


def _from_json(kind: type, value: Any) -> Any:
    if not hasattr(kind, "model_validate"):
        raise NotImplementedError(f"{kind.__name__} cannot be made from JSON")
    if isinstance(value, kind):
        return value
    try:
        return kind.model_validate(value)
    except ValueError as error:
        said = "; ".join(str(e.get("msg", "")) for e in getattr(error, "errors", list)())
        raise ValueError(said or str(error)) from None


def _as_builtin(value: Any) -> Any:
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"{type(value).__name__} cannot be written as JSON")
