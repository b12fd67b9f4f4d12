"""Benchmarks with more parts than can be listed: which names there are, what a list of names means, and no means."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_runs import made_run, outcomes_of

from qwencoder_eval.cli.evaluation import means
from qwencoder_eval.errors import PluginError, UsageError
from qwencoder_eval.registry import Entry, Registry, discover, load, read
from qwencoder_eval.reports.compose import board_of, left_out_of_means
from qwencoder_eval.runs.reading import all_finished

PLUGIN = """
from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.programs import ProgramScorer
from qwencoder_eval.types import Continue, Problem, Sampling

class Windows(Benchmark):
    name = "NAME"
    version = "1"
    reference = "original"
    DECLARED
    languages = ("python",)
    profiles = {"p": ("greedy", "tests")}
    decontaminate = ()

    @property
    def asking(self):
        part = self.part
        return {"greedy": Asking(Rows(inline=({"id": "a"},)), Continue, Sampling(), lambda row: row["id"] >= part)}

    @property
    def scoring(self):
        return {"tests": Scoring(as_program, ProgramScorer(self.name))}

    @property
    def golden(self):
        return [Golden({}, "x", {self.name: "passed"}), Golden({}, "x", {self.name: "wrong"})]

    def problem(self, row):
        return Problem(row["id"], {}, {})
"""
PATTERN = r"v[1-3]|\d{4}-\d\d\.\.(\d{4}-\d\d)?"
WINDOWS = f"""parts = ("first", "2024-01..2024-02")
    other_parts = r"{PATTERN}\""""


def plugin(name: str, declared: str) -> str:
    return PLUGIN.replace("NAME", name).replace("DECLARED", declared)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """``windows`` has listed parts and a pattern, ``free`` a pattern alone, ``listed`` parts alone, ``plain`` none."""
    folder = tmp_path / "plugins"
    folder.mkdir()
    (folder / "windows.py").write_text(plugin("windows", WINDOWS))
    (folder / "free.py").write_text(plugin("free", 'other_parts = "[xy]+"'))
    (folder / "listed.py").write_text(plugin("listed", 'parts = ("js", "py")'))
    (folder / "plain.py").write_text(plugin("plain", ""))
    found = discover([folder])
    assert found.refused == []
    return found


# ---------------------------------------------------------------- which parts there are


def test_the_pattern_is_read_without_importing(registry: Registry) -> None:
    entry = registry.entries["windows"]
    assert entry.parts == ("first", "2024-01..2024-02")
    assert entry.other_parts == PATTERN
    assert [registry.entries[name].other_parts for name in ("free", "listed", "plain")] == ["[xy]+", "", ""]


@pytest.mark.parametrize(
    ("name", "parts", "strangers"),
    [
        ("windows", ["", "first", "2024-01..2024-02", "v1", "v3", "2023-05..", "2024-03..2024-04"],
         ["v4", "v1 ", "v", "2024-01", "..", "first..", "xv1", "v1x", "V1", "v1\n", "2024-01..2024", "2024x01.."]),
        ("free", ["", "x", "y", "xyxx"], ["z", "xz", " x", "x\n"]),
        ("listed", ["js", "py"], ["", "x", "j", "jspy"]),
        ("plain", [""], ["x", " "]),
    ],
)  # fmt: skip
def test_what_is_a_part(registry: Registry, name: str, parts: list[str], strangers: list[str]) -> None:
    entry = registry.entries[name]
    assert [part for part in [*parts, *strangers] if entry.has(part)] == parts
    for part in parts:
        whole = f"{name}:{part}" if part else name
        benchmark = registry.load(whole)
        assert (benchmark.name, benchmark.part) == (whole, part)
        assert benchmark.scoring["tests"].scorer.checks == (whole,)
    for part in strangers:
        with pytest.raises(UsageError):
            registry.load(f"{name}:{part}" if part else name)


