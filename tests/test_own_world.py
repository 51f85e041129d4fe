"""The guards of conftest.py do guard."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest


def test_another_machine_cannot_be_reached():
    with socket.socket() as one, pytest.raises(RuntimeError, match="reach"):
        one.connect(("192.0.2.1", 80))
    with pytest.raises(RuntimeError, match=r"example\.org"):
        socket.getaddrinfo("example.org", 80)


async def test_nor_through_asyncio():
    import asyncio

    with pytest.raises(RuntimeError, match="reach"):
        await asyncio.open_connection("192.0.2.1", 80)


def test_this_machine_can():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()[:2]).close()


def test_home_and_keys_are_not_the_persons():
    assert not Path.home().exists()
    assert not [n for n in os.environ if n.endswith("_API_KEY") or n.startswith("CHINWAG_")]
