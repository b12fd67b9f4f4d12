"""Benchmarks whose rows nobody here has seen, or of which only some are asked: hashes, choices, other versions."""

from __future__ import annotations

import gzip
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Profile, Scoring, profile, validate
from qwencoder_eval.datasets.rows import Row, Rows, content_hash
from qwencoder_eval.errors import DatasetError, PluginError
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.registry import discover
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Chat, Continue, Message, Problem

ROWS: list[Row] = [{"id": f"x/{number}", "month": f"2024-{number:02}"} for number in range(1, 7)]
PINNED = Rows(file="rows.jsonl", sha256=content_hash(ROWS), count=6)
UNSEEN = Rows(file="rows.jsonl", unseen=True, count=6)


def ask(problem: Problem, shots: Sequence[Problem] = ()) -> Chat:
    return Chat(tuple(Message("user", shot.id) for shot in (*shots, problem)))


class Months(Benchmark):
    name = "months"
    version = "1"
    reference = "original"
    asking = {"all": Asking(PINNED, ask)}
    scoring = {"calls": Scoring(as_program, CallScorer({"months": "inputs"}))}
    profiles = {"months": ("all", "calls")}
    decontaminate = ("id",)
    golden = (Golden({}, "", {"months": "passed"}), Golden({}, "x", {"months": "wrong"}))

    def problem(self, row: Row) -> Problem:
        return Problem(row["id"], {"month": row["month"]}, {})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The benchmark's own folder with its rows in it; no other data, and nothing that fetches."""
    (tmp_path / "nothing").mkdir()
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path / "nothing"))
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / "own-cache"))
    for name in ("evalplus", "datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    write(tmp_path / "rows.jsonl", ROWS)
    return tmp_path


def write(path: Path, rows: Sequence[Row]) -> None:
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def months(folder: Path, **askings: Asking) -> Months:
    """The benchmark with these askings, each with a profile of its own."""
    profiles = {name: (name, "calls") for name in askings}
    fields = {"asking": askings, "profiles": profiles, "file": folder / "months.py"}
    made: Months = type("Changed", (Months,), fields)()
    return made


def chosen(folder: Path, rows: Rows, select: Callable[[Row], bool] | None = None, **others: Any) -> Profile:
    return profile(months(folder, own=Asking(rows, ask, select=select, **others)), None)


def summer(row: Row) -> bool:
    return bool("2024-05" <= row["month"] <= "2024-08")


# ---------------------------------------------------------------- registration


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (Rows(file="x"), "asking['own'].rows: has no sha256; write sha256='?'"),
        (Rows(file="x", sha256="0" * 64, unseen=True), "asking['own'].rows: has "),
        (Rows(file="x", sha256="?", unseen=True), "asking['own'].rows: has "),
        (Rows(unseen=True), "asking['own'].rows: has no rows or two kinds"),
        (Rows(more=("x",), unseen=True), "asking['own'].rows: has no rows or two kinds"),
    ],
)
def test_rows_have_a_pin_or_are_unseen(tmp_path: Path, rows: Rows, said: str) -> None:
    with pytest.raises(PluginError) as caught:
        validate(months(tmp_path, own=Asking(rows, ask)), tmp_path / "months.py")
    assert str(caught.value).startswith(f"{tmp_path}/months.py: {said}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "rows",
    [PINNED, UNSEEN, replace(UNSEEN, more=("y",), join=("z", "id")), Rows(file="x", sha256="?"), Rows(inline=({},))],
)
def test_one_of_both_is_taken(tmp_path: Path, rows: Rows) -> None:
    validate(months(tmp_path, own=Asking(rows, ask)), tmp_path / "months.py")


def test_what_ships_unseen_is_known() -> None:
    """Rows without a pin are an exception, for data that is out of reach; each of them is named here."""
    registry = discover()
    unseen = set()
    for entry in registry.entries.values():
        benchmark = registry.load(f"{entry.name}:{entry.parts[0]}" if not entry.has("") else entry.name)
        unseen |= {entry.name for asking in benchmark.asking.values() if asking.rows.unseen}
    assert unseen == {
        "livecodebench", "livecodebench-execution", "livecodebench-repair", "livecodebench-test-output",
        "crosscodeeval", "crosscodelongeval", "repoeval", "safim", "execrepobench", "bird-mysql", "bird-postgresql",
    }  # fmt: skip


# ---------------------------------------------------------------- what is recorded


def test_unseen_rows_are_recorded_by_the_hash_of_what_was_found(folder: Path) -> None:
    own = chosen(folder, UNSEEN)
    own.problems()
    assert own.dataset_hash == content_hash(ROWS)
    changed = [*ROWS[:5], {"id": "x/6", "month": "2025-06"}]
    write(folder / "rows.jsonl", changed)
    assert own.dataset_hash == content_hash(ROWS), "what the run was made from"
    own.problems()
    assert own.dataset_hash == content_hash(changed)


def test_the_hash_is_found_out_where_no_problem_was_read_yet(folder: Path) -> None:
    assert chosen(folder, UNSEEN).dataset_hash == content_hash(ROWS)
    (folder / "rows.jsonl").unlink()
    with pytest.raises(DatasetError, match=r"^rows.jsonl: not found"):
        _ = chosen(folder, UNSEEN).dataset_hash
    assert chosen(folder, PINNED).dataset_hash == content_hash(ROWS), "a pin needs no file"


