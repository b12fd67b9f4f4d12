"""The published scores hold what they are said to hold: averages, counts, ranges; and what does not is listed here."""

from __future__ import annotations

import csv
import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from qwencoder_eval.reports.published import FILE, Cell, cells, counts, prints

REPORT, BASE_OUTPUTS = "qwen2.5-coder-report-v3", "qwen3-coder-repo-base-outputs"
README, CODEQWEN = "qwen3-coder-repo-instruct-readme", "qwen3-coder-repo-codeqwen1.5-readme"
Row = Mapping[str, float]  # benchmark -> value


def rows(source: str, table: str) -> dict[str, dict[str, float]]:
    """model -> benchmark -> value."""
    found: dict[str, dict[str, float]] = defaultdict(dict)
    for cell in cells():
        if (cell.source, cell.table) == (source, table):
            found[cell.model][cell.benchmark] = cell.value
    return found


def value(source: str, table: str, model: str, benchmark: str) -> float:
    return rows(source, table)[model][benchmark]


def test_what_there_is() -> None:
    assert len(cells()) == 2255
    assert Counter(cell.source for cell in cells()) == {
        REPORT: 1539, README: 264, CODEQWEN: 136, BASE_OUTPUTS: 30,
        "qwen3-coder-next-report-secondary": 129, "qwen3-coder-blog-picture-secondary": 64,
        "qwen3-coder-repo-tau-bench": 38, "qwen3-coder-repo-multipl-e-outputs": 32,
        "qwen3-coder-repo-codeqwen1.5-results": 12, "qwen3-coder-repo-reasoning-outputs": 8,
        "qwen2.5-coder-blog-secondary": 3,
    }  # fmt: skip
    assert {cell.model_kind for cell in cells()} == {"base", "instruct"}


def test_nothing_stands_there_twice() -> None:
    """A leaderboard of tau-bench has one row for each strategy; its cells differ in their notes only."""
    seen = Counter((c.source, c.table, c.model, c.benchmark, c.metric) for c in cells() if "strategy" not in c.note)
    assert [cell for cell, times in seen.items() if times > 1] == []
    of_strategies = Counter((c.table, c.model, c.metric, c.note) for c in cells() if "strategy" in c.note)
    assert set(of_strategies.values()) == {1}


def test_values_are_percentages() -> None:
    outside = [cell for cell in cells() if not 0 <= cell.value <= 100]
    assert {cell.metric for cell in outside} == {"rating"}
    assert len(outside) == 3
    assert all(re.fullmatch(r"\d+(\.\d{1,2})?", cell.printed) for cell in cells() if cell not in outside)


def test_a_model_is_the_same_everywhere() -> None:
    of: dict[str, set[tuple[str, float | None]]] = defaultdict(set)
    for cell in cells():
        of[cell.model].add((cell.model_kind, cell.model_params_b))
    assert {model: known for model, known in of.items() if len(known) > 1} == {}


# What is marked, all of it.
CONTRADICTIONS = {
    ("Figure 5", "DS-Coder-33B-Base", "humaneval-fim:avg"),
    ("Figure 5", "DS-Coder-33B-Base", "crosscodelongeval:avg:em"),
    ("prose 7.1", "Qwen2.5-Coder-7B-Instruct", "livecodebench:2407-2409"),
    ("prose 7.3", "Qwen2.5-Coder-7B-Instruct", "aider:pass1"),
    *(
        ("all_results.json 1.5b-base", "Qwen2.5-Coder-1.5B", f"multipl-e:{code}")
        for code in ("js", "cs", "php", "bash", "ts")
    ),
    ("all_results.json 1.5b-base", "Qwen2.5-Coder-1.5B", "bigcodebench-complete-full"),
    ("all_results.json 7b-base", "Qwen2.5-Coder-7B", "bigcodebench-complete-full"),
    ("released/results/mbpp/codeqwen_base.txt", "CodeQwen1.5-7B", "mbpp"),
}
DOUBTFUL = {
    ("Table 3", "Qwen2.5-Coder-7B (mixture 100:0:0)", "ablation:avg"),
    ("Table 10", "CodeStral-22B-v0.1", "repoeval:avg:em"),
    ("Table 10", "CodeStral-22B-v0.1", "repoeval:avg:es"),
    ("Table 13", "StarCoder2-15B", "mmlu"),
    ("Table 20", "Qwen2.5-Coder-14B-Instruct", "math"),
    ("Table 20", "DS-Coder-V2-Lite-Instruct", "mmlu"),
    ("Table 20", "DS-Coder-V2-Lite-Instruct", "mmlu-pro"),
}
STANDS = {("Table 16", "livecodebench:2407-2409"), ("Table 19", "aider:pass1")}  # though prose says something else


