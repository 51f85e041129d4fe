"""The system's keyring, where the extra `keyring` is installed and something real stands behind it.

Invariants: a key is handed only to a backend that guards it: never to one that writes plain text,
and never to the stand-ins that fail or forget. Which providers have a key there stands in a list
beside the key file, without the keys: so it is known without importing `keyring` (0.3 s), which
happens only when a key is set, deleted or needed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from chinwag.config.keyfile import drop_key, keep_key
from chinwag.config.secrets import SERVICE, read_keys, ring_file
from chinwag.errors import ConfigError

_GUARDED: Final = 1
"""What `keyring` itself asks of a backend that it recommends."""
_OPEN: Final = ("keyrings.alt.", "keyring.backends.fail", "keyring.backends.null")


def backend() -> Any | None:
    """The backend that would guard a key; None where there is none. May ask the desktop."""
    try:
        import keyring
    except ImportError:
        return None
    try:
        found = keyring.get_keyring()
        return found if _guards(found) else None
    except Exception:  # noqa: BLE001  # backends are anybody's, and fail in ways of their own
        return None


def _guards(found: Any) -> bool:
    members = getattr(found, "backends", None)
    if members is not None:  # a chain writes to the first that takes it
        return bool(members) and all(map(_guards, members))
    module = type(found).__module__
    return found.priority >= _GUARDED and not module.startswith(_OPEN)


def name_of(found: Any) -> str:
    """What a person may know the keyring by."""
    return str(getattr(found, "name", "") or type(found).__name__)


def why_not() -> ConfigError:
    """The error for a keyring that was asked for and cannot serve."""
    try:
        import keyring  # noqa: F401
    except ImportError:
        return ConfigError(
            "the keyring package is not installed", hint="pip install 'chinwag[keyring]'"
        )
    return ConfigError(
        "no keyring that guards its keys answers on this machine",
        hint="--file keeps the key in a file that only you can read",
    )


def keep(keys_file: Path, provider: str, value: str) -> str:
    """Put a key into the keyring; returns the keyring's name. Raises ConfigError where it cannot.

    The key is read back before it is believed.
    """
    found = backend()
    if found is None:
        raise why_not()
    try:
        found.set_password(SERVICE, provider, value)
        is_there = found.get_password(SERVICE, provider) == value
    except Exception as error:  # noqa: BLE001  # locked, refused, no desktop: each has its own
        raise _unwilling(found, error) from None
    if not is_there:
        raise _unwilling(found, None)
    keep_key(ring_file(keys_file), provider, f"keyring:{provider}")
    return name_of(found)


def _unwilling(found: Any, error: Exception | None) -> ConfigError:
    why = type(error).__name__ if error else "it has forgotten it at once"
    return ConfigError(
        f"the keyring ({name_of(found)}) did not take the key: {why}",
        hint="unlock it, or --file keeps the key in a file that only you can read",
    )


def drop(keys_file: Path, provider: str) -> bool:
    """Take a key out of the keyring; False where none was put there.

    Raises ConfigError where the keyring does not let go of it: then it is still listed.
    """
    listed = ring_file(keys_file)
    if provider not in read_keys(listed):
        return False
    found = backend()
    if found is None:
        raise why_not()
    try:
        if found.get_password(SERVICE, provider) is not None:
            found.delete_password(SERVICE, provider)
    except Exception as error:  # noqa: BLE001
        raise ConfigError(
            f"the keyring ({name_of(found)}) does not let go of the key: {type(error).__name__}",
            hint="unlock it and try again",
        ) from None
    return drop_key(listed, provider)
