"""What a corpus is made of: shards, each a file of rows, a text, or a number of source files. Local, or through fsspec.

A shard is what one process works on at a time and what a search continues with: its name is a path below the output
folder, and nothing of it depends on other shards.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Literal, cast
from urllib.parse import quote

from ..errors import InfrastructureError, InputError, QcevalError

Format = Literal["auto", "jsonl", "parquet", "lines", "text"]
Kind = Literal["jsonl", "parquet", "lines", "text", "files"]
FORMATS: tuple[Format, ...] = ("auto", "jsonl", "parquet", "lines", "text")
ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
COMPRESSED = (".gz", ".zst", ".bz2")
NO_SOURCE = (*ENDINGS, ".json", *COMPRESSED)
FILES, FILES_BYTES = 1024, 32 << 20  # source files that are a shard together
LONGEST = 200  # characters of a name: file systems take 255 bytes, and endings come behind it
CHANGED = ("ETag", "etag", "mtime", "LastModified", "last_modified", "Last-Modified", "updated", "created")  # of fsspec


@dataclass(frozen=True, slots=True)
class Shard:
    """``format``: ``files`` is a number of source files, each a document; ``text`` one file that is one.

    ``root``: what the names of source files are relative to. ``size``: bytes as they are stored, 0 where unknown.
    ``packed``: its paths; a search knows those of a whole corpus, which may be millions.
    """

    name: str
    format: Kind
    packed: str
    size: int
    root: str = ""

    @classmethod
    def of(cls, name: str, format: Kind, paths: Sequence[str], size: int, root: str = "") -> Shard:
        return cls(name, format, base64.b64encode(zlib.compress(json.dumps(paths).encode(), 1)).decode(), size, root)

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(json.loads(zlib.decompress(base64.b64decode(self.packed))))

    def state(self) -> list[Any]:
        """Size and time of change of each file, as far as that can be known: a shard is searched again when it differs.

        None for a file that is not there or out of reach.
        """
        found: list[Any] = []
        for path in self.paths:
            try:
                if is_remote(path):
                    system, place = opened_system(path)
                    known = system.info(place)
                    found.append([known.get("size"), str(next(filter(None, map(known.get, CHANGED)), None))])
                else:
                    status = os.stat(path)
                    found.append([status.st_size, status.st_mtime_ns])
            except QcevalError:
                raise
            except Exception:  # of many kinds: each system has its own
                found.append(None)
        return found


@dataclass(frozen=True, slots=True)
class Job:
    """What is the same for all shards. ``index``, ``out``: folders. ``fields``: of rows, empty for the usual ones."""

    index: str
    out: str
    fields: tuple[str, ...] = ()
    write_clean: bool = False


@dataclass(frozen=True, slots=True)
class Corpus:
    """``paths`` and ``format`` as the user gives them, and the shards that they are."""

    paths: tuple[str, ...]
    format: Format
    shards: tuple[Shard, ...]

    @classmethod
    def of(cls, paths: Sequence[str], format: Format = "auto", without: str = "") -> Corpus:
        """``without``: a folder that is no part of it. Raises InputError, see ``shards``."""
        absolute = [path if is_remote(path) else os.path.abspath(path) for path in paths]
        return cls(tuple(paths), format, tuple(shards(absolute, format, os.path.abspath(without) if without else "")))


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


def shards(paths: Sequence[str], format: Format = "auto", without: str = "") -> list[Shard]:
    """All shards of these files and folders, in order; ``without``: a folder that is no part of them.

    Raises InputError where one is not there or has nothing.
    """
    found: list[Shard] = []
    prefixes: set[str] = set()
    for path in paths:
        whole, files = _listed(path, without)
        name, number = PurePosixPath(path.rstrip("/").rpartition("://")[2] or "corpus").name or "corpus", 2
        prefix = name
        while prefix in prefixes:
            prefix, number = f"{name}-{number}", number + 1
        if not whole:
            prefixes.add(prefix)
        before = len(found)
        found += _sharded(files, path, [prefix] if len(paths) > 1 and not whole else [], format, whole)
        if len(found) == before:
            raise InputError(f"--corpus {path}: no files in it (links and --out do not count); give one that has some")
    return list(_apart(found))


def _apart(found: Iterable[Shard]) -> Iterator[Shard]:
    """With names of which no output lies in another's place: a file's ``a.jsonl`` where another's folder has to be."""
    names: set[str] = set()
    folders: set[str] = set()

    def above(name: str) -> list[str]:
        parts = name.split("/")[:-1]
        return ["/".join(parts[: at + 1]) for at in range(len(parts))]

    def taken(name: str) -> bool:
        return (
            name in names
            or any(f"{name}{ending}" in folders for ending in OUTPUTS)
            or any(folder.removesuffix(ending) in names for folder in above(name) for ending in OUTPUTS)
        )

    for shard in found:
        name, number = shard.name, 2
        while taken(name):
            name, number = f"{number}/{shard.name}", number + 1
        names.add(name)
        folders.update(above(name))
        yield replace(shard, name=name)


