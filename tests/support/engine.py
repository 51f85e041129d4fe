"""A conversation with nothing real in it: a keeper that remembers, a provider that plays deltas."""

from __future__ import annotations

import asyncio
import hashlib

from chinwag.engine.conversation import Conversation, Defaults
from chinwag.errors import ConfigError
from chinwag.providers.base import Profile, at_once
from chinwag.stores.base import Stored
from chinwag.talk.delta import Ended, Stop, TextDelta
from chinwag.talk.session import Header


class ListKeeper:
    """Keeps entries in lists; can be told to refuse."""

    def __init__(self):
        self.sessions = self.lasting = {}
        self.births = {}
        self.parts = {}
        self.blobs = {}
        self.log = []
        self.refusing = False
        self.locked = set()

    def append(self, birth, entries, at, headline):
        kept = self.sessions.setdefault(birth.id, [])
        assert len(kept) == at, "the engine lost count"
        kept.extend(entries)
        self.births[birth.id] = birth
        self.log.append(("append", birth.id, len(entries)))

    def opened(self, session_id, through):
        assert len(self.sessions[session_id]) == through

    def forget(self, session_id):
        self.log.append(("forget", session_id))

    async def safe(self, session_id, through, timeout):
        self.log.append(("safe", session_id, through))
        await asyncio.sleep(0)
        return not self.refusing

    def saved_through(self, session_id):
        return 0 if self.refusing else len(self.sessions.get(session_id, ()))

    def part_begin(self, session_id, head):
        self.parts[session_id] = [head]
        self.log.append(("part", session_id, head.n))

    def part_add(self, session_id, delta):
        self.parts[session_id].append(delta)

    def part_end(self, session_id):
        self.parts.pop(session_id, None)

    async def call(self, fn):
        return fn(self)

    async def look(self, fn):
        return fn(self)

    @property
    def private(self):
        return self.sessions is not self.lasting

    def hide(self):
        self.sessions = {}

    def reveal(self):
        self.sessions = self.lasting

    async def erase(self, session_id):
        self.lasting.pop(session_id, None)

    def kick(self):
        self.log.append(("kick",))

    # what a store would do, for `call`
    def lock(self, session_id):
        self.locked.add(session_id)

    def unlock(self, session_id):
        self.locked.discard(session_id)

    def read(self, session_id):
        return Stored(self.births[session_id], tuple(self.sessions[session_id]))

    def header(self, session_id):
        entries = self.sessions[session_id]
        return Header(session_id, self.births[session_id].created, entries=len(entries))

    def span(self, session_id, after, upto=None):
        self.log.append(("span", session_id, after))
        entries = self.sessions[session_id]
        return tuple(entries[after:upto]), len(entries)

    notices = ()

    def delete(self, session_id):
        del self.sessions[session_id]

    def put_blob(self, data):
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        return digest


class Player:
    """Plays one list per request: deltas, floats (pauses), exceptions. Records requests."""

    def __init__(self, *answers, name="lab", profile=None):
        self.name = name
        self.answers = list(answers)
        self.requests = []
        self.closed = 0
        self._profile = profile or Profile()

    async def stream(self, request, leave=at_once):
        await leave()
        self.requests.append(request)
        script = self.answers.pop(0) if self.answers else [TextDelta("ok"), Ended(Stop.END)]
        try:
            for step in script:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, BaseException):
                    raise step
                else:
                    yield step
        finally:
            self.closed += 1

    async def models(self):
        return []

    async def profile(self, model):
        return self._profile

    async def aclose(self):
        pass


class Shelf:
    def __init__(self, *players):
        self.players = {p.name: p for p in players}

    def provider(self, name):
        if name not in self.players:
            raise ConfigError(f"no provider {name}")
        return self.players[name]

    def find(self, text):
        provider, _, model = text.partition("/")
        return provider, model


class WordMeter:
    """One token a word; exact for models whose name begins with "exact"."""

    def __init__(self):
        self.learnt = []

    def count(self, text, model):
        return len(text.split()), "words" if model.startswith("exact") else ""

    def learn(self, model, estimated, reported):
        self.learnt.append((model, estimated, reported))

    def corrected(self, model, estimated):
        return estimated


async def once(opener, on_wait):
    """No retries."""
    async for delta in opener():
        yield delta


def conversation(*players, keeper=None, knowledge=None, fallback=(), rules=None, **defaults):
    players = players or (Player(),)
    plain = {"provider": players[0].name, "model": "exact-1", "system": "Be kind."}
    return Conversation(
        directory=Shelf(*players),
        keeper=keeper or ListKeeper(),
        meter=WordMeter(),
        defaults=Defaults(**{**plain, **defaults}),
        retrying=once,
        knowledge=knowledge,
        fallback=fallback,
        rules=rules,
    )
