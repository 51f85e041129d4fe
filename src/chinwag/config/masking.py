"""What of the settings is not for a screen that others may see. Pure.

Invariants: where a secret is found (``env:NAME``) is shown, what it is never; a name that is in an
address is, a password that is in it never.
"""

from __future__ import annotations

import re
from typing import Any, Final

MASK: Final = "***"
WHERE: Final = ("env:", "keyring:", "cmd:")
_PASSWORD: Final = re.compile(r"(?P<before>\w+://[^/@\s:]*:)[^/\s]+(?=@)")


def masked(name: str, value: Any) -> Any:
    """``value`` of the setting ``name`` (dotted), as it may be shown."""
    if isinstance(value, dict):
        return {below: masked(f"{name}.{below}", inner) for below, inner in value.items()}
    if not isinstance(value, str):
        return value
    steps = name.split(".")
    if steps[0] == "mcp" and "env" in steps[2:-1] and not value.startswith(WHERE):
        return MASK
    return _PASSWORD.sub(rf"\g<before>{MASK}", value)
