"""Redis when things go wrong: replies lost, servers killed, dead, full, closed, in disguise."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from chinwag.errors import SessionConflict, SessionNotFound, StoreError, StoreUnavailable
from chinwag.stores.base import PartHead
from chinwag.stores.redis import RedisStore
from chinwag.stores.redis_address import parse
from chinwag.stores.redis_link import Link
from chinwag.stores.redis_scripts import key
from chinwag.stores.saver import FailedReport, SavedReport, Saver
from chinwag.talk.delta import TextDelta
from chinwag.talk.entry import UserSaid
from chinwag.talk.message import Media
from chinwag.talk.session import Birth, Headline
from contracts.store import birth, said, some
from properties import test_store_machine as machines
from support import hosts
from support import redis as real

pytestmark = [
    pytest.mark.server,
    pytest.mark.skipif(real.may_skip(), reason=real.missing() or "-"),
]
NOBODY = Headline()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[real.Server]:
    with real.Server(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def empty(server: real.Server) -> real.Server:
    with server.client() as admin:
        admin.flushall()
    return server


@pytest.fixture
def quick(tmp_path: Path) -> Iterator[real.Server]:
    """One that writes nothing to disk, where that is not what is asked."""
    with real.Server(tmp_path, durable=False) as running:
        yield running


def texts(entries: Any) -> list[str]:
    return [e.text for e in entries]


# -- two write the same place ---------------------------------------------------------------------


def race(places: list[tuple[list[str], str]], wins: int) -> tuple[str, list[dict[str, Any]]]:
    """Programs that write one session as fast as they can; each from its own place."""
    session = birth().id
    command = [sys.executable, str(Path(__file__).with_name("redis_writer.py"))]
    running = [
        subprocess.Popen(
            [*prefix, *command, url, session, f"w{n}", str(wins)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        for n, (prefix, url) in enumerate(places)
    ]
    try:
        for one in running:
            assert one.stdout.readline() == b"ready\n"
        for one in running:
            one.stdin.write(b"go\n")
            one.stdin.flush()
        return session, [json.loads(one.communicate(timeout=60)[0]) for one in running]
    finally:
        for one in running:
            one.kill()
            one.wait(5)
            one.stdin.close()
            one.stdout.close()


def judge(told: list[dict[str, Any]], entries: list[dict[str, Any]], wins: int) -> None:
    """Every place was won once, by the one whose words stand there."""
    owners = {n: f"w{who}" for who, one in enumerate(told) for n in one["won"]}
    assert len(owners) == sum(len(one["won"]) for one in told) == wins * len(told)
    assert [e["n"] for e in entries] == list(range(1, wins * len(told) + 1))
    assert [e["id"] for e in entries] == [f"{owners[e['n']]}-{e['n']}" for e in entries]
    assert sum(one["refused"] for one in told) > 0  # they did meet


def test_two_programs_on_one_session_win_each_place_once(quick: real.Server, soak: int) -> None:
    wins = 200 * min(soak, 10)
    session, told = race([([], quick.url)] * 2, wins)
    with RedisStore(quick.url) as store:
        entries = store.read(session).entries
    plain = [{"n": n, "id": e.id} for n, e in enumerate(entries, 1)]
    judge(told, plain, wins)


@pytest.mark.skipif(
    not hosts.possible() and os.environ.get("CI") != "true",
    reason="network namespaces need root and the program ip",
)
def test_two_hosts_on_one_session_win_each_place_once(tmp_path: Path) -> None:
    wins = 200
    with hosts.Hosts(2) as network:
        both = f"127.0.0.1 {network.address(0)} {network.address(1)}"
        safe = ("--protected-mode", "no")  # nobody else is on this network
        with real.Server(
            tmp_path, *safe, durable=False, prefix=network.on(None), host=both
        ) as server:
            where = [f"redis://{network.address(n)}:{server.port}/0" for n in (0, 1)]
            session, told = race([(network.on(n), where[n]) for n in (0, 1)], wins)
            asked = [*network.on(None), "redis-cli", "-p", str(server.port), "--json"]
            rows = subprocess.run(
                [*asked, "XRANGE", key(session, "entries"), "-", "+"],
                check=True, capture_output=True,
            )  # fmt: skip
    entries = [json.loads(fields[1]) for _, fields in json.loads(rows.stdout)]
    judge(told, entries, wins)


# -- replies that are lost ------------------------------------------------------------------------


@contextlib.contextmanager
def cut(server: real.Server, **more: Any) -> Iterator[tuple[real.CuttingProxy, RedisStore]]:
    """A store that reaches the server through a proxy which can lose replies."""
    with contextlib.ExitStack() as opened:
        proxy = opened.enter_context(real.CuttingProxy(server.port))
        url = f"redis://127.0.0.1:{proxy.port}/0"
        yield proxy, opened.enter_context(RedisStore(url, **more))


@pytest.mark.slow
def test_a_lost_reply_loses_and_doubles_nothing(quick: real.Server, soak: int) -> None:
    """Every append is done and not heard of; each seventh time the second try is lost as well."""
    rounds = 10_000 if soak > 1 else 1_000
    born, wanted = birth(), []
    with cut(quick) as (proxy, store):
        store.append(born, (), at=0, headline=NOBODY)
        for n in range(rounds):
            entries = (said(str(n), n), said(f"{n} more", n))[: 1 + n % 2]
            proxy.lose(2 if n % 7 == 0 else 1)
            saved_after_all(store, born, entries, len(wanted))
            wanted += [e.text for e in entries]
        assert proxy.lost >= rounds
    with RedisStore(quick.url) as store:
        assert texts(store.read(born.id).entries) == wanted
        assert store.header(born.id).entries == len(wanted)


def saved_after_all(store: RedisStore, born: Birth, entries: Any, at: int) -> None:
    """As the saver does it: what the store could not take is handed over again."""
    for _ in range(5):
        try:
            assert store.append(born, entries, at=at, headline=NOBODY) == at + len(entries)
        except StoreUnavailable:
            continue
        return
    raise AssertionError("it was never taken")


def test_after_a_lost_reply_more_may_come_with_the_same(empty: real.Server) -> None:
    """The saver joins what waited: the first of it is there already, the rest is not."""
    born = birth()
    with cut(empty) as (proxy, store):
        store.append(born, some(1), at=0, headline=NOBODY)
        proxy.lose(2)
        with pytest.raises(StoreUnavailable):
            store.append(born, some(2, 2), at=1, headline=NOBODY)
        assert store.append(born, some(4, 2), at=1, headline=Headline(title="all")) == 5
        assert store.read(born.id).entries == some(5)
        assert store.header(born.id).headline.title == "all"
        proxy.lose(2)
        with pytest.raises(StoreUnavailable):
            store.append(born, some(1, 6), at=5, headline=NOBODY)
        other = (said("something else", 6),)
        with pytest.raises(SessionConflict):
            store.append(born, other, at=5, headline=NOBODY)


def test_a_lost_reply_and_another_writer_is_a_conflict(empty: real.Server) -> None:
    born = birth()
    with cut(empty, lease=0) as (proxy, store), RedisStore(empty.url, lease=0) as other:
        store.append(born, some(1), at=0, headline=NOBODY)
        proxy.lose(2)
        with pytest.raises(StoreUnavailable):
            store.append(born, some(1, 2), at=1, headline=NOBODY)
        other.append(born, some(1, 3), at=2, headline=NOBODY)
        # Ours had been stored, and theirs after it: both are there, and the next is refused.
        assert store.append(born, some(1, 2), at=1, headline=NOBODY) == 2
        with pytest.raises(SessionConflict):
            store.append(born, some(1, 9), at=2, headline=NOBODY)
        assert store.read(born.id).entries == some(3)


def test_lost_replies_to_everything_else(empty: real.Server) -> None:
    born = birth()
    with cut(empty) as (proxy, store):

        def lost(do: Callable[[], Any]) -> Any:
            proxy.lose()
            return do()

        lost(lambda: store.append(born, some(1), at=0, headline=NOBODY))
        lost(lambda: store.begin_part(born.id, PartHead(2, "a", "t")))
        for piece in ("half", " an", " answer"):
            deltas = [TextDelta(piece)]
            lost(lambda d=deltas: store.add_part(born.id, d, sync=True))
        lost(lambda: store.delete(born.id))
        assert len(store.trashed()) == 1
        lost(lambda: store.restore(born.id))
        assert store.trashed() == []
        lost(lambda: store.lock(born.id))
        rescued = store.read(born.id).rescued
        assert rescued is not None
        assert rescued.text == "half an answer"
        lost(lambda: store.end_part(born.id))
        assert store.read(born.id).rescued is None
        lost(lambda: store.unlock(born.id))
        assert store.append(born, some(1, 2), at=1, headline=NOBODY) == 2


# -- servers that die -----------------------------------------------------------------------------


def test_what_was_acknowledged_survives_a_kill_of_the_server(tmp_path: Path, soak: int) -> None:
    born, at = birth(), 0
    with real.Server(tmp_path) as server, RedisStore(server.url) as store:
        for life in range(3 * soak):
            for _ in range(20):
                at = store.append(born, some(1, at + 1), at=at, headline=Headline(title=str(at)))
            digest = store.put_blob(b"%d" % life)
            server.kill()
            began = time.monotonic()
            with pytest.raises(StoreUnavailable, match=r"nothing listens|cannot be reached"):
                store.append(born, some(1, at + 1), at=at, headline=NOBODY)
            assert time.monotonic() - began < 2
            server.start()
            assert store.read(born.id).entries == some(at)
            assert store.blob(digest) == b"%d" % life
            assert store.header(born.id).headline.title == str(at - 1)


def test_the_saver_keeps_what_a_dead_server_could_not_take(tmp_path: Path) -> None:
    told: list[Any] = []
    born = birth()
    with real.Server(tmp_path) as server:
        saver = Saver(RedisStore(server.url), told.append, retry_every=0.1)
        saver.append(born, some(1), at=0, headline=NOBODY)
        wait_for(lambda: told == [SavedReport(born.id, 1)])
        server.kill()
        for at in range(1, 4):
            saver.append(born, some(1, at + 1), at=at, headline=NOBODY)
        wait_for(lambda: any(isinstance(report, FailedReport) for report in told))
        assert saver.unsaved() == [born.id]
        server.start()
        wait_for(lambda: told[-1] == SavedReport(born.id, 4))
        assert saver.close() == []
        with RedisStore(server.url) as store:
            assert store.read(born.id).entries == some(4)


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def within(seconds: float, attempt: Callable[[], Any]) -> StoreError:
    """The refusal, in time: the best of three, for a busy machine adds to each."""
    for last in (False, False, True):
        began = time.monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            attempt()
        took = time.monotonic() - began
        assert caught.value.hint
        if took < seconds:
            break
        assert not last, took
    return caught.value


def test_a_server_that_is_not_there_is_known_at_once() -> None:
    with RedisStore(f"redis://127.0.0.1:{real.free_port()}/0") as store:
        for attempt in (store.headers, lambda: store.append(birth(), (), at=0, headline=NOBODY)):
            assert "nothing listens" in within(0.3, attempt).message
        assert store.notices == ()


def test_a_server_that_swallows_connections_is_known_at_once() -> None:
    """Nobody accepts, and the queue is full: connecting hangs, as with a host switched off."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, contextlib.ExitStack() as held:
        for _ in range(3):
            one = held.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        time.sleep(0.05)
        for suffix in ("", "?cluster=true"):
            with RedisStore(f"redis://127.0.0.1:{full.getsockname()[1]}/0{suffix}") as store:
                assert "does not answer" in within(0.3, store.headers).message


