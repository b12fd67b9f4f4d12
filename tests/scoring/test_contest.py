"""Contest programs: every test a process of its own, the first that fails ends it, and time and output have bounds.

What upstream does with a program was looked up by running upstream's own functions.
"""

from __future__ import annotations

import base64
import itertools
import json
import pickle
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from contests import BOTH, QWEN, READ, RIGHT, SUM, UPSTREAM, judged, outcome, printed
from suites import FakeRunner, answers_of, ended

from qwencoder_eval.datasets.livecodebench import Test as Pair
from qwencoder_eval.errors import ReferenceFailsError
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring import contest
from qwencoder_eval.scoring.contest import KEPT_CHARS, OUTPUT_SPARE, ContestScorer, kept, script
from qwencoder_eval.types import Problem


@pytest.fixture(scope="module")
def runner() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


# ---------------------------------------------------------------- programs on standard streams


@BOTH
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (RIGHT, "passed"),
        ("def main():\n    print(int(input()) + int(input()))\n\nif __name__ == '__main__':\n    main()", "passed"),
        (READ + "print(a - b)", "wrong"),
        (READ + "print(a + b + (a == 123456))", "wrong"),
        ("print(7)", "wrong"),
        ("pass", "wrong"),
        (READ + "print(a + b)\nprint(a)", "wrong"),
        (READ + "print('7')", "wrong"),
        # The end of a program counts as its output does.
        (READ + "print(a + b)\n1/0", "runtime_error"),
        (READ + "print(a + b)\nraise KeyboardInterrupt", "runtime_error"),
        (READ + "print(a + b)\nimport os\nos._exit(3)", "runtime_error"),
        (READ + "print(a + b)\nassert False", "runtime_error"),
        # But for those that leave by themselves, whatever they say: upstream takes SystemExit for an end like any.
        (READ + "print(a + b)\nsys.exit(3)", "passed"),
        (READ + "print(a + b)\nsys.exit('why')", "passed"),
        (READ + "print(a + b)\nraise SystemExit", "passed"),
        (READ + "print(a + b)\nreturn", "passed"),
        (READ + "print(a + b, flush=True)\nimport os\nos._exit(0)", "passed"),
        (READ + "print(a + b)\nimport os\nos._exit(0)", "wrong"),
        ("sys.exit(0)", "wrong"),
        ("import os\nos._exit(0)", "wrong"),
        # Reading.
        ("import sys\nprint(sum(map(int, sys.stdin.read().split())))", "passed"),
        ("import sys\nprint(sum(map(int, sys.stdin)))", "passed"),
        ("import sys\nprint(sum(map(int, sys.stdin.readlines())))", "passed"),
        ("import sys\nr = sys.stdin.readline\nprint(int(r()) + int(r()))", "passed"),
        ("import sys\ninput = sys.stdin.readline\nprint(int(input()) + int(input()))", "passed"),
        ("from sys import stdin\nprint(int(stdin.readline()) + int(stdin.readline()))", "passed"),
        ("print(int(stdin.readline()) + int(stdin.readline()))", "passed"),
        ("import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))", "passed"),
        ("import sys\nr = sys.stdin.buffer.readline\nprint(int(r()) + int(r()))", "passed"),
        ("import os\nprint(sum(map(int, os.read(0, 100).split())))", "passed"),
        ("print(sum(map(int, open(0).read().split())))", "passed"),
        ("print(sum(int(input()) for _ in range(2)))", "passed"),
        ("import sys\nsys.stdin.read()\nprint(sum(map(int, sys.stdin.read().split())))", "wrong"),
        ("import sys\nsys.stdin.read()\n" + RIGHT, "runtime_error"),
        ("while True:\n    input()", "runtime_error"),
        ("input(); input(); print(input())", "runtime_error"),
        # Writing.
        (READ + "import sys\nsys.stdout.buffer.write(b'%d' % (a + b))", "passed"),
        (READ + "import sys\nsys.stdout.write(str(a + b))", "passed"),
        (READ + "stdout.write(str(a + b))", "passed"),
        (READ + "import sys\nprint(a + b, file=sys.stderr)", "wrong"),
        (READ + "import sys\nprint('note', file=sys.stderr)\nprint(a + b)", "passed"),
        (READ + "print(a + b, end='')", "passed"),
        (READ + "print()\nprint(' ', a + b, ' ')\nprint()", "passed"),
        (READ + "print(float(a + b))", "passed"),
        # What stands before every program.
        (READ + "print(reduce(operator.add, deque([a, b])) * gcd(2, 3) ** comb(1, 1))", "passed"),
        ("@lru_cache(None)\ndef f(n: List[int]): return n\n" + READ + "print(f(a) + f(b))", "passed"),
        ("def f(n): return n and 1 + f(n - 1)\nf(40_000)\n" + RIGHT, "passed"),
        ("import resource\n" + RIGHT, "runtime_error"),
        ("import tkinter\n" + RIGHT, "runtime_error"),
        # What being in a function breaks, as it does there.
        ("x = 0\ndef f():\n    global x\n    x += 1\nf()\n" + RIGHT, "runtime_error"),
        ("def f():\n    global x\n    x = 1\nf()\n" + RIGHT, "passed"),
        ("x = 0\ndef f():\n    nonlocal x\n    x += 1\nf()\n" + RIGHT, "passed"),
        (RIGHT + "\nprint = None", "runtime_error"),
        (READ + "exec('c = a + b')\nprint(c)", "runtime_error"),
        ("if True:\n    from math import *\n" + RIGHT, "runtime_error"),
        (READ + "print(a + b)\nyield", "wrong"),
        ("from __future__ import annotations\n" + RIGHT, "runtime_error"),
        ("if __name__ == '__main__':\n    a, b = 1, 2\nx = __name__\n" + RIGHT, "passed"),
        ("print(", "compile_error"),
        ("import os\nimport sys", "compile_error"),
        # Threads and the rest of the library are there.
        ("import threading\nthreading.Thread(target=lambda: print(int(input()) + int(input()))).start()", "passed"),
        ("async def main(): print(int(input()) + int(input()))\nimport asyncio\nasyncio.run(main())", "passed"),
        ("raise MemoryError", "out_of_memory"),
    ],
    ids=itertools.count(),
)  # fmt: skip
def test_programs_on_standard_streams(runner: Any, scorer: ContestScorer, code: str, expected: str) -> None:
    assert outcome(runner, code, SUM, scorer) == expected


