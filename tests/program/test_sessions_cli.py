"""`chat sessions …` as a person and a script use it.

Most of it in this process, by the same words: what one hundred starts of Python would add is time.
"""

from __future__ import annotations

import io
import json
import os

import pytest

from chinwag import cli
from chinwag.commands.export import WRITERS
from chinwag.stores.files import FileStore
from chinwag.talk.entry import AssistantSaid, Rewound, UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Session, fold_all
from support.world import Run, World

LISBON, TAXES = "20261120-093015-k3f9q2", "20261121-093015-t4x9q2"


@pytest.fixture
def store(world):
    made = FileStore(world.data)
    put(made, LISBON, "two days in lisbon", "Take line 28.", day="20")
    put(made, TAXES, "my taxes", "\x1b]0;pwned\x07Pay them.", day="21")
    yield made
    made.close()


def put(store, session_id, question, answer, *, day):
    birth = Birth(session_id, f"2026-11-{day}T09:30:15.000Z")
    at = f"2026-11-{day}T09:31:00.000Z"
    entries = (
        UserSaid(id=f"u{day}", at=at, parts=(Text(question),)),
        AssistantSaid(id=f"a{day}", at=at, parts=(Text(answer),), provider="lab", model="m"),
    )
    store.append(birth, entries, at=0, headline=fold_all(Session(birth), entries).headline())
    store.unlock(session_id)


@pytest.fixture(autouse=True)
def at_home(world, monkeypatch, capsys):
    """This process is in the world the program would be in."""
    for name in [n for n in os.environ if n.startswith(("CHINWAG_", "XDG_"))]:
        monkeypatch.delenv(name)
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(world.home)
    before = os.umask(0o077)
    world.capsys, world.patch = capsys, monkeypatch
    yield
    os.umask(before)


def sessions(world: World, *words, code=0, given=""):
    world.capsys.readouterr()
    world.patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
    ended = cli.run(["sessions", *words], None)
    out, err = world.capsys.readouterr()
    assert ended == code, (out, err)
    return Run(ended, out, err, out.encode())


def ids(world, *more):
    return [row["id"] for row in sessions(world, "list", "--json", *more).json]


def test_the_installed_program_does_the_same(world, store):
    run = world.chat("sessions", "list", "--json")
    assert [row["id"] for row in run.json] == ids(world)
    assert world.chat("sessions", "delete", LISBON).code == 2
    run = world.chat("--data-dir", str(world.data), "sessions", "export", LISBON)
    assert "Take line 28." in run.out


# -- looking --------------------------------------------------------------------------------------


def test_list_finds_by_words_and_time_and_says_which_store(world, store):
    assert ids(world) == [TAXES, LISBON]
    assert ids(world, "--limit", "1") == [TAXES]
    assert ids(world, "--since", "2026-11-21") == [TAXES]
    (row,) = sessions(world, "list", "LISBON", "--json").json
    assert (row["name"], row["messages"], row["damaged"]) == ("two-days-in-lisbon", 2, None)
    assert row["store"] == f"file:{world.data}"
    assert "none of 2 sessions" in sessions(world, "list", "nothing like it").err
    assert "2026-11-20, 7d" in sessions(world, "list", "--since", "soon", code=2).err


def test_nothing_there_is_said_and_no_fault(world):
    assert "no sessions yet" in sessions(world, "list").err
    assert sessions(world, "list", "--json").json == []
    assert sessions(world, "verify", "--json").json == []
    assert sessions(world, "trash", "--json").json == []
    assert sessions(world, "prune", "--json").json == {"pruned": 0, "left": 0}
    assert "is not there" in sessions(world, "show", "lisbon", code=1).err


def test_show_prints_what_was_said_the_end_of_it_and_other_branches(world, store):
    run = sessions(world, "show", "two-days-in-lisbon")
    assert run.out == "you:\ntwo days in lisbon\n\nassistant:\nTake line 28.\n\n"
    assert sessions(world, "show", LISBON, "--last", "1").out == "assistant:\nTake line 28.\n\n"
    document = sessions(world, "show", LISBON, "--json").json
    assert [m["content"] for m in document["messages"]] == ["two days in lisbon", "Take line 28."]
    assert (document["path"], document["id"]) == ([1, 2], LISBON)
    stored = store.read(LISBON)
    entries = (Rewound(id="r", to=1, why="retry"), AssistantSaid(id="b", parts=(Text("Walk."),)))
    session = fold_all(Session(stored.birth), (*stored.entries, *entries))
    store.append(stored.birth, entries, at=2, headline=session.headline())
    assert "Take line 28." not in sessions(world, "show", LISBON).out
    assert (
        "assistant (another branch):\nTake line 28."
        in sessions(world, "show", LISBON, "--branches").out
    )