@pytest.mark.parametrize("suffix", ["", "?cluster=true"])
def test_a_server_that_hangs_is_known_at_once_and_later_within_two_seconds(
    tmp_path: Path, suffix: str
) -> None:
    with contextlib.ExitStack() as opened:
        if suffix:
            (server,) = opened.enter_context(real.cluster(tmp_path, 1))
        else:
            server = opened.enter_context(real.Server(tmp_path))
        with RedisStore(server.url + suffix) as old, RedisStore(server.url + suffix) as new:
            born = birth()
            old.append(born, some(1), at=0, headline=NOBODY)
            server.freeze()
            within(0.3, new.headers)
            within(2, lambda: old.append(born, some(1, 2), at=1, headline=NOBODY))
            within(0.3, lambda: old.append(born, some(1, 2), at=1, headline=NOBODY))
            server.thaw()
            assert old.append(born, some(1, 2), at=1, headline=NOBODY) == 2
            assert new.read(born.id).entries == some(2)


# -- servers that refuse --------------------------------------------------------------------------


def refusal(url: str, **more: Any) -> StoreError:
    with RedisStore(url, **more) as store, pytest.raises(StoreUnavailable) as caught:
        store.append(birth(), some(1), at=0, headline=NOBODY)
    assert caught.value.hint
    assert "secret" not in caught.value.message + caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    return caught.value


