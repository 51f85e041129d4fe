"""The functions a program lets the model call, as tools. What runs them lies in the engine.

Invariant: what is wrong with one is said when the chat is made, by its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chinwag.errors import UsageError

if TYPE_CHECKING:
    from chinwag.tools.base import Toolbox


def toolbox(tools: object) -> Toolbox | None:
    """``tools`` as given to a chat; None for none. Raises UsageError for what is no tool."""
    if callable(tools) or not isinstance(tools, list | tuple):
        raise UsageError("tools are given as a list", hint="tools=[get_time, read_page]")
    if not tools:
        return None
    from chinwag.tools.base import Toolbox as Box  # a chat without tools has none of this
    from chinwag.tools.functions import from_any

    return Box(from_any(each) for each in tools)
