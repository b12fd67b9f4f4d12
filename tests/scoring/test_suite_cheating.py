"""Programs that share their process with the unit tests, and try to pass without solving the problem.

SECURITY.md says that this cannot be prevented altogether: a program may answer with objects that are equal to
everything, or look for the word that stands for the end. What is easily done is seen, and the word is not written.
"""

from __future__ import annotations

import json
import textwrap

import pytest

from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import EVIDENCE_CHARS, Judgement
from qwencoder_eval.scoring.suites import SuiteScorer
from qwencoder_eval.types import Outcome, Problem

# Of these, f is called before what asserts is looked up, and 0 is wrong for test_value alone.
TESTS = """
import unittest
from unittest.mock import patch
class TestCases(unittest.TestCase):
    def test_kind(self):
        found = f(1)
        self.assertIsInstance(found, int)
        with self.assertRaises(TypeError):
            f()
    def test_value(self):
        for given, wanted in ((3, 144813), (5, 241355)):
            found = f(given)
            self.assertEqual(found, wanted)
        self.addCleanup(f, 7)
    @patch("time.sleep")
    def test_wait(self, sleep):
        found = f(1)
        if found:
            sleep.assert_called_once_with(0)
"""
HONEST = "import time\ndef f(x):\n    time.sleep(0)\n    return 48271 * x\n"
WRONG = "\ndef f(x):\n    return 0\n"
PROBLEM = Problem("cheat/0", {}, {"before": "def f(x):\n    pass\n", "tests": TESTS})
SCORER = SuiteScorer("tests", cpu_s=2.0)
NOOP = "import sys, unittest\nnoop = lambda *a, **k: None\n"
FAILED = {Outcome.WRONG, Outcome.RUNTIME_ERROR, Outcome.COMPILE_ERROR, Outcome.TIMEOUT, Outcome.OUT_OF_MEMORY}

