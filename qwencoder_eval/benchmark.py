"""The Benchmark protocol: what one file declares, and what registration demands of it.

Asking and scoring are two things; a profile names a pair. Published numbers of one benchmark come from
different rules, and any scoring that shares an asking can re-score its completions.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, NoReturn

from .datasets.haystacks import chosen_haystack
from .datasets.rows import Row, Rows, load, unchecked
from .errors import DatasetError, PluginError, QcevalError, UsageError
from .scoring.base import Scorer
from .types import Completion, Haystack, Outcome, Problem, Prompt, Sampling, Turn

Extract = Callable[[Problem, Completion], str | None]
Select = Callable[[Row], bool]
Refuse = Callable[[str, str, str], NoReturn]
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]*")
PINNED = re.compile(r"https://\S+/[0-9a-f]{7,40}(/\S*)?|https://arxiv\.org/abs/\S+|original")


@dataclass(frozen=True, slots=True)
class Asking:
    """How a model is asked: which rows, which prompt, which sampling.

    ``select`` says which rows are asked, all without it. ``shots`` says which rows are shown as solved examples: then
    ``prompt`` takes a second argument, the list of their problems. ``haystack`` is code that prompts are made with, as
    it is pinned: then the second argument is the one in use, which may be the user's.
    """

    rows: Rows
    prompt: Callable[..., Prompt]
    sampling: Sampling = field(default_factory=Sampling)
    select: Select | None = None
    shots: Select | None = None
    haystack: Haystack | None = None


@dataclass(frozen=True, slots=True)
class Scoring:
    """How its answers are scored: a named extraction, then a scorer.

    ``extract`` is a function of a module, or an instance of a dataclass where it has parameters: its name, or its
    repr, is part of the scoring key. ``ks``: of which k a pass@k is given, as far as there are samples, where the user
    says nothing else; 1, 10 and 100 without it.
    """

    extract: Extract
    scorer: Scorer
    ks: tuple[int, ...] = ()

    def key(self) -> dict[str, Any]:
        return {**self.scorer.key(), "extract": extraction_name(self.extract)}


def extraction_name(extract: Extract) -> str | None:
    """What tells an extraction from every other one, or None where nothing does (a lambda, a closure)."""
    if is_dataclass(extract):
        return repr(extract)
    name = getattr(extract, "__qualname__", "<none>")
    return None if "<" in name else f"{extract.__module__.removeprefix('qwencoder_eval.')}.{name}"


@dataclass(frozen=True, slots=True)
class Golden:
    """A row, what a model might answer, and the verdict that must come of it."""

    row: Mapping[str, Any]
    output: str
    expect: Mapping[str, str]
    profile: str = ""


class Benchmark:
    """Subclass this in one file; declare, do nothing: no I/O, no model, no process.

    name           as on the command line and in score keys: lower case, digits, + . -
    version        of this file's rules, as a string; change it when verdicts can change
    reference      URL of the rules' source pinned to a commit or a paper, or "original"
    asking, scoring, profiles    profiles: name -> (asking, scoring); the first one is the default
    decontaminate  fields of a row that decontamination looks at
    golden         two or more vectors; at least one must fail

    A benchmark of several ``parts`` (languages, say) is one object for each: ``part`` says which, ``name`` is then
    ``NAME:PART``, and asking, scoring, profiles and golden may be properties that look at it. The score of all is the
    mean of the parts, but of those in ``apart``, which stand beside it with the reason given; each part weighs the
    same, or with ``weighted`` as many problems as it has. With ``other_parts``, a pattern, there are more parts than
    can be listed (windows of time, say): then ``NAME`` alone is a benchmark too, of everything, and the listed parts
    are the published ones.

    ``known_failures``: why references are known to fail (a few words) -> ids of problems; ``qceval check`` says it.

    A benchmark of more than one turn sets ``max_turns`` and defines ``next``; the verdict of the last turn counts.
    """

    name: str
    version: str
    reference: str
    asking: Mapping[str, Asking]
    scoring: Mapping[str, Scoring]
    profiles: Mapping[str, tuple[str, str]]
    decontaminate: Sequence[str]
    golden: Sequence[Golden]
    parts: ClassVar[Sequence[str]] = ()
    other_parts: ClassVar[str] = ""
    max_turns: ClassVar[int] = 1
    known_failures: ClassVar[Mapping[str, Sequence[str]]] = {}
    apart: ClassVar[Mapping[str, str]] = {}
    weighted: ClassVar[bool] = False
    trusted: ClassVar[bool] = False  # reference solutions of these rows may run without a sandbox
    file: ClassVar[Path]  # set by registration

    def __init__(self, part: str = "") -> None:
        self.part = part
        if part:
            self.name = f"{type(self).name}:{part}"

    def next(self, problem: Problem, turns: Sequence[Turn]) -> Prompt | None:
        """What is asked after these turns, one at least; None where the conversation is over. See ``max_turns``."""
        return None

    def problem(self, row: Row) -> Problem:
        """A pure function of the row."""
        raise PluginError(str(self.file), "problem", "not defined", "define problem(self, row) -> Problem")

    def datasets(self) -> list[tuple[Rows, Select | None]]:
        """All ``Rows`` of the profiles, the default one's first, each with what selects those that any asking asks for.

        None where one of them asks for all. Rows that are only shown as examples are not among them.
        ``datasets.rows.load(rows, self.file.parent, offline, select)`` reads them.
        """
        every = self.asking  # a property, maybe
        used = [every[name] for name in dict.fromkeys(name for name, _ in self.profiles.values())]
        found: list[Rows] = []
        for asking in used:
            if asking.rows not in found:  # by equality: inline rows have no hash
                found.append(asking.rows)
        return [(rows, _any_of([each.select for each in used if each.rows == rows])) for rows in found]


def _any_of(selects: Sequence[Select | None]) -> Select | None:
    given = [select for select in selects if select]
    return (lambda row: any(select(row) for select in given)) if len(given) == len(selects) else None


class DataOnly(Benchmark):
    """Rows for decontamination, which nothing asks or scores: ``rows``, as an Asking has them, stand for all of it."""

    rows: Rows
    asking: Mapping[str, Asking] = {}
    scoring: Mapping[str, Scoring] = {}
    profiles: Mapping[str, tuple[str, str]] = {}
    golden: Sequence[Golden] = ()

    def datasets(self) -> list[tuple[Rows, Select | None]]:
        return [(self.rows, None)]


@dataclass(frozen=True)
class Profile:
    """A benchmark with one of its profiles chosen: what a run is made of."""

    benchmark: Benchmark
    name: str
    shots: list[Problem] = field(default_factory=list, compare=False)
    hashes: list[str] = field(default_factory=list, compare=False)  # of the rows, as they were found
    recorded: Haystack | None = None  # that of a run which is looked at again

    @property
    def asking(self) -> Asking:
        return self.benchmark.asking[self.benchmark.profiles[self.name][0]]

    @property
    def scoring(self) -> Scoring:
        return self.benchmark.scoring[self.benchmark.profiles[self.name][1]]

    def problems(self, offline: bool = False) -> list[Problem]:
        """All problems, in the order of the rows. Raises DatasetError."""
        select, shots = self.asking.select, self.asking.shots
        wanted = None if select is None else lambda row: select(row) or bool(shots and shots(row))
        try:
            rows = load(self.asking.rows, self.benchmark.file.parent, offline, wanted)
            self.hashes[:] = [rows.sha256]
            found = [self.benchmark.problem(row) for row in rows if select is None or select(row)]
            self.shots[:] = [self.benchmark.problem(row) for row in rows if shots and shots(row)]
            (doubled, times), *_ = Counter(problem.id for problem in found).most_common(1) or [("", 0)]
        except QcevalError:
            raise
        except Exception as error:
            where = f"{self.benchmark.file}: problem: " + f"{type(error).__name__}: {error}".splitlines()[0]
            raise DatasetError(f"{where}; the rows are not what this benchmark expects") from None
        if not found and rows.total:
            raise DatasetError(
                f"{self.benchmark.name}: no problem of its {rows.total} rows is in there; name another part"
            )
        if times > 1:
            raise DatasetError(f"{self.benchmark.file}: problem: id {doubled!r} {times} times; ids must be unique")
        return found

    @property
    def haystack(self) -> Haystack | None:
        """The one in use. Raises DatasetError where the user's cannot be read."""
        pinned = self.asking.haystack
        return pinned and (self.recorded or chosen_haystack(pinned))

    def prompt(self, problem: Problem) -> Prompt:
        """What the model is asked; examples are known once ``problems`` has read the rows. Raises DatasetError."""
        if self.asking.haystack:
            return self.asking.prompt(problem, self.haystack)
        return self.asking.prompt(problem, self.shots) if self.asking.shots else self.asking.prompt(problem)

    def other_versions(self) -> set[str]:
        """Ids that other versions of the dataset have, and rows of this one that are not asked for.

        As far as their rows are on this machine.
        """
        found: set[str] = set()
        read: list[Rows] = [] if self.asking.select or self.asking.rows.join else [self.asking.rows]
        for rows, _ in self.benchmark.datasets():
            if rows not in read:
                read.append(rows)
                for row in unchecked(rows, self.benchmark.file.parent):
                    try:
                        found.add(self.benchmark.problem(row).id)
                    except Exception as error:  # of a plugin, on another version's rows
                        said = f"{type(error).__name__}: {error}".splitlines()[0]
                        raise DatasetError(f"{self.benchmark.file}: problem: {said}; of {rows.file}") from None
        return found

    @property
    def dataset_hash(self) -> str:
        """The pin, or else the hash of what was found; with the haystack's where there is one. Raises DatasetError."""
        rows = self.asking.rows
        if (rows.inline or rows.unseen) and not self.hashes:
            self.problems(offline=True)
        found = self.hashes[0] if rows.inline or rows.unseen else rows.sha256
        if haystack := self.haystack:
            return hashlib.sha256(f"{found} {haystack.sha256}".encode()).hexdigest()
        return found


