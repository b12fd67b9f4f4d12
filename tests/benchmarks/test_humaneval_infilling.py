"""HumanEval infilling: the program that is run, that references pass, and which rows pass with nothing filled in."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import choose
from qwencoder_eval.sandboxes.none import NoneBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import needs_sandbox
from qwencoder_eval.stream.golden import failing
from qwencoder_eval.types import Completion, Infill, Problem

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
NAMESPACES = pytest.param("namespaces", marks=pytest.mark.namespaces)
SETS = {"single-line": 1033, "multi-line": 5815, "random-span": 1640, "random-span-light": 164}
LARGE = pytest.param("multi-line", marks=pytest.mark.whole)
IDS = {"single-line": "SingleLine", "multi-line": "MultiLine", "random-span": "RandomSpan"}

# Rows whose tests pass with nothing filled in, by set, after IDS and "Infilling/HumanEval/".
# Blanks or a comment are missing, or nothing: the program is the same.
NOTHING = {
    "single-line": "99/L3",
    "multi-line": "99/L3_L3",
    "random-span": """
        7/10 10/3 11/7 15/7 23/5 28/8 35/4 35/10 41/1 48/6 52/7 53/3 66/8 78/8 90/3 95/4 106/6 121/7 124/2 124/3 126/4
        134/1 152/8 159/9 162/5 163/9
    """,
}
# What is missing cannot be reached, is not used, or only ends earlier what would end in the same way.
NEEDLESS = {
    "single-line": "20/L0 46/L6 66/L0 68/L0 92/L4 95/L8 95/L18 96/L6 109/L3 127/L3 129/L1 150/L5",
    "multi-line": """
        10/L0_L1 20/L0_L0 46/L6_L6 59/L1_L2 66/L0_L0 68/L0_L0 92/L4_L4 95/L8_L8 95/L18_L18 96/L6_L6 99/L15_L16
        101/L0_L1 109/L3_L3 118/L0_L1 127/L3_L3 127/L3_L4 129/L1_L1 150/L5_L5
    """,
}
# The program does something else, and no test of the row tells.
UNTESTED = {
    "single-line": """
        20/L8 33/L0 81/L16 105/L6 105/L7 111/L7 118/L5 124/L1 124/L6 124/L10 127/L5 127/L6 127/L8 129/L9
    """,
    "multi-line": """
        20/L8_L8 33/L0_L0 46/L1_L2 76/L0_L1 81/L6_L7 81/L14_L15 81/L14_L17 81/L15_L16 81/L16_L16 81/L16_L17 89/L5_L6
        95/L14_L15 95/L18_L20 95/L19_L20 99/L2_L5 105/L6_L6 105/L6_L7 105/L7_L7 111/L7_L7 118/L5_L5 124/L1_L1
        124/L5_L6 124/L6_L6 124/L6_L7 124/L9_L10 124/L10_L10 124/L10_L11 127/L2_L6 127/L3_L5 127/L3_L7 127/L5_L5
        127/L5_L7 127/L5_L8 127/L6_L6 127/L8_L8 129/L9_L9
    """,
    "random-span": "97/5 105/8 127/9 148/7",
}
ROW = {
    "task_id": "t", "entry_point": "f", "prompt": "def f(x):\n    y = ", "suffix": "\n    return y\n",
    "canonical_solution": "2 * x", "test": "def check(candidate):\n    assert candidate(2) == 4\n",
}  # fmt: skip


def bench(part: str) -> Benchmark:
    return discover().load(f"humaneval-infilling:{part}")


def problems(part: str) -> list[Problem]:
    return profile(bench(part), None).problems(offline=True)


def listed(lists: dict[str, str], part: str) -> set[str]:
    return {f"{IDS[part]}Infilling/HumanEval/{rest}" for rest in lists.get(part, "").split()}


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool(NoneBackend(), 1) as opened:
        yield opened


def outcome(pool: Pool, problem: Problem, middle: str) -> str:
    scoring = bench("single-line").scoring["tests"]
    code = scoring.extract(problem, Completion(middle))
    assert code is not None
    return scoring.scorer.score(problem, code, None, pool).checks["humaneval-infilling:single-line"].value


@pytest.mark.parametrize("part", SETS)
def test_golden_vectors(part: str) -> None:
    assert failing(bench(part), choose("auto", trusted=True, say=print)) == []


@pytest.mark.parametrize("part", SETS)
def test_sets(part: str, shared_data: Path) -> None:
    found = problems(part)
    assert len(found) == len({problem.id for problem in found}) == SETS[part]
    chosen = profile(bench(part), None)
    for problem in found:
        assert chosen.prompt(problem) == Infill(problem.stub, problem.fields["suffix"])
        assert problem.tests["before"].endswith(")\n")


def test_the_program_is_upstreams_and_the_nonce_stands_behind_the_last_test(shared_data: Path) -> None:
    extract = bench("random-span-light").scoring["tests"].extract
    for problem in problems("random-span-light"):
        code = extract(problem, Completion("MIDDLE"))
        assert code == f"{problem.stub}MIDDLE{problem.fields['suffix']}"
        *_, last = problem.tests["before"].splitlines()
        assert last.startswith("check(")
        assert problem.tests["after"] == ""


def test_profiles() -> None:
    greedy, sampled = (profile(bench("multi-line"), name) for name in ("greedy", "openai"))
    assert (greedy.asking.sampling.n, greedy.asking.sampling.temperature) == (1, 0.0)
    assert (sampled.asking.sampling.n, sampled.asking.sampling.stop) == (100, ())
    assert sampled.scoring == greedy.scoring
    assert sampled.scoring.ks == (1, 10, 100)
    assert sampled.scoring.scorer.key()["cpu_s"] == 3
    assert needs_sandbox(sampled.scoring.scorer)
    assert set(bench("multi-line").apart) == set(SETS)  # and so no mean


def test_some_references_pass_and_wrong_lines_do_not(pool: Pool, shared_data: Path) -> None:
    for problem in problems("single-line")[::100]:
        assert problem.reference is not None
        assert outcome(pool, problem, problem.reference) == "passed"
        assert outcome(pool, problem, "    raise ValueError\n") != "passed"
        assert outcome(pool, problem, "    " + "(" * 50) == "compile_error"


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        ("2 * x", "passed"),
        ("(2 *\n  x)", "passed"),
        ("2 * x\r", "passed"),  # with the suffix's newline that ends a line
        ("2 * x\r\n\tif 0: pass", "compile_error"),
        ("2\t*\tx\f", "passed"),
        ("2 * x  # é", "passed"),
        ("2 * x + 1", "wrong"),
        ("", "compile_error"),
        ("2 * (x", "compile_error"),
        ("'''", "compile_error"),
        ("2 * x\\", "compile_error"),
        ("0 # \0", "wrong"),  # where Python reads no further, no test is reached
        ("'\ud800'", "compile_error"),
        ("z", "runtime_error"),
        ("1 / 0", "runtime_error"),
        ("0\nimport sys\nsys.exit(0)\ndef g():\n    y = 0", "wrong"),  # left before its last test
        ("0\nimport os\nos._exit(0)\ndef g():\n    y = 0", "wrong"),
        ("[].append(x) or exit(0)", "wrong"),
        ("0\n    import os; os.write(3, b'0' * 32); os._exit(0)", "wrong"),  # a guess
        pytest.param("2 * x\n    while x: pass", "timeout", marks=pytest.mark.slow),  # 3 seconds of CPU time
    ],
)  # fmt: skip
def test_answers(pool: Pool, middle: str, expected: str) -> None:
    assert outcome(pool, bench("single-line").problem(ROW), middle) == expected


def test_rows_that_are_not_what_they_should_be(pool: Pool) -> None:
    single = bench("single-line")
    assert outcome(pool, single.problem({**ROW, "suffix": ""}), "2 * x\n    return y") == "passed"
    assert outcome(pool, single.problem({**ROW, "suffix": "\r\n    return y\r\n"}), "2 * x") == "passed"
    with pytest.raises(KeyError, match="suffix"):
        single.problem({key: value for key, value in ROW.items() if key != "suffix"})


@pytest.mark.parametrize("part", ["single-line", "random-span", pytest.param("multi-line", marks=pytest.mark.slow)])
def test_where_nothing_is_missing_the_program_is_the_same(part: str, shared_data: Path) -> None:
    """And nowhere else."""
    same = set()
    for problem in problems(part):
        before, suffix = problem.stub, problem.fields["suffix"]
        try:
            without = ast.parse(before + suffix)
        except SyntaxError:
            continue
        if ast.dump(without) == ast.dump(ast.parse(f"{before}{problem.reference}{suffix}")):
            same.add(problem.id)
    assert same == listed(NOTHING, part)


def test_rows_are_listed_once() -> None:
    for part in IDS:
        lists = [lists.get(part, "").split() for lists in (NOTHING, NEEDLESS, UNTESTED)]
        together = [id for each in lists for id in each]
        assert len(together) == len(set(together))


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
@pytest.mark.parametrize("part", [LARGE if part == "multi-line" else part for part in SETS])
def test_every_reference_passes(sandbox: str, part: str, shared_data: Path, tmp_path: Path) -> None:
    report = qceval(
        "run", "--bench", f"humaneval-infilling:{part}", "--sandbox", sandbox, "--out", str(tmp_path), "--no-cache",
    )  # fmt: skip
    assert report["outcomes"] == {f"humaneval-infilling:{part}": {"passed": SETS[part]}}


def scored(part: str, sandbox: str, text: str, folder: Path) -> dict[str, str]:
    """Of every problem its outcome with this middle, through samples in upstream's format."""
    samples = folder / "samples.jsonl"
    lines = [{"task_id": problem.id, "completion": text} for problem in problems(part)]
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    report: dict[str, Any] = qceval(
        "score", "--bench", f"humaneval-infilling:{part}", "--samples", str(samples), "--sandbox", sandbox,
        "--out", str(folder / "out"), "--no-cache",
    )  # fmt: skip
    rows = [json.loads(line) for line in (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines()]
    return {row["problem"]: row["checks"][f"humaneval-infilling:{part}"] for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
@pytest.mark.parametrize("part", [LARGE if part == "multi-line" else part for part in IDS])
def test_nothing_filled_in_passes_where_it_is_known_to(
    sandbox: str, part: str, shared_data: Path, tmp_path: Path
) -> None:
    found = scored(part, sandbox, "", tmp_path)
    assert len(found) == SETS[part]
    known = listed(NOTHING, part) | listed(NEEDLESS, part) | listed(UNTESTED, part)
    assert {id for id, outcome in found.items() if outcome == "passed"} == known


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [DOCKER, NAMESPACES], indirect=True)
def test_of_the_light_set_nothing_passes(sandbox: str, shared_data: Path, tmp_path: Path) -> None:
    found = scored("random-span-light", sandbox, "", tmp_path)
    assert len(found) == 164
    assert "passed" not in found.values()
