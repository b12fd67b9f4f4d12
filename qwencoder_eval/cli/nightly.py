"""`qceval nightly`: the matrix, the gate, JUnit and a Markdown summary."""

from __future__ import annotations

import re
import time
from pathlib import Path

import click

from ..errors import InfrastructureError, QcevalError, UsageError
from ..regression.nightly import Night, Plan, foreseen, read_plan, run_night
from ..regression.summary import described, document, finds, junit, markdown, said
from ..reports.table import for_terminal
from . import options
from .options import print_json, say

NIGHT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@click.command("nightly")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--night", metavar="NAME", help="The night's folder; the date (UTC) by default. The same one continues.")
@click.option("--accept", is_flag=True, help="Make this night the baseline, whatever the gate says.")
@click.option("--plan", "only_plan", is_flag=True, help="Only say what the gate could find, from the baseline.")
@options.as_json
def nightly_command(file: Path, night: str | None, accept: bool, only_plan: bool, as_json: bool) -> int:
    """Evaluate models on benchmarks as FILE says, and hold them against the baseline.

    Exit 1 for a regression, 3 for infrastructure trouble, 2 where nothing can be compared. The night's folder gets
    junit.xml, summary.md, report.html and night.json.

    Example: qceval nightly nightly.toml
    """
    plan = read_plan(file)
    if only_plan:
        tests = foreseen(plan, file)
        if as_json:
            print_json([described(each) for each in tests])
        else:
            for each in tests:
                click.echo(for_terminal(f"{each.model}, {each.name}: finds drops from {finds(each)} points"))
        return 0
    name = time.strftime("%Y-%m-%d", time.gmtime()) if night is None else night
    if not NIGHT.fullmatch(name):
        raise UsageError(f"--night {name}: use letters, digits, and . _ - between them")
    folder = file.resolve().parent / Path(plan.results).expanduser() / name
    found = run_night(plan, file, folder, accept, say)
    keep(found, plan)
    if as_json:
        print_json(document(found))
    else:
        tell(found, plan)
    return found.status


def keep(night: Night, plan: Plan) -> None:
    """Write what others read of a night. The report is made last, and what keeps it from being made is only said."""
    import json

    try:
        night.folder.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("night.json", json.dumps(document(night), indent=1) + "\n"),
            ("junit.xml", junit(night)),
            ("summary.md", markdown(night, plan)),
        ):
            (night.folder / name).write_text(text)
    except OSError as error:
        raise InfrastructureError(f"{night.folder}: cannot be written ({error.strerror}); make room") from None
    if runs := [run for own in night.runs.values() for run in own]:
        from ..reports.html import write_html

        try:
            write_html(runs, night.folder / "report.html")
        except QcevalError as error:
            say(f"report.html: {error}")


def tell(night: Night, plan: Plan) -> None:
    for each in night.judged:
        state = "REGRESSION" if each.failed else "not confirmed" if each in night.unconfirmed else "ok"
        click.echo(for_terminal(f"{state}: {each.model}, {each.name}: {said(each)}; finds {finds(each)} points"))
        if each.failed and each.comparison:
            click.echo(for_terminal(f"  lost: {', '.join(each.comparison.lost) or 'none'}"))
            click.echo(for_terminal(f"  gained: {', '.join(each.comparison.gained) or 'none'}"))
    for heading, troubles in (("not evaluated", night.trouble), ("not compared", night.refused)):
        for name, lines in troubles.items():
            for line in lines:
                click.echo(for_terminal(f"{heading}: {name}: {line}"))
    for note in night.notes:
        click.echo(for_terminal(note))
    click.echo(for_terminal(f"→ {night.folder}"))
