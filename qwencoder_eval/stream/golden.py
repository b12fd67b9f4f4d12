"""Run a benchmark's golden vectors: answers whose verdicts its author wrote down."""

from __future__ import annotations

from collections.abc import Mapping

from ..benchmark import Benchmark, profile
from ..errors import InfrastructureError, QcevalError
from ..sandboxes.base import Backend
from ..sandboxes.pool import Pool
from ..scoring.base import cut
from ..scoring.references import References
from ..types import Completion, Sample, is_chat
from .evaluate import Judge


def said(checks: Mapping[str, str]) -> str:
    return ", ".join(f"{check} {outcome}" for check, outcome in checks.items())


def failing(benchmark: Benchmark, backend: Backend) -> list[str]:
    """A line for each vector whose verdict is another than expected; empty where all hold.

    Raises InfrastructureError where the language of the benchmark cannot be had here.
    """
    lines = []
    with Pool(backend, 1) as pool:
        for number, vector in enumerate(benchmark.golden):
            chosen = profile(benchmark, vector.profile or None)
            try:
                problem = benchmark.problem(dict(vector.row))
                references = References(chosen.scoring.scorer, backend)
                references.prepare([problem], 1, lambda done, total: None)
                form = "whole" if is_chat(chosen.prompt(problem)) else "continuation"  # as an engine has it
                sample = Sample(problem.id, 0, Completion(vector.output, form))  # type: ignore[arg-type]
                judged = Judge(chosen.scoring, references, pool, None, {}).judge(problem, sample)
            except (QcevalError, KeyError, TypeError, ValueError) as error:
                if type(error) is InfrastructureError:
                    raise  # an image that cannot be built concerns all vectors
                lines.append(f"golden[{number}]: {type(error).__name__}: {error}")
                continue
            found = {check: outcome.value for check, outcome in judged.checks.items()}
            if found != dict(vector.expect):
                evidence = "".join(f"; {name} {cut(text, 200)}" for name, text in judged.evidence.items())
                lines.append(f"golden[{number}]: expected {said(vector.expect)}, got {said(found)}{evidence}")
    return lines
