"""Documents that are nearly a problem: signatures that are alike by chance as often as their sets of pairs are.

MinHash (Broder 1997) with bands (Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4): a document
is held against a problem where one of 42 bands of three rows agrees, and then the share that both have in common is
counted exactly. Of pairs that share half (the rule's threshold) one in 270 is missed, of those that share 0.64, as
where one word in nine is another, one in 350,000.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import kernels
from .rules import Rule, units

BANDS, ROWS = 42, 3
# Odd numbers of 64 bits, the same in every index.
MULTIPLIERS = np.random.default_rng(20260429).integers(0, 2**63, BANDS * ROWS, np.uint64) * np.uint64(2) + np.uint64(1)


def bands(keys: Any) -> Any:
    """The keys of a text's bands; ``keys`` are those of its runs of words, one at least."""
    out = np.empty(BANDS, np.uint64)
    kernels.bands_of(keys, MULTIPLIERS, ROWS, out)
    return out


def runs(text: str, rule: Rule, n: int) -> set[tuple[str, ...]]:
    """What two texts are compared by: all runs of n words."""
    found: set[tuple[str, ...]] = set()
    last: list[str] = []
    for unit in units(text, rule.kind):
        last = [*last[1 - n :], unit.text] if n > 1 else [unit.text]
        if len(last) == n:
            found.add(tuple(last))
    return found


def shared(first: set[tuple[str, ...]], second: set[tuple[str, ...]]) -> float:
    """What both have, of all that either has; 0 of nothing."""
    return len(first & second) / (len(first | second) or 1)
