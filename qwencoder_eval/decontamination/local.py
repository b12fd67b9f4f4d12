"""Shards on this machine: a process for each core, one shard at a time in each.

A process that dies takes no other down: its shard has a fault, and a fresh process goes on with the next one.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection, wait
from typing import Any

from ..errors import InfrastructureError
from .corpus import Job, Shard

Tick = Callable[[int], None]


def prepare(parquet: bool = False) -> Any:
    """Begin what workers are forked from, which takes a second: others have things to do meanwhile.

    ``parquet``: it has Arrow, too.
    """
    os.environ.setdefault("MALLOC_ARENA_MAX", "1")  # glibc: else each of Arrow's threads keeps memory of its own
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["qwencoder_eval.decontamination.warm", *["pyarrow.parquet"] * parquet])
    forkserver.ensure_running()
    return context


def run(shards: Iterable[Shard], job: Job, workers: int, tick: Tick) -> Iterator[dict[str, Any]]:
    """The results of all shards as they come. ``tick``: stored bytes that were read since the last call.

    Closed before its end it ends its processes.
    """
    context = prepare()
    left = iter(shards)
    busy: dict[Connection, tuple[Any, Shard]] = {}
    idle: list[tuple[Connection, Any]] = []

    def begin() -> None:
        for shard in left:
            connection, process = idle.pop() if idle else _started(context, job)
            connection.send(shard)
            busy[connection] = process, shard
            return

    try:
        for _ in range(workers):
            begin()
        while busy:
            for connection in wait(list(busy)):
                assert isinstance(connection, Connection)
                process, shard = busy[connection]
                try:
                    kind, said = connection.recv()
                except (EOFError, OSError):
                    del busy[connection]
                    process.join()
                    yield died(shard, f"its process ended by {_how(process.exitcode)}")
                    begin()
                    continue
                if kind == "read":
                    tick(said)
                    continue
                del busy[connection]
                idle.append((connection, process))
                if kind == "raised":
                    raise said
                yield said
                begin()
    finally:
        for connection, process in [*((each, process) for each, (process, _) in busy.items()), *idle]:
            connection.close()
            if connection in busy:
                process.kill()
            process.join()


def _started(context: Any, job: Job) -> tuple[Connection, Any]:
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(theirs, job), daemon=True)
    process.start()
    theirs.close()
    return ours, process


def _work(connection: Connection, job: Job) -> None:
    """A process: shard after shard until the other end is closed, by a harness that ended or was killed."""
    from .shard import scan_shard

    with suppress(EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
        while True:
            shard = connection.recv()
            try:
                result = scan_shard(shard, job, lambda read: connection.send(("read", read)))
            except (EOFError, BrokenPipeError, ConnectionResetError, KeyboardInterrupt):
                raise
            except Exception as error:
                connection.send(("raised", error))
            else:
                connection.send(("done", result))
    os._exit(0)  # whatever a library has open: nothing is left to do


def died(shard: Shard, how: str) -> dict[str, Any]:
    """The result of a shard whose process ended, or was given up: ``how``, in words."""
    fault = {"place": shard.name, "fault": f"{how}; start the same command again"}
    return {
        "shard": shard.name, "state": None, "whole": False, "written": False, "documents": 0, "bytes": 0, "hit": 0,
        "unchecked": 0, "binary": 0, "long": 0, "faults": [fault], "fault_count": 1, "items": {}, "rules": {},
        "examples": {},
    }  # fmt: skip


def _how(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"status {status}"


def apart(function: Callable[..., Any], *given: Any) -> Any:
    """Call it in a process of its own, whose memory is gone then. Raises what it raises."""
    context = prepare()
    ours, theirs = context.Pipe()
    process = context.Process(target=_call, args=(theirs, function, given), daemon=True)
    process.start()
    theirs.close()
    try:
        kind, said = ours.recv()
    except EOFError:
        process.join()
        raise InfrastructureError(
            f"index: the process that builds it ended by {_how(process.exitcode)}; give it more memory, or less to find"
        ) from None
    process.join()
    if kind == "raised":
        raise said
    return said


def _call(connection: Connection, function: Callable[..., Any], given: tuple[Any, ...]) -> None:
    try:
        connection.send(("done", function(*given)))
    except Exception as error:
        connection.send(("raised", error))
