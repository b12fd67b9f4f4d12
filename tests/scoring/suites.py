"""Suites of calls without a sandbox: references that are recorded here, and runners that answer from a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import calls
from evalplus_verdicts import PRELUDE

from qwencoder_eval.sandboxes.base import Decided
from qwencoder_eval.scoring.calls import WHOLE, CallScorer, Suite
from qwencoder_eval.scoring.oracles import Generation
from qwencoder_eval.scoring.recorded import Recorded
from qwencoder_eval.types import Calls, Outcome, Problem, Program, Result

GENERATIONS: tuple[Generation, Generation] = ("0.3", "0.2.1")
LOADED = b'{"loaded": true}\n'
# Right for EvalPlus and Python, which ask a candidate's own __eq__ and know one object when they see it twice.
STRICTER = {
    ("AnyInt(7)", "3"),
    ("AnyList([7])", "[1,2,3]"),
    ("[AnyInt(7)]", "[3]"),
    ("int", "int"),
    ("...", "..."),
}
NAMES: dict[str, Any] = {}
exec(PRELUDE, NAMES)


def value_of(expression: str) -> Any:
    return eval(expression, {**NAMES, "NAN": float("nan")})


def answers_of(values: Sequence[Any], whole_bytes: int = Calls.WHOLE_BYTES) -> bytes:
    """What a program sends that gives these values."""
    return LOADED + b"".join(calls.line_of(value, whole_bytes) + b"\n" for value in values)


def timed(answers: bytes) -> bytes:
    """The same of a reference, which took a quarter of a second for each call."""
    first, *lines = answers.splitlines()
    return b"\n".join([first, *(line[:-1] + b', "cpu_s": [0.25, 0.0]}' for line in lines), b""])


def reference(path: Path, count: int) -> Recorded:
    asked = Calls("f", "[]", [60.0] * count, whole_bytes=WHOLE, timed=True)
    return Recorded(path, Program("python", {}, calls=asked))


def recorded(folder: Path, values: Sequence[Any], whole_bytes: int = WHOLE) -> Recorded:
    made = reference(folder / "reference.gz", len(values))
    made.keep(timed(answers_of(values, whole_bytes)))
    return made


def problem(function: str, inputs: list[Any], atol: float) -> Problem:
    return Problem("p/0", {}, {"entry_point": function, "atol": atol, "inputs": inputs}, reference="")


def suite_of(folder: Path, expected: Sequence[Any], scorer: CallScorer | None = None) -> Suite:
    made = scorer or CallScorer({"s": "inputs"})
    (known,) = made.learn(problem("f", [], 0), [recorded(folder, expected)])
    return known


def verdict(
    folder: Path, outputs: Sequence[Any], expected: Sequence[Any], atol: float = 0, generation: Generation = "0.3",
    function: str = "f", inputs: list[Any] | None = None, oracles: str = "", **result: Any,
) -> tuple[Outcome, dict[str, str]]:  # fmt: skip
    given = inputs if inputs is not None else [[i] for i in range(len(expected))]
    scorer = CallScorer({"s": "inputs"}, generation=generation, oracles=oracles)
    answers = result.pop("answers", None) or answers_of(outputs, WHOLE)
    return scorer.judge(
        problem(function, given, atol), given, suite_of(folder, expected, scorer), ended(answers, **result)
    )


def right(*arguments: Any, **options: Any) -> bool:
    outcome, _ = verdict(*arguments, **options)
    assert outcome in (Outcome.PASSED, Outcome.WRONG)
    return outcome is Outcome.PASSED


def ended(answers: bytes = b"", **changes: Any) -> Result:
    return Result(**{"ending": "exit", "status": 0, "cpu_s": 0.1, "wall_s": 0.1, "answers": answers, **changes})


class FakeRunner:
    """Answers from a list, and remembers how it was asked."""

    def __init__(self, *results: Result) -> None:
        self.results, self.asked = list(results), list[tuple[str, Program]]()

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        self.asked.append(("run", program))
        return self.results.pop(0)

    def run_alone(self, program: Program, decided: Decided | None = None) -> Result:
        self.asked.append(("alone", program))
        return self.results.pop(0)

    @property
    def whole_bytes(self) -> list[tuple[str, int]]:
        """How each time, and how long a value could be to travel whole."""
        return [(how, program.calls.whole_bytes) for how, program in self.asked if program.calls]


class Answering:
    """Gives the same values each time, and sends digests of those that are longer than was asked for."""

    def __init__(self, values: Sequence[Any], whole_bytes: int = Calls.WHOLE_BYTES) -> None:
        self.values, self.whole_bytes, self.runs = values, whole_bytes, 0

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        self.runs += 1
        assert program.calls
        first = program.calls.whole_bytes == 1 << 20
        return ended(answers_of(self.values, self.whole_bytes if first else program.calls.whole_bytes))

    run_alone = run
