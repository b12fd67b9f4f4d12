"""What the README tells a new user to do works as it stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from qwencoder_eval.cli.main import COMMANDS
from qwencoder_eval.registry import discover
from qwencoder_eval.sandboxes.choose import choose
from qwencoder_eval.stream.golden import failing

README = (Path(__file__).resolve().parents[1] / "README.md").read_text()


@pytest.fixture
def example() -> str:
    return README.partition("```python\n")[2].partition("```")[0]


def test_the_example_benchmark_is_found_and_its_golden_vectors_hold(example: str, tmp_path: Path) -> None:
    (tmp_path / "tiny.py").write_text(example)
    assert len(example.splitlines()) < 60
    registry = discover([tmp_path])
    assert "tiny" in registry.entries
    assert failing(registry.load("tiny"), choose("auto", trusted=True, say=print)) == []


def test_every_command_is_in_the_readme() -> None:
    assert [name for name in COMMANDS if f"qceval {name}" not in README] == []


def test_every_benchmark_and_profile_is_in_the_readme() -> None:
    for entry in discover().entries.values():
        assert entry.name in README
        assert [name for name in entry.profiles if f"`{name}`" not in README and name != entry.name] == []
