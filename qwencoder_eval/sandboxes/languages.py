"""Languages as data: sandbox/languages.toml, read once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from ..config import bundled
from ..errors import UsageError

FIXTURES = ("passes", "fails", "broken")


@dataclass(frozen=True, slots=True)
class Language:
    """How to run programs of one language, and what a sandbox for them may use (bytes, counts).

    What each field means is said at the head of sandbox/languages.toml.
    """

    name: str
    image: str
    file: str
    run: tuple[str, ...]
    version: tuple[str, ...]
    check: tuple[str, ...] | None = None
    compile: tuple[str, ...] | None = None
    warm: tuple[str, ...] | None = None
    service: tuple[str, ...] | None = None
    service_args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    fails_on: str | None = None
    wrong: str | None = None
    broken: str | None = None
    finish: str = ""
    built: bool = True
    packages: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    memory_bytes: int = 0
    disk_bytes: int = 0
    disk_files: int = 0
    file_bytes: int = 0
    processes: int = 0
    open_files: int = 0
    stack_bytes: int = 0

    @property
    def fixtures(self) -> dict[str, str]:
        """The programs of sandbox/fixtures: one passes, one fails a test, one is broken."""
        folder, suffix = bundled("sandbox") / "fixtures" / self.name, Path(self.file).suffix
        return {kind: (folder / f"{kind}{suffix}").read_text() for kind in FIXTURES}

    def finishing(self, nonce: str) -> str:
        """The statement that writes ``nonce`` (letters and digits) to descriptor 3."""
        return self.finish.replace("{nonce}", nonce).replace("{size}", str(len(nonce)))


@cache
def languages() -> dict[str, Language]:
    """All languages by name."""
    tables = tomllib.loads((bundled("sandbox") / "languages.toml").read_text())
    limits = tables.pop("limits")
    found = {}
    for name, table in tables.items():
        fields = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
        found[name] = Language(name=name, **{**limits, **fields})
    return found


def language(name: str) -> Language:
    try:
        return languages()[name]
    except KeyError:
        raise UsageError(f"language {name!r}: unknown; known: {', '.join(sorted(languages()))}") from None
