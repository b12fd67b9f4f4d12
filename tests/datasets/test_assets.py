"""Files that problems rest on beside their rows: where they are found, where never, and what their digest tells."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.datasets import assets
from qwencoder_eval.errors import DatasetError


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of data; beside it the cache, and a file that nobody may reach."""
    for name in ("data", "cache/assets"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("QCEVAL_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / "cache"))
    (tmp_path / "secret").write_text("secret")
    return tmp_path / "data"


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


# ---------------------------------------------------------------- where


def test_data_comes_before_the_cache(data: Path) -> None:
    cached = write(data.parent / "cache" / "assets", {"a/x": b"cached", "b/x": b"cached"})
    assert assets.locate("a") == cached / "a"
    write(data, {"a/x": b"given"})
    assert assets.locate("a") == data / "a"
    assert assets.locate("a/x") == data / "a" / "x"
    assert assets.locate("b/x") == cached / "b" / "x"


def test_the_cache_alone_is_looked_in_where_there_is_no_data(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "data_folder", lambda: None)
    cached = write(data.parent / "cache" / "assets", {"a": b""})
    assert assets.locate("a") == cached / "a"
    with pytest.raises(DatasetError, match=r"^b: not found in \S*/cache/assets; put it there, or set QCEVAL_DATA"):
        assets.locate("b")


@pytest.mark.parametrize("place", ["nothing", "a/nothing", "a/x/more", "A"])
def test_what_is_not_there_is_one_line(data: Path, place: str) -> None:
    write(data, {"a/x": b""})
    with pytest.raises(DatasetError) as caught:
        assets.locate(place)
    both = f"{data} or {data.parent}/cache/assets"
    assert str(caught.value) == (
        f"{place}: not found in {both}; put it there, or set QCEVAL_DATA to the folder that holds it"
    )


@pytest.mark.parametrize(
    "place",
    [
        "../secret",
        "a/../../secret",
        "..",
        "a/../..",
        "/etc/passwd",
        "/",
        "link",
        "link/secret",
        "a/file",
        "up/data/../secret",
    ],
)
def test_names_that_lead_out_are_not_found(data: Path, place: str) -> None:
    write(data, {"a/x": b""})
    (data / "link").symlink_to(data.parent)
    (data / "up").symlink_to("..")
    (data / "a" / "file").symlink_to(data.parent / "secret")
    with pytest.raises(DatasetError, match="not found in"):
        assets.locate(place)


def test_links_within_the_folder_are_followed(data: Path) -> None:
    write(data, {"a/x": b"1"})
    (data / "b").symlink_to("a")
    assert assets.locate("b/x").read_bytes() == b"1"
    (data / "loop").symlink_to("loop")
    (data / "broken").symlink_to("nowhere")
    for place in ("loop", "broken"):
        with pytest.raises(DatasetError, match="not found in"):
            assets.locate(place)


def test_the_folder_of_data_may_itself_be_a_link(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(data, {"a/x": b""})
    (data.parent / "alias").symlink_to(data)
    monkeypatch.setenv("QCEVAL_DATA", str(data.parent / "alias"))
    assert assets.locate("a/x") == data.parent / "alias" / "a" / "x"


# ---------------------------------------------------------------- which files


def test_all_regular_files_in_order(data: Path) -> None:
    write(data, {"b": b"", "a/z": b"", "a/.hidden/x": b"", "a/b/c": b"", ".top": b""})
    (data / "empty").mkdir()
    assert [each.relative_to(data).as_posix() for each in assets.files(data)] == [
        ".top",
        "a/.hidden/x",
        "a/b/c",
        "a/z",
        "b",
    ]
    assert assets.files(data / "b") == [data / "b"]
    assert assets.files(data / "empty") == []


def test_links_and_pipes_are_left_out(data: Path) -> None:
    write(data, {"a/x": b"1"})
    before = assets.digest(data)
    (data / "file").symlink_to("a/x")
    (data / "folder").symlink_to("a")
    (data / "outside").symlink_to(data.parent)
    (data / "broken").symlink_to("nowhere")
    (data / "a" / "round").symlink_to("..")
    os.mkfifo(data / "pipe")
    assert assets.files(data) == [data / "a" / "x"]
    assert assets.digest(data) == before


# ---------------------------------------------------------------- digests


@pytest.mark.parametrize(
    "other",
    [
        {"a": b"1", "b": b"3"},
        {"a": b"2", "b": b"1"},
        {"a": b"1"},
        {"a": b"1", "b": b"2", "c": b""},
        {"a": b"1", "c": b"2"},
        {"a": b"1", "d/b": b"2"},
        {"a": b"12", "b": b""},
        {},
    ],
)
def test_contents_and_names_are_told_apart(tmp_path: Path, other: dict[str, bytes]) -> None:
    (tmp_path / "other").mkdir()
    one = write(tmp_path / "one", {"a": b"1", "b": b"2"})
    same = write(tmp_path / "same", {"b": b"2", "a": b"1"})
    assert assets.digest(one) == assets.digest(same) != assets.digest(write(tmp_path / "other", other))


@given(files=st.dictionaries(st.sampled_from("abcdef"), st.binary(max_size=20)))
def test_the_digest_is_of_what_is_there_and_not_of_where(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    one, two = (write(tmp_path_factory.mktemp("digest"), files) for _ in range(2))
    assert assets.digest(one) == assets.digest(two)
    for name, content in files.items():
        (two / name).write_bytes(content + b"x")
        assert assets.digest(one) != assets.digest(two)
        (two / name).write_bytes(content)


def test_a_file_alone_has_no_name(tmp_path: Path) -> None:
    write(tmp_path, {"a": b"1", "b": b"1", "c": b"2"})
    assert assets.digest(tmp_path / "a") == assets.digest(tmp_path / "b") != assets.digest(tmp_path / "c")


def test_names_that_are_no_text(tmp_path: Path) -> None:
    before = assets.digest(write(tmp_path, {"a": b"1"}))
    (tmp_path / os.fsdecode(b"\xff\xfe")).write_bytes(b"")
    found = assets.digest(tmp_path)
    assert found != before
    os.rename(tmp_path / os.fsdecode(b"\xff\xfe"), tmp_path / os.fsdecode(b"\xff\xfd"))
    assert assets.digest(tmp_path) != found


def test_a_file_that_is_edited_after_it_was_hashed(tmp_path: Path) -> None:
    """Of the same size, too: the time of the last change tells."""
    path = write(tmp_path, {"a": b"1"}) / "a"
    os.utime(path, ns=(1, 1))
    before = assets.digest(tmp_path)
    path.write_bytes(b"2")
    os.utime(path, ns=(2, 2))
    changed = assets.digest(tmp_path)
    assert changed != before
    path.write_bytes(b"22")
    assert assets.digest(tmp_path) not in (before, changed)
    path.unlink()
    assert assets.digest(tmp_path) not in (before, changed)


def test_a_file_is_read_once_as_long_as_it_does_not_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a": b"1", "b": b"2"})
    found = assets.digest(tmp_path)
    monkeypatch.setattr(Path, "open", lambda *_: pytest.fail("read again"))
    assert assets.digest(tmp_path) == found


def test_what_cannot_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Permissions do not stop root: the system's refusal is played."""
    write(tmp_path, {"a": b"1"})

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DatasetError) as caught:
        assets.digest(tmp_path)
    assert str(caught.value) == f"{tmp_path}/a: cannot be read (Permission denied); check its rights"


def test_a_file_that_goes_away_meanwhile_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, {"a": b"1"}) / "a"
    monkeypatch.setattr(assets, "files", lambda folder: [path])
    path.unlink()
    with pytest.raises(DatasetError, match="No such file or directory"):
        assets.digest(tmp_path)
