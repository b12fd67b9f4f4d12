"""A process that asks a database server: of a model it handles SQL, which the server runs, and rows.

``python -m qwencoder_eval.scoring.sql_client`` takes JSON lines and answers each with one: first the server's address,
then a gold query and an answer each (see ``Client`` in sql_servers.py). It is a process of its own as no driver bounds
the memory that a row takes; where a row is too large, or something in a driver breaks, only this process ends.

A connection serves one query and is closed: no setting, lock, variable or temporary table outlives what made it. Its
transactions are read-only and rolled back. PostgreSQL gets a query behind DECLARE ... CURSOR FOR, by the protocol
that takes one statement only; MySQL gets it with several statements and LOCAL INFILE switched off.

Compared are the driver's values, as upstream does (bird-bench/mini_dev at 4d970a9, evaluation/evaluation_utils.py).
"""

from __future__ import annotations

import contextlib
import datetime
import json
import re
import resource
import signal
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from . import denotations
from .base import cut, short
from .queries import shown

ROWS, BYTES = 1_000_000, 64 << 20  # of one result
VALUE = 48  # bytes of a value beside its text, about
GOLD_BYTES = 128 << 20  # of the gold results that are kept
AT_ONCE = 100  # rows a fetch
CONNECT_S = 10
GRACE_S = 0.5  # between the limit that a server has to keep and our ending the connection
AS_THEY_ARE = (type(None), bool, int, str, bytes, datetime.date, datetime.time, datetime.timedelta)
Rows = list[tuple[Any, ...]]

# What PostgreSQL's accounts can be given beyond reading: each line one such thing, named. The rest is in functions that
# reach for files or other servers; those that every account has (large objects) are undone with the transaction.
POSTGRESQL_RIGHTS = """
SELECT 'is a superuser, or may make roles, databases or replicas' FROM pg_roles
 WHERE rolname = current_user AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication)
UNION ALL SELECT 'is a member of ' || rolname FROM pg_roles WHERE pg_has_role(oid, 'MEMBER') AND rolname IN
 ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_signal_backend',
  'pg_write_all_data', 'pg_maintain', 'pg_create_subscription')
UNION ALL SELECT 'may create in the database' WHERE has_database_privilege(current_database(), 'CREATE')
UNION ALL SELECT 'may create in the schema ' || nspname FROM pg_namespace
 WHERE has_schema_privilege(oid, 'CREATE') AND nspname !~ '^pg_(temp|toast)'
UNION ALL SELECT 'may change ' || relname FROM pg_class WHERE relnamespace <> 'pg_catalog'::regnamespace AND
 CASE WHEN relkind = 'S' THEN has_sequence_privilege(oid, 'USAGE, UPDATE')
 WHEN relkind IN ('r', 'p', 'v', 'm', 'f') THEN pg_has_role(relowner, 'USAGE')
 OR has_table_privilege(oid, 'INSERT, UPDATE, DELETE, TRUNCATE, TRIGGER')
 OR has_any_column_privilege(oid, 'INSERT, UPDATE') END
UNION ALL SELECT 'may call ' || proname FROM pg_proc WHERE has_function_privilege(oid, 'EXECUTE') AND
 (proname ~ '^dblink' OR proname IN ('lo_import', 'lo_export', 'pg_read_file', 'pg_read_binary_file', 'pg_ls_dir',
  'pg_stat_file', 'pg_file_write', 'pg_file_unlink', 'pg_file_rename', 'pg_reload_conf'))
LIMIT 1
"""
POSTGRESQL_SETTINGS = """
SELECT set_config(name, wanted, false) FROM pg_settings JOIN (VALUES
 ('default_transaction_read_only', 'on'), ('statement_timeout', '{limit}'), ('lock_timeout', '{limit}'),
 ('client_connection_check_interval', '1000'), ('client_min_messages', 'error'), ('cursor_tuple_fraction', '1')
) AS ours (ours, wanted) ON name = ours
"""
# Where libpq has no room for a row it says that it lost synchronization, and psycopg that there are two results.
MEMORY = re.compile(r"\bmemory\b|lost synchronization with server|received \d+ results from command", re.IGNORECASE)
READING = {"SELECT", "USAGE", "SHOW VIEW", "SHOW DATABASES"}
GRANT = re.compile(r"GRANT (.+?) ON (?:.+?) TO ")


class RefusedError(Exception):
    """The account may do more than read."""


class UnreachableError(Exception):
    """There is no connection to the server."""


@dataclass(frozen=True)
class Failure:
    """Why a query has no rows; ``kind`` is the name of an error, LostError where the connection ended before time."""

    kind: str
    error: str


def postgresql_rights(connection: Connection) -> str | None:
    return connection.exec_driver_sql(POSTGRESQL_RIGHTS).scalar()


