"""What a corpus is made of: which files are which shards, under which names, and their bytes wherever they lie."""

from __future__ import annotations

import bz2
import functools
import gzip
import http.server
import json
import os
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.decontamination import corpus
from qwencoder_eval.decontamination.corpus import Corpus, Shard, format_of, open_plain, relative, seems_parquet, shards
from qwencoder_eval.decontamination.reading import broken
from qwencoder_eval.errors import InputError

zstandard = pytest.importorskip("zstandard", reason="zstandard is not installed")

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}
DATA = b"".join(b"%d some text that is packed\n" % at for at in range(20_000))


def put(folder: Path, *names: str, data: bytes = b"x\n") -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def names(found: list[Shard]) -> list[tuple[str, str]]:
    return [(shard.name, shard.format) for shard in found]


def plain(path: Path | str) -> bytes:
    file, _ = open_plain(str(path))
    with file:
        return file.read()


def fault_of(read: Callable[[], object]) -> str:
    """What is said of a file that cannot be read to its end; nothing of one that can."""
    try:
        read()
    except Exception as error:
        return broken(error) or f"no fault of a file's: {error!r}"
    return ""


@pytest.mark.parametrize(
    ("name", "within", "named"),
    [
        ("a.jsonl", "jsonl", "jsonl"),
        ("a.JSONL.GZ", "jsonl", "jsonl"),
        ("a.ndjson.zst", "jsonl", "jsonl"),
        ("a.parquet", "parquet", "parquet"),
        ("a.json", "text", "jsonl"),  # in a folder it is a source file; with one packed nobody keeps source files
        ("a.json.bz2", "jsonl", "jsonl"),
        ("a.py", "text", "text"),
        ("a.txt.gz", "text", "text"),
        ("Makefile", "text", "text"),
        ("jsonl", "text", "text"),
    ],
)
def test_the_format_of_a_file(name: str, within: str, named: str) -> None:
    assert (format_of(name, False), format_of(name, True)) == (within, named)


def test_files_of_rows_are_a_shard_each_and_source_files_are_one_together(tmp_path: Path) -> None:
    put(tmp_path, "b/rows.jsonl", "a.parquet", "src/x.py", "src/deep/y.c", "z.jsonl.gz")
    found = shards([str(tmp_path)])
    assert names(found) == [
        ("a.parquet", "parquet"), ("z.jsonl.gz", "jsonl"), ("b/rows.jsonl", "jsonl"), ("files-00001", "files"),
    ]  # fmt: skip
    assert found[3].paths == (f"{tmp_path}/src/x.py", f"{tmp_path}/src/deep/y.c")
    assert [relative(found[3], path) for path in found[3].paths] == ["src/x.py", "src/deep/y.c"]
    assert [shard.size for shard in found] == [2, 2, 2, 4]


def test_many_source_files_are_several_shards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "FILES", 3)
    monkeypatch.setattr(corpus, "FILES_BYTES", 10)
    put(tmp_path, *(f"{at}.py" for at in range(4)))
    put(tmp_path, "5.py", "6.py", data=b"0123456789")
    found = shards([str(tmp_path)])
    assert [len(shard.paths) for shard in found] == [3, 2, 1]
    assert sorted(path for shard in found for path in shard.paths) == sorted(map(str, tmp_path.iterdir()))


def test_a_format_that_is_asked_for_is_that_of_all_files(tmp_path: Path) -> None:
    put(tmp_path, "a.txt", "b.log")
    assert names(shards([str(tmp_path)], "lines")) == [("a.txt", "lines"), ("b.log", "lines")]
    assert names(shards([str(tmp_path / "a.txt")], "jsonl")) == [("a.txt", "jsonl")]
    assert names(shards([str(tmp_path / "a.txt")])) == [("a.txt", "text")]


def test_several_folders_stay_apart(tmp_path: Path) -> None:
    put(tmp_path, "one/data/a.jsonl", "two/data/a.jsonl", "a.jsonl", "b.py")
    paths = [str(tmp_path / name) for name in ("one/data", "two/data/", "a.jsonl", "b.py")]
    assert [name for name, _ in names(shards(paths))] == ["data/a.jsonl", "data-2/a.jsonl", "a.jsonl", "b.py"]
    assert [name for name, _ in names(shards([paths[2]] * 3))] == ["a.jsonl", "2/a.jsonl", "3/a.jsonl"]


