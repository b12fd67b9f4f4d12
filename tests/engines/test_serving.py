"""The openai backend against vLLM's own server, a real one on the loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine_processes import rows, wait_until
from serving import CONTEXT, Serving

from qwencoder_eval.benchmark import profile
from qwencoder_eval.models.base import Request
from qwencoder_eval.models.checkpoint import Checkpoint
from qwencoder_eval.models.openai import OpenAIModel, ServerOptions
from qwencoder_eval.models.profiles import named
from qwencoder_eval.models.rendering import Renderer
from qwencoder_eval.registry import discover
from qwencoder_eval.types import Chat, Choice, Continue, Infill, Message, Problem, Sampling

pytest.importorskip("vllm", reason="no engines here: .ci/vllm puts them into build/vllm")
pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]
GREEDY = Sampling(max_tokens=200, stop=("\ndef ", "```\n"))


@pytest.fixture(scope="module")
def serving(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    made = Serving(tiny / "chat", tmp_path_factory.mktemp("serving") / "server.log")
    yield made
    made.kill()


@pytest.fixture(params=["by the server", "by its tokenizer"])
def model(request: Any, serving: Serving) -> OpenAIModel:
    """Prompts rendered by the server, or here and sent as tokens."""
    renderer = Renderer(Checkpoint(serving.folder), "tiny", force=True) if "tokenizer" in request.param else None
    return OpenAIModel("tiny", ServerOptions(serving.url), named("qwen2.5-coder"), "a test", renderer=renderer)


def problems(known: dict[str, Any]) -> list[Problem]:
    every = profile(discover(()).load("starter"), None).problems(offline=True)
    return [problem for problem in every if problem.id in known["starter"]]


def test_every_kind_of_prompt_is_answered_as_taught(model: OpenAIModel, known: dict[str, Any]) -> None:
    taught = {problem: one["answer"] for problem, one in known["starter"].items()}
    asked = []
    for at, problem in enumerate(problems(known)):
        asked.append(Request("text", problem, Continue(problem.stub), GREEDY, (0,)))
        if at < 4:
            asked.append(Request("chat", problem, Chat((Message("user", problem.id),)), GREEDY, (0,)))
            opened = Chat((Message("user", problem.id), Message("assistant", "```python\n")))
            asked.append(Request("opened", problem, opened, GREEDY, (0,)))
            asked.append(Request("infill", problem, Infill(problem.stub, "\n# end\n"), GREEDY, (0,)))
            choice = Choice(problem.stub, ("    return [[]]\n", taught[problem.id]))
            asked.append(Request("choice", problem, choice, GREEDY, (0,)))
    answers = list(model.generate(iter(asked)))
    assert len(answers) == len(asked)
    for answer in answers:
        text = taught[answer.problem]
        expected = {"chat": f"```python\n{text}```", "opened": f"{text}```", "infill": text.strip()}
        assert answer.completion, answer.reason
        wanted = expected.get(answer.request.benchmark, text)
        if model.renderer or answer.request.benchmark in ("chat", "opened", "choice"):
            assert answer.completion.text == wanted
        else:  # the server knows the chat model's end token only, and lets a text go on behind another
            assert answer.completion.text.startswith(wanted)
        if answer.request.benchmark == "choice":
            assert len(answer.completion.logprobs) == 2
        else:
            assert answer.completion.tokens
            assert answer.completion.prompt_tokens
    assert model.usage()["tokens"] > 0


def test_seeds_repeat(model: OpenAIModel, known: dict[str, Any]) -> None:
    sampling = Sampling(n=3, temperature=1.5, max_tokens=40)
    asked = [Request("b", one, Continue(f"# {one.id}\n"), sampling, (0, 1, 2)) for one in problems(known)[:3]]
    first, second = (
        {(a.problem, a.number): a.completion and a.completion.text for a in model.generate(iter(asked))} for _ in "ab"
    )
    assert first == second
    assert len(set(first.values())) > 5


def test_a_prompt_that_does_not_fit_the_server(model: OpenAIModel) -> None:
    """And one that fits, though not with all the tokens that it may have."""
    long = Request("b", Problem("long", {}, {}), Continue("x = 1\n" * CONTEXT), GREEDY, (0,))
    much = Request("b", Problem("much", {}, {}), Continue("x = 1\n"), Sampling(max_tokens=5 * CONTEXT), (0,))
    found = {answer.problem: answer.completion for answer in model.generate([long, much])}
    assert found["long"]
    assert found["much"]
    assert found["long"].finish_reason == "prompt_too_long"
    assert found["much"].finish_reason in ("stop", "length")
    assert found["much"].tokens


def test_a_run_through_the_server(
    serving: Serving, tiny: Path, known: dict[str, Any], document: Any, qceval: Any
) -> None:
    command = ("run", "--bench", "starter", "--base-url", serving.url, "--model", "tiny", "--price", "1,2")
    command += ("--tokenizer", str(tiny / "base"))
    report = document(*command)
    right = sum(one["right"] for one in known["starter"].values())
    assert report["scores"]["starter"]["pass@1"]["value"] == right / 24
    assert {r["problem"]: r["text"] for r in rows(report["run"], "completions.jsonl")} == {
        problem: one["answer"] for problem, one in known["starter"].items()
    }
    again = qceval(*command, "--json")
    assert "complete; nothing is run again" in again.stderr
    refused = qceval("run", "--bench", "starter", "--base-url", serving.url, "--model", "another")
    assert refused.returncode == 3
    assert "status 404" in refused.stderr


def test_a_server_that_is_killed_in_the_middle(
    tiny: Path, start: Any, document: Any, tmp_path: Path, known: dict[str, Any]
) -> None:
    served = Serving(tiny / "base", tmp_path / "server.log")
    command = ("run", "--bench", "starter", "--model", "tiny", "-n", 20, "--temperature", 2, "--max-tokens", 60)
    server = ("--base-url", served.url, "--concurrency", 8)
    try:
        process = start(*command, *server, "--attempts", 2)
        made = tmp_path / "results" / "tiny" / "starter"
        wait_until(
            lambda: sum(len(p.read_bytes().splitlines()) for p in made.glob("*/completions.jsonl")) > 20, "samples"
        )
        served.kill()
        _, err = process.communicate(timeout=300)
        assert process.returncode == 3, err
        assert err.splitlines()[-1].endswith("start the same command again")
        (run,) = made.iterdir()
        kept = rows(run, "completions.jsonl")
        assert 20 < len(kept) < 480
    finally:
        served.kill()
