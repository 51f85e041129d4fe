"""`chat config` and `chat doctor` as a person runs them."""

from __future__ import annotations

import stat

import pytest

from support.world import World

MINE = """# my own
model = "guide/guide"   # offline
[mcp.files]
command = ["no-such-program"]
env = {TOKEN = "sk-very-secret", HOME_OF = "env:HOME"}
"""


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "home")


def test_secrets_in_the_configuration_are_not_shown(world):
    world.configure(MINE)
    for form in ((), ("--json",)):
        run = world.chat("config", "show", *form)
        assert "sk-very-secret" not in run.out
        assert "env:HOME" in run.out
    told = world.chat("config", "show", "--json", CHINWAG_STORE="redis://me:hush@host:1/0").json
    assert told["mcp.files.env.TOKEN"]["value"] == "***"
    assert told["store"]["value"] == "redis://me:***@host:1/0"
    assert world.chat("config", "get", "mcp.files.env.TOKEN").out == "***\n"


def test_a_setting_is_read_set_and_taken_out_again(world):
    path = world.configure(MINE)
    assert world.chat("config", "get", "model").out == "guide/guide\n"
    assert world.chat("config", "set", "context.limit", "5000").code == 0
    assert world.chat("config", "set", "stop", "END").code == 0
    assert world.chat("config", "get", "context.limit").out == "5000\n"
    assert world.chat("config", "get", "stop", "--json").json == [
        {"name": "stop", "value": ["END"], "from": f"{path}:3"}
    ]
    assert path.read_text().startswith('# my own\nmodel = "guide/guide"   # offline\n')
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert world.chat("config", "unset", "stop").code == 0
    assert world.chat("config", "unset", "stop").code == 1
    assert world.chat("config", "unset", "context.limit").code == 0
    left = path.read_text().replace("[context]\n", "").splitlines()
    assert [line for line in left if line] == MINE.splitlines()


def test_a_file_from_another_system_keeps_its_line_ends(world):
    """Set, unset, and a server put in: none of them rewrites the lines it is not about."""
    path = world.configure("")
    path.write_bytes(b'# mine\r\nmodel = "guide/guide"\r\n')
    assert world.chat("config", "set", "stop", "END").code == 0
    assert world.chat("mcp", "add", "lab", "--", "true").code == 0
    assert path.read_bytes() == (
        b'# mine\r\nmodel = "guide/guide"\r\nstop = ["END"]\r\n'
        b'\r\n[mcp.lab]\r\ncommand = ["true"]\r\n'
    )
    assert world.chat("mcp", "remove", "lab").code == 0
    assert world.chat("config", "unset", "stop").code == 0
    assert path.read_bytes().rstrip() == b'# mine\r\nmodel = "guide/guide"'


def test_what_is_in_no_table_yet_can_be_unset(world):
    path = world.configure(MINE)
    run = world.chat("config", "unset", "context.limit")
    assert (run.code, run.err) == (1, f"context.limit is not set in {path}\n")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("modle", "x", "Did you mean model?"),
        ("context.limt", "5", "Did you mean limit?"),
        ("context.limit", "much", "A number of tokens"),
        ("temperature", "-1", "0 to 2"),
        ("providers.lab.key", "sk-abcdefgh", "env:NAME"),
        ("providers.lab.base_url", "host/v1", "https://host/v1"),
    ],
)
def test_what_does_not_fit_is_not_written(world, name, value, words):
    path = world.configure(MINE)
    run = world.chat("config", "set", name, value)
    assert (run.code, run.out) == (2, "")
    assert words in run.err
    assert "sk-abcdefgh" not in run.err
    assert path.read_text() == MINE


def test_a_broken_configuration_can_be_found_and_edited(world):
    path = world.configure('modle = "x"\n')
    assert world.chat("hi").code == 2
    assert world.chat("config", "path").out == f"{path}\n"
    told = world.chat("doctor", "--json")
    assert told.code == 2
    assert [(f["what"], f["ok"]) for f in told.json] == [("configuration", False)]
    assert f"{path}:1" in told.json[0]["is"]
    mend = world.home / "mend"
    mend.write_text('#!/bin/sh\nsed -i s/modle/model/ "$1"\n')
    mend.chmod(0o700)
    assert world.chat("config", "edit", EDITOR="true").code == 2
    assert world.chat("config", "edit", EDITOR=str(mend)).code == 0
    assert path.read_text() == 'model = "x"\n'


def test_editing_begins_a_file_of_ones_own(world):
    assert world.chat("config", "edit", EDITOR="true").code == 0
    path = world.home / "config" / "chinwag" / "config.toml"
    assert path.read_text().startswith("# Settings of chinwag")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_the_environment_overrules_is_said(world):
    world.configure(MINE)
    run = world.chat("config", "set", "system", "Be brief.", CHINWAG_SYSTEM="Be long.")
    assert "CHINWAG_SYSTEM overrules it" in run.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = 3\n", "it must be a text, and this is a whole number - Put it in quotes."),
        ('private = "yes"\n', "true or false, without quotes"),
        ('[providers.lab]\nkey = "sk-abcdefgh"\n', "Say where it is: env:NAME"),
        ('[providers.lab]\nbase_url = "host:1"\n', "An address, such as https://host/v1"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words_with_its_line(world, text, words):
    path = world.configure(text)
    run = world.chat("hi")
    assert run.code == 2
    assert f"{path}:{text.count(chr(10))}: " in run.err
    assert words in run.err
    assert "sk-abcdefgh" not in run.err


# -- doctor ---------------------------------------------------------------------------------------


def findings(run):
    return {f["what"]: (f["is"], f["ok"]) for f in run.json}


def test_doctor_says_what_keeps_tools_in_and_which_servers_there_are(world):
    world.configure(MINE)
    run = world.chat("doctor", "--json")
    found = findings(run)
    assert found["tools"][0].startswith("sandbox: ")
    assert "there is no program no-such-program" in found["MCP files"][0]
    assert (found["MCP files"][1], run.code) == (False, 1)
    world.configure(MINE.replace("no-such-program", "true"))
    run = world.chat("doctor", "--json")
    assert findings(run)["MCP files"] == (
        "true, not approved yet - chat mcp test files shows it",
        True,
    )
    assert run.code == 0
    assert "sk-very-secret" not in run.out


def test_doctor_finds_settings_that_lead_nowhere(world):
    path = world.configure(
        'model = "guide/guide"\ntheme = "drak"\n'
        '[aliases]\nfast = "nowhere/x"\n[keys]\nsned = "f5"\n'
    )
    run = world.chat("doctor", "--json")
    told = [f["is"] for f in run.json if f["what"] == "settings"]
    assert run.code == 1
    assert [t.split(": ")[0] for t in told] == [f"{path}:2", f"{path}:6", f"{path}:4"]


def test_doctor_says_which_key_is_missing(world):
    world.configure('model = "openai/gpt-5-mini"\n')
    run = world.chat("doctor", "--json")
    text, well = findings(run)["model"]
    assert (well, run.code) == (False, 1)
    assert "OPENAI_API_KEY" in text
