"""From the texts of problems to the tables of an index."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from . import kernels, minhash
from .index import Index, Item, Table, text_at
from .lexing import Lexer
from .rules import Rule, canonical


def built(items: Sequence[Item], rules: Sequence[tuple[Rule, int]]) -> Index:
    """The tables of all these rules, each with its n. All arrays are read-only, as those of a mapped index are."""
    encoded = bytearray()
    offsets = np.zeros(len(items) + 1, np.int64)
    for number, item in enumerate(items):
        encoded += item.text.encode("utf-8", "surrogatepass")
        offsets[number + 1] = len(encoded)
    encoded += bytes(kernels.PAD)
    texts = np.frombuffer(encoded, np.uint8)
    texts.flags.writeable = False
    tables = {rule.name: _table(items, texts, offsets, rule, n) for rule, n in rules}
    for table in tables.values():
        for name in Table.ARRAYS:
            getattr(table, name).flags.writeable = False
    return Index([(item.benchmark, item.problem) for item in items], texts, offsets, tables)


def _table(items: Sequence[Item], texts: Any, offsets: Any, rule: Rule, n: int) -> Table:
    lexer = Lexer()
    most = len(texts) // 2 + (1 + minhash.BANDS * bool(rule.similar)) * len(items)  # memory is taken as it is written
    keys, places, owners = np.empty(most, np.uint64), np.empty((most, 2), np.uint32), np.empty(most, np.uint32)
    used = 0
    short: Counter[str] = Counter()
    without: Counter[str] = Counter()
    shorts: list[tuple[int, int]] = []
    lengths: set[int] = set()
    for number, item in enumerate(items):
        parts = _parts(item, int(offsets[number]), rule, n, texts, lexer)
        sizes = []
        for first, behind in parts:
            if not (count := lexer.lex(rule, texts, first, behind, n)):
                continue
            sizes.append(size := min(n, count))
            if size < n and rule.similar:  # a word alone is like nothing
                sizes.pop()
                continue
            if size < n:
                lengths.add(size)
                shorts.append((first, behind))
            windows = count - size + 1
            own, ends = lexer.keys(rule, count, size), lexer.ends[size - 1 : count]
            if rule.whole:  # known by its first words, and confirmed whole
                windows, own, ends = 1, own[:1], lexer.ends[count - 1 : count]
            elif rule.similar:
                own = minhash.bands(own)
                windows, ends = len(own), np.full(len(own), ends[-1])
            begins = np.full(windows, lexer.starts[0]) if rule.similar else lexer.starts[:windows]
            place = np.stack([begins, ends], axis=1).astype(np.uint32)
            heads = _sort(own, place)
            once = (heads == np.arange(len(heads))) | ~kernels.same_bytes(texts, place, heads)
            own, place = own[once], place[once]
            here = slice(used, used := used + len(own))
            keys[here], places[here], owners[here] = own, place, number
        short[item.benchmark] += bool(sizes) and max(sizes) < n
        without[item.benchmark] += not sizes
    arrays = _grouped(keys[:used], places[:used], owners[:used], texts, rule)
    sizes_of, firsts = np.array(sorted(lengths), np.int64), np.zeros(2 << 12, np.bool_)
    for part in shorts:
        lexer.lex(rule, texts, *part, n)
        lexer.mark_first(rule, sizes_of, firsts)
    return Table(rule, n, *arrays, sizes_of, firsts, *_filters(arrays[0]), short=dict(+short), without=dict(+without))


def _parts(item: Item, begins: int, rule: Rule, n: int, texts: Any, lexer: Lexer) -> list[tuple[int, int]]:
    """Where a problem's texts lie: as one, or where fields count whole each that has at least n units.

    Where none has, all of them count as one.
    """
    sizes = [len(each.encode("utf-8", "surrogatepass")) for each in item.fields]
    whole = [(begins, begins + sum(sizes) + len(sizes) - 1)]
    if not rule.whole:
        return whole
    firsts = itertools.accumulate((size + 1 for size in sizes), initial=begins)
    parts = [(first, first + size) for first, size in zip(firsts, sizes, strict=False)]
    return [part for part in parts if lexer.lex(rule, texts, *part, n) >= n] or whole


def _grouped(keys: Any, places: Any, owners: Any, texts: Any, rule: Rule) -> tuple[Any, Any, Any, Any]:
    """Equal pieces once, with all their problems. Those of equal keys are compared, so that no two become one."""
    heads = _sort(keys, places, owners)
    new = heads == np.arange(len(keys), dtype=np.uint32)
    others: dict[tuple[int, tuple[str, ...]], int] = {}
    variants = np.zeros(len(keys), np.uint32)
    shown = lru_cache(maxsize=1024)(lambda at: canonical(text_at(texts, places[at]), rule.kind))
    unlike: Any = [] if rule.similar else np.flatnonzero(~kernels.same_bytes(texts, places, heads))
    for at in unlike:
        if shown(at) != shown(heads[at]):  # and not only another layout
            variants[at] = others.setdefault((int(keys[at]), shown(at)), len(others) + 1)
    if others:
        order = np.lexsort((variants, keys))
        keys, places, owners, variants = keys[order], places[order], owners[order], variants[order]
        new[1:] = (keys[1:] != keys[:-1]) | (variants[1:] != variants[:-1])
    del heads, variants
    pairs = np.cumsum(new, dtype=np.uint64) - np.uint64(1)
    pairs <<= np.uint64(32)
    pairs |= owners
    del owners
    pairs.sort()
    pairs = pairs[np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)]]
    begins = np.searchsorted(pairs >> np.uint64(32), np.arange(int(new.sum()) + 1, dtype=np.uint64)).astype(np.uint32)
    return keys[new], places[new], begins, (pairs & np.uint64(0xFFFFFFFF)).astype(np.uint32)


def _sort(keys: Any, *others: Any) -> Any:
    """All of them by key, in place; returns of each where the first one stands that has the same key."""
    order = np.argsort(keys, kind="stable")
    for array in (keys, *others):
        array[:] = array[order]
    del order
    new = np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)]
    return np.maximum.accumulate(np.where(new, np.arange(len(keys), dtype=np.uint32), np.uint32(0)))


def _filters(keys: Any) -> tuple[Any, Any]:
    """``heads``: where the keys with the same first bits begin, one or two together; ``bits``: a bit for every key.

    Of 24 bits and more a key's own: of pieces that are in no problem one in 24 or fewer is looked up.
    """
    first = max(1, len(keys).bit_length() - 1)
    heads = np.searchsorted(keys >> np.uint64(64 - first), np.arange(2**first + 1, dtype=np.uint64)).astype(np.uint32)
    wide = max(10, (24 * len(keys)).bit_length())
    slots = keys >> np.uint64(64 - wide)
    bits = np.zeros(2**wide // 8, np.uint8)
    each = np.uint8(1) << (slots & np.uint64(7)).astype(np.uint8)
    np.bitwise_or.at(bits, (slots >> np.uint64(3)).astype(np.int64), each)
    return heads, bits
