"""Rows out of several files, joined with another, chosen as they are read, and rows that nobody here has seen."""

from __future__ import annotations

import gzip
import hashlib
import json
import sys
import tracemalloc
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.datasets import rows as module
from qwencoder_eval.datasets.rows import Found, Row, Rows, content_hash, load, locate
from qwencoder_eval.errors import DatasetError, UnpinnedError

FIRST: list[Row] = [{"id": "a", "n": 1}, {"id": "b", "n": 2}]
SECOND: list[Row] = [{"id": "c", "n": 3}]
THIRD: list[Row] = [{"id": "d", "n": 4}, {"id": "e", "n": 5}]
ALL: list[Row] = [*FIRST, *SECOND, *THIRD]
TESTS: list[Row] = [{"id": "e", "tests": "[5]"}, {"id": "a", "tests": "[1]", "n": 100}, {"id": "z", "tests": "[0]"}]
FILES = ("x/one.jsonl", "x/two.jsonl.gz", "x/three.json")
SEVERAL = Rows(file=FILES[0], more=FILES[1:], sha256=content_hash(ALL), count=5)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty $QCEVAL_DATA, an empty cache, and nothing that fetches."""
    folder = tmp_path / "data"
    (folder / "x").mkdir(parents=True)
    monkeypatch.setenv("QCEVAL_DATA", str(folder))
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / "own-cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in ("evalplus", "datasets"):
        monkeypatch.setitem(sys.modules, name, None)
    return folder


@pytest.fixture
def beside(tmp_path: Path) -> Path:
    (tmp_path / "benchmarks" / "x").mkdir(parents=True)
    return tmp_path / "benchmarks"


def lines(rows: Iterable[Row]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write(folder: Path) -> None:
    (folder / FILES[0]).write_bytes(lines(FIRST))
    (folder / FILES[1]).write_bytes(gzip.compress(lines(SECOND)))
    (folder / FILES[2]).write_text(json.dumps(THIRD))


def refused(rows: Rows, beside: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        load(rows, beside, offline=True)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# ---------------------------------------------------------------- several files


def test_rows_come_in_the_order_of_the_files(data: Path, beside: Path) -> None:
    write(data)
    found = load(SEVERAL, beside, offline=True)
    assert found == ALL
    assert (found.sha256, found.total) == (content_hash(ALL), 5)
    assert locate(SEVERAL, beside) == data / FILES[0]
    turned = Rows(file=FILES[2], more=(FILES[0],), unseen=True)
    assert load(turned, beside) == [*THIRD, *FIRST]


@pytest.mark.parametrize("missing", FILES)
def test_where_one_is_missing_they_are_not_there(data: Path, beside: Path, missing: str) -> None:
    write(data)
    (data / missing).unlink()
    assert locate(SEVERAL, beside) is None
    assert refused(SEVERAL, beside).startswith(f"{FILES[0]}: not found, and --offline forbids fetching it; ")
    (data / missing).mkdir()
    assert locate(SEVERAL, beside) is None, "a folder of that name is no file"


def test_all_of_them_are_from_one_folder(data: Path, beside: Path) -> None:
    """Half of a release beside the benchmark and half in the data: no release that anybody has."""
    write(data)
    (beside / FILES[0]).write_bytes(lines(FIRST[:1]))
    assert locate(SEVERAL, beside) == data / FILES[0]
    assert load(SEVERAL, beside) == ALL
    write(beside)
    assert locate(SEVERAL, beside) == beside / FILES[0]
    (data / FILES[1]).unlink()
    (beside / FILES[2]).unlink()
    assert locate(SEVERAL, beside) is None


@pytest.mark.parametrize("changed", FILES)
def test_a_change_in_any_of_them_is_noticed(data: Path, beside: Path, changed: str) -> None:
    write(data)
    other = json.dumps([{"id": "other", "n": 0}] * {FILES[0]: 2, FILES[1]: 1, FILES[2]: 2}[changed]).encode()
    other = other if changed.endswith(".json") else lines(json.loads(other))
    (data / changed).write_bytes(gzip.compress(other) if changed.endswith(".gz") else other)
    assert f"the pin says {content_hash(ALL)}" in refused(SEVERAL, beside)


def test_a_file_that_cannot_be_read_is_named(data: Path, beside: Path) -> None:
    write(data)
    (data / FILES[2]).write_bytes(b"[{")
    assert refused(SEVERAL, beside).startswith(f"{data / FILES[2]}: cannot be parsed")
    (data / FILES[1]).write_bytes(b"no gzip")
    assert refused(SEVERAL, beside).startswith(f"{data / FILES[1]}: cannot be read")


def test_what_was_fetched_before_is_read_from_the_cache(data: Path, beside: Path) -> None:
    """The cache holds the rows of all files, joined, in one."""
    joined = Rows(file=FILES[0], more=FILES[1:], join=("x/tests.jsonl", "id"), sha256=content_hash(ALL), count=5)
    joined.cached.parent.mkdir(parents=True)
    joined.cached.write_bytes(lines(ALL))
    assert locate(joined, beside) == joined.cached
    assert load(joined, beside, offline=True) == ALL


def test_releases_of_more_files_have_places_of_their_own_in_the_cache() -> None:
    places = [
        Rows(file="a", hub="h", unseen=True, **more).cached
        for more in ({}, {"more": ("b",)}, {"more": ("b", "c")}, {"join": ("b", "id")}, {"join": ("b", "n")})
    ]
    assert len(set(places)) == 5


# ---------------------------------------------------------------- joined with another file


def test_a_join_adds_fields_and_leaves_out_rows_without(data: Path, beside: Path) -> None:
    write(data)
    (data / "x/tests.jsonl").write_bytes(lines(TESTS))
    joined = [{"id": "a", "n": 100, "tests": "[1]"}, {"id": "e", "n": 5, "tests": "[5]"}]
    rows = Rows(
        file=FILES[0], more=FILES[1:], join=("x/tests.jsonl", "id"), sha256=content_hash(joined), count=2
    )  # fmt: skip
    found = load(rows, beside, offline=True)
    assert found == joined, "in the order of the rows, with the other file's word where both have a field"
    assert (found.total, found.sha256) == (2, content_hash(joined))


def test_without_the_other_file_nothing_is_there(data: Path, beside: Path) -> None:
    write(data)
    rows = Rows(file=FILES[0], join=("x/tests.jsonl", "id"), unseen=True)
    assert locate(rows, beside) is None
    assert "not found" in refused(rows, beside)
    (data / "x/tests.jsonl").write_bytes(lines(TESTS))
    assert locate(rows, beside) == data / FILES[0], "the rows, not what is joined to them"


def test_the_hash_is_that_of_the_joined_rows(data: Path, beside: Path) -> None:
    write(data)
    rows = Rows(file=FILES[0], join=("x/tests.jsonl", "id"), unseen=True)
    hashes = []
    for tests in (TESTS, [{**TESTS[1], "tests": "[2]"}], [{**TESTS[1], "tests": "[2]"}, TESTS[2]]):
        (data / "x/tests.jsonl").write_bytes(lines(tests))
        hashes.append(load(rows, beside).sha256)
    assert hashes[0] != hashes[1] == hashes[2], "rows that join nothing are none of this benchmark's"


def test_rows_without_the_field_join_nothing_of_their_own(data: Path, beside: Path) -> None:
    (data / "x/one.jsonl").write_bytes(lines([*FIRST, {"n": 7}]))
    (data / "x/tests.jsonl").write_bytes(lines(TESTS))
    rows = Rows(file="x/one.jsonl", join=("x/tests.jsonl", "id"), unseen=True)
    assert [row["id"] for row in load(rows, beside)] == ["a"]


KEYS = st.integers(0, 8)


@given(st.lists(KEYS, max_size=8), st.lists(KEYS, unique=True, max_size=8))
def test_a_join_is_what_it_says(tmp_path_factory: pytest.TempPathFactory, ours: list[int], theirs: list[int]) -> None:
    folder = tmp_path_factory.getbasetemp() / "joined"
    folder.mkdir(exist_ok=True)
    rows = [{"id": key, "at": at} for at, key in enumerate(ours)]
    (folder / "rows.jsonl").write_bytes(lines(rows))
    (folder / "tests.jsonl").write_bytes(lines({"id": key, "tests": [key]} for key in theirs))
    found = load(Rows(file="rows.jsonl", join=("tests.jsonl", "id"), unseen=True), folder)
    assert found == [{**row, "tests": [row["id"]]} for row in rows if row["id"] in theirs]


# ---------------------------------------------------------------- chosen as they are read


def test_what_is_not_chosen_still_counts_and_is_hashed(data: Path, beside: Path) -> None:
    write(data)
    seen: list[Any] = []

    def odd(row: Row) -> bool:
        seen.append(row["id"])
        return bool(row["n"] % 2)

    found = load(SEVERAL, beside, select=odd)
    assert isinstance(found, Found)
    assert [row["id"] for row in found] == ["a", "c", "e"]
    assert seen == list("abcde"), "each row once, in order"
    assert (found.total, found.sha256) == (5, content_hash(ALL))
    nothing = load(SEVERAL, beside, select=lambda row: False)
    assert (nothing, nothing.total, nothing.sha256) == ([], 5, content_hash(ALL))


def test_the_pin_is_that_of_all_rows_however_few_are_chosen(data: Path, beside: Path) -> None:
    write(data)
    kept = [row for row in ALL if row["n"] == 1]
    for rows, said in (
        (Rows(file=FILES[0], more=FILES[1:], sha256=content_hash(kept)), "rows hash to"),
        (Rows(file=FILES[0], more=FILES[1:], sha256=content_hash(ALL), count=1), "5 rows, not 1"),
    ):
        with pytest.raises(DatasetError, match=said):
            load(rows, beside, select=lambda row: row["n"] == 1)


def test_inline_rows_are_chosen_too(beside: Path) -> None:
    found = load(Rows(inline=tuple(ALL)), beside, select=lambda row: row["n"] > 3)
    assert found == THIRD
    assert (found.total, found.sha256) == (5, content_hash(ALL))


def test_joined_rows_are_chosen_by_what_was_joined(data: Path, beside: Path) -> None:
    write(data)
    (data / "x/tests.jsonl").write_bytes(lines(TESTS))
    rows = Rows(file=FILES[0], more=FILES[1:], join=("x/tests.jsonl", "id"), unseen=True)
    assert [row["id"] for row in load(rows, beside, select=lambda row: row["tests"] == "[5]")] == ["e"]


def test_memory_is_that_of_the_rows_that_are_kept(data: Path, beside: Path) -> None:
    """Tests of all contests are gigabytes; those of a window need not be."""
    text = "x" * 200_000
    with gzip.open(data / "x/large.jsonl.gz", "wt", compresslevel=1) as file:
        for number in range(200):
            file.write(json.dumps({"id": number, "tests": text}) + "\n")
    rows = Rows(file="x/large.jsonl.gz", unseen=True, count=200)
    tracemalloc.start()
    try:
        found = load(rows, beside, select=lambda row: row["id"] == 7)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found) == 1
    assert found.total == 200
    assert peak < 5e6 < 200 * len(text)


# ---------------------------------------------------------------- rows that nobody here has seen


def test_unseen_rows_need_no_pin_and_say_what_they_are(data: Path, beside: Path) -> None:
    write(data)
    unseen = Rows(file=FILES[0], unseen=True)
    assert load(unseen, beside).sha256 == content_hash(FIRST)
    (data / FILES[0]).write_bytes(lines(SECOND))
    assert load(unseen, beside).sha256 == content_hash(SECOND)
    with pytest.raises(UnpinnedError, match=f'not pinned; if these are the rows, set sha256="{content_hash(SECOND)}"'):
        load(Rows(file=FILES[0]), beside)


def test_unseen_rows_still_have_a_count(data: Path, beside: Path) -> None:
    write(data)
    assert "2 rows, not 400; get the file again or correct count" in refused(
        Rows(file=FILES[0], unseen=True, count=400), beside
    )
    assert load(Rows(file=FILES[0], unseen=True, count=2), beside).total == 2


def test_unseen_rows_are_still_rows(data: Path, beside: Path) -> None:
    (data / FILES[0]).write_bytes(b"[1]\n")
    assert "not a list of objects" in refused(Rows(file=FILES[0], unseen=True), beside)


def test_unseen_rows_that_were_fetched_are_kept(beside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(rows: Rows, _: Path) -> list[Row]:
        asked.append(rows.file)
        return [dict(row) for row in ALL]

    monkeypatch.setattr(module, "fetch", fetch)
    unseen = Rows(file="x/hub.jsonl", hub="some/where", unseen=True, count=5)
    assert load(unseen, beside, select=lambda row: bool(row["n"] == 2)) == FIRST[1:]
    found = load(unseen, beside, offline=True)
    assert found == ALL, "all of them are kept, not the chosen ones alone"
    assert found.sha256 == content_hash(ALL)
    assert asked == ["x/hub.jsonl"]


def test_the_hash_of_nothing() -> None:
    assert (Found().sha256, Found().total) == ("", 0)
    assert content_hash([]) == hashlib.sha256().hexdigest()