CHEATS = {
    # -- leaving
    "os._exit(0) when it is loaded": "import os\nos._exit(0)",
    "os._exit(0) in the function": "import os\ndef f(x): os._exit(0)",
    "os._exit(0) in an exit handler": "import atexit, os, sys\natexit.register(os._exit, 0)\ndef f(x): sys.exit(0)",
    "os._exit(0) in a thread": """
        import os, threading
        def f(x):
            thread = threading.Thread(target=os._exit, args=(0,))
            thread.start()
            thread.join()
    """,
    "os._exit(0) in a destructor": """
        import os
        class D:
            def __del__(self): os._exit(0)
        def f(x): return D() and 0
    """,
    "os._exit(0) where a failure is noted": """
        import os, sys
        sys.setprofile(lambda frame, *a: frame.f_code.co_name == "addFailure" and os._exit(0))
        def f(x): return 0
    """,
    "sys.exit(0) when it is loaded": "import sys\nsys.exit(0)",
    "sys.exit(0) in the function": "import sys\ndef f(x): sys.exit(0)",
    "SystemExit in a thread": "import threading\ndef f(x):\n    threading.Thread(target=exit).start()\n    return 0",
    "it kills itself": "import os\ndef f(x): os.kill(os.getpid(), 9)",
    "it ends by a signal that can be caught": "import os\ndef f(x): os.kill(os.getpid(), 15)",
    "a crash": "import ctypes\ndef f(x): ctypes.string_at(0)",
    "another Python": """
        import os, sys
        def f(x):
            os.execv(sys.executable, [sys.executable, "-c", "import os; os.write(3, b'{}' + bytes([10]) + b'0' * 32)"])
    """,
    "another program": "import os\ndef f(x): os.execv('/bin/sh', ['sh', '-c', 'echo 0 >&3; exit 0'])",
    "a child goes on": "import os\nif os.fork():\n    os._exit(0)" + WRONG,
    "a parent goes on": "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()" + WRONG,
    "a child goes on from within the function": "import os\ndef f(x):\n    if os.fork(): os._exit(0)\n    return 0",
    # -- unittest
    "skipped from within the function": "import unittest\ndef f(x): raise unittest.SkipTest",
    "skipped when it is loaded": "import unittest\nraise unittest.SkipTest",
    "skipped by a mark": "import unittest\nunittest.TestCase.__unittest_skip__ = True" + WRONG,
    "another TestResult": """
        import unittest
        class Result(unittest.TestResult):
            def addFailure(self, *a): pass
            addError = addSubTest = addFailure
        unittest.TestResult = unittest.result.TestResult = unittest.case.TestResult = Result
        def f(x): return 0
    """,
    "addFailure": NOOP + "unittest.TestResult.addFailure = unittest.TestResult.addError = noop" + WRONG,
    "TestCase.run": NOOP + "unittest.TestCase.run = lambda s, r: setattr(r, 'testsRun', r.testsRun + 1)" + WRONG,
    "TestCase.__call__": NOOP + "unittest.TestCase.__call__ = lambda s, r: r.startTest(s)" + WRONG,
    "TestCase.__init_subclass__": """
        import unittest
        def emptied(cls):
            for name in list(vars(cls)):
                if name.startswith("test"): setattr(cls, name, lambda self: None)
        unittest.TestCase.__init_subclass__ = classmethod(emptied)
        def f(x): return 0
    """,
    "assertEqual does nothing": NOOP + "for name in dir(unittest.TestCase):\n"
    "    if name.startswith('assert'): setattr(unittest.TestCase, name, noop)" + WRONG,
    "assertEqual does nothing, once": """
        import unittest
        real = unittest.TestCase.assertEqual
        def once(*a): unittest.TestCase.assertEqual = real
        def f(x):
            unittest.TestCase.assertEqual = once
            return 0
    """,
    "assertEqual does nothing until the last test": """
        import sys, unittest
        real = unittest.TestCase.assertEqual
        def f(x):
            last = sys._getframe(1).f_code.co_name == "test_wait"
            unittest.TestCase.assertEqual = real if last else lambda *a: None
            return 0
    """,
    "the code of assertEqual": """
        import unittest
        unittest.TestCase.assertEqual.__code__ = (lambda self, first, second, msg=None: None).__code__
        unittest.TestCase.assertTrue.__code__ = (lambda self, expr, msg=None: None).__code__
        def f(x): return 0
    """,
    "assertEqual of this test": """
        import sys
        def f(x):
            test = sys._getframe(1).f_locals["self"]
            test.assertEqual = test.assertIsInstance = test.assertTrue = lambda *a: None
            return 0
    """,
    "failureException": "import unittest\nunittest.TestCase.failureException = KeyError" + WRONG,
    "no tests are loaded": NOOP + "unittest.TestLoader.loadTestsFromTestCase = lambda *a: unittest.TestSuite()" + WRONG,
    "no names of tests are found": NOOP + "unittest.TestLoader.getTestCaseNames = lambda *a: []" + WRONG,
    "no names of tests are found, once": """
        import unittest
        real = unittest.TestLoader.getTestCaseNames
        def once(*a):
            unittest.TestLoader.getTestCaseNames = real
            return []
        unittest.TestLoader.getTestCaseNames = once
        def f(x): return 0
    """,
    "another order": NOOP + "unittest.TestLoader.sortTestMethodsUsing = lambda *a: 1 / 0" + WRONG,
    "TestSuite.run": NOOP + "unittest.TestSuite.run = unittest.suite.BaseTestSuite.run = lambda s, r, *a: r" + WRONG,
    "unittest.main": NOOP + "unittest.main = unittest.TextTestRunner = noop" + WRONG,
    "another unittest": """
        import sys, types
        fake = types.ModuleType("unittest")
        fake.TestCase = type("TestCase", (), {"__init__": lambda self, *a: None})
        fake.mock = types.ModuleType("unittest.mock")
        fake.mock.patch = lambda *a, **k: lambda f: f
        sys.modules["unittest"], sys.modules["unittest.mock"] = fake, fake.mock
        def f(x): return 0
    """,
    "another unittest, made of the real one": """
        import sys, types, unittest
        fake = types.ModuleType("unittest")
        vars(fake).update(vars(unittest))
        fake.TestCase = type("TestCase", (unittest.TestCase,), {"assertEqual": lambda *a: None})
        sys.modules["unittest"] = fake
        def f(x): return 0
    """,
    "unittest is read again": "import importlib, unittest.case\nimportlib.reload(unittest.case)" + WRONG,
    "no unittest": "import sys\nfor name in list(sys.modules):\n    if 'unittest' in name: del sys.modules[name]"
    + WRONG,
    "unittest.mock": """
        import unittest.mock
        for name in dir(unittest.mock.NonCallableMock):
            if name.startswith("assert_"): setattr(unittest.mock.NonCallableMock, name, lambda *a, **k: None)
        def f(x): return 48271 * x
    """,
    "unittest.mock.patch": """
        import unittest.mock
        unittest.mock.patch = lambda *a, **k: lambda test: lambda self: None
        def f(x): return 48271 * x
    """,
    "the tests in sys.modules": """
        import sys
        def f(x):
            cases = sys.modules["__test__"].TestCases
            for name in list(vars(cases)):
                if name.startswith("test"): setattr(cases, name, lambda self: None)
            return 48271 * x
    """,
    "the code of the tests": """
        import sys
        def f(x):
            for test in list(vars(sys.modules["__test__"].TestCases).values()):
                if hasattr(test, "__code__") and not test.__code__.co_freevars:
                    test.__code__ = (lambda self: None).__code__
            return 48271 * x
    """,
    "the tests in a thread": """
        import sys, threading, time
        def late():
            while "__test__" not in sys.modules: time.sleep(0)
            cases = sys.modules["__test__"].TestCases
            for name in list(vars(cases)):
                if name.startswith("test"): setattr(cases, name, lambda self: None)
        threading.Thread(target=late, daemon=True).start()
        def f(x):
            time.sleep(0.02)
            return 0
    """,
    "tests of its own before": """
        import unittest
        class TestCases(unittest.TestCase):
            def test_value(self): pass
        raise ValueError
    """,
    "the tests are a string": 'def f(x): return 0\n"""',
    "the tests are in a string that ends": "def f(x): return 0\ntext = '''" + TESTS + "'''",
    "the tests are a comment": "def f(x): return 0\nif True:\n    # ",
    # -- Python
    "__build_class__": """
        import builtins
        real = builtins.__build_class__
        def build(body, name, *bases, **others):
            made = real(body, name, *bases, **others)
            for each in list(vars(made)) if name == "TestCases" else ():
                if each.startswith("test"): setattr(made, each, lambda self: None)
            return made
        builtins.__build_class__ = build
        def f(x): return 0
    """,
    "__import__": """
        import builtins
        real = builtins.__import__
        builtins.__import__ = lambda name, *a, **k: real("no_such" if name == "unittest" else name, *a, **k)
        def f(x): return 0
    """,
    "isinstance, len, any": """
        import builtins
        builtins.isinstance = builtins.any = builtins.issubclass = lambda *a: True
        builtins.len = lambda *a: 0
        def f(x): return 0
    """,
    "isinstance in the function": """
        import builtins
        def f(x):
            builtins.isinstance = lambda *a: True
            return 0
    """,
    "AssertionError": "import builtins\nbuiltins.AssertionError = type('AssertionError', (Exception,), {})" + WRONG,
    "a trace that jumps over what asserts": """
        import sys
        def trace(frame, event, arg):
            if event == "line" and frame.f_code.co_name.startswith("test"):
                try: frame.f_lineno = max(line for _, _, line in frame.f_code.co_lines() if line)
                except ValueError: pass
            return trace
        sys.settrace(trace)
        def f(x): return 0
    """,
    "a trace that jumps out of the test": """
        import sys
        def f(x):
            frame = sys._getframe(1)
            last = max(line for _, _, line in frame.f_code.co_lines() if line)
            def jump(frame, event, arg):
                if event == "line" and frame.f_lineno < last: frame.f_lineno = last
                return jump
            frame.f_trace = jump
            sys.settrace(lambda *a: None)
            return 0
    """,
    "a trace that makes both sides equal": """
        import sys
        def local(frame, event, arg):
            if event == "line": frame.f_locals["first"] = frame.f_locals["second"]
            return local
        def f(x):
            sys.settrace(lambda frame, *a: local if frame.f_code.co_name == "_baseAssertEqual" else None)
            return 0
    """,
    "a hook for exceptions": "import sys\nsys.excepthook = sys.unraisablehook = lambda *a: None" + WRONG,
    "traceback": "import sys, traceback\ntraceback.TracebackException.__init__ = lambda *a, **k: sys.exit(0)" + WRONG,
    "contextlib": "import contextlib\ncontextlib._GeneratorContextManager.__exit__ = lambda *a: True" + WRONG,
    "a low limit of recursion": "import sys\nsys.setrecursionlimit(60)" + WRONG,
    "little memory": "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 20, 1 << 20))" + WRONG,
    "an alarm that rings all the time": """
        import signal
        signal.signal(14, lambda *a: 1 / 0)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        def f(x):
            while True: pass
    """,
    "dictionaries are emptied": """
        import gc
        def f(x):
            for each in gc.get_objects():
                if type(each) is dict: each.clear()
            return 0
    """,
    "dictionaries are emptied when it is loaded": """
        import gc
        for each in gc.get_objects():
            if isinstance(each, dict): each.clear()
        def f(x): return 0
    """,
    "lists are emptied": """
        import gc
        def f(x):
            for each in gc.get_objects():
                if type(each) is list: each.clear()
            return 0
    """,
    # -- the answer
    "a word of its own": "import os\ndef f(x):\n    os.write(3, b'{}\\n' + b'0' * 32)\n    os._exit(0)",
    "a report of its own": """
        import os
        def f(x):
            os.write(3, b'{"tests": 3, "problems": {}, "failed": 0}' + bytes([10]))
            return 0
    """,
    "a report of its own, and out": """
        import os
        os.write(3, b'{"tests": 3, "problems": {}, "failed": 0}' + bytes([10]))
        os._exit(0)
    """,
    "something into every descriptor": """
        import os
        for number in range(1000):
            for text in (b"passed", b"{}", bytes(33), b'{"ending": "exit"}'):
                try: os.write(number, text)
                except OSError: pass
        def f(x): return 0
    """,
    "the descriptor is closed": "import os\nos.close(3)" + WRONG,
    "another descriptor in its place": "import os\nos.dup2(1, 3)" + WRONG,
    "a descriptor that is full": "import os\nos.set_blocking(3, False)\n"
    "try:\n    while True: os.write(3, b'x' * 65536)\nexcept OSError: pass" + WRONG,
    "a flood": "import os\ndef f(x):\n    while True: os.write(3, b'x' * 65536)",
    "empty lines": "import os\ndef f(x):\n    os.write(3, bytes([10]) * 1000)\n    return 0",
    "os.write": """
        import os
        real = os.write
        os.write = lambda fd, data: real(fd, b"{}" + bytes([10]) + bytes(data)[-32:]) and len(data)
        def f(x): return 0
    """,
    "json.dumps": "import json\njson.dumps = lambda *a, **k: '{}'" + WRONG,
    "json's encoder": """
        import json.encoder
        json.encoder.JSONEncoder.encode = json._default_encoder.encode = lambda *a: '{"tests": 3, "problems": {}}'
        def f(x): return 0
    """,
    "printing what looks like a verdict": "def f(x):\n    print('passed', 'OK', '{\"tests\": 3}')\n    return 0",
    # -- what is written down of it
    "a deep __repr__": "class D:\n    def __repr__(self): return repr(self)\ndef f(x): return D()",
    "a long __repr__": "class L:\n    def __repr__(self): return 'x\\x1b[2J' * 10**6\ndef f(x): return L()",
    "a __repr__ that leaves": "import os\nclass D:\n    def __repr__(self): os._exit(0)\ndef f(x): return D()",
    "a __str__ that raises": """
        class E(Exception):
            def __str__(self): raise self
            __repr__ = __str__
        def f(x): raise E
    """,
    "a __str__ that leaves": """
        import os
        class E(Exception):
            def __str__(self): os._exit(0)
            __repr__ = __str__
        def f(x): raise E
    """,
    "a __str__ that raises when it is loaded": """
        class E(Exception):
            def __str__(self): raise SystemExit(0)
        raise E
    """,
    "an exception without a name": """
        class Meta(type):
            __name__ = __module__ = __qualname__ = property(lambda cls: 1 / 0)
        class E(Exception, metaclass=Meta): pass
        def f(x): raise E
    """,
    "an exception without a name when it is loaded": """
        class Meta(type):
            __name__ = __module__ = __qualname__ = property(lambda cls: 1 / 0)
        class E(BaseException, metaclass=Meta): pass
        raise E
    """,
    "an exception that denies what it is": """
        class E(AssertionError):
            __class__ = property(lambda self: 1 / 0)
            with_traceback = __init__ = lambda *a: None
        def f(x): raise E
    """,
    "an exception that goes round in a circle": """
        def f(x):
            error = KeyError("x" * 10**6)
            error.__cause__ = error.__context__ = error
            raise error
    """,
    "lone surrogates, null bytes and escapes": "def f(x): raise ValueError('\\ud800\\0\\x1b[2J' * 1000)",
}

