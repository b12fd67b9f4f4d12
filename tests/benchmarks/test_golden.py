"""The golden vectors of every benchmark that ships, in whatever sandbox this machine has."""

from __future__ import annotations

import pytest

from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import choose
from qwencoder_eval.stream.golden import failing

# Of those with parts see test_multipl_e.py.
NAMES = sorted(each.name for each in discover().entries.values() if each.has("") and not each.data_only)


@pytest.mark.parametrize("name", NAMES)
def test_golden_vectors_give_their_verdicts(name: str) -> None:
    registry = discover()
    benchmark = registry.load(name)
    backend = choose("auto", trusted=True, say=print)
    if "python-bigcodebench" in registry.entries[name].languages and backend.name != "docker":
        pytest.skip(f"{backend.name}: the libraries that BigCodeBench calls are in its image alone")
    assert failing(benchmark, backend) == []


def test_nothing_that_ships_is_refused() -> None:
    assert discover().refused == []
    assert {"humaneval", "starter"} <= set(NAMES)
