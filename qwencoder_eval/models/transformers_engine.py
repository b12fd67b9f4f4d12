"""Generation with ``transformers``: batch after batch, for machines without vLLM and to hold vLLM against.

Decoding is written out, since a sample needs a seed of its own whatever else is in its batch.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer

from .stretching import stretched
from .worker import Job

BATCH = 16  # samples; on a GPU eight times as many


class Row:
    """A sample that is being generated."""

    def __init__(self, job: Job, number: int, seed: int, device: torch.device) -> None:
        self.job, self.number = job, number
        self.ids: list[int] = []
        self.generator = torch.Generator(device).manual_seed(seed)
        self.done: dict[str, Any] | None = None


class TransformersEngine:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        dtype = settings["dtype"]
        self.tokenizer = AutoTokenizer.from_pretrained(settings["path"], local_files_only=True)
        self.model = AutoModelForCausalLM.from_pretrained(
            settings["path"],
            local_files_only=True,
            **(stretched(settings["path"], settings["yarn"]) if settings["yarn"] else {}),
            dtype="auto" if dtype == "auto" else getattr(torch, dtype),
        )
        if settings["lora"]:
            from peft import PeftModel

            self.model = PeftModel.from_pretrained(self.model, settings["lora"])
        self.model.to(self.device).eval()
        self.context = settings["max_model_len"] or self.model.config.max_position_embeddings
        self.batch = BATCH if self.device.type == "cpu" else 8 * BATCH
        self.token_ids = settings["token_ids"]
        self.waiting: deque[Any] = deque()  # of Row, and of jobs with continuations
        self.rows: list[Row] = []
        self.mask = torch.empty(0)
        self.cache: Any = None
        self.next = torch.empty(0)

    def facts(self) -> dict[str, Any]:
        dtype = str(self.model.dtype).removeprefix("torch.")
        device = torch.cuda.get_device_name() if self.device.type == "cuda" else "CPU"
        return {
            "context": self.context,
            "engine": f"transformers {transformers.__version__}",
            "device": f"{device}, {dtype}",
        }

    def add(self, job: Job) -> None:
        if "continuations" in job:
            self.waiting.append(job)
        else:
            self.waiting.extend(Row(job, number, seed, self.device) for number, seed in job["seeds"])

    def busy(self) -> bool:
        return bool(self.waiting or self.rows)

    def step(self) -> Iterator[dict[str, Any]]:
        with torch.inference_mode():
            yield from self.round()

    def round(self) -> Iterator[dict[str, Any]]:
        if not self.rows:
            if isinstance(self.waiting[0], dict):
                yield from self.choice(self.waiting.popleft())
                return
            while self.waiting and isinstance(self.waiting[0], Row) and len(self.rows) < self.batch:
                self.rows.append(self.waiting.popleft())
            logits = self.prefill()
        else:
            ones = torch.ones((len(self.rows), 1), dtype=self.mask.dtype, device=self.device)
            self.mask = torch.cat([self.mask, ones], dim=1)
            logits = self.forward(self.next[:, None])
        self.next = self.choose(logits)
        for row, token in zip(self.rows, self.next.tolist(), strict=True):
            if row.done is None and (answer := self.take(row, token)):
                row.done = answer
                yield answer
        if all(row.done for row in self.rows):
            self.rows, self.cache = [], None

    def prefill(self) -> torch.Tensor:
        """All prompts of a batch at once, padded on the left."""
        width = max(len(row.job["tokens"]) for row in self.rows)
        pad = self.tokenizer.pad_token_id or 0
        ids = [[pad] * (width - len(row.job["tokens"])) + row.job["tokens"] for row in self.rows]
        self.mask = torch.tensor(
            [[0] * (width - len(row.job["tokens"])) + [1] * len(row.job["tokens"]) for row in self.rows],
            device=self.device,
        )
        return self.forward(torch.tensor(ids, device=self.device))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        positions = (self.mask.cumsum(-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        found = self.model(
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self.cache = found.past_key_values
        logits: torch.Tensor = found.logits[:, -1].float()
        return logits

    def choose(self, logits: torch.Tensor) -> torch.Tensor:
        chosen = logits.argmax(-1)
        for at, row in enumerate(self.rows):
            if row.job["temperature"] and row.done is None:
                chosen[at] = sampled(logits[at] / row.job["temperature"], row.job["top_p"], row.generator)
        return chosen

    def take(self, row: Row, token: int) -> dict[str, Any] | None:
        """The row's answer, where this token ends it."""
        job = row.job
        row.ids.append(token)
        ended = token in job["stop_tokens"]
        text = self.tokenizer.decode(row.ids[:-1] if ended else row.ids, skip_special_tokens=True)
        reason = "stop" if ended else None
        if not ended and (ends := [text.find(stop) for stop in job["stop"] if stop in text]):
            text, reason = text[: min(ends)], "stop"
        if reason is None and (len(row.ids) >= job["max_tokens"] or len(job["tokens"]) + len(row.ids) >= self.context):
            reason = "length"
        if reason is None:
            return None
        answer = {"id": job["id"], "number": row.number, "text": text, "reason": reason, "tokens": len(row.ids)}
        return {**answer, "token_ids": row.ids} if self.token_ids else answer

    def choice(self, job: Job) -> Iterator[dict[str, Any]]:
        for at, continuation in enumerate(job["continuations"]):
            ids = torch.tensor([job["tokens"] + continuation], device=self.device)
            likely = self.model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
            found = likely.gather(1, ids[0, 1:, None])[:, 0].tolist()
            yield {"id": job["id"], "number": at, "logprobs": [None, *found]}

    def close(self) -> None:
        pass


def sampled(logits: torch.Tensor, top_p: float, generator: torch.Generator) -> torch.Tensor:
    """One token of the smallest set of likeliest tokens that together have at least ``top_p``."""
    likely = logits.softmax(-1)
    if top_p < 1:
        ordered, order = likely.sort(descending=True)
        outside = ordered.cumsum(-1) - ordered >= top_p
        likely[order[outside]] = 0
    return torch.multinomial(likely, 1, generator=generator)[0]