# Against the guard itself, and around it; what still passes is in ``UNSEEN``.
SUBTLE = {
    "the prefix of tests": NOOP + "unittest.TestLoader.testMethodPrefix = 'no'" + WRONG,
    "a pattern of tests": NOOP + "unittest.TestLoader.testNamePatterns = ['no']" + WRONG,
    "tests that are not added": NOOP + "unittest.TestSuite.addTest = noop" + WRONG,
    "all failures are expected": """
        import unittest
        unittest.TestCase.__unittest_expecting_failure__ = True
        def f(x): raise KeyError
    """,
    "__getattribute__ of tests": """
        import unittest
        def get(self, name):
            found = object.__getattribute__(self, name)
            return (lambda *a: None) if name in ("assertEqual", "assertTrue", "test_wait") else found
        unittest.TestCase.__getattribute__ = get
        def f(x): return 0
    """,
    "failures that are forgotten": """
        import unittest
        for name in ("failures", "errors"):
            setattr(unittest.TestResult, name, property(lambda self: [], lambda self, value: None))
        def f(x): return 0
    """,
    "a builtin that is hidden": """
        import unittest.case
        def get(owner, name, *default):
            return (lambda: None) if name.startswith("test") else getattr(owner, name, *default)
        unittest.case.getattr = get
        def f(x): return 0
    """,
    "another sys": "import types, unittest.case\nunittest.case.sys = types.SimpleNamespace(exc_info=lambda: None)"
    + WRONG,
    "sys.exc_info": "import sys\nsys.exc_info = lambda: None" + WRONG,
    "unittest's own sign to stop": "import unittest.case\ndef f(x): raise unittest.case._ShouldStop",
    "another class for this test": """
        import sys
        def f(x):
            test = sys._getframe(1).f_locals.get("self")
            if test:
                class Other(type(test)):
                    def assertEqual(self, *a): pass
                    assertIsInstance = assertTrue = assertEqual
                test.__class__ = Other
            return 0
    """,
    "a comparison of this test's own": """
        import sys
        def f(x):
            test = sys._getframe(1).f_locals.get("self")
            if test: test._type_equality_funcs = {int: lambda *a, **k: None}
            return 0
    """,
    "a trace that is taken back": """
        import sys
        def f(x):
            frame = sys._getframe(1)
            last = max(line for _, _, line in frame.f_code.co_lines() if line)
            def jump(frame, event, arg):
                if event == "line":
                    frame.f_lineno = last
                    sys.settrace(None)
                return jump
            if frame.f_code.co_name == "test_value":
                frame.f_trace = jump
                sys.settrace(lambda *a: None)
            return 0
    """,
    "this failure is expected": """
        import sys
        def f(x):
            frame = sys._getframe(1)
            while frame:
                if hasattr(frame.f_locals.get("outcome"), "expecting_failure"):
                    frame.f_locals["outcome"].expecting_failure = True
                frame = frame.f_back
            return 0
    """,
    "a result that notes nothing": """
        import gc, unittest
        for each in gc.get_objects():
            if isinstance(each, unittest.TestResult): each.addFailure = each.addError = lambda *a: None
        def f(x): return 0
    """,
    "the code behind a decorator": """
        import unittest
        for name in ("addFailure", "addError"):
            getattr(unittest.TestResult, name).__wrapped__.__code__ = (lambda self, test, error: None).__code__
        def f(x): return 0
    """,
    "the cell of a decorator": """
        import unittest
        for name in ("addFailure", "addError"):
            getattr(unittest.TestResult, name).__closure__[0].cell_contents = lambda *a: None
        def f(x): return 0
    """,
    "__build_class__, and back": """
        import builtins
        real = builtins.__build_class__
        def build(body, name, *bases, **others):
            made = real(body, name, *bases, **others)
            for each in list(vars(made)) if name == "TestCases" else ():
                if each.startswith("test"): setattr(made, each, lambda self: None)
            builtins.__build_class__ = real
            return made
        builtins.__build_class__ = build
        def f(x): return 0
    """,
    "the guard does not look": NOOP + "guard = sys.modules['suite'].Guard\nguard.check = guard.check_test = noop\n"
    "unittest.TestCase.run = lambda s, r: setattr(r, 'testsRun', r.testsRun + 1)" + WRONG,
    "the guard has noted nothing": """
        import gc, unittest
        for each in gc.get_objects():
            if type(each).__name__ == "Guard": each.noted.clear()
        unittest.TestCase.run = lambda self, result: setattr(result, "testsRun", result.testsRun + 1)
        def f(x): return 0
    """,
}


