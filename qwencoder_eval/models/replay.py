"""Recorded outputs as a model: a file of samples, in EvalPlus's format or our own, found out by looking.

EvalPlus   {"task_id": ..., "completion": ...}  the text continues the problem's stub
           {"task_id": ..., "solution": ...}    the text is the whole program
MultiPL-E  {"task_id": ..., "generation": ...}  the whole program, or a chat model's answer
CRUXEval   {"sample_0": [...], ...}             one document: of each task its answers, or prompts and answers
LiveCodeBench  [{"question_id": ..., "output_list": [...], ...}, ...]   one document: of each task its answers
BIRD       {"0": "SELECT ... ----- bird ----- a database", ...}   one document: a query each, in the order of the tasks
ours       {"problem": ..., "sample": ..., "text": ..., "form": ...}, as in a run's completions.jsonl

A file is read twice: once to see that it holds what it should, once to replay it. Neither keeps it in memory.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import itertools
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Literal, NoReturn, cast

from ..errors import InputError
from ..types import Completion, Continue, Problem, Prompt, Sample, plain
from .base import Answer, Request

MAX_LINE = 1 << 28  # bytes
DOCUMENT = re.compile(rb'\s*(\{\s*"[^"\\]{1,200}"\s*:\s*\[|\[\s*\{|\{\s*"0"\s*:)')
BEHIND_QUERY = "\t----- bird -----\t"
FORMS: dict[str, Literal["continuation", "whole"]] = {
    "solution": "whole",
    "completion": "continuation",
    "generation": "whole",
    "pred": "continuation",  # of Qwen's fim-bench
}


class ReplayModel:
    """Raises InputError, with file and line, where the file is not what it should be."""

    instant = True

    def __init__(self, path: Path, name: str | None = None) -> None:
        self.path = path
        self.name = name or path.name.split(".")[0]
        self.counts: Counter[str] = Counter()
        self.digest = ""
        self._places: dict[tuple[str, int], int] = {}  # where each sample starts (bytes)
        self.left_out: set[str] = set()  # tasks of the file that only other versions of the dataset have
        self._order: list[str] = []  # of the tasks, where a file names none

    def key(self) -> dict[str, Any]:
        return {"model": "replay", "sha256": self.digest}

    def scan(self, problems: Sequence[Problem], other_versions: Callable[[], set[str]] = set) -> int:
        """Check that every problem has samples 0 to n - 1, and no other problem any; return n.

        Samples of tasks that only other versions of the dataset have are left out, as EvalPlus does, and counted.
        """
        self._order = [problem.id for problem in problems]
        known = set(self._order)
        lines: dict[str, int] = {}
        highest: dict[str, tuple[int, int]] = {}  # the last sample of each problem, and its line
        self.counts.clear()
        self.left_out.clear()
        others: set[str] | None = None
        digest = hashlib.sha256()
        self._places.clear()
        for number, offset, raw, sample in self._rows():
            digest.update(raw)
            if sample.problem not in known:
                others = other_versions() if others is None else others
                if sample.problem in others:
                    self.left_out.add(sample.problem)
                    continue
                self._refuse(number, f"task {sample.problem!r} is not in the benchmark; remove the line")
            if (sample.problem, sample.number) in self._places:
                self._refuse(number, f"sample {sample.number} of {sample.problem} a second time; remove one of them")
            self._places[sample.problem, sample.number] = offset
            self.counts[sample.problem] += 1
            lines[sample.problem] = number
            highest[sample.problem] = max(highest.get(sample.problem, (-1, 0)), (sample.number, number))
        self.digest = digest.hexdigest()
        missing = [problem.id for problem in problems if problem.id not in self.counts]
        if missing:
            few = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
            raise InputError(
                f"{self.path}: {len(missing)} of {len(problems)} tasks have no sample ({few}); add them, "
                "an empty completion counts as an answer"
            )
        n = min(self.counts.values())
        for problem, count in self.counts.items():
            if count != n:
                self._refuse(
                    lines[problem],
                    f"{problem} has {count} samples, others {n}; give every task the same number",
                )
        for problem, (nth, number) in highest.items():
            if nth >= n:
                self._refuse(number, f"sample is {nth}, but {problem} has {n}; number samples from 0")
        return n

    def rendered(self, prompt: Prompt) -> Any:
        return plain(prompt)

    def provenance(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        """In the order that is asked for; of a compressed file in its own, as it can only be read forward."""
        wanted = {(request.problem.id, number): request for request in requests for number in request.numbers}
        document = self._is_document()
        if document or self.path.name.endswith(".gz"):
            for *_, sample in self._rows():
                if request := wanted.get((sample.problem, sample.number)):
                    completion = sample.completion
                    completion = without_prompt(completion, request.prompt) if document else completion
                    yield Answer(request, sample.number, completion)
            return
        with self._open() as file:
            for (problem, nth), request in wanted.items():
                file.seek(self._places[problem, nth])
                try:
                    sample = self._sample(0, file.readline(MAX_LINE + 1), Counter({problem: nth}))
                except InputError:
                    raise InputError(f"{self.path}: changed while it was read; run again") from None
                yield Answer(request, nth, sample.completion)

    def _rows(self) -> Iterator[tuple[int, int, bytes, Sample]]:
        """Line number, offset (bytes), the line and its sample."""
        if self._is_document():
            yield from self._documented()
            return
        numbers: Counter[str] = Counter()
        with self._open() as file:
            number = size = 0
            while True:
                number, offset = number + 1, size
                try:
                    raw = file.readline(MAX_LINE + 1)
                except (OSError, EOFError, zlib.error) as error:
                    raise InputError(f"{self.path}: cannot be read ({error}); make the file again") from None
                if not raw:
                    return
                size += len(raw)
                if len(raw) > MAX_LINE:
                    self._refuse(number, f"longer than {MAX_LINE >> 20} MiB; remove the line")
                if raw.strip():
                    sample = self._sample(number, raw, numbers)
                    yield number, offset, raw, sample

    def _is_document(self) -> bool:
        """Whether the file is one object of lists, on one line or spread over several, and no lines of rows."""
        with self._open() as file, contextlib.suppress(OSError, EOFError, zlib.error):  # said when rows are read
            first = b"\n"
            while first and not first.strip():
                first = file.readline(MAX_LINE)
            try:
                row = json.loads(first)
            except (ValueError, RecursionError):
                return bool(DOCUMENT.match(first + file.read(1000)))
            whole = isinstance(row, dict) and not {"task_id", "problem"} & row.keys()
            whole = whole and ("0" in row or isinstance(next(iter(row.values()), None), list))
            listed = isinstance(row, list) and bool(row) and isinstance(row[0], dict)
            return (whole or listed) and not file.read(1000).strip()
        return False

    def _documented(self) -> Iterator[tuple[int, int, bytes, Sample]]:
        """The rows of a file that is one JSON document; it is small, and read whole."""
        with self._open() as file:
            try:
                raw = file.read(MAX_LINE + 1)
                found = json.loads(raw)
            except (OSError, EOFError, zlib.error, ValueError, RecursionError) as error:
                raise InputError(f"{self.path}: cannot be read ({error}); make the file again") from None
        if len(raw) > MAX_LINE:
            self._refuse(1, f"longer than {MAX_LINE >> 20} MiB; give a line a sample")
        for problem, texts in self._answers(found):
            if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
                self._refuse(1, f"{problem!r} has no list of answers; give one, of text")
            for number, text in enumerate(texts):
                completion = Completion(text, "whole", finish_reason="recorded")
                yield 1, 0, f"{problem}\0{text}".encode(errors="surrogatepass"), Sample(problem, number, completion)

    def _answers(self, found: Any) -> Iterator[tuple[str, Any]]:
        """Of each task its answers."""
        if isinstance(found, dict):
            named = isinstance(found.get("0", []), list)  # each by its id
            yield from found.items() if named else self._predicted(found)
            return
        for number, row in enumerate(found, 1):
            if not isinstance(row, dict) or not isinstance(row.get("question_id"), str) or "output_list" not in row:
                self._refuse(1, f"item {number} has no question_id or no output_list; a task has both")
            yield row["question_id"], row["output_list"]

    def _predicted(self, found: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
        """BIRD's predictions, as its evaluation_utils.py (bird-bench/mini_dev at 4d970a9) reads them: by their order.

        The database's name behind a query does not count, and what is no text is an empty answer.
        """
        for number, (key, text) in enumerate(found.items()):
            if key != str(number):
                self._refuse(1, f"prediction {number} has the key {key!r}; number predictions from 0, in order")
            if number >= len(self._order):
                self._refuse(1, f"{len(found)} predictions for {len(self._order)} tasks; remove what is too much")
            query, *behind = text.split(BEHIND_QUERY) if isinstance(text, str) else [""]
            yield self._order[number], [query if len(behind) < 2 else text]

    def _open(self) -> BinaryIO:
        try:
            if self.path.name.endswith(".gz"):
                return cast(BinaryIO, io.BufferedReader(gzip.open(self.path)))
            return self.path.open("rb")
        except OSError as error:
            raise InputError(f"{self.path}: {error.strerror}; give a file of samples with --samples") from None

    def _sample(self, number: int, raw: bytes, numbers: Counter[str]) -> Sample:
        try:
            row = json.loads(raw.decode())
        except UnicodeDecodeError:
            self._refuse(number, "not UTF-8 text; remove or mend the line")
        except (ValueError, RecursionError):
            self._refuse(number, "not JSON; remove or mend the line")
        if not isinstance(row, dict):
            self._refuse(number, "not a JSON object; a sample has task_id and completion or solution")
        ours = "problem" in row
        problem = row.get("problem" if ours else "task_id")
        if not isinstance(problem, str):
            self._refuse(number, "has no task_id; a sample has task_id and completion or solution")
        field = next((name for name in (("text",) if ours else FORMS) if name in row), None)
        if field is None:
            self._refuse(number, "has neither completion nor solution; add one of them")
        if not isinstance(row[field], str):
            self._refuse(number, f"{field} is not a string; for several samples repeat the line")
        form = row.get("form", "continuation") if field == "text" else FORMS[field]
        if form not in ("continuation", "whole"):
            self._refuse(number, f"form is {form!r}; use continuation or whole")
        nth = row.get("sample", numbers[problem]) if field == "text" else numbers[problem]
        if type(nth) is not int or nth < 0:
            self._refuse(number, f"sample is {nth!r}; number samples from 0")
        numbers[problem] += 1
        return Sample(problem, nth, Completion(row[field], form, finish_reason="recorded"))

    def _refuse(self, number: int, problem: str) -> NoReturn:
        raise InputError(f"{self.path}:{number}: {problem}")


class Recordings:
    """Several benchmarks' recorded outputs as one model, each in a file of its own."""

    instant = True

    def __init__(self, files: Mapping[str, ReplayModel]) -> None:
        self.files = files
        self.name = next(iter(files.values())).name

    def key(self) -> dict[str, Any]:
        return {name: file.key() for name, file in self.files.items()}

    def rendered(self, prompt: Prompt) -> Any:
        return plain(prompt)

    def provenance(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        for benchmark, own in itertools.groupby(requests, key=lambda request: request.benchmark):
            yield from self.files[benchmark].generate(own)


def without_prompt(completion: Completion, prompt: Prompt) -> Completion:
    """What the model wrote, of a text that was recorded with the prompt before it."""
    if isinstance(prompt, Continue) and completion.text.startswith(prompt.text):
        return replace(completion, text=completion.text[len(prompt.text) :])
    return completion
