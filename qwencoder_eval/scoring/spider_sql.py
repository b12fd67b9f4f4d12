"""Spider's subset of SQL: a query as the nested structure that its exact set match compares. Nothing is run.

The structure is that of the field ``sql`` in Spider's rows, of lists, dicts and plain values:

sql         {"from": {"table_units": [table_unit...], "conds": conds}, "select": [distinct, [[aggregate, val_unit]...]],
            "where": conds, "groupBy": [col_unit...], "having": conds,
            "orderBy": [] or ["asc" or "desc", [val_unit...]], "limit": None or int,
            and for each of "intersect", "union", "except": None or sql}
table_unit  ["table_unit", table's number] or ["sql", sql]
conds       [cond, "and" or "or", cond...]
cond        [negated, operator, val_unit, value, None or the second value of BETWEEN]
val_unit    [sign, col_unit, None or col_unit]
col_unit    [aggregate, column's number, distinct]
value       float, text in double quotes, col_unit or sql

Aggregates, operators and signs are positions in ``AGGREGATES``, ``OPERATORS`` and ``SIGNS``; tables and columns are
numbered as in ``tables.json``.

Source of the rules: taoyds/test-suite-sql-eval at e97acc5, process_sql.py. It reads queries that are known to be right
and looks at little else, so some of its rules are no rules of SQL, and are kept because verdicts depend on them:

- Words are those of NLTK's English tokenizer: ``a>1`` and ``a > = 1`` are read, ``a=1`` is not.
- Both kinds of quotes are one kind: ``"it's"`` is not read.
- An alias needs AS, holds for the whole text, and its last meaning counts.
- Columns have no alias; joins are JOIN alone; NULL, lists of values and EXISTS are not read.
- In a comparison with a column, all after the column up to the next end is passed over, OR and what it joins too.
- What follows the end of the query is passed over.

Refused here and read upstream: conditions that neither AND nor OR joins, which upstream misreads as joined by the
second of them; and texts beyond ``LONGEST`` and ``DEEPEST``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Sql = dict[str, Any]

AGGREGATES = ("none", "max", "min", "count", "sum", "avg")
OPERATORS = ("not", "between", "=", ">", "<", ">=", "<=", "!=", "in", "like", "is", "exists")
SIGNS = ("none", "-", "+", "*", "/")
SET_OPERATIONS = ("intersect", "union", "except")

CLAUSES = {"select", "from", "where", "group", "order", "limit", *SET_OPERATIONS}
CLAUSE_END = CLAUSES | {")", ";"}
CONDITION_END = CLAUSE_END | {"join", "on", "as"}
VALUE_END = CLAUSES | {",", ")", "and", "join", "on", "as"}

LONGEST = 50_000  # characters of a query, and
DEEPEST = 20  # queries inside queries, that are read: no honest one comes near
SHOWN = 40  # characters of a word in a message

# Where NLTK's word tokenizer parts words, as far as Spider's names and values can tell (nltk/tokenize/destructive.py).
PARTING = re.compile(
    r"[()\[\]{}<>;@#$%&?!*`«“‘„»”’\u2012-\u2015]"
    r"|[,:](?!\d)"
    r"|--"
    r"|\.{2,}"
    r"|\.(?=[\])}>»”’\s]*\Z)"
)


class UnparsedError(ValueError):
    """A text that is no query of Spider's subset; the message says why."""


@dataclass(frozen=True, slots=True)
class Schema:
    """The tables of a database. All names are in lower case; numbers are those of ``tables.json``."""

    tables: Mapping[str, int]
    columns: Mapping[str, Mapping[str, int]]  # of each table: number by name
    names: tuple[str, ...]  # of columns, by number; number 0 is *
    table_of: tuple[int, ...]  # by column's number; -1 for *
    keys: Mapping[int, int]  # columns that foreign keys make one: the lowest number of the group

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Schema:
        """From a database's row of ``tables.json``. Raises KeyError for one that lacks a field."""
        tables = [name.lower() for name in row["table_names_original"]]
        listed = [(table, name.lower()) for table, name in row["column_names_original"]]
        columns: dict[str, dict[str, int]] = {name: {} for name in tables}
        for number, (table, name) in enumerate(listed):
            if table >= 0:
                columns[tables[table]][name] = number
        return cls(
            tables={name: number for number, name in enumerate(tables)},
            columns=columns,
            names=tuple(name for _, name in listed),
            table_of=tuple(table for table, _ in listed),
            keys=_groups(row["foreign_keys"]),
        )


