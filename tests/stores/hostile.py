"""Session files as bad disks, other programs and bad people make them: bytes by name."""

from __future__ import annotations

import base64
import gzip
import json
import random
from collections.abc import Iterator
from typing import Any

from chinwag.stores import document as doc
from chinwag.talk.entry import AnyEntry
from chinwag.talk.session import Birth, Headline
from contracts.store import EVERY_KIND, some

BORN = Birth(id="20261120-093015-k3f9q2", created="2026-11-20T09:00:00.000Z")
WRONG: tuple[Any, ...] = (None, 7, "x", [], {}, True, [None], 1.5)
BAD_UTF8 = (b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf5\x80\x80\x80", b"\x80" * 600)
NUMBERS = (b"0", b"-1", b'"1"', b"1.0", b"null", b"true", b"9" * 25, b"9" * 5000, b"1e5", b"[1]")


def sound(entries: tuple[AnyEntry, ...], title: str = "T") -> bytes:
    return doc.whole(BORN, entries, Headline(title=title))


def relined(lines: list[bytes]) -> bytes:
    return b"\n".join(lines)


def variants() -> Iterator[tuple[str, bytes]]:
    for name, entries in (("three", some(3)), ("kinds", EVERY_KIND)):
        raw = sound(entries)
        for what, bad in (
            *bytes_in_places(raw),
            *whole_forms(raw),
            *lines_moved(raw),
            *ends_wrong(raw),
        ):
            yield f"{name}: {what}", bad
    raw = sound(some(3))
    yield from fields(raw)
    yield from shapes(raw)
    yield from other_files()
    yield from at_random(sound(EVERY_KIND), 60)


def bytes_in_places(raw: bytes) -> Iterator[tuple[str, bytes]]:
    places = {
        "the header": 20,
        "the first entry": raw.index(b"\n") + 60,
        "the middle": len(raw) // 2,
        "the closing line": len(raw) - 30,
        "the end": len(raw),
    }
    for where, at in places.items():
        for size in (1, 512, 4096):
            yield f"{size} NULs over {where}", raw[:at] + bytes(size) + raw[at + size :]
            yield f"{size} NULs put into {where}", raw[:at] + bytes(size) + raw[at:]
        for bad in BAD_UTF8:
            yield f"{bad[:4]!r} in {where}", raw[:at] + bad + raw[at + len(bad) :]
        yield f"cut in {where}", raw[:at]
        yield f"a line end in {where}", raw[:at] + b"\n" + raw[at:]
        yield f"a lone surrogate in {where}", raw[:at] + b"\\ud800" + raw[at:]


def whole_forms(raw: bytes) -> Iterator[tuple[str, bytes]]:
    text, plain = raw.decode(), json.loads(raw)
    yield "a BOM", b"\xef\xbb\xbf" + raw
    for form in ("utf-16", "utf-16-le", "utf-16-be", "utf-32"):
        yield form, text.encode(form)
    yield "gzip", gzip.compress(raw)
    yield "base64", base64.b64encode(raw)
    yield "CRLF", raw.replace(b"\n", b"\r\n")
    yield "CR", raw.replace(b"\n", b"\r")
    yield "no line ends", raw.replace(b"\n", b"")
    yield "indented", json.dumps(plain, indent=2).encode()
    yield "sorted keys", json.dumps(plain, sort_keys=True).encode()
    yield "ASCII only", json.dumps(plain, ensure_ascii=True).encode()
    yield "twice", raw + raw
    yield "twice on one line", raw.strip() + raw
    yield "another one behind", raw + sound(some(5, 20))
    yield "reversed", raw[::-1]
    yield "blanks around", b" \n\t" + raw + b" \n \n"
    yield "the messages alone", json.dumps(plain["messages"]).encode()
    lines = "".join(json.dumps(m) + "\n" for m in plain["messages"])
    yield "JSON lines", lines.encode()


def lines_moved(raw: bytes) -> Iterator[tuple[str, bytes]]:
    lines = raw.split(b"\n")
    for at in range(min(5, len(lines) - 2)):
        yield f"line {at} gone", relined([*lines[:at], *lines[at + 1 :]])
        yield f"line {at} twice", relined([*lines[: at + 1], *lines[at:]])
        swapped = [*lines[:at], lines[at + 1], lines[at], *lines[at + 2 :]]
        yield f"lines {at} and {at + 1} swapped", relined(swapped)
        yield f"junk after line {at}", relined([*lines[: at + 1], b"junk", *lines[at + 1 :]])
        yield f"half of line {at}", relined([*lines[:at], lines[at][::2], *lines[at + 1 :]])
    yield "no commas", raw.replace(b"\n,", b"\n")
    yield "commas at the end", raw.replace(b"\n,", b",\n")
    yield "the lines backwards", relined(lines[::-1])


def ends_wrong(raw: bytes) -> Iterator[tuple[str, bytes]]:
    at = raw.rindex(b"],")
    body, closing = raw[:at], raw[at:]
    count = closing[closing.index(b'"count":') :].split(b",")[0]
    yield "no closing line", body
    yield "two closing lines", raw + closing
    yield "an old closing line before", body + closing + closing
    yield "a wrong CRC", body + closing.replace(b'"crc":"', b'"crc":"0')
    yield "a CRC that is none", body + closing.replace(b'"crc":"', b'"crc":"zz')
    for number in NUMBERS:
        yield f"count {number[:9]!r}", body + closing.replace(count, b'"count":' + number)
    yield "no meta", body + b"]}\n"
    yield "a title of a megabyte", body + closing.replace(b'"T"', b'"' + b"T" * (1 << 20) + b'"')
    yield "a meta that comes twice", body + closing.replace(b"}}", b'},"meta":{}}')
    yield "a title that comes twice", body + closing.replace(b'"named"', b'"title":"U","named"')
    for junk in (b"junk", b"junk\n", b'{"n":99}\n', b"\n" * 900, bytes(900), b'],"meta":{}}\n'):
        yield f"{junk[:9]!r} behind", raw + junk


def fields(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """Every field of every kind of entry, of another type than it has."""
    for number, line in enumerate(doc.entry_lines(EVERY_KIND, 0).splitlines(), 1):
        plain = json.loads(line.lstrip(b","))
        for key, value in plain.items():
            for wrong in WRONG:
                if type(wrong) is type(value):
                    continue
                bad = json.dumps({**plain, key: wrong}).encode()
                entry = bad.replace(b'"n": %d,' % number, b'"n": 2,')
                yield f"{plain.get('kind')}.{key} is {wrong!r}", in_place(raw, 2, entry)
    for where in ("format", "id", "created", "messages", "meta"):
        for wrong in WRONG:
            yield f"{where} is {wrong!r}", json.dumps({**json.loads(raw), where: wrong}).encode()
    for version in (b"0", b"2", b"99", b'"1"', b"null", b"9" * 400):
        yield f"format {version[:9]!r}", raw.replace(b'"format":1', b'"format":' + version)


def in_place(raw: bytes, n: int, line: bytes) -> bytes:
    lines = raw.split(b"\n")
    lines[n] = (b"," if n > 1 else b"") + line
    return relined(lines)


def shapes(raw: bytes) -> Iterator[tuple[str, bytes]]:
    """An entry that is hard to read in itself."""
    good = b'{"n":2,"kind":"user","role":"user","content":"x"'
    for number in NUMBERS:
        yield f"n is {number[:9]!r}", in_place(raw, 2, good.replace(b"2", number, 1) + b"}")
        value = b',"tokens":' + number + b"}"
        yield f"tokens is {number[:9]!r}", in_place(raw, 2, good + value)
    for word in (b"NaN", b"Infinity", b"-Infinity", b"1e999", b"nul", b"'x'", b"01", b"+1", b"0x1"):
        yield f"tokens is {word!r}", in_place(raw, 2, good + b',"tokens":' + word + b"}")
    for key in (b'"content":"y"', b'"n":2', b'"kind":"note"', b'"new":1,"new":2'):
        yield f"{key!r} comes twice", in_place(raw, 2, good + b"," + key + b"}")
    for depth in (63, 65, 1000, 100_000):
        nest = b"[" * depth + b"]" * depth
        yield f"{depth} deep", in_place(raw, 2, good + b',"new":' + nest + b"}")
        yield f"{depth} deep, open", in_place(raw, 2, good + b',"new":' + nest[:depth])
        yield f"a header {depth} deep", raw.replace(b'"id"', b'"new":' + nest + b',"id"', 1)
        yield f"{depth} deep alone", nest
        yield f"objects {depth} deep", b'{"a":' * depth + b"1" + b"}" * depth
    for part in (b"7", b"null", b'{"type":"text"}', b'{"type":"new"}', b'{"type":"image"}', b"[]"):
        entry = good.replace(b'"x"', b"[" + part + b"]") + b"}"
        yield f"a part {part!r}", in_place(raw, 2, entry)
    for text in (b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\u0000\\u001b[2J"', b'"\\x41"', b'"a\tb"'):
        yield f"the text {text!r}", in_place(raw, 2, good.replace(b'"x"', text) + b"}")
    name = b'"a","blob":"../../../etc/passwd;base64"'
    image = b'[{"type":"image","name":' + name + b"}]"
    yield "a blob outside", in_place(raw, 2, good.replace(b'"x"', image) + b"}")
    yield "an entry that is a list", in_place(raw, 2, b'["n",2]')
    yield "a Rewound to nowhere", in_place(raw, 2, b'{"n":2,"kind":"rewound","to":999999999}')
    yield "a million line ends", raw[:-200] + b"\n" * 1_000_000 + raw[-200:]
    yield "a gap of a billion", in_place(raw, 2, good.replace(b"2", b"1000000000", 1) + b"}")


def other_files() -> Iterator[tuple[str, bytes]]:
    chat = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
    for plain in ([], {}, None, 1, "x", True, chat, {"messages": chat}, {"messages": []}, [[]]):
        yield f"JSON {plain!r:.30}", json.dumps(plain).encode()
    for raw in (b"", b" ", b"\n" * 9, b"\xff", b"{", b'{"', b"\0", bytes(100_000), b"x" * 100_000):
        yield f"only {raw[:9]!r}", raw
    yield "a picture", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40
    yield "a program", b"\x7fELF" + bytes(range(256)) * 40
    yield "Markdown", b"# A title\n\nSome text, {} and [].\n"
    yield "an empty session", sound(())
    yield "an empty session, torn", sound(())[:-40]


def at_random(raw: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """Bytes changed, put in, taken out and moved, a few at a time."""
    for seed in range(count):
        chance = random.Random(seed)
        bad = bytearray(raw)
        for _ in range(chance.randint(1, 8)):
            at, size = chance.randrange(len(bad)), chance.randint(1, 40)
            match chance.randrange(4):
                case 0:
                    bad[at] = chance.randrange(256)
                case 1:
                    bad[at:at] = chance.randbytes(size)
                case 2:
                    del bad[at : at + size]
                case _:
                    piece = bad[at : at + size]
                    to = chance.randrange(len(bad))
                    bad[to:to] = piece
        yield f"at random {seed}", bytes(bad)
