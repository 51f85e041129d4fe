"""Chat: the engine for programs that do not use asyncio, and for those that do not want to wait.

Invariants: the engine runs on a private loop in a thread of its own, shared by every chat of the
process, so a Chat works inside a running loop (Jupyter, web frameworks) and from any thread; calls
on one chat are done one after the other. A chat that is closed, dropped or left at the program's
end leaves no thread and no connection behind.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any, Self, TypeVar, Unpack

from chinwag.context.compaction import Compactor
from chinwag.context.windows import Cut, Dropped
from chinwag.errors import ChinwagError, UsageError
from chinwag.frontends.face import document, loop, views
from chinwag.frontends.face.builder import Builder
from chinwag.frontends.face.core import Core
from chinwag.frontends.face.files import Given
from chinwag.frontends.face.plan import Plan, Settings
from chinwag.frontends.face.reading import Reading
from chinwag.frontends.face.reply import Reply, Schema
from chinwag.frontends.face.streams import Stream
from chinwag.frontends.face.warm import Warm
from chinwag.talk.entry import Compacted, Mark
from chinwag.talk.message import Message
from chinwag.talk.session import Session, begin, fold_all

T = TypeVar("T")


class Chat(Reading):
    """A conversation with a model (F001, F002).

    `Chat("ollama/qwen3:8b")` needs nothing else; without a model the first provider with a key in
    the environment is taken, else a server on this machine. Every keyword is in
    `frontends.face.plan.Settings` and docs/python.md. The session is kept in memory unless
    ``store`` or ``session`` says otherwise. Raises UsageError, ConfigError, ModelUnknown, and
    StoreError's family where a session is opened.
    """

    def __init__(self, model: str | None = None, **settings: Unpack[Settings]) -> None:
        self._start(Core(Plan(model, settings)))

    @classmethod
    def builder(cls, model: str | None = None) -> Builder[Self]:
        """The same step by step (F002): `Chat.builder("…").system("…").build()`."""
        return Builder(cls, model)

    @classmethod
    def load(
        cls, path: document.PathLike, model: str | None = None, **settings: Unpack[Settings]
    ) -> Self:
        """The session in a file (F058): what `save` wrote, or another program's messages.

        Tools, limits and budget belong to the program and are given anew. Raises SessionNotFound,
        SessionUnreadable; a pickle is never loaded.
        """
        return cls._from(document.load(path), model, settings)

    @classmethod
    def from_dicts(
        cls,
        messages: Iterable[Mapping[str, Any]],
        model: str | None = None,
        **settings: Unpack[Settings],
    ) -> Self:
        """A chat that begins with these messages (F051). Raises UsageError naming a bad one."""
        return cls._from(fold_all(begin(), views.entries_of(messages)), model, settings)

    @classmethod
    def _from(cls, session: Session, model: str | None, settings: Mapping[str, Any]) -> Self:
        made = cls.__new__(cls)
        made._start(Core(Plan(model, settings), begin_with=session))  # noqa: SLF001 - one of our own
        return made

    def _start(self, core: Core) -> None:
        self._core = core
        self._line = line = _Line()
        self._end = weakref.finalize(self, _abandon, core, line)
        if core.must_open:
            try:
                self._run(core.ready())
            except BaseException:
                self._end()  # what was opened until then is let go of
                raise

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            taken = self._line.loop()
        except BaseException:
            work.close()
            raise
        return taken.run(work)

    # -- talking ------------------------------------------------------------------------------

    def send(
        self,
        text: str | None = None,
        *,
        model: str | None = None,
        files: Iterable[Given] | Given = (),
        schema: Schema | None = None,
    ) -> Reply:
        """Say ``text`` and wait for the answer (F014); without it, answer what is there (F016).

        ``model`` answers this once (F023). ``files`` are paths, bytes, picture addresses or parts.
        ``schema`` asks for structured output (X04): `reply.data` is of that type. Raises
        ProviderError's family, BudgetSpent, ContextOverflow, UsageError; what was said and heard
        until then is kept.
        """
        return self._run(self._core.send(text, model=model, files=files, schema=schema))

    def stream(
        self,
        text: str | None = None,
        *,
        model: str | None = None,
        files: Iterable[Given] | Given = (),
        schema: Schema | None = None,
    ) -> Stream:
        """The same as an iterator over the engine's typed events (X01); `.texts()`: words alone.

        Leaving the loop early interrupts the answer; what was heard is kept (W20).
        """
        core = self._core
        return Stream(
            core,
            self._line.loop,
            lambda ear: core.send(text, ear, model=model, files=files, schema=schema),
        )

    def retry(self, model: str | None = None) -> Reply:
        """Answer the last question anew, by another model if one is named; the old answer stays
        as a branch."""
        return self._run(self._core.retry(model=model))

    def interrupt(self) -> None:
        """Stop the answer that is coming in, from any thread; what was heard is kept."""
        if (running := self._line.running) is not None:
            running.soon(self._core.conversation.interrupt)

    def add(self, message: Message) -> None:
        """A message by hand (F050). Raises ContextOverflow where it cannot fit and no policy may
        cut (F032)."""
        self._run(self._core.add(message))

    @property
    def warm(self) -> Warm:
        """Have the server keep what it has read of this talk: `warm.save()`, `warm.restore()`."""
        return Warm(self._core, self._run)

    # -- what is in force ---------------------------------------------------------------------

    def switch(self, model: str) -> None:
        """From now on this model answers; history and settings stay (F081)."""
        self._run(self._core.switch(model))

    def set_system(self, text: str) -> None:
        """The system prompt from here on; "" for none."""
        self._run(self._core.set_system(text))

    def set(self, **options: Any) -> None:
        """temperature, top_p, top_k, max_tokens, stop, reasoning, seed from here on; None takes one
        back to the model's own. Raises UsageError."""
        for name, value in options.items():
            self._run(self._core.set_option(name, value))

    def rename(self, title: str) -> None:
        self._run(self._core.rename(title))

    def tag(self, **values: Any) -> None:
        """Keep these with the session; None takes one away (F011)."""
        self._run(self._core.tag(values))

    def set_budget(self, budget: str | float | None) -> None:
        """What may be spent from now on: US dollars, "$2", "200k" tokens, None for no limit."""
        self._core.set_budget(budget)

    # -- what still counts: each of these is one step for `undo` ------------------------------

    def clear(self, keep_system: bool = True) -> None:  # noqa: FBT001, FBT002 - interface.md
        """Begin anew (F052): nothing said so far is sent any more; the record keeps it."""
        self._run(self._core.clear(keep_system=keep_system))

    def trim(self, target: int | None = None) -> Cut | None:
        """Leave out the oldest turns (F026), down to ``target`` tokens, else what the window asks
        for. None where nothing has to go."""
        return self._run(self._core.trim(target))

    def window(self, keep: int) -> Cut | None:
        """Leave out all but the last ``keep`` messages, turns whole (F039)."""
        return self._run(self._core.window(keep))

    def prune(self, target: int | None = None) -> list[Dropped]:
        """Leave out what matters least (F040); what went, and why."""
        return self._run(self._core.prune(target))

    def focus(self, topic: str) -> list[Dropped]:
        """Leave out what has nothing to do with ``topic`` (F042)."""
        return self._run(self._core.focus(topic))

    def compact(
        self, target: int | None = None, hint: str = "", compactor: Compactor | None = None
    ) -> Compacted | None:
        """Put a summary in the place of older messages (F035). None where nothing is to gain."""
        return self._run(self._core.compact(target=target, hint=hint, compactor=compactor))

    def summarise(self, keep: int = 10, hint: str = "") -> str:
        """Summarise all but the last ``keep`` messages (F038); the summary, "" where nothing was
        to be summarised."""
        return self._run(self._core.summarise(keep, hint))

    def pin(self, which: int) -> None:
        """`messages[which]` is sent whatever a policy does."""
        self._run(self._core.mark(which, Mark.PIN))

    def exclude(self, which: int) -> None:
        """`messages[which]` is not sent."""
        self._run(self._core.mark(which, Mark.EXCLUDE))

    def unmark(self, which: int) -> None:
        """Neither."""
        self._run(self._core.mark(which, Mark.NONE))

    # -- back and forth -----------------------------------------------------------------------

    def undo(self, times: int = 1) -> str:
        """Take back the last step(s); what had been said first among them."""
        return self._run(self._core.undo(times))

    def redo(self) -> None:
        self._run(self._core.redo())

    def fork(self, title: str = "") -> Self:
        """A chat of its own with the same past and settings (F074): neither sees what the other
        says from here on."""
        copy = self._run(self._core.copy(title))
        plan = self._core.plan
        return type(self)._from(copy, plan.model, plan.for_a_copy())  # noqa: SLF001 - one of our own

    # -- files, and the end -------------------------------------------------------------------

    def save(self, path: document.PathLike) -> None:
        """Write the whole session to a file (F057): JSON, old or new at every instant."""
        document.save(views.with_system(self.session, self.system), path)

    def close(self) -> None:
        """Save what waits, let go of everything; again is free. Raises StoreUnavailable."""
        if self._end.detach() is not None:
            _close(self._core, self._line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            self.close()
        except ChinwagError:
            if kind is None:  # what went wrong before says more
                raise


class _Line:
    """A chat's way to the private loop: taken when it is first needed, given back once."""

    def __init__(self) -> None:
        self.running: loop.Loop | None = None
        self._turn = threading.Lock()
        self._ended = False

    def loop(self) -> loop.Loop:
        with self._turn:
            if self._ended:
                raise UsageError("this chat is closed", hint="make a new one, or open it again")
            if self.running is None:
                self.running = loop.take()
            return self.running

    def give_back(self) -> None:
        with self._turn:
            running, self.running, self._ended = self.running, None, True
        if running is not None:
            loop.give_back(running)


def _close(core: Core, line: _Line) -> None:
    running = line.running
    try:
        if running is None or not running.usable:
            core.closed = True
            core.save_all()
            return
        running.run(core.quiet())
        unsaved = core.save_all()
        running.run(core.let_go())
    finally:
        line.give_back()
    core.complain(unsaved)


def _abandon(core: Core, line: _Line) -> None:
    """Nobody closed it: it is closed when it is dropped, or at the program's end, in silence."""
    running = line.running
    try:
        if running is not None and running.here:
            running.soon(core.conversation.interrupt)
            core.closed = True
            core.save_all()
            line.give_back()
        else:
            _close(core, line)
    except ChinwagError:
        pass  # there is nobody to be told any more
