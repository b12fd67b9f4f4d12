"""The report as one page. It works without a network; what stands behind many samples lies in a folder beside it.

Whatever comes from a model is text: the template escapes it, data is JSON in which nothing can end its element, and
the page's scripts put it in by ``textContent``. Above that, the page's policy lets only its own script run.
"""

from __future__ import annotations

import base64
import hashlib
import multiprocessing
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .. import __version__
from ..errors import InfrastructureError, UsageError
from ..registry import Registry, discover
from ..runs.directory import digest
from ..runs.reading import Finished
from ..types import Outcome
from .compose import board_of, unwritable, write_file
from .compose import known as known_of
from .evidence import LETTERS, Part, as_json, ordered, run_parts, sheet_parts
from .families import stem
from .figures import sheets
from .leaderboard import Cell, Column, Leaderboard, Row, sampling, weights
from .plain import difference, interval
from .rebuilt import Rebuilt
from .table import for_terminal

PAGE = Path(__file__).with_name("page")
SCRIPTS = ("base.js", "table.js", "code.js", "charts.js", "viewer.js", "page.js")
EMBEDDED = 2_000_000  # bytes of evidence that stay in the page; more goes into a folder beside it
MANY = 5_000  # samples that are shared out among processes
OWNER = re.compile(r"[\w.-]+/(?=[^/]+$)")  # of a hub's OWNER/NAME
MARKER = ".qceval-report"  # says that a folder was written here and may be replaced
STARRED = (
    "best of its column, and better than the second beyond chance (p < 0.05, exact paired test over problems); only "
    "pass@1 of sandboxed runs is tested, a column without a star has no model that is clearly ahead"
)


def write_html(
    runs: Sequence[Finished], out: Path, title: str = "Leaderboard", registry: Registry | None = None
) -> dict[str, Any]:
    """The page of these runs. Raises RunError where none can be read, InfrastructureError where the disk fails."""
    registry = registry or discover()
    board = board_of(runs, registry)
    return write_page(board, out, known_of(board, registry), title)


def write_page(board: Leaderboard, out: Path, known: Mapping[str, Rebuilt], title: str) -> dict[str, Any]:
    """Write the page and what lies beside it. Raises InfrastructureError where the disk does not take it.

    ``known`` is what the benchmarks know, by sheet.
    """
    keep = Keep(out.with_name(f"{out.stem}_files"))
    try:
        for part in evidence_parts(board, known):
            keep.add(part)
        document = page(board, known, title, keep.embedded, quote(keep.folder.name))
        keep.close()
        write_file(out, document)
    except OSError as error:
        raise unwritable(out, error) from None
    finally:
        keep.discard()
    return {
        "bytes": len(document.encode()),
        "side_folder": str(keep.folder) if keep.files else None,
        "side_files": keep.files,
        "side_bytes": keep.written,
    }


class Keep:
    """Where parts go: into the page while they are few, else each into a file of a folder that replaces the old one."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where the folder is somebody else's."""
        self.folder, self.partial = folder, folder.with_name(f"{folder.name}.part")
        self.embedded: dict[str, str] = {}
        self.size = self.written = self.files = 0
        for each in (self.folder, self.partial):
            if each.exists() and not (each / MARKER).exists():
                raise UsageError(f"{each}: is there and not a report's; choose another --out or remove it")

    def add(self, part: Part) -> None:
        name, value = part
        if self.files:
            self._write(name, value)
            return
        self.embedded[name] = value
        self.size += len(value)
        if self.size > EMBEDDED:
            self.discard()
            self.partial.mkdir(parents=True)
            (self.partial / MARKER).touch()
            for name, value in self.embedded.items():
                self._write(name, value)
            self.embedded = {}

    def _write(self, name: str, value: str) -> None:
        file = self.partial / f"{name}.js"
        file.parent.mkdir(exist_ok=True)
        text = f"qceval({as_json(name)},{value});\n"
        file.write_text(text, encoding="ascii")
        self.files += 1
        self.written += len(text)

    def close(self) -> None:
        """Put the new folder, or none, in the place of the old one."""
        if self.folder.exists():
            shutil.rmtree(self.folder)
        if self.files:
            self.partial.rename(self.folder)

    def discard(self) -> None:
        if self.partial.exists():
            shutil.rmtree(self.partial)


# -- what stands in the page --------------------------------------------------------------------------


def run_id(run: Finished) -> str:
    """The same in every report, so that links keep their meaning."""
    return "r" + digest({"model": run.model, "weights": weights(run), "column": run.column, "at": run.started})[:10]


