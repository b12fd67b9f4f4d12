"""What a shard leaves in the output folder: whole or not at all.

clean/SHARD          the kept rows, in the shard's own format; source files and texts as copies (with --write-clean)
dropped/SHARD.jsonl  the others, a line each: where, and what of which problem is in it
unchecked/SHARD.jsonl  rows that could not be looked at, in neither of the two
shards/SHARD.json    the shard's result, last: it says that the others are there

Everything is written beside its place first, and moved there when the shard is over.
"""

from __future__ import annotations

import base64
import bz2
import codecs
import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from . import entries
from .corpus import Shard, open_stored, relative
from .entries import slices

GZIP_LEVEL = 5
LEFT, TOGETHER = re.compile(r"\.qceval-.*\.part$"), re.compile(r"files-\d+")  # half a shard; source files in one
KINDS = ("clean", "dropped", "unchecked", "shards")


class Outputs:
    """Of one shard. Every method raises OSError where the disk does not take it; ``abandon`` leaves nothing then.

    ``commit`` raises AgainError where a file that was searched cannot be read a second time.
    """

    def __init__(self, out: Path, shard: Shard, write_clean: bool) -> None:
        self.out, self.shard, self.write_clean = out, shard, write_clean
        host = zlib.crc32(socket.gethostname().encode())  # a node may work on what another does, too
        self.ending = f".qceval-{host:08x}-{os.getpid()}.part"
        self._lines: dict[str, Any] = {}
        self._clean: Any = None
        self._files: list[str] = []

    def path(self, kind: str) -> Path:
        """Where something is in the end: ``clean``, ``dropped``, ``unchecked`` or ``shards``."""
        name = {"clean": "", "shards": ".json"}.get(kind, ".jsonl")
        return self.out / kind / f"{self.shard.name}{name}"

    def _partial(self, kind: str) -> Path:
        path = self.path(kind)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.with_name(path.name + self.ending)

    def keep(self, raw: Any) -> None:
        """A row that has nothing of any problem: its ``raw``."""
        if not self.write_clean:
            return
        if self.shard.format == "files":
            self._files.append(raw)  # copied at the end, all at once
        elif self.shard.format == "text":
            self._files = [raw]
        else:
            self._writer().keep(raw)

    def _writer(self) -> Any:
        if self._clean is None:
            if self.shard.format == "parquet":
                from .parquet import Keeper

                self._clean = Keeper(self.shard, self._partial("clean"))
            else:
                self._clean = _Lines(self._partial("clean"), self.shard.paths[0])
        return self._clean

    def drop(self, record: dict[str, Any], raw: Any) -> None:
        """A row that has something, described; with the row itself where the others are written."""
        self._line("dropped", record, raw)

    def leave(self, record: dict[str, Any], raw: Any) -> None:
        """A row that could not be looked at."""
        self._line("unchecked", record, raw)

    def spool(self) -> Any:
        """A file for a line that is too long for the memory; None where nobody will want it."""
        if not self.write_clean:
            return None
        return tempfile.NamedTemporaryFile(dir=self.out, prefix="long", suffix=self.ending)

    def _line(self, kind: str, record: dict[str, Any], raw: Any) -> None:
        if kind not in self._lines:
            self._lines[kind] = self._partial(kind).open("w", encoding="ascii")
        file = self._lines[kind]
        if not self.write_clean:
            file.write(json.dumps(record) + "\n")
            return
        file.write(json.dumps(record)[:-1] + ', "row": ')
        if isinstance(raw, bytearray):
            _write_text(slices(raw), file)
        elif isinstance(raw, Path):
            with raw.open("rb") as source:
                _write_text(iter(lambda: source.read(entries.PART), b""), file)
        else:
            file.write(json.dumps(_shown(raw), default=_plain))
        file.write("}\n")

    def commit(self, result: dict[str, Any]) -> None:
        """Move everything to its place; what an earlier try left goes."""
        readable = result["whole"] or self.shard.format != "parquet"  # whose columns stand at its end
        if self.write_clean and readable and self.shard.format not in ("files", "text"):
            self._writer()  # an empty file where nothing is kept
        if self._clean is not None:
            self._clean.close()
        self._copy()
        for kind in ("dropped", "unchecked"):
            if file := self._lines.get(kind):
                file.close()
        for kind in ("clean", "dropped", "unchecked"):
            self._move(kind)
        partial = self._partial("shards")
        partial.write_text(json.dumps(result))
        _settle(partial)
        partial.replace(self.path("shards"))

    def _copy(self) -> None:
        if not self.write_clean or not self._files:
            return
        partial = self._partial("clean")
        if self.shard.format == "text":
            _copy(self._files[0], partial)
            return
        for path in self._files:
            target = partial / relative(self.shard, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            _copy(path, target)

    def _move(self, kind: str) -> None:
        path, partial = self.path(kind), self._partial(kind)
        if path.is_dir():
            shutil.rmtree(path)
        if partial.is_file():
            _settle(partial)
            partial.replace(path)
        elif partial.is_dir():
            partial.rename(path)
        else:
            path.unlink(missing_ok=True)

    def abandon(self) -> None:
        for file in (*self._lines.values(), self._clean):
            with contextlib.suppress(Exception):
                if file is not None:
                    file.close()
        for kind in KINDS:
            path = self.path(kind)
            partial = path.with_name(path.name + self.ending)
            if partial.is_dir():
                shutil.rmtree(partial, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    partial.unlink()


def _shown(raw: Any) -> Any:
    """A row as JSON has it, as text where it is none; of a file its path, as it stays where it is."""
    if isinstance(raw, tuple):
        from .parquet import as_object

        return as_object(raw)
    if isinstance(raw, bytes):
        with contextlib.suppress(ValueError, RecursionError):
            if isinstance(found := json.loads(raw), dict):
                return found
        return raw.decode(errors="replace").rstrip("\r\n")
    return raw


def _write_text(parts: Iterable[bytes], file: Any) -> None:
    """A long line, as a text."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    file.write('"')
    for part in parts:
        file.write(json.dumps(decoder.decode(part))[1:-1])
    file.write(json.dumps(decoder.decode(b"", final=True))[1:])


class _Lines:
    """Lines as they were, packed as the shard is."""

    def __init__(self, path: Path, like: str) -> None:
        self.file: BinaryIO
        if like.endswith(".gz"):
            self.file = cast(BinaryIO, gzip.GzipFile(path, "wb", compresslevel=GZIP_LEVEL))
        elif like.endswith(".bz2"):
            self.file = cast(BinaryIO, bz2.BZ2File(path, "wb"))
        elif like.endswith(".zst"):
            import zstandard

            self.file = cast(BinaryIO, zstandard.open(path, "wb"))
        else:
            self.file = path.open("wb")

    def keep(self, raw: bytes | bytearray | Path) -> None:
        """A line, or the file that holds a very long one. A last line without an end gets one."""
        if isinstance(raw, Path):
            with raw.open("rb") as file:
                shutil.copyfileobj(file, self.file)
            return
        self.file.write(raw)
        if not raw.endswith(b"\n"):
            self.file.write(b"\n")

    def close(self) -> None:
        self.file.close()


class AgainError(Exception):
    """A file that was searched cannot be read a second time, to be copied."""


def _copy(path: str, target: Path) -> None:
    with target.open("wb") as file:
        for data in _stored(path):
            file.write(data)


def _stored(path: str) -> Iterator[bytes]:
    try:
        with open_stored(path) as source:
            while data := source.read(1 << 16):  # most are small
                yield data
    except OSError as error:
        raise AgainError(f"{path}: cannot be read again, to be copied ({error.strerror or error})") from None


def _settle(path: Path) -> None:
    """On the disk before it has its name: a power cut leaves no half file either."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _plain(value: Any) -> Any:
    """Of what Parquet has and JSON does not."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def remove(out: Path, name: str) -> None:
    """Everything that a shard left."""
    for path in (
        out / "clean" / name, out / "dropped" / f"{name}.jsonl", out / "unchecked" / f"{name}.jsonl",
        out / "shards" / f"{name}.json",
    ):  # fmt: skip
        _remove(path)


def clear(out: Path) -> None:
    """Remove what a killed run left half written."""
    for path in out.glob("*.qceval-*.part"):
        path.unlink(missing_ok=True)
    for kind in KINDS:
        for folder, folders, names in os.walk(out / kind):
            for name in (*folders, *names):
                if LEFT.search(name):
                    _remove(Path(folder, name))
            # Of source files there may be very many, and what is half written lies beside their folder.
            folders[:] = [name for name in folders if not (LEFT.search(name) or TOGETHER.fullmatch(name))]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
