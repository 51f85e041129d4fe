"""The table of every command there is: the one place that lists them.

Invariant: only what works is in it.
"""

from __future__ import annotations

from typing import Final

from chinwag.commands import context, help, models, sessions, talking  # noqa: A004 - our room
from chinwag.commands.table import Table

TABLE: Final[Table] = Table(
    (
        *help.commands(lambda: TABLE),
        *talking.COMMANDS,
        *sessions.COMMANDS,
        *models.COMMANDS,
        *context.COMMANDS,
    )
)
