"""What is known of the databases that questions are asked about, and what is refused."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.datasets.databases import add_databases, described
from qwencoder_eval.errors import DatasetError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    described.cache_clear()  # of another test's folder of the same name
    yield tmp_path
    described.cache_clear()


def make(path: Path, *statements: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return path


def database(data: Path, *statements: str, place: str = "here", name: str = "d") -> Path:
    return make(data / place / name / f"{name}.sqlite", *statements)


def known(*places: str, name: str = "d") -> dict[str, Any]:
    rows: list[dict[str, Any]] = [{"db_id": name}]
    add_databases(rows, places or ("here",))
    found: dict[str, Any] = rows[0]["database"]
    return found


def tables(found: dict[str, Any]) -> list[tuple[str, Sequence[str], Sequence[Sequence[str]]]]:
    return [(table["name"], table["columns"], table["examples"]) for table in found["tables"]]


def test_tables_come_in_the_order_of_the_schema_with_their_rows_as_text(data: Path) -> None:
    create = "CREATE TABLE b (id INTEGER, name TEXT,\n  weight REAL, raw BLOB)"
    database(
        data,
        create,
        "CREATE TABLE a (x)",
        "INSERT INTO b VALUES (1, NULL, 0.5, x'00ff'), (2, 'ü', 1e999, NULL), (3, '', 3, ''), (4, 'd', 4, '')",
    )
    found = known()
    assert (found["place"], found["files"], found["rows"]) == ("here", ["d/d.sqlite"], 4)
    rows = [["1", "None", "0.5", "b'\\x00\\xff'"], ["2", "ü", "inf", "None"], ["3", "", "3.0", ""]]
    assert tables(found) == [("b", ["id", "name", "weight", "raw"], rows), ("a", ["x"], [])]
    assert found["tables"][0]["create"] == create


@pytest.mark.parametrize("name", ["two words", 'quo"te', "order", "tick`", "semi;colon", "日本", "it's", "[x]", "--"])
def test_tables_with_odd_names(data: Path, name: str) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    database(data, f"CREATE TABLE {quoted} (a)", f"INSERT INTO {quoted} VALUES (1)")
    assert tables(known()) == [(name, ["a"], [["1"]])]


def test_a_counter_of_keys_is_a_table_and_a_view_is_none(data: Path) -> None:
    database(
        data,
        "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO a VALUES (7)",
        "CREATE VIEW v AS SELECT * FROM a",
        "CREATE INDEX i ON a (id)",
    )
    assert tables(known()) == [("a", ["id"], [["7"]]), ("sqlite_sequence", ["name", "seq"], [["a", "7"]])]


def test_a_database_without_rows_is_known_as_such(data: Path) -> None:
    database(data, "CREATE TABLE a (x)")
    assert known()["rows"] == 0


def test_text_that_is_no_utf_8_loses_what_is_wrong(data: Path) -> None:
    database(data, "CREATE TABLE a (x TEXT)", "INSERT INTO a VALUES (CAST(x'41ff42' AS TEXT))")
    assert tables(known()) == [("a", ["x"], [["AB"]])]


def test_further_databases_of_a_test_suite(data: Path) -> None:
    first = database(data, "CREATE TABLE a (x)")
    for name in ("a.sqlite", "d_2.sqlite", "d.sqlite_3"):
        make(first.with_name(name), "CREATE TABLE a (x)")
    for name in ("d.sqlite-journal", "d.sqlite-wal", "d.sqlite-shm", "schema.sql", "notes.txt"):
        first.with_name(name).write_text("")
    first.with_name("folder.sqlite").mkdir()
    first.with_name("link.sqlite").symlink_to(first)
    for path in first.parent.glob("*-*"):
        path.touch()
    assert known()["files"] == ["d/d.sqlite", "d/a.sqlite", "d/d.sqlite_3", "d/d_2.sqlite"]


def test_the_first_place_that_is_there_counts(data: Path) -> None:
    database(data, "CREATE TABLE a (x)", place="second")
    assert known("first", "second")["place"] == "second"
    database(data, "CREATE TABLE a (x)", place="first")
    described.cache_clear()
    assert known("first", "second")["place"] == "first"


def test_no_place_at_all(data: Path) -> None:
    (data / "here").write_text("a file")
    with pytest.raises(DatasetError, match=r"^here: .+; .+"):
        known()
    with pytest.raises(DatasetError, match=r"nowhere: not found in .+; .+"):
        known("nowhere", "neither")


@pytest.mark.parametrize("name", ["", ".", "..", "../d", "../there/d", "d/../d", "/etc", "d/", "e", "d\0", "d" * 300])
def test_a_name_that_leads_elsewhere_or_nowhere(data: Path, name: str) -> None:
    database(data, "CREATE TABLE a (x)")
    database(data, "CREATE TABLE a (x)", place="there")
    make(data / "...sqlite", "CREATE TABLE a (x)")
    make(data / "here" / ".sqlite", "CREATE TABLE a (x)")
    with pytest.raises(DatasetError, match="not found; get the databases again"):
        known(name=name)


def test_a_link_out_of_the_folder(data: Path) -> None:
    real = make(data / "elsewhere.sqlite", "CREATE TABLE a (x)")
    (data / "here" / "d").mkdir(parents=True)
    (data / "here" / "d" / "d.sqlite").symlink_to(real)
    with pytest.raises(DatasetError, match=r"d\.sqlite: leads out of the folder.*; put the file itself there"):
        known()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "has no tables"),
        (b"this is no database at all\n" * 500, "not a database that can be read .*not a database"),
    ],
    ids=["empty", "text"],
)
def test_a_file_that_is_no_database(data: Path, content: bytes, said: str) -> None:
    path = data / "here" / "d" / "d.sqlite"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=rf"d\.sqlite: {said}.*; get it again"):
        known()


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_database_that_was_cut(data: Path, kept: float) -> None:
    many = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r LIMIT 20000) SELECT x, 'abcdefgh' FROM r"
    path = database(data, "CREATE TABLE a (x, y)", f"INSERT INTO a {many}")
    os.truncate(path, int(path.stat().st_size * kept))
    with pytest.raises(DatasetError, match=r"d\.sqlite: not a database that can be read .*; get it again"):
        known()


def test_a_lock_does_not_matter_and_nothing_is_written(data: Path) -> None:
    path = database(data, "CREATE TABLE a (x)", "INSERT INTO a VALUES (1)")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        before = sorted(path.parent.iterdir())
        assert known()["rows"] == 1
        assert sorted(path.parent.iterdir()) == before
