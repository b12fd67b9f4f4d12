"""What a model is to the harness: something that answers requests, in any order, as soon as it can."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from ..types import Problem, Prompt, Sample, Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for the samples ``numbers`` of one problem."""

    problem: Problem
    prompt: Prompt
    sampling: Sampling
    numbers: tuple[int, ...]


class Model(Protocol):
    name: str  # as in results/NAME/...

    def key(self) -> dict[str, Any]:
        """What completions rest on besides prompt and sampling: revision, tokenizer, template, file hash."""
        ...

    def generate(self, requests: Iterable[Request]) -> Iterator[Sample]:
        """Completions as they finish, every requested one exactly once. Requests are drawn as they are needed."""
        ...
