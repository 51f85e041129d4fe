"""Warm state: kept, read back, verified; and whatever is wrong, the talk goes on."""

from __future__ import annotations

import asyncio
import json

import pytest

from chinwag.engine.snapshots import InMemory, Snapshot, left_behind, offered
from chinwag.errors import ProviderError, UsageError
from chinwag.providers.base import WarmLevel, Warmth
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.llamacpp import LlamaCpp
from chinwag.providers.dialects.openai import OpenAI
from chinwag.providers.http import HttpProvider
from chinwag.stores.warmth import WarmFolder
from chinwag.talk.event import Level, Notice
from chinwag.talk.message import Image
from support.engine import Player, conversation
from support.slots import Slots

LONG = "tell me of the sea and of the ships and of the storms " * 5


@pytest.fixture
def slots():
    with Slots() as running:
        yield running


class Talks:
    """Conversations with that server, closed in the end; they share their records."""

    def __init__(self, slots):
        self.slots = slots
        self.kept = InMemory()
        self.heard = []
        self._providers = []

    def provider(self, dialect=None, name="here"):
        endpoint = Endpoint(name=name, base_url=self.slots.url)
        self._providers.append(HttpProvider(endpoint, dialect or LlamaCpp()))
        return self._providers[-1]

    def talk(self, session=None, dialect=None, model="tiny"):
        made = conversation(self.provider(dialect), model=model)
        made._snapshots = lambda: self.kept
        if session is not None:  # as another program, which has read it
            made.session = session
        return made

    def notices(self):
        return [e for e in self.heard if isinstance(e, Notice)]

    async def aclose(self):
        for provider in self._providers:
            await provider.aclose()


@pytest.fixture
async def talks(slots):
    made = Talks(slots)
    yield made
    await made.aclose()


async def saved(talks, text=LONG):
    """A talk with one answer, saved by a program that has ended; the server was restarted."""
    talk = talks.talk()
    await talk.say(text, talks.heard.append)
    done = await talk.warm.save()
    assert done.warmth is not None
    talks.slots.restart()
    return talk.session


def record_of(talks, session):
    return json.loads(talks.kept.load(session.id))


# -- kept and read back ---------------------------------------------------------------------------


async def test_what_was_saved_is_reused_by_the_next_program(talks, slots):
    session = await saved(talks)
    later = talks.talk(session)
    done = await later.warm.restore()
    assert done.warmth == Warmth(WarmLevel.SNAPSHOT, 72, 72040, 250.0, 0)
    assert "72 tokens read back in 0.2 s" in done.said
    await later.say("and then", talks.heard.append)
    told = [n.text for n in talks.notices()]
    assert len(told) == 1
    assert told[0].startswith("resumed: 72 of 72 tokens reused, 3 read anew")
    await later.say("and now", talks.heard.append)
    assert len(talks.notices()) == 1  # said once
    assert record_of(talks, session)["cached"] == 72


async def test_a_talk_goes_on_in_its_slot_and_others_do_not(talks, slots):
    one, other = talks.talk(), talks.talk()
    await one.say(LONG, talks.heard.append)
    await other.say("hi", talks.heard.append)
    assert all("id_slot" not in body for body in slots.bodies)
    await one.warm.save()
    await one.say("more", talks.heard.append)
    await other.say("more", talks.heard.append)
    asked = [(body.get("id_slot"), body.get("cache_prompt")) for body in slots.bodies[2:]]
    assert asked == [(1, True), (1, True), (None, None)]  # read in, gone on; the other anywhere


async def test_a_slot_of_ones_own_choice_stays(talks, slots):
    talk = talks.talk()
    talk.overrides = {"id_slot": 1}
    await talk.say(LONG, talks.heard.append)
    done = await talk.warm.save()
    assert done.warmth.slot == 1
    assert slots.paths("save") == ["/slots/1?action=save"]
    talk.overrides = {"id_slot": 0}
    await talk.say("more", talks.heard.append)
    assert slots.bodies[-1]["id_slot"] == 0


