"""Recorded outputs in LiveCodeBench's form: one JSON list of tasks with their answers, and lines that look like one."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring, profile
from qwencoder_eval.datasets.rows import Row, Rows
from qwencoder_eval.errors import InputError
from qwencoder_eval.extraction.contest import between_last_fences
from qwencoder_eval.models import replay
from qwencoder_eval.models.base import Request
from qwencoder_eval.models.replay import ReplayModel
from qwencoder_eval.scoring.contest import ContestScorer
from qwencoder_eval.types import Chat, Continue, Message, Problem, Sampling

Answers = dict[str, list[str]]
SOME: Answers = {"abc301_a": ["print(1)", "x"], "1873_A": ["", "```python\nprint('é')\n```"]}


def problems(*names: str) -> list[Problem]:
    return [Problem(name, {}, {}) for name in names]


def document(answers: dict[str, Any], **others: Any) -> list[dict[str, Any]]:
    """As LiveCodeBench's runner writes it, with what it says beside the answers."""
    return [
        {"question_title": "T", "question_content": "[{", "question_id": name, "output_list": texts, "code_list": [],
         "graded_list": [True], "metadata": ["{}"], **others}
        for name, texts in answers.items()
    ]  # fmt: skip


def write(path: Path, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(data) if path.name.endswith(".gz") else data)
    return path


def replayed(path: Path, *names: str) -> tuple[int, Answers]:
    """n, and of each problem the texts that a run gets."""
    model = ReplayModel(path)
    n = model.scan(problems(*names))
    found: Answers = {}
    asked = [Request("b", problem, Continue(""), Sampling(n=n), tuple(range(n))) for problem in problems(*names)]
    for answer in model.generate(asked):
        assert answer.completion is not None
        assert (answer.completion.form, answer.completion.finish_reason) == ("whole", "recorded")
        assert answer.number == len(found.setdefault(answer.problem, []))
        found[answer.problem].append(answer.completion.text)
    return n, found


def refusal(path: Path, text: str | bytes, *names: str) -> str:
    write(path, text)
    with pytest.raises(InputError) as caught:
        replayed(path, *(names or ("a", "b")))
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- what is read

FORMS: dict[str, dict[str, Any]] = {
    "one line": {}, "indented": {"indent": 4}, "tabs": {"indent": "\t"}, "letters": {"ensure_ascii": False},
    "no blanks": {"separators": (",", ":")}, "a line for each": {"indent": 0}, "sorted": {"sort_keys": True},
}  # fmt: skip


@pytest.mark.parametrize("name", ["o.json", "o.jsonl", "o.json.gz", "o"])
@pytest.mark.parametrize("form", FORMS)
def test_a_list_of_tasks(tmp_path: Path, form: str, name: str) -> None:
    path = write(tmp_path / name, json.dumps(document(SOME), **FORMS[form]))
    assert replayed(path, *SOME) == (2, SOME)
    assert replayed(path, *reversed(SOME)) == (2, SOME)


@pytest.mark.parametrize("before", ["", "\n", " \n\t"])
@pytest.mark.parametrize("after", ["", "\n", "\r\n \n"])
def test_blanks_around_a_document(tmp_path: Path, before: str, after: str) -> None:
    for text in (json.dumps(document(SOME)), json.dumps(document(SOME), indent=2)):
        path = write(tmp_path / "o.json", before + text.replace("\n", "\r\n") + after)
        assert replayed(path, *SOME) == (2, SOME)


def test_only_the_id_and_the_answers_are_needed(tmp_path: Path) -> None:
    rows = [{"output_list": texts, "question_id": name} for name, texts in SOME.items()]
    assert replayed(write(tmp_path / "o.json", json.dumps(rows)), *SOME) == (2, SOME)


