"""Which samples of which problems: a set of (problem, number) whose size in memory goes with the problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, MutableSet
from typing import Any


class Samples(MutableSet[tuple[str, int]]):
    """One integer a problem, a bit a sample: 100,000 samples of 164 problems are 30 kB."""

    def __init__(self, pairs: Iterable[tuple[str, int]] = ()) -> None:
        self._bits: dict[str, int] = {}
        self._count = 0
        for pair in pairs:
            self.add(pair)

    def __contains__(self, pair: Any) -> bool:
        problem, number = pair
        return bool(self._bits.get(problem, 0) >> number & 1)

    def __iter__(self) -> Iterator[tuple[str, int]]:
        for problem, bits in self._bits.items():
            number = 0
            while bits >> number:
                if bits >> number & 1:
                    yield problem, number
                number += 1

    def __len__(self) -> int:
        return self._count

    def add(self, pair: tuple[str, int]) -> None:
        if pair not in self:
            self._bits[pair[0]] = self._bits.get(pair[0], 0) | 1 << pair[1]
            self._count += 1

    def discard(self, pair: tuple[str, int]) -> None:
        if pair in self:
            self._bits[pair[0]] ^= 1 << pair[1]
            self._count -= 1
