"""What every backend promises, isolating or not. Only benign programs: ``none`` is among the backends."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qwencoder_eval.errors import SandboxError
from qwencoder_eval.sandboxes.docker import DockerSandbox
from qwencoder_eval.sandboxes.namespaces import NamespacesSandbox
from qwencoder_eval.types import Limits, Result

if TYPE_CHECKING:
    from conftest import Place

LOADED = {"loaded": True}
BURN = (
    "import time\ndef burn(cpu_s):\n    end = time.process_time() + cpu_s\n    while time.process_time() < end: pass\n"
)


# -- calls -------------------------------------------------------------------------------------------


def test_values_come_in_the_order_of_the_calls(place: Place) -> None:
    result = place.run(place.asking("seen = []\ndef f(x):\n    seen.append(x)\n    return seen", [[1], ["a"], [None]]))
    assert place.lines(result) == [LOADED, {"value": [1]}, {"value": [1, "a"]}, {"value": [1, "a", None]}]
    assert (result.ending, result.status, result.over, result.timed_out) == ("exit", 0, None, False)


def test_no_inputs_is_an_honest_program_of_one_line(place: Place) -> None:
    assert place.lines(place.run(place.asking("def f(): pass", []))) == [LOADED]


@pytest.mark.parametrize("source", ["def f(:\n", "x = '\0'", "x = '\ud800'", "return", "\tdef f(): 1\n x"])
def test_what_does_not_compile(place: Place, source: str) -> None:
    result = place.run(place.asking(source))
    (line,) = place.lines(result)
    assert line["stage"] == "compile"
    assert line["error"]
    assert (result.ending, result.status) == ("exit", 0)


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("raise ValueError('no')", "ValueError: no"),
        ("import nothing_of_this_name", "ModuleNotFoundError: No module named 'nothing_of_this_name'"),
        ("{}['g']", "KeyError: 'g'"),
        ("raise SystemExit(0)", "SystemExit: 0"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt: "),
        ("x = 1", "f is not defined"),
    ],
)
def test_what_does_not_load(place: Place, source: str, error: str) -> None:
    result = place.run(place.asking(source))
    (line,) = place.lines(result)
    assert (line["stage"], line["error"]) == ("load", error)


def test_a_main_guard_does_not_run(place: Place) -> None:
    result = place.run(place.asking("def f(): return 1\nif __name__ == '__main__': raise SystemExit(3)"))
    assert place.lines(result) == [LOADED, {"value": 1}]


def test_exceptions_are_answers_and_the_next_call_is_made(place: Place) -> None:
    source = (
        "class Own(BaseException):\n    def __str__(self): return 1/0\n"
        "def f(name):\n"
        "    if name == 'deep': return f(name)\n"
        "    if name == 'fine': return name\n"
        "    raise {'own': Own, 'exit': SystemExit, 'stop': KeyboardInterrupt, 'value': ValueError}[name]('x')\n"
    )
    names = ["value", "exit", "stop", "own", "deep", "fine"]
    loaded, *answers = place.lines(place.run(place.asking(source, [[name] for name in names])))
    assert loaded == LOADED
    assert [answer.get("type") for answer in answers] == [
        "ValueError", "SystemExit", "KeyboardInterrupt", "Own", "RecursionError", None,
    ]  # fmt: skip
    assert answers[0]["error"] == "ValueError: x"
    assert answers[-1] == {"value": "fine"}


def test_an_exit_in_the_middle_is_seen(place: Place) -> None:
    result = place.run(place.asking("import os\ndef f(x):\n    if x: os._exit(5)\n    return x", [[0], [1], [0]]))
    assert (result.ending, result.status) == ("exit", 5)
    assert place.lines(result) == [LOADED, {"value": 0}], "answers before the end must not be lost"


def test_deep_recursion_is_allowed(place: Place) -> None:
    source = "import sys\nsys.setrecursionlimit(10**6)\ndef f(n): return n and 1 + f(n - 1)"
    assert place.call(source, 50_000) == 50_000


def test_large_inputs_and_answers(place: Place) -> None:
    text = "é\ud800\0\n" * 500_000
    many = list(range(500_000))
    result = place.run(place.asking("def f(x): return x", [[text], [many]], place.limits(10, 30), [10, 10]))
    assert place.lines(result) == [LOADED, {"value": text}, {"value": many}]


def test_answers_have_a_bound(place: Place) -> None:
    result = place.run(place.asking("def f(): return 'a' * 1_000_000", [[]] * 9, place.limits(answer_bytes=100_000)))
    assert result.ending == "answer_limit"
    assert len(result.answers) == 100_000


def test_a_program_that_ends_just_past_the_bound_of_answers(place: Place) -> None:
    for _ in range(5):  # it may end before or after the agent looks
        result = place.run(place.asking("def f(): return 'a' * 2000", [[]], place.limits(answer_bytes=1000)))
        assert result.ending == "answer_limit"


def test_random_numbers_differ_between_programs(place: Place) -> None:
    source = "import random, uuid\ndef f(): return [random.random(), str(uuid.uuid4())]"
    assert len({str(place.call(source)) for _ in range(3)}) == 3


# -- whole programs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "status"),
    [("", 0), ("raise SystemExit(3)", 3), ("1/0", 1), ("import os; os._exit(255)", 255), ("def f(:", 1)],
)
def test_exit_status(place: Place, source: str, status: int) -> None:
    result = place.run(place.plain(source))
    assert (result.ending, result.status) == ("exit", status)
    assert result.answers == b""


@pytest.mark.parametrize("number", [2, 6, 9, 11, 13, 15, 25])
def test_signals(place: Place, number: int) -> None:
    default = "" if number == 9 else f"signal.signal({number}, signal.SIG_DFL); "
    result = place.run(place.plain(f"import os, signal; {default}os.kill(os.getpid(), {number})"))
    assert (result.ending, result.status) == ("signal", number)


def test_a_crash_is_a_signal(place: Place) -> None:
    result = place.run(place.plain("import ctypes; ctypes.string_at(0)"))
    assert (result.ending, result.status) == ("signal", 11)


def test_arguments_and_standard_input(place: Place) -> None:
    source = "import sys; print(sys.argv[1:], sys.stdin.read())"
    assert (
        place.out(source, args=("a b", "", "é", "$HOME"), stdin="one\ntwo é")
        == "['a b', '', 'é', '$HOME'] one\ntwo é\n"
    )


def test_empty_standard_input_ends_at_once(place: Place) -> None:
    assert place.out("import sys; print(repr(sys.stdin.read()))") == "''\n"
    source = "def f():\n    try: return input()\n    except EOFError: return 'end'"
    assert place.call(source) == "end"


def test_large_standard_input(place: Place) -> None:
    assert place.out("import sys; print(len(sys.stdin.read()))", stdin="x" * 5_000_000) == "5000000\n"


def test_files_in_folders(place: Place) -> None:
    files = {"pack/__init__.py": "", "pack/deep/er.py": "value = 7", "data/in.txt": "é\ud800"}
    source = "from pack.deep.er import value\nprint(value, len(open('data/in.txt', 'rb').read()))"
    assert place.out(source, files=files) == "7 5\n"


def test_output_is_kept_apart_and_cut(place: Place) -> None:
    source = "import sys\nfor i in range(100_000): print('o', end=''), print('e', end='', file=sys.stderr)"
    result = place.run(place.plain(source, place.limits(output_bytes=1000)))
    assert (result.ending, result.status) == ("exit", 0)
    assert (bytes(result.stdout), bytes(result.stderr)) == (b"o" * 1000, b"e" * 1000)


def test_output_need_not_be_text(place: Place) -> None:
    result = place.run(place.plain("import os; os.write(1, bytes(range(256)))"))
    assert bytes(result.stdout) == bytes(range(256))


def test_an_heir_of_the_output_does_not_delay_the_end(place: Place) -> None:
    result = place.run(place.plain("import os, time\nif os.fork() == 0: time.sleep(60)\nprint('done')"))
    assert (result.ending, bytes(result.stdout)) == ("exit", b"done\n")
    assert result.wall_s < 5


def test_a_program_that_closes_its_output_goes_on(place: Place) -> None:
    source = "import os, time\nfor fd in (0, 1, 2): os.close(fd)\ntime.sleep(0.2)\nos._exit(9)"
    result = place.run(place.plain(source))
    assert (result.ending, result.status) == ("exit", 9)
    assert result.wall_s >= 0.2


GLIBCS_OWN = 3 << 31  # signals 32 and 33: nobody can set them, whatever this process was started with


def test_a_language_with_a_compiler(place: Place) -> None:
    with place.fresh(compile=("sh", "build.sh"), run=("sh", "main.py")) as sandbox:

        def run(build: str, main: str, bound: Limits | None = None) -> Result:
            return sandbox.run(place.plain(main, bound, files={"build.sh": build}, stdin="in"))

        built = run("echo made > made; cat", "cat made -")
        assert (built.ending, built.status, bytes(built.stdout)) == ("exit", 0, b"made\nin")
        failed = run("echo why >&2; exit 3", "echo never")
        assert (failed.ending, failed.status) == ("compile_error", 3)
        assert (bytes(failed.stdout), bytes(failed.stderr)) == (b"", b"why\n")
        assert run("kill -9 $$", "echo never").ending == "compile_error"
        assert run("while :; do :; done", "echo never", place.limits(compile_cpu_s=0.2)).ending == "cpu_limit"
        assert run("", "exit 4").status == 4

        # A program starts with the signals that every program expects, not with those of a Python program.
        ignored = run("", "grep SigIgn /proc/self/status").stdout
        assert int(ignored.split()[1], 16) & ~GLIBCS_OWN == 0


# -- limits ------------------------------------------------------------------------------------------


def test_a_loop_ends_at_its_cpu_limit(place: Place) -> None:
    result = place.run(place.plain("while True: pass", place.limits(0.3)))
    assert result.ending == "cpu_limit"
    assert 0.3 <= result.cpu_s < 0.9
    assert result.timed_out
    assert not result.ambiguous


def test_a_sleeper_ends_at_the_backstop(place: Place) -> None:
    result = place.run(place.plain("import time; print('up', flush=True); time.sleep(60)", place.limits(0.3, 0.5)))
    assert (result.ending, bytes(result.stdout)) == ("wall_limit", b"up\n")
    assert 0.5 <= result.wall_s < 3
    assert result.timed_out
    assert result.ambiguous


@pytest.mark.parametrize(
    "source",
    [
        "import os\nfor _ in range(3):\n    if os.fork() == 0:\n        while True: pass\nos.wait()",
        "import os, subprocess, sys\nsubprocess.run([sys.executable, '-c', 'while True: pass'])",
        "import threading\ndef loop():\n    while True: pass\nthreading.Thread(target=loop).start()",
        "import os, sys, time\nwhile True:\n    if os.fork() == 0: burn(0.05); os._exit(0)\n    os.wait()",
    ],
    ids=["children", "another program", "threads", "short-lived children"],
)
def test_cpu_time_of_everything_counts(place: Place, source: str) -> None:
    result = place.run(place.plain(BURN + source, place.limits(0.4, 10)))
    assert result.ending == "cpu_limit"
    assert 0.4 <= result.cpu_s < 1.2
    assert result.wall_s < 8


def test_just_past_the_limit_is_ambiguous(place: Place) -> None:
    result = place.run(place.plain(BURN + "burn(0.82)", place.limits(0.8, 10)))
    assert (result.ending, result.status, result.over) == ("exit", 0, -1)
    assert result.timed_out
    assert result.ambiguous


def test_each_call_has_its_limit(place: Place) -> None:
    source = "def f(x):\n    while x == 2: pass\n    return x"
    result = place.run(place.asking(source, [[1], [2], [3]], place.limits(4), [0.3, 0.3, 0.3]))
    assert (result.ending, result.over) == ("cpu_limit", 1)
    assert place.lines(result) == [LOADED, {"value": 1}]
    assert result.cpu_s < 1.2
    assert not result.ambiguous


def test_a_limit_is_that_of_its_own_call(place: Place) -> None:
    source = BURN + "def f(x):\n    burn(x)\n    return x"
    result = place.run(place.asking(source, [[0], [0.5], [0]], place.limits(4), [0.2, 2, 0.2]))
    assert (result.ending, result.over) == ("exit", None)
    assert len(place.lines(result)) == 4


def test_a_call_just_past_its_limit_is_ambiguous(place: Place) -> None:
    source = BURN + "def f(x):\n    burn(x)\n    return x"
    result = place.run(place.asking(source, [[0], [0.64], [0]], place.limits(4), [0.6, 0.6, 0.6]))
    assert (result.ending, result.over) == ("exit", 1)
    assert len(place.lines(result)) == 4
    assert result.ambiguous


def test_loading_counts_too(place: Place) -> None:
    result = place.run(place.asking("while True: pass", [[]], place.limits(0.3)))
    assert result.ending == "cpu_limit"
    assert place.lines(result) == []


def test_memory_has_a_bound_and_the_sandbox_survives(place: Place) -> None:
    place.run(place.plain(""))
    used = place.made[-1]
    for program in (place.plain("x = bytearray(1 << 30)"), place.asking("def f(): return len(bytearray(1 << 30))")):
        result = place.run(program)
        assert (result.ending, result.status) == ("memory_limit", 9)
        assert result.cpu_s < 5
        assert not result.timed_out
        assert place.out("print(1)") == "1\n"
    assert place.made[-1] is used


# -- one program after the other ---------------------------------------------------------------------


def test_a_clean_folder_each_time(place: Place) -> None:
    litter = "import os\nos.makedirs('a/b'); open('a/b/c', 'w').write('x'); open('new.py', 'w'); os.symlink('/', 'all')"
    look = "import os; print(sorted(os.listdir()), oct(os.stat('.').st_mode))"
    first = place.out(look)
    place.out(litter, files={"other.py": "", "sub/file": ""})
    assert place.out(look) == first == "['main.py'] 0o40700\n"


def test_modules_and_globals_do_not_stay(place: Place) -> None:
    place.call("import math, builtins\nmath.pi = 3\nbuiltins.sorted = None\ndef f(): return 1")
    assert place.call("import math\ndef f(): return [math.pi > 3.14, sorted('ba')]") == [True, ["a", "b"]]


ENVIRONMENT = "import os, time\ndef f(): return [sorted(os.environ.items()), time.tzname, time.localtime(0).tm_hour]"


def test_environment(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("TZ", "America/New_York")
    monkeypatch.setenv("PYTHONSTARTUP", "/secret")
    program = place.plain(ENVIRONMENT + "\nimport json; print(json.dumps(f()))")
    with place.fresh() as sandbox:
        called = place.lines(sandbox.run(place.asking(ENVIRONMENT)))[1]["value"]
        printed = json.loads(sandbox.run(program).stdout)
        folder = sandbox.run(place.plain("import os; print(os.getcwd())")).stdout.decode().strip()
    for items, names, hour in (called, printed):
        environment = dict(item["items"] if isinstance(item, dict) else item for item in items)
        assert set(environment) - {"PYTHONPATH", "LC_CTYPE"} == {
            "PATH", "HOME", "LANG", "TZ", "PYTHONHASHSEED", "OMP_NUM_THREADS",
        }  # fmt: skip
        assert environment["HOME"] == folder
        assert "secret" not in str(environment)
        assert (names["items"] if isinstance(names, dict) else names)[0] == "UTC"
        assert hour == 0


IGNORED = """
import signal as s
def f(): return [s.getsignal(n) in (s.SIG_DFL, s.default_int_handler) for n in (s.SIGINT, s.SIGQUIT, s.SIGHUP)]
"""


def test_what_a_harness_in_the_background_ignores_a_program_does_not(place: Place) -> None:
    kept = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)}
    try:
        with place.fresh() as sandbox:
            assert place.lines(sandbox.run(place.asking(IGNORED)))[1]["value"] == [True] * 3
            for script in (True, False):
                result = sandbox.run(place.plain(IGNORED + "print(f())", script=script))
                assert result.stdout == b"[True, True, True]\n"
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


def test_the_hash_seed_is_fixed(place: Place) -> None:
    first, second = (place.out("print(hash('a'))") for _ in range(2))
    called = place.call("def f(): return hash('a')")
    assert first == second == f"{called}\n"


def test_descriptors_of_the_agent_are_not_inherited(place: Place) -> None:
    source = "import os\ndef f():\n    with os.scandir('/proc/self/fd') as found: return sorted(e.name for e in found)"
    assert place.call(source) == ["0", "1", "2", "3", "4"]  # the usual three, answers, and scandir's own
    assert place.out(source + "\nprint(f())") == "['0', '1', '2', '3']\n"


# -- the end of a sandbox ----------------------------------------------------------------------------


def test_stop_leaves_nothing(place: Place) -> None:
    with place.fresh() as sandbox:
        sandbox.run(place.plain("import os, time\nif os.fork() == 0:\n    os.setsid(); time.sleep(60)"))
        pids = place.pids(sandbox)
        assert pids
        container = sandbox.container if isinstance(sandbox, DockerSandbox) else None
        group = sandbox.cgroup if isinstance(sandbox, NamespacesSandbox) else None
        folder = getattr(sandbox, "place", None)
        sandbox.stop()
        sandbox.stop()
        assert place.within(20, lambda: not [pid for pid in pids if place.alive(pid)])
        if container:
            # The engine may still be at it: a container that ends is removed by it and by us, whoever is first.
            left = {"all": True, "filters": {"id": container.id}}
            assert place.within(20, lambda: not sandbox.client.api.containers(**left))
        if group:
            assert not [path for path in group.folders if path.exists()]
        if folder:
            assert not Path(folder).exists()
        with pytest.raises(SandboxError, match="not running"):
            sandbox.run(place.plain(""))


def test_an_agent_that_was_killed(place: Place) -> None:
    with place.fresh() as sandbox:
        pids = place.pids(sandbox)
        place.kill_agent(sandbox)
        assert place.within(5, lambda: not any(map(place.alive, pids)))
        with pytest.raises(SandboxError, match=r"died|lost|does not take"):
            sandbox.run(place.plain("print(1)"))
        with pytest.raises(SandboxError, match="not running"):
            sandbox.run(place.plain("print(1)"))


def run_in_thread(place: Place, sandbox: Any) -> tuple[threading.Thread, list[BaseException]]:
    """A program that sleeps runs, and what comes of it lands in the list."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            sandbox.run(place.plain("import time; time.sleep(60)", place.limits(10, 60)))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    idle = place.inside(sandbox)
    thread.start()
    assert place.within(10, lambda: place.inside(sandbox) > idle)
    return thread, raised


