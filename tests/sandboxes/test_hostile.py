"""Programs that mean harm, in every backend that isolates. After each, an honest neighbour gets its right answer.

The rule for adding one: say what it tries, run it, and end with ``isolated.neighbour()``, which also looks for
processes, files and System V IPC that were left. ``survived=False`` where the sandbox may have been replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from qwencoder_eval.errors import SandboxError
from qwencoder_eval.sandboxes.namespaces import interpreter

if TYPE_CHECKING:
    from conftest import Place

KILLED = {"cpu_limit", "wall_limit"}

# ``attempt(call, *arguments)`` for programs that try many things and print what they got.
ATTEMPT = """
import ctypes, json, os, sys
libc = ctypes.CDLL(None, use_errno=True)
got = []
def attempt(call, *arguments):
    try:
        value = call(*arguments)
    except (OSError, ValueError, OverflowError) as error:
        return None
    name = getattr(call, "__name__", str(call))
    got.append(f"{name}{arguments} = {value}"[:200])
    return value
def attempt_c(name, *arguments):
    value = getattr(libc, name)(*arguments)
    if value != -1:
        got.append(f"{name}{arguments} = {value}"[:200])
    return value
"""


def tried(isolated: Place, source: str, **others: object) -> list[str]:
    """What a program with ``attempt`` succeeded at."""
    out = isolated.out(ATTEMPT + source + "\nprint(json.dumps(got))", **others)
    found: list[str] = json.loads(out.splitlines()[-1])
    return found


# -- using things up ---------------------------------------------------------------------------------


def test_fork_bomb(isolated: Place) -> None:
    source = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    result = isolated.run(isolated.plain(source, isolated.limits(0.3, 3)))
    assert result.ending in {"memory_limit", *KILLED}
    isolated.neighbour()


def test_processes_have_a_bound(isolated: Place) -> None:
    source = (
        "import os, time\nmade = 0\n"
        "try:\n    while made < 400:\n        if os.fork() == 0: time.sleep(60)\n        made += 1\n"
        "except OSError: pass\nprint(made)"
    )
    with isolated.fresh(memory=2 << 30) as sandbox:
        assert 20 < int(sandbox.run(isolated.plain(source)).stdout) <= 128
        assert sandbox.run(isolated.plain("print('fine')")).stdout == b"fine\n"
        assert isolated.within(1, lambda: isolated.inside(sandbox) == 1)


def test_threads_have_a_bound(isolated: Place) -> None:
    source = (
        "import threading, time, _thread\nmade = 0\n"
        "try:\n    while made < 400: _thread.start_new_thread(time.sleep, (60,)); made += 1\n"
        "except RuntimeError: pass\nprint(made, flush=True)\nimport os; os._exit(0)"
    )
    assert 20 < int(isolated.out(source)) <= 128
    isolated.neighbour()


def test_memory_bomb(isolated: Place) -> None:
    result = isolated.run(isolated.plain("a = []\nwhile True: a.append(bytearray(1 << 24))"))
    assert result.ending == "memory_limit"
    isolated.neighbour()


def test_memory_bomb_of_many_processes(isolated: Place) -> None:
    source = (
        "import os, time\nfor _ in range(12):\n"
        "    if os.fork() == 0:\n        a = bytearray(64 << 20)\n        time.sleep(60)\n"
        "while True: time.sleep(60)"
    )
    result = isolated.run(isolated.plain(source, isolated.limits(3, 2)))
    assert result.ending in {"memory_limit", *KILLED}
    isolated.neighbour()


def test_memory_bomb_that_shields_itself(isolated: Place) -> None:
    """The program makes itself what the kernel kills last. In a sandbox as small as this the agent may die for it."""
    source = (
        "import os, time\n"
        "for score in ('-1000', '-999', '0'):\n"
        "    try: open('/proc/self/oom_score_adj', 'w').write(score)\n"
        "    except OSError: pass\n"
        "for _ in range(100):\n"
        "    if os.fork() == 0:\n        a = bytearray(4 << 20)\n        time.sleep(60)\n"
        "time.sleep(1)\nprint('alive')"
    )
    with contextlib.suppress(SandboxError):
        isolated.run(isolated.plain(source, isolated.limits(3, 3)))
    isolated.neighbour(survived=False)


def test_disk_filler(isolated: Place) -> None:
    source = (
        "import os\nwritten = 0\nbiggest = 0\n"
        "for place in ('/tmp', '/dev/shm', os.getcwd()):\n"
        "    for number in range(20):\n"
        "        try:\n"
        "            with open(f'{place}/{number}', 'wb', 0) as file:\n"
        "                while True: written += file.write(bytes(1 << 20)); biggest = max(biggest, file.tell())\n"
        "        except OSError: pass\n"
        "print(written, biggest)"
    )
    written, biggest = map(int, isolated.out(source).split())
    assert 32 << 20 <= written <= (64 + 16 + 1) << 20
    assert biggest <= 16 << 20
    isolated.neighbour()


def test_many_files(isolated: Place) -> None:
    source = (
        "made = 0\n"
        "for place in ('/tmp', '/dev/shm'):\n"
        "    try:\n        while made < 50_000: open(f'{place}/{made}', 'w').close(); made += 1\n"
        "    except OSError: pass\n"
        "print(made)"
    )
    assert 1000 < int(isolated.out(source)) <= 2000 + 1000
    isolated.neighbour()


def test_a_million_open_files(isolated: Place) -> None:
    source = (
        "import os\nheld = []\n"
        "try:\n    while len(held) < 1_000_000: held.append(os.open('/dev/null', 0))\n"
        "except OSError: pass\nprint(len(held))"
    )
    assert int(isolated.out(source)) <= 256
    assert tried(isolated, "import resource\nattempt(resource.setrlimit, resource.RLIMIT_NOFILE, (1000, 1000))") == []
    isolated.neighbour()


def test_endless_output(isolated: Place) -> None:
    result = isolated.run(
        isolated.plain("import os\nwhile True: os.write(1, b'x' * 65536)", isolated.limits(0.3, 1.5, output_bytes=5000))
    )
    assert result.ending in KILLED
    assert result.stdout == b"x" * 5000
    isolated.neighbour()


@pytest.mark.parametrize("text", ["x" * 65536, "\n" * 65536])
def test_endless_answers(isolated: Place, text: str) -> None:
    source = f"import os\ndef f():\n    while True: os.write(3, {text!r}.encode())"
    program = isolated.asking(source, [[]], isolated.limits(1, 5, answer_bytes=1 << 20))
    result = isolated.run(program)
    assert result.ending == "answer_limit"
    assert len(result.answers) == 1 << 20
    isolated.neighbour()


def test_a_loop_that_ignores_every_signal(isolated: Place) -> None:
    source = (
        "import signal\n"
        "for number in range(1, 65):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\n"
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
    )
    result = isolated.run(isolated.plain(source, isolated.limits(0.3)))
    assert result.ending == "cpu_limit"
    isolated.neighbour()


# -- staying behind ----------------------------------------------------------------------------------

DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while True:
            for place in ("/tmp", "/dev/shm", "/tmp/work"):
                try: open(f"{place}/poison-{time.time()}", "w").write("x")
                except OSError: pass
    os._exit(0)
"""


