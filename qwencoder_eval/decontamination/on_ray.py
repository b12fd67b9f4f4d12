"""The same shards on a Ray cluster: Ray Data hands them out, and does again what a lost node had.

The output folder lies on a disk that all nodes share, and so does the corpus, unless it has an address. A shard leaves
nothing before it is whole, so it does no harm when two nodes do the same one.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError
from .corpus import Job, Shard
from .local import Tick
from .shard import scan_shard


def run(shards: Iterable[Shard], job: Job, tick: Tick) -> Iterator[dict[str, Any]]:
    """The results of all shards as they come, from the cluster of RAY_ADDRESS, or one of this machine.

    Raises InfrastructureError without Ray or a cluster, and where tasks fail for good.
    """
    try:
        import ray
        from ray.exceptions import RayError
    except ImportError:
        raise InfrastructureError("ray is not installed; pip install 'qwencoder_eval[ray]'") from None
    asked = [{"shard": json.dumps(asdict(shard))} for shard in shards]
    if not asked:
        return
    job = _shared(job)
    ours = not ray.is_initialized()
    try:
        if ours:
            ray.init(address=os.environ.get("RAY_ADDRESS"), log_to_driver=False, logging_level=logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        data = ray.data.from_items(asked, override_num_blocks=len(asked))
        for row in data.map(_Task(job)).iter_rows():
            result: dict[str, Any] = json.loads(row["result"])
            tick(row["size"])
            yield result
    except (RayError, ConnectionError, ValueError) as error:
        said = " ".join(str(error).split())[-300:]
        raise InfrastructureError(f"ray: {type(error).__name__}: {said}; start the same command again") from None
    finally:
        if ours:
            ray.shutdown()


def _shared(job: Job) -> Job:
    """The index where all nodes see it. Raises InfrastructureError where it cannot be put there."""
    folder = Path(job.out) / "index"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(job.index, folder)
    except OSError as error:
        raise InfrastructureError(f"{folder}: cannot be written ({error.strerror}); make room and run again") from None
    return replace(job, index=str(folder.resolve()), out=str(Path(job.out).resolve()))


class _Task:
    """What a node does with a shard."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        given = json.loads(row["shard"])
        shard = Shard(**{**given, "paths": tuple(given["paths"])})
        return {"result": json.dumps(scan_shard(shard, self.job)), "size": shard.size}
