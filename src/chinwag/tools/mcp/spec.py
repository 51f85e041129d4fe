"""What an MCP server is: the command that is run for it, or its address. Pure.

Invariants: ``said`` shows everything that decides what will be run or asked, and no two specs that
differ in it look alike; the value of a variable or a key is never in it, only a mark of it. A
variable of ours reaches a server only by name: everything else it gets is on a short list.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from chinwag.errors import ConfigError

NAME: Final = "[A-Za-z][A-Za-z0-9-]{0,31}"
"""No underscore: ``SERVER__tool`` is then one server's only."""
PASSED_ON: Final = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR")
"""What a server gets of our environment, besides LC_…, proxies and certificates."""
NETWORK: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
CERTIFICATES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS")
KEY_FORMS: Final = ("env:", "keyring:", "cmd:")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")


class ServerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One server. ``command`` (with ``folder`` to run it in) or ``url``, never both.

    ``env`` maps names to values, or to where one is found (``env:NAME``, ``keyring:NAME``,
    ``cmd:…``); ``key`` says where the bearer token for ``url`` is. ``timeout`` is in seconds for
    one call, None for the usual; ``offer`` names the tools that are wanted, empty for all.
    """

    name: str
    command: tuple[str, ...] = ()
    url: str = ""
    folder: str = ""
    env: dict[str, str] = {}
    key: str = ""
    timeout: float | None = None
    offer: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """On one line: what is run, or asked."""
        return self.url or " ".join(map(_word, self.command))


def check(spec: ServerSpec) -> ServerSpec:
    """``spec`` itself. Raises ConfigError for what could never be started."""
    table = f"mcp.{spec.name}"
    if not re.fullmatch(NAME, spec.name):
        said = f"no MCP server can be called {spec.name!r}"
        hint = "letters, digits and -, at most 32, a letter first"
        raise ConfigError(said, hint=hint, where="mcp")
    if bool(spec.command) == bool(spec.url):
        said = "a server has either a command or a url"
        hint = 'command = ["npx", "-y", "some-server"], or url = "https://…"'
        raise ConfigError(said, hint=hint, where=table)
    if spec.url:
        _check_url(spec, table)
    elif spec.key:
        said = "a key is sent to an address, and this server has none"
        raise ConfigError(said, hint='give it by env = {NAME = "env:NAME"}', where=table)
    elif any("\0" in word for word in spec.command):
        raise ConfigError("a command holds no NUL", hint="take it out", where=table)
    return spec


def _check_url(spec: ServerSpec, table: str) -> None:
    try:
        parts = urlsplit(spec.url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or not spec.url.isprintable():
        hint = "it looks like https://host/mcp"
        raise ConfigError("that is no address of an MCP server", hint=hint, where=f"{table}.url")
    if parts.username or parts.password:
        hint = 'say where the key is: key = "env:NAME"'
        raise ConfigError("a key does not stand in an address", hint=hint, where=f"{table}.url")
    if spec.key and not spec.key.startswith(KEY_FORMS):
        hint = "env:NAME, keyring:NAME or cmd:COMMAND"
        raise ConfigError("the key must say where it is", hint=hint, where=f"{table}.key")
    if spec.key and parts.scheme == "http" and host not in LOOPBACK:
        hint = "use https, or a server on this machine"
        raise ConfigError("a key is not sent in the clear", hint=hint, where=f"{table}.key")


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: the only place that is ever asked."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


def said(spec: ServerSpec) -> str:
    """What a person says yes to, a line each thing. Two specs that do different things differ."""
    if spec.url:
        lines = [f"address: {_word(spec.url)}"]
        lines += [f"key:     {_word(spec.key)}"] if spec.key else []
    else:
        lines = [f"command: {_word(spec.command[0])}"]
        lines += [f"         {_word(word)}" for word in spec.command[1:]]
        lines += [f"folder:  {_word(spec.folder)}"]
    lines += [_variable(name, value) for name, value in sorted(spec.env.items())]
    return "\n".join(lines)


def _word(word: str) -> str:
    """As it stands where nothing in it could mislead, else as JSON."""
    plain = re.fullmatch(r"[A-Za-z0-9@%+=:,./_~?&#-]+", word)
    return word if plain else msgspec.json.encode(word).decode()


def _variable(name: str, value: str) -> str:
    if value.startswith(KEY_FORMS):
        return f"gets:    {_word(name)} from {_word(value)}"
    mark = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"gets:    {_word(name)} (from your configuration, {mark})"


def environment(ours: Mapping[str, str], found: Mapping[str, str]) -> dict[str, str]:
    """All that a server's process gets; ``found`` are the values of its own variables."""
    listed = {*PASSED_ON, *CERTIFICATES, *NETWORK, *(name.lower() for name in NETWORK)}
    passed = {n: v for n, v in ours.items() if n in listed or n.startswith("LC_")}
    return passed | dict(found)
