"""Scores on clean and on hit problems: by hand, by properties, and what a damaged or hostile report may not do."""

from __future__ import annotations

import csv
import io
import json
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_contamination import document_of, made_report
from made_runs import made_run, outcomes_of

from qwencoder_eval.errors import InputError
from qwencoder_eval.reports.contamination import Contamination, Split, contamination, read
from qwencoder_eval.reports.leaderboard import Leaderboard, leaderboard
from qwencoder_eval.reports.plain import comma_separated, difference, latex, markdown
from qwencoder_eval.runs.reading import all_finished, finished
from qwencoder_eval.stream.tally import Tally
from qwencoder_eval.types import Outcome, Problem, Verdict

HOSTILE = "a|b </script><img src=x> $x_y^2$ & 100% {z}\n| new | \x1b[31m\u202e[l](http://x)"
TORN = HOSTILE + "\ud800"  # half a character, which no file takes


def board_with(results: Path, *reports: Path) -> Leaderboard:
    board = leaderboard(all_finished([results])[0])
    board.contamination = contamination(board, [read(file) for file in reports])
    return board


def found_in(results: Path, *reports: Path) -> Contamination:
    found = board_with(results, *reports).contamination
    assert found is not None
    return found


def only(found: Contamination) -> Split:
    (split,) = found.splits.values()
    return split


# -- numbers -------------------------------------------------------------------------------------------


def test_by_hand(tmp_path: Path) -> None:
    """9 of 10 hit problems pass and 3 of 10 clean ones: example b of Newcombe (1998), table II."""
    made_run(tmp_path / "r", outcomes_of([1] * 9 + [0] + [1] * 3 + [0] * 7))
    split = only(found_in(tmp_path / "r", made_report(tmp_path / "c.json", (f"p{at}" for at in range(10)))))
    assert split.hit is not None
    assert split.clean is not None
    assert (split.all.value, split.clean.value, split.hit.value) == (0.6, 0.3, 0.9)
    assert (split.hit.low, split.hit.high) == pytest.approx((0.5958, 0.9821), abs=5e-5)  # Wilson's
    assert (split.all.problems, split.problems) == (20, (10, 10))
    assert split.difference == pytest.approx((0.6, 0.1705, 0.8090), abs=5e-5)
    assert difference(split) == ("+60.0", "+17.1 to +80.9")


def test_several_samples_and_k(tmp_path: Path) -> None:
    right = [[1] * 5 + [0] * 5, [0] * 10, [1] + [0] * 9]
    made_run(tmp_path / "r", outcomes_of(right))
    found = found_in(tmp_path / "r", made_report(tmp_path / "c.json", ["p0"]))
    by_metric = {key.rpartition("/")[2]: split for (_, key), split in found.splits.items()}
    assert [split.difference and split.difference[0] for split in by_metric.values()] == pytest.approx([0.45, 0.5])
    assert by_metric["pass@10"].clean is not None
    assert (by_metric["pass@10"].clean.value, by_metric["pass@10"].clean.samples) == (0.5, 20)


@pytest.mark.parametrize(("hits", "missing"), [([], "hit"), (["p0", "p1", "p2"], "clean")])
def test_a_group_without_problems_has_no_value(tmp_path: Path, hits: list[str], missing: str) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0, 1]))
    board = board_with(tmp_path / "r", made_report(tmp_path / "c.json", hits))
    assert board.contamination is not None
    split = only(board.contamination)
    assert getattr(split, missing) is None
    assert (split.difference, sorted(split.problems)) == (None, [0, 3])
    assert difference(split) == ("", "")
    assert "| 66.7 (20.8–93.9) |" in markdown(board, "T")
    assert " & -- & " in latex(board, "T")
    row = next(csv.DictReader(io.StringIO(comma_separated(board))))
    assert row[f"Other: bench v1 · p pass@1 {missing} problems"] == "0"
    assert row[f"Other: bench v1 · p pass@1 {missing}"] == row["Other: bench v1 · p pass@1 hit - clean"] == ""
    assert board.contamination.document(board)["scores"][0][missing] is None