def test_no_output_of_a_shard_lies_where_another_has_a_folder(tmp_path: Path) -> None:
    put(tmp_path, "one/x.jsonl", "two/x.jsonl/y.jsonl", "three/x/z.jsonl", "three/x.json/q.jsonl")
    found = [name for name, _ in names(shards([str(tmp_path / name) for name in ("one/x.jsonl", "two", "three")]))]
    outputs = {f"{name}{ending}" for name in found for ending in corpus.OUTPUTS}
    folders = {str(parent) for name in found for parent in PurePosixPath(name).parents}
    assert not outputs & folders
    assert len(set(found)) == 4


@given(st.text(min_size=1, max_size=300).filter(lambda part: "/" not in part and "\0" not in part))
def test_part_of_a_name_is_printable_short_and_leads_nowhere(part: str) -> None:
    try:
        quoted = corpus._quoted(part)
    except UnicodeEncodeError:
        assert any(0xD800 <= ord(character) < 0xDC80 or 0xDCFF < ord(character) < 0xE000 for character in part)
        return
    assert quoted.isascii()
    assert quoted.isprintable()
    assert quoted not in ("", ".", "..")
    assert "/" not in quoted
    assert len(quoted) <= corpus.LONGEST


@pytest.mark.parametrize(
    "name", ["\x1b[31mred.jsonl", "a\nb.jsonl", "é 中.jsonl", "-rf.jsonl", b"\xff.jsonl", "n" * 249]
)
def test_hostile_names_are_shards_like_others(name: str | bytes, tmp_path: Path) -> None:
    path = Path(tmp_path, name.decode(errors="surrogateescape") if isinstance(name, bytes) else name)
    path.write_bytes(b'{"text": "a"}\n')
    (shard,) = shards([str(tmp_path)], "jsonl")
    assert shard.name.isascii()
    assert shard.name.isprintable()
    assert plain(shard.paths[0]) == b'{"text": "a"}\n'


def test_links_and_the_output_folder_are_no_part_of_it(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", "out/clean/a.jsonl", "elsewhere/b.jsonl")
    (tmp_path / "link.jsonl").symlink_to(tmp_path / "a.jsonl")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "dangling.jsonl").symlink_to(tmp_path / "none")
    found = shards([str(tmp_path)], without=str(tmp_path / "out"))
    assert [name for name, _ in names(found)] == ["a.jsonl", "elsewhere/b.jsonl"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path, said in (("none", "not found"), ("empty", "no files in it")):
        with pytest.raises(InputError, match=said):
            shards([str(tmp_path / path)])
    with pytest.raises(InputError, match="nosuchprotocol"):
        shards(["nosuchprotocol://a/b"])


def test_a_corpus_knows_how_it_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, "in/a.jsonl", "in/out/b.parquet")
    monkeypatch.chdir(tmp_path)
    found = Corpus.of(("in",), "auto", "in/out")
    assert (found.paths, found.format, [shard.paths[0] for shard in found.shards]) == (
        ("in",), "auto", [f"{tmp_path}/in/a.jsonl"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "paths", "format", "seems"),
    [
        (["in/a.parquet", "in/b.parquet"], ["in"], "auto", True),
        (["in/deep/er/a.parquet"], ["in"], "auto", True),
        (["in/a.parquet"], ["in"], "jsonl", False),
        (["in/a.parquet"], ["in/a.parquet"], "auto", True),
        (["in/a.py", "b.parquet"], ["in", "b.parquet"], "auto", True),
        (["in/a.jsonl", "in/b.jsonl"], ["in"], "auto", False),
        (["in/a"], ["in"], "parquet", True),
        ([], ["in", "s3://bucket/folder"], "auto", False),
        ([], ["s3://bucket/a.parquet"], "auto", True),
    ],
)
def test_what_seems_to_be_parquet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: list[str], paths: list[str], format: Any, seems: bool
) -> None:
    """Without a word to a server, and whether or not it is there."""
    put(tmp_path, *names)
    monkeypatch.chdir(tmp_path)
    assert seems_parquet(paths, format) is seems


def test_a_glance_does_not_look_at_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, *(f"{folder}/a.py" for folder in range(50)))
    looked: list[Any] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (looked.append(path), scandir(path))[1])
    assert not seems_parquet([str(tmp_path)])
    assert len(looked) == 2


@given(st.lists(st.text(st.characters()), max_size=20))
def test_a_shard_knows_its_paths(paths: list[str]) -> None:
    """Also names that are no text, as file systems have them."""
    paths = [*paths, os.fsdecode(b"/a/\xff\xfe.py")]
    shard = Shard.of("a", "files", paths, 1, "/a")
    assert shard.paths == tuple(paths)
    assert Shard(**json.loads(json.dumps(asdict(shard)))) == shard


