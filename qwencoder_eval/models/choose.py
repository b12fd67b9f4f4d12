"""Which backend answers for a model, and the model made ready."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import cache_folder
from ..errors import InfrastructureError, InputError, UsageError
from ..runs.cache import Cache
from ..runs.directory import safe_name
from .base import Model
from .checkpoint import checkpoint
from .engine import EngineModel, EngineOptions
from .openai import OpenAIModel, ServerOptions
from .profiles import Kind, by_name, kind_by_name, named
from .remembered import Remembered
from .rendering import Renderer

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What a command line says of a model. ``name`` is how results are filed, ``path`` where it is."""

    model: str
    name: str = ""
    revision: str | None = None
    profile: str | None = None
    kind: Kind | None = None
    system: str | None = None
    template: Path | None = None
    force: bool = False
    offline: bool = False
    tokenizer: str | None = None
    engine: EngineOptions = field(default_factory=EngineOptions)
    server: ServerOptions | None = None

    @property
    def filed(self) -> str:
        """A folder is filed by its last name, a hub's model by its whole one."""
        path = Path(self.model).expanduser()
        return self.name or (path.resolve().name if path.exists() else self.model)

    def renderer(self, where: str) -> Renderer:
        """Raises InputError and InfrastructureError."""
        found = checkpoint(where, self.revision, self.offline)
        return Renderer(found, self.filed, self.profile, self.kind, self.system, self.template, self.force)


def backend_for(wanted: str, server: bool) -> tuple[str, str]:
    """The backend's name and why. Raises UsageError and InfrastructureError."""
    if wanted == "openai" and not server:
        raise UsageError(
            "--backend openai: give the server's address with --base-url, such as http://127.0.0.1:8000/v1"
        )
    if server and wanted not in ("auto", "openai"):
        raise UsageError(f"--base-url: is for --backend openai, not {wanted}; drop one of them")
    if wanted != "auto":
        if wanted in ("vllm", "transformers") and not importlib.util.find_spec(wanted):
            extra = "vllm" if wanted == "vllm" else "hf"
            raise InfrastructureError(f"--backend {wanted}: not installed; pip install 'qwencoder_eval[{extra}]'")
        return wanted, "as asked for"
    if server:
        return "openai", "a --base-url is given"
    if importlib.util.find_spec("vllm"):
        return "vllm", "it is installed"
    if importlib.util.find_spec("transformers") and importlib.util.find_spec("torch"):
        return "transformers", "vllm is not installed; it would be faster"
    raise InfrastructureError(
        "no backend: neither vllm nor transformers is installed; pip install 'qwencoder_eval[vllm]', or name a server "
        "with --base-url"
    )


@contextmanager
def ready(wanted: Wanted, backend: str, out: Path, cached: bool, say: Say) -> Iterator[Model]:
    """The model behind this backend, to be closed at the end. Raises QcevalError of every kind."""
    name, why = backend_for(backend, wanted.server is not None)
    if name == "openai":
        assert wanted.server is not None
        server = server_model(wanted, wanted.server)
        try:
            yield server
        finally:
            if any(server.usage().values()):
                say(f"{server.name}: " + ", ".join(f"{value:.10g} {name}" for name, value in server.usage().items()))
        return
    if name == "transformers":
        check_plain(wanted.engine)
    if wanted.engine.data_parallel * wanted.engine.tensor_parallel * wanted.engine.pipeline_parallel > 1:
        enough_devices(wanted.engine)
    check_lora(wanted.engine)
    renderer = wanted.renderer(wanted.model)
    say(
        f"{wanted.filed}: backend {name} ({why}), a {renderer.kind} model, profile {renderer.profile.name} "
        f"({renderer.why})"
    )
    log = out / safe_name(wanted.filed) / "engine.log"
    model = EngineModel(wanted.filed, name, renderer, wanted.engine, log, say)  # type: ignore[arg-type]
    if not cached:
        yield model
        return
    cache = Cache(cache_folder() / "completions.sqlite", say)
    remembered = Remembered(model, cache)
    try:
        yield remembered
    finally:
        cache.close()
        if remembered.known:
            say(f"{wanted.filed}: {remembered.known} completions were known and not generated again")


def server_model(wanted: Wanted, options: ServerOptions) -> OpenAIModel:
    if wanted.offline:
        raise UsageError(f"--offline: {options.base_url} is a connection; drop one of them")
    renderer = wanted.renderer(wanted.tokenizer) if wanted.tokenizer else None
    if renderer:
        profile, because, kind = renderer.profile, renderer.why, renderer.kind
    else:
        if wanted.system is not None or wanted.template is not None:
            raise UsageError(
                "--system and --chat-template: a server renders chats itself; name the model's --tokenizer too"
            )
        profile, because = (named(wanted.profile), "--model-profile") if wanted.profile else by_name(wanted.model)
        # Of a model that nothing is known of, a name that says nothing is no reason to refuse.
        known = profile.name != "generic" or kind_by_name(wanted.model) == "chat"
        kind = wanted.kind or (kind_by_name(wanted.model) if known else None)  # type: ignore[assignment]
    return OpenAIModel(wanted.model, options, profile, because, kind, renderer, wanted.force)


def check_plain(options: EngineOptions) -> None:
    """Raises UsageError for what only vLLM has: an option is never passed over in silence."""
    plain = EngineOptions()
    for name in ("quantization", "tensor_parallel", "pipeline_parallel", "gpu_memory", "engine_args"):
        if getattr(options, name) != getattr(plain, name):
            flag = "--engine-arg" if name == "engine_args" else f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag}: only vLLM has it; use --backend vllm, or drop it")


def enough_devices(options: EngineOptions) -> None:
    """Raises UsageError where a work is to be shared by more GPUs than there are; processors need none."""
    each = options.tensor_parallel * options.pipeline_parallel
    if each == 1:
        return  # engines side by side run on processors too
    found = gpus()
    if found < each * options.data_parallel:
        raise UsageError(
            f"--tensor-parallel {options.tensor_parallel} --pipeline-parallel {options.pipeline_parallel} "
            f"--data-parallel {options.data_parallel}: need {each * options.data_parallel} GPUs, there are {found}"
        )


def gpus() -> int:
    """NVIDIA's or AMD's, as the kernel shows them; what CUDA_VISIBLE_DEVICES leaves of them."""
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return len([one for one in visible.split(",") if one.strip() and one.strip() != "-1"])
    nvidia = [one for one in Path("/dev").glob("nvidia*") if one.name.removeprefix("nvidia").isdigit()]
    return len(nvidia) or len(list(Path("/dev/dri").glob("renderD*") if Path("/dev/kfd").exists() else ()))


def check_lora(options: EngineOptions) -> None:
    """Raises InputError where the adapter cannot be used."""
    if not options.lora:
        return
    file = Path(options.lora) / "adapter_config.json"
    try:
        found: Any = json.loads(file.read_text())
        int(found["r"])
    except OSError as error:
        raise InputError(f"--lora {options.lora}: {error.strerror}; give a folder with adapter_config.json") from None
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{file}: has no rank r; give a LoRA adapter's folder") from None
