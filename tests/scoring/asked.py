"""Small databases in a folder of data, and what ``QueryScorer`` says of queries on them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.scoring.queries import QueryScorer
from qwencoder_eval.scoring.recorded import Recorded
from qwencoder_eval.types import Outcome, Problem, Program, Result

PLACE = "towns"
TOWN = (
    "CREATE TABLE pet (id INTEGER PRIMARY KEY, name TEXT, kind TEXT, weight REAL)",
    "INSERT INTO pet VALUES (1,'Ann','cat',4.0), (2,'Bob','dog',9.5), (3,'Cid','cat',4.0), (4,NULL,'fish',NULL)",
    "CREATE TABLE nobody (id INTEGER)",
)


class Desk:
    """``pool`` runs queries; gold queries run there too, and what they gave is kept in ``kept``."""

    def __init__(self, data: Path, kept: Path, pool: Pool) -> None:
        self.folder, self.kept, self.pool = data / PLACE, kept, pool

    def database(self, name: str, statements: Sequence[str] = TOWN, file: str = "") -> str:
        """Made anew; its path below the place."""
        path = self.folder / name / (file or f"{name}.sqlite")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(path)) as connection:
            for statement in statements:
                connection.execute(statement)
            connection.commit()
        path.chmod(0o644)
        return f"{name}/{path.name}"

    def problem(self, gold: str, databases: Sequence[str] = ("town/town.sqlite",), **more: Any) -> Problem:
        return Problem("p/0", {}, {"query": gold, "databases": list(databases)}, assets=(PLACE,), **more)

    def known(self, scorer: QueryScorer, problem: Problem) -> Recorded:
        """Raises ReferenceFailsError as the scorer does."""
        (program,) = scorer.reference_programs(problem)
        assert program.calls
        recorded = Recorded(self.kept / f"{abs(hash((program.calls.inputs, scorer.rule)))}.gz", program)
        if not recorded.exists():
            recorded.keep(self.pool.run(program).answers)
        return scorer.learn(problem, [recorded])

    def judge(self, gold: str, answer: str, rule: Any = "test-suite", *databases: str, **options: Any) -> Judgement:
        scorer = QueryScorer("sql", rule, **options)
        problem = self.problem(gold, databases or ("town/town.sqlite",))
        return scorer.score(problem, answer, self.known(scorer, problem), self.pool)

    def outcome(self, gold: str, answer: str, rule: Any = "test-suite", *databases: str, **options: Any) -> Outcome:
        return self.judge(gold, answer, rule, *databases, **options).checks["sql"]

    def outcomes(self, gold: str, answers: Sequence[str], **options: Any) -> list[Outcome]:
        """Of all of them judged together."""
        scorer = QueryScorer("sql", "test-suite", **options)
        problem = self.problem(gold)
        known = self.known(scorer, problem)
        judged = scorer.score_many([(problem, answer, known) for answer in answers], self.pool)
        return [each.checks["sql"] for each in judged]


class Deadly:
    """A runner without a sandbox: every query gives one row, ``[[1]]``, but those that hold a word of ``ends``."""

    def __init__(self, **ends: dict[str, Any]) -> None:
        self.ends, self.programs = ends, list[Program]()

    def run(self, program: Program, decided: Any = None) -> Result:
        self.programs.append(program)
        assert program.calls
        answers = b'{"loaded": true}\n'
        for number, (_, query, *_) in enumerate(json.loads(program.calls.inputs)):
            if word := next((word for word in self.ends if word in query), None):
                result = {"ending": "signal", "status": 9, **self.ends[word]}
                if result["ending"] == "cpu_limit":
                    result["over"] = number
                return Result(**result, cpu_s=0.1, wall_s=0.1, answers=answers)
            answers += b'{"value": [{"$": "tuple", "items": [1]}], "cpu_s": [0.0, 0.0]}\n'
        return Result("exit", 0, 0.1, 0.1, answers=answers)

    run_alone = run
