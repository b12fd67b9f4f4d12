"""Programs that reach for what is not theirs: the agent, the values of others, the machine outside.

Each ends with an honest neighbour, as in test_hostile.py.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attempts import tried

from qwencoder_eval.errors import SandboxError
from qwencoder_eval.sandboxes.namespaces import interpreter

if TYPE_CHECKING:
    from conftest import Place


# -- reaching the agent ------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["1", "-1", "os.getppid()", "0"])
@pytest.mark.parametrize("number", [9, 15, 19])
def test_killing_the_agent(isolated: Place, target: str, number: int) -> None:
    source = f"import os\ntry: os.kill({target}, {number})\nexcept OSError: pass"
    isolated.run(isolated.plain(source, isolated.limits(0.5, 0.5)))
    isolated.neighbour()


def test_tracing_the_agent(isolated: Place) -> None:
    attach, seize = 16, 0x4206
    pidfd_open, pidfd_getfd = 434, 438
    source = (
        "libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]\n"
        "others = {1, os.getppid()} - {0, os.getpid()}\n"
        "for pid in others:\n"
        f"    attempt_c('ptrace', {attach}, pid, None, None); attempt_c('ptrace', {seize}, pid, None, None)\n"
        "    for name in ('mem', 'environ', 'maps', 'fd', 'fdinfo', 'cwd', 'root', 'exe', 'map_files', 'ns', 'auxv',\n"
        "                 'syscall', 'stack', 'io'):\n"
        "        path = f'/proc/{pid}/{name}'\n"
        "        attempt(os.readlink, path); attempt(os.open, path, os.O_RDONLY)\n"
        "        if name in ('fd', 'ns', 'map_files'): attempt(os.listdir, path)\n"
        "    for name in ('mem', 'oom_score_adj', 'clear_refs', 'uid_map'):\n"
        "        attempt(os.open, f'/proc/{pid}/{name}', os.O_WRONLY)\n"
        f"    handle = libc.syscall({pidfd_open}, pid, 0)\n"
        f"    [attempt_c('syscall', {pidfd_getfd}, handle, fd, 0) for fd in range(20)]\n"
    )
    if not isolated.nested:  # there process 1 is not the agent, but what waits for the program's own orphans
        source += (
            "    attempt(os.setpriority, os.PRIO_PROCESS, pid, 19); attempt(os.sched_setaffinity, pid, {0})\n"
            "    import resource\n"
            "    attempt(resource.prlimit, pid, resource.RLIMIT_NOFILE, (3, 3))\n"
        )
    assert tried(isolated, source) == []
    isolated.neighbour()


def test_the_agents_files(isolated: Place) -> None:
    source = (
        "import shutil\n"
        "for path in ('/opt/qceval/agent.py', '/opt/qceval', '/usr/bin', sys.executable, os.__file__, '/lib', '/'):\n"
        "    if not os.path.exists(path): continue\n"
        "    attempt(os.chmod, path, 0o777); attempt(os.chown, path, os.getuid(), -1)\n"
        "    attempt(os.rename, path, path + '.x'); attempt(os.rename, path, '/tmp/x')\n"
        "    attempt(os.utime, path); attempt(os.setxattr, path, 'user.a', b'b')\n"
        "    if os.path.isdir(path):\n"
        "        attempt(open, path + '/new', 'w'); attempt(os.mkdir, path + '/new'); attempt(os.rmdir, path)\n"
        "    else:\n"
        "        attempt(os.remove, path); attempt(os.open, path, os.O_WRONLY); attempt(os.truncate, path, 0)\n"
        "        attempt(os.link, path, '/tmp/hard')\n"
    )
    assert tried(isolated, source) == []
    isolated.neighbour()


FRAME = """
import json, os, struct
body = json.dumps({"ending": "exit", "status": 0, "cpu_s": 77.0, "wall_s": 77.0, "over": None, "clean": True,
                   "lengths": [0, 0, 20]}).encode()
frame = struct.pack(">I", len(body)) + body + b'{"loaded": true}\\n' + b'{"value": 1}\\n'
def f():
    for fd in range(1001):
        try: os.write(fd, frame)
        except OSError: pass
    return 1
