"""Two small databases and twelve questions in the form of BIRD's mini-dev, with scores that were computed by hand."""

from __future__ import annotations

from typing import Any

TABLES = (
    "CREATE TABLE products (id integer PRIMARY KEY, name varchar(20), price numeric(8, 2), added date)",
    "INSERT INTO products VALUES (1, 'tea', 2.50, '2023-01-10'), (2, 'salt', 0.80, '2023-03-05'),"
    " (3, 'oil', 7.25, '2024-02-01'), (4, 'rice', NULL, '2024-06-30')",
    "CREATE TABLE sales (product_id integer, amount integer, day date)",
    "INSERT INTO sales VALUES (1, 4, '2024-01-02'), (1, 1, '2024-01-03'), (3, 2, '2024-01-03'), (2, 10, '2024-02-01')",
    "CREATE TABLE members (id integer PRIMARY KEY, name varchar(20), joined date, fee numeric(8, 2))",
    "INSERT INTO members VALUES (1, 'Ada', '2020-05-01', 10), (2, 'Ben', '2021-07-15', 20),"
    " (3, 'Cid', '2021-09-30', 20)",
    "CREATE TABLE meetings (member_id integer, topic varchar(20))",
    "INSERT INTO meetings VALUES (1, 'chess'), (2, 'chess'), (2, 'go'), (3, 'go')",
)
DEV_TABLES = [
    {
        "db_id": "shop",
        "table_names_original": ["products", "sales"],
        "column_names_original": [
            [-1, "*"], [0, "id"], [0, "name"], [0, "price"], [0, "added"], [1, "product_id"], [1, "amount"], [1, "day"],
        ],
        "column_types": ["text", "integer", "text", "real", "date", "integer", "integer", "date"],
        "primary_keys": [1],
        "foreign_keys": [[5, 1]],
    },
    {
        "db_id": "club",
        "table_names_original": ["members", "meetings", "order"],
        "column_names_original": [
            [-1, "*"], [0, "id"], [0, "name"], [0, "joined"], [0, "fee"], [1, "member_id"], [1, "topic"],
            [2, "Free Meals (K-12)"], [2, "of"],
        ],
        "column_types": ["text", "integer", "text", "date", "real", "integer", "text", "real", "integer"],
        "primary_keys": [1, [7, 8]],
        "foreign_keys": [[5, 1]],
    },
]  # fmt: skip

BOTH = ("mysql", "postgresql")
# Database, gold query by dialect, answer by dialect, and by dialect: whether it is right, and its soft F1.
CASES: list[tuple[str, dict[str, str], dict[str, str], dict[str, tuple[bool | None, float]]]] = []


def case(
    database: str, gold: str | tuple[str, str], answer: str | tuple[str, str], *expected: tuple[bool | None, float]
) -> None:
    """Of two texts, and of two expectations, the first is MySQL's."""
    golds, answers = (given if isinstance(given, tuple) else (given, given) for given in (gold, answer))
    wanted = expected if len(expected) == 2 else expected * 2
    CASES.append(
        (database, *(dict(zip(BOTH, each, strict=True)) for each in (golds, answers, wanted)))  # type: ignore[arg-type]
    )


# Two rows in another order: the same set, but no row shares a value with the one beside it.
cheap = "SELECT name FROM products WHERE price < 3 ORDER BY "
case("shop", cheap + "id", cheap + "price", (True, 0.0))
case("shop", "SELECT COUNT(*) FROM sales", "SELECT COUNT(amount) FROM sales", (True, 1.0))
# 50 / 3 with six digits on MySQL and sixteen on PostgreSQL, both times the same on both sides.
case("club", "SELECT AVG(fee) FROM members", "SELECT SUM(fee) / COUNT(*) FROM members", (True, 1.0))
# Half of the one row: precision 1, recall 1/2.
dear = " FROM products WHERE price IS NOT NULL ORDER BY price DESC LIMIT 1"
case("shop", "SELECT name, price" + dear, "SELECT name" + dear, (False, 2 / 3))
case(
    "shop",
    (
        "SELECT name FROM products WHERE YEAR(added) = 2024 ORDER BY id",
        "SELECT name FROM products WHERE EXTRACT(YEAR FROM added) = 2024 ORDER BY id",
    ),
    "SELECT name FROM products WHERE added >= '2024-01-01' ORDER BY id",
    (True, 1.0),
)
# || is OR on MySQL: three zeros.
case(
    "club",
    ("SELECT CONCAT(name, '!') FROM members ORDER BY id", "SELECT name || '!' FROM members ORDER BY id"),
    "SELECT name || '!' FROM members ORDER BY id",
    (False, 0.0),
    (True, 1.0),
)
topics = "SELECT topic FROM meetings ORDER BY member_id, topic"
case("club", topics, "SELECT DISTINCT topic FROM meetings ORDER BY topic", (True, 1.0))
# Two of three rows: precision 1, recall 2/3.
names = "SELECT name FROM members ORDER BY id"
case("club", names, names + " LIMIT 2", (False, 0.8))
case("club", names, "SELECT nickname FROM members", (None, 0.0))
# Columns the other way round: another row, the same values.
case("shop", "SELECT price, added FROM products WHERE id = 4", "SELECT added, price FROM products WHERE id = 4",
     (False, 1.0))  # fmt: skip
# 17 / 2 is 8.5 on MySQL and 8 on PostgreSQL.
case("shop", "SELECT SUM(amount) / 2 FROM sales", "SELECT 8.5", (True, 1.0), (False, 0.0))
case("club", "SELECT name FROM members WHERE fee > 100", "SELECT id FROM members WHERE fee > 100", (True, 1.0))


def mini_dev(dialect: str) -> list[dict[str, Any]]:
    """500 rows, as the release has; those behind the cases all ask the same."""
    cases = [*CASES, *CASES[1:2] * (500 - len(CASES))]
    return [
        {"question_id": number, "db_id": database, "question": f"Question {number}?", "evidence": "nothing",
         "SQL": gold[dialect], "difficulty": ("simple", "moderate", "challenging")[number % 3]}
        for number, (database, gold, _, _) in enumerate(cases)
    ]  # fmt: skip
