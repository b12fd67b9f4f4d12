"""Two sides of one or several runs each, compared problem by problem.

A side is a model on some benchmarks. Several runs of one benchmark with one identity (see ``Finished.identity``) are
repeats: their samples count together, and what they differ in among themselves is the noise floor.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from ..errors import RunError
from ..runs.reading import Finished
from ..statistics import difference_interval, holm, sign_flip

Counts = Mapping[str, tuple[int, int]]  # problem -> (samples, passed)
FLIPPED = 0.5  # the share of a problem's samples that must have changed for it to be named


@dataclass(frozen=True)
class Floor:
    """What equal runs differ in, from repeats: means over their pairs.

    ``flips``: the share of the samples of a problem, of all problems, whose outcome another repeat does not share.
    ``score``: how far two repeats' scores lie apart.
    """

    runs: int
    flips: float
    score: float


@dataclass(frozen=True)
class Comparison:
    """One check of one benchmark on both sides. Scores and differences (new less base) are fractions.

    ``units`` are the whole-number differences of the problems, of which ``per_problem`` are a whole problem.
    ``p``, ``p_lower`` and ``p_higher`` are exact (``statistics.sign_flip``); ``adjusted`` is ``p`` after Holm over all
    comparisons that were made together. ``lost`` and ``gained`` name the problems that flipped, the most changed first.
    """

    model: str
    benchmark: str
    profile: str
    check: str
    version: str
    base: float
    new: float
    samples: tuple[int, int]
    difference: float
    low: float
    high: float
    p: float
    p_lower: float
    p_higher: float
    units: tuple[int, ...]
    per_problem: int
    lost: tuple[str, ...]
    gained: tuple[str, ...]
    floor: Floor | None = None
    notes: tuple[str, ...] = ()
    adjusted: float = 1.0

    @property
    def name(self) -> str:
        return f"{self.check} {self.version}"

    @property
    def problems(self) -> int:
        return len(self.units)

    @property
    def primary(self) -> bool:
        """Whether it is its benchmark's own score and not a stricter one beside it."""
        return self.check == self.benchmark

    @property
    def variance(self) -> float:
        """Of a problem's difference, as it is with what flipped both ways; a drop alone adds nothing to it."""
        shares = [unit / self.per_problem for unit in self.units]
        gained = math.fsum(share * share for share in shares if share > 0)
        lost = math.fsum(share * share for share in shares if share < 0)
        return 2 * min(gained, lost) / len(shares)


def compared(base: Sequence[Finished], new: Sequence[Finished]) -> tuple[list[Comparison], list[str]]:
    """All that both sides have, and a line for each benchmark that only one of them has.

    Raises RunError where a side is of two models or nothing can be compared, with the field that differs.
    """
    ours, theirs = _repeats(base, "base"), _repeats(new, "new")
    found: list[dict[str, Any]] = []
    left_out = []
    for key, runs in ours.items():
        alike = [others for others in theirs.values() if others[0].identity == runs[0].identity]
        if key not in theirs and len(alike) != 1:
            left_out.append(_why_not(runs[0], [run for each in theirs.values() for run in each]))
            continue
        for check in runs[0].checks:
            found.append(_measured(runs, theirs[key] if key in theirs else alike[0], check))
    if not found:
        raise RunError(f"cannot be compared: {'; '.join(left_out)}")
    left_out += [
        f"{theirs[key][0].benchmark}: only the new side has it"
        for key in theirs.keys() - ours.keys()
        if not any(run[0].benchmark == theirs[key][0].benchmark for run in ours.values())
    ]
    adjusted = holm([each["p"] for each in found])
    return [Comparison(**each, adjusted=p) for each, p in zip(found, adjusted, strict=True)], left_out


def _repeats(side: Sequence[Finished], name: str) -> dict[str, list[Finished]]:
    """Runs of a side by their column."""
    if len(models := sorted({run.model for run in side})) > 1:
        raise RunError(f"{name}: runs of {len(models)} models, {', '.join(models)}; name those of one")
    found: dict[str, list[Finished]] = {}
    for run in side:
        repeats = found.setdefault(run.column, [])
        if repeats and (differ := _differing(_asked(repeats[0]), _asked(run))):
            raise RunError(
                f"{name}: {repeats[0].path} and {run.path} are no repeats of each other, as they differ in "
                f"{', '.join(differ)}; name one of them"
            )
        repeats.append(run)
    return found


def _asked(run: Finished) -> dict[str, Any]:
    """What repeats have in common: their generation key, but for seed, number of samples, and a replayed file."""
    key = dict(run.described.get("generation", {}))
    if key.get("model") == "replay":
        key.pop("sha256", None)
    sampling = {name: value for name, value in key.pop("sampling", {}).items() if name not in ("seed", "n")}
    return {**key, **sampling}


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [key for key in {**one, **other} if one.get(key, ...) != other.get(key, ...)]


def _why_not(run: Finished, others: Iterable[Finished]) -> str:
    """Why a run has no partner, by the nearest one."""
    same = [other for other in others if other.benchmark == run.benchmark]
    if not same:
        return f"{run.benchmark}: only the base side has it"
    mine = {**run.identity, "profile": run.profile}
    nearest = min(
        ({**other.identity, "profile": other.profile} for other in same), key=lambda o: len(_differing(mine, o))
    )
    fields = _differing(mine, nearest)
    said = ", ".join(f"{key} ({_short(mine.get(key))} and {_short(nearest.get(key))})" for key in fields)
    return f"{run.benchmark}: differs in {said}; run both with the same one"


