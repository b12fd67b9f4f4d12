"""Reference answers: run once, kept by content, never trusted half-written."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from qwencoder_eval.errors import InfrastructureError, ReferenceFailsError
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.scoring.references import References
from qwencoder_eval.types import Problem


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path))
    return tmp_path


def problem(body: str, inputs: list[list[int]], name: str = "p/0") -> Problem:
    tests = {"entry_point": "f", "atol": 0, "inputs": inputs}
    return Problem(name, {}, tests, stub="def f(x):\n", reference=f"    {body}\n")


def prepared(*problems: Problem) -> tuple[References, int]:
    """References of these problems, and how many programs had to be run."""
    made, ran = References(CallScorer({"s": "inputs"}), NoneBackend()), []
    made.prepare(problems, 1, lambda done, total: ran.append(done))
    return made, len(ran)


def test_each_program_is_run_once() -> None:
    first, second = problem("return x + 1", [[1]]), problem("return x + 2", [[1]], "p/1")
    assert prepared(first)[1] == 1
    assert prepared(first, second)[1] == 1
    references, ran = prepared(first, second)
    assert ran == 0
    (known,) = references.known(second)
    assert known.expected.answers == b'{"loaded": true}\n{"value": 3}\n'


@pytest.mark.parametrize("changed", [problem("return x + 2", [[1]]), problem("return x + 1", [[2]])])
def test_other_code_or_inputs_are_another_program(changed: Problem) -> None:
    prepared(problem("return x + 1", [[1]]))
    assert prepared(changed)[1] == 1


def test_a_half_written_file_is_not_there(cache: Path) -> None:
    asked = problem("return x", [[1]])
    references, _ = prepared(asked)
    (path,) = (references.path(program) for program in references.scorer.reference_programs(asked))
    path.rename(path.with_suffix(".1.2.part"))
    assert prepared(asked)[1] == 1


def test_a_reference_that_fails_is_named() -> None:
    asked = problem("raise ValueError('no')", [[1]])
    references, _ = prepared(asked)
    with pytest.raises(ReferenceFailsError, match=r"^the reference solution fails here \(call 1: ValueError: no\)$"):
        references.known(asked)


def test_a_cache_that_cannot_be_written_is_one_line(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    blocked = cache / "file"
    blocked.write_text("")
    monkeypatch.setenv("QCEVAL_CACHE", str(blocked))
    with pytest.raises(InfrastructureError, match="set QCEVAL_CACHE"):
        prepared(problem("return x", [[1]]))


class Joining(CallScorer):
    """All its problems have the same program and differ in their calls."""

    joins: ClassVar[bool] = True


ODD_ONES = """if x == 3: raise ValueError("no")
    if x == 4: __import__("os")._exit(0)
    return [x] * 3
"""


@pytest.mark.parametrize("inputs", [[1, 2, 5], [1, 3, 2], [1, 4, 2], [4], [4, 4, 3, 1]])
def test_references_that_share_a_process_answer_as_they_do_alone(
    inputs: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that raises, or ends the process, is named, and the others have their answers."""
    problems = [problem(ODD_ONES, [[x], [x + 10]], f"p/{number}") for number, x in enumerate(inputs)]
    found: list[list[object]] = []
    for scorer in (CallScorer({"s": "inputs"}), Joining({"s": "inputs"})):
        monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / type(scorer).__name__))
        references, told = References(scorer, NoneBackend()), []
        references.prepare(problems, 1, lambda done, total: told.append((done, total)))  # noqa: B023
        assert told[-1] == (len({*inputs}), len({*inputs})) or told[-1] == (len(inputs), len(inputs))
        found.append([])
        for each in problems:
            try:
                (known,) = references.known(each)
                found[-1].append(known.expected.answers)
            except ReferenceFailsError as error:
                found[-1].append(str(error))
    assert found[0] == found[1]
    assert [isinstance(answer, bytes) for answer in found[0]] == [x not in (3, 4) for x in inputs]
