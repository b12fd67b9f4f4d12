"""From a shard to rows of text, in bounded memory whatever its size.

Nothing is left out in silence: a row that has no text to look at comes out too, with the reason.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import BinaryIO

from . import entries
from .corpus import Counted, Shard, is_packed, is_remote, open_plain, relative
from .entries import BINARY, BLANK, Entry, Long, Row, Unread, row_of, slices
from .json_rows import Decoder

BATCH_ROWS = 4096  # and not more rows than that
SHORT = 64 << 10  # bytes: source files that have less are read at once
TOLD = 1 << 20  # stored bytes between two words about progress
Tick = Callable[[int], None]  # told how many stored bytes were read since the last call


def batches(shard: Shard, fields: Sequence[str], tick: Tick, columns: bool) -> Iterator[list[Entry]]:
    """A shard's rows in order, some together; a ``Long`` one is alone. ``columns``: rows are written again.

    Raises what reading raises, see ``broken``.
    """
    found = _files(shard, tick) if shard.format == "files" else _rows(shard, fields, tick, columns)
    batch: list[Entry] = []
    size = 0
    try:
        for entry in found:
            if isinstance(entry, Long):
                if batch:
                    yield batch
                yield [entry]
                batch, size = [], 0
                continue
            batch.append(entry)
            size += len(entry.raw) if isinstance(entry.raw, bytes | bytearray) else 0
            size += len(entry.text) if isinstance(entry, Row) else 0
            if size >= entries.PART or len(batch) >= BATCH_ROWS:
                yield batch
                batch, size = [], 0
    except Exception as error:
        if batch and broken(error):
            yield batch  # what was read before
        raise
    if batch:
        yield batch


def broken(error: BaseException) -> str | None:
    """What is wrong with a file that raises this, or None where it is no fault of a file's."""
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror or said})"
    if isinstance(error, EOFError | zlib.error) or type(error).__module__.partition(".")[0] in LIBRARIES:
        return f"damaged ({said})"
    return None


LIBRARIES = ("zstd", "zstandard", "pyarrow")


def _rows(shard: Shard, fields: Sequence[str], tick: Tick, columns: bool) -> Iterator[Entry]:
    if shard.format == "parquet":
        from .parquet import parquet_rows

        yield from parquet_rows(shard, fields, tick, columns)
        return
    file, counted = open_plain(shard.paths[0])
    with file:
        if shard.format == "text":
            yield _document(shard.name, file, shard.paths[0])
            tick(counted.bytes)
        else:
            yield from _lines(shard, file, counted, Decoder(fields) if shard.format == "jsonl" else None, tick)


def _lines(shard: Shard, file: BinaryIO, counted: Counted, decoder: Decoder | None, tick: Tick) -> Iterator[Entry]:
    """Of JSON, or with no ``decoder`` each line a text."""
    number = told = 0
    while line := file.readline(entries.PART + 1):
        number += 1
        place = f"{shard.name}:{number}"
        if len(line) > entries.PART and not line.endswith(b"\n"):
            long = bytearray(line)
            del line
            while len(long) <= entries.CAP and not long.endswith(b"\n") and (more := file.readline(entries.PART)):
                long += more
            entry: Entry
            if len(long) > entries.CAP:
                entry = Long(place, _rest(long, file), None)
            else:
                entry = decoder.long(place, long) if decoder else Long(place, slices(long), long)
            yield entry
            if isinstance(entry, Long):
                entry.parts.close()
            long.clear()  # whoever still knows it
        elif not line.strip():
            yield Unread(place, line, BLANK)
        elif decoder:
            yield decoder.row(place, line)
        else:
            yield row_of(place, line.rstrip(b"\r\n"), line)
        if counted.bytes - told >= TOLD:
            tick(counted.bytes - told)
            told = counted.bytes
    tick(counted.bytes - told)


def _rest(line: bytearray, file: BinaryIO) -> Generator[bytes, None, None]:
    """A line, of which the beginning was read."""
    ended = line.endswith(b"\n")
    yield from slices(line)
    line.clear()
    while not ended and (more := file.readline(entries.PART)):
        ended = more.endswith(b"\n")
        yield more


def _document(place: str, file: BinaryIO, path: str, source: bool = False) -> Entry:
    """A file that is one text; ``source``: or something else, which has a zero byte at its beginning."""
    data = file.read(entries.PART + 1)
    if source and b"\0" in data[:8192]:
        return Unread(place, path, BINARY)
    if len(data) > entries.PART:
        return Long(place, _remaining(data, file), path)
    return row_of(place, data, path)


def _remaining(data: bytes, file: BinaryIO) -> Generator[bytes, None, None]:
    yield data
    while data := file.read(entries.PART):
        yield data


def _opened(path: str) -> BinaryIO:
    """A file on this machine. Most are short, and there what is around them counts: they are read at once."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        data = os.read(descriptor, SHORT)
        while len(data) < SHORT and (more := os.read(descriptor, SHORT - len(data))):
            data += more
    finally:
        os.close(descriptor)
    return io.BytesIO(data) if len(data) < SHORT else open(path, "rb")


def _files(shard: Shard, tick: Tick) -> Iterator[Entry]:
    read = 0
    for path in shard.paths:
        place = relative(shard, path)
        try:
            if is_remote(path) or is_packed(path):
                file, counted = open_plain(path)
            else:
                file, counted = _opened(path), None
            with file:
                yield _document(place, file, path, source=True)
                read += counted.bytes if counted else file.tell()
        except Exception as error:
            if (why := broken(error)) is None:
                raise
            yield Unread(place, path, why, lost=True)
        if read >= TOLD:
            tick(read)
            read = 0
    tick(read)