def test_search_finds_the_message_in_its_session(world, store):
    found = sessions(world, "search", "line 28", "--json").json
    (hit,) = found["hits"]
    assert (hit["id"], hit["n"], hit["role"], found["missing"]) == (LISBON, 2, "assistant", 0)
    assert "two-days-in-lisbon#2" in sessions(world, "search", "LINE", "28").out
    assert "\x1b" not in sessions(world, "search", "pay").out
    assert "was not found" in sessions(world, "search", "zebra", code=1).err


# -- changing -------------------------------------------------------------------------------------


def test_rename_and_fork(world, store):
    row = sessions(world, "rename", "my-taxes", "Taxes  2026", "--json").json
    assert (row["id"], row["title"]) == (TAXES, "Taxes 2026")
    assert "a session needs a name" in sessions(world, "rename", TAXES, " ", code=2).err
    copy = sessions(world, "fork", LISBON, "other way", "--json").json
    assert (copy["title"], copy["parent"], copy["messages"]) == ("other way", LISBON, 2)
    assert len(ids(world)) == 3


def test_delete_needs_a_yes_and_can_be_taken_back(world, store):
    assert "add --yes" in sessions(world, "delete", LISBON, code=2).err
    assert len(ids(world)) == 2
    run = sessions(world, "delete", LISBON, "my-taxes", "nosuch", "--yes", code=1)
    assert f"chat sessions restore {LISBON}" in run.err
    assert "nosuch" in run.err
    assert ids(world) == []
    gone = sessions(world, "trash", "--json").json
    assert {row["id"] for row in gone} == {LISBON, TAXES}
    assert all(row["deleted"] for row in gone)
    assert sessions(world, "restore", "two-days", "--json").json[0]["id"] == LISBON
    assert "is not in the trash" in sessions(world, "restore", "nosuch", code=1).err
    assert ids(world) == [LISBON]


def test_a_person_is_asked_before_deleting(world, store):
    with world.open("sessions", "delete", LISBON) as person:
        person.wait_for("[y/N]")
        person.send("n\n")
        assert person.exit_code(10) == 1
    assert len(ids(world)) == 2
    with world.open("sessions", "delete", LISBON) as person:
        person.wait_for("[y/N]")
        person.send("y\n")
        assert person.exit_code(10) == 0
    assert ids(world) == [TAXES]


def test_the_trash_is_emptied_only_when_meant(world, store):
    sessions(world, "delete", LISBON, "--yes")
    assert sessions(world, "prune", "--json").json == {"pruned": 0, "left": 1}
    assert "add --yes" in sessions(world, "prune", "--days", "0", code=2).err
    told = sessions(world, "prune", "--days", "0", "--yes", "--json").json
    assert told == {"pruned": 1, "left": 0}
    assert "counted from 0" in sessions(world, "prune", "--days", "-1", code=2).err


def test_what_is_open_elsewhere_is_left_alone_and_who_has_it_is_said(world, store):
    store.lock(LISBON)
    for words in (
        ("rename", LISBON, "x"),
        ("delete", LISBON, "--yes"),
        ("move", LISBON, "--to", "sqlite:there.sqlite"),
    ):
        assert f"process {os.getpid()}" in sessions(world, *words, code=1).err
    assert len(ids(world)) == 2
    sessions(world, "fork", LISBON, "mine")
    sessions(world, "move", LISBON, "--copy", "--to", "sqlite:there.sqlite")


