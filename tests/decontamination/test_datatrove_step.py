"""The step in a real datatrove pipeline: it lets through what `qceval decontaminate` keeps, and nothing else."""

from __future__ import annotations

import gzip
import json
import os
import pickle
import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("numba", reason="numba is not installed")
pytest.importorskip("orjson", reason="orjson is not installed, which datatrove's readers and writers need")
pytest.importorskip("datatrove.pipeline.filters", reason="datatrove is not installed with what its filters need")

from datatrove.data import Document

from qwencoder_eval.decontamination.datatrove_step import BenchmarkFilter
from qwencoder_eval.errors import UsageError

PLUGIN = """
from qwencoder_eval.benchmark import DataOnly
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.types import Problem


class {kind}(DataOnly):
    name = "{name}"
    version = "1"
    reference = "original"
    rows = Rows(inline={rows!r})
    decontaminate = ("text",)

    def problem(self, row):
        return Problem(row["id"], row, {{}})
"""

PIPELINE = """
import sys
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from qwencoder_eval.decontamination.datatrove_step import BenchmarkFilter

if __name__ == "__main__":
    folder = sys.argv[1]
    step = BenchmarkFilter(
        ["one", "other"], rules=["qwen", "words"], plugins=[f"{folder}/plugins"],
        exclusion_writer=JsonlWriter(f"{folder}/excluded"),
    )
    pipeline = [JsonlReader(f"{folder}/corpus"), step, JsonlWriter(f"{folder}/kept")]
    LocalPipelineExecutor(pipeline, tasks=2, workers=2, logging_dir=f"{folder}/logs").run()
"""
RNG = random.Random(3)
WORDS = [f"word{at}" for at in range(500)]
PROBLEMS = {
    name: [{"id": f"{name}/{at}", "text": " ".join(RNG.choices(WORDS, k=25))} for at in range(8)]
    for name in ("one", "other")
}


@dataclass
class Made:
    folder: Path
    environment: dict[str, str]

    def ran(self, *command: str) -> subprocess.CompletedProcess[str]:
        found = subprocess.run(
            [sys.executable, *command], env=self.environment, capture_output=True, text=True, timeout=180, check=False
        )
        assert found.returncode == 0, found.stderr
        return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Four files of rows: some with a copy, some with parts of two problems, and some that are none of a pipeline's."""
    folder = tmp_path_factory.mktemp("datatrove")
    (folder / "plugins").mkdir()
    (folder / "corpus").mkdir()
    for name, rows in PROBLEMS.items():
        source = PLUGIN.format(kind=name.title(), name=name, rows=tuple(rows))
        (folder / "plugins" / f"{name}.py").write_text(source)
    for file in range(4):
        rows = []
        for at in range(150):
            words = RNG.choices(WORDS, k=RNG.choice([5, 60, 900]))
            if at % 9 == 0:
                words.insert(len(words) // 2, RNG.choice(PROBLEMS["one"])["text"])
            if at % 21 == 0:
                copy = " ".join(RNG.choice(PROBLEMS["other"])["text"].split()[3:17])
                words.insert(1, copy.upper() if at % 2 else copy)
            if at % 40 == 1:
                words += ["größer", "中文", "\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")]
            rows.append(json.dumps({"id": f"{file}-{at}", "text": " ".join(words), "stars": at}))
        (folder / "corpus" / f"{file}.jsonl").write_text("\n".join(rows) + "\n")
    return Made(folder, {**os.environ, "QCEVAL_CACHE": str(folder / "cache"), "HOME": str(folder)})


