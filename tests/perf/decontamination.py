"""Decontamination beside the plain way, which is a set of joined words for each document, on real source text.

    .venv/bin/python tests/perf/decontamination.py [--megabytes 520] [--copies 1] [--roots DIR...] [--rounds 3]

Needs the rows of humaneval, mbpp, gsm8k and math beside the checkout or in QCEVAL_DATA. The corpus is what source files
the roots hold, the Python environments of this machine by default. Three tables:

kernel      one core, UTF-8 in memory, whole corpus: rule `qwen` beside the plain way of QwenLM/Qwen3-Coder at 0ae30f5,
            finetuning/sft/utils/decont.py, slab by slab in turn, and whether both find the same documents; the other
            rules on a part of it
end to end  the command for each format: one worker, one worker with all of the command held to one core, and two on two
            cores, beside its own reader that looks for nothing
memory      the largest sum of the command's processes (PSS) while it ran
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import report

from qwencoder_eval.decontamination.corpus import shards
from qwencoder_eval.decontamination.entries import Long
from qwencoder_eval.decontamination.index import Index, build
from qwencoder_eval.decontamination.lexing import Lexer
from qwencoder_eval.decontamination.problems import wanted
from qwencoder_eval.decontamination.reading import batches
from qwencoder_eval.decontamination.rules import RULES
from qwencoder_eval.decontamination.scan import Scanner, joined
from qwencoder_eval.registry import discover

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "build" / "perf" / "decontamination"
BENCHMARKS = ("humaneval", "mbpp", "gsm8k", "math")
ENDINGS = (".py", ".pyi", ".js", ".c", ".h", ".hpp", ".cpp", ".md", ".rst", ".txt", ".java", ".ts")
SLAB = 32_000_000  # bytes of documents that both sides are given in turn
PART = 4  # one in so many slabs for the other rules
SHARDS = 16
SAMPLE_S = 0.02


def documents(roots: list[str], most: int) -> list[bytes]:
    """Source files as UTF-8, every text once, up to so many bytes."""
    found: list[bytes] = []
    seen: set[bytes] = set()
    size = 0
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders.sort()
            for name in sorted(names):
                path = os.path.join(folder, name)
                if not name.endswith(ENDINGS) or os.path.islink(path):
                    continue
                with open(path, "rb") as file:
                    text = file.read().decode(errors="replace").encode()
                if b"\0" in text or not text.strip() or text in seen:
                    continue
                seen.add(text)
                found.append(text)
                size += len(text)
                if size >= most:
                    return found
    return found


def slabs(texts: list[bytes]) -> Iterator[list[bytes]]:
    slab: list[bytes] = []
    size = 0
    for text in texts:
        slab.append(text)
        size += len(text)
        if size >= SLAB:
            yield slab
            slab, size = [], 0
    if slab:
        yield slab


class Plain:
    """The plain way: ``grams`` of ten words, and the problems that are shorter, which upstream leaves out."""

    def __init__(self, items: list[Any], n: int) -> None:
        self.n = n
        self.grams: set[str] = set()
        self.short: list[str] = []
        for item in items:
            words = item.text.split()
            self.grams |= {" ".join(words[at : at + n]) for at in range(len(words) - n + 1)}
            if len(words) < n:
                self.short.append(f" {' '.join(words)} ")

    def found(self, text: str) -> bool:
        words = text.split()
        grams = {" ".join(words[at : at + self.n]) for at in range(len(words) - (self.n - 1))}
        return len(grams.intersection(self.grams)) > 0

    def found_short(self, text: str) -> bool:
        whole = f" {' '.join(text.split())} "
        return any(each in whole for each in self.short)


def kernel(texts: list[bytes], items: list[Any]) -> list[dict[str, Any]]:
    rule = RULES["qwen"]
    index = build(items, [(rule, rule.n)])
    plain, scanner, lexer = Plain(items, rule.n), Scanner(index), Lexer()
    table = index.tables["qwen"]
    lexer.matches(table, *joined([b"a b"]))  # compiled, or read from disk
    fast_s = scan_s = plain_s = 0.0
    size = differ = hit = 0
    for slab in slabs(texts):
        decoded = [text.decode() for text in slab]
        data, offsets = joined(slab)
        began = time.perf_counter()
        lexer.matches(table, data, offsets)
        fast_s += time.perf_counter() - began
        began = time.perf_counter()
        fast = set(scanner.scan(data, offsets))
        scan_s += time.perf_counter() - began
        began = time.perf_counter()
        slow = {at for at, text in enumerate(decoded) if plain.found(text)}
        plain_s += time.perf_counter() - began
        slow |= {at for at, text in enumerate(decoded) if plain.found_short(text)}
        differ += len(fast ^ slow)
        hit += len(slow)
        size += sum(map(len, slab))
        print(f"  {size / 1e6:.0f} MB", file=sys.stderr, flush=True)
    rows = [row("qwen", size, fast_s, scan_s, len(index.tables["qwen"].keys))]
    rows[0] |= {"plain MB/s": size / plain_s / 1e6, "ratio": plain_s / fast_s, "found": hit, "differ": differ}
    part = [text for at, slab in enumerate(slabs(texts)) if at % PART == 0 for text in slab]
    for name in ("words", "code", "code-renamed", "substring", "minhash"):
        rows.append(other_rule(name, part, items))
    return rows


def other_rule(name: str, texts: list[bytes], items: list[Any]) -> dict[str, Any]:
    index: Index = build(items, [(RULES[name], RULES[name].n)])
    scanner, lexer, table = Scanner(index), Lexer(), index.tables[name]
    lexer.matches(table, *joined([b"a b"]))
    fast_s = scan_s = 0.0
    found = 0
    for slab in slabs(texts):
        data, offsets = joined(slab)
        began = time.perf_counter()
        lexer.matches(table, data, offsets)
        fast_s += time.perf_counter() - began
        began = time.perf_counter()
        found += len(scanner.scan(data, offsets))
        scan_s += time.perf_counter() - began
    return {**row(name, sum(map(len, texts)), fast_s, scan_s, len(table.keys)), "found": found}


def row(name: str, size: int, fast_s: float, scan_s: float, pieces: int) -> dict[str, Any]:
    return {
        "rule": name, "MB": size / 1e6, "pieces": pieces, "kernel MB/s": size / fast_s / 1e6,
        "confirmed MB/s": size / scan_s / 1e6,
    }  # fmt: skip


def write(texts: list[bytes]) -> dict[str, Path]:
    """The corpus in each format, ``SHARDS`` shards or a folder of files."""
    import pyarrow
    import pyarrow.parquet
    import zstandard

    found = {name: WORK / name for name in ("text", "jsonl", "jsonl.gz", "jsonl.zst", "parquet")}
    for folder in found.values():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    for number in range(SHARDS):
        own = texts[number::SHARDS]
        (found["text"] / f"{number:02}").mkdir()
        for at, text in enumerate(own):
            (found["text"] / f"{number:02}" / f"{at:05}.txt").write_bytes(text)
        lines = b"".join(json.dumps({"text": text.decode()}).encode() + b"\n" for text in own)
        (found["jsonl"] / f"{number:02}.jsonl").write_bytes(lines)
        (found["jsonl.gz"] / f"{number:02}.jsonl.gz").write_bytes(gzip.compress(lines, 6))
        (found["jsonl.zst"] / f"{number:02}.jsonl.zst").write_bytes(zstandard.compress(lines, 3))
        table = pyarrow.table({"text": [text.decode() for text in own]})
        pyarrow.parquet.write_table(table, found["parquet"] / f"{number:02}.parquet", row_group_size=2000)
    return found


def copied(folder: Path, copies: int) -> None:
    """The shards again, under other names; the disk has them once."""
    originals = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for copy in range(1, copies):
        for path in originals:
            target = folder / f"copy-{copy}" / path.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, target)


def read_only(folder: Path) -> float:
    """Seconds of the command's own reader, one core, that looks for nothing."""
    began = time.perf_counter()
    for shard in shards([str(folder)]):
        for batch in batches(shard, (), lambda read: None, False):
            for entry in batch:
                for _ in entry.parts if isinstance(entry, Long) else ():
                    pass
    return time.perf_counter() - began


