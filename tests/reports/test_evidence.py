"""The parts that a page loads, and what is rebuilt for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from made_benchmark import PLUGIN, registry_with, shown_outcomes, shown_run
from made_runs import made_run, outcomes_of

from qwencoder_eval.errors import RunError
from qwencoder_eval.reports import evidence
from qwencoder_eval.reports.evidence import Located, Packed, as_json, cut, ordered, run_parts, sheet_parts
from qwencoder_eval.reports.rebuilt import Rebuilt, rebuilt
from qwencoder_eval.runs.reading import Finished, finished
from qwencoder_eval.stream.evaluate import content_digest

HOSTILE = "</script><!--<script>alert(1)//\u2028\u2029\x00\u202e\ud800&lt;"


def parts_of(run: Finished, problems: list[str], known: Rebuilt | None = None) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in run_parts("r", run, problems, known or Rebuilt("gone"))}


def test_json_holds_nothing_that_ends_an_element() -> None:
    text = as_json({"text": HOSTILE})
    assert text.isascii()
    assert not set(text) & set("<>&\x00\n")
    assert json.loads(text) == {"text": HOSTILE}


def test_parts_are_of_a_bounded_size_and_their_rows_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "PART_BYTES", 100)
    packed = Packed("r", ("x" * size for size in [30] * 10 + [500, 1]))
    parts = dict(packed)
    assert list(parts) == ["r/0", "r/1", "r/2", "r/3"]
    assert packed.starts == [0, 4, 8, 11]
    assert [len(json.loads(value)) for value in parts.values()] == [4, 4, 3, 1]


def test_no_rows_are_no_parts() -> None:
    assert list(Packed("r", [])) == []


def test_a_runs_parts(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path, outcomes_of([[1, 0], [0, 0]]), evidence={"p1": {"got": HOSTILE}}))
    found = parts_of(run, ["p0", "p1"])
    index = {"counts": [2, 2], "outcomes": {"bench": "pwww"}, "why": "", "starts": [0]}
    assert found["r/index"] == index
    assert [row["sample"] for row in found["r/0"]] == [0, 1, 0, 1]
    assert found["r/0"][2]["evidence"] == {"got": HOSTILE}
    assert found["r/0"][0] == {
        "sample": 0, "text": "# p0\n", "code": 0, "no_code": "gone", "finish_reason": "stop",
    }  # fmt: skip


def test_a_long_text_is_cut_and_says_so(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path, outcomes_of([1]), texts={"p0": "y" * 150_000}))
    text = parts_of(run, ["p0"])["r/0"][0]["text"]
    assert text.endswith("y\n… and 50,000 more characters, in the run's files")
    assert cut("abc", 3) == "abc"


def test_damaged_completions_leave_the_outcomes(tmp_path: Path) -> None:
    path = made_run(tmp_path, outcomes_of([1, 0]))
    (path / "completions.jsonl").write_text("{torn\n")
    found = parts_of(finished(path), ["p0", "p1"])
    assert found["r/index"]["outcomes"] == {"bench": "pw"}
    assert "completions.jsonl:1: damaged" in found["r/index"]["why"]
    assert found["r/0"] == [
        {"sample": 0},
        {
            "sample": 0,
        },
    ]


@pytest.mark.parametrize("line", ["[]", "1", '{"problem": "p"}', '{"problem": [], "sample": 0, "checks": {}}', "x"])
def test_a_damaged_row_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "verdicts.jsonl"
    file.write_text('{"problem": "p", "sample": 0, "checks": {}}\n' + line + "\n")
    with pytest.raises(RunError, match=r"verdicts\.jsonl:2: damaged"):
        Located(file, ("problem", "sample", "checks"))


def test_problems_stand_in_the_benchmarks_order_or_by_their_numbers(tmp_path: Path) -> None:
    names = ["shown/10", "shown/2", "shown/1", "b"]
    assert ordered(names, Rebuilt()) == ["b", "shown/1", "shown/2", "shown/10"]
    registry = registry_with(tmp_path / "plugins", count=3)
    run = finished(shown_run(tmp_path, registry, shown_outcomes("wrong", "wrong", "wrong")))
    known = rebuilt(registry, run)
    assert ordered(["x9", "x10", "shown/2", "shown/0"], known) == ["shown/0", "shown/2", "x9", "x10"]


# -- prompts and code --------------------------------------------------------------------------------------


def test_prompt_and_code_are_rebuilt(tmp_path: Path) -> None:
    registry = registry_with(tmp_path / "plugins", count=2)
    run = finished(
        shown_run(tmp_path, registry, shown_outcomes("passed", "no_code"), texts={"shown/1": "x" * (1 << 20) * 2})
    )
    known = rebuilt(registry, run)
    sheet = {name: json.loads(value) for name, value in sheet_parts("q", ["shown/0", "shown/1"], known)}
    assert sheet["q/0"][0] == [
        [["text to continue", "def f0(x):\n"]], {"language": "python", "groups": {"depth": "flat", "length": "short"}},
    ]  # fmt: skip
    assert sheet["q/index"] == {"problems": ["shown/0", "shown/1"], "why": "", "starts": [0]}
    rows = parts_of(run, ["shown/0", "shown/1"], known)["r/0"]
    assert rows[0]["code"] == 1  # the text as it is
    assert (rows[1]["code"], rows[1]["no_code"]) == (0, "no code was found in the completion")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"version": "2"}, "made by version 1 of shown; here is 2"),
        ({"count": 5}, "other rows here"),
        ({"prefix": "# new\\n"}, "asks otherwise here"),
        ({"text": PLUGIN.replace('{"p"', '{"q"')}, "no profile p here"),
        ({"text": PLUGIN.replace('return Continue("PREFIX" + problem.stub)', "return 1 / 0")}, "ZeroDivisionError"),
        ({"text": PLUGIN.replace("return Problem(", "raise OSError('no')\n        return Problem(")}, "OSError"),
    ],
)
def test_a_benchmark_that_has_changed_says_why_there_is_no_prompt(
    tmp_path: Path, change: dict[str, Any], why: str
) -> None:
    registry = registry_with(tmp_path / "one", count=2)
    chosen = registry.load("shown")
    prompts = content_digest([at, {"text": f"def f{at.partition('/')[2]}(x):\n"}] for at in ("shown/0", "shown/1"))
    run = finished(shown_run(tmp_path, registry, shown_outcomes("wrong", "wrong"), generation={"prompts": prompts}))
    assert rebuilt(registry, run).why == ""
    known = rebuilt(registry_with(tmp_path / "other", **{"count": 2, **change}), run)
    assert why in known.why
    assert not known.prompts
    assert chosen.version == "1"


def test_a_benchmark_that_is_not_here(tmp_path: Path) -> None:
    run = finished(made_run(tmp_path, outcomes_of([1]), benchmark="gone"))
    known = rebuilt(registry_with(tmp_path / "plugins"), run)
    assert "--bench gone: unknown" in known.why
    assert known.code({"problem": "p0", "text": "x"}) == (None, known.why)


def test_an_extraction_that_fails_on_a_text_is_said(tmp_path: Path) -> None:
    text = PLUGIN.replace("class Shown", "def bad(problem, completion):\n    raise ValueError('odd')\n\n\nclass Shown")
    registry = registry_with(tmp_path / "plugins", count=1, text=text.replace("Scoring(as_program", "Scoring(bad"))
    run = finished(shown_run(tmp_path, registry, shown_outcomes("wrong")))
    row = parts_of(run, ["shown/0"], rebuilt(registry, run))["r/0"][0]
    assert row["no_code"] == "cannot be extracted here: ValueError: odd"