def test_the_known_contradictions_are_the_only_ones() -> None:
    marked: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for cell in cells():
        marked[cell.doubt].add((cell.table, cell.model, cell.benchmark))
    assert set(marked) == {"", "secondary", "contradiction", "doubtful"}
    assert marked["contradiction"] == CONTRADICTIONS
    assert marked["doubtful"] == DOUBTFUL
    for cell in cells():
        assert (cell.doubt == "secondary") is cell.source.endswith("-secondary")
        assert (cell.doubt == "doubtful") is ("DOUBTFUL" in cell.note)
        if "CONTRADICTION" in cell.note and cell.trusted:
            assert (cell.table, cell.benchmark) in STANDS
            assert cell.model == "Qwen2.5-Coder-7B-Instruct"
    assert sum(cell.trusted for cell in cells()) == 2040


# Averages: prefix of the columns, the average's name, weights; every row holds but for those that are listed.
BY_LANGUAGE = {"python": 1043.0, "java": 1780.0, "js": 1969.0}  # tasks of HumanEval-FIM
AVERAGES = [
    (REPORT, "Table 6", "multipl-e:", "multipl-e:avg", {}),
    (REPORT, "Table 17", "multipl-e:", "multipl-e:avg", {}),
    (README, "Multiple Programming Languages", "multipl-e:", "multipl-e:avg", {}),
    (CODEQWEN, "MultiPL-E", "multipl-e:", "multipl-e:avg", {}),
    (REPORT, "Table 7", "humaneval-fim:", "humaneval-fim:avg", BY_LANGUAGE),
    *(
        (REPORT, table, f"{name}:", f"{name}:avg:{metric}", {})
        for table, name in (("Table 8", "crosscodeeval"), ("Table 9", "crosscodelongeval"), ("Table 10", "repoeval"))
        for metric in ("em", "es")
    ),
    (REPORT, "Table 3", "ablation:", "ablation:avg", {}),
]
# Rows whose average is off by more than its own rounding: up to 0.1 the rounding of the columns explains it.
ROUGH = {
    ("Table 6", "Qwen2.5-Coder-1.5B", 41.1, 41.16),
    ("Table 10", "DS-Coder-6.7B-Base", 41.7, 41.77),
    ("Table 10", "DS-Coder-V2-Lite-Base", 43.4, 43.47),
    ("Table 10", "StarCoder2-7B", 64.7, 64.63),
    ("Multiple Programming Languages", "Qwen2.5-Coder-32B-Instruct-GPTQ-Int8", 79.8, 79.86),
    ("Multiple Programming Languages", "Qwen2.5-Coder-32B-Instruct-GGUF-Q2_K", 79.1, 79.04),
}
NO_AVERAGE = {
    ("Table 10", "CodeStral-22B-v0.1", 30.0, 25.2),
    ("Table 10", "CodeStral-22B-v0.1", 46.6, 47.23),
    ("Table 3", "Qwen2.5-Coder-7B (mixture 100:0:0)", 31.3, 37.31),
}


def mean(row: Row, prefix: str, average: str, weights: Mapping[str, float]) -> float:
    metric = average.partition(":avg")[2]  # empty, or :em or :es
    columns = [name for name in row if name.startswith(prefix) and name.endswith(metric) and ":avg" not in name]
    weight = {name: weights.get(name.removeprefix(prefix), 1.0) for name in columns}
    return sum(row[name] * weight[name] for name in columns) / sum(weight.values())


