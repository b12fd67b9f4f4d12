"""`qceval show-prompt`: the exact text that a model is asked to continue, before any GPU time is spent."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from ..benchmark import profile
from ..errors import UsageError
from ..registry import discover
from ..reports.table import for_terminal
from ..types import Continue
from . import options
from .options import print_json


@click.command("show-prompt")
@options.one_bench
@options.profile
@click.option("--problem", metavar="ID", help="Which problem; the first by default.")
@options.offline
@options.plugins
@options.as_json
def show_prompt_command(
    bench: str, profile_name: str | None, problem: str | None, offline: bool, plugins: tuple[Path, ...], as_json: bool
) -> None:
    """Print the prompt of a problem between two rules, so that blanks and newlines at its end can be seen.

    Example: qceval show-prompt --bench humaneval --problem HumanEval/0
    """
    chosen = profile(discover(plugins).load(bench), profile_name)
    problems = chosen.problems(offline)
    found = next((p for p in problems if problem in (None, p.id)), None)
    if found is None:
        raise UsageError(f"--problem {problem}: not in {bench}, which has {problems[0].id} to {problems[-1].id}")
    prompt = chosen.prompt(found)
    sampling = asdict(chosen.asking.sampling)
    if as_json:
        print_json({"problem": found.id, "profile": chosen.name, "prompt": asdict(prompt), "sampling": sampling})
        return
    click.echo(f"{bench} · profile {chosen.name} · {found.id}")
    parts = [("text to continue", prompt.text)] if isinstance(prompt, Continue) else []
    if not isinstance(prompt, Continue):
        parts = [(message.role, message.content) for message in prompt.messages]
    for title, text in parts:
        click.echo(f"──── {title} ────")
        click.echo(for_terminal(text), nl=False)
        click.echo(f"──── end, after {text[-20:]!r} ────")
    click.echo("sampling: " + ", ".join(f"{name} {value!r}" for name, value in sampling.items()))
