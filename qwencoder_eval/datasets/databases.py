"""SQLite databases that questions are asked about: which files there are, and what a prompt says of their tables.

A folder of databases has one folder for each, as Spider and BIRD ship them: ``concert_singer/concert_singer.sqlite``,
and beside it further databases of the same tables where there is a test suite. Files are opened read-only and
immutable, whatever other processes do with them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import DatasetError
from . import assets

EXAMPLES = 3  # rows of each table that a prompt may show


def add_databases(rows: Sequence[dict[str, Any]], places: Sequence[str]) -> None:
    """Add to each row, as ``database``, what is known of the database that its ``db_id`` names (see ``described``).

    The first of ``places`` that is there counts. Raises DatasetError where none is, or lacks a database.
    """
    place = next((each for each in places if there(each)), None)
    if place is None:
        assets.locate(places[0])  # raises, and says where it looked
        raise AssertionError
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

    A table has ``name``, ``create`` (its statement), ``columns`` and ``examples`` (rows, as text). Raises DatasetError.
    """
    folder = assets.locate(place) / name
    first = folder / f"{name}.sqlite"
    if Path(name).name != name or not first.is_file():
        raise DatasetError(f"{place}/{name}/{name}.sqlite: not found; get the databases again")
    files = [first, *(each for each in sorted(folder.iterdir()) if ".sqlite" in each.name and each != first)]
    tables, total = tables_of(first)
    found = [each.relative_to(folder.parent).as_posix() for each in files]
    return {"place": place, "files": found, "tables": tables, "rows": total}


def tables_of(path: Path) -> tuple[list[dict[str, Any]], int]:
    """The tables in the order of the schema, and how many rows they have together. Raises DatasetError."""
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
            connection.text_factory = lambda raw: raw.decode(errors="ignore")
            found, total = [], 0
            for name, create in connection.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'table'"
            ).fetchall():
                quoted = '"' + name.replace('"', '""') + '"'
                cursor = connection.execute(f"SELECT * FROM {quoted} LIMIT {EXAMPLES}")  # noqa: S608
                examples = [[str(value) for value in row] for row in cursor]
                columns = [each[0] for each in cursor.description]
                total += connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()[0]  # noqa: S608
                found.append({"name": name, "create": create, "columns": columns, "examples": examples})
    except sqlite3.Error as error:
        raise DatasetError(f"{path}: not a database that can be read ({error}); get it again") from None
    if not found:
        raise DatasetError(f"{path}: has no tables; get it again")
    return found, total
