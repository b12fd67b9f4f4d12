"""The journal: whole rows come back, whatever byte its writer was killed at and whatever the disk does."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qwencoder_eval.errors import InfrastructureError, RunError
from qwencoder_eval.runs.journal import Journal

ROWS: list[dict[str, Any]] = [
    {"problem": "a/0", "sample": 0, "text": "x = 1\n\n"},
    {"problem": "é ☃", "sample": 1, "text": "\x00\u2028\ud800"},
    {},
    {"nested": {"list": [1, 2.5, None, True, {"a": "}\n{"}]}},
]


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    journal = Journal(path)
    for row in rows:
        journal.append(row)
    journal.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.jsonl"


def test_rows_come_back(path: Path) -> None:
    write(path, ROWS[:2])
    assert list(Journal(path).rows()) == ROWS[:2]
    write(path, ROWS[2:])
    assert list(Journal(path).rows()) == ROWS
    assert path.read_bytes().count(b"\n") == len(ROWS)


def test_a_row_is_on_disk_as_soon_as_it_is_appended(path: Path) -> None:
    journal = Journal(path)
    for number, row in enumerate(ROWS, 1):
        journal.append(row)
        assert list(Journal(path).rows()) == ROWS[:number]
    journal.close()


def test_what_was_never_written_is_empty(path: Path) -> None:
    journal = Journal(path)
    journal.repair()
    assert list(journal.rows()) == []
    journal.close()
    assert not path.exists()


def test_it_can_be_cut_at_every_byte(path: Path) -> None:
    write(path, ROWS)
    whole = path.read_bytes()
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        complete = whole[:cut].count(b"\n")
        journal = Journal(path)
        journal.repair()
        assert list(journal.rows()) == ROWS[:complete], cut
        assert path.stat().st_size == whole[:cut].rfind(b"\n") + 1
        for row in ROWS[complete:]:
            journal.append(row)
        journal.close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize("size", [(1 << 16) - 1, 1 << 16, (1 << 16) + 1, 3 << 16])
def test_a_torn_line_longer_than_a_block_is_cut(path: Path, size: int) -> None:
    first = json.dumps({"text": "x" * 70_000}).encode() + b"\n"
    for before in (b"", first):
        path.write_bytes(before + b'{"text": "' + b"y" * (size - 10))
        Journal(path).repair()
        assert path.read_bytes() == before


def test_repair_changes_nothing_that_is_whole(path: Path) -> None:
    write(path, ROWS)
    before = path.read_bytes(), path.stat().st_mtime_ns
    Journal(path).repair()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


@pytest.mark.parametrize(
    "damage",
    [b'{"a": 1', b'{"a": 1}{"b": 2}', b"", b"\x00\x00\x00\x00", b'{"a": "\xff"}', b"[1]", b"7", b"[" * 200_000],
    ids=["torn", "two in one", "blank", "zeros", "not utf-8", "a list", "a number", "deep"],
)
def test_a_damaged_line_is_named(path: Path, damage: bytes) -> None:
    path.write_bytes(b'{"a": 0}\n' + damage + b'\n{"a": 2}\n')
    rows = Journal(path).rows()
    assert next(rows) == {"a": 0}
    with pytest.raises(RunError) as caught:
        next(rows)
    assert str(caught.value) == f"{path}:2: damaged; remove this line and run again"
    assert caught.value.exit_code == 2


def fail(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_a_full_disk_is_said_in_one_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(path)
    journal.append(ROWS[0])

    def full(fd: int, data: Any) -> int:
        raise fail(errno.ENOSPC)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(InfrastructureError) as caught:
            journal.append(ROWS[1])
    said = f"{path}: cannot be written (No space left on device); make room and run again"
    assert str(caught.value) == said
    assert caught.value.exit_code == 3
    journal.append(ROWS[1])
    journal.close()
    assert list(Journal(path).rows()) == ROWS[:2]


def test_a_disk_that_fills_up_in_the_middle_of_a_row(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it took of the row is taken back: other threads may go on, and a row behind a torn one is lost."""
    journal = Journal(path)
    journal.append(ROWS[0])
    real, room = os.write, [7, 3, 0]

    def filling(fd: int, data: Any) -> int:
        if not room[0]:
            raise fail(errno.ENOSPC)
        return real(fd, data[: room.pop(0)])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", filling)
        with pytest.raises(InfrastructureError):
            journal.append(ROWS[1])
    journal.append(ROWS[2])
    journal.close()
    assert list(Journal(path).rows()) == [ROWS[0], ROWS[2]]


@pytest.mark.parametrize("most", [1, 2, 7, 100])
def test_a_write_that_takes_only_a_part_is_continued(path: Path, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:most]))
    write(path, ROWS)
    assert list(Journal(path).rows()) == ROWS


def test_a_row_is_one_write(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a kill between two rows leaves whole ones."""
    real, sizes = os.write, []

    def counted(fd: int, data: Any) -> int:
        sizes.append(len(data))
        return real(fd, data)

    monkeypatch.setattr(os, "write", counted)
    write(path, [{"text": "x" * 300_000}, {}])
    assert sizes == [300_013, 3]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "none" / "x.jsonl")
    with pytest.raises(InfrastructureError, match=r"x\.jsonl: cannot be written \(No such file or directory\)"):
        journal.append({})
    journal.close()


def test_a_disk_that_fails_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems say only at fsync that there is no room."""
    journal = Journal(path)
    journal.append(ROWS[0])
    closed = []
    real = os.close

    def sync(fd: int) -> None:
        raise fail(errno.EDQUOT)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "close", lambda fd: (closed.append(fd), real(fd))[1])
    with pytest.raises(InfrastructureError, match=r"x\.jsonl: cannot be written \("):
        journal.close()
    assert len(closed) == 1
    journal.close()


def as_json_has_it(text: str) -> str:
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


@given(rows=st.lists(st.lists(st.text(st.characters()), max_size=4), max_size=5), cut=st.integers(0, 200))
@example(rows=[["\ud800", "\udc00"], ["\u2028\x85\r\n"], ["\x00"], ["}\n{"]], cut=3)
def test_any_text_comes_back_and_any_tear_is_cut(
    tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]], cut: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-journal.jsonl"
    path.unlink(missing_ok=True)
    write(path, [{"row": row} for row in rows])
    path.touch()
    expected = [{"row": [as_json_has_it(text) for text in row]} for row in rows]
    assert list(Journal(path).rows()) == expected
    stored = path.read_bytes()
    path.write_bytes(stored[: max(0, len(stored) - cut)])
    journal = Journal(path)
    journal.repair()
    assert list(journal.rows()) == expected[: stored[: max(0, len(stored) - cut)].count(b"\n")]
