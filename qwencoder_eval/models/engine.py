"""A model on this machine: an engine in a process of its own, fed with everything that is asked at once.

The engine batches continuously; what is asked of it is bounded, what it has finished is passed on at once. It starts
with the first request that has to be generated and is gone when the last one is answered, or the harness is.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from ..errors import InfrastructureError
from ..types import Choice, Completion, Prompt, is_chat, versions
from .base import Answer, Request
from .rendering import Rendered, Renderer

WINDOW = 2048  # samples in an engine's hands: enough to keep it busy, and no more than that
CLOSE_S = 30.0
CAUSE = re.compile(r"\b((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)): (.+)")
VAGUE = (
    "EngineDeadError",
    "EngineCore encountered an issue",
    "Engine core initialization failed",
    "WorkerProc initialization failed",
    "BrokenPipeError",
)


@dataclass(frozen=True)
class EngineOptions:
    """How an engine runs; 0 and "" leave it to the model and the engine.

    ``gpu_memory`` is a share, of the machine's own memory where there is no GPU; ``engine_args`` are vLLM's own.
    """

    dtype: str = "auto"
    quantization: str = ""
    max_model_len: int = 0
    yarn: float = 0.0
    lora: str = ""
    tensor_parallel: int = 1
    pipeline_parallel: int = 1
    data_parallel: int = 1
    gpu_memory: float = 0.0
    prefix_caching: bool = True
    eager: bool = False
    engine_args: dict[str, Any] = field(default_factory=dict)

    def key(self) -> dict[str, Any]:
        """What of it a completion rests on; how many processors share the work is not among it."""
        named = ("dtype", "quantization", "max_model_len", "yarn", "engine_args")
        return {name: value for name in named if (value := getattr(self, name))}


class Worker:
    """One engine process. Its lines are put into ``answers``, None where it has ended."""

    def __init__(
        self, settings: dict[str, Any], environment: dict[str, str], log: Path, answers: queue.Queue[Any]
    ) -> None:
        self.outstanding = 0  # samples
        self.facts: dict[str, Any] = {}
        self.log = log
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as file:
                self.process = subprocess.Popen(
                    [sys.executable, "-m", "qwencoder_eval.models.worker"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=file,
                    env={**os.environ, **environment},
                    start_new_session=True,  # Ctrl-C is the harness's to handle, and the group is ended as one
                )
        except OSError as error:
            raise InfrastructureError(
                f"{log}: the engine cannot be started ({error.strerror}); make room there"
            ) from None
        self.send(settings)
        threading.Thread(target=self._read, args=(answers,), daemon=True).start()

    def _read(self, answers: queue.Queue[Any]) -> None:
        assert self.process.stdout is not None
        with contextlib.suppress(ValueError, OSError):  # closed while it is read, or killed while it wrote a line
            for line in self.process.stdout:
                answers.put((self, json.loads(line)))
        answers.put((self, None))

    def send(self, message: dict[str, Any]) -> None:
        """A worker that is gone takes nothing; that is said where its answers are read."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError, ValueError):  # broken, or closed already
            self.process.stdin.write(json.dumps(message).encode() + b"\n")
            self.process.stdin.flush()

    def end(self, patience_s: float) -> int:
        """Let it close what it has open, then end its whole process group. Returns its exit status."""
        self.send({"close": True})
        try:
            self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    assert pipe is not None
                    pipe.close()
        return self.process.returncode


