"""`qceval compare`: two sides, problem by problem, and the gate on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..regression.compare import Comparison, answers, compared
from ..regression.gate import Judged, Rule, judge
from ..regression.summary import described as described_test
from ..regression.summary import finds, names, noise, said
from ..reports.table import for_terminal
from ..runs.reading import Finished, all_finished
from . import options
from .options import print_json, say

LINES = 30  # of an answer that are shown

gate_options = options.apply(
    click.option("--alpha", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
                 help="How often the gate may fail where nothing has changed."),
    click.option("--least", type=click.FloatRange(0, 100), default=0.0, show_default=True, metavar="POINTS",
                 help="Drops under this many points are let through."),
)  # fmt: skip


@click.command("compare")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("new", type=click.Path(path_type=Path))
@click.option("--gate", is_flag=True, help="Exit 1 where something got significantly worse.")
@gate_options
@click.option(
    "--show", type=click.IntRange(0), default=0, metavar="N", help="Both answers to N flipped problems a score."
)
@options.as_json
def compare_command(base: Path, new: Path, gate: bool, alpha: float, least: float, show: int, as_json: bool) -> int:
    """Compare two runs, or two folders of runs of one model each, paired by problem.

    Several runs of one benchmark in a folder are repeats. Differences are new less base, with 95 % intervals; p is
    exact, and adjusted for all scores that are compared.

    Example: qceval compare results/step-1000 results/step-2000 --gate --least 1
    """
    (ours, left_out), (theirs, more) = all_finished([base]), all_finished([new])
    comparisons, unmatched = compared(ours, theirs)
    for line in [*left_out, *more, *unmatched]:
        say(f"left out: {line}")
    tests = judge(comparisons, Rule(alpha, least / 100)) if gate else []
    if as_json:
        print_json(
            {
                "base": str(base),
                "new": str(new),
                "comparisons": [described(each, ours, theirs) for each in comparisons],
                **({"gate": [described_test(each) for each in tests]} if gate else {}),
            }
        )
    else:
        draw(comparisons)
        for each in comparisons:
            tell(each, ours, theirs, show)
        if gate:
            draw_gate(tests, alpha, least)
    return int(any(each.failed for each in tests))


def described(each: Comparison, ours: Sequence[Finished], theirs: Sequence[Finished]) -> dict[str, Any]:
    plain = asdict(each)
    for key in ("units", "per_problem"):
        del plain[key]
    before, after = sides(each, ours, theirs)
    flips = [*each.lost, *each.gained]
    old, new = answers(before, flips), answers(after, flips)
    plain["problems"] = each.problems
    plain["flips"] = {problem: {"base": old.get(problem), "new": new.get(problem)} for problem in flips}
    return plain


def sides(
    each: Comparison, ours: Sequence[Finished], theirs: Sequence[Finished]
) -> tuple[list[Finished], list[Finished]]:
    before = [run for run in ours if (run.benchmark, run.profile) == (each.benchmark, each.profile)]
    return before, [run for run in theirs if run.identity == before[0].identity]


def draw(comparisons: Sequence[Comparison]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("score")
    for title in ("base", "new", "difference", "95 % interval", "p", "Holm", "lost", "gained"):
        table.add_column(title, justify="right")
    for each in comparisons:
        worse, better = each.adjusted < 0.05 and each.difference < 0, each.adjusted < 0.05 and each.difference > 0
        table.add_row(
            Text(for_terminal(each.name)),
            f"{100 * each.base:.1f} %",
            f"{100 * each.new:.1f} %",
            Text(f"{100 * each.difference:+.1f}", style="red" if worse else "green" if better else ""),
            f"{100 * each.low:+.1f} – {100 * each.high:+.1f}",
            f"{each.p:.2g}",
            f"{each.adjusted:.2g}",
            str(len(each.lost)),
            str(len(each.gained)),
        )
    console = Console(highlight=False)
    Console(highlight=False, width=console.width if console.is_terminal else 120).print(table)


def tell(each: Comparison, ours: Sequence[Finished], theirs: Sequence[Finished], show: int) -> None:
    for note in each.notes:
        click.echo(for_terminal(f"{each.name}: {note}"))
    if line := noise(each):
        click.echo(for_terminal(f"{each.name}: {line}"))
    for what, problems in (("lost", each.lost), ("gained", each.gained)):
        if problems:
            click.echo(for_terminal(f"{each.name}: {what} {names(problems)}"))
    if not show:
        return
    before, after = sides(each, ours, theirs)
    flips = [*each.lost[:show], *each.gained[: max(0, show - len(each.lost))]]
    old, new = answers(before, flips), answers(after, flips)
    for problem in flips:
        side_by_side(f"{each.name}: {problem}", old.get(problem), new.get(problem))


def side_by_side(title: str, old: dict[str, Any] | None, new: dict[str, Any] | None) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(
        box=box.SIMPLE_HEAD, title=Text(for_terminal(title)), title_justify="left", pad_edge=False, expand=True
    )
    for name, side in (("base", old), ("new", new)):
        outcomes = ", ".join(side["checks"].values()) if side else "no answer"
        table.add_column(Text(f"{name}: {outcomes}"), ratio=1, overflow="fold")
    table.add_row(*(Text(shown(side)) for side in (old, new)))
    Console(highlight=False).print(table)


def shown(side: dict[str, Any] | None) -> str:
    if side is None:
        return ""
    lines = for_terminal(side["text"]).splitlines()
    cut = [f"… {len(lines) - LINES} more lines"] if len(lines) > LINES else []
    said = [for_terminal(f"{name}: {text[:200]}") for name, text in side["evidence"].items()]
    return "\n".join([*lines[:LINES], *cut, "", *said])


def draw_gate(tests: Sequence[Judged], alpha: float, least: float) -> None:
    """What the gate could have found comes first: without it a gate that lets through says nothing."""
    click.echo(f"gate: false alarms in at most {100 * alpha:g} of 100, drops from {least:g} points count")
    for test in tests:
        state = "FAILED" if test.failed else "let through"
        click.echo(for_terminal(f"  {test.name}: finds drops from {finds(test)} points; seen {said(test)}: {state}"))