def test_a_corpus_of_many_files_takes_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search knows all of them from its beginning to its end."""
    listed = [(f"{tmp_path}/some-repository/folder-{at // 100}/module_{at}.py", 9000) for at in range(200_000)]
    monkeypatch.setattr(corpus, "_listed", lambda path, without: (False, iter(listed)))
    tracemalloc.start()
    try:
        found = shards([str(tmp_path)])
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(len(shard.paths) for shard in found) == len(listed)
    assert held < 20 * len(listed)
    assert most < 40 * len(listed)


def test_the_state_of_a_shard_is_another_when_a_file_changes(tmp_path: Path) -> None:
    put(tmp_path, "a.py", "b.py")
    (shard,) = shards([str(tmp_path)])
    before = shard.state()
    assert shard.state() == before
    put(tmp_path, "b.py", data=b"longer")
    assert shard.state()[0] == before[0]
    assert shard.state()[1] != before[1]
    (tmp_path / "a.py").unlink()
    assert shard.state()[0] is None


@pytest.mark.parametrize("ending", PACK)
def test_packed_files_are_read_as_what_is_in_them(ending: str, tmp_path: Path) -> None:
    data = PACK[ending](DATA[:1000]) + PACK[ending](DATA[1000:])  # two frames, as parallel packers write
    (tmp_path / f"a{ending}").write_bytes(data)
    file, counted = open_plain(str(tmp_path / f"a{ending}"))
    with file:
        lines = list(file)
    assert b"".join(lines) == DATA
    assert counted.bytes == len(data)


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst"])
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_a_torn_file_gives_what_it_has_and_is_damaged(ending: str, kept: float, tmp_path: Path) -> None:
    data = PACK[ending](DATA)
    path = tmp_path / f"a{ending}"
    path.write_bytes(data[: int(len(data) * kept)])
    file, _ = open_plain(str(path))
    parts: list[bytes] = []
    with file:
        said = fault_of(lambda: parts.extend(iter(lambda: file.read(100), b"")))
    assert said.startswith(("damaged", "cannot be read"))
    read = b"".join(parts)
    assert DATA.startswith(read)
    assert ending == ".bz2" or len(read) > 100_000  # all whole blocks; one of bzip2's is larger than this file


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst"])
def test_what_is_not_packed_at_all_is_damaged(ending: str, tmp_path: Path) -> None:
    (tmp_path / f"a{ending}").write_bytes(b"no such format")
    assert fault_of(lambda: plain(tmp_path / f"a{ending}")).startswith(("damaged", "cannot be read"))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *given: Any) -> None: ...


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder, and where it is to be had: a real server on the loopback address."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("ending", PACK)
def test_a_file_behind_an_address(served: tuple[Path, str], ending: str) -> None:
    folder, address = served
    (folder / f"a.jsonl{ending}").write_bytes(PACK[ending](DATA))
    (shard,) = shards([f"{address}/a.jsonl{ending}"])
    assert (shard.name, shard.format) == (f"a.jsonl{ending}", "jsonl")
    assert shard.size == len(PACK[ending](DATA))
    assert plain(shard.paths[0]) == DATA
    assert shard.state() == shard.state() != [None]


def test_what_vanishes_from_its_address_is_a_fault_of_the_shard(served: tuple[Path, str]) -> None:
    folder, address = served
    (folder / "a.jsonl").write_bytes(DATA)
    (shard,) = shards([f"{address}/a.jsonl"])
    (folder / "a.jsonl").unlink()
    assert shard.state() == [None]
    with pytest.raises(OSError, match=r"a\.jsonl") as caught:
        plain(shard.paths[0])
    assert (broken(caught.value) or "").startswith("cannot be read")
    with pytest.raises(InputError, match="--corpus http"):
        shards([f"{address}/a.jsonl"])


def test_folders_of_another_file_system(tmp_path: Path) -> None:
    from fsspec.implementations.memory import MemoryFileSystem

    system = MemoryFileSystem()
    for name in ("a.jsonl", "src/x.py", "src/../../../y.py"):
        system.pipe_file(f"/qceval-test/{name}", b"x\n")
    try:
        found = shards(["memory://qceval-test"])
        assert names(found) == [("a.jsonl", "jsonl"), ("files-00001", "files")]
        for shard in found:
            for path in shard.paths:
                assert plain(path) == b"x\n"
                assert ".." not in relative(shard, path).split("/")
    finally:
        system.rm("/qceval-test", recursive=True)
