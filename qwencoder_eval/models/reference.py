"""The reference solutions as a model: what `qceval run` answers with when no model is named."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..errors import InputError
from ..types import Completion, Sample
from .base import Request


class ReferenceModel:
    name = "reference"

    def key(self) -> dict[str, Any]:
        return {"model": "reference"}

    def generate(self, requests: Iterable[Request]) -> Iterator[Sample]:
        for request in requests:
            if request.problem.reference is None:
                raise InputError(f"{request.problem.id}: has no reference solution; name a --model")
            for number in request.numbers:
                completion = Completion(request.problem.reference, finish_reason="reference")
                yield Sample(request.problem.id, number, completion)
