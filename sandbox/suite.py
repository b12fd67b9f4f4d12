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
import io
import json
import os
import subprocess
import sys
import types
import unittest
import unittest.mock
from typing import Any

NAME = "__test__"
CHARS = 300  # of each trace that is kept
KEPT = 40  # traces
STANDS_ON = (unittest.case, unittest.loader, unittest.suite, unittest.result, unittest.mock)


class InterferedError(Exception):
    pass


class Unreadable(io.StringIO):
    """Takes everything, gives nothing: upstream's standard streams."""

    def read(self, *args: Any) -> Any:
        raise OSError

    readline = readlines = read

    def readable(self) -> bool:
        return False


def attributes(owner: Any) -> dict[str, Any]:
    """What a module or a class does, with the code of its functions, which can be changed in place.

    What it remembers may change: mocks keep a list of what a file can do, say.
    """
    return {
        name: (value, code_of(value))
        for name, value in list(vars(owner).items())
        if callable(value) or isinstance(value, (property, classmethod, staticmethod))
    }


def code_of(value: Any) -> Any:
    return value.__code__ if type(value) is types.FunctionType else None


class Guard:
    """Notes what must not change; ``check`` raises InterferedError where it did."""

    def __init__(self) -> None:
        self.owners: list[Any] = [builtins, *STANDS_ON]
        for module in STANDS_ON:
            self.owners += [each for each in vars(module).values() if isinstance(each, type) and each is not type]
        self.owners = [each for each in self.owners if each not in (object, type, dict, list, str, tuple, Exception)]
        self.modules = {each.__name__: each for each in (unittest, *STANDS_ON)}
        self.noted = [(owner, attributes(owner)) for owner in self.owners]

    def watch(self, cases: type) -> None:
        """The tests' own class; what it remembers besides its functions may change."""
        own = {name: noted for name, noted in attributes(cases).items() if noted[1] is not None}
        self.noted.append((cases, own))

    def check(self) -> None:
        if sys.gettrace() is not None:
            raise InterferedError("a trace function is set")
        for name, module in self.modules.items():
            if sys.modules.get(name) is not module:
                raise InterferedError(f"{name} was replaced")
        for owner, noted in self.noted:
            for name, (value, code) in noted.items():
                now = vars(owner).get(name, InterferedError)
                if (now is not value and name not in CHANGES) or code_of(now) is not code:
                    raise InterferedError(f"{owner.__name__}.{name} was replaced")

    def check_test(self, test: unittest.TestCase) -> None:
        own = [name for name in vars(test) if name.startswith(("assert", "fail", "run", "debug"))]
        if own:
            raise InterferedError(f"{own[0]} of a test was replaced")


CHANGES = {"_", "exit", "quit"}  # of the builtins: a shell's last value, and what upstream takes away


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
    guard = Guard()
    try:
        finished = _run(code, tests, guard, said)
    except BaseException as error:
        said["error"] = described(error)
    line = dumps(said) + "\n" + (word if finished else "")
    data = memoryview(line.encode("utf-8", "replace"))
    while data:
        data = data[write(fd, data) :]


def _run(code: str, tests: str, guard: Guard, said: dict[str, Any]) -> bool:
    builtins.exit = builtins.quit = None  # type: ignore[assignment]
    module = types.ModuleType(NAME)
    module.__dict__.update(
        __builtins__=builtins, __file__=f"{NAME}.py", __package__=None, __doc__=None, sys=sys, os=os, environ=os.environ
    )
    streams = sys.stdin, sys.stdout, sys.stderr = Unreadable(), Unreadable(), Unreadable()
    swallow_output_of_children()
    loader, result, case = unittest.TestLoader(), unittest.TestResult(), unittest.TestCase
    exec(compile(f"{code}\n{tests}", f"{NAME}.py", "exec", dont_inherit=True), module.__dict__)
    sys.modules[NAME] = module
    guard.check()
    cases = module.TestCases
    if not isinstance(cases, type) or not issubclass(cases, case):
        raise InterferedError("TestCases is not a class of tests")
    guard.watch(cases)
    problems: dict[str, str] = {}
    suite = loader.loadTestsFromTestCase(cases)
    waiting = list(suite)

    class Checked(type(suite)):  # type: ignore[misc]
        """A suite that looks at what it stands on after every test."""

        _cleanup = False

        def __iter__(self) -> Any:
            for test in waiting:
                yield test
                guard.check()
                guard.check_test(test)

    Checked().run(result)
    guard.check()
    for test, trace in [*result.failures, *result.errors, *((test, f"skipped: {why}") for test, why in result.skipped)]:
        problems[str(getattr(test, "_testMethodName", test))[:CHARS]] = trace.strip().split("\n")[-1][:CHARS]
    for test in result.unexpectedSuccesses:
        problems[test._testMethodName] = "succeeded, and was expected to fail"
    said["tests"] = result.testsRun
    said["problems"] = dict(list(problems.items())[:KEPT])
    said["failed"] = len(problems)
    del streams
    return result.testsRun == len(waiting) and not problems


def described(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:CHARS]
    except BaseException:
        return type(error).__name__[:CHARS]
