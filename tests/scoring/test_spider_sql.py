"""Spider's queries as structures: by hand, clause by clause, and all of Spider's dev set against upstream's own."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from spider_town import ROW, TOWN

from qwencoder_eval.scoring.spider_sql import DEEPEST, LONGEST, Schema, UnparsedError, parse, words

EMPTY = {
    "where": [], "groupBy": [], "having": [], "orderBy": [], "limit": None,
    "intersect": None, "union": None, "except": None,
}  # fmt: skip
NAME, AGE, HEIGHT = 6, 7, 8  # columns of person


def col(number: int, aggregate: int = 0, distinct: bool = False) -> list[Any]:
    return [aggregate, number, distinct]


def unit(number: int, aggregate: int = 0, distinct: bool = False) -> list[Any]:
    return [0, col(number, aggregate, distinct), None]


def tables(*numbers: int, on: list[Any] | None = None) -> dict[str, Any]:
    return {"table_units": [["table_unit", number] for number in numbers], "conds": on or []}


def query(columns: list[Any], source: dict[str, Any], distinct: bool = False, **clauses: Any) -> dict[str, Any]:
    return {"select": [distinct, columns], "from": source, **EMPTY, **clauses}


def names(**clauses: Any) -> dict[str, Any]:
    """The structure of ``SELECT name FROM person`` and what follows."""
    return query([[0, unit(NAME)]], tables(1), **clauses)


def is_age(value: Any, operator: int = 2, second: Any = None, negated: bool = False) -> list[Any]:
    return [negated, operator, unit(AGE), value, second]


TOWNS = query([[0, unit(2)]], tables(0))
LIVES_WITH = [False, 2, unit(4), col(10), None]
AVERAGE = query([[5, unit(AGE)]], tables(1))

# ---------------------------------------------------------------- words

WORDS: list[tuple[str, list[str]]] = [
    ("SELECT Name FROM Person", ["select", "name", "from", "person"]),
    ("count(*)", ["count", "(", "*", ")"]),
    ("a,b ; c", ["a", ",", "b", ";", "c"]),
    ("1,234 : 5", ["1,234", ":", "5"]),
    ("a,1", ["a,1"]),
    ("a.b 1.5 x.", ["a.b", "1.5", "x", "."]),
    ("x. y", ["x.", "y"]),
    ("x.)", ["x", ".", ")"]),
    ("a..b", ["a", "..", "b"]),
    ("a--b -1 - 1", ["a", "--", "b", "-1", "-", "1"]),
    ("a>1 a < 1", ["a", ">", "1", "a", "<", "1"]),
    ("a >= 1 a > = 1 a ! = 1 a<= 1", ["a", ">=", "1", "a", ">=", "1", "a", "!=", "1", "a", "<=", "1"]),
    ("a=1", ["a=1"]),
    ("a>=1", ["a", ">", "=1"]),
    ("a = 'New  York'", ["a", "=", '"New  York"']),
    ('a = "x" b', ["a", "=", '"x"', "b"]),
    ("('x','y')", ["(", '"x"', ",", '"y"', ")"]),
    ("''", ['""']),
    ("= ';,(--'", ["=", '";,(--"']),
    ("a='x'", ["a='"]),
    ("'it''s' 'b'", ["''", '"b"']),
    ("`name` [name]", ["`", "name", "`", "[", "name", "]"]),
    ("\t\n a\u3000b\u00a0c", ["a", "b", "c"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "expected"), WORDS)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


# ---------------------------------------------------------------- what is read

READ: list[tuple[str, dict[str, Any]]] = [
    ("SELECT name FROM person", names()),
    ("SELECT Person.Name FROM Person", names()),
    ("SELECT T1.name FROM person AS T1", names()),
    ("(SELECT name FROM person)", names()),
    ("SELECT name FROM person;;", names()),
    ("SELECT * FROM town", query([[0, unit(0)]], tables(0))),
    ("SELECT count(*) FROM town", query([[3, unit(0)]], tables(0))),
    ("SELECT name , age FROM person", query([[0, unit(NAME)], [0, unit(AGE)]], tables(1))),
    ("SELECT name age FROM person", query([[0, unit(NAME)], [0, unit(AGE)]], tables(1))),
    ("SELECT DISTINCT name FROM person", query([[0, unit(NAME)]], tables(1), distinct=True)),
    ("SELECT COUNT(DISTINCT name) FROM person", query([[3, unit(NAME, distinct=True)]], tables(1))),
    ("SELECT count name FROM person", query([[3, unit(NAME)]], tables(1))),
    ("SELECT max(age) , MIN(age) FROM person", query([[1, unit(AGE)], [2, unit(AGE)]], tables(1))),
    ("SELECT sum(age) , avg(age) FROM person", query([[4, unit(AGE)], [5, unit(AGE)]], tables(1))),
    ("SELECT age - height FROM person", query([[0, [1, col(AGE), col(HEIGHT)]]], tables(1))),
    ("SELECT max(age + height) FROM person", query([[1, [2, col(AGE), col(HEIGHT)]]], tables(1))),
    ("SELECT (age * height) FROM person", query([[0, [3, col(AGE), col(HEIGHT)]]], tables(1))),
    ("SELECT age / height FROM person", query([[0, [4, col(AGE), col(HEIGHT)]]], tables(1))),
    # Tables
    (
        "SELECT T2.name FROM town AS T1 JOIN person AS T2 ON T1.id = T2.town_id",
        query([[0, unit(NAME)]], tables(0, 1, on=[[False, 2, unit(1), col(5), None]])),
    ),
    (
        "SELECT name FROM town JOIN person ON town.id = person.town_id JOIN pet ON person.id = pet.owner_id",
        query([[0, unit(2)]], tables(0, 1, 2, on=[[False, 2, unit(1), col(5), None], "and", LIVES_WITH])),
    ),
    ("SELECT kind FROM town JOIN pet", query([[0, unit(12)]], tables(0, 2))),
    ("SELECT kind FROM town pet", query([[0, unit(12)]], tables(0, 2))),
    (
        "SELECT count(*) FROM (SELECT name FROM town)",
        query([[3, unit(0)]], {"table_units": [["sql", TOWNS]], "conds": []}),
    ),
    ("SELECT count(*) FROM", query([[3, unit(0)]], tables())),
    # Conditions
    ("SELECT name FROM person WHERE age = 3", names(where=[is_age(3.0)])),
    ("SELECT name FROM person WHERE age>3", names(where=[is_age(3.0, 3)])),
    ("SELECT name FROM person WHERE age<3", names(where=[is_age(3.0, 4)])),
    ("SELECT name FROM person WHERE age > = 3", names(where=[is_age(3.0, 5)])),
    ("SELECT name FROM person WHERE age <= 3.5", names(where=[is_age(3.5, 6)])),
    ("SELECT name FROM person WHERE age! = -3", names(where=[is_age(-3.0, 7)])),
    ("SELECT name FROM person WHERE age = 'It is'", names(where=[is_age('"It is"')])),
    ('SELECT name FROM person WHERE age = "It is"', names(where=[is_age('"It is"')])),
    ("SELECT name FROM person WHERE age = \"a'", names(where=[is_age('"a"')])),
    ("SELECT name FROM person WHERE age = (3)", names(where=[is_age(3.0)])),
    ("SELECT name FROM person WHERE age BETWEEN 1 AND 2", names(where=[is_age(1.0, 1, 2.0)])),
    (
        "SELECT name FROM person WHERE age BETWEEN 1 AND 2 OR age = 3",
        names(where=[is_age(1.0, 1, 2.0), "or", is_age(3.0)]),
    ),
    ("SELECT name FROM person WHERE age LIKE '%a%'", names(where=[is_age('"%a%"', 9)])),
    ("SELECT name FROM person WHERE age NOT LIKE '%a%'", names(where=[is_age('"%a%"', 9, negated=True)])),
    ("SELECT name FROM person WHERE age NOT BETWEEN 1 AND 2", names(where=[is_age(1.0, 1, 2.0, True)])),
    ("SELECT name FROM person WHERE age IN ('a')", names(where=[is_age('"a"', 8)])),
    ("SELECT name FROM person WHERE age IS 'null'", names(where=[is_age('"null"', 10)])),
    ("SELECT name FROM person WHERE age = height", names(where=[is_age(col(HEIGHT))])),
    ("SELECT name FROM person WHERE age = DISTINCT height", names(where=[is_age(col(HEIGHT, distinct=True))])),
    (
        "SELECT name FROM person WHERE age > (SELECT avg(age) FROM person)",
        names(where=[is_age(AVERAGE, 3)]),
    ),
    (
        "SELECT name FROM person WHERE age NOT IN (SELECT avg(age) FROM person) AND age = 1",
        names(where=[is_age(AVERAGE, 8, negated=True), "and", is_age(1.0)]),
    ),
    ("SELECT name FROM person WHERE", names()),
    (
        "SELECT name FROM person WHERE age - height > 3",
        names(where=[[False, 3, [1, col(AGE), col(HEIGHT)], 3.0, None]]),
    ),
    # In a comparison with a column, what follows it is passed over, and OR with it.
    ("SELECT name FROM person WHERE age = height OR age = 3", names(where=[is_age(col(HEIGHT))])),
    (
        "SELECT name FROM person WHERE age = height + 3 AND age = 3",
        names(where=[is_age(col(HEIGHT)), "and", is_age(3.0)]),
    ),
    # Groups, order, limit
    ("SELECT name FROM person GROUP BY age , name", names(groupBy=[col(AGE), col(NAME)])),
    (
        "SELECT name FROM person GROUP BY age HAVING count(*) > 2 AND avg(height) < 1",
        names(
            groupBy=[col(AGE)],
            having=[[False, 3, unit(0, 3), 2.0, None], "and", [False, 4, unit(HEIGHT, 5), 1.0, None]],
        ),
    ),
    ("SELECT name FROM person ORDER BY age", names(orderBy=["asc", [unit(AGE)]])),
    ("SELECT name FROM person ORDER BY age DESC LIMIT 3", names(orderBy=["desc", [unit(AGE)]], limit=3)),
    ("SELECT name FROM person ORDER BY age DESC , name ASC", names(orderBy=["asc", [unit(AGE), unit(NAME)]])),
    ("SELECT name FROM person ORDER BY age , name DESC", names(orderBy=["desc", [unit(AGE), unit(NAME)]])),
    ("SELECT name FROM person ORDER BY count(*)", names(orderBy=["asc", [unit(0, 3)]])),
    ("SELECT name FROM person ORDER BY count(DISTINCT age)", names(orderBy=["asc", [unit(AGE, 3, True)]])),
    ("SELECT name FROM person ORDER BY (max(age))", names(orderBy=["asc", [unit(AGE, 1)]])),
    ("SELECT name FROM person LIMIT many", names(limit=1)),
    (f"SELECT name FROM person LIMIT {'9' * 5000}", names(limit=1)),
    # Set operations
    ("SELECT name FROM person UNION SELECT name FROM town", names(union=TOWNS)),
    ("SELECT name FROM person INTERSECT (SELECT name FROM town)", names(intersect=TOWNS)),
    (
        "SELECT name FROM person WHERE age = 3 EXCEPT SELECT name FROM town",
        names(where=[is_age(3.0)], **{"except": TOWNS}),
    ),
    ("SELECT name FROM person LIMIT 2 UNION SELECT name FROM town", names(limit=2, union=TOWNS)),
    (
        "SELECT name FROM person UNION SELECT name FROM town EXCEPT SELECT name FROM town",
        names(union={**TOWNS, "except": TOWNS}),
    ),
    # Aliases hold for the whole text, and the last meaning counts.
    (
        "SELECT T1.name FROM town AS T1 WHERE T1.name IN (SELECT T1.name FROM person AS T1)",
        query([[0, unit(NAME)]], tables(0), where=[[False, 8, unit(NAME), names(), None]]),
    ),
    # A column without a table is one of the first table that has it.
    ("SELECT id , town_id FROM pet JOIN person", query([[0, unit(4)], [0, unit(11)]], tables(2, 1))),
    # What follows the end is passed over.
    ("SELECT name FROM person LIMIT 2 OFFSET 5", names(limit=2)),
    ("SELECT name FROM person ; DROP TABLE person", names()),
    ("SELECT name FROM person ) and then some", names()),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), READ)
def test_read(sql: str, expected: dict[str, Any]) -> None:
    assert as_text(parse(sql, TOWN)) == as_text(expected)


def as_text(structure: Any) -> str:
    """So that false is not 0."""
    return json.dumps(structure, sort_keys=True)


# ---------------------------------------------------------------- what is not

UNREAD: list[tuple[str, str]] = [
    ("", "no FROM"),
    ("SELECT name", "no FROM"),
    ("I cannot answer that from person", "'select' expected, not 'i'"),
    ("SELECT name FROM nobody", "no table 'nobody'"),
    ("SELECT size FROM person", "no column 'size'"),
    ("SELECT size.name FROM person", "no column 'size.name'"),
    ("SELECT person.size FROM person", "no column 'person.size'"),
    ("SELECT person.name.x FROM person", "no column 'person.name.x'"),
    ("SELECT kind FROM person", "no column 'kind'"),
    ("SELECT T1.* FROM person AS T1", "no column 't1.'"),
    ("SELECT 1 FROM person", "no column '1'"),
    ("SELECT name AS n FROM person", "no column 'as'"),
    ("SELECT name FROM person p", "no table 'p'"),
    ("SELECT name FROM person AS", "AS without an alias"),
    ("SELECT name FROM person AS town", "alias town is the name of a table"),
    ("SELECT town.name FROM town , person", "no table ','"),
    ("SELECT town.name FROM town LEFT JOIN person ON town.id = person.town_id", "no table 'left'"),
    ("SELECT count(*) FROM (SELECT name FROM town) AS T1", "no table 'as'"),
    ("SELECT count(*) FROM town JOIN (SELECT name FROM town)", "no table '('"),
    ("SELECT count(*) FROM (SELECT name FROM town", "')' expected, not ''"),
    ("SELECT count(name FROM town", "')' expected, not 'from'"),
    ("SELECT max(age) - min(age) FROM person", "no column '-'"),
    ("SELECT name FROM person ORDER BY max age", "'(' expected, not 'age'"),
    ("SELECT round(age) FROM person", "no column 'round'"),
    ("SELECT name FROM person WHERE age", "no operator ''"),
    ("SELECT name FROM person WHERE age=3", "no column 'age=3'"),
    ("SELECT name FROM person WHERE age >=3", "no column '=3'"),
    ("SELECT name FROM person WHERE age <> 3", "no column '>'"),
    ("SELECT name FROM person WHERE age BETWEEN 1 OR 2", "'and' expected, not 'or'"),
    ("SELECT name FROM person WHERE age IN (1, 2)", "')' expected, not ','"),
    ("SELECT name FROM person WHERE age IS NULL", "no column 'null'"),
    ("SELECT name FROM person WHERE age IS NOT NULL", "no column 'not'"),
    ("SELECT name FROM person WHERE EXISTS (SELECT name FROM town)", "no column 'exists'"),
    ("SELECT name FROM person WHERE NOT age = 3", "no column 'not'"),
    ("SELECT name FROM person WHERE age = (height)", "no value 'height'"),
    ("SELECT name FROM person WHERE age =", "no column ''"),
    ("SELECT name FROM person WHERE age = max(height)", "no column 'max'"),
    ("SELECT name FROM person WHERE age = GROUP BY name", "no value 'group'"),
    ("SELECT name FROM person WHERE age = 1 height = 2", "'and' or 'or' expected, not 'height'"),
    ("SELECT name FROM person WHERE age = 'it''s'", "no column \"''\""),
    ("SELECT name FROM person WHERE name = 'Mc\"Gee'", "a quote without its pair"),
    ('SELECT name FROM person WHERE name = "it\'s"', "a quote without its pair"),
    ("SELECT name FROM person HAVING age = 3", "no table 'having'"),
    ("SELECT name FROM person GROUP age", "'by' expected, not 'age'"),
    ("SELECT name FROM person ORDER age", "'by' expected, not 'age'"),
    ("SELECT name FROM person ORDER BY CASE", "no column 'case'"),
    ("SELECT name FROM person LIMIT", "LIMIT without a number"),
    ("SELECT name FROM person UNION ALL SELECT name FROM town", "'select' expected, not 'all'"),
    ("SELECT name FROM person UNION", "no FROM"),
    ("WITH t AS (SELECT name FROM town) SELECT * FROM t", "'select' expected, not 'with'"),
    ("SELECT `name` FROM person", "no column '`'"),
    ("```sql SELECT name FROM person```", "no table '`'"),
    ("SELECT " + "x" * 99 + " FROM person", f"no column '{'x' * 40}'"),
]


@pytest.mark.parametrize(("sql", "reason"), UNREAD)
def test_unread(sql: str, reason: str) -> None:
    with pytest.raises(UnparsedError) as caught:
        parse(sql, TOWN)
    assert str(caught.value) == reason


# ---------------------------------------------------------------- what holds for any text


def nested(depth: int) -> str:
    return "SELECT count(*) FROM (" * depth + "SELECT name FROM town" + ")" * depth


def united(depth: int) -> str:
    return " UNION ".join(["SELECT name FROM town"] * (depth + 1))


@pytest.mark.parametrize("made", [nested, united])
def test_queries_inside_queries_are_read_to_a_depth(made: Any) -> None:
    parse(made(DEEPEST - 1), TOWN)
    for depth in (DEEPEST, 1000):
        with pytest.raises(UnparsedError, match="queries inside queries"):
            parse(made(depth), TOWN)


FILLERS = [
    "(", ")", "select ", "select * from (", "from ", "'", '""', "as ", "a.b ", ",", ", name", "=", "> = ", "-", ".",
    ". ", "join town ", "town ", "union select * from town ", "and age = 1 ", "or age = height ", "\0", "\ud800 ", " ",
    "x",
]  # fmt: skip


@pytest.mark.parametrize("filler", FILLERS)
@pytest.mark.parametrize("start", ["SELECT ", "SELECT * FROM person WHERE age = 1 "])
def test_long_texts_end(start: str, filler: str) -> None:
    text = start + filler * ((LONGEST - len(start)) // len(filler))
    before = time.process_time()
    read(text)
    assert time.process_time() - before < 2
    with pytest.raises(UnparsedError, match="longer than"):
        parse(start + filler * LONGEST, TOWN)


def read(text: str) -> None:
    """Reads a text or refuses it, in a few words."""
    said = ""
    try:
        parse(text, TOWN)
    except UnparsedError as error:
        said = str(error)
    assert len(said) < 400


PIECES = st.sampled_from(sorted({word for sql, _ in READ for word in words(sql) if len(word) < 99}))
SQL_LIKE = st.lists(PIECES, max_size=25).map(" ".join)
STARTED = SQL_LIKE.map("select name from person ".__add__)


@given(st.text() | SQL_LIKE | STARTED)
@example("\0")
@example("select name from person where age = \ud800")
@example("select name from person limit \ud800")
@example("select name from person limit ²")
def test_every_text_is_read_or_refused(text: str) -> None:
    read(text)


@given(st.sampled_from(READ), st.integers(0), st.integers(0))
def test_every_cut_of_a_query_is_read_or_refused(case: tuple[str, Any], start: int, end: int) -> None:
    sql = case[0]
    read(sql[start % len(sql) :])
    read(sql[: end % len(sql)])


BLANKS = st.text(" \t\n\r\u00a0", min_size=1, max_size=3)


@given(st.sampled_from(READ), st.data())
def test_blanks_and_case_outside_strings_do_not_matter(case: tuple[str, Any], data: st.DataObject) -> None:
    sql, expected = case
    written = ""
    for word in words(sql):
        if not word.startswith('"'):
            word = "".join(data.draw(st.sampled_from([letter, letter.upper()])) for letter in word[:99]) + word[99:]
        written += word + data.draw(BLANKS)
    assert as_text(parse(written, TOWN)) == as_text(expected)


# ---------------------------------------------------------------- schemas


def test_schema() -> None:
    assert TOWN.tables == {"town": 0, "person": 1, "pet": 2}
    assert TOWN.columns["pet"] == {"owner_id": 10, "town_id": 11, "kind": 12}
    assert (TOWN.names[0], TOWN.names[9], TOWN.table_of[0], TOWN.table_of[9]) == ("*", "value", -1, 1)
    assert TOWN.keys == {1: 1, 5: 1, 11: 1, 4: 4, 10: 4}


def test_groups_of_keys_that_meet_later_stay_apart() -> None:
    keys = Schema.of({**ROW, "foreign_keys": [[5, 1], [10, 4], [5, 10]]}).keys
    assert keys == {1: 1, 5: 1, 4: 4, 10: 4}


# ---------------------------------------------------------------- Spider itself


@pytest.fixture(scope="module")
def spider(shared_data: Path) -> Path:
    path = shared_data / "spider"
    if not path.is_dir():
        pytest.skip(f"no Spider: {path} is not there")
    return path


def test_every_gold_query_of_dev_has_the_structure_upstream_gives_it(spider: Path) -> None:
    schemas = {row["db_id"]: Schema.of(row) for row in json.loads((spider / "tables.json").read_text("utf-8"))}
    rows = json.loads(gzip.decompress((spider / "dev.json.gz").read_bytes()))
    differing = [
        row["query"] for row in rows if as_text(parse(row["query"], schemas[row["db_id"]])) != as_text(row["sql"])
    ]
    assert (len(rows), differing) == (1034, [])
