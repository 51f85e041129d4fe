"""Tools made from functions, and from the dicts that other libraries describe them by.

Invariants: what is wrong with a function is said when it becomes a tool, not when it is called.
A plain function runs in a thread, which nothing can stop: when its time is over it is left to
itself, and the model is told that it was stopped. A coroutine is cancelled.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from chinwag.errors import ArgumentsUnfit, ToolFailed, UsageError
from chinwag.talk.fits import misfit
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.threads import apart
from chinwag.tools.base import Output, Scene, Tool
from chinwag.tools.declaring import NOTE, Declared, tool
from chinwag.tools.schema import Signature

__all__ = ["FunctionTool", "SchemaTool", "from_any", "from_callable", "tool"]


class FunctionTool(Tool):
    """A callable whose signature is its schema."""

    def __init__(self, function: Callable[..., Any], spec: ToolSpec, signature: Signature) -> None:
        self.spec = spec
        self._function = function
        self._signature = signature

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        return self._signature.fit(arguments)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:  # noqa: ARG002  # of the contract
        first, named = self._signature.values(arguments)
        return _output(await _called(self._function, *first, **named))


class SchemaTool(Tool):
    """A callable described by somebody else's schema: it is given what the model wrote."""

    def __init__(self, function: Callable[..., Any], spec: ToolSpec) -> None:
        self.spec = spec
        self._function = function

    def fit(self, arguments: dict[str, Any]) -> dict[str, Any]:
        if reason := misfit(arguments, self.spec.schema):
            raise ArgumentsUnfit(reason)
        return arguments

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:  # noqa: ARG002  # of the contract
        return _output(await _called(self._function, **arguments))


def from_callable(
    function: Callable[..., Any],
    *,
    name: str = "",
    description: str = "",
    risk: Risk | str | None = None,
    timeout: float | None = None,
    parallel: bool | None = None,
) -> Tool:
    """``function`` as a tool (F083); what ``@tool`` noted on it holds where nothing else is said.

    Without ``risk`` it may do anything (``execute``). Raises UsageError in words.
    """
    noted: Declared | None = getattr(function, NOTE, None)
    signature = Signature(function, description or (noted.description if noted else ""))
    spec = ToolSpec(
        name or (noted.name if noted else _name(function)),
        signature.says or _name(function).replace("_", " "),
        signature.schema,
        _risk(risk if risk is not None else noted.risk if noted else Risk.EXECUTE),
        timeout=timeout if timeout is not None else noted.timeout if noted else None,
        parallel=parallel if parallel is not None else noted is not None and noted.parallel,
    )
    return FunctionTool(function, spec, signature)


def from_any(given: object) -> Tool:
    """A tool from a tool, a callable, or a dict (F009).

    A dict has ``function`` (the callable), ``name``, ``description`` and ``parameters`` (a JSON
    schema); OpenAI's nesting (``{"type": "function", "function": {…}}``) is understood where the
    callable stands beside it as ``callable`` or ``implementation``. Raises UsageError.
    """
    if isinstance(given, Mapping):
        return _from_dict(given)
    if isinstance(getattr(given, "spec", None), ToolSpec):
        return given  # type: ignore[return-value]  # what has a spec of ours keeps our promise
    if callable(given):
        return from_callable(given)
    hint = "give functions, or dicts with name, description, parameters and function"
    raise UsageError(f"{given!r} is no tool", hint=hint)


def _from_dict(given: Mapping[str, Any]) -> Tool:
    inner = given.get("function")
    described = inner if isinstance(inner, Mapping) else given
    names = ("callable", "implementation", "function")
    function = next((given[n] for n in names if callable(given.get(n))), None)
    if function is None:
        hint = 'add "function": the callable that does it'
        raise UsageError(f"the tool {described.get('name', '?')!r} cannot be called", hint=hint)
    schema = next((described[k] for k in _SCHEMAS if k in described), None)
    name = str(described.get("name") or _name(function))
    if schema is None:
        said = str(described.get("description") or "")
        return from_callable(function, name=name, description=said, risk=given.get("risk"))
    if not isinstance(schema, Mapping) or schema.get("type", "object") != "object":
        hint = '{"type": "object", "properties": {…}}'
        raise UsageError(f"the parameters of {name!r} are no schema of an object", hint=hint)
    says = str(described.get("description") or inspect.getdoc(function) or name)
    risk = _risk(given.get("risk", Risk.EXECUTE))
    return SchemaTool(function, ToolSpec(name, says, {"type": "object", **schema}, risk))


_SCHEMAS = ("parameters", "schema", "input_schema", "inputSchema")


def _risk(given: Risk | str) -> Risk:
    try:
        return Risk(given)
    except ValueError:
        hint = f"there is {', '.join(Risk)}"
        raise UsageError(f"no risk is called {given!r}", hint=hint) from None


def _name(function: Callable[..., Any]) -> str:
    if isinstance(function, functools.partial):
        return _name(function.func)
    return str(getattr(function, "__name__", type(function).__name__))


async def _called(function: Callable[..., Any], *args: Any, **named: Any) -> Any:
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004  # whether it is a coroutine, not whether it is there
    ):
        return await function(*args, **named)
    value = await apart(function, *args, **named)
    return await value if inspect.isawaitable(value) else value


def _output(value: Any) -> Output:
    """A text as it is, nothing as "", an Output as it is, everything else as JSON."""
    if isinstance(value, Output):
        return value
    if isinstance(value, str):
        return Output(value)
    if value is None:
        return Output("done")
    try:
        return Output(msgspec.json.encode(value, enc_hook=_plain).decode())
    except (TypeError, ValueError, RecursionError) as error:
        said = f"what it returned cannot be written as JSON ({error})"
        raise ToolFailed(said, hint="return a text, or what JSON can hold") from None


def _plain(value: Any) -> Any:
    """What msgspec does not know: models by their own dump, all else as it prints itself."""
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return str(value)
