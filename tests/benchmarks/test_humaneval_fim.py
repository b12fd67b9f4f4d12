"""HumanEval-FIM: what is asked, that the rows' own lines are right under both profiles, and nothing is not."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run, outcomes_of
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, Profile, profile
from qwencoder_eval.cli.evaluation import means
from qwencoder_eval.extraction.infilling import BeforeStop, first_line
from qwencoder_eval.registry import discover
from qwencoder_eval.reports.compose import board_of
from qwencoder_eval.reports.golden import profile_of, targets
from qwencoder_eval.reports.reproduce import Ours, held_against
from qwencoder_eval.runs.reading import all_finished
from qwencoder_eval.sandboxes.languages import language
from qwencoder_eval.sandboxes.none import UnneededBackend
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import needs_sandbox
from qwencoder_eval.stream.golden import failing
from qwencoder_eval.types import Completion, Infill, Outcome, Problem

PARTS = {"python": ("py", "python", 1043), "java": ("java", "java", 1780), "js": ("js", "javascript", 1969)}
PROFILES = ("qwen", "bigcode")
POOL = Pool(UnneededBackend(), 1)
ROW = {
    "name": "n", "language": "py", "prompt": "def f(x):\n    ", "suffix": "\n    return y\n",
    "canonical_solution": "y = 1", "tests": "",
}  # fmt: skip


def bench(part: str) -> Benchmark:
    return discover().load(f"humaneval-fim:{part}")


def outcome(chosen: Profile, problem: Problem, text: str) -> tuple[Outcome, dict[str, float]]:
    code = chosen.scoring.extract(problem, Completion(text))
    assert code is not None
    found = chosen.scoring.scorer.score(problem, code, None, POOL)
    return found.checks[chosen.benchmark.name], dict(found.measures)


@pytest.mark.parametrize("part", PARTS)
def test_golden_vectors(part: str) -> None:
    assert failing(bench(part), UnneededBackend()) == []


@pytest.mark.parametrize("part", PARTS)
def test_parts(part: str, shared_data: Path) -> None:
    code, spoken, count = PARTS[part]
    problems = profile(bench(part), None).problems(offline=True)
    assert len(problems) == len({problem.id for problem in problems}) == count
    assert {problem.language for problem in problems} == {spoken}
    assert language(spoken).name == spoken
    assert all(problem.id.startswith(f"{code}/humaneval-HumanEval_") for problem in problems)


def test_ids_are_those_of_the_rows_and_differ_between_parts(shared_data: Path) -> None:
    """Names come once in each language, 3,247 in all; so a file with the answers of all parts can be told apart."""
    with gzip.open(shared_data / "santacoder_fim" / "train.jsonl.gz", "rt") as file:
        rows = [json.loads(line) for line in file]
    ids = [
        problem.id
        for part in PARTS
        for problem in profile(bench(part), None).problems(offline=True)
    ]  # fmt: skip
    assert Counter(ids) == Counter(f"{row['language']}/{row['name']}" for row in rows)
    assert len(set(ids)) == len(rows) == 4792
    assert len({row["name"] for row in rows}) == 3247


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("part", PARTS)
def test_the_lines_of_the_rows_are_right_and_nothing_is_wrong(part: str, name: str, shared_data: Path) -> None:
    chosen = profile(bench(part), name)
    for problem in chosen.problems(offline=True):
        assert problem.reference is not None
        assert outcome(chosen, problem, problem.reference) == (Outcome.PASSED, {"es": 1.0})
        assert outcome(chosen, problem, "") == (Outcome.WRONG, {"es": 0.0})
        line = problem.reference.strip()
        more = f"\n{line}\n{problem.fields['suffix']}\nmore"  # as models go on
        assert outcome(chosen, problem, more)[0] is (Outcome.PASSED if name == "qwen" else Outcome.WRONG)
        assert "\n" not in line


def test_what_is_asked() -> None:
    chosen = {name: profile(bench("python"), name) for name in PROFILES}
    problem = bench("python").problem(ROW)
    qwen, bigcode = (chosen[name].prompt(problem) for name in PROFILES)
    assert isinstance(qwen, Infill)
    assert (qwen.prefix, qwen.suffix) == ("def f(x):\n    ", "\n    return y\n")
    assert (qwen.prefix_tokens, qwen.suffix_tokens) == (2048 - 64 - 512, 512)
    assert bigcode == Infill("def f(x):\n    ", "\n    return y\n")
    greedy, sampled = (chosen[name].asking.sampling for name in PROFILES)
    assert (greedy.n, greedy.temperature, greedy.max_tokens, greedy.stop) == (1, 0.0, 64, ())
    assert (sampled.n, sampled.temperature, sampled.top_p) == (1, 0.2, 0.95)
    assert sampled.stop == ("<|endoftext|>", "<|filename|>", "<file_sep>")
    assert chosen["qwen"].scoring.extract is first_line
    assert chosen["bigcode"].scoring.extract == BeforeStop(sampled.stop)
    assert profile(bench("python"), None).name == "qwen"
    assert not needs_sandbox(chosen["qwen"].scoring.scorer)


HARD = {
    "carriage returns": ("y = 1\r", "y = 1\r\nz = 2", "passed"),
    "tabs": ("\ty = 1", "y = 1\t\n", "passed"),
    "a form feed": ("y = 1\f", "\fy = 1", "passed"),
    "a form feed inside": ("y = 1", "y\f= 1", "wrong"),
    "half a character": ("y = '\ud800'", "y = '\ud800'", "passed"),
    "another half": ("y = '\ud800'", "y = '\udfff'", "wrong"),
    "a zero": ("y = 1", "y = 1\0", "wrong"),
    "an open bracket": ("y = (", "y = (((", "wrong"),
    "no target": ("", "", "passed"),
    "no target, an answer": ("", "y = 1", "wrong"),
    "a blank target": ("  ", "\n\n", "passed"),
    "a long answer": ("y = 1", "(" * 1_000_000, "wrong"),
}


@pytest.mark.parametrize(("target", "answer", "expected"), HARD.values(), ids=HARD)
def test_hard_texts(target: str, answer: str, expected: str) -> None:
    chosen = profile(bench("python"), "qwen")
    problem = bench("python").problem({**ROW, "canonical_solution": target})
    found, measures = outcome(chosen, problem, answer)
    assert found.value == expected
    assert 0.0 <= measures["es"] <= 1.0


def test_a_row_without_a_suffix() -> None:
    """An empty one is a gap at the end; none at all is another dataset, and loading says so."""
    prompt = profile(bench("python"), "qwen").prompt(bench("python").problem({**ROW, "suffix": ""}))
    assert isinstance(prompt, Infill)
    assert prompt.suffix == ""
    with pytest.raises(KeyError, match="suffix"):
        bench("python").problem({key: value for key, value in ROW.items() if key != "suffix"})


# ---- published numbers -----------------------------------------------------------------------------------------------


def document(part: str, matched: int) -> dict[str, Any]:
    name, problems = f"humaneval-fim:{part}", PARTS[part][2]
    value = matched / problems
    score = {"value": value, "low": value - 0.01, "high": value + 0.01, "problems": problems, "samples": problems}
    return {
        "benchmark": name, "model": "m", "profile": "qwen", "dataset": {"version": "1", "sha256": "x"}, "n": 1,
        "sandbox": "not needed", "problems": problems, "samples": problems, "outcomes": {}, "notes": [],
        "scores": {name: {"em": {"name": name, **score}, "es": {"name": name, **score, "value": 0.9}}}, "run": "r",
    }  # fmt: skip


# Counts that print as the report's Table 7 has them for Qwen2.5-Coder-1.5B: 77.0, 85.6, 85.0, and 83.5 on average.
MATCHED = {"python": 803, "java": 1523, "js": 1674}


def test_the_mean_weighs_problems() -> None:
    reports = [document(part, matched) for part, matched in MATCHED.items()]
    (mean,) = means([bench(part) for part in MATCHED], reports)
    score = mean["scores"]["humaneval-fim"]["em"]
    assert score["value"] == pytest.approx((803 + 1523 + 1674) / 4792)
    assert round(100 * score["value"], 1) == 83.5
    plain = sum(report["scores"][report["benchmark"]]["em"]["value"] for report in reports) / 3
    assert round(100 * plain, 1) == 82.5  # so it matters
    assert mean["notes"] == ["mean of 3 parts, weighted by problems: python, java, js"]
    assert set(mean["scores"]["humaneval-fim"]) == {"em", "es"}


def test_the_mean_of_a_leaderboard_weighs_problems(tmp_path: Path) -> None:
    for part, right in {"python": [1, 1, 1], "java": [0]}.items():
        name = f"humaneval-fim:{part}"
        made_run(tmp_path, outcomes_of(right, name), model="a", benchmark=name)
    board = board_of(all_finished([tmp_path])[0], discover())
    (mean,) = [column for column in board.columns if column.parts]
    cell = board.cell(board.rows[0], mean)
    assert cell is not None
    assert (mean.check, cell.value, cell.problems) == ("humaneval-fim", 0.75, 4)


def test_published_cells_are_held_against_exact_matches() -> None:
    wanted = [each for each in targets("qwen2.5-coder-1.5b-base") if each.cell.benchmark.startswith("humaneval-fim:")]
    assert {(each.cell.benchmark, each.bench, each.cell.metric) for each in wanted} == {
        *((f"humaneval-fim:{part}", f"humaneval-fim:{part}", "em") for part in PARTS),
        ("humaneval-fim:avg", "", "em"),
    }
    ours = {f"humaneval-fim:{part}": Ours(document(part, matched), True) for part, matched in MATCHED.items()}
    rows = {row.target.cell.benchmark: row for row in held_against(wanted, ours, {})}
    assert {column: (row.state, row.target.cell.printed) for column, row in rows.items()} == {
        "humaneval-fim:python": ("agrees", "77.0"), "humaneval-fim:java": ("agrees", "85.6"),
        "humaneval-fim:js": ("agrees", "85.0"), "humaneval-fim:avg": ("agrees", "83.5"),
    }  # fmt: skip
    ours["humaneval-fim:js"] = Ours(document("js", 1600), True)
    rows = {row.target.cell.benchmark: row for row in held_against(wanted, ours, {})}
    assert {column for column, row in rows.items() if row.state == "differs"} == {
        "humaneval-fim:js",
        "humaneval-fim:avg",
    }
    there = list(bench("python").profiles)
    assert profile_of("humaneval-fim:python", "base", there) == "qwen"


# ---- the command line ------------------------------------------------------------------------------------------------


def samples(folder: Path, part: str, texts: dict[str, str], default: str = "") -> Path:
    file = folder / f"{part}.jsonl"
    ids = [problem.id for problem in profile(bench(part), None).problems(offline=True)]
    file.write_text("".join(json.dumps({"task_id": id, "completion": texts.get(id, default)}) + "\n" for id in ids))
    return file


def test_samples_through_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    problems = profile(bench("python"), None).problems(offline=True)
    right = {problem.id: f"\n{problem.reference}\nmore" for problem in problems[:100]}
    report = qceval(
        "score", "--bench", "humaneval-fim:python", "--samples", str(samples(tmp_path, "python", right)),
        "--out", str(tmp_path / "out"),
    )  # fmt: skip
    assert report["outcomes"] == {"humaneval-fim:python": {"passed": 100, "wrong": 943}}
    scores = report["scores"]["humaneval-fim:python"]
    assert scores["em"]["value"] == pytest.approx(100 / 1043)
    assert scores["es"]["value"] == pytest.approx(100 / 1043)
    assert (report["profile"], report["sandbox"]) == ("qwen", "not needed")


@pytest.mark.slow  # three readings of all rows
def test_all_references_through_the_command_line(shared_data: Path, tmp_path: Path) -> None:
    for name in PROFILES:
        reports: Any = qceval("run", "--bench", "humaneval-fim", "--profile", name, "--out", str(tmp_path))
        assert [each["benchmark"] for each in reports] == [
            *(f"humaneval-fim:{part}" for part in PARTS),
            "humaneval-fim",
        ]
        for each in reports:
            assert {metric: score["value"] for metric, score in each["scores"][each["benchmark"]].items()} == {
                "em": 1.0, "es": 1.0,
            }  # fmt: skip
        assert reports[-1]["problems"] == 4792
