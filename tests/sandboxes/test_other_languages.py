"""Every language that is no main one, in its own image: what a sandbox promises its programs, programs that mean harm,
and leaving early, which never passes. The programs are in others.toml; the scripts that they run, and what is expected
of them, are those of bash among the main languages.
"""

from __future__ import annotations

import dataclasses
import socket
import tomllib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from test_hostile_languages import BOUNDS, ENDINGS, HOSTILE, KILLED, SAID, as_root, files_of_others, running, unharmed
from test_languages import (
    LEAVING,
    MAIN,
    Kept,
    does_not_pass,
    ended,
    keeping,
    limits,
    program,
    scored,
    tells_right_from_wrong,
)

from qwencoder_eval.cli.sandbox import is_here, run_fixture, state
from qwencoder_eval.sandboxes.base import Sandbox
from qwencoder_eval.sandboxes.docker import DockerBackend
from qwencoder_eval.sandboxes.languages import Language, languages
from qwencoder_eval.scoring.programs import ProgramScorer
from qwencoder_eval.types import Limits, Result

OTHERS = tomllib.loads((Path(__file__).parent / "others.toml").read_text())
MARKS = [pytest.mark.docker, pytest.mark.languages]
SCORER = ProgramScorer("tests", cpu_s=30, compile_cpu_s=60)
# What the languages do by a script; the others by themselves.
HARM = [what for what in HOSTILE["bash"] if what not in ("memory bomb", "endless output")]
MAY_END = ENDINGS | {what: ENDINGS[what] | {"exit"} for what in ("fork bomb", "processes")}  # if bash gives up or dies
BEGUN = "begun\n"  # said by each script at first: the language did run it


class Spoken:
    """A language under test, and one small sandbox for all its tests that is kept warm."""

    def __init__(self, language: Language, kept: Kept) -> None:
        self.language, self.kept, self.programs = language, kept, OTHERS[language.name]

    def run(self, what: str, bound: Limits | None = None, **others: Any) -> Result:
        return self.kept.run(program(self.language.name, self.programs[what], bound or limits(30, 90), **others))

    def shell(self, script: str, bound: Limits | None = None, **others: Any) -> Result:
        """What comes of a script of bash that a program of this language runs; of its output what the script says."""
        result = self.run("shell", bound, files={"work.sh": f"printf '{BEGUN}'\n{script}"}, **others)
        assert not result.compiling, result
        _, begun, said = result.stdout.partition(BEGUN.encode())
        assert begun, result
        return dataclasses.replace(result, stdout=said)

    @cached_property
    def start(self) -> Result:
        """What it takes to start a program, a small one."""
        self.run("ends")  # for a page cache that has it
        return self.run("ends")

    def beyond_the_start(self, cpu_s: float, wall_s: float, **others: Any) -> Limits:
        """Limits that leave this much to a program that has started, which may take seconds; to a compiler a minute."""
        cpu_s, wall_s = 2 * self.start.cpu_s + cpu_s, 6 * self.start.wall_s + wall_s
        return limits(cpu_s, wall_s, compile_cpu_s=max(30.0, 58 * cpu_s / (wall_s - 2)), **others)

    @property
    def sandbox(self) -> Sandbox:
        assert self.start
        return self.kept.made(self.language.name)[-1]

    def neighbour(self, sandbox: Sandbox) -> None:
        """Honest programs are unharmed, in the same sandbox; nothing is left there, neither running nor lying."""
        assert unharmed(self.kept, self.language.name) is sandbox
        assert as_root(sandbox, "find /tmp /dev/shm /var/tmp -mindepth 1") == []


@pytest.fixture(scope="module")
def backend() -> DockerBackend:
    return DockerBackend()


@pytest.fixture(scope="module", params=[pytest.param(name, marks=MARKS) for name in OTHERS])
def spoken(request: pytest.FixtureRequest, backend: DockerBackend) -> Iterator[Spoken]:
    """Each language whose image is built; none is built here."""
    with keeping(backend) as kept:
        language = languages()[request.param]
        if not is_here(backend, language):
            pytest.skip(f"docker: {language.name}: {state(backend, language)}")
        yield Spoken(language, kept)


def test_each_language_that_was_built_has_its_programs() -> None:
    """The remaining ones have their tools in no package registry: their images were never built here."""
    assert set(OTHERS) == {each.name for each in languages().values() if each.built} - set(MAIN)
    assert {frozenset(programs) for programs in OTHERS.values()} == {frozenset(OTHERS["go"])}
    assert all("prints ok" in programs["leaves"] and len(programs["leaves"]) > 1 for programs in OTHERS.values())


# -- what a sandbox promises -------------------------------------------------------------------------


