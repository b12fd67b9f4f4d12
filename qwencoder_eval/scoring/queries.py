"""Score a SQL query by what it gives on SQLite databases, beside what the gold query gives.

A query of a model is foreign code: it runs in a sandbox (sandbox/query.py), which sees the databases and no gold query;
results are compared here, by the rules of ``denotations``. Many queries share a process, as nothing of a model's runs
there but SQL that can only read. Gold queries run once, and what they gave is kept by the content of the database.

``Problem.tests`` holds ``query``, the gold one, and ``databases``: paths below the folder ``Problem.assets`` names; a
query is right if it is right on all of them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

from ..config import bundled
from ..datasets import assets
from ..errors import DatasetError, ReferenceFailsError
from ..types import Calls, Limits, Outcome, Problem, Program, Result
from . import denotations
from .base import Judgement, Runner, run_surely, short
from .recorded import Recorded, answer_lines
from .spider_match import exact_set_match
from .spider_sql import Schema
from .values import Failure, ForgedError, decode, decode_line

ASKED = "rows"
GOLD_S = 300.0  # CPU time of a gold query
DIGEST = 64  # characters
MARGIN_S = 10.0  # that of a process beyond that of its queries
RESULT_BYTES = 1 << 28  # of one result, as it travels
# A doubled quote is the end of one string and the start of the next: no DISTINCT can stand between the two. What is
# left open goes on to the end, so that no text is looked through twice.
QUOTED = re.compile(
    r"""('[^']*'?|"[^"]*"?|`[^`]*`?|\[[^\]]*\]?|--[^\n]*|/\*.*?(?:\*/|\Z))|\bdistinct\b""",
    re.IGNORECASE | re.DOTALL,
)
DATED = re.compile(
    r"\bnow\b|current_(date|time|timestamp)|\b(date|time|datetime|julianday|unixepoch)\s*\(\s*\)"
    r"|\bstrftime\s*\(\s*'[^']*'\s*\)",
    re.IGNORECASE,
)
THIS_YEAR = re.compile(r"YEAR\s*\(\s*CURDATE\s*\(\s*\)\s*\)\s*", re.IGNORECASE)
SPACED = (("> =", ">="), ("< =", "<="), ("! =", "!="))
Rows = list[tuple[Any, ...]]


def spoken_now(query: str) -> bool:
    """Whether what it gives depends on the day."""
    return DATED.search(query) is not None


def as_written(query: str) -> str:
    return query


def of_test_suite(query: str) -> str:
    """What upstream makes of a query before it runs (taoyds/test-suite-sql-eval at e97acc5, exec_eval.py)."""
    for spaced, joined in SPACED:
        query = query.replace(spaced, joined)
    return THIS_YEAR.sub("2020", query)


def without_distinct(query: str) -> str:
    """The same, and without DISTINCT outside quotes, which upstream takes out of both queries unless told otherwise."""
    return QUOTED.sub(lambda found: found[1] or "", of_test_suite(query))


def spider(gold: Rows, answer: Rows, query: str) -> bool:
    return denotations.spider(gold, answer, "order by" in query.lower())


def bird(gold: Rows, answer: Rows, query: str) -> bool:
    return denotations.bird_ex(gold, answer)


# What is made of both queries, and how their results are compared; the gold query says whether order counts.
RULES: dict[str, tuple[Callable[[str], str], Callable[[Rows, Rows, str], bool]]] = {
    "test-suite": (without_distinct, spider),
    "distinct-kept": (of_test_suite, spider),
    "qwen": (as_written, denotations.qwen),
    "bird": (as_written, bird),
}


@dataclass(frozen=True, slots=True)
class QueryScorer:
    """``rule`` is a key of ``RULES``.

    soft_f1  measures BIRD's soft F1, the mean over databases
    exact    measures Spider's exact set match; ``Problem.tests`` holds the schema's lists of tables.json
    """

    check: str
    rule: Literal["test-suite", "distinct-kept", "qwen", "bird"]
    cpu_s: float = 30.0
    soft_f1: bool = False
    exact: bool = False
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())
    measured: tuple[str, ...] = field(init=False, default=())

    passing: ClassVar[str] = "ex"
    joins: ClassVar[bool] = True  # gold queries share a process

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))
        measured = {"soft_f1": self.soft_f1, "exact_set_match": self.exact}
        object.__setattr__(self, "measured", tuple(name for name, wanted in measured.items() if wanted))

    def key(self) -> dict[str, Any]:
        runner = hashlib.sha256(runner_source().encode()).hexdigest()[:12]
        return {"scorer": "queries", "runner": runner, **asdict(self)}

    def reference_programs(self, problem: Problem) -> list[Program]:
        prepared = RULES[self.rule][0](problem.tests["query"])
        return [self._program(problem, [(path, prepared) for path in problem.tests["databases"]], GOLD_S)]

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> Recorded:
        (recorded,) = references
        expected = recorded.load()
        unrecorded = "its result is too long" if any(not line.recorded for line in expected.lines) else ""
        if error := expected.error or unrecorded:
            raise ReferenceFailsError(f"{problem.id}: the gold query fails here ({short(error)})")
        return recorded

    def score(self, problem: Problem, code: str, known: Recorded, runner: Runner) -> Judgement:
        return self.score_many([(problem, code, known)], runner)[0]

    def score_many(self, items: Sequence[tuple[Problem, str, Recorded]], runner: Runner) -> list[Judgement]:
        """Their queries on all their databases, one after the other in one process.

        A query that ends the process is run again, the first of a fresh one, if others ran there before it: what they
        left must not count against it. Raises DatasetError where a database is no longer what the gold query saw.
        """
        for problem, _, recorded in items:
            unaltered(problem, recorded)
        prepared = RULES[self.rule][0]
        asked = [(number, path) for number, item in enumerate(items) for path in item[0].tests["databases"]]
        given: dict[tuple[int, str], Rows | Failure] = {}
        while asked:
            problem = items[asked[0][0]][0]
            here = [each for each in asked if items[each[0]][0].assets == problem.assets]
            queries = [(path, prepared(items[number][1])) for number, path in here]
            result = run_surely(self._program(problem, queries, self.cpu_s), runner)
            answered = list(itertools.islice(answer_lines(result.answers), 1, None))[: len(here)]
            for each, line in zip(here, answered, strict=False):
                given[each] = answer_of(line)
            if len(answered) < len(here) and (not answered or result.over == len(answered)):
                given[here[len(answered)]] = unanswered(result)
            asked = [each for each in asked if each not in given]
        return [
            self._judged(item, [given[number, path] for path in item[0].tests["databases"]])
            for number, item in enumerate(items)
        ]

    def _judged(self, item: tuple[Problem, str, Recorded], results: Sequence[Rows | Failure]) -> Judgement:
        problem, code, recorded = item
        alike, f1 = RULES[self.rule][1], []
        outcome, evidence = Outcome.PASSED, {}
        for path, gold, result in zip(problem.tests["databases"], gold_of(recorded), results, strict=True):
            found = Outcome.PASSED
            if isinstance(result, Failure):
                if result.type_name in GONE:
                    raise ReferenceFailsError(f"{problem.id}: the database cannot be read ({result.error})")
                found, said = FAILURES.get(result.type_name, Outcome.RUNTIME_ERROR), {"error": result.error}
            elif not alike(gold, result, problem.tests["query"]):
                found, said = Outcome.WRONG, {"expected": shown(gold), "got": shown(result)}
            if self.soft_f1:
                f1.append(0.0 if isinstance(result, Failure) else denotations.bird_soft_f1(gold, result))
            if found is not Outcome.PASSED and outcome is Outcome.PASSED:
                outcome, evidence = found, {**said, "database": path, "check": self.check}
        measures = {"soft_f1": sum(f1) / len(f1)} if self.soft_f1 else {}
        if self.exact:
            measures["exact_set_match"] = float(exact_set_match(problem.tests["query"], code, Schema.of(problem.tests)))
        return Judgement({self.check: outcome}, measures, evidence)

    def notes(self, problems: Sequence[Problem]) -> list[str]:
        """On which databases a score rests."""
        places = sorted({place for problem in problems for place in problem.assets})
        files = {(problem.assets, path) for problem in problems for path in problem.tests["databases"]}
        said = [f"databases: {len(files)} of {' and '.join(places)}"] if places else []
        if any("derived" in place for place in places):
            said.append("the databases are derived, not the official ones")
        empty = [problem for problem in problems if problem.groups.get("database") == "empty"]
        if empty and places:
            named = sorted({problem.tests["databases"][0].partition("/")[0] for problem in empty})
            said.append(
                f"{len(empty)} problems ask about an empty database, where two empty results agree: {', '.join(named)}"
            )
        return said

    def _program(self, problem: Problem, queries: Sequence[tuple[str, str]], cpu_s: float) -> Program:
        folder = folder_of(problem)
        inputs = [[path, query, cpu_s, content(folder, path, query)] for path, query in queries]
        return Program(
            "python", {"main.py": runner_source()}, folder=str(folder or ""),
            calls=Calls(ASKED, json.dumps(inputs), [cpu_s + MARGIN_S] * len(inputs), RESULT_BYTES, timed=True),
            limits=Limits((cpu_s + MARGIN_S) * len(inputs), answer_bytes=RESULT_BYTES),
        )  # fmt: skip


FAILURES = {
    "TimeoutError": Outcome.TIMEOUT,
    "MemoryError": Outcome.OUT_OF_MEMORY,
    "OverflowError": Outcome.WRONG,
}
GONE = {"PermissionError", "FileNotFoundError"}  # of a database, which is no fault of the query


@lru_cache(maxsize=1)
def runner_source() -> str:
    return (bundled("sandbox") / "query.py").read_text()


def answer_of(line: bytes) -> Rows | Failure:
    """The rows of an answer line; a Failure where the query raised, or the line cannot be read."""
    try:
        answer = decode_line(line)
    except ForgedError as error:
        return Failure(str(error), "ForgedError")
    if answer.size:
        return Failure(f"a result of {answer.size} bytes", "OverflowError")
    if isinstance(answer.value, (list, Failure)):
        return answer.value
    return Failure("no rows", "ForgedError")


def unanswered(result: Result) -> Failure:
    """Why a process ended in the middle of a query."""
    how = result.ending.replace("_", " ")
    kind = {"memory_limit": "MemoryError", "answer_limit": "OverflowError"}.get(result.ending, "Error")
    return Failure(f"ended by {how}", "TimeoutError" if result.timed_out else kind)


def folder_of(problem: Problem) -> Path | None:
    return assets.locate(problem.assets[0]) if problem.assets else None


def unaltered(problem: Problem, recorded: Recorded) -> None:
    """Raises DatasetError where a database is another one than that of the gold query."""
    folder, calls = folder_of(problem), recorded.program.calls
    if folder is None or calls is None:
        return
    for path, _, _, known in json.loads(calls.inputs):
        if known[:DIGEST] != known_content(folder, path)[:DIGEST]:
            raise DatasetError(f"{folder / path}: has changed since the gold query ran; start again")


def content(folder: Path | None, path: str, query: str) -> str:
    """What the result of a query rests on besides its text."""
    known = known_content(folder, path) if folder else ""
    return known + (time.strftime("%Y-%m-%d", time.gmtime()) if spoken_now(query) else "")


def known_content(folder: Path, path: str) -> str:
    """Of a database: its digest, and whether it is private. Raises DatasetError where it is not there."""
    steps = itertools.accumulate([str(folder), *path.split("/")], os.path.join)
    try:
        state = tuple((each.st_mode, each.st_size, each.st_mtime_ns) for each in map(os.stat, steps))
    except OSError as error:
        raise DatasetError(f"{folder / path}: cannot be read ({error.strerror}); get it again") from None
    return _known_content(folder, path, state)


@lru_cache(maxsize=4096)
def _known_content(folder: Path, path: str, state: tuple[tuple[int, ...], ...]) -> str:
    """Looked at once, as long as it is in this ``state``: there is a query for each of a thousand questions."""
    return assets.digest(folder / path) + private(folder, path)


def private(folder: Path, path: str) -> str:
    """Marks a database that the sandbox's user may not be able to read, so that what failed is not kept past that.

    Raises DatasetError where it is not there.
    """
    wanted = {folder: 0o5, **{folder / each: 0o5 for each in PurePosixPath(path).parents}, folder / path: 0o4}
    try:
        return " private" if any(each.stat().st_mode & mode != mode for each, mode in wanted.items()) else ""
    except OSError as error:
        raise DatasetError(f"{folder / path}: cannot be read ({error.strerror}); get it again") from None


def gold_of(recorded: Recorded) -> list[Rows]:
    """Of each database, in order. Kept for a while, as the samples of a problem come one after the other."""
    return _gold_of(recorded.path)


@lru_cache(maxsize=64)
def _gold_of(path: Path) -> list[Rows]:
    recorded = Recorded(path, Program("python", {}))
    expected, read = recorded.load(), recorded.forward()
    return [decode(line.encoded(read)) for line in expected.lines]


def shown(rows: Rows) -> str:
    """Values are cut before they are written down: they may have megabytes."""
    few = [tuple(each[:1000] if isinstance(each, (str, bytes)) else each for each in row[:100]) for row in rows[:5]]
    first = ", ".join(map(repr, few))
    return short(f"{len(rows)} rows: {first}" + (", ..." if len(rows) > 5 else ""))
