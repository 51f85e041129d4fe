"""Damaged and hostile session files through the real program: listed, shown, gone on with, kept.

(tests/stores/test_hostile.py tries all of them, on the store itself.)
"""

from __future__ import annotations

import os

import pytest

from contracts.store import some
from stores.hostile import BORN, sound, variants

SAMPLE = (
    "three: 4096 NULs over the middle",
    "three: b'\\xff' in the middle",
    "three: utf-16",
    "three: gzip",
    "three: twice",
    "three: no closing line",
    "three: lines 1 and 2 swapped",
    "kinds: indented",
    "100000 deep",
    "n is b'999999999'",
    'b\'"content":"y"\' comes twice',
    "only b''",
    "JSON []",
    "format b'99'",
)

pytestmark = pytest.mark.slow


def test_a_folder_full_of_them_is_listed_and_each_is_shown_or_refused_in_words(world):
    files = dict(variants())
    folder = world.data / "sessions"
    folder.mkdir(0o700, parents=True)
    wanted = {}
    for number, name in enumerate(SAMPLE):
        session = f"20261120-0930{number:02}-aaaaaa"
        wanted[session] = files[name]
        (folder / f"{session}.json").write_bytes(files[name])
    (folder / f"{BORN.id}.json").write_bytes(sound(some(3)))
    os.mkfifo(folder / "20261120-093059-aaaaaa.json")
    listed = world.chat("sessions", "list", "--json").json
    assert len(listed) == len(SAMPLE) + 2
    assert sum(bool(line.get("damaged")) for line in listed) >= 5
    for session, raw in wanted.items():
        shown = world.chat("sessions", "show", session)
        assert shown.code == 0 or "hint" in shown.err or session in shown.err, shown.err
        assert shown.out or shown.err
        assert (folder / f"{session}.json").read_bytes() == raw, "looking changed it"
    assert "message 2" in world.chat("sessions", "show", BORN.id).out
