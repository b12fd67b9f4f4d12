"""Control groups, against folders that look like both versions of the kernel's."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from qwencoder_eval.sandboxes import cgroups

DEAD = 2**22 + 1  # no process has this number


@pytest.fixture
def version_1(tmp_path: Path) -> Path:
    for controller in ("memory", "pids", "cpuacct", "cpu"):
        (tmp_path / controller).mkdir()
    return tmp_path


@pytest.fixture
def version_2(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpu memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("memory pids\n")
    return tmp_path


def in_group(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let this process be in these groups."""
    read = Path.read_text

    def read_text(path: Path, *args: str, **kwargs: str) -> str:
        return text if str(path) == "/proc/self/cgroup" else read(path, *args, **kwargs)

    monkeypatch.setattr(Path, "read_text", read_text)


def test_version_1(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_group(monkeypatch, "5:memory:/\n4:pids:/\n3:cpu,cpuacct:/\n0::/\n")
    group = cgroups.create(1 << 28, 77, version_1)
    assert group
    memory, pids, cpuacct = group.folders
    assert [folder.parent.name for folder in group.folders] == ["memory", "pids", "cpuacct"]
    assert len({folder.name for folder in group.folders}) == 1
    assert str(os.getpid()) in memory.name
    assert (memory / "memory.limit_in_bytes").read_text() == str(1 << 28)
    assert (memory / "memory.memsw.limit_in_bytes").read_text() == str(1 << 28)
    assert (pids / "pids.max").read_text() == "77"
    assert group.join == [f"{folder}/cgroup.procs" for folder in (memory, pids, cpuacct)]
    assert group.binds == {
        str(memory): "/sys/fs/cgroup/memory",
        str(pids): "/sys/fs/cgroup/pids",
        str(cpuacct): "/sys/fs/cgroup/cpuacct",
    }


def test_version_2(version_2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_group(monkeypatch, "0::/user.slice/mine\n")
    group = cgroups.create(1 << 28, 77, version_2)
    assert group
    (folder,) = group.folders
    assert folder.parent == version_2
    assert (folder / "memory.max").read_text() == str(1 << 28)
    assert (folder / "memory.swap.max").read_text() == "0"
    assert (folder / "pids.max").read_text() == "77"
    assert group.join == [f"{folder}/cgroup.procs"]
    assert group.binds == {str(folder): "/sys/fs/cgroup"}


def test_groups_differ(version_2: Path) -> None:
    first, second = (cgroups.create(1, 1, version_2) for _ in range(2))
    assert first
    assert second
    assert first.folders != second.folders


@pytest.mark.parametrize("group", ["/user.slice/mine", "/deep/er"])
def test_a_group_is_made_below_our_own_where_that_is_allowed(
    version_2: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    in_group(monkeypatch, f"0::{group}\n")
    own = version_2 / group.lstrip("/")
    own.mkdir(parents=True)
    (own / "cgroup.subtree_control").write_text("pids memory cpu\n")
    made = cgroups.create(1, 1, version_2)
    assert made
    assert made.folders[0].parent == own

    (own / "cgroup.subtree_control").write_text("\n")  # nothing is handed out here: the root's turn
    made = cgroups.create(1, 1, version_2)
    assert made
    assert made.folders[0].parent == version_2


def test_version_1_below_our_own_group(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_group(monkeypatch, "5:memory:/job/7\n4:pids:/gone\n3:cpu,cpuacct:/\n")
    (version_1 / "memory/job/7").mkdir(parents=True)
    group = cgroups.create(1, 1, version_1)
    assert group
    assert [folder.parent for folder in group.folders] == [
        version_1 / "memory/job/7",
        version_1 / "pids",
        version_1 / "cpuacct",
    ]


def test_removal(version_2: Path) -> None:
    group = cgroups.create(1, 1, version_2)
    assert group
    for file in group.folders[0].iterdir():
        file.unlink()  # in a real group the kernel does
    group.remove()
    group.remove()
    assert not group.folders[0].exists()


@pytest.mark.parametrize("version", ["version_1", "version_2"])
def test_groups_of_a_dead_harness_are_removed(version: str, request: pytest.FixtureRequest) -> None:
    root: Path = request.getfixturevalue(version)
    parents = [root / name for name in ("memory", "pids", "cpuacct")] if version == "version_1" else [root]
    stale = [parent / f"qceval-{DEAD}-{number}" for parent in parents for number in range(3)]
    kept = [parent / name for parent in parents for name in (f"qceval-{os.getpid()}-999", "qceval-x-1", "other-1-1")]
    for folder in stale + kept:
        folder.mkdir()
    assert cgroups.create(1, 1, root)
    assert not any(folder.exists() for folder in stale)
    assert all(folder.exists() for folder in kept)


def test_a_stale_group_in_use_is_left_alone(version_2: Path) -> None:
    busy = version_2 / f"qceval-{DEAD}-0"
    (busy / "child").mkdir(parents=True)  # what cannot be removed
    assert cgroups.create(1, 1, version_2)
    assert busy.exists()


def test_none_without_control_groups(tmp_path: Path) -> None:
    assert cgroups.create(1, 1, tmp_path) is None
    assert cgroups.create(1, 1, tmp_path / "missing") is None


@pytest.mark.parametrize("missing", ["memory", "pids", "cpuacct"])
def test_none_where_a_controller_is_missing(version_1: Path, missing: str) -> None:
    (version_1 / missing).rmdir()
    assert cgroups.create(1, 1, version_1) is None
    assert not list(version_1.glob("*/qceval-*")), "what was made so far must go"


@pytest.mark.parametrize("handed_out", ["", "cpu", "memory", "pids cpu"])
def test_none_where_the_controllers_are_not_handed_out(version_2: Path, handed_out: str) -> None:
    (version_2 / "cgroup.subtree_control").write_text(handed_out)
    assert cgroups.create(1, 1, version_2) is None
    assert not list(version_2.glob("qceval-*"))


@pytest.mark.parametrize("version", ["version_1", "version_2"])
def test_none_where_limits_cannot_be_written(
    version: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    root: Path = request.getfixturevalue(version)
    write = Path.write_text

    def write_text(path: Path, *args: str) -> int:
        if path.name == "pids.max":
            for file in path.parent.parent.parent.rglob("qceval-*/m*"):
                file.unlink()  # in a real group the kernel removes its files with the folder
            raise PermissionError(13, "no")
        return write(path, *args)

    monkeypatch.setattr(Path, "write_text", write_text)
    assert cgroups.create(1, 1, root) is None
    assert not list(root.rglob("qceval-*"))


def test_none_where_folders_cannot_be_made(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(path: Path, *args: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "mkdir", mkdir)
    assert cgroups.create(1, 1, version_1) is None


def test_swap_need_not_be_accounted(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def write_text(path: Path, *args: str) -> int:
        if "memsw" in path.name:
            raise FileNotFoundError(2, "no such file")
        return write(path, *args)

    monkeypatch.setattr(Path, "write_text", write_text)
    assert cgroups.create(1, 1, version_1)


def test_here() -> None:
    """On this machine: none, or one that can be joined and leaves nothing."""
    group = cgroups.create(1 << 28, 10)
    if group is None:
        pytest.skip("this machine or user has no control groups to give")
    assert all(Path(path).exists() for path in group.join)
    assert all(Path(folder).is_dir() for folder in group.binds)
    group.remove()
    assert not any(folder.exists() for folder in group.folders)
    assert shutil.which("true")
