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
from datatrove.utils.logging import logger

from .run import Search, made
from .scan import Hit, Scanner
from .shard import KEPT_HITS, Shown, known_index


class BenchmarkFilter(BaseFilter):  # type: ignore[misc]
    """``benchmarks``, ``rules``, ``n``, ``plugins``, ``offline``: as for ``run.Search``.

    The index is built where the pipeline is made, in the cache folder (QCEVAL_CACHE), which workers on other machines
    must see, too. Documents are searched ``batch_size`` at a time, which is some times as fast as one by one. Raises
    QcevalError of every kind.
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
        batch_size: int = 64,
    ) -> None:
        super().__init__(exclusion_writer, batch_size)
        search = Search(tuple(benchmarks), tuple(rules), n, tuple(map(Path, plugins)), offline)
        # Not in a process of its own: that would run a script from its beginning which has no `if __name__` in it.
        folder, _, notes = made(search)
        for note in notes:
            logger.warning(note)
        self.index = folder
        self._scanner: Scanner | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_scanner": None}  # a worker maps the index itself

    def filter(self, doc: Document) -> bool | tuple[bool, str]:
        """False and the benchmark of what was found most of, or True."""
        return self.filter_batch([doc])[0]

    def filter_batch(self, batch: list[Document]) -> list[bool | tuple[bool, str]]:
        """Of each document what ``filter`` says."""
        self._scanner = self._scanner or Scanner(known_index(self.index))
        texts = [doc.text.encode("utf-8", "surrogatepass") for doc in batch]
        found = self._scanner.scan_texts(texts)
        return [
            self._left_out(doc, text, found[at]) if at in found else True
            for at, (doc, text) in enumerate(zip(batch, texts, strict=True))
        ]

    def _left_out(self, doc: Document, text: bytes, hits: list[Hit]) -> tuple[bool, str]:
        assert self._scanner
        shown = Shown(text, self._scanner.index)
        doc.metadata["contamination"] = [shown(hit) for hit in hits[:KEPT_HITS]]
        return False, str(self._scanner.index.problems[hits[0].item][0])
