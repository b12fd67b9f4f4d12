"""Where the runs that a night is held against are kept: a folder, or a branch of a git repository.

    baseline = "baselines"            # a folder, relative to the night's file
    baseline = "git:qceval-baseline"  # a branch of the repository that the night's file lies in

Either holds a folder of runs for each model's name. A branch is written without touching the work tree, and is not
pushed: that is for whoever runs the night.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from ..errors import InfrastructureError, InputError
from ..runs.directory import safe_name
from ..runs.reading import Finished, all_finished, finished

KEPT = ("run.json", "scores.json", "completions.jsonl", "verdicts.jsonl")
BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


class FolderStore:
    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, str(folder)

    def fetch(self, model: str, into: Path) -> list[Finished]:
        """The model's runs, none where there are none. Raises RunError where they cannot be read."""
        own = self.folder / safe_name(model)
        return all_finished([own])[0] if own.is_dir() and any(own.rglob("run.json")) else []

    def accept(self, model: str, runs: Sequence[Path]) -> None:
        """Make these the model's runs, instead of those before. Raises InfrastructureError."""
        own = self.folder / safe_name(model)
        fresh = own.with_name(own.name + ".part")
        try:
            shutil.rmtree(fresh, ignore_errors=True)
            copied(runs, fresh)
            if own.exists():
                shutil.rmtree(own)
            fresh.rename(own)
        except OSError as error:
            raise InfrastructureError(
                f"{own}: cannot be written ({error.strerror}); make room and accept again"
            ) from None


class GitStore:
    def __init__(self, repository: Path, branch: str) -> None:
        if not BRANCH.fullmatch(branch):
            raise InputError(f"baseline: git:{branch}: no name of a branch; give one such as git:qceval-baseline")
        self.repository, self.branch, self.name = repository, branch, f"git:{branch}"
        self.ref = f"refs/heads/{branch}"

    def fetch(self, model: str, into: Path) -> list[Finished]:
        """The model's runs, laid out below ``into``; of the branch, or else of origin's branch of this name."""
        for ref in (self.ref, f"refs/remotes/origin/{self.branch}"):
            if self._git("rev-parse", "--verify", "--quiet", ref, check=False).returncode:
                continue
            own = safe_name(model)
            if not self._git("ls-tree", "-d", ref, "--", own).stdout:
                return []
            data = self._git("archive", "--format=tar", ref, "--", own).stdout
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                archive.extractall(into, filter="data")
            return FolderStore(into).fetch(model, into)
        return []

    def accept(self, model: str, runs: Sequence[Path]) -> None:
        """A commit on the branch in which these are the model's runs. Raises InfrastructureError."""
        with tempfile.TemporaryDirectory(prefix="qceval-baseline-") as scratch:
            tree, own = Path(scratch) / "tree", safe_name(model)
            copied(runs, tree / own)
            index = {"GIT_INDEX_FILE": f"{scratch}/index"}
            old = self._git("rev-parse", "--verify", "--quiet", self.ref, check=False).stdout.decode().strip()
            if old:
                self._git("read-tree", old, env=index)
                self._git("rm", "-r", "-q", "--cached", "--ignore-unmatch", "--", own, env=index)
            self._git(f"--work-tree={tree}", "add", "--force", "--all", "--", own, env=index, cwd=tree)
            made = self._git("write-tree", env=index).stdout.decode().strip()
            parent = ["-p", old] if old else []
            message = f"Baseline of {own}: {len(runs)} runs"
            commit = self._git("commit-tree", made, *parent, "-m", message).stdout.decode().strip()
            self._git("update-ref", self.ref, commit, *([old] if old else []))

    def _git(
        self, *arguments: str, check: bool = True, env: dict[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        folder = self._git_folder() if cwd else None
        command = ["git", *([f"--git-dir={folder}"] if folder else []), *arguments]
        try:
            ran = subprocess.run(
                command, cwd=cwd or self.repository, env={**os.environ, **(env or {})}, capture_output=True, check=False
            )
        except OSError as error:
            raise InfrastructureError(f"{self.name}: git cannot be run ({error.strerror}); install git") from None
        if check and ran.returncode:
            said = ran.stderr.decode(errors="replace").strip().partition("\n")[0]
            raise InfrastructureError(f"{self.name}: git {arguments[0]}: {said}; correct it and start again")
        return ran

    def _git_folder(self) -> str:
        return self._git("rev-parse", "--absolute-git-dir").stdout.decode().strip()


Store = FolderStore | GitStore


def store(named: str, beside: Path) -> Store:
    """Of the text in a night's file. Raises InputError."""
    if named.startswith("git:"):
        return GitStore(beside, named.removeprefix("git:"))
    return FolderStore(beside / Path(named).expanduser())


def copied(runs: Sequence[Path], into: Path) -> None:
    """Copies of runs, a folder each, without what only their writer needs."""
    for number, path in enumerate(runs):
        run = finished(path)
        own = into / safe_name(run.benchmark) / f"{number}-{path.name}"
        own.mkdir(parents=True)
        for name in KEPT:
            shutil.copyfile(path / name, own / name)
