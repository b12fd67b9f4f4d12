"""Contamination reports for tests of what reads them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def document_of(
    hits: Iterable[str], benchmark: str = "bench", dataset: str = "d" * 64, problems: int = 8, **more: Any
) -> dict[str, Any]:
    """One benchmark, of which these problems are hit by two documents each."""
    found = {problem: {"documents": 2, "rules": {"qwen": {"documents": 2, "covered": 0.42}}} for problem in hits}
    return {
        "contamination": 1,
        "created": "2026-11-29T02:40:00Z",
        "qceval": "0.1",
        "rules": {"qwen": {"version": 1, "n": 10}},
        "corpus": {"paths": ["corpus"], "shards": 12, "documents": 1000, "bytes": 123456, "hit": 2, "unchecked": 0},
        "benchmarks": [
            {
                "benchmark": benchmark, "datasets": {"v1": dataset}, "fields": ["prompt"], "problems": problems,
                "hit": len(found), "short": {"qwen": 0}, "hits": found, "examples": [],
            }
        ],
        "faults": [],
        **more,
    }  # fmt: skip


def made_report(file: Path, hits: Iterable[str], **options: Any) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document_of(hits, **options)))
    return file
