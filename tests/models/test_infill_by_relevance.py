"""Infilling with files by relevance, as ExecRepoBench has it; expected texts are derived by hand from upstream's code.

QwenLM/Qwen3-Coder at 0ae30f5, qwencoder-eval/base/benchmarks/ExecRepoBench/eval.py, ``get_prompt``, with
utils/prompt_template.py and utils/utils.py, ``truncate_prompt``. A toy tokenizer stands for the model's: a token is a
character, or a word with the blanks around it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.errors import UsageError
from qwencoder_eval.models.profiles import named
from qwencoder_eval.models.rendering import by_relevance, infill_text
from qwencoder_eval.types import Infill

QWEN = named("qwen2.5-coder")
TITLE = "##{path}##:\n"


def budget(text: str, tokens: int | None, keep_end: bool) -> str:
    """A token a character."""
    if tokens is None or len(text) <= tokens:
        return text
    return text[len(text) - tokens :] if keep_end else text[:tokens]


def words(text: str) -> list[str]:
    return re.findall(r"\n|[^\n]\S*", text)


def budget_of_words(text: str, tokens: int | None, keep_end: bool) -> str:
    found = words(text)
    if tokens is None or len(found) <= tokens:
        return text
    return "".join(found[len(found) - tokens :] if keep_end else found[:tokens])


def kept(files_tokens: int | None, *files: tuple[str, str]) -> list[tuple[str, str]]:
    prompt = Infill("", "", files, files_tokens=files_tokens, by_relevance=True, file_title=TITLE)
    return by_relevance(prompt, budget, len)


A, B, C = ("a.py", "aa\naa\n"), ("b.py", "bbb\nbbb\n"), ("c.py", "c\nc\nc\n")
WHOLE = {path: f"##{path}##:\n{text}" for path, text in (A, B, C)}


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (None, ["c.py", "b.py", "a.py"]),
        (1000, ["c.py", "b.py", "a.py"]),
        (6 + 8 + 6 + 1, ["c.py", "b.py", "a.py"]),  # what just fits does not: one more is needed
    ],
)
def test_files_that_all_fit_come_in_reverse_and_whole(tokens: int | None, expected: list[str]) -> None:
    """Their titles cost nothing."""
    assert kept(tokens, A, B, C) == [(path, WHOLE[path]) for path in expected]


@pytest.mark.parametrize(
    ("tokens", "last"),
    [
        # Left for the third file, of 6 characters: its title (10 with the newline) and text are cut together.
        (6 + 8 + 6, ""),  # 6 of "##c.py##:\n": no line is complete, and the last one goes
        (6 + 8 + 5, ""),
        (6 + 8 + 1, ""),
    ],
)
def test_the_file_that_just_fits_is_cut(tokens: int, last: str) -> None:
    assert kept(tokens, A, B, C) == [("c.py", last), ("b.py", WHOLE["b.py"]), ("a.py", WHOLE["a.py"])]


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        (9, ""),
        (10, "##d.py##:"),
        (11, "##d.py##:"),
        (17, "##d.py##:"),
        (18, "##d.py##:\n1234567"),
        (19, "##d.py##:\n1234567"),
        (25, "##d.py##:\n1234567"),
        (26, "##d.py##:\n1234567\n1234567"),
        (32, "##d.py##:\n1234567\n1234567"),
    ],
)
def test_where_a_file_is_cut_its_last_line_goes(tokens: int, expected: str) -> None:
    """A line that is complete up to its newline stays, for what goes is then the empty one behind it."""
    assert kept(tokens, ("d.py", "1234567\n" * 4), A) == [("d.py", expected)]


def test_what_is_cut_is_the_last() -> None:
    """A small file behind one that did not fit is not tried."""
    assert kept(14, A, B, C) == [("b.py", ""), ("a.py", WHOLE["a.py"])]
    assert [path for path, _ in kept(20, A, ("big", "x" * 100), C)] == ["big", "a.py"]


def test_nothing_is_left_at_all() -> None:
    assert kept(0, A, B) == [("a.py", "")]
    assert kept(5) == []
    assert kept(5, ("empty", "")) == [("empty", "##empty##:\n")]


def test_a_title_may_hold_anything() -> None:
    assert kept(None, ("{x}.py", "{path}")) == [("{x}.py", "##{x}.py##:\n{path}")]


FILES = st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.text("x\n", max_size=12)), max_size=5)


@given(files=FILES, tokens=st.integers(0, 60), count=st.sampled_from([len, lambda text: len(words(text))]))
def test_as_upstream_counts(files: list[tuple[str, str]], tokens: int, count: Callable[[str], int]) -> None:
    """The rule once more, in other words: a running sum, and a cut where it reaches the limit."""
    cut = budget if count is len else budget_of_words
    prompt = Infill("", "", tuple(files), files_tokens=tokens, by_relevance=True, file_title=TITLE)
    found = by_relevance(prompt, cut, count)[::-1]
    sums = [sum(count(text) for _, text in files[: number + 1]) for number in range(len(files))]
    whole = sum(each < tokens for each in sums)  # sums never fall
    assert found[:whole] == [(path, f"##{path}##:\n{text}") for path, text in files[:whole]]
    assert len(found) == min(whole + 1, len(files))
    if whole < len(files):
        path, text = files[whole]
        left = tokens - (sums[whole - 1] if whole else 0)
        lines = cut(f"##{path}##:\n{text}", left, False).split("\n")
        assert found[whole] == (path, "\n".join(lines[:-1]))


def test_the_whole_prompt_of_qwen() -> None:
    """``QWEN_CODER_TEMPLAT`` of "{context}prefix and suffix tokens", between two newlines."""
    files = ("/r/a.py", "import b\n"), ("/r/b.py", "x = 1\ny = 2\nz = 3\nw = 4\n")
    prompt = Infill(
        "0123456789PREFIX", "SUFFIX0123456789", files, "/r/m.py", "r", prefix_tokens=6, suffix_tokens=6,
        files_tokens=9 + 20, by_relevance=True, file_title=TITLE, around=("\n", "\n"),
    )  # fmt: skip
    # Of b.py, title and all, 20 characters are left: "##/r/b.py##:\nx = 1\ny", and its last line goes.
    assert infill_text(QWEN, prompt, budget) == (
        "\n<|repo_name|>r"
        "\n<|file_sep|>/r/b.py\n##/r/b.py##:\nx = 1"
        "\n<|file_sep|>/r/a.py\n##/r/a.py##:\nimport b\n"
        "\n<|file_sep|>/r/m.py\n"
        "<|fim_prefix|>PREFIX<|fim_suffix|>SUFFIX<|fim_middle|>\n"
    )


def test_without_other_files_the_target_stands_alone() -> None:
    prompt = Infill("p", "s", (), "/r/m.py", "r", files_tokens=10, by_relevance=True, around=("\n", "\n"))
    expected = "\n<|repo_name|>r\n<|file_sep|>/r/m.py\n<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>\n"
    assert infill_text(QWEN, prompt, budget) == expected


def test_what_is_around_stands_around_a_single_file_too() -> None:
    assert infill_text(QWEN, Infill("p", "s", around=("<", ">")), budget) == (
        "<<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>>"
    )


def test_files_in_their_own_order_are_cut_together() -> None:
    """Without ``by_relevance``: the formatted files as one text, no titles, no line dropped."""
    prompt = Infill("p", "s", (A, B), "m.py", "r", files_tokens=30, file_title=TITLE)
    files = "<|file_sep|>a.py\naa\naa\n\n<|file_sep|>b.py\nbbb\nbbb\n\n"
    target = "<|file_sep|>m.py\n<|fim_prefix|>p<|fim_suffix|>s<|fim_middle|>"
    assert infill_text(QWEN, prompt, budget) == f"<|repo_name|>r\n{files[:30]}{target}"


def test_formats_without_a_target_have_the_files_in_front() -> None:
    prompt = Infill("p", "s", (A, C), "m.py", "r", files_tokens=100, by_relevance=True, file_title=TITLE)
    assert infill_text(named("deepseek-coder"), prompt, budget) == (
        "#c.py\n##c.py##:\nc\nc\nc\n\n#a.py\n##a.py##:\naa\naa\n\n<｜fim▁begin｜>p<｜fim▁hole｜>s<｜fim▁end｜>"
    )


def test_a_format_without_files_is_refused() -> None:
    with pytest.raises(UsageError, match="the profile codellama has no format for other files"):
        infill_text(named("codellama"), Infill("p", "s", (A,), by_relevance=True), budget)
