"""The protocol: profiles, problems out of rows, hashes and keys; and every shipped benchmark keeps it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.benchmark import (
    Asking,
    Benchmark,
    DataOnly,
    Golden,
    Profile,
    Scoring,
    extraction_name,
    profile,
    validate,
)
from qwencoder_eval.datasets.rows import Rows, content_hash, load
from qwencoder_eval.errors import DatasetError, InputError, PluginError, UsageError
from qwencoder_eval.extraction.programs import as_program, sanitized_program
from qwencoder_eval.registry import discover
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Completion, Continue, Outcome, Problem, Prompt

ROWS = ({"id": "x/0", "stub": "def f(x):\n"}, {"id": "x/1", "stub": "def g(x):\n"})


def prompt(problem: Problem) -> Continue:
    return Continue(problem.stub)


class Small(Benchmark):
    name = "small"
    version = "1"
    reference = "original"
    asking = {"inline": Asking(Rows(inline=ROWS), prompt), "file": Asking(Rows(file="small.jsonl"), prompt)}
    scoring = {"raw": Scoring(as_program, CallScorer({"small": "inputs"}))}
    profiles = {"first": ("inline", "raw"), "second": ("file", "raw")}
    decontaminate = ("stub",)
    golden = (Golden(ROWS[0], "", {"small": "passed"}), Golden(ROWS[0], "x", {"small": "wrong"}))
    file = Path("/nowhere/small.py")

    def problem(self, row: dict[str, Any]) -> Problem:
        return Problem(row["id"], row, {}, stub=row["stub"])


def with_rows(*rows: Any, **changes: Any) -> Profile:
    asking = {"inline": Asking(Rows(inline=rows), prompt)}
    cls = type("Changed", (Small,), {"asking": asking, "profiles": {"first": ("inline", "raw")}, **changes})
    return profile(cls(), None)


def refusal(chosen: Profile) -> str:
    with pytest.raises(DatasetError) as caught:
        chosen.problems()
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


# ---------------------------------------------------------------- profiles and problems


def test_the_first_profile_is_the_default() -> None:
    assert profile(Small(), None).name == "first"
    second = profile(Small(), "second")
    assert (second.name, second.asking, second.scoring) == ("second", Small.asking["file"], Small.scoring["raw"])


@pytest.mark.parametrize("name", ["third", "", "First"])
def test_an_unknown_profile_is_refused_with_those_that_exist(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        profile(Small(), name)
    assert str(caught.value) == f"--profile {name}: small has first, second; choose one of them"


def test_problems_come_in_the_order_of_the_rows() -> None:
    assert [problem.id for problem in profile(Small(), None).problems()] == ["x/0", "x/1"]
    assert [problem.id for problem in with_rows(*reversed(ROWS)).problems()] == ["x/1", "x/0"]


def test_rows_beside_the_benchmarks_file_are_its_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    (tmp_path / "small.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    rows = Rows(file="small.jsonl", sha256=content_hash(ROWS), count=2)
    here = {"asking": {"file": Asking(rows, prompt)}, "profiles": {"p": ("file", "raw")}, "file": tmp_path / "s.py"}
    chosen = profile(type("Here", (Small,), here)(), None)
    assert chosen.problems() == profile(Small(), "first").problems()
    (tmp_path / "small.jsonl").write_text("{}\n")
    assert "1 rows, not 2" in refusal(chosen)


def test_an_id_twice_is_refused() -> None:
    message = refusal(with_rows(ROWS[1], ROWS[0], {"id": "x/1", "stub": "other"}))
    assert message.startswith("/nowhere/small.py: problem: id 'x/1' ")
    assert message.endswith("ids must be unique")


@pytest.mark.parametrize(
    ("row", "body", "said"),
    [
        ({"id": "x/0"}, None, "KeyError: 'stub'"),
        ({"id": "x/0", "stub": None}, lambda row: row["stub"].strip(), "AttributeError: 'NoneType' object has no"),
        ({"id": "x/0", "stub": 3}, lambda row: len(row["stub"]), "TypeError: object of type 'int' has no len()"),
        ({"inputs": "[1,"}, lambda row: json.loads(row["inputs"]), "JSONDecodeError: "),
        ({"parts": []}, lambda row: row["parts"][0], "IndexError: list index out of range"),
        ({"n": 0}, lambda row: 1 / row["n"], "ZeroDivisionError: division by zero"),
        ({"n": 0}, lambda row: next(iter(())), "StopIteration"),
        ({"text": "é"}, lambda row: row["text"].encode("ascii"), "UnicodeEncodeError: 'ascii' codec"),
        ({"id": ["x"]}, lambda row: Problem(row["id"], {}, {}), "TypeError: unhashable type: 'list'"),
        ({}, lambda row: None, "AttributeError: 'NoneType' object has no attribute 'id'"),
        ({}, lambda row: (_ for _ in ()).throw(ValueError("one\ntwo")), "ValueError: one"),
    ],
)
def test_rows_that_are_not_what_it_expects_are_refused(row: Any, body: Any, said: str) -> None:
    changes: dict[str, Any] = {}
    if body is not None:

        def problem(self: Benchmark, row: Any) -> Any:
            made = body(row)
            return made.send(None) if isinstance(made, Iterator) else made

        changes["problem"] = problem
    message = refusal(with_rows({**row}, **changes))
    assert message.startswith(f"/nowhere/small.py: problem: {said}")
    assert message.endswith("; the rows are not what this benchmark expects")


def test_what_a_benchmark_refuses_itself_keeps_its_words() -> None:
    def problem(self: Benchmark, row: Any) -> Problem:
        raise InputError("data/x: not here")

    with pytest.raises(InputError, match=r"^data/x: not here$"):
        with_rows(*ROWS, problem=problem).problems()


def test_a_benchmark_without_problem_says_so() -> None:
    chosen = with_rows(*ROWS, problem=Benchmark.problem)
    with pytest.raises(PluginError, match="problem: not defined; define problem"):
        chosen.problems()


# ---------------------------------------------------------------- hashes and keys


def test_the_hash_of_the_data_is_its_pin_or_that_of_the_inline_rows() -> None:
    assert profile(Small(), "first").dataset_hash == content_hash(ROWS)
    assert with_rows(ROWS[0]).dataset_hash != content_hash(ROWS)
    pinned = {"asking": {"file": Asking(Rows(file="x", sha256="ab" * 32), prompt)}, "profiles": {"p": ("file", "raw")}}
    assert profile(type("Pinned", (Small,), pinned)(), None).dataset_hash == "ab" * 32


def test_the_key_of_a_scoring_names_extraction_and_rule() -> None:
    scorer = CallScorer({"small": "inputs"})
    key = Scoring(as_program, scorer).key()
    assert json.loads(json.dumps(key)) == key
    assert key == {**scorer.key(), "extract": "extraction.programs.as_program"}
    others = [
        Scoring(sanitized_program, scorer),
        Scoring(as_program, replace(scorer, generation="0.2.1")),
        Scoring(as_program, replace(scorer, oracles="mbpp")),
        Scoring(as_program, replace(scorer, min_limit_s=scorer.min_limit_s + 1)),
        Scoring(as_program, replace(scorer, factor=scorer.factor + 1)),
        Scoring(as_program, replace(scorer, version=scorer.version + 1)),
        Scoring(as_program, CallScorer({"small": "others"})),
    ]
    keys = [json.dumps(other.key(), sort_keys=True) for other in others]
    assert json.dumps(key, sort_keys=True) not in keys
    assert len(set(keys)) == len(keys)


@dataclass(frozen=True)
class AfterTag:
    tag: str

    def __call__(self, problem: Problem, completion: Completion) -> str:
        return completion.text.partition(self.tag)[2]


def test_an_extraction_with_parameters_is_named_by_all_of_them() -> None:
    names = [extraction_name(AfterTag(tag)) for tag in ("[A]", "[B]")]
    assert names == ["AfterTag(tag='[A]')", "AfterTag(tag='[B]')"]


def test_an_extraction_that_nothing_tells_from_others_has_no_name() -> None:
    def local(problem: Problem, completion: Completion) -> str:
        return completion.text

    for nameless in (local, lambda problem, completion: completion.text, partial(as_program)):
        assert extraction_name(nameless) is None


# ---------------------------------------------------------------- what is shipped


SHIPPED = discover().expand(",".join(sorted(discover().entries)))


def test_the_names_that_scripts_rely_on() -> None:
    assert {"humaneval", "starter"} <= set(SHIPPED)
    assert {"gsm8k", "math"} <= {entry.name for entry in discover().entries.values() if entry.data_only}
    registry = discover()
    for name, scores in (("humaneval", ("humaneval", "humaneval+")), ("starter", ("starter",))):
        for scoring in registry.load(name).scoring.values():
            assert scoring.scorer.checks == scores


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_benchmark_keeps_the_protocol(name: str) -> None:
    registry = discover()
    entry = registry.entries[name.partition(":")[0]]
    benchmark = registry.load(name)
    validate(benchmark, entry.file)
    assert (benchmark.name, benchmark.version) == (name, entry.version)
    assert tuple(benchmark.profiles) == entry.profiles
    assert benchmark.__doc__ or Path(entry.file).read_text().startswith('"""')
    for chosen in (profile(benchmark, key) for key in benchmark.profiles):
        json.dumps(chosen.scoring.key())
        assert chosen.scoring.scorer.checks
        assert chosen.asking.rows.unseen or chosen.dataset_hash  # rows that are not here have no hash


