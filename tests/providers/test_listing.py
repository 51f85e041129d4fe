"""Lists of models: asked once a day, kept by address, never kept of this machine, truly told."""

import asyncio

import pytest

from chinwag.errors import Unreachable
from chinwag.providers import listing
from chinwag.providers.base import ModelInfo, Profile
from chinwag.providers.listing import FRESH, Listing

FAR = {"one": "https://one.example/v1", "two": "https://two.example/v1"}


class Server:
    """A provider that lists ``names``, fails with a sentence, or (None) never answers."""

    def __init__(self, name, names):
        self.name, self.names, self.times = name, names, 0

    async def models(self):
        self.times += 1
        if self.names is None:
            await asyncio.sleep(60)
        if isinstance(self.names, str):
            raise Unreachable(self.names)
        return [ModelInfo(self.name, n, Profile(window=9)) for n in self.names]


class World:
    def __init__(self, **names):
        self.servers = {n: Server(n, listed) for n, listed in names.items()}
        self.learnt, self.file, self.now, self.here = {}, b"", 1000.0, set()

    def provider(self, name):
        return self.servers[name]

    def learn(self, name, models):
        self.learnt[name] = list(models)

    async def find(self, addresses=FAR, **more):
        made = Listing(
            self,
            load=lambda: self.file,
            save=lambda data: setattr(self, "file", data),
            is_here=lambda name: name in self.here,
            clock=lambda: self.now,
        )
        found = await made.find(addresses, **more)
        return [f"{m.provider}/{m.name}" for m in found.models], found

    def times(self):
        return [server.times for server in self.servers.values()]


async def test_a_list_stands_for_its_server_for_a_day():
    world = World(one=["a", "b"], two=["c"])
    names, found = await world.find()
    assert names == ["one/a", "one/b", "two/c"]
    assert not found.kept
    world.servers["one"].names = ["new"]
    world.now += FRESH - 1
    names, found = await world.find()
    assert names == ["one/a", "one/b", "two/c"]
    assert found.models[0].profile == Profile(window=9)
    assert found.kept == {"one": 1000.0, "two": 1000.0}
    assert world.times() == [1, 1]
    assert world.learnt == {"one": ["a", "b"], "two": ["c"]}
    world.now += 1
    names, found = await world.find()
    assert names == ["one/new", "two/c"]
    assert not found.kept


async def test_anew_asks_everybody_and_keeps_what_was_said():
    world = World(one=["a"], two=["c"])
    await world.find()
    world.servers["one"].names = ["new"]
    assert (await world.find(anew=True))[0] == ["one/new", "two/c"]
    assert (await world.find())[0] == ["one/new", "two/c"]
    assert world.times() == [2, 2]


async def test_offline_the_last_list_is_shown_as_what_it_is():
    world = World(one=["a"], two=["c"])
    await world.find()
    world.servers["one"].names = "no network"
    names, found = await world.find(anew=True)
    assert names == ["one/a", "two/c"]
    assert found.kept == {"one": 1000.0}
    assert found.silent == {"one": "no network"}


async def test_who_is_slow_is_left_out(monkeypatch):
    monkeypatch.setattr(listing, "PATIENCE", 0.05)
    names, found = await World(one=None, two=["c"]).find()
    assert names == ["two/c"]
    assert "0.05 s" in found.silent["one"]
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_another_address_is_another_server():
    world = World(one=["a"], two=["c"])
    await world.find()
    world.servers["one"].names = "gone"
    names, _ = await world.find({**FAR, "one": "https://elsewhere.example/v1"})
    assert names == ["two/c"]


async def test_this_machine_is_always_asked_and_never_remembered():
    world = World(one=["a"], two=["c"])
    world.here = {"one"}
    await world.find()
    world.servers["one"].names = []
    names, found = await world.find()
    assert names == ["two/c"]
    assert found.kept.keys() == {"two"}
    assert world.times() == [2, 1]


async def test_a_clock_set_back_is_not_trusted():
    world = World(one=["a"], two=["c"])
    await world.find()
    world.now -= 10
    await world.find()
    assert world.times() == [2, 2]


@pytest.mark.parametrize("file", [b"", b"{", b"[]", b'{"one": 3}', b"\xff"])
async def test_what_cannot_be_read_is_not_there(file):
    world = World(one=["a"], two=["c"])
    world.file = file
    assert (await world.find())[0] == ["one/a", "two/c"]


async def test_an_empty_list_is_not_kept():
    world = World(one=[], two=["c"])
    await world.find()
    await world.find()
    assert world.times() == [2, 1]


async def test_nobody_to_ask():
    assert (await World().find({}))[0] == []
