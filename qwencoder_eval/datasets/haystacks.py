"""Code that needles are hidden in: the Python files of a folder, one after the other, known by their content.

All regular files ``*.py`` at any depth, links left out, in the order of their POSIX paths by code points; UTF-8, where
bytes that are none become U+FFFD, and nothing else changed (line ends neither). The digest is of names and bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from ..config import haystack_folder
from ..errors import DatasetError
from ..types import Haystack
from .assets import locate


def chosen_haystack(pinned: Haystack) -> Haystack:
    """The user's, where one is named, else the pinned one, which need not be here. Raises DatasetError."""
    folder = haystack_folder()
    if folder is None:
        return pinned
    found = digest(folder.resolve())
    return pinned if found == pinned.sha256 else Haystack(folder.resolve().name, found)


def read(haystack: Haystack) -> Iterator[tuple[str, str]]:
    """Its files, path and text. Raises DatasetError where they are not here, or are others than those."""
    folder = haystack_folder()
    if folder is None:
        try:
            folder = locate(haystack.place)
        except DatasetError as error:
            raise DatasetError(f"{error}; or name another folder of code with --haystack DIR") from None
    found = digest(folder.resolve())
    if found != haystack.sha256:
        raise DatasetError(
            f"{folder}: its Python files hash to {found}, the pin says {haystack.sha256}; put {haystack.name} there "
            "as it is pinned, or name this folder with --haystack"
        )
    for name, path in python_files(folder):
        yield name, contents(path).decode("utf-8", "replace")


def python_files(folder: Path) -> list[tuple[str, Path]]:
    found = (path for path in folder.rglob("*.py") if path.is_file() and not path.is_symlink())
    return sorted((path.relative_to(folder).as_posix(), path) for path in found)


@cache
def digest(folder: Path) -> str:
    """Looked at once a process. Raises DatasetError where there are no Python files, or one cannot be read."""
    files = python_files(folder)
    if not files:
        raise DatasetError(f"{folder}: no Python files there; name another folder with --haystack")
    whole = hashlib.sha256()
    for name, path in files:
        whole.update(f"{name}\0{hashlib.sha256(contents(path)).hexdigest()}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def contents(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); check its rights") from None
