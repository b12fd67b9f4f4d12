"""What a benchmark's file still knows of a run: its problems, their prompts, and what was extracted from an answer.

A run keeps what the model wrote; prompts and extracted code follow from that and the benchmark. Where the benchmark is
not here, or no longer the one of the run, nothing is made up: it says why.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..benchmark import Profile, profile
from ..errors import QcevalError
from ..registry import Registry
from ..runs.reading import Finished
from ..stream.evaluate import content_digest
from ..types import Chat, Choice, Completion, Continue, Haystack, Infill, Needle, Problem, Prompt, plain


@dataclass(frozen=True)
class Rebuilt:
    """``why`` says why there is nothing here; empty where all is."""

    why: str = ""
    problems: dict[str, Problem] = field(default_factory=dict)
    prompts: dict[str, list[tuple[str, str]]] = field(default_factory=dict)  # problem -> parts: title, text
    extract: Callable[[Problem, Completion], str | None] | None = None

    def code(self, row: dict[str, Any]) -> tuple[str | None, str]:
        """The program that was made of a row of completions.jsonl, or None and why there is none."""
        problem = self.problems.get(row["problem"])
        if problem is None or self.extract is None:
            return None, self.why or "the benchmark does not know this problem"
        completion = Completion(row["text"], row.get("form", "continuation"), row.get("finish_reason", "stop"))
        try:
            return self.extract(problem, completion), "no code was found in the completion"
        except Exception as error:  # of a plugin, on what a model wrote
            return None, f"cannot be extracted here: {type(error).__name__}: {error}"[:300]


def rebuilt(registry: Registry, run: Finished) -> Rebuilt:
    """Never raises: a report must not fail for a benchmark that has gone."""
    try:
        benchmark = registry.load(run.benchmark)
        if run.profile not in benchmark.profiles:
            return Rebuilt(f"{run.benchmark} has no profile {run.profile} here")
        chosen = profile(benchmark, run.profile)
        if recorded := run.report.get("haystack"):  # which need not be here: prompts name it and do not hold it
            chosen = replace(chosen, recorded=Haystack(**recorded))
        if chosen.dataset_hash != run.report["dataset"]["sha256"]:
            return Rebuilt(f"{run.benchmark} has other rows here than the run was made with")
        if (version := run.rule.get("benchmark_version")) != benchmark.version:
            return Rebuilt(f"the run was made by version {version} of {run.benchmark}; here is {benchmark.version}")
        problems = chosen.problems(offline=True)
        return _with_prompts(run, chosen, problems)
    except QcevalError as error:
        return Rebuilt(" ".join(str(error).split()))
    except Exception as error:  # of a plugin
        return Rebuilt(f"{run.benchmark}: {type(error).__name__}: {error}".splitlines()[0])


def _with_prompts(run: Finished, chosen: Profile, problems: list[Problem]) -> Rebuilt:
    asked = [(problem.id, chosen.prompt(problem)) for problem in problems]
    generation = run.described.get("generation", {})
    by_id = {problem.id: problem for problem in problems}
    first = asked[: int(generation.get("problems", 0))]  # a limited run has the first ones
    if "prompts" in generation and generation["prompts"] != content_digest([id, plain(one)] for id, one in first):
        return Rebuilt(f"{run.benchmark} asks otherwise here than in the run", by_id, {}, chosen.scoring.extract)
    return Rebuilt("", by_id, {id: plain_parts(prompt) for id, prompt in asked}, chosen.scoring.extract)


def plain_parts(prompt: Prompt) -> list[tuple[str, str]]:
    """What a model is asked, as titles and texts."""
    match prompt:
        case Continue():
            above = [] if prompt.before is None else [("above it", prompt.before)]
            return [*above, ("text to continue", prompt.text)]
        case Chat(messages):
            return [(message.role, message.content) for message in messages]
        case Infill():
            files = [(f"file {path}", text) for path, text in prompt.files]
            parts = [*files, ("before the gap", prompt.prefix), ("behind the gap", prompt.suffix)]
            return [*parts, ("retrieved, behind that", prompt.retrieved)] if prompt.retrieved else parts
        case Choice():
            return [("context", prompt.context), *(("continuation", text) for text in prompt.continuations)]
        case Needle(haystack):
            code = (
                f"the beginning of {haystack.name} {haystack.sha256}, as {prompt.form}: {prompt.tokens} tokens in all\n"
            )
            needle = (f"needle at {prompt.depth:.1%}", prompt.text)
            first = [("before the code", prompt.before)] if prompt.before else []
            return [*first, ("code", code), needle, ("behind the code", prompt.ask)]
