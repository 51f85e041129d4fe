"""The lines typed before: kept in order, private when asked, and forgotten on request."""

from __future__ import annotations

import json

from chinwag.config.history import MOST, History


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_forgetting_takes_lines_out_of_file_and_memory(tmp_path):
    path = tmp_path / "history"
    for line in ("keep this", "a secret", "and this"):
        History(path).add(line)
    history = History(path)
    assert history.lines() == ["keep this", "a secret", "and this"]
    history.add("typed now")
    history.forget(["a secret"])
    assert lines(path) == ["keep this", "and this"], "what this program added goes as well"
    assert history.lines() == ["keep this", "and this"]
    assert (path.stat().st_mode & 0o777) == 0o600
    history.add("afterwards")
    assert lines(path)[-1] == "afterwards"


def test_forgetting_what_is_not_there_writes_nothing(tmp_path):
    path = tmp_path / "history"
    History(path).forget(["x"])
    assert not path.exists()
    History(path).add("one")
    before = path.stat().st_mtime_ns
    History(path).forget(["other"])
    assert path.stat().st_mtime_ns == before


def test_a_private_one_does_not_even_shorten_the_file(tmp_path):
    path = tmp_path / "history"
    path.write_text("".join(json.dumps(f"line {n}") + "\n" for n in range(2 * MOST + 5)))
    before = path.read_bytes()
    assert len(History(path, private=True).lines()) == MOST
    assert path.read_bytes() == before
    assert len(History(path).lines()) == MOST
    assert len(lines(path)) == MOST


def test_an_address_with_a_password_is_not_kept(tmp_path):
    past = History(tmp_path / "history")
    for line in ("/store redis://u:pw@db/0", "/store rediss://:p@w@db", "/store redis://db/0"):
        past.add(line)
    assert History(tmp_path / "history").lines() == ["/store redis://db/0"]


def test_a_line_torn_by_a_full_disk_spoils_no_other(tmp_path):
    path = tmp_path / "history"
    past = History(path)
    past.add("before")
    with path.open("ab") as file:
        file.write(b'"cut in the mid')
    past.add("after")
    assert History(path).lines() == ["before", "after"]


def test_what_another_program_adds_is_seen_when_next_asked_for(tmp_path):
    path = tmp_path / "history"
    mine, yours = History(path), History(path)
    assert mine.lines() == []
    mine.add("first")
    assert mine.lines() == ["first"]
    mine.add("mine")
    yours.add("yours")
    mine.add("mine again")
    assert mine.lines() == ["first", "mine", "mine again", "yours"], "each line once"
    with path.open("ab") as file:
        file.write(b'"half a li')
    assert mine.lines()[-1] == "yours"
    with path.open("ab") as file:
        file.write(b'ne"\n')
    assert mine.lines()[-1] == "half a line"
    yours.forget(["first"])
    assert mine.lines()[-1] == "half a line", "a file begun anew is not taken in twice"
    yours.add("later")
    assert mine.lines()[-1] == "later"
