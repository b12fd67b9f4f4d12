"""The kernels with the arrays that they need: units, keys and matches of texts in memory."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from . import kernels, minhash
from .rules import KEPT, Rule, fold

KINDS = {"words": kernels.WORDS, "folded": kernels.FOLDED, "code": kernels.CODE, "renamed": kernels.RENAMED}
LAST_LETTER = 0x323B0  # no letter or digit of Unicode 15 comes behind it
FIRST_MATCHES = 1 << 12


@lru_cache(maxsize=1)
def folds() -> Any:
    """What each character folds to, 0 where it is no letter or digit: ``rules.fold`` as a table."""
    return np.array([ord(fold(chr(at)) or "\0") for at in range(LAST_LETTER)], np.int32)


NO_FOLDS = np.zeros(0, np.int32)


class Lexer:
    """Reused from text to text; not safe for threads."""

    def __init__(self) -> None:
        self.size = 0
        self.found = np.empty((FIRST_MATCHES, 4), np.int64)
        self.bands = np.empty(minhash.BANDS, np.uint64)
        self._hold(1 << 16)

    def _hold(self, size: int) -> None:
        """Room for the units of texts of so many bytes: at least every second byte separates."""
        if size <= self.size:
            return
        self.size = size
        units = size // 2 + 2
        self.starts, self.ends, self.back = (np.empty(units, np.int64) for _ in range(3))
        self.words, self.hashes, self.before = (np.empty(units, np.uint64) for _ in range(3))

    def lex(self, rule: Rule, data: Any, first: int, behind: int, n: int) -> int:
        """The units of ``data[first:behind]``, in ``starts``, ``ends`` and the others; returns how many."""
        self._hold(behind - first)
        return int(
            kernels.lex(
                KINDS[rule.kind], data, first, behind, n, folds_of(rule), kept(), self.starts, self.ends, self.words,
                self.hashes, self.before, self.back,
            )
        )  # fmt: skip

    def keys(self, rule: Rule, count: int, size: int) -> Any:
        """The keys of all windows of so many of the units that were made last."""
        out = np.empty(count - size + 1, np.uint64)
        kernels.keys_of(*self._units(rule), count, size, out)
        return out

    def _units(self, rule: Rule) -> tuple[Any, ...]:
        others = self.hashes if rule.kind == "code" else self.words
        return self.words, others, self.before, self.back, rule.kind == "renamed"

    def mark_first(self, rule: Rule, lengths: Any, firsts: Any) -> None:
        """See ``kernels.mark_first``: of the text whose units were made last."""
        kernels.mark_first(*self._units(rule), lengths, firsts)

    def matches(self, table: Any, data: Any, offsets: Any) -> Any:
        """Rows (text, first byte, byte behind the last, key's place) of all pieces whose key ``table`` has.

        Text i lies from ``offsets[i]`` to ``offsets[i + 1]``; behind the last one there are ``kernels.PAD`` bytes more.
        """
        self._hold(int(max(np.diff(offsets), default=0)))
        known = table.bits, table.shift, table.narrow, table.heads, table.keys
        while True:
            if table.rule.similar:
                count = kernels.scan_similar(
                    data, offsets, table.n, folds(), minhash.MULTIPLIERS, minhash.ROWS, *known, self.starts, self.ends,
                    self.words, self.hashes, self.back, self.bands, self.found,
                )  # fmt: skip
            else:
                count = kernels.scan(
                    KINDS[table.rule.kind], data, offsets, table.n, folds_of(table.rule), kept(), table.lengths,
                    table.firsts, *known, self.starts, self.ends, self.words, self.hashes, self.before, self.back,
                    self.found,
                )  # fmt: skip
            if count <= len(self.found):
                return self.found[:count]
            self.found = np.empty((2 * count, 4), np.int64)


def folds_of(rule: Rule) -> Any:
    return folds() if rule.kind == "folded" else NO_FOLDS


@lru_cache(maxsize=1)
def kept() -> Any:
    """The hashes of the words that no rule numbers, sorted."""
    data = padded(" ".join(sorted(KEPT)).encode())
    size = len(data) - kernels.PAD
    starts, ends = (np.empty(size, np.int64) for _ in range(2))
    words, before = (np.empty(size, np.uint64) for _ in range(2))
    count = kernels.lex_code(data, 0, size, starts, ends, words, before)
    return np.sort(words[:count])


def padded(data: bytes) -> Any:
    """As kernels take it."""
    return np.frombuffer(data + bytes(kernels.PAD), np.uint8)
