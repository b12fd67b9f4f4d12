"""Answers in repositories: honest ways to end, hostile answers, what a result means, and what goes into a sandbox."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import textwrap
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_repositories import HOLES, write

from qwencoder_eval.errors import DatasetError, ReferenceFailsError
from qwencoder_eval.sandboxes.base import Decided
from qwencoder_eval.sandboxes.languages import language
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring import repositories
from qwencoder_eval.scoring.base import EVIDENCE_CHARS, Judgement
from qwencoder_eval.scoring.repositories import RepositoryScorer, compared, from_folder, from_texts, judged
from qwencoder_eval.types import Outcome, Problem, Program, Result

NAME = "python-execrepobench"
HONEST = "def f(n):\n    return n + 1\n"
WRONG = "def f(n):\n    return 0\n"
TESTS = """import unittest

import thing


class Tests(unittest.TestCase):
    def test_f(self):
        self.assertEqual(thing.f(1), 2)
"""
IMPORTS = "import sys\n\nimport thing\nimport unittest\n"
BY_RESULT = (
    IMPORTS
    + """
result = unittest.TextTestRunner().run(unittest.defaultTestLoader.discover("tests"))
sys.exit(0 if result.wasSuccessful() else 1)
"""
)
SCORER = RepositoryScorer("repo", cpu_s=10)
DOCKER = pytest.param("docker", marks=pytest.mark.docker)
# What the driver does is the same in both kinds of sandbox: the second costs as much again.
ONE_SOON = pytest.mark.parametrize(
    "backend", [DOCKER, pytest.param("namespaces", marks=[pytest.mark.namespaces, pytest.mark.slow])], indirect=True
)


def problem(evaluate: str = BY_RESULT, **files: str) -> Problem:
    """The answer is all of thing.py."""
    texts = {
        "evaluate_repo.py": evaluate,
        "thing.py": "",
        "tests/__init__.py": "",
        "tests/test_thing.py": TESTS,
        **files,
    }
    tests = {
        "repository": "thing-1.0",
        "path": "thing.py",
        "prefix": "",
        "suffix": "",
        "middle": HONEST,
        "files": texts,
    }
    return Problem("thing", {}, tests, language=NAME)


def scored(code: str, pool: Pool, of: Problem | None = None, scorer: RepositoryScorer = SCORER) -> Judgement:
    of = of or problem()
    return scorer.score(of, textwrap.dedent(code), scorer.learn(of, []), pool)


def outcome(code: str, pool: Pool, of: Problem | None = None, scorer: RepositoryScorer = SCORER) -> str:
    found = scored(code, pool, of, scorer)
    assert set(found.measures) == {"es"}
    assert (found.checks["repo"] is Outcome.PASSED) == (not found.evidence)
    assert all(len(text) <= EVIDENCE_CHARS for text in found.evidence.values())
    return found.checks["repo"].value


# ---------------------------------------------------------------- honest ways to end

HERE = """
import os, sys, thing
assert __name__ == "__main__" and sys.modules["__main__"].f is f if (f := thing.f) else False
assert __file__ == os.path.join(os.getcwd(), "evaluate_repo.py")
assert (sys.argv, sys.path[0], os.path.basename(os.getcwd())) == (["evaluate_repo.py"], os.getcwd(), "thing-1.0")
assert sys.stdin.read() == ""
assert thing.f(1) == 2
"""
MODULE = "'-m', 'unittest', 'tests.test_thing'"
ENDINGS = {
    "by a result": BY_RESULT,
    "by unittest.main": IMPORTS + "from tests.test_thing import Tests\nunittest.main()\n",
    "by unittest.main of a module": IMPORTS + "unittest.main('tests.test_thing')\n",
    "by unittest.main with verbosity": IMPORTS + "unittest.main('tests.test_thing', verbosity=2, argv=['x'])\n",
    "at its end": "import thing\n\nassert thing.f(1) == 2\n",
    "as a script": HERE,
    "by exit": "import thing\nassert thing.f(1) == 2\nexit()\n",
    "by quit": "import thing\nassert thing.f(1) == 2\nquit(0)\n",
    "by SystemExit": "import thing\nassert thing.f(1) == 2\nraise SystemExit\n",
    "by a child": f"import subprocess, sys\nsys.exit(subprocess.call([sys.executable, {MODULE}]))\n",
    "by a shell": "import os, sys\nsys.exit(os.system('python3 -m unittest tests.test_thing') >> 8)\n",
    "by a module of its own": "import tests.runner\ntests.runner.main()\n",
    "CRLF and a byte order mark": "\ufeff" + BY_RESULT.replace("\n", "\r\n"),
}
RUNNER = "import sys\nimport thing\n\n\ndef main():\n    assert thing.f(1) == 2\n    sys.exit(0)\n"


@ONE_SOON
@pytest.mark.parametrize("name", ENDINGS)
def test_a_repository_decides_in_its_own_way(name: str, pool: Pool) -> None:
    made = problem(ENDINGS[name], **{"tests/runner.py": RUNNER})
    assert outcome(HONEST, pool, made) == "passed"
    if name in ("by unittest.main", "by a shell", "by a module of its own", "as a script"):
        assert outcome(WRONG, pool, made) == "wrong"


@pytest.mark.parametrize(
    "evaluate",
    ["exit(1)", "exit('no')", "raise KeyError", "exit(2.5)", "def f(:", "import nothing_of_that_name", "exit(256 + 7)"],
)
def test_a_status_that_is_not_0_never_passes(evaluate: str, pool: Pool) -> None:
    assert outcome(HONEST, pool, problem(evaluate)) == "runtime_error"


BY_PYTEST = problem("import sys\n\nimport pytest\n\nsys.exit(pytest.main(['-q']))\n")
BY_PYTEST_LATE = problem("import sys\n\nimport thing\nimport pytest\n\nsys.exit(pytest.main(['-q']))\n")


@pytest.mark.parametrize("backend", [DOCKER], indirect=True)
def test_pytest(pool: Pool) -> None:
    assert outcome(HONEST, pool, BY_PYTEST) == "passed"
    assert outcome(WRONG, pool, BY_PYTEST) == "wrong"
    patched = "import pytest\npytest.main = lambda *_: 0\n" + WRONG
    assert outcome(patched, pool, BY_PYTEST_LATE) == "wrong"


@pytest.mark.slow
@pytest.mark.parametrize("backend", [DOCKER], indirect=True)
def test_pytest_is_not_interfered_with(pool: Pool) -> None:
    """A part of it that is another one never passes, even where the answer is right."""
    part = "import _pytest.runner\n_pytest.runner.check_interactive_exception = print\n"
    assert outcome(part + HONEST, pool, BY_PYTEST) == "wrong"
    assert outcome("import os\nos._exit(0)\n", pool, BY_PYTEST) == "wrong"
    assert outcome("import sys\nsys.exit(0)\n", pool, BY_PYTEST) == "runtime_error"


# ---------------------------------------------------------------- hostile answers

HOSTILE = {
    "os._exit(0) at import": "import os\nos._exit(0)\n",
    "sys.exit(0) at import": "import sys\nsys.exit(0)\n",
    "SystemExit out of no file": "exec('raise SystemExit(0)')\n",
    "os._exit(0) in the test": "import os\ndef f(n): os._exit(0)\n",
    "sys.exit(0) in the test": "import sys\ndef f(n): sys.exit(0)\n",
    "os._exit(0) at the very end": "import atexit, os\natexit.register(os._exit, 0)\n" + WRONG,
    "os._exit(0) in a thread": "import os, threading\nthreading.Timer(0, os._exit, [0]).start()\nwhile True: pass\n",
    "an exit that does not": "import sys\nsys.exit = lambda *_: None\n" + WRONG,
    "another builtin": "import builtins\nbuiltins.isinstance = lambda *_: True\n" + WRONG,
    "a result that is always good": "import unittest\nunittest.TestResult.wasSuccessful = lambda self: True\n" + WRONG,
    "an assertion that never fails": "import unittest\nunittest.TestCase.assertEqual = lambda *_: None\n" + WRONG,
    "its code": """
        import unittest
        unittest.TestCase.assertEqual.__code__ = (lambda self, first, second, msg=None: None).__code__
        def f(n): return 0
    """,
    "a runner that runs nothing": """
        import unittest
        unittest.TextTestRunner.run = lambda self, suite: unittest.TestResult()
        def f(n): return 0
    """,
    "another unittest": """
        import sys, types, unittest
        fake = types.ModuleType("unittest")
        fake.TextTestRunner = lambda: types.SimpleNamespace(run=lambda suite: unittest.TestResult())
        fake.defaultTestLoader = unittest.defaultTestLoader
        sys.modules["unittest"] = fake
        def f(n): return 0
    """,
    "the tests emptied": "open('tests/test_thing.py', 'w').close()\n" + WRONG,
    "the tests removed": "import os\nos.remove('tests/test_thing.py')\n" + WRONG,
    "a test that is a pipe at the end": """
        import atexit, os
        atexit.register(lambda: (os.remove('tests/test_thing.py'), os.mkfifo('tests/test_thing.py')))
        def f(n): return n + 1
    """,
    "evaluate_repo.py overwritten": "open('evaluate_repo.py', 'w').close()\n" + WRONG,
    "the driver overwritten": "open('../../main.py', 'w').close()\n" + WRONG,
    "writing into every descriptor": """
        import os
        for fd in range(3, 200):
            try: os.write(fd, b'0' * 32)
            except OSError: pass
        def f(n): return n + 1
    """,
    "killing its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)\n",
    "ptrace of its parent": "import ctypes, os\nctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)\n" + WRONG,
}  # fmt: skip


@ONE_SOON
@pytest.mark.parametrize("name", HOSTILE)
def test_no_cheap_trick_passes(name: str, pool: Pool) -> None:
    assert outcome(HOSTILE[name], pool) in ("wrong", "runtime_error")


def test_the_driver_cannot_be_looked_into(pool: Pool) -> None:
    """Neither its memory nor its descriptors: there is the nonce."""
    code = """
        import os
        for name in ("mem", "environ", "fd/0", "fd/3", "maps"):
            try: print(name, len(open(f"/proc/{os.getppid()}/{name}", "rb").read(1)))
            except OSError as error: print(name, type(error).__name__)
        def f(n): return 0
    """
    said = scored(code, pool).evidence["output"]
    for name in ("mem", "environ", "fd/0", "fd/3", "maps"):
        assert f"{name} PermissionError" in said


@pytest.mark.parametrize(
    ("evaluate", "code"),
    [
        (ENDINGS["by a child"], "import subprocess\nsubprocess.call = lambda *_: 0\n" + WRONG),
        (ENDINGS["by a shell"], "import os\nos.system = lambda *_: 0\n" + WRONG),
    ],
)
@ONE_SOON
def test_no_child_is_faked(evaluate: str, code: str, pool: Pool) -> None:
    assert outcome(code, pool, problem("import thing\n" + evaluate)) == "wrong"


@pytest.mark.parametrize(
    ("evaluate", "code"),
    [
        (ENDINGS["by a child"], "import os\nos._exit(0)\n"),
        (BY_RESULT, "import unittest\ndef f(n): raise unittest.SkipTest\n"),
        (
            BY_RESULT,
            "class Equal:\n    __eq__ = lambda *_: True\n    __ne__ = lambda *_: False\ndef f(n): return Equal()\n",
        ),
    ],
)
@ONE_SOON
def test_what_still_passes_is_known(evaluate: str, code: str, pool: Pool) -> None:
    """As SECURITY.md has it; by upstream's rule each of these passes too."""
    assert outcome(code, pool, problem(evaluate)) == "passed"


