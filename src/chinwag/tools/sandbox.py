"""What a tool's child may touch, and by which means it is kept to that.

Invariants: a child reads the system's programs and the tools a person has installed, writes in its
root and a temporary folder of its own, and has no network; nothing of the person's home is there
but the root, and nothing ``forbidden`` even inside it. Its environment is made of the names that
are allowed, so no key is in it. Bubblewrap does that where it is installed and works, else Landlock
and a filter of system calls; where there is neither, ``confines`` is False, the words say so, and
every call has to be asked. How much a child may use, and its end, are the supervisor's matter and
hold everywhere.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from chinwag.errors import ToolFailed

Kind = Literal["bwrap", "landlock", "none"]
_SYSTEM: Final = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix"),
    *("/gnu", "/snap", "/run/current-system", "/var/lib/dpkg", "/var/lib/snapd"),
    "/sys/devices/system/cpu",
)
_TOOLS_AT_HOME: Final = (
    *(".local/bin", ".local/lib", ".local/pipx", ".local/share/uv", ".cargo/bin", ".rustup"),
    *(".pyenv", ".rbenv", ".nvm", ".deno/bin", ".bun/bin", "go/bin"),
)
_SECRETS_AT_HOME: Final = (
    *(".ssh", ".gnupg", ".aws", ".azure", ".config", ".docker", ".kube", ".password-store"),
    *(".netrc", ".git-credentials", ".npmrc", ".pypirc", ".mozilla", ".thunderbird", ".pki"),
    *(".local/share/keyrings", ".cargo/credentials", ".cargo/credentials.toml", ".gem"),
    *(".bash_history", ".zsh_history", ".python_history", ".psql_history", ".node_repl_history"),
)
_SECRETS: Final = (
    *("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers"),
    *("/etc/sudoers.d", "/etc/ssl/private", "/etc/ssh"),
)
_DEVICES: Final = ("null", "zero", "full", "random", "urandom")
_NAMES: Final = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ")
_TEMPORARY: Final = "67108864"
"""Bytes in the temporary folders, which are memory."""
_BOOT: Final = (
    "import sys; sys.path.append({!r}); from chinwag.tools.supervisor import main; main()"
)


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """How children are kept in. ``says`` is one sentence about it.

    ``forbidden`` are folders and files no child may reach (keys, sessions, configuration),
    ``readable`` more that it may read, ``variables`` more names of its environment.
    """

    kind: Kind
    says: str
    forbidden: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    variables: tuple[str, ...] = ()
    bwrap: str = ""
    sized: bool = False
    abi: int = 0
    filters: bool = False

    @property
    def confines(self) -> bool:
        """Whether rules may answer for the person; where not, each call is asked."""
        return self.kind != "none"

    @classmethod
    def found(
        cls,
        prefer: Kind | None = None,
        *,
        forbidden: Iterable[Path] = (),
        readable: Iterable[Path] = (),
        variables: Iterable[str] = (),
    ) -> Sandbox:
        """The best that works here (each tried once: bubblewrap takes 20 ms), or ``prefer``."""
        best = _best(("bwrap", "landlock", "none") if prefer is None else (prefer, "none"))
        places = {"forbidden": forbidden, "readable": readable, "variables": variables}
        return msgspec.structs.replace(best, **{k: tuple(v) for k, v in places.items()})

    def environment(self, home: str, temporary: str) -> dict[str, str]:
        """What a child's programs find: allowed names only, and where they may write."""
        names = [n for n in os.environ if n in {*_NAMES, *self.variables} or n.startswith("LC_")]
        plain = {name: os.environ[name] for name in names}
        return {**plain, "HOME": home, "TMPDIR": temporary, "TERM": "dumb"}

    def described(self) -> dict[str, Any]:
        """For `chat doctor --json`."""
        return {"sandbox": self.kind, "confines": self.confines, "says": self.says}


def describe(sandbox: Sandbox | None = None) -> str:
    """One line for `chat doctor`: what keeps children in, or what is missing."""
    found = sandbox or Sandbox.found()
    mark = {"bwrap": "bubblewrap", "landlock": "Landlock", "none": "none"}[found.kind]
    return f"sandbox: {mark} ({found.says})"


@functools.cache
def _best(kinds: tuple[Kind, ...]) -> Sandbox:
    reasons: list[str] = []
    for kind in kinds:
        found = _tried(kind)
        reasons.append(found.says)
        if found.kind == kind:
            return msgspec.structs.replace(found, says="; ".join(reasons))
    return _nothing("; ".join(reasons))


def _nothing(says: str) -> Sandbox:
    return Sandbox(kind="none", says=says)