def evidence_parts(board: Leaderboard, known: Mapping[str, Rebuilt]) -> Iterator[Part]:
    by_sheet: dict[str, list[Finished]] = {}
    for run in board.runs:
        by_sheet.setdefault(run.column, []).append(run)
    jobs: list[Job] = []
    for sheet, runs in by_sheet.items():
        of = known.get(sheet, Rebuilt("not looked for"))
        names = {problem for run in runs for check in run.checks for problem in run.passed[check]}
        problems = ordered(names, of)
        hits = board.contamination.hits.get(sheet) if board.contamination else None
        yield from sheet_parts(f"q{sheet}", problems, of, hits)
        jobs += [Job(run_id(run), run, problems, of) for run in runs]
    for parts in in_processes(jobs, sum(int(run.report["samples"]) for run in board.runs)):
        yield from parts


@dataclass(frozen=True)
class Job:
    name: str
    run: Finished
    problems: list[str]
    known: Rebuilt

    def parts(self) -> Iterator[Part]:
        return run_parts(self.name, self.run, self.problems, self.known)


FORKED: list[Job] = []  # what the processes of a pool have from their parent: plugins cannot be sent to them


def _forked_parts(number: int) -> list[Part]:
    return list(FORKED[number].parts())


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_processes(jobs: list[Job], samples: int) -> Iterator[Iterable[Part]]:
    """The parts of each job. Many samples are shared out among processes, as extracting code costs what it costs."""
    if samples < MANY or cores() < 2 or len(jobs) < 2:
        yield from (job.parts() for job in jobs)
        return
    FORKED[:] = jobs
    ignore = (signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to tell of
    fork = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(min(cores(), len(jobs)), fork, signal.signal, ignore) as pool:
            yield from pool.map(_forked_parts, range(len(jobs)))
    except BrokenProcessPool:
        raise InfrastructureError("report: a process was killed, perhaps for memory; give it fewer runs") from None
    finally:
        FORKED.clear()


def page(board: Leaderboard, known: Mapping[str, Rebuilt], title: str, embedded: Mapping[str, str], files: str) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        autoescape=True, loader=FileSystemLoader(PAGE), undefined=StrictUndefined, trim_blocks=True
    )
    script = "(() => {\n" + "\n".join((PAGE / name).read_text(encoding="utf-8") for name in SCRIPTS) + "})();\n"
    style = (PAGE / "page.css").read_text(encoding="utf-8")
    drawn = sheets(board, known)
    families = {name: [column_head(board, column) for column in columns] for name, columns in board.families.items()}
    return environment.get_template("page.html.j2").render(
        title=title,
        summary=summary(board),
        policy=policy(script, style),
        script=Markup(script),  # noqa: S704 the project's own files
        style=Markup(style),  # noqa: S704
        families=families,
        bodies=bodies(board),
        contamination=contamination_shown(board),
        legend=board.legend,
        starred=STARRED,
        sheets=drawn,
        opened=max(drawn, key=lambda sheet: len(own_cells(board, sheet)))["id"],
        runs=[run_line(run) for run in board.runs],
        said=[for_terminal(line) for line in board.said],
        data=Markup(as_json(page_data(board, drawn, files))),  # noqa: S704 escaped by as_json
        parts={name: Markup(value) for name, value in embedded.items()},  # noqa: S704
    )


