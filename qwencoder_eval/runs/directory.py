"""A run directory: results/MODEL/BENCHMARK/RUN with run.json, completions.jsonl, verdicts.jsonl, scores.json.

The same command finds the same directory and continues where it was. ``run.json`` keeps three things apart:
the generation key (a resume needs the same one), the scoring key (another one sets the verdicts aside and
scores the same completions anew) and provenance (recorded, never compared).
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import hashlib
import json
import os
import re
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError, RunError
from ..types import Completion, Outcome, Sample, Verdict
from .journal import Journal
from .samples import Samples
from .turns import Turns

FORMAT = 1
PLAIN_EVIDENCE = 1000  # bytes of a row's evidence that are kept as they are
MAX_EVIDENCE = 1 << 20  # bytes that a row's evidence may unfold to


def digest(key: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def safe_name(text: str) -> str:
    """A model's name as one folder name: ``Qwen/Qwen2.5-Coder-7B`` becomes ``Qwen--Qwen2.5-Coder-7B``."""
    return re.sub(r"[^\w.+-]", "_", text.replace("/", "--")).lstrip(".") or "_"


def packed(found: dict[str, str]) -> dict[str, Any]:
    """The evidence of a verdict's row: as it is where it is short, else compressed."""
    text = json.dumps(found).encode()
    if len(text) <= PLAIN_EVIDENCE:
        return {"evidence": found} if found else {}
    return {"evidence_zlib": base64.b64encode(zlib.compress(text)).decode()}


def evidence(row: dict[str, Any]) -> dict[str, str]:
    """The evidence of a verdict's row, empty where there is none or it cannot be read."""
    if "evidence_zlib" not in row:
        return dict(row.get("evidence", {}))
    try:
        data = base64.b64decode(row["evidence_zlib"])
        return dict(json.loads(zlib.decompressobj().decompress(data, MAX_EVIDENCE)))
    except (ValueError, TypeError, zlib.error):
        return {}


