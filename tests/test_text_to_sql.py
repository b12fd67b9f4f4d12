"""How text-to-SQL benchmarks ask, beside what upstream's scripts write for the same small database.

The expected texts were derived by hand from QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/bird-spider,
sql_suites/{utils,preprocess_spider,preprocess_bird}.py and the tasks under code_eval.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.datasets.databases import quoted, tables_of
from qwencoder_eval.text_to_sql import NOTHING, answered, asked_to_think, continued, schema_text, schemas, words
from qwencoder_eval.types import Continue, Message, Problem, versions

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
    table = {"name": "a", "create": "CREATE TABLE a (x)", "brief": "CREATE TABLE a (x)"}
    fields = {"tables": [table], "examples": 0, "instruction": instruction, "question": "How many?"}
    problem = Problem("p/0", fields, {}, stub="SELECT ")
    asked = (
        "CREATE TABLE a (x);\n\n"
        "-- Using valid SQLite, answer the following questions for the tables provided above.\n"
        "Question: How many?\n"
    )
    assert continued(problem).text == asked + "\nSELECT "
    only = asked + "\nPlease output only the final SQL query, starts with keyword `SELECT`."
    assert answered(problem).messages == (Message("user", only),)
    think = asked + "\nPlease think step-by-step and output the final SQL query between [SQL] and [/SQL]."
    assert asked_to_think(problem).messages == (Message("user", think),)


# -- what does not fit a context --------------------------------------------------------------------

SHOP = (
    "CREATE TABLE customer (customer_id INT PRIMARY KEY, name TEXT)",
    "CREATE TABLE orders (order_id INT, CustomerID INT REFERENCES customer (customer_id), total REAL)",
    'CREATE TABLE shipping ("free of charge" INT, "order" TEXT)',
)


@pytest.fixture
def shop(tmp_path: Path) -> list[dict[str, object]]:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        for statement in SHOP:
            connection.execute(statement)
        connection.execute("INSERT INTO customer VALUES (1, 'Ann')")
        connection.commit()
    return tables_of(path)[0]


def test_rows_go_first_then_types_then_tables_that_the_question_does_not_name(shop: list[dict[str, object]]) -> None:
    customer = "CREATE TABLE customer (customer_id, name);\n\n"
    orders = "CREATE TABLE orders (order_id, CustomerID, total);\n\n"
    shipping = 'CREATE TABLE shipping ("free of charge", "order");\n\n'
    found = schemas(shop, 3, "What is the total of all orders that are free?")
    assert found[0] == schema_text(shop, 3)
    assert found[1] == "".join(f"{statement};\n\n" for statement in SHOP)
    # The question shares total and order with orders; free, of and order with shipping; nothing with customer.
    assert found[2:] == [customer + orders + shipping, orders + shipping, shipping]
    assert schemas(shop, 0, "")[0] == found[1]
    assert schemas(shop, 0, "")[1:] == [customer + orders + shipping, customer + orders, customer]


def test_a_schema_of_no_tables_has_one_form() -> None:
    assert schemas([], 0, "How many?") == [""]
    assert schemas([], 3, "How many?") == ["", ""]


def test_words_of_names() -> None:
    assert words("CustomerID of_the HTTPServer2 ORDERS") == {
        "customer",
        "id",
        "of",
        "the",
        "http",
        "server",
        "2",
        "order",
    }


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6), st.integers(0, 3), st.text(max_size=40))
def test_each_form_is_shorter_and_one_table_stays(names: list[str], examples: int, question: str) -> None:
    tables = [
        {"name": name, "create": f"CREATE TABLE {name} (x INT, y TEXT)", "brief": f"CREATE TABLE {name} (x, y)",
         "columns": ["x", "y"], "examples": [["1", "2"]]}
        for name in names
    ]  # fmt: skip
    found = schemas(tables, examples, question)
    assert all(len(one) > len(other) for one, other in pairwise(found))
    assert found[-1] in {f"CREATE TABLE {name} (x, y);\n\n" for name in names}
    assert len(found) == 1 + bool(examples) + len(names)


def test_every_way_to_ask_has_the_same_versions(shop: list[dict[str, object]]) -> None:
    fields = {"tables": shop, "examples": 3, "instruction": "-- Go.\n", "question": "Which customers?"}
    problem = Problem("p/0", fields, {}, stub="SELECT ")
    base, chat, thinking = continued(problem), answered(problem), asked_to_think(problem)
    assert len(versions(base)) == len(versions(chat)) == len(versions(thinking)) == 5
    for at, text in enumerate(schemas(shop, 3, "-- Go.\nQuestion: Which customers?\n")):
        for prompt in (base, chat, thinking):
            each = versions(prompt)[at]
            shown = each.text if isinstance(each, Continue) else each.messages[0].content
            assert shown.startswith(text + "-- Go.\nQuestion: Which customers?\n")
    assert base.shorter[-1].text.startswith("CREATE TABLE customer (customer_id, name);\n\n-- Go.")


def test_names_that_need_quotes_have_them() -> None:
    assert [quoted(name) for name in ("a_1", "1a", "a b", 'a"b', "Order", "straße")] == [
        "a_1", '"1a"', '"a b"', '"a""b"', '"Order"', '"straße"'
    ]  # fmt: skip
    assert quoted("a`b", "`") == "`a``b`"
