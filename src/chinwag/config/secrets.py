"""Finding an API key, and never showing it.

Invariants: a key lives in a `Secret`, which no printing, formatting, comparing or pickling reveals;
no error here holds a key or a part of one; a key file that others could read is not read.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NoReturn

from chinwag.errors import ConfigError, KeyMissing, reason_of

SHOWN: Final = "‹secret›"
COMMAND_SECONDS: Final = 30
SERVICE: Final = "chinwag"


class Secret:
    """A key. ``reveal()`` is for the header it is sent in, and for nothing else."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return SHOWN

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not to be written down")


def find_key(
    provider: str,
    *,
    spec: str | None = None,
    names: Iterable[str] = (),
    environ: Mapping[str, str],
    keys_file: Path | None = None,
) -> Secret | None:
    """The key of ``provider``, or None where there is none and none was asked for.

    ``spec`` is the configuration's word, then the only one: ``env:NAME``, ``keyring:NAME``,
    ``cmd:…`` or ``none``. Without it the variables ``names`` are tried in order, then the file.
    May wait for a command or a keyring: call it in a thread. Raises KeyMissing where ``spec`` names
    something that is not there, ConfigError where it cannot be understood or the file is open to
    others.
    """
    if spec:
        return _specified(provider, spec, environ)
    for name in names:
        if environ.get(name, "").strip():
            return _checked(environ[name], f"${name}")
    return kept_key(provider, keys_file) if keys_file else None


def _specified(provider: str, spec: str, environ: Mapping[str, str]) -> Secret | None:
    how, _, what = spec.partition(":")
    match how, bool(what):
        case "none", False:
            return None
        case "env", True:
            return _from_variable(provider, what, environ)
        case "cmd", True:
            return _from_command(provider, what)
        case "keyring", True:
            return _from_keyring(provider, what)
        case _:
            raise ConfigError(
                f"the key of {provider} must say where it is found, not be written there",
                hint="One of env:NAME, keyring:NAME, cmd:COMMAND, none.",
                where=f"providers.{provider}.key",
            )


def _checked(value: str, where: str) -> Secret:
    """A key must fit in a header: one word of printable ASCII."""
    word = value.strip()
    if not (word.isascii() and word.isprintable() and " " not in word):
        raise ConfigError(
            "what is there cannot be a key: it holds spaces or characters no key has",
            hint="Copy it again, without quotes or line breaks.",
            where=where,
        )
    return Secret(word)


def _from_variable(provider: str, name: str, environ: Mapping[str, str]) -> Secret:
    value = environ.get(name, "").strip()
    if not value:
        raise missing(provider, (name,))
    return _checked(value, f"${name}")


def missing(provider: str, names: Iterable[str]) -> KeyMissing:
    """The error for a provider without a key, naming the variable to set."""
    first = next(iter(names), "")
    hint = f"export {first}=…" if first else f"Set key under [providers.{provider}] in config.toml."
    return KeyMissing(f"there is no key for {provider}", hint=hint)


def _from_command(provider: str, command: str) -> Secret:
    import shlex
    import subprocess  # only here: a command of the person's own, from their own configuration

    where = f"providers.{provider}.key"
    try:
        done = subprocess.run(  # noqa: S603  # no shell: the words go as they stand
            shlex.split(command),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=COMMAND_SECONDS,
            check=True,
            encoding="utf-8",
        )
    except subprocess.TimeoutExpired:
        why = f"took longer than {COMMAND_SECONDS} s"
    except subprocess.CalledProcessError as error:
        why = f"ended with exit code {error.returncode}"
    except OSError as error:
        why = f"could not be started: {(error.strerror or '').lower()}"
    except ValueError:  # unbalanced quotes, or output that is no text
        why = "cannot be understood"
    else:
        lines = done.stdout.strip().splitlines()
        if lines:
            return _checked(lines[0], where)
        why = "said nothing"
    raise KeyMissing(
        f"the command for the key of {provider} {why}",
        hint=f"Try it in a shell; it stands at {where} in config.toml.",
    )


def _from_keyring(provider: str, name: str) -> Secret:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise KeyMissing(
            f"the key of {provider} is in a keyring, and the keyring package is not installed",
            hint="pip install 'chinwag[keyring]'",
        ) from None
    try:
        value = keyring.get_password(SERVICE, name)
    except keyring.errors.KeyringError:
        raise KeyMissing(
            f"no keyring answers on this machine for the key of {provider}",
            hint=f"Unlock it, or use env:NAME at providers.{provider}.key.",
        ) from None
    if not value:
        raise KeyMissing(
            f"the keyring holds no {name} for {provider}",
            hint=f"`chat keys set {name} --keyring`, or keyring set {SERVICE} {name}",
        )
    return _checked(value, f"keyring:{name}")


