"""Nobody looks upstairs, or at a neighbour: the floors of ARCHITECTURE.md, read from the imports.

A room is a package or file directly under `chinwag`; each ear in `frontends` is one of its own,
above what the ears share, and the files of the roof are one together. A room may import rooms on
lower floors and itself. Some libraries, and some concrete classes, have one place that names them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[1] / "src" / "chinwag"

FLOORS = (
    {"errors"},  # the cellar: every room may fail
    {"talk", "text", "threads"},
    {"config", "context", "providers", "stores", "tools"},
    {"engine"},
    {"commands", "assembly", "opening", "prefetching"},
    {"desk"},
    {"frontends"},  # what the ears share
    {"frontends.plain", "frontends.jsonl", "frontends.face", "frontends.tui"},
    {"roof"},
)
ROOF = {
    "__init__",
    "__main__",
    "answerers",
    "served",
    "mcp_shell",
    "cli_config",
    "cli_mcp",
    "arming",
    "attach",
    "boot",
    "cli",
    "cli_sessions",
    "completing",
    "files",
    "lists",
} | {
    *(
        "asked",
        "configuring",
        "doctor",
        "once",
        "porter",
        "printed",
        "rescue",
        "roads",
        "shelf",
        "wiring",
    ),
}
HEIGHT = {room: height for height, rooms in enumerate(FLOORS) for room in rooms}

#: What the engine may know of a room with doors to the world: what it promises.
PROMISES = {"providers.base", "stores.base", "tools.base"}

#: Concrete things that wiring.py alone may name, their own room apart.
CONCRETE = {
    *("stores.files", "stores.memory", "stores.sqlite", "stores.redis"),
    *("providers.http", "providers.scripted", "providers.local"),
}

#: Libraries, and the only files that may name them.
OWNERS = {
    "httpx": {"providers/http.py"},
    "typer": {"cli.py", "cli_sessions.py", "cli_config.py", "cli_mcp.py"},
    "tiktoken": {"context/counting.py"},
    "prompt_toolkit": {"frontends/tui/", "frontends/plain.py"},
    "redis": {"stores/redis_link.py"},
    "keyring": {"config/secrets.py", "config/keyrings.py"},
    "platformdirs": {"config/paths.py"},
}


def imports(tree: ast.AST, package: list[str]) -> Iterator[str]:
    """Every dotted name a file imports, however deep inside; relative ones made absolute."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room(parts: list[str]) -> str:
    """The room of a path below chinwag: ["frontends", "tui", "view"] is in frontends.tui."""
    two = ".".join(parts[:2])
    first = (parts or ["__init__"])[0]
    return "roof" if first in ROOF else two if two in HEIGHT else first


def faults(src: Path) -> list[str]:
    found = set()
    for path in sorted(src.rglob("*.py")):
        where = path.relative_to(src)
        parts = [*where.parent.parts, where.stem]
        here = room(parts)
        if here not in HEIGHT:
            found.add(f"{where}: no floor is known for the room {here}")
            continue
        for name in imports(ast.parse(path.read_text()), ["chinwag", *where.parent.parts]):
            top, *rest = name.split(".")
            if top != "chinwag":
                owners = OWNERS.get(top)
                if owners and not any(str(where).startswith(owner) for owner in owners):
                    found.add(f"{where} imports {top}: only {', '.join(sorted(owners))} may")
                continue
            there = room(rest)
            if there not in HEIGHT:
                continue  # a name of chinwag itself, such as __version__
            if rest and there != here and HEIGHT[there] >= HEIGHT[here]:
                found.add(f"{where} ({here}) imports {name} ({there})")
            if ".".join(rest[:2]) in CONCRETE and there != here and parts != ["wiring"]:
                found.add(f"{where} names something concrete: {name}")
            doors = here == "engine" and there in {"providers", "stores", "tools"} and len(rest) > 1
            if doors and ".".join(rest[:2]) not in PROMISES:
                found.add(f"{where} knows more of {there} than it promises: {name}")
    return sorted(found)


def test_no_room_imports_from_beside_or_above():
    assert faults(SRC) == []


def test_every_room_has_a_floor_and_every_floor_is_there():
    rooms = {p.stem for p in SRC.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert rooms <= HEIGHT.keys() | ROOF


def build(tmp_path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def test_a_made_up_house_with_faults(tmp_path):
    house = build(
        tmp_path,
        {
            "talk/entry.py": "from chinwag.engine.turn import Turn\n",
            "stores/files.py": "def f():\n    import chinwag.providers.base\n",
            "frontends/tui/view.py": "from ..plain import words\n",
            "engine/turn.py": "from chinwag.stores.files import FileStore\nimport httpx\n",
            "attic.py": "",
            "commands/help.py": "from chinwag.wiring import house\n",
            "roads.py": "from chinwag.stores.memory import MemoryStore\n",
        },
    )
    told = "\n".join(faults(house))
    assert "entry.py (talk) imports chinwag.engine.turn.Turn (engine)" in told
    assert "files.py (stores) imports chinwag.providers.base (providers)" in told
    assert "view.py (frontends.tui) imports chinwag.frontends.plain.words (frontends.plain)" in told
    assert "knows more of stores than it promises" in told
    assert "imports httpx" in told
    assert "help.py (commands) imports chinwag.wiring (roof)" in told
    assert "roads.py names something concrete: chinwag.stores.memory" in told
    assert "no floor is known for the room attic" in told


def test_a_made_up_house_without(tmp_path):
    house = build(
        tmp_path,
        {
            "errors.py": "import difflib\n",
            "talk/entry.py": "from chinwag.errors import ChinwagError\nfrom . import message\n",
            "talk/message.py": "",
            "engine/turn.py": "from chinwag.stores.base import SessionStore\n",
            "frontends/jsonl.py": "from chinwag.frontends.codes import FAILED\n",
            "frontends/codes.py": "",
            "wiring.py": "from chinwag.stores.memory import MemoryStore\n",
            "cli.py": "import typer\nfrom chinwag import wiring\n",
        },
    )
    assert faults(house) == []
