"""What says which benchmark gives which published cell holds together: every name in it is one that there is."""

from __future__ import annotations

import pytest

from qwencoder_eval.errors import UsageError
from qwencoder_eval.registry import discover
from qwencoder_eval.reports.golden import Explanation, data, models, profile_of, targets
from qwencoder_eval.reports.published import cells, counts, prints

SIZES = ("0.5b", "1.5b", "3b", "7b", "14b", "32b")


def test_every_model_of_the_report_has_its_tables() -> None:
    assert list(models()) == [
        *(f"qwen2.5-coder-{s}-base" for s in SIZES),
        *(f"qwen2.5-coder-{s}-instruct" for s in SIZES),
        "qwen2-instruct",
    ]
    assert {name: len(targets(name)) for name in models()} == {
        **{f"qwen2.5-coder-{size}-base": 57 for size in SIZES},
        **dict.fromkeys(("qwen2.5-coder-1.5b-base", "qwen2.5-coder-7b-base"), 57 + 15),  # and all_results.json
        **dict.fromkeys(("qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"), 20),
        **{f"qwen2.5-coder-{size}-instruct": 32 for size in ("3b", "7b", "14b", "32b")},
        "qwen2-instruct": 8,
    }


def test_prose_and_figures_are_no_tables() -> None:
    tables = {target.cell.table for name in models() for target in targets(name)}
    assert tables == {
        *(f"Table {n}" for n in (5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 20)),
        "all_results.json 1.5b-base", "all_results.json 7b-base", "multipl_e/chat/results/qwen2",
    }  # fmt: skip


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"qwen2.5-coder-7b: no table of this name; did you mean 'qwen2.5-coder-7b-"):
        targets("qwen2.5-coder-7b")
    with pytest.raises(UsageError, match="`qceval reproduce` lists them"):
        targets("zzz")


def test_columns_and_means_are_those_of_the_tables() -> None:
    published = {cell.benchmark for cell in cells()}
    assert set(data()["benchmarks"]) <= published
    assert set(data()["benchmarks_of_base"]) <= published
    for average, columns in data()["means"].items():
        assert {average, *columns} <= published
    assert set(data()["weights"]) <= set(data()["means"])
    for name in models():
        columns = {(target.cell.table, target.cell.benchmark) for target in targets(name)}
        for target in targets(name):
            assert bool(target.of) is not bool(target.bench)
            assert {(target.cell.table, column) for column in target.of} <= columns
            assert target.cell.benchmark.partition(":")[2].startswith("avg") is bool(target.of)


def test_benchmarks_that_there_are_have_the_profiles_of_the_report() -> None:
    entries = discover().entries
    for kind, expected in (
        ("base", {"humaneval": "qwen", "mbpp": "qwen", "mbpp-3shot": "lm-eval", "multipl-e:sh": "qwen-base"}),
        ("instruct", {"humaneval": "qwen-instruct", "mbpp": "qwen-instruct", "multipl-e:sh": "qwen-instruct"}),
    ):
        for bench, profile in expected.items():
            assert profile_of(bench, kind, entries[bench.partition(":")[0]].profiles) == profile
    assert profile_of("new", "base", ["new", "qwen"]) == "qwen"
    assert profile_of("new", "base", ["new", "other"]) == "new"


def test_which_benchmark_gives_the_python_column() -> None:
    of = {
        name: {target.cell.benchmark: target.bench for target in targets(name)}
        for name in ("qwen2.5-coder-7b-base", "qwen2.5-coder-7b-instruct")
    }
    assert of["qwen2.5-coder-7b-base"]["multipl-e:python"] == "humaneval"
    assert of["qwen2.5-coder-7b-instruct"]["multipl-e:python"] == "multipl-e:python"
    assert of["qwen2.5-coder-7b-base"]["multipl-e:bash"] == "multipl-e:sh"
    assert of["qwen2.5-coder-7b-base"]["humaneval+"] == "humaneval"
    assert of["qwen2.5-coder-7b-base"]["mmlu"] == "mmlu"


def test_outputs_are_of_benchmarks_that_give_cells() -> None:
    benches = {target.bench for name in models() for target in targets(name)}
    assert set(data()["outputs"]) <= benches


def test_an_explanation_is_no_free_pass() -> None:
    """It belongs to a cell, says what comes out instead, and that is not what is published."""
    seen = set()
    for each in data()["explained"]:
        assert set(each) == {"model", "column", "printed", "ours", "why"}
        key = (each["model"], each["column"], each["printed"], each["ours"])
        assert key not in seen
        seen.add(key)
        matching = [
            target
            for name in models()
            for target in targets(name)
            if (target.cell.model, target.cell.benchmark, target.cell.printed) == key[:3]
        ]
        assert matching, key
        solved, is_count, all_of_them = each["ours"].partition("/")
        if is_count:
            assert int(solved) not in counts(each["printed"], int(all_of_them))
            if " of " in each["why"].rpartition(each["printed"])[2]:  # what the published number is a count of
                said = each["why"].rpartition(f"{each['printed']} is ")[2].partition(" of ")[0]
                possible = [int(number) for number in said.split(" or ")]
                assert possible == list(counts(each["printed"], int(all_of_them)))
        else:
            from decimal import Decimal

            assert not prints(Decimal(each["ours"]), each["printed"])


@pytest.mark.parametrize(
    ("ours", "value", "problems", "fits"),
    [
        ("72/164", 72 / 164, 164, True),
        ("72/164", 71 / 164, 164, False),
        ("72/164", 36 / 82, 82, False),  # of another data set
        ("42.07", 0.42074822, 1280, True),
        ("42.07", 0.42081, 1280, False),
    ],
)
def test_an_explanation_fits_one_number(ours: str, value: float, problems: int, fits: bool) -> None:
    assert Explanation(ours, "why").fits(value, problems) is fits
