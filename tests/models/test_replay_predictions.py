"""Recorded outputs in BIRD's form: one JSON object of queries, in the order of the questions."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qwencoder_eval.errors import InputError
from qwencoder_eval.models import replay
from qwencoder_eval.models.base import Request
from qwencoder_eval.models.replay import ReplayModel
from qwencoder_eval.types import Continue, Problem, Sampling

BEHIND = "\t----- bird -----\t"


def replayed(path: Path, *names: str) -> dict[str, str]:
    """Of each problem the text that a run gets."""
    model, problems = ReplayModel(path), [Problem(name, {}, {}) for name in names]
    assert model.scan(problems) == 1
    asked = [Request("b", problem, Continue("-- ask\nSELECT "), Sampling(), (0,)) for problem in problems]
    found = {}
    for answer in model.generate(asked):
        assert answer.completion is not None
        assert (answer.completion.form, answer.completion.finish_reason) == ("whole", "recorded")
        found[answer.problem] = answer.completion.text
    return found


def written(folder: Path, found: Any, name: str = "predict.json", indent: int | None = None) -> Path:
    path = folder / name
    text = json.dumps(found, indent=indent).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


@pytest.mark.parametrize("name", ["predict.json", "predict.json.gz"])
@pytest.mark.parametrize("indent", [None, 4])
def test_queries_by_the_order_of_the_questions(tmp_path: Path, name: str, indent: int | None) -> None:
    found = {"0": f"SELECT 1{BEHIND}financial", "1": f"SELECT '{chr(233)}'\nFROM t{BEHIND}x"}
    path = written(tmp_path, found, name, indent)
    assert replayed(path, "bird/1471", "bird/5") == {"bird/1471": "SELECT 1", "bird/5": "SELECT 'é'\nFROM t"}


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("SELECT 1", "SELECT 1"),  # no database's name: the whole is the query
        (f"a{BEHIND}b{BEHIND}c", f"a{BEHIND}b{BEHIND}c"),  # upstream takes the whole where it cannot be told
        (f"{BEHIND}financial", ""),
        ("", ""), (0, ""), (None, ""), ({"a": 1}, ""),  # what is no text is an empty answer
    ],
)  # fmt: skip
def test_odd_predictions_are_answers_too(tmp_path: Path, value: Any, text: str) -> None:
    assert replayed(written(tmp_path, {"0": value, "1": "SELECT 2"}), "a", "b") == {"a": text, "b": "SELECT 2"}
    assert replayed(written(tmp_path, {"0": "SELECT 2", "1": value}), "a", "b") == {"a": "SELECT 2", "b": text}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"0": "x", "2": "y"}, "key '2'; number predictions from 0"),
        ({"1": "x", "0": "y"}, "key '1'; number predictions from 0"),
        ({"0": "x", "1": "y", "2": "z"}, "3 predictions for 2 tasks"),
        ({"0": "x"}, "1 of 2 tasks have no sample (b)"),
    ],
)
def test_what_does_not_fit_the_questions_is_refused(tmp_path: Path, found: Any, said: str) -> None:
    path = written(tmp_path, found)
    with pytest.raises(InputError) as caught:
        ReplayModel(path).scan([Problem(name, {}, {}) for name in "ab"])
    assert said in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_answers_by_id_are_what_they_were(tmp_path: Path) -> None:
    """CRUXEval's form, of a task that is called 0, and a line of ours that has such a field."""
    assert replayed(written(tmp_path, {"0": ["x"], "1": ["y"]}), "1", "0") == {"1": "y", "0": "x"}
    line = {"task_id": "a", "solution": "x", "0": "y"}
    assert replayed(written(tmp_path, line), "a") == {"a": "x"}


@given(st.lists(st.text(), min_size=1, max_size=5), st.sampled_from([None, 2]))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str], indent: int | None) -> None:
    folder = tmp_path_factory.mktemp("predictions")
    found = {str(number): f"{text}{replay.BEHIND_QUERY}db" for number, text in enumerate(texts)}
    names = [f"bird/{number}" for number in range(len(texts))]
    assert list(replayed(written(folder, found, indent=indent), *names).values()) == texts
