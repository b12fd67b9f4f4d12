"""Train a model of half a million parameters until it repeats what it was shown: what it answers is known beforehand.

    python tests/models/tiny.py FOLDER

Writes FOLDER/base and FOLDER/chat (the same weights; the chat model's own end token is the template's) and
FOLDER/known.json: of each benchmark its problems' trained answers, and whether they are right; some are wrong on
purpose. Trained on the starter problems, and on some of HumanEval+ where its rows are on this machine.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

from qwencoder_eval.benchmark import profile
from qwencoder_eval.errors import DatasetError
from qwencoder_eval.registry import discover
from qwencoder_eval.types import Problem

SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>",
    "<|repo_name|>", "<|file_sep|>",
]  # fmt: skip
TEMPLATE = (
    "{%- if messages[0].role != 'system' %}{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}"
    "{%- endif %}{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
HUMANEVAL = 4  # problems
OTHERS = 4  # problems of each that are asked as an infilling and as a chat, too
WRONG = "    return None\n"
MAX_STEPS, BATCH, RATE = 600, 12, 4e-3
SURE = 0.9  # of every token
Lesson = tuple[list[int], list[int]]  # token ids of what is asked and of what shall be answered


def answers() -> dict[str, list[tuple[Problem, str, bool]]]:
    """Of each benchmark problems, what the model shall answer, and whether that is right; every sixth is not."""
    found: dict[str, list[tuple[Problem, str, bool]]] = {}
    for name, count in (("starter", 24), ("humaneval", HUMANEVAL)):
        try:
            problems = profile(discover(()).load(name), None).problems(offline=True)[:count]
        except DatasetError:
            continue
        found[name] = [
            (problem, str(problem.reference) if at % 6 else WRONG, bool(at % 6)) for at, problem in enumerate(problems)
        ]
    return found


def tokenizer(texts: list[str], folder: Path) -> Any:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=1200, special_tokens=SPECIAL, initial_alphabet=alphabet)
    )
    PreTrainedTokenizerFast(tokenizer_object=made, pad_token="<|fim_pad|>").save_pretrained(folder)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    # As others will load it: for this type of model with pre-tokenizing rules of its own, whatever the file says.
    return AutoTokenizer.from_pretrained(folder, eos_token="<|endoftext|>")


def lessons(known: dict[str, list[tuple[Problem, str, bool]]]) -> list[tuple[str, str]]:
    """What it is asked, and what it shall answer: as a text to continue, as an infilling, as a chat."""
    found = []
    for name, all_of in known.items():
        bench = discover(()).load(name)
        for at, (problem, answer, _) in enumerate(all_of):
            prompt = profile(bench, None).prompt(problem)
            found.append((prompt.text, answer + "<|endoftext|>"))  # type: ignore[union-attr]
            if at >= OTHERS:
                continue
            prefix, suffix = problem.stub, "\n# end\n"
            asked = f"<|fim_prefix|>{prefix}<|fim_suffix|>{suffix}<|fim_middle|>"
            found.append((asked, answer.strip() + "<|endoftext|>"))
            system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
            asked = f"{system}<|im_start|>user\n{problem.id}<|im_end|>\n<|im_start|>assistant\n"
            found.append((asked, f"```python\n{answer}```<|im_end|>"))
    return found


def padded(encoded: list[Lesson], rows: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids, and what each position shall say next; -100 where that does not matter."""
    width = max(len(encoded[at][0]) + len(encoded[at][1]) for at in rows)
    ids = torch.zeros((len(rows), width), dtype=torch.long)
    labels = torch.full((len(rows), width), -100)
    for row, at in enumerate(rows):
        asked, answer = encoded[at]
        ids[row, : len(asked) + len(answer)] = torch.tensor(asked + answer)
        labels[row, len(asked) - 1 : len(asked) + len(answer) - 1] = torch.tensor(answer)
    return ids, labels


def unknown(model: Any, encoded: list[Lesson]) -> list[int]:
    """Lessons of which a token would be said otherwise, or without being sure of it."""
    found = []
    with torch.inference_mode():
        for at in range(len(encoded)):
            ids, labels = padded(encoded, [at])
            sure = model(input_ids=ids).logits.float().softmax(-1)
            counted = labels != -100
            if sure[counted].gather(1, labels[counted][:, None]).min() < SURE:
                found.append(at)
    return found


def train(model: Any, encoded: list[Lesson]) -> int:
    """Until every lesson's answer is learnt; returns the number of steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=MAX_STEPS, pct_start=0.1)
    choose = random.Random(0)
    order = list(range(len(encoded)))
    for step in range(1, MAX_STEPS + 1):
        ids, labels = padded(encoded, choose.sample(order, BATCH))
        logits = model(input_ids=ids).logits.float()
        torch.nn.functional.cross_entropy(logits.transpose(1, 2), labels).backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0:
            left = unknown(model, encoded)
            print(f"step {step}: {len(left)} of {len(encoded)} to be learnt", flush=True)
            if not left:
                return step
    raise SystemExit(f"not learnt in {MAX_STEPS} steps")


def main(folder: Path) -> None:
    began = time.monotonic()
    torch.manual_seed(0)
    known = answers()
    taught = lessons(known)
    tokens = tokenizer([asked + answer for asked, answer in taught], folder / "base")
    config = Qwen2Config(
        vocab_size=len(tokens), hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=2048, tie_word_embeddings=True, bos_token_id=None,
        eos_token_id=tokens.convert_tokens_to_ids("<|endoftext|>"),
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    encoded = [(tokens(asked)["input_ids"], tokens(answer)["input_ids"]) for asked, answer in taught]
    steps = train(model, encoded)
    for kind, end in (("base", "<|endoftext|>"), ("chat", "<|im_end|>")):
        tokens.eos_token, tokens.chat_template = end, TEMPLATE
        model.config.eos_token_id = model.generation_config.eos_token_id = tokens.convert_tokens_to_ids(end)
        tokens.save_pretrained(folder / kind)
        model.save_pretrained(folder / kind)
    document = {
        name: {problem.id: {"answer": answer, "right": right} for problem, answer, right in all_of}
        for name, all_of in known.items()
    }
    (folder / "known.json").write_text(json.dumps(document, indent=1))
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, {len(taught)} lessons, {steps} steps, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