def mysql_rights(connection: Connection) -> str | None:
    """The first grant that is more than reading. Roles are refused, as they can be given more."""
    for (grant,) in connection.exec_driver_sql("SHOW GRANTS"):
        found = GRANT.match(grant)
        rights = re.sub(r"\(.*?\)", "", found[1]).split(",") if found else [grant.partition(" TO ")[0]]
        more = sorted({right.strip() for right in rights} - READING)
        if more or grant.endswith("WITH GRANT OPTION"):
            return f"has {', '.join(more) or 'the GRANT OPTION'}"
    return None


def postgresql_settings(connection: Connection, seconds: float) -> int:
    """Set what holds for this connection, and return its number on the server."""
    connection.exec_driver_sql(POSTGRESQL_SETTINGS.format(limit=int(seconds * 1000)))
    return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())


def mysql_settings(connection: Connection, seconds: float) -> int:
    """The same. ONLY_FULL_GROUP_BY is off as upstream's README has it, step 7; MariaDB has another limit of time."""
    connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
    connection.exec_driver_sql("SET SESSION sql_mode = REPLACE(@@sql_mode, 'ONLY_FULL_GROUP_BY', '')")
    connection.exec_driver_sql(f"SET SESSION lock_wait_timeout = {int(seconds) + 1}")
    limit = f"max_execution_time = {int(seconds * 1000)}"
    if getattr(connection.dialect, "is_mariadb", False):
        limit = f"max_statement_time = {seconds}"
    connection.exec_driver_sql(f"SET SESSION {limit}")
    return int(connection.exec_driver_sql("SELECT CONNECTION_ID()").scalar_one())


@dataclass(frozen=True)
class Dialect:
    driver: str
    options: dict[str, Any]
    rights: Callable[[Connection], str | None]
    settings: Callable[[Connection, float], int]
    kill: str
    lost: frozenset[Any]  # codes of errors that end a connection or a query from outside


DIALECTS = {
    "postgresql": Dialect(
        "postgresql+psycopg", {"connect_timeout": CONNECT_S}, postgresql_rights, postgresql_settings,
        "SELECT pg_terminate_backend({})", frozenset({"57014", "57P01", "57P02", "57P03", "08000", "08003", "08006"}),
    ),
    "mysql": Dialect(
        "mysql+pymysql", {"connect_timeout": CONNECT_S, "local_infile": False}, mysql_rights, mysql_settings,
        "KILL {}", frozenset({0, 1053, 1077, 1317, 1927, 2006, 2013}),
    ),
}  # fmt: skip


