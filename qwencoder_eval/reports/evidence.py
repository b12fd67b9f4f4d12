"""What stands behind the scores of a run, in parts of a few hundred kB that a page loads when they are wanted.

A part is a name and a JSON value. Of a sheet (runs of one column) ``q…/index`` holds its problems, ``q…/N`` prompts;
of a run ``r…/index`` holds the outcomes, ``r…/N`` completions, code and evidence, in the order of problems and samples.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import RunError
from ..runs.directory import evidence
from ..runs.reading import Finished
from ..types import Outcome
from .rebuilt import Rebuilt

PART_BYTES = 200_000  # of a part, before the row that passes it
TEXT_CHARS = 100_000  # of one text; what is longer is cut, and said
LETTERS = {outcome.value: "pwcrtmnli"[at] for at, outcome in enumerate(Outcome)}

Part = tuple[str, str]  # its name, and its value as JSON


class Located:
    """Rows of a .jsonl file, found by problem and sample; in memory is only where each begins."""

    def __init__(self, path: Path, needed: Sequence[str]) -> None:
        """Raises RunError where a row is damaged."""
        self.places: dict[tuple[str, int], int] = {}
        self._file = path.open("rb") if path.exists() else None
        at = 0
        for number, line in enumerate(self._file or (), 1):
            try:
                row = json.loads(line)
                self.places[row["problem"], row["sample"]] = at
                damaged = not all(key in row for key in needed)
            except (ValueError, TypeError, KeyError, RecursionError):
                damaged = True
            if damaged:
                self.close()
                raise RunError(f"{path}:{number}: damaged; remove this line and run its command again")
            at += len(line)

    def row(self, problem: str, sample: int) -> dict[str, Any]:
        """Empty where there is none."""
        if self._file is None or (place := self.places.get((problem, sample))) is None:
            return {}
        self._file.seek(place)
        return dict(json.loads(self._file.readline()))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def natural(text: str) -> list[tuple[int, int, str]]:
    """A key that sorts p2 before p10."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", text)]


def ordered(problems: Iterable[str], known: Rebuilt) -> list[str]:
    """In the benchmark's own order where it is known."""
    place = {problem: at for at, problem in enumerate(known.problems)}
    return sorted(problems, key=lambda problem: (place.get(problem, len(place)), natural(problem)))


def as_json(value: Any) -> str:
    """JSON that can stand in a page or a script: nothing in it ends an element, opens one, or breaks a line."""
    text = json.dumps(value, separators=(",", ":"))  # ASCII only: U+2028 and the like are escaped
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


class Packed:
    """Rows in parts ``prefix/0``, ``prefix/1``, ...; ``starts`` are the numbers of their first rows."""

    def __init__(self, prefix: str, rows: Iterable[Any]) -> None:
        self.prefix, self.rows = prefix, rows
        self.starts: list[int] = []

    def __iter__(self) -> Iterator[Part]:
        waiting: list[str] = []
        size = first = 0
        for number, row in enumerate(self.rows):
            if size >= PART_BYTES:
                yield self._part(waiting, first)
                waiting, size, first = [], 0, number
            waiting.append(as_json(row))
            size += len(waiting[-1])
        if waiting:
            yield self._part(waiting, first)

    def _part(self, waiting: list[str], first: int) -> Part:
        self.starts.append(first)
        return f"{self.prefix}/{len(self.starts) - 1}", f"[{','.join(waiting)}]"


def sheet_parts(
    name: str, problems: Sequence[str], known: Rebuilt, hits: Mapping[str, str] | None = None
) -> Iterator[Part]:
    """The problems of a sheet, what a model was asked in each, and where in a corpus those that are hit were found."""
    asked = (
        [[[title, cut(text)] for title, text in known.prompts.get(problem, ())], _about(known, problem)]
        for problem in problems
    )
    parts = Packed(name, asked)
    yield from parts
    index: dict[str, Any] = {"problems": list(problems), "why": cut(known.why, 1000), "starts": parts.starts}
    if found := {at: cut(hits[problem], 1000) for at, problem in enumerate(problems) if hits and problem in hits}:
        index["hits"] = found
    yield f"{name}/index", as_json(index)


def _about(known: Rebuilt, problem: str) -> dict[str, Any]:
    found = known.problems.get(problem)
    return {"language": found.language, "groups": dict(found.groups)} if found else {}


def run_parts(name: str, run: Finished, problems: Sequence[str], known: Rebuilt) -> Iterator[Part]:
    """What the model wrote, what was made of it, and what came of that. Raises RunError where verdicts are damaged."""
    verdicts = Located(run.path / "verdicts.jsonl", ("problem", "sample", "checks"))
    why = ""
    try:
        completions = Located(run.path / "completions.jsonl", ("problem", "sample", "text"))
    except RunError as error:
        completions, why = Located(run.path / "no such file", ()), str(error)
    samples: dict[str, list[int]] = defaultdict(list)
    for problem, sample in verdicts.places:
        samples[problem].append(sample)
    outcomes: dict[str, list[str]] = {check: [] for check in run.checks}

    def rows() -> Iterator[Any]:
        for problem in problems:
            for sample in sorted(samples[problem]):
                verdict = verdicts.row(problem, sample)
                for check, letters in outcomes.items():
                    letters.append(LETTERS.get(verdict["checks"].get(check, ""), "i"))
                yield sample_row(verdict, completions.row(problem, sample), known)

    try:
        parts = Packed(name, rows())
        yield from parts
        counts = [len(samples[problem]) for problem in problems]
        letters = {check: "".join(found) for check, found in outcomes.items()}
        yield (
            f"{name}/index",
            as_json({"counts": counts, "outcomes": letters, "why": why, "starts": parts.starts}),
        )
    finally:
        verdicts.close()
        completions.close()


def sample_row(verdict: dict[str, Any], completion: dict[str, Any], known: Rebuilt) -> dict[str, Any]:
    """Of one sample what the page shows; keys without a value are left out. ``code`` is 1 where it is the text."""
    found: dict[str, Any] = {"sample": verdict["sample"]}
    if said := {name: cut(str(text)) for name, text in evidence(verdict).items()}:
        found["evidence"] = said
    if measures := verdict.get("measures"):
        found["measures"] = measures
    if not completion:
        return found
    text = str(completion["text"])
    code, why = known.code(completion)
    found |= {"text": cut(text), "code": 1 if code == text else cut(code) if code else 0}
    if not code:
        found["no_code"] = why
    for key in ("thoughts", "finish_reason", "prompt_tokens", "tokens", "shortened"):
        if (value := completion.get(key)) not in (None, ""):
            found[key] = cut(value) if isinstance(value, str) else value
    return found


def cut(text: str, size: int = TEXT_CHARS) -> str:
    return (
        text if len(text) <= size else f"{text[:size]}\n… and {len(text) - size:,} more characters, in the run's files"
    )
