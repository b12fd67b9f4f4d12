"""Scores on problems that stand in a corpus (hit) and on those that do not (clean).

What stands there is said by a report of `qceval decontaminate`, a file from outside. A difference is hit - clean: above
zero the score is higher on the hit problems. A hit counts whichever of several corpora has it. Where no corpus was
searched for the problems of a run nothing is called clean: a note says so.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InputError, QcevalError, RunError
from ..runs.reading import Finished
from ..statistics import difference_of_groups
from ..stream.tally import Tally
from ..types import Outcome, Problem, Score, Verdict
from .leaderboard import Column, Leaderboard, Row
from .table import for_terminal

FORMAT = 1
MAX_BYTES = 100_000_000  # of a report
SHOWN, CHARS = 5, 200  # names in a line, and how long they may be
EXPLAINED = (
    "Each score on all problems, on those that do not stand in the corpus (clean) and on those that do (hit), in "
    "percent with 95 % intervals. A difference above zero means higher on the hit problems, which may also be the "
    "easier ones. Where fewer than 20 problems have values between 0 and 1 (several samples each, or measures), "
    "intervals are too narrow."
)

Count = Annotated[int, Field(ge=0, le=10**15)]


# -- the file ------------------------------------------------------------------------------------------


class Untrusted(BaseModel):
    """Types are exact, unknown keys are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", allow_inf_nan=False)


class Rule(Untrusted):
    documents: Count
    covered: Annotated[float, Field(ge=0, le=1)] | None = (
        None  # of the problem's pieces the share that the corpus has, in whatever documents
    )


class Hit(Untrusted):
    documents: Count
    rules: dict[str, Rule] = {}


class Searched(Untrusted):
    """A benchmark that was searched for; ``without``: problems in which a rule finds nothing to look for."""

    benchmark: str
    datasets: dict[str, str]
    problems: Count
    hit: Count
    without: dict[str, Count] = {}
    hits: dict[str, Hit]


class Corpus(Untrusted):
    paths: list[str]
    shards: Count
    documents: Count
    unchecked: Count = 0


class Report(Untrusted):
    file: str
    created: str = ""
    rules: dict[str, Any] = {}
    corpus: Corpus
    benchmarks: list[Searched]
    faults: list[Any] = []

    @property
    def line(self) -> str:
        """What was searched, and what of it could not be."""
        corpus = self.corpus
        made = [f"{corpus.documents:,} documents in {corpus.shards:,} shards of {listed(corpus.paths)}"]
        made += [f"rules {listed(self.rules)}"] if self.rules else []
        made += [f"made {cut(self.created)}"] if self.created else []
        made += [f"{corpus.unchecked:,} documents not checked"] if corpus.unchecked else []
        made += [f"{len(self.faults):,} faults, which it names"] if self.faults else []
        return f"{self.file}: {'; '.join(made)}"


def read(file: Path) -> Report:
    """A report of `qceval decontaminate`. Raises InputError where it is not one, damaged, or of another format."""
    again = "run qceval decontaminate again"
    name = "name the report.json that qceval decontaminate wrote"
    try:
        with file.open("rb") as opened:
            text = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror}); {name}") from None
    if len(text) > MAX_BYTES:
        raise InputError(f"{file}: larger than {MAX_BYTES // 10**6} MB; {name}")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(f"{file}: damaged, not JSON; {again}") from None
    if not isinstance(document, dict) or "contamination" not in document:
        raise InputError(f"{file}: not a contamination report; {name}")
    if type(found := document["contamination"]) is not int or found != FORMAT:
        raise InputError(f"{file}: format {cut(json.dumps(found), 20)}, this qceval reads {FORMAT}; {again}")
    try:
        report = Report.model_validate({**document, "file": cut(str(file))})
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = cut(".".join(str(part) for part in first["loc"]))
        raise InputError(f"{file}: damaged ({where}: {first['msg'][0].lower()}{first['msg'][1:]}); {again}") from None
    for each in report.benchmarks:
        if each.hit != len(each.hits):
            said = f"{cut(each.benchmark)}: {each.hit} problems hit, {len(each.hits)} named"
            raise InputError(f"{file}: damaged ({said}); {again}")
    return report


def cut(text: str, size: int = CHARS) -> str:
    """One line of characters that every file takes."""
    text = " ".join(for_terminal(text.encode("utf-8", "replace").decode()).split())
    return text if len(text) <= size else f"{text[:size]}…"


def listed(names: Collection[str]) -> str:
    shown = [cut(name) for name, _ in zip(names, range(SHOWN), strict=False)]
    return ", ".join([*shown, *([f"{len(names) - SHOWN} more"] if len(names) > SHOWN else [])])


# -- the scores ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Split:
    """A score on all problems of a run, on the clean and on the hit ones; None where there are none of them."""

    all: Score
    clean: Score | None
    hit: Score | None

    @property
    def parts(self) -> tuple[Score | None, ...]:
        return self.all, self.clean, self.hit

    @property
    def problems(self) -> tuple[int, int]:
        """How many are clean and how many are hit."""
        clean, hit = (score.problems if score else 0 for score in (self.clean, self.hit))
        return clean, hit

    @property
    def difference(self) -> tuple[float, float, float] | None:
        """Hit - clean, with its 95 % interval."""
        if self.hit is None or self.clean is None:
            return None
        one, other = ((score.value, score.low, score.high) for score in (self.hit, self.clean))
        return difference_of_groups(one, other)


@dataclass
class Contamination:
    """``files`` has a line for each report. ``hits`` goes by sheet and problem and says where the problem was found."""

    files: list[str]
    splits: dict[tuple[Row, str], Split] = field(default_factory=dict)  # as the cells of a leaderboard
    hits: dict[str, dict[str, str]] = field(default_factory=dict)
    notes: dict[int, list[str]] = field(default_factory=dict)  # by run: what is not known of it
    explained: ClassVar[str] = EXPLAINED

    @property
    def said(self) -> list[str]:
        return list(dict.fromkeys(note for notes in self.notes.values() for note in notes))

    def scores(self, board: Leaderboard) -> Iterator[tuple[Row, Column, Split]]:
        """In the order of the leaderboard: columns, and in each the rows."""
        for column in board.columns:
            for row in board.rows:
                if split := self.splits.get((row, column.key)):
                    yield row, column, split

    def document(self, board: Leaderboard) -> dict[str, Any]:
        """For --json. Rows and columns go by their numbers."""
        rows = {row: at for at, row in enumerate(board.rows)}
        columns = {column.key: at for at, column in enumerate(board.columns)}
        names = ("value", "low", "high", "problems", "samples")
        scores: list[dict[str, Any]] = []
        for row, column, split in self.scores(board):
            scores.append({"row": rows[row], "column": columns[column.key]})
            for part, score in zip(("all", "clean", "hit"), split.parts, strict=True):
                scores[-1][part] = score and {name: getattr(score, name) for name in names}
            found = split.difference
            scores[-1]["difference"] = found and dict(zip(names[:3], found, strict=True))
        return {"files": self.files, "notes": self.said, "scores": scores}


def contamination(board: Leaderboard, reports: Sequence[Report]) -> Contamination:
    """The scores of a leaderboard's runs. A run that cannot be split has a note instead."""
    found = Contamination([report.line for report in reports])
    rows = {cell.run: row for (row, _), cell in board.cells.items() if cell.run is not None}
    for number, run in enumerate(board.runs):
        hits, found.notes[number] = looked_up(run, reports)
        if hits is None:
            continue
        try:
            splits = split(run, hits)
        except RunError as error:
            found.notes[number].append(cut(f"{error}", 2 * CHARS))
            continue
        found.hits[run.column] = hits
        for (check, metric), each in splits.items():
            found.splits[rows[number], f"{run.column}/{check}/{metric}"] = each
    return found


