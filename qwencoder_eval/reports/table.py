"""The table at the end of a run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

# Escape sequences, control characters, and the marks that turn the direction of text around.
UNSAFE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

SHOWN = 10  # problems without a verdict that are named


def for_terminal(text: str) -> str:
    """Text that a model or a program wrote, without anything that a terminal would act on."""
    return UNSAFE.sub("·", text)


def draw(reports: Sequence[dict[str, Any]]) -> None:
    """One table for all reports on standard output."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("score", "metric"):
        table.add_column(title)
    for title in ("value", "95 % interval", "passed"):
        table.add_column(title, justify="right")
    table.add_column("other outcomes")
    for report in reports:
        for name, metrics in report["scores"].items():
            outcomes = report["outcomes"].get(name, {})
            others = ", ".join(
                f"{count} {o.replace('_', ' ')}" for o, count in sorted(outcomes.items()) if o != "passed"
            )
            for index, (metric, score) in enumerate(metrics.items()):
                first = index == 0 and bool(outcomes)
                table.add_row(
                    Text(f"{name} {report['dataset']['version']}" if index == 0 else ""),
                    metric,
                    f"{100 * score['value']:.1f} %",
                    f"{100 * score['low']:.1f} – {100 * score['high']:.1f}",
                    f"{outcomes.get('passed', 0)}/{report['samples']}" if first else "",
                    others if first else "",
                )
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=120)
    for report in reports:
        line = f"{report['model']} · {report['benchmark']} · profile {report['profile']} · sandbox {report['sandbox']}"
        console.print(Text(for_terminal(line + "".join(f" · {note}" for note in report["notes"]))))
    if table.row_count:
        console.print(table)
    for report in reports:
        if missing := report.get("missing"):
            text = (
                f"{report['benchmark']}: no score, {missing['samples']} of {report['samples']} samples have no verdict"
            )
            console.print(Text(f"{text}{'; the same command tries them again' if missing['try_again'] else ''}"))
            for problem, reason in list(missing["problems"].items())[:SHOWN]:
                console.print(Text(for_terminal(f"  {problem}: {reason}")))
            if len(missing["problems"]) > SHOWN:
                console.print(Text(f"  and {len(missing['problems']) - SHOWN} more, in scores.json"))
        if "run" in report:
            console.print(Text("What failed, and on which input, is in verdicts.jsonl of the run:"))
            console.print(Text(f"→ {report['run']}"), soft_wrap=True)