@pytest.mark.parametrize(
    ("code", "function", "tabs"),
    [
        ("s = '''a\nb'''\nprint(len(s) + 4)", "passed", "wrong"),
        (READ + "print(a + b)\nfrom math import *", "passed", "runtime_error"),
        ("import sys; print(sum(map(int, sys.stdin)))", "passed", "compile_error"),
        ("str(10 ** 40_000)\n" + RIGHT, "passed", "runtime_error"),
        ("str(10 ** 60_000)\n" + RIGHT, "runtime_error", "runtime_error"),
        (READ + "print((a + b) * 1.000001)", "wrong", "passed"),
        (READ + "print(a + b + 0j)", "wrong", "wrong"),
    ],
)
def test_what_the_two_ways_see_differently(runner: Any, code: str, function: str, tabs: str) -> None:
    tests = SUM[:1] * 2
    assert (outcome(runner, code, tests, UPSTREAM), outcome(runner, code, tests, QWEN)) == (function, tabs)


@BOTH
def test_quit_is_taken_from_programs_as_upstream_does(runner: Any, scorer: ContestScorer) -> None:
    assert outcome(runner, RIGHT + "\nquit()", SUM, scorer) == "runtime_error"


def test_exit_is_taken_from_programs_as_qwens_copy_does(runner: Any) -> None:
    assert outcome(runner, RIGHT + "\nexit()", SUM, UPSTREAM) == "passed"
    assert outcome(runner, RIGHT + "\nexit()", SUM, QWEN) == "runtime_error"


@BOTH
@pytest.mark.parametrize(
    "code", ["print('x' * 10_000_000)", RIGHT + "\nprint(' ' * 1_000_000)", "print('7\\n' * 99_999)"]
)
def test_output_without_measure_is_wrong_and_breaks_nothing(runner: Any, scorer: ContestScorer, code: str) -> None:
    found = judged(runner, code, SUM, scorer)
    assert found.checks["contest"] == "wrong"
    assert len(found.evidence["got"]) < KEPT_CHARS + 20
    assert outcome(runner, RIGHT, SUM, scorer) == "passed"


@BOTH
def test_as_much_output_as_it_takes(runner: Any, scorer: ContestScorer) -> None:
    """Right output of megabytes, and twice as many blanks as are needed."""
    lines = "\n".join(map(str, range(200_000)))
    code = "print(*range(int(input())), sep='   \\n')"
    assert outcome(runner, code, [("200000", lines)] * 2, scorer) == "passed"
    assert outcome(runner, code, [("200001", lines)] * 2, scorer) == "wrong"


@BOTH
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("while True: pass", "timeout"),
        (READ + "print(a + b, flush=True)\nwhile True: pass", "timeout"),
        ("while True: print('x')", "timeout"),
    ],
)
def test_programs_that_never_end(runner: Any, scorer: ContestScorer, code: str, expected: str) -> None:
    short = ContestScorer("contest", cpu_s=0.3, inside=scorer.inside, compare=scorer.compare)
    assert outcome(runner, code, SUM, short) == expected