class Server:
    """Raises RefusedError where the account may write, UnreachableError where there is no server."""

    def __init__(self, dialect: str, url: URL) -> None:
        self.dialect, self.url = DIALECTS[dialect], url
        made = url.set(drivername=self.dialect.driver)
        self.engine: Engine = sqlalchemy.create_engine(
            made, poolclass=NullPool, connect_args=self.dialect.options, hide_parameters=True
        )
        self.golds: OrderedDict[str, tuple[Rows, int]] = OrderedDict()
        try:
            with self.connected() as connection:
                more = self.dialect.rights(connection)
                version = connection.exec_driver_sql("SELECT version()").scalar_one()
        except SQLAlchemyError as error:
            raise UnreachableError(self.said(error)) from None
        if more:
            raise RefusedError(more)
        self.version = cut(version.split(" on ")[0], 100)
        if dialect == "mysql":
            self.version = f"{'MariaDB' if 'maria' in version.lower() else 'MySQL'} {version.partition('-')[0]}"

    @contextlib.contextmanager
    def connected(self) -> Iterator[Connection]:
        """A fresh connection, closed at once and without a word afterwards: nobody reads what is still to come."""
        for attempt in (1, 2, 3):
            try:
                connection = self.engine.connect()
                break
            except SQLAlchemyError as error:
                if attempt == 3 or not hasattr(self, "version"):  # it was there before, and may start again
                    raise UnreachableError(self.said(error)) from None
                time.sleep(attempt)
        try:
            yield connection
        finally:
            with contextlib.suppress(Exception):
                connection.invalidate()
                connection.close()

    def said(self, error: BaseException) -> str:
        """In one line, and without the password."""
        text = " ".join(str(getattr(error, "orig", None) or error).split()) or type(error).__name__
        for secret in {str(self.url.password or ""), self.url.render_as_string(hide_password=False)} - {""}:
            text = text.replace(secret, "***")
        return short(text)

    def rows(self, query: str, seconds: float) -> tuple[Rows, int] | Failure:
        """All rows and their size, about. Raises UnreachableError."""
        began = time.monotonic()
        try:
            with self.connected() as connection:
                number = self.dialect.settings(connection, seconds)
                connection.commit()
                began = time.monotonic()
                watch = threading.Timer(seconds + GRACE_S, self.kill, [number])
                watch.daemon = True
                watch.start()
                try:
                    found = self.fetched(connection, query, began + seconds)
                finally:
                    watch.cancel()
        except (OverflowError, MemoryError, TimeoutError) as error:
            return Failure(type(error).__name__, self.said(error))
        except UnreachableError:
            raise
        except Exception as error:  # of a driver, and there are many
            if time.monotonic() - began >= seconds:
                return Failure("TimeoutError", f"more than {seconds:g} s")
            if isinstance(error, DBAPIError) and MEMORY.search(str(error.orig)):
                return Failure("MemoryError", self.said(error))
            return Failure("LostError" if self.lost(error) else type(error).__name__, self.said(error))
        return found

    def fetched(self, connection: Connection, query: str, ends: float) -> tuple[Rows, int]:
        """Raises TimeoutError and OverflowError beside what SQLAlchemy and drivers raise."""
        streamed = connection.execution_options(stream_results=True, max_row_buffer=AT_ONCE, no_parameters=True)
        result = streamed.exec_driver_sql(query)
        found: Rows = []
        size = 0
        try:
            for row in result:
                if time.monotonic() >= ends:
                    raise TimeoutError("the time is over")
                found.append(tuple(map(plain, row)))
                size += sum(VALUE + (len(value) if isinstance(value, (str, bytes)) else 0) for value in found[-1])
                if len(found) > ROWS or size > BYTES:
                    raise OverflowError(f"more than {ROWS} rows or {BYTES} bytes")
        finally:
            connection.invalidate()  # first: PyMySQL closes a cursor only after it has read all that is to come
            result.close()
        if time.monotonic() >= ends:  # MySQL's SLEEP ends at its limit without an error
            raise TimeoutError("the time is over")
        return found, size

    def lost(self, error: Exception) -> bool:
        if not isinstance(error, DBAPIError):
            return False
        code = getattr(error.orig, "sqlstate", None) or next(iter(getattr(error.orig, "args", ())), None)
        return error.connection_invalidated or code in self.dialect.lost

    def kill(self, number: int) -> None:
        """End a connection of ours whose query outlives its limit: some queries can change theirs."""
        with contextlib.suppress(Exception), self.connected() as connection:
            connection.exec_driver_sql(self.dialect.kill.format(number))

    def gold(self, query: str, seconds: float) -> Rows | Failure:
        """Run once, and kept while there is room. Raises UnreachableError."""
        if query in self.golds:
            self.golds.move_to_end(query)
            return self.golds[query][0]
        found = self.rows(query, seconds)
        if isinstance(found, Failure):
            return found
        self.golds[query] = found
        while sum(size for _, size in self.golds.values()) > GOLD_BYTES:
            self.golds.popitem(last=False)
        return found[0]

    def judged(self, gold_query: str, answer: str, seconds: float, gold_seconds: float) -> dict[str, Any]:
        """What to say of one answer. Raises UnreachableError."""
        gold = self.gold(gold_query, gold_seconds)
        if isinstance(gold, Failure):
            return {"gold": gold.kind, "error": gold.error}
        found = self.rows(answer, seconds)
        if isinstance(found, Failure):
            return {"failed": found.kind, "error": found.error}
        same = denotations.bird_ex(gold, found[0])
        said = {} if same else {"expected": shown(gold), "got": shown(found[0])}
        return {"same": same, "soft_f1": denotations.bird_soft_f1(gold, found[0]), **said}


def plain(value: Any) -> Any:
    """A driver's value as one that can be compared.

    What psycopg has classes for and upstream's psycopg2 gives as text is text (UUIDs, addresses, ranges). Lists, which
    upstream cannot compare, are tuples.
    """
    if type(value) is float or isinstance(value, AS_THEY_ARE):
        return value
    if isinstance(value, Decimal):
        return float("nan") if value.is_nan() else value
    if isinstance(value, (memoryview, bytearray)):
        return bytes(value)
    if isinstance(value, (list, tuple)):
        return tuple(map(plain, value))
    return str(value)


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    answers = sys.stdout
    sys.stdout = sys.stderr  # whatever a driver prints is no answer
    hello = json.loads(sys.stdin.readline())
    resource.setrlimit(resource.RLIMIT_AS, (hello["memory"], hello["memory"]))

    def say(answer: dict[str, Any]) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        server = Server(hello["dialect"], sqlalchemy.make_url(hello["url"]))
        say({"server": server.version})
        for line in sys.stdin:
            say(server.judged(**json.loads(line)))
    except RefusedError as error:
        say({"refused": str(error)})
    except UnreachableError as error:
        say({"unreachable": str(error)})


if __name__ == "__main__":
    main()