"""


def test_forged_frames_reach_nobody(isolated: Place) -> None:
    result = isolated.run(isolated.plain(FRAME + "f()\nraise SystemExit(3)"))
    assert (result.ending, result.status, bytes(result.answers)) == ("exit", 3, b"")
    assert result.cpu_s < 5
    isolated.neighbour()
    result = isolated.run(isolated.asking(FRAME))
    assert result.ending == "exit"
    assert result.cpu_s < 5
    assert result.answers.startswith(b'{"loaded": true}\n')
    isolated.neighbour()


def test_forged_frames_through_open_files_of_others(isolated: Place) -> None:
    source = (
        "for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "    if int(pid) == os.getpid(): continue\n"
        "    for fd in range(20): attempt(os.open, f'/proc/{pid}/fd/{fd}', os.O_WRONLY)\n"
    )
    assert tried(isolated, source) == []
    isolated.neighbour()


# -- reaching the values of others -------------------------------------------------------------------

SECRET = "Zq7-the-answer-of-a-neighbour"
KEEPS_A_SECRET = f"def f(a): return {SECRET[:10]!r} + {SECRET[10:]!r} * len(a)"
FRAMES = f"""
import gc, sys
def f():
    needle, found, frame = {SECRET[:6]!r} + {SECRET[6:]!r}, [], sys._getframe()
    while frame:
        found += [name for name, value in frame.f_locals.items() if name != "needle" and needle in repr(value)]
        frame = frame.f_back
    gc.unfreeze()
    for thing in gc.get_objects():
        for part in gc.get_referents(thing):
            if isinstance(part, (str, bytes, bytearray)) and part is not needle:
                if needle in (part if isinstance(part, str) else part.decode("latin-1")):
                    found.append(f"{{type(part).__name__}} in a {{type(thing).__name__}}: {{str(part)[:60]}}")
    return found
"""
MEMORY = f"""
import ctypes
def f():
    needle = {SECRET[::-1]!r}.encode()
    found = []
    for line in open("/proc/self/maps"):
        span, mode, *rest = line.split()
        if mode.startswith("rw") and "[v" not in line:
            start, end = (int(x, 16) for x in span.split("-"))
            if end - start < 1 << 26:
                data = ctypes.string_at(start, end - start)[::-1]
                at = data.find(needle)
                if at >= 0: found.append(repr(data[max(0, at - 20):at + 60][::-1]))
                del data
    return found
