"""Sessions of a program: kept, found, opened, moved, thrown away; in every kind of store."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from chinwag import (
    Chat,
    ConfigError,
    Message,
    SessionConflict,
    SessionLocked,
    SessionNotFound,
    StoreUnavailable,
    UsageError,
    open_store,
)
from chinwag.frontends.face import keeping
from support import redis
from support.chats import own_threads, scripted, until


@pytest.fixture(autouse=True)
def nothing_stays():
    keeping._shared.clear()
    yield
    keeping._shared.clear()
    gc.collect()
    assert until(lambda: not own_threads()), own_threads()


REDIS = pytest.param(
    "redis",
    marks=[
        pytest.mark.server,
        pytest.mark.skipif(redis.may_skip(), reason=redis.missing() or "-"),
    ],
)


@pytest.fixture(params=["file", "sqlite", "memory", REDIS])
def url(request, tmp_path):
    if request.param == "redis":
        folder = tmp_path / "redis"
        folder.mkdir()
        with redis.Server(folder) as server:
            yield server.url
        return
    yield {
        "file": f"file:{tmp_path}/folder",
        "sqlite": f"sqlite:{tmp_path}/s.db",
        "memory": "memory:",
    }[request.param]


def opened(url, *answers, **settings):
    return open_store(url, "script", provider=scripted(*answers), **settings)


def test_a_session_is_found_again_by_its_name(url):
    with Chat("s/x", provider=scripted("a", name="s"), store=url, session="user-123") as chat:
        assert (chat.resumed, chat.title) == (False, "user-123")
        chat.send("My name is Ana.")
        chat.tag(user="123")
    with Chat("s/x", provider=scripted("b", name="s"), store=url, session="user-123") as again:
        assert again.resumed
        assert again.id == chat.id
        assert again.messages == chat.messages
        assert again.metadata == {"user": "123"}
        again.send("Who am I?")
    who = scripted("c", name="s")
    with Chat("s/x", provider=who, store=url, session=chat.id) as third:
        third.send("And now?")
        assert third.count == 6
    assert who.requests[0].messages[0].text == "My name is Ana."


def test_what_was_sent_is_kept_when_send_returns(url):
    with opened(url) as store:
        chat = store.create("trip")
        assert "trip" not in store
        chat.send("hi")
        assert [h.headline.messages for h in store.sessions()] == [2]
        assert [m.role for m in _said(store, "trip")] == ["user", "assistant"]


def _said(store, name):
    from chinwag.frontends.face.views import messages

    return messages(store.read(name), "")


def test_a_manager_of_sessions(url):
    with opened(url, system="Be kind.") as store:
        assert (store.sessions(), len(store), bool(store)) == ([], 0, True)
        for name in ("Lisbon trip", "Porto trip", "Taxes"):
            store.create(name).send(f"about {name}")
        assert len(store) == 3
        assert {h.name for h in store} == {"lisbon-trip", "porto-trip", "taxes"}
        assert "taxes" in store
        assert "nothing" not in store
        assert 5 not in store
        assert store.open("taxes") is store.open("Taxes")
        assert store.get("nothing") is None
        assert store.open("lisbon").system == "Be kind."
        with pytest.raises(SessionNotFound) as raised:
            store.open("taxi")
        assert "taxes" in raised.value.near
        with pytest.raises(SessionConflict, match="already"):
            store.create("taxes")
        assert store.rename("taxes", "Tax  return").headline.title == "Tax return"
        assert store.open("tax-return").title == "Tax return"
        store.open("tax-return").close()
        assert store.rename("tax-return", "Taxes").name == "taxes"
        with pytest.raises(UsageError, match="needs a title"):
            store.rename("taxes", " ")


def test_search(url):
    with opened(url, "The Tagus flows there.") as store:
        store.create("trip").send("Tell me about Lisbon")
        store.create("taxes").send("What do I owe?")
        hits = store.search("lisbon")
        assert [(h.role, h.title) for h in hits] == [("user", "trip")]
        assert len(store.search("tagus")) == 2
        assert store.search("nowhere") == []
        store.open("taxes").send("I was in Lisbon, too")
        assert len(store.search("lisbon")) == 2


def test_deleted_and_brought_back(url):
    with opened(url) as store:
        store.create("trip").send("hi")
        store.delete("trip")
        assert store.sessions() == []
        assert [t.header.name for t in store.trashed()] == ["trip"]
        assert store.restore("trip").name == "trip"
        assert store.open("trip").count == 2
        with pytest.raises(SessionNotFound):
            store.delete("nothing")


def test_moved_and_copied(url, tmp_path):
    there = f"sqlite:{tmp_path}/other.db"
    with opened(url) as store:
        for name in ("one", "two"):
            store.create(name).send("hi")
        copied = store.copy_to(there, ["one"])
        assert [m.came for m in copied] == ["copied"]
        assert len(store) == 2
        moved = store.move_to(there)
        assert all(m.gone for m in moved)
        assert len(store) == 0
    with opened(there) as other:
        assert {h.name for h in other} == {"one", "two"}
        assert other.open("two").send("again").text == "Hello there."


def test_one_writer_at_a_time(tmp_path):
    url = f"file:{tmp_path}"
    with opened(url) as store:
        chat = store.create("trip")
        chat.send("hi")
        with pytest.raises(SessionLocked) as raised:
            Chat(provider=scripted(), model="s", store=url, session="trip")
        assert raised.value.owner
        with opened(url) as other, pytest.raises(SessionLocked):
            other.rename("trip", "mine")


def test_a_fork_is_kept_beside_its_parent(url):
    with opened(url) as store:
        chat = store.create("trip")
        chat.send("hi")
        with chat.fork("other way") as fork:
            fork.send("more")
        assert {h.name: h.headline.messages for h in store} == {"trip": 2, "other-way": 4}


def test_a_named_session_is_kept_where_the_program_keeps_its_own(own_world):
    with Chat(provider=scripted(), model="s", session="user-123") as chat:
        chat.send("hi")
    with open_store() as store:
        assert [h.name for h in store] == ["user-123"]
    found = list(Path(own_world).rglob(f"{chat.id}*"))
    assert found


def test_a_talk_without_a_name_is_kept_nowhere(own_world):
    with Chat(provider=scripted(), model="s") as chat:
        chat.send("hi")
    assert not Path(own_world).exists()


def test_loaded_into_a_store(url, tmp_path):
    path = tmp_path / "t.json"
    with Chat(provider=scripted(), model="s") as chat:
        chat.send("hi")
        chat.save(path)
    with Chat.load(path, provider=scripted(), store=url) as loaded:
        loaded.send("more")
        assert loaded.id == chat.id
    with Chat.load(path, provider=scripted(), store=url) as twice:
        assert twice.id != chat.id  # what was gone on with there is not written over
        assert twice.session.birth.parent == chat.id
    with opened(url) as store:
        assert sorted(h.headline.messages for h in store) == [2, 4]


def test_used_from_any_thread(url):
    with opened(url) as store:
        store.create("trip").send("hi")
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(len(store.sessions()))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [1] * 8


def test_a_closed_store_says_so(url):
    store = opened(url)
    chat = store.create("trip")
    chat.send("hi")
    store.close()
    store.close()
    assert chat.closed
    with pytest.raises(UsageError, match="closed"):
        store.sessions()
    assert "Store" in repr(store)


def test_a_store_that_cannot_be_written(tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    chat = Chat(provider=scripted(), model="s", store=f"file:{blocked}/in", title="x")
    reply = chat.send("hi")
    assert reply.text == "Hello there."  # the answer is here all the same
    assert any("saved" in notice for notice in reply.notices)
    chat.save(tmp_path / "rescued.json")
    with pytest.raises(StoreUnavailable, match="could not be saved"):
        chat.close()
    with Chat.load(tmp_path / "rescued.json", provider=scripted()) as again:
        assert again.count == 2


def test_a_store_there_is_not():
    with pytest.raises(ConfigError):
        open_store("ftp://x")
    with pytest.raises(ConfigError):
        Chat(provider=scripted(), model="s", store="floppy:a")
    assert Message.user("x").text == "x"
