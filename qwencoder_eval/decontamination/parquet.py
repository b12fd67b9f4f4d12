"""Rows of Parquet files, and Parquet files of the rows that are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError
from . import entries
from .corpus import Shard, open_stored
from .entries import NO_TEXT, USUAL, Entry, Long, Row, Unread, row_of, slices, text_row
from .reading import Tick

GROUP = 8 << 20  # bytes of a row group that is written
ROWS = 1024  # that are decoded together, at most


def library() -> Any:
    """Raises InfrastructureError where it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise InfrastructureError("pyarrow is not installed; pip install 'qwencoder_eval[decontaminate]'") from None
    pyarrow.set_memory_pool(pyarrow.system_memory_pool())  # which gives back what is free
    return pyarrow.parquet


def parquet_rows(shard: Shard, fields: Sequence[str], tick: Tick, columns: bool) -> Iterator[Entry]:
    """Row after row; ``raw`` is (record batch, its row) where all ``columns`` are needed, else None.

    Arrow decodes a row whole, however long it is. Raises pyarrow's errors, and OSError.
    """
    asked = {"pre_buffer": False, "buffer_size": 1 << 20}  # a row group comes in pieces, and not as a whole
    with open_stored(shard.paths[0]) as stored, library().ParquetFile(stored, **asked) as file:
        known = file.schema_arrow.names
        chosen = [name for name in fields or USUAL if name in known][: len(fields) or 1]
        number = 0
        for group in range(file.num_row_groups):
            described = file.metadata.row_group(group)
            each = max(1, described.total_byte_size // max(1, described.num_rows))
            rows = max(1, min(ROWS, entries.PART // each))
            wanted = None if columns else chosen
            for batch in file.iter_batches(rows, row_groups=[group], columns=wanted, use_threads=False):
                yield from _rows(shard, batch, chosen, number, columns)
                number += batch.num_rows
                tick(shard.size * batch.num_rows // max(1, file.metadata.num_rows))


def _rows(shard: Shard, batch: Any, chosen: Sequence[str], before: int, columns: bool) -> Iterator[Entry]:
    import pyarrow

    def place(at: int) -> str:
        return f"{shard.name}:{before + at + 1}"

    column = batch.column(chosen[0]) if len(chosen) == 1 else None
    kinds = (pyarrow.types.is_string, pyarrow.types.is_large_string, pyarrow.types.is_binary)
    if column is not None and any(kind(column.type) for kind in kinds):  # as bytes, without a str each
        texts = column.cast(pyarrow.large_binary())
        for at in range(batch.num_rows):
            raw = (batch, at) if columns else None
            value = texts[at].as_buffer()
            if value is None:
                yield Unread(place(at), raw, NO_TEXT)
            elif len(value) > entries.PART:
                yield Long(place(at), slices(value), raw)
            else:
                yield row_of(place(at), value.to_pybytes(), raw)
        return
    values = [batch.column(name).to_pylist() for name in chosen]
    for at in range(batch.num_rows):
        raw = (batch, at) if columns else None
        row = text_row(place(at), [each[at] for each in values], raw) if values else Unread(place(at), raw, NO_TEXT)
        yield Long(row.place, slices(row.text), raw) if isinstance(row, Row) and len(row.text) > entries.PART else row


class Keeper:
    """Writes kept rows, with the schema and compression that they had."""

    def __init__(self, shard: Shard, path: Path) -> None:
        """Raises OSError, and pyarrow's errors."""
        with open_stored(shard.paths[0]) as stored, library().ParquetFile(stored) as file:
            schema = file.schema_arrow
            packed = file.metadata.row_group(0).column(0).compression if file.num_row_groups else "SNAPPY"
        self.writer = library().ParquetWriter(path, schema, compression="none" if packed == "UNCOMPRESSED" else packed)
        self.batch: Any = None
        self.first = self.behind = 0  # its rows that are kept, as far as they follow each other
        self.bytes = 0
        self.kept: list[Any] = []  # that will be a row group: Arrow keeps one in memory until it is whole

    def keep(self, raw: tuple[Any, int]) -> None:
        batch, at = raw
        if batch is not self.batch or at != self.behind:
            self._flush()
            self.batch, self.first = batch, at
        self.behind = at + 1

    def _flush(self) -> None:
        if self.batch is not None:
            self.kept.append(self.batch.slice(self.first, self.behind - self.first))
            self.bytes += self.kept[-1].nbytes
            self.batch = None
            if self.bytes >= GROUP:
                self._write()

    def _write(self) -> None:
        import pyarrow

        if self.kept:
            self.writer.write_table(pyarrow.Table.from_batches(self.kept))
            self.kept, self.bytes = [], 0

    def close(self) -> None:
        self._flush()
        self._write()
        self.writer.close()


def as_object(raw: tuple[Any, int]) -> dict[str, Any]:
    """A row for a file of JSON lines."""
    batch, at = raw
    found: dict[str, Any] = batch.slice(at, 1).to_pylist()[0]
    return found
