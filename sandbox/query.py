"""Run inside a sandbox: one SQL query of a model on a SQLite database that it may only read.

``rows`` is called by the agent (sandbox/calls.py), many queries in one process. A query reads tables and calls
functions, and nothing else: no ATTACH, PRAGMA, extension, temporary table or change is prepared, whatever file it
stands for. The database is opened immutable, so that no lock of another process counts. Time and memory have limits,
and so have rows, the size of a value and of the whole result: what has more ends with an error that says so.

Text that is no UTF-8 loses the bytes that are wrong (taoyds/test-suite-sql-eval at e97acc5, exec_eval.py).
"""

import os
import sqlite3
import time
import urllib.parse

MEMORY = 512 << 20  # bytes that SQLite itself may take
VALUE = 16 << 20  # bytes of one value
RESULT_ROWS, RESULT_BYTES = 1_000_000, 64 << 20
STEPS = 10_000  # instructions of SQLite's machine between two looks at the clock
READS = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE}
# Functions that reach for files or for the inside of SQLite; a library may have them built in.
HARMFUL = {"load_extension", "readfile", "writefile", "edit", "fts3_tokenizer", "sqlite_dbpage", "zipfile", "lsdir"}

TABLES = ("json_each", "json_tree")  # functions that give tables


def rows(database, query, seconds, content=""):
    """All rows, as a list of tuples of None, int, float, str and bytes. ``content`` only names the database's content.

    Raises what SQLite raises; TimeoutError after so many seconds of CPU time; OverflowError for a result that is too
    long; PermissionError or FileNotFoundError for a database that is not there to be read.
    """
    ends = time.process_time() + seconds
    timed_out = False

    def late():
        nonlocal timed_out
        timed_out = timed_out or time.process_time() > ends
        return timed_out

    connection = opened(database, late)
    try:
        found, size = [], 0
        cursor = connection.execute(query)
        if cursor.description is None:  # nothing, a comment, REINDEX: no rows, but no empty result either
            raise sqlite3.ProgrammingError("not a query: it has no result")
        for row in cursor:
            found.append(row)
            size += sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in row) + 8
            if len(found) > RESULT_ROWS or size > RESULT_BYTES:
                raise OverflowError(f"more than {RESULT_ROWS} rows or {RESULT_BYTES} bytes")
        return found
    except sqlite3.OperationalError:
        if timed_out:
            raise TimeoutError(f"more than {seconds} s of CPU time") from None
        raise
    finally:
        connection.close()


def opened(database, late):
    """A connection that may only read; ``late`` is asked now and then whether a query has to stop."""
    connection = sqlite3.connect(address(database), uri=True)
    connection.text_factory = lambda raw: raw.decode(errors="ignore")
    connection.execute(f"PRAGMA hard_heap_limit={MEMORY}")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA trusted_schema=OFF")
    for function in TABLES:  # once asked they are there; later that takes rights
        connection.execute(f"SELECT * FROM {function}('[]')")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.set_progress_handler(late, STEPS)
    connection.set_authorizer(allowed)
    return connection


def address(database):
    if database == ":memory:":
        return database
    path = os.path.join(os.environ["QCEVAL_ASSETS"], database)
    try:
        open(path).close()
    except PermissionError:
        raise PermissionError(f"{database}: no rights for the user in the sandbox; chmod -R o+rX its folder") from None
    return f"file:{urllib.parse.quote(path)}?mode=ro&immutable=1"


def allowed(action, first, second, place, trigger):
    if action in READS:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and str(second).lower() not in HARMFUL:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY
