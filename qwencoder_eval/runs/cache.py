"""What was worked out once and need not be again: verdicts of programs, and completions of models.

A key is a digest of everything that the document rests on. It is a cache: a damaged one is made anew, one that cannot
be written is left alone, and no run depends on it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_ROWS = 2_000_000  # about a kilobyte each at most; the oldest go first
FLUSH_ROWS, FLUSH_S = 500, 1.0
Document = dict[str, Any]


class Cache:
    """Rows of (key, JSON document) in one SQLite file, in a table of its name. Safe for threads; several processes may
    share the file."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path, self.say, self.table = path, say, path.stem
        self._mutex = threading.Lock()
        self._fresh: dict[bytes, str] = {}  # not yet on disk
        self._flushed = time.monotonic()
        self._db: sqlite3.Connection | None = None
        try:
            self._db = self._open()
        except (sqlite3.Error, OSError) as error:
            self._give_up(error)

    def _open(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10, check_same_thread=False, isolation_level=None)
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute(f"CREATE TABLE IF NOT EXISTS {self.table} (key BLOB PRIMARY KEY, made REAL, document TEXT)")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def get(self, key: bytes) -> Document | None:
        with self._mutex:
            text = self._fresh.get(key)
            if text is None and self._db is not None:
                try:
                    found = self._db.execute(f"SELECT document FROM {self.table} WHERE key = ?", (key,))  # noqa: S608
                    row = found.fetchone()
                except sqlite3.Error as error:
                    self._give_up(error)
                    return None
                text = row[0] if row else None
        try:
            document = json.loads(text) if text is not None else None
        except ValueError:
            return None
        return document if isinstance(document, dict) else None

    def put(self, key: bytes, document: Document) -> None:
        with self._mutex:
            self._fresh[key] = json.dumps(document)
            if len(self._fresh) >= FLUSH_ROWS or time.monotonic() - self._flushed > FLUSH_S:
                self._flush()

    def _flush(self) -> None:
        rows = [(key, time.time(), text) for key, text in self._fresh.items()]
        self._flushed = time.monotonic()
        self._fresh.clear()
        if self._db is None or not rows:
            return
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(f"INSERT OR REPLACE INTO {self.table} VALUES (?, ?, ?)", rows)  # noqa: S608
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        with self._mutex:
            self._flush()
            if self._db is not None:
                with contextlib.suppress(sqlite3.Error):
                    (count,) = self._db.execute(f"SELECT COUNT(*) FROM {self.table}").fetchone()  # noqa: S608
                    if count > MAX_ROWS:
                        oldest = f"SELECT key FROM {self.table} ORDER BY made LIMIT ?"  # noqa: S608
                        self._db.execute(
                            f"DELETE FROM {self.table} WHERE key IN ({oldest})",  # noqa: S608
                            (count - MAX_ROWS // 2,),
                        )
                self._db.close()
                self._db = None

    def _give_up(self, error: Exception) -> None:
        """Go on without: a full disk, a locked or a damaged file. A damaged one is removed for the next time."""
        if self._db is not None:
            with contextlib.suppress(sqlite3.Error):
                self._db.close()
            self._db = None
        damaged = type(error) is sqlite3.DatabaseError  # its subclasses are about locks, disks and rights
        if damaged:
            with contextlib.suppress(OSError):
                self.path.unlink()
        what = f"{self.table.removesuffix('s')} cache: {self.path}"
        self.say(f"{what}: {error}{', removed' if damaged else ''}; going on without")
