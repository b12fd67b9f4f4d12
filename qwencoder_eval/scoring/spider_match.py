"""Spider's exact set match and hardness, of queries' structures (see ``spider_sql``). Nothing is run.

Source: taoyds/test-suite-sql-eval at e97acc5, evaluation.py with its own settings, under which values and DISTINCT do
not count. It is the evaluation that counts since 2020. taoyds/spider at b7b5b8c has the same rules but for two: LIMIT
needs a whole number, and inside nested queries the same one; and predictions are read as they are.

What is not what one would expect, and kept because verdicts depend on it:

- ``value`` in a prediction is replaced by ``1`` first, in names as well: such a column is then not found.
- A prediction that cannot be read is an empty query, which matches nothing.
- Columns that foreign keys join are one column, but only in the outermost query and those that UNION, INTERSECT and
  EXCEPT add, and only for tables that the outermost FROM names.
- Of a nested query in a condition, all counts but values, so DISTINCT and the order of columns do too; of one in FROM
  all counts, values too. The number after LIMIT never does. (Two different ones in one FROM stop upstream; here they
  are compared.)
- What JOIN's ON says does not count; columns in GROUP BY are told apart by their names alone, but where there is a
  GROUP BY its columns must be in the same order, tables included.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .spider_sql import OPERATORS, SET_OPERATIONS, Schema, Sql, UnparsedError, parse

Hardness = Literal["easy", "medium", "hard", "extra"]

IN, LIKE = OPERATORS.index("in"), OPERATORS.index("like")


def empty() -> Sql:
    """What a prediction that cannot be read counts as."""
    return {
        "from": {"table_units": [], "conds": []},
        "select": [False, []],
        **{clause: [] for clause in ("where", "groupBy", "having", "orderBy")},
        **dict.fromkeys(("limit", *SET_OPERATIONS)),
    }


def exact_set_match(gold: str, predicted: str, schema: Schema) -> bool:
    """Whether two queries are the same by Spider's rule. Raises UnparsedError where ``gold`` cannot be read."""
    wanted = parse(gold, schema)
    try:
        given = parse(predicted.replace("value", "1"), schema)
    except UnparsedError:
        given = empty()
    return all(components(comparable(given, schema), comparable(wanted, schema), schema).values())


# ---------------------------------------------------------------- hardness


def hardness(sql: Sql) -> Hardness:
    """How hard a query is, by what it is made of; ``sql`` as ``parse`` or the data's field ``sql`` has it."""
    clauses, nested, others = _clauses(sql), len(_nested(sql)), _others(sql)
    if nested == 0:
        if clauses <= 1 and others == 0:
            return "easy"
        if (clauses <= 1 and others <= 2) or (clauses <= 2 and others <= 1):
            return "medium"
        if (clauses <= 2 and others > 2) or (clauses == 3 and others <= 2):
            return "hard"
    elif nested == 1 and clauses <= 1 and others == 0:
        return "hard"
    return "extra"


def _clauses(sql: Sql) -> int:
    present = sum(bool(sql[clause]) for clause in ("where", "groupBy", "orderBy")) + (sql["limit"] is not None)
    joins = max(0, len(sql["from"]["table_units"]) - 1)
    return present + joins + _joined_by(sql).count("or") + [cond[1] for cond in _conds(sql)].count(LIKE)


def _nested(sql: Sql) -> list[Sql]:
    """Queries in conditions and set operations; not those in FROM."""
    values = [value for cond in _conds(sql) for value in cond[3:5]]
    return [query for query in (*values, *(sql[operation] for operation in SET_OPERATIONS)) if isinstance(query, dict)]


def _others(sql: Sql) -> int:
    """Upstream looks for aggregates at the first place of things that have none there.

    So a NOT in WHERE or HAVING counts as one, and so does every AND and OR in HAVING; aggregates in HAVING do not.
    """
    ordered = [column for unit in _ordered(sql) for column in unit[1:] if column]
    looked_at = [*sql["select"][1], *sql["where"][::2], *sql["groupBy"], *ordered, *sql["having"]]
    aggregates = sum(bool(thing[0]) for thing in looked_at)
    return (aggregates > 1) + sum(len(things) > 1 for things in (sql["select"][1], sql["where"], sql["groupBy"]))


def _ordered(sql: Sql) -> Sequence[Any]:
    return sql["orderBy"][1] if sql["orderBy"] else ()


def _conditions(sql: Sql) -> list[list[Any]]:
    return [sql["from"]["conds"], sql["where"], sql["having"]]


def _conds(sql: Sql) -> list[Any]:
    return [cond for conds in _conditions(sql) for cond in conds[::2]]


def _joined_by(sql: Sql) -> list[str]:
    return [word for conds in _conditions(sql) for word in conds[1::2]]


# ---------------------------------------------------------------- what counts of a query


def comparable(sql: Sql, schema: Schema) -> Sql:
    """A query without what does not count: values, DISTINCT, and which of the columns of a foreign key it is."""
    named = {unit[1] for unit in sql["from"]["table_units"] if unit[0] == "table_unit"}
    return _Merged(schema, named).sql(_without_values(_any_limit(sql)))


