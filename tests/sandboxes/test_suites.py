"""Unit tests beside a program, in its process: what every backend that isolates promises of them.

Hostile programs are in tests/scoring/test_suite_cheating.py; what a scorer makes of it in test_suites_scorer.py.
"""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from qwencoder_eval.types import Limits, Program, Result, Suite

if TYPE_CHECKING:
    from conftest import Place

WORD = "5e6f" * 8
HONEST = "def f(x):\n    return 2 * x\n"
PASSES = "self.assertEqual(f(2), 4)"


def cases(*bodies: str, base: str = "unittest.TestCase", more: str = "") -> str:
    """A class of tests, one for each body; ``more`` stands before them in the class."""
    lines = ["import unittest", f"class TestCases({base}):", textwrap.indent(textwrap.dedent(more), "    ")]
    for number, body in enumerate(bodies):
        lines += [f"    def test_{number}(self):", textwrap.indent(textwrap.dedent(body).strip(), " " * 8)]
    return "\n".join(lines) + "\n"


def beside(tests: str, source: str = HONEST, bound: Limits | None = None, **others: Any) -> Program:
    return Program("python", {"main.py": source}, limits=bound or Limits(5.0), suite=Suite(tests, WORD), **others)


def said(result: Result) -> tuple[dict[str, Any], bool]:
    """What was written down, and whether the word came behind it."""
    report, _, last = bytes(result.answers).partition(b"\n")
    assert last in (b"", WORD.encode())
    return json.loads(report), bool(last)


def passed(place: Place, tests: str, source: str = HONEST, **others: Any) -> dict[str, Any]:
    result = place.run(beside(tests, source, **others))
    assert (result.ending, result.status, result.timed_out) == ("exit", 0, False)
    report, word = said(result)
    assert word, report
    assert not report["problems"]
    return report


def failed(place: Place, tests: str, source: str = HONEST) -> dict[str, Any]:
    """The run ended well, but the word did not come: what was written down instead."""
    result = place.run(beside(tests, source))
    assert (result.ending, result.status, result.timed_out) == ("exit", 0, False)
    report, word = said(result)
    assert not word, report
    return report


# -- passing -----------------------------------------------------------------------------------------


def test_the_word_comes_last_where_all_pass(isolated: Place) -> None:
    result = isolated.run(beside(cases(PASSES, "self.assertEqual(f('a'), 'aa')")))
    assert bytes(result.answers) == b'{"tests": 2, "problems": {}, "failed": 0}\n' + WORD.encode()
    assert (result.ending, result.status, result.over, result.timed_out) == ("exit", 0, None, False)
    assert (result.stdout, result.stderr) == (b"", b"")


