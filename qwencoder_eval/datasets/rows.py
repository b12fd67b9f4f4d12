"""Rows of a benchmark: where a file of them may be, and the pin it has to match.

A pin is the SHA-256 of the rows themselves (each as canonical JSON, one after the other), so that the same
rows have the same hash however they are stored: compressed or not, as a file or on a hub.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import itertools
import json
import os
import re
import sys
import tomllib
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from ..config import cache_folder, data_folder
from ..errors import DatasetError, InfrastructureError, UnpinnedError
from .databases import add_databases

Row = dict[str, Any]
PIN = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Rows:
    """Where rows are and what they must be. One of ``file`` and ``inline`` is given.

    file      path below $QCEVAL_DATA and below the cache, or beside the benchmark's file: .jsonl, .json, .toml,
              each also with .gz; a .json may be JSON Lines
    more      further files, whose rows come behind those of ``file``
    join      (file, field): another file with one row for each value of that field, whose fields are added to the rows;
              rows that it has nothing for are left out
    sha256    the pin: a hash of the rows, not of the file. Write "?", and ``qceval data verify`` says what it is
    unseen    in place of a pin, where the rows were out of reach when the benchmark was written: what is found is
              hashed and recorded, and nothing says that it is what others have
    count     how many rows
    release   (dataset, version): fetch with the ``evalplus`` package's loader where no file is found
    hub       dataset on the hub to fetch with ``datasets`` where no file is found, with ``split`` and ``revision``
    numbered  rows have no id: their place in the file, from 0, becomes their field ``number``
    databases places of SQLite databases, of which the first that is there counts; rows get what is known of theirs
    inline    the rows themselves, for a benchmark that brings a handful
    """

    version: str = "1"
    file: str = ""
    more: tuple[str, ...] = ()
    join: tuple[str, str] | None = None
    sha256: str = ""
    unseen: bool = False
    count: int = 0
    release: tuple[str, str] | None = None
    hub: str | None = None
    split: str = "test"
    revision: str | None = None
    numbered: bool = False
    databases: tuple[str, ...] = ()
    inline: tuple[Mapping[str, Any], ...] = ()

    @property
    def cached(self) -> Path:
        asked = repr((self.hub, self.split, self.revision, self.file, self.more, self.join))
        return cache_folder() / "datasets" / f"{self.sha256 or hashlib.sha256(asked.encode()).hexdigest()}.jsonl"


class Found(list[Row]):
    """Rows that were asked for; ``sha256`` is the hash of all there are, ``total`` their number."""

    sha256 = ""
    total = 0


def content_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(_canonical(row))
    return digest.hexdigest()


def _canonical(row: Mapping[str, Any]) -> bytes:
    return json.dumps(row, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def locate(rows: Rows, beside: Path) -> Path | None:
    """The (first) file that holds the rows on this machine, or None. ``beside`` is the benchmark's folder."""
    found = places(rows, beside)
    return found[0] if found else None


def places(rows: Rows, beside: Path) -> list[Path]:
    """All files of the rows, none where one of them is missing."""
    if not rows.file:
        return []
    names = [rows.file, *rows.more, *(rows.join or ())[:1]]
    for folder in (beside, data_folder()):
        if folder and all((folder / name).is_file() for name in names):
            return [folder / name for name in names]
    return [rows.cached] if rows.cached.is_file() else []


def load(rows: Rows, beside: Path, offline: bool = False, select: Callable[[Row], bool] | None = None) -> Found:
    """The rows that ``select`` keeps, all of them checked against the pin; memory is that of the rows that are kept.

    Raises DatasetError, saying where it looked and what to do.
    """
    if rows.inline:
        return _checked((dict(row) for row in rows.inline), rows, "", select)
    if found := places(rows, beside):
        return _checked(_all(rows, found), rows, str(found[0]), select)
    if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
        hint = f"put it beside the benchmark in {beside}, or set QCEVAL_DATA"
        raise DatasetError(f"{rows.file}: not found, and --offline forbids fetching it; {hint}")
    fetched = fetch(rows, beside)
    checked = _checked(iter(fetched), rows, "what was fetched", select)
    store(fetched, rows)
    return checked


def unchecked(rows: Rows, beside: Path) -> Iterator[Row]:
    """The rows as far as they are on this machine, joined with nothing and held against no pin. Raises DatasetError."""
    read = (row for path in places(replace(rows, join=None), beside) for row in stream(path))
    for number, row in enumerate(itertools.chain(map(dict, rows.inline), read)):
        yield {**row, "number": number} if rows.numbered else row


def _all(rows: Rows, places: list[Path]) -> Iterator[Row]:
    """The rows of all files, joined."""
    if places == [rows.cached] or not rows.join:
        for path in places:
            yield from stream(path)
        return
    *places, other = places
    field = rows.join[1]
    added = {row.get(field): row for row in stream(other)}
    for path in places:
        for row in stream(path):
            if (more := added.get(row.get(field))) is not None:
                yield {**row, **more}