def test_passwords_and_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with real.Server(tmp_path) as server:
        at = f"127.0.0.1:{server.port}/0"
        assert "knows no password" in refusal(f"redis://:secret@{at}").message
        with server.client() as admin:
            rights = ["~chinwag:*", "+@read", "+@write", "+@scripting", "+@connection", "+time"]
            admin.execute_command("ACL", "SETUSER", "kate", "on", ">secret", *rights)
            admin.execute_command("ACL", "SETUSER", "poor", "on", ">secret", "~*", "+@connection")
            admin.execute_command("ACL", "SETUSER", "wide", "on", ">secret", "~other:*", "+@all")
            admin.execute_command("ACL", "SETUSER", "default", ">secret-too", "resetpass")
            admin.execute_command("ACL", "SETUSER", "default", ">secret-too")
        assert "asks for a password" in refusal(f"redis://{at}").message
        assert "refused the user name" in refusal(f"redis://kate:secret2@{at}").message
        for user in ("poor", "wide"):
            error = refusal(f"redis://{user}:secret@{at}")
            assert "does not allow" in error.message
            assert "~chinwag:*" in error.hint
        lives(f"redis://kate:secret@{at}")
        monkeypatch.setenv("CHINWAG_REDIS_PASSWORD", "secret")
        lives(f"redis://kate@{at}")


