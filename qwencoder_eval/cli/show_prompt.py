"""`qceval show-prompt`: the exact text that a model is asked to continue, before any GPU time is spent."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..benchmark import Profile, profile
from ..errors import UsageError
from ..models.choose import Wanted
from ..models.rendering import Rendered, Renderer
from ..registry import discover
from ..reports.rebuilt import plain_parts
from ..reports.table import for_terminal
from ..types import Problem, Prompt, plain, versions
from . import generation, options
from .options import print_json

# What may come first in an answer, where a problem has no reference solution.
FOLLOWING = ("    return", "\n", " the", "def ", "x")


@click.command("show-prompt")
@options.one_bench
@options.profile
@click.option("--problem", metavar="ID", help="Which problem; the first by default.")
@click.option("--tokens", is_flag=True, help="Every token with its id; needs --model.")
@generation.asking
@options.haystack
@options.offline
@options.plugins
@options.as_json
def show_prompt_command(
    bench: str, profile_name: str | None, problem: str | None, tokens: bool, offline: bool, plugins: tuple[Path, ...],
    as_json: bool, **flags: Any,
) -> None:  # fmt: skip
    """Print a prompt between two rules, so that blanks and newlines at its end can be seen. With --model, it is shown
    as that model is given it: special tokens are marked, and a last token that would be another one in a whole text is
    told.

    Example: qceval show-prompt --bench humaneval --problem HumanEval/0 --model Qwen/Qwen2.5-Coder-7B
    """
    renderer = None
    if model := flags.pop("model"):
        renderer = Wanted(model, offline=offline, **flags).renderer(model)
    elif tokens:
        raise UsageError("--tokens: of which model? name it with --model")
    benchmark = discover(plugins).load(bench)
    profiles = [profile(benchmark, profile_name)]
    if renderer and not profile_name:
        profiles = [profile(benchmark, name) for name in benchmark.profiles]
    chosen, found, prompt = one_of(profiles, problem, offline, renderer)
    rendered = renderer.render(prompt) if renderer else None
    sampling = asdict(chosen.asking.sampling)
    if as_json:
        print_json(document(chosen, found, prompt, sampling, renderer, rendered, tokens))
        return
    click.echo(f"{bench} · profile {chosen.name} · {found.id}")
    if renderer and rendered:
        click.echo(f"{renderer.kind} model · profile {renderer.profile.name} ({renderer.why})")
        part("what the model is given; special tokens are marked ⟦so⟧", marked(renderer, rendered))
        if tokens:
            for at, (one, text, special) in enumerate(renderer.pieces(rendered)):
                click.echo(for_terminal(f"{at:6} {one:7} {text!r}{'  special' if special else ''}"))
        click.echo(f"{len(rendered.tokens)} tokens; ends at {', '.join(ends(renderer, rendered)) or 'no token'}")
        if (merging := merged(renderer, rendered, found)) is not None:
            click.echo(f"warning: {merging}")
    else:
        for title, text in plain_parts(prompt):
            part(title, text)
    if shorter := versions(prompt)[1:]:
        shortest = f"; the shortest has {len(renderer.render(shorter[-1]).tokens)} tokens" if renderer else ""
        click.echo(f"where it does not fit the context: {len(shorter)} shorter versions, one after the other{shortest}")
    click.echo("sampling: " + ", ".join(f"{name} {value!r}" for name, value in sampling.items()))


def one_of(
    profiles: list[Profile], problem: str | None, offline: bool, renderer: Renderer | None
) -> tuple[Profile, Problem, Prompt]:
    """The first profile whose prompts this model is made for. Raises UsageError where there is none."""
    refused: UsageError | None = None
    for chosen in profiles:
        problems = chosen.problems(offline)
        found = next((p for p in problems if problem in (None, p.id)), None)
        if found is None:
            name = chosen.benchmark.name
            raise UsageError(f"--problem {problem}: not in {name}, which has {problems[0].id} to {problems[-1].id}")
        prompt = chosen.prompt(found)
        try:
            if renderer:
                renderer.check(prompt)
        except UsageError as error:
            refused = refused or error
        else:
            return chosen, found, prompt
    assert refused is not None
    raise refused


def document(
    chosen: Profile, problem: Problem, prompt: Prompt, sampling: dict[str, Any], renderer: Renderer | None,
    rendered: Rendered | None, tokens: bool,
) -> dict[str, Any]:  # fmt: skip
    shown: dict[str, Any] = {
        "problem": problem.id,
        "profile": chosen.name,
        "prompt": plain(prompt),
        "sampling": sampling,
    }
    if renderer and rendered:
        shown |= {
            "model_profile": renderer.profile.name,
            "kind": renderer.kind,
            "rendered": rendered.text,
            "prompt_tokens": len(rendered.tokens),
            "ends": ends(renderer, rendered),
            "warning": merged(renderer, rendered, problem),
        }
        if tokens:
            shown["tokens"] = [
                {"id": one, "text": text, "special": special} for one, text, special in renderer.pieces(rendered)
            ]
    return shown


def part(title: str, text: str) -> None:
    click.echo(f"──── {title} ────")
    click.echo(for_terminal(text), nl=False)
    click.echo(f"──── end, after {text[-20:]!r} ────")


def marked(renderer: Renderer, rendered: Rendered) -> str:
    return "".join(f"⟦{text}⟧" if special else text for _, text, special in renderer.pieces(rendered))


def ends(renderer: Renderer, rendered: Rendered) -> list[str]:
    return [str(renderer.tokenizer.convert_ids_to_tokens(one)) for one in rendered.stop_tokens]


def merged(renderer: Renderer, rendered: Rendered, problem: Problem) -> str | None:
    """What is wrong with the end of the prompt, or None."""
    following = (problem.reference,) if problem.reference else FOLLOWING
    if rendered.continuations or (found := renderer.merging(rendered, following)) is None:
        return None
    last = renderer.pieces(rendered)[-1][1]
    return (
        f"the prompt's last token {last!r} becomes another one where {found[:20]!r} follows it: the model has hardly "
        "seen texts that are cut there"
    )
