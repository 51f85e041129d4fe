"""What a tool looks like from outside: its name, its schema, its risk.

Invariant: nothing here can run anything; a description is data that a model may read.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Risk(StrEnum):
    """What a call may do to the world, so that a rule can speak of it."""

    READ = "read"
    WRITE = "write"
    NETWORK = "network"
    EXECUTE = "execute"


class ToolSpec(msgspec.Struct, frozen=True):
    """Name, one paragraph for the model, and a JSON schema of the arguments object.

    ``source`` is where the tool comes from: "" for the program's and the person's own, else
    `mcp:SERVER`. ``parallel``: safe to run beside other calls of the same answer. ``foreign``: what
    it brings home may have been written by anybody. ``always_ask``: no rule may answer for the
    person (a shell on a machine that cannot confine it). ``timeout`` is in seconds, None for the
    usual limit. Only the first three fields are ever sent.
    """

    name: str
    description: str = ""
    schema: dict[str, Any] = {}
    risk: Risk = Risk.EXECUTE
    source: str = ""
    parallel: bool = False
    foreign: bool = False
    always_ask: bool = False
    timeout: float | None = None