def test_parts_are_one_class_and_look_at_their_own_part(registry: Registry) -> None:
    whole, listed, matching = (registry.load(name) for name in ("windows", "windows:first", "windows:v2"))
    assert type(whole) is type(listed) is type(matching)
    assert type(whole).name == "windows"
    selects = [bench.asking["greedy"].select({"id": "g"}) for bench in (whole, listed, matching)]
    assert selects == [True, True, False]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "windows:v9",
            "--bench windows:v9: unknown part; it is windows:first|2024-01..2024-02, or windows alone, "
            "or windows:PART of the form v[1-3]|\\d{4}-\\d\\d\\.\\.(\\d{4}-\\d\\d)?",
        ),
        ("free:z", "--bench free:z: unknown part; it is free, or free:PART of the form "),
        ("listed:x", "--bench listed:x: unknown part; it is listed:js|py"),
        ("listed", "--bench listed: several parts; it is listed:js|py"),
        ("plain:x", "--bench plain:x: unknown part; it is plain"),
        ("window:v1", "--bench window:v1: unknown; did you mean 'windows'?"),
    ],
)
def test_a_part_that_is_not_there_says_which_are(registry: Registry, name: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        registry.load(name)
    assert str(caught.value).startswith(said)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("declared", "pattern"),
    [
        ('other_parts = "a" "b"', "ab"),
        ('other_parts: str = "ab"', "ab"),
        ('other_parts = "a" + "b"', ""),
        ("other_parts = PATTERN", ""),
        ("other_parts = None", ""),
        ('other_parts = ""', ""),
    ],
)
def test_only_a_literal_is_a_pattern(tmp_path: Path, declared: str, pattern: str) -> None:
    (tmp_path / "mine.py").write_text(plugin("mine", declared))
    (entry,) = read(tmp_path / "mine.py")
    assert entry.other_parts == pattern
    assert entry.has("") is True
    assert entry.has("ab") is bool(pattern)


@pytest.mark.parametrize("declared", ['other_parts = "("', "other_parts = 3"])
def test_a_pattern_that_is_none_is_refused(tmp_path: Path, declared: str) -> None:
    (tmp_path / "mine.py").write_text(plugin("mine", declared))
    with pytest.raises((PluginError, UsageError), match="other_parts"):
        discover([tmp_path]).load("mine:x")


def test_a_pattern_only_says_what_may_be_named(registry: Registry) -> None:
    """Who has an entry at hand loads what they want: the names that users give are checked, not those of the code."""
    assert load(registry.entries["windows"], "anything").name == "windows:anything"


@given(st.text(max_size=12))
def test_any_text_is_a_part_only_where_the_whole_of_it_matches(part: str) -> None:
    entry = Entry("n", Path("n.py"), "N", "1", ("python",), ("first",), PATTERN, ("p",), ())
    wanted = part in ("", "first") or bool(re.match(rf"(?:{PATTERN})\Z", part))
    assert entry.has(part) is wanted


# ---------------------------------------------------------------- lists of names


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("windows", ["windows"]),
        ("windows:first", ["windows:first"]),
        ("windows:2024-01..2024-02,plain", ["windows:2024-01..2024-02", "plain"]),
        ("windows:2024-01..2024-02,2024-03..2024-04", ["windows:2024-01..2024-02", "windows:2024-03..2024-04"]),
        ("windows:v1,v2,plain,listed", ["windows:v1", "windows:v2", "plain", "listed:js", "listed:py"]),
        ("windows,windows:v1", ["windows", "windows:v1"]),
        ("windows:v1,windows", ["windows:v1", "windows"]),
        ("plain,windows:v1,listed:py,js", ["plain", "windows:v1", "listed:py", "listed:js"]),
        ("windows,v1", ["windows", "v1"]),
        ("windows:v1,v1,windows:v1", ["windows:v1"]),
        (" windows:v1 , v2 ,, ", ["windows:v1", "windows:v2"]),
        ("windows:,v1", ["windows:", "v1"]),
        ("free,listed", ["free", "listed:js", "listed:py"]),
        ("windows:unknown,other", ["windows:unknown", "windows:other"]),
    ],
)
def test_a_list_of_names(registry: Registry, names: str, expected: list[str]) -> None:
    assert registry.expand(names) == expected