def _tried(kind: Kind) -> Sandbox:
    """What keeps children in by this means; of the kind "none", with the reason, where it fails."""
    if kind == "none":
        return _nothing("children are not confined here, so every call is asked")
    if sys.platform != "linux":
        return _nothing(f"{kind} is for Linux")
    return _bubblewrap() if kind == "bwrap" else _landlock()


def _bubblewrap() -> Sandbox:
    from chinwag.tools import jail

    path = shutil.which("bwrap")
    if path is None:
        return _nothing("bubblewrap is not installed")
    said = ""
    for sized in (True, False):
        size = ["--size", _TEMPORARY] if sized else []
        trial = [path, *_BARE, "--ro-bind", "/", "/", *size, "--tmpfs", "/tmp", "--", "true"]  # noqa: S108
        done = subprocess.run(trial, capture_output=True, stdin=subprocess.DEVNULL, check=False)  # noqa: S603  # found on the person's own PATH
        if done.returncode == 0:
            says = "own processes, no network, only the root can be written"
            filters = jail.knows_calls()
            return Sandbox(kind="bwrap", says=says, bwrap=path, sized=sized, filters=filters)
        said = done.stderr.decode("utf-8", "replace").strip()[-200:]
    return _nothing(f"bubblewrap does not work here ({said})")


def _landlock() -> Sandbox:
    from chinwag.tools import jail

    abi = jail.landlock_abi()
    if abi < jail.LEAST_ABI:
        return _nothing(f"this kernel has no Landlock of version {jail.LEAST_ABI} or later")
    if not jail.knows_calls():
        machine = os.uname().machine
        return _nothing(f"the system calls of {machine} are not known, so none can be filtered")
    says = f"version {abi}: no sockets, only the root can be written, no chmod by path"
    says = says if abi >= 6 else f"{says}; signals reach outside"
    return Sandbox(kind="landlock", says=says, abi=abi, filters=True)


