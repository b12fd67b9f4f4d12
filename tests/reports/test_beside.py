"""Published models beside ours."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.reports.beside import add_published
from qwencoder_eval.reports.leaderboard import Leaderboard, leaderboard
from qwencoder_eval.reports.published import Cell, cells
from qwencoder_eval.runs.reading import all_finished

QWENS = {"humaneval": ("evalplus", "qwen", "qwen-instruct"), "multipl-e": ("multipl-e", "qwen-base")}


def published(
    benchmark: str, kind: str = "base", model: str = "theirs", printed: str = "50.0", doubt: str = ""
) -> Cell:
    return Cell("report", "Table 1", model, 7.0, kind, benchmark, "pass@1", printed, doubt, "")


def board_of(results: Path, benchmark: str, profile: str) -> Leaderboard:
    made_run(results, outcomes_of([1] * 9 + [0], benchmark), benchmark=benchmark, profile=profile, model="ours")
    return leaderboard(all_finished([results])[0])


@pytest.mark.parametrize(
    ("profile", "kind", "stands"),
    [
        ("qwen", "base", True), ("qwen", "instruct", False), ("qwen-instruct", "instruct", True),
        ("qwen-instruct", "base", False), ("evalplus", "base", False), ("evalplus", "instruct", False),
    ],
)  # fmt: skip
def test_published_numbers_stand_where_their_rules_are(tmp_path: Path, profile: str, kind: str, stands: bool) -> None:
    board = add_published(board_of(tmp_path, "humaneval", profile), [published("humaneval", kind)], QWENS)
    assert [row.kind for row in board.rows] == ["model", "published"][: 1 + stands]


def test_where_nobody_wrote_qwens_rules_all_numbers_of_the_score_stand(tmp_path: Path) -> None:
    board = add_published(board_of(tmp_path, "spider", "p"), [published("spider", "instruct")], {"spider": ("p",)})
    (cell,) = [cell for (row, _), cell in board.cells.items() if row.kind == "published"]
    assert (cell.value, cell.low, cell.high, cell.best, cell.run) == (0.5, None, None, False, None)
    assert cell.notes == ("published: report, Table 1; by its rules, without an interval, never compared",)


def test_a_name_of_theirs_is_ours(tmp_path: Path) -> None:
    board = add_published(board_of(tmp_path, "multipl-e:sh", "qwen-base"), [published("multipl-e:bash")], QWENS)
    assert len(board.rows) == 2


def test_doubtful_cells_do_not_stand_and_the_first_source_counts(tmp_path: Path) -> None:
    found = [
        published("humaneval", printed="1.0", doubt="secondary"),
        published("humaneval"),
        published("humaneval", printed="2"),
    ]
    board = add_published(board_of(tmp_path, "humaneval", "qwen"), found, QWENS)
    assert [cell.value for (row, _), cell in board.cells.items() if row.kind == "published"] == [0.5]


def test_partial_runs_have_nothing_published_beside_them(tmp_path: Path) -> None:
    made_run(tmp_path, outcomes_of([1] * 3, "humaneval"), benchmark="humaneval", profile="qwen", model="part")
    board = add_published(board_of(tmp_path, "humaneval", "qwen"), [published("humaneval")], QWENS)
    assert len([row for row in board.rows if row.kind == "published"]) == 0


def test_the_table_of_published_scores_fits(tmp_path: Path) -> None:
    board = add_published(board_of(tmp_path, "humaneval", "qwen"), cells(), QWENS)
    values = {row.model: cell.value for (row, _), cell in board.cells.items() if row.kind == "published"}
    assert values["Qwen2.5-Coder-1.5B"] == pytest.approx(0.439)