def test_of_several_corpora_any_may_hit(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0, 1, 0]))
    one, other = made_report(tmp_path / "a.json", ["p0", "p1"]), made_report(tmp_path / "b.json", ["p1", "p2"])
    found = found_in(tmp_path / "r", one, other)
    assert only(found).problems == (1, 3)
    (hits,) = found.hits.values()
    assert hits["p1"] == f"{one}: 2 documents (qwen covers 42 %); {other}: 2 documents (qwen covers 42 %)"
    assert found.said == []


def test_a_limited_run_counts_its_own_problems(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]), notes=["partial: 2 of 8 problems"])
    assert only(found_in(tmp_path / "r", made_report(tmp_path / "c.json", ["p0", "p5", "p6"]))).problems == (1, 1)


def test_what_was_not_looked_for_is_not_clean(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]), model="a")
    made_run(tmp_path / "r", outcomes_of([1, 0]), model="b", dataset="e" * 64, version="v2")
    made_run(tmp_path / "r", outcomes_of([1, 0], "other"), model="a", benchmark="other")
    report = made_report(tmp_path / "c.json", ["p0"])
    board = board_with(tmp_path / "r", report)
    found = board.contamination
    assert found is not None
    assert [(row.name, column.check) for row, column, _ in found.scores(board)] == [("a", "bench")]
    notes = [f"bench v2: {report} looked for another dataset (v1)", f"other v1: not looked for in {report}"]
    assert sorted(found.said) == notes
    table = markdown(board, "T")
    assert table.count("c.json") == 3
    assert "not looked for in" in latex(board, "T")
    rows = {row["model"]: row for row in csv.DictReader(io.StringIO(comma_separated(board)))}
    assert rows["b"]["Other: bench v2 · p pass@1 contamination notes"] == notes[0]
    assert rows["b"]["Other: bench v2 · p pass@1 clean problems"] == ""
    assert rows["a"]["Other: bench v1 · p pass@1 clean problems"] == "1"
    assert rows["a"]["Other: bench v1 · p pass@1 contamination notes"] == ""


def test_a_corpus_that_was_searched_counts_where_another_was_not(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    other = made_report(tmp_path / "b.json", ["p1"], benchmark="else")
    found = found_in(tmp_path / "r", made_report(tmp_path / "a.json", ["p0"]), other)
    assert only(found).problems == (1, 1)
    assert found.said == [f"bench v1: not looked for in {other}"]


def test_parts_and_versions_go_by_name_and_hash(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0], "multipl-e:cpp"), benchmark="multipl-e:cpp", dataset="e" * 64)
    document = document_of(["p0"], "multipl-e:cpp")
    document["benchmarks"][0]["datasets"]["v0"] = "e" * 64
    document["benchmarks"].append(document_of([], "multipl-e:java", "e" * 64)["benchmarks"][0])
    (tmp_path / "c.json").write_text(json.dumps(document))
    assert only(found_in(tmp_path / "r", tmp_path / "c.json")).problems == (1, 1)


