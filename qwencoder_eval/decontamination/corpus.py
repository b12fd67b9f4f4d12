"""What a corpus is made of: shards, each a file of rows, a text, or a number of source files. Local, or through fsspec.

A shard is what one process works on at a time and what a search continues with: its name is a path below the output
folder, and nothing of it depends on other shards.
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import quote

from ..errors import InfrastructureError, InputError

Format = Literal["auto", "jsonl", "parquet", "lines", "text"]
FORMATS: tuple[Format, ...] = ("auto", "jsonl", "parquet", "lines", "text")
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
COMPRESSED = (".gz", ".zst", ".bz2")
FILES, FILES_BYTES = 1024, 32 << 20  # source files that are a shard together


@dataclass(frozen=True, slots=True)
class Shard:
    """``format``: ``files`` is a number of source files, each a document; ``text`` one file that is one.

    ``root``: what the names of source files are relative to. ``size``: bytes as they are stored, 0 where unknown.
    """

    name: str
    format: Literal["jsonl", "parquet", "lines", "text", "files"]
    paths: tuple[str, ...]
    size: int
    root: str = ""

    def state(self) -> list[list[Any]]:
        """Size and time of change of each file, as far as that can be known: a shard is searched again when it differs.

        Raises OSError where one is not there.
        """
        found: list[list[Any]] = []
        for path in self.paths:
            if is_remote(path):
                system, place = opened_system(path)
                known = system.info(place)
                found.append(
                    [known.get("size"), str(known.get("ETag") or known.get("mtime") or known.get("LastModified"))]
                )
            else:
                status = os.stat(path)
                found.append([status.st_size, status.st_mtime_ns])
        return found


@dataclass(frozen=True, slots=True)
class Job:
    """What is the same for all shards. ``index``, ``out``: folders. ``fields``: of rows, empty for the usual ones."""

    index: str
    out: str
    fields: tuple[str, ...] = ()
    write_clean: bool = False


def is_remote(path: str) -> bool:
    return "://" in path or "::" in path


def opened_system(path: str) -> tuple[Any, str]:
    """The file system of a path such as ``s3://bucket/folder``. Raises InfrastructureError, InputError."""
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise InfrastructureError("fsspec is not installed; pip install 'qwencoder_eval[decontaminate]'") from None
    try:
        system, place = url_to_fs(path)
    except (ImportError, ValueError) as error:
        raise InputError(f"--corpus {path}: {' '.join(str(error).split())[:200]}") from None
    return system, str(place)


def shards(paths: Sequence[str], format: Format = "auto") -> list[Shard]:
    """All shards of these files and folders, in order. Raises InputError where one is not there or has nothing."""
    found: list[Shard] = []
    for path in paths:
        whole, files = _listed(path)
        name = PurePosixPath(path.rstrip("/").rpartition("://")[2] or "corpus").name or "corpus"
        if not files:
            raise InputError(f"--corpus {path}: an empty folder; give a file, or a folder with files")
        prefix = [name] if len(paths) > 1 and not whole else []
        found += _sharded(files, path, prefix, format, whole)
    names: set[str] = set()
    for at, shard in enumerate(found):
        name, number = shard.name, 2
        while name in names:
            name, number = f"{shard.name}-{number}", number + 1
        names.add(name)
        found[at] = Shard(name, shard.format, shard.paths, shard.size, shard.root)
    return found


def _listed(path: str) -> tuple[bool, list[tuple[str, int]]]:
    """Whether the path is a file itself; and all files below it with their sizes, in order. Links are left out."""
    if is_remote(path):
        system, place = opened_system(path)
        try:
            if system.isfile(place):
                return True, [(path, int(system.size(place) or 0))]
            known = system.find(place, detail=True)
        except Exception as error:  # of many kinds: each system has its own
            raise InputError(f"--corpus {path}: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
        return False, [(system.unstrip_protocol(name), int(known[name].get("size") or 0)) for name in sorted(known)]
    if os.path.isfile(path):
        return True, [(path, os.path.getsize(path))]
    if not os.path.isdir(path):
        raise InputError(f"--corpus {path}: not found; give files or folders")
    found = []
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            if os.path.isfile(file) and not os.path.islink(file):
                found.append((file, os.path.getsize(file)))
    return False, found


def _sharded(
    files: list[tuple[str, int]], root: str, prefix: list[str], format: Format, whole: bool
) -> Iterator[Shard]:
    """Files of rows are a shard each; of source files many are one."""
    sources: list[tuple[str, int]] = []
    number = 0

    def together() -> Shard:
        nonlocal number
        number += 1
        name = "/".join([*prefix, f"files-{number:05}"])
        shard = Shard(name, "files", tuple(path for path, _ in sources), sum(size for _, size in sources), root)
        sources.clear()
        return shard

    for path, size in files:
        chosen = format if format != "auto" else format_of(path, whole)
        if chosen == "text" and not whole:
            sources.append((path, size))
            if len(sources) >= FILES or sum(each for _, each in sources[-FILES:]) >= FILES_BYTES:
                yield together()
            continue
        below = os.path.basename(path) if whole else _below(path, root)
        name = quote(os.fsencode("/".join([*prefix, below])), safe="/+-_.,=@ ")
        yield Shard(name, cast(Any, chosen), (path,), size, root)
    if sources:
        yield together()


def format_of(path: str, named: bool) -> str:
    """By its ending; ``named``: by the user, and not found in a folder, where a .json is a source file like others."""
    plain = path
    for ending in COMPRESSED:
        plain = plain.removesuffix(ending)
    ending = os.path.splitext(plain)[1].lower()
    if ending == ".json" and (named or plain != path):
        return "jsonl"
    return ENDINGS.get(ending, "text")


def _below(path: str, root: str) -> str:
    if is_remote(path):
        place, top = path.partition("://")[2], root.partition("://")[2]
        return place.removeprefix(top).lstrip("/") or PurePosixPath(place).name
    return os.path.relpath(path, root)


def relative(shard: Shard, path: str) -> str:
    """The name of one of a shard's source files."""
    return _below(path, shard.root)


class Counted(io.RawIOBase):
    """A raw stream that tells how many of its bytes were read."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.bytes = file, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(len(buffer))
        buffer[: len(data)] = data
        self.bytes += len(data)
        return len(data)

    def close(self) -> None:
        self.file.close()
        super().close()


def open_stored(path: str) -> BinaryIO:
    """A file's bytes as they are stored. Raises OSError."""
    if is_remote(path):
        system, place = opened_system(path)
        return cast(BinaryIO, system.open(place, "rb"))
    return open(path, "rb")


def open_plain(path: str) -> tuple[BinaryIO, Counted]:
    """A file's bytes, unpacked where it is compressed; and how many were read of those that are stored.

    Raises OSError; reading raises what the format's own library does (see ``reading.BROKEN``).
    """
    counted = Counted(open_stored(path))
    stored = io.BufferedReader(counted, 1 << 20)
    if path.endswith(".gz"):
        return cast(BinaryIO, gzip.GzipFile(fileobj=stored)), counted
    if path.endswith(".bz2"):
        return cast(BinaryIO, bz2.BZ2File(stored)), counted
    if path.endswith(".zst"):
        import zstandard

        unpacked = zstandard.ZstdDecompressor(max_window_size=1 << 31).stream_reader(stored, read_across_frames=True)
        return cast(BinaryIO, io.BufferedReader(cast(Any, unpacked), 1 << 20)), counted
    return cast(BinaryIO, stored), counted
