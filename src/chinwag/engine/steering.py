"""What a person does to a conversation without saying anything to the model.

Going back and forward, making room by hand, pinning, what is in force from now on. Invariant: each
is an entry settled, so each can be taken back, and nothing that was said is lost by it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from chinwag.context.compaction import Compactor
from chinwag.context.windows import Cut, Dropped, about
from chinwag.engine.calling import Calling
from chinwag.engine.fitting import Fitting
from chinwag.engine.models import Key, Models
from chinwag.engine.promises import Directory
from chinwag.engine.room import Filling
from chinwag.errors import UsageError
from chinwag.providers.base import Options
from chinwag.talk.entry import (
    Cleared,
    Compacted,
    Mark,
    Marked,
    ModelChosen,
    OptionSet,
    Rewound,
    Spoken,
    SystemSet,
    Titled,
    UserSaid,
)
from chinwag.talk.event import Ear


class Steering(Calling):
    """The part of a conversation that steers it."""

    fitting: Fitting
    #: Options of the command line: never written.
    overrides: Mapping[str, Any]
    _directory: Directory
    _models: Models

    @property
    @abstractmethod
    def choice(self) -> Key:
        """(provider, model) that answers next."""

    @property
    @abstractmethod
    def system(self) -> str: ...

    @property
    @abstractmethod
    def options(self) -> Options: ...

    @abstractmethod
    def spends(self, key: Key, tokens: int | None = None) -> None: ...

    @abstractmethod
    def _stoppable(self) -> AbstractContextManager[asyncio.Event]: ...

    # -- going back and forward ----------------------------------------------------------------

    def undo(self, times: int, hear: Ear) -> str:
        """Take back ``times`` steps; returns what the person had said first among them."""
        to = self.session.before_last(times)
        if to is None:
            raise UsageError("there is nothing to take back", hint="/history shows what is there")
        lost = self.session.path_to(self.session.head)
        said = (self.session.entry(n) for n in lost if n > to)
        text = next((e.text for e in said if isinstance(e, UserSaid)), "")
        self.settle(Rewound(to=to, why="undo"), hear)
        return text

    def redo(self, hear: Ear) -> None:
        to = self.session.redo_target
        if to is None:
            raise UsageError("there is nothing to bring back", hint="/undo comes first")
        self.settle(Rewound(to=to, why="redo"), hear)

    def rewind(self, n: int, hear: Ear, why: str = "edit") -> None:
        """Move the head to node ``n`` (0 = the beginning): what comes next is a new branch."""
        self.settle(Rewound(to=n, why=why), hear)

    def clear(self, hear: Ear, *, keep_system: bool = True) -> None:
        self.settle(Cleared(keep_system=keep_system), hear)

    # -- making room ---------------------------------------------------------------------------

    def filling(self) -> Filling:
        """What fills the window of the model that answers next."""
        return self.fitting.filling(self, self.choice)

    async def make_room(self, key: Key, hear: Ear, stop: asyncio.Event) -> None:
        """Before a request to ``key``: what the policy does so that it fits."""
        await self.fitting.make_room(self, key, hear, stop)

    async def compact(
        self,
        hear: Ear,
        *,
        hint: str = "",
        target: int | None = None,
        compactor: Compactor | None = None,
    ) -> Compacted | None:
        """Put a summary in the place of the older messages, now. None where nothing is to gain.

        Raises ProviderError's family (no summary came), UsageError; nothing is changed then.
        """
        with self._stoppable() as stop:
            await self._models.learn(self.choice)
            return await self.fitting.compact(
                self, self.choice, hear, stop, hint=hint, target=target, compactor=compactor
            )

    def trim(self, hear: Ear, target: int | None = None) -> Cut | None:
        """Leave out the oldest turns: down to ``target`` tokens, else what the window asks for."""
        return self.fitting.trim(self, self.choice, hear, target=target)

    def window(self, keep: int, hear: Ear) -> Cut | None:
        """Leave out all but the last ``keep`` messages."""
        return self.fitting.slide(self, keep, hear)

    def prune(self, hear: Ear, target: int | None = None) -> list[Dropped]:
        """Leave out what is least important: down to ``target`` tokens, else what has to go."""
        return self.fitting.prune(self, self.choice, hear, target=target)

    def keep_only(self, topic: str, hear: Ear) -> list[Dropped]:
        """Leave out what shares no word with ``topic``."""
        dropped = about(self.session, topic)
        if dropped:
            self.fitting.hide(self, dropped, f"topic: {topic}", hear)
        return dropped

    def mark(self, n: int, mark: Mark, hear: Ear) -> None:
        """Pin or exclude the message at position ``n``, or take that back. Raises UsageError."""
        spoken = 1 <= n <= len(self.session) and isinstance(self.session.entry(n), Spoken)
        if not spoken or self.session.node_at(n) != n:
            raise UsageError(f"there is no message {n}", hint="/history lists them with numbers")
        self.settle(Marked(of=n, mark=mark), hear)

    # -- what is in force ----------------------------------------------------------------------

    def choose(self, provider: str, model: str, hear: Ear) -> None:
        """From now on this model answers."""
        self._directory.provider(provider)  # raises where there is no such provider
        self.settle(ModelChosen(provider=provider, model=model), hear)

    def set_system(self, text: str, hear: Ear) -> None:
        self.settle(SystemSet(text=text), hear)

    def set_option(self, name: str, value: Any, hear: Ear) -> None:
        self.overrides = {k: v for k, v in self.overrides.items() if k != name}
        self.settle(OptionSet(name=name, value=value), hear)

    def rename(self, title: str, hear: Ear) -> None:
        self.settle(Titled(title=title), hear)