def lives(url: str) -> RedisStore:
    """Everything a store does, once."""
    born = birth()
    with RedisStore(url) as store:
        store.lock(born.id)
        store.append(born, some(2), at=0, headline=NOBODY)
        store.begin_part(born.id, PartHead(3, "a", "t"))
        store.add_part(born.id, [TextDelta("x")], sync=True)
        store.end_part(born.id)
        assert store.blob(store.put_blob(b"data")) == b"data"
        assert store.wait(born.id, 1, 1)
        store.delete(born.id)
        assert born.id in [t.header.id for t in store.trashed()]
        store.restore(born.id)
        assert born.id in [h.id for h in store.headers()]
        assert store.read(born.id).entries == store.span(born.id, 0)[0] == some(2)
        store.delete(born.id)
        store.prune(0)
        store.unlock(born.id)
        assert "secret" not in store.url + repr(store._address)
    return store


def test_a_server_whose_memory_is_full(tmp_path: Path) -> None:
    born = birth()
    with real.Server(tmp_path) as server, server.client() as admin, RedisStore(server.url) as store:
        store.append(born, some(1), at=0, headline=NOBODY)
        admin.config_set("maxmemory", "1mb")
        with pytest.raises(StoreUnavailable, match="memory"):
            store.append(born, some(3, 2), at=1, headline=NOBODY)
        assert store.read(born.id).entries == some(1)
        admin.config_set("maxmemory", "0")
        assert store.append(born, some(3, 2), at=1, headline=NOBODY) == 4


def test_a_replica_takes_nothing(tmp_path: Path) -> None:
    with real.Server(tmp_path, "--replicaof", "127.0.0.1", str(real.free_port())) as replica:
        error = refusal(replica.url)
    assert "replica" in error.message
    assert "primary" in error.hint


