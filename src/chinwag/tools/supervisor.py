"""The process between us and a tool's child: it starts it confined, and ends it with all it made.

Runs as `python -I -S -c … CONFIG ARGV…` in a process of its own: standard library only.

Invariants: when this process is gone, so is every descendant of the child, also those that made
sessions of their own (it is their reaper); it ends them as soon as the child itself has ended, the
control pipe says so or is closed (our program died), a limit is passed, or the time is over. The
child's standard input is empty, its errors go where its output goes, and no other descriptor is
open in it; in a passed-through run (an MCP server) all three are the caller's.
"""

# pathlib would double the time it takes to start.
# ruff: noqa: PTH116, PTH123, PTH208
from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

from chinwag.tools import jail

TYPE_CHECKING = False  # what `typing` would say, without its 20 ms
if TYPE_CHECKING:
    from typing import Any, Final

WATCH: Final = 0.05
"""Seconds between two looks at how many there are, and how much they hold."""
PATIENCE: Final = 1.2
"""Seconds in which everything must have ended; a fork bomb needs several rounds."""
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    config = json.loads(sys.argv[1])
    _prepare(config)
    wake, error, child = _start(config, sys.argv[2:])
    told = _watch(config, child, wake)
    gone = end_all(child)
    failure = _read_all(error)
    if config["control"]:
        os.write(2, json.dumps({**told, "error": failure}).encode())
    elif failure:
        os.write(2, f"{failure}\n".encode())
    while not gone:  # whatever cannot be ended yet is not let go of
        gone = end_all(child)
    os._exit(told["code"] if told["code"] >= 0 else 128 - told["code"])


def _prepare(config: dict[str, Any]) -> None:
    try:
        os.setsid()
    except OSError:
        pass  # it leads a session of its own already
    if sys.platform == "linux":
        jail.prctl(jail.PR_SET_CHILD_SUBREAPER, 1)
        if not config["control"]:
            jail.prctl(jail.PR_SET_PDEATHSIG, signal.SIGTERM)


def _start(config: dict[str, Any], argv: list[str]) -> tuple[int, int, int]:
    """(a descriptor that wakes us, the one that tells why it did not start, the child)."""
    wake, waker = os.pipe()
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    for each in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, lambda *_: None)
    error, failed = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _become(config, argv)
        except BaseException as problem:  # noqa: BLE001  # told to the parent: there is no way back
            os.write(failed, f"{type(problem).__name__}: {problem}".encode()[:2000])
        finally:
            os._exit(127)
    os.close(failed)
    _let_go_of_output(config)
    return wake, error, child


