"""Images: named by their content, built once, and one plain line where that fails."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest

from qwencoder_eval.config import bundled
from qwencoder_eval.errors import InfrastructureError
from qwencoder_eval.sandboxes import images
from qwencoder_eval.sandboxes.docker import DockerBackend
from qwencoder_eval.sandboxes.languages import languages

NAMES = sorted(path.name for path in (bundled("sandbox") / "images").iterdir() if path.is_dir())


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the folder sandbox/ that a test may change."""
    shutil.copytree(bundled("sandbox"), tmp_path / "sandbox", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(images, "bundled", lambda name: tmp_path / name)
    return tmp_path / "sandbox"


@pytest.fixture
def docker() -> None:
    if reason := DockerBackend().why_not():
        pytest.skip(f"docker: {reason}")


def entries(context: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(context)) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", NAMES)
def test_every_image_lies_on_the_base_and_ends_with_the_agent(name: str) -> None:
    files = entries(images.build_context(name))
    text = files["Dockerfile"].decode()
    if name == images.BASE:
        assert text.startswith("FROM debian:bookworm-slim\n")
        return
    assert "ARG BASE\n" in text
    assert "FROM ${BASE}\n" in text or "FROM ${BASE} AS " in text  # or is made by it, of an older system
    assert text.endswith('ENTRYPOINT ["python3", "-s", "/opt/qceval/agent.py"]\n')
    assert {"agent.py", "calls.py", "service.py", "suite.py", "watch.py"} <= set(files)
    for line in text.splitlines():  # what is copied is there
        if line.startswith("COPY ") and not line.startswith("COPY --from"):
            assert all(part in files for part in line.split()[1:-1])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_fetched_is_not_left_in_the_image(name: str) -> None:
    text = entries(images.build_context(name))["Dockerfile"].decode()
    last_stage = text[text.rindex("FROM ") :]  # what an earlier one fetched stays behind with it
    assert last_stage.count("apt-get update") == last_stage.count("/var/lib/apt/lists/*")


def test_every_language_has_an_image_and_every_image_a_language() -> None:
    assert {each.image for each in languages().values()} | {images.BASE} == set(NAMES)


def test_equal_content_has_an_equal_name(ours: Path) -> None:
    before = images.tag("php")
    assert images.tag("php") == before
    (ours / "images" / "php" / "Dockerfile").touch()
    (ours / "images" / "lua" / "Dockerfile").write_text("FROM nothing\n")
    assert images.tag("php") == before


@pytest.mark.parametrize("file", ["images/php/Dockerfile", "images/base/Dockerfile", "agent.py", "service.py"])
def test_other_content_has_another_name(ours: Path, file: str) -> None:
    before = images.tag("php")
    with (ours / file).open("a") as opened:
        opened.write("# changed\n")
    assert images.tag("php") != before


@pytest.mark.docker
@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo the mirror is down >&2; exit 7", "the mirror is down"),
        ("head -c 1 /dev/zero > /dev/full", "No space left on device"),
        ("apt-get install -y no-such-package", "Unable to locate package no-such-package"),
    ],
)
def test_a_build_that_fails_is_one_line_with_its_reason(ours: Path, docker: None, command: str, said: str) -> None:
    (ours / "images" / "bash" / "Dockerfile").write_text(f"ARG BASE\nFROM ${{BASE}}\nRUN {command}\n")
    with pytest.raises(InfrastructureError) as caught:
        images.build(DockerBackend().client, "bash", lambda text: None)
    assert str(caught.value).startswith("image bash: cannot be built")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "--sandbox namespaces" in str(caught.value)


@pytest.mark.docker
def test_a_built_image_is_used_again(docker: None) -> None:
    said: list[str] = []
    client = DockerBackend().client
    first = images.build(client, "bash", said.append)
    said.clear()
    assert images.build(client, "bash", said.append).id == first.id
    assert said == []
    assert first.labels["qceval"] == "image"


def test_an_engine_without_permission_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setattr("socket.socket.connect", refuse)
    assert DockerBackend().why_not() == "no Docker engine answers at unix:///var/run/docker.sock (Permission denied)"
