"""Prompts that have shorter versions: which one an engine is asked. A token is a letter, by the toy tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_tokenizer import LETTERS, Toy, toy_renderer

from qwencoder_eval.models.base import Request
from qwencoder_eval.models.engine import EngineModel, EngineOptions, Open
from qwencoder_eval.models.rendering import Renderer
from qwencoder_eval.runs.directory import Run
from qwencoder_eval.types import Completion, Continue, Problem, Sample, Sampling, plain, versions


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Renderer:
    return toy_renderer(tmp_path_factory.mktemp("model"), Toy(LETTERS))


def asked(renderer: Renderer, lengths: list[int], context: int, max_tokens: int) -> Open:
    model = EngineModel("m", "vllm", renderer, EngineOptions(), Path("log"), lambda text: None)
    model.facts = {"context": context}
    first, *shorter = (Continue("x" * length) for length in lengths)
    prompt = Continue(first.text, shorter=tuple(shorter))
    return model._fitting(Request("b", Problem("p", {}, {}), prompt, Sampling(max_tokens=max_tokens), (0, 1)))


@pytest.mark.parametrize(
    ("context", "max_tokens", "shortened"),
    [
        (60, 10, 0),  # 50 and 10 just fit
        (59, 10, 1),
        (50, 10, 1),
        (49, 10, 2),
        (30, 10, 2),  # 20 is the last
        (19, 10, 2),  # which does not fit, either
        (100, 4000, 0),  # half of the context is enough for the answer
        (97, 4000, 1),
    ],
)
def test_the_first_version_that_leaves_room_for_the_answer(
    renderer: Renderer, context: int, max_tokens: int, shortened: int
) -> None:
    job = asked(renderer, [50, 40, 20], context, max_tokens)
    assert job.shortened == shortened
    assert len(job.rendered.tokens) == [50, 40, 20][shortened]


def test_the_last_one_is_too_long_where_nothing_fits(renderer: Renderer) -> None:
    job = asked(renderer, [50, 40, 20], 20, 10)
    assert job.tokens_needed() > 20
    found = [answer.completion for answer in job.too_long() if answer.completion]
    assert [(one.finish_reason, one.prompt_tokens, one.shortened) for one in found] == [("prompt_too_long", 20, 2)] * 2


def test_an_answer_says_how_often_its_prompt_was_shortened(renderer: Renderer) -> None:
    job = asked(renderer, [50, 40, 20], 59, 10)
    answer = job.answer({"number": 0, "text": "a", "reason": "stop", "tokens": 1}, renderer.profile)
    assert answer
    assert answer.completion == Completion("a", prompt_tokens=40, tokens=1, shortened=1)


@given(st.lists(st.integers(1, 99), min_size=1, max_size=6, unique=True), st.integers(2, 200), st.integers(1, 200))
def test_none_that_comes_before_would_have_fitted(
    renderer: Renderer, lengths: list[int], context: int, max_tokens: int
) -> None:
    lengths.sort(reverse=True)
    job = asked(renderer, lengths, context, max_tokens)
    room = min(max_tokens, context // 2)
    assert all(length + room > context for length in lengths[: job.shortened])
    assert job.shortened == len(lengths) - 1 or lengths[job.shortened] + room <= context


def test_a_prompt_without_shorter_ones_is_written_as_ever() -> None:
    assert plain(Continue("a")) == {"text": "a"}
    assert versions(Continue("a")) == (Continue("a"),)


def test_a_run_keeps_and_counts_it(tmp_path: Path) -> None:
    with_it, without = Completion("a", shortened=3), Completion("b")
    run = Run(tmp_path / "run", {}, {}, {})
    run.add_completion(Sample("p", 0, with_it))
    run.add_completion(Sample("q", 0, without))
    assert run.counts()["shortened"] == 1
    run.close()
    run = Run(tmp_path / "run", {}, {}, {})
    assert [sample.completion for sample in run.unjudged()] == [with_it, without]
    run.close()