def test_a_damaged_session_hides_no_other(world, store):
    path = world.data / "sessions" / f"{LISBON}.json"
    path.write_bytes(b"\0" * 50)
    rows = {row["id"]: row for row in sessions(world, "list", "--json").json}
    assert rows[LISBON]["damaged"]
    assert rows[TAXES]["damaged"] is None
    checks = {c["id"]: c for c in sessions(world, "verify", "--json", code=1).json}
    assert not checks[LISBON]["ok"]
    assert checks[TAXES]["ok"]
    assert "1 with problems" in sessions(world, "verify", code=1).err
    run = sessions(world, "move", "--all", "--to", "sqlite:there.sqlite", "--json", code=1)
    assert [m["id"] for m in run.json] == [TAXES]
    assert path.read_bytes() == b"\0" * 50


# -- coming and going -----------------------------------------------------------------------------


@pytest.mark.parametrize("form", sorted(WRITERS))
def test_export_to_stdout_and_to_a_file(world, store, form):
    text = sessions(world, "export", LISBON, "--format", form).out
    assert "Take line 28." in text
    told = sessions(world, "export", LISBON, f"out.{form}", "-f", form, "--json").json
    assert told["format"] == form
    assert (world.home / f"out.{form}").read_text() == text
    assert (world.home / f"out.{form}").stat().st_mode & 0o777 == 0o600


def test_export_takes_the_format_from_the_ending_and_asks_before_it_replaces(world, store):
    sessions(world, "export", LISBON, "talk.html")
    assert (world.home / "talk.html").read_text().startswith("<!doctype html>")
    assert "add --force" in sessions(world, "export", LISBON, "talk.html", code=2).err
    sessions(world, "export", TAXES, "talk.html", "--force")
    assert "Pay them" in (world.home / "talk.html").read_text()
    assert "markdown" in sessions(world, "export", LISBON, "x", "-f", "markdwn", code=2).err
    (world.home / "link.md").symlink_to(world.home / "target.md")
    for force in ([], ["--force"]):
        run = sessions(world, "export", LISBON, "link.md", *force, code=2)
        assert "symbolic link" in run.err
    assert not (world.home / "target.md").exists()


def test_import_brings_in_and_notices_what_it_knows(world):
    path = world.home / "m.json"
    path.write_text(json.dumps({"messages": [{"role": "user", "content": "hi there"}]}))
    (row,) = sessions(world, "import", "m.json", "--json").json
    assert (row["came"], row["title"], row["from"]) == ("imported", "hi there", "m.json")
    run = sessions(world, "import", "m.json")
    assert "already imported as hi-there" in run.err
    assert len(ids(world)) == 1
    sessions(world, "import", "m.json", "--again")
    assert len(ids(world)) == 2
    piped = sessions(world, "import", "-", "--json", given=path.read_text()).json
    assert piped[0]["came"] == "already imported"


def test_import_goes_on_after_a_file_that_is_none(world):
    (world.home / "note.txt").write_text("just a note")
    (world.home / "m.json").write_text('[{"role": "user", "content": "hi"}]')
    (world.home / "folder").mkdir()
    (world.home / "folder" / "x").write_text('[{"role": "user", "content": "in a folder"}]')
    run = sessions(world, "import", "note.txt", "none.json", "m.json", "folder", code=2)
    assert "note.txt: nothing can be imported from this: it is text that is no JSON" in run.err
    assert "none.json" in run.err
    assert "2 sessions imported" in run.err


def test_sessions_move_to_another_store_and_back(world, store):
    to = f"sqlite:{world.home}/all.sqlite"
    moved = sessions(world, "move", "my-taxes", "--to", to, "--json").json[0]
    assert (moved["id"], moved["came"], moved["gone"], moved["to"]) == (TAXES, "copied", True, to)
    assert ids(world) == [LISBON]
    assert ids(world, "--store", to) == [TAXES]
    assert sessions(world, "move", TAXES, "--to", to, "--json").json[0]["came"] == "already there"
    sessions(world, "sync", "--to", to)
    assert set(ids(world)) == set(ids(world, "--store", to)) == {LISBON, TAXES}
    assert "hold the same" in sessions(world, "sync", "--to", to).err
    sessions(world, "verify", "--store", to)
    assert "which sessions" in sessions(world, "move", "--to", to, code=2).err
    assert "where to" in sessions(world, "move", TAXES, code=2).err
    assert "the store it is in" in sessions(world, "sync", "--to", "file:", code=2).err
