"""What the reference programs answered: run once, in sandboxes of their own, and kept by content.

The sandboxes are gone before the first candidate starts, and the files are never shown to one: expected values
are nowhere within a candidate's reach.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..config import bundled, cache_folder
from ..errors import InfrastructureError, ReferenceFailsError
from ..sandboxes.base import Backend
from ..sandboxes.languages import language
from ..sandboxes.pool import Pool
from ..types import Problem, Program, Result
from .base import Recorded, Scorer


class References:
    """Answers of reference programs, a file each, named by the digest of the program and of what ran it."""

    def __init__(self, scorer: Scorer, backend: Backend) -> None:
        self.scorer, self.backend = scorer, backend
        self.where = json.dumps(backend.identity(language("python")), sort_keys=True)
        self.where += hashlib.sha256((bundled("sandbox") / "calls.py").read_bytes()).hexdigest()
        self.folder = cache_folder() / "references"
        self._paths: dict[str, list[tuple[Path, Program]]] = {}
        self._failed: dict[Path, Result] = {}
        self._learnt: dict[str, Any] = {}
        self._mutex = threading.Lock()

    def prepare(self, problems: Sequence[Problem], workers: int, tick: Callable[[int, int], None]) -> None:
        """Have the answers of all these problems' references; ``tick(done, total)`` as missing ones are run.

        Raises SandboxError where no sandbox will run them, InfrastructureError where the cache is not writable.
        """
        self._paths = {problem.id: self.paths(problem) for problem in problems}
        missing = [item for items in self._paths.values() for item in items if not item[0].is_file()]
        if not missing:
            return
        with Pool(self.backend, workers) as pool, ThreadPoolExecutor(workers) as threads:

            def run(item: tuple[Path, Program]) -> None:
                path, program = item
                result = pool.run(program)
                if result.ending == "exit":
                    self._keep(path, result.answers)
                else:
                    self._failed[path] = result

            for done, _ in enumerate(threads.map(run, missing), 1):
                tick(done, len(missing))

    def known(self, problem: Problem) -> Any:
        """What the scorer learns from a prepared problem's references. Raises ReferenceFailsError where they failed."""
        with self._mutex:
            if problem.id not in self._learnt:
                paths = [path for path, _ in self._paths[problem.id]]
                for path in paths:
                    if path in self._failed:
                        ending = self._failed[path].ending.replace("_", " ")
                        raise ReferenceFailsError(f"the reference solution fails here ({ending})")
                self._learnt[problem.id] = self.scorer.learn(problem, [Recorded(path) for path in paths])
            return self._learnt[problem.id]

    def paths(self, problem: Problem) -> list[tuple[Path, Program]]:
        """The programs of a problem's reference, each with the file that holds its answers."""
        return [(self.path(program), program) for program in self.scorer.reference_programs(problem)]

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
            content += [calls.function, list(calls.inputs), list(calls.cpu_s), calls.timed]
        digest = hashlib.sha256((json.dumps(content, sort_keys=True) + self.where).encode()).hexdigest()
        return self.folder / digest[:2] / f"{digest}.gz"

    def _keep(self, path: Path, answers: bytes | bytearray) -> None:
        partial = path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with gzip.open(partial, "wb", compresslevel=1) as file:
                file.write(answers)
            partial.replace(path)
        except OSError as error:
            raise InfrastructureError(f"{path}: cannot be written ({error.strerror}); set QCEVAL_CACHE") from None
