"""A model's folder on this machine: found, read and named, without running any of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import InfrastructureError, InputError

TOKENIZER_FILES = (
    "added_tokens.json", "chat_template.jinja", "chat_template.json", "merges.txt", "special_tokens_map.json",
    "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json",
)  # fmt: skip
WEIGHTS = ("*.safetensors", "*.bin", "*.gguf", "*.pt")
SNAPSHOT = re.compile(r"[0-9a-f]{40}")
PIECES, PIECE = 64, 1 << 16  # of each file of weights: how many pieces are read, and their size (bytes)


@dataclass(frozen=True)
class Checkpoint:
    path: Path

    @cached_property
    def config(self) -> dict[str, Any]:
        """config.json. Raises InputError."""
        return self._read("config.json", needed=True)

    @cached_property
    def generation_config(self) -> dict[str, Any]:
        return self._read("generation_config.json", needed=False)

    @cached_property
    def revision(self) -> str:
        """The commit where the folder is a hub's snapshot; else a digest of config and weights.

        Of each file of weights its size and 64 pieces of 64 KiB, evenly spread, are read: any training moves all of
        them, and a model of 60 GB is named within a second.
        """
        if SNAPSHOT.fullmatch(self.path.name) and self.path.parent.name == "snapshots":
            return self.path.name
        digest = hashlib.sha256((self.path / "config.json").read_bytes())
        found = sorted({file for pattern in WEIGHTS for file in self.path.glob(pattern)})
        for file in found:
            size = file.stat().st_size
            digest.update(f"{file.name} {size}\n".encode())
            with file.open("rb") as opened:
                for piece in range(PIECES):
                    opened.seek(max(0, (size - PIECE) * piece // (PIECES - 1)))
                    digest.update(opened.read(PIECE))
        return digest.hexdigest()

    @cached_property
    def tokenizer(self) -> str:
        """A digest of everything that turns text into tokens, the chat template among it."""
        return files_digest(self.path / name for name in TOKENIZER_FILES)

    def end_tokens(self) -> set[int]:
        """Ids of the tokens that the model's own files say end its text."""
        found: set[int] = set()
        for place in (self.config, self.generation_config):
            ids = place.get("eos_token_id")
            found.update(one for one in (ids if isinstance(ids, list) else [ids]) if isinstance(one, int))
        return found

    def _read(self, name: str, needed: bool) -> dict[str, Any]:
        file = self.path / name
        if not file.exists() and not needed:
            return {}
        try:
            document = json.loads(file.read_text())
        except OSError as error:
            raise InputError(
                f"{file}: {error.strerror}; a model's folder holds config.json, tokenizer, weights"
            ) from None
        except (ValueError, RecursionError) as error:
            raise InputError(f"{file}: not JSON ({str(error)[:80]}); get the model again") from None
        if not isinstance(document, dict):
            raise InputError(f"{file}: not a JSON object; get the model again")
        return document


def files_digest(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(f"{file.name} {hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def checkpoint(model: str, revision: str | None = None, offline: bool = False) -> Checkpoint:
    """The model of this path or hub name, downloaded where it is not here.

    Raises InputError where there is no such model, InfrastructureError where the hub does not answer.
    """
    path = Path(model).expanduser()
    if path.exists():
        if not path.is_dir():
            raise InputError(f"--model {model}: a file; give the folder that holds config.json, tokenizer and weights")
        return Checkpoint(path.resolve())
    if model.startswith((".", "/", "~")) or not re.fullmatch(r"[\w.-]+/[\w.-]+", model):
        raise InputError(f"--model {model}: no such folder; give a model's folder, or its hub name as OWNER/NAME")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise InfrastructureError(
            f"--model {model}: not on this machine; give a folder, or install qwencoder_eval[hf] to have it downloaded"
        ) from None
    try:
        return Checkpoint(Path(snapshot_download(model, revision=revision, local_files_only=offline)))
    except LocalEntryNotFoundError:
        where = "and --offline is set" if offline else "and its hub does not answer"
        raise InfrastructureError(
            f"--model {model}: not on this machine {where}; get it first, or give a folder"
        ) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise InputError(f"--model {model}: cannot be had ({said}); correct the name or --revision") from None