def profile(benchmark: Benchmark, name: str | None) -> Profile:
    """The profile of this name, or the default one. Raises UsageError, also where the benchmark is data only."""
    if isinstance(benchmark, DataOnly):
        why = "data only, with nothing to ask or to score; it is there for `qceval decontaminate`"
        raise UsageError(f"--bench {benchmark.name}: {why}")
    if name is not None and name not in benchmark.profiles:
        known = ", ".join(benchmark.profiles)
        raise UsageError(f"--profile {name}: {benchmark.name} has {known}; choose one of them")
    return Profile(benchmark, name or next(iter(benchmark.profiles)))


def validate(benchmark: Benchmark, file: Path) -> None:
    """Refuse a benchmark that does not keep the protocol. Raises PluginError with file, field and remedy."""
    cls = type(benchmark)

    def refuse(where: str, problem: str, remedy: str) -> NoReturn:
        raise PluginError(str(file), where, problem, remedy)

    kinds: dict[str, type] = {
        "name": str, "version": str, "reference": str, "asking": Mapping, "scoring": Mapping,
        "profiles": Mapping, "decontaminate": Sequence, "golden": Sequence,
    }  # fmt: skip
    if isinstance(benchmark, DataOnly):
        kinds["rows"] = Rows
    for where, kind in kinds.items():
        if not hasattr(cls, where):
            refuse(where, "missing", f"set {where} in class {cls.__name__}")
        try:
            value = getattr(benchmark, where)
        except Exception as error:  # a property of the plugin's own
            refuse(where, f"{type(error).__name__}: {error}".splitlines()[0], "correct it")
        if not isinstance(value, kind) or (kind is Sequence and isinstance(value, str)):
            refuse(where, f"is a {type(value).__name__}", f"make it a {kind.__name__}")
    if not NAME.fullmatch(cls.name):
        refuse("name", f"{cls.name!r}", "use lower-case letters, digits, + . -")
    if not PINNED.fullmatch(benchmark.reference):
        refuse("reference", "not pinned", "give a URL with a commit in it, a paper's arXiv URL, or 'original'")
    for where, part_kind in (("asking", Asking), ("scoring", Scoring)):
        for key, value in getattr(benchmark, where).items():
            if not isinstance(value, part_kind):
                refuse(f"{where}[{key!r}]", f"is a {type(value).__name__}", f"make it {part_kind.__name__}(...)")
    if isinstance(benchmark, DataOnly):
        validate_rows("rows", benchmark.rows, refuse)
        for where in ("asking", "scoring", "profiles", "golden"):
            if getattr(benchmark, where):
                refuse(where, "given, and the benchmark is DataOnly", "remove it, or derive from Benchmark")
        if not benchmark.decontaminate:
            refuse("decontaminate", "empty", "name fields of a row")
    elif not benchmark.profiles:
        refuse("profiles", "empty", "name at least one pair of an asking and a scoring, or derive from DataOnly")
    for key, pair in benchmark.profiles.items():
        if not isinstance(pair, tuple) or len(pair) != 2:
            refuse(f"profiles[{key!r}]", f"is {pair!r}", "make it a pair (asking, scoring)")
        for where, part in zip(("asking", "scoring"), pair, strict=True):
            if part not in list(getattr(benchmark, where)):
                refuse(f"profiles[{key!r}]", f"{where} {part!r} does not exist", f"use a key of {where}")
    for key, asking in benchmark.asking.items():
        validate_rows(f"asking[{key!r}].rows", asking.rows, refuse)
        if not callable(asking.prompt):
            refuse(f"asking[{key!r}].prompt", "is not a function", "give a function of a Problem")
    for key, scoring in benchmark.scoring.items():
        if not callable(scoring.extract) or extraction_name(scoring.extract) is None:
            refuse(f"scoring[{key!r}].extract", "has no name to go by", "use a module's function or a dataclass")
        if not getattr(scoring.scorer, "checks", ()) or not callable(getattr(scoring.scorer, "score", None)):
            refuse(f"scoring[{key!r}].scorer", f"is a {type(scoring.scorer).__name__}", "give a scorer with checks")
    if not all(isinstance(name, str) for name in benchmark.decontaminate):
        refuse("decontaminate", "holds other things than names", "name fields of a row")
    if cls.problem is Benchmark.problem:
        refuse("problem", "not defined", "define problem(self, row) -> Problem")
    if not callable(cls.problem) or list(inspect.signature(cls.problem).parameters) != ["self", "row"]:
        refuse("problem", "has other parameters", "define it as problem(self, row)")
    if not isinstance(benchmark, DataOnly):
        validate_golden(benchmark, refuse)


