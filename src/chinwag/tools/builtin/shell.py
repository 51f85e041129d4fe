"""A shell, marked as one: off unless the person turns it on.

Invariants: what is shown is the argument list that runs; it runs confined as far as this machine
can (``Sandbox.says``), in the root, and nothing that it started is left when the call ends.
"""

from __future__ import annotations

from typing import Any, Final

from chinwag.talk.tool import Risk, ToolSpec
from chinwag.tools import children
from chinwag.tools.base import Output, Scene, Tool
from chinwag.tools.canonical import canonical
from chinwag.tools.sandbox import Sandbox

_SHELL: Final = ("/bin/sh", "-c")


class Shell(Tool):
    stops_itself = True

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        command = {
            "type": "string",
            "description": "what /bin/sh is to do",
            "minLength": 1,
            "maxLength": 100_000,
            "pattern": r"\A[^\x00]*\Z",  # no argument can hold a zero byte
        }
        schema = {
            "type": "object",
            "properties": {"command": command},
            "required": ["command"],
            "additionalProperties": False,
        }
        net = "There is no network. " if sandbox.confines else ""
        says = (
            "Runs a shell command in the working folder and gives its output, errors included. "
            f"{net}Only the working folder and $TMPDIR can be written. "
            "What still runs when the command ends is ended too."
        )
        self.spec = ToolSpec(
            "shell",
            says,
            schema,
            Risk.EXECUTE,
            foreign=True,
            always_ask=not sandbox.confines,
        )

    def shows(self, arguments: dict[str, Any]) -> str:
        runs = {"argv": [*_SHELL, arguments["command"]]}
        kept_in = self._sandbox.kind if self._sandbox.confines else "nothing: it may do all you may"
        return f"{canonical('shell', arguments)}\n{_shown(runs)}\n  kept in by: {kept_in}"

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:
        ended = await children.run([*_SHELL, arguments["command"]], scene, self._sandbox)
        return children.told(ended, scene.limits)


def _shown(runs: dict[str, Any]) -> str:
    """The argument list, below the command itself."""
    return canonical("", runs).removeprefix("\n")
