"""The painted screen is taken back when something goes wrong before the real one is there."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("args", [(), ("--theme", "dark")])
def test_a_wrong_setting_leaves_the_normal_screen(world, args):
    world.env["CHINWAG_MODEL"] = "nonsense-model-name"
    with world.open(*args) as person:
        assert person.exit_code(20) == 2
        assert person.restored() == []
        assert "nonsense-model-name" in person.screen()
        assert b"\x1b[?1049h" in person.raw


def test_a_mistake_of_ours_is_seen_on_the_normal_screen(world, tmp_path):
    """Broken inside: the terminal is given back first, then the traceback is printed."""
    broken = tmp_path / "sitecustomize.py"
    broken.write_text("import sys; sys.modules['chinwag.wiring'] = None\n")
    world.env["PYTHONPATH"] = str(tmp_path)
    with world.open() as person:
        assert person.exit_code(20) == 1
        assert person.restored() == []
        assert "chinwag.wiring" in person.screen()
