"""Tables whose columns tie: graphs, with a column a vertex and a row an edge, and what a search may cost."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qwencoder_eval.scoring import columns
from qwencoder_eval.scoring.columns import mixed, permuted, retinted, table

Row = tuple[Any, ...]
Edge = tuple[int, int]


def incidence(vertices: int, edges: Iterable[Edge]) -> list[Row]:
    return [tuple(int(vertex in edge) for vertex in range(vertices)) for edge in edges]


def relabelled(vertices: int, edges: Iterable[Edge], rng: random.Random) -> list[Row]:
    names = rng.sample(range(vertices), vertices)
    found = [(names[one], names[other]) for one, other in edges]
    return incidence(vertices, rng.sample(found, len(found)))


def grid(differences: set[Edge]) -> list[Edge]:
    """Edges between the points of a 4 x 4 torus that differ so."""
    points = list(itertools.product(range(4), repeat=2))
    return [
        (at, other)
        for (at, (a, b)), (other, (c, d)) in itertools.combinations(enumerate(points), 2)
        if ((a - c) % 4, (b - d) % 4) in differences or ((c - a) % 4, (d - b) % 4) in differences
    ]


def beside(*graphs: list[Edge], size: int = 16) -> list[Edge]:
    return [(one + at * size, other + at * size) for at, edges in enumerate(graphs) for one, other in edges]


# Both are strongly regular with parameters (16, 6, 2, 2): refinement alone sees no difference.
SHRIKHANDE = grid({(0, 1), (1, 0), (1, 1)})
ROOK = grid({(0, 1), (0, 2), (1, 0), (2, 0)})
TRIANGLES = [(0, 1), (1, 2), (2, 0), (3, 4), (4, 5), (5, 3)]
HEXAGON = [(at, (at + 1) % 6) for at in range(6)]
PETERSEN = [
    *((at, (at + 1) % 5) for at in range(5)),
    *((at, at + 5) for at in range(5)),
    *((at + 5, (at + 2) % 5 + 5) for at in range(5)),
]


@pytest.mark.parametrize(
    ("vertices", "first", "second", "same"),
    [
        (6, TRIANGLES, HEXAGON, False),
        (6, HEXAGON, HEXAGON, True),
        (6, TRIANGLES, TRIANGLES, True),
        (10, PETERSEN, PETERSEN, True),
        (12, beside(TRIANGLES, HEXAGON, size=6), beside(HEXAGON, TRIANGLES, size=6), True),
        (12, beside(TRIANGLES, HEXAGON, size=6), beside(HEXAGON, HEXAGON, size=6), False),
        (16, SHRIKHANDE, SHRIKHANDE, True),
        (16, ROOK, ROOK, True),
        (16, SHRIKHANDE, ROOK, False),
        (32, beside(SHRIKHANDE, ROOK), beside(ROOK, SHRIKHANDE), True),
    ],
)
def test_graphs(vertices: int, first: list[Edge], second: list[Edge], same: bool) -> None:
    rng = random.Random(vertices)
    for _ in range(10):
        assert permuted(relabelled(vertices, first, rng), relabelled(vertices, second, rng)) is same


def test_graphs_are_as_said() -> None:
    assert len(SHRIKHANDE) == len(ROOK) == 48
    for edges in (SHRIKHANDE, ROOK):
        assert all(sum(vertex in edge for edge in edges) == 6 for vertex in range(16))


@settings(max_examples=150)
@given(st.lists(st.tuples(*[st.sampled_from([0, 1, "x"])] * 4), min_size=1, max_size=5), st.data())
def test_against_all_permutations(rows: list[Row], data: st.DataObject) -> None:
    if data.draw(st.booleans()):
        other = [tuple(row) for row in data.draw(st.lists(st.permutations(rows[0]), min_size=5, max_size=5))][
            : len(rows)
        ]
    else:
        order = data.draw(st.permutations(range(4)))
        other = [tuple(row[at] for at in order) for row in data.draw(st.permutations(rows))]
    wanted = sorted(rows, key=repr)
    turned = ([tuple(row[at] for at in order) for row in other] for order in itertools.permutations(range(4)))
    assert permuted(rows, other) is any(sorted(one, key=repr) == wanted for one in turned)


def test_equal_columns_and_rows_count() -> None:
    assert permuted([(1, 1, 2)], [(2, 1, 1)])
    assert not permuted([(1, 1, 2)], [(2, 2, 1)])
    assert permuted([(1, 2), (1, 2), (3, 2)], [(2, 3), (2, 1), (2, 1)])
    assert not permuted([(1, 2), (1, 2), (3, 2)], [(2, 3), (2, 3), (2, 1)])
    assert not permuted([(1, 2)], [(1, 1)])
    found = table([(1, 1, 2), (1, 1, 2), (3, 3, 2)], {1: 10, 2: 20, 3: 30})
    assert found.cells.tolist() == [[10, 20], [30, 20]]
    assert found.heights.tolist() == [2, 1]
    assert found.widths.tolist() == [2, 1]


def test_a_hundred_columns_of_which_any_order_will_do() -> None:
    rng = random.Random(1)
    for edges in ([(at, at) for at in range(100)], list(itertools.combinations(range(60), 2))):
        vertices = max(edges[-1]) + 1
        assert permuted(incidence(vertices, edges), relabelled(vertices, edges, rng))


def test_codes_that_all_agree_make_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """With tints that tell nothing apart every order is tried and compared: slower, and no other answer."""
    monkeypatch.setattr(columns, "retinted", lambda table, tints: tints)
    pairs = [[(1, 2, 3), (3, 1, 2), (1, 1, 1)], [(1, 1, 1), (2, 3, 1), (2, 1, 3)], [(1, 1, 1), (3, 2, 1), (3, 1, 2)]]
    for first, second in itertools.product(pairs, repeat=2):
        turned = ([tuple(row[at] for at in order) for row in second] for order in itertools.permutations(range(3)))
        assert permuted(first, second) is any(sorted(one) == sorted(first) for one in turned)


def test_equal_tints_do_not_hide_how_often_a_column_or_a_row_occurs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "retinted", lambda table, tints: tints * np.uint64(0))
    monkeypatch.setattr(columns, "mixed", lambda numbers: numbers)
    monkeypatch.setattr(columns, "LIMIT", 100_000)
    assert permuted([(1, 1, 2)], [(1, 1, 2)])
    assert not permuted([(1, 1, 2)], [(1, 2, 2)])
    assert permuted([(1, 2), (1, 2), (3, 2)], [(1, 2), (3, 2), (1, 2)])
    assert not permuted([(1, 2), (1, 2), (3, 2)], [(1, 2), (3, 2), (3, 2)])


def test_columns_told_apart_stay_apart() -> None:
    nothing = table([], {})._replace(cells=np.zeros((0, 3), dtype=np.uint64))
    found = retinted(nothing, np.array([1, 2, 1], dtype=np.uint64)).tolist()
    assert found[0] == found[2] != found[1]


def test_a_search_that_is_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six of one kind against five and one of another: every way to map the five is tried before the last one fails."""
    rng = random.Random(2)
    first = relabelled(96, beside(*[SHRIKHANDE] * 6), rng)
    second = relabelled(96, beside(*[SHRIKHANDE] * 5, ROOK), rng)
    steps = []
    refined = columns.refined
    monkeypatch.setattr(columns, "refined", lambda *given: steps.append(1) or refined(*given))
    monkeypatch.setattr(columns, "LIMIT", 3_000_000)
    assert not permuted(first, second)
    assert 5 < len(steps) < 100


def test_what_is_given_up_is_unequal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "LIMIT", 0)
    assert not permuted(incidence(6, HEXAGON), incidence(6, HEXAGON))


def test_mixed_is_splitmix64() -> None:
    """The first numbers of the generator seeded with 0, as published with it; no two numbers go to one."""
    step = 0x9E3779B97F4A7C15
    found = mixed(np.array([0, step, 2 * step % 2**64], dtype=np.uint64)).tolist()
    assert found == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]
    assert len(set(mixed(np.arange(10_000, dtype=np.uint64)).tolist())) == 10_000
