"""The engines themselves, on a model whose answers are known: vLLM twice, and transformers to hold it against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qwencoder_eval.benchmark import profile
from qwencoder_eval.models.base import Request
from qwencoder_eval.models.checkpoint import Checkpoint
from qwencoder_eval.models.engine import EngineModel, EngineOptions, Open
from qwencoder_eval.models.rendering import Renderer
from qwencoder_eval.registry import discover
from qwencoder_eval.types import Choice, Completion, Continue, Infill, Problem, Sampling

pytest.importorskip("vllm", reason="no engines here: .ci/vllm puts them into build/vllm")
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]
STOP = ("\ndef ", "\nclass ", "```")
GREEDY = Sampling(max_tokens=200, stop=STOP)
SAMPLED = Sampling(n=4, temperature=1.5, top_p=0.95, max_tokens=60)
CONTEXT = 1024
Found = dict[tuple[str, str, int], tuple[Completion, list[int]]]


def requests(known: dict[str, Any], sampled: tuple[int, ...] = (0, 1, 2, 3)) -> Iterator[Request]:
    for name, answers in known.items():
        chosen = profile(discover(()).load(name), None)
        problems = [problem for problem in chosen.problems(offline=True) if problem.id in answers]
        for problem in problems:
            yield Request("greedy", problem, chosen.prompt(problem), GREEDY, (0,))
        for problem in problems[:4]:
            yield Request("infill", problem, Infill(problem.stub, "\n# end\n"), GREEDY, (0,))
            yield Request("sampled", problem, Continue(f"# {problem.id}: not taught\n"), SAMPLED, sampled)
            right, wrong = answers[problem.id]["answer"], "    return [[]]\n"
            yield Request("choice", problem, Choice(problem.stub, (wrong, right)), GREEDY, (0,))
    yield Request("long", Problem("long", {}, {}), Continue("x = 1\n" * CONTEXT), GREEDY, (0,))


def run(backend: Any, folder: Path, log: Path, asked: Iterator[Request]) -> Found:
    """Every answer with the tokens of which the engine made it."""
    tokens: dict[tuple[str, str, int], list[int]] = {}
    original = Open.answer

    def answer(self: Open, line: dict[str, Any], profile: Any) -> Any:
        tokens[self.request.benchmark, self.request.problem.id, line["number"]] = line.get("token_ids", [])
        return original(self, line, profile)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Open, "answer", answer)
        patch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        options = EngineOptions(dtype="float32", max_model_len=CONTEXT)
        model = EngineModel("tiny", backend, Renderer(Checkpoint(folder), "tiny"), options, log, lambda text: None)
        model.token_ids = True
        found: Found = {}
        for answer_ in model.generate(asked):
            key = (answer_.request.benchmark, answer_.problem, answer_.number)
            assert key not in found
            assert answer_.completion
            found[key] = (answer_.completion, tokens.get(key, []))
        return found


@pytest.fixture(scope="module")
def once(tiny: Path, known: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run("vllm", tiny / "base", tmp_path_factory.mktemp("logs") / "once.log", requests(known))


@pytest.fixture(scope="module")
def again(tiny: Path, known: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Asked backwards, and for fewer samples: a sample is the same whatever stands beside it in a batch."""
    asked = reversed(list(requests(known, (1, 3))))
    return run("vllm", tiny / "base", tmp_path_factory.mktemp("logs") / "again.log", asked)


@pytest.fixture(scope="module")
def other(tiny: Path, known: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Found:
    return run("transformers", tiny / "base", tmp_path_factory.mktemp("logs") / "other.log", requests(known))


@pytest.mark.parametrize("engine", ["once", "other"])
def test_greedy_answers_are_what_was_taught(engine: str, known: dict[str, Any], request: Any) -> None:
    found: Found = request.getfixturevalue(engine)
    for answers in known.values():
        for problem, taught in answers.items():
            completion, tokens = found["greedy", problem, 0]
            assert completion.text == taught["answer"], problem
            assert completion.finish_reason == "stop"
            assert completion.tokens == len(tokens) > 0
            assert completion.prompt_tokens
            if ("infill", problem, 0) in found:
                assert found["infill", problem, 0][0].text == taught["answer"].strip()


def test_greedy_is_the_same_token_by_token(once: Found, other: Found) -> None:
    """vLLM and transformers, float32 on the same machine."""
    kinds = ("greedy", "infill")
    assert {key: found[1] for key, found in once.items() if key[0] in kinds} == {
        key: found[1] for key, found in other.items() if key[0] in kinds
    }


def test_two_runs_with_one_seed_are_identical(once: Found, again: Found) -> None:
    assert len(again) < len(once)
    for key, found in again.items():
        assert found == once[key], key


@pytest.mark.parametrize("engine", ["once", "other"])
def test_samples_differ_from_each_other(engine: str, request: Any) -> None:
    found: Found = request.getfixturevalue(engine)
    by_problem: dict[str, set[tuple[int, ...]]] = {}
    for (kind, problem, _), (_, tokens) in found.items():
        if kind == "sampled":
            by_problem.setdefault(problem, set()).add(tuple(tokens))
    assert by_problem
    assert sum(len(different) for different in by_problem.values()) > 2 * len(by_problem)


def test_log_probabilities_of_continuations(once: Found, other: Found, known: dict[str, Any]) -> None:
    choices = [key for key in once if key[0] == "choice"]
    assert choices
    for key in choices:
        (mine, _), (theirs, _) = once[key], other[key]
        taught = next(answers[key[1]]["answer"] for answers in known.values() if key[1] in answers)
        assert mine.text == theirs.text == taught
        assert len(mine.logprobs) == 2
        for one, two in zip(mine.logprobs, theirs.logprobs, strict=True):
            assert math.isclose(one, two, rel_tol=1e-3, abs_tol=1e-2)
            assert one < 0


@pytest.mark.parametrize("engine", ["once", "other"])
def test_a_prompt_that_does_not_fit(engine: str, request: Any) -> None:
    completion, _ = request.getfixturevalue(engine)["long", "long", 0]
    assert (completion.text, completion.finish_reason) == ("", "prompt_too_long")
    assert completion.prompt_tokens > CONTEXT


def test_engines_side_by_side(tiny: Path, known: dict[str, Any], once: Found, tmp_path: Path) -> None:
    """Data parallelism: the same answers, shared out."""
    options = EngineOptions(dtype="float32", max_model_len=CONTEXT, data_parallel=2)
    renderer = Renderer(Checkpoint(tiny / "base"), "tiny")
    model = EngineModel("tiny", "transformers", renderer, options, tmp_path / "engine.log", lambda text: None)
    found = {
        (answer.request.benchmark, answer.problem, answer.number): answer.completion
        for answer in model.generate(r for r in requests(known) if r.benchmark != "sampled")
    }
    assert {key: completion.text for key, completion in found.items() if completion} == {
        key: completion.text for key, (completion, _) in once.items() if key[0] != "sampled"
    }
    assert (tmp_path / "engine.log").exists()
    assert (tmp_path / "engine.1.log").exists()