@pytest.mark.parametrize("ending", ["os._exit(0)", "1/0", "os.kill(os.getpid(), 9)", "\nwhile True: pass"])
def test_a_daemon_is_dead_when_the_next_program_starts(isolated: Place, ending: str) -> None:
    for _ in range(2):
        isolated.run(isolated.plain(DAEMON + ending, isolated.limits(0.2, 3)))
        isolated.neighbour()


def test_threads_and_exit_handlers_do_not_answer_late(isolated: Place) -> None:
    source = (
        "import atexit, os, threading, time\n"
        "atexit.register(os.write, 3, b'late')\n"
        "def later():\n    time.sleep(0.05); os.write(3, b'later')\n"
        "def f():\n    threading.Thread(target=later).start(); return 1"
    )
    result = isolated.run(isolated.asking(source))
    assert isolated.lines(result) == [{"loaded": True}, {"value": 1}]
    assert result.ending == "exit"
    isolated.neighbour()


def test_ipc_leaves_nothing(isolated: Place) -> None:
    source = (
        "for name in ('/tmp/a', '/dev/shm/b', '/var/tmp/c', '/dev/mqueue/d'):\n"
        "    try: open(name, 'w').write('x')\n    except OSError: pass\n"
        "libc.shmget(77, 4096, 0o1666); libc.semget(77, 1, 0o1666); libc.msgget(77, 0o1666)\n"
        "libc.mq_open(b'/q', 0o102, 0o666, None)\n"
        "libc.shm_open(b'/s', 0o102, 0o666)\n"
    )
    isolated.out(ATTEMPT + source)
    isolated.neighbour()
    found = tried(
        isolated,
        "attempt_c('shmget', 77, 1, 0); attempt_c('semget', 77, 1, 0); attempt_c('msgget', 77, 0)\n"
        "attempt_c('mq_open', b'/q', 2); attempt_c('shm_open', b'/s', 2, 0)",
    )
    assert found == []


