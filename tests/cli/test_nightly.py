"""`qceval nightly` as a command: recorded answers to `starter`, a planted regression, no engine."""

from __future__ import annotations

import json
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Refused = Callable[..., str]
Rows = list[dict[str, Any]]


@pytest.fixture
def answers(tmp_path: Path, starter: Rows) -> Callable[[int], None]:
    """Write the night's answers, of which so many are wrong."""

    def write(wrong: int) -> None:
        rows = [
            {
                "task_id": row["task_id"],
                "completion": "    return object()\n" if at < wrong else row["canonical_solution"],
            }
            for at, row in enumerate(starter)
        ]
        (tmp_path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    return write


@pytest.fixture
def plan(tmp_path: Path, sandbox: str) -> Path:
    file = tmp_path / "nightly.toml"
    file.write_text(
        f"""
baseline = "baselines"
least = 0.01

[[model]]
name = "ours"
model = "checkpoint"
samples = "{tmp_path}/answers.jsonl"
sandbox = "{sandbox}"

[[benchmark]]
bench = "starter"
"""
    )
    return file


def lines(ran: subprocess.CompletedProcess[str]) -> str:
    return ran.stdout + ran.stderr


@pytest.mark.slow
def test_nights_one_after_another(
    plan: Path, answers: Callable[[int], None], qceval: Cli, tmp_path: Path, env: dict[str, str]
) -> None:
    answers(0)
    first = qceval("nightly", plan, "--night", "1")
    assert first.returncode == 2, lines(first)
    assert "not compared: ours: no baseline in" in first.stdout
    assert "--accept makes this night the baseline" in first.stdout
    accepted = qceval("nightly", plan, "--night", "1", "--accept")
    assert accepted.returncode == 0, lines(accepted)
    assert "1 runs are the baseline" in accepted.stdout

    unchanged = qceval("nightly", plan, "--night", "2", "--json")
    assert unchanged.returncode == 0, lines(unchanged)
    (test,) = json.loads(unchanged.stdout)["tests"]
    assert (test["model"], test["difference"], test["failed"]) == ("ours", 0.0, False)

    answers(9)
    worse = qceval("nightly", plan, "--night", "3")
    assert worse.returncode == 1, lines(worse)
    assert "REGRESSION: ours, starter" in worse.stdout
    document = json.loads((tmp_path / "nights" / "3" / "night.json").read_text())
    (test,) = document["tests"]
    assert test["failed"]
    assert len(test["lost"]) == 9
    for name in test["lost"]:
        assert name in worse.stdout
    suite = ET.parse(tmp_path / "nights" / "3" / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors"), suite.get("tests")) == ("1", "0", "1")
    summary = (tmp_path / "nights" / "3" / "summary.md").read_text()
    assert summary.startswith("# Night 3: **a regression**")
    assert (tmp_path / "nights" / "3" / "report.html").stat().st_size > 1000

    env["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    plan.write_text(plan.read_text().replace('sandbox = "namespaces"', 'sandbox = "docker"'))
    stopped = qceval("nightly", plan, "--night", "4")
    assert stopped.returncode == 3, lines(stopped)
    assert "not evaluated: ours: " in stopped.stdout
    assert "once more" in stopped.stderr
    suite = ET.parse(tmp_path / "nights" / "4" / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")
    assert "REGRESSION" not in stopped.stdout


def test_a_night_that_is_started_again_continues(
    plan: Path, answers: Callable[[int], None], qceval: Cli, document: Callable[..., Any]
) -> None:
    answers(1)
    assert qceval("nightly", plan, "--night", "1", "--accept").returncode == 0
    again = document("nightly", plan, "--night", "1")
    assert again["tests"][0]["difference"] == 0.0


def test_what_the_gate_could_find(
    plan: Path, answers: Callable[[int], None], qceval: Cli, refused: Refused, tmp_path: Path
) -> None:
    assert refused("nightly", plan, "--plan").endswith("no baseline of ours; --accept makes a night the baseline")
    answers(0)
    assert qceval("nightly", plan, "--accept").returncode == 0
    ran = qceval("nightly", plan, "--plan")
    assert ran.returncode == 0
    assert ran.stdout.startswith("ours, starter 1: finds drops from ")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("baseline =", "baselin ="), "baseline: field required"),
        (("least = 0.01", "least = 2"), "least: input should be less than or equal to 1"),
        (("least = 0.01", "leest = 2"), "leest: extra inputs are not permitted"),
        (("least = 0.01", "least = ="), "not TOML"),
        (("[[benchmark]]", "[[bench]]"), "benchmark: field required"),
        (('bench = "starter"', 'bench = "starter"\nout = "x"'), "out: is the night's own; leave it out"),
        (('bench = "starter"', 'bench = "starter"\nn = {a = 1}'), "n: is a dict"),
        (("least = 0.01", "repeats = 2"), "samples: are the same every time"),
        (('name = "ours"', 'name = ""'), "model.0.name: string should have at least 1"),
    ],
)
def test_a_file_that_is_wrong(plan: Path, change: tuple[str, str], said: str, refused: Refused) -> None:
    assert change[0] in plan.read_text()
    plan.write_text(plan.read_text().replace(*change))
    assert said in refused("nightly", plan)


def test_names_that_are_wrong(plan: Path, refused: Refused, tmp_path: Path) -> None:
    assert "name a night's file, see docs/nightly.md" in refused("nightly", tmp_path / "nowhere.toml")
    for night in ("../x", ".hidden", "", "a/b"):
        assert "use letters, digits" in refused("nightly", plan, "--night", night)
    text = plan.read_text()
    plan.write_text(text + text[text.index("[[model]]") : text.index("[[benchmark]]")])
    assert "two are filed as ours" in refused("nightly", plan)


def test_an_option_that_run_does_not_have(plan: Path, answers: Callable[[int], None], refused: Refused) -> None:
    answers(0)
    plan.write_text(plan.read_text().replace('bench = "starter"', 'bench = "starter"\nspeed = 9'))
    # what is done is said before; the error is the last line
    with pytest.raises(AssertionError, match="No such option"):
        refused("nightly", plan)