# --- one child's command line --------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a child runs: ``root`` it may write in, and ``temporary``, a folder of its own.

    Bubblewrap makes one in memory instead.
    """

    root: Path
    temporary: Path
    cwd: Path | None = None


def supervised(
    argv: Iterable[str],
    *,
    sandbox: Sandbox,
    place: Place,
    limits: Mapping[str, Any],
    control: bool = True,
) -> tuple[list[str], dict[str, str]]:
    """(command line, environment) that run ``argv`` confined, under a supervisor.

    With ``control`` the supervisor's standard input is the pipe whose end ends everything, and its
    standard error tells in JSON how that was; without, all three are the child's own. ``limits``
    are the fields of Limits. Raises ToolFailed where this cannot be.
    """
    if not sys.executable:
        raise ToolFailed("no child can be started: where Python itself lies is not known")
    root = place.root.resolve()
    if root == Path(root.anchor) and sandbox.confines:
        raise ToolFailed(f"{root} is no folder to work in", hint="start in a folder of your own")
    config = {
        "control": control,
        "kind": sandbox.kind,
        "cwd": str((place.cwd or root).resolve()),
        "umask": 0o022,
        "seconds": limits["seconds"],
        "memory": limits["memory"],
        "processes": limits["processes"],
        "rlimits": _rlimits(limits),
        "families": None,
        **_means(sandbox, root, place.temporary.resolve()),
    }
    source = str(Path(__file__).parents[2])
    command = [sys.executable, "-I", "-S", "-c", _BOOT.format(source), json.dumps(config), *argv]
    in_memory = sandbox.kind == "bwrap"
    home = str(Path.home()) if in_memory else str(place.temporary)
    return command, sandbox.environment(home, "/tmp" if in_memory else str(place.temporary))  # noqa: S108


def _rlimits(limits: Mapping[str, Any]) -> dict[str, int]:
    """Of each process alone. Address space is let out wide: some runtimes reserve much of it."""
    cores = os.cpu_count() or 1
    each = {
        "DATA": limits["memory"],
        "AS": limits["memory"] + (32 << 30),
        "NPROC": limits["processes"],
        "FSIZE": limits["file"],
        "NOFILE": 1024,
        "CORE": 0,
    }
    return each | ({"CPU": int(limits["seconds"] * cores) + 1} if limits["seconds"] else {})


def _means(sandbox: Sandbox, root: Path, temporary: Path) -> dict[str, Any]:
    from chinwag.tools import jail

    match sandbox.kind:
        case "none":
            return {}
        case "bwrap":
            inside = (jail.AF_UNIX, jail.AF_INET, jail.AF_INET6, jail.AF_NETLINK)
            families = inside if sandbox.filters else None
            return {"bwrap": _bwrap_argv(sandbox, root), "families": families}
        case "landlock":
            grants = list(_grants(sandbox, root, temporary))
            return {"abi": sandbox.abi, "grants": grants, "families": ()}


_BARE: Final = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL")


def _bwrap_argv(sandbox: Sandbox, root: Path) -> list[str]:
    size = ["--size", _TEMPORARY] if sandbox.sized else []
    home = Path.home().resolve()
    made: list[tuple[Path, list[str]]] = [
        (Path("/tmp"), [*size, "--tmpfs", "/tmp"]),  # noqa: S108  # its own, in memory
        *((path, ["--ro-bind-try", str(path), str(path)]) for path in _read_only(sandbox)),
    ]
    if not home.is_relative_to(root):
        made.append((home, [*size, "--tmpfs", str(home)]))
    made.append((root, ["--bind", str(root), str(root)]))
    argv = [sandbox.bwrap, *_BARE, "--proc", "/proc", "--dev", "/dev"]
    argv += [*size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108
    argv += ["--remount-ro", "/proc"]  # root may set the kernel's own values, capability or not
    for link in filter(Path.is_symlink, map(Path, _SYSTEM)):
        argv += ["--symlink", str(link.readlink()), str(link)]
    # What lies above comes first, or it would cover what lies in it. Sorting keeps equals in order.
    for _, words in sorted(made, key=lambda each: len(each[0].parts)):
        argv += words
    for path in _forbidden(sandbox, root):
        argv += _mask(path, root)
    return [*argv, "--remount-ro", "/", "--chdir", str(root)]


def _mask(path: Path, root: Path) -> list[str]:
    """A folder in its place that is empty; of what is not there, only what could be made."""
    if path.is_dir():
        return ["--tmpfs", str(path), "--remount-ro", str(path)]
    if path.exists():
        return ["--ro-bind", "/dev/null", str(path)]
    if path.is_relative_to(root) and path.parent.is_dir():
        return ["--tmpfs", str(path), "--remount-ro", str(path)]
    return []


def _read_only(sandbox: Sandbox) -> Iterator[Path]:
    home = Path.home().resolve()
    system = [Path(name) for name in _SYSTEM]
    yield from (path for path in system if path.exists() and not path.is_symlink())
    entries = map(Path, os.environ.get("PATH", "").split(os.pathsep))
    more = [*entries, *(home / name for name in _TOOLS_AT_HOME), *sandbox.readable]
    more += [Path(sys.prefix), Path(sys.base_prefix)]
    for path in dict.fromkeys(each.resolve() for each in more if each.is_absolute()):
        is_wide = home.is_relative_to(path) or path == Path(path.anchor)
        if path.is_dir() and not is_wide and not any(path.is_relative_to(s) for s in system):
            yield path


def _forbidden(sandbox: Sandbox, root: Path) -> list[Path]:
    """What is out of reach wherever it lies. Raises ToolFailed where the root itself is."""
    home = Path.home().resolve()
    named = [Path(os.path.realpath(path)) for path in sandbox.forbidden]
    if any(root.is_relative_to(path) for path in named):
        raise ToolFailed(f"{root} holds keys, settings or sessions", hint="work in another folder")
    places = [*map(Path, _SECRETS), *(home / name for name in _SECRETS_AT_HOME)]
    usual = [Path(os.path.realpath(path)) for path in places]
    # Whoever works in one of the usual places (~/.config/nvim) has chosen it.
    return list(dict.fromkeys([*named, *(path for path in usual if not root.is_relative_to(path))]))


def _grants(sandbox: Sandbox, root: Path, temporary: Path) -> Iterator[tuple[str, str]]:
    forbidden = [str(path) for path in _forbidden(sandbox, root)]
    for path in _read_only(sandbox):
        yield from _carved(str(path), forbidden, "read")
    yield from _carved(str(root), forbidden, "write")
    yield str(temporary), "write"
    yield "/proc", "read"
    yield from ((f"/dev/{name}", "device") for name in _DEVICES)


def _carved(path: str, forbidden: list[str], right: str) -> Iterator[tuple[str, str]]:
    """Grants on all of ``path`` but what is forbidden: Landlock knows only what is allowed."""
    if any(f"{path}/".startswith(f"{each}/") for each in forbidden):
        return
    within = [each for each in forbidden if each.startswith(f"{path}/")]
    if not within:
        yield path, right
        return
    yield path, "look"
    try:
        with os.scandir(path) as found:
            below = sorted(entry.path for entry in found if not entry.is_symlink())
    except OSError:
        return
    for each in below:
        yield from _carved(each, within, right)