def looked_up(run: Finished, reports: Sequence[Report]) -> tuple[dict[str, str] | None, list[str]]:
    """Hit problems and where they were found, or None where no report looked for this run's; and notes."""
    dataset, name = run.report["dataset"]["sha256"], cut(f"{run.benchmark} {run.version}")
    hits: dict[str, list[str]] | None = None
    notes = []
    for report in reports:
        of = [each for each in report.benchmarks if each.benchmark == run.benchmark]
        same = [each for each in of if dataset in each.datasets.values()]
        if not of:
            notes.append(f"{name}: not looked for in {report.file}")
        elif not same:
            versions = listed(list(dict.fromkeys(version for each in of for version in each.datasets)))
            notes.append(f"{name}: {report.file} looked for another dataset ({versions})")
        for each in same:
            hits = hits or {}
            for problem, hit in each.hits.items():
                hits.setdefault(problem, []).append(f"{report.file}: {told(hit)}")
            if without := [f"{cut(rule)} {count}" for rule, count in each.without.items() if count]:
                notes.append(f"{name}: problems with nothing a rule of {report.file} could look for: {listed(without)}")
    return None if hits is None else {problem: "; ".join(where) for problem, where in hits.items()}, notes


def told(hit: Hit) -> str:
    covered = [
        f"{cut(rule)} covers {100 * found.covered:.0f} %"
        for rule, found in hit.rules.items()
        if found.covered is not None
    ]
    count = f"{hit.documents:,} document{'' if hit.documents == 1 else 's'}"
    return f"{count} ({listed(covered)})" if covered else count


def split(run: Finished, hits: Collection[str]) -> dict[tuple[str, str], Split]:
    """Every score of a run, by check and metric. Raises RunError where its verdicts do not make its scores."""
    try:
        whole, clean, hit = tallies(run, hits)
        found = {}
        for check in run.checks:
            for metric, recorded in run.report["scores"][check].items():
                score = whole[check].get(metric)
                if score is None or abs(score.value - recorded["value"]) > 1e-9 * max(1.0, score.value):
                    said = f"its verdicts do not make its {check} {metric}"
                    raise RunError(f"{run.path}: {said}; start its command again")
                found[check, metric] = Split(score, *(part[check][metric] if part else None for part in (clean, hit)))
        return found
    except RunError:
        raise
    except (QcevalError, AttributeError, LookupError, TypeError, ValueError):
        raise RunError(f"{run.path / 'verdicts.jsonl'}: damaged; start its command again") from None


def tallies(run: Finished, hits: Collection[str]) -> list[dict[str, dict[str, Score]]]:
    """Scores on all problems, the clean and the hit ones, as those of the run were made; empty of no problems."""
    metrics = list(run.report["scores"][run.checks[0]])
    passing = metrics[0].partition("@")[0]  # a tally begins with what it means to pass
    ks = [int(name.partition("@")[2] or 1) for name in metrics if name.partition("@")[0] == passing]
    measured = [name for name in metrics if name.partition("@")[0] != passing]
    problems = list(run.passed[run.checks[0]])
    members = [problems, [each for each in problems if each not in hits], [each for each in problems if each in hits]]
    # Unbounded changes nothing of a measure that stays within 1.
    found = [Tally(run.checks, [Problem(each, {}, {}) for each in of], passing, measured, measured) for of in members]
    for row in run.verdicts():
        checks = {check: Outcome.PASSED if row["checks"][check] == "passed" else Outcome.WRONG for check in run.checks}
        verdict = Verdict(row["problem"], row["sample"], checks, row.get("measures", {}))
        found[0].add(verdict)
        found[2 if verdict.problem in hits else 1].add(verdict)
    return [tally.scores(ks) if tally.problems else {} for tally in found]