def test_what_the_search_could_not_do_is_said(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    document = document_of(["p0"], faults=["a.gz: torn", "b"])
    document["corpus"] |= {"unchecked": 1234, "paths": [f"/data/{at}" for at in range(9)]}
    document["benchmarks"][0]["without"] = {"qwen": 2, "words": 0}
    (tmp_path / "c.json").write_text(json.dumps(document))
    found = found_in(tmp_path / "r", tmp_path / "c.json")
    assert found.said == [
        f"bench v1: problems with nothing a rule of {tmp_path / 'c.json'} could look for: qwen 2"
    ]  # fmt: skip
    assert found.files == [
        f"{tmp_path / 'c.json'}: 1,000 documents in 12 shards of /data/0, /data/1, /data/2, /data/3, /data/4, 4 more; "
        "rules qwen; made 2026-11-29T02:40:00Z; 1,234 documents not checked; 2 faults, which it names"
    ]


# -- scores other than pass@k --------------------------------------------------------------------------


def measured_run(folder: Path, passing: str, measured: list[str], measures: dict[str, dict[str, float]]) -> Path:
    """A run whose scores are a tally's."""
    path = made_run(folder, outcomes_of([int(each.pop("right", 0)) for each in measures.values()]))
    verdicts = [json.loads(line) for line in (path / "verdicts.jsonl").read_text().splitlines()]
    tally = Tally(["bench"], [Problem(id, {}, {}) for id in measures], passing, measured, measured)
    for row in verdicts:
        row["measures"] = measures[row["problem"]]
        tally.add(Verdict(row["problem"], row["sample"], {"bench": Outcome(row["checks"]["bench"])}, row["measures"]))
    (path / "verdicts.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in verdicts))
    report = json.loads((path / "scores.json").read_text())
    report["scores"] = {
        check: {m: {n: getattr(s, n) for n in ("value", "low", "high", "problems", "samples")} for m, s in all.items()}
        for check, all in tally.scores([1]).items()
    }
    (path / "scores.json").write_text(json.dumps(report))
    return path


def test_measures_are_split_as_well(tmp_path: Path) -> None:
    measures = {
        "p0": {"right": 1, "es": 1.0, "ves": 2.5}, "p1": {"es": 0.5, "ves": 0.0}, "p2": {"es": 0.25, "ves": 0.5}
    }  # fmt: skip
    measured_run(tmp_path / "r", "em", ["es", "ves"], measures)
    found = found_in(tmp_path / "r", made_report(tmp_path / "c.json", ["p0", "p1"]))
    by_metric = {key.rpartition("/")[2]: split for (_, key), split in found.splits.items()}
    values = {name: [part and part.value for part in split.parts] for name, split in by_metric.items()}
    assert values == {"em": [1 / 3, 0.0, 0.5], "es": [1.75 / 3, 0.25, 0.75], "ves": [1.0, 0.5, 1.25]}
    assert [split.difference and split.difference[0] for split in by_metric.values()] == [0.5, 0.5, 0.75]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda path: rewrite(path / "scores.json", '"value": 0.5', '"value": 0.6'), "do not make its bench pass@1"),
        (lambda path: rewrite(path / "scores.json", '"pass@1": {', '"pass@one": {'), "verdicts.jsonl: damaged"),
        (lambda path: rewrite(path / "scores.json", '"pass@1": {', '"pass@9": {'), "verdicts.jsonl: damaged"),
        (lambda path: rewrite(path / "verdicts.jsonl", '"sample": 0', '"measures": [1], "sample": 0'), "damaged"),
    ],
)  # fmt: skip
def test_a_run_that_does_not_make_its_scores_has_a_note_and_no_numbers(tmp_path: Path, change: Any, said: str) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]), model="good")
    change(made_run(tmp_path / "r", outcomes_of([1, 0]), model="odd"))
    board = board_with(tmp_path / "r", made_report(tmp_path / "c.json", ["p0"]))
    assert board.contamination is not None
    assert [row.name for row, _, _ in board.contamination.scores(board)] == ["good"]
    (note,) = board.contamination.said
    assert said in note
    assert "/odd/" in note


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


# -- properties ----------------------------------------------------------------------------------------

problems = st.lists(st.tuples(st.lists(st.booleans(), min_size=3, max_size=3), st.booleans()), min_size=1, max_size=12)


def split_of(made: dict[str, tuple[list[bool], bool]]) -> Split:
    """Of problems with what became of their samples, and whether they are hit."""
    with tempfile.TemporaryDirectory() as folder:
        outcomes = {
            name: [{"bench": "passed" if each else "wrong"} for each in samples] for name, (samples, _) in made.items()
        }
        made_run(Path(folder) / "r", outcomes)
        report = made_report(Path(folder) / "c.json", [name for name, (_, hit) in made.items() if hit])
        return only(found_in(Path(folder) / "r", report))


@given(problems)
@settings(max_examples=30)
def test_all_is_the_weighted_mean_of_clean_and_hit(given: list[tuple[list[bool], bool]]) -> None:
    split = split_of({f"p{at}": each for at, each in enumerate(given)})
    groups = [part for part in (split.clean, split.hit) if part]
    assert sum(part.problems for part in groups) == split.all.problems == sum(split.problems) == len(given)
    assert split.all.value == pytest.approx(sum(part.value * part.problems for part in groups) / len(given))
    assert sum(part.samples for part in groups) == split.all.samples


