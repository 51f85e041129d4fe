"""/load of files, /search and /store: what comes from elsewhere, and goes there."""

from __future__ import annotations

import json

import msgspec
import pytest

from chinwag.commands.finding import caught_up
from chinwag.errors import (
    CommandError,
    SessionNotFound,
    StoreUnavailable,
    UsageError,
    UsageWrong,
)
from chinwag.stores.files import FileStore
from chinwag.stores.memory import MemoryStore
from chinwag.stores.search import Index
from chinwag.talk.entry import UserSaid, new_id
from chinwag.talk.event import Listed, Opened
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Headline, new_session_id


@pytest.fixture
def kept(place, tmp_path):
    """The place, its store one that lasts as far as the index knows, and another store to go to."""
    place.keeper.store.lasting = True
    place.keeper.store.url = "file:/here"
    place.elsewhere = MemoryStore()
    place.elsewhere.close = lambda: None
    place.bench = msgspec.structs.replace(
        place.bench,
        index_path=str(tmp_path / "index.sqlite"),
        other_store=lambda _: place.elsewhere,
    )
    return place


def messages(*texts):
    roles = ("user", "assistant")
    said = [{"role": roles[n % 2], "content": text} for n, text in enumerate(texts)]
    return {"messages": said}


async def refused(place, line, kind=CommandError):
    with pytest.raises(kind) as caught:
        await place(line)
    return caught.value


async def test_a_file_that_was_imported_before_opens_what_became_of_it(place):
    place.files.files["m.json"] = json.dumps(messages("hello there", "yes?"))
    await place("/load m.json")
    first = place.talk.session.id
    assert "read 2 messages" in place.told
    await place("go on")
    await place("/new")
    await place("/load m.json")
    assert place.talk.session.id == first
    assert "was imported before" in place.told
    assert place.words[-1] == "ok"
    await place("/load m.json --again")
    assert place.talk.session.id != first
    assert place.words == ["hello there", "yes?"]


async def test_a_file_of_several_is_imported_and_offered(place):
    two = "\n".join(json.dumps(messages(text)) for text in ("first", "second"))
    place.files.files["two.jsonl"] = two + '\n{"messages": 3}'
    before = place.talk.session.id
    await place("/load two.jsonl")
    assert sorted(place.listed) == ["first", "second"]
    assert place.talk.session.id == before
    assert "line 3 was skipped" in place.told
    await place("/load second")
    assert place.words == ["second"]


async def test_a_message_is_opened_by_its_number(place):
    await place("two days in lisbon")
    name = place.talk.session.id
    await place("/new")
    await place(f"/load {name}#2")
    assert place.of(Opened)[-1].at == 2
    await place("/load two-days#3")
    assert place.of(Opened)[-1].at == 3
    await place("/load two-days")
    assert place.of(Opened)[-1].at == 0
    await place("/load two-days#99")
    assert "another branch" in place.told
    await refused(place, "/load nothing#3", SessionNotFound)


async def test_search_offers_messages_and_lands_on_them(kept):
    await refused(kept, "/search", UsageWrong)
    await kept("where is the harbour lamp")
    name = kept.talk.session.id
    n = len(kept.talk.session) - 1
    await kept("/new")
    await kept("something else")
    await kept("/search harbour")
    (choice,) = kept.offered.values()
    assert choice.line == f"/load {name}#{n}"
    assert "harbour lamp" in choice.detail
    await kept(choice.line)
    assert kept.talk.session.id == name
    assert kept.of(Opened)[-1].at == n
    await kept('/search "lamp harbour"')
    assert "in no kept session" in kept.told
    await kept("/search zebra")
    assert "in no kept session" in kept.told


async def test_search_of_what_is_only_in_memory_leaves_no_trace(kept, tmp_path):
    kept.keeper.store.lasting = False
    await kept("the harbour lamp")
    await kept("/search lamp")
    assert len(kept.offered) == 1
    assert not list(tmp_path.iterdir())


async def test_store_shows_where_and_takes_a_copy(kept):
    await kept("/store")
    assert "file:/here" in kept.told
    await refused(kept, "/store sqlite:x")
    await kept("two days in lisbon")
    session = kept.talk.session
    await kept("/store sqlite:x")
    assert "checked" in kept.told
    assert "--resume two-days-in-lisbon" in kept.told
    assert kept.elsewhere.read(session.id).entries == tuple(session.entries)
    assert kept.talk.session.id == session.id
    await kept("/store sqlite:x")
    assert "already" in kept.told


async def test_store_shows_where_even_when_nothing_answers_there(kept):
    def away():
        raise StoreUnavailable("db:6379 cannot be reached", hint="is it running there?")

    kept.keeper.store.headers = away
    kept.keeper.store.url = "redis://db:6379/0"
    await kept("/store")
    assert "kept in redis://db:6379/0" in kept.told
    assert "db:6379 cannot be reached" in kept.told


async def test_store_moves_and_leaves_it_in_the_trash(kept):
    await kept("two days in lisbon")
    name = kept.talk.session.id
    await kept("/store sqlite:x --move")
    assert kept.talk.session.id != name
    assert kept.keeper.store.headers() == []
    assert [t.header.id for t in kept.keeper.store.trashed()] == [name]
    assert kept.elsewhere.header(name)


async def test_store_says_what_it_cannot(kept):
    await kept("one")
    kept.keeper.refusing = True
    assert "/save" in (await refused(kept, "/store sqlite:x")).hint
    await refused(kept, "/store a b", UsageWrong)
    kept.bench = msgspec.structs.replace(kept.bench, private=True)
    await refused(kept, "/store sqlite:x")


async def test_an_unnamed_bench_opens_no_other_store(place):
    await place("one")
    await refused(place, "/store sqlite:x", UsageError)


async def test_listed_sessions_are_those_that_came(place):
    place.files.files["two.jsonl"] = "\n".join(json.dumps(messages(t)) for t in "ab")
    await place("/load two.jsonl")
    assert len(place.of(Listed)) == 1


async def test_the_index_catches_up_in_quiet_moments_and_where_it_may(place, tmp_path):
    quiet, path = [], tmp_path / "index.sqlite"
    with FileStore(tmp_path) as store:
        for word in ("harbour", "lamp"):
            born = Birth(id=new_session_id(), created="2026-11-20T09:00:00.000Z")
            store.append(
                born, [UserSaid(id=new_id(), parts=(Text(word),))], at=0, headline=Headline()
            )
        place.keeper.call = lambda work: _at_once(work(store))

        async def moment():
            quiet.append(path.exists())

        bench = msgspec.structs.replace(place.bench, index_path=str(path), private=True)
        await caught_up(bench, moment)
        assert (quiet, path.exists()) == ([], False)
        await caught_up(msgspec.structs.replace(bench, private=False), moment)
        assert quiet[0] is False
        with Index(path) as index:
            found = index.search("lamp")
        assert (len(found.hits), found.missing) == (1, 0)


async def _at_once(value):
    return value
