"""The verdict cache: what was judged once need not be run again.

A key is a digest of everything that a verdict rests on: program, tests, rule, image, agent, limits. What depends on
the moment, infrastructure and timeouts, is never kept. It is a cache: a damaged one is made anew, one that cannot be
written is left alone, and no verdict of a run depends on it.
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
REMOVE_OLDEST = "DELETE FROM verdicts WHERE key IN (SELECT key FROM verdicts ORDER BY made LIMIT ?)"
Document = dict[str, Any]


class VerdictCache:
    """Rows of (key, JSON document) in one SQLite file. Safe for threads; several processes may share the file."""

    def __init__(self, path: Path, say: Callable[[str], None]) -> None:
        self.path, self.say = path, say
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
            db.execute("CREATE TABLE IF NOT EXISTS verdicts (key BLOB PRIMARY KEY, made REAL, document TEXT)")
        except sqlite3.Error:
            db.close()
            raise
        return db

    def get(self, key: bytes) -> Document | None:
        with self._mutex:
            text = self._fresh.get(key)
            if text is None and self._db is not None:
                try:
                    row = self._db.execute("SELECT document FROM verdicts WHERE key = ?", (key,)).fetchone()
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
            self._db.executemany("INSERT OR REPLACE INTO verdicts VALUES (?, ?, ?)", rows)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        with self._mutex:
            self._flush()
            if self._db is not None:
                with contextlib.suppress(sqlite3.Error):
                    (count,) = self._db.execute("SELECT COUNT(*) FROM verdicts").fetchone()
                    if count > MAX_ROWS:
                        self._db.execute(REMOVE_OLDEST, (count - MAX_ROWS // 2,))
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
        self.say(f"verdict cache: {self.path}: {error}{', removed' if damaged else ''}; going on without")
