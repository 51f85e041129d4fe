"""The way to a Redis server: its connections, its errors in our words.

Invariants. No password is ever in a message or a hint. A server that is not there is known within
`PATIENCE` seconds; one that goes away later is tried once more and given up within
two. redis-py's own retries are off, for they know nothing of that limit. Certificates are always
checked. Whatever the library raises leaves as one of `StoreError`'s family.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

import redis
from redis import exceptions as wrong
from redis.backoff import NoBackoff
from redis.cluster import RedisCluster
from redis.retry import Retry

from chinwag.errors import (
    SessionConflict,
    SessionUnreadable,
    StoreError,
    StoreUnavailable,
)
from chinwag.stores.redis_address import PASSWORD, Address, notices
from chinwag.stores.redis_scripts import Script

T = TypeVar("T")
Client: TypeAlias = Any
Command: TypeAlias = tuple[Any, ...]

SLOW = 1.5  # seconds for an answer of a server that is known
AGAIN_WITHIN = 0.25  # a command that failed sooner than this is tried once more
HEAVY = 4 << 20  # bytes; more than this in one command gets more time
PACE = 2 << 20  # bytes a second that such a command may count on


class Link:
    """Connections to one server, made when first used. For several threads; one waits for another.

    ``notices`` is known after the first command: what this server may do to our sessions.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.notices: tuple[str, ...] = ()
        self._client: Client = None
        self._turn = threading.RLock()
        self._waiting: Client = None
        self._waiters = threading.Lock()
        self.closed = False

    # -- commands -----------------------------------------------------------------------------

    def connect(self) -> None:
        """See that somebody is there, if it is not known yet."""
        self._try(lambda _: None)

    def run(self, *command: Any, heavy: int = 0) -> Any:
        """One command. ``heavy`` is about how many bytes are sent."""
        return self._try(lambda client: client.execute_command(*command), heavy)

    def script(
        self, script: Script, keys: Sequence[str], args: Sequence[Any] = (), *, heavy: int = 0
    ) -> Any:
        """A script in one step on keys of one slot."""

        def call(client: Client) -> Any:
            try:
                return client.evalsha(script.sha, len(keys), *keys, *args)
            except wrong.NoScriptError:
                return client.eval(script.text, len(keys), *keys, *args)

        return self._try(call, heavy)

    def many(self, commands: Sequence[Command]) -> list[Any]:
        """Many commands at once; one that is refused gives its error as a StoreError."""

        def call(client: Client) -> list[Any]:
            with client.pipeline(transaction=False) as pipeline:
                for command in commands:
                    pipeline.execute_command(*command)
                return list(pipeline.execute(raise_on_error=False))

        return [self._judged(answer) for answer in self._try(call)] if commands else []

    def _judged(self, answer: Any) -> Any:
        if not isinstance(answer, Exception):
            return answer
        error = explained(answer, self.address)
        if isinstance(answer, wrong.ConnectionError | wrong.TimeoutError):
            raise error
        return error

    def scan(self, pattern: str) -> Iterator[bytes]:
        """Every key like ``pattern``, on every node, some perhaps twice."""
        found = self._try(lambda client: list(client.scan_iter(match=pattern, count=1000)))
        yield from found

    def _try(self, call: Callable[[Client], T], heavy: int = 0) -> T:
        with self._turn, _our_words(self.address):
            began = time.monotonic()
            try:
                return self._call(call, heavy)
            except (wrong.ConnectionError, OSError) as error:
                late = time.monotonic() - began > AGAIN_WITHIN
                if late or self._client is None or type(error) in _FINAL:
                    self._drop()
                    raise
                if self.address.cluster:
                    self._drop()  # its nodes may be others now; a pool connects anew by itself
            except (wrong.TimeoutError, wrong.RedisClusterException, wrong.ClusterError):
                self._drop()
                raise
            try:
                return self._call(call, heavy)
            except Exception:
                self._drop()
                raise

    def _call(self, call: Callable[[Client], T], heavy: int) -> T:
        if self._client is None:
            self._open()
        if heavy <= HEAVY:
            return call(self._client)
        client = self._made(SLOW + heavy / PACE)
        try:
            return call(client)
        finally:
            _end(client)

    # -- connections --------------------------------------------------------------------------

    def _open(self) -> None:
        """Find out within `PATIENCE` whether somebody is there, and what they are like."""
        if self.closed:
            raise StoreUnavailable(f"the store {self.address.url} was closed")
        client = self._made(self.address.patience, single=True)
        try:
            client.execute_command("PING")
            self.notices = notices(_settings(client), self.address)
        finally:
            _end(client)
        self._client = self._made(SLOW)

    def _made(self, timeout: float, *, single: bool = False) -> Client:
        a = self.address
        options: dict[str, Any] = {
            "host": a.host,
            "port": a.port,
            "username": a.user or None,
            "password": a.password or None,
            # After a silence a cluster's client asks once more who its nodes are.
            "socket_timeout": timeout / 2 if a.cluster and not single else timeout,
            "socket_connect_timeout": a.patience,
            "socket_keepalive": True,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,
            "driver_info": None,
        }
        if a.tls:
            options |= {
                "ssl": True,
                "ssl_cert_reqs": "required",
                "ssl_check_hostname": True,
                "ssl_ca_certs": a.ca or None,
                "ssl_ca_path": os.environ.get("SSL_CERT_DIR") or None,
            }
        if a.cluster and not single:
            return RedisCluster(**options)
        return redis.Redis(db=a.db, **options)

    def waited(self, key: str, after: int, seconds: float) -> bool:
        """Whether the stream has more than ``after`` within ``seconds``; on a connection apart.

        One waits at a time. False soon after `close` in another thread.
        """
        deadline = time.monotonic() + seconds
        with self._waiters, _our_words(self.address):
            try:
                while not self.closed:
                    left = deadline - time.monotonic()
                    if self._has_more(key, after, min(_WAIT, left)):
                        return True
                    if left <= _WAIT:
                        break
            finally:
                if self.closed:
                    self._end_waiting()
        return False

    def _has_more(self, key: str, after: int, seconds: float) -> bool:
        if self._waiting is None:
            self.connect()  # a server that is not there is known at once
            self._waiting = self._made(_WAIT + SLOW)
        try:
            block = max(1, round(seconds * 1e3))
            return bool(self._waiting.xread({key: f"{after}-0"}, count=1, block=block))
        except Exception:
            self._end_waiting()
            raise

    def _end_waiting(self) -> None:
        client, self._waiting = self._waiting, None
        _end(client)

    def _drop(self) -> None:
        client, self._client = self._client, None
        _end(client)

    def close(self) -> None:
        """Let go of every connection; who waits in another thread lets go of its own."""
        self.closed = True
        with self._turn:
            self._drop()
        if self._waiters.acquire(blocking=False):
            self._end_waiting()
            self._waiters.release()


