"""Official archives of databases, unpacked into the cache: whole or not at all, whatever they hold."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from qwencoder_eval.datasets.assets import locate
from qwencoder_eval.datasets.databases import unpack
from qwencoder_eval.errors import DatasetError, InfrastructureError

SPIDER = {
    "spider/database/singer/singer.sqlite": b"one",
    "spider/database/singer/schema.sql": b"CREATE ...",
    "spider/database/world_1/world_1.sqlite": b"two",
    "spider/database/world_1/world_1_fuzz.sqlite": b"three",
    "spider/dev.json": b"[]",
    "__MACOSX/singer.sqlite": b"no",
}


def zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "assets"


def archive(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "given.zip"
    path.write_bytes(data)
    return path


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_databases_and_those_of_a_test_suite_are_unpacked(cache: Path, tmp_path: Path) -> None:
    assert unpack(archive(tmp_path, zipped(SPIDER)), "spider/database") == 2
    assert below(cache) == {
        "spider/database/singer/singer.sqlite": b"one",
        "spider/database/world_1/world_1.sqlite": b"two",
        "spider/database/world_1/world_1_fuzz.sqlite": b"three",
    }
    assert (cache / "spider/database/singer/singer.sqlite").stat().st_mode & 0o444 == 0o444
    assert locate("spider/database/singer").is_dir()


def test_an_archive_in_an_archive(cache: Path, tmp_path: Path) -> None:
    inner = zipped({"dev_databases/club/club.sqlite": b"club", "dev_databases/club/description/a.csv": b"x"})
    outer = zipped({"dev_20240627/dev_databases.zip": inner, "dev_20240627/dev.json": b"[]"})
    assert unpack(archive(tmp_path, outer), "bird/dev_databases") == 1
    assert below(cache) == {"bird/dev_databases/club/club.sqlite": b"club"}


@pytest.mark.parametrize(
    "name",
    ["../../out/out.sqlite", "/etc/etc.sqlite", "a/../b.sqlite", "a/.b.sqlite", "a\\..\\b/b\0.sqlite", "../b.sqlite"],
)
def test_names_lead_nowhere_else(cache: Path, tmp_path: Path, name: str) -> None:
    unpack(archive(tmp_path, zipped({"d/d.sqlite": b"d", name: b"evil"})), "p")
    assert all(path.is_relative_to(cache / "p") for path in tmp_path.rglob("*.sqlite"))
    assert (cache / "p/d/d.sqlite").read_bytes() == b"d"


def test_what_is_there_is_not_overwritten(cache: Path, tmp_path: Path) -> None:
    given = archive(tmp_path, zipped(SPIDER))
    unpack(given, "spider/database")
    with pytest.raises(DatasetError, match="there already; remove it"):
        unpack(given, "spider/database")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "cannot be unpacked"),
        (b"PK\x03\x04 garbage", "cannot be unpacked"),
        (zipped(SPIDER)[:-40], "cannot be unpacked"),
        (zipped({"readme.txt": b"x"}), "no NAME/NAME.sqlite in it"),
        (zipped({"a/b.sqlite": b"x"}), "no NAME/NAME.sqlite in it"),
        (zipped({"databases.zip": b"no archive"}), "cannot be unpacked"),
    ],
)
def test_an_archive_that_is_none_leaves_nothing(cache: Path, tmp_path: Path, data: bytes, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        unpack(archive(tmp_path, data), "spider/database")
    assert not below(cache) if cache.exists() else True


def test_a_damaged_member_leaves_nothing(cache: Path, tmp_path: Path) -> None:
    data = bytearray(zipped({"d/d.sqlite": b"0123456789" * 10}))
    data[60] ^= 255
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        unpack(archive(tmp_path, bytes(data)), "p")
    assert not (cache / "p").exists()


def test_an_archive_that_is_not_there(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere\.zip: cannot be read"):
        unpack(tmp_path / "nowhere.zip", "p")


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("QCEVAL_CACHE", str(tmp_path / "file"))
    with pytest.raises(InfrastructureError, match="set QCEVAL_CACHE"):
        unpack(archive(tmp_path, zipped(SPIDER)), "p")