def command(folder: Path, workers: int, sampled: bool = False, cores: int = 2) -> tuple[float, float]:
    """Seconds on so many cores; and where it is ``sampled``, which takes its time, the most memory of all its processes
    (MiB).
    """
    shutil.rmtree(WORK / "out", ignore_errors=True)
    argv = [
        sys.executable, "-m", "qwencoder_eval", "decontaminate", "--bench", ",".join(BENCHMARKS), "--json", "--corpus",
        str(folder), "--out", str(WORK / "out"), "--workers", str(workers),
    ]  # fmt: skip
    argv = ["taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores])), *argv]
    environment = {**os.environ, "QCEVAL_CACHE": str(WORK / "cache")}
    began, most = time.perf_counter(), 0.0
    with subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment, start_new_session=True
    ) as process:
        while sampled and process.poll() is None:
            most = max(most, memory(process.pid))
            time.sleep(SAMPLE_S)
        process.wait()
        took = time.perf_counter() - began
        if process.returncode not in (0, 3):
            raise RuntimeError(f"exit {process.returncode}: {process.stderr.read() if process.stderr else ''!r}")
    return took, most / 1024


def memory(session: int) -> float:
    """KiB of all processes of a session, what they share counted once."""
    total = 0.0
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            if os.getsid(int(entry.name)) == session:
                with open(f"/proc/{entry.name}/smaps_rollup") as file:
                    total += next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue
    return total


