"""`qceval run` with real engines: known scores, chats and infillings, kills, and faults in one line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_processes import engine_processes, lines, rows, wait_until

pytest.importorskip("vllm", reason="no engines here: .ci/vllm puts them into build/vllm")
pytestmark = [pytest.mark.engine]
Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]

BOTH = ("run", "--bench", "starter,humaneval", "--limit", 24, "--dtype", "float32", "--max-model-len", 1024)
STARTER = ("run", "--bench", "starter", "--dtype", "float32", "--max-model-len", 1024)
# So hot that an answer hardly ever ends by itself: there is time to kill something.
SLOW = (*STARTER, "-n", 16, "--temperature", 2, "--max-tokens", 60)
CHATS = '''"""A chat for tests."""

import json

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import first_fenced_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Chat, Message, Problem, Sampling

ROWS = tuple(json.loads(%r))
GREEDY = Sampling(max_tokens=200)


class Chatting(Benchmark):
    name = "chatting"
    version = "1"
    reference = "original"
    asking = {"a": Asking(Rows(inline=ROWS), lambda problem: Chat((Message("user", problem.id),)), GREEDY)}
    scoring = {"s": Scoring(first_fenced_program, CallScorer({"chatting": "inputs"}))}
    profiles = {"chatting": ("a", "s")}
    decontaminate = ()
    golden = (
        Golden(ROWS[1], "```python\\n%%s```" %% (ROWS[1]["prompt"] + ROWS[1]["solution"]), {"chatting": "passed"}),
        Golden(ROWS[1], "x", {"chatting": "no_code"}),
    )

    def problem(self, row):
        tests = {"entry_point": row["entry_point"], "atol": 0, "inputs": row["inputs"]}
        return Problem(row["id"], row, tests, stub=row["prompt"], reference=row["solution"])
'''
INFILLING = '''"""An infilling for tests."""

import json

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.programs import as_program
from qwencoder_eval.scoring.calls import CallScorer
from qwencoder_eval.types import Infill, Problem, Sampling

ROWS = tuple(json.loads(%r))


class Infilling(Benchmark):
    name = "infilling"
    version = "1"
    reference = "original"
    asking = {
        "a": Asking(Rows(inline=ROWS), lambda p: Infill(p.stub, "\\n# end\\n"), Sampling(max_tokens=200)),
    }
    scoring = {"s": Scoring(as_program, CallScorer({"infilling": "inputs"}))}
    profiles = {"infilling": ("a", "s")}
    decontaminate = ()
    golden = (
        Golden(ROWS[1], ROWS[1]["solution"], {"infilling": "passed"}),
        Golden(ROWS[1], "    return 77\\n", {"infilling": "wrong"}),
    )

    def problem(self, row):
        tests = {"entry_point": row["entry_point"], "atol": 0, "inputs": row["inputs"]}
        return Problem(row["id"], row, tests, stub=row["prompt"], reference=row["solution"])
'''


@pytest.fixture
def right(known: dict[str, Any]) -> dict[str, float]:
    """The score that must come out, by benchmark: of the problems that it was taught."""
    return {name: sum(one["right"] for one in answers.values()) for name, answers in known.items()}


def test_a_score_that_is_known_beforehand(
    tiny: Path, known: dict[str, Any], right: dict[str, float], qceval: Cli, env: dict[str, str], tmp_path: Path
) -> None:
    """Two benchmarks through one engine; it is gone afterwards; the same again, and another scoring, need none."""
    command = (*BOTH, "--backend", "vllm", "--model", tiny / "base")
    ran = qceval(*command, "--json")
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr.count("starting vllm") == 1
    assert "profile qwen2.5-coder (model type qwen2, with <|fim_prefix|> in its vocabulary)" in ran.stderr
    reports = {report["benchmark"]: report for report in json.loads(ran.stdout)}
    for name, answers in known.items():
        verdicts = {row["problem"]: row["checks"][name] for row in rows(reports[name]["run"], "verdicts.jsonl")}
        texts = {row["problem"]: row["text"] for row in rows(reports[name]["run"], "completions.jsonl")}
        assert {problem: texts[problem] for problem in answers} == {p: one["answer"] for p, one in answers.items()}
        assert sum(verdicts[problem] == "passed" for problem in answers) == right[name]
        assert all((verdicts[problem] == "passed") == one["right"] for problem, one in answers.items())
    score = reports["starter"]["scores"]["starter"]["pass@1"]
    assert score["value"] == right["starter"] / 24
    assert reports["starter"]["completions"]["stop"] == 24
    assert reports["starter"]["completions"]["tokens"] > 24
    recorded = json.loads((Path(reports["starter"]["run"]) / "run.json").read_text())
    assert recorded["provenance"]["engine"].startswith("vllm ")
    assert recorded["provenance"]["model_profile"] == "qwen2.5-coder"
    assert recorded["provenance"]["first_prompts"][0]["tokens"]
    assert engine_processes(str(tmp_path)) == []

    again = qceval(*command, "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == json.loads(ran.stdout)
    assert "starting" not in again.stderr
    fewer = qceval("run", "--bench", "starter", "--limit", 10, *command[5:], "--json")
    assert fewer.returncode == 0
    assert "10 completions were known and not generated again" in fewer.stderr
    assert "starting" not in fewer.stderr
    if "humaneval" in known:
        sanitized = qceval("run", "--bench", "humaneval", "--profile", "evalplus-sanitized", *command[3:], "--json")
        assert sanitized.returncode == 0
        assert "24 completions were known" in sanitized.stderr
        assert "starting" not in sanitized.stderr


def test_chats_and_infillings(
    tiny: Path, known: dict[str, Any], document: Document, qceval: Cli, tmp_path: Path
) -> None:
    from qwencoder_eval.benchmark import profile
    from qwencoder_eval.registry import discover

    problems = profile(discover(()).load("starter"), None).problems(offline=True)[:4]
    plain = [
        {
            "id": problem.id, "prompt": problem.stub, "solution": problem.reference,
            "entry_point": problem.tests["entry_point"], "inputs": problem.tests["inputs"],
        }
        for problem in problems
    ]  # fmt: skip
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    # What it was taught to answer in a fence is a function's body; the benchmark shows the head as part of the answer.
    (plugins / "chatting.py").write_text(CHATS % json.dumps(plain))
    (plugins / "infilling.py").write_text(INFILLING % json.dumps(plain))
    common = ("--plugins", plugins, "--dtype", "float32", "--max-model-len", 1024, "--backend", "vllm")
    refused = qceval("run", "--bench", "chatting", "--model", tiny / "base", *common)
    assert refused.returncode == 2
    assert "chatting: the benchmark asks for a chat, and this is a base model; choose another" in refused.stderr
    refused = qceval("run", "--bench", "starter", "--model", tiny / "chat", *common)
    assert refused.returncode == 2
    assert "starter: the benchmark asks for a text to continue, and this is a chat model" in refused.stderr

    found = document("run", "--bench", "chatting,infilling", "--model", tiny / "chat", *common)
    by_name = {report["benchmark"]: report for report in found}
    taught = {problem.id: known["starter"][problem.id] for problem in problems}
    texts = {row["problem"]: row["text"] for row in rows(by_name["chatting"]["run"], "completions.jsonl")}
    assert texts == {problem: f"```python\n{one['answer']}```" for problem, one in taught.items()}
    texts = {row["problem"]: row["text"] for row in rows(by_name["infilling"]["run"], "completions.jsonl")}
    assert texts == {problem: one["answer"].strip() for problem, one in taught.items()}


@pytest.mark.parametrize("backend", ["vllm", "transformers"])
def test_an_engine_that_is_killed(
    backend: str, tiny: Path, start: Start, document: Document, env: dict[str, str], tmp_path: Path
) -> None:
    """The run says so and exits 3; started again it goes on, and no sample is lost or there twice."""
    command = (*SLOW, "--backend", backend, "--model", tiny / "base")
    process = start(*command)
    made = tmp_path / "results" / "base" / "starter"
    wait_until(lambda: lines(made) > 20 or process.poll(), "samples")
    (engine,) = engine_processes(str(tmp_path), b"models.worker")  # the one that computes: others only keep order
    os.kill(engine, signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 3, err
    line = err.splitlines()[-1]
    assert line.startswith(f"qceval: {backend}: the engine ended in the middle of its work"), err
    assert "start the same command again" in line
    assert "Traceback" not in err
    assert engine_processes(str(tmp_path)) == []
    (run,) = made.iterdir()
    kept = rows(run, "completions.jsonl")
    assert 20 < len(kept) < 384
    report = document(*command)
    after = rows(run, "completions.jsonl")
    assert after[: len(kept)] == kept
    assert len({(row["problem"], row["sample"]) for row in after}) == len(after) == 384
    judged = rows(run, "verdicts.jsonl")
    assert len({(row["problem"], row["sample"]) for row in judged}) == len(judged) == 384
    assert sum(report["outcomes"]["starter"].values()) == 384


@pytest.mark.parametrize(("how", "status"), [(signal.SIGKILL, -9), (signal.SIGINT, 130), (signal.SIGTERM, -15)])
def test_a_harness_that_is_ended_leaves_no_engine(
    how: signal.Signals, status: int, tiny: Path, start: Start, tmp_path: Path
) -> None:
    process = start(*SLOW, "--backend", "transformers", "--model", tiny / "base")
    made = tmp_path / "results" / "base" / "starter"
    wait_until(lambda: lines(made) or process.poll(), "samples")
    assert engine_processes(str(tmp_path))
    process.send_signal(how)
    _, err = process.communicate(timeout=300)
    assert process.returncode == status, err
    if how == signal.SIGINT:
        assert "interrupted; the same command continues" in err
    wait_until(lambda: not engine_processes(str(tmp_path)), "the engine is gone")


def test_a_harness_that_is_killed_while_vllm_starts_leaves_nothing(tiny: Path, start: Start, tmp_path: Path) -> None:
    process = start(*STARTER, "--backend", "vllm", "--model", tiny / "base")
    wait_until(lambda: len(engine_processes(str(tmp_path))) >= 2, "processes of the engine")
    process.kill()
    process.communicate()
    wait_until(lambda: not engine_processes(str(tmp_path)), "the engine is gone")


@pytest.fixture
def broken(tiny: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "broken"
    shutil.copytree(tiny / "base", folder)
    return folder


@pytest.mark.parametrize(
    ("harm", "options", "status", "said"),
    [
        (None, ("--model", "/no/such/model"), 2, "--model /no/such/model: no such folder"),
        ("config.json", (), 2, "config.json: not JSON"),
        ("tokenizer.json", (), 2, "its tokenizer cannot be read"),
        ("model.safetensors", (), 3, "the engine ended while it started"),
        (None, ("--tensor-parallel", "2"), 2, "--tensor-parallel: only vLLM has it; use --backend vllm"),
        (None, ("--engine-arg", "block_size=16"), 2, "--engine-arg: only vLLM has it; use --backend vllm"),
        (None, ("--tensor-parallel", "2", "--backend", "vllm"), 2, "need 2 GPUs, there are 0"),
        (None, ("--lora", "/no/such/adapter"), 2, "--lora /no/such/adapter: No such file or directory"),
        (None, ("--chat-template", "/no/such/file"), 2, "--chat-template /no/such/file: cannot be read"),
    ],
)
def test_a_fault_is_one_line(
    harm: str | None, options: tuple[str, ...], status: int, said: str, broken: Path, qceval: Cli, env: dict[str, str],
    tmp_path: Path,
) -> None:  # fmt: skip
    env["CUDA_VISIBLE_DEVICES"] = ""
    if harm:
        (broken / harm).write_bytes((broken / harm).read_bytes()[:100])
    model = () if "--model" in options else ("--model", broken)
    ran = qceval(*STARTER, "--backend", "transformers", *model, *options)
    assert ran.returncode == status, ran.stderr
    line = ran.stderr.splitlines()[-1]
    assert line.startswith("qceval: ")
    assert said in line
    assert "Traceback" not in ran.stderr
    assert engine_processes(str(tmp_path)) == []


def test_what_vllm_refuses_is_said_with_its_cause(tiny: Path, qceval: Cli, tmp_path: Path) -> None:
    ran = qceval("run", "--bench", "starter", "--backend", "vllm", "--model", tiny / "base", "--max-model-len", 100_000)
    assert ran.returncode == 3
    line = ran.stderr.splitlines()[-1]
    assert "the engine ended while it started" in line
    assert "max_model_len" in line
    assert engine_processes(str(tmp_path)) == []


def test_a_prompt_that_does_not_fit_is_counted(tiny: Path, document: Document) -> None:
    command = ("run", "--bench", "starter", "--backend", "transformers", "--model", tiny / "base", "--dtype", "float32")
    report = document(*command, "--max-model-len", 130)
    counts = report["outcomes"]["starter"]
    assert 0 < counts["prompt_too_long"] < 24
    assert sum(counts.values()) == 24
    assert report["completions"]["prompt_too_long"] == counts["prompt_too_long"]


def test_schemas_are_shortened_to_fit_and_that_is_counted(tiny: Path, document: Document, shared_data: Path) -> None:
    if not (shared_data / "spider" / "dev.json.gz").is_file():
        pytest.skip(f"no rows of Spider in {shared_data}")
    command = ("run", "--bench", "spider", "--limit", 8, "--backend", "transformers", "--model", tiny / "base")
    report = document(*command, "--dtype", "float32", "--max-model-len", 1024, "--max-tokens", 20)
    kept = rows(report["run"], "completions.jsonl")
    shortened = [row for row in kept if row.get("shortened")]
    assert shortened
    assert all(row["prompt_tokens"] + 20 <= 1024 for row in kept)
    assert report["completions"]["shortened"] == len(shortened)
    assert f"{len(shortened)} of 8 prompts were shortened to fit the context" in report["notes"]


def test_generate_now_and_score_later(tiny: Path, document: Document, qceval: Cli, right: dict[str, float]) -> None:
    command = (*STARTER, "--backend", "transformers", "--model", tiny / "base")
    report = document(*command, "--no-score")
    assert (report["scores"], report["notes"]) == ({}, ["not scored"])
    assert len(rows(report["run"], "completions.jsonl")) == 24
    ran = qceval(*command, "--json")
    assert "starting" not in ran.stderr
    assert json.loads(ran.stdout)["scores"]["starter"]["pass@1"]["value"] == right["starter"] / 24


def test_show_prompt_with_its_tokens(tiny: Path, qceval: Cli, document: Document) -> None:
    shown = qceval("show-prompt", "--bench", "starter", "--model", tiny / "base", "--tokens")
    assert shown.returncode == 0, shown.stderr
    assert "base model · profile qwen2.5-coder" in shown.stdout
    assert "ends at <|endoftext|>" in shown.stdout
    found = document("show-prompt", "--bench", "humaneval", "--model", tiny / "chat", "--tokens")
    assert (found["kind"], found["profile"]) == ("chat", "evalplus-chat")
    assert found["rendered"].startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n"
    )
    assert found["rendered"].endswith("tests:\n```python\n")
    assert "".join(token["text"] for token in found["tokens"]) == found["rendered"]
    assert [token["text"] for token in found["tokens"] if token["special"]] == ["<|im_start|>", "<|im_end|>"] * 2 + [
        "<|im_start|>"
    ]


def test_the_display_of_a_run(tiny: Path, qceval: Cli, env: dict[str, str]) -> None:
    """Without a terminal nothing is drawn: a line for the model, one for its engine, and no more."""
    began = time.monotonic()
    ran = qceval(*STARTER, "--backend", "transformers", "--model", tiny / "base", "--limit", 2)
    assert ran.returncode == 0
    if time.monotonic() - began < 30:
        assert len(ran.stderr.splitlines()) == 3, ran.stderr


def adapter(tiny: Path, folder: Path, scale: float) -> Path:
    """A LoRA adapter of the base model's attention; at scale 0 it changes nothing."""
    import torch
    from safetensors.torch import save_file

    config = json.loads((tiny / "base" / "config.json").read_text())
    chance, weights = torch.Generator().manual_seed(0), {}
    for layer in range(config["num_hidden_layers"]):
        name = f"base_model.model.model.layers.{layer}.self_attn.o_proj"
        weights[f"{name}.lora_A.weight"] = torch.randn(8, config["hidden_size"], generator=chance)
        weights[f"{name}.lora_B.weight"] = scale * torch.randn(config["hidden_size"], 8, generator=chance)
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    described = {"peft_type": "LORA", "r": 8, "lora_alpha": 8, "target_modules": ["o_proj"], "task_type": "CAUSAL_LM"}
    (folder / "adapter_config.json").write_text(json.dumps({**described, "bias": "none"}))
    return folder