def test_printing_megabytes(pool: Pool) -> None:
    noise = "import sys\nprint('x' * (1 << 24)); print('\\x1b[31m' * 1000000, file=sys.stderr)\n"
    assert outcome(noise + HONEST, pool) == "passed"
    assert outcome(noise + WRONG, pool) != "passed"


def test_an_endless_loop(pool: Pool) -> None:
    assert outcome("while True: pass", pool, scorer=RepositoryScorer("repo", cpu_s=0.3)) == "timeout"
    assert outcome(HONEST, pool) == "passed"


@pytest.mark.slow
def test_exhaustion(pool: Pool) -> None:
    short = RepositoryScorer("repo", cpu_s=3)
    assert outcome("import os\nwhile True: os.fork()", pool, scorer=short) in (
        "timeout",
        "runtime_error",
        "out_of_memory",
    )
    assert outcome(HONEST, pool) == "passed"
    assert outcome("import time\ntime.sleep(1000)", pool, scorer=RepositoryScorer("repo", cpu_s=1)) == "timeout"
    large = RepositoryScorer("repo", cpu_s=60)
    assert (
        outcome("kept = []\nwhile True: kept.append(bytearray(b'x') * (1 << 26))", pool, scorer=large)
        == "out_of_memory"
    )
    assert outcome("x = open('/tmp/x', 'wb')\nwhile True: x.write(bytes(1 << 20))", pool, scorer=large) != "passed"
    assert outcome(HONEST, pool) == "passed"


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", "runtime_error"),
        ("\ud800", "compile_error"),
        ("\0", "compile_error"),
        ("# " + HONEST, "compile_error"),
        (HONEST.replace("\n", "\r\n"), "passed"),
        (HONEST.replace("    ", "\t"), "passed"),
        ("\f" + HONEST, "passed"),
        ("# \u00e9\u4e2d\U0001f600\n" + HONEST, "passed"),
        ("(" * 5000, "compile_error"),
    ],
)  # fmt: skip
@ONE_SOON
def test_odd_texts(code: str, expected: str, pool: Pool) -> None:
    assert outcome(code, pool) == expected


