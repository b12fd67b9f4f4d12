"""Nights of a real server: its checkpoint unchanged, made worse on purpose, and gone."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("vllm", reason="no engines here: .ci/vllm puts them into build/vllm")
from serving import Serving

pytestmark = [pytest.mark.engine, pytest.mark.filterwarnings("ignore")]
NOISE = 0.4  # of a matrix: its standard deviation, in that of its own weights


def made_worse(folder: Path, into: Path) -> Path:
    """The same checkpoint with noise on its weights."""
    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(folder, into)
    weights = load_file(into / "model.safetensors")
    chance = torch.Generator().manual_seed(0)
    for name, weight in weights.items():
        if weight.dim() == 2:
            noise = torch.randn(weight.shape, generator=chance) * weight.float().std() * NOISE
            weights[name] = weight + noise.to(weight.dtype)
    save_file(weights, into / "model.safetensors", metadata={"format": "pt"})
    return into


def test_nights_of_a_server(
    tiny: Path,
    known: dict[str, Any],
    qceval: Callable[..., subprocess.CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    plan = tmp_path / "nightly.toml"

    def night(name: str, serving: Serving, *more: str) -> tuple[int, dict[str, Any]]:
        """Each night's server has a port of its own; where it is does not matter to what is compared."""
        plan.write_text(
            f"""
            baseline = "baselines"
            [[model]]
            name = "tiny"
            model = "tiny"
            base-url = "{serving.url}"
            attempts = 2
            [[benchmark]]
            bench = "starter"
            """
        )
        ran = qceval("nightly", plan, "--night", name, "--json", *more)
        assert "Traceback" not in ran.stderr
        assert ran.stdout, ran.stderr
        return ran.returncode, json.loads(ran.stdout)

    serving = Serving(tiny / "base", tmp_path / "server.log")
    try:
        assert night("1", serving, "--accept")[0] == 0
        status, unchanged = night("2", serving)
        assert status == 0
        assert unchanged["tests"][0]["base"] == sum(one["right"] for one in known["starter"].values()) / 24
        assert unchanged["tests"][0]["difference"] == 0
    finally:
        serving.kill()

    worse = Serving(made_worse(tiny / "base", tmp_path / "worse"), tmp_path / "worse.log")
    try:
        status, found = night("3", worse)
        (test,) = found["tests"]
        assert status == 1, test
        assert test["failed"]
        assert len(test["lost"]) >= 5
        assert set(test["lost"]) <= {problem for problem, one in known["starter"].items() if one["right"]}
        summary = (tmp_path / "nights" / "3" / "summary.md").read_text()
        assert all(problem in summary for problem in test["lost"])
    finally:
        worse.kill()

    status, gone = night("4", worse)
    assert status == 3
    assert gone["tests"] == []
    assert "tiny" in gone["trouble"]
