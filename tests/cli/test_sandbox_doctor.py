"""`qceval sandbox` and `qceval doctor`: what this machine has, and plain words where it has nothing."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

Cli = Callable[..., subprocess.CompletedProcess[str]]
Document = Callable[..., Any]
Refused = Callable[..., str]


@pytest.fixture
def bare(env: dict[str, str], tmp_path: object) -> None:
    """No engine answers, and no program is found."""
    env |= {"DOCKER_HOST": "unix:///nonexistent.sock", "PATH": ""}


def test_list(qceval: Cli, document: Document, usable: dict[str, str | None]) -> None:
    lines = document("sandbox", "list")
    assert [line["backend"] for line in lines] == ["docker", "namespaces"]
    for line in lines:
        assert line["usable"] == (line["why_not"] is None) == (usable[line["backend"]] is None)
        assert ("python" in line["languages"]) == line["usable"]
    shown = qceval("sandbox", "list")
    assert shown.returncode == 0
    assert "docker: " in shown.stdout
    assert "namespaces: " in shown.stdout


def test_namespaces_run_the_fixture_programs(document: Document, namespaces: str) -> None:
    lines = document("sandbox", "test", "python", "--sandbox", namespaces)
    assert [(line["language"], line["fixture"]) for line in lines] == [
        ("python", "passes"),
        ("python", "fails"),
        ("python", "broken"),
    ]
    assert all(line["ok"] for line in lines)


@pytest.mark.docker
def test_docker_runs_the_fixture_programs(qceval: Cli, docker: str) -> None:
    ran = qceval("sandbox", "test", "python", "--sandbox", docker)
    assert ran.returncode == 0, ran.stdout
    assert [line.split()[0] for line in ran.stdout.splitlines()] == ["ok", "ok", "ok"]


@pytest.mark.docker
def test_plan_builds_nothing(qceval: Cli, document: Document, docker: str) -> None:
    lines = document("sandbox", "build", "--plan")
    images = [line["image"].partition(":")[0] for line in lines]
    assert images[0] == "qceval/base"
    assert {"qceval/python", "qceval/cpp", "qceval/java"} <= set(images)
    assert all((line["id"] is None) == (line["bytes"] is None) for line in lines)
    ran = qceval("sandbox", "build", "--plan", "python")
    assert ran.returncode == 0
    assert [line.partition(":")[0] for line in ran.stdout.splitlines()] == ["qceval/base", "qceval/python"]


@pytest.mark.usefixtures("bare")
def test_without_an_engine_and_without_programs(qceval: Cli, document: Document, usable: dict[str, str | None]) -> None:
    lines = {line["backend"]: line for line in document("sandbox", "list")}
    assert lines["docker"]["usable"] is False
    assert "no Docker engine answers" in lines["docker"]["why_not"]
    assert lines["namespaces"]["usable"] == (usable["namespaces"] is None)
    tested = qceval("sandbox", "test")
    assert tested.returncode == 0
    assert "ok  docker: no Docker engine answers" in tested.stdout  # nobody asked for it by name


@pytest.mark.usefixtures("bare")
def test_what_needs_an_engine_says_so(qceval: Cli, refused: Refused) -> None:
    for arguments in (("build", "--plan"), ("build",), ("build", "--plan", "--json")):
        said = refused("sandbox", *arguments, status=3)
        assert "no Docker engine answers" in said
        assert "start the engine" in said
    ran = qceval("sandbox", "test", "--sandbox", "docker")
    assert ran.returncode == 1
    assert ran.stdout.startswith("NOT docker")
    said = refused("run", "--bench", "starter", "--sandbox", "docker", status=3)
    assert "no Docker engine answers" in said


@pytest.mark.usefixtures("bare")
def test_namespaces_need_no_engine_and_no_programs(document: Document, namespaces: str) -> None:
    report = document("run", "--bench", "starter", "--limit", 2)
    assert report["sandbox"] == namespaces
    assert report["outcomes"] == {"starter": {"passed": 2}}


@pytest.mark.parametrize("host", ["unix:///nonexistent.sock", "tcp://127.0.0.1:9", "nonsense://x", ""])
def test_doctor_whatever_docker_host_says(qceval: Cli, env: dict[str, str], host: str) -> None:
    env |= {"DOCKER_HOST": host, "PATH": ""}
    ran = qceval("doctor", "--json")
    assert ran.returncode in (0, 3)
    found = {line["what"]: line for line in json.loads(ran.stdout)}
    if host:
        assert found["sandbox docker"]["ok"] is False
        assert found["sandbox docker"]["remedy"]


def test_doctor(qceval: Cli, document: Document, sandbox: str) -> None:
    found = {line["what"]: line for line in document("doctor")}
    assert {"python", "workers", "sandbox docker", "sandbox namespaces", "data", "cache", "results"} <= set(found)
    assert found[f"sandbox {sandbox}"]["ok"]
    assert "isolation" not in found
    for line in found.values():
        assert set(line) == {"what", "ok", "found", "remedy"}
        assert line["ok"] == (line["remedy"] == "")
    shown = qceval("doctor")
    assert shown.returncode == 0
    assert len(shown.stdout.splitlines()) == len(found)
    assert all(line.startswith(("ok  ", "--  ")) for line in shown.stdout.splitlines())


def test_doctor_tells_of_data_that_is_not_there(document: Document, env: dict[str, str]) -> None:
    env["QCEVAL_DATA"] = "/nonexistent"
    found = {line["what"]: line for line in document("doctor")}
    assert found["data"]["ok"] is False
    assert "/nonexistent" in found["data"]["found"]


def test_unknown_languages(refused: Refused) -> None:
    for command in (("sandbox", "test", "--sandbox", "namespaces", "klingon"), ("sandbox", "test", "klingon")):
        assert "klingon" in refused(*command)