class EngineModel:
    """A checkpoint behind vLLM or transformers."""

    instant = False

    def __init__(
        self,
        name: str,
        backend: Literal["vllm", "transformers"],
        renderer: Renderer,
        options: EngineOptions,
        log: Path,
        say: Callable[[str], None],
    ) -> None:
        self.name, self.backend, self.renderer = name, backend, renderer
        self.options, self.log, self.say = options, log, say
        self.facts: dict[str, Any] = {}
        self.token_ids = False  # whether an engine tells each token: for tests

    def key(self) -> dict[str, Any]:
        lora = {}
        if self.options.lora:
            from .checkpoint import WEIGHTS, files_digest

            folder = Path(self.options.lora)
            files = [folder / "adapter_config.json", *(f for pattern in WEIGHTS for f in sorted(folder.glob(pattern)))]
            lora = {"lora": files_digest(files)}
        revision = self.renderer.checkpoint.revision
        engine = {"backend": self.backend, **self.options.key(), **lora}
        return {"model": self.name, "revision": revision, **self.renderer.key(), "engine": engine}

    def rendered(self, prompt: Prompt) -> Any:
        self.renderer.check(prompt)
        rendered = self.renderer.render(prompt)
        return {"text": rendered.text, "tokens": list(rendered.tokens)}

    def provenance(self) -> dict[str, Any]:
        profile = {
            "model_profile": self.renderer.profile.name,
            "because": self.renderer.why,
            "kind": self.renderer.kind,
        }
        return {**profile, "model_path": str(self.renderer.checkpoint.path), **self.facts}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        answers: queue.Queue[Any] = queue.Queue(maxsize=2 * WINDOW)
        workers: list[Worker] = []
        open_requests: dict[int, Open] = {}
        remaining = iter(requests)
        sent = 0
        exhausted = finished_all = False
        try:
            while True:
                while not exhausted and (not workers or min(w.outstanding for w in workers) < WINDOW):
                    request = next(remaining, None)
                    if request is None:
                        exhausted = True
                        break
                    workers = workers or self._start(answers)
                    job = self._fitting(request)
                    if job.tokens_needed() > self.facts["context"]:
                        yield from job.too_long()
                        continue
                    worker = min(workers, key=lambda one: one.outstanding)
                    open_requests[sent] = job
                    worker.outstanding += job.left
                    worker.send({"id": sent, **job.message()})
                    sent += 1
                if not open_requests:
                    break
                worker, line = answers.get()
                if line is None or "error" in line:
                    raise self._lost(worker, line, "in the middle of its work")
                job = open_requests[line["id"]]
                worker.outstanding -= 1
                if (answer := job.answer(line, self.renderer.profile)) is not None:
                    yield answer
                if not job.left:
                    del open_requests[line["id"]]
            finished_all = True
        finally:
            for worker in workers:
                worker.end(CLOSE_S if finished_all else 0)

    def _fitting(self, request: Request) -> Open:
        """With the first version of the prompt that leaves room for the answer, or the last."""
        context = self.facts["context"]
        room = min(request.sampling.max_tokens, context // 2)
        for shortened, prompt in enumerate(versions(request.prompt)):
            job = Open(request, self.renderer.render(prompt), shortened)
            if len(job.rendered.tokens) + room <= context:
                break
        return job

    def _start(self, answers: queue.Queue[Any]) -> list[Worker]:
        """Start as many engines as work in parallel, and wait until all are ready. Raises InfrastructureError."""
        where = {"backend": self.backend, "path": str(self.renderer.checkpoint.path), "token_ids": self.token_ids}
        settings = {**asdict(self.options), **where}
        self.say(f"{self.name}: starting {self.backend}; its log is {self.log}")
        workers: list[Worker] = []
        try:
            for at in range(self.options.data_parallel):
                log = self.log if at == 0 else self.log.with_suffix(f".{at}{self.log.suffix}")
                workers.append(Worker(settings, self._environment(at), log, answers))
            while not all(worker.facts for worker in workers):
                worker, line = answers.get()
                if line is None or "error" in line:
                    raise self._lost(worker, line, "while it started")
                worker.facts = line["ready"]
        except BaseException:
            for worker in workers:
                worker.end(0)
            raise
        self.facts = workers[0].facts
        self.say(
            f"{self.name}: {self.facts['engine']} on {self.facts['device']}, {self.facts['context']} tokens of context"
        )
        return workers

    def _environment(self, at: int) -> dict[str, str]:
        """Each of several engines has processors of its own."""
        found = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "VLLM_NO_USAGE_STATS": "1"}
        if self.options.data_parallel > 1:
            each = self.options.tensor_parallel * self.options.pipeline_parallel
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
            if len(visible) < each * self.options.data_parallel:
                visible = [str(device) for device in range(each * self.options.data_parallel)]
            found["CUDA_VISIBLE_DEVICES"] = ",".join(visible[at * each : (at + 1) * each])
        return found

    def _lost(self, worker: Worker, line: dict[str, Any] | None, when: str) -> InfrastructureError:
        status = worker.end(5.0 if line else 0.5)
        said = line["error"] if line else ""
        if not said or any(vague in said for vague in VAGUE):
            said = root_cause(worker.log) or said
        if not said:
            said = f"killed by signal {-status}" if status < 0 else f"exit status {status}"
            said += ", from outside or for want of memory" if status == -signal.SIGKILL else ""
        short = " ".join(said.split())[:300]
        return InfrastructureError(
            f"{self.backend}: the engine ended {when} ({short}); see {worker.log}, and start the same command again"
        )


