"""In the candidate process: load a Python program with its unit tests behind it, run them, and write down what failed.

The tests call the program, so both share this process, and a hostile program can do to them what it likes. What it
would do easily is seen: before the program is loaded, everything that unit tests stand on is noted down, and after
every test it has to be the same. A program that leaves early leaves without the word that stands for the end. What is
not prevented is said in SECURITY.md.

Rule: bigcode-project/bigcodebench at 47eff25, bigcodebench/eval/__init__.py: a fresh module, its class ``TestCases``,
standard streams that swallow everything and give nothing. Other than there, a skipped test has not passed.

One line of JSON on the answers' descriptor: ``{"tests": how many, "problems": {test: last line of its trace}}``, or
``{"error": ...}`` where the module cannot be loaded; then the word.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import json
import os
import random
import subprocess
import sys
import types
import unittest
import unittest.mock
from collections.abc import Callable
from typing import Any

NAME = "__test__"
CHARS = 300  # of each trace that is kept
KEPT = 40  # traces
STANDS_ON = (unittest.case, unittest.loader, unittest.suite, unittest.result, unittest.mock)
SYS = ("exc_info", "settrace", "setprofile", "gettrace", "_getframe")
REMEMBERS = {"file_spec", "open_spec", "__warningregistry__", "__doc__", "__dict__", "__weakref__"}  # these may change
TAKEN = {"_", "exit", "quit"}  # of the builtins: a shell's last value, and what upstream takes away
OWN = ("agent", "calls", "script", "service", "suite", "watch")  # our modules: not to be met by chance


class InterferedError(Exception):
    pass


class Unreadable(io.StringIO):
    """Takes everything, gives nothing: upstream's standard streams."""

    def read(self, *args: Any) -> Any:
        raise OSError

    readline = readlines = read

    def readable(self) -> bool:
        return False


class Result(unittest.TestResult):
    """Also tells which tests succeeded: that nothing was said of a test is not enough."""

    def __init__(self) -> None:
        super().__init__()
        self.succeeded: list[str] = []

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        if test._outcome.expectedFailure is None:  # type: ignore[attr-defined]
            self.succeeded.append(test._testMethodName)


def code_of(value: Any) -> Any:
    return value.__code__ if type(value) is types.FunctionType else None


def noted(owner: Any, names: Any, closed: bool) -> tuple[Any, ...]:
    """What an owner's names stand for, with the code of functions, which can be changed in place.

    ``closed``: nothing may be added to a class, and nothing to a module that hides a builtin from it.
    """
    values = vars(owner)
    return owner, closed, tuple((name, values[name], code_of(values[name])) for name in names if name in values)


def guarded() -> Callable[[], None]:
    """Notes what must not change; what it returns raises InterferedError where it did."""
    modules = tuple((each.__name__, each) for each in (unittest, *STANDS_ON))
    classes = {
        each
        for module in (*STANDS_ON, sys.modules[__name__])
        for each in vars(module).values()
        if isinstance(each, type) and each.__module__.startswith(("unittest", "suite"))
    }
    classes |= {contextlib._GeneratorContextManager, contextlib._GeneratorContextManagerBase}
    owners = [noted(each, set(vars(each)) - REMEMBERS, True) for each in (*classes, *STANDS_ON)]
    owners.append(noted(builtins, set(vars(builtins)) - TAKEN, False))
    owners.append(noted(sys, SYS, False))
    kept = tuple(owners)
    hidden = frozenset(name for name in vars(builtins) if not name.startswith("_"))
    now_in, code, gone = vars, code_of, object()

    def check() -> None:
        for name, module in modules:
            if sys.modules.get(name) is not module:
                raise InterferedError(f"{name} was replaced")
        for owner, closed, names in kept:
            values = now_in(owner)
            for name, value, its_code in names:
                now = values.get(name, gone)
                if now is not value or code(now) is not its_code:
                    raise InterferedError(f"{owner.__name__}.{name} was replaced")
            more = set(values) - {name for name, *_ in names} - REMEMBERS
            if more := more if isinstance(owner, type) else more & hidden if closed else ():
                raise InterferedError(f"{owner.__name__}.{sorted(more)[0]} was added")

    return check


def watched(cases: type, tests: list[unittest.TestCase]) -> Callable[[], None]:
    """The same of the tests themselves; what they remember besides may change."""
    functions = tuple((name, value, code_of(value)) for name, value in vars(cases).items() if code_of(value))
    kept = tuple(tests)

    def check() -> None:
        for name, value, its_code in functions:
            if vars(cases).get(name) is not value or code_of(value) is not its_code:
                raise InterferedError(f"{cases.__name__}.{name} was replaced")
        for test in kept:
            if type(test) is not cases:
                raise InterferedError("a test was replaced")
            if own := [name for name in vars(test) if name.startswith(("assert", "fail", "run", "debug"))]:
                raise InterferedError(f"{own[0]} of a test was replaced")

    return check


