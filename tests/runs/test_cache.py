"""The verdict cache: found again, shared, bounded, and never in the way."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from qwencoder_eval.runs import cache as caching
from qwencoder_eval.runs.cache import Cache


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "verdicts.sqlite"


def test_what_was_put_is_found_at_once_and_later(path: Path) -> None:
    cache = Cache(path, pytest.fail)
    assert cache.get(b"key") is None
    cache.put(b"key", {"checks": {"a": "passed"}, "text": "é\ud800\0"})
    assert cache.get(b"key") == {"checks": {"a": "passed"}, "text": "é\ud800\0"}
    cache.put(b"key", {"newer": True})
    cache.close()
    again = Cache(path, pytest.fail)
    assert again.get(b"key") == {"newer": True}
    assert again.get(b"other") is None
    again.close()


def test_threads_share_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "FLUSH_ROWS", 7)
    cache = Cache(path, pytest.fail)

    def work(name: str) -> None:
        for number in range(200):
            key = f"{name}/{number}".encode()
            cache.put(key, {"n": number})
            assert cache.get(key) == {"n": number}

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT COUNT(*) FROM verdicts").fetchone() == (800,)
    db.close()


def test_processes_share_one_file(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from qwencoder_eval.runs.cache import Cache\n"
        "cache = Cache(Path(sys.argv[1]), print)\n"
        "for n in range(300): cache.put(f'{sys.argv[2]}/{n}'.encode(), {'n': n})\n"
        "cache.close()\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", script, str(path), name], stdout=subprocess.PIPE) for name in "abc"
    ]
    assert [process.communicate()[0] for process in running] == [b""] * 3
    cache = Cache(path, pytest.fail)
    assert all(cache.get(f"{name}/{n}".encode()) == {"n": n} for name in "abc" for n in (0, 299))
    cache.close()


def test_a_killed_process_leaves_a_whole_file(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from qwencoder_eval.runs import cache as caching\n"
        "caching.FLUSH_ROWS = 10\n"
        "cache = caching.Cache(Path(sys.argv[1]), print)\n"
        "for n in range(25): cache.put(str(n).encode(), {'n': n})\n"
        "os.kill(os.getpid(), 9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    cache = Cache(path, pytest.fail)
    assert [cache.get(str(n).encode()) for n in (0, 19, 24)] == [{"n": 0}, {"n": 19}, None]
    cache.close()


def test_the_oldest_go_first(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caching, "MAX_ROWS", 10)
    monkeypatch.setattr(caching, "FLUSH_ROWS", 1)
    cache = Cache(path, pytest.fail)
    for number in range(11):
        cache.put(str(number).encode(), {})
    cache.close()
    again = Cache(path, pytest.fail)
    assert [again.get(str(number).encode()) for number in range(11)] == [None] * 6 + [{}] * 5
    again.close()


def test_a_damaged_file_is_removed_and_the_run_goes_on(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, " * 1000)
    said: list[str] = []
    cache = Cache(path, said.append)
    cache.put(b"key", {})
    assert cache.get(b"key") in (None, {})
    cache.close()
    assert len(said) == 1
    assert "removed; going on without" in said[0]
    again = Cache(path, pytest.fail)
    again.put(b"key", {"a": 1})
    again.close()


def test_a_place_that_takes_no_file_is_said_once(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    said: list[str] = []
    cache = Cache(blocked / "verdicts.sqlite", said.append)
    cache.put(b"key", {})
    cache.close()
    assert len(said) == 1
    assert said[0].endswith("going on without")
    assert blocked.read_text() == ""


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")
def test_a_full_disk_ends_the_cache_and_not_the_run(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    cache = Cache(path, said.append)
    assert cache._db is not None
    cache._db.execute("PRAGMA max_page_count = 3")  # SQLite's own way to say that there is no more room
    for number in range(2000):
        cache.put(str(number).encode(), {"text": "x" * 100})
    cache.close()
    assert len(said) == 1
    assert "full" in said[0]