def test_keyrings_leave_nothing(isolated: Place) -> None:
    add, keyctl, search, user = 248, 250, 10, -4
    keep = f"libc.syscall({add}, b'user', b'qceval', b'secret', 6, {user})\n"
    find = f"attempt_c('syscall', {keyctl}, {search}, {user}, b'user', b'qceval', 0)\n"
    isolated.out(ATTEMPT + keep)
    assert tried(isolated, find) == []
    isolated.neighbour()


LITTER = {
    "symlinks": "for i, to in enumerate(('/', '/etc', '/opt/qceval', '..', 'self')): os.symlink(to, f'link{i}')\n"
    "os.symlink('/usr', '/tmp/usr'); os.symlink('/opt/qceval', '/dev/shm/agent')",
    "work is a link": "os.rename(os.getcwd(), '/tmp/elsewhere'); os.symlink('/opt/qceval', '/tmp/work')",
    "work is gone": "os.rmdir(os.getcwd()) if not os.listdir() else (os.remove('main.py'), os.rmdir(os.getcwd()))",
    "work is a file": "os.rename(os.getcwd(), '/tmp/elsewhere'); open('/tmp/work', 'w')",
    "sticky": "os.mkdir('/tmp/s'); open('/tmp/s/f', 'w'); os.chmod('/tmp/s', 0o1777)",
    "read-only": "os.makedirs('a/b/c'); open('a/b/c/f', 'w'); [os.chmod(p, 0o500) for p in ('a/b/c', 'a/b', 'a', '.')]",
    "no access": "os.makedirs('/tmp/a/b'); open('/tmp/a/b/f', 'w'); [os.chmod(p, 0) for p in ('/tmp/a/b', '/tmp/a')]",
    "no access in work": "os.makedirs('a/b'); open('a/b/f', 'w'); [os.chmod(p, 0) for p in ('a/b', 'a', '.')]",
    "the places themselves": "for p in ('/tmp', '/dev/shm'):\n    try: open(p + '/f', 'w'); os.chmod(p, 0o555)\n"
    "    except OSError: pass",
    "the shared memory place": "open('/dev/shm/f', 'w')\ntry: os.chmod('/dev/shm', 0o555)\nexcept OSError: pass",
    "deep": "for _ in range(1900): os.mkdir('d'); os.chdir('d')",
    "names": "for n in (b'\\xff', b'a\\nb', b'-rf', b'*', b'\\x1b[2J', b'x' * 255): open(n, 'w')",
    "kinds": "import socket\nos.mkfifo('fifo'); socket.socket(socket.AF_UNIX).bind('socket')\n"
    "open('a', 'w'); os.link('a', 'b')",
    "many": "for i in range(1500): open(str(i), 'w')",
}


@pytest.mark.parametrize("litter", LITTER)
def test_litter_is_wiped_or_the_sandbox_replaced(isolated: Place, litter: str) -> None:
    isolated.run(isolated.plain("import os\n" + LITTER[litter], isolated.limits(2)))
    isolated.neighbour(survived=False)
    assert Path("/usr/bin").is_dir()


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