def _groups(foreign_keys: list[list[int]]) -> dict[int, int]:
    """A pair joins the first group that has one of its columns; groups that meet later stay apart, as upstream."""
    groups: list[set[int]] = []
    for pair in foreign_keys:
        group = next((known for known in groups if not known.isdisjoint(pair)), None)
        if group is None:
            groups.append(group := set())
        group.update(pair)
    return {column: min(group) for group in groups for column in group}


def parse(sql: str, schema: Schema) -> Sql:
    """The structure of a query. Raises UnparsedError, and nothing else, for whatever is no query of the subset."""
    if len(sql) > LONGEST:
        raise UnparsedError(f"longer than {LONGEST} characters")
    return _Parser(words(sql), schema).sql()


def words(sql: str) -> list[str]:
    """Words in lower case; a string in quotes is one, as it is written, in double quotes.

    Raises UnparsedError for an odd number of quotes.
    """
    pieces = sql.replace("'", '"').split('"')
    if len(pieces) % 2 == 0:
        raise UnparsedError("a quote without its pair")
    strings = iter(pieces[1::2])
    found: list[str] = []
    for word in PARTING.sub(r" \g<0> ", '"'.join(pieces[::2])).lower().split():
        if word == '"':
            found.append(f'"{next(strings)}"')
        elif word == "=" and found and found[-1] in ("!", ">", "<"):
            found[-1] += "="
        else:
            for _ in range(word.count('"')):  # a string that touches another word is no value
                next(strings)
            found.append(word.replace('"', "'"))
    return found


def _aliases(tokens: list[str], schema: Schema) -> dict[str, str]:
    """What each name of a table means, wherever in the text it is given."""
    if tokens[-1:] == ["as"]:
        raise UnparsedError("AS without an alias")
    found = {name: tokens[at - 1] for at, name in enumerate(tokens[1:]) if tokens[at] == "as"}
    if taken := found.keys() & schema.tables.keys():
        raise UnparsedError(f"alias {min(taken)} is the name of a table")
    return found | {name: name for name in schema.tables}


