"""Rows of a benchmark: where a file of them may be, and the pin it has to match.

A pin is the SHA-256 of the rows themselves (each as canonical JSON, one after the other), so that the same
rows have the same hash however they are stored: compressed or not, as a file or on a hub.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import re
import sys
import tomllib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import cache_folder, data_folder
from ..errors import DatasetError, InfrastructureError

Row = dict[str, Any]
PIN = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Rows:
    """Where rows are and what they must be. One of ``file`` and ``inline`` is given.

    file      path below $QCEVAL_DATA and below the cache, or beside the benchmark's file: .jsonl, .json, .toml,
              each also with .gz
    sha256    the pin: a hash of the rows, not of the file. Write "?", and ``qceval data verify`` says what it is
    count     how many rows
    release   (dataset, version): fetch with the ``evalplus`` package's loader where no file is found
    hub       dataset on the hub to fetch with ``datasets`` where no file is found, with ``split`` and ``revision``
    inline    the rows themselves, for a benchmark that brings a handful
    """

    version: str = "1"
    file: str = ""
    sha256: str = ""
    count: int = 0
    release: tuple[str, str] | None = None
    hub: str | None = None
    split: str = "test"
    revision: str | None = None
    inline: tuple[Mapping[str, Any], ...] = ()

    @property
    def cached(self) -> Path:
        return cache_folder() / "datasets" / f"{self.sha256}.jsonl"


def content_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row, sort_keys=True, separators=(",", ":")).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def locate(rows: Rows, beside: Path) -> Path | None:
    """The file that holds the rows on this machine, or None. ``beside`` is the benchmark's folder."""
    if not rows.file:
        return None
    folders = [beside, data_folder()]
    for path in [*(folder / rows.file for folder in folders if folder), rows.cached]:
        if path.is_file():
            return path
    return None


def load(rows: Rows, beside: Path, offline: bool = False) -> list[Row]:
    """The rows, checked against their pin. Raises DatasetError, saying where it looked and what to do."""
    if rows.inline:
        return [dict(row) for row in rows.inline]
    path = locate(rows, beside)
    if path is None:
        if offline or os.environ.get("HF_HUB_OFFLINE") == "1":
            hint = f"put it beside the benchmark in {beside}, or set QCEVAL_DATA"
            raise DatasetError(f"{rows.file}: not found, and --offline forbids fetching it; {hint}")
        found = fetch(rows, beside)
        verify(found, rows, "what was fetched")
        store(found, rows)
        return found
    found = read(path)
    verify(found, rows, str(path))
    return found


def verify(found: list[Row], rows: Rows, where: str) -> None:
    """Raises DatasetError where the rows are not the pinned ones."""
    if rows.count and len(found) != rows.count:
        raise DatasetError(f"{where}: {len(found)} rows, not {rows.count}; get the file again or correct count")
    try:
        digest = content_hash(found)
    except TypeError as error:  # a date of TOML or of the hub
        raise DatasetError(f"{where}: rows are not JSON ({error}); get the file again") from None
    if digest != rows.sha256:
        if not PIN.fullmatch(rows.sha256):
            raise DatasetError(f'{where}: not pinned; if these are the rows, set sha256="{digest}", count={len(found)}')
        raise DatasetError(
            f"{where}: rows hash to {digest}, the pin says {rows.sha256}; get the file again or correct sha256"
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
    """The rows of a local file. Raises DatasetError with the file and, where there are lines, the line."""
    name = path.name.removesuffix(".gz")
    try:
        data = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
        text = data.decode()
        if name.endswith(".toml"):
            (rows,) = tomllib.loads(text).values()
            return _tables(rows, path)
        if name.endswith(".json"):
            return _tables(json.loads(text), path)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path}: cannot be read ({error}); get the file again") from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{path}: cannot be parsed ({error}); get the file again") from None
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                found.append(json.loads(line))
            except (ValueError, RecursionError):
                raise DatasetError(f"{path}:{number}: not JSON; get the file again") from None
    return _tables(found, path)


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
