"""From shards to rows: nothing is left out in silence, and no row is in memory twice."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("msgspec", reason="msgspec is not installed")

from qwencoder_eval.decontamination import entries, reading
from qwencoder_eval.decontamination.corpus import Shard
from qwencoder_eval.decontamination.entries import BINARY, BLANK, INVALID, Entry, Long, Row, Unread
from qwencoder_eval.decontamination.reading import batches, broken


def text_of(found: Entry) -> bytes:
    if isinstance(found, Long):
        return b"".join(found.parts)
    assert isinstance(found, Row), found
    return found.text


def everything(shard: Shard) -> list[list[Entry]]:
    """Batches, of which the long rows were drawn as they came: as rows with what they gave."""
    found = []
    for batch in batches(shard, (), lambda read: None, False):
        found.append([Row(e.place, text_of(e), "long", e.fault) if isinstance(e, Long) else e for e in batch])
    return found


def flat(shard: Shard) -> list[Entry]:
    return [entry for batch in everything(shard) for entry in batch]


def written(folder: Path, data: bytes, name: str = "a.jsonl", format: Any = "jsonl") -> Shard:
    (folder / name).write_bytes(data)
    return Shard.of(name, format, (str(folder / name),), len(data))


@pytest.mark.parametrize("format", ["jsonl", "lines"])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_rows_of_every_length(format: str, end: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short ones, long ones, and those over the cap: each in its place, with all of its text."""
    monkeypatch.setattr(entries, "PART", 32)
    monkeypatch.setattr(entries, "CAP", 100)
    texts = ["a" * size for size in (3, 20, 21, 22, 23, 40, 60, 85, 86, 87, 88, 89, 90, 91, 99, 100, 101, 150, 3)]
    lines = [json.dumps({"text": text}).encode() if format == "jsonl" else text.encode() for text in texts]
    found = flat(written(tmp_path, b"\n".join(lines) + end, format=format))
    assert [entry.place for entry in found] == [f"a.jsonl:{at + 1}" for at in range(len(texts))]
    for line, text, entry in zip(lines, texts, found, strict=True):
        whole = len(line) + 1 <= 100 or (not end and line is lines[-1])
        assert isinstance(entry, Row)
        assert entry.text.rstrip(b"\n") == (text.encode() if whole else line)
        assert entry.fault == ""


def test_a_blank_line_is_no_row_and_yet_there(tmp_path: Path) -> None:
    found = flat(written(tmp_path, b'\n{"text": "a"}\n \t\r\n'))
    assert [(type(entry), entry.raw) for entry in found] == [
        (Unread, b"\n"), (Row, b'{"text": "a"}\n'), (Unread, b" \t\r\n"),
    ]  # fmt: skip
    assert found[0].why == found[2].why == BLANK  # type: ignore[union-attr]
    assert found[2].place == "a.jsonl:3"


def test_lines_are_texts_without_their_ends(tmp_path: Path) -> None:
    found = flat(written(tmp_path, b"one\r\ntwo\n\xff", format="lines"))
    assert [(entry.text, entry.raw, entry.fault) for entry in found if isinstance(entry, Row)] == [
        (b"one", b"one\r\n", ""), (b"two", b"two\n", ""), ("�".encode(), b"\xff", INVALID),
    ]  # fmt: skip


def test_rows_are_looked_at_together_as_long_as_they_are_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "PART", 1000)
    monkeypatch.setattr(reading, "BATCH_ROWS", 7)
    small, wide = b'{"text": "a"}\n', b'{"text": "a", "other": "' + b"b" * 600 + b'"}\n'
    sizes = [len(batch) for batch in everything(written(tmp_path, small * 16 + wide * 5))]
    assert sizes == [7, 7, 4, 2, 1]  # what a row has beside its text counts: it is in memory, too


def test_what_was_read_before_the_end_of_a_torn_shard_comes_out(tmp_path: Path) -> None:
    data = b"".join(json.dumps({"text": f"{at} " * 50}).encode() + b"\n" for at in range(2000))
    packed = zlib.compressobj(wbits=31)
    shard = written(tmp_path, (packed.compress(data) + packed.flush())[:-200], "a.jsonl.gz")
    found: list[Entry] = []
    entries = batches(shard, (), lambda read: None, False)
    with pytest.raises(EOFError):
        found.extend(entry for batch in entries for entry in batch)
    assert len(found) > 1000


def test_source_files_each_for_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "PART", 10_000)
    (tmp_path / "a.py").write_bytes(b"x = 1")
    (tmp_path / "b.bin").write_bytes(b"\x89PNG\0\0")
    (tmp_path / "c.py").write_bytes(b"\xff\xfe")
    (tmp_path / "d.py").write_bytes(b"x" * 25_001)
    (tmp_path / "e.txt").write_bytes(b"")
    names = ("a.py", "gone.py", "b.bin", "c.py", "d.py", "e.txt")
    told: list[int] = []
    shard = Shard.of("files-00001", "files", tuple(str(tmp_path / name) for name in names), 0, str(tmp_path))
    found = []
    for batch in batches(shard, (), told.append, False):
        found += [(entry.place, text_of(entry) if not isinstance(entry, Unread) else entry.why) for entry in batch]
    assert found == [
        ("a.py", b"x = 1"),
        ("gone.py", "cannot be read (No such file or directory)"),
        ("b.bin", BINARY),
        ("c.py", "��".encode()),
        ("d.py", b"x" * 25_001),
        ("e.txt", b""),
    ]
    assert sum(told) == 5 + 6 + 2 + 25_001
    gone = next(entry for batch in everything(shard) for entry in batch if entry.place == "gone.py")
    assert isinstance(gone, Unread)
    assert gone.lost


def test_a_file_that_is_one_text(tmp_path: Path) -> None:
    data = b"a b\0 c\n"
    (found,) = flat(written(tmp_path, data, "book.txt", "text"))
    assert found == Row("book.txt", data, str(tmp_path / "book.txt"))


def test_what_is_told_adds_up_to_what_was_read(tmp_path: Path) -> None:
    told: list[int] = []
    shard = written(tmp_path, b'{"text": "' + b"a" * 1000 + b'"}\n' * 5000)
    for _ in batches(shard, (), told.append, False):
        pass
    assert sum(told) == shard.size


def test_the_parts_of_a_line_that_nobody_draws_do_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "PART", 32)
    line = b'{"text": "' + b"a " * 40 + b'"}\n'
    assert len([entry for batch in batches(written(tmp_path, line * 3), (), print, False) for entry in batch]) == 3


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file or directory"), "cannot be read (No such file or directory)"),
        (OSError("connection lost\n soon"), "cannot be read (connection lost soon)"),
        (EOFError("ended"), "damaged (ended)"),
        (zlib.error("Error -3"), "damaged (Error -3)"),
        (ValueError("a fault of ours"), None),
        (MemoryError(), None),
    ],
)
def test_what_is_a_fault_of_a_file(error: BaseException, said: str | None) -> None:
    assert broken(error) == said


@given(st.lists(st.binary(max_size=30).filter(lambda line: b"\n" not in line), max_size=8), st.integers(1, 40))
def test_the_rest_of_a_line_ends_with_it(lines: list[bytes], part: int) -> None:
    """Of a line over the cap just its own bytes are drawn."""

    def rest(file: io.BytesIO) -> Iterator[bytes]:
        return reading._rest(bytearray(file.readline(part)), file)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(entries, "PART", part)
        file = io.BytesIO(b"".join(line + b"\n" for line in lines))
        assert [b"".join(rest(file)) for _ in lines] == [line + b"\n" for line in lines]
