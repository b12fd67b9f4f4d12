"""How long it takes to make all prompts of needle-in-the-code, and whether they are as long as they should be.

    build/vllm/bin/python tests/perf/needle.py --haystack FOLDER [--bench needle-in-the-code:256k] [--out OUT.json]

With a real tokenizer, a byte-level BPE of 32,000 tokens that is trained on the folder's own files.
Three times all prompts, as a run with an engine renders each of them: for the cache, for the engine, for the cache.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from qwencoder_eval.benchmark import profile
from qwencoder_eval.datasets.haystacks import contents, python_files
from qwencoder_eval.models.checkpoint import Checkpoint
from qwencoder_eval.models.rendering import Renderer
from qwencoder_eval.registry import discover
from qwencoder_eval.types import Needle

SPECIAL = ["<|endoftext|>", "<|fim_prefix|>", "<|repo_name|>", "<|file_sep|>"]
SECONDS, MEMORY, ERROR = 60.0, 2 << 30, 0.01  # what a build may take, and how far a length may be off


def trained(texts: list[str], folder: Path) -> Path:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=32_000, special_tokens=SPECIAL, initial_alphabet=alphabet)
    made.train_from_iterator(texts, trainer)
    PreTrainedTokenizerFast(tokenizer_object=made, eos_token=SPECIAL[0]).save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--haystack", type=Path, required=True)
    parser.add_argument("--bench", default="needle-in-the-code")
    parser.add_argument("--model", type=Path, help="a folder with a tokenizer, instead of training one")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    os.environ["QCEVAL_HAYSTACK"] = str(asked.haystack)
    texts = [contents(path).decode("utf-8", "replace") for _, path in python_files(asked.haystack)]
    folder = asked.model or trained(texts, Path(tempfile.mkdtemp()))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # training has its share in it

    began = time.perf_counter()
    renderer = Renderer(Checkpoint(folder), "coder")
    loaded = time.perf_counter() - began
    calls: Counter[str] = Counter()
    tokenizer = renderer.tokenizer

    class Counted:
        def __call__(self, text: str, **options: Any) -> Any:
            calls[text] += 1
            return tokenizer(text, **options)

        def __getattr__(self, name: str) -> Any:
            return getattr(tokenizer, name)

    renderer.tokenizer = Counted()
    chosen = profile(discover(()).load(asked.bench), None)
    began = time.perf_counter()
    rounds = []
    worst, count = 0.0, 0
    for _ in range(3):
        for problem in chosen.problems(offline=True):
            prompt = chosen.prompt(problem)
            assert isinstance(prompt, Needle)
            rendered = renderer.render(prompt)
            worst = max(worst, abs(len(rendered.tokens) - prompt.tokens) / prompt.tokens)
            assert rendered.text.count(prompt.text) == 1, problem.id
            assert rendered.text.endswith(prompt.ask), problem.id
            count += 1
        rounds.append(round(time.perf_counter() - began, 2))
    same = Counter(texts)  # files of the same content are tokenized once each
    times = max((calls[text] + calls["\n" + text]) / files for text, files in same.items() if len(text) > 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    found = {
        "prompts": count // 3, "seconds_of_rounds": rounds, "seconds_to_load": round(loaded, 2), "peak_bytes": peak,
        "peak_bytes_of_training": before, "times_a_file_was_tokenized": times, "worst_length_error": worst,
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1))
    return int(rounds[0] > SECONDS or peak > MEMORY or times > 2 or worst > ERROR)


if __name__ == "__main__":
    sys.exit(main())
