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
    """Name, one paragraph for the model, and a JSON schema of the arguments object."""

    name: str
    description: str = ""
    schema: dict[str, Any] = {}
    risk: Risk = Risk.EXECUTE
