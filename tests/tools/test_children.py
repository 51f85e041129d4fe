"""Children: what they may not reach, and that nothing of them is left. By each means in turn.

Where bubblewrap is not installed or the kernel has no Landlock, those tests are skipped with the
reason; in CI neither may be missing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chinwag.errors import ToolFailed
from chinwag.tools import children
from chinwag.tools.base import Limits, Scene
from chinwag.tools.sandbox import Place, Sandbox, describe, supervised

CANARY = "canary-7f3a"
LIMITS = Limits(seconds=20)


def sandbox(kind: str, **places) -> Sandbox:
    found = Sandbox.found(kind, **places)
    if found.kind != kind and os.environ.get("CI") != "true":
        pytest.skip(found.says)
    assert found.kind == kind, found.says
    return found


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """The Python that runs this, and what the system has; not somebody's wrappers."""
    monkeypatch.setenv("PATH", f"{sys.base_prefix}/bin:/usr/bin:/bin:/usr/sbin:/sbin")


@pytest.fixture(params=["bwrap", "landlock"])
def confined(request) -> str:
    sandbox(request.param)
    return request.param


@pytest.fixture(params=["bwrap", "landlock", "none"])
def kind(request) -> str:
    sandbox(request.param)
    return request.param


@pytest.fixture
def root(tmp_path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


async def shell(kind, root, command, limits=LIMITS, **places):
    scene = Scene(root=root, limits=limits)
    return await children.run(["/bin/sh", "-c", command], scene, sandbox(kind, **places))


def alive(mark: str) -> list[str]:
    """Command lines of processes that hold ``mark``."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in words and b"pytest" not in words:
            found.append(words.decode())
    return found


# --- what it gives --------------------------------------------------------------------------------


async def test_output_errors_and_code(kind, root):
    ended = await shell(kind, root, "echo out; echo err >&2; cat; pwd; exit 3")
    assert ended.output.decode() == f"out\nerr\n{root}\n"
    assert (ended.code, ended.why, ended.error) == (3, "", "")


async def test_it_may_write_in_its_root_and_its_temporary_folder(kind, root):
    ended = await shell(kind, root, 'echo a > f && mkdir d && mv f d/g && echo b > "$TMPDIR/x"')
    assert ended.code == 0, ended.output
    assert (root / "d" / "g").read_text() == "a\n"


async def test_ordinary_programs_run(kind, root):
    command = (
        "python3 -c 'import json, tempfile, subprocess; tempfile.TemporaryFile();"
        ' print(subprocess.run(["echo", "inner"], capture_output=True, text=True).stdout)\' &&'
        " yes | head -n 1 && ls -la && (sleep 0.01 & wait) && cat < /dev/null && touch x"
    )
    more = "" if kind == "landlock" else " && chmod +x x && ./x && git init -q ."
    ended = await shell(kind, root, command + more)
    assert ended.code == 0, ended.output
    assert b"inner\n" in ended.output


async def test_one_that_closes_its_output_goes_on(kind, root):
    ended = await shell(kind, root, "exec >&- 2>&-; sleep 0.2; echo x > f; exit 4")
    assert (ended.code, ended.why) == (4, "")
    assert (root / "f").exists()


async def test_what_cannot_be_started_is_said(kind, root):
    scene = Scene(root=root, limits=LIMITS)
    ended = await children.run(["/no/such/program"], scene, sandbox(kind))
    assert ended.error or b"No such file" in ended.output
    if ended.error:
        with pytest.raises(ToolFailed, match="could not be started"):
            children.told(ended, LIMITS)
    gone = Scene(root=root / "gone", limits=LIMITS)
    ended = await children.run(["/bin/true"], gone, sandbox(kind))
    assert ended.error or ended.code


async def test_the_temporary_folder_is_gone_afterwards(kind, root):
    if kind == "bwrap":
        return  # it is in memory there
    ended = await shell(kind, root, 'echo x > "$TMPDIR/x"; printf "$TMPDIR"')
    assert ended.output.startswith(b"/")
    assert not os.path.exists(ended.output)  # noqa: ASYNC240, PTH110


# --- what it may not ------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path, monkeypatch):
    """A person's home with a root inside, keys, another session, and a key in our environment."""
    home = tmp_path / "home"
    root = home / "work"
    for folder in (root, home / ".ssh", home / ".config" / "chinwag", home / "data" / "sessions"):
        folder.mkdir(parents=True)
    (home / ".ssh" / "id").write_text(CANARY)
    (home / ".config" / "chinwag" / "keys").write_text(CANARY)
    (home / "data" / "sessions" / "other.jsonl").write_text(CANARY)
    (root / "inside").mkdir()
    (root / "inside" / "key").write_text(CANARY)
    (root / "plain").write_text("plain")
    (tmp_path / "elsewhere").write_text(CANARY)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    return tmp_path


@pytest.fixture
def ours(house):
    """A process like the person's program: a key is in the environment it was started with."""
    held = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    yield held
    assert held.poll() is None  # nobody ended it
    held.communicate(timeout=5)


def forbidden(house):
    return [house / "home" / "data", house / "home" / "work" / "inside"]


READS = [
    "cat {house}/home/.ssh/id",
    "cat {house}/home/.config/chinwag/keys",
    "cat {house}/home/data/sessions/other.jsonl",
    "cat {house}/elsewhere",
    "cat inside/key",
    "cat ../.ssh/id ../data/sessions/*",
    "ln -s {house}/home/.ssh/id l; cat l; ln {house}/home/.ssh/id h; cat h",
    "mv inside open; cat open/key; cp -r inside copy; cat copy/key",
    "cat /proc/{ours}/environ",
    "cat /proc/[0-9]*/environ",
    "cat /proc/{ours}/root{house}/elsewhere",
    "cat /proc/self/root/../..{house}/elsewhere; cat /proc/[0-9]*/cwd/../elsewhere",
    "env; cat /proc/self/environ; cat /proc/$PPID/environ",
    "grep -r {canary} / --include=key --include=id --include=elsewhere -s -h",
    "python3 -c 'import ctypes; print(ctypes.CDLL(None).ptrace(16, {ours}, 0, 0))'",
    "head -c 4096 /proc/{ours}/mem; cat /proc/{ours}/maps",
    "find / -name elsewhere -exec cat {{}} + 2>/dev/null",
    "ls -l /proc/self/fd; cat /proc/self/fd/[3-9]",
    "unshare -Urm sh -c 'umount -l {house}/home; cat {house}/home/.ssh/id inside/key'",
    "mount --bind / /mnt; cat /mnt{house}/elsewhere; chroot / cat {house}/elsewhere",
]


@pytest.mark.parametrize("attempt", READS)
async def test_no_key_session_or_environment_is_read(confined, house, ours, attempt):
    command = attempt.format(house=house, ours=ours.pid, canary=CANARY)
    root = house / "home" / "work"
    ended = await shell(confined, root, command, Limits(seconds=30), forbidden=forbidden(house))
    assert ended.why == ""
    assert CANARY.encode() not in ended.output.replace(command.encode(), b"")


async def test_the_canaries_of_that_test_can_be_read(house, ours):
    """So that the test above can fail."""
    command = f"cat {house}/home/.ssh/id inside/key /proc/{ours.pid}/environ"
    ended = await shell("none", house / "home" / "work", command)
    assert ended.output.count(CANARY.encode()) == 3


async def test_without_confinement_the_environment_holds_no_key_all_the_same(house):
    ended = await shell(
        "none", house / "home" / "work", "env; cat /proc/self/environ /proc/$PPID/environ"
    )
    assert CANARY.encode() not in ended.output


WRITES = [
    "echo owned > {house}/elsewhere",
    "echo owned > {house}/new",
    "echo owned >> {house}/home/.ssh/id",
    "echo owned > ../.profile; mkdir ../made; rm -rf ../.ssh ../data",
    "ln -s {house}/elsewhere l; echo owned > l; rm l",
    "echo owned > inside/key; rm -f inside/key; echo owned > inside/new",
    "chmod 777 {house}/home/.ssh/id {house}/home/.ssh",
    "mv {house}/elsewhere . ; rm -f {house}/elsewhere",
    "truncate -s 0 {house}/elsewhere",
    "python3 -c 'import os; os.truncate(\"{house}/elsewhere\", 0)'",
    "echo owned > /etc/chinwag-owned; echo owned > /usr/chinwag-owned",
    "echo owned > /tmp/../{house}/elsewhere",
    # The same values back: harmless where it succeeds, but then it says so.
    "f=/proc/sys/vm/swappiness; cat $f > copy; cat copy > $f && touch made-it",
    "f=/proc/sys/kernel/core_pattern; cat $f > copy; cat copy > $f && touch made-it",
    'python3 -c \'import os; os.open("x", os.O_CREAT, dir_fd=os.open("..", os.O_PATH))\'',
    "mkfifo {house}/pipe; mknod n b 8 0 && cat n",
    "kill -9 {ours}; kill -9 $PPID; kill -9 -{ours}; touch made-it",
]


@pytest.mark.parametrize("attempt", WRITES)
async def test_nothing_outside_is_changed(confined, house, ours, attempt):
    def everything():
        paths = [p for p in sorted(house.rglob("*")) if not p.is_relative_to(root) or p in kept]
        made = [Path(p) for p in ("/etc/chinwag-owned", "/usr/chinwag-owned") if Path(p).exists()]
        return made, [(p, p.lstat().st_mode, p.is_file() and p.read_bytes()) for p in paths]

    root = house / "home" / "work"
    kept = {root / "inside", root / "inside" / "key", root / "inside" / "new"}
    before = everything()
    command = attempt.format(house=house, ours=ours.pid)
    await shell(confined, root, command, forbidden=forbidden(house))
    assert everything() == before
    assert "kill" in attempt or not (root / "made-it").exists()


async def test_the_home_itself_as_root_keeps_its_secrets(confined, house):
    home = house / "home"
    command = "cat .ssh/id .config/chinwag/keys data/sessions/*; echo x > .config/y; cat work/plain"
    ended = await shell(confined, home, command, forbidden=forbidden(house))
    assert CANARY.encode() not in ended.output
    assert ended.output.endswith(b"plain")
    assert not (home / ".config" / "y").exists()


async def test_who_works_in_a_usual_place_for_secrets_may(confined, house):
    root = house / "home" / ".config" / "chinwag"
    ended = await shell(confined, root, "cat keys; cat ../../.ssh/id")
    assert ended.output.count(CANARY.encode()) == 1
    with pytest.raises(ToolFailed, match="holds keys"):
        await shell(confined, root, "cat keys", forbidden=[house / "home" / ".config"])


NETWORK = [
    "s = socket.create_connection(('127.0.0.1', {port}), 2); s.sendall(b'out')",
    "s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'out', ('127.0.0.1', {port}))",
    "s = socket.create_connection(('{host}', {port}), 2); s.sendall(b'out')",
    "s = socket.create_connection(('::1', {port}), 2); s.sendall(b'out')",
    "s = socket.socket(socket.AF_UNIX); s.connect('{unix}'); s.send(b'out')",
    "s = socket.socket(socket.AF_UNIX); s.connect('\\\\0{abstract}'); s.send(b'out')",
    "s = socket.socket(socket.AF_VSOCK); s.settimeout(1); s.connect((2, 22)); print('out')",
    "s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW); print('out')",
]


@pytest.mark.parametrize("attempt", NETWORK)
async def test_no_way_out(confined, root, tmp_path, attempt):
    import socket

    heard: list[str] = []

    def listen(sock):
        sock.setblocking(False)
        if sock.type == socket.SOCK_STREAM:
            sock.listen()
        asyncio.get_running_loop().add_reader(sock, lambda: heard.append("out"))
        return sock

    tcp, udp, six = socket.socket(), socket.socket(type=socket.SOCK_DGRAM), None
    tcp.bind(("", 0))
    port = tcp.getsockname()[1]
    udp.bind(("", port))
    unix, abstract = (socket.socket(socket.AF_UNIX) for _ in "12")
    unix.bind(str(tmp_path / "s"))
    abstract.bind(f"\0chinwag-{port}")
    socks = [tcp, udp, unix, abstract]
    try:
        six = socket.socket(socket.AF_INET6)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        six.bind(("::1", port))
        socks.append(six)
    except OSError:
        pass  # a machine without IPv6 has one way less
    for each in socks:
        listen(each)
    code = attempt.format(
        port=port, host=socket.gethostname(), unix=tmp_path / "s", abstract=f"chinwag-{port}"
    )
    (root / "try.py").write_text(f"import socket\n{code}\nprint('went')\n")
    try:
        ended = await shell(confined, root, "python3 try.py")
        await asyncio.sleep(0.05)
    finally:
        for each in socks:
            asyncio.get_running_loop().remove_reader(each)
            each.close()
    assert heard == []
    # A datagram goes out to where nobody is: only its own loopback is there.
    assert ended.code != 0 or "DGRAM" in attempt, ended.output
    assert not ended.output.startswith(b"out")


async def test_the_listener_of_that_test_can_hear(root):
    """So that the test above can fail: without confinement the same words do get out."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        port = server.getsockname()[1]
        (root / "try.py").write_text(f"import socket\n{NETWORK[0].format(port=port)}\n")
        ended = await shell("none", root, "python3 try.py")
        assert ended.code == 0
        with server.accept()[0] as heard:
            assert heard.recv(3) == b"out"


# --- that it ends, with all it made ---------------------------------------------------------------


async def stopped_after(kind, root, command, mark, limits=LIMITS, wait=0.4):
    """Seconds from the order to stop until everything is gone."""
    scene = Scene(root=root, limits=limits)
    task = asyncio.ensure_future(children.run(["/bin/sh", "-c", command], scene, sandbox(kind)))
    deadline = time.monotonic() + 10
    while not alive(mark) and time.monotonic() < deadline and not task.done():
        await asyncio.sleep(0.02)
    await asyncio.sleep(wait)
    began = time.monotonic()
    scene.stop.set()
    ended = await task
    assert not alive(mark)
    return ended, time.monotonic() - began


async def test_a_daemon_goes_with_the_call(kind, root):
    command = (
        "setsid sleep 31.41 & (setsid sh -c 'setsid sleep 31.41 & sleep 31.41' &);"
        " nohup sleep 31.41 >/dev/null 2>&1 & trap '' TERM HUP INT; sleep 31.41"
    )
    ended, seconds = await stopped_after(kind, root, command, "31.41")
    assert ended.why == "stopped"
    assert seconds < 2


async def test_what_is_left_behind_goes_when_the_child_ends(kind, root):
    ended = await shell(kind, root, "setsid sleep 31.42 & (sleep 31.42 &) ; sleep 0.1; echo done")
    assert ended.output == b"done\n"
    assert not alive("31.42")


async def test_a_double_forked_daemon_that_closes_everything(kind, root):
    (root / "d.py").write_text(
        "import os, time\n"
        "for _ in range(3):\n"
        "    if os.fork(): os._exit(0)\n"
        "    os.setsid()\n"
        "    os.closerange(0, 64)\n"
        "time.sleep(60)  # 31.43\n"
    )
    ended, seconds = await stopped_after(
        kind, root, "python3 d.py 31.43; sleep 31.43", "31.43", wait=0.6
    )
    assert ended.why == "stopped"
    assert seconds < 2


async def test_the_time_is_over(kind, root):
    began = time.monotonic()
    ended = await shell(kind, root, "setsid sleep 31.44 & sleep 31.44", Limits(seconds=0.5))
    assert ended.why == "time"
    assert time.monotonic() - began < 2.5
    assert not alive("31.44")


async def test_a_fork_bomb_is_stopped_at_its_limit(kind, root):
    began = time.monotonic()
    ended = await shell(
        kind, root, "b() { b | b & }; b; sleep 31.45", Limits(seconds=20, processes=64)
    )
    assert time.monotonic() - began < 5
    assert ended.why == "processes" or b"fork" in ended.output.lower()
    assert not alive("31.45")


async def test_a_fork_bomb_is_stopped_when_told(kind, root):
    (root / "b.py").write_text(
        "import os, time\n"
        "while True:\n"
        "    try:\n"
        "        if os.fork() == 0 and len(os.listdir('.')) > 9: break\n"
        "        os.setsid() if os.getpid() != os.getsid(0) else time.sleep(0.01)\n"
        "    except OSError: time.sleep(0.01)\n"
    )
    ended, seconds = await stopped_after(
        kind, root, "exec python3 b.py 31.46", "31.46", Limits(seconds=30, processes=40), wait=0
    )
    assert ended.why in {"stopped", "processes"}
    assert seconds < 2


async def test_memory_of_all_together_is_limited(kind, root):
    (root / "m.py").write_text(
        "import os, time\n"
        "for _ in range(4):\n"
        "    if os.fork() == 0: break\n"
        "it = bytearray(os.urandom(1)) * (40 << 20)\n"
        "time.sleep(20)  # 31.47\n"
    )
    ended = await shell(kind, root, "python3 m.py 31.47", Limits(seconds=20, memory=128 << 20))
    assert ended.why == "memory"
    assert not alive("31.47")


async def test_files_are_limited(kind, root):
    ended = await shell(
        kind, root, "head -c 3M /dev/zero > big; ls", Limits(seconds=20, file=1 << 20)
    )
    assert (root / "big").stat().st_size <= 1 << 20
    assert ended.code == 0


async def test_yes_is_stopped_and_what_is_kept_is_bounded(kind, root):
    began = time.monotonic()
    ended = await shell(kind, root, "yes", Limits(seconds=20, output=8 << 20, kept=1 << 20))
    assert ended.why == "output"
    assert (8 << 20) < ended.total < (9 << 20)
    assert len(ended.output) < (1 << 20) + 100
    assert time.monotonic() - began < 5
    told = children.told(ended, Limits())
    assert len(told.text) < Limits().shown
    assert told.text.endswith("[stopped: it wrote more than 67,108,864 bytes]")


async def test_cancelling_ends_it_too(kind, root):
    task = asyncio.ensure_future(shell(kind, root, "setsid sleep 31.48 & sleep 31.48"))
    while not alive("31.48"):
        await asyncio.sleep(0.02)
    began = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive("31.48")
    assert time.monotonic() - began < 2


HOST = """
import asyncio, sys
from pathlib import Path
from chinwag.tools import children
from chinwag.tools.base import Limits, Scene
from chinwag.tools.sandbox import Sandbox
async def main():
    scene = Scene(root=Path(sys.argv[2]), limits=Limits(seconds=60, output=1 << 40))
    await children.run(["/bin/sh", "-c", sys.argv[3]], scene, Sandbox.found(sys.argv[1]))
asyncio.run(main())
"""


def test_they_go_when_our_program_is_killed(kind, root):
    command = "setsid sleep 31.49 & sleep 31.49"
    host = subprocess.Popen([sys.executable, "-c", HOST, kind, str(root), command])
    try:
        deadline = time.monotonic() + 15
        while len([x for x in alive("31.49") if x.startswith("sleep")]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        host.kill()
        host.wait()
    deadline = time.monotonic() + 2
    while alive("31.49") and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive("31.49")


def test_memory_stays_as_it_is_however_much_is_written(root):
    """A quarter of a gigabyte through a program of its own: its peak is what a small one costs."""
    peaks = []
    for size in ("1", "256M"):
        command = f"head -c {size} /dev/zero"
        host = subprocess.Popen([sys.executable, "-c", HOST, "none", str(root), command])
        peaks.append(os.wait4(host.pid, 0)[2].ru_maxrss * 1024)
        host.returncode = 0
    assert peaks[1] - peaks[0] < 20 << 20


def test_a_passed_through_child_has_the_callers_pipes(kind, root, tmp_path):
    place = Place(root=root, temporary=tmp_path)
    limits = {"seconds": 0, "memory": 1 << 30, "processes": 64, "file": 1 << 20}
    command, environment = supervised(
        ["/bin/sh", "-c", "setsid sleep 31.50 & cat; echo err >&2; exit 5"],
        sandbox=sandbox(kind),
        place=place,
        limits=limits,
        control=False,
    )
    done = subprocess.run(
        command,
        input=b"to and fro",
        capture_output=True,
        env=environment,
        timeout=20,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"to and fro", b"err\n", 5)
    assert not alive("31.50")
    held = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    while not alive("31.50"):
        time.sleep(0.02)
    held.terminate()
    assert held.wait(5) == 128 + signal.SIGKILL
    held.stdin.close()
    assert not alive("31.50")


# --- what is said of it ---------------------------------------------------------------------------


def test_what_is_said_for_the_doctor(monkeypatch):
    assert describe(Sandbox(kind="bwrap", says="own processes")) == (
        "sandbox: bubblewrap (own processes)"
    )
    none = Sandbox.found("none")
    assert not none.confines
    assert "every call is asked" in none.says
    assert none.described()["confines"] is False
    assert describe().startswith("sandbox: ")


def test_where_bubblewrap_does_not_work_the_next_is_taken(tmp_path, monkeypatch):
    from chinwag.tools import sandbox as room

    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: no permission' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _: str(broken))
    room._best.cache_clear()
    try:
        found = Sandbox.found()
        assert found.kind in {"landlock", "none"}
        assert found.says.startswith("bubblewrap does not work here (bwrap: no permission); ")
        monkeypatch.setattr(shutil, "which", lambda _: None)
        room._best.cache_clear()
        assert Sandbox.found().says.startswith("bubblewrap is not installed; ")
    finally:
        room._best.cache_clear()


async def test_the_whole_machine_is_no_root(confined):
    with pytest.raises(ToolFailed, match="no folder to work in"):
        await shell(confined, Path("/"), "true")


async def test_limits_of_each_process_are_set(kind, root):
    ended = await shell(kind, root, "ulimit -c; ulimit -n; ulimit -f")
    assert ended.output.split() == [b"0", b"1024", str((256 << 20) // 512).encode()]
