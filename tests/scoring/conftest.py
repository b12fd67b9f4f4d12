"""The backends that isolate, each with what is missing said where it cannot be used."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qwencoder_eval.sandboxes.base import Backend
from qwencoder_eval.sandboxes.choose import backend as make
from qwencoder_eval.sandboxes.pool import Pool

ISOLATING = [
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("namespaces", marks=pytest.mark.namespaces),
]


@pytest.fixture(scope="session", params=ISOLATING)
def backend(request: pytest.FixtureRequest) -> Backend:
    made = make(request.param)
    if reason := made.why_not():
        pytest.skip(f"{request.param}: {reason}")
    return made


@pytest.fixture(scope="session")
def pool(backend: Backend) -> Iterator[Pool]:
    with Pool(backend, 1) as opened:
        yield opened
