"""The tools of a run, made from what the person set: part of wiring, imported where they are used.

Invariants: rules come from the command line, the person's own config.toml and rules.toml, and from
keys pressed (for the folder that was worked in); never from the environment, which a folder's own
files may set. What cannot be understood is refused before anything begins.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chinwag.config.rules import KeptRules, read_rules, write_rules
from chinwag.config.sources import PREFIX, Loaded
from chinwag.engine.approvals import Mode, Policy, Rules
from chinwag.engine.rules import Rule, parse, parse_list
from chinwag.engine.tooling import Bounds, More, Tooling
from chinwag.errors import ConfigError, UsageError, nearest
from chinwag.threads import apart
from chinwag.tools.base import Limits, Toolbox
from chinwag.tools.builtin.listed import NAMES, USUAL, made

if TYPE_CHECKING:
    from chinwag.config.paths import Places
    from chinwag.config.settings import ToolSettings


def check(loaded: Loaded) -> None:
    """Raises UsageError, ConfigError."""
    _not_from_elsewhere(loaded)
    told = loaded.settings.tools
    _said(told.approve)
    for text in told.allow:
        parse(text)
    _known(told, loaded.settings.mcp)
    _names(told, loaded.settings.mcp)


def tooling(loaded: Loaded, places: Places, *, attended: bool) -> Tooling:
    """What may be called. ``attended``: somebody can be asked."""
    check(loaded)
    told = loaded.settings.tools
    mode, given = _said(told.approve)
    kept = read_rules(places.rules_file)
    root = _root(told)
    here = kept.folders.get(os.path.realpath(root), ())
    allow = (*given, *map(parse, told.allow), *map(parse, kept.allow), *map(parse, here))
    own = (places.data, places.state, places.config)
    forbidden = [p for p in own if not any(p != o and p.is_relative_to(o) for o in own)]
    make = partial(made, forbidden=forbidden)
    names = _names(told, loaded.settings.mcp)
    everything = "all" in _words(told.offer)
    return Tooling(
        Toolbox(make(n for n in names if n in NAMES)),
        offer="all" if everything else names,
        root=root,
        policy=Policy(mode, attended=attended),
        rules=Rules(allow=allow, deny=tuple(map(parse, kept.deny))),
        bounds=Bounds(steps=told.max_steps),
        limits=Limits(seconds=told.seconds),
        keep=_Keeping(places.rules_file, os.path.realpath(root)),
        servers=everything or loaded.origin("tools.offer") == "default",
        more=More(NAMES, lambda name: make([name])[0]),
    )


def _said(approve: str) -> tuple[Mode, tuple[Rule, ...]]:
    """A mode; or rules, beside which people are asked as usual."""
    try:
        return Mode(approve.strip() or "ask"), ()
    except ValueError:
        return Mode.ASK, parse_list(approve)


def _known(told: ToolSettings, servers: Collection[str]) -> None:
    """Whether what is approved beforehand names tools there are: a slip would allow nothing, and
    nobody would know. Raises UsageError."""
    for rule in _said(told.approve)[1]:
        if rule.tool not in NAMES and rule.tool.partition("__")[0] not in servers:
            near = nearest(rule.tool, (*Mode, *NAMES))
            usual = f"say ask, never, all, or rules for {', '.join(NAMES)}"
            hint = f"did you mean {' or '.join(near)}?" if near else usual
            raise UsageError(f"--approve names no tool there is: {rule.tool!r}", hint=hint)


def _words(offer: str | tuple[str, ...]) -> tuple[str, ...]:
    return tuple(offer.replace(",", " ").split()) if isinstance(offer, str) else offer


def _names(told: ToolSettings, servers: Collection[str]) -> tuple[str, ...]:
    """The tools that are offered from the beginning, `SERVER__tool` when its server brings it.

    Raises UsageError for a name nobody knows.
    """
    words = _words(told.offer)
    if words in (("none",), ()):
        return ()
    names = tuple(dict.fromkeys(n for w in words for n in (USUAL if w == "all" else (w,))))
    for name in names:
        if name not in NAMES and name.partition("__")[0] not in servers:
            near = nearest(name, NAMES) or NAMES
            hint = f"there is {', '.join(near)}; all, and none"
            raise UsageError(f"there is no tool called {name!r}", hint=hint)
    return names


def _root(told: ToolSettings) -> Path:
    root = Path(told.root).expanduser().absolute() if told.root else Path.cwd()
    if not root.is_dir():
        raise ConfigError(f"{root} is no folder", hint="tools work in a folder", where="tools.root")
    return root


def _not_from_elsewhere(loaded: Loaded) -> None:
    for name in ("tools.allow", "tools.approve", "tools.root"):
        origin = loaded.origin(name)
        if origin.startswith(PREFIX):
            raise ConfigError(
                "what tools may do is not taken from the environment",
                hint="say it by --approve, /allow, or in config.toml under [tools]",
                where=origin,
            )


class _Keeping:
    """Writes rules down, off the loop: what is allowed, for the folder that tools work in now;
    what is forbidden, for everywhere."""

    def __init__(self, path: Path, root: str) -> None:
        self._path = path
        self._root = root

    async def __call__(self, rule: Rule, *, allow: bool) -> None:
        await apart(self._write, rule, allow=allow)

    def _write(self, rule: Rule, *, allow: bool) -> None:
        kept = read_rules(self._path)
        text = str(rule)
        if allow:
            deny = tuple(d for d in kept.deny if parse(d).tool != rule.tool)
            here = (*(a for a in kept.folders.get(self._root, ()) if a != text), text)
            fresh = KeptRules(kept.allow, deny, {**kept.folders, self._root: here})
        else:
            denied = (*(d for d in kept.deny if d != text), text)
            fresh = KeptRules(kept.allow, denied, kept.folders)
        write_rules(self._path, fresh)
