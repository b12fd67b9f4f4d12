"""The process that an engine runs in: ``python -m qwencoder_eval.models.worker``.

JSON lines. In: the settings, then jobs, then ``{"close": true}``. Out: ``{"ready": facts}``, then answers, or
``{"error": text}`` as the last line. An engine is imported, started and stepped here, so that the harness stays small,
keeps its own pace, and outlives whatever happens to the engine. The process leads a process group of its own, and the
whole group ends when its standard input does: nothing of an engine outlives the harness, however that ends.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any, Protocol, TextIO

Job = dict[str, Any]


class Engine(Protocol):
    """A job has ``id`` and ``tokens``; then ``seeds`` (sample number, seed) with the sampling, or ``continuations``.

    An answer has ``id`` and ``number``; then ``text``, ``reason`` and ``tokens`` (how many; the setting ``token_ids``
    adds which), or, for each continuation, ``logprobs`` of every token of prompt and continuation, None for the first.
    """

    def facts(self) -> dict[str, Any]:
        """``context`` (tokens), ``engine`` and ``device`` in words."""
        ...

    def add(self, job: Job) -> None: ...

    def busy(self) -> bool: ...

    def step(self) -> Iterator[dict[str, Any]]:
        """One round of work, and what it finished."""
        ...

    def close(self) -> None: ...


def start(settings: dict[str, Any]) -> Engine:
    if settings["backend"] == "vllm":
        from .vllm_engine import VllmEngine

        return VllmEngine(settings)
    from .transformers_engine import TransformersEngine

    return TransformersEngine(settings)


def read(jobs: queue.SimpleQueue[Job]) -> None:
    for line in sys.stdin:
        jobs.put(json.loads(line))
    os.killpg(0, signal.SIGKILL)  # the harness is gone


def serve(engine: Engine, jobs: queue.SimpleQueue[Job], out: TextIO) -> None:
    while True:
        while not engine.busy() or not jobs.empty():
            job = jobs.get()
            if "close" in job:
                return
            engine.add(job)
        finished = "".join(json.dumps(answer) + "\n" for answer in engine.step())
        if finished:
            out.write(finished)
            out.flush()


def main() -> None:
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to the log
    settings = json.loads(sys.stdin.readline())
    jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
    threading.Thread(target=read, args=(jobs,), daemon=True).start()
    try:
        engine = start(settings)
        print(json.dumps({"ready": engine.facts()}), file=out, flush=True)
        serve(engine, jobs, out)
        engine.close()
    except BaseException as error:
        said = " ".join(f"{type(error).__name__}: {error}".split())
        print(json.dumps({"error": said[:2000]}), file=out, flush=True)
        raise
    finally:
        out.close()


if __name__ == "__main__":
    main()
