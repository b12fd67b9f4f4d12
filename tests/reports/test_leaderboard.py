"""What stands in which column, which run counts, and what is marked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.reports.families import family, size_of, stem
from qwencoder_eval.reports.leaderboard import Leaderboard, Row, leaderboard, letter, significant
from qwencoder_eval.runs.reading import all_finished


def board_of(results: Path, **options: Any) -> Leaderboard:
    return leaderboard(all_finished([results])[0], **options)


def row_named(board: Leaderboard, name: str) -> Row:
    return next(row for row in board.rows if row.name == name)


def best_of(board: Leaderboard) -> list[tuple[str, str]]:
    return [(row.name, key.partition("/")[2]) for (row, key), cell in board.cells.items() if cell.best]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"dataset": "e" * 64}, "dataset eeeeeeee"),
        ({"profile": "q"}, ""),
        ({"version": "v2", "dataset": "e" * 64}, ""),
        ({"scoring": {"version": 2}}, "rule"),
        ({"scoring": {"tests": "u"}}, "rule"),
        ({"benchmark": "other"}, ""),
    ],
)
def test_what_differs_never_shares_a_column(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    made_run(tmp_path, outcomes_of([1, 0]), model="a")
    made_run(tmp_path, outcomes_of([1, 1]), model="b", **change)
    board = board_of(tmp_path)
    assert len(board.columns) == 2
    assert len({column.name + column.benchmark for column in board.columns}) == 2
    assert [sum(board.cell(row, column) is not None for row in board.rows) for column in board.columns] == [1, 1]
    assert any(column.told_apart.startswith(told) for column in board.columns)


def test_the_same_rules_on_another_machine_share_a_column(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1, 0]), model="a")
    made_run(tmp_path, outcomes_of([1, 1]), model="b", scoring={"sandbox": {"python": {"image": "other"}}})
    assert len(board_of(tmp_path).columns) == 1


def test_a_partial_run_stands_in_a_column_of_its_own_and_is_marked(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1, 0, 1]), model="a")
    made_run(tmp_path, outcomes_of([1, 0]), model="b", notes=["partial: 2 of 3 problems"])
    board = board_of(tmp_path)
    assert sorted(column.told_apart for column in board.columns) == ["2 problems", "3 problems"]
    assert board.legend == {"partial: 2 of 3 problems": "a"}
    assert [cell.notes for cell in board.cells.values() if cell.notes] == [("partial: 2 of 3 problems",)]


def test_of_two_runs_of_a_model_the_later_one_counts_and_the_other_is_said(tmp_path: Path) -> None:
    later = made_run(tmp_path, outcomes_of([1, 1]), started="2026-02-01T00:00:00Z", folder="x")
    earlier = made_run(tmp_path, outcomes_of([0, 0]), started="2026-01-01T00:00:00Z", folder="y")
    board = board_of(tmp_path)
    assert [cell.value for cell in board.cells.values()] == [1.0]
    assert board.said == [f"{earlier}: does not count, as {later} is a later run of the same model and rules"]


def test_other_weights_under_the_same_name_are_another_row(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1, 1]), generation={"revision": "1" * 40}, folder="x")
    made_run(tmp_path, outcomes_of([0, 1]), generation={"revision": "2" * 40}, folder="y")
    made_run(tmp_path, outcomes_of([0, 0]), folder="z")
    names = [row.name for row in board_of(tmp_path).rows]
    assert names == ["model (111111111111)", "model (222222222222)", "model (weights not known)"]


def test_notes_are_marked_and_have_letters(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1, 0]), model="reference", notes=["reference solutions"])
    made_run(tmp_path, outcomes_of([1, 0]), model="a", notes=["unsandboxed"])
    board = board_of(tmp_path)
    assert list(board.legend.values()) == ["a", "b", "c"]
    assert set(board.legend) == {"ceiling: the reference solutions reach 50.0 %", "reference solutions", "unsandboxed"}
    assert [row.kind for row in board.rows] == ["model", "reference solutions"]
    assert [letter(number) for number in (0, 25, 26, 27, 52, 701, 702)] == ["a", "z", "aa", "ab", "ba", "zz", "aaa"]


def test_a_ceiling_under_one_is_told_at_its_column_only(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1, 0]), model="reference", notes=["reference solutions"])
    made_run(tmp_path, outcomes_of([1, 1]), model="reference", notes=["reference solutions"], profile="q")
    ceilings = {column.profile: (column.ceiling, column.notes) for column in board_of(tmp_path).columns}
    assert ceilings == {"p": (0.5, ("ceiling: the reference solutions reach 50.0 %",)), "q": (None, ())}


# -- the best ------------------------------------------------------------------------------------------


def test_the_best_is_marked_where_it_is_clearly_ahead(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1] * 6 + [0]), model="a")
    made_run(tmp_path, outcomes_of([0] * 6 + [0]), model="b")
    assert best_of(board_of(tmp_path)) == [("a", "bench/pass@1")]


@pytest.mark.parametrize(
    "other",
    [
        pytest.param([1] + [0] * 6, id="five of five flips are p = 0.0625"),
        pytest.param([1] * 6 + [0], id="equal"),
        pytest.param([0, 0, 0, 0, 0, 0, 1], id="six of seven flips are p = 0.125"),
    ],
)
def test_nothing_is_marked_where_it_may_be_chance(tmp_path: Path, other: list[int]) -> None:
    made_run(tmp_path, outcomes_of([1] * 6 + [0]), model="a")
    made_run(tmp_path, outcomes_of(other), model="b")
    assert best_of(board_of(tmp_path)) == []


@pytest.mark.parametrize("note", ["reference solutions", "unsandboxed"])
def test_references_and_unsandboxed_runs_are_never_best(tmp_path: Path, note: str) -> None:
    made_run(tmp_path, outcomes_of([1] * 9), model="a", notes=[note])
    made_run(tmp_path, outcomes_of([1] * 6 + [0] * 3), model="b")
    made_run(tmp_path, outcomes_of([0] * 9), model="c")
    assert best_of(board_of(tmp_path)) == [("b", "bench/pass@1")]


def test_a_model_alone_is_not_best(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1] * 9), model="a")
    assert best_of(board_of(tmp_path)) == []


def test_samples_of_different_number_are_held_against_each_other_by_their_share() -> None:
    two = {f"p{at}": (2, 2) for at in range(6)}
    three = {f"p{at}": (3, 3) for at in range(6)}
    none = {f"p{at}": (3, 0) for at in range(6)}
    assert significant(two, none)
    assert not significant(two, three)
    assert not significant({}, none)


def test_only_pass_at_1_is_tested(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([[1] * 10] * 8), model="a")
    made_run(tmp_path, outcomes_of([[0] * 10] * 8), model="b")
    board = board_of(tmp_path)
    assert [column.metric for column in board.columns] == ["pass@1", "pass@10"]
    assert best_of(board) == [("a", "bench/pass@1")]


# -- means of parts --------------------------------------------------------------------------------------


def parts(results: Path, model: str, **right: list[int]) -> None:
    for part, outcomes in right.items():
        name = f"multi:{part}"
        made_run(
            results, outcomes_of(outcomes, name), model=model, benchmark=name, notes=["unsandboxed"] * (part == "d")
        )


def test_the_mean_of_parts_stands_behind_them_and_says_of_which(tmp_path: Path) -> None:
    parts(tmp_path, "a", c=[1, 0], d=[1, 1], e=[0, 0])
    board = board_of(tmp_path, apart={"multi": {"e": "another matter"}})
    mean = board.columns[-1]
    assert [column.check for column in board.columns] == ["multi:c", "multi:d", "multi:e", "multi"]
    cell = board.cell(board.rows[0], mean)
    assert cell is not None
    assert (cell.value, cell.problems, cell.run, cell.notes) == (0.75, 4, None, ("unsandboxed",))
    assert mean.told_apart == "2 parts"
    assert mean.notes == ("multi: mean of 2 parts, each weighing the same: c, d",)
    assert [board.cells[board.rows[0], key].value for key in mean.parts.values()] == [0.5, 1.0]


def test_parts_weigh_as_many_problems_as_they_have_where_the_benchmark_says_so(tmp_path: Path) -> None:
    parts(tmp_path, "a", c=[1, 1, 1], e=[0])
    board = board_of(tmp_path, apart={"multi": {}}, weighted={"multi"})
    mean = board.columns[-1]
    cell = board.cell(board.rows[0], mean)
    assert cell is not None
    assert (cell.value, cell.problems) == (0.75, 4)
    assert mean.notes == ("multi: mean of 2 parts, each weighing as many problems as it has: c, e",)


def test_means_of_other_parts_are_other_columns(tmp_path: Path) -> None:
    parts(tmp_path, "a", c=[1, 0], d=[1, 1], e=[0, 0])
    parts(tmp_path, "b", c=[1, 0], d=[1, 1])
    board = board_of(tmp_path, apart={"multi": {}})
    assert [column.told_apart for column in board.columns if column.parts] == ["2 parts", "3 parts"]


def test_without_the_benchmark_there_is_no_mean(tmp_path: Path) -> None:
    parts(tmp_path, "a", c=[1, 0], d=[1, 1])
    assert all(not column.parts for column in board_of(tmp_path).columns)


def test_runs_that_were_sampled_in_different_ways_say_so(tmp_path: Path) -> None:
    greedy = {"sampling": {"temperature": 0.0}}
    made_run(tmp_path, outcomes_of([1, 0]), model="a", generation=greedy)
    made_run(tmp_path, outcomes_of([1, 1]), model="b", generation=greedy)
    assert board_of(tmp_path).legend == {}
    made_run(tmp_path, outcomes_of([[1, 0], [1, 1]]), model="c", generation={"sampling": {"temperature": 0.2}})
    made_run(tmp_path, outcomes_of([1, 0]), model="d", generation={"model": "replay", **greedy})
    found = {row.name: cell.notes for (row, _), cell in board_of(tmp_path).cells.items()}
    plain = ("sampling: n 1, temperature 0",)
    assert found == {"a": plain, "b": plain, "c": ("sampling: n 2, temperature 0.2",), "d": ("sampling: n 1",)}


# -- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("Qwen/Qwen2.5-Coder-1.5B", 1.5),
        ("Qwen2.5-Coder-0.5b-Instruct", 0.5),
        ("Qwen3-Coder-30B-A3B-Instruct", 30),
        ("SmolLM-360M", 0.36),
        ("Mixtral-8x7B", None),
        ("gpt-4o-2024-08-06", None),
        ("a-3bit-model", None),
        ("", None),
    ],
)
def test_the_size_in_a_name(model: str, size: float | None) -> None:
    assert size_of(model) == size


def test_models_of_a_series_stand_together_by_size(tmp_path: Path) -> None:
    for model in ("z/m-14B", "z/m-0.5B", "y/k-7b", "z/m-3B", "untold"):
        made_run(tmp_path, outcomes_of([1, 0]), model=model)
    board = board_of(tmp_path, sizes={"untold": 2.0})
    assert [row.model for row in board.rows] == ["y/k-7b", "z/m-0.5B", "z/m-3B", "z/m-14B", "untold"]
    assert row_named(board, "untold").size == 2.0
    assert stem("z/m-14B") == stem("x/m-0.5B") == "m"


def test_families_in_the_order_of_the_report() -> None:
    names = [
        "bird",
        "needle-in-the-code",
        "humaneval-fim:java",
        "cruxeval-i",
        "multipl-e:cpp",
        "mbpp",
        "humaneval",
        "own",
    ]
    assert [family(name)[2] for name in sorted(names, key=family)] == [
        "Code generation", "Code generation", "Multilingual", "Code reasoning", "Code completion", "Long context",
        "Text-to-SQL", "Other",
    ]  # fmt: skip