def written(code: types.CodeType) -> set[types.CodeType]:
    """The code of the tests as they are written: of functions within the last class of that name."""
    found: set[types.CodeType] = set()
    for each in code.co_consts:
        if isinstance(each, types.CodeType) and each.co_name == "TestCases":
            found = {inner for inner in each.co_consts if isinstance(inner, types.CodeType)}
    return found


def no_tracing(function: Any) -> None:
    """In place of ``sys.settrace``: who traces can leave out lines of a test."""
    if function is not None:
        raise InterferedError("a trace function was set")


def swallow_output_of_children() -> None:
    """As upstream: what programs start has its output in a pipe where nothing else was asked for."""

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: Any, **options: Any) -> None:
            if not options.get("capture_output"):
                options.setdefault("stdout", subprocess.PIPE)
                options.setdefault("stderr", subprocess.PIPE)
            super().__init__(*args, **options)

    subprocess.Popen = Popen  # type: ignore[misc]


def run(fd: int, code: str, tests: str, word: str) -> None:
    """Load and run them; write to ``fd`` what came of it."""
    write, dumps = os.write, json.dumps
    said: dict[str, Any] = {}
    finished = False
    sys.settrace = sys.setprofile = no_tracing
    unittest.case._ShouldStop = ()  # type: ignore[attr-defined]  # a program that raises it would stop a test unseen
    check = guarded()
    for name in OWN:
        sys.modules.pop(name, None)
    try:
        finished = _run(code, tests, check, said)
    except BaseException as error:
        said["error"] = described(error)
    line = dumps(said) + "\n" + (word if finished else "")
    data = memoryview(line.encode("utf-8", "replace"))
    while data:
        data = data[write(fd, data) :]


def _run(code: str, tests: str, check: Callable[[], None], said: dict[str, Any]) -> bool:
    builtins.exit = builtins.quit = None  # type: ignore[assignment]
    module = types.ModuleType(NAME)
    module.__dict__.update(
        __builtins__=builtins, __file__=f"{NAME}.py", __package__=None, __doc__=None, sys=sys, os=os, environ=os.environ
    )
    sys.stdin, sys.stdout, sys.stderr = Unreadable(), Unreadable(), Unreadable()
    swallow_output_of_children()
    # What tests draw without a seed of their own is the same every time, so that a verdict is too.
    random.seed(0)
    if numpy := sys.modules.get("numpy"):
        numpy.random.seed(0)
    result, case, suites = Result(), unittest.TestCase, unittest.TestSuite
    compiled = compile(f"{code}\n{tests}", f"{NAME}.py", "exec", dont_inherit=True)
    exec(compiled, module.__dict__)
    sys.modules[NAME] = module
    check()
    cases = module.TestCases
    if not isinstance(cases, type) or not issubclass(cases, case):
        raise InterferedError("TestCases is not a class of tests")
    names = sorted(name for name in dir(cases) if name.startswith("test") and callable(getattr(cases, name)))
    expected = {name for name in names if getattr(getattr(cases, name), "__unittest_expecting_failure__", False)}
    as_written = written(compiled)
    for name in names:
        function = getattr(cases, name)
        while hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        if name in vars(cases) and as_written and code_of(function) not in as_written:
            raise InterferedError(f"{name} is not what is written")
    waiting = [cases(name) for name in names]
    check_tests = watched(cases, waiting)

    class Checked(suites):
        """A suite that looks at what it stands on after every test."""

        _cleanup = False

        def __iter__(self) -> Any:
            for test in waiting:
                yield test
                check()
                check_tests()

    Checked().run(result)
    check()
    problems: dict[str, str] = {}
    for test, trace in [*result.failures, *result.errors, *((test, f"skipped: {why}") for test, why in result.skipped)]:
        problems[str(getattr(test, "_testMethodName", test))[:CHARS]] = trace.strip().split("\n")[-1][:CHARS]
    for test in result.unexpectedSuccesses:
        problems[test._testMethodName] = "succeeded, and was expected to fail"
    failed_well = {test._testMethodName for test, _ in result.expectedFailures} & expected
    for name in names:
        if not problems and name not in failed_well and name not in result.succeeded:
            problems[name] = "did not come to its end"
    said["tests"] = result.testsRun
    said["problems"] = dict(list(problems.items())[:KEPT])
    said["failed"] = len(problems)
    return 0 < result.testsRun == len(waiting) and not problems


def described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:CHARS]
    except BaseException:
        return type(error).__name__[:CHARS]
