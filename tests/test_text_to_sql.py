"""How text-to-SQL benchmarks ask, beside what upstream's scripts write for the same small database.

The expected texts were derived by hand from QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/bird-spider,
sql_suites/{utils,preprocess_spider,preprocess_bird}.py and the tasks under code_eval.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from qwencoder_eval.datasets.databases import tables_of
from qwencoder_eval.text_to_sql import NOTHING, answered, asked_to_think, continued, schema_text
from qwencoder_eval.types import Chat, Message, Problem

CREATE_PET = "CREATE TABLE pet (\n  id INTEGER PRIMARY KEY,\n  name TEXT,\n  weight REAL\n)"
WITH_ROWS = """CREATE TABLE pet (
  id INTEGER PRIMARY KEY,
  name TEXT,
  weight REAL
);
/*
3 example rows:
SELECT * FROM pet LIMIT 3;
id    name    weight
1    Ann    4.5
2    None    None
3        0.0
*/

CREATE TABLE owner (pet_id INT, since TEXT);
/*
3 example rows:
SELECT * FROM owner LIMIT 3;
pet_id    since
*/

"""
WITHOUT_ROWS = CREATE_PET + ";\n\nCREATE TABLE owner (pet_id INT, since TEXT);\n\n"


@pytest.fixture
def tables(tmp_path: Path) -> list[dict[str, object]]:
    path = tmp_path / "pets.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(CREATE_PET)
        connection.execute("CREATE TABLE owner (pet_id INT, since TEXT)")
        connection.execute("INSERT INTO pet VALUES (1, 'Ann', 4.5), (2, NULL, NULL), (3, '', 0), (4, 'Dan', 1)")
        connection.commit()
    return tables_of(path)[0]


def test_statements_and_three_rows_of_each_table(tables: list[dict[str, object]]) -> None:
    assert schema_text(tables, 3) == WITH_ROWS


def test_statements_alone(tables: list[dict[str, object]]) -> None:
    assert schema_text(tables, 0) == WITHOUT_ROWS


def test_no_tables() -> None:
    assert schema_text(NOTHING["tables"], 3) == ""


def test_each_way_to_ask() -> None:
    instruction = "-- Using valid SQLite, answer the following questions for the tables provided above.\n"
    fields = {"schema": "CREATE TABLE a (x);\n\n", "instruction": instruction, "question": "How many?"}
    problem = Problem("p/0", fields, {}, stub="SELECT ")
    asked = (
        "CREATE TABLE a (x);\n\n"
        "-- Using valid SQLite, answer the following questions for the tables provided above.\n"
        "Question: How many?\n"
    )
    assert continued(problem).text == asked + "\nSELECT "
    only = asked + "\nPlease output only the final SQL query, starts with keyword `SELECT`."
    assert answered(problem) == Chat((Message("user", only),))
    think = asked + "\nPlease think step-by-step and output the final SQL query between [SQL] and [/SQL]."
    assert asked_to_think(problem) == Chat((Message("user", think),))