def test_a_file_of_another_kind_need_not_parse(pool: Pool) -> None:
    made = problem("import thing\nassert open('a.txt').read() == 'def f(:'\n", **{"a.txt": ""})
    made = Problem(
        "a", {}, {**made.tests, "path": "a.txt", "files": {**made.tests["files"], "thing.py": ""}}, language=NAME
    )
    assert outcome("def f(:", pool, made) == "passed"
    assert outcome("def", pool, made) == "wrong"


def test_packages_and_src_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pool: Pool) -> None:
    """By children of evaluate_repo.py too, which may have another working directory."""
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    folder = tmp_path / "execrepobench" / "repos" / "thing"
    check = "import needed, inner.core; assert inner.core.f(needed.ONE) == 2"
    evaluate = (
        f"import subprocess, sys\n{check}\nsys.exit(subprocess.call([sys.executable, '-c', {check!r}], cwd='/tmp'))\n"
    )
    files = {
        "evaluate_repo.py": evaluate,
        ".site-packages/needed.py": "ONE = 1\n",
        "src/inner/core.py": "",
        "src/inner/__init__.py": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    tests = {"repository": "thing", "path": "src/inner/core.py", "prefix": "", "suffix": "", "middle": ""}
    made = Problem("thing", {}, tests, language=NAME, assets=("execrepobench/repos/thing",))
    assert outcome(HONEST, pool, made) == "passed"
    assert outcome(WRONG, pool, made) == "wrong"


# ---------------------------------------------------------------- what a result means


def ended(ending: str, status: int = 0, answers: bytes = b"", **others: Any) -> Result:
    return Result(ending, status, 1.0, 1.0, answers=answers, **others)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ended("exit", 0, b"word"), "passed"),
        (ended("exit", 1, b"word"), "runtime_error"),
        (ended("signal", 9, b"word"), "runtime_error"),
        (ended("exit", 0, b"word", over=-1), "timeout"),
        (ended("exit", 0, b"other"), "wrong"),
        (ended("exit", 0), "wrong"),
        (ended("exit", 0, b"[]"), "wrong"),
        (ended("exit", 0, b"7"), "wrong"),
        (ended("exit", 0, b"[" * 4000), "wrong"),
        (ended("exit", 0, b"\xff"), "wrong"),
        (ended("exit", 1, b'{"parses": false}'), "compile_error"),
        (ended("exit", 1, b'{"parses": true}', stderr=b"x\nAssertionError: 1"), "wrong"),
        (ended("exit", 1, b'{"parses": true}', stderr=b"x\nKeyError: 1"), "runtime_error"),
        (ended("cpu_limit", 9), "timeout"),
        (ended("wall_limit", 9), "timeout"),
        (ended("memory_limit", 9), "out_of_memory"),
        (ended("signal", 11), "runtime_error"),
    ],
)
def test_outcomes(result: Result, expected: str) -> None:
    found, cause = judged(language(NAME), result, "word")
    assert found.value == expected
    assert (found is Outcome.PASSED) == (not cause)