def test_averages() -> None:
    checked, rough, wrong = 0, set(), set()
    for source, table, prefix, average, weights in AVERAGES:
        for model, row in rows(source, table).items():
            if average not in row:
                continue
            checked += 1
            found = mean(row, prefix, average, weights)
            off = (table, model, row[average], round(found, 2))
            if abs(found - row[average]) > 0.1001:
                wrong.add(off)
            elif abs(found - row[average]) > 0.0501:
                rough.add(off)
    assert (rough, wrong) == (ROUGH, NO_AVERAGE)
    assert checked == 164
    assert {(table, model) for table, model, *_ in NO_AVERAGE} <= {(table, model) for table, model, _ in DOUBTFUL}


def test_averages_of_the_headline_figure() -> None:
    for model, row in rows(REPORT, "headline figure before section 1").items():
        table = rows(REPORT, "Table 16")[model]
        for name, columns in (
            ("evalplus-avg", ("humaneval", "humaneval+", "mbpp", "mbpp+")),
            ("bigcodebench-instruct-avg", ("bigcodebench-instruct-full", "bigcodebench-instruct-hard")),
        ):
            if name in row:
                assert row[name] == pytest.approx(sum(table[each] for each in columns) / len(columns), abs=0.1001)


def test_one_thing_printed_twice_is_the_same() -> None:
    """What the figures and the repository repeat of the report's tables; but for the contradictions."""
    tables: dict[tuple[str, str, str], set[float]] = defaultdict(set)
    for cell in cells():
        if cell.source == REPORT and cell.table.startswith("Table") and cell.table != "Table 3":
            tables[cell.model, cell.benchmark, cell.metric].add(cell.value)
    assert {key: known for key, known in tables.items() if len(known) > 1} == {}
    compared = 0
    for cell in cells():
        known = tables.get((cell.model, cell.benchmark, cell.metric))
        if known and cell.trusted and cell.source in (REPORT, BASE_OUTPUTS) and not cell.table.startswith("Table"):
            compared += 1
            assert any(prints(Decimal(cell.printed), f"{one:.1f}") for one in known), cell
    assert compared == 49


def test_shares_of_a_comparison_add_up() -> None:
    of: dict[str, float] = defaultdict(float)
    for cell in cells():
        if cell.table == "Figure 9":
            of[cell.model] += cell.value
    assert len(of) == 6
    assert all(total == pytest.approx(100, abs=0.11) for total in of.values())


# Where one sample is drawn for each task, a percentage is a count: benchmark -> how many tasks there may be.
TASKS = {
    "humaneval": (164,), "humaneval+": (164,), "mbpp": (399, 378), "mbpp+": (399, 378), "mbpp-3shot": (500,),
    "multipl-e:python": (164, 161), "multipl-e:cpp": (161,), "multipl-e:java": (158,), "multipl-e:php": (161,),
    "multipl-e:ts": (159,), "multipl-e:cs": (158,), "multipl-e:bash": (158,), "multipl-e:js": (161,),
    "bigcodebench-complete-full": (1140,), "bigcodebench-complete-hard": (148,),
    "bigcodebench-instruct-full": (1140,), "bigcodebench-instruct-hard": (148,),
    "cruxeval-i-cot": (800,), "cruxeval-o-cot": (800,), "aider:pass1": (133,), "aider:pass2": (133,),
    "humaneval-fim:python": (1043,), "humaneval-fim:java": (1780,), "humaneval-fim:js": (1969,),
}  # fmt: skip
NO_COUNT = {
    ("Table 17", "Qwen2.5-Coder-1.5B-Instruct", "multipl-e:python", "71.2"),
    ("Table 17", "CodeLlama-7B-Instruct", "multipl-e:cs", "21.6"),
    ("Table 17", "Qwen2.5-Coder-7B-Instruct", "multipl-e:cpp", "75.6"),
    ("Table 17", "CodeLlama-70B-Instruct", "multipl-e:python", "67.8"),
    ("Table 17", "DS-Coder-V2-Instruct", "multipl-e:cpp", "84.8"),
    ("Table 19", "DS-Coder-33B-Instruct", "aider:pass2", "54.5"),
    ("Table 19", "GPT-4o-2024-08-06", "aider:pass1", "56.8"),
    ("MultiPL-E", "GPT-3.5-Turbo", "multipl-e:java", "69.2"),
    ("MultiPL-E", "GPT-4", "multipl-e:php", "77.2"),
    ("MultiPL-E", "GPT-4", "multipl-e:js", "78.0"),
    ("MultiPL-E", "CodeQwen1.5-7B-Chat", "multipl-e:cpp", "71.2"),
    ("MultiPL-E", "CodeQwen1.5-7B-Chat", "multipl-e:java", "70.1"),
    ("MultiPL-E", "CodeQwen1.5-7B-Chat", "multipl-e:php", "73.5"),
}


