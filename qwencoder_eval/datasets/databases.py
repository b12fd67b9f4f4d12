"""SQLite databases that questions are asked about: which files there are, and what a prompt says of their tables.

A folder of databases has one folder for each, as Spider and BIRD ship them: ``concert_singer/concert_singer.sqlite``,
and beside it further databases of the same tables where there is a test suite. Files are opened read-only and
immutable, whatever other processes do with them.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..config import cache_folder, data_folder
from ..errors import DatasetError, InfrastructureError
from . import assets

EXAMPLES = 3  # rows of each table that a prompt may show
BESIDE = ("-journal", "-wal", "-shm")
RESERVED = {"order", "group", "by"}  # as bird-bench/mini_dev at 4d970a9 has it, llm/src/table_schema.py
IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)
PLAIN = re.compile(r"\w[\w .+-]{0,200}")  # a name that leads nowhere else


def add_databases(rows: Sequence[dict[str, Any]], places: Sequence[str]) -> None:
    """Add to each row, as ``database``, what is known of the database that its ``db_id`` names (see ``described``).

    The first of ``places`` that is there counts. Raises DatasetError where none is, or lacks a database.
    """
    place = next((each for each in places if there(each)), None)
    if place is None:
        where = " or ".join(str(folder) for folder in (data_folder(), cache_folder() / "assets") if folder)
        raise DatasetError(
            f"{places[0]}: not found in {where}; unpack the benchmark's databases there, as NAME/NAME.sqlite, "
            "or set QCEVAL_DATA to the folder that holds it"
        )
    for row in rows:
        row["database"] = described(place, str(row["db_id"]))


def there(place: str) -> bool:
    try:
        return assets.locate(place).is_dir()
    except DatasetError:
        return False


@lru_cache(maxsize=1024)
def described(place: str, name: str) -> dict[str, Any]:
    """``place``; ``files`` below it, that of the prompts first; its ``tables``, and how many ``rows`` they have.

    A table has ``name``, ``create`` (its statement), ``brief`` (the same with nothing but the columns' names),
    ``columns`` and ``examples`` (rows, as text). Raises DatasetError.
    """
    folder = assets.locate(place) / name
    first = folder / f"{name}.sqlite"
    if name in ("", ".", "..") or Path(name).name != name or not os.path.isfile(first):
        raise DatasetError(f"{place}/{name}/{name}.sqlite: not found; get the databases again")
    if not first.resolve().is_relative_to(folder.parent.resolve()):
        raise DatasetError(f"{first}: leads out of the folder, where no sandbox sees it; put the file itself there")
    others = [each for each in sorted(folder.iterdir()) if is_database(each) and each != first]
    tables, total = tables_of(first)
    found = [each.relative_to(folder.parent).as_posix() for each in (first, *others)]
    return {"place": place, "files": found, "tables": tables, "rows": total}


def is_database(path: Path) -> bool:
    """As upstream has it (taoyds/test-suite-sql-eval at e97acc5, exec_eval.py), but for what SQLite puts beside one."""
    return ".sqlite" in path.name and not path.name.endswith(BESIDE) and path.is_file() and not path.is_symlink()


def tables_of(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The tables in the order of the schema, and how many rows they have together. Raises DatasetError."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
            connection.execute("PRAGMA trusted_schema=OFF")
            connection.text_factory = lambda raw: raw.decode(errors="ignore")
            found, total = [], 0
            for name, create in connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                sure = '"' + name.replace('"', '""') + '"'  # whatever SQLite takes for a keyword
                cursor = connection.execute(f"SELECT * FROM {sure} LIMIT {EXAMPLES}")  # noqa: S608
                examples = [[str(value) for value in row] for row in cursor]
                columns = [each[0] for each in cursor.description]
                total += connection.execute(f"SELECT count(*) FROM {sure}").fetchone()[0]  # noqa: S608
                table = {"name": name, "create": create, "brief": brief(quoted(name), map(quoted, columns))}
                found.append({**table, "columns": columns, "examples": examples})
    except sqlite3.Error as error:
        raise DatasetError(f"{path}: not a database that can be read ({error}); get it again") from None
    if not found:
        raise DatasetError(f"{path}: has no tables; get it again")
    return found, total


def brief(name: str, columns: Iterable[str]) -> str:
    """A CREATE TABLE statement of names, which are in quotes where they need it."""
    return f"CREATE TABLE {name} ({', '.join(columns)})"


def quoted(name: str, quote: str = '"') -> str:
    """A name of SQL, in quotes where it needs them."""
    plain = IDENTIFIER.fullmatch(name) and name.lower() not in RESERVED
    return name if plain else quote + name.replace(quote, quote * 2) + quote


def unpack(archive: Path, place: str) -> int:
    """Unpack the databases of an official archive into the cache, as ``place``; how many there are.

    What counts is a file ``NAME/NAME.sqlite`` at any depth, and what else is a database beside it; in BIRD's archive
    they lie in an archive of their own. All of them are there at the end, or none. Raises DatasetError, and
    InfrastructureError where the cache does not take them.
    """
    folder = cache_folder() / "assets" / place
    if folder.exists():
        raise DatasetError(f"{folder}: there already; remove it to unpack {archive} again")
    partial = folder.with_name(f"{folder.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(archive) as outer:
            _unpack(outer, partial)
        names = [each.name for each in partial.iterdir()] if partial.is_dir() else []
        whole = [name for name in names if (partial / name / f"{name}.sqlite").is_file()]
        if not whole:
            raise DatasetError(f"{archive}: no NAME/NAME.sqlite in it; give the archive of the databases")
        partial.rename(folder)
        return len(whole)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DatasetError(f"{archive}: cannot be unpacked ({error}); get it again") from None
    except OSError as error:
        if error.filename and Path(error.filename) == archive:
            raise DatasetError(f"{archive}: cannot be read ({error.strerror})") from None
        raise InfrastructureError(f"{folder}: cannot be written ({error.strerror}); set QCEVAL_CACHE") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _unpack(outer: zipfile.ZipFile, folder: Path) -> None:
    """Names in an archive are anybody's: only their last two parts count, and those are plain names."""
    for member in outer.infolist():
        *_, parent, name = ("", "", *member.filename.split("/"))
        if name.endswith("databases.zip"):
            with tempfile.TemporaryFile() as file:
                with outer.open(member) as inner:
                    shutil.copyfileobj(inner, file)
                with zipfile.ZipFile(file) as nested:
                    _unpack(nested, folder)
        elif PLAIN.fullmatch(parent) and PLAIN.fullmatch(name) and name.endswith(".sqlite") and parent != "__MACOSX":
            path = folder / parent / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with outer.open(member) as inner, path.open("wb") as file:
                shutil.copyfileobj(inner, file)
            for each, mode in ((folder, 0o755), (path.parent, 0o755), (path, 0o644)):
                each.chmod(mode)  # a sandbox has a user of its own