def test_what_ships_is_named_by_windows_and_releases() -> None:
    entry = discover().entries["livecodebench"]
    for part in (
        "",
        *entry.parts,
        "v1",
        "v6",
        "2024-07..2024-09",
        "2024-07..",
        "2024-07-01..2024-11-01",
        "v4:2024-07..",
    ):
        assert entry.has(part), part
    for part in (
        "v0",
        "v7",
        "..",
        "..2024-09",
        "2024..2025",
        "2024-07",
        "2024-7..",
        "v4:",
        "v4:2407-2409",
        "v7:2024-07..",
    ):
        assert not entry.has(part), part
    assert discover().expand("livecodebench:2407-2409,2024-07..,humaneval,livecodebench") == [
        "livecodebench:2407-2409", "livecodebench:2024-07..", "humaneval", "livecodebench",
    ]  # fmt: skip


# ---------------------------------------------------------------- no means over windows


def report(name: str, value: float) -> dict[str, Any]:
    score = {"name": name, "value": value, "low": value - 0.1, "high": value + 0.1, "problems": 10, "samples": 10}
    return {
        "benchmark": name, "model": "m", "profile": "p", "dataset": {"version": "v1", "sha256": "d"}, "sandbox": "none",
        "n": 1, "problems": 10, "samples": 10, "scores": {name: {"pass@1": score}}, "outcomes": {}, "notes": [],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["listed:js", "listed:py"], {"listed": 0.5}),
        (["windows:first", "windows:v1"], {}),
        (["windows:v1", "windows:v2", "windows"], {}),
        (["free:x", "free:y"], {}),
        (["windows:v1", "listed:js", "windows:v2", "listed:py"], {"listed": 0.5}),
        (["plain"], {}),
    ],
)
def test_windows_have_no_mean(registry: Registry, names: list[str], expected: Mapping[str, float]) -> None:
    """They overlap: a mean of them would count problems twice."""
    value = {"listed:js": 0.25, "listed:py": 0.75}
    reports = [report(name, value.get(name, 0.5)) for name in names]
    found = means([registry.load(name) for name in names], reports)
    assert {each["benchmark"]: each["scores"][each["benchmark"]]["pass@1"]["value"] for each in found} == expected


def test_a_leaderboard_has_no_mean_of_windows(registry: Registry, tmp_path: Path) -> None:
    results = tmp_path / "results"
    for name in ("windows:v1", "windows:v2", "windows", "listed:js", "listed:py"):
        made_run(results, outcomes_of([1, 0], name), model="a", benchmark=name)
    runs = all_finished([results])[0]
    assert left_out_of_means(runs, registry) == ({"listed": {}}, [])
    board = board_of(runs, registry)
    assert [column.check for column in board.columns if column.parts] == ["listed"]
    assert {column.check for column in board.columns if not column.parts} == {run.benchmark for run in runs}
    assert not [line for line in board.said if "mean" in line]


def test_a_benchmark_that_is_not_here_says_that_it_has_no_mean(registry: Registry, tmp_path: Path) -> None:
    for name in ("gone:a", "gone:b", "windows:v9"):
        made_run(tmp_path / "results", outcomes_of([1, 0], name), model="a", benchmark=name)
    apart, said = left_out_of_means(all_finished([tmp_path / "results"])[0], registry)
    assert apart == {}
    assert len(said) == 2
    assert said[0].startswith("gone: no mean of its parts, as --bench gone:")
    assert said[1].startswith("windows: no mean of its parts, as --bench windows:v9: unknown part")
