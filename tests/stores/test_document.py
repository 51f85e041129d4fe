"""The session document: what it looks like, and what is made of broken and hostile ones."""

from __future__ import annotations

import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import SessionUnreadable
from chinwag.stores import document as doc
from chinwag.stores import part_form
from chinwag.stores.document import Shape
from chinwag.talk.entry import Noted, UserSaid
from chinwag.talk.session import Birth, Headline
from contracts.store import EVERY_KIND, WORDS, birth, said, some

BORN = birth()
LINE = Headline("Title", True, "p", "m", 4, 40, "2026-11-20T09:00:09.000Z")


def sound(count: int = 4) -> bytes:
    return doc.whole(BORN, some(count), LINE)


def lines(raw: bytes) -> list[bytes]:
    return raw.splitlines(keepends=True)


def words(document: doc.Document) -> list[str]:
    return [e.text for e in document.entries if isinstance(e, UserSaid | Noted)]


# -- looks --------------------------------------------------------------------------------------


def test_it_is_one_json_document_and_one_entry_a_line() -> None:
    raw = sound()
    plain = json.loads(raw)
    assert plain["format"] == 1
    assert plain["id"] == BORN.id
    assert [m["n"] for m in plain["messages"]] == [1, 2, 3, 4]
    assert [json.loads(line.lstrip(b","))["n"] for line in lines(raw)[1:-1]] == [1, 2, 3, 4]
    assert [line[:1] for line in lines(raw)[1:-1]] == [b"{", b",", b",", b","]


def test_the_crc_is_that_of_every_byte_between_header_and_closing_line() -> None:
    raw = sound()
    body = b"".join(lines(raw)[1:-1])
    assert json.loads(raw)["meta"]["crc"] == f"{zlib.crc32(body):08x}"


@pytest.mark.parametrize("title", ["x" * 100_000, "\x01" * 9000, "👩‍👩‍👧" * 3000, "\ud800" * 3000])
def test_the_closing_line_is_bounded(title: str) -> None:
    line = doc.closing_line(Headline(title, provider=title, model=title), 10**9, 2**32 - 1)
    assert len(line) <= 4096
    assert doc.read_closing(line) is not None


@given(st.integers(0, 4096))
def test_the_closing_line_is_as_long_as_it_must_be(least: int) -> None:
    line = doc.closing_line(Headline(), 1, 0, least=least)
    assert least <= len(line) <= 4096
    found = doc.read_closing(line)
    assert found is not None
    assert found.count == 1


def test_sound_documents_come_back() -> None:
    for entries in ((), EVERY_KIND[:-1], some(50)):
        document = doc.parse(doc.whole(BORN, entries, LINE), BORN.id)
        assert document.shape is Shape.SOUND
        assert document.entries == tuple(entries)
        assert document.headline == LINE
        assert document.birth == BORN


# -- cut ----------------------------------------------------------------------------------------


def test_cut_at_every_byte_each_whole_entry_is_kept() -> None:
    raw = sound(3)
    ends = [len(b"".join(lines(raw)[: n + 1])) - 1 for n in range(1, 4)]  # the newline may be lost
    for size in range(len(raw)):
        whole = sum(size >= end for end in ends)
        if not whole:
            with pytest.raises(SessionUnreadable):
                doc.parse(raw[:size], BORN.id)
            continue
        document = doc.parse(raw[:size], BORN.id)
        assert document.entries == some(whole), size
        assert document.shape is (Shape.SOUND if size == len(raw) - 1 else Shape.TORN)


@pytest.mark.parametrize("hole", [b"\0" * 700, b"\xff\xfe" * 9, b"\n\n{", b',{"n":9,"kind":'])
def test_what_follows_a_closing_line_that_fits_was_never_acknowledged(hole: bytes) -> None:
    document = doc.parse(sound() + hole, BORN.id)
    assert document.shape is Shape.TORN
    assert document.entries == some(4)
    assert document.headline == LINE