@pytest.mark.parametrize("fixture", ["passes", "fails", "broken"])
def test_a_fixture_does_what_its_name_says(spoken: Spoken, fixture: str) -> None:
    ok, said = run_fixture(spoken.language, fixture, spoken.kept.pool(spoken.language.name))
    assert ok, said


def test_a_refusal_shows_why(spoken: Spoken) -> None:
    language = spoken.language
    result = spoken.kept.run(program(language.name, language.fixtures["broken"], reports=True))
    assert result.ending == ("compile_error" if language.compile else "exit"), result
    assert result.compiling == bool(language.compile)
    assert not result.timed_out
    assert result.answers == b""
    assert result.stderr + result.stdout


def test_how_a_program_ends(spoken: Spoken) -> None:
    result = spoken.run("ends")
    assert ended(result) == ("exit", 7), result
    assert not result.compiling
    assert bytes(result.stdout).strip().endswith(b"out"), result  # a test runner, or an editor, says more
    assert bytes(result.stderr).strip() == b"err", result


def test_a_loop_ends_at_its_cpu_limit(spoken: Spoken) -> None:
    bound = spoken.beyond_the_start(0.6, 60)
    result = spoken.run("loops", bound)
    assert result.ending == "cpu_limit", result
    assert bound.cpu_s <= result.cpu_s < 1.2 * bound.cpu_s + 1
    assert result.timed_out
    assert not result.ambiguous
    assert not result.compiling


def test_endless_output_is_cut(spoken: Spoken) -> None:
    sandbox = spoken.sandbox
    result = spoken.run("floods", spoken.beyond_the_start(0.5, 2, output_bytes=5000))
    assert result.ending in KILLED, result
    assert len(result.stdout) == 5000
    assert result.stdout.count(b"x") > 4900
    spoken.neighbour(sandbox)


def test_memory_ends(spoken: Spoken) -> None:
    sandbox = spoken.sandbox
    result = spoken.run("memory", limits(60, 120))
    assert result.ending == "memory_limit", result
    assert not result.compiling
    spoken.neighbour(sandbox)


def test_environment(spoken: Spoken, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    result = spoken.shell(LEAVING["bash"]["sees"]["knows"], environment={"EXTRA": "more"})
    assert ended(result) == ("exit", 0), result
    found = dict(each.split("=", 1) for each in bytes(result.stdout).decode().split("\0") if "=" in each)
    assert found["PATH"]
    assert found.items() >= {
        "HOME": "/tmp/work", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1",
        **spoken.language.environment, "EXTRA": "more",
    }.items()  # fmt: skip
    assert not {"secret", socket.gethostname()} & set(found.values())


def test_a_clean_place_each_time(spoken: Spoken) -> None:
    sandbox = spoken.sandbox
    before, litters, after = (spoken.shell(LEAVING["bash"]["sees"][what]) for what in ("looks", "litters", "looks"))
    assert {ended(result) for result in (before, litters, after)} == {("exit", 0)}
    assert litters.wall_s < 20 + 3 * spoken.start.wall_s  # it did not wait for the process that was left
    assert b"work.sh" in after.stdout
    assert b"litter" not in after.stdout
    assert len(after.stdout.split()) == len(before.stdout.split()), (before, after)  # R's own has a new name each time
    spoken.neighbour(sandbox)


# -- programs that mean harm -------------------------------------------------------------------------


@pytest.mark.parametrize("what", HARM)
def test_a_hostile_program_harms_nobody(spoken: Spoken, what: str) -> None:
    sandbox = spoken.sandbox
    before = running(sandbox)
    bound = BOUNDS.get(what, limits())
    bound = spoken.beyond_the_start(bound.cpu_s, bound.wall_s)
    paths = " ".join(files_of_others(sandbox)) if what == "intruder" else ""
    result = spoken.shell(f"set -- {paths}\n{HOSTILE['bash'][what]}", bound)
    assert result.ending in MAY_END.get(what, {"exit"}), result
    assert SAID.get(what, b"").strip() in bytes(result.stdout), result
    assert not any(word in result.stdout for word in (b"reached", b"opened")), result
    assert running(sandbox) == before
    spoken.neighbour(sandbox)


# -- leaving early -----------------------------------------------------------------------------------


def test_the_tests_tell_right_from_wrong(spoken: Spoken) -> None:
    tells_right_from_wrong(spoken.kept, spoken.language.name, spoken.programs)


@pytest.mark.parametrize(
    ("spoken", "way"),
    [pytest.param(name, way, marks=MARKS) for name, programs in OTHERS.items() for way in programs["leaves"]],
    indirect=["spoken"],
)
def test_leaving_is_not_passing(spoken: Spoken, way: str) -> None:
    code = spoken.programs["leaves"][way]
    does_not_pass(scored(spoken.kept, spoken.language.name, code, SCORER, spoken.programs))