class Run:
    """An open run. ``done`` and ``judged`` hold (problem, sample) pairs of completions and verdicts on disk."""

    def __init__(
        self, path: Path, generation: dict[str, Any], scoring: dict[str, Any], provenance: dict[str, Any]
    ) -> None:
        self.path = path
        self.completions = Journal(path / "completions.jsonl", ("problem", "sample", "text", "form", "finish_reason"))
        self.verdicts = Journal(path / "verdicts.jsonl", ("problem", "sample", "checks"))
        self.turns = Turns(path / "turns.jsonl")
        self.done, self.judged = Samples(), Samples()
        self._mutex = threading.Lock()
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._unwritable(error) from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RunError(f"{path}: another qceval is writing here; wait for it or choose another --out") from None
        except OSError as error:  # a file system without locks
            os.close(self._lock)
            raise self._unwritable(error) from None
        try:
            self._open(generation, scoring, provenance)
        except OSError as error:
            self.close()
            raise self._unwritable(error) from None
        except BaseException:
            self.close()
            raise

    def _unwritable(self, error: OSError) -> InfrastructureError:
        return InfrastructureError(f"{self.path}: cannot be written ({error.strerror}); choose another --out")

    def _open(self, generation: dict[str, Any], scoring: dict[str, Any], provenance: dict[str, Any]) -> None:
        self.completions.repair()
        self.verdicts.repair()
        described = {"format": FORMAT, "generation": generation, "scoring": scoring, "provenance": provenance}
        described = json.loads(json.dumps(described))
        file = self.path / "run.json"
        if file.exists():
            try:
                found = json.loads(file.read_text())
                old_generation, old_scoring, old_format = (
                    dict(found["generation"]),
                    dict(found["scoring"]),
                    found["format"],
                )
            except (ValueError, KeyError, TypeError, RecursionError):
                raise RunError(f"{file}: damaged; remove the folder and run again") from None
            if old_format != FORMAT:
                raise RunError(f"{file}: format {old_format!r}, this qceval writes {FORMAT}; choose another --out")
            new = described["generation"]
            if old_generation != new:
                differ = [key for key in {**new, **old_generation} if old_generation.get(key, ...) != new.get(key, ...)]
                raise RunError(f"{self.path}: made with another {', '.join(differ)}; choose another --out")
            if old_scoring != described["scoring"]:
                self._set_aside(old_scoring)
                self.write("run.json", described)
        else:
            self.write("run.json", described)
        if not self.verdicts.path.exists() and (earlier := self._aside(described["scoring"])).exists():
            earlier.rename(self.verdicts.path)  # back to a scoring that was here before
        for journal, seen in ((self.completions, self.done), (self.verdicts, self.judged)):
            for row in journal.rows():
                seen.add((row["problem"], row["sample"]))
        if not self.judged <= self.done:
            self._forget_orphans()
        self.turns.open()
        for problem, number in self.done:
            self.turns.over(problem, number)

    def _forget_orphans(self) -> None:
        """Drop verdicts whose completions a power cut took: both are made again."""
        partial = self.path / "verdicts.part"
        with partial.open("w") as file:
            for row in self.verdicts.rows():
                if (row["problem"], row["sample"]) in self.done:
                    file.write(json.dumps(row) + "\n")
        partial.replace(self.verdicts.path)
        self.judged &= self.done

    def _aside(self, scoring: dict[str, Any]) -> Path:
        return self.path / f"verdicts.{digest(scoring)[:8]}.jsonl"

    def _set_aside(self, scoring: dict[str, Any]) -> None:
        """Keep the verdicts of another scoring under another name."""
        if self.verdicts.path.exists():
            self.verdicts.path.rename(self._aside(scoring))
        (self.path / "scores.json").unlink(missing_ok=True)

    def add_completion(self, sample: Sample) -> None:
        completion = sample.completion
        row = {
            "problem": sample.problem,
            "sample": sample.number,
            "text": completion.text,
            "form": completion.form,
        }
        row["finish_reason"] = completion.finish_reason
        for name in ("prompt_tokens", "tokens", "thoughts", "logprobs"):
            if (value := getattr(completion, name)) not in (None, "", ()):
                row[name] = value
        if completion.shortened:
            row["shortened"] = completion.shortened
        with self._mutex:
            self.completions.append(row)
            self.done.add((sample.problem, sample.number))

    def add_verdict(self, verdict: Verdict) -> None:
        row: dict[str, Any] = {
            "problem": verdict.problem,
            "sample": verdict.sample,
            "checks": dict(verdict.checks),
        }
        if verdict.measures:
            row["measures"] = dict(verdict.measures)
        row |= packed(dict(verdict.evidence))
        with self._mutex:
            self.verdicts.append(row)
            self.judged.add((verdict.problem, verdict.sample))

    def unjudged(self) -> Iterator[Sample]:
        """Completions on disk that have no verdict yet."""
        if self.done <= self.judged:
            return
        for row in self.completions.rows():
            if (row["problem"], row["sample"]) not in self.judged:
                completion = Completion(
                    row["text"],
                    row["form"],
                    row["finish_reason"],
                    row.get("prompt_tokens"),
                    row.get("tokens"),
                    row.get("thoughts", ""),
                    tuple(row.get("logprobs", ())),
                    row.get("shortened", 0),
                )
                yield Sample(row["problem"], row["sample"], completion)

    def counts(self) -> dict[str, int]:
        """Completions on disk by finish reason, their tokens, and of how many the prompt was shortened, if any were."""
        found: Counter[str] = Counter()
        for row in self.completions.rows():
            found[row["finish_reason"]] += 1
            found["tokens"] += row.get("tokens") or 0
            if row.get("shortened"):
                found["shortened"] += 1
        return dict(found)

    def record(self, provenance: dict[str, Any]) -> None:
        """Add to what run.json records and never compares."""
        described = json.loads((self.path / "run.json").read_text())
        if not provenance.items() <= described["provenance"].items():
            described["provenance"] |= provenance
            self.write("run.json", described)

    def all_verdicts(self) -> Iterator[Verdict]:
        for row in self.verdicts.rows():
            try:
                checks = {name: Outcome(outcome) for name, outcome in row["checks"].items()}
            except (ValueError, KeyError, AttributeError) as error:
                where = f"{self.verdicts.path}: {row['problem']}"
                raise RunError(f"{where}: not a verdict ({error}); remove the row and run again") from None
            yield Verdict(row["problem"], row["sample"], checks, row.get("measures", {}), evidence(row))

    def write(self, name: str, document: dict[str, Any]) -> None:
        """A whole JSON file, replaced at once."""
        partial = self.path / f"{name}.part"
        try:
            partial.write_text(json.dumps(document, indent=1) + "\n")
            partial.replace(self.path / name)
        except OSError as error:
            with contextlib.suppress(OSError):
                partial.unlink()
            raise InfrastructureError(
                f"{partial}: cannot be written ({error.strerror}); make room and run again"
            ) from None

    def close(self) -> None:
        with contextlib.ExitStack() as stack:  # the lock goes last, and goes whatever happens
            stack.callback(os.close, self._lock)
            stack.callback(self.verdicts.close)
            stack.callback(self.turns.journal.close)
            stack.callback(self.completions.close)