@pytest.mark.parametrize("end", ["killed", "interrupted"])
def test_an_agent_that_ends_while_a_program_runs(place: Place, end: str) -> None:
    with place.fresh() as sandbox:
        thread, raised = run_in_thread(place, sandbox)
        pids = place.pids(sandbox)
        (lambda: place.kill_agent(sandbox) if end == "killed" else sandbox.interrupt())()
        thread.join(10)
        assert not thread.is_alive()
        assert [type(error) for error in raised] == [SandboxError], raised
        if place.isolated or end == "interrupted":
            assert place.within(5, lambda: not any(map(place.alive, pids)))
        else:
            subprocess.run(["kill", "-9", *map(str, filter(place.alive, pids))], check=False, capture_output=True)


def test_a_harness_that_was_killed_leaves_nothing(place: Place, harness: subprocess.Popen[str]) -> None:
    assert harness.stdout
    pids = json.loads(harness.stdout.readline())
    assert len(pids) > 1
    assert all(map(place.alive, pids))
    harness.kill()
    assert place.within(15, lambda: not any(map(place.alive, pids)))
    if place.kind == "docker":
        import docker

        client = docker.from_env()
        label = {"label": f"qceval={harness.pid}"}
        assert place.within(15, lambda: not client.api.containers(all=True, filters=label))
        client.close()