def test_every_state_a_write_can_leave_keeps_what_was_acknowledged() -> None:
    """Blocks of the two writes of an append reach the disk in any order, or as zeros."""
    before = sound(3)
    closing = lines(before)[-1]
    at = len(before) - len(closing)
    added = doc.entry_lines(some(2, 4), 3)
    new = added + doc.closing_line(LINE, 5, doc.crc_of(added, zlib.crc32(before[:at])))
    block = 64
    blocks = range((len(new) + block - 1) // block)
    for written in range(1 << min(len(blocks), 12)):
        for zeros in (False, True):
            after = bytearray(before)
            for n in blocks:
                piece = slice(n * block, min((n + 1) * block, len(new)))
                end = at + piece.stop
                if written >> n & 1:
                    after.extend(b"\0" * (end - len(after)))
                    after[at + piece.start : end] = new[piece]
                elif zeros and end > len(after):
                    after.extend(b"\0" * (end - len(after)))
            document = doc.parse(bytes(after), BORN.id)
            assert document.entries[:3] == some(3)


# -- damaged ------------------------------------------------------------------------------------


def test_an_entry_that_cannot_be_read_leaves_a_note_in_its_place() -> None:
    parts = lines(sound())
    parts[2] = b",{broken\n"
    document = doc.parse(b"".join(parts), BORN.id)
    assert document.shape is Shape.DAMAGED
    assert document.count == 4
    assert document.entries[1] == Noted(id="gap-2", text="entry 2 could not be read")
    assert document.entries[2:] == some(2, 3)
    assert "line 3" in document.notices[0]
    again = doc.parse(
        document.header + document.body + doc.closing_line(LINE, 4, document.crc), BORN.id
    )
    assert again.shape is Shape.SOUND
    assert again.entries == document.entries


@pytest.mark.parametrize("bad", [b"\0" * 300, b"\xff\xff\xff", b'{"n":2,"kind":"user","content":5}',
                                 b'{"n":2', b"null", b"[" * 5000, b'{"n":1e999,"kind":"user"}',
                                 b'{"n":' + b"9" * 5000 + b"}"])  # fmt: skip
def test_whatever_the_damage_the_rest_is_read(bad: bytes) -> None:
    parts = lines(sound())
    parts[2] = b"," + bad + b"\n"
    document = doc.parse(b"".join(parts), BORN.id)
    assert document.shape is Shape.DAMAGED
    assert words(document)[1] == "entry 2 could not be read"
    assert document.entries[2:] == some(2, 3)


def test_the_last_entry_lost_before_a_closing_line_is_damage() -> None:
    parts = lines(sound())
    parts[4] = b"\0" * len(parts[4])
    document = doc.parse(b"".join(parts), BORN.id)
    assert document.shape is Shape.DAMAGED
    assert document.entries[:3] == some(3)


def test_zeros_at_the_end_are_damage_and_their_lines_are_counted() -> None:
    raw = sound()
    for size in (len(raw) // 2, len(raw) - 10):
        document = doc.parse(raw[:size] + b"\0" * (len(raw) - size), BORN.id)
        assert document.shape is Shape.DAMAGED
        assert document.count >= 1


def test_a_session_without_its_header_is_damage() -> None:
    raw = b"\0" * 40 + sound()[40:]
    document = doc.parse(raw, BORN.id)
    assert document.shape is Shape.DAMAGED
    assert document.entries == some(4)
    assert document.birth == Birth(id=BORN.id, created="")
    bare = doc.parse(b"".join(lines(sound())[1:]), BORN.id)
    assert bare.shape is Shape.DAMAGED
    assert bare.entries == some(4)


def test_an_entry_that_comes_twice_is_read_once() -> None:
    parts = lines(sound())
    parts.insert(3, parts[2])
    document = doc.parse(b"".join(parts), BORN.id)
    assert document.entries == some(4)
    assert document.shape is Shape.DAMAGED


# -- changed ------------------------------------------------------------------------------------


def test_words_changed_by_hand_are_taken_and_told() -> None:
    raw = sound().replace(b"message 2", b"passage 2")
    document = doc.parse(raw, BORN.id)
    assert document.shape is Shape.CHANGED
    assert words(document)[1].startswith("passage 2")
    assert "changed" in document.notices[0]
    assert document.closing_at > 0


def test_a_line_taken_out_by_hand_leaves_the_others_their_numbers() -> None:
    parts = lines(sound())
    del parts[2]
    document = doc.parse(b"".join(parts), BORN.id)
    assert document.shape is Shape.CHANGED
    assert document.entries[2:] == some(2, 3)
    assert document.closing_at < 0


def test_unknown_keys_survive_in_the_bytes() -> None:
    parts = lines(sound())
    parts[1] = parts[1].replace(b'{"n":1,', b'{"n":1,"later":{"x":[1]},')
    document = doc.parse(b"".join(parts), BORN.id)
    assert b'"later":{"x":[1]}' in document.body


@pytest.mark.parametrize("indent", [None, 0, 2, "\t"])
def test_our_own_data_in_another_layout_is_read(indent: int | str | None) -> None:
    pretty = json.dumps(json.loads(sound()), indent=indent, ensure_ascii=True).encode()
    document = doc.parse(pretty, BORN.id)
    assert document.shape is Shape.FOREIGN
    assert document.entries == some(4)
    assert document.headline.messages == 4
    ours = doc.parse(
        document.header + document.body + doc.closing_line(LINE, 4, document.crc), BORN.id
    )
    assert (ours.shape, ours.entries, ours.birth) == (Shape.SOUND, some(4), BORN)


# -- no session at all --------------------------------------------------------------------------

NOT_OURS = {
    "nothing": b"",
    "spaces": b"   \n\n",
    "zeros": b"\0" * 4096,
    "list": b"[]",
    "object": b"{}",
    "number": b"1",
    "other": b'{"messages":[{"role":"user","content":"hi"}]}',
    "other, with a format": b'{"format":1,"messages":[{"role":"user","content":"hi"}]}',
    "export": b'[{"title":"x","mapping":{}}]',
    "words": b"Dear diary",
    "page": b"<!doctype html><title>no</title>",
    "picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "deep": b'{"format":1,"messages":' + b"[" * 200_000,
    "deep and whole": b'{"format":1,"messages":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "surrogate": b'"\xed\xa0\x80"',
    "big number": b'{"format":' + b"9" * 10_000 + b',"messages":[]}',
    "format as text": b'{"format":"1","id":"x","messages":[\n],"meta":{}}',
    "header only": doc.header_line(BORN),
    "header and rubbish": doc.header_line(BORN) + b"rubbish",
    "many quotes": b'{"format":1,"messages":["' + b'\\"' * 100_000,
}


@pytest.mark.parametrize("raw", NOT_OURS.values(), ids=NOT_OURS.keys())
def test_what_is_no_session_is_never_an_empty_one(raw: bytes) -> None:
    with pytest.raises(SessionUnreadable) as caught:
        doc.parse(raw, BORN.id)
    assert BORN.id in caught.value.message


def test_other_json_is_sent_to_the_importer() -> None:
    with pytest.raises(SessionUnreadable, match="no session of ours") as caught:
        doc.parse(NOT_OURS["export"], BORN.id)
    assert "/load" in caught.value.hint


def test_a_newer_format_is_refused_not_guessed_at() -> None:
    for raw in (sound().replace(b'"format":1', b'"format":2'), b'{"format":7,"messages":[]}'):
        with pytest.raises(SessionUnreadable, match="newer version"):
            doc.parse(raw, BORN.id)


def test_numbers_that_lie_cost_nothing() -> None:
    parts = lines(sound(2))
    parts[2] = parts[2].replace(b'"n":2', b'"n":2000000000')
    document = doc.parse(b"".join(parts), BORN.id)
    assert document.count < 10
    huge = sound(2).replace(b'"count":2', b'"count":2000000000').replace(b"message 2", b"m\0")
    assert doc.parse(huge, BORN.id).count < 10


@given(st.data())
def test_any_change_of_bytes_gives_a_document_or_says_why_not(data: st.DataObject) -> None:
    raw = bytearray(sound(3))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        size = data.draw(st.integers(0, 40))
        raw[at : at + size] = data.draw(
            st.binary(max_size=40) | st.just(b"\0" * 512) | st.just(bytes(raw[at : at + size]) * 2)
        )
    try:
        document = doc.parse(bytes(raw), BORN.id)
    except SessionUnreadable:
        return
    assert document.entries or document.shape is Shape.SOUND
    again = doc.parse(
        document.header + document.body + doc.closing_line(LINE, document.count, document.crc),
        BORN.id,
    )
    assert again.entries == document.entries
    assert again.shape is Shape.SOUND


@given(st.binary(max_size=300))
def test_parts_are_read_as_far_as_they_go(tail: bytes) -> None:
    from chinwag.stores.base import PartHead
    from chinwag.talk.delta import TextDelta

    head = part_form.part_head(PartHead(2, "a", "t"))
    raw = head + part_form.part_lines([TextDelta("x"), TextDelta(WORDS)])
    read = part_form.read_part(raw + tail)
    assert read is not None
    head, draft = read
    assert head == PartHead(2, "a", "t")
    assert draft.text.startswith("x" + WORDS)
    part_form.read_part(tail)


def test_a_part_cut_at_every_byte() -> None:
    from chinwag.stores.base import PartHead
    from chinwag.talk.delta import TextDelta

    head = part_form.part_head(PartHead(2, "a", "t"))
    raw = head + part_form.part_lines([TextDelta("one "), TextDelta("two ")])
    for size in range(len(raw) + 1):
        read = part_form.read_part(raw[:size])
        assert (read is None) == (size < len(head) - 1)
        if read:
            assert "one two ".startswith(read[1].text)


def test_titles_fit_the_first_words() -> None:
    assert doc.headline_of(BORN, [said("what is it?")]).title == "what is it?"
