"""One shard from beginning to end: a function of its input, the same on one machine, on a cluster and in a pipeline."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from .corpus import Job, Shard
from .index import Index, load, pack
from .outputs import Outputs
from .reading import BINARY, Entry, Long, Row, Unread, batches, broken
from .scan import Hit, Scanner, joined

KEPT_FAULTS, KEPT_EXAMPLES, KEPT_HITS = 100, 3, 20
SHOWN = 300  # characters of a span
OVERLAP = 1 << 20  # bytes that two parts of a very long row have in common: no match is longer


@dataclass
class Tally:
    """What a shard's result is made of."""

    counts: Counter[str] = field(default_factory=Counter)
    items: Counter[int] = field(default_factory=Counter)
    by_rule: dict[str, Counter[int]] = field(default_factory=dict)
    examples: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    faults: list[dict[str, str]] = field(default_factory=list)

    def fault(self, place: str, said: str) -> None:
        self.counts["faults"] += 1
        if len(self.faults) < KEPT_FAULTS:
            self.faults.append({"place": place, "fault": said})

    def hit(self, place: str, hits: list[Hit], shown: Callable[[Hit], dict[str, Any]]) -> None:
        self.counts["hit"] += 1
        self.items.update({hit.item for hit in hits})
        for hit in hits:
            self.by_rule.setdefault(hit.rule, Counter())[hit.item] += 1
            if len(kept := self.examples.setdefault(hit.item, [])) < KEPT_EXAMPLES:
                kept.append({"place": place, **shown(hit)})


def scan_shard(shard: Shard, job: Job, tick: Callable[[int], None] = lambda read: None) -> dict[str, Any]:
    """Search a shard, write what is left of it, and return its result.

    ``whole`` in the result: everything was read and written; where it is not, ``faults`` say why, and the next run
    begins with it anew. What cannot be written leaves nothing behind.
    """
    index = known_index(job.index)
    scanner, tally = Scanner(index), Tally()
    outputs = Outputs(Path(job.out), shard, job.write_clean)
    whole, state = True, None
    try:
        try:
            state = shard.state()
            for batch in batches(shard, job.fields, tick, job.write_clean):
                if isinstance(batch[0], Long):
                    _long(batch[0], shard, scanner, tally, outputs, job)
                else:
                    _batch(batch, scanner, tally, outputs)
        except WriteError:
            raise
        except Exception as error:
            if (why := broken(error)) is None:
                raise
            whole = False
            tally.fault(shard.name, why)
        result = _result(shard, scanner, tally, whole, state)
        if state is not None:
            with _writing():
                outputs.commit(result)
        return result
    except WriteError as error:
        failed = Tally()
        failed.fault(shard.name, f"cannot be written ({error}); make room and run again")
        return _result(shard, Scanner(index), failed, False, state)
    finally:
        outputs.abandon()


class WriteError(Exception):
    """The output folder did not take something."""