def test_what_answers_is_no_redis() -> None:
    def web(listener: socket.socket) -> None:
        there, _ = listener.accept()
        with there:
            there.recv(1000)
            there.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=web, args=(listener,))
        server.start()
        assert "no Redis" in refusal(f"redis://127.0.0.1:{listener.getsockname()[1]}/0").message
        server.join(5)


def test_a_cluster_taken_for_one_server_and_the_reverse(tmp_path: Path, empty: real.Server) -> None:
    assert "no Redis Cluster" in refusal(f"{empty.url}?cluster=true").message
    with real.Server(tmp_path, "--cluster-enabled", "yes") as server:
        assert "incomplete" in refusal(server.url).message  # no node has the slots yet
        with server.client() as admin:
            admin.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8000)
            time.sleep(0.1)
        for suffix in ("", "?cluster=true"):
            told = refusal(server.url + suffix).message
            assert "is down" in told or "incomplete" in told


def held_by(node: real.Server) -> int:
    with node.client() as admin:
        return sum(1 for _ in admin.scan_iter("*:entries"))


def on_every_node(count: int) -> list[Birth]:
    """Births of sessions such that each of ``count`` nodes, with equal shares, has two or more."""
    from redis.crc import key_slot  # here: the extra may be missing where this file is skipped

    births: dict[int, list[Birth]] = {node: [] for node in range(count)}
    while min(map(len, births.values())) < 2:
        born = birth()
        births[key_slot(born.id.encode()) * count // 16384].append(born)
    return [born for of_node in births.values() for born in of_node]


def test_sessions_on_every_node_of_a_cluster(tmp_path: Path) -> None:
    births = on_every_node(3)
    with real.cluster(tmp_path, 3) as nodes:
        url = f"{nodes[0].url}?cluster=true"
        lives(url)
        with RedisStore(url) as store:
            for born in births:
                store.append(born, some(2), at=0, headline=NOBODY)
            store.delete(births[0].id)
            held = [held_by(node) for node in nodes]
            assert sum(held) == len(births)
            assert all(held)
            wanted = {b.id for b in births[1:]}
            assert {h.id for h in store.headers()} == wanted
            for node in nodes:  # whichever has them: the lists
                with node.client() as admin, contextlib.suppress(Exception):
                    admin.delete("chinwag:sessions")
                with node.client() as admin, contextlib.suppress(Exception):
                    admin.delete("chinwag:trash")
        with RedisStore(f"{nodes[2].url}?cluster=true") as store:
            assert {h.id for h in store.headers()} == wanted
            assert [t.header.id for t in store.trashed()] == [births[0].id]
            for node in nodes:
                node.kill()
            within(2, lambda: store.read(births[1].id))
            for node in nodes:
                node.start()
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                with contextlib.suppress(StoreUnavailable):
                    assert all(store.read(b.id).entries == some(2) for b in births[1:])
                    break
                time.sleep(0.1)
            else:
                raise AssertionError("the cluster did not come back")


def test_a_database_that_is_not_there(empty: real.Server) -> None:
    assert "database" in refusal(f"redis://127.0.0.1:{empty.port}/99").message


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    if shutil.which("openssl") is None and os.environ.get("CI") != "true":
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    cert, private = folder / "cert.pem", folder / "key.pem"
    order = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    order += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    order += ["-keyout", str(private), "-out", str(cert)]
    subprocess.run(order, check=True, capture_output=True)
    return cert, private


def test_tls_with_an_authority_of_ones_own(
    tmp_path: Path,
    certificate: tuple[Path, Path],
    empty: real.Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cert, private = certificate
    tls = ("--tls-cert-file", str(cert), "--tls-key-file", str(private), "--tls-auth-clients", "no")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    with real.Server(tmp_path, tls=tls) as server:
        url = f"rediss://localhost:{server.port}/0"
        error = refusal(url)
        assert "not trusted" in error.message
        assert "SSL_CERT_FILE" in error.hint
        lives(f"{url}?ssl_ca_certs={cert}")
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        assert lives(url).url == url
        other_name = refusal(f"rediss://127.0.0.1:{server.port}/0")
        assert "not trusted" in other_name.message
        assert "TLS" in refusal(f"rediss://localhost:{empty.port}/0").hint
        assert refusal(f"redis://localhost:{server.port}/0").message


# -- notices --------------------------------------------------------------------------------------


def test_a_server_that_may_lose_messages_is_named(tmp_path: Path) -> None:
    with real.Server(tmp_path, durable=False) as server, server.client() as admin:

        def told(suffix: str = "", user: str = "") -> str:
            with RedisStore(server.url.replace("//", f"//{user}") + suffix) as store:
                return "; ".join(store.notices)

        assert "may lose messages" in told()
        assert "appendonly no" in told()
        admin.config_set("appendonly", "yes")
        admin.config_set("appendfsync", "everysec")
        assert "appendfsync everysec" in told()
        admin.config_set("appendfsync", "always")
        assert told() == ""
        admin.config_set("maxmemory-policy", "allkeys-lru")
        assert "maxmemory-policy allkeys-lru" in told()
        admin.config_set("maxmemory-policy", "volatile-ttl")
        assert told() == ""  # only what expires is dropped, and nothing of ours does
        assert "volatile-ttl" in told("?ttl=2")
        admin.config_set("maxmemory-policy", "noeviction")
        assert (
            told("?ttl=1.5")
            == "sessions in this Redis go 1.5 days after they were last written (ttl)"
        )
        # One who may not read settings learns what INFO says; one who may not even that is told.
        admin.config_set("appendonly", "no")
        admin.acl_setuser("info", enabled=True, nopass=True, categories=["+@all"], keys=["*"],
                          commands=["-config"])  # fmt: skip
        assert "appendonly no" in told(user="info:x@")
        admin.acl_setuser("blind", enabled=True, nopass=True, categories=["+@all"], keys=["*"],
                          commands=["-config", "-info"])  # fmt: skip
        assert "does not say" in told(user="blind:x@")


# -- expiry ---------------------------------------------------------------------------------------


def test_a_ttl_is_renewed_by_writing_and_takes_all_of_a_session(empty: real.Server) -> None:
    born = birth()
    with empty.client() as admin, RedisStore(f"{empty.url}?ttl=0.5") as store:
        digest = store.put_blob(b"picture")
        shown = UserSaid(id="u", parts=(Media(mime="image/png", blob=digest),))
        store.append(born, (shown,), at=0, headline=NOBODY)
        store.begin_part(born.id, PartHead(2, "a", "t"))
        mortal = [*(key(born.id, w) for w in ("entries", "head", "part")), f"chinwag:blob:{digest}"]
        assert all(43000 < admin.ttl(k) <= 43200 for k in mortal)
        for name in mortal:
            admin.expire(name, 100)
        store.append(born, some(1, 2), at=1, headline=NOBODY)
        assert [admin.ttl(k) > 100 for k in mortal[:2]] == [True, True]
        with RedisStore(f"{empty.url}?ttl=0.5") as later:
            later.read(born.id)
        assert admin.ttl(mortal[3]) > 100  # kept as long as the session that shows it
        admin.delete(*mortal)
        assert store.headers() == []
        with pytest.raises(SessionNotFound):
            store.read(born.id)


# -- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("redis://h", ("h", 6379, 0, "", "", False, False, 0)),
        ("redis://u:p%40ss@h:1/3", ("h", 1, 3, "u", "p@ss", False, False, 0)),
        ("redis://:p@h/", ("h", 6379, 0, "", "p", False, False, 0)),
        ("rediss://[::1]:7/0?cluster=true&ttl=2", ("::1", 7, 0, "", "", True, True, 172800)),
    ],
)
def test_urls(url: str, wanted: tuple[Any, ...]) -> None:
    a = parse(url, {})
    assert (a.host, a.port, a.db, a.user, a.password, a.tls, a.cluster, a.ttl) == wanted
    assert "p@ss" not in a.url
    assert parse(a.url, {}).host == a.host