OUTPUTS = ("", ".json", ".jsonl")  # what stands behind a shard's name in the output folder, see ``outputs``


def _listed(path: str, without: str) -> tuple[bool, Iterable[tuple[str, int]]]:
    """Whether the path is a file itself; and all files below it with their sizes, in order. Links are left out."""
    if is_remote(path):
        system, place = opened_system(path)
        try:
            if system.isfile(place):
                return True, [(path, int(system.size(place) or 0))]
            known = system.find(place, detail=True)
        except Exception as error:  # of many kinds: each system has its own
            raise InputError(f"--corpus {path}: {type(error).__name__}: {' '.join(str(error).split())[:200]}") from None
        files = sorted(name for name in known if known[name].get("type") != "directory")
        return False, [(system.unstrip_protocol(name), int(known[name].get("size") or 0)) for name in files]
    if os.path.isfile(path):
        return True, [(path, os.path.getsize(path))]
    if not os.path.isdir(path):
        raise InputError(f"--corpus {path}: not found; give files or folders")

    return False, _below_folder(path, without)


def _below_folder(path: str, without: str) -> Iterator[tuple[str, int]]:
    """Folder by folder: the names of all of them are never in memory at once."""
    folders = [path] if path != without else []
    while folders:
        folder = folders.pop()
        files: list[tuple[str, int]] = []
        below: list[str] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        below.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        with suppress(FileNotFoundError):  # it vanished since
                            files.append((entry.path, entry.stat(follow_symlinks=False).st_size))
        except OSError as error:
            raise InputError(
                f"--corpus {path}: {folder} cannot be read ({error.strerror}); allow it or move it"
            ) from None
        yield from sorted(files)
        folders += sorted((each for each in below if each != without), reverse=True)


def seems_parquet(paths: Sequence[str], format: Format = "auto") -> bool:
    """By the first file of each path, at a glance: what is prepared by it serves a corpus of anything else, too."""
    return format == "parquet" or (
        format == "auto" and any(format_of(_first_file(path), True) == "parquet" for path in paths)
    )


def _first_file(path: str) -> str:
    """The first that comes up in a folder or below, or the path itself."""
    if is_remote(path):
        return path
    for folder, _, names in os.walk(path):
        if names:
            return os.path.join(folder, names[0])
    return path


def _sharded(
    files: Iterable[tuple[str, int]], root: str, prefix: list[str], format: Format, whole: bool
) -> Iterator[Shard]:
    """Files of rows are a shard each; of source files many are one."""
    sources: list[str] = []
    number = together_bytes = 0

    def together() -> Shard:
        nonlocal number, together_bytes
        number += 1
        name = "/".join([*map(_quoted, prefix), f"files-{number:05}"])
        shard = Shard.of(name, "files", sources, together_bytes, root)
        sources.clear()
        together_bytes = 0
        return shard

    for path, size in files:
        chosen = format if format != "auto" else format_of(path, whole)
        if chosen == "text" and not whole:
            sources.append(path)
            together_bytes += size
            if len(sources) >= FILES or together_bytes >= FILES_BYTES:
                yield together()
            continue
        below = os.path.basename(path) if whole else _below(path, root)
        name = "/".join(map(_quoted, [*prefix, *below.split("/")]))
        yield Shard.of(name, cast(Any, chosen), [path], size, root)
    if sources:
        yield together()


def _quoted(part: str) -> str:
    """Part of a name as a file system takes it, and a terminal; it leads nowhere else."""
    quoted = quote(part, safe="+-_.,=@ ", errors="surrogateescape")
    if len(quoted) > LONGEST:
        known = hashlib.sha256(quoted.encode()).hexdigest()
        quoted = f"{quoted[:140]}~{known[:16]}~{quoted[-24:]}"
    return quoted.replace(".", "%2E") if quoted in (".", "..") else quoted or "%"


