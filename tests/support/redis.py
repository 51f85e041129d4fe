"""A real redis-server for tests, and a proxy that loses replies.

Servers listen on loopback only, keep their data in a folder of the test's, write every change to
disk before they answer, and are ended by their process id.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

READY = 10.0  # seconds; it takes 0.05 where nothing else runs
DURABLE = ("--appendonly", "yes", "--appendfsync", "always")


def missing() -> str:
    """Why there can be no Redis here; "" when there can."""
    return "" if shutil.which("redis-server") else "redis-server is not installed"


def may_skip() -> bool:
    """Whether a test may go without: where it is not installed, but never in CI."""
    return bool(missing()) and os.environ.get("CI") != "true"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Server:
    """A redis-server that answers. ``more`` are its options, as on its command line.

    ``prefix`` begins its command line (a network namespace); ``host`` may be several addresses.
    """

    def __init__(
        self,
        folder: Path,
        *more: str,
        durable: bool = True,
        tls: Sequence[str] = (),
        prefix: Sequence[str] = (),
        host: str = "127.0.0.1",
    ) -> None:
        self.folder = folder
        self.host = host
        self.port = free_port()
        self.tls = bool(tls)
        ports = ["--port", "0", "--tls-port", str(self.port)] if tls else ["--port", str(self.port)]
        self._command = [*prefix, "redis-server", "--bind", *host.split(), *ports, "--save", ""]
        self._command += ["--dir", str(folder), "--loglevel", "warning", "--daemonize", "no"]
        self._command += [*(DURABLE if durable else ("--appendonly", "no")), *tls, *more]
        #: Where nodes of a cluster talk to each other; by itself it would be port + 10000.
        self.bus = free_port()
        if "--cluster-enabled" in more:
            self._command += ["--cluster-port", str(self.bus), "--cluster-node-timeout", "2000"]
        self._prefix = list(prefix)
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"{'rediss' if self.tls else 'redis'}://{self.host}:{self.port}/0"

    def start(self) -> None:
        self._log = (self.folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )
        try:
            self._wait()
        except BaseException:
            self.end()
            raise

    def _wait(self) -> None:
        deadline = time.monotonic() + READY
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            if self._listens():
                return
            time.sleep(0.01)
        raise AssertionError("redis-server does not answer")

    def _listens(self) -> bool:
        if self._prefix:
            asked = [*self._prefix, "redis-cli", "-p", str(self.port), "ping"]
            told = subprocess.run(asked, capture_output=True, timeout=5, check=False)
            return told.stdout.strip() == b"PONG"
        try:
            with socket.create_connection((self.host, self.port), 0.5) as there:
                if self.tls:
                    return True
                there.sendall(b"PING\r\n")
                return not there.recv(64).startswith(b"-LOADING")
        except OSError:
            return False

    def client(self, **more: Any) -> Any:
        """A client of redis-py that looks behind the store's back."""
        import redis

        return redis.Redis(host=self.host, port=self.port, **more)

    def kill(self) -> None:
        """As a crash would."""
        self._signal(signal.SIGKILL)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
            self._log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


@contextlib.contextmanager
def cluster(folder: Path, count: int) -> Iterator[list[Server]]:
    """A Redis Cluster of so many nodes, the slots shared out evenly, no replicas."""
    with contextlib.ExitStack() as opened:
        nodes = []
        for n in range(count):
            (folder / str(n)).mkdir()
            nodes.append(opened.enter_context(Server(folder / str(n), "--cluster-enabled", "yes")))
        _join(nodes)
        yield nodes


def _join(nodes: Sequence[Server]) -> None:
    count = len(nodes)
    with contextlib.ExitStack() as opened:
        admins = [opened.enter_context(node.client()) for node in nodes]
        for n, admin in enumerate(admins):
            first, last = 16384 * n // count, 16384 * (n + 1) // count - 1
            admin.execute_command("CLUSTER", "SET-CONFIG-EPOCH", n + 1)
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", first, last)
            if n:
                admin.execute_command("CLUSTER", "MEET", nodes[0].host, nodes[0].port, nodes[0].bus)
        deadline = time.monotonic() + READY
        while not all(_is_whole(admin, count) for admin in admins):
            assert time.monotonic() < deadline, "the cluster does not come together"
            time.sleep(0.02)


def _is_whole(admin: Any, count: int) -> bool:
    info = admin.execute_command("CLUSTER INFO")
    return info["cluster_state"] == "ok" and int(info["cluster_size"]) == count


class CuttingProxy:
    """Passes bytes on to ``port``. While ``cuts`` holds numbers of commands, the replies to those
    that carry ``mark`` are swallowed and the connection is closed: done, and never heard of.

    ``lose(n)`` arms it for the next n commands that carry the mark; ``lost`` counts them.
    """

    def __init__(self, port: int, mark: bytes = b"EVALSHA") -> None:
        self._to = port
        self._mark = mark
        self._armed = 0
        self.lost = 0
        self._stop = False
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose(self, commands: int = 1) -> None:
        with self._lock:
            self._armed = commands

    def _accept(self) -> None:
        while not self._stop:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            # One thread for each connection: a client of Redis waits for its reply anyway.
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open |= {client, server}
                try:
                    self._pass(client, server)
                finally:
                    with self._lock:
                        self._open -= {client, server}

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        import select

        cut = False
        while True:
            ready, _, _ = select.select([client, server], [], [])
            if client in ready:
                data = client.recv(1 << 16)
                if not data:
                    return
                cut = cut or self._is_cut(data)
                server.sendall(data)
            if server in ready:
                data = server.recv(1 << 16)
                if not data or cut:
                    return  # the server has done it; nobody hears of it
                client.sendall(data)

    def _is_cut(self, data: bytes) -> bool:
        if self._mark not in data:
            return False
        with self._lock:
            if self._armed <= 0:
                return False
            self._armed -= 1
            self.lost += 1
            return True

    def close(self) -> None:
        self._stop = True
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