async def test_another_model_is_not_sent_to_the_slot(talks, slots):
    talk = talks.talk()
    await talk.say(LONG, talks.heard.append)
    await talk.warm.save()
    talk.choose("here", "big", talks.heard.append)
    await talk.say("and you?", talks.heard.append)
    assert "id_slot" not in slots.bodies[-1]
    assert "the talk goes on in" not in dict(await talk.warm.status())


async def test_what_the_model_can_see_is_asked_before_it_is_compared(talks, slots):
    """Else a picture, named in words to one that is blind, would make two different talks of it."""
    talk = talks.talk()
    await talk.say(LONG, talks.heard.append, parts=(Image(mime="image/png", data="aGk="),))
    await talks.talk(talk.session).warm.save()
    slots.restart()
    assert (await talks.talk(talk.session).warm.restore()).warmth is not None


async def test_saving_again_writes_the_same_file_and_leaves_no_word_in_names_or_records(
    talks, slots
):
    talk = talks.talk()
    await talk.say("secret " + LONG, talks.heard.append)
    await talk.warm.save()
    before = record_of(talks, talk.session)
    await talk.say("secret too", talks.heard.append)
    await talk.warm.save()
    assert list(slots.files) == [before["file"]]
    assert before["file"].startswith(talk.session.id)
    record = talks.kept.load(talk.session.id)
    assert b"secret" not in record
    assert b"127.0.0.1" not in record
    assert record_of(talks, talk.session)["tokens"] > before["tokens"]


async def test_a_fork_reads_its_parents_snapshot_into_a_slot_and_keeps_its_own(talks, slots):
    session = await saved(talks)
    later = talks.talk(session)
    later._on_disk = 0
    await later.fork(talks.heard.append)
    done = await later.warm.restore()
    assert done.warmth is not None
    assert dict(await later.warm.status())["saved"].endswith("of the session this is a copy of")
    await later.say("another way", talks.heard.append)
    assert "72 of 72 tokens reused" in talks.notices()[-1].text
    await asyncio.sleep(0.05)
    assert "cached" not in record_of(talks, session)  # the parent's own record is its own
    await later.warm.save()
    assert len(slots.files) == 2
    assert len(slots.files[record_of(talks, session)["file"]]) == 72


# -- whatever is wrong is said, and the talk is read anew ------------------------------------------


def _another_build(talks, talk):
    talks.slots.build = "b2"


def _lost_file(talks, talk):
    talks.slots.files.clear()


def _emptied_file(talks, talk):
    for held in talks.slots.files.values():
        held.clear()


def _no_saving(talks, talk):
    talks.slots.saves = False


def _other_model(talks, talk):
    talk.choose("here", "big", talks.heard.append)


def _other_system(talks, talk):
    talk.set_system("Be cruel.", talks.heard.append)


def _undone(talks, talk):
    talk.undo(1, talks.heard.append)


async def _said_otherwise(talks, talk):
    talk.undo(1, talks.heard.append)
    await talk.say("something else", talks.heard.append)


def _other_address(talks, talk):
    record = json.loads(talks.kept.load(talk.session.id))
    talks.kept.keep(talk.session.id, json.dumps(record | {"address": "elsewhere"}).encode())


def _damaged_record(talks, talk):
    talks.kept.keep(talk.session.id, b'{"session": ')


def _foreign_record(talks, talk):
    record = json.loads(talks.kept.load(talk.session.id))
    talks.kept.keep(talk.session.id, json.dumps(record | {"session": "x"}).encode())


@pytest.mark.parametrize(
    ("break_it", "words"),
    [
        (_another_build, "another model, build, window or template"),
        (_lost_file, "Unable to restore slot"),
        (_emptied_file, "empty"),
        (_no_saving, "slots action"),
        (_other_model, "it is one of here/tiny"),
        (_other_system, "have changed since"),
        (_undone, "nothing to answer"),
        (_said_otherwise, "have changed since"),
        (_other_address, "another address"),
        (_damaged_record, "nothing was saved"),
        (_foreign_record, "nothing was saved"),
    ],
)
async def test_a_mismatch_is_words_and_the_talk_goes_on(talks, slots, break_it, words):
    later = talks.talk(await saved(talks))
    if (more := break_it(talks, later)) is not None:
        await more
    done = await later.warm.restore()
    assert done.warmth is None
    assert words in done.said
    assert "nothing is lost" in done.said
    await later.say("still here?", talks.heard.append)
    assert later.session.last_answer.text == "very well"
    assert "id_slot" not in slots.bodies[-1]
    assert not [n for n in talks.notices() if "reused" in n.text]


