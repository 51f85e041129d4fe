"""What is said of a switch: what the next model cannot take, and what was cut in silence.

Invariant: each thing is said once, before the request it concerns leaves, and never again for the
same model unless what was lost has changed.
"""

from __future__ import annotations

import msgspec

from chinwag.engine import switching
from chinwag.engine.models import Key
from chinwag.engine.promises import Knowledge
from chinwag.engine.scale import Scale
from chinwag.providers.base import Profile, Request
from chinwag.talk.entry import Spoken
from chinwag.talk.event import Ear, Level, Notice
from chinwag.talk.session import Session
from chinwag.talk.shown import shown


class Asked(msgspec.Struct, frozen=True):
    """One request of a turn: whom, what, our own raw count of it, and the id of its entry."""

    provider: str
    model: str
    request: Request
    own_count: int
    entry_id: str

    @property
    def key(self) -> Key:
        return self.provider, self.model

    @property
    def who(self) -> str:
        return f"{self.provider}/{self.model}"


class Telling:
    """Remembers what was said of which model."""

    def __init__(self, knowledge: Knowledge, scale: Scale) -> None:
        self._knowledge = knowledge
        self._scale = scale
        self._known_to: Key | None = None  # who has had the talk so far
        self._told_at = 0  # the newest entry whose losses were looked at
        self._reported: dict[Key, str] = {}  # what was said of each switch
        self._cut_told: set[Key] = set()

    def begin(self, session: Session) -> None:
        """Another session is in front: its last answerer has had all of it."""
        last = session.last_answer
        self._known_to = (last.provider, last.model) if last else None
        self._told_at = session.head

    def anew(self, key: Key) -> None:
        """Say it again for this model: somebody asks."""
        self._reported.pop(key, None)
        self._known_to = None

    def losses(self, session: Session, system: str, key: Key, profile: Profile, hear: Ear) -> None:
        """Before the first request to a model: what it cannot take of all that was said; after
        that, of the newest message only."""
        terms = self._knowledge.terms(key[0])
        newest = next(((n, e) for n, e in session.back() if isinstance(e, Spoken)), None)
        if newest is None:
            return
        if key != self._known_to:
            used, exact = self._scale.used(session, system, key)
            room = switching.Room(used, profile.room or 0, exact)
            lost = switching.losses(shown(session), key[0], profile, terms, room)
            text = switching.report("/".join(key), lost)
            again = text == self._reported.get(key)
            self._reported[key] = text
        else:
            lost = switching.media([newest[1]], profile, terms)
            text = switching.report("/".join(key), lost)
            again = newest[0] <= self._told_at
        self._known_to, self._told_at = key, newest[0]
        if text and not again:
            grave = any(loss.grave for loss in lost)
            hear(Notice(text, Level.WARNING if grave else Level.INFO))

    def was_cut(self, session: Session, asked: Asked, reported: int, hear: Ear) -> bool:
        """Whether a local server's report is not of the whole prompt: it has left out some of it
        without saying so (that is said once), or counts only what was new to it."""
        terms = self._knowledge.terms(asked.provider)
        fixed = self._scale.fixed(asked.request.system, asked.request.tools, asked.model)
        whole = self._scale.bettered(asked.key, fixed, asked.own_count - fixed)
        if not terms.local or not switching.looks_cut(whole, reported, known=True):
            return False
        sent, exact, known = self._scale.sent(asked.request)
        fits = switching.counts_news_only(reported, switching.news(shown(session)))
        if fits:
            self._scale.distrust(asked.entry_id)  # nothing was cut, but neither is it the whole
            return True
        if not switching.looks_cut(sent, reported, known=known):
            return False
        self._scale.distrust(asked.entry_id)
        if asked.key not in self._cut_told:
            self._cut_told.add(asked.key)
            text = switching.cut_notice(asked.who, sent, reported, terms, exact=exact)
            hear(Notice(text, Level.WARNING))
        return True
