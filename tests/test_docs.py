"""What the documentation shows can be used as it stands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qwencoder_eval.regression.nightly import read_plan

DOCS = Path(__file__).resolve().parents[1] / "docs"


@pytest.mark.parametrize("file", sorted((DOCS / "workflows").glob("*.yml")), ids=lambda file: file.name)
def test_a_workflow_is_what_github_takes(file: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    ran = subprocess.run([*command, file], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    broken = tmp_path / "broken.yml"
    broken.write_text(file.read_text().replace("runs-on:", "runs-onn:"))
    assert subprocess.run([*command, broken], capture_output=True, check=False).returncode == 1


def test_the_nights_file_that_is_shown(tmp_path: Path) -> None:
    text = (DOCS / "nightly.md").read_text()
    file = tmp_path / "nightly.toml"
    file.write_text(text.partition("```toml\n")[2].partition("```")[0])
    plan = read_plan(file)
    assert [table.bench for table in plan.benchmark] == ["humaneval,mbpp", "multipl-e"]
    assert plan.model[0].options == {"model": "/checkpoints/latest", "dtype": "bfloat16"}
