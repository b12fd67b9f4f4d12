"""A backend by name, skipped with its reason where this machine does not have it."""

from __future__ import annotations

import pytest

from qwencoder_eval.sandboxes.choose import backend as make


@pytest.fixture
def sandbox(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if reason := make(name).why_not():
        pytest.skip(f"{name}: {reason}")
    return name