class Open:
    """A request in an engine's hands."""

    def __init__(self, request: Request, rendered: Rendered, shortened: int = 0) -> None:
        self.request, self.rendered, self.shortened = request, rendered, shortened
        self.left = len(rendered.continuations) or len(request.numbers)
        self.logprobs: dict[int, list[float]] = {}

    def tokens_needed(self) -> int:
        """The prompt, and room for a first token of the answer."""
        return len(self.rendered.tokens) + max(map(len, self.rendered.continuations), default=1)

    def too_long(self) -> Iterator[Answer]:
        for number in self.request.numbers:
            completion = Completion("", finish_reason="prompt_too_long", prompt_tokens=len(self.rendered.tokens))
            yield Answer(self.request, number, replace(completion, shortened=self.shortened))

    def message(self) -> dict[str, Any]:
        if self.rendered.continuations:
            return {
                "tokens": list(self.rendered.tokens),
                "continuations": [list(c) for c in self.rendered.continuations],
            }
        sampling = self.request.sampling
        return {
            "tokens": list(self.rendered.tokens),
            "seeds": [(number, self.request.seed(number)) for number in self.request.numbers],
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "max_tokens": sampling.max_tokens,
            "stop": list(sampling.stop),
            "stop_tokens": list(self.rendered.stop_tokens),
        }

    def answer(self, line: dict[str, Any], profile: Any) -> Answer | None:
        """The sample that this line of the engine completes, or None where it takes more lines."""
        self.left -= 1
        if "logprobs" in line:
            self.logprobs[line["number"]] = line["logprobs"][len(self.rendered.tokens) :]
            return None if self.left else chosen(self.request, self.logprobs, len(self.rendered.tokens))
        completion = finished(self.request, line["text"], line["reason"], profile, self.rendered.thinking)
        counts = {"prompt_tokens": len(self.rendered.tokens), "tokens": line["tokens"], "shortened": self.shortened}
        return Answer(self.request, line["number"], replace(completion, **counts))


def finished(request: Request, text: str, reason: str | None, profile: Any, thinking: bool = False) -> Completion:
    """A completion as the rest of the harness knows it: thoughts apart, and nothing from the first stop string on.

    Engines stop at stop strings themselves; a server may not know all of them, or return more than one.
    """
    thoughts, answer = profile.thoughts_and_answer(text, thinking)
    ends = [at for stop in request.sampling.stop if (at := answer.find(stop)) >= 0]
    if ends:
        answer, reason = answer[: min(ends)], "stop"
    form: Literal["whole", "continuation"] = "whole" if is_chat(request.prompt) else "continuation"
    return Completion(answer, form, "length" if reason == "length" else "stop", thoughts=thoughts)


def chosen(request: Request, logprobs: dict[int, list[float]], prompt_tokens: int | None) -> Answer:
    """The continuation with the highest log-probability, normalised as the prompt says; the first among equals."""
    assert isinstance(request.prompt, Choice)
    texts = request.prompt.continuations
    sums = [sum(logprobs[at]) for at in range(len(texts))]
    lengths = {
        "none": [1] * len(texts),
        "tokens": [len(logprobs[at]) for at in range(len(texts))],
        "characters": [len(text) for text in texts],
    }[request.prompt.normalisation]
    best = max(range(len(texts)), key=lambda at: sums[at] / max(lengths[at], 1))
    completion = Completion(texts[best], prompt_tokens=prompt_tokens, tokens=0, logprobs=tuple(sums))
    return Answer(request, request.numbers[0], completion)


def root_cause(log: Path) -> str:
    """The last exception of a log that says something: an engine's own processes die before their parents say so."""
    with contextlib.suppress(OSError):
        found = [match[0] for match in CAUSE.finditer(log.read_text(errors="replace")[-200_000:])]
        return next((one for one in reversed(found) if not any(vague in one for vague in VAGUE)), "")
    return ""