def format_of(path: str, named: bool) -> str:
    """By its ending; ``named``: by the user, and not found in a folder, where a .json is a source file like others."""
    plain = path.lower()
    if not plain.endswith(NO_SOURCE):  # most are source files, and there are many
        return "text"
    for packed in COMPRESSED:
        plain = plain.removesuffix(packed)
    ending = os.path.splitext(plain)[1]
    if ending == ".json" and (named or plain != path.lower()):
        return "jsonl"
    return ENDINGS.get(ending, "text")


def _below(path: str, root: str) -> str:
    if is_remote(path):
        place, top = (each.partition("://")[2].strip("/") for each in (path, root))
        return place.removeprefix(top).lstrip("/") or PurePosixPath(place).name
    return path.removeprefix(root).lstrip("/")


ODD = re.compile(r"(?<![^/])\.{0,2}(?![^/])")  # a part that is no name


def relative(shard: Shard, path: str) -> str:
    """The name of one of a shard's source files; of a remote one, too, it stays below where it is put."""
    return ODD.sub(lambda part: _quoted(part[0]), _below(path, shard.root))


class Counted(io.RawIOBase):
    """A raw stream that tells how many of its bytes were read. Whatever goes wrong is an OSError."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.bytes = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return bool(self.file.seekable())

    def readinto(self, buffer: Any) -> int:
        with _as_os_error():
            data = self.file.read(len(buffer))
        buffer[: len(data)] = data
        self.bytes += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        with _as_os_error():
            return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def close(self) -> None:
        self.file.close()
        super().close()


@contextmanager
def _as_os_error() -> Iterator[None]:
    """Remote systems raise what their libraries have."""
    try:
        yield
    except (OSError, QcevalError):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error


def open_stored(path: str) -> Counted:
    """A file's bytes as they are stored. Raises OSError."""
    if is_remote(path):
        system, place = opened_system(path)
        with _as_os_error():
            return Counted(cast(BinaryIO, system.open(place, "rb")))
    return Counted(open(path, "rb", buffering=0))


def is_packed(path: str) -> bool:
    return path[-4:].lower().endswith(COMPRESSED)


def open_plain(path: str) -> tuple[BinaryIO, Counted]:
    """A file's bytes, unpacked where it is compressed; and how many were read of those that are stored.

    Raises OSError; reading raises what the format's own library does (see ``reading.broken``).
    """
    counted = open_stored(path)
    stored = io.BufferedReader(counted, 1 << 20)
    ending = os.path.splitext(path)[1].lower()
    if ending == ".gz":
        return cast(BinaryIO, gzip.GzipFile(fileobj=stored)), counted
    if ending == ".bz2":
        return cast(BinaryIO, bz2.BZ2File(stored)), counted
    if ending == ".zst":
        return cast(BinaryIO, io.BufferedReader(Frames(cast(Any, stored)), 1 << 20)), counted
    return cast(BinaryIO, stored), counted


class Frames(io.RawIOBase):
    """Frames of zstd, one behind the other. zstandard's own reader says nothing where the last one has no end.

    So a frame of ours is put behind the file: where it does not come out again, something was missing before it.
    """

    MARK = b"\0\xffqceval\xff\0" * 8  # no text, and packed nothing like that: it is not what a torn block takes in

    def __init__(self, stored: io.BufferedReader) -> None:
        try:
            import zstandard
        except ImportError:
            raise InfrastructureError(
                "zstandard is not installed; pip install 'qwencoder_eval[decontaminate]'"
            ) from None
        self.stored, self.wrong = stored, zstandard.ZstdError
        followed = _Followed(stored, zstandard.ZstdCompressor().compress(self.MARK))
        unpacking = zstandard.ZstdDecompressor(max_window_size=1 << 31)
        self.unpacked = unpacking.stream_reader(cast(Any, followed), read_across_frames=True)
        self.held = b""
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self.error is None:
            try:
                data = self.unpacked.read(len(buffer))
            except self.wrong as error:
                data, self.error = b"", error
            if not data:
                if self.error is None and self.held == self.MARK:
                    return 0
                self.error = self.error or EOFError("the last frame has no end")
                size, buffer[: len(self.held)] = len(self.held), self.held
                if size:
                    return size
                break
            data = self.held + data
            size = max(0, len(data) - len(self.MARK))
            self.held = data[size:]
            if size:
                buffer[:size] = data[:size]
                return size
        raise self.error

    def close(self) -> None:
        self.stored.close()
        super().close()


class _Followed:
    """A file, and some bytes behind it."""

    def __init__(self, file: io.BufferedReader, behind: bytes) -> None:
        self.file, self.behind = file, behind

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        if not data:
            data, self.behind = self.behind, b""
        return data
