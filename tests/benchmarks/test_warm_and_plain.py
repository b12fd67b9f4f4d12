"""The warm compilers against the plain command line, over all recorded programs: the same ends, the same files."""

from __future__ import annotations

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.docker import DockerBackend, DockerSandbox
from qwencoder_eval.sandboxes.languages import language
from qwencoder_eval.types import Limits, Program

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
CODES = {"cpp": "cpp", "java": "java", "ts": "typescript"}
# What a compiler made, in words: class files and scripts byte for byte. A binary holds what the linker puts first.
MADE = {"cpp": "ls main", "java": "sha256sum $(find . -name '*.class' | sort)", "ts": "sha256sum main.js"}
Seen = tuple[str, int, bytes]


def compiled(sandbox: DockerSandbox, program: Program, look: str) -> Seen:
    """How the compiler ended, and what it made."""
    built = sandbox._compile(program)
    good = (built.ending, built.status) == ("exit", 0)
    made = sandbox._step(program, ("sh", "-c", look if good else "true"), first=False, last=True)
    return built.ending, built.status, bytes(made.stdout)


def all_of(code: str, programs: list[Program], warm: bool) -> list[Seen]:
    backend, spoken = DockerBackend(), language(CODES[code])
    sandbox = backend.sandbox(spoken, 3 << 30)
    assert isinstance(sandbox, DockerSandbox)
    sandbox.warm = warm
    sandbox.start()
    try:
        return [compiled(sandbox, program, MADE[code]) for program in programs]
    finally:
        sandbox.stop()


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [DOCKER], indirect=True)
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("one_in", [8, pytest.param(1, marks=pytest.mark.whole)])
def test_every_recorded_program_compiles_to_the_same(sandbox: str, code: str, one_in: int, recorded: Path) -> None:
    spoken = language(CODES[code])
    folder = recorded / "qwen2.5-coder-1.5b-base" / "multipl-e"
    scorer = discover().load(f"multipl-e:{code}").scoring["qwen-base"].scorer
    with gzip.open(folder / f"humaneval-{code}-details.json.gz") as file:
        texts = {task: found[0][1]["code"] for task, found in list(json.load(file).items())[::one_in]}
    limits = Limits(compile_cpu_s=60)
    programs = [
        Program(spoken.name, {spoken.file: text}, limits=limits, compile_args=scorer.attempts[0])
        for text in texts.values()
    ]
    if code == "ts":  # the second attempt, of those that differ from the first one most
        programs += [Program(spoken.name, {spoken.file: text}, limits=limits) for text in list(texts.values())[::4]]
    with ThreadPoolExecutor(2) as threads:
        warm = threads.submit(all_of, code, programs, True)
        plain = threads.submit(all_of, code, programs, False)
        pairs = list(zip(programs, warm.result(), plain.result(), strict=True))
    assert len({one[:2] for _, one, _ in pairs}) > 1, "some compile and some do not"
    assert [(program.files, one, other) for program, one, other in pairs if one != other] == []
