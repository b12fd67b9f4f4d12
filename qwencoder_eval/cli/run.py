"""`qceval run`: generate and score."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from ..config import results_folder
from ..errors import UsageError
from ..models.base import Model
from ..models.choose import ready
from ..models.reference import ReferenceModel
from ..models.replay import ReplayModel
from . import generation, options
from .evaluation import evaluate, finish, load
from .options import say


@click.command("run")
@click.option("--bench", required=True, metavar="NAME[,NAME]", help="Benchmarks; see qceval list.")
@click.option("--backend", type=click.Choice(generation.BACKENDS), default="auto", show_default=True)
@click.option("--samples", type=click.Path(path_type=Path), metavar="FILE", help="Recorded outputs, for replay.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only the first N problems.")
@click.option("--no-score", is_flag=True, help="Generate only; the same command without it scores.")
@options.profile
@generation.asking
@generation.sampling
@generation.engine
@generation.server
@options.haystack
@options.running
def run_command(
    bench: str, backend: str, samples: Path | None, profile_name: str | None, limit: int | None, n: int | None,
    temperature: float | None, top_p: float | None, max_tokens: int | None, seed: int | None, **flags: Any,
) -> int:  # fmt: skip
    """Generate and score. Without --model the reference solutions are run. Killed or interrupted, the same command
    continues.

    Example: qceval run --bench humaneval,starter --model Qwen/Qwen2.5-Coder-7B
    """
    wanted = generation.wanted(flags)
    sampling = {
        "limit": limit, "n": n, "temperature": temperature, "top_p": top_p, "max_tokens": max_tokens, "seed": seed,
    }  # fmt: skip
    with ExitStack() as stack:
        model: Model
        if samples is not None or backend == "replay":
            if samples is None:
                raise UsageError("--backend replay: give the recorded outputs with --samples FILE")
            if given := [name for name, value in sampling.items() if value is not None]:
                named = ", ".join(f"{'-' if name == 'n' else '--'}{name.replace('_', '-')}" for name in given)
                raise UsageError(f"--samples: recorded outputs are scored as they are; drop {named}")
            model = ReplayModel(samples, wanted.model or None)
        elif wanted.model in ("", "reference") or backend == "reference":
            if wanted.server or backend not in ("auto", "reference"):
                raise UsageError(f"--backend {backend}: which model? name it with --model")
            model = ReferenceModel()
        else:
            load(bench, flags["plugins"])  # a wrong name is said before a model is looked for
            out, cached = flags["out"] or results_folder(), not flags["no_cache"]
            model = stack.enter_context(ready(wanted, backend, out, cached, say))
        benches = load(bench, flags["plugins"])
        return finish(evaluate(benches, model, profile_name, flags, sampling), flags["as_json"])
