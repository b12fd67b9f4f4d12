"""`qceval doctor`: what this machine can do, and what to do about the rest."""

from __future__ import annotations

import importlib.util
import os
import platform
from typing import Any

import click

from ..config import cache_folder, data_folder, results_folder
from ..errors import QcevalError
from ..models.choose import gpus
from ..sandboxes import images
from ..sandboxes.choose import backend
from ..sandboxes.docker import DockerBackend
from ..sandboxes.languages import languages
from ..sandboxes.pool import memory_for_each
from . import options
from .options import cores, print_json

EXTRAS = {"hf": ("datasets", "transformers"), "evalplus": ("evalplus",), "vllm": ("vllm",), "ray": ("ray",)}


def findings() -> list[dict[str, Any]]:
    """One line a fact: what, whether it is as it should be, what was found, what to do."""
    found = []

    def tell(what: str, ok: bool, said: str, remedy: str = "") -> None:
        found.append({"what": what, "ok": ok, "found": said, "remedy": "" if ok else remedy})

    tell("python", True, platform.python_version())
    tell("workers", True, f"{cores()} cores")
    isolated = False
    for name in ("docker", "namespaces"):
        chosen = backend(name)
        reason = chosen.why_not()
        isolated = isolated or reason is None
        remedy = "start a Docker engine" if name == "docker" else "run as root, or let users make namespaces"
        tell(f"sandbox {name}", reason is None, reason or "usable", remedy)
        if isinstance(chosen, DockerBackend) and reason is None:
            named = {each.image for each in languages().values() if each.built}
            there = sorted(image for image in named if images.find(chosen.client, image))
            said = f"{len(there)} of {len(named)} built: {', '.join(there) or 'none'}"
            tell("images", bool(there), said, "they are built when they are needed, or by qceval sandbox build")
    if not isolated:
        tell("isolation", False, "none: only reference solutions can be run", "install Docker")
    wanted = max(each.memory_bytes for each in languages().values())
    memory = memory_for_each(wanted, cores())
    tell("memory", memory >= wanted, f"{memory / 2**30:.1f} GiB a program", "fewer --workers give each more")
    try:
        data = data_folder()
        tell("data", data is not None, str(data or "QCEVAL_DATA is not set"), "set QCEVAL_DATA, or qceval data pull")
    except QcevalError as error:
        tell("data", False, str(error), "correct QCEVAL_DATA")
    for what, folder in (("cache", cache_folder()), ("results", results_folder())):
        place = next(path for path in [folder.absolute(), *folder.absolute().parents] if path.exists())
        tell(what, os.access(place, os.W_OK), str(folder), f"make {place} writable")
    tell("gpus", True, str(gpus() or "none: models run on the processor, or on a server"))
    for extra, modules in EXTRAS.items():
        missing_modules = [module for module in modules if importlib.util.find_spec(module) is None]
        said = "installed" if not missing_modules else "not installed"
        tell(f"extra {extra}", not missing_modules, said, f"pip install 'qwencoder_eval[{extra}]' where it is needed")
    return found


@click.command("doctor")
@options.as_json
def doctor_command(as_json: bool) -> int:
    """Look at this machine: sandboxes, memory, data, extras. Exit 3 where nothing isolates model output.

    Example: qceval doctor
    """
    found = findings()
    if as_json:
        print_json(found)
    else:
        width = max(len(line["what"]) for line in found)
        for line in found:
            remedy = f"  → {line['remedy']}" if line["remedy"] else ""
            click.echo(f"{'ok' if line['ok'] else '--'}  {line['what']:<{width}}  {line['found']}{remedy}")
    return 3 if any(line["what"] == "isolation" for line in found) else 0
