"""A run directory: it continues where it was, never mixes two things, and is never half-written."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.errors import InfrastructureError, QcevalError, RunError
from qwencoder_eval.runs import directory
from qwencoder_eval.runs.directory import Run, digest, safe_name
from qwencoder_eval.types import Completion, Outcome, Sample, Verdict

GENERATION = {"model": "m", "dataset": "d1", "sampling": {"n": 1, "stop": ["\n", "é"]}}
SCORING = {"rule": "calls", "version": 1}


def opened(path: Path, generation: Any = None, scoring: Any = None, provenance: Any = None) -> Run:
    return Run(path, generation or GENERATION, scoring or SCORING, provenance or {"qceval": "0"})


def sample(number: int, text: str = "x") -> Sample:
    return Sample(f"p/{number}", 0, Completion(text))


def verdict(number: int, outcome: Outcome = Outcome.PASSED) -> Verdict:
    return Verdict(f"p/{number}", 0, {"c": outcome})


def error_of(error: pytest.ExceptionInfo[QcevalError]) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "results" / "model" / "bench" / "run"


# ---------------------------------------------------------------- what lies there


def test_a_new_run(path: Path) -> None:
    with closing(opened(path)) as run:
        assert run.done == run.judged == set()
        assert list(run.unjudged()) == list(run.all_verdicts()) == []
    assert json.loads((path / "run.json").read_text()) == {
        "format": 1,
        "generation": GENERATION,
        "scoring": SCORING,
        "provenance": {"qceval": "0"},
    }
    assert not list(path.glob("*.part"))


def test_it_continues_where_it_was(path: Path) -> None:
    full = Completion("    return 1\n", "whole", "length", 11, 22)
    with closing(opened(path)) as run:
        run.add_completion(Sample("p/0", 0, full))
        run.add_completion(Sample("p/0", 1, Completion("")))
        run.add_completion(sample(1))
        run.add_verdict(verdict(1, Outcome.TIMEOUT))
    with closing(opened(path)) as run:
        assert run.done == {("p/0", 0), ("p/0", 1), ("p/1", 0)}
        assert run.judged == {("p/1", 0)}
        assert list(run.unjudged()) == [Sample("p/0", 0, full), Sample("p/0", 1, Completion(""))]
        run.add_verdict(Verdict("p/0", 0, {"c": Outcome.WRONG}, {"em": 0.5}, {"error": "\x1b[31m"}))
        assert [s.number for s in run.unjudged()] == [1]
        run.add_verdict(Verdict("p/0", 1, {"c": Outcome.NO_CODE}))
        assert list(run.unjudged()) == []
        assert list(run.all_verdicts()) == [
            verdict(1, Outcome.TIMEOUT),
            Verdict("p/0", 0, {"c": Outcome.WRONG}, {"em": 0.5}, {"error": "\x1b[31m"}),
            Verdict("p/0", 1, {"c": Outcome.NO_CODE}),
        ]


def test_done_and_judged_follow_what_is_added(path: Path) -> None:
    with closing(opened(path)) as run:
        run.add_completion(sample(0))
        assert (run.done, run.judged) == ({("p/0", 0)}, set())
        run.add_verdict(verdict(0))
        assert run.judged == {("p/0", 0)}


def test_a_torn_last_line_is_done_again(path: Path) -> None:
    with closing(opened(path)) as run:
        for i in range(3):
            run.add_completion(sample(i))
            run.add_verdict(verdict(i))
    for name, tear in (("completions.jsonl", 1), ("verdicts.jsonl", 60)):
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[:-tear])
    with closing(opened(path)) as run:
        assert run.done == {("p/0", 0), ("p/1", 0)}
        assert len(run.judged) < 3
        run.add_completion(sample(2, "again"))
    with closing(opened(path)) as run:
        assert [row["text"] for row in run.completions.rows()] == ["x", "x", "again"]


def test_provenance_is_never_compared(path: Path) -> None:
    opened(path, provenance={"qceval": "1", "machine": "here"}).close()
    opened(path, provenance={"qceval": "2"}).close()
    assert json.loads((path / "run.json").read_text())["provenance"] == {"qceval": "1", "machine": "here"}


def test_keys_are_compared_as_json_has_them(path: Path) -> None:
    opened(path, {"stop": ("a", "b"), 1: None}).close()
    opened(path, {"1": None, "stop": ["a", "b"]}).close()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({**GENERATION, "model": "other"}, "model"),
        ({**GENERATION, "sampling": {"n": 2, "stop": ["\n", "é"]}}, "sampling"),
        ({**GENERATION, "dataset": "d2", "model": "z"}, "model, dataset"),
        ({**GENERATION, "revision": "abc"}, "revision"),
        ({"model": "m", "dataset": "d1"}, "sampling"),
    ],
)
def test_another_generation_is_refused_and_the_field_named(path: Path, changed: Any, named: str) -> None:
    with closing(opened(path)) as run:
        run.add_completion(sample(0))
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(RunError) as caught:
        opened(path, changed)
    assert error_of(caught) == f"{path}: made with another {named}; choose another --out"
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    opened(path).close()  # and the lock is free again


def test_another_scoring_sets_the_verdicts_aside_and_keeps_the_completions(path: Path) -> None:
    with closing(opened(path)) as run:
        for i in range(2):
            run.add_completion(sample(i))
            run.add_verdict(verdict(i, Outcome.WRONG))
        run.write("scores.json", {"old": True})
    old = (path / "verdicts.jsonl").read_bytes()
    with closing(opened(path, scoring={**SCORING, "version": 2})) as run:
        assert len(run.done) == 2
        assert run.judged == set()
        assert list(run.unjudged()) == [sample(0), sample(1)]
        assert not (path / "scores.json").exists()
        run.add_verdict(verdict(0))
    assert (path / f"verdicts.{digest(SCORING)[:8]}.jsonl").read_bytes() == old
    assert json.loads((path / "run.json").read_text())["scoring"] == {**SCORING, "version": 2}
    with closing(opened(path, scoring={**SCORING, "version": 2})) as run:
        assert run.judged == {("p/0", 0)}
        assert list(run.all_verdicts()) == [verdict(0)]


def test_back_to_an_earlier_scoring_its_verdicts_are_there_again(path: Path) -> None:
    rules = [{"rule": "a"}, {"rule": "b"}]
    with closing(opened(path, scoring=rules[0])) as run:
        run.add_completion(sample(0))
        run.add_completion(sample(1))
        run.add_verdict(verdict(0, Outcome.WRONG))
    with closing(opened(path, scoring=rules[1])) as run:
        run.add_verdict(verdict(1))
    for _ in range(2):
        with closing(opened(path, scoring=rules[0])) as run:
            assert list(run.all_verdicts()) == [verdict(0, Outcome.WRONG)]
            assert run.judged == {("p/0", 0)}
        with closing(opened(path, scoring=rules[1])) as run:
            assert list(run.all_verdicts()) == [verdict(1)]
    assert len(list(path.glob("verdicts*.jsonl"))) == 2


@pytest.mark.parametrize("rule", ["new", "old"])
def test_killed_while_the_scoring_changes(path: Path, monkeypatch: pytest.MonkeyPatch, rule: str) -> None:
    """Verdicts of one rule never come to stand under the key of another."""
    with closing(opened(path, scoring={"rule": "old"})) as run:
        run.add_completion(sample(0))
        run.add_verdict(verdict(0, Outcome.WRONG))

    def killed(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            opened(path, scoring={"rule": "new"})
    with closing(opened(path, scoring={"rule": rule})) as run:
        assert list(run.all_verdicts()) == ([verdict(0, Outcome.WRONG)] if rule == "old" else [])
        assert run.done == {("p/0", 0)}
    if rule == "new":
        assert json.loads((path / f"verdicts.{digest({'rule': 'old'})[:8]}.jsonl").read_text())["sample"] == 0


def test_the_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})


# ---------------------------------------------------------------- one writer


def test_a_second_run_in_the_same_process_is_refused(path: Path) -> None:
    with closing(opened(path)) as run:
        for _ in range(2):
            with pytest.raises(RunError) as caught:
                opened(path)
            said = f"{path}: another qceval is writing here; wait for it or choose another --out"
            assert error_of(caught) == said
        run.add_completion(sample(0))
    with closing(opened(path)) as run:
        assert run.done == {("p/0", 0)}


CHILD = """
import json, os, sys
from pathlib import Path
from qwencoder_eval.runs.directory import Run
from qwencoder_eval.types import Completion, Sample