def test_an_adapter_over_the_model(tiny: Path, right: dict[str, float], document: Document, tmp_path: Path) -> None:
    """One that changes nothing leaves the score; another one has runs of its own, and answers of its own."""
    command = (*STARTER, "--backend", "vllm", "--model", tiny / "base", "--lora")
    same = document(*command, adapter(tiny, tmp_path / "nothing", 0))
    assert same["scores"]["starter"]["pass@1"]["value"] == right["starter"] / 24
    other = document(*command, adapter(tiny, tmp_path / "something", 1))
    assert other["run"] != same["run"]
    texts = [{row["problem"]: row["text"] for row in rows(each["run"], "completions.jsonl")} for each in (same, other)]
    assert texts[0] != texts[1]


def test_a_stretched_context(tiny: Path, qceval: Cli, tmp_path: Path) -> None:
    """YaRN doubles the 2,048 tokens that the model was made for; both engines stretch alike."""
    command = ("run", "--bench", "starter", "--dtype", "float32", "--no-score", "--limit", 4, "--max-tokens", 40)
    answers = []
    for backend in ("vllm", "transformers"):
        out = tmp_path / backend
        ran = qceval(*command, "--backend", backend, "--model", tiny / "base", "--yarn", 2, "--out", out, "--json")
        assert ran.returncode == 0, ran.stderr
        assert "4096 tokens of context" in ran.stderr
        answers.append(
            {row["problem"]: row["text"] for row in rows(json.loads(ran.stdout)["run"], "completions.jsonl")}
        )
    assert answers[0] == answers[1]