def test_a_model_is_named_by_its_file(tmp_path: Path) -> None:
    path = write(tmp_path / "Scenario.codegeneration_10_0.2.json.gz", json.dumps(document(SOME)))
    assert ReplayModel(path).name == "Scenario"
    assert ReplayModel(path, "o1-mini").name == "o1-mini"


def test_what_decides_the_key_is_what_was_answered(tmp_path: Path) -> None:
    """Not how the file is written, nor what graders said of it."""
    texts = [
        json.dumps(document(SOME)),
        json.dumps(document(SOME), indent=4),
        json.dumps(document(SOME, graded_list=[False])),
        json.dumps(document({**SOME, "1873_A": ["", "other"]})),
        json.dumps(document({"1873_A": SOME["abc301_a"], "abc301_a": SOME["1873_A"]})),
    ]
    keys = []
    for number, text in enumerate(texts):
        model = ReplayModel(write(tmp_path / f"{number}.json", text))
        model.scan(problems(*SOME))
        keys.append(model.digest)
    assert keys[0] == keys[1] == keys[2]
    assert len(set(keys[2:])) == 3


@given(
    st.dictionaries(
        st.text(min_size=1, max_size=4), st.lists(st.text(), min_size=2, max_size=2), min_size=1, max_size=4
    ),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
def test_any_answers_come_back(
    tmp_path_factory: pytest.TempPathFactory, answers: Answers, indent: int | None, letters: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    write(path, json.dumps(document(answers), indent=indent, ensure_ascii=not letters))
    assert replayed(path, *answers) == (2, answers)


def test_the_recorded_file(recorded: Path) -> None:
    path = recorded / "o1-mini" / "Scenario.codegeneration_1_0.2_eval_all.json.gz"
    told = {row["question_id"]: row["output_list"] for row in json.loads(gzip.decompress(path.read_bytes()))}
    assert replayed(path, *told) == (1, told)
    assert len(told) == 880


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"question_id": "a"}], "item 1 has no question_id or no output_list; a task has both"),
        ([{"output_list": ["x"]}], "item 1 has no question_id or no output_list"),
        ([{"question_id": 3, "output_list": ["x"]}], "item 1 has no question_id or no output_list"),
        ([{"question_id": None, "output_list": ["x"]}], "item 1 has no question_id or no output_list"),
        ([{"question_id": "a", "output_list": ["x"]}, {}], "item 2 has no question_id or no output_list"),
        ([{"question_id": "a", "output_list": ["x"]}, "b"], "item 2 has no question_id or no output_list"),
        ([{"question_id": "a", "output_list": ["x"]}, None], "item 2 has no question_id or no output_list"),
        ([{"question_id": "a", "output_list": "x"}], "'a' has no list of answers; give one, of text"),
        ([{"question_id": "a", "output_list": [1]}], "'a' has no list of answers"),
        ([{"question_id": "a", "output_list": None}], "'a' has no list of answers"),
        ([{"question_id": "a", "output_list": [["x"]]}], "'a' has no list of answers"),
        ([{"question_id": "c", "output_list": ["x"]}], "task 'c' is not in the benchmark; remove the line"),
        ([{"question_id": "a", "output_list": ["x"]}] * 2, "sample 0 of a a second time; remove one of them"),
        (document({"a": ["x"], "b": ["x", "y"]}), "b has 2 samples, others 1; give every task the same number"),
        ([{"task_id": "a", "completion": "x"}], "item 1 has no question_id"),
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_document_that_is_wrong(tmp_path: Path, rows: Any, said: str, indent: int | None) -> None:
    path = tmp_path / "o.json"
    assert refusal(path, json.dumps(rows, indent=indent)).startswith(f"{path}:1: {said}")


