"""Model profiles: chosen by files, then by name; formats as their makers publish them."""

from __future__ import annotations

import pytest

from qwencoder_eval.errors import UsageError
from qwencoder_eval.models.profiles import ModelProfile, by_files, by_name, kind_by_name, model_profiles, named
from qwencoder_eval.models.rendering import infill_text
from qwencoder_eval.types import Infill

QWEN = {"<|fim_prefix|>", "<|repo_name|>", "<|im_end|>"}
GAP = Infill("def f(x):\n    ", "\n    return y\n")
REPOSITORY = Infill("a = {", "}", (("b.py", "b = 1"), ("c/d.py", "{c}")), "a.py", "owner/name")


def whole(text: str, tokens: int | None, keep_end: bool) -> str:
    return text


@pytest.mark.parametrize(
    ("model_type", "vocabulary", "name", "expected"),
    [
        ("qwen2", QWEN, "my-coder-run-7", "qwen2.5-coder"),
        ("qwen2", QWEN, "checkpoint-100", "qwen2.5-coder"),  # nothing else fits
        ("qwen3_moe", QWEN, "Qwen3-Coder-30B-A3B-Instruct", "qwen3-coder"),
        ("qwen2", {"<fim_prefix>", "<reponame>"}, "CodeQwen1.5-7B", "codeqwen1.5"),
        ("starcoder2", {"<fim_prefix>"}, "x", "starcoder2"),
        ("llama", {"<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"}, "x", "deepseek-coder"),
        ("llama", {"▁<PRE>", "▁<SUF>", "▁<MID>"}, "x", "codellama"),
        ("llama", set(), "CodeLlama-7b", "generic"),  # its files say that it cannot infill, whatever it is called
        ("", set(), "", "generic"),
    ],
)
def test_files_decide(model_type: str, vocabulary: set[str], name: str, expected: str) -> None:
    profile, why = by_files(model_type, vocabulary, name)
    assert profile.name == expected
    assert (model_type or "unknown") in why


@pytest.mark.parametrize(
    ("name", "expected", "kind"),
    [
        ("Qwen/Qwen2.5-Coder-7B", "qwen2.5-coder", "base"),
        ("Qwen/Qwen2.5-Coder-7B-Instruct", "qwen2.5-coder", "chat"),
        ("qwen3-coder-plus", "qwen3-coder", "base"),
        ("bigcode/starcoder2-15b-instruct-v0.1", "starcoder2", "chat"),
        ("deepseek-ai/deepseek-coder-6.7b-base", "deepseek-coder", "base"),
        ("codellama/CodeLlama-7b-hf", "codellama", "base"),
        ("google/gemma-7b-it", "generic", "chat"),
        ("gpt-4o", "generic", "chat"),
        ("composition", "generic", "base"),  # no word of its own says chat
    ],
)
def test_a_name_is_second_best(name: str, expected: str, kind: str) -> None:
    assert (by_name(name)[0].name, kind_by_name(name)) == (expected, kind)


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ("qwen2.5-coder", "<|fim_prefix|>def f(x):\n    <|fim_suffix|>\n    return y\n<|fim_middle|>"),
        ("codeqwen1.5", "<fim_prefix>def f(x):\n    <fim_suffix>\n    return y\n<fim_middle>"),
        ("deepseek-coder", "<｜fim▁begin｜>def f(x):\n    <｜fim▁hole｜>\n    return y\n<｜fim▁end｜>"),
        ("codellama", "<PRE> def f(x):\n     <SUF>\n    return y\n <MID>"),
    ],
)
def test_the_format_of_one_file(profile: str, expected: str) -> None:
    assert infill_text(named(profile), GAP, whole) == expected


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (
            "qwen2.5-coder",
            "<|repo_name|>owner/name\n<|file_sep|>b.py\nb = 1\n<|file_sep|>c/d.py\n{c}\n"
            "<|file_sep|>a.py\n<|fim_prefix|>a = {<|fim_suffix|>}<|fim_middle|>",
        ),
        (
            "starcoder2",
            "<repo_name>owner/name<file_sep>b.py\nb = 1<file_sep>c/d.py\n{c}"
            "<file_sep><fim_prefix>a.py\na = {<fim_suffix>}<fim_middle>",
        ),
        ("deepseek-coder", "#b.py\nb = 1\n#c/d.py\n{c}\n<｜fim▁begin｜>a = {<｜fim▁hole｜>}<｜fim▁end｜>"),
    ],
)
def test_the_format_of_a_repository(profile: str, expected: str) -> None:
    assert infill_text(named(profile), REPOSITORY, whole) == expected


def test_budgets_keep_what_is_next_to_the_gap() -> None:
    asked = Infill(
        "0123456789", "abcdefgh", (("x", "file"),), "p", "r", prefix_tokens=4, suffix_tokens=3, files_tokens=2
    )

    def cut(text: str, tokens: int | None, keep_end: bool) -> str:
        return text if tokens is None else text[-tokens:] if keep_end else text[:tokens]

    text = infill_text(ModelProfile("p", infill="", file="{text}", target="|{prefix}|{suffix}"), asked, cut)
    assert text == "fi|6789|abc"


@pytest.mark.parametrize(
    ("text", "opened", "thoughts", "answer"),
    [
        ("plain", False, "", "plain"),
        ("<think>a</think>\n\nb", False, "<think>a</think>", "b"),
        ("\n<think>\na\n</think>b</think>", False, "\n<think>\na\n</think>", "b</think>"),
        ("<think>never closed ```python", False, "<think>never closed ```python", ""),
        ("code with <think> in it </think>", False, "", "code with <think> in it </think>"),
        ("thinking</think>answer", True, "thinking</think>", "answer"),
        ("thinking", True, "thinking", ""),
        ("", False, "", ""),
        ("", True, "", ""),
    ],
)
def test_thoughts_are_kept_apart(text: str, opened: bool, thoughts: str, answer: str) -> None:
    assert named("generic").thoughts_and_answer(text, opened) == (thoughts, answer)


def test_a_family_that_does_not_think_says_what_it_says() -> None:
    assert named("starcoder2").thoughts_and_answer("<think>a</think>b") == ("", "<think>a</think>b")


def test_an_unknown_profile_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^--model-profile qwen9: unknown; choose qwen2.5-coder, .*generic$"):
        named("qwen9")


def test_every_profile_is_whole() -> None:
    for profile in model_profiles().values():
        if profile.file:
            assert "b = 1" in infill_text(profile, REPOSITORY, whole)
        else:  # nothing is left out in silence
            with pytest.raises(UsageError, match="has no format for other files"):
                infill_text(profile, REPOSITORY, whole)
        assert len(profile.think) in (0, 2)
        assert bool(profile.infill) == bool(profile.infill_stop)