def test_the_files_of_the_harness(isolated: Place, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    marker.write_text("secret")
    home = Path.home()
    paths = [
        marker,
        Path(__file__),
        Path(__file__).parents[2],
        Path("/work"),
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


# -- confusing the agent -----------------------------------------------------------------------------

STRANGE = """
import collections, fractions, sys
class Raises:
    def __getattribute__(self, name): raise RuntimeError(name)
class Iterates(list):
    def __iter__(self): raise SystemExit
    def __len__(self): return 10**18
class Reduces:
    def __reduce__(self): raise KeyboardInterrupt
    def __reduce_ex__(self, n): raise KeyboardInterrupt
class Pretends:
    __class__ = property(lambda self: tuple)
class Meta(type):
    __name__ = property(lambda cls: 1 / 0)
    __instancecheck__ = lambda cls, thing: 1 / 0
class Nameless(metaclass=Meta): pass
class NamelessTuple(tuple, metaclass=Meta): pass
class NamelessError(Exception, metaclass=Meta): pass
class Unprintable(Exception):
    def __str__(self): raise SystemExit
class Huge(int):
    def __index__(self): return 10**10**6
class Word(str):
    def __str__(self): return "other"
class Table(dict):
    def items(self): raise MemoryError
class Endless(collections.deque):
    def __iter__(self):
        while True: yield 1
def recursive():
    a = []; a.append(a); return a
def recursive_dict():
    a = {}; a[1] = a; return a
def deep():
    a = []
    for _ in range(10**6): a = [a]
    return a
def endless():
    while True: yield 1
def raises(error):
    raise error
def f(number):
    return [
        Raises, Iterates, Reduces, Pretends, Nameless, lambda: NamelessTuple((1,)), lambda: raises(NamelessError()),
        lambda: raises(Unprintable()), lambda: Huge(3), lambda: Word("this"), lambda: Table({1: 2}),
        lambda: Endless([1]), recursive, recursive_dict, deep, endless, lambda: f, lambda: sys.modules["os"],
        lambda: object(), lambda: {1: {2: object()}},
        lambda: fractions.Fraction(1, 3), lambda: float("nan"), lambda: "\\ud800", lambda: 10**5000, lambda: [10**5000],
        lambda: {(): set(), frozenset([1]): b"\\xff"}, lambda: sys._getframe(), lambda: type("n" * 10**6, (), {})(),
        lambda: raises(RecursionError()), lambda: raises(MemoryError()), lambda: raises(GeneratorExit()),
        lambda: raises(type("E" * 10**6, (Exception,), {})("e" * 10**6)),
    ][number]()
"""
STRANGE_COUNT = 32


def test_values_that_fight_back(isolated: Place) -> None:
    result = isolated.run(isolated.asking(STRANGE, [[i] for i in range(STRANGE_COUNT)], isolated.limits(10, 30)))
    loaded, *answers = isolated.lines(result)
    assert loaded == {"loaded": True}
    assert (result.ending, result.status) == ("exit", 0)
    assert len(answers) == STRANGE_COUNT
    assert all(set(answer) in ({"value"}, {"error", "type"}) for answer in answers)
    assert max(map(len, bytes(result.answers).splitlines())) < 10_000
    isolated.neighbour()


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.close(3)\ndef f(): return 1",
        "import os\nos.dup2(1, 3)\ndef f(): return 1",
        "import json\njson.dumps = lambda x: 'x'\ndef f(): return 1",
        "import json\njson.dumps = lambda x: 1/0\ndef f(): return 1",
        "import builtins\nbuiltins.len = lambda x: 0\nbuiltins.type = None\ndef f(): return 1",
        "import sys\nsys.modules['calls'].encode = lambda x: 1\ndef f(): return 2",
        "import sys\nsys._getframe(1).f_locals.clear()\ndef f(): return 2",
        "import sys\nsys.setrecursionlimit(1)\ndef f(): return 2",
        "import os\nos.set_blocking(3, False)\ndef f(): return 'x' * 1_000_000",
        "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))\ndef f(): return 2",
        "import sys\nsys.settrace(lambda *a: 1/0)\ndef f(): return 2",
        "import signal\nsignal.signal(14, lambda *a: 1/0)\nsignal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)\n"
        "def f():\n    while True: pass",
        "import gc, sys\nfor thing in gc.get_objects():\n    if isinstance(thing, dict): thing.clear()",
        "import os\nos.fork()\nos.fork()\ndef f(): return 2",
        "import os\nos._exit(0)",
    ],
)  # fmt: skip
def test_programs_that_break_their_own_process(isolated: Place, source: str) -> None:
    result = isolated.run(isolated.asking(source, [[]] * 3, isolated.limits(0.5, 2)))
    assert result.ending in {"exit", "signal", *KILLED}
    isolated.neighbour()


def test_nothing_is_left_of_all_that(isolated: Place) -> None:
    with isolated.fresh() as sandbox:
        sandbox.run(isolated.plain(DAEMON + "os._exit(0)", isolated.limits(0.3, 3)))
        pids = isolated.pids(sandbox)
        sandbox.stop()
        assert not any(map(isolated.alive, pids))
