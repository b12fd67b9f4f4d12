"""Completions that a model has made before: another scoring, more problems or more samples ask only for what is new.

A completion is taken again only where everything that it rests on is the same: the model's revision, tokenizer, chat
template, profile and engine options, the tokens of the prompt, and the sampling with the sample's own seed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterable
from dataclasses import asdict, replace
from typing import Any

from ..runs.cache import Cache
from ..types import Completion, Prompt, plain
from .base import Answer, Request
from .engine import EngineModel


class Remembered:
    """An engine's model, with the answers that are known already."""

    instant = False

    def __init__(self, model: EngineModel, cache: Cache) -> None:
        self.model, self.cache, self.name = model, cache, model.name
        self.known = 0  # completions that were not generated again
        self._rests_on = json.dumps(model.key(), sort_keys=True)

    def key(self) -> dict[str, Any]:
        return self.model.key()

    def rendered(self, prompt: Prompt) -> Any:
        return self.model.rendered(prompt)

    def provenance(self) -> dict[str, Any]:
        return self.model.provenance()

    def generate(self, requests: Iterable[Request]) -> Generator[Answer, None, None]:
        """What is known comes first; the engine starts only where something is left to generate."""
        left = []
        for request in requests:
            missing = []
            for number, key in self._keys(request):
                completion = completion_of(self.cache.get(key))
                if completion is None:
                    missing.append(number)
                else:
                    self.known += 1
                    yield Answer(request, number, completion)
            if missing:
                left.append(replace(request, numbers=tuple(missing)))
        for answer in self.model.generate(left):
            if answer.completion is not None and answer.completion.finish_reason != "prompt_too_long":
                ((_, key),) = self._keys(replace(answer.request, numbers=(answer.number,)))
                self.cache.put(key, asdict(answer.completion))
            yield answer

    def _keys(self, request: Request) -> list[tuple[int, bytes]]:
        rendered = self.model.renderer.render(request.prompt)
        sampling = {name: value for name, value in asdict(request.sampling).items() if name not in ("n", "seed")}
        prompt = [rendered.tokens, rendered.stop_tokens, rendered.continuations, plain(request.prompt)]
        rests_on = hashlib.sha256(f"{self._rests_on}{json.dumps([prompt, sampling])}".encode("utf-8", "surrogatepass"))
        found = []
        for number in request.numbers:
            each = rests_on.copy()
            each.update(str(request.seed(number) if request.sampling.temperature else "greedy").encode())
            found.append((number, each.digest()))
        return found


def completion_of(document: dict[str, Any] | None) -> Completion | None:
    """From the cache; None where it is not there or not a completion."""
    if document is None:
        return None
    try:
        completion = Completion(**{**document, "logprobs": tuple(document["logprobs"])})
    except (TypeError, KeyError):
        return None
    return completion if isinstance(completion.text, str) else None