PASSING = {
    "subtests": "for x in range(5):\n    with self.subTest(x=x):\n        self.assertEqual(f(x), 2 * x)",
    "an exception that is expected": "with self.assertRaises(TypeError):\n    f()",
    "mocked open": """
        from unittest.mock import mock_open, patch
        with patch("builtins.open", mock_open(read_data="text")) as opened:
            self.assertEqual(open("anything").read(), "text")
        opened.assert_called_once_with("anything")
    """,
    "mocked print": """
        from unittest.mock import patch
        with patch("builtins.print") as printed:
            print("x")
        printed.assert_called_with("x")
    """,
    "mocked functions of modules": """
        import subprocess, time
        from unittest.mock import patch
        with patch("subprocess.run") as run, patch("time.sleep") as sleep, patch.object(subprocess, "Popen"):
            run.return_value.stdout = "out"
            time.sleep(1000)
            self.assertEqual(subprocess.run(["ls"]).stdout, "out")
        sleep.assert_called_once_with(1000)
    """,
    "mocks of everything": """
        from unittest.mock import ANY, MagicMock, Mock, PropertyMock, call, create_autospec, patch, sentinel
        mock = MagicMock(return_value=3, side_effect=None)
        self.assertEqual((mock(1), len(mock), list(mock)), (3, 0, []))
        mock.__len__.return_value = 7
        self.assertEqual(len(mock), 7)
        type(mock).size = PropertyMock(return_value=5)
        self.assertEqual(mock.size, 5)
        self.assertEqual(mock.mock_calls[:1], [call(1)])
        create_autospec(f)(2)
        Mock(spec=dict).keys()
        self.assertEqual(sentinel.one, sentinel.one)
        self.assertEqual(ANY, f)
        with patch.dict("os.environ", {"A": "b"}), patch.dict("sys.modules", {"no_such": mock}):
            import no_such, os
            self.assertEqual(os.environ["A"], "b")
    """,
    "what is captured": """
        import contextlib, io, sys
        from unittest.mock import patch
        with contextlib.redirect_stdout(io.StringIO()) as out:
            print("x")
        self.assertEqual(out.getvalue(), "x\\n")
        with patch("sys.stdout", new_callable=io.StringIO) as out:
            print("y")
        self.assertEqual(out.getvalue(), "y\\n")
        sys.stdout = captured = io.StringIO()
        print("z")
        sys.stdout = sys.__stdout__
        self.assertEqual(captured.getvalue(), "z\\n")
        with patch("builtins.input", return_value="in"), patch("sys.stdin", io.StringIO("line")):
            self.assertEqual((input(), sys.stdin.read()), ("in", "line"))
    """,
    "logs and warnings": """
        import logging, warnings
        with self.assertLogs("x", "INFO"):
            logging.getLogger("x").warning("w")
        with self.assertWarns(DeprecationWarning):
            warnings.warn("old", DeprecationWarning)
        warnings.warn("nobody cares")
        warnings.simplefilter("always")
        warnings.warn("still", DeprecationWarning)
        self.assertEquals(f(1), 2)
    """,
    "warnings that Python ignores": """
        import warnings
        with warnings.catch_warnings(record=True) as seen:
            warnings.warn("old", DeprecationWarning)
            warnings.warn("mind")
        self.assertEqual([str(each.message) for each in seen], ["mind"])
    """,
    "files": """
        import os, shutil, tempfile
        self.assertEqual(os.listdir(), ["main.py"])
        folder = tempfile.mkdtemp()
        with open(os.path.join(folder, "a"), "w") as file:
            file.write("text")
        shutil.rmtree(folder)
        open("b", "w").close()
        self.assertEqual(sorted(os.listdir()), ["b", "main.py"])
    """,
    "cleanups": "self.addCleanup(f, 1)\nself.doCleanups()",
    "another function of the test's class": "self.check = lambda x: self.assertEqual(f(x), 2 * x)\nself.check(3)",
    "a comparison that is added": "self.addTypeEqualityFunc(int, lambda a, b, msg=None: None)\n" + PASSES,
    "deep recursion": "import sys\nsys.setrecursionlimit(10**5)\ng = lambda n: n and 1 + g(n - 1)\n"
    "self.assertEqual(g(9000), 9000)",
    "a thread": """
        import threading
        seen = []
        thread = threading.Thread(target=lambda: seen.append(f(2)))
        thread.start()
        thread.join()
        self.assertEqual(seen, [4])
    """,
    "processes": "import multiprocessing\nwith multiprocessing.get_context('fork').Pool(2) as pool:\n"
    "    self.assertEqual(pool.map(f, [1, 2]), [2, 4])",
    "an alarm": """
        import signal
        rung = []
        signal.signal(signal.SIGALRM, lambda *a: rung.append(a))
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        while not rung: pass
    """,
}


@pytest.mark.parametrize("name", PASSING)
def test_what_passes(isolated: Place, name: str) -> None:
    assert passed(isolated, cases(PASSING[name], PASSES))["tests"] == 2


IN_CLASS = {
    "set up and torn down": """
        def setUp(self): self.x = 3
        def tearDown(self): del self.x
    """,
    "attributes of the class": """
        limit = 3
        @classmethod
        def setUpClass(cls):
            cls.data = [1, 2]
            cls.limit = 4
            cls.helper = lambda self: 5
            cls.late = staticmethod(len)
        @classmethod
        def tearDownClass(cls):
            del cls.data, cls.helper, cls.late
    """,
    "patches from set up to tear down": """
        def setUp(self):
            from unittest.mock import patch
            self.patch = patch("builtins.open")
            self.patch.start()
        def tearDown(self):
            self.patch.stop()
    """,
    "patches that are stopped by a cleanup": """
        def setUp(self):
            from unittest.mock import patch
            patch("builtins.print").start()
            self.addCleanup(patch.stopall)
    """,
    "an expected failure": """
        @unittest.expectedFailure
        def test_expected(self): self.fail()
    """,
    "inner classes and properties": """
        class Inner: x = 1
        @property
        def y(self): return self.Inner.x
        @staticmethod
        def z(): return 2
    """,
}


@pytest.mark.parametrize("name", IN_CLASS)
def test_what_a_class_of_tests_may_hold(isolated: Place, name: str) -> None:
    passed(isolated, cases(PASSES, PASSES, more=IN_CLASS[name]))


