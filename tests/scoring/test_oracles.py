"""The tasks' own rules, held against what EvalPlus's own code said of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from evalplus_verdicts import ORACLE_SEQUENCES, ORACLES, ROOTS
from suites import GENERATIONS, right, value_of

from qwencoder_eval.scoring.oracles import ORACLES as RULES
from qwencoder_eval.scoring.oracles import Generation


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(("xs", "output", "root", "today", "then"), ROOTS)
def test_roots(
    xs: list[int], output: str, root: str, today: bool, then: bool, generation: Generation, tmp_path: Path
) -> None:
    found = right(
        tmp_path, [value_of(output)], [value_of(root)], 1e-4, generation, "find_zero", [[xs]], oracles="humaneval"
    )
    assert found is (today if generation == "0.3" else then)


@pytest.mark.parametrize(("function", "inputs", "output", "expected", "atol", "signs"), ORACLES)
def test_rules_of_mbpp(
    function: str, inputs: str, output: str, expected: str, atol: float, signs: str, tmp_path: Path
) -> None:
    for generation, sign in zip(GENERATIONS, signs, strict=True):
        found = right(
            tmp_path, [value_of(output)], [value_of(expected)], atol, generation, function, [value_of(inputs)],
            oracles="mbpp",
        )  # fmt: skip
        assert found is (sign == "+"), generation


@pytest.mark.parametrize(("function", "inputs", "outputs", "expected", "signs"), ORACLE_SEQUENCES)
def test_rules_and_a_tolerance_that_stays_on(
    function: str, inputs: str, outputs: list[str], expected: list[str], signs: str, tmp_path: Path
) -> None:
    for generation, sign in zip(GENERATIONS, signs, strict=True):
        found = right(
            tmp_path, [*map(value_of, outputs)], [*map(value_of, expected)], 0, generation, function,
            [value_of(inputs)] * len(outputs), oracles="mbpp",
        )  # fmt: skip
        assert found is (sign == "+"), generation


@pytest.mark.parametrize("function", [*RULES["mbpp"]["0.3"], *RULES["humaneval"]["0.3"]])
def test_every_rule_is_held_against_something_right_and_something_wrong(function: str) -> None:
    found = {signs for name, *_, signs in ORACLES if name == function}
    if function == "find_zero":
        found = {"+-"[not today] + "+-"[not then] for *_, today, then in ROOTS}
    assert {sign for signs in found for sign in signs} == {"+", "-"}
    if RULES["mbpp"]["0.3"].get(function) is not RULES["mbpp"]["0.2.1"].get(function):
        assert "+-" in found


@pytest.mark.parametrize(("function", "output", "expected"), [("sum_div", "0", "7"), ("Diff", "[2, 1]", "[1, 2]")])
def test_a_rule_is_for_the_tasks_of_its_benchmark(function: str, output: str, expected: str, tmp_path: Path) -> None:
    for oracles in ("", "humaneval", "mbpp"):
        found = right(
            tmp_path, [value_of(output)], [value_of(expected)], function=function, inputs=[[0]], oracles=oracles
        )
        assert found is (oracles == "mbpp")


def test_a_rule_sees_a_long_answer_whole_before_it_judges(tmp_path: Path) -> None:
    """Equal bytes say nothing here: of one set two lists may be right, and an expected one wrong."""
    long = [f"{n:09}" for n in range(1000)]
    assert right(tmp_path, [long[::-1]], [long], function="Diff", inputs=[[0]], oracles="mbpp")
    assert not right(tmp_path, [[[1]]], [[[1]]], function="Diff", inputs=[[0]], oracles="mbpp")


def test_a_rule_is_asked_about_the_inputs_as_they_were_given(tmp_path: Path) -> None:
    for inputs, found in (([1000, 1], True), ([1000, 2], False)):
        assert right(tmp_path, [2], [27], function="digit_distance_nums", inputs=[inputs], oracles="mbpp") is found
