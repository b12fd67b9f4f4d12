"""A tokenizer that is a pattern, for tests without ``transformers``; it has of theirs what a ``Renderer`` calls."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from qwencoder_eval.models.checkpoint import Checkpoint
from qwencoder_eval.models.rendering import Renderer

SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|fim_prefix|>", "<|repo_name|>", "<|file_sep|>")
# As Qwen2's and as GPT-2's rules have it: newlines end a token, or blanks of the next line are part of it.
LINES = r"\s*\n+|[ \t]+|\w{1,4}|[^\w\s]"
BLANKS = r"\s+(?=\s)|\s|\w{1,4}|[^\w\s]"
LETTERS = r"."


class Toy:
    eos_token_id = 0

    def __init__(self, pattern: str, begin: bool = False, chat: bool = False) -> None:
        self.pattern, self.begin = pattern, begin
        self.texts = [*SPECIAL]
        self.ids = {text: at for at, text in enumerate(self.texts)}
        self.chat_template = "toy" if chat else None
        self.all_special_ids = list(range(len(SPECIAL)))
        self.added_tokens_decoder = {at: SimpleNamespace(special=True) for at in self.all_special_ids}
        self.calls: list[str] = []

    def __call__(
        self, text: str, add_special_tokens: bool, truncation: bool, split_special_tokens: bool = False
    ) -> dict[str, list[int]]:
        self.calls.append(text)
        own = "" if split_special_tokens else "|".join(map(re.escape, SPECIAL)) + "|"
        found = [match[0] for match in re.finditer(own + self.pattern, text, re.S)]
        assert "".join(found) == text
        if add_special_tokens and self.begin:
            found.insert(0, SPECIAL[0])
        for one in found:
            if one in SPECIAL and split_special_tokens:
                raise AssertionError(one)
            if one not in self.ids:
                self.ids[one] = len(self.texts)
                self.texts.append(one)
        return {"input_ids": [self.ids[one] for one in found]}

    def decode(self, tokens: Any, **_: Any) -> str:
        return "".join(self.texts[one] for one in tokens)

    def get_vocab(self) -> dict[str, int]:
        return self.ids

    def convert_ids_to_tokens(self, one: int) -> str:
        return self.texts[one]

    def apply_chat_template(self, messages: Any, tokenize: bool, add_generation_prompt: bool = False) -> str:
        text = "".join(f"<|im_start|>{one['role']}\n{one['content']}<|im_end|>\n" for one in messages)
        return text + ("<|im_start|>assistant\n" if add_generation_prompt else "")


def toy_renderer(folder: Path, toy: Toy, kind: Any = None, profile: str | None = None) -> Renderer:
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    with mock.patch("qwencoder_eval.models.rendering.load_tokenizer", return_value=toy):
        return Renderer(Checkpoint(folder), "coder", profile, kind)
