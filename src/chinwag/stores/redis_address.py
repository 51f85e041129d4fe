"""Where a Redis is, from its URL, and what its settings mean for us. Pure: connects to nothing.

Invariants: no password is ever in `Address.url`, its repr, a message or a hint. The library is not
imported here, for that takes longer than everything else a start does: whoever is the first to
speak to the server imports it. That it is missing is known all the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from chinwag.errors import ConfigError

PASSWORD = "CHINWAG_REDIS_PASSWORD"  # noqa: S105 - the name of a variable, no password
PATIENCE = 0.25  # seconds to connect, and for each answer while it is not known who is there
_PARAMETERS = "ttl, cluster, ssl_ca_certs, timeout"


def demand_library() -> None:
    """Raises ConfigError where redis-py is not installed."""
    try:
        there = find_spec("redis") is not None
    except ValueError:  # somebody has put nothing in its place
        there = False
    if not there:
        raise ConfigError(
            "the Redis store needs a package that is not installed",
            hint="type: pip install 'chinwag[redis]'",
        )


class Address(msgspec.Struct, frozen=True):
    """Where a server is and how to speak to it. ``ttl`` in seconds, 0 for never."""

    host: str
    port: int
    db: int = 0
    user: str = ""
    password: str = ""
    tls: bool = False
    ca: str = ""
    cluster: bool = False
    ttl: int = 0
    patience: float = PATIENCE

    @property
    def url(self) -> str:
        """As the person wrote it, without credentials."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}/{self.db}"

    def __repr__(self) -> str:
        return f"Address({self.url})"


def parse(url: str, environ: Mapping[str, str] = os.environ) -> Address:
    """`redis[s]://[user[:password]@]HOST[:PORT][/DB][?…]`. Raises ConfigError, never quoting it."""
    try:
        parts = urlsplit(url)
        port, host = parts.port or 6379, parts.hostname or ""
        given = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise _unfit("its address cannot be read") from None
    if parts.scheme not in {"redis", "rediss"} or not host:
        raise _unfit("it names no host")
    if unknown := sorted(given.keys() - set(_PARAMETERS.split(", "))):
        raise _unfit(f"it has no parameter {unknown[0]!r}", f"known are {_PARAMETERS}")
    address = Address(
        host=host,
        port=port,
        db=int(_number(parts.path.strip("/") or "0", "the database", whole=True)),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or "") or environ.get(PASSWORD, ""),
        tls=parts.scheme == "rediss",
        ca=given.get("ssl_ca_certs") or environ.get("SSL_CERT_FILE", ""),
        cluster=_truth(given.get("cluster", "no")),
        ttl=round(_number(given.get("ttl", "0"), "ttl") * 86400),
        patience=_number(given.get("timeout", ""), "timeout") if "timeout" in given else PATIENCE,
    )
    if address.cluster and address.db:
        raise _unfit("a Redis Cluster has only the database 0", "leave the number out")
    if "ttl" in given and address.ttl < 1:
        raise _unfit("ttl is the number of days after which a session goes")
    return address


def _unfit(why: str, hint: str = "") -> ConfigError:
    return ConfigError(
        f"the URL of the Redis store cannot be used: {why}",
        hint=hint or "write it as redis://HOST:PORT/DB, or rediss:// for TLS",
    )


def _number(text: str, what: str, *, whole: bool = False) -> float:
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1e6:
        raise _unfit(f"{what} must be a number")
    return value


def _truth(text: str) -> bool:
    if text.lower() not in {"true", "yes", "1", "false", "no", "0"}:
        raise _unfit("cluster is true or false")
    return text.lower() in {"true", "yes", "1"}


def notices(settings: Mapping[str, str], address: Address) -> tuple[str, ...]:
    """Sentences for the person about what may be lost. Pure."""
    why = []
    policy = settings.get("maxmemory-policy", "")
    match settings.get("appendonly"), settings.get("appendfsync"):
        case "no", _:
            why.append("it does not write down every change (appendonly no)")
        case _, "everysec":
            why.append("it writes to disk only every second (appendfsync everysec)")
        case _, "no":
            why.append("it leaves writing to disk to the system (appendfsync no)")
    if policy.startswith("allkeys") or (policy.startswith("volatile") and address.ttl):
        why.append(f"it drops sessions when its memory is full (maxmemory-policy {policy})")
    told = [f"this Redis may lose messages: {'; '.join(why)}"] if why else []
    if not settings:
        told.append("this Redis does not say whether it may lose messages: CONFIG is forbidden")
    if address.ttl:
        days = f"{address.ttl / 86400:g}"
        told.append(f"sessions in this Redis go {days} days after they were last written (ttl)")
    return tuple(told)
