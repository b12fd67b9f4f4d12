"""Score an answer in a file of a repository by the repository's own tests: ExecRepoBench.

The repository's files go into the sandbox with the answer in one of them; there sandbox/repository.py runs
``evaluate_repo.py``, and writes a fresh nonce where that came to its end with status 0. Tests and answer share a
process: what a hostile answer can still do is said in SECURITY.md.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import secrets
import tarfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, ClassVar

from ..config import bundled
from ..datasets import assets
from ..errors import DatasetError, ReferenceFailsError
from ..sandboxes.languages import Language, language
from ..types import Limits, Outcome, Problem, Program, Result
from .base import Judgement, Runner, short
from .programs import shows
from .recorded import Recorded
from .similarity import edit_ratio
from .suites import WAITED

EVALUATE = "evaluate_repo.py"
MAX_BYTES, MAX_FILES = 128 << 20, 20_000  # of a repository, in every sandbox that runs its tests
MODIFIED = 1_704_067_200  # 2024: equal files make equal archives, and zip files know no time before 1980
TRIPLE_QUOTED = re.compile(r"(\"{3}|'{3}).*?\1", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository is: a folder, known by the digest of what is in it. Without one its files are in the tests."""

    folder: Path | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class RepositoryScorer:
    """``Problem.tests`` holds ``repository`` (its name), ``path`` of the file with the hole, ``prefix``, ``suffix`` and
    ``middle``; the files are the problem's one asset, or ``files`` of the tests (path -> text).

    cpu_s  seconds for all tests of the repository; the same for a program that waits
    """

    check: str
    cpu_s: float = 240.0
    version: int = 1
    checks: tuple[str, ...] = field(init=False, default=())
    measured: ClassVar[Sequence[str]] = ("es",)

    def __post_init__(self) -> None:
        object.__setattr__(self, "checks", (self.check,))

    def key(self) -> dict[str, Any]:
        driven = hashlib.sha256(driver().encode()).hexdigest()[:12]
        return {"scorer": "repositories", **asdict(self), "driver": driven}

    def reference_programs(self, problem: Problem) -> list[Program]:
        return []

    def learn(self, problem: Problem, references: Sequence[Recorded]) -> Place:
        """Raises ReferenceFailsError where the repository is not one that this problem can be scored with."""
        tests = problem.tests
        if "files" in tests:
            place, names, size = Place(), set(tests["files"]), 0
        else:
            folder = assets.locate(problem.assets[0])
            found = assets.files(folder) if folder.is_dir() else []
            place = Place(folder, assets.digest(folder))
            names = {each.relative_to(folder).as_posix() for each in found}
            size = sum(each.stat().st_size for each in found)
        where = problem.assets[0] if problem.assets else tests["repository"]
        for needed in (EVALUATE, tests["path"]):
            if needed not in names:
                raise ReferenceFailsError(f"{where}: has no file {needed}; get the repository again")
        if size > MAX_BYTES or len(names) > MAX_FILES:
            raise ReferenceFailsError(
                f"{where}: {size >> 20} MiB in {len(names)} files, and a sandbox gets {MAX_BYTES >> 20} MiB in "
                f"{MAX_FILES}; remove what its tests do not need"
            )
        return place

    def score(self, problem: Problem, code: str, known: Place, runner: Runner) -> Judgement:
        tests, nonce = problem.tests, secrets.token_hex(16)
        packed = from_folder(known.folder, known.digest) if known.folder else from_texts(tests["files"])
        asked = {"repository": tests["repository"], "path": tests["path"], "text": code}
        program = Program(
            problem.language, {language(problem.language).file: driver()},
            stdin=json.dumps({**asked, "packed": packed, "nonce": nonce}),
            limits=Limits(self.cpu_s, wall_factor=1.0), reports=True,
        )  # fmt: skip
        result = runner.run(program)
        if result.timed_out and result.ambiguous and result.cpu_s > WAITED * result.wall_s:
            result = runner.run_alone(program)
        answer = code.removeprefix(tests["prefix"]).removesuffix(tests["suffix"])
        measures = {"es": edit_ratio(compared(answer), compared(tests["middle"]))}
        outcome, cause = judged(language(problem.language), result, nonce)
        said = {} if outcome is Outcome.PASSED else {"error": cause, "output": short(output_of(result).strip())}
        return Judgement({self.check: outcome}, measures, said)


def judged(spoken: Language, result: Result, nonce: str) -> tuple[Outcome, str]:
    """What a result means, and why it is no pass. On the channel of answers speaks the driver alone."""
    ended = (result.ending, result.status) == ("exit", 0)
    if result.timed_out:
        return Outcome.TIMEOUT, f"{result.ending.replace('_', ' ')} after {result.cpu_s:.1f} s of CPU time"
    if ended and bytes(result.answers) == nonce.encode():
        return Outcome.PASSED, ""
    if result.ending == "memory_limit":
        return Outcome.OUT_OF_MEMORY, "out of memory"
    try:
        report = dict(json.loads(bytes(result.answers)))
    except (ValueError, TypeError, RecursionError):
        report = {}
    if report.get("parses") is False:
        return Outcome.COMPILE_ERROR, "the file does not parse"
    if ended:
        return Outcome.WRONG, short(str(report.get("why") or "left early"))
    if shows(spoken.wrong, output_of(result)):
        return Outcome.WRONG, "a test failed"
    return Outcome.RUNTIME_ERROR, f"{EVALUATE}: {result.ending.replace('_', ' ')} {result.status}"


def output_of(result: Result) -> str:
    return "\n".join(text.decode("utf-8", "replace") for text in (result.stderr, result.stdout))


def compared(code: str) -> str:
    """What edit similarity compares: no triple-quoted strings and no blank lines.

    Rule: QwenLM/Qwen3-Coder at 0ae30f5, ExecRepoBench/utils/utils.py, ``remove_comments``.
    """
    return "\n".join(line for line in TRIPLE_QUOTED.sub("", code).split("\n") if line.strip())


@cache
def driver() -> str:
    return (bundled("sandbox") / "repository.py").read_text()


@lru_cache(maxsize=4)  # rows come repository by repository
def from_folder(folder: Path, digest: str) -> str:
    """All regular files of a folder that has this digest. Raises DatasetError where one cannot be read."""
    try:
        return packed(
            (f.relative_to(folder).as_posix(), f.read_bytes(), f.stat().st_mode) for f in assets.files(folder)
        )
    except OSError as error:
        raise DatasetError(f"{folder}: cannot be read ({error.strerror}); check its rights") from None


def from_texts(files: Mapping[str, str]) -> str:
    return packed((name, text.encode(), 0o644) for name, text in sorted(files.items()))


def packed(files: Iterable[tuple[str, bytes, int]]) -> str:
    """Base64 of a compressed tar of these files (name, content, mode): text, which is what a sandbox takes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data, mode in files:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(data), 0o755 if mode & 0o100 else 0o644, MODIFIED
            tar.addfile(entry, io.BytesIO(data))
    return base64.b64encode(zlib.compress(buffer.getvalue())).decode()
