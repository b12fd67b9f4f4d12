"""Search texts for the pieces of an index. The same for every engine: a function of bytes, with nothing around it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import kernels, minhash
from .index import Index, Table
from .lexing import Lexer
from .rules import canonical

REMEMBERED = 1 << 15  # pieces that were confirmed, in memory


@dataclass(frozen=True, slots=True)
class Hit:
    """A problem that a text has something of: by which rule, how many pieces, and the longest run of them.

    ``item`` is its place in ``Index.problems``; ``start`` and ``end`` are the run's bytes in the text.
    """

    rule: str
    item: int
    pieces: int
    start: int
    end: int


class Scanner:
    """Searches text after text; not safe for threads. ``seen``: of each rule which pieces were in any of them."""

    def __init__(self, index: Index) -> None:
        self.index = index
        self.lexer = Lexer()
        self.seen = {name: np.zeros(len(table.keys), np.bool_) for name, table in index.tables.items()}
        self._confirmed: dict[tuple[str, int, bytes], list[int]] = {}

    def scan(self, data: Any, offsets: Any) -> dict[int, list[Hit]]:
        """What each text has, if anything; the most pieces first.

        ``data``: array of bytes, UTF-8, with ``kernels.PAD`` bytes behind the last text; text i lies from
        ``offsets[i]`` to ``offsets[i + 1]``.
        """
        found: dict[int, list[Hit]] = defaultdict(list)
        for name, table in self.index.tables.items():
            rows = self.lexer.matches(table, data, offsets)
            if len(rows):
                for text, begins, runs in self._runs(table, rows.tolist(), data, offsets):
                    for item, run in runs.items():
                        found[text].append(Hit(name, item, run.pieces, run.best[0] - begins, run.best[1] - begins))
        for hits in found.values():
            hits.sort(key=lambda hit: (-hit.pieces, hit.item, hit.rule))
        return dict(sorted(found.items()))

    def scan_texts(self, texts: Sequence[bytes]) -> dict[int, list[Hit]]:
        return self.scan(*joined(texts))

    def _runs(
        self, table: Table, rows: list[list[int]], data: Any, offsets: Any
    ) -> Iterator[tuple[int, int, dict[int, _Run]]]:
        """Of each text with a match: its number, its first byte, and what it has of which problem."""
        rows.sort()
        at = 0
        while at < len(rows):
            text, behind = rows[at][0], at
            while behind < len(rows) and rows[behind][0] == text:
                behind += 1
            begins, ends = int(offsets[text]), int(offsets[text + 1])
            runs: dict[int, _Run] = {}
            if table.rule.similar:
                self._similar(table, rows[at:behind], data, runs)
            else:
                for _, first, last, place in rows[at:behind]:
                    for piece, end in self._same(table, place, data, first, last, ends):
                        self.seen[table.rule.name][piece] = True
                        for item in table.items[table.begins[piece] : table.begins[piece + 1]].tolist():
                            runs.setdefault(item, _Run()).add(first, end)
            if runs:
                yield text, begins, runs
            at = behind

    def _same(self, table: Table, place: int, data: Any, first: int, last: int, ends: int) -> Iterator[tuple[int, int]]:
        """The pieces of the index that are the same as this one of a text, and where each ends in the text."""
        rule = table.rule
        raw = data[first:last].tobytes()
        asked = rule.name, place, raw
        if (known := self._confirmed.get(asked)) is None or rule.whole:
            known = [at for at in _equal_keys(table, place) if rule.whole or self._is(table, at, raw)]
            if len(self._confirmed) >= REMEMBERED:
                self._confirmed.clear()
            self._confirmed[asked] = known
        for at in known:
            if not rule.whole:
                yield at, last
            elif (end := kernels.whole_end(data, first, ends, self.index.texts, *table.places[at].tolist())) >= 0:
                yield at, end

    def _is(self, table: Table, at: int, raw: bytes) -> bool:
        kind = table.rule.kind
        return canonical(decoded(raw), kind) == canonical(self.index.piece(table, at), kind)

    def _similar(self, table: Table, rows: list[list[int]], data: Any, runs: dict[int, _Run]) -> None:
        """Held against each problem of which a band is the same."""
        first, last = rows[0][1], rows[0][2]
        items: dict[int, int] = {}  # and one of its bands
        for row in rows:
            for item in table.items[table.begins[row[3]] : table.begins[row[3] + 1]].tolist():
                items[item] = row[3]
        keys = self._keys(table, data, first, last)
        whole: set[tuple[str, ...]] = set()
        for item, band in sorted(items.items()):
            text = self.index.text(item)
            own = self._keys(table, *_alone(text))
            both = len(np.intersect1d(keys, own, assume_unique=True))
            if both < table.rule.similar * (len(keys) + len(own) - both) * 0.99:  # equal keys are rarely other runs
                continue
            whole = whole or minhash.runs(decoded(data[first:last].tobytes()), table.rule, table.n)
            if minhash.shared(whole, minhash.runs(decoded(text), table.rule, table.n)) >= table.rule.similar:
                self.seen[table.rule.name][band] = True
                runs.setdefault(item, _Run()).add(first, last)

    def _keys(self, table: Table, data: Any, first: int, last: int) -> Any:
        count = self.lexer.lex(table.rule, data, first, last, table.n)
        return np.unique(self.lexer.keys(table.rule, count, table.n))


class _Run:
    """Pieces of one problem in one text, which come in order of their first byte."""

    __slots__ = ("best", "pieces", "run")

    def __init__(self) -> None:
        self.pieces = 0
        self.best = self.run = (0, 0)

    def add(self, first: int, last: int) -> None:
        self.pieces += 1
        joined = self.pieces > 1 and first <= self.run[1]
        self.run = (self.run[0], max(self.run[1], last)) if joined else (first, last)
        if self.run[1] - self.run[0] > self.best[1] - self.best[0]:
            self.best = self.run


def _equal_keys(table: Table, place: int) -> Iterator[int]:
    at, key = place, table.keys[place]
    while at < len(table.keys) and table.keys[at] == key:
        yield at
        at += 1


def decoded(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogatepass")


def joined(texts: Sequence[bytes]) -> tuple[Any, Any]:
    """Texts as ``Scanner.scan`` takes them."""
    offsets = np.zeros(len(texts) + 1, np.int64)
    np.cumsum([len(text) for text in texts], out=offsets[1:])
    return np.frombuffer(b"".join([*texts, bytes(kernels.PAD)]), np.uint8), offsets


def _alone(text: bytes) -> tuple[Any, int, int]:
    data, _ = joined([text])
    return data, 0, len(text)
