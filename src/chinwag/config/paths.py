"""Where things live on this machine.

Invariants: nothing is made by asking where it would be; every folder that is made here is 0700 from
its first instant, each missing level of it; a title or a model's word never becomes a path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from chinwag.errors import ConfigError, reason_of

APP: Final = "chinwag"
PRIVATE: Final = 0o700


class Places(msgspec.Struct, frozen=True):
    """The three folders, and what stands in them. None of it need exist."""

    data: Path
    state: Path
    config: Path
    config_file: Path

    @property
    def sessions(self) -> Path:
        return self.data / "sessions"

    @property
    def drafts(self) -> Path:
        return self.data / "drafts"

    @property
    def blobs(self) -> Path:
        return self.data / "blobs"

    @property
    def warm(self) -> Path:
        """What servers keep of sessions: small records, disposable."""
        return self.data / "warm"

    @property
    def mcp_approved(self) -> Path:
        """What MCP servers a person said yes to, word for word."""
        return self.config / "mcp-approved.json"

    @property
    def index(self) -> Path:
        return self.data / "index.sqlite"

    @property
    def history(self) -> Path:
        return self.state / "history"

    @property
    def log(self) -> Path:
        return self.state / "log"

    @property
    def models(self) -> Path:
        return self.state / "models.json"

    @property
    def spent(self) -> Path:
        """What was spent, answer by answer."""
        return self.state / "spent"

    @property
    def counts(self) -> Path:
        """How far counts of tokens have been from what servers reported, by model."""
        return self.state / "counts.json"

    @property
    def keys_file(self) -> Path:
        return self.config / "keys.toml"

    @property
    def rules_file(self) -> Path:
        """What tools may do unasked, as a person decided."""
        return self.config / "rules.toml"


def places(
    environ: Mapping[str, str], *, data_dir: str | None = None, config_file: str | None = None
) -> Places:
    """Where everything is, given ``--data-dir`` and ``--config`` (None where not said).

    A data folder of one's own takes the state along (``state`` below it), so that two such folders
    share nothing.
    """
    own_data = data_dir or environ.get("CHINWAG_DATA_DIR") or ""
    data = _expanded(own_data) if own_data else _usual("data")
    own_state = environ.get("CHINWAG_STATE_DIR") or ""
    state = _expanded(own_state) if own_state else data / "state" if own_data else _usual("state")
    own_config = environ.get("CHINWAG_CONFIG_DIR") or ""
    config = _expanded(own_config) if own_config else _usual("config")
    own_file = config_file or environ.get("CHINWAG_CONFIG") or ""
    return Places(data, state, config, _expanded(own_file) if own_file else config / "config.toml")


def _usual(kind: str) -> Path:
    import platformdirs

    match kind:
        case "data":
            return Path(platformdirs.user_data_dir(APP, appauthor=False))
        case "state":
            return Path(platformdirs.user_state_dir(APP, appauthor=False))
        case _:
            return Path(platformdirs.user_config_dir(APP, appauthor=False))


def _expanded(text: str) -> Path:
    """Absolute, so that a later change of folder moves nothing."""
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise ConfigError(
            f"there is no home folder for {text!r}", hint="Give a full path."
        ) from None
    return Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would follow links


def keep_to_oneself() -> None:
    """Whatever this process writes is its owner's alone, and a crash leaves no image of its memory,
    which holds keys and words. For a program, at its start; a library does not do that to its host.
    """
    import resource

    os.umask(0o077)
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def private_folder(path: Path) -> Path:
    """Make ``path`` and every missing level above it, each 0700; an existing one is left alone.

    Raises ConfigError where that cannot be.
    """
    missing = [level for level in (path, *path.parents) if not os.path.lexists(level)]
    try:
        for level in reversed(missing):
            _make(level)
        if not path.is_dir():
            raise NotADirectoryError(20, "Not a directory", str(path))
    except OSError as error:
        raise ConfigError(
            f"the folder {path} cannot be made: {reason_of(error)}",
            hint="Name another with --data-dir or CHINWAG_DATA_DIR, or mend its permissions.",
        ) from error
    return path


def _make(level: Path) -> None:
    try:
        level.mkdir(PRIVATE)
    except FileExistsError:
        pass  # another chat was quicker


def is_open_to_others(path: Path) -> bool:
    """Whether other accounts may read, write or enter ``path``; False where it is not there."""
    try:
        return bool(stat.S_IMODE(path.stat().st_mode) & 0o077)
    except OSError:
        return False
