"""Programs on standard streams as ExecEval runs and judges them. Other languages: tests/benchmarks/test_safim.py.

What ExecEval says of two outputs was looked up by running its own comparison.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.errors import ReferenceFailsError
from qwencoder_eval.sandboxes.base import GoesOn
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.scoring.stdio import NAME_BYTES, WAYS, StdioScorer, program_of, public_class, same_output
from qwencoder_eval.types import Problem, Program, Result

SUM = [("1 2\n", ["3"]), ("30\n40", ["70", "seventy"]), ("-5 5", ["0\n"])]
READ = "import sys\na, b = map(int, sys.stdin.read().split())\n"
RIGHT = READ + "print(a + b)\n"


@pytest.fixture(scope="module")
def runner() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


def problem(tests: Any, language: str = "python", before: str = "", after: str = "", right: str = "?") -> Problem:
    given = [{"input": test[0], "output": test[1]} for test in tests] if isinstance(tests, list) else tests
    text = given if isinstance(given, str) else json.dumps(given)
    return Problem("x", {}, {"before": before, "after": after, "right": right, "unit_tests": text}, language=language)


def judged(runner: Any, code: str, tests: Any = None, **others: Any) -> Judgement:
    return StdioScorer("it").score(problem(SUM if tests is None else tests, **others), code, None, runner)


def outcome(runner: Any, code: str, tests: Any = None, **others: Any) -> str:
    return judged(runner, code, tests, **others).checks["it"].value


# -- outputs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("output", "expected", "same"),
    [
        ("3\n", "3", True),
        ("3", "3\n\n", True),
        ("\n\n3 \n", "3", True),
        ("1\n2", "1 2", True),
        ("1  2", "1 2", True),
        ("a\n\nb", "a\nb", True),
        ("a b", "ab", False),
        ("a  b", "a b", True),
        (" a\n  b\n", "a\nb", True),
        ("a\r\nb\r\n", "a\nb", True),
        ("a\tb", "a b", True),
        ("a\x0cb", "a b", True),
        ("a\x0b\n", "a", True),
        ("", "", True),
        ("", "\n \n", True),
        ("", "0", False),
        ("0", "", False),
        ("1 2", "1 2 3", False),
        ("2 1", "1 2", False),
        # Numbers, to 1e-12.
        ("3.0", "3", True),
        ("3.", "3", True),
        ("+3", "3", True),
        (".5", "0.5", True),
        ("5e-1", "0.5", True),
        ("007", "7", True),
        ("-0", "0", True),
        ("1e400", "1e400", True),
        ("1e400", "1e401", False),
        ("1.0000000000009", "1", True),
        ("1.000000000001", "1", True),
        ("1.0000000000011", "1", False),
        ("0.33333", "0.333333333", False),
        ("1000000000000.1", "1000000000000.2", False),
        ("1e-13", "0", True),
        ("1" * 38 + "1", "1" * 38 + "2", False),
        ("1" * 60 + "1", "1" * 60 + "2", True),  # it has 129 bits of them
        ("1" * 60, "1" * 61, False),
        ("01" * 100, "01" * 99 + "11", True),
        ("01" * 100, "11" * 100, False),
        ("inf", "Infinity", True),
        ("inf", "-inf", False),
        ("inf", "5", False),
        ("inf", "info", False),
        ("1e" + "9" * 40, "1", False),
        ("1e-" + "9" * 40, "0", True),
        ("3", "three", False),
        ("3x", "3", False),
        ("1,5", "1.5", False),
        ("\u0663", "3", False),
        # Words: four of them in any case.
        ("YES", "yes", True),
        ("Yes\nNO", "yes no", True),
        ("TRUE", "true", True),
        ("Alice", "alice", False),
        ("y", "yes", False),
        ("yes", "no", False),
        ("ok yes", "OK yes", False),
        # Where this is not ExecEval's: what is no number, or is a number to its library alone.
        ("nan", "5", False),
        ("-nan", "nan", False),
        ("nan", "nan", True),
        ("0x10", "16", False),
        ("1_000", "1000", False),
        ("1@3", "1000", False),
    ],
)
def test_outputs(output: str, expected: str, same: bool) -> None:
    assert same_output(output, expected) is same
    assert same_output(expected, output) is same


@given(st.text(alphabet="01.e-+ \nynoesYNOESinfa\t\r", max_size=30))
def test_every_output_is_its_own(text: str) -> None:
    assert same_output(text, text)
    assert same_output(f" \n{text}\n", text)


@given(st.lists(st.one_of(st.integers(), st.floats(allow_nan=False)), min_size=1))
def test_numbers_are_equal_however_they_are_set(numbers: list[float]) -> None:
    assert same_output("\n".join(map(str, numbers)), " ".join(map(repr, numbers)))
    assert not same_output(" ".join(map(str, numbers)), " ".join(map(str, [*numbers[:-1], "x"])))


def test_very_long_outputs_are_compared_in_time() -> None:
    digits = "1" * 2_000_000
    assert not same_output(digits, "2" + digits[1:])
    assert not same_output(digits + "x", digits)
    assert same_output("7 " * 300_000, "7\n" * 300_000)


# -- programs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (RIGHT, "passed"),
        (READ + "print(a - b)", "wrong"),
        ("print(3)", "wrong"),
        (READ + "print(a + b, end='')", "passed"),
        (READ + "print(f'  {float(a + b)}  \\n')", "passed"),
        (READ + "print('seventy' if a == 30 else a + b)", "passed"),
        (READ + "print('Seventy' if a == 30 else a + b)", "wrong"),
        (READ + "sys.stdout.buffer.write(b'%d\\xff' % (a + b))", "passed"),  # what is not UTF-8 is dropped
        (READ + "print(a + b)\nsys.exit()", "passed"),
        (READ + "print(a + b)\nsys.exit(3)", "runtime_error"),
        (READ + "print(a + b)\n1/0", "runtime_error"),
        (READ + "print(a + b, file=sys.stderr)", "wrong"),
        (READ + "print('note', file=sys.stderr)\nprint(a + b)", "passed"),
        (READ + "print(a + b)\nimport os; os.kill(os.getpid(), 9)", "runtime_error"),
        ("print(sum(map(int, open(0).read().split())))", "passed"),
        ("raise MemoryError", "out_of_memory"),
        ("print(", "compile_error"),
        (RIGHT + "return", "compile_error"),
        ("  print(1)", "compile_error"),
        ("if 1:\n\tx = 1\n        y = 2", "compile_error"),
        ("x = '\ud800'", "runtime_error"),
        ("x = '\0'", "compile_error"),
        # As PyPy 3.9 runs it there: -OO -S.
        ("assert False, 'never'\n" + RIGHT, "passed"),
        ("'text'\nassert __doc__ is None\n" + RIGHT, "passed"),
        (RIGHT + "exit()", "runtime_error"),
        (RIGHT + "quit(0)", "runtime_error"),
        ("x = str(10 ** 5000)\n" + RIGHT, "passed"),
        ("from __future__ import annotations\n" + RIGHT, "passed"),
        (RIGHT.replace("\n", "\r\n"), "passed"),
        ("def f():\n\x0c    return 1\n" + RIGHT, "passed"),
        ("if __name__ == '__main__':\n    " + RIGHT.replace("\n", "\n    "), "passed"),
        ("assert 'qceval_program' not in globals()\nimport sys\n" + RIGHT, "passed"),
        ("def f(n): return n and 1 + f(n - 1)\nimport sys\nsys.setrecursionlimit(99999)\nf(50000)\n" + RIGHT, "passed"),
    ],
)
def test_programs_of_python(runner: Pool, code: str, expected: str) -> None:
    assert outcome(runner, code) == expected


def test_a_program_stops_at_the_first_test_that_it_fails(runner: Pool) -> None:
    found = judged(runner, READ + "print(a + b if a != 30 else '7')")
    assert found.checks == {"it": "wrong"}
    assert found.evidence == {"input": "30\n40", "expected": "70", "got": "7\n", "test": "2 of 3", "check": "it"}
    found = judged(runner, READ + "print(a // (a + 5))")
    assert found.evidence["test"] == "1 of 3"


def test_what_stood_there_passes_without_being_run() -> None:
    def runs(scorer: StdioScorer, written: str) -> list[str]:
        asked = Told(ended(b"3"))
        item = problem(SUM[:1], before="<", after=">", right=" no program ")
        assert scorer.score(item, f"<{written}>", None, asked).checks == {"it": "passed"}
        return asked.inputs

    assert runs(StdioScorer("it"), " no program ") == []
    assert runs(StdioScorer("it"), " no program") == ["1 2\n"]
    assert runs(StdioScorer("it", unrun=False), " no program ") == ["1 2\n"]


@pytest.mark.parametrize(
    ("written", "after", "expected"),
    [
        ("", "print(3)", "passed"),
        ("", "print(4)", "no_code"),
        (" \n", "print(", "no_code"),
        ("0", "print(", "compile_error"),
    ],
)
def test_nothing_may_be_right(runner: Pool, written: str, after: str, expected: str) -> None:
    assert outcome(runner, f"x = 1\n{written}\n{after}", SUM[:1], before="x = 1\n", after=f"\n{after}") == expected


@pytest.mark.parametrize("tests", ["", "[]", "null", []])
def test_without_tests_the_texts_are_compared(tests: Any) -> None:
    assert outcome(None, "<f( 1 )>", tests, before="<", after=">", right="f(1)") == "passed"
    assert outcome(None, "<f( 2 )>", tests, before="<", after=">", right="f(1)") == "wrong"


@pytest.mark.parametrize(
    "tests", ["{", "[1]", '[{"input": "x"}]', '[{"input": 1, "output": ["x"]}]', '[{"input": "", "output": "x"}]', "7"]
)
def test_tests_that_cannot_be_read_are_nobodys_failure(tests: str) -> None:
    with pytest.raises(ReferenceFailsError, match=r"^x: unit tests that cannot be read \(.*\); get the row again$"):
        judged(None, "code", tests)


@pytest.mark.parametrize("outputs", [[], ["4", "5"]])
def test_a_test_that_nothing_or_something_else_passes(runner: Pool, outputs: list[str]) -> None:
    assert outcome(runner, RIGHT, [("1 2", outputs)]) == "wrong"


def test_carriage_returns_are_taken_from_everything_but_the_output(runner: Pool) -> None:
    echo = "import sys\nprint(repr(sys.stdin.read()))"
    assert outcome(runner, echo, [("a\r\nb\r", ["'a\\nb'\r\n"])]) == "passed"


@pytest.mark.parametrize(
    "code", ["print('3' * 10_000_000)", "print(' ' * 10_000_000)\nprint(3)", "print('3\\n' * 99_999)"]
)
def test_output_without_measure_is_wrong(runner: Pool, code: str) -> None:
    found = judged(runner, code, SUM[:1])
    assert found.checks == {"it": "wrong"}
    assert sum(map(len, found.evidence.values())) < 2000


# -- what is asked of the sandbox --------------------------------------------------------------------


def ended(stdout: bytes = b"", **changes: Any) -> Result:
    return Result(**{"ending": "exit", "status": 0, "cpu_s": 0.1, "wall_s": 0.1, "stdout": stdout, **changes})


class Told:
    """Gives results one after the other, and keeps the inputs that it was asked for; "!": alone."""

    def __init__(self, *results: Result) -> None:
        self.results = list(results)
        self.inputs: list[str] = []
        self.programs: list[Program] = []

    def run_each(self, program: Program, inputs: Sequence[str], goes_on: GoesOn) -> list[Result]:
        found: list[Result] = []
        self.programs.append(program)
        for number, stdin in enumerate(inputs):
            self.inputs.append(stdin)
            found.append(self.results.pop(0))
            if found[-1].compiling or not goes_on(number, found[-1]):
                break
        return found

    def run_alone(self, program: Program, decided: Any = None) -> Result:
        self.inputs.append(f"{program.stdin}!")
        return self.results.pop(0)


FOUR = [(name, [name]) for name in "abcd"]
LATE, REFUSED = ended(over=-1), ended(ending="compile_error", status=1, compiling=True)
SLOW = ended(ending="wall_limit", status=9, compiling=True)
UNCLEAR = ended(ending="wall_limit", status=9)


@pytest.mark.parametrize(
    ("results", "inputs", "expected"),
    [
        ([ended(b"a"), ended(b"b"), ended(b"c"), ended(b"d")], "a b c d", "passed"),
        ([ended(b"a"), ended(b"x")], "a b", "wrong"),
        ([ended(b"a"), ended(b"b", ending="cpu_limit", status=9)], "a b", "timeout"),
        # A timeout that a busy machine may cause is tried again, alone; then the rest goes on.
        ([ended(b"a"), UNCLEAR, ended(b"b"), ended(b"c"), ended(b"d")], "a b b! c d", "passed"),
        ([ended(b"a"), UNCLEAR, ended(b"x")], "a b b!", "wrong"),
        ([ended(b"a"), UNCLEAR, UNCLEAR], "a b b!", "timeout"),
        ([LATE, ended(b"a"), ended(b"b"), ended(b"c"), UNCLEAR, ended(b"d")], "a a! b c d d!", "passed"),
        ([LATE, LATE], "a a!", "timeout"),
        ([ended(b"a", ending="signal", status=11)], "a", "runtime_error"),
        ([ended(ending="memory_limit", status=9)], "a", "out_of_memory"),
        ([ended(status=1, stderr=b"terminate: std::bad_alloc")], "a", "out_of_memory"),
        ([ended(status=1, stderr=b"java.lang.OutOfMemoryError: Java heap")], "a", "out_of_memory"),
        ([REFUSED], "a", "compile_error"),
        ([ended(ending="memory_limit", status=9, compiling=True)], "a", "compile_error"),
        ([ended(ending="cpu_limit", status=9, compiling=True)], "a", "timeout"),
        ([SLOW, ended(b"a"), ended(b"b"), ended(b"c"), ended(b"d")], "a a! b c d", "passed"),
        ([SLOW, REFUSED], "a a!", "compile_error"),
        ([ended(b"a" * 70_000)], "a", "wrong"),
    ],
)  # fmt: skip
def test_how_results_become_an_outcome(results: list[Result], inputs: str, expected: str) -> None:
    told = Told(*results)
    assert outcome(told, "int main() {}", FOUR, language="cpp") == expected
    assert told.inputs == inputs.split()
    assert told.results == []


def test_expected_outputs_are_not_in_what_a_sandbox_gets() -> None:
    for language in WAYS:
        program = program_of(language, "public class A { code }", 100)
        assert program is not None
        assert "secret" not in repr(program)
        told = Told(ended())
        judged(told, "public class A { code }", [("in", ["secret"])], language=language, right="secret")
        assert "secret" not in repr(told.programs)
        assert told.inputs == ["in"]


def test_what_is_asked_for_in_each_language() -> None:
    source = "\ufeff/* x */ public class A {\r\n}"
    asked = {language: program_of(language, source, 100) for language in WAYS}
    assert {name: program and program.main for name, program in asked.items()} == {
        "python": "main.py", "cpp": "main.cpp", "java": "A.java", "csharp": "Program.cs",
    }  # fmt: skip
    assert [name for name, program in asked.items() if program and program.script] == ["python"]
    assert {name: program.limits.cpu_s for name, program in asked.items() if program} == {
        "python": 20.0, "cpp": 2.0, "java": 6.0, "csharp": 6.0,
    }  # fmt: skip
    assert asked["csharp"]
    assert asked["csharp"].files == {"Program.cs": "#undef DEBUG\n/* x */ public class A {\n}"}
    assert asked["java"]
    assert asked["java"].files == {"A.java": "\ufeff/* x */ public class A {\n}"}


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("public class Main {}", "Main"),
        ("import x;\n\npublic final class  Main{}", None),
        ("public final class Main{}", "Main"),
        ("class Main {}", None),
        ("public\nclass Main {}", None),
        ("public class Main", None),
        ("class A {}\npublic class B { public class C {} }", "C"),
        ("public class B {\n public class C {} }", "B"),
        ("// public class X\npublic class B {}", "X"),
        ("public class B {\n} public class C", "B"),
        ("public class B { } public class C", "B"),
        ("public class Ä1_ {}", "Ä1_"),
        ("public class " + "x" * NAME_BYTES + " {}", "x" * NAME_BYTES),
        ("public class " + "x" * (NAME_BYTES + 1) + " {}", None),
        ("public class " + "ä" * NAME_BYTES + " {}", None),
        ("public interface I {}", None),
        ("public class ../../x {}", None),
        ("public " * 200_000 + "class", None),
        ("public class " * 100_000, None),
        ("", None),
    ],
)
def test_the_name_of_a_file_of_java(code: str, name: str | None) -> None:
    assert public_class(code) == name


def test_java_without_a_name_is_no_program() -> None:
    found = judged(None, "class A {}", language="java")
    assert found.checks == {"it": "compile_error"}


def test_the_key_changes_with_the_rule() -> None:
    keys = [StdioScorer("it").key(), StdioScorer("it", unrun=False).key()]
    assert json.dumps(keys[0]) != json.dumps(keys[1])
    assert keys[0]["ways"]["cpp"]["cpu_s"] == 2.0