def validate_rows(where: str, rows: Rows, refuse: Refuse) -> None:
    if not isinstance(rows, Rows):
        refuse(where, f"is a {type(rows).__name__}", "make it Rows(...)")
    declared = {"version": str, "file": str, "sha256": str, "count": int, "inline": tuple}
    for part, kind in declared.items():
        if not isinstance(value := getattr(rows, part), kind):
            refuse(f"{where}.{part}", f"is a {type(value).__name__}", f"make it a {kind.__name__}")
    if bool(rows.file) == bool(rows.inline):
        refuse(where, "has no rows or two kinds", "give either file= or inline=")
    if rows.file and bool(rows.sha256) == rows.unseen:
        refuse(where, "has no sha256", "write sha256='?', and `qceval data verify` says what it is")


def validate_golden(benchmark: Benchmark, refuse: Refuse) -> None:
    if len(benchmark.golden) < 2:
        refuse("golden", f"{len(benchmark.golden)} vectors", "give two or more")
    for number, vector in enumerate(benchmark.golden):
        if not isinstance(vector, Golden):
            refuse(f"golden[{number}]", f"is a {type(vector).__name__}", "make it Golden(row, output, expect)")
        if vector.profile and vector.profile not in benchmark.profiles:
            refuse(f"golden[{number}].profile", f"{vector.profile!r} does not exist", "use a key of profiles")
        if not isinstance(vector.expect, Mapping):
            refuse(f"golden[{number}].expect", f"is a {type(vector.expect).__name__}", "make it {check: outcome}")
        if not vector.expect:
            refuse(f"golden[{number}].expect", "is empty", "say what each check must give")
        pair = benchmark.profiles[vector.profile or next(iter(benchmark.profiles))]
        if sorted(vector.expect) != sorted(benchmark.scoring[pair[1]].scorer.checks):
            checks = ", ".join(benchmark.scoring[pair[1]].scorer.checks)
            refuse(f"golden[{number}].expect", f"names {', '.join(map(str, vector.expect))}", f"name {checks}")
        for check, outcome in vector.expect.items():
            if outcome not in list(Outcome):
                refuse(f"golden[{number}].expect[{check!r}]", f"{outcome!r}", f"use one of {', '.join(Outcome)}")
    if all(set(vector.expect.values()) == {"passed"} for vector in benchmark.golden):
        refuse("golden", "all pass", "add one that must fail: a test that cannot fail shows nothing")
