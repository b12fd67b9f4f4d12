"""Kill it anywhere, start it again, and it continues: nothing lost, nothing twice, nothing of it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watching import (
    EACH,
    STEPS,
    Processes,
    agents,
    alive,
    assert_part_of,
    assert_same,
    containers,
    family,
    four_samples,
    groups,
    lines_in,
    rows_in,
    stands,
)

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]
Poll = Callable[[Callable[[], bool], str], None]
Document = Callable[..., Any]
Refused = Callable[..., str]
Rows = Callable[[Path], list[dict[str, Any]]]
Samples = Callable[..., Path]
Starter = list[dict[str, Any]]
Moment = float | str

INTERRUPTED = "qceval: interrupted; the same command continues where this one stopped"
SLOWER = "    sum(range(20_000))\n"  # some work in each call, so that there is a middle to be killed in


@pytest.fixture
def file(starter: Starter, samples: Samples) -> Path:
    """Four samples of each starter problem: two right ones, two wrong ones."""
    return samples(four_samples(starter, SLOWER))


def keys(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted((row["problem"], row["sample"]) for row in rows)


def assert_whole(report: dict[str, Any], starter: Starter, rows_of: Rows) -> None:
    """Exactly one completion and one verdict for each sample."""
    run = Path(report["run"])
    wanted = sorted((row["task_id"], number) for row in starter for number in range(EACH))
    assert keys(rows_of(run / "completions.jsonl")) == wanted
    assert keys(rows_of(run / "verdicts.jsonl")) == wanted
    assert report["outcomes"]["starter"]["passed"] == 48
    assert report["scores"]["starter"]["pass@1"]["value"] == 0.5


@pytest.mark.parametrize("to", ["process", "group"])
def test_an_interrupt_is_one_line_and_no_loss(
    start: Start,
    document: Document,
    poll: Poll,
    starter: Starter,
    rows_of: Rows,
    sandbox: str,
    file: Path,
    tmp_path: Path,
    to: str,
) -> None:
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox, "--no-cache")
    process = start(*command, "--workers", 1)
    results = tmp_path / "results"
    poll(lambda: lines_in(results, "verdicts.jsonl") >= 5, "five verdicts")
    members = family(process.pid)
    if to == "process":
        process.send_signal(signal.SIGINT)
    else:  # as a terminal does it: sandboxes get it too
        os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert out == ""
    assert err.strip() == INTERRUPTED
    poll(lambda: not alive(members), "the end of its sandboxes")
    assert not groups([process.pid])
    before = rows_of(next(results.rglob("verdicts.jsonl")))
    assert 5 <= len(before) < 96
    report = document(*command, "--workers", 2)
    assert_whole(report, starter, rows_of)
    assert rows_of(Path(report["run"]) / "verdicts.jsonl")[: len(before)] == before


def test_an_interrupt_while_references_run(
    start: Start, poll: Poll, env: dict[str, str], plugin: Samples, sandbox: str, tmp_path: Path
) -> None:
    """Nobody waits for a reference that takes minutes."""
    env["QCEVAL_CACHE"] = str(tmp_path / "cache")
    forever = "    while True:\n        pass\n"
    process = start("run", "--bench", "tiny", "--plugins", plugin(solutions=(forever,) * 3), "--sandbox", sandbox)
    poll(lambda: agents(alive(family(process.pid))), "a sandbox")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=45)  # the references' own limit is 60 s and more
    assert process.returncode == 130
    assert err.strip() == INTERRUPTED


def kill_at(
    start: Start, poll: Poll, env: dict[str, str], command: tuple[object, ...], moment: Moment
) -> tuple[int, Processes | None]:
    """Start, wait for a moment, kill with no chance to clean up: the process id and the last children.

    A moment is a number of seconds or a step of ``STEPS``. None for the children: it was through before.
    """
    env["QCEVAL_TEST_STOP_AT"] = moment if isinstance(moment, str) else ""
    process = start(*command)
    if isinstance(moment, str):
        poll(lambda: process.poll() is not None or stands(process.pid), moment)
    else:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=moment)
    if process.poll() is not None:
        assert process.returncode == 0, process.communicate()
        return process.pid, None
    process.send_signal(signal.SIGSTOP)  # so that the list of its children is whole
    poll(lambda: stands(process.pid), "it stands still")
    members = family(process.pid)
    process.kill()
    process.wait()
    return process.pid, members


def phase(results: Path, cache: Path) -> str:
    """How far a run has come that was killed."""
    if not any(results.rglob("run.json")):
        return "start-up"
    if len([*cache.glob("references/*/*.gz")]) < 24:
        return "references"
    done = lines_in(results, "verdicts.jsonl")
    return "first programs" if done == 0 else "mid-run" if done < 24 * EACH else "scores"


def moments_of(steps: list[str], lasted: float, kills: int) -> list[Moment]:
    """Half of them are steps, no kind twice; the rest is luck. In fours they follow each other, the last one first."""
    luck = random.Random(2411)
    kinds = sorted(set(steps))
    first = [step for step in kinds if re.search(r"rename|Popen|POST .*(create|attach|start)", step)]
    others = [step for step in kinds if step not in first]
    chosen = [*first, *luck.sample(others, len(others))][: kills // 2]
    timed: list[tuple[float, Moment]] = []
    for step in chosen:
        timed.append((lasted * steps.index(step) / len(steps), f"{step}:{luck.randint(1, steps.count(step))}"))
    for delay in (luck.uniform(0, lasted) for _ in range(kills - len(chosen))):
        timed.append((delay, delay))
    luck.shuffle(timed)
    ordered = [sorted(timed[at : at + 4], reverse=True) for at in range(0, kills, 4)]
    return [moment for four in ordered for _, moment in four]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "kills"),
    [
        pytest.param("namespaces", 34, marks=pytest.mark.namespaces),
        pytest.param("docker", 16, marks=pytest.mark.docker),
    ],
)
def test_killed_at_many_moments(
    request: pytest.FixtureRequest,
    start: Start,
    qceval: Cli,
    document: Document,
    poll: Poll,
    env: dict[str, str],
    file: Path,
    tmp_path: Path,
    backend: str,
    kills: int,
) -> None:
    """Killed and continued in the same folder; a run that gets through is compared, and a new one begun."""
    kind = request.getfixturevalue(backend)
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", kind, "--workers", 2, "--no-cache")
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "sitecustomize.py").write_text(STEPS)
    env["PYTHONPATH"] += f":{tmp_path / 'steps'}"
    env["QCEVAL_TEST_BELOW"] = str(tmp_path)
    laps = [tmp_path / str(lap) for lap in range(2 * kills)]  # a folder each, for results and cache
    for lap in laps:
        lap.mkdir()
    seen = tmp_path / "seen"
    began = time.monotonic()
    env |= {"QCEVAL_TEST_SEEN": str(seen), "QCEVAL_CACHE": str(laps[0] / "cache")}
    undisturbed = document(*command, "--out", laps[0] / "results")
    del env["QCEVAL_TEST_SEEN"]
    moments = moments_of(seen.read_text().splitlines(), time.monotonic() - began, kills)
    assert len(rows_in(Path(undisturbed["run"]), "verdicts.jsonl")) == 24 * EACH

    phases: Counter[str] = Counter()
    pids: list[int] = []
    for lap in laps[1:]:
        out, cache = lap / "results", lap / "cache"
        env["QCEVAL_CACHE"] = str(cache)
        while moments:
            pid, members = kill_at(start, poll, env, (*command, "--out", out), moments[-1])
            pids.append(pid)
            if members is None:
                if isinstance(moments[-1], float):
                    moments[-1] *= 0.7  # this run was faster
                break
            moments.pop()
            phases[phase(out, cache)] += 1
            poll(lambda left=members: not alive(left), "the end of its sandboxes")  # type: ignore[misc]
            poll(lambda parent=pid: not alive(family(parent)), "the end of its control groups")  # type: ignore[misc]
            if kind == "docker":
                poll(lambda: not containers(pids, running=True), "the end of its containers")
            assert_part_of(out, undisturbed)
        env["QCEVAL_TEST_STOP_AT"] = ""
        assert_same(document(*command, "--out", out), undisturbed)
        assert not groups(pids)
        if kind == "docker":
            poll(lambda: not containers(pids), "the end of all containers")
        if not moments:
            break
    print(f"{kind}: {sum(phases.values())} kills in {lap.name} runs: {dict(phases)}")
    assert not moments, "no kill strikes any more"
    assert {"start-up", "references", "scores"} <= set(phases)
    assert "complete; nothing is run again" in qceval(*command, "--out", out).stderr


@pytest.mark.slow
def test_killed_while_the_verdict_cache_is_written(
    start: Start,
    document: Document,
    poll: Poll,
    env: dict[str, str],
    starter: Starter,
    samples: Samples,
    sandbox: str,
    tmp_path: Path,
) -> None:
    """What a killed run left in the cache serves the next one, which is right."""
    rows = [row for number in range(3) for row in four_samples(starter, f"    sum(range(60_000 + {number}))\n")]
    file = samples(rows)
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox, "--workers", 2)
    undisturbed = document(*command, "--no-cache", "--out", tmp_path / "undisturbed")
    env["QCEVAL_CACHE"] = str(tmp_path / "cache")
    log = tmp_path / "cache" / "verdicts.sqlite-wal"
    size = lambda: log.stat().st_size if log.exists() else 0  # noqa: E731
    for number, wanted in enumerate([1, 1, 20_000, 1, 40_000]):
        out = tmp_path / f"results {number % 2}"
        process = start(*command, "--out", out)
        poll(lambda: process.poll() is not None or size() >= wanted, "a write")  # noqa: B023
        process.kill()
        process.wait()
        poll(lambda: not alive(family(process.pid)), "the end of its sandboxes")  # noqa: B023
        assert_part_of(out, undisturbed)
    for name in ("results 0", "results 1", "anew"):
        assert_same(document(*command, "--out", tmp_path / name), undisturbed)
    with sqlite3.connect(tmp_path / "cache" / "verdicts.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT COUNT(*) FROM verdicts").fetchone()[0] >= 200
    db.close()


def test_killed_without_a_sandbox(start: Start, poll: Poll, starter: Starter, samples: Samples, tmp_path: Path) -> None:
    """What runs unprotected ends with its harness as well: here no kernel does that by itself."""
    mark = tmp_path / "it runs"
    forever = f"    open({str(mark)!r}, 'w').close()\n    while True:\n        pass\n"
    file = samples({"task_id": row["task_id"], "completion": forever} for row in starter)
    process = start("score", "--bench", "starter", "--samples", file, "--sandbox", "none", "--unsafe")
    poll(mark.exists, "a program")
    process.send_signal(signal.SIGSTOP)
    poll(lambda: stands(process.pid), "it stands still")
    members = family(process.pid)
    assert len(members) >= 2  # the agent and its program
    process.kill()
    process.wait()
    try:
        poll(lambda: not alive(members), "the end of its programs")
    finally:
        for pid, _ in alive(members):
            os.kill(pid, signal.SIGKILL)


def test_one_writer_at_a_time(
    start: Start,
    refused: Refused,
    document: Document,
    poll: Poll,
    starter: Starter,
    rows_of: Rows,
    sandbox: str,
    file: Path,
    tmp_path: Path,
) -> None:
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox)
    first = start(*command, "--json")
    poll(lambda: lines_in(tmp_path / "results", "verdicts.jsonl") >= 1, "a verdict")
    first.send_signal(signal.SIGSTOP)  # so that it cannot be through before the second one asks
    try:
        said = refused(*command)
    finally:
        first.send_signal(signal.SIGCONT)
    (folder,) = {path.parent for path in (tmp_path / "results").rglob("verdicts.jsonl")}
    assert said == f"{folder}: another qceval is writing here; wait for it or choose another --out"
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, err
    assert_whole(json.loads(out), starter, rows_of)
    assert document(*command) == json.loads(out)


def tear(path: Path, count: int) -> None:
    data = path.read_bytes()
    assert count < len(data)
    path.write_bytes(data[:-count])


@pytest.mark.slow
def test_torn_last_lines_are_healed(
    document: Document,
    starter: Starter,
    rows_of: Rows,
    samples: Samples,
    sandbox: str,
) -> None:
    """Bytes of one or both files are lost at the end: rows that are not whole are made again, others kept."""
    file = samples({"task_id": row["task_id"], "completion": row["wrong"][0]} for row in starter)
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox)
    first = document(*command)
    run = Path(first["run"])
    wanted = sorted((row["task_id"], 0) for row in starter)
    for completions, verdicts in [(1, 1), (0, 7), (25, 0), (30, 30), (0, 400), (1500, 1)]:
        for name, count in (("completions.jsonl", completions), ("verdicts.jsonl", verdicts)):
            if count:
                tear(run / name, count)
        again = document(*command)
        for name in ("completions.jsonl", "verdicts.jsonl"):
            assert keys(rows_of(run / name)) == wanted, (name, completions, verdicts)
        assert again == first


def test_a_file_that_is_empty_after_a_power_cut(
    document: Document, starter: Starter, rows_of: Rows, samples: Samples, sandbox: str
) -> None:
    file = samples({"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in starter)
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox)
    first = document(*command)
    run = Path(first["run"])
    (run / "completions.jsonl").write_bytes(b"")
    tear(run / "verdicts.jsonl", 5)
    assert document(*command) == first
    for name in ("completions.jsonl", "verdicts.jsonl"):
        assert len(rows_of(run / name)) == len(set(keys(rows_of(run / name)))) == 24


def test_a_damaged_line_in_the_middle_is_named(
    document: Document, refused: Refused, starter: Starter, samples: Samples, sandbox: str
) -> None:
    file = samples({"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in starter)
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox)
    run = Path(document(*command)["run"])
    lines = (run / "verdicts.jsonl").read_bytes().splitlines(keepends=True)
    lines[4] = b"\x00" * 20 + b"\n"
    (run / "verdicts.jsonl").write_bytes(b"".join(lines))
    assert refused(*command).startswith(f"{run / 'verdicts.jsonl'}:5: damaged")


def test_another_file_of_the_same_name_is_another_run(
    document: Document, starter: Starter, samples: Samples, sandbox: str
) -> None:
    rows = [{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in starter]
    command = ("score", "--bench", "starter", "--samples", samples(rows), "--sandbox", sandbox)
    first = document(*command)
    rows[0]["completion"] = starter[0]["wrong"][0]
    samples(rows)
    second = document(*command)
    assert first["run"] != second["run"]
    assert second["outcomes"] == {"starter": {"passed": 23, "wrong": 1}}