def test_patches_of_the_whole_class(isolated: Place) -> None:
    tests = cases("import time\nself.assertEqual(time.sleep(1000), sleep.return_value)")
    tests = tests.replace("class", "from unittest.mock import patch\n@patch('time.sleep')\nclass", 1)
    passed(isolated, tests.replace("(self)", "(self, sleep)"))


def test_tests_that_wait_for_each_other(isolated: Place) -> None:
    tests = cases(PASSES, base="unittest.IsolatedAsyncioTestCase").replace("def test", "async def test")
    passed(isolated, tests)
    wrong = tests.replace("f(2), 4", "f(2), 5").replace("self.", "import asyncio; await asyncio.sleep(0); self.")
    assert failed(isolated, wrong)["problems"] == {"test_0": "AssertionError: 4 != 5"}


def test_tests_of_a_base_class_count(isolated: Place) -> None:
    base = "import unittest\nclass Base(unittest.TestCase):\n    def test_base(self): self.assertEqual(f(1), 2)\n"
    assert passed(isolated, base + cases(PASSES, base="Base"))["tests"] == 2
    assert failed(isolated, base + cases(PASSES, base="Base"), "def f(x): return x and 4")["problems"] == {
        "test_base": "AssertionError: 4 != 2"
    }


def test_other_classes_of_tests_do_not_run(isolated: Place) -> None:
    other = "class Others(unittest.TestCase):\n    def test_other(self): self.fail()\n"
    assert passed(isolated, cases(PASSES) + other)["tests"] == 1


def test_what_the_program_finds_around_it(isolated: Place) -> None:
    """As upstream: a module of its own name with three names in it, no exit and no quit."""
    source = (
        "def f(x: int): return 2 * x\nnames = sorted(globals())\nassert exit is None and quit is None\n"
        "if __name__ == '__main__': raise SystemExit(3)\n"
    )
    found = (
        "self.assertEqual((__name__, __file__, __package__, __doc__), ('__test__', '__test__.py', None, None))\n"
        "self.assertEqual([name for name in names if name[:2] != '__'], ['environ', 'f', 'os', 'sys'])\n"
        "self.assertIs(sys.modules['__test__'].f, f)\nself.assertIs(environ, os.environ)\n"
        "self.assertEqual((f.__annotations__, os.getcwd() in sys.path), ({'x': int}, True))"
    )
    passed(isolated, cases(found), source)


def test_a_program_that_prints_and_reads(isolated: Place) -> None:
    """As upstream: what is printed goes nowhere, and there is nothing to read."""
    source = (
        "import sys\nprint('x' * 3_000_000)\nsys.stderr.write('y' * 3_000_000)\n"
        "def f(x):\n    print('z' * 1_000_000)\n    return 2 * x\n"
    )
    reads = "for read in (input, sys.stdin.read, sys.stdin.readline, sys.stdin.readlines):\n" \
        "    with self.assertRaises(OSError):\n        read()\nself.assertFalse(sys.stdin.readable())"  # fmt: skip
    result = isolated.run(beside(cases(PASSES, reads), source, stdin="a line"))
    assert said(result) == ({"tests": 2, "problems": {}, "failed": 0}, True)
    assert (result.stdout, result.stderr) == (b"", b"")
    assert failed(isolated, cases(PASSES), "line = input()")["error"].startswith("OSError")


def test_the_output_of_what_a_program_starts(isolated: Place) -> None:
    """As upstream: in a pipe, where nothing else was asked for."""
    started = """
        import subprocess
        self.assertEqual(subprocess.run(["echo", "x"]).stdout, b"x\\n")
        self.assertEqual(subprocess.Popen(["echo", "x"]).communicate(), (b"x\\n", b""))
        self.assertEqual(subprocess.run(["echo", "x"], capture_output=True, text=True).stdout, "x\\n")
        self.assertEqual(subprocess.check_output(["echo", "x"]), b"x\\n")
        self.assertIsNone(subprocess.run(["echo", "x"], stdout=subprocess.DEVNULL).stdout)
    """
    passed(isolated, cases(started))


def test_random_numbers_and_hashes(isolated: Place) -> None:
    """The same in every program: a verdict must not be luck."""
    source = "import random\nraise ValueError((random.random(), hash('a')))"
    seen = [failed(isolated, cases(PASSES), source)["error"].partition("(")[2].split(", ") for _ in range(2)]
    assert seen[0] == seen[1]