def test_the_hash_of_a_choice_is_that_of_all_rows(folder: Path) -> None:
    for rows in (UNSEEN, PINNED, Rows(inline=tuple(ROWS))):
        own = chosen(folder, rows, summer)
        assert [problem.id for problem in own.problems()] == ["x/5", "x/6"]
        assert own.dataset_hash == content_hash(ROWS)


def test_two_profiles_of_one_benchmark_have_hashes_of_their_own(folder: Path) -> None:
    write(folder / "other.jsonl", ROWS[:2])
    both = months(folder, one=Asking(UNSEEN, ask), two=Asking(Rows(file="other.jsonl", unseen=True), ask))
    assert profile(both, "one").dataset_hash == content_hash(ROWS)
    assert profile(both, "two").dataset_hash == content_hash(ROWS[:2])


def test_rows_that_are_not_asked_for_can_still_be_examples(folder: Path) -> None:
    own = chosen(folder, UNSEEN, summer, shots=lambda row: row["id"] in ("x/1", "x/5"))
    problems = own.problems()
    assert [problem.id for problem in problems] == ["x/5", "x/6"]
    prompt = own.prompt(problems[1])
    assert isinstance(prompt, Chat)
    assert [message.content for message in prompt.messages] == ["x/1", "x/5", "x/6"]


def test_rows_that_are_not_asked_for_are_not_made_problems_of(folder: Path) -> None:
    """Those of other windows may be anything: only the choice looks at them."""
    write(folder / "rows.jsonl", [*ROWS[:4], {"month": "2020-01"}, ROWS[5]])
    assert [problem.id for problem in chosen(folder, UNSEEN, summer).problems()] == ["x/6"]


def test_rows_that_a_choice_cannot_read_are_refused_in_one_line(folder: Path) -> None:
    write(folder / "rows.jsonl", [*ROWS[:5], {"id": "x/6"}])
    with pytest.raises(DatasetError, match=r"KeyError: 'month'; the rows are not what this benchmark expects$"):
        chosen(folder, UNSEEN, summer).problems()


# ---------------------------------------------------------------- what samples may be of


@pytest.mark.parametrize("rows", [UNSEEN, PINNED])
def test_rows_that_are_not_asked_for_are_known_to_samples(folder: Path, rows: Rows) -> None:
    assert chosen(folder, rows, summer).other_versions() == {row["id"] for row in ROWS}


def test_inline_rows_are_known_to_samples(folder: Path) -> None:
    assert chosen(folder, Rows(inline=tuple(ROWS)), summer).other_versions() == {row["id"] for row in ROWS}
    both = months(folder, own=Asking(PINNED, ask), inline=Asking(Rows(inline=({"id": "inline/1", "month": ""},)), ask))
    assert "inline/1" in profile(both, "own").other_versions()


def test_all_files_of_all_profiles_are_known_to_samples(folder: Path) -> None:
    write(folder / "deep" / "old.jsonl.gz", [{"id": "old/1", "month": "2020-01"}])
    write(folder / "more.jsonl", [{"id": "more/1", "month": "2020-02"}])
    write(folder / "joined.jsonl", [{"id": "joined/1", "month": "2020-03"}])
    both = months(
        folder,
        own=Asking(PINNED, ask, select=summer),
        old=Asking(Rows(file="deep/old.jsonl.gz", more=("more.jsonl",), unseen=True), ask),
        joined=Asking(Rows(file="joined.jsonl", join=("nothing.jsonl", "id"), unseen=True), ask),
        gone=Asking(Rows(file="gone.jsonl", unseen=True), ask),
    )
    found = profile(both, "own").other_versions()
    assert found == {row["id"] for row in ROWS} | {"old/1", "more/1", "joined/1"}


def test_other_versions_need_not_match_their_pins(folder: Path) -> None:
    """Samples of a version that somebody has, whichever: only the rows that are asked are held against a pin."""
    write(folder / "old.jsonl", [{"id": "old/1", "month": ""}])
    pinned = Rows(file="old.jsonl", sha256="0" * 64, count=99)
    both = months(folder, own=Asking(PINNED, ask), old=Asking(pinned, ask))
    assert "old/1" in profile(both, "own").other_versions()


def test_other_versions_in_the_cache_are_known_to_samples(folder: Path) -> None:
    old = [{"id": "old/1", "month": ""}]
    rows = Rows(file="old.jsonl", sha256=content_hash(old), count=1, release=("Any", "v1"))
    write(rows.cached, old)
    both = months(folder, own=Asking(PINNED, ask), old=Asking(rows, ask))
    assert [problem.id for problem in profile(both, "old").problems(offline=True)] == ["old/1"]
    assert "old/1" in profile(both, "own").other_versions()


def test_another_version_of_another_shape_is_refused_in_one_line(folder: Path) -> None:
    write(folder / "old.jsonl", [{"task": "old/1"}])
    both = months(folder, own=Asking(PINNED, ask), old=Asking(Rows(file="old.jsonl", unseen=True), ask))
    with pytest.raises(DatasetError, match=re.escape("KeyError: 'id'")):
        profile(both, "own").other_versions()


def test_prompts_without_examples_take_one_argument(folder: Path) -> None:
    own = profile(months(folder, own=Asking(UNSEEN, lambda problem: Continue(problem.id))), None)
    assert own.prompt(own.problems()[0]) == Continue("x/1")
