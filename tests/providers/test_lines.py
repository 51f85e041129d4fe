"""Bytes to lines and events: the same however they are cut; caps; recorded streams."""

import itertools
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.providers.lines import JsonLines, Lines, LineTooLong, SseEvent, SseEvents

WIRE = Path(__file__).parents[2].parent / "shared" / "data" / "wire"
BOM = b"\xef\xbb\xbf"

PARTS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b" ", b"\x00", BOM, b"\xef", b"\xbb"),
    *(b"data:", b"data: ", b"data", b"event: ping", b"event:", b": comment", b":"),
    *(b"id: 1", b"retry: 3", b"junk", b"{}", "\u2028\x85é".encode()),
]
streams = st.lists(st.sampled_from(PARTS) | st.binary(max_size=3), max_size=30).map(b"".join)


def drained(reader, stream: bytes, cuts: list[int]) -> list:
    edges = [0, *sorted(cut for cut in cuts if cut <= len(stream)), len(stream)]
    heard = [
        item for start, end in itertools.pairwise(edges) for item in reader.feed(stream[start:end])
    ]
    return heard + reader.end()


def events(stream: bytes) -> list[SseEvent]:
    return drained(SseEvents(), stream, [])


@pytest.mark.parametrize("reader", [Lines, SseEvents, JsonLines])
@given(stream=streams, cuts=st.lists(st.integers(0, 80), max_size=8))
def test_cuts_change_nothing(reader, stream: bytes, cuts: list[int]):
    whole = drained(reader(), stream, [])
    assert drained(reader(), stream, list(range(len(stream)))) == whole
    assert drained(reader(), stream, cuts) == whole


@given(streams)
def test_lines_hold_all_but_their_ends(stream: bytes):
    if stream.startswith(BOM):
        stream = BOM + stream  # only the first one is a mark
    heard = drained(Lines(), stream, [])
    unified = stream.removeprefix(BOM).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert b"\n".join(heard) == unified.removesuffix(b"\n")


def test_only_real_line_ends_end_a_line():
    text = '{"t":"a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\x1dh\x1ei"}'.encode()
    assert Lines().feed(text + b"\n") == [text]
    assert Lines().feed(b"a\rb\r\nc\nd") == [b"a", b"b", b"c"]


def test_a_final_cr_ends_its_line_at_once_and_takes_its_lf():
    lines = Lines()
    assert lines.feed(b"a\r") == [b"a"]
    assert lines.feed(b"") == []
    assert lines.feed(b"\n") == []
    assert lines.feed(b"\nb\r") == [b"", b"b"]
    assert lines.feed(b"c\n") == [b"c"]
    assert lines.end() == []


def test_a_byte_order_mark_goes_once_even_when_cut():
    lines = Lines()
    assert [lines.feed(bytes([byte])) for byte in BOM] == [[], [], []]
    assert lines.feed(b"a\n" + BOM + b"b\n") == [b"a", BOM + b"b"]
    assert drained(Lines(), BOM[:2], []) == [BOM[:2]]


@pytest.mark.parametrize(
    ("stream", "heard"),
    [
        (b"", []),
        (b"data: a\n\n", [("", b"a")]),
        (b"data:a\n\n", [("", b"a")]),
        (b"data:  a\n\n", [("", b" a")]),
        (b"data: a\ndata: b\ndata:c\n\n", [("", b"a\nb\nc")]),
        (b"data\n\n", [("", b"")]),
        (b"data: \n\n", [("", b"")]),
        (b"event: x\ndata: a\n\ndata: b\n\n", [("x", b"a"), ("", b"b")]),
        (b"data: a\nevent:x\n\n", [("x", b"a")]),
        (b"event: x\n\ndata: a\n\n", [("", b"a")]),
        (b": c\n\n: c\ndata: a\n: c\n\n", [("", b"a")]),
        (b"id: 7\nretry: 1\nfoo: bar\ndatax: y\ndata: a\n\n", [("", b"a")]),
        (b"\n\n\ndata: a\n\n\n\n", [("", b"a")]),
        (b"data: a", [("", b"a")]),
        (b"data: a\n", [("", b"a")]),
        (b"data: a\r", [("", b"a")]),
        (b"data: a\r\n\r\ndata: [DONE]", [("", b"a"), ("", b"[DONE]")]),
        (b"data: a\r\rdata: b\r\r", [("", b"a"), ("", b"b")]),
        (BOM + b"data: a\n\n", [("", b"a")]),
        (b"event: \xff\ndata: \xff\n\n", [("\ufffd", b"\xff")]),
        (b"<html>login: please</html>", []),
        (b"data: a:b: c\n\n", [("", b"a:b: c")]),
    ],
)
def test_events(stream: bytes, heard: list[tuple[str, bytes]]):
    assert events(stream) == [SseEvent(event, data) for event, data in heard]


def test_comments_are_counted_and_no_events():
    reader = SseEvents()
    assert reader.feed(b": OPENROUTER PROCESSING\n\n:\n\n") == []
    assert reader.comments == 2


def test_json_lines():
    assert drained(JsonLines(), b'{"a":1}\r\n\n  \n{"b":2}', []) == [b'{"a":1}', b'{"b":2}']
    assert drained(JsonLines(), b"{}\n \t", []) == [b"{}"]


@pytest.mark.parametrize("reader", [Lines, SseEvents, JsonLines])
@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_a_line_over_the_cap_is_refused(reader, step: int):
    line = b"data: " + b"x" * 95
    assert drained(reader(cap=101), line + b"\n", list(range(0, 200, step)))
    with pytest.raises(LineTooLong, match="longer than 100 bytes"):
        drained(reader(cap=100), line + b"\n", list(range(0, 200, step)))
    with pytest.raises(LineTooLong):
        drained(reader(cap=100), b"\n" + line, list(range(0, 200, step)))


def test_an_event_over_the_cap_is_refused():
    assert drained(SseEvents(cap=100), b"data: " + b"x" * 40 + b"\ndata: " + b"x" * 50, [])
    with pytest.raises(LineTooLong):
        SseEvents(cap=100).feed(b"data: xxxx\n" * 50)
    many_small = SseEvents(cap=100)
    assert len(many_small.feed(b"data: xxxx\ndata: y\n\n" * 50)) == 50


def test_too_long_is_a_value_error():
    assert issubclass(LineTooLong, ValueError)


def test_an_endless_line_costs_its_length_and_not_its_square():
    def seconds(size: int) -> float:
        lines, piece = Lines(), b"x" * 16
        began = time.process_time()
        for _ in range(size // 16):
            lines.feed(piece)
        return time.process_time() - began

    small = min(seconds(200_000) for _ in range(3))
    assert min(seconds(1_600_000) for _ in range(3)) < 8 * small * 4  # squared would be 64


def test_recorded_streams_cut_anywhere():
    if not WIRE.exists() and not os.environ.get("CI"):
        pytest.skip(f"{WIRE} is not here")
    recorded = [*WIRE.glob("*.sse"), *WIRE.glob("*.ndjson")]
    assert len(recorded) >= 54
    for path in recorded:
        stream = path.read_bytes()[:60_000]
        reader = JsonLines if path.suffix == ".ndjson" else SseEvents
        whole = drained(reader(), stream, [])
        assert whole, path.name
        for step in (1, 61):
            assert drained(reader(), stream, list(range(0, len(stream), step))) == whole, path.name
