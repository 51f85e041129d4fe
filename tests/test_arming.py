"""The tools of a run, from what the person set."""

import asyncio

import pytest

from chinwag import arming
from chinwag.config import sources
from chinwag.config.paths import Places
from chinwag.config.rules import KeptRules, read_rules, write_rules
from chinwag.engine.approvals import Ask, Deny, Mode, Run
from chinwag.engine.rules import parse
from chinwag.errors import ConfigError, UsageError
from chinwag.talk.message import Call
from chinwag.tools.base import Ready


@pytest.fixture
def places(tmp_path):
    config = tmp_path / "config"
    config.mkdir()
    data = tmp_path / "data"
    return Places(data, data / "state", config, config / "config.toml")


@pytest.fixture
def armed(places, tmp_path):
    work = tmp_path / "work"
    work.mkdir()

    def make(text="", *, attended=False, environ=None, root=work, **flags):
        places.config_file.write_text(f"[tools]\nroot = '{root}'\n{text}")
        said = {f"tools.{name}": value for name, value in flags.items()}
        loaded = sources.load(places.config_file, environ or {}, said)
        return arming.tooling(loaded, places, attended=attended)

    make.work = work
    return make


def names(tooling):
    return [spec.name for spec in tooling.offered()]


def decided(tooling, name, **arguments):
    box = tooling.toolbox.chosen([name])
    found = box.check(Call("c", name, sources.msgspec.json.encode(arguments).decode()))
    assert isinstance(found, Ready), found
    return tooling.decide(found, "s", tainted=False)


@pytest.mark.parametrize(
    ("offer", "there"),
    [
        ("none", []),
        ("clock", ["clock"]),
        ("clock, fetch", ["clock", "fetch"]),
        (("clock", "read_file"), ["clock", "read_file"]),
        (
            "all",
            ["calculator", "clock", "list_files", "read_file", "search_files", "write_file"],
        ),
        ("clock,shell,clock", ["clock", "shell"]),
    ],
)
def test_what_is_offered(armed, offer, there):
    assert names(armed(offer=offer)) == there


def test_what_is_not_offered_can_be_turned_on(armed):
    tooling = armed(offer="clock")
    tooling.turn("shell", on=True)
    assert names(tooling) == ["clock", "shell"]
    tooling.turn("clock", on=False)
    assert names(tooling) == ["shell"]
    assert set(tooling.names) >= {"clock", "shell", "fetch"}
    with pytest.raises(UsageError):
        tooling.turn("nope", on=True)


def test_settings_arrive(armed):
    tooling = armed("max_steps = 3\nseconds = 7\n", offer="clock", attended=True)
    assert (tooling.bounds.steps, tooling.limits.seconds) == (3, 7)
    assert tooling.root == armed.work
    assert tooling.policy.attended


@pytest.mark.parametrize(
    ("approve", "mode", "kind"),
    [
        ("ask", Mode.ASK, Ask),
        ("never", Mode.NEVER, Deny),
        ("all", Mode.ALL, Run),
        ("clock", Mode.ASK, Run),
        ("clock(zone=utc), read_file(path=*)", Mode.ASK, Ask),
    ],
)
def test_who_is_asked(armed, approve, mode, kind):
    tooling = armed(offer="clock", approve=approve, attended=True)
    assert tooling.policy.mode is mode
    assert isinstance(decided(tooling, "clock"), kind)


def test_rules_come_from_the_persons_own_files(armed, places):
    write_rules(places.rules_file, KeptRules(("clock",), ("fetch",)))
    tooling = armed("allow = ['calculator']\n", offer="all")
    assert decided(tooling, "clock") == Run()
    assert decided(tooling, "calculator", expression="1") == Run()
    assert isinstance(decided(tooling, "list_files"), Deny)
    tooling.turn("fetch", on=True)
    assert "does not allow" in decided(tooling, "fetch", url="https://x.org/").reason


@pytest.mark.parametrize("name", ["ALLOW", "APPROVE", "ROOT"])
def test_never_from_the_environment(armed, name):
    text = {"ALLOW": '["clock"]', "APPROVE": "all", "ROOT": "/"}[name]
    with pytest.raises(ConfigError, match="not taken from the environment"):
        armed(offer="clock", environ={f"CHINWAG_TOOLS_{name}": text})


def test_rules_that_others_may_write_are_refused(armed, places):
    write_rules(places.rules_file, KeptRules(("clock",)))
    places.rules_file.chmod(0o666)
    with pytest.raises(ConfigError, match="written by others"):
        armed(offer="clock")


def test_a_lasting_rule_holds_in_its_folder_alone(armed, places, tmp_path):
    tooling = armed(offer="all")
    rule = parse("read_file(path=src/*)")
    asyncio.run(tooling.allow(rule))
    assert decided(tooling, "read_file", path="src/a") == Run()
    assert decided(armed(offer="all"), "read_file", path="src/a") == Run()
    other = tmp_path / "other"
    other.mkdir()
    elsewhere = armed(offer="all", root=other)
    assert isinstance(decided(elsewhere, "read_file", path="src/a"), Deny)
    asyncio.run(elsewhere.forbid(parse("read_file")))
    assert isinstance(decided(armed(offer="all"), "read_file", path="src/a"), Deny)
    asyncio.run(armed(offer="all").allow(rule))
    kept = read_rules(places.rules_file)
    assert kept == KeptRules((), (), {str(armed.work.resolve()): ("read_file(path=src/*)",)})


def test_a_root_that_is_none(armed, tmp_path):
    with pytest.raises(ConfigError, match="is no folder"):
        armed(offer="clock", root=tmp_path / "nowhere")


def test_our_own_folders_are_out_of_reach(armed, places):
    places.config_file.parent.joinpath("keys.toml").write_text("x")
    tooling = armed(offer="all", approve="all", root=places.config.parent)
    ready = tooling.toolbox.check(Call("c", "read_file", '{"path": "config/keys.toml"}'))
    if isinstance(ready, Ready):
        from chinwag.tools.base import Scene

        result, _ = asyncio.run(tooling.toolbox.run(ready, Scene(root=tooling.root)))
        ready = result
    assert ready.is_error