def test_tasks_without_an_answer(tmp_path: Path) -> None:
    path = tmp_path / "o.json"
    assert "1 of 2 tasks have no sample (b);" in refusal(path, json.dumps(document({"a": ["x"]})))
    assert "1 of 2 tasks have no sample (b);" in refusal(path, json.dumps(document({"a": ["x"], "b": []})))


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", ["o.json", "o.json.gz"])
def test_half_a_document(tmp_path: Path, name: str, indent: int | None) -> None:
    text = json.dumps(document({"a": ["x"], "b": ["y"]}), indent=indent)
    path = tmp_path / name
    assert refusal(path, text[: len(text) // 2]).startswith(f"{path}: cannot be read (")
    assert refusal(path, text + "]").startswith(f"{path}")
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode())[:-9])
        with pytest.raises(InputError, match="cannot be read"):
            replayed(path, "a", "b")


def test_a_document_beyond_all_measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "MAX_LINE", 1 << 16)
    for indent in (None, 2):
        text = json.dumps(document({"a": ["x" * (1 << 16)], "b": ["y"]}), indent=indent)
        said = refusal(tmp_path / "o.json", text)
        assert "longer than 0 MiB" in said or "cannot be read" in said


# ---------------------------------------------------------------- lines that are no document

LINE = {"task_id": "a", "completion": "x"}
OTHER = {"task_id": "b", "completion": "y"}


@pytest.mark.parametrize(
    ("first", "said"),
    [
        ([], ":1: not a JSON object"),
        ([1, 2], ":1: not a JSON object"),
        (["a"], ":1: not a JSON object"),
        ([LINE], ":1: not a JSON object"),
        (document({"a": ["x"]}), ":1: not a JSON object"),
        ([[{}]], ":1: not a JSON object"),
        ({"a": ["x"]}, ":1: has no task_id"),
        ({"question_id": "a", "output_list": ["x"]}, ":1: has no task_id"),
    ],
)
@pytest.mark.parametrize("name", ["o.jsonl", "o.jsonl.gz"])
def test_a_first_line_that_is_a_list_makes_no_document_of_lines(
    tmp_path: Path, first: Any, said: str, name: str
) -> None:
    text = "\n".join(map(json.dumps, [first, LINE, OTHER]))
    assert refusal(tmp_path / name, text).startswith(f"{tmp_path / name}{said}")


@pytest.mark.parametrize(
    "rows",
    [
        [LINE, OTHER],
        [{"completion": "x", "more": [{"question_id": "a", "output_list": []}], "task_id": "a"}, OTHER],
        [{"list": [{"a": 1}], **LINE}, {"list": [], **OTHER}],
        [{"problem": "a", "text": "[{"}, {"problem": "b", "text": "[]"}],
        [{"logs": ["x"], "problem": "a", "text": "x"}, {"problem": "b", "text": "y"}],
        [{"task_id": "a", "solution": "[\n  {\n"}, {"task_id": "b", "solution": "]"}],
    ],
)
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_ordinary_lines_are_lines(tmp_path: Path, rows: list[dict[str, Any]], end: str) -> None:
    path = write(tmp_path / "o.jsonl", "\n".join(map(json.dumps, rows)) + end)
    model = ReplayModel(path)
    assert model.scan(problems("a", "b")) == 1
    assert model.counts == {"a": 1, "b": 1}


@pytest.mark.parametrize("before", ["\n", "  \n"])
def test_ordinary_lines_behind_a_blank_one_are_lines(tmp_path: Path, before: str) -> None:
    rows = [{"logs": ["x"], **LINE}, {"logs": [], **OTHER}]
    path = write(tmp_path / "o.jsonl", before + "\n".join(map(json.dumps, rows)))
    assert ReplayModel(path).scan(problems("a", "b")) == 1


@pytest.mark.parametrize("row", [LINE, {"logs": ["x"], **LINE}, {"problem": "a", "text": "x"}, {"stop": [{}], **LINE}])
def test_one_line_alone_is_a_line(tmp_path: Path, row: dict[str, Any]) -> None:
    assert ReplayModel(write(tmp_path / "o.jsonl", json.dumps(row))).scan(problems("a")) == 1


