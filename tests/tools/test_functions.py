"""Functions as tools: what the model is told of them, and what they are given."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import enum
import functools
import json
import threading
import time
from typing import Annotated, Any, Literal, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chinwag.errors import UsageError
from chinwag.talk.fits import misfit
from chinwag.talk.message import Call, Result
from chinwag.talk.tool import Risk
from chinwag.tools.base import Limits, Output, Scene, Toolbox
from chinwag.tools.functions import from_any, from_callable, tool
from contracts.tool import ToolContract


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Place(TypedDict, total=False):
    name: str


class Leaf(msgspec.Struct):
    size: Annotated[int, msgspec.Meta(ge=1)]
    next: Leaf | None = None


class Guest(pydantic.BaseModel):
    name: str
    age: int = pydantic.Field(ge=0)


def everything(  # noqa: PLR0917
    word: str,
    count: Annotated[int, "how many"],
    colour: Colour,
    kind: Literal["a", "b"],
    point: Point,
    places: list[Place],
    leaf: Leaf | None = None,
    share: float = 0.5,
    day: dt.date | None = None,
    guest: Guest | None = None,
    untyped=3,
    anything: Any = None,
):
    """Do everything.

    Args:
        word: the word
        share: of what
    """
    return {name: repr(value) for name, value in locals().items()}


GIVEN = {
    "word": "w",
    "count": 3,
    "colour": "red",
    "kind": "a",
    "point": {"x": 1},
    "places": [{"name": "n"}, {}],
}


async def run(function, arguments, tmp_path, **limits):
    box = Toolbox([from_any(function)])
    name = next(iter(box)).spec.name
    ready = box.check(Call("1", name, json.dumps(arguments)))
    if isinstance(ready, Result):
        return ready
    return (await box.run(ready, Scene(root=tmp_path, limits=Limits(**limits))))[0]


def test_the_schema_of_a_signature():
    spec = from_callable(everything).spec
    assert (spec.name, spec.description, spec.risk) == (
        "everything",
        "Do everything.",
        Risk.EXECUTE,
    )
    schema = spec.schema
    fields = schema["properties"]
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["word", "count", "colour", "kind", "point", "places"]
    assert fields["word"] == {"type": "string", "description": "the word"}
    assert fields["count"] == {"type": "integer", "description": "how many"}
    assert fields["colour"]["enum"] == ["blue", "red"]
    assert fields["kind"] == {"enum": ["a", "b"]}
    assert fields["share"] == {"type": "number", "description": "of what", "default": 0.5}
    assert fields["untyped"] == {"type": "integer", "default": 3}
    assert fields["point"]["properties"]["x"] == {"type": "integer"}
    assert fields["guest"]["anyOf"][0]["properties"]["age"]["minimum"] == 0
    assert "$ref" not in json.dumps({k: v for k, v in fields.items() if k != "leaf"})
    assert schema["$defs"].keys() == {"Leaf"}


async def test_values_are_of_the_types_that_were_asked_for(tmp_path):
    more = {
        "leaf": {"size": 2, "next": {"size": 1}},
        "day": "2026-01-02",
        "guest": {"name": "Ana", "age": 5},
        "anything": [1],
    }
    result = await run(everything, GIVEN | more, tmp_path)
    said = json.loads(result.content)
    assert said["colour"] == "<Colour.RED: 'red'>"
    assert said["point"] == "Point(x=1, y=0)"
    assert said["day"] == "datetime.date(2026, 1, 2)"
    assert said["guest"] == "Guest(name='Ana', age=5)"
    assert said["leaf"] == "Leaf(size=2, next=Leaf(size=1, next=None))"
    assert said["untyped"] == "3"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"count": "x"}, "count: "),
        ({"point": {"x": "no"}}, "point.x: Expected int, got str"),
        ({"places": [{}, {"name": 1}]}, "places[1].name: Expected str, got int"),
        ({"kind": "c"}, "kind: Invalid enum value 'c'"),
        ({"leaf": {"size": 0}}, "leaf.size: Expected int >= 1"),
        ({"guest": {"name": "A", "age": -1}}, "guest: Input should be greater than or equal to 0"),
        ({"words": 1}, "words"),
    ],
)
def test_what_does_not_fit_is_said_with_its_path(changed, said):
    found = Toolbox([from_callable(everything)]).check(
        Call("1", "everything", json.dumps(GIVEN | changed))
    )
    assert isinstance(found, Result)
    assert said in found.content


def test_numbers_as_texts_are_taken_and_shown_as_numbers():
    ready = Toolbox([from_callable(everything)]).check(
        Call("1", "everything", json.dumps(GIVEN | {"count": "5", "share": "0.25"}))
    )
    assert ready.arguments["count"] == 5
    assert ready.arguments["share"] == 0.25
    assert "count: 5\n" in ready.shown


def test_what_is_not_given_is_not_passed():
    ready = Toolbox([from_callable(everything)]).check(Call("1", "everything", json.dumps(GIVEN)))
    assert ready.arguments.keys() == GIVEN.keys()


def takes_many(*values): ...


def takes_named(**values): ...


def takes_a_thread(it: threading.Thread): ...


def takes_unknown(it: Nowhere): ...  # noqa: F821


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (takes_many, r"takes \*values"),
        (takes_named, r"takes \*\*values"),
        (takes_a_thread, "JSON cannot hold"),
        (takes_unknown, "types of takes_unknown cannot be read"),
        (3, "3 is no tool"),
        ({"name": "x"}, "'x' cannot be called"),
        ({"name": "x", "function": len, "parameters": {"type": "array"}}, "no schema of an object"),
    ],
)
def test_what_cannot_be_a_tool_is_said_at_once(function, said):
    with pytest.raises(UsageError, match=said) as caught:
        from_any(function)
    assert caught.value.hint


def test_what_the_decorator_noted_holds():
    @tool(risk="read", name="clock_of", timeout=3, parallel=True)
    def clock(zone: str = "UTC"):
        """Tell the time.

        :param zone: which one
        """

    spec = from_callable(clock).spec
    assert (spec.name, spec.risk, spec.timeout) == ("clock_of", Risk.READ, 3)
    assert spec.description == "Tell the time."
    assert spec.parallel
    assert not from_callable(everything).spec.parallel
    assert spec.schema["properties"]["zone"]["description"] == "which one"
    assert from_callable(clock, name="other", risk="write").spec.risk is Risk.WRITE
    with pytest.raises(UsageError, match="no risk"):
        from_callable(clock, risk="mild")


async def test_dicts_are_tools(tmp_path):
    def add(a, b):
        return a + b

    schema = {"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, "required": ["a"]}
    ours = {"name": "plus", "description": "Adds.", "parameters": schema, "function": add}
    theirs = {"type": "function", "function": {**ours, "function": None}, "callable": add}
    for given_ in (ours, theirs):
        made = from_any(given_)
        assert (made.spec.name, made.spec.description) == ("plus", "Adds.")
        assert made.spec.schema["type"] == "object"
        assert (await run(given_, {"a": 1, "b": 2}, tmp_path)).content == "3"
    assert (await run(ours, {"b": 2}, tmp_path)).content.endswith("the whole: a is missing")
    assert from_any({"function": add, "name": "p"}).spec.name == "p"
    assert from_any(made) is made


class Counter:
    def __init__(self):
        self.count = 0

    def step(self, by: int, /, *, twice: bool = False) -> int:
        """Step."""
        self.count += by * (2 if twice else 1)
        return self.count

    async def __call__(self, by: int) -> int:
        """Call it."""
        return self.count + by


async def test_methods_partials_and_callable_objects(tmp_path):
    counter = Counter()
    assert (await run(counter.step, {"by": 2, "twice": True}, tmp_path)).content == "4"
    assert (await run(counter, {"by": 2}, tmp_path)).content == "6"

    def power(base: int, exponent: int) -> int:
        return base**exponent

    square = functools.partial(power, exponent=2)
    assert from_callable(square).spec.name == "power"
    assert (await run(square, {"base": 3}, tmp_path)).content == "9"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("text", "text"),
        (None, "done"),
        ({"a": [1, None]}, '{"a":[1,null]}'),
        (Point(1, 2), '{"x":1,"y":2}'),
        (dt.date(2026, 1, 2), '"2026-01-02"'),
        (Guest(name="A", age=1), '{"name":"A","age":1}'),
        (Output("kept", note="n"), "kept"),
        ({1}, "[1]"),
    ],
)
async def test_what_it_returns_is_a_text_or_json(tmp_path, value, said):
    def gives():
        return value

    assert (await run(gives, {}, tmp_path)).content == said


async def test_what_contains_itself_is_an_error(tmp_path):
    def gives():
        it = []
        it.append(it)
        return it

    result = await run(gives, {}, tmp_path)
    assert result.is_error
    assert "cannot be written as JSON" in result.content


async def test_a_plain_function_does_not_hold_up_the_loop(tmp_path):
    def sleeps(n: int) -> int:
        time.sleep(0.2)
        return n

    began = time.monotonic()
    found = await asyncio.gather(*(run(sleeps, {"n": n}, tmp_path) for n in range(40)))
    assert [r.content for r in found] == [str(n) for n in range(40)]
    assert time.monotonic() - began < 3


async def test_a_plain_function_that_does_not_end_is_left_behind(tmp_path):
    gate = threading.Event()

    def waits():
        gate.wait(20)
        return "late"

    began = time.monotonic()
    result = await run(waits, {}, tmp_path, seconds=0.1)
    assert time.monotonic() - began < 1
    assert result.content == "Error: stopped, because its 0.1 seconds were over"
    gate.set()


async def test_what_a_thread_raises_is_told(tmp_path):
    def stops():
        raise StopIteration

    def leaves():
        raise SystemExit(1)

    assert "StopIteration" in (await run(stops, {}, tmp_path)).content
    assert "SystemExit" in (await run(leaves, {}, tmp_path)).content


KINDS = [int, float, bool, str, list[int], dict[str, float], Point, Colour, Literal["a", 1], Leaf]
JSONS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["a", "red", "1", "x", "true"]),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(st.sampled_from(["x", "y", "size", "next", "a"]), inner, max_size=2)
    ),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.sampled_from(KINDS), JSONS)
def test_what_fits_the_schema_is_taken_and_what_is_taken_fits_it(kind, value):
    def one(it): ...

    one.__annotations__["it"] = kind
    made = from_callable(one)
    ready = Toolbox([made]).check(Call("1", "one", json.dumps({"it": value})))
    if not misfit({"it": value}, made.spec.schema):
        assert not isinstance(ready, Result), ready
    if not isinstance(ready, Result):
        assert misfit(ready.arguments, made.spec.schema) == ""


class TestFunctionTool(ToolContract):
    def make(self, root):
        def find(word: str, most: int = 3) -> list[str]:
            """Find words."""
            return [word * 100] * most

        return from_callable(find)

    def good(self):
        return [{"word": "a"}, {"word": "a", "most": 100}, {"word": "b"}]

    def bad(self):
        return [{"word": 3}, {"word": "a", "most": 1.5}]


class TestSchemaTool(ToolContract):
    closed = False

    def make(self, root):
        async def find(**given: Any) -> str:
            return json.dumps(given)

        schema = {
            "type": "object",
            "properties": {"word": {"type": "string"}},
            "required": ["word"],
        }
        return from_any(
            {"name": "find", "description": "d", "parameters": schema, "function": find}
        )

    def good(self):
        return [{"word": "a" * 1000}, {"word": "b", "more": 1}]
