"""Where things are: the project's own folders, the user's data, cache and results.

Settings come from the environment first, then ``qceval.toml`` in the working directory (keys in lower
case without the prefix: ``data``, ``cache``, ``results``, ``haystack``), then the defaults below.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path

from .errors import InputError

PACKAGE = Path(__file__).resolve().parent


def bundled(name: str) -> Path:
    """The folder ``benchmarks`` or ``sandbox``: beside the package in a checkout, inside it in a wheel."""
    inside = PACKAGE / "_bundled" / name
    return inside if inside.is_dir() else PACKAGE.parent / name


@cache
def settings() -> dict[str, str]:
    """The table of ``./qceval.toml``, empty where there is none. Raises InputError where it is not TOML."""
    path = Path("qceval.toml")
    if not path.is_file():
        return {}
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not TOML ({error}); correct or remove it") from None
    unknown = sorted(set(table) - {"data", "cache", "results", "haystack"})
    if unknown:
        raise InputError(f"{path}: unknown key {unknown[0]!r}; known: data, cache, results, haystack")
    return {key: str(value) for key, value in table.items()}


def data_folder() -> Path | None:
    """The user's folder of benchmark data, or None. A checkout's ``../shared/data`` counts if it is there."""
    named = os.environ.get("QCEVAL_DATA") or settings().get("data")
    if named:
        path = Path(named).expanduser()
        origin = "QCEVAL_DATA" if os.environ.get("QCEVAL_DATA") else "qceval.toml: data"
        if not path.is_dir():
            raise InputError(f"{origin}: {path} is not a folder; correct it or remove it")
        return path
    beside = PACKAGE.parent.parent / "shared" / "data"
    return beside if beside.is_dir() else None


def cache_folder() -> Path:
    named = os.environ.get("QCEVAL_CACHE") or settings().get("cache")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("qceval")


def results_folder() -> Path:
    return Path(os.environ.get("QCEVAL_RESULTS") or settings().get("results") or "results").expanduser()


def haystack_folder() -> Path | None:
    """The code that needles are hidden in, where the user wants another than the benchmark's own."""
    named = os.environ.get("QCEVAL_HAYSTACK") or settings().get("haystack")
    if not named:
        return None
    path = Path(named).expanduser()
    if not path.is_dir():
        origin = "QCEVAL_HAYSTACK" if os.environ.get("QCEVAL_HAYSTACK") else "qceval.toml: haystack"
        raise InputError(f"{origin}: {path} is not a folder; name one with Python files")
    return path
