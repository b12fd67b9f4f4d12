"""Which kind of sandbox: docker where an engine answers, else namespaces; none only for trusted programs."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import InfrastructureError, UsageError
from .base import Backend
from .docker import DockerBackend
from .languages import language
from .namespaces import NamespacesBackend
from .none import NoneBackend

NAMES = ("auto", "docker", "namespaces", "none")


def backend(name: str, runtime: str | None = None) -> Backend:
    if name == "docker":
        return DockerBackend(runtime)
    return NamespacesBackend() if name == "namespaces" else NoneBackend()


def choose(name: str, trusted: bool, say: Callable[[str], None], runtime: str | None = None) -> Backend:
    """The backend that ``name`` asks for. ``trusted``: the programs are references, or the user said --unsafe.

    Raises UsageError for ``none`` with untrusted programs, InfrastructureError where nothing here isolates.
    """
    if name == "none":
        if not trusted:
            raise UsageError("--sandbox none: would run model output unprotected; add --unsafe to do it all the same")
        return NoneBackend()
    if name != "auto":
        chosen = backend(name, runtime)
        if reason := chosen.why_not():
            raise InfrastructureError(f"--sandbox {name}: {reason}; see qceval doctor")
        return chosen
    reasons = []
    for chosen in (DockerBackend(runtime), NamespacesBackend()):
        reason = chosen.why_not()
        if reason is None and isinstance(chosen, DockerBackend):
            try:
                chosen.image(language("python"))
            except InfrastructureError as error:
                reason = str(error)
                say(f"docker: {reason}")
        if reason is None:
            return chosen
        reasons.append(f"{chosen.name}: {reason}")
    if trusted:
        return NoneBackend()
    raise InfrastructureError("no sandbox: " + "; ".join(reasons) + "; install Docker, or see qceval doctor")
