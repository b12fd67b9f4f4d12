"""A night: every model on every benchmark, the gate against the baseline, and what a job page shows of it.

Each model is evaluated by `qceval run` in a process of its own, so that whatever becomes of one leaves the others and
the night itself alone, and a night means by its options what the command means. A night that is started again
continues.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..errors import InfrastructureError, InputError, RunError, UsageError
from ..runs.directory import safe_name
from ..runs.reading import Finished, finished
from .baseline import Store, store
from .compare import Comparison, compared
from .gate import Judged, Rule, judge

Options = dict[str, str | int | float | bool | list[str]]
RESERVED = ("out", "json", "help")  # options that are the night's own
SEEDS_APART = 1000  # between the seeds of repeats


class Named(BaseModel):
    """A table of a night's file: whatever else it has are options of `qceval run`."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> Options:
        return {key.replace("_", "-"): value for key, value in (self.model_extra or {}).items()}


class ModelTable(Named):
    """``name``: how its runs and its baseline are filed; what stays when the checkpoint is another each night."""

    name: str = Field(min_length=1, max_length=100)


class BenchmarkTable(Named):
    bench: str = Field(min_length=1)


class Plan(BaseModel):
    """A night's file."""

    model_config = ConfigDict(extra="forbid")

    baseline: str
    results: str = "nights"
    repeats: int = Field(default=1, ge=1, le=100)
    alpha: float = Field(default=0.05, gt=0, lt=1)
    least: float = Field(default=0.0, ge=0, le=1)
    retries: int = Field(default=1, ge=0, le=100)
    confirm: bool = False
    model: list[ModelTable] = Field(min_length=1)
    benchmark: list[BenchmarkTable] = Field(min_length=1)

    @property
    def rule(self) -> Rule:
        return Rule(self.alpha, self.least)


def read_plan(file: Path) -> Plan:
    """Raises InputError with file, field and remedy."""
    try:
        plan = Plan(**tomllib.loads(file.read_text()))
    except OSError as error:
        raise InputError(f"{file}: {error.strerror}; name a night's file, see docs/nightly.md") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not TOML ({error}); correct it") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{file}: {where}: {first['msg'][0].lower()}{first['msg'][1:]}; correct it") from None
    names = [safe_name(table.name) for table in plan.model]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise InputError(f"{file}: model: two are filed as {min(doubled)}; give each a name of its own")
    for table in [*plan.model, *plan.benchmark]:
        for key, value in table.options.items():
            if key in RESERVED:
                raise InputError(f"{file}: {key}: is the night's own; leave it out")
            if not isinstance(value, (str, int, float, bool, list)):
                raise InputError(f"{file}: {key}: is a {type(value).__name__}; give text, a number, true or a list")
            if key == "samples" and (plan.repeats > 1 or plan.confirm):
                raise InputError(f"{file}: samples: are the same every time; drop repeats and confirm")
            if key == "seed" and not isinstance(value, int):
                raise InputError(f"{file}: seed: {value!r} is no whole number; correct it")
    return plan


@dataclass
class Night:
    """What became of a night. By model's name: ``trouble``, what could not be evaluated, and ``refused``, what could
    not be held against a baseline. ``unconfirmed`` failed at first and not when evaluated again.
    """

    folder: Path
    judged: list[Judged] = field(default_factory=list)
    runs: dict[str, list[Finished]] = field(default_factory=dict)
    trouble: dict[str, list[str]] = field(default_factory=dict)
    refused: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    unconfirmed: list[Judged] = field(default_factory=list)
    accepted: bool = False

    @property
    def failed(self) -> list[Judged]:
        return [each for each in self.judged if each.failed]

    @property
    def status(self) -> int:
        """1 for a regression that was not accepted, else 3 for trouble, else 2 for what was refused."""
        return 1 if self.failed and not self.accepted else 3 if self.trouble else 2 if self.refused else 0


Say = Callable[[str], None]


def run_night(plan: Plan, file: Path, folder: Path, accept: bool, say: Say) -> Night:
    """Evaluate, judge, and with ``accept`` make this night the baseline. Raises QcevalError where none of it can be.

    Trouble with one model is noted and leaves the others; it is no regression.
    """
    night, baselines = Night(folder, accepted=accept), store(plan.baseline, file.resolve().parent)
    for table in plan.model:
        try:
            night.runs[table.name] = evaluated(plan, table, folder, say)
        except InfrastructureError as error:
            night.trouble.setdefault(table.name, []).append(str(error))
    comparisons = against(baselines, night)
    night.judged = judge(comparisons, plan.rule)
    if accept:
        night.refused.clear()
        for name, runs in night.runs.items():
            baselines.accept(name, [run.path for run in runs])
            night.notes.append(f"{name}: {len(runs)} runs are the baseline in {baselines.name} from now on")
    elif night.failed and plan.confirm:
        confirm(plan, night, baselines, say)
    return night


def evaluated(
    plan: Plan, table: ModelTable, folder: Path, say: Say, repeats: Sequence[int] | None = None
) -> list[Finished]:
    """The model's runs of this night. Raises InfrastructureError, UsageError and RunError with the command's words."""
    found = []
    for repeat in repeats if repeats is not None else range(plan.repeats):
        for options, benches in together(plan.benchmark):
            chosen: dict[str, Any] = {**table.options, **options, "bench": ",".join(benches)}
            if repeat:
                chosen["seed"] = chosen.get("seed", 0) + SEEDS_APART * repeat
            out = folder / safe_name(table.name) / f"repeat-{repeat}"
            found += [finished(path) for path in started(chosen, out, plan.retries, table.name, say)]
    return found


def together(tables: Sequence[BenchmarkTable]) -> list[tuple[Options, list[str]]]:
    """Benchmarks with the same options, which one engine generates for in one go."""
    found: list[tuple[Options, list[str]]] = []
    for table in tables:
        for options, benches in found:
            if options == table.options:
                benches.append(table.bench)
                break
        else:
            found.append((table.options, [table.bench]))
    return found


def started(options: Mapping[str, Any], out: Path, retries: int, name: str, say: Say) -> list[Path]:
    """Run directories that the command filled, tried again as often as allowed where it exits with 3."""
    command = [sys.executable, "-m", "qwencoder_eval", "run", *flags(options), "--out", str(out), "--json"]
    for attempt in range(retries + 1):
        say(f"{name}: qceval {' '.join(command[3:])}")
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        said = ran.stderr.strip().rpartition("\n")[2].removeprefix("qceval: ")
        if ran.returncode != 3:
            break
        say(f"{name}: {said}" + ("; once more" if attempt < retries else ""))
    if ran.returncode == 2:
        raise UsageError(f"{name}: {said}")
    if ran.returncode < 0 or ran.returncode == 130:
        raise KeyboardInterrupt
    try:
        documents = json.loads(ran.stdout) if ran.returncode in (0, 3) and ran.stdout else None
    except ValueError:
        documents = None
    if documents is None:
        raise InfrastructureError(f"{name}: {said or f'the command ended with {ran.returncode}'}")
    reports = [documents] if isinstance(documents, dict) else documents
    if lacking := [report for report in reports if "missing" in report]:
        samples = sum(report["missing"]["samples"] for report in lacking)
        raise InfrastructureError(f"{name}: {samples} samples of {lacking[0]['benchmark']} have no verdict")
    return [Path(report["run"]) for report in reports if "run" in report]


def flags(options: Mapping[str, Any]) -> list[str]:
    """``{"max-tokens": 5, "eager": true}`` as ``--max-tokens 5 --eager``."""
    found = []
    for key, value in options.items():
        flag = f"-{key}" if len(key) == 1 else f"--{key}"
        for each in value if isinstance(value, list) else [value]:
            if each is True:
                found.append(flag)
            elif each is not False:
                found += [flag, str(each)]
    return found


def against(baselines: Store, night: Night) -> list[Comparison]:
    """Comparisons with the baseline, under the models' names; what cannot be compared is noted as refused."""
    comparisons: list[Comparison] = []
    with tempfile.TemporaryDirectory(prefix="qceval-night-") as scratch:
        for name, runs in night.runs.items():
            try:
                if not (base := baselines.fetch(name, Path(scratch))):
                    raise RunError(f"no baseline in {baselines.name}; --accept makes this night the baseline")
                found, left_out = compared(base, runs)
            except RunError as error:
                night.refused.setdefault(name, []).append(str(error))
                continue
            comparisons += [replace(each, model=name) for each in found]
            night.notes += [f"{name}: {line}" for line in left_out]
    return comparisons


def confirm(plan: Plan, night: Night, baselines: Store, say: Say) -> None:
    """Evaluate again, with other seeds, the models that failed; what does not fail again does not count."""
    again = Night(night.folder)
    names = {each.model for each in night.failed}
    for table in plan.model:
        if table.name in names:
            try:
                again.runs[table.name] = evaluated(plan, table, night.folder, say, [plan.repeats])
            except InfrastructureError as error:
                night.trouble.setdefault(table.name, []).append(f"not confirmed: {error}")
    failed = {(each.model, each.name) for each in judge(against(baselines, again), plan.rule) if each.failed}
    for index, each in enumerate(night.judged):
        if each.failed and each.model in again.runs and (each.model, each.name) not in failed:
            night.judged[index] = replace(each, failed=False)
            night.unconfirmed.append(each)


def foreseen(plan: Plan, file: Path) -> list[Judged]:
    """What the gate could find, from the baseline alone: its tests with the smallest drop that each detects.

    Raises RunError where there is no baseline.
    """
    baselines, comparisons = store(plan.baseline, file.resolve().parent), []
    with tempfile.TemporaryDirectory(prefix="qceval-night-") as scratch:
        for table in plan.model:
            if not (base := baselines.fetch(table.name, Path(scratch))):
                raise RunError(f"{baselines.name}: no baseline of {table.name}; --accept makes a night the baseline")
            comparisons += [replace(each, model=table.name) for each in compared(base, base)[0]]
    return judge(comparisons, plan.rule)
