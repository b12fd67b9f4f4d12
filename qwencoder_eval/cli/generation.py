"""The options of `qceval run` that say which model answers and how, and what they mean."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import click

from ..errors import UsageError
from ..models.choose import Wanted
from ..models.engine import EngineOptions
from ..models.openai import ServerOptions
from .options import apply

ENGINES = ["auto", "vllm", "transformers", "openai"]
BACKENDS = [*ENGINES, "reference", "replay"]

asking = apply(
    click.option("--model", metavar="M", help="A folder, a hub's OWNER/NAME, or a server's name of it."),
    click.option("--revision", metavar="R", help="Of a hub's model."),
    click.option("--model-profile", "profile", metavar="P", help="How its family is asked; found out by looking."),
    click.option("--kind", type=click.Choice(["base", "chat"]), help="What it is; found out by looking."),
    click.option("--force", is_flag=True, help="Ask a base model like a chat model, or the reverse."),
    click.option("--system", metavar="TEXT", help="Another system prompt; '' for an empty one."),
    click.option(
        "--chat-template", "template", type=click.Path(path_type=Path), metavar="FILE", help="Instead of the model's."
    ),
)
sampling = apply(
    click.option("-n", "n", type=click.IntRange(1), metavar="N", help="Samples a problem."),
    click.option("--temperature", type=click.FloatRange(0, 2), metavar="T"),
    click.option("--top-p", type=click.FloatRange(0, 1, min_open=True), metavar="P"),
    click.option("--max-tokens", type=click.IntRange(1), metavar="N", help="Of a completion."),
    click.option("--seed", type=click.IntRange(0), metavar="N", help="Another one gives other samples."),
)
engine = apply(
    click.option("--dtype", type=click.Choice(["auto", "float32", "bfloat16", "float16"]), default="auto"),
    click.option("--quantization", default="", metavar="Q", help="As vLLM calls it: awq, gptq, fp8, bitsandbytes ..."),
    click.option("--max-model-len", type=click.IntRange(1), default=None, metavar="N", help="Context (tokens)."),
    click.option(
        "--yarn", type=click.FloatRange(1, min_open=True), default=None, metavar="F", help="Stretch the context."
    ),
    click.option("--lora", type=click.Path(), default="", metavar="DIR", help="A LoRA adapter over the model."),
    click.option("--tensor-parallel", type=click.IntRange(1), default=1, metavar="N", help="GPUs for each layer."),
    click.option("--pipeline-parallel", type=click.IntRange(1), default=1, metavar="N", help="GPUs in a row."),
    click.option("--data-parallel", type=click.IntRange(1), default=1, metavar="N", help="Engines side by side."),
    click.option("--gpu-memory", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE", help="0.9 by default."),
    click.option("--no-prefix-caching", is_flag=True, help="Work every prompt out from its first token."),
    click.option("--eager", is_flag=True, help="No compiled graphs: starts sooner, runs slower."),
    click.option("--engine-arg", "engine_args", multiple=True, metavar="NAME=VALUE", help="Any other of vLLM's."),
)
server = apply(
    click.option("--base-url", metavar="URL", help="A server that speaks OpenAI's protocol, up to /v1."),
    click.option("--api-key-env", default="OPENAI_API_KEY", metavar="NAME", help="The variable that holds its key."),
    click.option("--tokenizer", metavar="M", help="The model's tokenizer: prompts are then sent as tokens."),
    click.option("--concurrency", type=click.IntRange(1), default=64, metavar="N", help="Requests at a time."),
    click.option("--timeout", type=click.FloatRange(0, min_open=True), default=600.0, metavar="S", help="An answer's."),
    click.option("--attempts", type=click.IntRange(1), default=6, metavar="N", help="For each sample."),
    click.option("--price", metavar="IN,OUT", help="Dollars for a million tokens of prompt and completion."),
)


def wanted(flags: dict[str, Any]) -> Wanted:
    """Takes its options out of ``flags``. Raises UsageError."""
    take = flags.pop
    engine_options = EngineOptions(
        dtype=take("dtype"),
        quantization=take("quantization"),
        max_model_len=take("max_model_len") or 0,
        yarn=take("yarn") or 0.0,
        lora=str(Path(lora).resolve()) if (lora := take("lora")) else "",
        tensor_parallel=take("tensor_parallel"),
        pipeline_parallel=take("pipeline_parallel"),
        data_parallel=take("data_parallel"),
        gpu_memory=take("gpu_memory") or 0.0,
        prefix_caching=not take("no_prefix_caching"),
        eager=take("eager"),
        engine_args=dict(engine_arg(text) for text in take("engine_args")),
    )
    url, key = take("base_url"), os.environ.get(take("api_key_env"), "")
    concurrency, timeout_s, attempts, price = take("concurrency"), take("timeout"), take("attempts"), take("price")
    options = ServerOptions(url, key, concurrency, timeout_s, attempts, prices(price)) if url else None
    return Wanted(
        take("model") or "",
        revision=take("revision"),
        profile=take("profile"),
        kind=take("kind"),
        system=take("system"),
        template=take("template"),
        force=take("force"),
        offline=flags["offline"],
        tokenizer=take("tokenizer"),
        engine=engine_options,
        server=options,
    )


def engine_arg(text: str) -> tuple[str, Any]:
    """``name=value``, the value JSON where it is, else text."""
    name, equals, value = text.partition("=")
    if not equals or not name.replace("-", "_").isidentifier():
        raise UsageError(f"--engine-arg {text}: give it as NAME=VALUE")
    try:
        return name.replace("-", "_"), json.loads(value)
    except ValueError:
        return name.replace("-", "_"), value


def prices(text: str | None) -> tuple[float, float]:
    if text is None:
        return 0.0, 0.0
    try:
        for_prompt, for_completion = map(float, text.split(","))
    except ValueError:
        raise UsageError(f"--price {text}: give two numbers, such as 0.5,1.5") from None
    return for_prompt, for_completion
