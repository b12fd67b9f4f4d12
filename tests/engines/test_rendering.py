"""From prompts to tokens, with the tokenizer that the engines load."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.errors import QcevalError, UsageError
from qwencoder_eval.models.checkpoint import Checkpoint
from qwencoder_eval.models.rendering import Renderer
from qwencoder_eval.types import Chat, Choice, Continue, Infill, Message

pytest.importorskip("vllm", reason="no engines here: .ci/vllm puts them into build/vllm")
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
USER = "<|im_start|>user\nhello<|im_end|>\n"
HELLO = Message("user", "hello")


@pytest.fixture
def base(tiny: Path) -> Renderer:
    return Renderer(Checkpoint(tiny / "base"), "base")


@pytest.fixture
def chat(tiny: Path) -> Renderer:
    return Renderer(Checkpoint(tiny / "chat"), "chat")


def test_what_a_model_is_follows_from_its_own_end_token(base: Renderer, chat: Renderer) -> None:
    """Both have a chat template, as Qwen's base models do."""
    assert base.tokenizer.chat_template == chat.tokenizer.chat_template
    assert (base.kind, chat.kind) == ("base", "chat")
    assert base.profile == chat.profile
    assert base.profile.name == "qwen2.5-coder"


def test_a_model_without_template_is_a_base_one_whatever_its_name(tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "x-instruct"
    shutil.copytree(tiny / "chat", folder)
    for name in ("chat_template.jinja", "chat_template.json"):
        (folder / name).unlink(missing_ok=True)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    renderer = Renderer(Checkpoint(folder), "x-instruct")
    assert renderer.kind == "base"
    with pytest.raises(UsageError, match="has no chat template; give one with --chat-template FILE"):
        Renderer(Checkpoint(folder), "x", kind="chat").check(Chat((HELLO,)))
    template = tmp_path / "template.jinja"
    template.write_text("{% for m in messages %}[{{ m.content }}]{% endfor %}")
    given = Renderer(Checkpoint(folder), "x", kind="chat", template=template)
    assert given.render(Chat((HELLO,))).text == "[hello]"
    assert given.key() != renderer.key()


def test_chats(chat: Renderer) -> None:
    assert chat.render(Chat((HELLO,))).text == f"{SYSTEM}{USER}<|im_start|>assistant\n"
    opened = Chat((HELLO, Message("assistant", "```python\n")))
    assert chat.render(opened).text == f"{SYSTEM}{USER}<|im_start|>assistant\n```python\n"
    own = Chat((Message("system", "be brief"), HELLO))
    assert chat.render(own).text.startswith("<|im_start|>system\nbe brief<|im_end|>\n<|im_start|>user")


def test_another_system_prompt_takes_the_place_of_every_other(tiny: Path) -> None:
    renderer = Renderer(Checkpoint(tiny / "chat"), "chat", system="mine")
    for messages in ((HELLO,), (Message("system", "theirs"), HELLO)):
        text = renderer.render(Chat(messages)).text
        assert text.startswith("<|im_start|>system\nmine<|im_end|>\n<|im_start|>user")
        assert "theirs" not in text
    assert renderer.key()["system"] == "mine"


def test_special_tokens_in_a_prompt_are_single_tokens(chat: Renderer) -> None:
    rendered = chat.render(Chat((HELLO,)))
    pieces = chat.pieces(rendered)
    assert "".join(text for _, text, _ in pieces) == rendered.text
    assert [text for _, text, special in pieces if special].count("<|im_start|>") == 3


def test_a_thought_that_the_template_opens(tiny: Path, tmp_path: Path) -> None:
    template = tmp_path / "template.jinja"
    template.write_text("{{ messages[0].content }}{% if add_generation_prompt %}<think>\n{% endif %}")
    thinking = Renderer(Checkpoint(tiny / "chat"), "x", "generic", "chat", template=template)
    assert thinking.render(Chat((HELLO,))).thinking
    assert not Renderer(Checkpoint(tiny / "chat"), "x", "generic").render(Chat((HELLO,))).thinking


def test_infillings_end_at_more_tokens(base: Renderer) -> None:
    rendered = base.render(Infill("a", "b"))
    assert rendered.text == "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
    names = {base.tokenizer.convert_ids_to_tokens(one) for one in rendered.stop_tokens}
    assert {"<|endoftext|>", "<|file_sep|>", "<|fim_pad|>"} <= names
    assert set(base.render(Continue("a")).stop_tokens) < set(rendered.stop_tokens)


def test_a_model_without_infilling_is_refused_with_what_to_choose(
    tiny: Path, qceval: Callable[..., subprocess.CompletedProcess[str]], shared_data: Path
) -> None:
    said = "the benchmark asks for infilling, and the profile generic has no format for it; choose another"
    with pytest.raises(UsageError, match=said):
        Renderer(Checkpoint(tiny / "base"), "base", "generic").check(Infill("a", "b"))
    command = ("show-prompt", "--bench", "humaneval-fim:python", "--offline", "--model", tiny / "base")
    refused = qceval(*command, "--model-profile", "generic")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"qceval: {said} --model-profile\n" in refused.stderr
    shown = qceval(*command)
    assert shown.returncode == 0
    assert "⟦<|fim_prefix|>⟧" in shown.stdout
    assert "max_tokens 64" in shown.stdout


def test_budgets_are_in_tokens(base: Renderer) -> None:
    lines = "".join(f"line {at}\n" for at in range(200))
    rendered = base.render(Infill(lines, lines, prefix_tokens=20, suffix_tokens=10))
    inside = rendered.text.removeprefix("<|fim_prefix|>").removesuffix("<|fim_middle|>")
    prefix, _, suffix = inside.partition("<|fim_suffix|>")
    assert lines.endswith(prefix)
    assert lines.startswith(suffix)
    assert len(base.render(Continue(prefix)).tokens) <= 20
    assert len(base.render(Continue(suffix)).tokens) <= 10


@pytest.mark.parametrize("context", ["def f(x):", "def f(x): ", "def f(x):\n    ", "x"])
def test_a_choice_is_the_tokens_of_the_whole_text(base: Renderer, context: str) -> None:
    endings = ("return 1", " y", "\n\nz")
    rendered = base.render(Choice(context, endings))
    for ending, continuation in zip(endings, rendered.continuations, strict=True):
        assert (*rendered.tokens, *continuation) == base.render(Continue(context + ending)).tokens


def test_a_choice_of_nothing_is_refused(base: Renderer) -> None:
    with pytest.raises(UsageError, match="a continuation of no tokens"):
        base.render(Choice("x", ("", "y")))


@pytest.mark.parametrize("text", ["nul \0", "lone \ud800 surrogate", "é ü ❤ \u202e", "", "\r\n\t"])
def test_any_text_can_be_rendered(base: Renderer, text: str) -> None:
    tokens = base.render(Continue(text)).tokens
    clean = text.encode("utf-8", "replace").decode()
    assert base.tokenizer.decode(tokens, clean_up_tokenization_spaces=False) == clean


def test_a_last_token_that_merges(base: Renderer) -> None:
    """A colon and a newline are two tokens of their own; blanks at the end are part of what follows them."""
    assert base.merging(base.render(Continue("def f(x):\n    ")), (" x", "return 1")) == "return 1"
    assert base.merging(base.render(Continue("def f(x):\n    ")), (" x",)) is None
    assert base.merging(base.render(Continue("def f(x):")), (" # so",)) is None


@pytest.mark.parametrize(("file", "content"), [("tokenizer.json", "{"), ("tokenizer_config.json", "[")])
def test_a_broken_tokenizer_is_one_line(tiny: Path, tmp_path: Path, file: str, content: str) -> None:
    shutil.copytree(tiny / "base", tmp_path / "broken")
    (tmp_path / "broken" / file).write_text(content)
    with pytest.raises(QcevalError, match=r"its tokenizer cannot be read .*; get the model again$") as caught:
        Renderer(Checkpoint(tmp_path / "broken"), "x")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("template", ["{% for", "{{ raise_exception('no system') }}", "{{ messages[7].content }}"])
def test_a_template_that_refuses_is_one_line(tiny: Path, tmp_path: Path, template: str) -> None:
    file = tmp_path / "template.jinja"
    file.write_text(template)
    renderer: Any = Renderer(Checkpoint(tiny / "chat"), "x", kind="chat", template=file)
    with pytest.raises(UsageError, match="the chat template refuses these messages") as caught:
        renderer.render(Chat((HELLO,)))
    assert "\n" not in str(caught.value)
