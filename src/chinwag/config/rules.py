"""The file of lasting rules: what a person allowed tools for good, and what they forbade.

Invariants: rules come from a file that is the person's own and that nobody else may write; any
other is refused, never half heeded. It is written whole or not at all, and only with what a person
pressed or typed. What a rule means is not known here.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from chinwag.config.private import write_private
from chinwag.errors import ConfigError, reason_of

_HEAD: Final = "# Written by chinwag: what tools may do unasked, and what they may never do.\n"


class KeptRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rules as texts: what is allowed everywhere, in one folder alone, and what is forbidden."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    folders: dict[str, tuple[str, ...]] = {}


def read_rules(path: Path) -> KeptRules:
    """What is kept; nothing where there is no file. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            text = file.read().decode("utf-8")
    except FileNotFoundError:
        return KeptRules()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigError(
            f"the rules cannot be read: {reason.lower()}", hint="mend or remove it", where=str(path)
        ) from None
    if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o022:
        raise ConfigError(
            "the rules may be written by others, so they are not heeded",
            hint=f"look through them, then chmod 600 {path}",
            where=str(path),
        )
    return _read(text, path)


def _read(text: str, path: Path) -> KeptRules:
    import tomllib

    try:
        return msgspec.convert(tomllib.loads(text), KeptRules)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        hint = 'it holds allow = ["…"] and deny = ["…"]'
        raise ConfigError(f"these are no rules: {error}", hint=hint, where=str(path)) from None


def write_rules(path: Path, rules: KeptRules) -> None:
    """Put these in the file's place. Raises ConfigError."""
    text = f"{_HEAD}allow = {_listed(rules.allow)}\ndeny = {_listed(rules.deny)}\n"
    folders = [f"{_text(f)} = {_listed(allow)}\n" for f, allow in rules.folders.items() if allow]
    text += "".join(["\n[folders]\n", *folders]) if folders else ""
    try:
        write_private(path, text.encode("utf-8", "replace"))
    except OSError as error:
        raise ConfigError(
            f"the rule cannot be written: {reason_of(error)}",
            hint="it holds for this session",
            where=str(path),
        ) from None


def _text(text: str) -> str:
    """A TOML text: a JSON one is that, but for one control character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _listed(rules: Iterable[str]) -> str:
    lines = [f"    {_text(rule)},\n" for rule in rules]
    return f"[\n{''.join(lines)}]" if lines else "[]"
