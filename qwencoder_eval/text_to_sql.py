"""How text-to-SQL benchmarks ask: CREATE TABLE statements, example rows, the question (arXiv 2305.11853).

Source: QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/bird-spider/sql_suites/{utils,preprocess_spider,
preprocess_bird}.py, and the tasks under code_eval there and in qwencoder-eval/instruct/bird-spider.

A problem's fields are ``schema``, ``instruction`` and ``question``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .types import Chat, Continue, Message, Problem

NOTHING: Mapping[str, Any] = {"place": "", "files": [":memory:"], "tables": [], "rows": 0}  # of rows without a database
ONLY = "\nPlease output only the final SQL query, starts with keyword `SELECT`."
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


def asked(problem: Problem) -> str:
    fields = problem.fields
    return f"{fields['schema']}{fields['instruction']}Question: {fields['question']}\n"


def continued(problem: Problem) -> Continue:
    return Continue(f"{asked(problem)}\n{problem.stub}")


def answered(problem: Problem) -> Chat:
    return Chat((Message("user", asked(problem) + ONLY),))


def asked_to_think(problem: Problem) -> Chat:
    return Chat((Message("user", asked(problem) + THINK),))
