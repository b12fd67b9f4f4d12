"""`qceval run`: the reference solutions, one JSON document, the files of a run, and doing nothing twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]
Plugin = Callable[..., Path]
Rows = Callable[[Path], list[dict[str, Any]]]

STARTER = ("run", "--bench", "starter")
TRUSTED = (*STARTER, "--sandbox", "none")


def test_without_a_model_the_first_line_says_reference_solutions(qceval: Cli, sandbox: str) -> None:
    ran = qceval(*STARTER, "--sandbox", sandbox)
    assert ran.returncode == 0, ran.stderr
    first = ran.stdout.splitlines()[0]
    assert "reference solutions" in first
    assert "UNSANDBOXED" not in ran.stdout
    assert "24/24" in ran.stdout
    assert "100.0 %" in ran.stdout
    assert f"sandbox {sandbox}" in ran.stdout
    assert "\x1b" not in ran.stdout


@pytest.mark.docker
def test_in_docker(document: Document, docker: str) -> None:
    report = document(*STARTER, "--sandbox", docker)
    assert report["outcomes"] == {"starter": {"passed": 24}}
    assert report["sandbox"] == "docker"


def test_without_a_sandbox_the_first_line_says_so(qceval: Cli) -> None:
    ran = qceval(*TRUSTED)
    assert ran.returncode == 0, ran.stderr
    first = ran.stdout.splitlines()[0]
    assert first.startswith("UNSANDBOXED")
    assert "reference solutions" in first
    assert "24/24" in ran.stdout


def test_json_is_one_document(qceval: Cli) -> None:
    ran = qceval(*TRUSTED, "--json")
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert report["benchmark"] == "starter"
    assert report["model"] == "reference"
    assert report["profile"] == "starter"
    assert (report["problems"], report["samples"], report["n"]) == (24, 24, 1)
    assert report["outcomes"] == {"starter": {"passed": 24}}
    assert set(report["scores"]) == {"starter"}
    assert set(report["scores"]["starter"]) == {"pass@1"}
    score = report["scores"]["starter"]["pass@1"]
    assert set(score) == {"name", "value", "low", "high", "problems", "samples"}
    assert (score["value"], score["problems"], score["samples"]) == (1.0, 24, 24)
    assert 0.8 < score["low"] < score["value"] <= score["high"] <= 1.0
    assert report["notes"] == ["unsandboxed", "reference solutions"]
    first = ran.stderr.splitlines()[0]
    assert first.startswith("UNSANDBOXED")
    assert "reference solutions" in first


def test_json_with_a_sandbox_names_the_references_on_standard_error(qceval: Cli, sandbox: str) -> None:
    ran = qceval(*STARTER, "--sandbox", sandbox, "--json")
    assert json.loads(ran.stdout)["notes"] == ["reference solutions"]
    assert "reference solutions" in ran.stderr.splitlines()[0]


def test_limit_is_marked(qceval: Cli, document: Document) -> None:
    report = document(*TRUSTED, "--limit", 5)
    assert (report["problems"], report["samples"]) == (5, 5)
    assert "partial: 5 of 24 problems" in report["notes"]
    shown = qceval(*TRUSTED, "--limit", 5).stdout
    assert "partial: 5 of 24 problems" in shown
    assert "5/5" in shown


def test_a_limit_past_the_end_is_the_whole(document: Document) -> None:
    assert document(*TRUSTED, "--limit", 1000)["notes"] == ["unsandboxed", "reference solutions"]


def test_n_samples(document: Document, rows_of: Rows) -> None:
    report = document(*TRUSTED, "-n", 3)
    assert (report["n"], report["samples"]) == (3, 72)
    assert set(report["scores"]["starter"]) == {"pass@1"}
    assert report["scores"]["starter"]["pass@1"]["samples"] == 72
    assert report["scores"]["starter"]["pass@1"]["problems"] == 24
    for name in ("completions.jsonl", "verdicts.jsonl"):
        found = [(row["problem"], row["sample"]) for row in rows_of(Path(report["run"]) / name)]
        assert sorted(found) == sorted((f"starter/{i}", n) for i in range(24) for n in range(3))


def test_k_chooses_the_metrics_of_the_same_run(document: Document) -> None:
    first = document(*TRUSTED, "-n", 3, "-k", 3)
    assert set(first["scores"]["starter"]) == {"pass@3"}
    assert first["scores"]["starter"]["pass@3"]["value"] == 1.0
    again = document(*TRUSTED, "-n", 3, "-k", 3, "-k", 1)
    assert list(again["scores"]["starter"]) == ["pass@1", "pass@3"]
    assert again["run"] == first["run"]


def test_k_above_n_is_refused_before_anything_runs(qceval: Cli, tmp_path: Path) -> None:
    ran = qceval(*TRUSTED, "-n", 3, "-k", 5, "--json")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.splitlines()[-1].startswith("qceval: -k 5: ")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("option", [("--limit", "0"), ("-n", "0"), ("-n", "two"), ("-k", "0"), ("--workers", "0")])
def test_numbers_that_make_no_sense(refused: Refused, option: tuple[str, str]) -> None:
    assert option[0] in refused(*TRUSTED, *option)


def test_two_benchmarks_give_a_list(qceval: Cli, document: Document, plugin: Plugin) -> None:
    both = ("run", "--bench", "starter,tiny", "--plugins", plugin(), "--sandbox", "none")
    reports = document(*both)
    assert [report["benchmark"] for report in reports] == ["starter", "tiny"]
    assert [report["outcomes"] for report in reports] == [{"starter": {"passed": 24}}, {"tiny": {"passed": 2}}]
    shown = qceval(*both).stdout
    assert "24/24" in shown
    assert "2/2" in shown


def test_a_profile_that_one_of_two_lacks_is_refused_before_the_first_runs(
    qceval: Cli, plugin: Plugin, tmp_path: Path
) -> None:
    both = ("run", "--bench", "starter,tiny", "--plugins", plugin(), "--sandbox", "none")
    ran = qceval(*both, "--profile", "starter")
    assert ran.returncode == 2
    assert "--profile starter: tiny has tiny" in ran.stderr
    assert not (tmp_path / "results").exists()


def test_the_same_command_again_executes_nothing(qceval: Cli, document: Document) -> None:
    first = document(*TRUSTED)
    run = Path(first["run"])
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    times = (run / "verdicts.jsonl").stat().st_mtime_ns
    again = qceval(*TRUSTED, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == first
    assert "complete; nothing is run again" in again.stderr
    assert {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert (run / "verdicts.jsonl").stat().st_mtime_ns == times


def test_what_a_run_leaves(document: Document, rows_of: Rows, starter: list[dict[str, Any]]) -> None:
    report = document(*TRUSTED)
    run = Path(report["run"])
    names = {path.name for path in run.iterdir()}
    assert names == {"run.json", "completions.jsonl", "verdicts.jsonl", "scores.json", "lock"}
    assert json.loads((run / "scores.json").read_text()) == report
    described = json.loads((run / "run.json").read_text())
    assert {"generation", "scoring", "provenance"} <= set(described)
    assert described["generation"]["dataset"] == report["dataset"]["sha256"]
    assert described["generation"]["sampling"]["n"] == 1
    assert described["generation"]["model"] == "reference"
    assert described["scoring"]["sandbox"]["python"]["backend"] == "none"
    assert described["scoring"]["scorer"] == "calls"
    prompts = [prompt["text"] for prompt in described["provenance"]["first_prompts"]]
    assert prompts == [starter[0]["prompt"], starter[1]["prompt"]]
    completions = {row["problem"]: row for row in rows_of(run / "completions.jsonl")}
    verdicts = {row["problem"]: row for row in rows_of(run / "verdicts.jsonl")}
    assert len(rows_of(run / "completions.jsonl")) == len(rows_of(run / "verdicts.jsonl")) == 24
    for row in starter:
        completion = completions[row["task_id"]]
        assert (completion["sample"], completion["form"]) == (0, "continuation")
        assert completion["text"] == row["canonical_solution"]
        assert verdicts[row["task_id"]]["checks"] == {"starter": "passed"}


def test_out_names_the_folder(document: Document, tmp_path: Path) -> None:
    report = document(*TRUSTED, "--limit", 1, "--out", tmp_path / "elsewhere")
    assert Path(report["run"]).is_relative_to(tmp_path / "elsewhere" / "reference" / "starter")
    assert not (tmp_path / "results").exists()


def test_results_land_in_the_working_directory_by_default(
    document: Document, env: dict[str, str], tmp_path: Path
) -> None:
    del env["QCEVAL_RESULTS"]
    report = document(*TRUSTED, "--limit", 1)
    assert (tmp_path / report["run"]).is_dir()
    assert Path(report["run"]).parts[:3] == ("results", "reference", "starter")


def test_another_sandbox_sets_the_verdicts_aside(document: Document, rows_of: Rows, sandbox: str) -> None:
    first = document(*TRUSTED)
    completions = (Path(first["run"]) / "completions.jsonl").read_bytes()
    second = document(*STARTER, "--sandbox", sandbox)
    run = Path(second["run"])
    assert second["run"] == first["run"]
    assert second["sandbox"] == sandbox
    assert (run / "completions.jsonl").read_bytes() == completions
    (aside,) = run.glob("verdicts.?*.jsonl")
    assert len(rows_of(aside)) == len(rows_of(run / "verdicts.jsonl")) == 24


def test_replay_as_a_backend(
    qceval: Cli, refused: Refused, document: Document, starter: list[dict[str, Any]], samples: Plugin, sandbox: str
) -> None:
    file = samples([{"task_id": row["task_id"], "completion": row["canonical_solution"]} for row in starter])
    report = document(*STARTER, "--backend", "replay", "--samples", file, "--sandbox", sandbox)
    assert report["outcomes"] == {"starter": {"passed": 24}}
    assert report["model"] == "samples"
    assert "--samples" in refused(*STARTER, "--backend", "replay")
    assert "recorded outputs" in refused(*STARTER, "--samples", file, "--limit", 3)


@pytest.mark.skipif(bool(find_spec("vllm") or find_spec("transformers")), reason="an engine is installed")
def test_without_an_engine_the_remedy_is_said(qceval: Cli) -> None:
    for backend, extra in (("auto", "vllm"), ("vllm", "vllm"), ("transformers", "hf")):
        ran = qceval(*STARTER, "--model", "Qwen/Qwen2.5-Coder-7B", "--backend", backend)
        assert ran.returncode == 3
        (line,) = ran.stderr.splitlines()
        assert f"pip install 'qwencoder_eval[{extra}]'" in line


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--backend", "openai", "--model", "m"), "give the server's address with --base-url"),
        (("--backend", "vllm", "--base-url", "http://x/v1", "--model", "m"), "is for --backend openai, not vllm"),
        (("--backend", "vllm"), "--backend vllm: which model? name it with --model"),
        (("--base-url", "http://x/v1"), "which model? name it with --model"),
        (("--base-url", "http://x/v1", "--model", "m", "--offline"), "--offline: http://x/v1 is a connection"),
        (("--base-url", "nowhere", "--model", "m"), "--base-url nowhere: not an address"),
        (("--base-url", "http://x/v1", "--model", "m", "--price", "1"), "--price 1: give two numbers"),
        (("--base-url", "http://x/v1", "--model", "m", "--model-profile", "q"), "--model-profile q: unknown; choose"),
        (("--base-url", "http://x/v1", "--model", "m", "--system", "s"), "name the model's --tokenizer too"),
        (("--base-url", "http://x/v1", "--model", "m-instruct"), "named like a chat model"),
        (("--model", "m", "--engine-arg", "novalue"), "--engine-arg novalue: give it as NAME=VALUE"),
    ],
)
def test_options_that_make_no_sense_together(refused: Refused, options: tuple[str, ...], said: str) -> None:
    assert said in refused(*STARTER, *options)


def test_a_benchmark_from_the_environment(document: Document, env: dict[str, str], plugin: Plugin) -> None:
    env["QCEVAL_PLUGINS"] = str(plugin())
    assert document("run", "--bench", "tiny", "--sandbox", "none")["outcomes"] == {"tiny": {"passed": 2}}


def test_a_broken_neighbour_does_not_disturb(qceval: Cli, plugin: Plugin) -> None:
    folder = plugin()
    (folder / "broken.py").write_text("class Broken(:\n")
    ran = qceval("run", "--bench", "tiny", "--plugins", folder, "--sandbox", "none")
    assert ran.returncode == 0
    assert "broken.py" in ran.stderr
    assert "2/2" in ran.stdout
