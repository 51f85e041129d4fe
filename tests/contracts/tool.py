"""What every tool promises, wherever it comes from: each kind's tests inherit this class.

A subclass makes the tool, and says with which arguments it may be called here.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chinwag.talk.message import Call, Result
from chinwag.tools.base import GRACE, Limits, Output, Ready, Scene, Tool, Toolbox


def call(name: str, arguments: Any) -> Call:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return Call("c1", name, text)


class ToolContract(ABC):
    #: Whether more arguments than the schema names are refused.
    closed = True

    @abstractmethod
    def make(self, root: Path) -> Tool:
        """The tool; ``root`` is the folder it will work in, prepared here."""

    @abstractmethod
    def good(self) -> list[dict[str, Any]]:
        """Arguments that it can be called with, two or more, no two of them meaning the same."""

    def bad(self) -> list[Any]:
        """More arguments that do not fit."""
        return []

    @pytest.fixture
    def tool(self, tmp_path: Path) -> Tool:
        return self.make(tmp_path)

    @pytest.fixture
    def box(self, tool: Tool) -> Toolbox:
        return Toolbox([tool])

    @pytest.fixture
    def scene(self, tmp_path: Path) -> Scene:
        return Scene(root=tmp_path, limits=Limits(seconds=20))

    def ready(self, box: Toolbox, tool: Tool, arguments: Any) -> Ready:
        found = box.check(call(tool.spec.name, arguments))
        assert isinstance(found, Ready), found
        return found

    def test_the_schema_is_of_an_object_and_is_json(self, tool):
        schema = tool.spec.schema
        assert schema["type"] == "object"
        assert json.loads(msgspec.json.encode(schema)) == schema
        assert set(schema.get("required", [])) <= set(schema["properties"])
        assert tool.spec.description.strip()

    def test_good_arguments_are_taken_and_shown_each_in_its_own_way(self, box, tool):
        found = [self.ready(box, tool, arguments) for arguments in self.good()]
        assert len({each.shown for each in found}) == len(found) > 1
        assert len({each.digest for each in found}) == len(found)
        for each in found:
            assert each.shown.startswith(tool.spec.name)

    def test_the_one_form_of_arguments_stays_as_it_is(self, box, tool):
        for arguments in self.good():
            once = self.ready(box, tool, arguments)
            again = self.ready(box, tool, once.arguments)
            assert (again.arguments, again.digest) == (once.arguments, once.digest)

    def test_what_does_not_fit_is_an_error_and_nothing_runs(self, box, tool):
        odd: list[Any] = ["[]", "{", "null", '"x"', *self.bad()]
        if self.closed:
            odd.append({**self.good()[0], "no_such_field": 1})
        if needed := tool.spec.schema.get("required"):
            odd.append({k: v for k, v in self.good()[0].items() if k != needed[0]})
        for arguments in odd:
            found = box.check(call(tool.spec.name, arguments))
            assert isinstance(found, Result), arguments
            assert found.is_error
            assert found.id == "c1"
            assert found.content.startswith("Error: ")

    async def test_a_run_gives_one_result_for_its_call(self, box, tool, scene):
        for arguments in self.good():
            result, output = await box.run(self.ready(box, tool, arguments), scene)
            assert (result.id, result.name) == ("c1", tool.spec.name)
            assert (result.content, result.is_error) == (output.text, output.is_error)
            assert not result.is_error, result.content
            assert output.foreign == tool.spec.foreign

    async def test_the_output_is_capped(self, box, tool, scene):
        few = msgspec.structs.replace(scene, limits=Limits(seconds=20, shown=200, kept=300))
        for arguments in self.good():
            result, output = await box.run(self.ready(box, tool, arguments), few)
            assert len(result.content.encode()) <= 200
            assert output.whole is None or len(output.whole) <= 300

    async def test_nothing_runs_once_it_was_stopped(self, box, tool, scene):
        scene.stop.set()
        result, _ = await box.run(self.ready(box, tool, self.good()[0]), scene)
        assert result.is_error
        assert "not run" in result.content

    async def test_what_was_changed_after_it_was_shown_does_not_run(self, box, tool, scene):
        first, second = (self.ready(box, tool, each) for each in self.good()[:2])
        forged = msgspec.structs.replace(first, arguments=second.arguments)
        result, _ = await box.run(forged, scene)
        assert result.is_error
        assert "not what was asked about" in result.content

    async def test_cancelling_ends_it_at_once(self, box, tool, scene):
        began = time.monotonic()
        task = asyncio.ensure_future(box.run(self.ready(box, tool, self.good()[0]), scene))
        await asyncio.sleep(0.01)
        task.cancel()
        done, _ = await asyncio.wait({task}, timeout=2 * GRACE)
        assert done
        assert time.monotonic() - began < 2 * GRACE
        assert task.cancelled() or isinstance(task.result()[1], Output)
