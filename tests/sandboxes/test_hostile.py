"""Programs that mean harm, in every backend that isolates. After each, an honest neighbour gets its right answer.

The rule for adding one: say what it tries, run it, and end with ``isolated.neighbour()``, which also looks for
processes, files and System V IPC that were left. ``survived=False`` where the sandbox may have been replaced.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from attempts import ATTEMPT, tried

from qwencoder_eval.errors import SandboxError

if TYPE_CHECKING:
    from conftest import Place

KILLED = {"cpu_limit", "wall_limit"}

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


def test_output_that_is_no_text(isolated: Place) -> None:
    """Of whole programs it is kept as bytes; among answers it is a line like any other, which nobody can read."""
    data = bytes(range(256)) * 50
    source = f"import os\nfor fd in (1, 2): os.write(fd, bytes(range(256)) * {len(data) // 256})\n"
    result = isolated.run(isolated.plain(source))
    assert (bytes(result.stdout), bytes(result.stderr)) == (data, data)
    source += "def f():\n    os.write(3, bytes(range(256)) + b'\\n')\n    raise ValueError('\\ud800\\x1b[2J\\0')\n"
    result = isolated.run(isolated.asking(source))
    assert bytes(range(256)) in bytes(result.answers)
    assert result.ending == "exit"
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