def _any_limit(part: Any) -> Any:
    """With 1 for every number after LIMIT, in nested queries too."""
    if isinstance(part, dict):
        limited = {"limit": 1} if part.get("limit") is not None else {}
        return {key: _any_limit(inner) for key, inner in part.items()} | limited
    return [_any_limit(inner) for inner in part] if isinstance(part, list) else part


def _without_values(sql: Sql) -> Sql:
    """Nested queries stay, without their own values, but for those in FROM, which stay as they are."""

    def value(found: Any) -> Any:
        return _without_values(found) if isinstance(found, dict) else None

    def conds(found: list[Any]) -> list[Any]:
        return [cond if isinstance(cond, str) else [*cond[:3], value(cond[3]), value(cond[4])] for cond in found]

    return {
        **sql,
        "from": {**sql["from"], "conds": conds(sql["from"]["conds"])},
        "where": conds(sql["where"]),
        "having": conds(sql["having"]),
        **{operation: value(sql[operation]) for operation in SET_OPERATIONS},
    }


@dataclass(frozen=True, slots=True)
class _Merged:
    """Columns of foreign keys made one, and DISTINCT dropped, but for queries in conditions and in FROM."""

    schema: Schema
    named: set[int]  # the tables whose columns are made one

    def sql(self, sql: Sql) -> Sql:
        return {
            **sql,
            "select": [None, [[aggregate, self.val_unit(unit)] for aggregate, unit in sql["select"][1]]],
            "where": self.conds(sql["where"]),
            "groupBy": [self.col_unit(unit) for unit in sql["groupBy"]],
            "having": self.conds(sql["having"]),
            "orderBy": [sql["orderBy"][0], [self.val_unit(unit) for unit in _ordered(sql)]] if sql["orderBy"] else [],
            **{operation: sql[operation] and self.sql(sql[operation]) for operation in SET_OPERATIONS},
        }

    def conds(self, conds: list[Any]) -> list[Any]:
        return [cond if isinstance(cond, str) else [*cond[:2], self.val_unit(cond[2]), *cond[3:]] for cond in conds]

    def val_unit(self, unit: list[Any]) -> list[Any]:
        return [unit[0], *(column and self.col_unit(column) for column in unit[1:])]

    def col_unit(self, unit: list[Any]) -> list[Any]:
        column = unit[1]
        if self.schema.table_of[column] in self.named:
            column = self.schema.keys.get(column, column)
        return [unit[0], column, None]


# ---------------------------------------------------------------- the match, part by part


def components(given: Sql, wanted: Sql, schema: Schema) -> dict[str, bool]:
    """Which parts of two ``comparable`` queries are the same; all of them must be for an exact set match."""
    return {
        "select": same_bag(given["select"][1], wanted["select"][1]),
        "where": same_bag(given["where"][::2], wanted["where"][::2]),
        "and/or": set(given["where"][1::2]) == set(wanted["where"][1::2]),
        "group(no Having)": sorted(_grouped(given, schema)) == sorted(_grouped(wanted, schema)),
        "group": _group(given) == _group(wanted),
        "order": _order(given) == _order(wanted),
        "IUEN": all(_same_added(given[name], wanted[name], schema) for name in SET_OPERATIONS),
        "keywords": set(_keywords(given)) == set(_keywords(wanted)),
        "tables": not wanted["from"]["table_units"]
        or same_bag(given["from"]["table_units"], wanted["from"]["table_units"]),
    }


def same_bag(given: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Equal but for the order. Time grows with ``wanted`` squared, whatever is given."""
    if len(given) != len(wanted):
        return False
    left = list(wanted)
    for one in given:
        if one not in left:
            return False
        left.remove(one)
    return True


def _grouped(sql: Sql, schema: Schema) -> list[str]:
    return [schema.names[unit[1]] for unit in sql["groupBy"]]


def _group(sql: Sql) -> Any:
    """HAVING counts only with a GROUP BY."""
    return [[unit[1] for unit in sql["groupBy"]], sql["having"]] if sql["groupBy"] else None


def _order(sql: Sql) -> Any:
    """LIMIT counts here only with an ORDER BY."""
    return [sql["orderBy"], sql["limit"]] if sql["orderBy"] else None


def _same_added(given: Sql | None, wanted: Sql | None, schema: Schema) -> bool:
    if given is None or wanted is None:
        return given is wanted
    return all(components(given, wanted, schema).values())


def _keywords(sql: Sql) -> Iterator[str]:
    yield from (clause for clause in ("where", "groupBy", "having") if sql[clause])
    if sql["orderBy"]:
        yield from ("orderBy", sql["orderBy"][0])
    yield from (name for name in ("limit", *SET_OPERATIONS) if sql[name] is not None)
    if "or" in _joined_by(sql):
        yield "or"
    for negated, operator, *_ in _conds(sql):
        if negated:
            yield "not"
        if operator in (IN, LIKE):
            yield OPERATORS[operator]