@pytest.mark.parametrize("name", SHIPPED)
def test_every_golden_vector_is_a_row_of_its_benchmark(name: str) -> None:
    benchmark = discover().load(name)
    for vector in benchmark.golden:
        chosen = profile(benchmark, vector.profile or None)
        problem = benchmark.problem(dict(vector.row))
        assert set(vector.expect) == set(chosen.scoring.scorer.checks)
        assert set(vector.expect.values()) <= set(Outcome)
        assert isinstance(chosen.prompt(problem), Prompt)
        assert benchmark.problem(dict(vector.row)) == problem, "a pure function of the row"
        assert set(benchmark.decontaminate) & set(vector.row)


def test_the_starter_problems_need_no_download(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    chosen = profile(discover().load("starter"), None)
    problems = chosen.problems(offline=True)
    assert len(problems) == chosen.asking.rows.count == 24
    assert all(problem.reference and problem.id.startswith("starter/") for problem in problems)


@pytest.mark.parametrize("name", ["evalplus", "evalplus-sanitized", "qwen"])
def test_humanevals_problems(shared_data: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(shared_data))
    chosen = profile(discover().load("humaneval"), name)
    problems = chosen.problems(offline=True)
    assert [problem.id for problem in problems] == [f"HumanEval/{i}" for i in range(164)]
    first = problems[0]
    assert first.stub.endswith('"""\n')
    asked = chosen.asking.prompt(first)
    assert isinstance(asked, Continue)
    assert asked.text == first.stub.strip() + "\n"
    assert first.reference
    assert "test" not in first.fields


# ---------------------------------------------------------------- rows that are asked, shown, or of other versions


class Versions(Benchmark):
    name, version, reference = "versions", "1", "original"
    file = Path(__file__)
    asking = {
        "new": Asking(
            Rows(version="2", inline=tuple({"id": n} for n in range(6))),
            lambda problem, shots: Continue(" ".join([*(shot.id for shot in shots), problem.id])),
            select=lambda row: row["id"] >= 2,
            shots=lambda row: row["id"] < 2,
        ),
        "old": Asking(
            Rows(version="1", inline=tuple({"id": n} for n in range(4, 9))), lambda problem: Continue(problem.id)
        ),
        "gone": Asking(Rows(version="0", file="nowhere.jsonl", sha256="0" * 64), lambda problem: Continue("")),
    }
    scoring = {"s": Scoring(as_program, CallScorer({"versions": "inputs"}))}
    profiles = {"new": ("new", "s"), "old": ("old", "s"), "gone": ("gone", "s")}

    def problem(self, row: dict[str, Any]) -> Problem:
        return Problem(str(row["id"]), row, {})


def test_rows_are_asked_or_shown() -> None:
    chosen = profile(Versions(), "new")
    problems = chosen.problems()
    assert [problem.id for problem in problems] == ["2", "3", "4", "5"]
    assert chosen.prompt(problems[0]) == Continue("0 1 2")
    old = profile(Versions(), "old")
    assert old.prompt(old.problems()[0]) == Continue("4")


# ---------------------------------------------------------------- the data of a benchmark


NUMBERS = Rows(inline=tuple({"n": n} for n in range(9)))
OTHERS = Rows(version="2", inline=tuple({"n": n} for n in range(3)))


def numbers(**askings: Asking) -> Benchmark:
    """Its profiles are these askings, in this order; there is one more asking that no profile names."""
    unused = Asking(Rows(version="unused", inline=ROWS), prompt)
    fields = {"asking": {"unused": unused, **askings}, "profiles": {name: (name, "raw") for name in askings}}
    made: Benchmark = type("Numbers", (Small,), fields)()
    return made


def ns(benchmark: Benchmark) -> list[list[int]]:
    return [[row["n"] for row in load(rows, Path(), True, select)] for rows, select in benchmark.datasets()]


def test_the_rows_of_all_profiles_once_the_default_ones_first() -> None:
    equal = replace(NUMBERS, inline=tuple({"n": n} for n in range(9)))
    made = numbers(b=Asking(OTHERS, prompt), a=Asking(NUMBERS, prompt), c=Asking(equal, prompt))
    assert [rows for rows, _ in made.datasets()] == [OTHERS, NUMBERS]
    assert all(select is None for _, select in made.datasets())
    assert ns(made) == [[0, 1, 2], [0, 1, 2, 3, 4, 5, 6, 7, 8]]


def test_rows_that_any_asking_asks_for() -> None:
    low = Asking(NUMBERS, prompt, select=lambda row: row["n"] < 2, shots=lambda row: row["n"] == 5)
    high = Asking(NUMBERS, prompt, select=lambda row: row["n"] > 6)
    assert ns(numbers(low=low)) == [[0, 1]], "what is only shown is not asked"
    assert ns(numbers(low=low, high=high, other=Asking(OTHERS, prompt))) == [[0, 1, 7, 8], [0, 1, 2]]
    assert ns(numbers(low=low, all=Asking(NUMBERS, prompt), high=high)) == [[0, 1, 2, 3, 4, 5, 6, 7, 8]]


class Texts(DataOnly):
    name, version, reference = "texts", "1", "original"
    rows = OTHERS
    decontaminate = ("n",)
    file = Path("/nowhere/texts.py")

    def problem(self, row: dict[str, Any]) -> Problem:
        return Problem(str(row["n"]), row, {})


def test_the_rows_of_what_is_data_only() -> None:
    validate(Texts(), Texts.file)
    assert Texts().datasets() == [(OTHERS, None)]


@pytest.mark.parametrize("name", [None, "qwen"])
def test_what_is_data_only_has_no_profile(name: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        profile(Texts(), name)
    assert str(caught.value) == (
        "--bench texts: data only, with nothing to ask or to score; it is there for `qceval decontaminate`"
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_benchmark_has_data(name: str) -> None:
    benchmark = discover().load(name)
    found = benchmark.datasets()
    assert found
    assert benchmark.decontaminate
    if benchmark.profiles:
        default = profile(benchmark, None).asking
        assert found[0][0] == default.rows
        used = [profile(benchmark, each).asking.rows for each in benchmark.profiles]
        assert all(rows in used for rows, _ in found)
        assert all(rows in [each for each, _ in found] for rows in used)


def test_ids_of_other_versions_are_those_that_are_here() -> None:
    """With those of their own rows that a profile does not ask for, so with all of them."""
    assert profile(Versions(), "new").other_versions() >= {"4", "5", "6", "7", "8"}
    assert profile(Versions(), "old").other_versions() >= {"2", "3", "4", "5"}
    assert "9" not in profile(Versions(), "new").other_versions()
