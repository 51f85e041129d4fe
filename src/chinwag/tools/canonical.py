"""The arguments of a call as a person is shown them: whole, and never two things alike.

Invariants: ``canonical`` is injective: from its text the name and every argument can be read back,
so that approving the text is approving the call. A text of several lines is shown line by line,
each behind a bar, so that no line of it can pass for a line of ours. The text is raw: who draws it
makes it safe, which shows what is hidden and drops nothing. Pure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

BAR: Final = "    | "


def canonical(name: str, arguments: Mapping[str, Any]) -> str:
    """``name`` on the first line, then the arguments by name, each as JSON or as barred lines."""
    return "\n".join([name, *(_field(key, arguments[key]) for key in sorted(arguments))])


def digest_of(shown: str) -> str:
    """SHA-256 of a canonical text, in hex: what was approved is what has this."""
    return hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()


def _field(key: str, value: Any) -> str:
    label = key if key.isidentifier() and key.isascii() else _json(key)
    if isinstance(value, str) and "\n" in value:
        return f"  {label}:\n" + "\n".join(BAR + line for line in value.split("\n"))
    return f"  {label}: {_json(value)}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value, order="deterministic").decode()
