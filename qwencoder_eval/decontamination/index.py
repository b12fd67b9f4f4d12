"""The pieces of benchmarks that a corpus is searched for: built once, kept by content, shared by all processes.

A problem's text is its declared fields, one below the other. Of each rule there is a table: the key of every piece,
sorted, where it stands in the problems' texts, and which problems have it. Arrays lie in files of a folder, which
processes map and do not copy.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import os
import shutil
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InfrastructureError, InputError
from . import kernels, minhash
from .lexing import Lexer
from .rules import RULES, Rule, canonical

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Item:
    """A problem as a corpus is searched for it. ``fields``: its texts, as the benchmark declares them."""

    benchmark: str
    problem: str
    fields: tuple[str, ...]

    @property
    def text(self) -> str:
        return "\n".join(self.fields)


@dataclass(frozen=True)
class Table:
    """What one rule looks for. ``keys`` are sorted; of equal ones the texts differ.

    Piece i stands at ``places[i]`` (first byte, byte behind the last) of the texts, and in the problems
    ``items[begins[i]:begins[i + 1]]``. ``lengths``: of problems that have less than n units and count whole, how many;
    ``firsts``: how those begin. ``heads`` and ``bits``: see ``_filters``.
    """

    rule: Rule
    n: int
    keys: Any
    places: Any
    begins: Any
    items: Any
    lengths: Any
    firsts: Any
    heads: Any
    bits: Any
    short: dict[str, int]  # problems with less than n units, by benchmark
    without: dict[str, int]  # problems that this rule finds nothing to look for in, by benchmark

    ARRAYS = ("keys", "places", "begins", "items", "lengths", "firsts", "heads", "bits")

    @property
    def shift(self) -> Any:
        return np.uint64(64 - (len(self.bits) * 8).bit_length() + 1)

    @property
    def narrow(self) -> Any:
        return np.uint64(64 - (len(self.heads) - 1).bit_length() + 1)


def pack(seen: Any) -> str:
    """Which pieces of a table were seen, an array of bools, as text."""
    return base64.b64encode(zlib.compress(np.packbits(seen).tobytes())).decode()


def unpack(text: str, size: int) -> Any:
    """The array that ``pack`` was given. Raises InputError where it is damaged, or of a table of another size."""
    try:
        unpacking, wanted = zlib.decompressobj(), (size + 7) // 8
        bits = unpacking.decompress(base64.b64decode(text, validate=True), wanted + 1)  # and never much more
    except (ValueError, TypeError, zlib.error):
        raise InputError("seen: damaged") from None
    found = np.unpackbits(np.frombuffer(bits, np.uint8)).astype(np.bool_)
    if len(bits) != wanted or not unpacking.eof or found[size:].any():
        raise InputError(f"seen: not of {size} pieces")
    return found[:size]


class Index:
    """``texts`` are the bytes of all problems, one behind the other; ``problems`` their (benchmark, id).

    The text of problem i lies from ``offsets[i]`` to ``offsets[i + 1]``.
    """

    def __init__(self, problems: list[tuple[str, str]], texts: Any, offsets: Any, tables: dict[str, Table]) -> None:
        self.problems, self.texts, self.offsets, self.tables = problems, texts, offsets, tables

    def text(self, item: int) -> bytes:
        return bytes(self.texts[self.offsets[item] : self.offsets[item + 1]])

    def piece(self, table: Table, at: int) -> str:
        return _text(self.texts, table.places[at])

    def bytes_of(self) -> int:
        """Memory of all arrays (bytes)."""
        arrays = (getattr(table, name) for table in self.tables.values() for name in Table.ARRAYS)
        return int(self.texts.nbytes) + sum(int(array.nbytes) for array in arrays)

    def save(self, folder: Path) -> None:
        """Whole or not at all. Raises InfrastructureError where the disk does not take it."""
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            np.save(partial / "texts.npy", self.texts)
            np.save(partial / "offsets.npy", self.offsets)
            described = {"format": FORMAT, "problems": self.problems, "tables": {}}
            for name, table in self.tables.items():
                for array in Table.ARRAYS:
                    np.save(partial / f"{name}.{array}.npy", getattr(table, array))
                said = {"n": table.n, "short": table.short, "without": table.without}
                described["tables"][name] = said  # type: ignore[index]
            (partial / "index.json").write_text(json.dumps(described))
            if not folder.exists():
                partial.rename(folder)
        except OSError as error:
            if not folder.exists():  # else another process was first
                raise InfrastructureError(
                    f"{partial}: cannot be written ({error.strerror or error}); make room, or set QCEVAL_CACHE"
                ) from None
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def load(folder: Path) -> Index:
    """Mapped, not read. Raises InputError where it is not an index."""
    try:
        described = json.loads((folder / "index.json").read_text())
        if described["format"] != FORMAT:
            raise ValueError(f"format {described['format']}")
        tables = {
            name: Table(
                RULES[name], said["n"], short=said["short"], without=said["without"],
                **{array: np.load(folder / f"{name}.{array}.npy", mmap_mode="r") for array in Table.ARRAYS},
            )
            for name, said in described["tables"].items()
        }  # fmt: skip
        texts, offsets = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("texts", "offsets"))
        return Index([tuple(each) for each in described["problems"]], texts, offsets, tables)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder}: not an index ({error}); remove it and run again") from None


def digest(items: Sequence[Item], rules: Sequence[tuple[Rule, int]]) -> str:
    """What names an index: everything that it is made from."""
    asked = [FORMAT, [[asdict(rule), n] for rule, n in rules]]
    found = hashlib.sha256(json.dumps(asked).encode())
    for item in items:
        found.update(json.dumps(asdict(item)).encode() + b"\n")
    return found.hexdigest()


def build(
    items: Sequence[Item], rules: Sequence[tuple[Rule, int]], say: Callable[[str], None] = lambda text: None
) -> Index:
    """The tables of all these rules, each with its n."""
    encoded = bytearray()
    offsets = np.zeros(len(items) + 1, np.int64)
    for number, item in enumerate(items):
        encoded += item.text.encode("utf-8", "surrogatepass")
        offsets[number + 1] = len(encoded)
    encoded += bytes(kernels.PAD)
    texts = np.frombuffer(encoded, np.uint8)
    tables = {}
    for rule, n in rules:
        say(f"{rule.name}: the pieces of {len(items)} problems")
        tables[rule.name] = _table(items, texts, offsets, rule, n)
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
    shown = lru_cache(maxsize=1024)(lambda at: canonical(_text(texts, places[at]), rule.kind))
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


def _text(texts: Any, place: Any) -> str:
    return bytes(texts[place[0] : place[1]]).decode("utf-8", "surrogatepass")