def policy(script: str, style: str) -> str:
    """Only the page's own script runs, and what it loads itself from beside the page; nothing else is fetched."""

    def pin(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return "; ".join((
        "default-src 'none'", f"script-src {pin(script)} 'strict-dynamic'", f"style-src {pin(style)}", "img-src data:",
        "base-uri 'none'", "form-action 'none'", "require-trusted-types-for 'script'", "trusted-types qceval",
    ))  # fmt: skip


def own_cells(board: Leaderboard, sheet: Mapping[str, Any]) -> list[Cell]:
    keys = {board.columns[at].key for at in sheet["columns"][:1]}
    return [cell for (_, key), cell in board.cells.items() if key in keys and cell.low is not None]


def summary(board: Leaderboard) -> str:
    models = sum(row.kind == "model" for row in board.rows)
    benchmarks = len({column.benchmark.partition(":")[0] for column in board.columns})
    counts = (counted(models, "model"), counted(benchmarks, "benchmark"), counted(len(board.runs), "run"))
    made = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{', '.join(counts)}. Percent, with 95 % intervals. Made {made} by qceval {__version__}."


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def column_head(board: Leaderboard, column: Column) -> dict[str, Any]:
    return {
        "at": board.columns.index(column),
        "check": for_terminal(column.check),
        "rules": column.rules,
        "metric": column.metric,
        "name": column.name,
        "marks": marks(board, column.notes),
    }


def marks(board: Leaderboard, notes: Sequence[str]) -> str:
    legend = board.legend
    return ",".join(legend[note] for note in notes)


def bodies(board: Leaderboard) -> dict[str, list[dict[str, Any]]]:
    """Our models and the published ones apart, so that sorting never mixes them."""
    legend = board.legend
    heads = [(column, at == 0) for columns in board.families.values() for at, column in enumerate(columns)]
    places = {column.key: at for at, column in enumerate(board.columns)}
    found: dict[str, list[dict[str, Any]]] = {"ours": [], "published": []}
    for at, row in enumerate(board.rows):
        cells = [
            {"family": column.family, "at": places[column.key], "first": first,
             **shown_cell(board, column, board.cell(row, column), legend)}
            for column, first in heads
        ]  # fmt: skip
        line = {**row_head(row), "at": at, "cells": cells}
        found["published" if row.kind == "published" else "ours"].append(line)
    return found


def row_head(row: Row) -> dict[str, str]:
    owner = owned[0] if (owned := OWNER.match(row.name)) else ""
    return {"name": row.name, "owner": owner, "short": row.name[len(owner) :], "kind": row.kind}


def shown_cell(board: Leaderboard, column: Column, cell: Cell | None, legend: Mapping[str, str]) -> dict[str, Any]:
    if cell is None:
        return {"value": None}
    href = ""
    if cell.run is not None:
        href = f"#/{run_id(board.runs[cell.run])}/{quote(column.check, safe='')}"
    elif column.parts and cell.low is not None:
        href = f"#sheet-{column.sheet}"
    return {
        "value": repr(cell.value),
        "shown": f"{100 * cell.value:.1f}",
        "interval": interval(cell),
        "href": href,
        "best": cell.best,
        "marks": ",".join(legend[note] for note in cell.notes),
        "notes": "; ".join(cell.notes),
    }


def contamination_shown(board: Leaderboard) -> dict[str, Any] | None:
    """A body of the table for each column."""
    found = board.contamination
    if found is None:
        return None
    bodies: dict[str, dict[str, Any]] = {}
    for row, column, split in found.scores(board):
        head = {"family": column.family, "check": for_terminal(column.check), "rules": column.rules}
        body = bodies.setdefault(column.key, {**head, "metric": for_terminal(column.metric), "rows": []})
        parts = [score and {"shown": f"{100 * score.value:.1f}", "interval": interval(score)} for score in split.parts]
        run = board.runs[board.cells[row, column.key].run or 0]
        body["rows"].append({
            **row_head(row), "href": f"#/{run_id(run)}/{quote(column.check, safe='')}", "parts": parts,
            "difference": difference(split), "clean": split.problems[0], "hit": split.problems[1],
        })  # fmt: skip
    return {"said": found.explained, "bodies": list(bodies.values()), "lines": [*found.files, *found.said]}


def run_line(run: Finished) -> dict[str, str]:
    rules = f"{run.version} · {run.profile}"
    found = {"name": run.model, "benchmark": run.benchmark, "rules": rules, "started": run.started}
    found |= {"sandbox": str(run.report.get("sandbox", "")), "path": str(run.path)}
    return {key: for_terminal(value) for key, value in found.items()}


def page_data(board: Leaderboard, drawn: list[dict[str, Any]], files: str) -> dict[str, Any]:
    """What the page's scripts know. Rows and columns go by their numbers, runs by their ids."""
    ids = [run_id(run) for run in board.runs]
    row_of = {cell.run: row for (row, _), cell in board.cells.items() if cell.run is not None}
    for sheet in drawn:
        sheet["runs"] = [id for id, run in zip(ids, board.runs, strict=True) if run.column == sheet["id"]]
    places: Callable[[Row], int] = {row: at for at, row in enumerate(board.rows)}.__getitem__
    return {
        "files": files,
        "outcomes": {LETTERS[outcome.value]: outcome.value for outcome in Outcome},
        "rows": [
            {"name": row.name, "label": label, "kind": row.kind, "size": row.size, "stem": stem(row.model)}
            for row, label in zip(board.rows, labels(board), strict=True)
        ],
        "columns": [{"check": c.check, "metric": c.metric, "ceiling": c.ceiling} for c in board.columns],
        "cells": [
            {"row": places(row), "column": at, "value": cell.value, "low": cell.low, "high": cell.high,
             "problems": cell.problems, "samples": cell.samples, "run": None if cell.run is None else ids[cell.run]}
            for at, column in enumerate(board.columns)
            for row in board.rows if (cell := board.cell(row, column))
        ],
        "sheets": drawn,
        "runs": [
            {"id": id, "row": places(row_of[at]), "sheet": f"q{run.column}", "checks": run.checks, "facts": facts(run),
             "notes": run.notes, "outcomes": run.report.get("outcomes", {})}
            for at, (id, run) in enumerate(zip(ids, board.runs, strict=True))
        ],
    }  # fmt: skip


def labels(board: Leaderboard) -> list[str]:
    """Names for small places: without the owner where that still tells them apart."""
    short = [OWNER.sub("", row.name) for row in board.rows]
    return [one if short.count(one) == 1 else row.name for one, row in zip(short, board.rows, strict=True)]


def facts(run: Finished) -> list[str]:
    n, temperature = sampling(run)
    found = [run.benchmark, run.version, f"profile {run.profile}", f"n {n}"]
    found += [f"temperature {temperature:g}"] if temperature is not None else []
    found += [f"sandbox {run.report.get('sandbox', 'unknown')}", run.started, str(run.path)]
    return [text for text in found if text]