class Told:
    """A runner that gives results, one after the other, and keeps what it was asked to run."""

    def __init__(self, *results: Result) -> None:
        self.results = iter(results)
        self.programs: list[Program] = []
        self.alone = 0

    def run(self, program: Program, decided: Decided | None = None) -> Result:
        self.programs.append(program)
        return next(self.results)

    def run_alone(self, program: Program, decided: Decided | None = None) -> Result:
        self.alone += 1
        return self.run(program)


def test_what_is_run() -> None:
    told = Told(ended("exit"), ended("exit"))
    for _ in range(2):
        RepositoryScorer("repo").score(problem(), HONEST, SCORER.learn(problem(), []), told)
    first, second = told.programs
    assert list(first.files) == ["main.py"]
    assert (first.limits.cpu_s, first.limits.wall_s, first.reports) == (240, 242, True)
    asked, again = json.loads(first.stdin), json.loads(second.stdin)
    assert (asked["repository"], asked["path"], asked["text"]) == ("thing-1.0", "thing.py", HONEST)
    assert len({asked["nonce"], again["nonce"]}) == 2, "a nonce is used once"
    assert asked["nonce"] not in first.files["main.py"]


@pytest.mark.parametrize(("cpu_s", "alone"), [(0.1, 0), (200.0, 1)])
def test_a_timeout_of_one_that_worked_is_tried_again_alone(cpu_s: float, alone: int) -> None:
    late = Result("wall_limit", 9, cpu_s, 242.0)
    told = Told(late, late)
    found = SCORER.score(problem(), HONEST, SCORER.learn(problem(), []), told)
    assert (found.checks["repo"], told.alone) == (Outcome.TIMEOUT, alone)