path, how, generation, scoring = sys.argv[1:]
run = Run(Path(path), json.loads(generation), json.loads(scoring), {})
real = os.write
if how == "pieces":
    os.write = lambda fd, data: real(fd, data[:61])
elif how != "once":
    countdown = int(how)
    def write(fd, data):
        global countdown
        countdown -= 1
        if countdown < 0:
            real(fd, data[: len(data) // 2])
            print("torn", flush=True)
            sys.stdin.read()
        return real(fd, data)
    os.write = write
print("ready", flush=True)
number = len(run.done)
while how != "once":
    run.add_completion(Sample(f"p/{number}", 0, Completion("x" * (number * 37 % 900))))
    print(number, flush=True)
    number += 1
sys.stdin.read()
"""


@contextmanager
def child(path: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has the run open and appends to it; killed at the end."""
    command = [sys.executable, "-c", CHILD, str(path), how, json.dumps(GENERATION), json.dumps(SCORING)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()
            assert process.wait() == -signal.SIGKILL


def test_a_second_process_is_refused_and_its_death_frees_the_lock(path: Path) -> None:
    with child(path, "once"), pytest.raises(RunError, match="another qceval is writing here"):
        opened(path)
    opened(path).close()


def numbers(run: Run) -> list[int]:
    return [int(row["problem"].removeprefix("p/")) for row in run.completions.rows()]


def test_killed_at_random_moments_and_continued_it_has_every_row_once(path: Path) -> None:
    """The child writes in small pieces, so that most kills tear a row. What it said was written is there."""
    rng = random.Random(20240917)
    said = -1
    for _ in range(15):
        with child(path, "pieces") as process:
            assert process.stdout
            for _ in range(rng.randrange(1, 60)):
                said = int(process.stdout.readline())
        with closing(opened(path)) as run:
            found = numbers(run)
        assert found == list(range(len(found)))
        assert len(found) > said
    with closing(opened(path)) as run:
        reached = len(run.done)
        for number in range(reached, reached + 20):
            run.add_completion(sample(number))
    with closing(opened(path)) as run:
        assert numbers(run) == list(range(reached + 20))
        assert run.done == {(f"p/{i}", 0) for i in range(reached + 20)}
        assert [s.problem for s in run.unjudged()] == [f"p/{i}" for i in range(reached + 20)]


def test_killed_in_the_middle_of_a_row(path: Path) -> None:
    for rows in (3, 0, 5):
        with child(path, str(rows)) as process:
            assert process.stdout
            said = list(iter(process.stdout.readline, "torn\n"))
        assert len(said) == rows
        assert not (path / "completions.jsonl").read_bytes().endswith(b"\n")
    with closing(opened(path)) as run:
        assert numbers(run) == list(range(8))


def test_threads_may_add_at_once(path: Path) -> None:
    with closing(opened(path)) as run:
        threads = [
            threading.Thread(target=lambda t=t: [run.add_verdict(verdict(100 * t + i)) for i in range(100)])
            for t in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {v.problem for v in run.all_verdicts()} == {f"p/{i}" for i in range(400)}
        assert len(list(run.all_verdicts())) == len(run.judged) == 400


# ---------------------------------------------------------------- damage and other trouble


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"{", b"[]", b"null", b"{}", b"\xff", b"[" * 200_000),
        *(b'{"generation": {}}', b'{"generation": 1, "scoring": {}}', b'{"generation": {}, "scoring": 3}'),
    ],
)
def test_a_damaged_description_is_refused(path: Path, content: bytes) -> None:
    opened(path).close()
    (path / "run.json").write_bytes(content)
    for _ in range(2):  # the second time shows that the lock was given back
        with pytest.raises(RunError) as caught:
            opened(path)
        assert error_of(caught) == f"{path}/run.json: damaged; remove the folder and run again"


@pytest.mark.parametrize("name", ["completions", "verdicts"])
@pytest.mark.parametrize("damage", ['{"problem": "p/0"', '{"problem": "p/0"}', "{}", "[]", '{"sample": 0}'])
def test_a_damaged_row_is_refused_with_its_line(path: Path, name: str, damage: str) -> None:
    with closing(opened(path)) as run:
        run.add_completion(sample(0))
        run.add_verdict(verdict(0))
    file = path / f"{name}.jsonl"
    file.write_text(file.read_text() + damage + "\n")
    with pytest.raises(RunError) as caught:
        opened(path)
    assert error_of(caught) == f"{file}:2: damaged; remove this line and run again"


def test_writing_is_atomic(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Path.write_text

    def killed(file: Path, text: str, *args: Any, **options: Any) -> int:
        real(file, text[: len(text) // 2])
        raise KeyboardInterrupt

    with closing(opened(path)) as run:
        run.write("scores.json", {"n": 1})
        with monkeypatch.context() as patch:
            patch.setattr(Path, "write_text", killed)
            with pytest.raises(KeyboardInterrupt):
                run.write("scores.json", {"n": 2})
        assert json.loads((path / "scores.json").read_text()) == {"n": 1}
        run.write("scores.json", {"n": 3})
        assert json.loads((path / "scores.json").read_text()) == {"n": 3}
        assert not list(path.glob("*.part"))


def denied(*args: Any, **options: Any) -> Any:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def full(*args: Any, **options: Any) -> Any:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("where", ["write_text", "replace"])
def test_a_full_disk_is_said_in_one_line(path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    with closing(opened(path)) as run:
        monkeypatch.setattr(Path, where, full)
        with pytest.raises(InfrastructureError) as caught:
            run.write("scores.json", {})
    assert error_of(caught).endswith("cannot be written (No space left on device); make room and run again")


def test_a_full_disk_loses_no_completion_that_was_said_to_be_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(opened(path)) as run:
        run.add_completion(sample(0))
        with monkeypatch.context() as patch:
            patch.setattr(os, "write", full)
            with pytest.raises(InfrastructureError):
                run.add_completion(sample(1))
        assert run.done == {("p/0", 0)}
    with closing(opened(path)) as run:
        assert run.done == {("p/0", 0)}


@pytest.mark.parametrize(("module", "name"), [(Path, "mkdir"), (os, "open")])
def test_a_folder_without_permission_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, name: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(module, name, denied)
        with pytest.raises(InfrastructureError) as caught:
            opened(path)
    assert error_of(caught) == f"{path}: cannot be written (Permission denied); choose another --out"
    opened(path).close()


def test_a_journal_without_permission_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As another user's run leaves it."""
    with closing(opened(path)) as run:
        run.add_completion(sample(0))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", denied)
        with pytest.raises(InfrastructureError) as caught:
            opened(path)
    assert error_of(caught) == f"{path}: cannot be written (Permission denied); choose another --out"
    opened(path).close()


def test_a_file_system_without_locks_is_not_called_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unlockable(fd: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", unlockable)
    with pytest.raises(InfrastructureError) as caught:
        opened(path)
    assert error_of(caught) == f"{path}: cannot be written (No locks available); choose another --out"


def test_a_file_in_the_way_is_refused(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("")
    with pytest.raises(InfrastructureError, match=f"^{path}: cannot be written \\(File exists\\)"):
        opened(path)
    with pytest.raises(InfrastructureError, match="cannot be written \\(Not a directory\\)"):
        opened(path / "below")


def test_the_lock_is_given_back_when_a_journal_cannot_be_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = opened(path)
    run.add_completion(sample(0))
    run.add_verdict(verdict(0))
    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(InfrastructureError):
            run.close()
    assert len(os.listdir("/proc/self/fd")) == before - 3
    with closing(opened(path)) as run:
        assert (run.done, run.judged) == ({("p/0", 0)}, {("p/0", 0)})


def test_nothing_stays_open_after_a_refusal(path: Path) -> None:
    opened(path).close()
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with pytest.raises(RunError):
            opened(path, {"model": "other"})
    assert len(os.listdir("/proc/self/fd")) == before


# ---------------------------------------------------------------- names of folders


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Qwen/Qwen2.5-Coder-7B", "Qwen--Qwen2.5-Coder-7B"),
        ("gpt-4o_2024+x", "gpt-4o_2024+x"),
        ("../../etc", "--..--etc"),
        ("/abs", "--abs"),
        ("..", "_"),
        (".", "_"),
        ("", "_"),
        (".hidden", "hidden"),
        ("a\nb", "a_b"),
        ("a\x00b\x1b[31m", "a_b__31m"),
        ("a\\b:c*?", "a_b_c__"),
        ("模型 é", "模型_é"),
        ("\ud800\u202e", "__"),
    ],
)
def test_a_models_name_as_a_folder(name: str, folder: str) -> None:
    assert safe_name(name) == folder


@given(st.text(st.characters(), max_size=50))
@example("....//")
@example("/../")
def test_any_name_is_one_folder_below(name: str) -> None:
    folder = safe_name(name)
    assert folder
    assert "/" not in folder
    assert "\x00" not in folder
    assert folder.isprintable()
    assert not folder.startswith(".")
    root = Path("/results")
    assert Path(os.path.normpath(root / folder / "run")) == root / folder / "run"
    folder.encode()  # a file system takes it


def test_a_hostile_name_stays_below_the_results(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for name in ("../../etc", "/abs", "", "a\nb", "..", "模型"):
        opened(results / safe_name(name) / "bench" / "run").close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["results"]
    assert len(list(results.iterdir())) == 5  # "" and ".." share one


def test_the_format_is_written(path: Path) -> None:
    opened(path).close()
    assert json.loads((path / "run.json").read_text())["format"] == directory.FORMAT
