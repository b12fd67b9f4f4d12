"""BIRD on two small databases of our own in its layout, by hand-computed cases, and what its questions make."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from completing import load as benchmark
from replaying import qceval

from qwencoder_eval.benchmark import Benchmark, profile
from qwencoder_eval.datasets.rows import Rows, load
from qwencoder_eval.extraction.sql import continued_query
from qwencoder_eval.sandboxes.choose import backend
from qwencoder_eval.stream.golden import failing
from qwencoder_eval.types import Chat, Completion, Continue

DOCKER = pytest.param("docker", marks=pytest.mark.docker)
NAMESPACES = pytest.param("namespaces", marks=pytest.mark.namespaces)
PARTS = {"dev": (1534, (925, 464, 145), 9), "mini-dev": (500, (148, 250, 102), 6)}  # the last: golds that begin WITH
PLANTS = (
    "CREATE TABLE `Plant Stock` (`Plant ID` INTEGER PRIMARY KEY, `Plant Name` TEXT, `Price (EUR)` REAL, left INTEGER)"
)
ORDERS = "CREATE TABLE orders (id INTEGER, `Plant ID` INTEGER, amount INTEGER)"
NURSERY = f"""
{PLANTS};
{ORDERS};
INSERT INTO `Plant Stock` VALUES (1, 'Oak', 30.0, 4), (2, 'Rose', 8.5, 20), (3, 'Elm', 30.0, 0), (4, 'Fern', 5.0, NULL);
INSERT INTO orders VALUES (1, 1, 2), (2, 2, 5), (3, 2, 5), (4, 4, 1);
"""
FERRIES = """
CREATE TABLE boat (name TEXT, seats INTEGER);
CREATE TABLE "crossing log" (boat TEXT, day TEXT, `seats sold` INTEGER);
INSERT INTO boat VALUES ('Anna', 100), ('Bert', 80), ('Cleo', NULL);
INSERT INTO `crossing log` VALUES ('Anna', '2024-01-01', 50), ('Anna', '2024-01-02', 100), ('Bert', '2024-01-01', 20);
"""
DEAR = "SELECT `Plant Name` FROM `Plant Stock` WHERE `Price (EUR)` = 30"  # Oak, Elm
ALL = "SELECT `Plant Name` FROM `Plant Stock` ORDER BY `Plant ID`"
SOLD = "SELECT boat, SUM(`seats sold`) FROM `crossing log` GROUP BY boat"  # (Anna, 150), (Bert, 20)
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
# Gold, answer, outcome, soft F1. Per row: values of the answer in the gold row, not in it, missed, by the gold's width.
CASES = [
    ("tree_nursery", DEAR, f"{DEAR} ORDER BY 1", "passed", 0.0),  # Elm beside Oak and Oak beside Elm share nothing
    ("tree_nursery", "SELECT DISTINCT amount FROM orders WHERE amount = 5",
     "SELECT amount FROM orders WHERE amount = 5", "passed", 1.0),  # repeats are dropped
    ("tree_nursery", "SELECT MAX(`Price (EUR)`) FROM `Plant Stock`", "SELECT 30", "passed", 1.0),  # 30 == 30.0
    ("tree_nursery", "SELECT `Plant Name`, left FROM `Plant Stock` WHERE `Plant ID` = 2",
     "SELECT left, `Plant Name` FROM `Plant Stock` WHERE `Plant ID` = 2", "wrong", 1.0),  # F1 asks for no order
    ("tree_nursery", "SELECT 'Rose'", "SELECT 'Rose', 8.5", "wrong", 2 / 3),  # 1 found, 1 too much
    ("tree_nursery", "SELECT 'Rose', 8.5", "SELECT 'Rose'", "wrong", 2 / 3),  # half found, half missed
    ("tree_nursery", ALL, f"{ALL} LIMIT 2", "wrong", 2 / 3),  # 2 rows found, 2 missed
    ("tree_nursery", f"{ALL} LIMIT 1", ALL, "wrong", 0.4),  # 1 row found, 3 too many
    ("tree_nursery", f"{ALL} LIMIT 0", "SELECT id, amount FROM orders WHERE id > 9", "passed", 1.0),  # both empty
    ("tree_nursery", f"{ALL} LIMIT 0", f"{ALL} LIMIT 1", "wrong", 0.0),
    ("tree_nursery", f"{ALL} LIMIT 1", f"{ALL} LIMIT 0", "wrong", 0.0),
    ("tree_nursery", ALL, "SELECT name FROM `Plants`", "runtime_error", 0.0),
    ("tree_nursery", ALL, "SELEC 1", "runtime_error", 0.0),
    ("tree_nursery", ALL, f"{ALL}; DROP TABLE orders", "runtime_error", 0.0),
    ("tree_nursery", ALL, "ATTACH 'other.sqlite' AS other", "runtime_error", 0.0),
    ("tree_nursery", "SELECT left FROM `Plant Stock` WHERE `Plant Name` = 'Fern'", "SELECT NULL", "passed", 1.0),
    ("tree_nursery", "SELECT left FROM `Plant Stock` WHERE `Plant Name` = 'Fern'", "SELECT 0", "wrong", 0.0),
    ("ferry_lines", SOLD, "SELECT name, (SELECT SUM(`seats sold`) FROM \"crossing log\" WHERE boat = name) FROM boat "
     "WHERE name <> 'Cleo'", "passed", 1.0),
    ("ferry_lines", SOLD, "SELECT boat, CASE boat WHEN 'Anna' THEN 150 ELSE 7 END FROM `crossing log` GROUP BY boat",
     "wrong", 0.75),  # 1 and a half found; a half too much and a half missed
    ("ferry_lines", "SELECT 1", ENDLESS, "timeout", 0.0),
    ("ferry_lines", "SELECT 1", "", "no_code", 0.0),
    ("ferry_lines", "WITH s AS (SELECT seats FROM boat) SELECT MAX(seats) FROM s", "SELECT 100", "passed", 1.0),
    ("ferry_lines", "SELECT seats FROM boat WHERE name = 'Anna'", "SELECT '100'", "wrong", 0.0),
    ("ferry_lines", "SELECT seats FROM boat WHERE name = 'Anna'", "SELECT 100, 100", "wrong", 1.0),  # twice is no more
]  # fmt: skip
LEVELS = ("simple", "moderate", "challenging")
PLUGIN = '''"""BIRD's rules for questions of our own, with less patience."""

