"""A bench with nothing real on it: sessions in memory, two players, files in a dictionary."""

from __future__ import annotations

import pytest

from chinwag.commands.bench import Bench
from chinwag.commands.builtin import TABLE
from chinwag.commands.parse import Called, parse
from chinwag.errors import KeyMissing, ModelUnknown
from chinwag.providers.base import ModelInfo, Profile
from chinwag.stores.memory import MemoryStore
from chinwag.talk.event import CopyAsked, DraftOffered, Listed, Notice, Offered, Page
from support.engine import ListKeeper, Player, Shelf, conversation


class StoreKeeper(ListKeeper):
    """Hands everything to a real store at once."""

    def __init__(self):
        super().__init__()
        self._stores = {private: MemoryStore() for private in (False, True)}

    @property
    def store(self):
        return self._stores[self.private]

    def append(self, birth, entries, at, headline):
        super().append(birth, entries, at, headline)
        self.store.append(birth, entries, at=at, headline=headline)

    def hide(self):
        super().hide()
        self._stores[True] = MemoryStore()

    async def call(self, fn):
        return fn(self.store)

    def opened(self, session_id, through):
        """What was imported went into the store itself."""
        stored = self.store.read(session_id)
        self.sessions[session_id] = list(stored.entries)
        self.births[session_id] = stored.birth
        super().opened(session_id, through)


class Rows(Shelf):
    """A directory: models are known as `lab/…`, `cloud/…`, and one alias."""

    @property
    def names(self):
        return tuple(self.players)

    def find(self, text):
        if text == "fast":
            return "cloud", "quick"
        if text in self.players:
            return text, "exact-1" if text == "lab" else "quick"
        provider, _, model = text.partition("/")
        if provider not in self.players or not model:
            raise ModelUnknown(f"no model is known as {text}", near=("lab/exact-1",))
        return provider, model


class Drawer:
    """Files in a dictionary."""

    def __init__(self):
        self.files = {}

    async def write_text(self, path, text, *, overwrite):
        if path in self.files and not overwrite:
            raise FileExistsError(17, "File exists")
        if path.startswith("/ro/"):
            raise PermissionError(13, "Permission denied")
        self.files[path] = text
        return f"/here/{path}"

    async def read_text(self, path, limit):
        if path not in self.files:
            raise FileNotFoundError(2, "No such file or directory")
        if len(self.files[path]) > limit:
            raise ValueError(f"larger than {limit} bytes")
        return self.files[path]

    async def read_bytes(self, path, limit):
        data = await self.read_text(path, limit) if path in self.files else None
        if data is None:
            raise FileNotFoundError(2, "No such file or directory")
        return data if isinstance(data, bytes) else data.encode()


class Place:
    """A bench and what was heard at it; ``await place("/undo")`` types a line."""

    def __init__(self, *lab_answers):
        self.lab = Player(*lab_answers, name="lab")
        self.cloud = Player(name="cloud", profile=Profile(window=20))
        self.keeper = StoreKeeper()
        self.talk = conversation(self.lab, self.cloud, keeper=self.keeper)
        self.talk._directory = Rows(self.lab, self.cloud)
        self.files = Drawer()
        self.keyless = set()
        self.heard = []
        self.bench = Bench(
            conversation=self.talk,
            keeper=self.keeper,
            directory=self.talk._directory,
            models=self._models,
            files=self.files,
            keys=lambda: [("send", "Enter"), ("quit", "Ctrl+D | Ctrl+C twice")],
            data_dir="/data/dir",
            state_dir="/state/dir",
            config_path="/config/config.toml",
            problem=self._problem,
        )

    async def _models(self):
        return [
            ModelInfo("lab", "exact-1"),
            ModelInfo("cloud", "quick", Profile(window=20), "swift"),
        ]

    async def _problem(self, name):
        if name in self.keyless:
            return KeyMissing(
                f"there is no key for {name}", hint=f"export {name.upper()}_API_KEY=…"
            )
        return None

    async def __call__(self, line):
        self.heard.clear()
        parsed = parse(line)
        if isinstance(parsed, Called):
            await TABLE.perform(parsed, self.bench, self.heard.append)
        else:
            await self.talk.say(parsed.text, self.heard.append)
        return self

    def of(self, kind):
        return [e for e in self.heard if isinstance(e, kind)]

    @property
    def told(self):
        return "\n".join(e.text for e in self.of(Notice))

    @property
    def page(self):
        (page,) = self.of(Page)
        return f"{page.title}\n{page.text}"

    @property
    def draft(self):
        return [e.text for e in self.of(DraftOffered)]

    @property
    def copied(self):
        (copy,) = self.of(CopyAsked)
        return copy.text

    @property
    def offered(self):
        (offered,) = self.of(Offered)
        return {c.label: c for c in offered.choices}

    @property
    def listed(self):
        (listed,) = self.of(Listed)
        return [h.headline.title for h in listed.headers]

    @property
    def words(self):
        """What has been said, as texts."""
        return [e.text for _, e in self.talk.session.said()]


@pytest.fixture
def place():
    return Place()