def test_what_an_agent_imports_first(isolated: Place) -> None:
    source = "import sys\nhere = [name in sys.modules for name in ('wave', 'xml.dom.minidom', 'no_such')]\n"
    assert "[False, False, False]" in failed(isolated, cases(PASSES), source + "raise ValueError(here)")["error"]
    with isolated.fresh(preload=("wave", "no_such", "xml.dom.minidom")) as sandbox:
        result = sandbox.run(beside(cases("self.assertEqual(here, [True, True, False])", "import no_such"), source))
        assert said(result)[0]["problems"] == {"test_1": "ModuleNotFoundError: No module named 'no_such'"}


# -- not passing -------------------------------------------------------------------------------------

FAILING: dict[str, tuple[str, dict[str, str]]] = {
    "a failure": (cases(PASSES, "self.assertEqual(f(2), 5)"), {"test_1": "AssertionError: 4 != 5"}),
    "a plain assert": (cases("assert f(2) == 5, 'so'"), {"test_0": "AssertionError: so"}),
    "an error": (cases("{}['x']", PASSES), {"test_0": "KeyError: 'x'"}),
    "all of them": (cases("1/0", "self.fail('why')"), {
        "test_0": "ZeroDivisionError: division by zero", "test_1": "AssertionError: why",
    }),
    "a subtest": (cases("for x in (1, 2, 3):\n    with self.subTest(x=x):\n        self.assertEqual(f(2), 2 + x)"), {
        "of x": "AssertionError: 4 != 5",
    }),
    "a trace function, even one that is taken back": (
        cases("import sys\nsys.settrace(lambda *a: None)\nf(1)\nsys.settrace(None)"),
        {"test_0": "suite.InterferedError: a trace function was set"},
    ),
    "the last line of several": (cases("raise ValueError('one\\ntwo')"), {"test_0": "two"}),
    "setUp": (cases(PASSES, more="def setUp(self): 1/0"), {"test_0": "ZeroDivisionError: division by zero"}),
    "tearDown": (cases(PASSES, more="def tearDown(self): 1/0"), {"test_0": "ZeroDivisionError: division by zero"}),
    "a cleanup": (cases("self.addCleanup(lambda: 1/0)"), {"test_0": "ZeroDivisionError: division by zero"}),
    "setUpClass": (cases(PASSES, more="@classmethod\ndef setUpClass(cls): 1/0"), {
        "setUpClass (__test__.TestCases)": "ZeroDivisionError: division by zero",
    }),
    "tearDownClass": (cases(PASSES, more="@classmethod\ndef tearDownClass(cls): 1/0"), {
        "tearDownClass (__test__.TestCases)": "ZeroDivisionError: division by zero",
    }),
    "setUpModule": (cases(PASSES) + "def setUpModule(): 1/0", {
        "setUpModule (__test__)": "ZeroDivisionError: division by zero",
    }),
    "a test that is skipped": (cases(PASSES, more="@unittest.skip('why')\ndef test_x(self): pass"), {
        "test_x": "skipped: why",
    }),
    "a test that skips itself": (cases("self.skipTest('why')", PASSES), {"test_0": "skipped: why"}),
    "a subtest that skips itself": (cases("with self.subTest(x=1):\n    self.skipTest('why')"), {
        "of x": "skipped: why",
    }),
    "a class that is skipped": (cases(PASSES).replace("class", "@unittest.skip('why')\nclass"), {
        "test_0": "skipped: why",
    }),
    "a class that skips itself": (
        cases(PASSES, more="@classmethod\ndef setUpClass(cls): raise unittest.SkipTest('why')"),
        {"setUpClass (__test__.TestCases)": "skipped: why"},
    ),
    "a failure that is expected and does not come": (
        cases(PASSES, more="@unittest.expectedFailure\ndef test_x(self): pass"),
        {"test_x": "succeeded, and was expected to fail"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FAILING)
def test_what_fails(isolated: Place, name: str) -> None:
    tests, problems = FAILING[name]
    report = failed(isolated, tests)
    assert sorted(report["problems"].values()) == sorted(problems.values())
    assert "of x" in problems or report["problems"] == problems  # a subtest has no name of its own
    assert report["failed"] == len(problems)


NOT_LOADING: dict[str, tuple[str, str, str]] = {
    "a program that raises": ("raise ValueError('no')", cases(PASSES), "ValueError: no"),
    "a program that is no Python": ("def f(:\n", cases(PASSES), "SyntaxError: invalid syntax"),
    "a program that is indented": ("x = 1\n  y = 2", cases(PASSES), "IndentationError: "),
    "a program with a null byte": ("x = '\0'", cases(PASSES), "source code string cannot contain null bytes"),
    "a program with a lone surrogate": ("x = '\ud800'", cases(PASSES), "UnicodeEncodeError: "),
    "a program that is too deep": ("x = " + "(" * 300 + ")" * 300, cases(PASSES), "SyntaxError: too many nested"),
    "a program that goes on into the tests": ("x = '''", cases(PASSES), "SyntaxError: unterminated triple-quoted"),
    "a program of the future": ("from __future__ import nothing", cases(PASSES), "SyntaxError: future feature"),
    "a program that leaves": ("raise SystemExit(0)", cases(PASSES), "SystemExit: 0"),
    "a program that is stopped": ("raise KeyboardInterrupt", cases(PASSES), "KeyboardInterrupt"),
    "a program that skips the tests": (
        "import unittest\nraise unittest.SkipTest('why')", cases(PASSES), "SkipTest: why",
    ),
    "a module that nobody has": ("import no_such", cases(PASSES), "ModuleNotFoundError: No module named 'no_such'"),
    "tests that raise": (HONEST, "1/0\n" + cases(PASSES), "ZeroDivisionError: division by zero"),
    "tests that are no Python": (HONEST, "class TestCases(:\n", "SyntaxError: invalid syntax"),
    "no TestCases": (HONEST, "import unittest\n", "AttributeError: module '__test__' has no attribute 'TestCases'"),
    "TestCases of no tests": (
        HONEST, "class TestCases:\n    def test(self): pass", "InterferedError: TestCases is not",
    ),
    "TestCases that is no class": (HONEST, "def TestCases(): pass", "InterferedError: TestCases is not"),
    "TestCases that is a test": (
        HONEST, "import unittest\nTestCases = unittest.FunctionTestCase(f)", "InterferedError: TestCases is not",
    ),
    "TestCases that is nothing": (HONEST, "TestCases = None", "InterferedError: TestCases is not"),
}  # fmt: skip


@pytest.mark.parametrize("name", NOT_LOADING)
def test_what_does_not_load(isolated: Place, name: str) -> None:
    source, tests, error = NOT_LOADING[name]
    report = failed(isolated, tests, source)
    assert set(report) == {"error"}
    kind, _, message = report["error"].partition(": ")
    assert report["error"].startswith(error) or message.startswith(error)  # of null bytes each Python has its own kind
    assert kind.isidentifier()
    assert len(report["error"]) <= 300


@pytest.mark.parametrize("body", ["pass", "x = 1", "def helper(self): pass", "test_x = 3"])
def test_no_tests_are_not_passed(isolated: Place, body: str) -> None:
    failed(isolated, cases(more=body))


@pytest.mark.parametrize("where", ["f", "setUp", "setUpClass"])
def test_a_program_that_skips_a_test_has_not_passed_it(isolated: Place, where: str) -> None:
    source = "import unittest\ndef f(x):\n    raise unittest.SkipTest('why')\n"
    more = {"setUp": "def setUp(self): f(1)", "setUpClass": "@classmethod\ndef setUpClass(cls): f(1)"}
    report = failed(isolated, cases(PASSES, more=more.get(where, "")), source)
    assert set(report["problems"].values()) == {"skipped: why"}


@pytest.mark.parametrize("stop", ["SystemExit(0)", "KeyboardInterrupt", "GeneratorExit", "Stop", "RecursionError"])
def test_a_test_that_is_left_in_the_middle(isolated: Place, stop: str) -> None:
    source = f"class Stop(BaseException): pass\ndef f(x):\n    raise {stop}\n"
    report = failed(isolated, cases(PASSES, "pass"), source)
    assert stop.partition("(")[0] in str(report)


def test_what_is_written_down_is_bounded(isolated: Place) -> None:
    tests = cases(*["raise KeyError('é' * 1_000_000)"] * 60)
    report = failed(isolated, tests)
    assert (report["tests"], report["failed"], len(report["problems"])) == (60, 60, 40)
    assert max(map(len, report["problems"].values())) <= 300
    name = "n" * 5000
    assert len(str(failed(isolated, cases("1/0").replace("test_0", f"test_{name}"))["problems"])) < 1000
    assert len(failed(isolated, cases(PASSES), f"raise ValueError('x' * {10**6})")["error"]) <= 300


# -- endings and limits ------------------------------------------------------------------------------


def silent(result: Result) -> None:
    assert result.answers == b""


@pytest.mark.parametrize("loop", ["while True: pass\n", "def f(x):\n    while True: pass\n"])
def test_a_loop_ends_at_its_cpu_limit(isolated: Place, loop: str) -> None:
    result = isolated.run(beside(cases(PASSES), loop, isolated.limits(0.4)))
    assert result.ending == "cpu_limit"
    assert 0.4 <= result.cpu_s < 1.0
    assert result.timed_out
    silent(result)
    isolated.neighbour()


def test_a_sleeper_ends_at_the_backstop(isolated: Place) -> None:
    source = "import time\ndef f(x):\n    time.sleep(60)\n"
    result = isolated.run(beside(cases(PASSES), source, isolated.limits(0.5, 0.8)))
    assert (result.ending, result.ambiguous) == ("wall_limit", True)
    silent(result)
    isolated.neighbour()


def test_memory_has_a_bound(isolated: Place) -> None:
    source = "def f(x):\n    a = []\n    while True: a.append(bytearray(1 << 24))\n"
    result = isolated.run(beside(cases(PASSES), source))
    assert (result.ending, result.status) == ("memory_limit", 9)
    silent(result)
    isolated.neighbour()


def test_a_crash_is_a_signal(isolated: Place) -> None:
    result = isolated.run(beside(cases(PASSES), "import ctypes\ndef f(x): return ctypes.string_at(0)\n"))
    assert (result.ending, result.status) == ("signal", 11)
    silent(result)


@pytest.mark.parametrize("status", [0, 3])
def test_an_exit_in_the_middle_is_seen(isolated: Place, status: int) -> None:
    result = isolated.run(beside(cases(PASSES), f"import os\ndef f(x): os._exit({status})\n"))
    assert (result.ending, result.status) == ("exit", status)
    silent(result)


LEAVING = """
import os, subprocess, sys, threading, time
def loop():
    while True:
        try: open(f"/tmp/late-{time.time()}", "w").close()
        except OSError: pass
threading.Thread(target=loop, daemon=True).start()
threading.Thread(target=loop).start()
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
if os.fork() == 0:
    os.setsid()
    loop()
def f(x): return 2 * x
"""


def test_threads_and_processes_that_are_left_are_gone(isolated: Place) -> None:
    for _ in range(2):
        result = isolated.run(beside(cases(PASSES), LEAVING, isolated.limits(5, 15)))
        assert said(result)[1]
        assert result.wall_s < 10, "it waited for what was left"
        isolated.neighbour()


def test_exit_handlers_do_not_run(isolated: Place) -> None:
    source = (
        "import atexit, os, weakref\natexit.register(os.write, 3, b'late')\natexit.register(os._exit, 3)\n" + HONEST
    )
    result = isolated.run(beside(cases(PASSES), source))
    assert (result.status, said(result)[1]) == (0, True)


POISON = """
import builtins, json, math, os, sys, time, unittest, unittest.mock
unittest.TestCase.assertEqual = lambda *a: None
unittest.TestCase.run = lambda *a: None
unittest.TestCase.x = unittest.mock.x = 3
unittest.mock.patch = None
builtins.len = lambda x: 7
builtins.y = 3
json.dumps = time.sleep = os.write = None
math.pi = 3
os.environ["POISON"] = "1"
sys.modules["random"] = None
sys.path.insert(0, "/nowhere")
sys.setrecursionlimit(150)
def f(x): return 2 * x
"""
CLEAN = """
import builtins, json, math, os, random, sys, time, unittest.mock
self.assertFalse(hasattr(unittest.TestCase, "x") or hasattr(unittest.mock, "x") or hasattr(builtins, "y"))
self.assertTrue(unittest.mock.patch and time.sleep and os.write)
self.assertEqual((len("abc"), json.dumps([]), math.pi > 3.1), (3, "[]", True))
self.assertNotIn("POISON", os.environ)
self.assertNotIn("/nowhere", sys.path)
self.assertEqual(sys.getrecursionlimit(), 1000)
with self.assertRaises(AssertionError):
    self.assertEqual(1, 2)
"""


def test_nothing_of_a_program_reaches_the_next_one(isolated: Place) -> None:
    for _ in range(2):
        assert failed(isolated, cases(PASSES), POISON)["error"].endswith("was replaced")
        passed(isolated, cases(CLEAN))
    assert isolated.out("import unittest; print(hasattr(unittest.TestCase, 'x'))") == "False\n"
    assert isolated.call("def f(x): return len(x)", [1]) == 1
    isolated.neighbour()