def test_percentages_are_counts() -> None:
    checked, impossible = 0, set()
    for cell in cells():
        if cell.benchmark in TASKS and cell.doubt != "secondary":
            checked += 1
            if not any(True for tasks in TASKS[cell.benchmark] for _ in counts(cell.printed, tasks)):
                impossible.add((cell.table, cell.model, cell.benchmark, cell.printed))
                assert "no count of" in cell.note
            else:
                assert "no count of" not in cell.note
    assert impossible == NO_COUNT
    assert checked > 1000


def test_table_16_mixes_two_versions_of_mbpp() -> None:
    """Of the report's own models, only 1.5B and 3B can be of v0.1.0 alone, and 0.5B and 14B of v0.2.0 alone."""
    of: dict[str, set[int]] = {}
    for cell in cells():
        if cell.table == "Table 16" and cell.benchmark in ("mbpp", "mbpp+") and cell.model.startswith("Qwen"):
            possible = {tasks for tasks in (399, 378) if any(True for _ in counts(cell.printed, tasks))}
            of[cell.model] = of.get(cell.model, possible) & possible
    sizes = {model.split("-")[2]: tasks for model, tasks in of.items()}
    assert sizes == {"0.5B": {378}, "1.5B": {399}, "3B": {399}, "7B": {399, 378}, "14B": {378}, "32B": {399, 378}}


@pytest.mark.parametrize(
    ("solved", "problems", "printed", "can"),
    [
        (72, 164, "43.9", True),
        (71, 164, "43.9", False),
        (393, 1140, "34.5", True),  # 34.47: rounded
        (394, 1140, "34.5", True),  # 34.56: cut off
        (97, 161, "60.3", True),  # 60.248: rounded to 60.25 before
        (97, 161, "60.2", True),
        (69, 161, "42.86", True),
        (69, 161, "42.85", True),
        (69, 161, "42.87", False),
        (1, 1, "100", True),
    ],
)
def test_how_a_number_can_be_printed(solved: int, problems: int, printed: str, can: bool) -> None:
    assert prints(Decimal(100 * solved) / problems, printed) is can
    assert (solved in list(counts(printed, problems))) is can


def test_it_is_the_list_that_it_was_made_from(shared_data: Path) -> None:
    """Same cells in the same order; ``doubt`` is a column of ours, and notes lost or gained a few words."""
    theirs = shared_data.parent / "design" / "published_scores.csv"
    if not theirs.is_file():
        pytest.skip(f"no {theirs}")
    with theirs.open(newline="") as file, FILE.open(newline="") as own:
        for one, other in zip(csv.DictReader(file), csv.DictReader(own), strict=True):
            assert {key: text for key, text in one.items() if key != "note"} == {
                key: text for key, text in other.items() if key not in ("note", "doubt")
            }


def test_a_cell_is_a_value() -> None:
    cell = cells()[0]
    assert isinstance(cell, Cell)
    assert cell == cells()[0]
    with pytest.raises(AttributeError):
        cell.printed = "1"  # type: ignore[misc]