def _short(value: Any) -> str:
    return str(value) if len(str(value)) <= 40 else f"{str(value)[:12]}…"


def merged(runs: Sequence[Finished], check: str) -> dict[str, tuple[int, int]]:
    """Samples and passes of every problem, over all repeats."""
    found: dict[str, tuple[int, int]] = {}
    for run in runs:
        for problem, (samples, passed) in run.passed[check].items():
            before = found.get(problem, (0, 0))
            found[problem] = (before[0] + samples, before[1] + passed)
    return found


def _measured(base: Sequence[Finished], new: Sequence[Finished], check: str) -> dict[str, Any]:
    ours, theirs = merged(base, check), merged(new, check)
    if ours.keys() != theirs.keys():
        raise RunError(
            f"{base[0].path}: {len(ours.keys() ^ theirs.keys())} problems are not in {new[0].path} or the reverse; "
            "run both on the same problems"
        )
    per_problem = math.lcm(*{samples for counts in (ours, theirs) for samples, _ in counts.values()})
    shares = {problem: _share(theirs[problem]) - _share(ours[problem]) for problem in ours}
    units = {
        problem: theirs[problem][1] * (per_problem // theirs[problem][0])
        - ours[problem][1] * (per_problem // ours[problem][0])
        for problem in ours
    }
    most = max(samples for counts in (ours, theirs) for samples, _ in counts.values())
    difference, low, high = difference_interval(list(shares.values()), 1 / most)
    p, p_lower, p_higher = sign_flip(list(units.values()))
    flipped = sorted((problem for problem in shares if abs(shares[problem]) >= FLIPPED), key=lambda p: -abs(shares[p]))
    return {
        "model": new[0].model,
        "benchmark": base[0].benchmark,
        "profile": base[0].profile,
        "check": check,
        "version": base[0].version,
        "base": mean(map(_share, ours.values())),
        "new": mean(map(_share, theirs.values())),
        "samples": (sum(samples for samples, _ in ours.values()), sum(samples for samples, _ in theirs.values())),
        "difference": difference,
        "low": low,
        "high": high,
        "p": p,
        "p_lower": p_lower,
        "p_higher": p_higher,
        "units": tuple(units.values()),
        "per_problem": per_problem,
        "lost": tuple(problem for problem in flipped if shares[problem] < 0),
        "gained": tuple(problem for problem in flipped if shares[problem] > 0),
        "floor": floor([base, new], check),
        "notes": tuple(_notes(base, new)),
    }


def _share(counts: tuple[int, int]) -> float:
    return counts[1] / counts[0]


def floor(sides: Iterable[Sequence[Finished]], check: str) -> Floor | None:
    """None where no side has repeats."""
    repeated = [runs for runs in sides if len(runs) > 1]
    pairs = [pair for runs in repeated for pair in itertools.combinations(runs, 2)]
    if not pairs:
        return None
    flips, scores = [], []
    for one, other in pairs:
        a, b = one.passed[check], other.passed[check]
        both = [(_share(a[problem]), _share(b[problem])) for problem in a if problem in b]
        flips.append(mean(x * (1 - y) + y * (1 - x) for x, y in both))
        scores.append(abs(mean(x for x, _ in both) - mean(y for _, y in both)))
    return Floor(sum(map(len, repeated)), mean(flips), mean(scores))


def _notes(base: Sequence[Finished], new: Sequence[Finished]) -> list[str]:
    """What a reader should know of how the two were made, beside their identity."""
    notes = []
    ours, theirs = base[0].described.get("generation", {}), new[0].described.get("generation", {})
    asked = [key for key in ("prompts", "sampling", "system") if ours.get(key) != theirs.get(key)]
    if asked:
        notes.append(f"asked with another {', '.join(asked)}")
    for side, runs in (("base", base), ("new", new)):
        notes += sorted({f"{side}: {note}" for run in runs for note in run.notes})
    if base[0].described["scoring"].get("sandbox") != new[0].described["scoring"].get("sandbox"):
        notes.append("scored in another sandbox image")
    return notes


def answers(runs: Sequence[Finished], problems: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Of each of these problems one sample that shows what became of it: text, outcomes and evidence.

    The first sample of the first run; on a side where most samples passed the first that passed, else that did not.
    """
    from ..runs.directory import evidence

    wanted = set(problems)
    rows = {(row["problem"], row["sample"]): row for row in runs[0].verdicts() if row["problem"] in wanted}
    by_problem: dict[str, list[dict[str, Any]]] = {}
    for row in rows.values():
        by_problem.setdefault(row["problem"], []).append(row)
    chosen: dict[tuple[str, int], dict[str, Any]] = {}
    for problem, own in by_problem.items():
        right = [set(row["checks"].values()) == {"passed"} for row in own]
        typical = sum(right) * 2 >= len(right)
        row = own[right.index(typical)] if typical in right else own[0]
        chosen[problem, row["sample"]] = row
    found = {}
    for row in runs[0].completions():
        if (verdict := chosen.get((row["problem"], row["sample"]))) is not None:
            found[row["problem"]] = {"text": row["text"], "checks": verdict["checks"], "evidence": evidence(verdict)}
    return found