class _writing:  # noqa: N801
    """What fails within is the output's fault, not the shard's."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise WriteError(error.strerror or str(error)) from None


@lru_cache(maxsize=2)
def known_index(folder: str) -> Index:
    """Mapped once a process."""
    return load(Path(folder))


def _batch(batch: list[Entry], scanner: Scanner, tally: Tally, outputs: Outputs) -> None:
    rows = [entry for entry in batch if isinstance(entry, Row)]
    found = scanner.scan_texts([row.text for row in rows])
    number = 0
    for entry in batch:
        if isinstance(entry, Unread):
            _unread(entry, tally, outputs)
            continue
        assert isinstance(entry, Row)
        hits = found.get(number)
        number += 1
        tally.counts["documents"] += 1
        tally.counts["bytes"] += len(entry.text)
        if entry.fault:
            tally.fault(entry.place, entry.fault)
        with _writing():
            if hits is None:
                outputs.keep(entry.raw)
                continue
            shown = Shown(entry.text, scanner.index)
            tally.hit(entry.place, hits, shown)
            outputs.drop(_record(entry.place, hits, shown), entry.raw)


def _unread(entry: Unread, tally: Tally, outputs: Outputs) -> None:
    if entry.why == BINARY:
        tally.counts["binary"] += 1
        return
    tally.counts["unchecked"] += 1
    tally.fault(entry.place, entry.why)
    with _writing():
        outputs.leave({"place": entry.place, "fault": entry.why}, entry.raw)


def _record(place: str, hits: list[Hit], shown: Callable[[Hit], dict[str, Any]]) -> dict[str, Any]:
    more = {"more": len(hits) - KEPT_HITS} if len(hits) > KEPT_HITS else {}
    return {"place": place, "hits": [shown(hit) for hit in hits[:KEPT_HITS]], **more}


class Shown:
    """A hit in a text, for people: ``start`` and ``end`` are its characters there."""

    def __init__(self, text: bytes, index: Index, before: int = 0) -> None:
        self.text, self.index, self.before = text, index, before

    def __call__(self, hit: Hit) -> dict[str, Any]:
        benchmark, problem = self.index.problems[hit.item]
        span = self.text[hit.start : hit.end].decode("utf-8", "replace")
        start = self.before + len(self.text[: hit.start].decode("utf-8", "replace"))
        return {
            "benchmark": benchmark, "problem": problem, "rule": hit.rule, "pieces": hit.pieces, "start": start,
            "end": start + len(span), "text": span[:SHOWN],
        }  # fmt: skip


def _long(entry: Long, shard: Shard, scanner: Scanner, tally: Tally, outputs: Outputs, job: Job) -> None:
    """A row over the cap, part by part: raw bytes, each part with the end of the one before."""
    tally.counts["documents"] += 1
    tally.counts["long"] += 1
    tally.fault(entry.place, "over 64 MiB, looked at as raw text")
    hits: dict[tuple[str, int], Hit] = {}
    records: list[dict[str, Any]] = []
    lines = shard.format in ("jsonl", "lines")
    with _writing():
        spool = tempfile.NamedTemporaryFile(dir=job.out, suffix=".qceval-long.part")  # noqa: SIM115  closed below
    with spool:
        for characters, text in overlapping(_spooled(entry.parts, spool if lines and job.write_clean else None, tally)):
            for hit in scanner.scan(*joined([text])).get(0, ()):
                if (hit.rule, hit.item) not in hits:
                    hits[hit.rule, hit.item] = hit
                    records.append(Shown(text, scanner.index, characters)(hit))
        with _writing():
            spool.flush()
            raw: Any = Path(spool.name) if lines else entry.raw
            if not hits:
                outputs.keep(raw)
                return
            found = dict(zip(hits.values(), records, strict=True))
            tally.hit(entry.place, list(hits.values()), lambda hit: found[hit])
            outputs.drop({"place": entry.place, "hits": records[:KEPT_HITS], "long": True}, None)


def _spooled(parts: Iterator[bytes], spool: Any, tally: Tally) -> Iterator[bytes]:
    for part in parts:
        tally.counts["bytes"] += len(part)
        if spool is not None:
            with _writing():
                spool.write(part)
        yield part


def overlapping(parts: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Parts that end between words, each with the end of the one before; and how many characters are before it.

    Of a word that is longer than what is kept the beginning goes: no problem has one like that.
    """
    carried, characters = b"", 0
    for part in parts:
        data = carried + part
        cut = _behind_blank(data, len(data)) or len(data)
        yield characters, _valid(data[:cut])
        first = _behind_blank(data, cut - OVERLAP) if cut > OVERLAP else 0
        if len(data) - first > 2 * OVERLAP:
            first = len(data) - OVERLAP
        characters += len(data[:first].decode(errors="replace"))
        carried = data[first:]
    yield characters, _valid(carried)


def _behind_blank(data: bytes, end: int) -> int:
    """Where the text behind the last blank before ``end`` begins; 0 where there is none."""
    return max(data.rfind(b" ", 0, end), data.rfind(b"\n", 0, end)) + 1


def _valid(data: bytes) -> bytes:
    return data if data.isascii() else data.decode(errors="replace").encode()


def _result(shard: Shard, scanner: Scanner, tally: Tally, whole: bool, state: Any) -> dict[str, Any]:
    counts = tally.counts
    names = ("documents", "bytes", "hit", "unchecked", "binary", "long")
    return {
        "shard": shard.name,
        "state": state,
        "whole": whole,
        **{name: counts[name] for name in names},
        "faults": tally.faults,
        "fault_count": counts["faults"],
        "items": {str(item): count for item, count in sorted(tally.items.items())},
        "rules": {
            name: {
                "items": {str(item): count for item, count in sorted(tally.by_rule.get(name, Counter()).items())},
                "seen": pack(seen),
            }
            for name, seen in scanner.seen.items()
        },
        "examples": {str(item): kept for item, kept in sorted(tally.examples.items())},
    }
