"""What the reference programs answered: run once, in sandboxes of their own, and kept by content.

The sandboxes are gone before the first candidate starts, and the files are never shown to one: expected values
are nowhere within a candidate's reach.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..config import cache_folder
from ..errors import ReferenceFailsError
from ..sandboxes.base import Backend
from ..sandboxes.languages import language
from ..sandboxes.pool import Pool
from ..types import Problem, Program, Result
from .base import Scorer
from .recorded import LOADED, Recorded, answer_lines

# Python's order of a set of strings is luck. References have another one than candidates, so that no program passes
# by it; EvalPlus's expected values come from another process too, and its published verdicts show it (Mbpp/579).
HASH_SEED = 1


AT_ONCE = 64  # references that share a process, where a scorer says that they may


def joined(programs: Sequence[Program]) -> Program:
    """One that answers the calls of all; they differ in nothing but those."""
    if len(programs) == 1:
        return programs[0]
    asked = [each.calls for each in programs if each.calls]
    inputs = [arguments for each in asked for arguments in json.loads(each.inputs)]
    cpu_s = [limit for each in asked for limit in each.cpu_s]
    calls = replace(asked[0], inputs=json.dumps(inputs), cpu_s=cpu_s)
    return replace(programs[0], calls=calls, limits=replace(programs[0].limits, cpu_s=sum(cpu_s)))


def apart(result: Result, programs: Sequence[Program]) -> list[bytes | bytearray]:
    """The answers of each; none where some are missing."""
    if len(programs) == 1:
        return [result.answers]
    loaded, *lines = [line + b"\n" for line in answer_lines(result.answers)] or [b""]
    counts = [len(each.calls.cpu_s) for each in programs if each.calls]
    if loaded != LOADED or result.ending != "exit" or len(lines) != sum(counts):
        return []
    rest = iter(lines)
    return [b"".join((loaded, *itertools.islice(rest, count))) for count in counts]


class References:
    """Answers of reference programs, a file each, named by the digest of the program and of what ran it."""

    def __init__(self, scorer: Scorer, backend: Backend) -> None:
        self.scorer, self.backend = scorer, backend
        self.where = json.dumps(backend.identity(language("python")), sort_keys=True)
        self.where += f" hash seed {HASH_SEED} "
        self.folder = cache_folder() / "references"
        self._recorded: dict[str, list[Recorded]] = {}
        self._failed: dict[Path, Result] = {}
        self._learnt: dict[str, Any] = {}
        self._mutex = threading.Lock()
        self._pool: Pool | None = None
        self._closed = False

    def close(self) -> None:
        """End a ``prepare`` that another thread is in, or will be: it gets a SandboxError."""
        self._closed = True
        if pool := self._pool:
            pool.close()

    def prepare(self, problems: Sequence[Problem], workers: int, tick: Callable[[int, int], None]) -> None:
        """Have the answers of all these problems' references; ``tick(done, total)`` as missing ones are run.

        Raises SandboxError where no sandbox will run them, InfrastructureError where the cache is not writable.
        """
        with Pool(self.backend, workers, HASH_SEED) as pool, ThreadPoolExecutor(workers) as threads:
            self._pool = pool
            if self._closed:
                pool.close()
            missing: list[Recorded] = []
            for problem in problems:
                self._recorded[problem.id] = self.of(problem)
                missing += [recorded for recorded in self._recorded[problem.id] if not recorded.exists()]
                if missing and not pool.started:  # while the others are looked for
                    pool.start(missing[0].program.language, len(problems), missing[0].program.folder)
            if not missing:
                return

            def run(several: Sequence[Recorded]) -> int:
                result = pool.run(joined([each.program for each in several]))
                answers = apart(result, [each.program for each in several])
                if not answers:  # one of them ended the process: which?
                    return sum(run([each]) for each in several)
                for recorded, its in zip(several, answers, strict=True):
                    if result.ending == "exit":
                        recorded.keep(its)
                    else:
                        self._failed[recorded.path] = result
                return len(several)

            at_once = AT_ONCE if getattr(self.scorer, "joins", False) else 1
            parts = [
                alike[at : at + at_once]
                for alike in (list(group) for _, group in itertools.groupby(missing, lambda each: each.program.folder))
                for at in range(0, len(alike), at_once)
            ]
            for done in itertools.accumulate(threads.map(run, parts)):
                tick(done, len(missing))

    def known(self, problem: Problem) -> Any:
        """What the scorer learns from a prepared problem's references. Raises ReferenceFailsError where they failed."""
        with self._mutex:
            if problem.id not in self._learnt:
                for recorded in self._recorded[problem.id]:
                    if failed := self._failed.get(recorded.path):
                        ending = failed.ending.replace("_", " ")
                        raise ReferenceFailsError(f"the reference solution fails here ({ending})")
                self._learnt[problem.id] = self.scorer.learn(problem, self._recorded[problem.id])
            return self._learnt[problem.id]

    def cost_s(self, problem: Problem) -> float:
        """CPU seconds that a prepared problem's references took: what a program for it may take, roughly."""
        ran = [recorded for recorded in self._recorded[problem.id] if recorded.path not in self._failed]
        return sum(recorded.cost_s() for recorded in ran)

    def of(self, problem: Problem) -> list[Recorded]:
        """The programs of a problem's reference, each with the file that holds its answers."""
        return [Recorded(self.path(program), program) for program in self.scorer.reference_programs(problem)]

    def path(self, program: Program) -> Path:
        content: list[Any] = [
            program.language,
            dict(program.files),
            program.args,
            program.stdin,
            asdict(program.limits),
        ]
        if program.calls:  # not by asdict: it walks through every value of the inputs
            calls = program.calls
            content += [calls.function, calls.inputs, list(calls.cpu_s), calls.whole_bytes, calls.timed]
        digest = hashlib.sha256((json.dumps(content, sort_keys=True) + self.where).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.gz"
