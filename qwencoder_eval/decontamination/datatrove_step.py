"""A step for a datatrove pipeline that lets no document through which has something of a benchmark's problems.

    from qwencoder_eval.decontamination.datatrove_step import BenchmarkFilter

    pipeline = [JsonlReader("data"), BenchmarkFilter(["humaneval", "mbpp"]), JsonlWriter("clean")]

A document that is left out has ``contamination`` in its metadata, a list of what was found, for ``exclusion_writer``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.writers.disk_base import DiskWriter

from .run import Search, index_of
from .scan import Hit, Scanner
from .shard import KEPT_HITS, Shown, known_index


class BenchmarkFilter(BaseFilter):  # type: ignore[misc]
    """``benchmarks``, ``rules``, ``n``, ``plugins``, ``offline``: as for ``run.Search``.

    The index is built where the pipeline is made, in the cache folder (QCEVAL_CACHE), which workers on other machines
    must see, too. Raises QcevalError of every kind.
    """

    name = "benchmark filter"

    def __init__(
        self,
        benchmarks: Sequence[str],
        rules: Sequence[str] = ("qwen",),
        n: int = 0,
        plugins: Sequence[str] = (),
        offline: bool = False,
        exclusion_writer: DiskWriter | None = None,
    ) -> None:
        super().__init__(exclusion_writer)
        search = Search(tuple(benchmarks), tuple(rules), n, tuple(map(Path, plugins)), offline)
        folder, _, _ = index_of(search)
        self.index = str(folder)
        self._scanner: Scanner | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scanner": None}  # a worker maps the index itself

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """False and the benchmark of what was found most of, or True."""
        self._scanner = self._scanner or Scanner(known_index(self.index))
        text = doc.text.encode("utf-8", "surrogatepass")
        hits: list[Hit] = self._scanner.scan_texts([text]).get(0, [])
        if not hits:
            return True
        shown = Shown(text, self._scanner.index)
        doc.metadata["contamination"] = [shown(hit) for hit in hits[:KEPT_HITS]]
        return False, str(self._scanner.index.problems[hits[0].item][0])
