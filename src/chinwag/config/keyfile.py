"""Writing `keys.toml`: a provider and its key, a line each.

Invariants: the file is 0600 from its first instant and replaced whole, so a crash leaves the old or
the new list; nothing in it is ever printed; what is written can be read by `secrets.read_keys`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from chinwag.config.paths import private_folder
from chinwag.config.secrets import read_keys
from chinwag.errors import ConfigError

_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def keep_key(path: Path, provider: str, value: str) -> None:
    """Set ``provider``'s key. Raises ConfigError for what cannot be a key, or cannot be written."""
    word = value.strip()
    if not word or not (word.isascii() and word.isprintable()) or " " in word:
        raise ConfigError(
            "that cannot be a key: it is empty, or holds spaces or characters no key has",
            hint="copy it again, without quotes or line breaks",
        )
    _write(path, {**read_keys(path), provider: word})


def drop_key(path: Path, provider: str) -> bool:
    """Take ``provider``'s key away; False where there was none."""
    keys = read_keys(path)
    if keys.pop(provider, None) is None:
        return False
    _write(path, keys)
    return True


def _write(path: Path, keys: dict[str, str]) -> None:
    private_folder(path.parent)
    # A JSON string of printable ASCII is a TOML string, too.
    text = "".join(f"{json.dumps(name)} = {json.dumps(keys[name])}\n" for name in sorted(keys))
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(fresh, _FLAGS, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        fresh.unlink(missing_ok=True)
        reason = (error.strerror or str(error)).lower()
        raise ConfigError(
            f"the key could not be kept: {reason}", hint="check the folder", where=str(path)
        ) from error
