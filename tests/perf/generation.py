"""`qceval run` with scoring off beside `LLM.generate` called once with the same prompts.

    build/vllm/bin/python tests/perf/generation.py --model FOLDER [--samples 20] [--max-tokens N] [--out OUT.json]

HumanEval's 164 prompts, with the same engine options and the same sampling, each sample with a seed. Both are whole
commands; what is compared is the time from the engine being ready until the last completion is there (in the caller's
hands, and on disk), and beside it the whole command. vLLM's own command is this script with ``--direct``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measure import alternate, report

from qwencoder_eval.benchmark import profile
from qwencoder_eval.registry import discover

WORK = Path("build/perf").resolve()
TEMPERATURE, CONTEXT = 1.0, 1024


def direct(folder: str, samples: int, max_tokens: int) -> None:
    from vllm import LLM, SamplingParams

    chosen = profile(discover(()).load("humaneval"), None)
    prompts = [chosen.prompt(problem).text for problem in chosen.problems(offline=True)]  # type: ignore[union-attr]
    llm = LLM(
        folder, dtype="float32", max_model_len=CONTEXT, enforce_eager=True, gpu_memory_utilization=0.25,
        enable_chunked_prefill=False, generation_config="vllm",
    )  # fmt: skip
    print("ready", time.time(), flush=True)
    stop = list(chosen.asking.sampling.stop)
    params = SamplingParams(n=samples, temperature=TEMPERATURE, max_tokens=max_tokens, stop=stop, seed=0)
    outputs = llm.generate(prompts, params, use_tqdm=False)
    print("generated", time.time(), flush=True)
    tokens = sum(len(one.token_ids) for output in outputs for one in output.outputs)
    print("tokens", tokens, flush=True)


def timed(argv: list[Any], ready: str) -> dict[str, Any]:
    """Seconds of a whole command, and from the line that says that the engine is ready."""
    environment = {**os.environ, "QCEVAL_CACHE": str(WORK / "cache"), "VLLM_CPU_KVCACHE_SPACE": "2"}
    began = time.time()
    process = subprocess.Popen(
        [*map(str, argv)], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    at, lines = 0.0, []
    assert process.stdout
    for line in process.stdout:
        lines.append(line)
        if not at and ready in line:
            at = time.time()
    if process.wait():
        raise RuntimeError("".join(lines[-10:]))
    return {"ready": at, "command_s": time.time() - began, "out": "".join(lines)}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--model", required=True)
    options.add_argument("--samples", type=int, default=20)
    options.add_argument("--max-tokens", type=int, default=200)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--direct", action="store_true")
    options.add_argument("--out")
    given = options.parse_args()
    if given.direct:
        direct(given.model, given.samples, given.max_tokens)
        return
    results = WORK / "results"

    def through_qceval() -> dict[str, Any]:
        shutil.rmtree(results, ignore_errors=True)
        command = [
            sys.executable, "-m", "qwencoder_eval", "run", "--bench", "humaneval", "--model", given.model, "--backend",
            "vllm", "--dtype", "float32", "--max-model-len", CONTEXT, "-n", given.samples, "--temperature", TEMPERATURE,
            "--max-tokens", given.max_tokens, "--no-score", "--no-cache", "--out", results,
        ]  # fmt: skip
        found = timed(command, "tokens of context")
        (run,) = results.glob("*/humaneval/*")
        wall_s = (run / "completions.jsonl").stat().st_mtime - found["ready"]
        tokens = json.loads((run / "scores.json").read_text())["completions"]["tokens"]
        return {**found, "wall_s": wall_s, "tokens": tokens}

    def at_once() -> dict[str, Any]:
        command = [
            sys.executable, __file__, "--direct", "--model", given.model, "--samples", given.samples, "--max-tokens",
            given.max_tokens,
        ]  # fmt: skip
        found = timed(command, "ready")
        said = dict(line.split() for line in found["out"].splitlines() if line.startswith(("tokens", "generated")))
        return {**found, "wall_s": float(said["generated"]) - found["ready"], "tokens": int(said["tokens"])}

    found = alternate({"LLM.generate": at_once, "qceval run": through_qceval}, given.rounds)
    ours, theirs = found["qceval run"], found["LLM.generate"]
    rows = [
        {
            "side": side,
            "generating s": round(one["wall_s"], 2),
            "rounds": one["wall_s_all"],
            "whole command s": round(one["command_s"], 2),
            "tokens": one["tokens"],
            "tokens/s": round(one["tokens"] / one["wall_s"]),
        }
        for side, one in found.items()
    ]
    per_token = (ours["wall_s"] / ours["tokens"]) / (theirs["wall_s"] / theirs["tokens"])
    rows.append(
        {"side": "ratio", "generating s": round(ours["wall_s"] / theirs["wall_s"], 4), "tokens": round(per_token, 4)}
    )
    report(f"164 prompts, {given.samples} samples each", rows, given.out, given.rounds)


if __name__ == "__main__":
    main()
