"""The starter benchmark end to end: its references pass, each of its known wrong solutions fails."""

from __future__ import annotations

import pytest

from qwencoder_eval.benchmark import profile
from qwencoder_eval.datasets.rows import load
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import choose
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.references import References
from qwencoder_eval.stream.evaluate import Judge
from qwencoder_eval.types import Completion, Outcome, Sample


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Outcome]]:
    """By problem: the outcome of the reference, then of the wrong solutions."""
    chosen = profile(discover().load("starter"), None)
    backend = choose("auto", trusted=True, say=print)
    problems = chosen.problems(offline=True)
    rows = load(chosen.asking.rows, chosen.benchmark.file.parent, offline=True)
    found = {}
    with pytest.MonkeyPatch.context() as patch, Pool(backend, 1) as pool:
        patch.setenv("QCEVAL_CACHE", str(tmp_path_factory.mktemp("cache")))
        references = References(chosen.scoring.scorer, backend)
        references.prepare(problems, 1, lambda done, total: None)
        for problem, row in zip(problems, rows, strict=True):
            answers = [str(problem.reference), *row["wrong"]]
            samples = [Sample(problem.id, number, Completion(text)) for number, text in enumerate(answers)]
            judge = Judge(chosen.scoring, references, pool, None, {})
            judged = [judge.judge(problem, sample) for sample in samples]
            found[problem.id] = [judgement.checks["starter"] for judgement in judged]
    return found


def test_there_are_enough(outcomes: dict[str, list[Outcome]]) -> None:
    assert len(outcomes) >= 20
    assert all(len(judged) == 3 for judged in outcomes.values())


def test_references_pass_and_wrong_solutions_fail(outcomes: dict[str, list[Outcome]]) -> None:
    assert {problem for problem, judged in outcomes.items() if judged[0] is not Outcome.PASSED} == set()
    allowed = {Outcome.WRONG, Outcome.RUNTIME_ERROR}
    assert {problem for problem, judged in outcomes.items() if not set(judged[1:]) <= allowed} == set()
