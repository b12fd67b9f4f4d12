"""Kill it anywhere, start it again, and it continues: nothing lost, nothing twice, nothing of it left behind."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Start = Callable[..., "subprocess.Popen[str]"]
Poll = Callable[[Callable[[], bool], str], None]
Document = Callable[..., Any]
Refused = Callable[..., str]
Rows = Callable[[Path], list[dict[str, Any]]]
Samples = Callable[..., Path]
Starter = list[dict[str, Any]]
Processes = set[tuple[int, str]]  # process id, and when it was started

INTERRUPTED = "qceval: interrupted; the same command continues where this one stopped"
EACH = 4  # samples of each problem
SLOWER = "    sum(range(20_000))\n"  # some work in each call, so that there is a middle to be killed in


def stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the name: state, parent, ...; empty where the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def family(root: int) -> Processes:
    """All descendants of a process, and all members of control groups with its id in their name."""
    parents, found = {}, set()
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if fields := stat(pid):
            parents[pid] = (int(fields[1]), fields[19])
            with contextlib.suppress(OSError):
                if re.search(rf"/qceval-{root}-\d", (folder / "cgroup").read_text()):
                    found.add((pid, fields[19]))
    wanted, more = {root}, True
    while more:
        added = {pid for pid, (parent, _) in parents.items() if parent in wanted} - wanted
        wanted |= added
        more = bool(added)
    return found | {(pid, parents[pid][1]) for pid in wanted - {root}}


def alive(processes: Processes) -> Processes:
    """Those that still run; what is dead and only waits to be noticed by its parent does not."""
    return {
        (pid, begun) for pid, begun in processes if (fields := stat(pid)) and fields[19] == begun and fields[0] != "Z"
    }


def containers(pid: int) -> list[str]:
    ran = subprocess.run(
        ["docker", "ps", "--all", "--quiet", "--filter", f"label=qceval={pid}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()


def agents(processes: Processes) -> int:
    count = 0
    for pid, _ in processes:
        with contextlib.suppress(OSError):
            count += b"agent.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    return count


def lines_in(folder: Path, name: str) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.rglob(name))


@pytest.fixture
def file(starter: Starter, samples: Samples) -> Path:
    """Four samples of each starter problem: two right ones, two wrong ones."""
    rows = []
    for row in starter:
        for text in (row["canonical_solution"], row["wrong"][0], row["canonical_solution"], row["wrong"][1]):
            rows.append({"task_id": row["task_id"], "completion": SLOWER + text})
    return samples(rows)


def keys(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return sorted((row["problem"], row["sample"]) for row in rows)


def outcomes(rows: list[dict[str, Any]]) -> dict[tuple[str, int], str]:
    return {(row["problem"], row["sample"]): json.dumps(row["checks"]) for row in rows}


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
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox)
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
    poll(lambda: agents(alive(family(process.pid))) > 0, "a sandbox")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=45)  # the references' own limit is 60 s and more
    assert process.returncode == 130
    assert err.strip() == INTERRUPTED


def kill_at(
    start: Start, poll: Poll, command: tuple[object, ...], reached: Callable[[], bool], what: str
) -> tuple[int, Processes]:
    """Start, wait for a moment, kill with no chance to clean up. Returns the process id and its last children."""
    process = start(*command)
    poll(lambda: process.poll() is not None or reached(), what)
    if process.poll() is not None:  # it was through before its moment was seen
        assert process.returncode == 0, process.communicate()
        return process.pid, set()
    process.send_signal(signal.SIGSTOP)  # so that the list of its children is whole
    poll(lambda: stat(process.pid)[0] == "T", "it stands still")
    members = family(process.pid)
    process.kill()
    process.wait()
    return process.pid, members


@pytest.mark.slow
def test_killed_at_many_moments(
    start: Start,
    qceval: Cli,
    document: Document,
    poll: Poll,
    starter: Starter,
    rows_of: Rows,
    sandbox: str,
    file: Path,
    tmp_path: Path,
) -> None:
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", sandbox, "--workers", 2)
    undisturbed = document(*command, "--out", tmp_path / "undisturbed")
    assert_whole(undisturbed, starter, rows_of)

    results, seen_agents = tmp_path / "results", 0
    moments = [0, *sorted(random.Random(2411).sample(range(1, 90), 8))]
    for moment in moments:

        def reached(wanted: int = moment) -> bool:
            if wanted == 0:
                return any(results.rglob("run.json"))
            return lines_in(results, "verdicts.jsonl") >= wanted

        pid, members = kill_at(start, poll, command, reached, f"verdict {moment}")
        seen_agents += agents(members)
        poll(lambda left=members: not alive(left), "the end of its sandboxes")  # type: ignore[misc]
        poll(lambda parent=pid: not alive(family(parent)), "the end of its control groups")  # type: ignore[misc]
        for name in ("completions.jsonl", "verdicts.jsonl"):
            for path in results.rglob(name):
                rows = rows_of(path)
                assert len(set(keys(rows))) == len(rows), f"{name} has a sample twice after {moment}"
    assert seen_agents > 0 or sandbox != "namespaces", "no kill met a sandbox"

    report = document(*command)
    assert_whole(report, starter, rows_of)
    assert report["scores"] == undisturbed["scores"]
    assert report["outcomes"] == undisturbed["outcomes"]
    for name in ("completions.jsonl", "verdicts.jsonl"):
        ours, theirs = (rows_of(Path(run["run"]) / name) for run in (report, undisturbed))
        if name == "verdicts.jsonl":
            assert outcomes(ours) == outcomes(theirs)
        else:
            assert sorted(map(json.dumps, ours)) == sorted(map(json.dumps, theirs))
    assert "complete; nothing is run again" in qceval(*command).stderr


def test_killed_without_a_sandbox(start: Start, poll: Poll, starter: Starter, samples: Samples, tmp_path: Path) -> None:
    """What runs unprotected ends with its harness as well: here no kernel does that by itself."""
    mark = tmp_path / "it runs"
    forever = f"    open({str(mark)!r}, 'w').close()\n    while True:\n        pass\n"
    file = samples({"task_id": row["task_id"], "completion": forever} for row in starter)
    process = start("score", "--bench", "starter", "--samples", file, "--sandbox", "none", "--unsafe")
    poll(mark.exists, "a program")
    process.send_signal(signal.SIGSTOP)
    poll(lambda: stat(process.pid)[0] == "T", "it stands still")
    members = family(process.pid)
    assert len(members) >= 2  # the agent and its program
    process.kill()
    process.wait()
    try:
        poll(lambda: not alive(members), "the end of its programs")
    finally:
        for pid, _ in alive(members):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.docker
def test_killed_with_docker(
    start: Start,
    document: Document,
    poll: Poll,
    starter: Starter,
    rows_of: Rows,
    docker: str,
    file: Path,
    tmp_path: Path,
) -> None:
    command = ("score", "--bench", "starter", "--samples", file, "--sandbox", docker, "--workers", 2)
    for moment in (1, 40):
        reached = lambda wanted=moment: lines_in(tmp_path / "results", "verdicts.jsonl") >= wanted  # noqa: E731
        pid, _ = kill_at(start, poll, command, reached, f"verdict {moment}")
        poll(lambda parent=pid: not containers(parent), "the end of its containers")  # type: ignore[misc]
    assert_whole(document(*command), starter, rows_of)


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
