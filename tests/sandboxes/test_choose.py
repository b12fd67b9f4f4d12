"""Which sandbox is taken where nothing is asked for, and what is refused."""

from __future__ import annotations

import pytest

from qwencoder_eval.errors import InfrastructureError, UsageError
from qwencoder_eval.sandboxes.choose import choose
from qwencoder_eval.sandboxes.docker import DockerBackend
from qwencoder_eval.sandboxes.namespaces import NamespacesBackend


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """Why each backend cannot be used on a made-up machine; None: it can."""
    reasons: dict[str, str | None] = {"docker": None, "namespaces": None, "image": None}

    def image(self: DockerBackend, language: object) -> None:
        if reasons["image"]:
            raise InfrastructureError(reasons["image"])

    monkeypatch.setattr(DockerBackend, "why_not", lambda self: reasons["docker"])
    monkeypatch.setattr(DockerBackend, "image", image)
    monkeypatch.setattr(NamespacesBackend, "why_not", lambda self: reasons["namespaces"])
    return reasons


def test_docker_first_then_namespaces(machine: dict[str, str | None]) -> None:
    assert choose("auto", trusted=False, say=print).name == "docker"
    machine["docker"] = "no engine"
    assert choose("auto", trusted=False, say=print).name == "namespaces"


def test_an_image_that_cannot_be_built_is_said_and_passed_over(machine: dict[str, str | None]) -> None:
    machine["image"], said = "no registry", list[str]()
    assert choose("auto", trusted=False, say=said.append).name == "namespaces"
    assert said == ["docker: no registry"]


def test_where_nothing_isolates_only_trusted_programs_run(machine: dict[str, str | None]) -> None:
    machine["docker"], machine["namespaces"] = "no engine", "not allowed"
    assert choose("auto", trusted=True, say=print).name == "none"
    with pytest.raises(InfrastructureError, match="no sandbox: docker: no engine; namespaces: not allowed; install"):
        choose("auto", trusted=False, say=print)


def test_what_is_asked_for_is_not_replaced(machine: dict[str, str | None]) -> None:
    machine["docker"] = "no engine"
    with pytest.raises(InfrastructureError, match="--sandbox docker: no engine"):
        choose("docker", trusted=True, say=print)
    assert choose("namespaces", trusted=True, say=print).name == "namespaces"


def test_none_is_for_trusted_programs(machine: dict[str, str | None]) -> None:
    assert choose("none", trusted=True, say=print).name == "none"
    with pytest.raises(UsageError, match="--unsafe"):
        choose("none", trusted=False, say=print)