from dataclasses import replace

from qwencoder_eval.benchmark import Benchmark
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.registry import discover

Bird = type(discover().load("bird:dev"))
ROWS = Rows(version="own", file="bird/own.json", databases=("bird/dev_databases", "bird/database"), unseen=True)


class OwnBird(Bird, Benchmark):
    name = "own-bird"
    version = "1"
    parts = ()

    @property
    def asking(self):
        return {key: replace(each, rows=ROWS) for key, each in super().asking.items()}

    @property
    def scoring(self):
        known = super().scoring
        soft = replace(known["bird"].scorer, cpu_s=1.0)
        fast = replace(known["r-ves"].scorer, queries=soft, repeats=5)
        return {**known, "bird": replace(known["bird"], scorer=soft), "r-ves": replace(known["r-ves"], scorer=fast)}
'''


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two databases and the questions, as BIRD lays them out, and a benchmark that has its rules."""
    for name, script in (("tree_nursery", NURSERY), ("ferry_lines", FERRIES)):
        folder = tmp_path / "data/bird/dev_databases" / name
        (folder / "database_description").mkdir(parents=True)
        (folder / "database_description" / "orders.csv").write_text("original_column_name,column_name\nid,\n")
        with closing(sqlite3.connect(folder / f"{name}.sqlite")) as connection:
            connection.executescript(script)
    rows = [
        {"question_id": 3 * number, "db_id": name, "question": f"Question {number}?", "evidence": "dear means `EUR` 30",
         "SQL": gold, "difficulty": LEVELS[number % 3]}
        for number, (name, gold, *_) in enumerate(CASES)
    ]  # fmt: skip
    (tmp_path / "data/bird/own.json").write_text(json.dumps(rows))
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/own_bird.py").write_text(PLUGIN)
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QCEVAL_PLUGINS", str(tmp_path / "plugins"))
    monkeypatch.setenv("QCEVAL_RESULTS", str(tmp_path / "results"))
    return tmp_path


def predictions(folder: Path, answers: list[str]) -> Path:
    """In BIRD's own form; the name behind the query does not count."""
    path = folder / "predict_own.json"
    path.write_text(
        json.dumps({str(number): f"{answer}\t----- bird -----\tany" for number, answer in enumerate(answers)}, indent=4)
    )
    return path


def verdicts(report: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in (Path(report["run"]) / "verdicts.jsonl").read_text().splitlines()]
    return sorted(rows, key=lambda row: int(row["problem"].removeprefix("bird/")))


@pytest.mark.parametrize("sandbox", [NAMESPACES, DOCKER], indirect=True)
def test_execution_accuracy_and_soft_f1_by_hand(data: Path, sandbox: str) -> None:
    path = predictions(data, [answer for _, _, answer, *_ in CASES])
    report = qceval("score", "--bench", "own-bird", "--samples", str(path), "--sandbox", sandbox, "--workers", "1")
    found = verdicts(report)
    for row, (_, gold, answer, outcome, f1) in zip(found, CASES, strict=True):
        assert row["checks"] == {"own-bird": outcome}, (gold, answer, row["evidence"])
        assert row.get("measures", {}).get("soft_f1", 0.0) == pytest.approx(f1), (gold, answer)
    scores = report["scores"]
    assert scores["own-bird"]["ex"]["value"] == 7 / 24
    assert scores["own-bird"]["soft_f1"]["value"] == pytest.approx(11.15 / 24)
    by_level = [scores[f"own-bird[difficulty={level}]"]["ex"]["value"] for level in LEVELS]
    assert by_level == [3 / 8, 1 / 8, 3 / 8]
    assert "databases: 2 of bird/dev_databases" in report["notes"]


@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
def test_every_gold_query_is_right(data: Path, sandbox: str) -> None:
    """Those that begin with WITH too, though the prompt ends in SELECT."""
    report = qceval("run", "--bench", "own-bird", "--sandbox", sandbox, "--workers", "1")
    assert report["outcomes"] == {"own-bird": {"passed": 24}}
    assert report["scores"]["own-bird"]["soft_f1"]["value"] == 1


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
def test_timing_is_shown_and_never_gated(data: Path, sandbox: str) -> None:
    """Two runs that are equally right, one of them slow: its measures fall, and the gate sees nothing of it."""
    count = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 30000) SELECT count(*) FROM n"
    slow = f"SELECT t.* FROM ({count}) CROSS JOIN ({{}}) AS t"
    runs = []
    for name, form in (("quick", "{}"), ("slow", slow)):
        path = predictions(data, [form.format(gold) for _, gold, *_ in CASES]).rename(data / f"{name}.json")
        report = qceval("score", "--bench", "own-bird", "--profile", "r-ves", "--samples", str(path), "--model", "m",
                        "--sandbox", sandbox, "--workers", "1")  # fmt: skip
        runs.append(report)
        assert "r_ves and ves rest on timing: not fit for a gate" in report["notes"]
        assert report["outcomes"] == {"own-bird": {"passed": 24}}
    quick, late = (report["scores"]["own-bird"] for report in runs)
    assert list(quick) == ["ex", "soft_f1", "r_ves", "ves"]
    assert quick["r_ves"]["value"] > 0.6
    assert late["r_ves"]["value"] == 0.5  # the root of the least reward, 0.25, for all of them
    assert 0 < late["ves"]["value"] < 0.5
    found = qceval("compare", runs[0]["run"], runs[1]["run"], "--gate")
    assert [(each["check"], each["difference"]) for each in found["comparisons"]] == [("own-bird", 0)]
    assert "new: r_ves and ves rest on timing: not fit for a gate" in found["comparisons"][0]["notes"]


def test_the_prompt_as_qwen_has_it(data: Path) -> None:
    tables = f"{PLANTS};\n\n{ORDERS};\n\n"
    knowledge = (
        "-- External Knowledge: dear means `EUR` 30\n\n-- Using valid SQLite and understanding External Knowledge, "
        "answer the following questions for the tables provided above.\n\n"
    )
    nothing = "-- Using valid SQLite, answer the following questions for the tables provided above.\n"
    only = "\nPlease output only the final SQL query, starts with keyword `SELECT`."
    think = "\nPlease think step-by-step and output the final SQL query between [SQL] and [/SQL]."
    expected = {
        "bird": f"{tables}{knowledge}Question: Question 0?\n\nSELECT ",
        "qwen-no-knowledge": f"{tables}{nothing}Question: Question 0?\n\nSELECT ",
        "qwen-instruct": f"{tables}{knowledge}Question: Question 0?\n{only}",
        "qwen-instruct-cot": f"{tables}{knowledge}Question: Question 0?\n{think}",
    }
    rows = Rows(file="bird/own.json", databases=("bird/dev_databases",), unseen=True)
    bird = benchmark("bird:dev")
    problem = bird.problem(load(rows, data)[0])
    for name, text in expected.items():
        prompt = profile(bird, name).prompt(problem)
        assert isinstance(prompt, Continue | Chat)
        assert (prompt.text if isinstance(prompt, Continue) else prompt.messages[0].content) == text
    assert profile(bird, "qwen").prompt(problem) == profile(bird, "bird").prompt(problem)


@pytest.mark.parametrize("part", PARTS)
def test_the_questions_load(part: str, shared_data: Path) -> None:
    bird: Benchmark = benchmark(f"bird:{part}")
    rows = load(replace(bird.asking["base"].rows, databases=()), bird.file.parent)
    problems = [bird.problem(row) for row in rows]
    count, levels, with_with = PARTS[part]
    assert len({problem.id for problem in problems}) == count
    assert Counter(problem.groups["difficulty"] for problem in problems) == dict(zip(LEVELS, levels, strict=True))
    wrapped = 0
    for problem, row in zip(problems, rows, strict=True):
        assert problem.reference is not None
        query = continued_query(problem, Completion(problem.reference))
        gold = row["SQL"].strip()
        wrapped += query != gold.replace("\n", " ").replace(";", "")
        assert gold.startswith("SELECT ") or query == f"SELECT * FROM ({gold})"
    assert wrapped == with_with


@pytest.mark.parametrize("command", ["check", "show-prompt", "run"])
def test_without_databases_one_line_says_where_they_go(
    command: str, shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bird").mkdir()
    shutil.copy(shared_data / "bird/dev.json", tmp_path / "bird/dev.json")
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    called = (sys.executable, "-m", "qwencoder_eval", command, "--bench", "bird:dev")
    ran = subprocess.run(called, capture_output=True, text=True, check=False)
    (line,) = ran.stderr.splitlines()
    assert ran.returncode == 2
    assert line.startswith(f"qceval: bird/dev_databases: not found in {tmp_path} or ")
    assert "unpack" in line
    assert "NAME/NAME.sqlite" in line


def test_it_is_listed_without_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path))
    (listed,) = (each for each in qceval("list")["benchmarks"] if each["name"] == "bird")
    assert (listed["rows"], listed["data"]) == (2034, "missing")


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("sandbox", [NAMESPACES], indirect=True)
def test_golden_vectors_of_every_profile(part: str, sandbox: str) -> None:
    bird = benchmark(f"bird:{part}")
    assert {each.profile or "bird" for each in bird.golden} == {*bird.profiles}
    assert failing(bird, backend(sandbox)) == []