_WAIT = 0.5  # seconds of one blocking read: so long after closing it may still wait
_FINAL = {wrong.AuthenticationError, wrong.AuthorizationError, wrong.BusyLoadingError}


def _end(client: Client) -> None:
    if client is None:
        return
    with contextlib.suppress(Exception):  # it may be broken: that is often why it ends
        if isinstance(client, RedisCluster):
            for node in list(client.nodes_manager.nodes_cache.values()):
                if node.redis_connection is not None:
                    node.redis_connection.connection_pool.disconnect()
        client.close()
        if not isinstance(client, RedisCluster):
            client.connection_pool.disconnect()


# -- what a server may do to us -------------------------------------------------------------------


def _settings(client: Client) -> dict[str, str]:
    """The settings that decide whether an acknowledged entry can be lost; what may not be read is
    absent. CONFIG is often forbidden; INFO then knows most of it."""
    found: dict[str, str] = {}
    for name in ("appendonly", "appendfsync", "maxmemory-policy"):
        try:
            answer = client.execute_command("CONFIG GET", name)
        except wrong.ResponseError:
            break
        found |= {_text(k): _text(v) for k, v in answer.items()}
    if len(found) < len(("appendonly", "appendfsync", "maxmemory-policy")):
        with contextlib.suppress(wrong.ResponseError):
            info = {**client.execute_command("INFO", "persistence")}
            info |= client.execute_command("INFO", "memory")
            if "aof_enabled" in info:
                found["appendonly"] = "yes" if info["aof_enabled"] else "no"
            if "maxmemory_policy" in info:
                found["maxmemory-policy"] = _text(info["maxmemory_policy"])
    return found


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


# -- errors in words ------------------------------------------------------------------------------


@contextlib.contextmanager
def _our_words(address: Address) -> Iterator[None]:
    try:
        yield
    except (wrong.RedisError, wrong.RedisClusterException, OSError) as error:
        raise explained(error, address) from None


def explained(error: Exception, address: Address) -> StoreError:
    """What the library raised, as one of ours. Pure."""
    text = " ".join(str(error).split())
    where = f"{address.host}:{address.port}"
    at = f"the Redis at {where}"
    if text.startswith("WRONGTYPE") or "WRONGTYPE" in text[:80]:
        return SessionUnreadable(
            f"a key of this session in {at} holds something else",
            hint="another program uses the same names; choose another database number",
        )
    if "equal or smaller" in text:
        return SessionConflict(
            f"entries of this session in {at} were taken away by something else",
            hint="nothing of yours is lost: go on in a copy",
        )
    for sign, said, hint in _SIGNS:
        if sign in text:
            return StoreUnavailable(said.format(at=at, host=where), hint=hint)
    if isinstance(error, wrong.TimeoutError | TimeoutError) or "timed out" in text.lower():
        hint = "does it speak TLS on this port? " if address.tls else "is it running there? "
        return StoreUnavailable(
            f"{at} does not answer", hint=hint + "?timeout=2 waits longer for it"
        )
    if isinstance(error, wrong.InvalidResponse) or "Protocol Error" in text:
        return StoreUnavailable(f"what answers at {at} is no Redis", hint="check host and port")
    if isinstance(error, wrong.ConnectionError | OSError | wrong.RedisClusterException):
        return StoreUnavailable(f"{at} cannot be reached", hint="is it running there?")
    return StoreUnavailable(f"{at} refused: {text[:200]}", hint="see its log")


