"""What a conversation would send now: to whom, with which options, and how much that is.

Invariants: a count is exact or says that it is not; what is counted is what would be sent, tools
and system prompt with it; the session's own choice of model and options wins over the defaults.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from chinwag.context.drafting import DraftCount
from chinwag.engine import refusals
from chinwag.engine import request as requests
from chinwag.engine.budget import Purse
from chinwag.engine.models import Key
from chinwag.engine.options import merged
from chinwag.engine.promises import Knowledge
from chinwag.engine.scale import Scale, held
from chinwag.engine.steering import Steering
from chinwag.engine.telling import Telling
from chinwag.errors import UsageError
from chinwag.providers.base import Options, Profile, Provider, Request
from chinwag.talk.attachment import PDF
from chinwag.talk.entry import Compacted, Spoken, SystemSet, UserSaid
from chinwag.talk.event import Ear
from chinwag.talk.message import AnyPart, File, Image, Text
from chinwag.talk.session import fold

if TYPE_CHECKING:
    from chinwag.engine.warm import Warm


LEAST_RESULT = 2000  # bytes of a tool's output that a model is told, however small its window
BYTES_A_TOKEN = 3


class Defaults(msgspec.Struct):
    """What a session starts from when nobody said otherwise; discovery may better the model."""

    provider: str = "guide"
    model: str = "guide"
    system: str = "You are a helpful assistant."
    options: Options = Options()
    limit: int | None = None


class Context(msgspec.Struct, frozen=True):
    """How full the window is: ``used`` tokens of ``window``, without the draft."""

    used: int
    window: int
    exact: bool


class Sending(Steering):
    """The part of a conversation that looks ahead: nothing here changes the session."""

    defaults: Defaults
    purse: Purse
    _draft: DraftCount
    _knowledge: Knowledge
    _scale: Scale
    _telling: Telling
    _warm: Warm | None

    # -- who answers, and how -----------------------------------------------------------------

    @property
    def choice(self) -> tuple[str, str]:
        """(provider, model) that answers next."""
        if self.session.provider:
            return self.session.provider, self.session.model
        return self.defaults.provider, self.defaults.model

    @property
    def system(self) -> str:
        """The prompt in force: the session's, or the one a first message will bring."""
        return self.session.system if len(self.session) else self.defaults.system

    @property
    def options(self) -> Options:
        return merged(self.defaults.options, {**self.session.options, **self.overrides})

    def known(self, provider: str, model: str) -> Profile:
        """What is known of a model by now, without asking anybody."""
        return self._models.known((provider, model))

    def provider(self, name: str) -> Provider:
        return self._directory.provider(name)

    async def learn_profile(self) -> None:
        """Ask what is known of the model that answers next, so that the window is true early."""
        await self._models.learn(self.choice)

    def report_switch(self, hear: Ear) -> None:
        """Say what the model that answers next cannot take of this talk; now, and not again."""
        key = self.choice
        self._telling.anew(key)
        self._telling.losses(self.session, self.system, key, self._models.known(key), hear)

    # -- how much that is ---------------------------------------------------------------------

    def context(self) -> Context:
        """Tokens the next request would hold. O(1): the tally, bettered by reported usage."""
        used, exact = self._scale.used(self.session, self.system, self.choice, self.tools)
        return Context(used, self.fitting.window(self.choice), exact)

    async def counted(self) -> int | None:
        """Tokens of what would be sent now as the server itself counts them; None where it does not
        offer that, or not in a moment. Our own counts are bettered by it."""
        key = self.choice
        try:
            request = self.request(key, self.known(*key))
        except UsageError:
            return None
        fixed = self._scale.fixed(self.system, request.tools, key[1])
        said = held(self.session)
        tokens = await self._models.counted(key, request)
        if tokens:
            self._scale.learn(key, fixed, said, tokens)
            self._scale.believe(key, self.session, tokens)
        return tokens

    def count(self, text: str) -> tuple[int, bool]:
        """Tokens of ``text`` for the model that answers next, and whether that is exact."""
        model, meter = self.choice[1], self._scale.meter
        tokens, by = self._draft.count(text, model, lambda piece: meter.count(piece, model))
        return (tokens, True) if by else (meter.corrected(model, tokens), False)

    def count_entry(self, entry: Spoken) -> int:
        """Tokens of something said, as the session would hold it."""
        return self._weighed(entry)[0]

    def _weighed(self, entry: Spoken | Compacted) -> tuple[int, str]:
        looks = isinstance(entry, UserSaid) and any(isinstance(p, Image) for p in entry.parts)
        sees = not looks or self._models.known(self.choice).sees is not False
        papers = isinstance(entry, UserSaid) and any(isinstance(p, File) for p in entry.parts)
        reads = not papers or PDF.startswith(self._knowledge.terms(self.choice[0]).files)
        return self._scale.entry(entry, self.choice[1], sees=sees, reads=reads)

    def room_for_results(self, count: int) -> int:
        """Bytes each of ``count`` results may have: together at most half of what fits."""
        room = self.fitting.room(self, self.choice)
        return max(LEAST_RESULT, room.free // 2 * BYTES_A_TOKEN // max(1, count))

    def spends(self, key: Key, tokens: int | None = None) -> None:
        """A request (of ``tokens``, else of the talk) will leave. Raises BudgetSpent."""
        used, _ = self._scale.used(self.session, self.system, key, self.tools)
        self.purse.begin(key, used if tokens is None else tokens)

    # -- requests -----------------------------------------------------------------------------

    def request(self, key: Key, profile: Profile) -> Request:
        """What would be sent to ``key`` now. Raises UsageError where there is nothing to answer."""
        options = refusals.without(self.options, self._models.refused(key))
        built = requests.build(
            self.session, model=key[1], profile=profile, options=options, tools=self.tools
        )
        if not built.messages:
            raise UsageError("there is nothing to answer yet", hint="type a message first")
        if built.tools and profile.tools is False:
            from chinwag.engine import react

            built = react.asked(built, built.tools)
        return built if self._warm is None else self._warm.pinned(key, built)

    def preview(self, text: str, parts: Iterable[AnyPart] = ()) -> tuple[Request, int, bool]:
        """What saying ``text`` would send, its tokens and whether they are exact. Sends nothing."""
        said = UserSaid(parts=((Text(text),) if text else ()) + tuple(parts))
        tokens, tokenizer = self._weighed(said)
        session = self.session
        if not len(session) and self.defaults.system:
            session = fold(session, SystemSet(text=self.defaults.system))
        used, exact = self._scale.used(self.session, self.system, self.choice, self.tools)
        built = requests.build(
            fold(session, said),
            model=self.choice[1],
            profile=self.known(*self.choice),
            options=self.options,
            tools=self.tools,
        )
        more = tokens if tokenizer else self._scale.meter.corrected(self.choice[1], tokens)
        return built, used + more, exact and bool(tokenizer)
