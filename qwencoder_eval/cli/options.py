"""Options that several commands share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def say(text: str) -> None:
    """A line for people: on standard error, so that standard output stays a document."""
    click.echo(text, err=True)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=1))


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def apply(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def _use_haystack(context: click.Context, _: click.Parameter, folder: Path | None) -> None:
    """As the setting, until the command has ended."""
    if folder is None:
        return
    old = os.environ.get("QCEVAL_HAYSTACK")
    os.environ["QCEVAL_HAYSTACK"] = str(folder)

    def restore() -> None:
        if old is None:
            os.environ.pop("QCEVAL_HAYSTACK", None)
        else:
            os.environ["QCEVAL_HAYSTACK"] = old

    context.call_on_close(restore)


plugins = click.option(
    "--plugins",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="DIR",
    help="More benchmarks, a file each.",
)
as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document on standard output.")
haystack = click.option(
    "--haystack",
    type=click.Path(path_type=Path),
    metavar="DIR",
    expose_value=False,
    callback=_use_haystack,
    help="Other code to hide needles in; its *.py files.",
)
offline = click.option("--offline", is_flag=True, help="Open no connection; data must be here.")
one_bench = click.option("--bench", required=True, metavar="NAME", help="The benchmark; see qceval list.")
profile = click.option(
    "--profile", "profile_name", metavar="P", help="Which rules of asking and scoring; the first by default."
)
sandbox = click.option(
    "--sandbox",
    "sandbox_name",
    type=click.Choice(["auto", "docker", "namespaces", "none"]),
    default="auto",
    show_default=True,
    help="Where programs run; none only for trusted ones.",
)
running = apply(
    sandbox,
    click.option("--unsafe", is_flag=True, help="Let model output run without a sandbox."),
    click.option("--runtime", metavar="NAME", help="Docker runtime, such as runsc for gVisor."),
    click.option("--workers", type=click.IntRange(1), help="Programs at a time; one a core by default."),
    click.option("--out", type=click.Path(path_type=Path), metavar="DIR", help="Where runs land; results/ by default."),
    click.option("-k", "ks", type=click.IntRange(1), multiple=True, help="pass@k; may be repeated."),
    click.option("--no-cache", is_flag=True, help="Run every program, also those whose verdict is known."),
    offline,
    plugins,
    as_json,
)
