"""What pictures cost: by published rules, whatever their bytes are."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.context import pictures


def png(width, height):
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk


def jpeg(width, height, *, before=b""):
    frame = b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03" + bytes(9)
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + bytes(9) + before + frame + bytes(20)


def gif(width, height):
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(10)


def webp(width, height):
    head = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\x00\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00" + head + bytes(8)


def b64(raw):
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("make", [png, jpeg, gif, webp])
@given(width=st.integers(1, 16_000), height=st.integers(1, 16_000))
def test_the_size_is_read_from_the_first_bytes(make, width, height):
    assert pictures.size(b64(make(width, height))) == (width, height)


def test_a_thumbnail_inside_is_not_taken_for_the_picture():
    inside = b"\xff\xe1" + struct.pack(">H", 2 + 400) + jpeg(16, 16).ljust(400, b"\x00")
    assert pictures.size(b64(jpeg(640, 480, before=inside))) == (640, 480)


@given(st.binary(max_size=200) | st.text(max_size=50))
def test_whatever_comes_has_a_price(raw):
    data = raw if isinstance(raw, str) else b64(raw)
    assert pictures.tokens(data, "gpt-4o") >= 1


@given(st.binary(max_size=60), st.sampled_from([png, jpeg, gif, webp]), st.integers(0, 40))
def test_cut_and_broken_heads_do_no_harm(junk, make, cut):
    pictures.size(b64(make(30, 40)[:cut] + junk))


@pytest.mark.parametrize(
    ("model", "width", "height", "wanted"),
    [
        ("gpt-4o", 1024, 1024, 765),  # the guide's own examples
        ("gpt-4o", 2048, 4096, 1105),
        ("openai/gpt-4.1", 512, 512, 255),
        ("gpt-4.1-mini", 1024, 1024, 1659),
        ("claude-haiku-4-5", 200, 200, 53),
        ("claude-opus-4-1", 1000, 1000, 1333),
        ("claude-opus-4-1", 8000, 8000, 1600),
        ("gemini-2.5-flash", 300, 300, 258),
        ("gemini-2.5-flash", 1500, 700, 516),
        ("llava:7b", 280, 280, 100),
    ],
)
def test_each_provider_counts_as_it_publishes(model, width, height, wanted):
    assert pictures.tokens(b64(png(width, height)), model) == wanted
