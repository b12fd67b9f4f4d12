"""The yardstick: fork one process per sample, call the function, compare, exit. No sandbox, no record, no mercy.

    python tests/perf/bare_loop.py BENCH PROFILE SAMPLES EXPECTED.pickle [WORKERS]

Same rows, same programs, same limits per call as qceval; the expected values lie ready in a file (made at the first
call). The program under test shares the process with the expected values and could write its own verdict. Prints JSON:
seconds of the loop alone, of the whole command, and how many samples passed each suite.
"""

from __future__ import annotations

import copy
import gc
import json
import os
import pickle
import re
import resource
import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy

from qwencoder_eval.benchmark import profile
from qwencoder_eval.models.replay import ReplayModel
from qwencoder_eval.registry import discover
from qwencoder_eval.types import Problem

MEMORY = 4 << 30
MIN_S, FACTOR = 1.0, 4.0
Suite = tuple[list[Any], list[float]]  # expected values, seconds


class TooSlowError(Exception):
    pass


def too_slow(*_: object) -> None:
    raise TooSlowError


def load(code: str, function: str) -> Any:
    names: dict[str, Any] = {}
    exec(code, names)
    return names[function]


def reference(problem: Problem, suites: list[str]) -> list[Suite]:
    call = load(problem.stub + (problem.reference or ""), problem.tests["entry_point"])
    found = []
    for suite in suites:
        values, seconds = [], []
        for arguments in problem.tests[suite]:
            started = time.process_time()
            value = call(*copy.deepcopy(arguments))
            values.append(value is not None if isinstance(value, re.Match) else value)  # a match cannot be kept
            seconds.append(time.process_time() - started)
        found.append((values, seconds))
    return found


def right(output: Any, expected: Any, atol: float) -> bool:
    if output == expected:
        return True
    floats = isinstance(expected, float) or (
        isinstance(expected, (list, tuple)) and expected and all(isinstance(item, float) for item in expected)
    )
    atol = 1e-6 if atol == 0 and floats else atol
    return bool(atol) and type(output) is type(expected) and numpy.allclose(output, expected, rtol=1e-07, atol=atol)


def child(code: str, problem: Problem, suites: list[str], expected: list[Suite]) -> int:
    """How many suites passed."""
    for what in (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_STACK):
        resource.setrlimit(what, (MEMORY, resource.getrlimit(what)[1]))
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    signal.signal(signal.SIGPROF, too_slow)
    passed = 0
    for suite, (values, seconds) in zip(suites, expected, strict=True):
        try:
            call = load(code, problem.tests["entry_point"])
            for arguments, value, reference_s in zip(problem.tests[suite], values, seconds, strict=True):
                signal.setitimer(signal.ITIMER_PROF, max(MIN_S, FACTOR * reference_s))
                output = call(*arguments)
                signal.setitimer(signal.ITIMER_PROF, 0)
                if not right(output, value, problem.tests["atol"]):
                    return passed
        except BaseException:
            return passed
        passed += 1
    return passed


def main() -> None:
    whole = time.perf_counter()
    name, chosen, samples, kept = sys.argv[1:5]
    workers = int(sys.argv[5]) if len(sys.argv) > 5 else 2
    made = profile(discover(()).load(name), chosen)
    problems = {problem.id: problem for problem in made.problems()}
    suites = list(made.scoring.scorer.suites.values())  # type: ignore[attr-defined]
    if not Path(kept).is_file():
        with Path(kept).open("wb") as file:
            for problem in problems.values():
                pickle.dump((problem.id, reference(problem, suites)), file)
    expected = {}
    with Path(kept).open("rb") as file:
        for _ in problems:
            key, values = pickle.load(file)
            expected[key] = values
    programs = [
        (problems[sample.problem], made.scoring.extract(problems[sample.problem], sample.completion) or "")
        for *_, sample in ReplayModel(Path(samples))._rows()
        if sample.problem in problems
    ]
    gc.collect()
    gc.freeze()
    loop = time.perf_counter()
    counts, running = [0] * (len(suites) + 1), 0
    for problem, code in programs:
        if running == workers:
            counts[os.waitstatus_to_exitcode(os.wait()[1])] += 1
            running -= 1
        if os.fork() == 0:
            passed = 0
            try:
                passed = child(code, problem, suites, expected[problem.id])
            except BaseException:
                pass
            finally:
                os._exit(passed)
        running += 1
    for _ in range(running):
        counts[max(0, os.waitstatus_to_exitcode(os.wait()[1]))] += 1
    done = time.perf_counter()
    passed_suites = [sum(counts[number + 1 :]) for number in range(len(suites))]
    print(
        json.dumps({"loop_s": done - loop, "whole_s": done - whole, "samples": len(programs), "passed": passed_suites})
    )


main()
