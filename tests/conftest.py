"""For every test: no network beyond this machine; no key, setting or home of the person's."""

from __future__ import annotations

import ipaddress
import os
import socket
from pathlib import Path

import hypothesis
import pytest

PLAIN_RUNS = 60
FOREIGN = ("_API_KEY", "_BASE_URL", "_PROXY")
FOREIGN_NAMES = {"OLLAMA_HOST", "HF_TOKEN", "TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"}
SCREEN_NAMES = {"NO_COLOR", "FORCE_COLOR", "COLORTERM", "COLORFGBG", "COLUMNS", "LINES"}


class RealRequest(RuntimeError):
    """A test tried to leave this machine. No OSError, so that no code of ours takes it for one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--accept-screens", action="store_true", help="take the screens as they are")
    parser.addoption("--soak", type=int, default=1, help="this many times as many random rounds")


def pytest_configure(config: pytest.Config) -> None:
    runs = PLAIN_RUNS * config.getoption("--soak")
    hypothesis.settings.register_profile(
        "chinwag", max_examples=runs, deadline=None, database=None, print_blob=True
    )
    hypothesis.settings.load_profile("chinwag")


@pytest.fixture
def accept_screens(request: pytest.FixtureRequest) -> bool:
    """Whether a screen that differs is to be written down as right."""
    return bool(request.config.getoption("--accept-screens"))


@pytest.fixture(scope="session")
def soak(request: pytest.FixtureRequest) -> int:
    """By how much to multiply the rounds of a random loop: 1, or more in `make soak`."""
    return int(request.config.getoption("--soak"))


def _is_foreign(name: str) -> bool:
    upper = name.upper()
    return (
        upper.startswith("CHINWAG_")
        or upper.endswith(FOREIGN)
        or upper in FOREIGN_NAMES | SCREEN_NAMES
    )


@pytest.fixture(autouse=True)
def own_world(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that is not there yet and an environment without keys; the home is returned."""
    for name in [n for n in os.environ if _is_foreign(n)]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / f"home-{next(_homes)}"
    monkeypatch.setenv("HOME", str(home))
    for name in ("DATA", "CONFIG", "STATE", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
    return home


_homes = iter(range(10**9))


def is_here(address: object) -> bool:
    """Whether a socket address is on this machine: a path, or a loopback host."""
    if not isinstance(address, tuple):
        return True
    host = str(address[0])
    try:
        return host in {"localhost", ""} or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse to connect to, or ask the name of, any other machine."""
    connect, connect_ex, lookup = (
        socket.socket.connect,
        socket.socket.connect_ex,
        socket.getaddrinfo,
    )

    def check(address: object) -> None:
        if not is_here(address):
            raise RealRequest(f"a test wanted to reach {address!r}")

    def guarded_connect(self, address):
        check(address)
        return connect(self, address)

    def guarded_connect_ex(self, address):
        check(address)
        return connect_ex(self, address)

    def guarded_lookup(host, *rest, **more):
        name = host.decode() if isinstance(host, bytes) else host
        check((name or "", 0))
        return lookup(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", guarded_connect)
    monkeypatch.setattr(socket.socket, "connect_ex", guarded_connect_ex)
    monkeypatch.setattr(socket, "getaddrinfo", guarded_lookup)