def test_a_list_of_nothing(tmp_path: Path) -> None:
    for text in ("[]", "[ ]\n"):
        assert "not a JSON object" in refusal(tmp_path / "o.json", text)


# ---------------------------------------------------------------- tasks that are not asked for


def test_tasks_that_others_have_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "o.json", json.dumps(document({"a": ["1"], "old": ["2"], "b": ["3"], "older": ["4", "5"]})))
    model = ReplayModel(path)
    assert model.scan(problems("a", "b"), lambda: {"a", "b", "old", "older"}) == 1
    assert model.left_out == {"old", "older"}
    requests = [Request("b", problem, Continue(""), Sampling(), (0,)) for problem in problems("b", "a")]
    assert sorted(answer.problem for answer in model.generate(requests)) == ["a", "b"]
    with pytest.raises(InputError, match="task 'old' is not in the benchmark"):
        ReplayModel(path).scan(problems("a", "b"), lambda: {"older"})


TESTS = '[{"input": "1", "output": "1"}]'


class Contest(Benchmark):
    name, version, reference = "contest", "1", "original"
    scoring = {"s": Scoring(between_last_fences, ContestScorer("contest"))}
    profiles = {"window": ("window", "s"), "samples": ("samples", "s")}
    decontaminate = ("question_id",)
    golden = (Golden({}, "", {"contest": "passed"}), Golden({}, "x", {"contest": "wrong"}))

    @property
    def asking(self) -> dict[str, Asking]:  # type: ignore[override]
        def ask(problem: Problem) -> Chat:
            return Chat((Message("user", problem.id),))

        def summer(row: Row) -> bool:
            return bool(row["contest_date"] >= "2024-06")

        rows = Rows(file="test.jsonl", more=("test2.jsonl",), unseen=True)
        joined = Rows(file="statements.jsonl", join=("tests.jsonl", "question_id"), unseen=True)
        return {"window": Asking(rows, ask, select=summer), "samples": Asking(joined, ask)}

    def problem(self, row: Row) -> Problem:
        return Problem(row["question_id"], {}, {"public": row.get("public_test_cases", "[]")})


@pytest.fixture
def contest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contest:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    files: dict[str, list[dict[str, str]]] = {
        "test.jsonl": [
            {"question_id": "old", "contest_date": "2023-01"},
            {"question_id": "a", "contest_date": "2024-07"},
        ],
        "test2.jsonl": [{"question_id": "b", "contest_date": "2024-08"}],
        "statements.jsonl": [{"question_id": name, "contest_date": "2024-09"} for name in ("a", "later")],
        "tests.jsonl": [{"question_id": "a", "public_test_cases": TESTS}],
    }
    for name, rows in files.items():
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return type("Here", (Contest,), {"file": tmp_path / "contest.py"})()  # type: ignore[no-any-return]


def test_a_file_of_all_problems_is_scored_for_a_window(contest: Contest, tmp_path: Path) -> None:
    """What somebody recorded for everything: those of other months, and those without tests here, are left out."""
    answers = {name: [name] for name in ("old", "a", "b", "later")}
    path = write(tmp_path / "o.json", json.dumps(document(answers)))
    for name, asked, left_out in (("window", ["a", "b"], {"old", "later"}), ("samples", ["a"], {"old", "b", "later"})):
        chosen = profile(contest, name)
        problems = chosen.problems()
        assert [problem.id for problem in problems] == asked
        model = ReplayModel(path)
        assert model.scan(problems, chosen.other_versions) == 1
        assert model.left_out == left_out


def test_a_task_that_nobody_knows_is_still_refused(contest: Contest, tmp_path: Path) -> None:
    path = write(tmp_path / "o.json", json.dumps(document({"a": ["1"], "b": ["1"], "typo": ["1"]})))
    chosen = profile(contest, "window")
    with pytest.raises(InputError, match="task 'typo' is not in the benchmark"):
        ReplayModel(path).scan(chosen.problems(), chosen.other_versions)
