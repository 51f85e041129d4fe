"""What a conversation knows of tools: what is offered, who answers a question, what is kept.

Invariants: nothing of tools is imported before some are offered; what the tools gave, and the calls
that led to it, are kept as safely as what a person said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chinwag.engine.promises import Keeper
from chinwag.engine.shelf import Shelf
from chinwag.errors import ChinwagError
from chinwag.talk.entry import AssistantSaid
from chinwag.talk.event import Ear, Level, Notice, failed
from chinwag.talk.message import Call
from chinwag.talk.tool import ToolSpec

if TYPE_CHECKING:  # a talk without tools has none of this
    from chinwag.engine.rounds import Rounds
    from chinwag.engine.tooling import Tooling
    from chinwag.talk.event import Verdict

SAVE_PATIENCE = 5.0  # seconds a request, or a tool, waits for the disk before it goes all the same


class Calling(Shelf):
    """The part of a conversation that `rounds` builds on."""

    def __init__(self, keeper: Keeper) -> None:
        super().__init__(keeper)
        #: Why the last turn has no (whole) answer; None where it has, or a person stopped it.
        self.failure: ChinwagError | None = None
        self._tooling: Tooling | None = None
        self._rounds: Rounds | None = None

    @property
    def tools(self) -> Sequence[ToolSpec]:
        """What is offered to the model that answers next."""
        return self._tooling.offered() if self._tooling else ()

    @property
    def tooling(self) -> Tooling | None:
        """What may be called, and on whose word; None where nothing may."""
        return self._tooling

    def use(self, tooling: Tooling | None) -> None:
        """What may be called from now on."""
        self._tooling = tooling
        self._rounds = None if tooling is None else self._made(tooling)

    def _made(self, tooling: Tooling) -> Rounds:
        raise NotImplementedError

    def answer_approval(self, call_id: str, digest: str, verdict: Verdict, word: str = "") -> bool:
        """What a person says to the call that waits; ``word`` goes to the model with a no.

        False, and nothing happens, where no call waits that is just the one that was shown.
        """
        return self._rounds is not None and self._rounds.answer(call_id, digest, verdict, word)

    def tell_of_calls(self, hear: Ear) -> None:
        """Where no tools are offered, what the newest answer calls is run by nobody: say so."""
        entry = self.session.entry(self.session.head)
        if not isinstance(entry, AssistantSaid):
            return
        if names := ", ".join(dict.fromkeys(p.name for p in entry.parts if isinstance(p, Call))):
            text = f"the model called {names}, but no tools are offered: nothing was run"
            hear(Notice(f"{text} - /tools shows what can be", Level.WARNING))

    def ends_early(self, why: ChinwagError, hear: Ear) -> None:
        """The turn ends without a whole answer."""
        self.failure = why
        hear(failed(why))

    async def on_record(self, hear: Ear) -> None:
        """Returns when the calls are safe, or known not to be savable now."""
        if self._on_disk and not await self._is_safe(self.session.id, len(self.session)):
            hear(Notice("the calls could not be saved yet; they run all the same", Level.WARNING))

    async def _is_safe(self, session_id: str, through: int) -> bool:
        """Whether entries up to ``through`` come to be on stable storage in time.

        Where another program changed that session, all of it is written anew in a fork: then there.
        """
        if await self._keeper.safe(session_id, through, SAVE_PATIENCE):
            return True
        for _ in range(2):  # what the keeper reported meanwhile is heard in another task
            await asyncio.sleep(0)
        here = self.session
        return here.id != session_id and await self._keeper.safe(here.id, len(here), SAVE_PATIENCE)

    async def put_away(self, data: bytes, hear: Ear) -> str:
        """Keep a long output beside the session; its SHA-256, "" where it cannot be kept."""
        try:
            return await self._keeper.call(lambda store: store.put_blob(data))
        except ChinwagError as error:
            text = f"the whole output could not be kept: {error.message}"
            hear(Notice(text, Level.WARNING))
            return ""
