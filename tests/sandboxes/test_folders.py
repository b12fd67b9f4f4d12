"""``Program.folder``: a folder of this machine that programs may read and not change, in every backend."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from qwencoder_eval.types import Program

if TYPE_CHECKING:
    from conftest import Place

LOOK = """
import json, os
def f():
    top = os.environ.get("QCEVAL_ASSETS")
    if top is None:
        return None
    found = {}
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                found[os.path.relpath(path, top)] = open(path).read()
            except OSError as error:
                found[os.path.relpath(path, top)] = error.strerror
    return json.dumps(found)
"""
TRY = """
import ctypes, json, os, shutil
def f():
    top = os.environ["QCEVAL_ASSETS"]
    a, inner = top + "/a.txt", top + "/inner"
    libc = ctypes.CDLL(None, use_errno=True)
    def remount():
        for flags in (32, 32 | 4096, 4096):
            libc.mount(b"none", top.encode(), None, flags, None)
        libc.umount2(top.encode(), 2)
        open(a, "a").write("x")
    tries = {
        "append": lambda: open(a, "a").write("x"),
        "update": lambda: open(a, "r+").write("x"),
        "create": lambda: open(top + "/new", "w"),
        "create below": lambda: open(inner + "/new", "w"),
        "folder": lambda: os.mkdir(top + "/new"),
        "link": lambda: os.link(a, top + "/new"),
        "link out": lambda: os.link(a, "/tmp/work/new"),
        "symlink": lambda: os.symlink("/etc/passwd", top + "/new"),
        "remove": lambda: os.unlink(a),
        "rename": lambda: os.rename(a, top + "/new"),
        "replace": lambda: os.replace("main.py", a),
        "truncate": lambda: os.truncate(a, 0),
        "mode": lambda: os.chmod(a, 0o777),
        "owner": lambda: os.chown(a, os.getuid(), os.getgid()),
        "times": lambda: os.utime(a),
        "attribute": lambda: os.setxattr(a, "user.x", b"x"),
        "by descriptor": lambda: open(f"/proc/self/fd/{os.open(a, os.O_RDONLY)}", "w"),
        "remount": remount,
        "node": lambda: os.mknod(top + "/new"),
        "tree": lambda: shutil.rmtree(inner),
    }
    done = []
    for name, act in tries.items():
        try:
            act()
            done.append(name)
        except OSError:
            pass
    return json.dumps(done)
"""
BESIDE = """
import json, os
def f(paths):
    seen = [path for path in paths if os.path.exists(path)]
    top = os.environ["QCEVAL_ASSETS"]
    return json.dumps([seen, sorted(os.listdir(top)), os.path.exists(os.path.join(top, "..", "secret.txt"))])
"""
ODD = ["a folder with blanks", "a:b", "ünï-日本", "a,b=c", "quote'\"$HOME", "tab\there", "percent%20#?"]


def asked(place: Place, folder: Path | None, source: str = LOOK, *arguments: Any) -> Program:
    return replace(place.asking(source, [arguments]), folder=str(folder or ""))


def value(place: Place, program: Program) -> Any:
    loaded, answer = place.lines(place.run(program))
    assert loaded == {"loaded": True}
    return json.loads(answer["value"]) if answer.get("value", answer) is not None else None


def contents(folder: Path) -> dict[str, tuple[str, int, int]]:
    paths = [each for each in folder.rglob("*") if each.is_file() and not each.is_symlink()]
    return {str(each): (each.read_text(), each.stat().st_mode, each.stat().st_mtime_ns) for each in paths} | {
        f"{each} is there": ("", 0, 0) for each in folder.rglob("*")
    }


@pytest.fixture
def top() -> Iterator[Path]:
    """Where an ordinary user, which a sandbox may be, can pass: pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory(prefix="qceval-folders-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture
def folder(top: Path) -> Path:
    made = top / "folder"
    (made / "inner").mkdir(parents=True)
    (made / "a.txt").write_text("one")
    (made / "inner" / "b.txt").write_text("two")
    (top / "secret.txt").write_text("secret")
    (made / "out").symlink_to(top / "secret.txt")
    for each in (made, *made.rglob("*")):
        if not each.is_symlink():
            each.chmod(0o777 if each.is_dir() else 0o666)
    return made


def test_it_can_be_read(isolated: Place, folder: Path) -> None:
    """A link out of it leads nowhere."""
    found = value(isolated, asked(isolated, folder))
    assert found == {"a.txt": "one", "inner/b.txt": "two", "out": "No such file or directory"}


def test_without_isolation_it_can_be_read_too(place: Place, folder: Path) -> None:
    assert value(place, asked(place, folder))["inner/b.txt"] == "two"


def test_it_cannot_be_changed(isolated: Place, folder: Path) -> None:
    before = contents(folder)
    assert value(isolated, asked(isolated, folder, TRY)) == []
    assert contents(folder) == before
    assert value(isolated, asked(isolated, folder))["a.txt"] == "one"


def test_nothing_beside_it_is_seen(isolated: Place, folder: Path) -> None:
    paths = [str(folder), str(folder.parent / "secret.txt"), str(Path(__file__).resolve())]
    seen, inside, above = value(isolated, asked(isolated, folder, BESIDE, paths))
    assert seen == []
    assert inside == ["a.txt", "inner", "out"]
    assert not above


def test_each_folder_has_its_own_sandbox_and_none_has_none(place: Place, folder: Path, top: Path) -> None:
    other = top / "other"
    other.mkdir(mode=0o755)
    (other / "c.txt").write_text("three")
    programs = [asked(place, each) for each in (folder, other, None, folder, folder)]
    found = [value(place, program) for program in programs]
    assert [each and sorted(each) for each in found[:3]] == [["a.txt", "inner/b.txt", "out"], ["c.txt"], None]
    assert found[3] == found[4] == found[0]


def test_one_sandbox_serves_one_folder_for_many_programs(place: Place, folder: Path) -> None:
    value(place, asked(place, folder))
    before = len(place.made)
    for _ in range(3):
        value(place, asked(place, folder))
    assert len(place.made) == before


@pytest.mark.parametrize("name", ODD)
def test_a_folder_with_an_odd_name(place: Place, top: Path, name: str) -> None:
    odd = top / name
    odd.mkdir(mode=0o755)
    (odd / name).write_text("found")
    assert value(place, asked(place, odd)) == {name: "found"}


def test_an_empty_folder(place: Place, top: Path) -> None:
    (top / "empty").mkdir(mode=0o755)
    assert value(place, asked(place, top / "empty")) == {}


def test_sqlite_is_on_board(place: Place) -> None:
    source = "def f():\n    import sqlite3\n    return sqlite3.connect(':memory:').execute('SELECT 4').fetchone()[0]\n"
    assert place.call(source) == 4
