"""The same shards on a Ray cluster: Ray Data hands them out, and does again what a lost node had.

The output folder lies on a disk that all nodes share, and so does the corpus, unless it has an address. A shard leaves
nothing before it is whole, so it does no harm when two nodes do the same one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
import socket
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError
from . import outputs
from .corpus import Job, Shard
from .local import Tick, died
from .shard import scan_shard

TRIES = 10  # of a shard whose process or node is lost: Ray Data would go on for ever with one that takes them down
STORE = 256 << 20  # bytes of shared memory on a machine of its own: results are small
BLOCK = 1 << 20  # bytes of results that Ray Data takes a task to have, and allots memory for, before it knows
ANSWER_S = 10  # Ray itself goes on for minutes


def run(shards: Iterable[Shard], job: Job, tick: Tick) -> Iterator[dict[str, Any]]:
    """The results of all shards as they come, from the cluster of RAY_ADDRESS, or one of this machine.

    Raises InfrastructureError without Ray or a cluster, and what a task raises.
    """
    ray = _imported()
    asked = [{"shard": json.dumps(asdict(shard))} for shard in shards]
    if not asked:
        return
    job = _shared(job)
    ours = not ray.is_initialized()
    try:
        if ours:
            _connect(ray)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.target_max_block_size = BLOCK
        data = ray.data.from_items(asked, override_num_blocks=len(asked))  # a task each
        for row in data.map(_Task(job), num_cpus=1).iter_rows():
            kind, said = pickle.loads(row["said"])  # noqa: S301  of our own task
            if kind == "raised":
                raise said
            tick(row["size"])
            yield said
    except ray.exceptions.RayError as error:
        raise InfrastructureError(f"ray: {_line(error)}; start the same command again") from None
    finally:
        if ours:
            ray.shutdown()
        outputs.clear(Path(job.out))  # what lost processes left
        shutil.rmtree(Path(job.index).parent, ignore_errors=True)


def _imported() -> Any:
    """Ray, with nothing to say to a terminal or to its makers, unless the environment wants it otherwise."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")  # what it prints on standard output of nodes that are lost
    if not os.environ.get("RAY_ADDRESS"):
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")  # on Linux: listen on the loopback address only
    try:
        import ray
        import ray.data
        import ray.exceptions
    except ImportError:
        raise InfrastructureError("ray is not installed; pip install 'qwencoder_eval[ray]'") from None
    for handler in logging.getLogger("ray.data").handlers:
        if isinstance(handler, logging.StreamHandler):  # the other one writes to Ray's own folder
            handler.setLevel(logging.CRITICAL)
    return ray


def _connect(ray: Any) -> None:
    """Raises InfrastructureError where the cluster does not answer, or not as it should."""
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get("RAY_ADDRESS")
    try:
        if not address:
            ray.init("local", include_dashboard=False, object_store_memory=STORE, **quiet)
            return
        host, colon, port = address.rpartition(":")
        if colon and "/" not in address:
            socket.create_connection((host.strip("[]"), int(port)), ANSWER_S).close()
        ray.init(address, **quiet)
    except Exception as error:  # of many kinds, not only Ray's own
        raise InfrastructureError(
            f"ray: RAY_ADDRESS {address or 'is not set'}: {_line(error)}; start a cluster, and this on one of its nodes"
        ) from None


def _line(error: BaseException) -> str:
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said if len(said) <= 300 else '…' + said[-300:]}".rstrip(".")


def _shared(job: Job) -> Job:
    """The index where all nodes see it. Raises InfrastructureError where it cannot be put there."""
    folder = Path(job.out).resolve() / "ray"
    try:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "tries").mkdir(parents=True)
        shutil.copytree(job.index, folder / "index")
    except OSError as error:
        raise InfrastructureError(f"{folder}: cannot be written ({error.strerror}); make room and run again") from None
    return replace(job, index=str(folder / "index"), out=str(folder.parent))


class _Task:
    """What a node does with a shard."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        shard = Shard(**json.loads(row["shard"]))
        try:
            said = "done", self._scan(shard)
        except Exception as error:  # to be raised over there as what it is, and not as one of Ray's
            return {"said": pickle.dumps(("raised", error)), "size": 0}
        return {"said": pickle.dumps(said), "size": shard.size}

    def _scan(self, shard: Shard) -> dict[str, Any]:
        tries = Path(self.job.index).with_name("tries") / hashlib.sha256(shard.name.encode()).hexdigest()
        try:
            with tries.open("ab") as file:
                file.write(b".")
            number = tries.stat().st_size
        except OSError as error:
            raise InfrastructureError(
                f"{self.job.out}: cannot be written on {socket.gethostname()} ({error.strerror}); --out must be on a "
                "disk that all nodes share"
            ) from None
        if number > TRIES:
            return died(shard, f"its process or its node was lost {TRIES} times")
        result = scan_shard(shard, self.job)
        tries.unlink(missing_ok=True)
        return result