class _Parser:
    """Recursive descent over words; each method reads its part and moves on. Beyond the end, the word is empty."""

    def __init__(self, tokens: list[str], schema: Schema) -> None:
        self.tokens = tokens
        self.schema = schema
        self.aliases = _aliases(tokens, schema)
        self.at = 0
        self.depth = 0
        self.scope: list[str] = []  # tables of the innermost query, where columns without a table are looked up

    @property
    def word(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        word = self.word
        self.at += 1
        return word

    def accept(self, word: str) -> bool:
        if self.word != word:
            return False
        self.at += 1
        return True

    def expect(self, word: str) -> None:
        if not self.accept(word):
            raise UnparsedError(f"{word!r} expected, not {self.word[:SHOWN]!r}")

    def sql(self) -> Sql:
        self.depth += 1
        if self.depth > DEEPEST:
            raise UnparsedError(f"more than {DEEPEST} queries inside queries")
        outer, self.scope = self.scope, []
        opened = self.accept("(")
        found = {**self.select_from(), **self.conditions_and_order()}
        self.semicolons()
        if opened:
            self.expect(")")
        self.semicolons()
        found.update(dict.fromkeys(SET_OPERATIONS))
        if self.word in SET_OPERATIONS:
            operation = self.take()
            found[operation] = self.sql()
        self.scope = outer
        self.depth -= 1
        return found

    def select_from(self) -> Sql:
        """FROM first, as columns are looked up in its tables: the first FROM there is, wherever SELECT ends."""
        start = self.at
        try:
            self.at = self.tokens.index("from", start) + 1
        except ValueError:
            raise UnparsedError("no FROM") from None
        tables = self.tables()
        self.at, after = start, self.at
        selected = self.select()
        self.at = after
        return {"from": tables, "select": selected}

    def conditions_and_order(self) -> Sql:
        return {
            "where": self.conds() if self.accept("where") else [],
            "groupBy": self.listed(self.col_unit) if self.by("group") else [],
            "having": self.conds() if self.accept("having") else [],
            "orderBy": self.order() if self.by("order") else [],
            "limit": self.limit() if self.accept("limit") else None,
        }

    def semicolons(self) -> None:
        while self.accept(";"):
            pass

    def select(self) -> list[Any]:
        self.expect("select")
        distinct = self.accept("distinct")
        units = []
        while self.word and self.word not in CLAUSES:
            aggregate = AGGREGATES.index(self.take()) if self.word in AGGREGATES else 0
            units.append([aggregate, self.val_unit()])
            self.accept(",")
        return [distinct, units]

    def tables(self) -> Sql:
        units: list[list[Any]] = []
        conds: list[Any] = []
        while self.word:
            opened = self.accept("(")
            if self.word == "select":
                units.append(["sql", self.sql()])
            else:
                self.accept("join")
                units.append(["table_unit", self.table()])
            if self.accept("on"):
                conds += ["and", *self.conds()] if conds else self.conds()
            if opened:
                self.expect(")")
            if self.word in CLAUSE_END:
                break
        return {"table_units": units, "conds": conds}

    def table(self) -> int:
        name = self.aliases.get(self.word, "")
        if name not in self.schema.tables:
            raise UnparsedError(f"no table {self.word[:SHOWN]!r}")
        self.at += 1
        if self.accept("as"):
            self.at += 1
        if name not in self.scope:
            self.scope.append(name)
        return self.schema.tables[name]

    def conds(self) -> list[Any]:
        found: list[Any] = []
        while self.word:
            unit = self.val_unit()
            negated = self.accept("not")
            if self.word not in OPERATORS:
                raise UnparsedError(f"no operator {self.word[:SHOWN]!r}")
            operator = self.take()
            first = self.value()
            second = None
            if operator == "between":
                self.expect("and")
                second = self.value()
            found.append([negated, OPERATORS.index(operator), unit, first, second])
            if self.word in CONDITION_END:
                break
            if self.word in ("and", "or"):
                found.append(self.take())
            elif self.word:  # upstream reads on, and takes the next condition for the word that joins them
                raise UnparsedError(f"'and' or 'or' expected, not {self.word[:SHOWN]!r}")
        return found

    def value(self) -> Any:
        opened = self.accept("(")
        found: Any
        if self.word == "select":
            found = self.sql()
        elif self.word.startswith('"'):
            found = self.take()
        else:
            try:
                found = float(self.word)
                self.at += 1
            except ValueError:
                found = self.compared_column(opened)
        if opened:
            self.expect(")")
        return found

    def compared_column(self, opened: bool) -> list[Any]:
        """No aggregate and no parentheses; what follows up to an end is passed over."""
        distinct = self.accept("distinct")
        if opened or self.word in VALUE_END:
            raise UnparsedError(f"no value {self.word[:SHOWN]!r}")
        column = self.column()
        while self.word and self.word not in VALUE_END:
            self.at += 1
        return [0, column, distinct]

    def val_unit(self) -> list[Any]:
        opened = self.accept("(")
        sign, left, right = 0, self.col_unit(), None
        if self.word in SIGNS:
            sign = SIGNS.index(self.take())
            right = self.col_unit()
        if opened:
            self.expect(")")
        return [sign, left, right]

    def col_unit(self) -> list[Any]:
        """A parenthesis before an aggregate is not closed here, as upstream."""
        opened = self.accept("(")
        aggregate = AGGREGATES.index(self.take()) if self.word in AGGREGATES else None
        if aggregate is not None:
            self.expect("(")
        distinct = self.accept("distinct")
        column = self.column()
        if opened or aggregate is not None:
            self.expect(")")
        return [aggregate or 0, column, distinct]

    def column(self) -> int:
        word = self.take()
        if word == "*":
            return 0
        alias, dot, name = word.partition(".")
        tables = [self.aliases.get(alias, "")] if dot else self.scope
        for table in tables:
            columns = self.schema.columns.get(table, {})
            if (name if dot else word) in columns:
                return columns[name if dot else word]
        raise UnparsedError(f"no column {word[:SHOWN]!r}")

    def by(self, clause: str) -> bool:
        if not self.accept(clause):
            return False
        self.expect("by")
        return True

    def listed(self, unit: Callable[[], Any]) -> list[Any]:
        found = []
        while self.word and self.word not in CLAUSE_END:
            found.append(unit())
            if not self.accept(","):
                break
        return found

    def order(self) -> list[Any]:
        """One direction for all: the last one written."""
        direction = "asc"

        def unit() -> list[Any]:
            nonlocal direction
            found = self.val_unit()
            if self.word in ("asc", "desc"):
                direction = self.take()
            return found

        units = self.listed(unit)
        return [direction, units]

    def limit(self) -> int:
        """1 for what is no whole number: upstream looks only whether there is a limit."""
        word = self.take()
        if not word:
            raise UnparsedError("LIMIT without a number")
        try:
            return int(word)
        except ValueError:
            return 1
