"""What a model is to the harness: something that answers requests, in any order, as soon as it can."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from ..types import Completion, Problem, Prompt, Sampling


@dataclass(frozen=True, slots=True)
class Request:
    """Ask for the samples ``numbers`` of one problem of one benchmark."""

    benchmark: str
    problem: Problem
    prompt: Prompt
    sampling: Sampling
    numbers: tuple[int, ...]

    def seed(self, number: int) -> int:
        """A seed of its own for each sample (31 bits), so that a sample is the same whatever else is asked for."""
        text = f"{self.sampling.seed}\0{self.problem.id}\0{number}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4]) >> 1


@dataclass(frozen=True, slots=True)
class Answer:
    """One sample of a request: a completion, or the reason why there is none; a later run asks for it again."""

    request: Request
    number: int
    completion: Completion | None
    reason: str = ""

    @property
    def problem(self) -> str:
        return self.request.problem.id


class Model(Protocol):
    name: str  # as in results/NAME/...
    instant: bool  # answers at once: then scoring is what takes time, and goes first

    def key(self) -> dict[str, Any]:
        """What completions rest on besides prompt and sampling: revision, tokenizer, template, file hash."""
        ...

    def rendered(self, prompt: Prompt) -> Any:
        """The prompt as this model is given it, as a JSON value. Raises UsageError where it cannot be given it."""
        ...

    def provenance(self) -> dict[str, Any]:
        """What a run records of it and never compares."""
        ...

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        """Every requested sample exactly once, as they finish. Requests are drawn as they are needed.

        Closed before its end, it leaves nothing running. Raises InfrastructureError where nothing more can be had from
        this model.
        """
        ...
