"""Arithmetic, read from a syntax tree and done within bounds: nothing is ever evaluated as code.

Invariants: only numbers, the operators and the functions named here; whole numbers stay exact and
below ``MOST_BITS``, which is checked before a power, a shift or a factorial is worked out, so that
no expression takes longer than some milliseconds.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable
from typing import Any, Final

from chinwag.errors import ToolFailed
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.tools.base import Output, Scene, Tool

MOST_BITS: Final = 12_000
"""About 3,600 decimal digits."""
MOST_LETTERS: Final = 1_000
Number = int | float


class Calculator(Tool):
    def __init__(self) -> None:
        expression = {
            "type": "string",
            "description": 'for example "2 ** 0.5 * (3 + 4) / 7" or "sqrt(2) + factorial(5)"',
            "maxLength": MOST_LETTERS,
        }
        schema = {
            "type": "object",
            "properties": {"expression": expression},
            "required": ["expression"],
            "additionalProperties": False,
        }
        says = (
            "Works out arithmetic exactly: + - * / // % **, brackets, comparisons, pi, e, tau and "
            f"{', '.join(sorted(_FUNCTIONS))}. Angles are in radians."
        )
        self.spec = ToolSpec("calculator", says, schema, Risk.READ, parallel=True)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:  # noqa: ARG002  # of the contract
        return Output(calculated(arguments["expression"]))


def calculated(expression: str) -> str:
    """The value in decimal. Raises ToolFailed saying what cannot be worked out."""
    if len(expression) > MOST_LETTERS:
        raise ToolFailed(f"the expression has more than {MOST_LETTERS} letters")
    try:
        tree = ast.parse(expression.strip().replace("^", "**"), mode="eval")
        value = _value(tree.body)
    except (SyntaxError, RecursionError, MemoryError):
        raise ToolFailed(f"{expression!r} is no arithmetic") from None
    except ZeroDivisionError:
        raise ToolFailed("that divides by zero") from None
    except (OverflowError, ValueError) as error:
        raise ToolFailed(f"that has no value: {error}") from None
    except TypeError:
        raise ToolFailed(
            "these numbers do not go together", hint="whole numbers only here?"
        ) from None
    return _written(value)


def _written(value: Number) -> str:
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=bool() | int() | float() as value):
            return _bounded(value)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _bounded(_BINARY[type(op)](_value(left), _value(right)))
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _bounded(_FUNCTIONS[name](*map(_value, args)))
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compared([_value(left), *map(_value, others)], ops)
        case _:
            raise ToolFailed(f"{ast.unparse(node)!r} is not understood", hint="use numbers only")


def _bounded(value: Number) -> Number:
    if isinstance(value, complex):
        raise ValueError("it is no real number")
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        raise OverflowError("the number is too large")
    return value


def _compared(values: list[Number], ops: list[ast.cmpop]) -> bool:
    pairs = zip(values, values[1:], ops, strict=False)
    if any(type(op) not in _COMPARED for op in ops):
        raise ToolFailed("only < <= > >= == != compare numbers")
    return all(_COMPARED[type(op)](left, right) for left, right, op in pairs)


def _power(base: Number, exponent: Number) -> Number:
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        # |base| ** n has at least (bits - 1) * n bits.
        if (abs(base).bit_length() - 1) * exponent > MOST_BITS:
            raise OverflowError("the number is too large")
        if abs(base) < 2:
            return base if exponent % 2 or base >= 0 else 1
    result = base**exponent
    return _bounded(result)


def _shifted(value: int, by: int) -> int:
    if by > MOST_BITS:
        raise OverflowError("the number is too large")
    return value << by


def _factorial(value: Number) -> int:
    if value > 1_000:
        raise OverflowError("factorials end at 1000")
    if value != int(value):
        raise ValueError("factorials are of whole numbers")
    return math.factorial(int(value))


_UNARY: Final[dict[type, Callable[[Number], Number]]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_BINARY: Final[dict[type, Callable[[Any, Any], Number]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: _power,
    ast.LShift: _shifted,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_COMPARED: Final[dict[type, Callable[[Number, Number], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_CONSTANTS: Final = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: Final[dict[str, Callable[..., Number]]] = {
    **{name: getattr(math, name) for name in "sqrt exp log log2 log10 sin cos tan".split()},
    **{name: getattr(math, name) for name in "asin acos atan atan2 hypot floor ceil gcd".split()},
    "degrees": math.degrees,
    "radians": math.radians,
    "factorial": _factorial,
    "abs": abs,
    "round": round,
    "min": min,
    "max": max,
}
