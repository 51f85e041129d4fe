"""How a program says that a function is a tool.

Invariant: decorating changes nothing about the function; what was said is only noted on it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar, overload

import msgspec

from chinwag.errors import UsageError
from chinwag.talk.tool import Risk

F = TypeVar("F", bound=Callable[..., Any])
RiskName = Literal["read", "write", "network", "execute"]
NOTE: Final = "__chinwag_tool__"


class Declared(msgspec.Struct, frozen=True):
    """What was said of a function. ``timeout`` in seconds, None for the usual one."""

    name: str
    description: str
    risk: Risk
    timeout: float | None = None
    parallel: bool = False


@overload
def tool(function: F) -> F: ...


@overload
def tool(
    *,
    name: str = "",
    description: str = "",
    risk: RiskName = "execute",
    timeout: float | None = None,
    parallel: bool = False,
) -> Callable[[F], F]: ...


def tool(
    function: F | None = None,
    *,
    name: str = "",
    description: str = "",
    risk: RiskName = "execute",
    timeout: float | None = None,
    parallel: bool = False,
) -> F | Callable[[F], F]:
    """Make a function a tool (F009, F083): `@tool` or `@tool(risk="read")`.

    Its name and docstring are what the model reads, unless others are given; ``risk`` says what a
    call may do to the world, ``timeout`` how many seconds it may take, ``parallel`` that it may run
    beside other calls of the same answer. A function that is no
    coroutine runs in a thread, which nothing can stop: when its time is over it is left to itself,
    and the model is told so. Raises UsageError.
    """

    def mark(given: F) -> F:
        noted = _declared(given, name, description, risk, timeout)
        setattr(given, NOTE, msgspec.structs.replace(noted, parallel=parallel))
        return given

    return mark if function is None else mark(function)


def _declared(
    function: Callable[..., Any], name: str, description: str, risk: str, timeout: float | None
) -> Declared:
    if not callable(function):
        raise UsageError(f"{function!r} cannot be called, so it is no tool", hint="@tool def …")
    if risk not in set(Risk):
        raise UsageError(f"no risk is called {risk!r}", hint=f"there is {', '.join(Risk)}")
    if timeout is not None and timeout <= 0:
        raise UsageError(f"a tool cannot end within {timeout:g} s", hint="give a number above 0")
    said = description or (function.__doc__ or "").strip()
    return Declared(name or getattr(function, "__name__", "tool"), said, Risk(risk), timeout)
