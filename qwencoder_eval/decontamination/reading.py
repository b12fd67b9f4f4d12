"""From a shard to rows of text, in bounded memory whatever its size.

Nothing is left out in silence: a row that has no text to look at comes out too, with the reason.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple

from .corpus import Counted, Shard, open_plain, relative
from .problems import text_of

CAP = 64 << 20  # bytes of a row, stored or as text; what is over it is looked at as raw bytes, part by part
PART = 8 << 20  # bytes of such a part
BATCH, BATCH_ROWS = 4 << 20, 4096  # bytes and rows that are looked at together
USUAL = ("text", "content", "code", "messages", "conversations")  # fields, the first that a row has
INVALID = "invalid UTF-8, read with replacements"
NO_TEXT = "no text in it"


class Row(NamedTuple):
    """``place``: where it is, for people. ``text``: UTF-8. ``raw``: what a writer of its format keeps of it."""

    place: str
    text: bytes
    raw: Any
    fault: str = ""


class Unread(NamedTuple):
    """A row that cannot be looked at."""

    place: str
    raw: Any
    why: str


class Long(NamedTuple):
    """A row over the cap; ``parts`` must be drawn to their end before the next one is asked for."""

    place: str
    parts: Iterator[bytes]
    raw: Any


Entry = Row | Unread | Long
Tick = Callable[[int], None]  # told how many stored bytes were read since the last call


def batches(shard: Shard, fields: Sequence[str], tick: Tick, columns: bool) -> Iterator[list[Entry]]:
    """A shard's rows in order, some together; a ``Long`` one is alone. ``columns``: rows are written again.

    Raises what reading raises, see ``broken``.
    """
    entries = _files(shard, tick) if shard.format == "files" else _rows(shard, fields, tick, columns)
    batch: list[Entry] = []
    size = 0
    try:
        for entry in entries:
            if isinstance(entry, Long):
                if batch:
                    yield batch
                yield [entry]
                batch, size = [], 0
                continue
            batch.append(entry)
            size += len(entry.text) if isinstance(entry, Row) else 0
            if size >= BATCH or len(batch) >= BATCH_ROWS:
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


LIBRARIES = ("zstd", "zstandard", "pyarrow", "fsspec", "aiohttp", "botocore", "s3fs")


def _rows(shard: Shard, fields: Sequence[str], tick: Tick, columns: bool) -> Iterator[Entry]:
    if shard.format == "parquet":
        from .parquet import parquet_rows

        yield from parquet_rows(shard, fields, tick, columns)
        return
    file, counted = open_plain(shard.paths[0])
    with file:
        if shard.format == "text":
            yield from _document(shard.name, file, shard.paths[0])
            tick(counted.bytes)
        else:
            yield from _lines(shard, file, counted, Decoder(fields) if shard.format == "jsonl" else None, tick)


def _lines(shard: Shard, file: BinaryIO, counted: Counted, decoder: Decoder | None, tick: Tick) -> Iterator[Entry]:
    """Of JSON, or with no ``decoder`` each line a text."""
    number = told = 0
    while line := file.readline(CAP + 1):
        number += 1
        place = f"{shard.name}:{number}"
        if len(line) > CAP and not line.endswith(b"\n"):
            yield Long(place, _rest(line, file), None)
        elif line.strip():
            yield decoder.row(place, line) if decoder else row_of(place, line.rstrip(b"\r\n"), line)
        if counted.bytes - told >= 1 << 20:
            tick(counted.bytes - told)
            told = counted.bytes
    tick(counted.bytes - told)


def _rest(line: bytes, file: BinaryIO) -> Iterator[bytes]:
    """A line, of which the beginning was read."""
    for at in range(0, len(line), PART):
        yield line[at : at + PART]
    while not line.endswith(b"\n") and (line := file.readline(PART)):
        yield line


def _document(place: str, file: BinaryIO, path: str) -> Iterator[Entry]:
    """A file that is one text."""
    data = file.read(CAP + 1)
    if len(data) > CAP:
        yield Long(place, _remaining(data, file), path)
    else:
        yield row_of(place, data, path)


def _remaining(data: bytes, file: BinaryIO) -> Iterator[bytes]:
    for at in range(0, len(data), PART):
        yield data[at : at + PART]
    while data := file.read(PART):
        yield data


def _files(shard: Shard, tick: Tick) -> Iterator[Entry]:
    for path in shard.paths:
        place = relative(shard, path)
        try:
            file, counted = open_plain(path)
            with file:
                for entry in _document(place, file, path):
                    if isinstance(entry, Row) and b"\0" in entry.text[:8192]:
                        yield Unread(place, path, BINARY)
                    else:
                        yield entry
                tick(counted.bytes)
        except Exception as error:
            if (why := broken(error)) is None:
                raise
            yield Unread(place, path, why)


BINARY = "binary"


def row_of(place: str, data: bytes, raw: Any) -> Row:
    """A text as it lies in a file."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            return Row(place, data.decode(errors="replace").encode(), raw, INVALID)
    return Row(place, data, raw)


class Decoder:
    """The text of lines of JSON: of all ``fields``, or of the first usual one that a line has."""

    def __init__(self, fields: Sequence[str]) -> None:
        import msgspec

        self.fields, self.unset, self.wrong = fields, msgspec.UNSET, msgspec.DecodeError
        names = {f"field{at}": name for at, name in enumerate(fields or USUAL)}
        struct = msgspec.defstruct("Line", [(name, Any, msgspec.UNSET) for name in names], rename=names)
        self.decode = msgspec.json.Decoder(struct).decode
        self.names = tuple(names)

    def row(self, place: str, line: bytes) -> Row | Unread:
        fault = ""
        try:
            found = self.decode(line)
            values = [value for name in self.names if (value := getattr(found, name)) is not self.unset]
        except (self.wrong, RecursionError, UnicodeDecodeError):  # or what only Python's own reader takes
            try:
                if not isinstance(document := json.loads(line.decode()), dict):
                    return Unread(place, line, "not an object")
            except UnicodeDecodeError:
                fault = INVALID
                try:
                    document = json.loads(line.decode(errors="replace"))
                except (ValueError, RecursionError):
                    return Unread(place, line, "not JSON")
                if not isinstance(document, dict):
                    return Unread(place, line, "not an object")
            except (ValueError, RecursionError):
                return Unread(place, line, "not JSON")
            values = [document[name] for name in self.fields or USUAL if name in document]
        return text_row(place, values if self.fields else values[:1], line, fault)


def text_row(place: str, values: Sequence[Any], raw: Any, fault: str = "") -> Row | Unread:
    """The row with what these values have of text."""
    try:
        text = text_of(list(values)) if len(values) != 1 or not isinstance(values[0], str) else values[0]
    except RecursionError:
        text = ""
    if not text:
        return Unread(place, raw, NO_TEXT)
    return Row(place, text.encode("utf-8", "surrogatepass"), raw, fault)
