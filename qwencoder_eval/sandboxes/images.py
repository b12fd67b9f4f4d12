"""Sandbox images: built from sandbox/images, named by the content of what they are built from, and reused.

``qceval/python:3f2a...`` is the image of exactly this Dockerfile, base and agent. The digest that a run records is
the image's own. Every image lies on ``base``; the agent comes last, so that a new agent leaves the tools as they are.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
import threading
from collections.abc import Callable
from typing import Any

from ..config import bundled
from ..errors import InfrastructureError

AGENT_FILES = ("agent.py", "calls.py", "script.py", "service.py", "suite.py", "watch.py")
BASE = "base"
AGENT_LAYER = f"""
COPY {" ".join(AGENT_FILES)} /opt/qceval/
ENTRYPOINT ["python3", "-s", "/opt/qceval/agent.py"]
"""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_base_mutex = threading.Lock()  # images build in parallel, what they share once


def build_context(image: str) -> bytes:
    """The build context as a tar file, equal bytes for equal content."""
    sandbox = bundled("sandbox")
    folder = sandbox / "images" / image
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    if image != BASE:
        files |= {name: (sandbox / name).read_bytes() for name in AGENT_FILES}
        files["Dockerfile"] += AGENT_LAYER.encode()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def agent_digest() -> str:
    """Of everything that runs inside a sandbox on our part."""
    files = [(bundled("sandbox") / name).read_bytes() for name in AGENT_FILES]
    return hashlib.sha256(b"\0".join(files)).hexdigest()[:12]


def tag(image: str) -> str:
    content = build_context(image) + (b"" if image == BASE else tag(BASE).encode())
    return f"qceval/{image}:{hashlib.sha256(content).hexdigest()[:12]}"


def find(client: Any, image: str) -> Any | None:
    """The built image, or None."""
    from docker.errors import ImageNotFound

    try:
        return client.images.get(tag(image))
    except ImageNotFound:
        return None


def build(client: Any, image: str, say: Callable[[str], None]) -> Any:
    """Build an image unless it is there. Raises InfrastructureError with the last line of the build."""
    from docker.errors import APIError, BuildError

    if (found := find(client, image)) is not None:
        return found
    if image != BASE:
        with _base_mutex:
            build(client, BASE, say)
    say(f"building sandbox image {tag(image)} (once)")
    try:
        built, _ = client.images.build(
            fileobj=io.BytesIO(build_context(image)), custom_context=True, tag=tag(image), rm=True,
            forcerm=True, network_mode="host", buildargs={"BASE": tag(BASE)},
            labels={} if image == BASE else {"qceval": "image"},
        )  # fmt: skip
    except (BuildError, APIError) as error:
        raise InfrastructureError(
            f"image {image}: cannot be built ({reason(error)}); see `qceval doctor`, or use --sandbox namespaces"
        ) from None
    return built


def reason(error: Any) -> str:
    """What the failed command said last, and which command it was, as one line."""
    log = "".join(str(line.get("stream", "")) for line in getattr(error, "build_log", ()))
    lines = [line.strip() for line in COLOUR.sub("", log).splitlines()]
    last = [line[:200] for line in lines if line and not line.startswith(("Removing intermediate", "--->", "Step "))]
    said = str(getattr(error, "explanation", None) or error)
    return " ".join(" ".join([*last[-3:], said]).split())[:700]
