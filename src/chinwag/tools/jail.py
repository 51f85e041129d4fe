"""What the kernel itself takes from a process before it becomes a tool's child.

Runs in the supervisor, just before exec: standard library only, and nothing that needs a lock.

Invariants: each of these can only take away. With Landlock a path that was not granted cannot be
opened, made or removed; with the filter there are no sockets but of the families named, no way to
look into other processes, and no way round either. What the kernel does not have raises OSError,
so that nothing runs half confined.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct

TYPE_CHECKING = False  # what `typing` would say, without its 20 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Final

_libc: Final = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG: Final = 1
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
PR_SET_NO_NEW_PRIVS: Final = 38
PR_SET_SECCOMP: Final = 22

# Landlock's rights on files, by the bit they have; those of devices are never given.
_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_TRUNCATE: Final = 1 << 14
_OF_FILES: Final = _EXECUTE | _WRITE | _READ | _TRUNCATE
_MADE: Final = sum(1 << bit for bit in (4, 5, 7, 8, 9, 10, 12, 13))  # remove, make, link, rename
RIGHTS: Final = {
    "look": _LIST,
    "read": _EXECUTE | _READ | _LIST,
    "device": _READ | _WRITE,
    "write": _EXECUTE | _READ | _LIST | _WRITE | _TRUNCATE | _MADE,
}
LEAST_ABI: Final = 3
"""The first that minds truncate()."""
_ALL_BY_ABI: Final = {3: (1 << 15) - 1, 5: (1 << 16) - 1}


def prctl(option: int, *args: int) -> None:
    """Raises OSError."""
    given = [ctypes.c_ulong(arg) for arg in (*args, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *given):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def landlock_abi() -> int:
    """Which version of Landlock this kernel has; 0 for none."""
    return max(0, int(_libc.syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint(1))))


def give_up_privileges() -> None:
    """Nothing that is executed from here on may gain any; root keeps no capability."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(64):
        try:
            prctl(PR_CAPBSET_DROP, capability)
        except OSError:
            return  # not root, or the last one that there is


def landlock(grants: Iterable[tuple[str, str]], abi: int) -> None:
    """Only ``grants``, (path, name of RIGHTS), can be reached from here on; no TCP at all."""
    handled = _ALL_BY_ABI[5 if abi >= 5 else 3]
    attributes = struct.pack("=QQQ", handled, 3, 3)[: 8 if abi < 4 else 16 if abi < 6 else 24]
    ruleset = _checked(
        _libc.syscall(444, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    )
    for path, right in grants:
        _grant(ruleset, path, RIGHTS[right] & handled)
    _checked(_libc.syscall(446, ctypes.c_int(ruleset), ctypes.c_uint(0)))
    os.close(ruleset)


def _grant(ruleset: int, path: str, rights: int) -> None:
    try:
        there = os.open(path, os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return  # gone meanwhile
    try:
        kind = os.fstat(there).st_mode
        if stat.S_ISLNK(kind):
            return  # a grant is of what lies here, not of what it points to
        rights = rights if stat.S_ISDIR(kind) else rights & _OF_FILES
        rule = struct.pack("=Qi", rights, there)
        args = (ctypes.c_int(ruleset), ctypes.c_int(1), rule, ctypes.c_uint(0))
        if rights:
            _checked(_libc.syscall(445, *args))
    finally:
        os.close(there)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), "landlock")
    return result


# --- the filter of system calls ---------------------------------------------------------------

_SINCE_ALL_AGREE: Final = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 440, 442)
"""io_uring, the newer mount calls, pidfd_getfd, process_madvise: one number everywhere."""
_LOOKING_IN: Final = {
    # ptrace, process_vm_*, kcmp, keys, mounts, namespaces, bpf, perf, userfaultfd, file handles,
    # kexec, modules, reboot, swap, acct, syslog, quotactl, chroot
    "x86_64": (
        *(101, 310, 311, 312, 248, 249, 250, 165, 166, 155, 272, 308, 321, 298, 323, 303, 304),
        *(246, 320, 175, 313, 176, 169, 167, 168, 163, 103, 179, 161),
    ),
    "aarch64": (
        *(117, 270, 271, 272, 217, 218, 219, 40, 39, 41, 97, 268, 280, 241, 282, 264, 265),
        *(104, 294, 105, 273, 106, 142, 224, 225, 89, 116, 60, 51),
    ),
}
_BY_PATH: Final = {
    # chmod, chown and setxattr by path, which Landlock does not mind; by descriptor they stay
    "x86_64": (90, 92, 94, 188, 189, 197, 198, 260, 268, 452, 463, 466),
    "aarch64": (53, 54, 5, 6, 14, 15, 452, 463, 466),
}
_SOCKET: Final = {"x86_64": 41, "aarch64": 198}
_ARCH: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_LOAD, _EQUALS, _FROM, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | errno.EPERM
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16


def knows_calls() -> bool:
    """Whether the numbers of this machine's system calls are known here."""
    return os.uname().machine in _ARCH


def program(families: Iterable[int], *, by_path: bool) -> bytes:
    """A filter that leaves sockets of ``families``, and with ``by_path`` chmod and its like."""
    machine = os.uname().machine
    refused = (*_LOOKING_IN[machine], *_SINCE_ALL_AGREE, *(() if by_path else _BY_PATH[machine]))
    steps = [_step(_LOAD, 4), _step(_EQUALS, _ARCH[machine], 1, 0), _step(_RETURN, _REFUSE)]
    steps.append(_step(_LOAD, 0))
    if machine == "x86_64":  # a second set of numbers for the same calls
        steps += [_step(_FROM, 0x40000000, 0, 1), _step(_RETURN, _REFUSE)]
    for number in refused:
        steps += [_step(_EQUALS, number, 0, 1), _step(_RETURN, _REFUSE)]
    allowed = [
        step
        for family in families
        for step in (_step(_EQUALS, family, 0, 1), _step(_RETURN, _ALLOW))
    ]
    steps += [_step(_EQUALS, _SOCKET[machine], 0, len(allowed) + 2), _step(_LOAD, 16), *allowed]
    return b"".join([*steps, _step(_RETURN, _REFUSE), _step(_RETURN, _ALLOW)])


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    return struct.pack("=HBBI", code, then, otherwise, value)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))


def apply(filtered: bytes) -> None:
    """The filter holds for this process and all it becomes. Raises OSError."""
    held = _Program(len(filtered) // 8, filtered)
    if _libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(held), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
