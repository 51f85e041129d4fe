"""Hosts of a network of our own: namespaces joined by virtual cables. Needs root and `ip`.

    ip netns exec HOST COMMAND…     is what `Hosts.on(HOST)` begins a command with

The server's host has one cable to each of the others; none of them reaches this machine's network.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Self


def possible() -> bool:
    """Whether namespaces can be made here: found out by making one."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"chinwag-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
    return made.returncode == 0


class Hosts:
    """A server's host and ``count`` others. ``address(n)`` is the server's as host n sees it."""

    def __init__(self, count: int) -> None:
        self._server = f"chinwag-{os.getpid()}-s"
        self._others = [f"chinwag-{os.getpid()}-{n}" for n in range(count)]

    def on(self, number: int | None) -> list[str]:
        name = self._server if number is None else self._others[number]
        return ["ip", "netns", "exec", name]

    def address(self, number: int) -> str:
        return f"10.77.{number}.1"

    def __enter__(self) -> Self:
        try:
            self._do("netns", "add", self._server)
            self._do("-n", self._server, "link", "set", "lo", "up")
            for number, name in enumerate(self._others):
                self._join(number, name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _join(self, number: int, name: str) -> None:
        ours, theirs = f"to{number}", "up0"
        self._do("netns", "add", name)
        made = ("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        self._do("-n", self._server, *made)
        for host, cable, last in ((self._server, ours, 1), (name, theirs, 2)):
            self._do("-n", host, "addr", "add", f"10.77.{number}.{last}/24", "dev", cable)
            self._do("-n", host, "link", "set", cable, "up")

    def _do(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def __exit__(self, *_: object) -> None:
        for name in (self._server, *self._others):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