def _checked(stream_of: Iterator[Row], rows: Rows, where: str, select: Callable[[Row], bool] | None) -> Found:
    found, digest = Found(), hashlib.sha256()
    for row in stream_of:
        try:
            digest.update(_canonical(row))
        except TypeError as error:  # a date of TOML or of the hub
            raise DatasetError(f"{where}: rows are not JSON ({error}); get the file again") from None
        if rows.numbered:
            row["number"] = found.total
        found.total += 1
        if select is None or select(row):
            found.append(row)
    found.sha256 = digest.hexdigest()
    if not rows.inline:
        verify(found, rows, where)
    if rows.databases:
        add_databases(found, rows.databases)
    return found


def verify(found: Found, rows: Rows, where: str) -> None:
    """Raises DatasetError where the rows are not the pinned ones."""
    if rows.count and found.total != rows.count:
        raise DatasetError(f"{where}: {found.total} rows, not {rows.count}; get the file again or correct count")
    if found.sha256 == rows.sha256 or rows.unseen:
        return
    if not PIN.fullmatch(rows.sha256):
        hint = f'if these are the rows, set sha256="{found.sha256}", count={found.total}'
        raise UnpinnedError(f"{where}: not pinned; {hint}")
    raise DatasetError(
        f"{where}: rows hash to {found.sha256}, the pin says {rows.sha256}; get the file again or correct sha256"
    )


def store(found: list[Row], rows: Rows) -> None:
    """Keep fetched rows in the cache; a half-written file never stands under the final name.

    Raises InfrastructureError where the cache does not take them.
    """
    partial = rows.cached.with_suffix(f".{os.getpid()}.part")
    try:
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text("".join(json.dumps(row) + "\n" for row in found))
        partial.replace(rows.cached)
    except OSError as error:
        raise InfrastructureError(f"{rows.cached}: cannot be written ({error.strerror}); set QCEVAL_CACHE") from None


def read(path: Path) -> list[Row]:
    return list(stream(path))


def stream(path: Path) -> Iterator[Row]:
    """The rows of a local file, one after the other where it has a line for each.

    Raises DatasetError with the file and, where there are lines, the line.
    """
    name = path.name.removesuffix(".gz")
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            if name.endswith(".toml"):
                (rows,) = tomllib.loads(file.read().decode()).values()
                yield from _tables(rows, path)
            elif name.endswith(".json") and not _has_lines(file):
                yield from _tables(json.loads(file.read().decode()), path)
            else:
                for number, line in enumerate(file, 1):
                    if line.strip():
                        yield from _tables([_row(line.decode(), path, number)], path)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); get the file again") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: cannot be parsed ({error}); get the file again") from None


def _has_lines(file: BufferedIOBase) -> bool:
    """Whether what is named like one JSON document is JSON Lines: its first line is a row, and more follows."""
    filled = (line for line in file if line.strip())
    first, more = next(filled, b""), next(filled, b"")
    file.seek(0)
    try:
        return bool(more) and isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        return False


def _row(line: str, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise DatasetError(f"{path}:{number}: not JSON; get the file again") from None


def _tables(rows: Any, path: Path) -> list[Row]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DatasetError(f"{path}: not a list of objects; get the file again")
    return rows


def fetch(rows: Rows, beside: Path) -> list[Row]:
    """The rows from outside. Raises DatasetError where that cannot be."""
    hint = f"put it beside the benchmark in {beside}, or set QCEVAL_DATA to a folder that holds it"
    if rows.release:
        try:
            from evalplus.data.utils import get_dataset_metadata, make_cache
        except ImportError:
            raise DatasetError(f"{rows.file}: not found; {hint}, or pip install 'qwencoder_eval[evalplus]'") from None
        try:
            url, path = get_dataset_metadata(rows.release[0], rows.release[1], mini=False)
            with contextlib.redirect_stdout(sys.stderr):  # it prints; standard output is for results
                make_cache(url, path)
            return read(Path(path))
        except OSError as error:
            raise DatasetError(f"{rows.file}: not found, and the release cannot be fetched ({error}); {hint}") from None
    if rows.hub:
        try:
            import datasets
        except ImportError:
            raise DatasetError(f"{rows.file}: not found; {hint}, or pip install 'qwencoder_eval[hf]'") from None
        try:
            return [dict(row) for row in datasets.load_dataset(rows.hub, split=rows.split, revision=rows.revision)]
        except Exception as error:  # the hub's client raises many kinds
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise DatasetError(f"{rows.hub}: cannot be fetched ({reason}); {hint}") from None
    raise DatasetError(f"{rows.file}: not found; {hint}")
