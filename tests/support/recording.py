"""Recordings, both ways: answers that were recorded, read by ours; requests that a loopback
server records, ours and the official clients'.

``tried_everywhere`` is what every dialect's recordings must stand: fed whole, byte by byte, cut
into any pieces, and broken off at every place, the same words and never an end that nobody said.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable, Iterator
from typing import Any

from chinwag.errors import ProviderError
from chinwag.providers.dialects.base import Dialect
from chinwag.providers.failures import Where
from chinwag.providers.reading import Reading
from chinwag.talk.delta import AnyDelta
from chinwag.talk.draft import Draft
from chinwag.talk.message import Call
from support.servers import Loopback, Reply

WHERE = Where("p", "host", "m")


def heard(
    dialect: Dialect, pieces: Iterable[bytes], *, broken: bool = False
) -> tuple[list[AnyDelta], Reading]:
    """What the bytes say, and how it ended."""
    reading = Reading(dialect, WHERE)
    deltas: list[AnyDelta] = []
    for piece in pieces:
        deltas += reading.feed(piece)
        if reading.over:
            return deltas, reading
    deltas += reading.end(broken=broken)
    return deltas, reading


def events(*values: Any) -> bytes:
    """Values as the bytes of a stream."""
    return b"".join(b"data: " + json.dumps(v).encode() + b"\r\n\r\n" for v in values)


def said(dialect: Dialect, *values: Any) -> tuple[Draft, Reading]:
    """What a stream of these values says."""
    deltas, reading = heard(dialect, [events(*values)])
    return drafted(deltas), reading


def drafted(deltas: Iterable[AnyDelta]) -> Draft:
    draft = Draft()
    for delta in deltas:
        draft = draft.add(delta)
    return draft


def calls(draft: Draft) -> list[list[Any]]:
    """Names and arguments, read: the same JSON may be written with blanks or without."""
    return [[p.name, json.loads(p.arguments)] for p in draft.parts() if isinstance(p, Call)]


def read_calls(expected: list[list[str]]) -> list[list[Any]]:
    return [[name, json.loads(arguments)] for name, arguments in expected]


def tried_in_pieces(dialect: Dialect, stream: bytes, name: str) -> None:
    """Byte by byte, and in pieces of any size: the same deltas."""
    whole, at_once = heard(dialect, [stream])
    single, one_by_one = heard(dialect, [stream[i : i + 1] for i in range(len(stream))])
    assert single == whole
    assert (one_by_one.ended, type(one_by_one.failure)) == (at_once.ended, type(at_once.failure))
    draw = random.Random(name)
    for _ in range(3):
        edges = [0, *sorted(draw.sample(range(len(stream)), 9)), len(stream)]
        pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
        assert heard(dialect, pieces)[0] == whole


def tried_cut(dialect: Dialect, stream: bytes, sign: bytes) -> None:
    """Broken off anywhere: a beginning of the same words, and complete only after ``sign``."""
    words = drafted(heard(dialect, [stream])[0])
    safe_from = stream.index(sign)
    # A short one at every byte; of a long one every byte of the end, where the signs are.
    few = len(stream) > 50_000
    step = max(1, len(stream) // (50 if few else 150))
    last = range(max(0, len(stream) - (50 if few else 300)), len(stream))
    for place in sorted({*range(0, len(stream), step), *last}):
        for broken in (False, True):
            deltas, reading = heard(dialect, [stream[:place]], broken=broken)
            draft = drafted(deltas)
            assert words.text.startswith(draft.text)
            assert words.thinking.startswith(draft.thinking)
            assert reading.ended == (draft.ended is not None)
            assert reading.ended != (reading.failure is not None)
            if reading.ended:
                assert place >= safe_from
                assert (draft.text, calls(draft)) == (words.text, calls(words))
            else:
                assert isinstance(reading.failure, ProviderError)


class Recorder(Loopback):
    """A server that writes down what it is asked; it answers with ``streams`` in their order."""

    def __init__(self, *streams: bytes, content_type: str = "text/event-stream") -> None:
        super().__init__(*(Reply([stream], content_type=content_type) for stream in streams))


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Where two JSON values differ: paths, list places as ``*``, ``+`` what only ours has,
    ``-`` what only theirs has, ``~`` what both have and say differently."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted({*ours, *theirs}):
            inner = f"{path}.{key}" if path else key
            if key not in theirs:
                yield f"+{inner}"
            elif key not in ours:
                yield f"-{inner}"
            else:
                yield from differences(ours[key], theirs[key], inner)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for one, two in zip(ours, theirs, strict=True):
            yield from differences(one, two, f"{path}.*")
    elif ours != theirs:
        yield f"~{path}"
