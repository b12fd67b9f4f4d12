"""vLLM's engine, stepped by hand: requests go in while others run, and completions come out as they finish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

import vllm
from vllm import SamplingParams
from vllm.engine.arg_utils import EngineArgs
from vllm.platforms import current_platform
from vllm.sampling_params import RequestOutputKind
from vllm.usage.usage_lib import UsageContext
from vllm.v1.engine.llm_engine import LLMEngine

from .stretching import stretched
from .worker import Job

GPU_MEMORY, CPU_MEMORY = 0.9, 0.25  # shares that an engine takes; a CPU's memory is for the sandboxes, too


class VllmEngine:
    def __init__(self, settings: dict[str, Any]) -> None:
        self.lora = None
        self.token_ids = settings["token_ids"]
        args: dict[str, Any] = {
            "model": settings["path"],
            "dtype": settings["dtype"],
            "seed": 0,
            "enable_prefix_caching": settings["prefix_caching"],
            "tensor_parallel_size": settings["tensor_parallel"],
            "pipeline_parallel_size": settings["pipeline_parallel"],
            "gpu_memory_utilization": settings["gpu_memory"]
            or (CPU_MEMORY if current_platform.is_cpu() else GPU_MEMORY),
            # A graph takes longer to compile on a CPU than it saves.
            "enforce_eager": settings["eager"] or current_platform.is_cpu(),
            "generation_config": "vllm",  # the benchmark says how to sample, not the model's folder
            "disable_log_stats": True,
        }
        if current_platform.is_cpu():
            # A prompt in pieces puts a request's random numbers back, which torch cannot do on a CPU
            # (vllm 0.32.0, v1/worker/gpu_model_runner.py, _bookkeeping_sync): the engine dies of it.
            args["enable_chunked_prefill"] = False
        if settings["quantization"]:
            args["quantization"] = settings["quantization"]
        if settings["max_model_len"]:
            args["max_model_len"] = settings["max_model_len"]
        if settings["yarn"]:
            args["hf_overrides"] = stretched(settings["path"], settings["yarn"])
        if settings["lora"]:
            from vllm.lora.request import LoRARequest

            rank = int(json.loads((Path(settings["lora"]) / "adapter_config.json").read_text())["r"])
            args |= {"enable_lora": True, "max_lora_rank": max(rank, 8)}
            self.lora = LoRARequest("adapter", 1, settings["lora"])
        args |= settings["engine_args"]
        # As vllm.LLM: the size of a batch goes with what the engine is used for.
        self.engine = LLMEngine.from_engine_args(EngineArgs(**args), UsageContext.LLM_CLASS)

    def facts(self) -> dict[str, Any]:
        config = self.engine.model_config
        return {
            "context": config.max_model_len,
            "engine": f"vllm {vllm.__version__}",
            "device": f"{current_platform.get_device_name() or current_platform.device_type}, {config.dtype}",
        }

    def add(self, job: Job) -> None:
        if "continuations" in job:
            params = SamplingParams(
                max_tokens=1, temperature=0, prompt_logprobs=0, output_kind=RequestOutputKind.FINAL_ONLY
            )
            for at, continuation in enumerate(job["continuations"]):
                prompt = {"prompt_token_ids": job["tokens"] + continuation}
                self.engine.add_request(f"{job['id']} {at}", prompt, params, lora_request=self.lora)
            return
        common = SamplingParams(
            temperature=job["temperature"],
            top_p=job["top_p"],
            max_tokens=job["max_tokens"],
            stop=job["stop"],
            stop_token_ids=job["stop_tokens"],
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        prompt = {"prompt_token_ids": job["tokens"]}
        for number, seed in job["seeds"]:
            params = copy(common)
            params.seed = seed if job["temperature"] else None
            self.engine.add_request(f"{job['id']} {number}", prompt, params, lora_request=self.lora)

    def busy(self) -> bool:
        return bool(self.engine.has_unfinished_requests())

    def step(self) -> Iterator[dict[str, Any]]:
        for output in self.engine.step():
            if not output.finished:
                continue
            job, number = map(int, output.request_id.split())
            if output.prompt_logprobs is not None:
                # Of the whole text; the harness knows where the continuation begins.
                found = [next(iter(at.values())).logprob if at else None for at in output.prompt_logprobs]
                yield {"id": job, "number": number, "logprobs": found}
                continue
            (made,) = output.outputs
            ids = list(made.token_ids)
            answer = {"id": job, "number": number, "text": made.text, "reason": made.finish_reason, "tokens": len(ids)}
            yield {**answer, "token_ids": ids} if self.token_ids else answer

    def close(self) -> None:
        self.engine.engine_core.shutdown()
