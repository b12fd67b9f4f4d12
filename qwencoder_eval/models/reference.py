"""The reference solutions as a model: what `qceval run` answers with when no model is named."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from ..errors import InputError
from ..types import Completion, Prompt, plain
from .base import Answer, Request


class ReferenceModel:
    name = "reference"
    instant = True

    def key(self) -> dict[str, Any]:
        return {"model": "reference"}

    def rendered(self, prompt: Prompt) -> Any:
        return plain(prompt)

    def provenance(self) -> dict[str, Any]:
        return {}

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        for request in requests:
            if request.problem.reference is None:
                raise InputError(f"{request.problem.id}: has no reference solution; name a --model")
            for number in request.numbers:
                completion = Completion(request.problem.reference, finish_reason="reference")
                yield Answer(request, number, completion)