@given(problems)
@settings(max_examples=30)
def test_groups_that_change_places_turn_the_difference_around(given: list[tuple[list[bool], bool]]) -> None:
    one = split_of({f"p{at}": each for at, each in enumerate(given)})
    other = split_of({f"p{at}": (samples, not hit) for at, (samples, hit) in enumerate(given)})
    assert (one.clean, one.hit, one.all) == (other.hit, other.clean, other.all)
    if one.difference is None:
        assert other.difference is None
        return
    assert other.difference is not None
    value, low, high = one.difference
    assert other.difference == pytest.approx((-value, -high, -low))
    assert -1 <= low <= value <= high <= 1


@given(problems, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_neither_names_nor_their_order_matter(given: list[tuple[list[bool], bool]], random: Any) -> None:
    names = [f"{HOSTILE} {at}" for at in range(len(given))]
    pairs = list(zip(names, given, strict=True))
    random.shuffle(pairs)
    assert split_of(dict(pairs)) == split_of({f"p{at}": each for at, each in enumerate(given)})


# -- a file from outside -------------------------------------------------------------------------------


def changed(**change: Any) -> str:
    return json.dumps(document_of(["p0"]) | change)


def in_benchmark(**change: Any) -> str:
    document = document_of(["p0"])
    document["benchmarks"][0] |= change
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "damaged, not JSON"),
        ("\x00\xff", "damaged, not JSON"),
        ("[" * 100_000, "damaged, not JSON"),
        ("[]", "not a contamination report"),
        ('{"scores": {}}', "not a contamination report"),
        (changed(contamination=2), "format 2, this qceval reads 1"),
        (changed(contamination="1"), 'format "1", this'),
        (changed(contamination=True), "format true, this"),
        (changed(contamination="x" * 10**6), f'format "{"x" * 19}…, this'),
        (changed(corpus=None), "damaged (corpus: input should be"),
        (changed(benchmarks={}), "damaged (benchmarks: "),
        (in_benchmark(hits={"p0": {"documents": -1}}), "benchmarks.0.hits.p0.documents: input should be greater"),
        (in_benchmark(hits={"p0": {"documents": "2"}}), "benchmarks.0.hits.p0.documents: input should be a valid int"),
        (in_benchmark(hits={"p\n0\x1b[31m": {}}), "benchmarks.0.hits.p 0·.documents: field required"),
        (in_benchmark(hits={"p" * 10**5: 1}), f"{'p' * 100}"),
        (in_benchmark(datasets=["d"]), "benchmarks.0.datasets: "),
        (in_benchmark(hits={}), "damaged (bench: 1 problems hit, 0 named)"),
        (in_benchmark(hits={"\ud800": {}}), "benchmarks.0.hits.���.documents: field required"),
        (changed(corpus={"paths": [], "shards": 1, "documents": 10**4000}), "corpus.documents: "),
        (in_benchmark().replace("0.42", "NaN"), "p0.rules.qwen.covered: input should be a finite"),
        (in_benchmark().replace("0.42", "42"), "p0.rules.qwen.covered: input should be less"),
    ],
)  # fmt: skip
def test_a_damaged_report_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "report.json"
    file.write_bytes(text.encode("latin-1", "surrogatepass") if text.startswith("\x00") else text.encode())
    with pytest.raises(InputError) as caught:
        read(file)
    message = str(caught.value)
    assert said in message
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    assert "\x1b" not in message
    assert len(message) < 600
    assert re.search(
        r"; (run qceval decontaminate again|name the report.json that qceval decontaminate wrote)$", message
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
places = [
    (), ("contamination",), ("created",), ("rules",), ("corpus",), ("corpus", "paths"), ("corpus", "documents"),
    ("benchmarks",), ("benchmarks", 0), ("benchmarks", 0, "benchmark"), ("benchmarks", 0, "datasets"),
    ("benchmarks", 0, "without"), ("benchmarks", 0, "hits"), ("benchmarks", 0, "hits", "p0"),
    ("benchmarks", 0, "hits", "p0", "rules"), ("faults",),
]  # fmt: skip


@given(st.sampled_from(places), anything)
def test_whatever_stands_in_a_report_it_is_read_or_refused(place: tuple[Any, ...], value: Any) -> None:
    document: Any = document_of(["p0"])
    inside: Any = document
    for key in place[:-1]:
        inside = inside[key]
    if place:
        inside[place[-1]] = value
    else:
        document = value
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "c.json"
        file.write_text(json.dumps(document))
        try:
            said = read(file).line
        except InputError as error:
            said = str(error)
    assert said.startswith(f"{file}: ")
    assert "\n" not in said


def test_what_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(InputError, match=r"cannot be read .*name the report\.json"):
            read(file)
    monkeypatch.setattr("qwencoder_eval.reports.contamination.MAX_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        read(made_report(tmp_path / "c.json", []))


def test_unknown_keys_are_ignored_and_some_may_be_missing(tmp_path: Path) -> None:
    document = document_of(["p0"], future={"x": [1]})
    for key in ("created", "qceval", "rules", "faults"):
        del document[key]
    document["benchmarks"][0]["hits"]["p0"] = {"documents": 1, "new": None}
    (tmp_path / "c.json").write_text(json.dumps(document))
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    found = found_in(tmp_path / "r", tmp_path / "c.json")
    assert only(found).problems == (1, 1)
    assert list(found.hits.values()) == [{"p0": f"{tmp_path / 'c.json'}: 1 document"}]


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    check = HOSTILE.replace("[", "(")  # a bracket is how a group begins
    outcomes = {problem: [{check: "passed"}] for problem in (HOSTILE, "p1")}
    made_run(tmp_path / "r", outcomes, model=HOSTILE, benchmark="bench", version=HOSTILE)
    made_run(tmp_path / "r", outcomes_of([1]), model="m", dataset="f" * 64)
    document = document_of([HOSTILE], created=TORN, rules={TORN: {}}, faults=[TORN])
    document["corpus"]["paths"] = [TORN]
    document["benchmarks"][0] |= {"datasets": {TORN: "d" * 64}, "without": {TORN: 1}}
    document["benchmarks"][0]["hits"][HOSTILE]["rules"] = {TORN: {"documents": 1, "covered": 1}}
    (tmp_path / "c.json").write_text(json.dumps(document))
    board = board_with(tmp_path / "r", tmp_path / "c.json")
    assert only(board.contamination or Contamination([])).problems == (1, 1)
    text = markdown(board, "T").partition("## Contamination")[2]
    assert not re.search(r"(?<!\\)[<>$\[\]`_#&]", text.replace("&#", ""))
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")} == {9}
    for each in (text, comma_separated(board), latex(board, "T")):
        assert "\x1b" not in each
        assert "\u202e" not in each
        assert each.encode()
    tables = latex(board, "T")
    assert tables.count(r"\begin{table}") == tables.count(r"\end{table}") == 2
    assert not re.search(r"(?<!\\)[#$_]", tables.partition("contamination, ")[2].replace("$-$", ""))
    head, *lines = csv.reader(io.StringIO(comma_separated(board)))
    assert {len(line) for line in lines} == {len(head)} == {3 + 2 * (4 + 12)}
    assert json.dumps((board.contamination or Contamination([])).document(board))


def test_without_a_score_to_split_latex_has_a_comment(tmp_path: Path) -> None:
    made_run(tmp_path / "r", outcomes_of([1, 0]))
    board = board_with(tmp_path / "r", made_report(tmp_path / "c.json", [], benchmark="a\nb"))
    text = latex(board, "T")
    assert "\n% contamination: bench v1: not looked for in " in text
    assert text.count(r"\begin{table}") == 1
    assert "| model | score |" not in markdown(board, "T")
    assert finished(next((tmp_path / "r").rglob("run.json")).parent).benchmark == "bench"
