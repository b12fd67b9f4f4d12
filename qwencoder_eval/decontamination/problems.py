"""What a corpus is searched for: the declared fields of every problem of a benchmark, with the hashes of its rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from ..benchmark import Benchmark
from ..datasets.rows import load
from ..errors import DatasetError, UsageError
from .entries import text_of
from .index import Item


@dataclass
class Wanted:
    """One benchmark: its problems, and the versions of its rows with the hashes that runs have, too."""

    benchmark: str
    fields: tuple[str, ...]
    items: list[Item] = field(default_factory=list)
    datasets: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)  # versions whose rows are not on this machine

    def described(self) -> dict[str, Any]:
        return {
            "benchmark": self.benchmark,
            "datasets": self.datasets,
            "fields": list(self.fields),
            "problems": len(self.items),
        }


def wanted(benchmark: Benchmark, offline: bool) -> Wanted:
    """The problems of all versions of the rows that its profiles ask; only those of the first must be here.

    A problem that versions have with other texts is searched for in all of them. Raises DatasetError, and UsageError
    for a benchmark that names no fields.
    """
    if not benchmark.decontaminate:
        raise UsageError(f"--bench {benchmark.name}: its file names no fields to look for; leave it out")
    found = Wanted(benchmark.name, tuple(benchmark.decontaminate))
    texts: dict[str, dict[str, None]] = {}  # in order, each once
    for number, (rows, select) in enumerate(benchmark.datasets()):
        try:
            loaded = load(replace(rows, databases=()), benchmark.file.parent, offline or number > 0, select)
        except DatasetError:
            if number == 0:
                raise
            found.missing.append(rows.version)
            continue
        found.datasets[rows.version if rows.version not in found.datasets else f"{rows.version} {rows.file}"] = (
            loaded.sha256
        )
        for row in loaded:
            try:
                id = benchmark.problem(row).id
            except Exception as error:
                said = f"{type(error).__name__}: {error}".splitlines()[0]
                raise DatasetError(f"{benchmark.file}: problem: {said}; correct it") from None
            fields = texts.setdefault(id, {})
            fields |= dict.fromkeys(text for name in found.fields if (text := text_of(row.get(name))).strip())
    found.items = [Item(found.benchmark, id, tuple(fields)) for id, fields in texts.items()]
    return found
