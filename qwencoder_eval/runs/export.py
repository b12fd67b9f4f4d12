"""Runs as one flat table, a row for each sample and check: CSV, or Parquet in row groups.

Verdicts come in the order in which they were made, completions in that in which they were answered. They are brought
together on disk, so that memory does not grow with the number of samples.
"""

from __future__ import annotations

import csv
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError, UsageError
from .reading import Finished

GROUP = 50_000  # rows of a Parquet row group ...
GROUP_CHARS = 32 << 20  # ... and no more text than this
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes for a formula's beginning
COLUMNS = {
    "run": "string", "model": "string", "benchmark": "string", "profile": "string", "version": "string",
    "started": "string", "problem": "string", "sample": "int64", "check": "string", "outcome": "string",
    "passed": "bool", "prompt_tokens": "int64", "tokens": "int64", "finish_reason": "string",
}  # fmt: skip
OF_ANSWER = ("prompt_tokens", "tokens", "finish_reason", "text")
FIND = f"SELECT {', '.join(OF_ANSWER)} FROM answers WHERE problem = ? AND sample = ?"  # noqa: S608


def rows(run: Finished, texts: bool = False) -> Iterator[dict[str, Any]]:
    """A row for each sample and check of a run, in the order of its verdicts. Raises RunError where it is damaged."""
    known = {
        "run": printable(str(run.path)), "model": printable(run.model), "benchmark": run.benchmark,
        "profile": run.profile, "version": run.version, "started": run.started,
    }  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="qceval-export-") as folder, closing(_table(Path(folder))) as table:
        table.execute("BEGIN")
        table.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)", _answers(run, texts))
        table.execute("COMMIT")
        for verdict in run.verdicts():
            of = (verdict["problem"], verdict["sample"])
            answer = table.execute(FIND, of).fetchone() or (None,) * 4
            row = {**known, "problem": of[0], "sample": of[1], **dict(zip(OF_ANSWER, answer, strict=True))}
            if not texts:
                del row["text"]
            for check, outcome in verdict["checks"].items():
                yield {**row, "check": check, "outcome": outcome, "passed": outcome == "passed"}


def _table(folder: Path) -> sqlite3.Connection:
    table = sqlite3.connect(folder / "answers.sqlite", isolation_level=None)
    table.execute("PRAGMA synchronous = OFF")
    table.execute("PRAGMA journal_mode = OFF")
    columns = ", ".join(("problem", "sample", *OF_ANSWER))
    table.execute(f"CREATE TABLE answers ({columns}, PRIMARY KEY (problem, sample)) WITHOUT ROWID")
    return table


def _answers(run: Finished, texts: bool) -> Iterator[tuple[Any, ...]]:
    for row in run.completions():
        text = printable(str(row["text"])) if texts else None
        yield row["problem"], row["sample"], row.get("prompt_tokens"), row.get("tokens"), row.get("finish_reason"), text


def printable(text: str) -> str:
    """Without halves of surrogate pairs, which JSON can hold and no file of text."""
    return text.encode("utf-8", "replace").decode()


def export(runs: Iterable[Finished], file: Path, texts: bool = False) -> int:
    """Write the table to ``file``, by what its name ends in; how many rows it has.

    Raises UsageError for another ending, InfrastructureError where it cannot be written or Parquet is not installed.
    """
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if file.suffix not in writers:
        raise UsageError(f"--out {file}: give a name that ends in .parquet or .csv")
    columns = {**COLUMNS, **({"text": "string"} if texts else {})}
    partial = file.with_name(f"{file.name}.part")
    try:
        count = writers[file.suffix](partial, columns, (row for run in runs for row in rows(run, texts)))
        partial.replace(file)
    except OSError as error:
        raise InfrastructureError(
            f"{file}: cannot be written ({error.strerror or error}); choose another --out"
        ) from None
    except sqlite3.Error as error:
        raise InfrastructureError(
            f"{tempfile.gettempdir()}: no room to sort in ({error}); make some, or set TMPDIR"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return count


def _write_csv(file: Path, columns: Mapping[str, str], found: Iterator[dict[str, Any]]) -> int:
    count = 0
    with file.open("w", newline="", encoding="utf-8") as out:
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        for row in found:
            writer.writerow({name: harmless(value) for name, value in row.items()})
            count += 1
    return count


def harmless(value: Any) -> Any:
    """Text that a spreadsheet would calculate gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _write_parquet(file: Path, columns: Mapping[str, str], found: Iterator[dict[str, Any]]) -> int:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InfrastructureError(
            f"--out {file.name.removesuffix('.part')}: pyarrow is not installed; pip install 'qwencoder_eval[tables]', "
            "or write a .csv"
        ) from None
    kinds = {"string": pyarrow.string(), "int64": pyarrow.int64(), "bool": pyarrow.bool_()}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in columns.items()])
    count = 0
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in groups(found):
            writer.write_table(pyarrow.Table.from_pylist(group, schema))
            count += len(group)
    return count


def groups(found: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists that are bounded by their number and by their text together."""
    group: list[dict[str, Any]] = []
    chars = 0
    for row in found:
        group.append(row)
        chars += len(row.get("text") or "")
        if len(group) >= GROUP or chars >= GROUP_CHARS:
            yield group
            group, chars = [], 0
    if group:
        yield group