# ---------------------------------------------------------------- similarity


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a\n\n \t\nb\n", "a\nb"),
        ('"""x\ny"""a', "a"),
        ("'''x'''\n\"\"\"y\"\"\"\n", ""),
        ("\"\"\"x'''y\"\"\"z'''", "z'''"),
        ('""""""a', "a"),
        ('"""a', '"""a'),
        ("'''a\"\"\"", "'''a\"\"\""),
        ('"a" # """b""" c', '"a" #  c'),
        ("  a  ", "  a  "),
        ("a\r\n\r\nb", "a\r\nb"),
    ],
)
def test_what_similarity_compares(code: str, expected: str) -> None:
    assert compared(code) == expected


@given(st.text(alphabet="\"'a\n ", max_size=60))
def test_what_is_compared_has_neither_blank_lines_nor_more_than_was_there(code: str) -> None:
    found = compared(code)
    assert len(found) <= len(code)
    assert not found or all(line.strip() for line in found.split("\n"))


@pytest.mark.parametrize("code", ['"' * 1_000_001, "'''\"\"" * 200_000, '"""' + "'" * 1_000_000, "\n" * 1_000_000])
def test_long_answers_cost_little(code: str) -> None:
    assert len(compared(code)) <= len(code)


# ---------------------------------------------------------------- what goes in


def unpacked(packed: str) -> dict[str, tuple[bytes, int]]:
    with tarfile.open(fileobj=io.BytesIO(zlib.decompress(base64.b64decode(packed)))) as tar:
        return {entry.name: (tar.extractfile(entry).read(), entry.mode) for entry in tar}  # type: ignore[union-attr]


def test_a_folder_goes_in_as_it_is(tmp_path: Path) -> None:
    write(tmp_path, HOLES[:1])
    folder = tmp_path / "execrepobench" / "repos" / "words"
    (folder / "link").symlink_to("/etc/passwd")
    (folder / "inside").symlink_to("words")
    found = unpacked(from_folder(folder, "1"))
    assert found["words/data/all.bin"] == (bytes(range(256)), 0o644)
    assert found["words/data/run.sh"] == (b"#!/bin/sh\n", 0o755)
    assert found["words/data/latin 1.txt"][0] == b"caf\xe9\t\x0c\n"
    assert not {"link", "inside"} & set(found)
    (folder / "more").write_bytes(b"")
    assert "more" in unpacked(from_folder(folder, "2"))


@given(
    st.dictionaries(st.text("abc/", min_size=1).map(lambda name: f"x{name}y"), st.text(st.characters(codec="utf-8")))
)
def test_texts_go_in_as_they_are(files: Mapping[str, str]) -> None:
    assert {name: data.decode() for name, (data, _) in unpacked(from_texts(files)).items()} == dict(files)
    assert from_texts(dict(reversed(files.items()))) == from_texts(files)


def test_repositories_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    write(tmp_path, HOLES[:1])
    place = "execrepobench/repos/words"
    tests = {"repository": "words", "path": "words/table.py", "prefix": "", "suffix": "", "middle": ""}

    def learn(place: str = place, **changed: str) -> None:
        SCORER.learn(Problem("x", {}, {**tests, **changed}, language=NAME, assets=(place,)), [])

    learn()
    with pytest.raises(ReferenceFailsError, match=f"^{place}: has no file words/other.py; get the repository again$"):
        learn(path="words/other.py")
    with pytest.raises(ReferenceFailsError, match="has no file words/data;"):
        learn(path="words/data")
    with pytest.raises(DatasetError, match="execrepobench/repos/none: not found in "):
        learn("execrepobench/repos/none")
    with pytest.raises(ReferenceFailsError, match=r"has no file evaluate_repo.py;"):
        learn(f"{place}/evaluate_repo.py")
    for name, value in (("MAX_FILES", 7), ("MAX_BYTES", 1000)):
        with monkeypatch.context() as patch:
            patch.setattr(repositories, name, value)
            with pytest.raises(
                ReferenceFailsError, match=r"0 MiB in 8 files, and a sandbox gets \d+ MiB in \d+; remove"
            ):
                learn()
    learn()


def test_the_key_tells_rules_apart() -> None:
    assert SCORER.key() != RepositoryScorer("repo").key()
    assert SCORER.key() == RepositoryScorer("repo", cpu_s=10).key()
    assert json.dumps(SCORER.key())
