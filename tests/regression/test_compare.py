"""Comparing two sides of made-up runs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_runs import made_run, outcomes_of

from qwencoder_eval.errors import RunError
from qwencoder_eval.regression.compare import Comparison, Floor, answers, compared
from qwencoder_eval.runs.reading import Finished, finished

BASE = [1, 1, 1, 1, 0, 0, 0, 1]
NEW = [1, 0, 0, 1, 0, 1, 0, 0]
NUMBERS = itertools.count()


def run(tmp_path: Path, right: Any, check: str = "bench", **others: Any) -> Finished:
    return finished(made_run(tmp_path / str(next(NUMBERS)), outcomes_of(right, check), **others))


def one(base: list[Finished], new: list[Finished]) -> Comparison:
    (found,), left_out = compared(base, new)
    assert left_out == []
    return found


def test_one_sample_each(tmp_path: Path) -> None:
    found = one([run(tmp_path, BASE)], [run(tmp_path, NEW, model="new")])
    assert (found.model, found.name, found.problems, found.samples) == ("new", "bench v1", 8, (8, 8))
    assert (found.base, found.new, found.difference) == (5 / 8, 3 / 8, pytest.approx(-2 / 8))
    assert found.low < found.difference < found.high
    assert (found.lost, found.gained) == (("p1", "p2", "p7"), ("p5",))
    assert found.p == found.adjusted == pytest.approx(10 / 16)  # McNemar: three against one
    assert found.p_lower == pytest.approx(5 / 16)
    assert found.floor is None
    assert found.notes == ()


def test_the_order_of_rows_does_not_matter(tmp_path: Path) -> None:
    base, new = outcomes_of(BASE), outcomes_of(NEW)
    shuffled = dict(sorted(new.items(), reverse=True))
    forward = one([finished(made_run(tmp_path / "a", base))], [finished(made_run(tmp_path / "b", new))])
    backward = one([finished(made_run(tmp_path / "c", base))], [finished(made_run(tmp_path / "d", shuffled))])
    assert forward == backward


def test_several_samples_and_not_the_same_number_on_both_sides(tmp_path: Path) -> None:
    base = [[1, 1], [1, 0], [0, 0]]
    new = [[1, 1, 1], [0, 0, 0], [0, 1, 0]]
    found = one([run(tmp_path, base)], [run(tmp_path, new)])
    assert found.per_problem == 6
    assert found.units == (0, -3, 2)
    assert found.difference == pytest.approx((-0.5 + 1 / 3) / 3)
    assert (found.lost, found.gained) == (("p1",), ())  # a third of the samples is not a flip
    assert found.samples == (6, 9)


def test_repeats_count_together_and_give_the_noise_floor(tmp_path: Path) -> None:
    seeds = [{"sampling": {"seed": seed, "n": 1}} for seed in range(2)]
    base = [
        run(tmp_path, right, generation=seed) for right, seed in zip(([1, 1, 0, 0], [1, 0, 0, 0]), seeds, strict=True)
    ]
    new = [run(tmp_path, [1, 1, 1, 0])]
    found = one(base, new)
    assert found.samples == (8, 4)
    assert found.base == 3 / 8
    assert found.floor == Floor(2, 1 / 4, 1 / 4)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"generation": {"revision": "r2"}}, "revision"),
        ({"generation": {"sampling": {"temperature": 1.0}}}, "temperature"),
    ],
)
def test_what_is_no_repeat_is_refused(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    both = [run(tmp_path, BASE), run(tmp_path, BASE, **change)]
    with pytest.raises(RunError, match=f"base: .* are no repeats of each other, as they differ in {said}; name one"):
        compared(both, [run(tmp_path, NEW)])


def test_replayed_files_of_one_model_are_repeats(tmp_path: Path) -> None:
    made = [{"model": "replay", "sha256": str(number)} for number in range(2)]
    found = one([run(tmp_path, BASE, generation=each) for each in made], [run(tmp_path, NEW)])
    assert found.floor == Floor(2, 0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"dataset": "e" * 64},
            r"bench: differs in dataset \(dddddddddddd… and eeeeeeeeeeee…\); run both with the same",
        ),
        ({"scoring": {"version": 2}}, r"bench: differs in version \(1 and 2\)"),
        ({"scoring": {"limit_s": 3}}, r"bench: differs in limit_s \(None and 3\)"),
        ({"benchmark": "other"}, "bench: only the base side has it"),
    ],
)
def test_what_cannot_be_compared_says_which_field_differs(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(RunError, match=f"cannot be compared: {said}"):
        compared([run(tmp_path, BASE)], [run(tmp_path, NEW, **change)])


def test_other_problems_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot be compared: bench: differs in problems"):
        compared([run(tmp_path, BASE)], [run(tmp_path, NEW[:-1])])
    renamed = {f"q{problem}": samples for problem, samples in outcomes_of(NEW).items()}
    with pytest.raises(RunError, match=r"16 problems are not in .* or the reverse; run both on the same problems"):
        compared([run(tmp_path, BASE)], [finished(made_run(tmp_path / "q", renamed))])


def test_two_models_on_a_side_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"base: runs of 2 models, a, b; name those of one"):
        compared([run(tmp_path, BASE, model="a"), run(tmp_path, BASE, model="b")], [run(tmp_path, NEW)])


def test_what_only_one_side_has_is_said(tmp_path: Path) -> None:
    more = {"benchmark": "more", "check": "more"}
    found, left_out = compared([run(tmp_path, BASE), run(tmp_path, BASE, **more)], [run(tmp_path, NEW)])
    assert [each.name for each in found] == ["bench v1"]
    assert left_out == ["more: only the base side has it"]
    found, left_out = compared([run(tmp_path, BASE)], [run(tmp_path, NEW), run(tmp_path, NEW, **more)])
    assert [each.name for each in found] == ["bench v1"]
    assert left_out == ["more: only the new side has it"]


def test_profiles_of_one_rule_are_compared_and_said(tmp_path: Path) -> None:
    asked = {"prompts": "other", "sampling": {"temperature": 1}}
    found = one([run(tmp_path, BASE)], [run(tmp_path, NEW, profile="q", generation=asked)])
    assert found.notes == ("asked with another prompts, sampling",)
    both = [run(tmp_path, BASE), run(tmp_path, BASE, profile="q")]
    found_two, _ = compared(both, [run(tmp_path, NEW), run(tmp_path, NEW, profile="q")])
    assert [each.profile for each in found_two] == ["p", "q"]
    with pytest.raises(RunError, match="differs in profile"):
        compared([run(tmp_path, BASE, profile="r")], [run(tmp_path, NEW), run(tmp_path, NEW, profile="q")])


def test_notes_tell_what_a_reader_should_know(tmp_path: Path) -> None:
    image = {"sandbox": {"python": {"image": "sha256:2"}}}
    found = one([run(tmp_path, BASE, notes=["unsandboxed"])], [run(tmp_path, NEW, scoring=image)])
    assert found.notes == ("base: unsandboxed", "scored in another sandbox image")


def test_every_check_is_compared_and_adjusted_for(tmp_path: Path) -> None:
    def outcomes(right: list[int]) -> dict[str, list[dict[str, str]]]:
        return {
            f"p{at}": [{"bench": "passed" if one else "wrong", "bench+": "passed" if one and at % 2 else "wrong"}]
            for at, one in enumerate(right)
        }

    base, new = [1] * 12, [0] * 8 + [1] * 4
    found, _ = compared(
        [finished(made_run(tmp_path / "a", outcomes(base)))], [finished(made_run(tmp_path / "b", outcomes(new)))]
    )
    assert [each.name for each in found] == ["bench v1", "bench+ v1"]
    assert [each.primary for each in found] == [True, False]
    assert found[0].p == 2 / 2**8
    assert found[0].adjusted == 2 * found[0].p
    assert found[1].adjusted == found[1].p == 2 / 2**4


def test_both_answers_of_a_flipped_problem(tmp_path: Path) -> None:
    evidence = {"p1": {"got": "2", "expected": "3"}}
    new = run(tmp_path, [[1, 1], [1, 0], [0, 0]], texts={"p1": "two"}, evidence=evidence)
    found = answers([new], ["p1", "p2"])
    assert set(found) == {"p1", "p2"}
    assert found["p1"] == {"text": "two", "checks": {"bench": "passed"}, "evidence": evidence["p1"]}
    assert found["p2"]["checks"] == {"bench": "wrong"}
    assert answers([new], []) == {}


def test_random_runs_agree_with_what_they_were_made_from(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    base, new = rng.integers(0, 2, (40, 4)).tolist(), rng.integers(0, 2, (40, 4)).tolist()
    found = one([run(tmp_path, base)], [run(tmp_path, new)])
    assert found.base == pytest.approx(np.mean(base))
    assert found.new == pytest.approx(np.mean(new))
    assert found.difference == pytest.approx(np.mean(new) - np.mean(base))
    assert sum(found.units) == np.sum(new) - np.sum(base)
