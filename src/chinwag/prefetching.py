"""What a talk will need, fetched beside it: transport, windows, counting tables, names, the index.

Invariants: nothing of it is on the way of a key or a word; what cannot be had is said by the turn
that needs it; what completion offers is what was known last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeAlias

from chinwag.engine.conversation import Conversation
from chinwag.errors import ChinwagError
from chinwag.providers.base import ModelInfo
from chinwag.talk.session import Header
from chinwag.threads import apart, beside

QUIET = 0.5  # seconds without a key or a word after which heavy work may begin
IDLE = 3.0  # the same for what is merely good to have
MODELS_HOLD = 60.0  # seconds for which a list of models is taken to be true

Quiet: TypeAlias = Callable[[], Awaitable[None]]
"""Returns in a moment when nothing else is going on."""


class Prefetch:
    """For one conversation. ``learnt`` is called when something is known that was not."""

    def __init__(
        self,
        conversation: Conversation,
        tasks: set[asyncio.Future[Any]],
        *,
        prepare: Callable[[str], None],
        load_counter: Callable[[str], None],
        models: Callable[[], Awaitable[Sequence[ModelInfo]]],
        learnt: Callable[[], None],
        index: Callable[[Quiet], Awaitable[None]],
    ) -> None:
        self._conversation = conversation
        self._tasks = tasks
        self._prepare = prepare
        self._load_counter = load_counter
        self._ask_models = models
        self._learnt = learnt
        self._index = index
        self.headers: Sequence[Header] = ()
        self.models: Sequence[ModelInfo] = ()
        self._models_asked = -MODELS_HOLD
        self._typed = time.monotonic()
        self._tables_for: str | None = None

    def typed(self) -> None:
        """A key was pressed: it is not quiet."""
        self._typed = time.monotonic()

    def begin(self) -> None:
        """Fetch everything that the model which answers now will need."""
        beside(self._tasks, self._fetch())
        beside(self._tasks, self._index(self._idle))

    async def _fetch(self) -> None:
        provider, model = self._conversation.choice
        await asyncio.sleep(0.05)  # let the first keys through: imports hold the interpreter
        try:
            await apart(self._prepare, provider)
            await self._conversation.learn_profile()
        except ChinwagError:
            pass  # said when it is needed, in the turn that needs it
        self._learnt()
        self.renew_headers()
        await self._fetch_tables(model)

    async def _fetch_tables(self, model: str) -> None:
        """Counting tables, in a quiet moment: making them holds the interpreter for a while."""
        self._tables_for = model
        await self._quiet()
        await apart(self._load_counter, model)
        self._learnt()

    async def _idle(self) -> None:
        """Nothing was done for a while: nobody minds what takes a moment now."""
        await asyncio.sleep(QUIET / 2)
        await self._quiet(IDLE)

    async def _quiet(self, seconds: float = QUIET) -> None:
        while self._conversation.busy or time.monotonic() < self._typed + seconds:  # noqa: ASYNC110 - quiet is the absence of events
            await asyncio.sleep(seconds / 2)

    def renew_tables(self) -> None:
        """Another model may answer now, and count otherwise."""
        model = self._conversation.choice[1]
        if self._tables_for is not None and model != self._tables_for:
            beside(self._tasks, self._fetch_tables(model))

    def renew_headers(self) -> None:
        beside(self._tasks, self._read_headers())

    async def _read_headers(self) -> None:
        try:
            self.headers = await self._conversation.headers()
        except ChinwagError:
            pass  # completion offers what it knew before

    def renew_models(self) -> None:
        """Ask for models when somebody is about to name one, and not again within a minute."""
        now = time.monotonic()
        if now > self._models_asked + MODELS_HOLD:
            self._models_asked = now
            beside(self._tasks, self._read_models())

    async def _read_models(self) -> None:
        self.models = await self._ask_models()