# ---------------------------------------------------------------- one test after the other


def test_every_test_is_a_program_of_its_own() -> None:
    fake = FakeRunner(*printed("7", "9\n", " 777777 "))
    assert outcome(fake, RIGHT) == "passed"
    assert [(how, program.stdin) for how, program in fake.asked] == [("run", given) for given, _ in SUM]
    for _, program in fake.asked:
        assert program.script
        assert program.files == {"main.py": script(RIGHT, "function")}
        assert program.calls is None


def test_expected_outputs_stay_on_the_host() -> None:
    secret = "31415926535"
    fake = FakeRunner(*printed(secret, secret))
    assert outcome(fake, "print(input())", [("1", secret), ("2", secret)]) == "passed"
    assert secret not in repr(fake.asked)
    fake = FakeRunner(ended(answers_of([int(secret)] * 2)))
    assert outcome(fake, "def f(x): return x", [("1", secret), ("2", secret)], method="f") == "passed"
    assert secret not in repr(fake.asked)


@pytest.mark.parametrize(
    ("results", "expected", "runs", "said"),
    [
        (printed("7", "8", "777777"), "wrong", 2, "2 of 3"),
        (printed("8"), "wrong", 1, "1 of 3"),
        ([*printed("7"), ended(status=1, stderr=b"1\nValueError: x\n")], "runtime_error", 2, "2 of 3"),
        ([ended(ending="signal", status=11)], "runtime_error", 1, "1 of 3"),
        ([ended(ending="memory_limit", status=9)], "out_of_memory", 1, "1 of 3"),
        ([ended(status=1, stderr=b"MemoryError")], "out_of_memory", 1, "1 of 3"),
        ([*printed("7", "9"), ended(ending="cpu_limit", status=9, stdout=b"777777")], "timeout", 3, "3 of 3"),
        ([ended(ending="answer_limit", status=0)], "runtime_error", 1, "1 of 3"),
        (printed("7", "9", "777778"), "wrong", 3, "3 of 3"),
    ],
)
def test_the_first_test_that_fails_ends_it(results: list[Any], expected: str, runs: int, said: str) -> None:
    fake = FakeRunner(*results, *printed("7", "9", "777777"))
    found = judged(fake, RIGHT, SUM)
    assert found.checks == {"contest": expected}
    assert len(fake.asked) == runs
    assert found.evidence["test"] == said
    number = int(said[0]) - 1
    assert (found.evidence["input"], found.evidence["expected"]) == SUM[number]
    assert found.evidence["check"] == "contest"


def test_a_timeout_that_the_machine_may_have_caused_is_tried_alone() -> None:
    slow = [ended(ending="wall_limit"), ended(over=-1, stdout=b"9")]
    fake = FakeRunner(slow[0], *printed("7"), slow[1], *printed("9", "777777"))
    assert outcome(fake, RIGHT) == "passed"
    assert [how for how, _ in fake.asked] == ["run", "alone", "run", "alone", "run"]
    fake = FakeRunner(ended(ending="cpu_limit"))
    assert outcome(fake, RIGHT) == "timeout"
    fake = FakeRunner(slow[0], ended(ending="wall_limit"))
    assert outcome(fake, RIGHT) == "timeout"


def test_each_test_has_its_time() -> None:
    fake = FakeRunner(*printed("7", "9", "777777", cpu_s=1.9))
    assert outcome(fake, RIGHT) == "passed"
    assert [program.limits.cpu_s for _, program in fake.asked] == [2.0, 2.0, 2.0]


def test_all_tests_together_have_their_time() -> None:
    scorer = ContestScorer("contest", cpu_s=2.0, all_s=5.0)
    fake = FakeRunner(*printed("7", "9", "777777", "7", cpu_s=1.8))
    assert outcome(fake, RIGHT, [*SUM, SUM[0]], scorer) == "passed"
    assert [program.limits.cpu_s for _, program in fake.asked] == pytest.approx([2.0, 2.0, 1.4, 0.001])


def test_time_that_is_used_up_ends_it(runner: Any) -> None:
    scorer = ContestScorer("contest", cpu_s=0.5, all_s=0.8)
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
    assert outcome(runner, burn + RIGHT, SUM[:2], scorer) == "passed"
    assert outcome(runner, burn + RIGHT, SUM, scorer) == "timeout"
    assert outcome(runner, burn + RIGHT, SUM, ContestScorer("contest", cpu_s=0.5)) == "passed"


def test_room_for_output_is_that_of_what_is_expected() -> None:
    tests = [("1", "é" * 1000), ("2", "")]
    fake = FakeRunner(*printed("é" * 1000, ""))
    assert outcome(fake, RIGHT, tests) == "passed"
    assert [program.limits.output_bytes for _, program in fake.asked] == [4000 + OUTPUT_SPARE, OUTPUT_SPARE]
    full = FakeRunner(ended(stdout=b"\n" * OUTPUT_SPARE), ended())
    assert outcome(full, RIGHT, [("1", ""), ("2", "")]) == "wrong", "what filled its room may have been cut"


