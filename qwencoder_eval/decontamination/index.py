"""The pieces of benchmarks that a corpus is searched for: built once, kept by content, shared by all processes.

A problem's text is its declared fields, one below the other. Of each rule there is a table: the key of every piece,
sorted, where it stands in the problems' texts, and which problems have it. Arrays lie in files of a folder, which
processes map and do not copy.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InfrastructureError, InputError
from .rules import RULES, Rule

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
        return text_at(self.texts, table.places[at])

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


def build(items: Sequence[Item], rules: Sequence[tuple[Rule, int]]) -> Index:
    """The tables of all these rules, each with its n."""
    from .building import built  # Numba is loaded where there is something to compile

    return built(items, rules)


def text_at(texts: Any, place: Any) -> str:
    return bytes(texts[place[0] : place[1]]).decode("utf-8", "surrogatepass")
