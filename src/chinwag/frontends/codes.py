"""How a run ends, as a number: interface.md, section 2."""

from __future__ import annotations

from chinwag.talk.entry import AssistantSaid, Status
from chinwag.talk.event import Failed

ANSWERED, FAILED, WRONG_USE, LIMIT, INTERRUPTED = 0, 1, 2, 3, 130

_WRONG_USE = frozenset(
    {"ConfigError", "UsageError", "UsageWrong", "CommandUnknown", "CommandError"}
)
_LIMIT = frozenset({"ContextOverflow", "BudgetSpent", "StepsSpent"})


def exit_code(failure: Failed | None, answer: AssistantSaid | None) -> int:
    """The code a one-shot ends with, from the last failure and the answer heard."""
    if failure is not None and failure.kind in _LIMIT:
        return LIMIT
    if answer is not None and answer.status is Status.INTERRUPTED:
        return INTERRUPTED
    if failure is not None:
        return WRONG_USE if failure.kind in _WRONG_USE else FAILED
    return ANSWERED if answer is None or answer.status is Status.COMPLETE else FAILED
