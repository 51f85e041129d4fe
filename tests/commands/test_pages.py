"""The pages say nothing that is not so: each command, option and variable in them exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chinwag
from chinwag.commands import help as help_room
from chinwag.commands.builtin import TABLE
from chinwag.config.settings import Settings
from chinwag.providers.catalog import DIALECTS, ROWS

SRC = Path(chinwag.__file__).parent
NAMES = [name for name, _ in help_room.TOPICS]
KNOWN = help_room.facts(data_dir="/D", state_dir="/S", config_path="/C/config.toml")


def text_of(name):
    return help_room.page(name, KNOWN)


def test_every_page_is_listed_and_every_listed_page_is_there():
    files = {p.stem for p in (SRC / "commands" / "pages").glob("*.md")}
    assert files == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_page_has_its_title_and_nothing_left_to_fill_in(name):
    text = text_of(name)
    assert text.startswith(f"# {dict(help_room.TOPICS)[name]}\n")
    assert not re.search(r"\{\w+\}", text)
    assert "<!--" not in text
    assert "TODO" not in text


@pytest.mark.parametrize("name", NAMES)
def test_commands_it_names_exist(name):
    for word in set(re.findall(r"`/([a-z]+)(?=[ `])", text_of(name))) - {"text"}:
        assert TABLE.get(word), f"/{word}"
    for topic in re.findall(r"`/help ([a-z-]+)`", text_of(name)):
        assert topic in {*NAMES, "keys"} or TABLE.get(topic), topic


NAMES_OF_CLI = ("cli.py", "cli_sessions.py", "cli_config.py", "cli_mcp.py")


def test_details_of_commands_name_what_exists():
    for command in TABLE.commands:
        for word in re.findall(r"`/([a-z]+)(?=[ `])", command.detail):
            assert TABLE.get(word), f"/{word} in /{command.name}"


@pytest.mark.parametrize("name", NAMES)
def test_options_and_subcommands_it_names_exist(name):
    cli = "".join((SRC / name).read_text() for name in NAMES_OF_CLI)
    own = re.findall(r"`(chat [^`]*)`|^(chat .*)$", text_of(name), re.MULTILINE)
    for line in map("".join, own):
        for option in re.findall(r"(?<=\s)--?[a-z][a-z-]*", line):
            assert f'"{option}"' in cli, option
        sub = re.match(r"chat (sessions|config) (\w+)", line)
        if sub:
            assert f'@{sub[1]}_app.command("{sub[2]}"' in cli, line


def test_variables_of_keys_exist():
    known = {key for row in ROWS for key in (*row.keys, *row.addresses)}
    standard = {"HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "NO_COLOR", "VISUAL", "EDITOR"}
    mine = {"LAB_KEY", "MY_OTHER_NAME", "_API_KEY"}
    settings = {f"CHINWAG_{name.upper()}" for name in Settings.__struct_fields__}
    for name in NAMES:
        for word in re.findall(r"\b[A-Z_]+_(?:KEY|TOKEN|URL|HOST|PROXY|FILE|DIR)\b", text_of(name)):
            assert word in known | standard | mine | settings, word
    page = text_of("keys-and-providers")
    remote = [row for row in ROWS if not row.local]
    assert [row.name for row in remote if f"| `{row.name}` |" not in page] == []


def test_dialects_and_ports_are_ours():
    page = text_of("keys-and-providers")
    listed = re.search(r"dialect = \"openai\" +# (.*)", page)[1]
    assert set(listed.split(" | ")) == set(DIALECTS)
    local = text_of("local-models")
    for row in ROWS:
        if row.local:
            assert re.search(r":(\d+)", row.base_url)[1] in local


def test_settings_in_examples_exist():
    for name in NAMES:
        for block in re.findall(r"```toml\n(.*?)```", text_of(name), re.DOTALL):
            top = block.partition("[")[0]
            for key in re.findall(r"^#? ?(\w+) =", top, re.MULTILINE):
                assert key in Settings.__struct_fields__, key
