"""The table of every command there is: the one place that lists them.

Invariant: only what works is in it.
"""

from __future__ import annotations

from typing import Final

from chinwag.commands import (
    attaching,
    branches,
    context,
    elsewhere,
    finding,
    help,  # noqa: A004 - our room
    looks,
    mcp,
    models,
    private,
    room,
    sessions,
    talking,
    tools,
    warm,
    windows,
)
from chinwag.commands.table import Table

TABLE: Final[Table] = Table(
    (
        *help.commands(lambda: TABLE),
        *talking.COMMANDS,
        *branches.COMMANDS,
        *sessions.COMMANDS,
        *windows.COMMANDS,
        *private.COMMANDS,
        *finding.COMMANDS,
        *elsewhere.COMMANDS,
        *models.COMMANDS,
        *mcp.COMMANDS,
        *attaching.COMMANDS,
        *context.COMMANDS,
        *looks.COMMANDS,
        *room.COMMANDS,
        *warm.COMMANDS,
        *tools.COMMANDS,
    )
)
