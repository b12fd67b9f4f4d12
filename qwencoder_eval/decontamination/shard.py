"""One shard from beginning to end: a function of its input, the same on one machine, on a cluster and in a pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import entries
from .corpus import Job, Shard
from .entries import BINARY, BLANK, INVALID, Entry, Long, Row, Unread, Utf8, characters
from .index import Index, load, pack
from .outputs import AgainError, Outputs
from .reading import batches, broken
from .scan import Hit, Scanner, joined

KEPT_FAULTS, KEPT_EXAMPLES, KEPT_HITS = 100, 3, 20
SHOWN = 300  # characters of a span
OVERLAP = 256 << 10  # bytes that two parts of a long row have in common: no match is longer


@dataclass
class Tally:
    """What a shard's result is made of."""

    counts: Counter[str] = field(default_factory=Counter)
    items: Counter[int] = field(default_factory=Counter)
    by_rule: dict[str, Counter[int]] = field(default_factory=dict)
    examples: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    faults: list[dict[str, str]] = field(default_factory=list)
    lost: bool = False  # whether something could not be read that may be there the next time

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
    begins with it anew. What cannot be written leaves nothing behind: it is not ``written``.
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
                    _long(batch[0], scanner, tally, outputs)
                else:
                    _batch(batch, scanner, tally, outputs)
        except WriteError:
            raise
        except Exception as error:
            if (why := broken(error)) is None:
                raise
            whole = False
            tally.fault(shard.name, why)
        result = _result(shard, scanner, tally, whole and not tally.lost, state)
        if state is not None:
            with _writing():
                outputs.commit(result)
        return {**result, "written": state is not None}
    except (WriteError, AgainError) as error:
        failed = Tally()
        failed.fault(shard.name, str(error))
        return {**_result(shard, Scanner(index), failed, False, state), "written": False}
    finally:
        outputs.abandon()


class WriteError(Exception):
    """The output folder did not take something."""


class _writing:  # noqa: N801
    """What fails within is the output's fault, not the shard's."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, OSError):
            raise WriteError(f"cannot be written ({error.strerror or error}); make room and run again") from None


@lru_cache(maxsize=2)
def known_index(folder: str) -> Index:
    """Mapped once a process."""
    return load(Path(folder))


def _batch(batch: list[Entry], scanner: Scanner, tally: Tally, outputs: Outputs) -> None:
    rows = [entry for entry in batch if isinstance(entry, Row)]
    found = scanner.scan_texts([row.text for row in rows])
    tally.counts["documents"] += len(rows)
    tally.counts["bytes"] += sum(len(row.text) for row in rows)
    number = 0
    for entry in batch:
        if isinstance(entry, Unread):
            _unread(entry, tally, outputs)
            continue
        assert isinstance(entry, Row)
        hits = found.get(number)
        number += 1
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
    if entry.why == BLANK:
        with _writing():
            outputs.keep(entry.raw)
        return
    if entry.why == BINARY:
        tally.counts["binary"] += 1
        return
    tally.lost = tally.lost or entry.lost
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
        span = characters(self.text[hit.start : hit.end])
        start = self.before + len(characters(self.text[: hit.start]))
        return {
            "benchmark": benchmark, "problem": problem, "rule": hit.rule, "pieces": hit.pieces, "start": start,
            "end": start + len(span), "text": span[:SHOWN].encode(errors="replace").decode(),
        }  # fmt: skip


def _long(entry: Long, scanner: Scanner, tally: Tally, outputs: Outputs) -> None:
    """A row part by part, each with the end of the one before. Of a hit in several parts the one with most pieces."""
    hits: dict[tuple[str, int], tuple[Hit, dict[str, Any]]] = {}
    drawn = _Drawn(entry, outputs)
    with drawn:
        for before, text in overlapping(iter(drawn)):
            for hit in scanner.scan(*joined([text])).get(0, ()):
                if (known := hits.get((hit.rule, hit.item))) is None or hit.pieces > known[0].pieces:
                    hits[hit.rule, hit.item] = hit, Shown(text, scanner.index, before)(hit)
        tally.counts["documents"] += 1
        tally.counts["bytes"] += drawn.bytes
        if fault := entry.fault or ("" if drawn.utf8.valid else INVALID):
            tally.fault(entry.place, fault)
        if drawn.bytes > entries.CAP and not isinstance(entry.raw, bytearray):  # with replacements it may be longer
            tally.counts["long"] += 1
            tally.fault(entry.place, f"over {entries.CAP >> 20} MiB, looked at as raw text")
        with _writing():
            if not hits:
                outputs.keep(drawn.raw)
                return
            found = sorted((hit for hit, _ in hits.values()), key=lambda hit: (-hit.pieces, hit.item, hit.rule))
            shown = dict(hits.values())
            tally.hit(entry.place, found, shown.__getitem__)
            row = None if isinstance(drawn.raw, tuple) else drawn.raw  # Arrow's would be in memory several times
            outputs.drop(_record(entry.place, found, shown.__getitem__), row)


class _Drawn:
    """The parts of a long row, which are told what they were; a line that is only there once is kept in a file."""

    def __init__(self, entry: Long, outputs: Outputs) -> None:
        self.entry, self.bytes, self.utf8 = entry, 0, Utf8("surrogatepass")
        with _writing():
            self.spool = outputs.spool() if entry.raw is None else None

    @property
    def raw(self) -> Any:
        return self.entry.raw if self.spool is None else Path(self.spool.name)

    def __iter__(self) -> Iterator[bytes]:
        for part in self.entry.parts:
            self.bytes += len(part)
            if self.spool is not None:
                with _writing():
                    self.spool.write(part)
            self.utf8.add(part)
            yield part
        self.utf8.add(b"", final=True)
        if self.spool is not None:
            with _writing():
                self.spool.flush()

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None:
        if self.spool is not None:
            self.spool.close()


def overlapping(parts: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    """Parts that end between words, each with the end of the one before; and how many characters are before it.

    Of a word that is longer than what is kept the beginning goes: no problem has one like that.
    """
    carried, before = b"", 0
    for part in parts:
        data = carried + part
        cut = _behind_blank(data, len(data)) or len(data)
        yield before, _valid(data[:cut])
        first = _behind_blank(data, cut - OVERLAP) if cut > OVERLAP else 0
        if len(data) - first > 2 * OVERLAP:
            first = len(data) - OVERLAP
        before += len(characters(data[:first]))
        carried = data[first:]
    yield before, _valid(carried)


def _behind_blank(data: bytes, end: int) -> int:
    """Where the text behind the last blank before ``end`` begins; 0 where there is none."""
    return max(data.rfind(b" ", 0, end), data.rfind(b"\n", 0, end)) + 1


def _valid(data: bytes) -> bytes:
    return data if data.isascii() else characters(data).encode("utf-8", "surrogatepass")


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