def test_output_that_is_no_text_is_wrong() -> None:
    assert outcome(FakeRunner(ended(stdout=b"\xff7")), RIGHT) == "wrong"


def test_what_does_not_parse_is_not_run() -> None:
    assert outcome(FakeRunner(), "print(") == "compile_error"


# ---------------------------------------------------------------- evidence


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("x" * 300, "x" * 300),
        ("a" * 150 + "b" * 151, "a" * 150 + "...(truncated) ..." + "b" * 150),
        ("a" * 10_000 + "z", "a" * 150 + "...(truncated) ..." + "a" * 149 + "z"),
    ],
)
def test_a_long_text_keeps_both_its_ends(text: str, expected: str) -> None:
    assert kept(text) == expected


@BOTH
def test_evidence_is_bounded(scorer: ContestScorer) -> None:
    long = ["".join(chr(97 + (at * step) % 26) for at in range(2000)) for step in (1, 3, 5)]
    error = b"Traceback\n" + b"E" * 9000
    for result in (ended(stdout=long[2].encode()), ended(status=1, stderr=error), ended(ending="cpu_limit")):
        found = judged(FakeRunner(result), RIGHT, [(long[0], long[1])], scorer)
        assert found.evidence["input"] == kept(long[0])
        assert found.evidence["expected"] == kept(long[1])
        assert all(len(text) <= 4000 for text in found.evidence.values())
        assert len(found.evidence.get("got", "")) <= KEPT_CHARS + 18


def test_evidence_of_an_error_is_its_last_line(runner: Any) -> None:
    found = judged(runner, "def f(): return {}['x']\nf()", SUM)
    assert found.evidence["error"] == "KeyError: 'x'"
    assert found.evidence["test"] == "1 of 3"
    assert "wrapped_function" in found.evidence["stderr"]


# ---------------------------------------------------------------- tests that are no tests


def test_public_tests_come_first_and_hidden_ones_are_unpacked() -> None:
    hidden = base64.b64encode(zlib.compress(pickle.dumps(json.dumps([{"input": "2", "output": "b"}])))).decode()
    problem = Problem("p", {}, {"public": '[{"input": "1", "output": "a"}]', "private": hidden, "method": ""})
    assert contest.tests_of(problem) == (Pair("1", "a"), Pair("2", "b"))
    fake = FakeRunner(*printed("a", "b"))
    assert UPSTREAM.score(problem, "print(1)", None, fake).checks == {"contest": "passed"}
    assert [program.stdin for _, program in fake.asked] == ["1", "2"]


@pytest.mark.parametrize(
    ("public", "private", "said"),
    [
        ("[]", "[]", "no tests in the row; get it again"),
        ("[]", "!", "tests that are neither JSON nor packed"),
        ("[]", base64.b64encode(zlib.compress(b"cos\nsystem\n.")).decode(), "a pickle that would do GLOBAL"),
        ("{}", "[]", "tests that are no list"),
        ('[{"input": 1, "output": "1"}]', "[]", "tests whose input or output is no text"),
        ('[{"input": "1", "output": "1"}]', '[{"input": "1"}]', "tests that cannot be read (KeyError"),
    ],
)
def test_a_row_whose_tests_cannot_be_had(public: str, private: str, said: str) -> None:
    problem = Problem("p", {}, {"public": public, "private": private, "method": ""})
    with pytest.raises(ReferenceFailsError) as caught:
        UPSTREAM.score(problem, "print(1)", None, FakeRunner())
    assert str(caught.value).startswith(said)
    assert str(caught.value).endswith(("; get the row again", "; get it again"))
    assert "\n" not in str(caught.value)


def test_an_expected_output_that_nobody_can_print() -> None:
    """JSON may hold half a character. It is wrong whatever is printed, and no fault of the harness."""
    assert outcome(FakeRunner(ended(stdout=b"1")), "print(1)", [("1", "\ud800")]) == "wrong"


# ---------------------------------------------------------------- keys


def test_keys_tell_rules_apart() -> None:
    scorers = [
        ContestScorer("a"), ContestScorer("b"), ContestScorer("a", cpu_s=7), ContestScorer("a", all_s=60),
        ContestScorer("a", inside="tabs"), ContestScorer("a", compare="floats"), ContestScorer("a", version=2),
    ]  # fmt: skip
    assert len({json.dumps(each.key(), sort_keys=True) for each in scorers}) == len(scorers)
    assert ContestScorer("a").checks == ("a",)
    assert ContestScorer("a").key()["scorer"] == "contest"
