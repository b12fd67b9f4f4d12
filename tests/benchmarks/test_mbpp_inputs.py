"""What MBPP's functions are called with: the types that JSON took from the rows, as EvalPlus restores them."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import calls
import pytest

from qwencoder_eval.benchmark import Benchmark
from qwencoder_eval.registry import discover
from qwencoder_eval.scoring.values import encode

# Of the canonical text of all inputs, as ``mbpp_deserialize_inputs`` of evalplus/evalplus at 26d6d00 gave them.
EVALPLUS = {
    "v0.1.0": "45d45b5c20cf59c60d54ce0d30c92dd924bab7c20f44d2da195b5bd7feac57f8",
    "v0.2.0": "6b2903fc91f24accdbdb0b3deb00303f856a6e7051ac7a16ddab07fdc74076c1",
}
# Task, one call's row, and what the same function made of it.
TYPED: list[tuple[str, list[Any], list[Any]]] = [
    ("3", [[1, [2]], "a"], [[1, [2]], "a"]),
    ("2", [[3, 4], [5, [6]]], [(3, 4), (5, [6])]),
    ("744", [[10, [4], None], [1]], [(10, [4], None), (1,)]),
    ("63", [[[3, 5], [1, [7]]]], [[(3, 5), (1, [7])]]),
    ("120", [[[2, 7], [2, 6]]], [[(2, 7), (2, 6)]]),
    ("259", [[[1, 3], [4, 5]], [[6, 7], [3, 9]]], [((1, 3), (4, 5)), ((6, 7), (3, 9))]),
    ("445", [[[1, 3]], [[6, 7]]], [((1, 3),), ((6, 7),)]),
    ("250", [[10, 8, [5]], 10], [(10, 8, [5]), 10]),
    ("307", [["A", 5, [], True], 2, 50], [("A", 5, [], True), 2, 50]),
    ("720", [[4, 5, [7, [6]]], {"a": [1]}], [(4, 5, [7, [6]]), {"a": [1]}]),
    ("106", [[5, 6, [7]], [9, [10]]], [[5, 6, [7]], (9, [10])]),
    ("75", [[[6, 24], [7, [9]]], 6], [[(6, 24), (7, [9])], 6]),
    ("444", [[[6, 8], [3]], 2], [[(6, 8), (3,)], 2]),
    ("722", [{"A": [6.2, 70], "B": [5.9, [60]]}, 6.0, 70], [{"A": (6.2, 70), "B": (5.9, [60])}, 6.0, 70]),
    ("278", [[1, 5, [4, [5]], 10, "ab"]], [(1, 5, (4, [5]), 10, "ab")]),
    ("580", [[4, 5, [7, 6, [2, 4]], 6, [1, 3]]], [(4, 5, (7, 6, (2, 4)), 6, (1, 3))]),
    ("615", [[[10, [10]], [30]]], [((10, (10,)), (30,))]),
    ("791", [[1, "ab", [3, [4]]]], [(1, "ab", (3, (4,)))]),
    ("115", [[[1, 2, 1], [], "x", {}]], [[{1, 2}, {}, {}, {}]]),
    ("124", ["0", "1j"], [0.0, 1j]),
    ("252", ["1+2j"], [1 + 2j]),
]


@pytest.fixture(scope="module")
def mbpp() -> Benchmark:
    return discover().load("mbpp")


def inputs_of(mbpp: Benchmark, row: dict[str, Any]) -> list[list[Any]]:
    tests = mbpp.problem(row).tests
    return [*tests["base_input"], *tests["plus_input"]]


def canonical(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(key)}:{canonical(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({','.join(map(canonical, value))})"
    if isinstance(value, set):
        return f"set({','.join(sorted(map(canonical, value)))})"
    return repr(value)


@pytest.mark.parametrize(("task", "given", "typed"), TYPED, ids=[task for task, *_ in TYPED])
def test_types_that_json_does_not_have(mbpp: Benchmark, task: str, given: list[Any], typed: list[Any]) -> None:
    row = {
        "task_id": f"Mbpp/{task}", "entry_point": "f", "atol": 0, "prompt": "", "canonical_solution": "",
        "base_input": [given], "plus_input": [given, given],
    }  # fmt: skip
    before = json.dumps(row)
    assert [canonical(list(found)) for found in inputs_of(mbpp, row)] == [canonical(typed)] * 3
    assert json.dumps(row) == before, "rows are not changed"


def test_a_suite_without_inputs_may_be_written_as_an_object(mbpp: Benchmark) -> None:
    row = {**mbpp.golden[0].row, "plus_input": {}}
    assert mbpp.problem(row).tests["plus_input"] == []


@pytest.mark.parametrize("version", EVALPLUS)
def test_all_inputs_are_those_of_evalplus(mbpp: Benchmark, shared_data: Path, version: str) -> None:
    """Also after their way into the sandbox."""
    path = shared_data / "mbppplus" / f"MbppPlus-{version}.jsonl.gz"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    digests = hashlib.sha256(), hashlib.sha256()
    for line in gzip.decompress(path.read_bytes()).splitlines():
        problem = mbpp.problem(json.loads(line))
        for suite in ("base_input", "plus_input"):
            given = problem.tests[suite]
            arrived = json.loads(json.dumps(encode(given)), object_hook=calls.decode)
            for digest, inputs in zip(digests, (given, arrived), strict=True):
                digest.update("\n".join(canonical(list(arguments)) for arguments in inputs).encode())
    assert [digest.hexdigest() for digest in digests] == [EVALPLUS[version]] * 2