def _let_go_of_output(config: dict[str, Any]) -> None:
    """The child's alone, so that its end is seen at the other side."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (1,) if config["control"] else (0, 1):
        os.dup2(nothing, fd)
    os.close(nothing)


# --- the child, before it becomes what it is to be ----------------------------------------------


def _become(config: dict[str, Any], argv: list[str]) -> None:
    os.setsid()
    signal.set_wakeup_fd(-1)
    for each in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(each) is not signal.SIG_DFL:
            signal.signal(each, signal.SIG_DFL)
    if config["control"]:
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(1, 2)
    if sys.platform == "linux":
        jail.prctl(jail.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.chdir(config["cwd"])
    os.umask(config["umask"])
    os.nice(5)  # the person's program, and whoever has to end this, come first
    _limit(config["rlimits"])
    argv = _confined(config, argv)
    os.execvpe(argv[0], argv, os.environ)  # noqa: S606  # an argument list, no shell


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is None:
            continue
        if name == "NPROC":
            value = _running() + value  # noqa: PLW2901  # the kernel counts all of this person's
        hard = resource.getrlimit(kind)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):
            pass  # macOS has limits it does not let anybody set


def _running() -> int:
    """How many threads this person has."""
    mine, count = os.getuid(), 0
    for pid in _pids("/proc"):
        try:
            if os.stat(f"/proc/{pid}").st_uid == mine:
                count += os.stat(f"/proc/{pid}/task").st_nlink - 2
        except OSError:
            pass
    return count


def _pids(folder: str) -> list[int]:
    try:
        return [int(name) for name in os.listdir(folder) if name.isdigit()]
    except OSError:
        return []


def _confined(config: dict[str, Any], argv: list[str]) -> list[str]:
    filtered = b""
    if config["families"] is not None:
        by_path = config["kind"] != "landlock"
        filtered = jail.program(config["families"], by_path=by_path)
    if config["kind"] == "bwrap":
        return [*config["bwrap"], *_handed(filtered), "--", *argv]
    if config["kind"] == "landlock":
        jail.give_up_privileges()
        jail.landlock([tuple(grant) for grant in config["grants"]], config["abi"])
        jail.apply(filtered)
    elif sys.platform == "linux":
        jail.prctl(jail.PR_SET_NO_NEW_PRIVS, 1)
    return argv


def _handed(filtered: bytes) -> list[str]:
    """The filter as bubblewrap takes it: it needs calls of its own that the filter refuses."""
    if not filtered:
        return []
    fd = os.memfd_create("filter", 0)
    os.write(fd, filtered)
    os.lseek(fd, 0, os.SEEK_SET)
    return ["--seccomp", str(fd)]


# --- the watch ------------------------------------------------------------------------------------


def _watch(config: dict[str, Any], child: int, wake: int) -> dict[str, Any]:
    """How it ended: code (a signal is negative), and why where it was ended."""
    deadline = time.monotonic() + config["seconds"] if config["seconds"] else float("inf")
    poll = select.poll()
    poll.register(wake, select.POLLIN)
    if config["control"]:
        poll.register(0, select.POLLIN | select.POLLHUP)
    limited = config["seconds"] or config["memory"] or config["processes"]
    pause = WATCH * 1000 if limited else None
    while True:
        ready = {fd for fd, _ in poll.poll(pause)}
        if (code := _reaped(child)) is not None:
            return {"code": code, "why": ""}
        told = wake in ready and bool(set(os.read(wake, 64)) - {signal.SIGCHLD})
        if told or 0 in ready:
            return {"code": -signal.SIGKILL, "why": "told"}
        why = "time" if time.monotonic() > deadline else _beyond(config)
        if why:
            return {"code": -signal.SIGKILL, "why": why}


def _reaped(child: int) -> int | None:
    """The child's code, once it has ended; whoever else has ended is no zombie either."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)


def _beyond(config: dict[str, Any]) -> str:
    """The limit that all of them together are beyond."""
    pids = descendants(config["processes"] or 0)
    if config["processes"] and len(pids) > config["processes"]:
        return "processes"
    if config["memory"] and sum(map(_held, pids)) > config["memory"]:
        return "memory"
    return ""


def _held(pid: int) -> int:
    """Bytes of memory that only this process holds: what it shares with files is not its own."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            _, resident, shared, *_ = file.read().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * _PAGE


def descendants(enough: int = 0) -> list[int]:
    """All that come from this process, whatever group or session they made.

    With ``enough`` no more are looked for than some beyond that many: a bomb makes them faster.
    """
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting and not 0 < enough < len(found):
        more = _children(waiting.pop())
        found += more
        waiting += more
    return found


def _children(pid: int) -> list[int]:
    made: list[int] = []
    for thread in _pids(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                made += map(int, file.read().split())
        except OSError:
            pass
    return made


def end_all(child: int) -> bool:
    """Whether nobody is left. Whole groups are ended at once, or a bomb would outrun us."""
    deadline = time.monotonic() + PATIENCE
    groups = {child}
    while time.monotonic() < deadline:
        for group in groups - {os.getpgrp()}:
            _send(os.killpg, group)
        pids = descendants()
        for pid in pids:
            _send(os.kill, pid)
        groups.update(group for group in map(_group, pids) if group)
        _reaped(child)
        if not pids:
            return True
    return False


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return 0


def _send(how: Any, whom: int) -> None:
    try:
        how(whom, signal.SIGKILL)
    except OSError:
        pass  # gone already


def _read_all(fd: int) -> str:
    os.set_blocking(fd, False)
    try:
        return os.read(fd, 4000).decode("utf-8", "replace")
    except BlockingIOError:
        return ""
