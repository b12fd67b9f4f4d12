"""How text-to-SQL benchmarks ask: CREATE TABLE statements, example rows, the question (arXiv 2305.11853).

Source: QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/bird-spider/sql_suites/{utils,preprocess_spider,
preprocess_bird}.py, and the tasks under code_eval there and in qwencoder-eval/instruct/bird-spider.

A problem's fields are ``tables``, ``examples`` (how many rows of each are shown), ``instruction`` and ``question``.

A schema that does not fit a model's context is shortened, which upstream does not do: see ``schemas`` for the rule, and
``types.versions`` for when it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from .types import Chat, Continue, Message, Problem

NOTHING: Mapping[str, Any] = {"place": "", "files": [":memory:"], "tables": [], "rows": 0}  # of rows without a database
ONLY = "\nPlease output only the final SQL query, starts with keyword `SELECT`."
WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")  # of snake_case and CamelCase too
THINK = "\nPlease think step-by-step and output the final SQL query between [SQL] and [/SQL]."


def schema_text(tables: Sequence[Mapping[str, Any]], examples: int) -> str:
    """Every table's statement, and so many of its rows as a comment; none, and no comment, for 0."""
    parts = []
    for table in tables:
        parts.append(f"{table['create']};\n")
        if examples:
            select = f"SELECT * FROM {table['name']} LIMIT {examples};"  # noqa: S608  is shown, not run
            lines = [table["columns"], *table["examples"][:examples]]
            shown = "".join("    ".join(line) + "\n" for line in lines)
            parts.append(f"/*\n{examples} example rows:\n{select}\n{shown}*/\n")
        parts.append("\n")
    return "".join(parts)


def schemas(tables: Sequence[Mapping[str, Any]], examples: int, question: str) -> list[str]:
    """The schema as a prompt shows it, whole, and ever shorter ones for small contexts.

    First the example rows go; then everything of a statement but the columns' names; then, one at a time, the tables
    whose names and columns share the fewest words with the question, of equal ones the last first. One stays.
    """
    found = [schema_text(tables, examples)]
    if examples:
        found.append(schema_text(tables, 0))
    wanted = words(question)
    shared = [len(wanted & words(table["brief"])) for table in tables]
    order = sorted(range(len(tables)), key=lambda at: (-shared[at], at))
    brief = [f"{table['brief']};\n\n" for table in tables]
    return found + ["".join(brief[at] for at in sorted(order[:kept])) for kept in range(len(tables), 0, -1)]


@lru_cache(maxsize=4096)
def words(text: str) -> frozenset[str]:
    """Lower case; a plural is its singular, as far as an s makes it."""
    return frozenset(word.lower().removesuffix("s") for word in WORD.findall(text))


def asked(problem: Problem) -> list[str]:
    """Beginning with the whole schema."""
    fields = problem.fields
    question = f"{fields['instruction']}Question: {fields['question']}\n"
    return [schema + question for schema in schemas(fields["tables"], fields["examples"], question)]


def continued(problem: Problem) -> Continue:
    first, *shorter = (Continue(f"{text}\n{problem.stub}") for text in asked(problem))
    return replace(first, shorter=tuple(shorter))


def answered(problem: Problem) -> Chat:
    return _chat(problem, ONLY)


def asked_to_think(problem: Problem) -> Chat:
    return _chat(problem, THINK)


def _chat(problem: Problem, ending: str) -> Chat:
    first, *shorter = (Chat((Message("user", text + ending),)) for text in asked(problem))
    return replace(first, shorter=tuple(shorter))