def rows_of(folder: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(folder.iterdir()):
        with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
            for line in file:
                row = json.loads(line)
                found[row.get("id") or row["row"]["id"]] = row
    return found


@pytest.mark.slow
def test_a_pipeline_keeps_what_the_command_keeps(made: Made) -> None:
    (made.folder / "pipeline.py").write_text(PIPELINE)
    made.ran(str(made.folder / "pipeline.py"), str(made.folder))
    made.ran(
        "-m", "qwencoder_eval", "decontaminate", "--plugins", str(made.folder / "plugins"), "--bench", "one,other",
        "--rule", "qwen", "--rule", "words", "--corpus", str(made.folder / "corpus"), "--write-clean",
        "--out", str(made.folder / "out"), "--workers", "1",
    )  # fmt: skip
    kept, excluded = rows_of(made.folder / "kept"), rows_of(made.folder / "excluded")
    clean, dropped = rows_of(made.folder / "out" / "clean"), rows_of(made.folder / "out" / "dropped")
    assert len(kept) + len(excluded) == 600
    assert len(excluded) > 60
    assert {id: row["text"] for id, row in kept.items()} == {id: row["text"] for id, row in clean.items()}
    assert sorted(excluded) == sorted(dropped)
    for id, row in excluded.items():
        assert row["text"] == dropped[id]["row"]["text"]
        assert row["metadata"]["contamination"] == dropped[id]["hits"]
        assert row["metadata"]["filter_reason"] == dropped[id]["hits"][0]["benchmark"]
        assert row["metadata"]["stars"] == dropped[id]["row"]["stars"]
    assert {hit["rule"] for row in dropped.values() for hit in row["hits"]} == {"qwen", "words"}
    assert not any("contamination" in row["metadata"] for row in kept.values())
    assert sorted(path.name for path in (made.folder / "kept").iterdir()) == ["00000.jsonl.gz", "00001.jsonl.gz"]

    (stats,) = [
        each for each in json.loads((made.folder / "logs" / "stats.json").read_text())
        if each["name"].endswith("benchmark filter")
    ]  # fmt: skip
    counts = {name: each if isinstance(each, int) else each["total"] for name, each in stats["stats"].items()}
    reasons = [row["metadata"]["filter_reason"] for row in excluded.values()]
    assert counts["total"] == 600
    assert counts["forwarded"] == len(kept)
    assert counts["dropped"] == len(excluded)
    assert {name: counts[f"dropped_{name}"] for name in PROBLEMS} == {name: reasons.count(name) for name in PROBLEMS}
    assert stats["time_stats"]["total"] > 0


@pytest.fixture
def step(made: Made, monkeypatch: pytest.MonkeyPatch) -> BenchmarkFilter:
    monkeypatch.setenv("QCEVAL_CACHE", str(made.folder / "cache"))
    return BenchmarkFilter(["one", "other"], plugins=[str(made.folder / "plugins")], batch_size=4)


def documents() -> list[Document]:
    texts = ["nothing", PROBLEMS["one"][0]["text"], "", "\ud800 alone", *[each["text"] for each in PROBLEMS["other"]]]
    return [Document(text, str(at)) for at, text in enumerate(texts)]


def test_a_step_travels_without_its_index(step: BenchmarkFilter) -> None:
    expected = [True, (False, "one"), True, True, *[(False, "other")] * len(PROBLEMS["other"])]
    assert step.filter_batch(documents()) == expected
    travelled = pickle.dumps(step)  # after it was used
    assert len(travelled) < 2000
    assert pickle.loads(travelled).filter_batch(documents()) == expected
    assert [step.filter(each) for each in documents()] == expected


def test_batches_are_no_matter_of_the_result(step: BenchmarkFilter) -> None:
    kept = [doc.id for doc in step.run(iter(documents()))]
    assert kept == ["0", "2", "3"]
    step.batch_size = 1
    assert [doc.id for doc in step.run(iter(documents()))] == kept
    counts = {name: each.total for name, each in step.stats.stats.items()}
    assert counts["total"] == 2 * len(documents())
    assert counts["dropped_one"] == 2
    assert counts["forwarded"] == 6


def test_a_script_needs_no_guard(made: Made, tmp_path: Path) -> None:
    """The index is built in the script's own process: one of its own would run the script from its beginning."""
    script = tmp_path / "script.py"
    script.write_text(
        "from qwencoder_eval.decontamination.datatrove_step import BenchmarkFilter\n"
        f"print(BenchmarkFilter(['one'], n=11, plugins=[{str(made.folder / 'plugins')!r}]))\n"
    )
    assert made.ran(str(script)).stdout.splitlines() == ["🔻 - FILTER: benchmark filter"]


def test_what_is_wrong_is_said_where_the_pipeline_is_made(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_CACHE", str(made.folder / "cache"))
    with pytest.raises(UsageError, match="unknown; it is one of qwen"):
        BenchmarkFilter(["one"], rules=["none"], plugins=[str(made.folder / "plugins")])
    with pytest.raises(UsageError):
        BenchmarkFilter(["nowhere"], plugins=[str(made.folder / "plugins")])