def end_to_end(texts: list[bytes], rounds: int, copies: int, formats: list[str]) -> list[dict[str, Any]]:
    rows = []
    size = copies * sum(map(len, texts)) / 1e6
    for name, folder in write(texts).items():
        if formats and name not in formats:
            continue
        copied(folder, copies)
        _, most = command(folder, 2, sampled=True)  # the index is there then, and the files are in memory
        seen: list[tuple[float, ...]] = []
        for _ in range(rounds):
            took = [command(folder, workers, cores=cores)[0] for workers, cores in ((1, 2), (1, 1), (2, 2))]
            seen.append((read_only(folder), *took))
        reader, worker, one, two = (sorted(column)[rounds // 2] for column in zip(*seen, strict=True))
        rows.append(
            {
                "format": name, "MB of text": size, "reader alone MB/s": size / reader,
                "one worker MB/s": size / worker, "one core MB/s": size / one, "two cores MB/s": size / two,
                "two cores / one worker": worker / two, "two cores / one core": one / two, "most MiB": most,
            }
        )  # fmt: skip
        print(f"  {name}: {reader:.1f} s, {worker:.1f} s, {one:.1f} s, {two:.1f} s", file=sys.stderr, flush=True)
    return rows


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--megabytes", type=int, default=520)
    default = [sys.base_prefix, sys.prefix, str(ROOT / "build" / "vllm"), "/usr/lib", "/usr/include"]
    options.add_argument("--roots", nargs="+", default=default)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=["kernel", "end-to-end"])
    options.add_argument("--copies", type=int, default=1, help="the corpus so many times, end to end")
    options.add_argument("--formats", nargs="+", default=[])
    options.add_argument("--out")
    given = options.parse_args()
    WORK.mkdir(parents=True, exist_ok=True)
    texts = documents(given.roots, given.megabytes * 1_000_000)
    registry = discover()
    items = [item for name in BENCHMARKS for item in wanted(registry.load(name), True).items]
    if given.only != "end-to-end":
        title = f"{len(texts)} documents, {len(items)} problems of {', '.join(BENCHMARKS)}; one core"
        report(title, kernel(texts, items), given.out and f"{given.out}.kernel.json", 1)
    if given.only != "kernel":
        title = f"{len(texts)} documents, the command as a whole"
        rows = end_to_end(texts, given.rounds, given.copies, given.formats)
        report(title, rows, given.out and f"{given.out}.command.json", given.rounds)


if __name__ == "__main__":
    main()