@pytest.mark.parametrize(
    "url",
    ["redis:", "redis://", "redis:///0", "redis://u:secret@h:x/0", "redis://u:secret@h/zero",
     "redis://u:secret@h:99999/0", "redis://u:secret@h/0?tll=3", "redis://u:secret@h/0?ttl=-1",
     "redis://u:secret@h/0?ttl=0", "redis://u:secret@h/0?ttl=nan", "redis://u:secret@h/2?cluster=1",
     "redis://u:secret@h/0?cluster=perhaps", "redis://u:secret@[h/0", "http://u:secret@h/0"],
)  # fmt: skip
def test_urls_that_cannot_be_used(url: str) -> None:
    from chinwag.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        parse(url, {})
    assert "secret" not in caught.value.message + caught.value.hint
    assert caught.value.hint


def test_opening_touches_nothing(tmp_path: Path) -> None:
    from chinwag.stores.opening import open_store

    store = open_store("redis://u:secret@127.0.0.1:1/0", tmp_path)
    assert isinstance(store, RedisStore)
    assert store.url == "redis://127.0.0.1:1/0"
    store.close()
    assert store._linked is None


def test_a_missing_package_says_what_to_type(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from pathlib import Path\n"
        "from chinwag.errors import ConfigError\n"
        "from chinwag.stores.opening import open_store\n"
        "try: open_store('redis://h/0', Path())\n"
        "except ConfigError as error: print(error.hint)\n"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert told.stdout.strip() == b"type: pip install 'chinwag[redis]'"


def test_a_closed_link_stays_closed(empty: real.Server) -> None:
    link = Link(parse(empty.url, {}))
    assert link.run("PING")
    link.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        link.run("PING")


# -- random lives ---------------------------------------------------------------------------------


class RedisMachine(machines.StoreMachine):
    """Replies are lost, programs killed, servers killed, other programs read, beside a dict."""

    folder: Path
    server: real.Server
    proxy: real.CuttingProxy

    def __init__(self) -> None:
        super().__init__()
        with self.server.client() as admin:
            admin.flushall()
        self.open()

    def open(self) -> None:
        self.proxy.lose(0)
        self.store = RedisStore(f"redis://127.0.0.1:{self.proxy.port}/0")

    @rule(locks=st.booleans())
    def is_killed(self, locks: bool) -> None:
        killed = self.store
        killed._leases.renewal.stop()
        with self.server.client() as admin:
            for lease in admin.scan_iter("*:lease"):
                admin.delete(lease)
        killed._link.close()
        self.open()
        for session_id in self.wanted:
            if locks:
                self.store.lock(session_id)
            rescued = self.store.read(session_id).rescued
            assert (rescued.text if rescued else "") == self.part.get(session_id, "")
        self.part.clear()
        for born in machines.BIRTHS:
            self.store.end_part(born.id)

    @rule(born=machines.WHICH, texts=machines.TEXTS, times=st.integers(1, 2))
    def loses_replies(self, born: Birth, texts: list[str], times: int) -> None:
        old = self.wanted.get(born.id, [])
        self.proxy.lose(times)
        try:
            self.append(born, texts, len(old))
        except StoreUnavailable:
            assert times == 2
            self.proxy.lose(0)
            assert self.append(born, texts, len(old)) == len(old) + len(texts)
        self.proxy.lose(0)
        self.wanted[born.id] = old + texts

    @rule()
    def the_server_is_killed(self) -> None:
        self.server.kill()
        with pytest.raises(StoreUnavailable):
            self.store.headers()
        self.server.start()

    @rule(born=machines.WHICH)
    def another_program_has_it(self, born: Birth) -> None:
        if born.id in self.wanted:
            self.store.unlock(born.id)
            with RedisStore(self.server.url) as other:
                assert len(other.read(born.id).entries) == len(self.wanted[born.id])
                other.lock(born.id)

    def teardown(self) -> None:
        self.store.close()


@pytest.mark.slow
def test_random_lives_of_a_redis(tmp_path: Path, soak: int, request: pytest.FixtureRequest) -> None:
    from hypothesis.stateful import run_state_machine_as_test

    with real.Server(tmp_path) as server, real.CuttingProxy(server.port) as proxy:
        RedisMachine.server, RedisMachine.proxy = server, proxy
        run_state_machine_as_test(
            RedisMachine,
            settings=settings(max_examples=10 * soak, stateful_step_count=15, deadline=None),
        )
