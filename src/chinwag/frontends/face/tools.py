"""The functions a program lets the model call, and on whose word they run.

Invariants: what is wrong with one is said when the chat is made, by its name. A function that a
program gives runs unasked, unless it says who is asked (``approve``): then nothing that no rule
allows runs without that word. Once foreign text is in a talk, what can let data out is asked about
again, and where nobody can be asked, refused.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from chinwag.errors import UsageError
from chinwag.talk.event import ApprovalAsked, Verdict

if TYPE_CHECKING:
    from chinwag.engine.tooling import Tooling
    from chinwag.tools.base import Toolbox

Word = bool | str
"""True: it may run, this once. False: it may not. A text: it may not, and the model is told so."""

Approve = Callable[[ApprovalAsked], Word | Awaitable[Word]]


def toolbox(tools: object) -> Toolbox | None:
    """``tools`` as given to a chat; None for none. Raises UsageError for what is no tool."""
    if callable(tools) or not isinstance(tools, list | tuple):
        raise UsageError("tools are given as a list", hint="tools=[get_time, read_page]")
    if not tools:
        return None
    from chinwag.tools.base import Toolbox as Box  # a chat without tools has none of this
    from chinwag.tools.functions import from_any

    return Box(from_any(each) for each in tools)


def tooling(box: Toolbox, steps: int, approve: Approve | None) -> Tooling:
    """What a conversation may call. ``steps`` bounds the answers of a turn that may call."""
    from chinwag.engine.approvals import Mode, Policy
    from chinwag.engine.tooling import Bounds
    from chinwag.engine.tooling import Tooling as Made

    asked = Policy(Mode.ASK, attended=True)
    policy = Policy(Mode.ALL) if approve is None else asked
    return Made(box, policy=policy, bounds=Bounds(steps=steps))


async def said(approve: Approve, asked: ApprovalAsked) -> tuple[Verdict, str]:
    """What ``approve`` says. A plain function may wait for a person, so it runs in a thread."""
    if inspect.iscoroutinefunction(approve):
        word = await approve(asked)
    else:
        word = await asyncio.to_thread(approve, asked)
        if inspect.isawaitable(word):
            word = await word
    if isinstance(word, str):
        return Verdict.DENY, word
    return (Verdict.ONCE if word is True else Verdict.DENY), ""
