"""Files and folders that problems rest on beside their rows: a database, a repository. Found by name, known by content.

A place is a path below $QCEVAL_DATA or below the cache's ``assets``. A problem names the places that it needs
(``Problem.assets``); what lies there is hashed, and the hash is part of the scoring key.
"""

from __future__ import annotations

import hashlib
import threading
from functools import lru_cache
from pathlib import Path

from ..config import cache_folder, data_folder
from ..errors import DatasetError

_known: dict[tuple[str, int, int], str] = {}  # of files, as long as they do not change
_mutex = threading.Lock()


def locate(place: str) -> Path:
    """Raises DatasetError where it is not on this machine, or where a name leads out of the folders of data."""
    looked = [folder for folder in (data_folder(), cache_folder() / "assets") if folder]
    for folder in looked:
        path = folder / place
        if path.exists() and resolved(path).is_relative_to(resolved(folder)):
            return path
    where = " or ".join(map(str, looked))
    raise DatasetError(f"{place}: not found in {where}; put it there, or set QCEVAL_DATA to the folder that holds it")


@lru_cache(maxsize=256)
def resolved(path: Path) -> Path:
    """Once a path: a thousand problems name the same folder."""
    return path.resolve()


def files(path: Path) -> list[Path]:
    """A file alone, or all regular files below a folder, in the order of their names; links are left out."""
    if path.is_file():
        return [path]
    return sorted(each for each in path.rglob("*") if each.is_file() and not each.is_symlink())


def digest(path: Path) -> str:
    """SHA-256 of the names and bytes of all files. Raises DatasetError where one cannot be read."""
    whole = hashlib.sha256()
    for each in files(path):
        name = "" if each == path else each.relative_to(path).as_posix()
        whole.update(f"{name}\0{_digest_of_file(each)}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _digest_of_file(path: Path) -> str:
    try:
        status = path.stat()
        key = (str(path), status.st_size, status.st_mtime_ns)
        with _mutex:
            if key in _known:
                return _known[key]
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DatasetError(f"{path}: cannot be read ({error.strerror}); check its rights") from None
    with _mutex:
        _known[key] = found
    return found
