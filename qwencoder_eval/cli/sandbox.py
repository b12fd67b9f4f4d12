"""`qceval sandbox`: build, list and test the places where programs run."""

from __future__ import annotations

import secrets
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import click

from ..errors import InfrastructureError
from ..sandboxes import images
from ..sandboxes.base import Backend
from ..sandboxes.choose import backend
from ..sandboxes.docker import DockerBackend
from ..sandboxes.languages import Language, language, languages
from ..sandboxes.namespaces import NamespacesBackend
from ..sandboxes.pool import Pool
from ..scoring.programs import shows
from ..types import Limits, Program
from . import options
from .options import print_json, say

BACKENDS = ("docker", "namespaces")


@click.group("sandbox")
def sandbox_command() -> None:
    """Build, list and test sandboxes.

    Example: qceval sandbox test --sandbox docker
    """


def engine() -> DockerBackend:
    docker = DockerBackend()
    if reason := docker.why_not():
        raise InfrastructureError(f"docker: {reason}; start the engine")
    return docker


@sandbox_command.command("build")
@click.argument("names", nargs=-1, metavar="[LANGUAGE]...")
@click.option("--plan", is_flag=True, help="Say what is missing and how large the rest is; build nothing.")
@options.as_json
def build_images(names: tuple[str, ...], plan: bool, as_json: bool) -> None:
    """Build the Docker images that are not there yet; images are reused by content."""
    docker = engine()
    wanted = [language(name) for name in names] or [each for each in languages().values() if each.built]
    named = [images.BASE, *dict.fromkeys(each.image for each in wanted)]
    if plan:
        found = [images.find(docker.client, image) for image in named]
    else:
        with ThreadPoolExecutor(options.cores()) as pool:
            found = list(pool.map(lambda image: images.build(docker.client, image, say), named))
    lines: list[dict[str, Any]] = []
    for image, built in zip(named, found, strict=True):
        size = built.attrs["Size"] if built else None
        lines.append({"image": images.tag(image), "id": built.id if built else None, "bytes": size})
    if as_json:
        print_json(lines)
        return
    for line in lines:
        click.echo(f"{line['image']}: " + (f"{line['bytes'] / 1e6:.0f} MB" if line["id"] else "missing"))


@sandbox_command.command("list")
@options.as_json
def list_sandboxes(as_json: bool) -> None:
    """Which backends this machine has, and what each language runs with."""
    lines: list[dict[str, Any]] = []
    for name in BACKENDS:
        chosen = backend(name)
        reason = chosen.why_not()
        lines.append({"backend": name, "usable": reason is None, "why_not": reason, "languages": {}})
        for wanted in languages().values() if reason is None else ():
            lines[-1]["languages"][wanted.name] = state(chosen, wanted)
    if as_json:
        print_json(lines)
        return
    for line in lines:
        click.echo(f"{line['backend']}: {'usable' if line['usable'] else line['why_not']}")
        for name, text in line["languages"].items():
            click.echo(f"  {name}: {text}")


def state(chosen: Backend, wanted: Language) -> str:
    if isinstance(chosen, DockerBackend):
        if found := images.find(chosen.client, wanted.image):
            return f"{images.tag(wanted.image)} {found.id[:19]}, {found.attrs['Size'] / 1e6:.0f} MB"
        return f"image not built; qceval sandbox build {wanted.name}" if wanted.built else "never built here"
    return chosen.identity(wanted)["version"]


def is_here(chosen: Backend, wanted: Language) -> bool:
    """Whether a language can be run without building or installing anything."""
    if isinstance(chosen, DockerBackend):
        return images.find(chosen.client, wanted.image) is not None
    return not isinstance(chosen, NamespacesBackend) or chosen.missing(wanted) is None


@sandbox_command.command("test")
@click.argument("names", nargs=-1, metavar="[LANGUAGE]...")
@click.option("--sandbox", "sandbox_name", type=click.Choice([*BACKENDS]), help="Only this backend.")
@options.as_json
def test_sandboxes(names: tuple[str, ...], sandbox_name: str | None, as_json: bool) -> int:
    """Run three programs of each language: one passes, one fails a test, one is broken. Exit 1 where one does not.

    Without names, of the languages that are here: whose images are built, or whose tools this machine has.

    Example: qceval sandbox test python cpp
    """
    lines: list[dict[str, Any]] = []
    for name in [sandbox_name] if sandbox_name else BACKENDS:
        chosen = backend(name)
        if reason := chosen.why_not():
            lines.append({"backend": name, "language": None, "fixture": None, "ok": not sandbox_name, "said": reason})
            continue
        with Pool(chosen, 1) as pool:
            here = [each.name for each in languages().values() if is_here(chosen, each)]
            for wanted in map(language, names or here):
                for fixture in wanted.fixtures:
                    started = time.monotonic()
                    ok, said = run_fixture(wanted, fixture, pool)
                    said += f" after {1000 * (time.monotonic() - started):.0f} ms"
                    lines.append({"backend": name, "language": wanted.name, "fixture": fixture, "ok": ok, "said": said})
    if as_json:
        print_json(lines)
    else:
        for line in lines:
            what = " ".join(str(line[key]) for key in ("backend", "language", "fixture") if line[key])
            click.echo(f"{'ok ' if line['ok'] else 'NOT'} {what}: {line['said']}")
    return int(not all(line["ok"] for line in lines))


def run_fixture(wanted: Language, fixture: str, pool: Pool) -> tuple[bool, str]:
    """Whether a fixture program does what its name says, and what it did.

    ``passes`` ends well and comes past its last test; ``fails`` does not, and shows that a test failed; ``broken`` is
    refused by the compiler, or by the syntax check and when it runs.
    """
    nonce = secrets.token_hex(16)
    source = wanted.fixtures[fixture].replace("@finish@", wanted.finishing(nonce))
    program = Program(wanted.name, {wanted.file: source}, limits=Limits(cpu_s=20), reports=True)
    result = pool.run(program)
    said = f"{result.ending} {result.status}"
    if (words := (result.stderr or result.stdout).decode("utf-8", "replace").strip()) and fixture == "passes":
        said += f" ({words.splitlines()[0][:200]})"
    output = (result.stdout + b"\n" + result.stderr).decode("utf-8", "replace")
    finished = bytes(result.answers) == nonce.encode()
    ended_well = (result.ending, result.status) == ("exit", 0) and not shows(wanted.fails_on, output)
    if fixture == "passes":
        return ended_well and finished, said
    if fixture == "fails":
        failed = not ended_well or not finished
        return failed and result.ending != "compile_error" and (not wanted.wrong or shows(wanted.wrong, output)), said
    if wanted.compile:
        return result.ending == "compile_error", said
    checked = pool.run(replace(program, check=True)) if wanted.check else None
    refused = checked is None or (checked.ending, checked.status) != ("exit", 0)
    return refused and not ended_well and shows(wanted.broken, output), said