async def test_a_restore_that_brings_nothing_is_warned_of_once_and_not_tried_again(talks, slots):
    slots.reuses = False
    session = await saved(talks)
    later = talks.talk(session)
    assert (await later.warm.restore()).warmth is not None  # the server says that it did
    await later.say("and then", talks.heard.append)
    await later.say("and now", talks.heard.append)
    warned = [n for n in talks.notices() if n.level is Level.WARNING]
    assert len(warned) == 1
    assert "read 72 tokens back, but reused 0" in warned[0].text
    await asyncio.sleep(0.05)  # the record is written aside
    again = talks.talk(later.session)  # another program knows it from the record
    assert "0 of 72 tokens were reused" in (await again.warm.restore()).said
    for talk in (later, again):
        with pytest.raises(UsageError, match="does not use what is read back"):
            await talk.warm.save()
    await again.warm.drop()
    assert (await again.warm.save()).warmth is not None


async def test_a_server_that_does_not_count_is_no_failure(talks, slots):
    slots.counts = False
    later = talks.talk(await saved(talks))
    await later.warm.restore()
    await later.say("and then", talks.heard.append)
    assert [n.text for n in talks.notices()] == ["here does not say how much of it was reused"]


async def test_without_a_list_of_slots_the_first_is_taken(talks, slots):
    slots.shows = False
    session = await saved(talks)
    assert record_of(talks, session)["slot"] == 0


# -- save refuses ---------------------------------------------------------------------------------


async def test_a_server_without_a_folder_says_how_to_start_it(talks, slots):
    slots.saves = False
    talk = talks.talk()
    await talk.say(LONG, talks.heard.append)
    with pytest.raises(ProviderError) as raised:
        await talk.warm.save()
    assert "--slot-save-path" in raised.value.hint
    assert not talks.kept.load(talk.session.id)
    await talk.say("go on", talks.heard.append)
    assert "id_slot" not in slots.bodies[-1]  # it is pinned nowhere


async def test_nothing_of_a_private_talk_reaches_the_servers_disk(talks, slots):
    talk = talks.talk()
    await talk.say(LONG, talks.heard.append)
    await talk.go_private()
    with pytest.raises(UsageError, match="private"):
        await talk.warm.save()
    assert not slots.paths("action")
    assert not talks.kept.load(talk.session.id)


async def test_nothing_said_is_nothing_to_keep(talks, slots):
    with pytest.raises(UsageError, match="nothing to keep yet"):
        await talks.talk().warm.save()


async def test_saving_can_be_interrupted(talks, slots):
    talk = talks.talk()
    await talk.say(LONG, talks.heard.append)
    asked = asyncio.Event()
    provider = talk.provider("here")
    plain = provider.ask

    async def slow(call, model="", patience=20.0):
        if "action" in call.path:
            asked.set()
            await asyncio.sleep(60)
        return await plain(call, model, patience)

    provider.ask = slow
    saving = asyncio.ensure_future(talk.warm.save())
    await asyncio.wait_for(asked.wait(), 5)
    assert talk.busy
    assert talk.interrupt()
    assert (await asyncio.wait_for(saving, 5)).said == "stopped"
    assert not talk.busy
    assert not talks.kept.load(talk.session.id)
    await talk.say("go on", talks.heard.append)
    assert "id_slot" not in slots.bodies[-1]


# -- dropped, and erased with the session ---------------------------------------------------------


async def test_dropping_empties_slot_and_file(talks, slots):
    later = talks.talk(await saved(talks))
    await later.warm.restore()
    done = await later.warm.drop()
    assert "gone, here and on the server" in done.said
    assert list(slots.files.values()) == [[]]
    assert slots.held == {0: [], 1: []}
    assert not talks.kept.load(later.session.id)
    assert (await later.warm.drop()).said == "nothing is kept of this talk"