"""


def leave_a_secret(isolated: Place) -> None:
    program = isolated.asking(KEEPS_A_SECRET, [["x"]])
    assert isolated.lines(isolated.run(program))[1] == {"value": SECRET}
    program = isolated.plain("import sys; print(sys.stdin.read()); print(sys.argv)", stdin=SECRET, args=(SECRET,))
    assert SECRET.encode() in isolated.run(program).stdout


def test_a_neighbours_answers_are_not_in_the_agents_variables(isolated: Place) -> None:
    leave_a_secret(isolated)
    assert isolated.call(FRAMES) == []


def test_a_neighbours_answers_are_not_in_the_agents_memory(isolated: Place) -> None:
    leave_a_secret(isolated)
    assert isolated.call(MEMORY) == []


def test_the_files_of_a_sample_that_runs_beside(isolated: Place) -> None:
    """In another sandbox, at the same time: neither its folder nor what it writes elsewhere is in reach."""
    keeps = (
        f"import os, time\nsecret = {SECRET!r}\n"
        "for place in ('/tmp', '/dev/shm', '.'): open(f'{place}/kept', 'w').write(secret)\n"
        "os.environ['KEPT'] = secret\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    looks = (
        f"needle = {SECRET[::-1]!r}[::-1].encode()\nlooked, mine = [], str(os.getpid())\n"
        "for folder in ('/tmp', '/dev/shm', '/var/tmp', '/proc'):\n"
        "    for top, folders, names in os.walk(folder):\n"
        "        if top.count('/') > 3 or top.startswith(('/proc/s', '/proc/thread', f'/proc/{mine}')):\n"
        "            folders.clear(); continue\n"
        "        for name in names:\n"
        "            if name in ('kmsg', 'kcore', 'main.py', 'sysrq-trigger', 'kpagecount'): continue\n"
        "            try:\n"
        "                handle = os.open(f'{top}/{name}', os.O_RDONLY | os.O_NONBLOCK)\n"
        "                looked.append(name)\n"
        "                if needle in os.read(handle, 1 << 16): got.append(f'{top}/{name}')\n"
        "                os.close(handle)\n"
        "            except OSError: pass\n"
        "for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "    for path in ('root/tmp/kept', 'cwd/kept', 'root/dev/shm/kept'):\n"
        "        if pid != mine: attempt(os.open, f'/proc/{pid}/{path}', os.O_RDONLY)\n"
        "assert looked\n"
    )
    with isolated.fresh() as other:
        idle = isolated.inside(other)
        program = isolated.plain(keeps, isolated.limits(10, 60))

        def run() -> None:
            with contextlib.suppress(SandboxError):  # it is interrupted below
                other.run(program)

        running = threading.Thread(target=run)
        running.start()
        assert isolated.within(10, lambda: isolated.inside(other) > idle)
        assert tried(isolated, looks) == []
        assert running.is_alive()
        other.interrupt()
        running.join(10)
    isolated.neighbour()


def test_the_files_of_the_harness(isolated: Place, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.write_text("secret")
    home = Path.home()
    paths = [
        marker,
        Path(__file__),
        Path(__file__).parents[2],
        home / ".bashrc",
        home / ".ssh",
        home / ".docker",
    ]
    paths += [
        Path(p) for p in ("/root/.profile", "/var/run/docker.sock", "/run/docker.sock", "/var/log", "/mnt", "/srv")
    ]
    paths += [
        Path("/dev/vda"),
        Path("/dev/sda"),
        Path("/dev/mem"),
        Path("/dev/kmsg"),
        Path("/proc/kcore"),
    ]
    source = (
        f"for path in {[str(path) for path in paths]!r}:\n"
        "    attempt(os.open, path, os.O_RDONLY)\n    attempt(os.listdir, path)\n"
    )
    seen = [line for line in tried(isolated, source) if not line.startswith("listdir") or not line.endswith("= []")]
    empty_in_image = ("'/mnt'", "'/srv'", "'/var/log'")  # the image's own
    assert [line for line in seen if not (isolated.kind == "docker" and any(p in line for p in empty_in_image))] == []
    allowed = {  # on the way to the interpreter that runs the agent
        interpreter().relative_to(top).parts[0]
        for top in (Path("/root"), Path("/home"), home)
        if interpreter().is_relative_to(top)
    }
    homes = json.loads(isolated.out(
        "import json, os\n"
        "def names(path):\n    try: return os.listdir(path)\n    except OSError: return []\n"
        f"print(json.dumps(names('/root') + names('/home') + names({str(home)!r})))"
    ))  # fmt: skip
    assert set(homes) <= allowed
    isolated.neighbour()


# -- reaching the outside ----------------------------------------------------------------------------


@contextlib.contextmanager
def listeners() -> Iterator[tuple[int, str]]:
    """A server of the machine, by port and by abstract name."""
    name = f"qceval-test-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as inet, socket.socket(socket.AF_UNIX) as unix:
        unix.bind("\0" + name)
        unix.listen()
        yield inet.getsockname()[1], name


def test_no_network(isolated: Place) -> None:
    with listeners() as (port, name):
        source = (
            "import socket\nsocket.setdefaulttimeout(1)\n"
            "def connect(family, kind, address):\n"
            "    with socket.socket(family, kind) as s: s.connect(address)\n"
            "def send(address):\n"
            "    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s: s.sendto(b'x', address)\n"
            "def raw(family, protocol):\n"
            "    with socket.socket(family, socket.SOCK_RAW, protocol): pass\n"
            f"for address in (('127.0.0.1', {port}), ('1.1.1.1', 53), ('10.0.0.1', 80), ('169.254.169.254', 80)):\n"
            "    attempt(connect, socket.AF_INET, socket.SOCK_STREAM, address)\n"
            "    if address[0] != '127.0.0.1': attempt(send, address)\n"
            "attempt(connect, socket.AF_INET6, socket.SOCK_STREAM, ('2606:4700:4700::1111', 53))\n"
            f"attempt(connect, socket.AF_UNIX, socket.SOCK_STREAM, '\\0{name}')\n"
            "attempt(raw, socket.AF_INET, socket.IPPROTO_ICMP); attempt(raw, socket.AF_PACKET, 3)\n"
            "attempt(socket.getaddrinfo, 'example.com', 80); attempt(socket.gethostbyname, 'pypi.org')\n"
        )
        assert tried(isolated, source) == []
    isolated.neighbour()


def test_no_privileges(isolated: Place) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in isolated.out("print(open('/proc/self/status').read())").splitlines()
        if ":\t" in line
    )
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split() + status["Gid"].split()
    assert set(status["Groups"].split()) <= {"65534"}
    source = (
        "for call in (os.setuid, os.setgid, os.seteuid, os.setegid): attempt(call, 0)\n"
        "attempt(os.setresuid, 0, 0, 0); attempt(os.setgroups, [0]); attempt(os.setreuid, -1, 0)\n"
        "attempt(os.nice, -5); attempt(os.chroot, '/tmp'); attempt(os.mknod, '/tmp/disk', 0o60666, os.makedev(8, 0))\n"
        "attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))\n"
        "import resource, time\n"
        "attempt(resource.setrlimit, resource.RLIMIT_CORE, (1, 1))\n"
        "attempt(resource.setrlimit, resource.RLIMIT_MEMLOCK, (9, 9))\n"
        "attempt(resource.setrlimit, resource.RLIMIT_FSIZE, (-1, -1)); attempt(time.clock_settime, 0, 0.0)\n"
        "attempt_c('reboot', 0x01234567); attempt_c('swapon', b'/tmp/x', 0); attempt_c('acct', None)\n"
        "attempt_c('sethostname', b'x', 1); attempt_c('init_module', None, 0, b''); attempt_c('klogctl', 2, None, 0)\n"
        "for name in ('null', 'zero', 'full', 'random', 'urandom'): attempt(os.chmod, '/dev/' + name, 0)\n"
        "for name in os.listdir('/dev'):\n"
        "    if name not in ('null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'shm', 'fd', 'stdin',\n"
        "                    'stdout', 'stderr', 'pts', 'mqueue', 'core'):\n"
        "        attempt(os.open, '/dev/' + name, os.O_RDONLY)\n"
    )
    assert tried(isolated, source) == []
    isolated.neighbour()


def test_setuid_programs_do_not_help(isolated: Place) -> None:
    source = (
        "import subprocess\n"
        "if os.path.exists('/usr/bin/su'):\n"
        "    done = subprocess.run(['su', '-c', 'id -u'], capture_output=True, text=True, stdin=subprocess.DEVNULL)\n"
        "    if done.stdout.strip() == '0': got.append('su')\n"
        "import shutil\nshutil.copy('/usr/bin/id', 'id'); attempt(lambda: os.chmod('id', 0o6755))\n"
        "if subprocess.run(['./id', '-u'], capture_output=True, text=True).stdout.strip() != '0': got.clear()\n"
    )
    assert tried(isolated, source) == []
    isolated.neighbour()


def test_core_dumps(isolated: Place) -> None:
    result = isolated.run(isolated.plain("import os, ctypes\nos.chdir('/tmp')\nctypes.string_at(0)"))
    assert (result.ending, result.status) == ("signal", 11)
    isolated.neighbour()
    assert isolated.out("import resource; print(resource.getrlimit(resource.RLIMIT_CORE))") == "(0, 0)\n"


def test_settings_of_the_kernel_are_not_writable(isolated: Place) -> None:
    source = (  # files are only opened, never written
        "for folder, _, names in os.walk('/proc/sys'):\n"
        "    for name in names: attempt(os.open, f'{folder}/{name}', os.O_WRONLY)\n"
        "for name in os.listdir('/proc'):\n"
        "    if not name.isdigit() and name not in ('self', 'thread-self') and os.path.isfile('/proc/' + name):\n"
        "        attempt(os.open, '/proc/' + name, os.O_WRONLY)\n"
        "for folder, _, names in os.walk('/sys/fs/cgroup'):\n"
        "    for name in names: attempt(os.open, f'{folder}/{name}', os.O_WRONLY)\n"
    )
    found = tried(isolated, source, bound=isolated.limits(10, 30))
    assert [line for line in found if "/ns_last_pid'" not in line] == []  # opens for all; a write asks who writes
    isolated.neighbour()


NAMESPACES = {"NEWNS": 0x20000, "NEWUTS": 0x4000000, "NEWIPC": 0x8000000, "NEWPID": 0x20000000, "NEWNET": 0x40000000}


def test_mounts_and_namespaces(isolated: Place) -> None:
    """Without a user namespace of its own nothing works; inside one it may rearrange what it sees, and no more."""
    bind, remount, nosuid = 4096, 32, 2
    source = (
        f"for flag in {list(NAMESPACES.values())}: attempt_c('unshare', flag)\n"
        "def mounts():\n"
        "    attempt_c('mount', b'tmpfs', b'/opt/qceval', b'tmpfs', 0, None)\n"
        "    attempt_c('mount', b'/tmp', b'/usr', None, 4096, None)\n"
        "    attempt_c('mount', b'proc', b'/proc', b'proc', 0, None)\n"
        "    attempt_c('umount2', b'/usr', 2); attempt_c('umount2', b'/tmp', 2); attempt_c('umount2', b'/proc', 2)\n"
        f"    attempt_c('mount', b'none', b'/usr', None, {bind | remount | nosuid}, None)\n"
        "mounts()\n"
        f"attempt_c('mount', b'none', b'/', None, {bind | remount}, None)\n"
        "assert not got, got\n"
        "if libc.unshare(0x10000000 | 0x20000) == 0:\n"
        f"    for path in (b'/', b'/usr', b'/opt/qceval/agent.py', b'/sys/fs/cgroup/memory', b'/sys/fs/cgroup/pids'):\n"
        f"        attempt_c('mount', b'none', path, None, {bind | remount | nosuid}, None)\n"
        f"        attempt_c('mount', b'none', path, None, {remount}, None)\n"
        "        attempt_c('umount2', path, 2)\n"
        "    attempt_c('umount2', b'/proc', 2)\n"
        "    for kind in (b'cgroup', b'cgroup2', b'sysfs', b'devtmpfs', b'ext4', b'debugfs'):\n"
        "        attempt_c('mount', b'none', b'/tmp', kind, 0, b'memory' if kind == b'cgroup' else None)\n"
        "    attempt(open, '/usr/poison', 'w'); attempt(open, '/opt/qceval/agent.py', 'a')\n"
        "    for name in ('memory/memory.limit_in_bytes', 'pids/pids.max', 'memory.max', 'pids.max'):\n"
        "        attempt(open, '/sys/fs/cgroup/' + name, 'w')\n"
        "    for path in (b'/opt/qceval', b'/tmp'): libc.mount(b'tmpfs', path, b'tmpfs', 0, None)\n"
    )
    assert tried(isolated, source) == []
    isolated.neighbour()
    look = "import os; print('agent.py' in os.listdir('/opt/qceval'), os.path.exists('/usr/poison'))"
    assert isolated.out(look) == "True False\n"


def test_programs_in_namespaces_of_their_own_end_too(isolated: Place) -> None:
    source = (
        "import ctypes, os, time\nlibc = ctypes.CDLL(None)\n"
        "libc.unshare(0x10000000 | 0x20000000)\n"
        "if os.fork() == 0:\n    os.setsid()\n    if os.fork() == 0:\n        while True: pass\n    time.sleep(60)\n"
        "time.sleep(0.1)"
    )
    isolated.run(isolated.plain(source, isolated.limits(2, 3)))
    isolated.neighbour()