def judged(code: str, pool: Pool) -> Judgement:
    return SCORER.score(PROBLEM, textwrap.dedent(code), None, pool)


def honest_passes(pool: Pool) -> None:
    assert judged(HONEST, pool) == Judgement({"tests": Outcome.PASSED})


def test_the_tests_tell_right_from_wrong(pool: Pool) -> None:
    honest_passes(pool)
    assert judged(WRONG, pool).checks == {"tests": Outcome.WRONG}
    assert judged("def f(x):\n    return 48271 * x", pool).checks == {"tests": Outcome.WRONG}
    assert judged(HONEST + "def f(x): raise KeyError", pool).checks == {"tests": Outcome.RUNTIME_ERROR}


UNSEEN = ("a comparison of this test's own",)
CHEATS |= {name: source for name, source in SUBTLE.items() if name not in UNSEEN}


@pytest.mark.parametrize("name", CHEATS)
def test_no_cheat_passes(name: str, pool: Pool) -> None:
    found = judged(CHEATS[name], pool)
    assert found.checks["tests"] in FAILED
    assert set(found.evidence) <= {"error", "stderr", "check"}
    assert 0 < len(found.evidence["error"]) <= EVIDENCE_CHARS
    assert len(json.dumps(dict(found.evidence))) < 12 * EVIDENCE_CHARS
    honest_passes(pool)  # the neighbour is unharmed


@pytest.mark.xfail(strict=True, reason="what honest tests do in their setUp too; SECURITY.md")
@pytest.mark.parametrize("name", UNSEEN)
def test_no_cheat_that_is_not_seen_passes(name: str, pool: Pool) -> None:
    assert judged(SUBTLE[name], pool).checks["tests"] in FAILED


@pytest.mark.parametrize("name", UNSEEN)
def test_a_cheat_that_is_not_seen_harms_no_neighbour(name: str, pool: Pool) -> None:
    judged(SUBTLE[name], pool)
    honest_passes(pool)
    assert judged(WRONG, pool).checks == {"tests": Outcome.WRONG}
