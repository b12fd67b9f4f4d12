"""Python programs in a fork of the agent: each does what ``python3 main.py`` does with it, and leaves nothing behind.

Only benign programs: ``none`` is among the backends. Every program of ``SAME`` runs both ways in the same sandbox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Place

STDIN = "one\ntwo é\n\nfour"

EXITS = {
    "nothing at all": "",
    "falls off its end": "print('a')",
    "exit()": "print('a'); exit()",
    "quit()": "print('a'); quit()",
    "exit(3)": "exit(3)",
    "SystemExit": "raise SystemExit",
    "SystemExit of two": "raise SystemExit(1, 2)",
    "sys.exit(None)": "import sys; sys.exit(None)",
    "sys.exit(0)": "import sys; sys.exit(0)",
    "sys.exit(True)": "import sys; sys.exit(True)",
    "sys.exit(255)": "import sys; sys.exit(255)",
    "sys.exit(256)": "import sys; sys.exit(256)",
    "sys.exit(-1)": "import sys; sys.exit(-1)",
    "sys.exit of 32 bits": "import sys; sys.exit(2**31 + 5)",
    "sys.exit of 63 bits": "import sys; sys.exit(2**62 + 6)",
    "sys.exit of a text": "import sys; print('a'); sys.exit('why')",
    "sys.exit of an empty text": "import sys; sys.exit('')",
    "sys.exit of a float": "import sys; sys.exit(1.5)",
    "sys.exit of a tuple": "import sys; sys.exit((1, 2))",
    "sys.exit in a thread": "import sys, threading\nthreading.Thread(target=sys.exit, args=(3,)).start()",
    "os._exit": "import os; print('lost'); os._exit(7)",
    "SIGTERM": "import os; print('lost'); os.kill(os.getpid(), 15)",
    "abort": "import os; os.abort()",
    "another program": "import os; print('a', flush=True); os.execv('/bin/sh', ['sh', '-c', 'echo b; exit 5'])",
}
ERRORS = {
    "an exception": "print('a')\n1/0",
    "of several lines": "raise ValueError('first\\nsecond')",
    "of its own": "class E(BaseException): pass\nraise E('x')",
    "that cannot be shown": "class E(Exception):\n    def __str__(self): return 1/0\nraise E",
    "that has a cause": "try: 1/0\nexcept ZeroDivisionError as error: raise KeyError('x') from error",
    "GeneratorExit": "raise GeneratorExit",
    "MemoryError": "raise MemoryError",
    "an assertion": "assert 1 == 2, 'not so'",
    "in a thread": "import threading\nthreading.Thread(target=lambda: 1/0).start()",
    "no syntax": "print('a')\ndef f(:\n",
    "no indentation": "  x = 1\n y = 2",
    "return": "return 1",
    "half a line": "print('a')\nx = 3 +",
    "no such module": "import nothing_of_this_name",
    "no such name": "print(nothing)",
    "a warning": "import warnings; warnings.warn('careful')",
    "a warning of the compiler": "print(1 is 1)",
}
SEEN = {
    "name and argv": "import sys; print(__name__, sys.argv, __doc__, __package__, __spec__)",
    "the path": "import os, sys; print(sys.path[0] == os.getcwd(), sys.path.count(os.getcwd()))",
    "the main module": "import __main__; x = 3; print(__main__.x, __main__.__name__)",
    "classes of main": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
    "annotations": "x: int = 1\nprint(__annotations__)",
    "a future": "from __future__ import annotations\nx: nothing = 1\nprint(__annotations__)",
    "its own source": "import inspect\ndef f(): return 1\nprint(inspect.getsource(f))",
    "a file as module": "open('other.py', 'w').write('y = 5')\nimport other; print(other.y)",
    "itself as module": "import main\nprint(__name__, main.__name__)",
    "a main guard": "if __name__ == '__main__': print('guarded')",
    "environment": "import os, time; print(sorted(os.environ), time.tzname, os.getcwd() == os.environ['HOME'])",
    "signals": "import signal as s; print([s.getsignal(n) for n in (s.SIGINT, s.SIGPIPE, s.SIGTERM, s.SIGCHLD)])",
    "threads": "import threading as t; print(t.active_count(), t.current_thread() is t.main_thread())",
    "collector": "import gc; print(gc.isenabled(), gc.get_threshold(), gc.callbacks)",
    "hash seed": "print(hash('a'), {'b', 'c', 'd', 'e', 'f'})",
    "great numbers": "print(len(str(10**4000)))\nstr(10**5000)",
    "streams": "import sys; print([(f.isatty(), f.encoding, f.fileno(), f.mode) for f in (sys.stdin, sys.stdout)])",
}
STREAMS = {
    "input()": "print(input(), input(), input(), input())",
    "input() at the end": "while True: print(input())",
    "a prompt": "x = input('x? ')\nprint(x)",
    "line by line": "import sys\nfor line in sys.stdin: print(repr(line))",
    "readline": "import sys; print([sys.stdin.readline() for _ in range(6)])",
    "readlines": "import sys; print(sys.stdin.readlines(), sys.stdin.readlines())",
    "whole": "import sys; print(repr(sys.stdin.read()), repr(sys.stdin.read()))",
    "a line and the rest": "import sys; print(input()); print(repr(sys.stdin.read()))",
    "from the start again": "import sys; sys.stdin.read(); sys.stdin.seek(0); print(sys.stdin.read())",
    "binary": "import sys; print(sys.stdin.buffer.readline(), sys.stdin.buffer.read())",
    "open(0)": "print(open(0).read())",
    "/dev/stdin": "print(open('/dev/stdin').read())",
    "os.read": "import os; print(os.read(0, 5), os.read(0, 100), os.read(0, 100))",
    "as an iterator": "import sys; print(list(map(str.split, sys.stdin)))",
    "another stdin": "import io, sys; sys.stdin = io.StringIO('other'); print(input())",
    "no newline": "print('a', end='')",
    "not text": "import sys; sys.stdout.buffer.write(bytes(range(256)))",
    "letters": "print('é ☃ 😀')",
    "a high surrogate": "print('a'); print('\\ud800')",
    "a surrogate on stderr": "import sys; print('\\ud800', file=sys.stderr)",
    "stderr without newline": "import sys; print('e', end='', file=sys.stderr)",
    "descriptor 1": "import os; os.write(1, b'a'); print('b'); os.write(1, b'c')",
    "buffer and text": "import sys; print('a'); sys.stdout.flush(); sys.stdout.buffer.write(b'b\\n'); print('c')",
    "more than a buffer": "print('x' * 20_000); print('y' * 20_000, end='')",
    "stdout opened anew": "import sys; sys.stdout = open(1, 'w'); print('a')",
    "stdout wrapped anew": "import io, sys; sys.stdout = io.TextIOWrapper(sys.stdout.buffer, 'utf-8'); print('é')",
    "stdout kept aside": "import io, sys; own = sys.stdout; sys.stdout = text = io.StringIO(); print('a')\n"
    "sys.stdout = own; print(text.getvalue() * 2)",
    "a file that is closed": "with open(1, 'w', closefd=False) as out: out.write('a')\nprint('b')",
    "a function's file": "def f():\n    out = open('/dev/stdout', 'w'); out.write('a')\nf()",
    "redirected for a while": "import os\nfd, own = os.open('out', os.O_CREAT | os.O_RDWR), os.dup(1)\n"
    "os.dup2(fd, 1); print('there', flush=True); os.dup2(own, 1); print('here', open('out').read())",
    "redirected to the end": "import os\nprint('a'); os.dup2(os.open('out', os.O_CREAT | os.O_RDWR), 1); print('b')",
    "stderr to stdout": "import os, sys; os.dup2(1, 2); print('a', file=sys.stderr)",
    "closed input": "import os; os.close(0); print('a')",
}
ENDS = {
    "a thread that ends later": "import threading, time\n"
    "def f(): time.sleep(0.1); print('late')\nthreading.Thread(target=f).start(); print('main')",
    "a thread after an exit": "import sys, threading, time\n"
    "def f(): time.sleep(0.1); print('late')\nthreading.Thread(target=f).start(); sys.exit(4)",
    "a thread after an exception": "import threading, time\n"
    "def f(): time.sleep(0.1); print('late')\nthreading.Thread(target=f).start(); 1/0",
    "a daemon": "import threading, time\n"
    "threading.Thread(target=lambda: time.sleep(60) or print('never'), daemon=True).start(); print('main')",
    "exit handlers": "import atexit\natexit.register(print, 'second'); atexit.register(print, 'first'); print('main')",
    "exit handlers after an exit": "import atexit, sys\natexit.register(print, 'bye'); sys.exit(6)",
    "an exit handler that fails": "import atexit\natexit.register(lambda: 1/0); atexit.register(print, 'first')",
    "an exit handler that exits": "import atexit, sys\natexit.register(sys.exit, 5); print('main')",
    "threads before exit handlers": "import atexit, threading, time\natexit.register(print, 'bye')\n"
    "threading.Thread(target=lambda: time.sleep(0.05) or print('thread')).start()",
    "an executor left open": "from concurrent.futures import ThreadPoolExecutor\n"
    "ThreadPoolExecutor(1).submit(print, 'done')",
    "asyncio": "import asyncio\nasync def f(): await asyncio.sleep(0); print('done')\nasyncio.run(f())",
    "a fork": "import os\nprint('before')\nif os.fork() == 0: print('child')\nelse: os.wait(); print('parent')",
    "a fork that leaves": "import os\nif os.fork() == 0: os._exit(3)\nprint(os.waitstatus_to_exitcode(os.wait()[1]))",
    "a subprocess": "import subprocess, sys\nprint(subprocess.check_output([sys.executable, '-c', 'print(1)']))",
    "a process": "import multiprocessing as m\nm.set_start_method('fork')\n"
    "def f(x): print('child', x)\np = m.Process(target=f, args=(3,)); p.start(); p.join(); print('parent', p.exitcode)",
    "a pool": "import multiprocessing as m\ndef f(x): return x * x\n"
    "if __name__ == '__main__':\n    with m.Pool(2) as pool: print(pool.map(f, range(5)))",
    "a spawned pool": "import multiprocessing as m\ndef f(x): return x * x\n"
    "if __name__ == '__main__':\n    with m.get_context('spawn').Pool(1) as pool: print(pool.map(f, range(5)))",
    "recursion": "def f(n): return n and 1 + f(n - 1)\nprint(f(900))",
    "endless recursion": "def f(): f()\nf()",
    "deep recursion": "import sys; sys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)\nprint(f(50_000))",
}
# Here as root and in an image; that other ways of becoming a user change nothing is shown by the other tests.
TWO = [pytest.param("docker", marks=pytest.mark.docker), pytest.param("namespaces", marks=pytest.mark.namespaces)]

SAME = {
    f"{group}: {name}": source
    for group, programs in (
        ("exit", EXITS), ("error", ERRORS), ("seen", SEEN), ("stream", STREAMS), ("end", ENDS),
    )
    for name, source in programs.items()
}  # fmt: skip

# Where a program in a fork does not do what Python does. One that is mended fails here, and goes to SAME.
SUBTLE = {
    "stdout is closed": "import sys; print('a'); sys.stdout.close()",
    "stdout is None": "import sys; print('a'); sys.stdout = None",
    "stdout is gone": "import sys; print('a'); del sys.stdout",
    "stdout is replaced": "import io, sys; print('a'); sys.stdout = io.StringIO(); print('lost')",
    "__stdout__ is written to": "import io, sys; sys.stdout = io.StringIO(); sys.__stdout__.write('a')",
    "a file that nobody closes": "out = open(1, 'w'); out.write('a')",
    "an object that says goodbye": "class A:\n    def __del__(self): print('bye')\na = A()",
    "a generator that is left": "def g():\n    try: yield\n    finally: print('bye')\nx = g(); next(x)",
    "sys.exit of a great number": "import sys; sys.exit(2**64 + 7)",
    "sys.exit of a text without stderr": "import sys; sys.stderr.close(); sys.exit('why')",
    "KeyboardInterrupt": "raise KeyboardInterrupt",
    "a hook for exceptions": "import sys; sys.excepthook = lambda *error: print('hooked')\n1/0",
    "a low surrogate": "print('\\udc80')",
    "__builtins__": "print(__builtins__.len('ab'))",
    "__file__": "import os; print(os.path.isabs(__file__))",
    "descriptors": "import os; print(sorted(os.listdir('/proc/self/fd')))",
    "a byte order mark": "\ufeffprint('a')",
    "an encoding": "# -*- coding: latin-1 -*-\nprint(len('é'))",
    "ends of lines in the input": "import sys; sys.stdin.read(3); print(repr(input()))",
    "letters that are none": "import sys; sys.stdin.read(3); print(ascii(sys.stdin.read()))",
}
OTHER_STDIN = {"ends of lines in the input": "abc\rd\r\n", "letters that are none": "abc\udcff"}
# What a script does in another way than `python3 main.py`, for good or because nobody will miss it.
UNLIKE = ("KeyboardInterrupt", "an encoding", "descriptors", "stdout is gone")
OTHER = {name: SUBTLE[name] for name in UNLIKE}
SAME |= {name: source for name, source in SUBTLE.items() if name not in UNLIKE}


def ran(place: Place, source: str, script: bool, stdin: str = STDIN) -> tuple[Any, ...]:
    """How it ended, what it printed, and the last line of its errors."""
    bound = place.limits(8, 20, output_bytes=100_000)
    result = place.run(place.plain(source, bound, stdin=stdin, script=script))
    errors = bytes(result.stderr).decode("utf-8", "replace").rstrip().split("\n")
    return result.ending, result.status, bytes(result.stdout), errors[-1]


@pytest.mark.parametrize("place", TWO, indirect=True)
@pytest.mark.parametrize("name", SAME)
def test_a_script_does_what_python_does(place: Place, name: str) -> None:
    stdin = OTHER_STDIN.get(name, STDIN)
    assert ran(place, SAME[name], True, stdin) == ran(place, SAME[name], False, stdin)


def test_what_a_script_does_in_another_way_is_known(place: Place) -> None:
    stdins = {name: OTHER_STDIN.get(name, STDIN) for name in OTHER}
    found = {
        name for name, source in OTHER.items()
        if ran(place, source, True, stdins[name]) != ran(place, source, False, stdins[name])
    }  # fmt: skip
    assert found == set(OTHER)


def test_these_programs_do_something(place: Place) -> None:
    """Two that fail alike would be the same too."""
    for name, wanted in {
        "exit: sys.exit(255)": ("exit", 255, b"", ""),
        "exit: sys.exit of a text": ("exit", 1, b"a\n", "why"),
        "exit: SIGTERM": ("signal", 15, b"", ""),
        "exit: another program": ("exit", 5, b"a\nb\n", ""),
        "error: an exception": ("exit", 1, b"a\n", "ZeroDivisionError: division by zero"),
        "seen: name and argv": ("exit", 0, b"__main__ ['main.py'] None None None\n", ""),
        "stream: input()": ("exit", 0, "one two é  four\n".encode(), ""),
        "stream: input() at the end": ("exit", 1, "one\ntwo é\n\nfour\n".encode(), "EOFError: EOF when reading a line"),
        "stream: binary": ("exit", 0, b"b'one\\n' b'two \\xc3\\xa9\\n\\nfour'\n", ""),
        "stream: descriptor 1": ("exit", 0, b"acb\n", ""),
        "end: a thread after an exit": ("exit", 4, b"late\n", ""),
        "end: threads before exit handlers": ("exit", 0, b"thread\nbye\n", ""),
        "end: a spawned pool": ("exit", 0, b"[0, 1, 4, 9, 16]\n", ""),
        "end: a pool": ("exit", 0, b"[0, 1, 4, 9, 16]\n", ""),
    }.items():
        assert ran(place, SAME[name], script=True) == wanted, name


def test_a_script_runs_in_a_fork_of_the_agent(place: Place) -> None:
    """That is what it is for: no interpreter is started, and common modules are there."""
    source = "import sys; print('heapq' in sys.modules and 'statistics' in sys.modules)"
    assert place.out(source, script=True) == "True\n"
    assert place.out(source) == "False\n"


def test_a_traceback_begins_with_the_program(place: Place) -> None:
    result = place.run(place.plain("def f():\n    return 1/0\n\nf()\n", script=True))
    lines = bytes(result.stderr).decode().splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('main.py", line 4, in <module>')
    assert lines[2].strip() == "f()"
    assert "script.py" not in result.stderr.decode()
    result = place.run(place.plain("x = (", script=True))
    assert bytes(result.stderr).decode().splitlines()[0].endswith('main.py", line 1')
    result = place.run(place.plain("try: {}['a']\nexcept KeyError: 1/0", script=True))
    assert "script.py" not in result.stderr.decode()


def test_as_much_room_to_recurse(place: Place) -> None:
    source = "def f(n):\n    try: return f(n + 1)\n    except RecursionError: return n\nprint(f(0))"
    alone, forked = (int(place.out(source, script=script)) for script in (False, True))
    assert abs(alone - forked) <= 1
    assert forked > 950


def test_random_numbers_differ_between_scripts(place: Place) -> None:
    source = "import random, uuid; print(random.random(), uuid.uuid4())"
    assert len({place.out(source, script=True) for _ in range(3)}) == 3


def test_files_and_environment_of_a_script(place: Place) -> None:
    files = {"pack/__init__.py": "", "pack/deep.py": "value = 7", "in.txt": "é"}
    source = "import os\nfrom pack.deep import value\nprint(value, open('in.txt').read(), os.environ['OWN'])"
    assert place.out(source, files=files, environment={"OWN": "x y"}, script=True) == "7 é x y\n"


@pytest.mark.parametrize("stdin", ["", "\n", "\0", "a\u2028b\x0bc\x85", "é" * 1_000_000, "1\n" * 500_000])
def test_any_standard_input(place: Place, stdin: str) -> None:
    source = "import hashlib, sys; d = sys.stdin.buffer.read(); print(len(d), hashlib.sha256(d).hexdigest())"
    assert ran(place, source, True, stdin) == ran(place, source, False, stdin)
    source = "import sys; t = sys.stdin.read(); print(len(t), hash(t))"
    assert ran(place, source, True, stdin) == ran(place, source, False, stdin)


# -- limits ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "ending", "wall_s"),
    [
        ("while True: pass", "cpu_limit", 20),
        ("x = bytearray(1 << 30)", "memory_limit", 20),
        ("import time; time.sleep(60)", "wall_limit", 1),
        ("import threading\nthreading.Event().wait()", "wall_limit", 1),
        ("import atexit, time\natexit.register(time.sleep, 60)", "wall_limit", 1),
        ("import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()", "wall_limit", 1),
    ],
)
def test_a_script_has_the_limits_of_its_program(place: Place, source: str, ending: str, wall_s: float) -> None:
    cpu_s = 0.4 if ending == "cpu_limit" else 5.0  # a busy machine takes its time to hand out memory
    result = place.run(place.plain(f"print('up', flush=True)\n{source}", place.limits(cpu_s, wall_s), script=True))
    assert (result.ending, bytes(result.stdout)) == (ending, b"up\n")
    assert result.wall_s < 15
    assert place.out("print(1)", script=True) == "1\n"


def test_output_of_a_script_has_a_bound(place: Place) -> None:
    source = "import sys\nprint('x' * 5_000_000); print('y' * 5_000_000, file=sys.stderr); sys.exit(3)"
    result = place.run(place.plain(source, place.limits(output_bytes=1000), script=True))
    assert (result.ending, result.status) == ("exit", 3)
    assert (bytes(result.stdout), bytes(result.stderr)) == (b"x" * 1000, b"y" * 1000)


def test_a_script_has_no_answers_to_give(place: Place) -> None:
    """Its descriptor 3 leads nowhere: what it writes there is not taken for an answer."""
    result = place.run(place.plain("import os; os.write(3, b'{\"value\": 1}\\n')", script=True))
    assert bytes(result.answers) == b""
    assert place.out("print(1)", script=True) == "1\n"


# -- one program after the other ---------------------------------------------------------------------

HONEST = """
import builtins, decimal, gc, heapq, json, math, os, random, signal, sys, threading, time, warnings
print(sorted([3, 1, 2]), math.pi, json.dumps([1]), 0 <= random.random() < 1, heapq.nsmallest(1, [2, 1]))
print(sys.path[0] == os.getcwd(), len(sys.path), os.listdir(), sorted(os.environ), sys.argv, decimal.getcontext().prec)
print(sys.getrecursionlimit() < 1100, gc.isenabled(), signal.getsignal(signal.SIGTERM), len(warnings.filters))
print(threading.active_count(), hasattr(builtins, 'mine'), 'mine' in sys.modules, sys.gettrace(), os.umask(0o22))
print(input())
"""
POISON = {
    "modules": "import heapq, json, math, random\nmath.pi = 3; json.dumps = None; random.random = lambda: 7\n"
    "heapq.nsmallest = lambda *a: 'x'",
    "builtins": "import builtins\nbuiltins.mine = builtins.sorted = builtins.print = builtins.input = None",
    "sys": "import sys, types\nsys.path[:] = ['/']; sys.modules.clear(); sys.argv = sys.stdin = sys.stdout = None\n"
    "sys.setrecursionlimit(5000); sys.modules['mine'] = types",
    "the agent's own modules": "import sys, script, calls\n"
    "script.run = calls.answer = lambda *a: 0; sys.modules['script'] = sys.modules['calls'] = None\n"
    "import __main__; __main__.Agent = None",
    "objects of the agent": "import gc\nfor each in gc.get_objects():\n"
    "    if type(each).__name__ == 'Agent': each.run = each.receive = each.wipe = None; each.work = '/'",
    "settings": "import decimal, gc, os, signal, sys, warnings\ndecimal.getcontext().prec = 2; gc.disable()\n"
    "os.umask(0); signal.signal(signal.SIGTERM, signal.SIG_IGN); warnings.simplefilter('error')\n"
    "sys.settrace(lambda *a: None)",
    "environment": "import os\nos.environ.clear(); os.environ['X'] = 'y'; os.chdir('/')",
    "files": "import os\nos.makedirs('a/b'); open('json.py', 'w').write('1/0'); open('heapq.py', 'w')\n"
    "os.chmod('.', 0)",
    "exit handlers and threads": "import atexit, threading, time\natexit.register(print, 'poison')\n"
    "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
    "descriptors": "import os\nfor fd in range(10):\n    try: os.close(fd)\n    except OSError: pass",
    "children": "import os, time\nif os.fork() == 0: time.sleep(60)",
    "a crash": "import ctypes; ctypes.string_at(0)",
}  # fmt: skip


@pytest.mark.parametrize("name", POISON)
def test_nothing_stays_of_a_script(place: Place, name: str) -> None:
    before = ran(place, HONEST, script=True)
    assert before[:2] == ("exit", 0), before
    place.run(place.plain(POISON[name], script=True))
    assert ran(place, HONEST, script=True) == before
    assert place.call("import math\ndef f(): return [math.pi > 3.14, sorted('ba')]") == [True, ["a", "b"]]
    assert place.out("print(sorted('ba'))") == "['a', 'b']\n"
