"""The reference solutions as a model."""

from __future__ import annotations

import pytest

from qwencoder_eval.errors import InputError
from qwencoder_eval.models.base import Answer, Request
from qwencoder_eval.models.reference import ReferenceModel
from qwencoder_eval.types import Completion, Continue, Problem, Sampling


def request(problem: Problem, *numbers: int) -> Request:
    return Request("bench", problem, Continue(problem.stub), Sampling(), numbers)


def test_every_requested_sample_is_the_reference_and_no_other() -> None:
    first, second = Problem("a", {}, {}, reference="    return 1\n"), Problem("b", {}, {}, reference="")
    asked = [request(first, 0, 2), request(second, 1)]
    answers = list(ReferenceModel().generate(iter(asked)))
    one = Completion("    return 1\n", "continuation", "reference")
    none = Completion("", "continuation", "reference")
    assert answers == [Answer(asked[0], 0, one), Answer(asked[0], 2, one), Answer(asked[1], 1, none)]


def test_requests_are_drawn_as_they_are_needed() -> None:
    drawn = []

    def requests():  # type: ignore[no-untyped-def]
        for i in range(3):
            drawn.append(i)
            yield request(Problem(str(i), {}, {}, reference="x"), 0)

    samples = ReferenceModel().generate(requests())
    assert drawn == []
    assert next(samples).problem == "0"
    assert drawn == [0]


def test_a_problem_without_reference_is_refused() -> None:
    model = ReferenceModel()
    with pytest.raises(InputError, match=r"^bare/1: has no reference solution; name a --model$"):
        list(model.generate([request(Problem("bare/1", {}, {}), 0)]))


def test_key_and_name() -> None:
    assert (ReferenceModel().name, ReferenceModel().key()) == ("reference", {"model": "reference"})
