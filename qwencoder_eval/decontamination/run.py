"""A whole search: index, shards, report. The same command continues where it stopped, shard by shard."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import __version__
from ..config import cache_folder
from ..datasets.rows import places
from ..errors import InfrastructureError, RunError, UsageError
from ..registry import Registry, discover
from . import outputs, report
from .corpus import Corpus, Job, Shard
from .index import build, digest, load
from .local import apart
from .problems import Wanted, wanted
from .rules import RULES, Rule

FORMAT = 1
Engine = Callable[[Iterable[Shard], Job], Iterator[dict[str, Any]]]


@dataclass(frozen=True)
class Search:
    """What is searched for, by which rules. ``n`` 0: each rule's own."""

    benchmarks: tuple[str, ...]
    rules: tuple[str, ...] = ("qwen",)
    n: int = 0
    plugins: tuple[Path, ...] = ()
    offline: bool = False

    def chosen(self) -> list[tuple[Rule, int]]:
        """Raises UsageError for an unknown rule, and where n does not fit one."""
        unknown = [name for name in self.rules if name not in RULES]
        if unknown:
            raise UsageError(f"--rule {unknown[0]}: unknown; it is one of {', '.join(RULES)}")
        return [(RULES[name], self.n or RULES[name].n) for name in dict.fromkeys(self.rules)]


def index_of(search: Search, registry: Registry) -> tuple[Path, list[dict[str, Any]], list[str]]:
    """The folder of the index, built if it is not in the cache; what each benchmark is; what is missing, in words.

    Raises QcevalError of every kind.
    """
    rests_on = _rests_on(search, registry)
    known = cache_folder() / "decontamination" / f"{rests_on}.json"
    try:
        folder, described, notes = json.loads(known.read_text())
    except (OSError, ValueError):
        folder = ""
    if not (folder and (Path(folder) / "index.json").is_file()):
        folder, described, notes = apart(made, search)
        _write(known, json.dumps([folder, described, notes]))
    return Path(folder), described, notes


def _rests_on(search: Search, registry: Registry) -> str:
    """What tells whether it has to be made again, without reading the rows: they are what they were in that state."""
    found = [repr([FORMAT, search.chosen()])]
    for name in search.benchmarks:
        benchmark = registry.load(name)
        found += [name, hashlib.sha256(benchmark.file.read_bytes()).hexdigest(), repr(benchmark.decontaminate)]
        for rows, _ in benchmark.datasets():
            for path in places(rows, benchmark.file.parent):
                status = path.stat()
                found.append(repr([str(path), status.st_size, status.st_mtime_ns]))
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:32]


def made(search: Search) -> tuple[str, list[dict[str, Any]], list[str]]:
    """In a process of its own: rows and pieces of all benchmarks take memory that a search does not need."""
    registry = discover(search.plugins)
    found: list[Wanted] = [wanted(registry.load(name), search.offline) for name in search.benchmarks]
    items = [item for each in found for item in each.items]
    rules = search.chosen()
    folder = cache_folder() / "decontamination" / digest(items, rules)[:32]
    if not (folder / "index.json").is_file():
        build(items, rules).save(folder)
    notes = [
        f"{each.benchmark}: rows of {', '.join(each.missing)} are not here, and not searched for"
        for each in found
        if each.missing
    ]
    return str(folder), [each.described() for each in found], notes


def decontaminate(
    search: Search,
    registry: Registry,
    corpus: Corpus,
    out: Path,
    engine: Engine,
    fields: Sequence[str] = (),
    write_clean: bool = False,
    say: Callable[[str], None] = lambda text: None,
    planned: Callable[[int, int], None] = lambda total, done: None,
) -> dict[str, Any]:
    """Search a corpus, write everything below ``out``, and return the report (see ``report``).

    ``planned``: told the stored bytes of all shards, and of those that are done. Raises QcevalError of every kind.
    """
    found = corpus.shards
    folder, described, notes = index_of(search, registry)
    for note in notes:
        say(note)
    key = {
        "format": FORMAT, "index": folder.name, "fields": list(fields), "read_as": corpus.format,
        "write_clean": write_clean,
    }  # fmt: skip
    with _locked(out, key) as settings:
        settings |= {
            "qceval": __version__, "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "rules": {rule.name: {"version": rule.version, "n": n} for rule, n in search.chosen()},
            "benchmarks": described, "paths": list(corpus.paths),
        }  # fmt: skip
        _write(out / "settings.json", json.dumps(settings, indent=1))
        done = {shard.name for shard in found if _is_done(out, shard)}
        planned(sum(shard.size for shard in found), sum(shard.size for shard in found if shard.name in done))
        if done:
            say(f"{len(done)} of {len(found)} shards were done before")
        job = Job(str(folder), str(out), tuple(fields), write_clean)
        lost: dict[str, dict[str, Any]] = {}  # of which nothing, or what another run left, is in the folder
        largest = sorted((shard for shard in found if shard.name not in done), key=lambda shard: -shard.size)
        for result in engine(largest, job):  # which would keep the others waiting at the end
            if not result["written"]:
                lost[result["shard"]] = result
        if lost:
            outputs.clear(out)  # what processes left that were killed
        _forget_others(out, {shard.name for shard in found}, say)
        index = load(folder)
        results = (lost.get(shard.name) or _result(out, shard.name) for shard in found)
        document = report.assemble(settings, index, (each for each in results if each))
        _write(out / "report.json", json.dumps(document, indent=1))
        _write(out / "report.md", report.markdown(document))
        _write(out / "report.html", report.html(document))
    return document


@contextmanager
def _locked(out: Path, key: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The output folder for this run alone. Raises RunError where another writes there, or where it has another key."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock = os.open(out / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InfrastructureError(f"{out}: cannot be written ({error.strerror}); choose another --out") from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise RunError(f"{out}: another qceval is writing here; wait for it or choose another --out") from None
        file = out / "settings.json"
        if file.exists():
            try:
                known = json.loads(file.read_text())
                differ = [name for name, value in key.items() if known[name] != value]
            except (ValueError, KeyError, TypeError):
                raise RunError(f"{file}: damaged; choose another --out") from None
            if differ:
                raise RunError(f"{out}: made with another {', '.join(differ)}; choose another --out")
        outputs.clear(out)
        yield dict(key)
    finally:
        os.close(lock)


def _path(out: Path, name: str) -> Path:
    return out / "shards" / f"{name}.json"


def _result(out: Path, name: str) -> dict[str, Any] | None:
    try:
        return dict(json.loads(_path(out, name).read_text()))
    except (OSError, ValueError):
        return None


def _is_done(out: Path, shard: Shard) -> bool:
    """Whether it was read and written whole, and is still what it was."""
    result = _result(out, shard.name)
    if result is None or not result.get("whole"):
        return False
    try:
        return bool(result["state"] == json.loads(json.dumps(shard.state())))
    except Exception:  # gone, or out of reach: that is said where it is searched
        return False


def _forget_others(out: Path, names: set[str], say: Callable[[str], None]) -> None:
    """Results of shards that the corpus no longer has do not count; their outputs go."""
    for path in sorted((out / "shards").rglob("*.json")):
        name = path.relative_to(out / "shards").as_posix().removesuffix(".json")
        if name not in names:
            say(f"{name}: no longer in the corpus; what it left in {out} is removed")
            outputs.remove(out, name)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.part")
    try:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        partial.replace(path)
    except OSError as error:
        raise InfrastructureError(f"{path}: cannot be written ({error.strerror}); make room and run again") from None
