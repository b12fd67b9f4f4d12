"""Does scoring hide behind generation? The whole run beside generation alone and scoring alone.

    python tests/perf/overlap.py [--samples 10] [--out OUT.json]

A server of this script's own answers with recorded outputs of a real model at a steady pace and computes nothing. The
pace is set so that generating takes as long as scoring, where waiting for each other would cost most. No verdict and no
completion comes from a cache; what the reference solutions answer does, on all sides.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from measure import alternate, report

from qwencoder_eval.benchmark import profile
from qwencoder_eval.registry import discover

SHARED = Path(__file__).resolve().parents[3] / "shared"
RECORDED = SHARED / "recorded" / "qwen2.5-coder-1.5b-base" / "evalplus" / "humaneval" / "generated.jsonl"
WORK = Path("build/perf").resolve()
QCEVAL = [sys.executable, "-m", "qwencoder_eval"]


class Paced(ThreadingHTTPServer):
    """Answers the n-th request for a prompt with its recorded completion and a comment that makes it a new program."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, answers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.every_s = answers, 0.0
        self.next, self.mutex = 0.0, threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def wait(self) -> None:
        with self.mutex:
            self.next = max(self.next, time.monotonic()) + self.every_s
            until = self.next
        time.sleep(max(0.0, until - time.monotonic()))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Paced

    def log_message(self, *_: object) -> None: ...

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.wait()
        text = f"{self.server.answers[body['prompt']]}\n# {body['seed']}\n"
        usage = {"prompt_tokens": 100, "completion_tokens": 100}
        content = json.dumps({"choices": [{"text": text, "finish_reason": "stop"}], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--samples", type=int, default=10)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--out")
    given = options.parse_args()
    chosen = profile(discover(()).load("humaneval"), "qwen")
    rows = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    texts = {row["task_id"]: row.get("completion", row.get("solution", "")) for row in rows}
    answers = {}
    for problem in chosen.problems(offline=True):
        text = texts[problem.id]
        answers[chosen.prompt(problem).text] = text.removeprefix(problem.stub)  # type: ignore[union-attr]
    server = Paced(answers)
    results, generated = WORK / "results", WORK / "generated"
    environment = {**os.environ, "QCEVAL_CACHE": str(WORK / "cache")}
    command = [
        *QCEVAL, "run", "--bench", "humaneval", "--profile", "qwen", "--model", "paced", "--base-url", server.url,
        "-n", str(given.samples), "--temperature", "0.8", "--no-cache", "--concurrency", "32", "--kind", "base",
    ]  # fmt: skip

    def run(out: Path, *more: str, fresh: bool = True) -> dict[str, Any]:
        if fresh:
            shutil.rmtree(out, ignore_errors=True)
        began = time.perf_counter()
        subprocess.run([*command, "--out", str(out), *more], env=environment, check=True, capture_output=True)
        return {"wall_s": time.perf_counter() - began}

    def scoring() -> dict[str, Any]:
        shutil.rmtree(results, ignore_errors=True)
        shutil.copytree(generated, results)
        return run(results, fresh=False)

    run(generated, "--no-score")  # and the pace by what scoring these takes
    scoring()
    alone = scoring()["wall_s"]
    server.every_s = alone / (given.samples * len(answers))
    sides = {
        "generation alone": lambda: run(results, "--no-score"),
        "scoring alone": scoring,
        "the whole run": lambda: run(results),
    }
    found = alternate(sides, given.rounds)
    longer = max(found["generation alone"]["wall_s"], found["scoring alone"]["wall_s"])
    table: list[dict[str, Any]] = [
        {"side": side, "wall s": round(one["wall_s"], 2), "rounds": one["wall_s_all"]} for side, one in found.items()
    ]
    table.append({"side": "whole / longer", "wall s": round(found["the whole run"]["wall_s"] / longer, 3)})
    report(f"{given.samples} samples of each of {len(answers)} problems", table, given.out, given.rounds)


if __name__ == "__main__":
    main()