def value_of(spec: str, *, environ: Mapping[str, str], keys_file: Path) -> str | None:
    """The key itself that ``spec`` names where no configuration says it: `keyring:NAME` is then
    what `chat keys set` kept. Waits and raises as ``find_key`` does."""
    provider = spec.partition(":")[2]
    if spec.startswith("keyring:"):
        found = kept_key(provider, keys_file)
    else:
        found = find_key(provider, spec=spec, environ=environ)
    return found.reveal() if found else None


# --- the file of keys -----------------------------------------------------------------------------


def read_keys(path: Path) -> dict[str, str]:
    """Provider to key, from a file of lines ``openai = "sk-…"``; {} where there is none.

    Raises ConfigError for a file that others can reach, a link, or what is not such a list.
    """
    text = _private_text(path)
    if text is None:
        return {}
    import tomllib

    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"line \d+", str(error))
        raise _bad_list(path, f" ({line[0]})" if line else "") from None
    if not all(isinstance(value, str) for value in data.values()):
        raise _bad_list(path, "")
    return data


def ring_file(keys_file: Path) -> Path:
    """The list of providers whose key is in the system's keyring; it holds no key."""
    return keys_file.with_name("keyring.toml")


def kept(keys_file: Path) -> dict[str, str]:
    """Provider to where the key is that `chat keys set` kept: the keyring or the file.

    Nothing is asked of the keyring. Raises ConfigError as ``read_keys``.
    """
    ring = dict.fromkeys(read_keys(ring_file(keys_file)), "the system's keyring")
    return {**ring, **dict.fromkeys(read_keys(keys_file), str(keys_file))}


def kept_key(provider: str, keys_file: Path) -> Secret | None:
    """The key that `chat keys set` kept for ``provider``. May wait for the keyring.

    Raises KeyMissing where the keyring should hold it and does not.
    """
    if stored := read_keys(keys_file).get(provider):
        return _checked(stored, str(keys_file))
    if provider in read_keys(ring_file(keys_file)):
        return _from_keyring(provider, provider)
    return None


def _bad_list(path: Path, place: str) -> ConfigError:
    hint = 'Each line is a provider and its key: openai = "…"'
    return ConfigError(f"this is no list of keys{place}", hint=hint, where=str(path))


def _private_text(path: Path) -> str | None:
    """What stands in ``path``, looked at after opening so that nobody can swap it in between."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(
            f"cannot be read: {reason_of(error)}",
            hint="It must be a file of your own, and no link.",
            where=str(path),
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        _refuse_unless_private(os.fstat(descriptor), path)
        try:
            return file.read().decode()
        except UnicodeDecodeError:
            raise ConfigError(
                "this is not UTF-8 text", hint="Save it as UTF-8.", where=str(path)
            ) from None


def _refuse_unless_private(facts: os.stat_result, path: Path) -> None:
    if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.getuid():
        hint = "It must be a plain file of your own."
        raise ConfigError("this is not your own file", hint=hint, where=str(path))
    if stat.S_IMODE(facts.st_mode) & 0o077:
        raise ConfigError(
            "other people can read the keys in here, so they are not used",
            hint=f"chmod 600 {path}",
            where=str(path),
        )


# --- taking keys out of text ----------------------------------------------------------------------

_SHAPES: Final = (  # compiled, and kept by `re`, on the first use
    r"(?<![A-Za-z0-9])(?:sk|pk|rk|gsk|xai|hf|nvapi|pplx|ghp|github_pat|AIza|ya29)[-_.]?"
    r"[A-Za-z0-9][A-Za-z0-9_\-.]{14,}"
    r"|(?i:(?<=bearer )|(?<=api-key: )|(?<=api_key=)|(?<=[?&]key=))[A-Za-z0-9_\-.~+/=]{8,}"
)


def redact(text: str, secrets: Iterable[Secret] = ()) -> str:
    """``text`` without the known keys, and without what has the shape of a key."""
    values = {secret.reveal() for secret in secrets}
    for value in sorted(values, key=len, reverse=True):
        if value:
            text = text.replace(value, SHOWN)
    return re.sub(_SHAPES, SHOWN, text)
