"""Writing `keys.toml`: a provider and its key, a line each.

Invariants: the file is 0600 from its first instant and replaced whole, so a crash leaves the old or
the new list; nothing in it is ever printed; what is written can be read by `secrets.read_keys`.
"""

from __future__ import annotations

import json
from pathlib import Path

from chinwag.config.private import write_private
from chinwag.config.secrets import read_keys
from chinwag.errors import ConfigError, reason_of


def keep_key(path: Path, provider: str, value: str) -> None:
    """Set ``provider``'s key. Raises ConfigError for what cannot be a key, or cannot be written."""
    _write(path, {**read_keys(path), provider: fitting(value)})


def fitting(value: str) -> str:
    """The key in what was typed or piped in. Raises ConfigError for what cannot be one."""
    word = value.strip()
    if not word or not (word.isascii() and word.isprintable()) or " " in word:
        raise ConfigError(
            "that cannot be a key: it is empty, or holds spaces or characters no key has",
            hint="copy it again, without quotes or line breaks",
        )
    return word


def drop_key(path: Path, provider: str) -> bool:
    """Take ``provider``'s key away; False where there was none."""
    keys = read_keys(path)
    if keys.pop(provider, None) is None:
        return False
    _write(path, keys)
    return True


def _write(path: Path, keys: dict[str, str]) -> None:
    # A JSON string of printable ASCII is a TOML string, too.
    text = "".join(f"{json.dumps(name)} = {json.dumps(keys[name])}\n" for name in sorted(keys))
    try:
        write_private(path, text.encode())
    except OSError as error:
        reason = reason_of(error)
        raise ConfigError(
            f"the key could not be kept: {reason}", hint="check the folder", where=str(path)
        ) from error