async def test_deleting_the_session_empties_the_file(talks, slots):
    talk = talks.talk()
    await talk.say(LONG, talks.heard.append)
    await talk.warm.save()
    await talk.delete(talk.session.id, talks.heard.append)
    assert list(slots.files.values()) == [[]]
    assert not talks.kept.load(talk.session.id)
    assert talks.notices() == []


async def test_a_file_that_cannot_be_emptied_is_named(talks, slots):
    talk = talks.talk()
    await talk.say(LONG, talks.heard.append)
    await talk.warm.save()
    (name,) = slots.files
    gone = talk.session.id
    told = left_behind(talks.kept.load(gone))
    assert name in told
    slots.saves = False
    await talk.delete(gone, talks.heard.append)
    assert not talks.kept.load(gone)
    (notice,) = talks.notices()
    assert notice.level is Level.WARNING
    assert name in notice.text


# -- what there is --------------------------------------------------------------------------------


async def test_status_says_what_there_is(talks, slots):
    session = await saved(talks)
    later = talks.talk(session)
    rows = dict(await later.warm.status())
    assert rows["model"] == "here/tiny"
    assert "--slot-save-path" in rows["what it keeps"]
    assert rows["it holds"] == f"72 tokens, 0.1 MB, up to #{len(session)}"
    assert (rows["said since"], rows["restore"]) == ("0 entries", "possible")
    assert "the talk goes on in" not in rows
    await later.warm.restore()
    await later.say("and then", talks.heard.append)
    await asyncio.sleep(0.05)
    rows = dict(await later.warm.status())
    assert rows["the talk goes on in"] == "slot 0"
    assert rows["last restore"] == "72 of 72 tokens reused"
    assert rows["reused for the last answer"] == "72 of 75 tokens"
    assert rows["said since"] == "2 entries"


async def test_who_keeps_nothing_says_so(talks, slots):
    hosted = talks.talk(dialect=OpenAI())
    assert hosted.warm.level is WarmLevel.HINT
    assert "by itself" in dict(await hosted.warm.status())["what it keeps"]
    within = conversation(Player())
    assert within.warm.level is WarmLevel.NONE
    assert dict(await within.warm.status())["what it keeps"] == "nothing"
    for talk in (hosted, within):
        for work in (talk.warm.save, talk.warm.restore, talk.warm.drop):
            with pytest.raises(UsageError):
                await work()
    assert not slots.paths("slots")


# -- records on the disk --------------------------------------------------------------------------


def test_records_are_private_files_and_what_cannot_be_read_is_not_there(tmp_path):
    folder = WarmFolder(tmp_path / "warm")
    assert folder.load("20260101-000000-abcdef") == b""
    folder.drop("20260101-000000-abcdef")
    folder.keep("20260101-000000-abcdef", b"one")
    folder.keep("20260101-000000-abcdef", b"two")
    (path,) = (tmp_path / "warm").iterdir()
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert folder.load("20260101-000000-abcdef") == b"two"
    path.write_bytes(b"x" * 70_000)
    assert folder.load("20260101-000000-abcdef") == b""
    path.unlink()
    path.symlink_to("/etc/passwd")
    assert folder.load("20260101-000000-abcdef") == b""
    folder.drop("20260101-000000-abcdef")
    assert not list((tmp_path / "warm").iterdir())


def test_a_record_reads_back_as_it_was():
    import msgspec

    one = Snapshot("s", "p", "m", "a", "b", 1, "f", 5, 2, "d", 64, cached=3)
    assert msgspec.json.decode(msgspec.json.encode(one), type=Snapshot) == one
    assert one.useless
    assert offered(msgspec.json.encode(one)) == ""
    assert offered(b"{") == offered(b"") == ""
    assert "(64 tokens)" in offered(msgspec.json.encode(msgspec.structs.replace(one, cached=None)))
    assert not msgspec.structs.replace(one, cached=64).useless
    assert not msgspec.structs.replace(one, cached=None).useless