_RIGHTS = "its ACL must allow: ~chinwag:* +@read +@write +@scripting +@connection +time"
_SIGNS: tuple[tuple[str, str, str], ...] = (
    ("CERTIFICATE_VERIFY_FAILED", "the certificate of {at} is not trusted",
     "name the authority's file in SSL_CERT_FILE or ?ssl_ca_certs="),
    ("WRONG_VERSION_NUMBER", "{at} does not speak TLS", "write redis:// instead of rediss://"),
    ("SSL", "{at} cannot be spoken to with TLS", "does it speak TLS on this port?"),
    ("WRONGPASS", "{at} refused the user name or password", f"set {PASSWORD}, or mend the URL"),
    ("invalid username-password", "{at} refused the user name or password",
     f"set {PASSWORD}, or mend the URL"),
    ("invalid password", "{at} refused the password", f"set {PASSWORD}, or mend the URL"),
    ("without any password configured", "{at} knows no password, but one was given",
     f"leave the password out, and {PASSWORD} unset"),
    ("NOAUTH", "{at} asks for a password", f"set {PASSWORD}"),
    ("Authentication required", "{at} asks for a password", f"set {PASSWORD}"),
    ("NOPERM", "{at} does not allow this user what a store of sessions needs", _RIGHTS),
    ("The user executing the script",
     "{at} does not allow this user what a store of sessions needs",
     _RIGHTS),
    ("No permissions", "{at} does not allow this user what a store of sessions needs", _RIGHTS),
    ("has no permissions", "{at} does not allow this user what a store of sessions needs", _RIGHTS),
    ("DENIED Redis is running in protected mode", "{at} answers only its own machine",
     "set a password there, or bind it to this network on purpose"),
    ("OOM", "the memory of {at} is full", "give it more (maxmemory), or delete something there"),
    ("maxmemory", "the memory of {at} is full",
     "give it more (maxmemory), or delete something there"),
    ("READONLY", "{at} is a replica and takes nothing", "name the primary server instead"),
    ("read only replica", "{at} is a replica and takes nothing",
     "name the primary server instead"),
    ("LOADING", "{at} is still loading its data", "it will be tried again"),
    ("loading the dataset", "{at} is still loading its data", "it will be tried again"),
    ("MASTERDOWN", "{at} is a replica that has lost its primary", "it will be tried again"),
    ("MISCONF", "{at} cannot write to its disk and takes nothing", "look after its disk"),
    ("NOREPLICAS", "{at} has too few replicas and takes nothing", "look after its replicas"),
    ("CLUSTERDOWN", "the Redis Cluster at {host} is down", "it will be tried again"),
    ("cluster is down", "the Redis Cluster at {host} is down", "it will be tried again"),
    ("Hash slot not served", "the Redis Cluster at {host} is incomplete", "look after its nodes"),
    ("All slots are not covered", "the Redis Cluster at {host} is incomplete",
     "look after its nodes"),
    ("luster mode is not enabled", "{at} is no Redis Cluster", "leave ?cluster= out of the URL"),
    ("cluster support disabled", "{at} is no Redis Cluster", "leave ?cluster= out of the URL"),
    ("MOVED", "{at} is part of a Redis Cluster", "add ?cluster=true to its URL"),
    ("CROSSSLOT", "{at} is part of a Redis Cluster", "add ?cluster=true to its URL"),
    ("max number of clients", "{at} has too many connections", "it will be tried again"),
    ("DB index is out of range", "{at} has no database of this number", "use a smaller number"),
    ("invalid DB index", "{at} has no database of this number", "use a smaller number"),
    ("BUSY", "{at} is busy with a script", "it will be tried again"),
    ("unknown command", "{at} is too old, or lacks a command that is needed",
     "version 5 or newer is needed, with streams and scripts"),
    ("Name or service not known", "no machine answers to the name of {host}",
     "check the host's name"),
    ("Temporary failure in name resolution", "no machine answers to the name of {host}",
     "check the host's name and your network"),
    ("No address associated", "no machine answers to the name of {host}", "check the host's name"),
    ("refused", "nothing listens at {at}", "is it running there?"),
)  # fmt: skip
