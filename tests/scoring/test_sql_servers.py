"""BIRD on real servers: verdicts computed by hand, hostile queries, accounts, faults, and the command line."""

from __future__ import annotations

import datetime
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from database_servers import PASSWORD, mariadb, postgresql
from shop_and_club import CASES, DEV_TABLES, TABLES, mini_dev

from qwencoder_eval.benchmark import profile
from qwencoder_eval.errors import InfrastructureError, InputError, ReferenceFailsError
from qwencoder_eval.registry import discover
from qwencoder_eval.scoring.base import Judgement
from qwencoder_eval.scoring.sql_servers import QUERY, ServerScorer, address, clients
from qwencoder_eval.types import Continue, Outcome, Problem

pytest.importorskip("sqlalchemy")
pytest.importorskip("psycopg")
pytest.importorskip("pymysql")

import sqlalchemy
from sqlalchemy.pool import NullPool

from qwencoder_eval.scoring import sql_client
from qwencoder_eval.scoring.sql_client import DIALECTS, plain

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 300.0  # what no test may take; nothing is measured with it
PLENTY_S = 60.0


@dataclass(frozen=True)
class Running:
    """A server with the two databases. ``url`` is of an account that may read."""

    dialect: str
    made_of: str
    admin: str

    def url(self, account: str = "reader") -> str:
        return self.made_of.format(account)

    def run(self, *statements: str, database: str = "bird") -> list[Any]:
        """As administrator; rows of the last statement."""
        url = sqlalchemy.make_url(self.url(self.admin)).set(drivername=DIALECTS[self.dialect].driver, database=database)
        if self.dialect == "mysql":
            url = url.set(password="")
        engine = sqlalchemy.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for statement in statements:
                found = connection.execution_options(no_parameters=True).exec_driver_sql(statement)
                rows = found.fetchall() if found.returns_rows else []
        return list(map(tuple, rows))

    def score(self, answer: str, gold: str = "SELECT 1", **limits: Any) -> Judgement:
        problem = Problem("bird/0", {}, {"query": gold})
        return ServerScorer("bird", self.dialect, **limits).score(problem, answer, None, None)  # type: ignore[arg-type]

    def outcome(self, answer: str, gold: str = "SELECT 1", **limits: Any) -> Outcome:
        return self.score(answer, gold, **limits).checks["bird"]

    def content(self) -> list[Any]:
        return [self.run(f"SELECT * FROM {name}") for name in ("products", "sales", "members", "meetings")]


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Running]:
    with postgresql() as url:
        server = Running("postgresql", url, "admin")
        server.run("CREATE DATABASE bird", database="postgres")
        server.run(
            *TABLES,
            "CREATE ROLE reader LOGIN",
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
            "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        )
        yield server
        clients.cache_clear()


@pytest.fixture(scope="session")
def mysql_server() -> Iterator[Running]:
    with mariadb() as url:
        server = Running("mysql", url, "root")
        server.run("CREATE DATABASE bird", database="mysql")
        server.run(*TABLES, f"CREATE USER reader IDENTIFIED BY '{PASSWORD}'", "GRANT SELECT ON bird.* TO reader")
        yield server


@pytest.fixture(params=["mysql", "postgresql"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Running:
    made: Running = request.getfixturevalue(f"{request.param}_server")
    monkeypatch.setenv(f"QCEVAL_{made.dialect.upper()}_URL", made.url())
    return made


# -- verdicts ------------------------------------------------------------------------------------------------


def test_verdicts_are_those_computed_by_hand(server: Running) -> None:
    for _, gold, answer, expected in CASES:
        right, soft_f1 = expected[server.dialect]
        found = server.score(answer[server.dialect], gold[server.dialect], seconds=PLENTY_S)
        wanted = {True: Outcome.PASSED, False: Outcome.WRONG, None: Outcome.RUNTIME_ERROR}[right]
        assert found.checks == {"bird": wanted}, (gold, found)
        assert found.measures["soft_f1"] == pytest.approx(soft_f1), (gold, found)


def test_a_gold_query_that_fails_counts_against_nobody(server: Running) -> None:
    with pytest.raises(ReferenceFailsError, match="bird/0: the gold query fails on this server"):
        server.score("SELECT 1", gold="SELECT nothing FROM nowhere")


@pytest.mark.parametrize(
    "query",
    ["SELECT '50%', '%s' -- %d", "SELECT name FROM products WHERE name LIKE '%a%' OR name = ':x'", " ( select 1 )"],
)
def test_queries_are_sent_as_they_are(server: Running, query: str) -> None:
    assert server.outcome(query, query, seconds=PLENTY_S) is Outcome.PASSED


def test_values_are_compared_as_the_driver_gives_them(postgresql_server: Running, monkeypatch: Any) -> None:
    monkeypatch.setenv("QCEVAL_POSTGRESQL_URL", postgresql_server.url())
    alike = [
        ("SELECT 1.0", "SELECT 1"),
        ("SELECT '{1,2}'::int[]", "SELECT ARRAY[1, 2]"),
        ("SELECT NULL", "SELECT NULL"),
    ]
    alike += [("SELECT 'x'::bytea", "SELECT '\\x78'::bytea"), ("SELECT 'a'::char(3)", "SELECT 'a  '")]
    for one, other in alike:
        assert postgresql_server.outcome(one, other) is Outcome.PASSED, one
    unlike = [("SELECT '1'", "SELECT 1"), ("SELECT 0.1", "SELECT 0.1::float8"), ("SELECT 'NaN'::numeric",) * 2]
    for one, other in unlike:
        assert postgresql_server.outcome(one, other) is Outcome.WRONG, one


def test_values_of_drivers_become_plain_ones() -> None:
    day = datetime.datetime(2024, 1, 2)
    for value in (None, True, 3, 0.5, "x", b"x", Decimal("1.5"), day, day.date(), day.time(), day - day):
        assert plain(value) is value
    assert plain(memoryview(b"ab")) == plain(bytearray(b"ab")) == b"ab"
    assert plain([1, [memoryview(b"a")]]) == (1, (b"a",))
    assert plain(UUID(int=1)) == "00000000-0000-0000-0000-000000000001"
    assert plain({"a": 1}) == "{'a': 1}"
    for text in ("NaN", "sNaN"):
        assert plain(Decimal(text)) != plain(Decimal(text))


# -- hostile queries -----------------------------------------------------------------------------------------

RECURSION = "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a) SELECT COUNT(*) FROM a"
THOUSAND = "WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 1000) SELECT "
LONG = {
    "postgresql": [
        "SELECT pg_sleep(1000)",
        "SELECT set_config('statement_timeout', '0', false) UNION ALL SELECT pg_sleep(1000)::text",
        "SELECT COUNT(*) FROM generate_series(1, 100000000) a, generate_series(1, 100000000) b",
        RECURSION,
    ],
    "mysql": [  # where a recursion ends after a thousand steps
        "SELECT SLEEP(1000)",
        "SELECT BENCHMARK(1000000000000, MD5('x'))",
        f"{THOUSAND} COUNT(*) FROM a, a AS b, a AS c, a AS d",
    ],
}
REFUSED = [
    "INSERT INTO products VALUES (9, 'x', 1, NULL)",
    "UPDATE products SET price = 0",
    "DELETE FROM products",
    "DROP TABLE products",
    "CREATE TABLE t (a integer)",
    "CREATE TEMPORARY TABLE t (a integer)",
    "SET @a = 1",
    "SELECT 1; DROP TABLE products",
    "COMMIT",
    "/*! DROP TABLE products */",
    "",
    "\ud800",
    "SELECT '\ud800'",
    "SELECT '\0",
]
FAIL = {
    "postgresql": [
        *REFUSED,
        "COPY products TO PROGRAM 'touch {file}'",
        "COPY products TO '{file}'",
        "SELECT pg_read_file('/etc/hostname')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/hostname')",
        "SELECT lo_export(lo_from_bytea(0, 'x'), '{file}')",
        "SELECT * FROM dblink('dbname=bird', 'SELECT 1') AS t (a integer)",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "SELECT * INTO t FROM products",
        "SELECT * INTO TEMPORARY t FROM products",
        "SELECT * FROM products FOR UPDATE",
        "WITH gone AS (DELETE FROM products RETURNING *) SELECT * FROM gone",
        "SELECT query_to_xml('DROP TABLE products', true, true, '')",
        "SELECT set_config('transaction_read_only', 'off', false)",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SET statement_timeout = 0",
    ],
    "mysql": [
        *REFUSED,
        "SELECT 'x' INTO OUTFILE '{file}'",
        "SELECT 'x' INTO DUMPFILE '{file}'",
        "SELECT 1 /*! INTO OUTFILE '{file}' */",
        "LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE products",
        "LOAD DATA INFILE '/etc/hostname' INTO TABLE products",
        "SET STATEMENT max_statement_time = 0 FOR SELECT SLEEP(1000)",
        "CREATE FUNCTION f() RETURNS integer RETURN 1",
        "DO SLEEP(1000)",
        "LOCK TABLES products READ",
        "FLUSH TABLES WITH READ LOCK",
        "KILL CONNECTION_ID()",
        "HANDLER products OPEN",
        "SELECT 1 INTO @a",
    ],
}
HARMLESS = {  # they give rows, and nothing of what they did is left
    "postgresql": [
        "SELECT pg_advisory_lock(1)",
        "SELECT lo_from_bytea(0, 'x')",
        "SELECT set_config('search_path', 'nowhere', false)",
        "SELECT pg_notify('a', 'b')",
    ],
    "mysql": ["SELECT GET_LOCK('a', 1000)", "SELECT LOAD_FILE('/etc/hostname')", "SELECT @a := 5"],
}


def test_what_is_no_reading_fails_and_changes_nothing(server: Running, tmp_path: Path) -> None:
    before = server.content()
    target = Path("/tmp") / f"qceval-{os.getpid()}-{server.dialect}"
    for query in FAIL[server.dialect]:
        found = server.score(query.replace("{file}", str(target)), seconds=PLENTY_S)
        assert found.checks == {"bird": Outcome.RUNTIME_ERROR}, query
        assert found.measures == {"soft_f1": 0.0}
    assert not target.exists()
    assert server.content() == before
    assert server.outcome("SELECT COUNT(*) FROM products", "SELECT 4", seconds=PLENTY_S) is Outcome.PASSED


def test_locks_settings_and_variables_end_with_their_query(server: Running) -> None:
    for query in HARMLESS[server.dialect] * 2:  # twice: the second would wait for a lock of the first
        assert server.outcome(query, "SELECT 'nothing of that'", seconds=PLENTY_S) is Outcome.WRONG, query
    if server.dialect == "postgresql":
        assert server.run("SELECT COUNT(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
        assert server.run("SELECT COUNT(*) FROM pg_largeobject_metadata") == [(0,)]
        assert server.outcome("SELECT COUNT(*) FROM products", "SELECT 4") is Outcome.PASSED
    else:
        assert server.run("SELECT IS_FREE_LOCK('a')") == [(1,)]
        assert server.outcome("SELECT @a IS NULL") is Outcome.PASSED


def test_no_query_outlives_its_limit(server: Running) -> None:
    """Not even one that switches the server's own limit off; all at once, with an honest neighbour."""
    found: dict[str, Outcome] = {}

    def ask(query: str, **limits: Any) -> None:
        found[query] = server.outcome(query, query if limits else "SELECT 1", **limits or {"seconds": 0.2})

    honest = [f"SELECT COUNT(*) + {number} FROM sales" for number in range(2)]
    threads = [threading.Thread(target=ask, args=(query,)) for query in LONG[server.dialect]]
    threads += [threading.Thread(target=ask, args=(query,), kwargs={"seconds": PLENTY_S}) for query in honest]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert found == {**dict.fromkeys(LONG[server.dialect], Outcome.TIMEOUT), **dict.fromkeys(honest, Outcome.PASSED)}
    if server.dialect == "postgresql":
        running = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'reader' AND state = 'active'"
    else:
        running = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'reader' AND command = 'Query'"
    for _ in range(1000):  # a connection that was cut takes the server a moment
        if server.run(running) == [(0,)]:
            break
    else:
        pytest.fail("queries go on though nobody waits for them")


def test_large_results_end_at_a_limit(server: Running) -> None:
    found = server.score(THOUSAND + "REPEAT('x', 1000000) FROM a", seconds=PLENTY_S)
    assert found.checks == {"bird": Outcome.WRONG}
    assert found.evidence["error"] == "more than 1000000 rows or 67108864 bytes"


def test_many_rows_end_at_a_limit(postgresql_server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_client, "ROWS", 5000)
    few = sql_client.Server("postgresql", sqlalchemy.make_url(postgresql_server.url()))
    rows = few.rows(THOUSAND + "1 FROM a, a AS b, a AS c, a AS d", PLENTY_S)
    assert rows == sql_client.Failure("OverflowError", "more than 5000 rows or 67108864 bytes")


def test_gold_results_are_kept_while_there_is_room(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_client, "GOLD_BYTES", 250)
    here = sql_client.Server(server.dialect, sqlalchemy.make_url(server.url()))
    queries = [f"SELECT {number}, {number}" for number in range(3)]  # about 100 bytes each
    for query in (queries[0], queries[1], queries[0], queries[2]):
        here.gold(query, PLENTY_S)
    assert list(here.golds) == [queries[0], queries[2]]
    assert here.gold("SELECT nothing", PLENTY_S).__class__ is sql_client.Failure


def test_a_row_that_no_driver_can_hold_ends_in_its_client(server: Running) -> None:
    query = {
        "postgresql": "SELECT repeat('x', 100000000)",
        "mysql": f"SELECT {', '.join(['REPEAT(1, 15000000)'] * 10)}",
    }[server.dialect]
    assert server.outcome(query, seconds=PLENTY_S, memory_bytes=250 << 20) is Outcome.OUT_OF_MEMORY
    assert server.outcome("SELECT 1", seconds=PLENTY_S, memory_bytes=250 << 20) is Outcome.PASSED


def test_a_query_that_ends_its_neighbours_changes_no_verdict(postgresql_server: Running, monkeypatch: Any) -> None:
    monkeypatch.setenv("QCEVAL_POSTGRESQL_URL", postgresql_server.url())
    hostile = "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    hostile += " AND usename = current_user"
    found: list[Outcome] = []

    def ask(query: str, gold: str) -> None:
        found.extend(postgresql_server.outcome(query, gold, seconds=PLENTY_S) for _ in range(15))

    honest = [("SELECT COUNT(*) FROM sales, pg_sleep(0.02)", "SELECT 4")] * 2
    threads = [threading.Thread(target=ask, args=each) for each in [(hostile, "SELECT 'nothing'"), *honest]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert sorted(found) == [Outcome.PASSED] * 30 + [Outcome.WRONG] * 15


@pytest.mark.parametrize("query", ["/*" * 100_000, "(" * 100_000, "-- \n" * 100_000, "/* */ " * 50_000 + "drop"])
def test_what_is_a_query_is_seen_in_one_look(query: str) -> None:
    assert QUERY.match(query) is None


# -- accounts and faults -------------------------------------------------------------------------------------

ACCOUNTS = {
    "postgresql": {
        "superuser": ("is a superuser", ["ALTER ROLE superuser SUPERUSER"]),
        "writer": ("may change sales", ["GRANT INSERT ON sales TO writer"]),
        "column_writer": ("may change sales", ["GRANT UPDATE (amount) ON sales TO column_writer"]),
        "creator": ("may create in the schema public", ["GRANT CREATE ON SCHEMA public TO creator"]),
        "signaller": ("is a member of pg_signal_backend", ["GRANT pg_signal_backend TO signaller"]),
        "file_reader": ("may call pg_read_file", ["GRANT EXECUTE ON FUNCTION pg_read_file(text) TO file_reader"]),
    },
    "mysql": {
        "everything": ("has ALL PRIVILEGES", ["GRANT ALL ON *.* TO everything"]),
        "writer": ("has INSERT", ["GRANT SELECT, INSERT (amount) ON bird.sales TO writer"]),
        "file_writer": ("has FILE", ["GRANT FILE ON *.* TO file_writer", "GRANT SELECT ON bird.* TO file_writer"]),
        "granter": ("has the GRANT OPTION", ["GRANT SELECT ON bird.* TO granter WITH GRANT OPTION"]),
        "actor": ("has GRANT `part`", ["CREATE ROLE part", "GRANT part TO actor", "GRANT SELECT ON bird.* TO actor"]),
    },
}


def test_accounts_that_may_do_more_than_read_are_refused(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    for account, (reason, grants) in ACCOUNTS[server.dialect].items():
        create = (
            "CREATE ROLE {} LOGIN" if server.dialect == "postgresql" else f"CREATE USER {{}} IDENTIFIED BY '{PASSWORD}'"
        )
        server.run(create.format(account), *grants)
        with pytest.raises(sql_client.RefusedError, match=re.escape(reason)):
            sql_client.Server(server.dialect, sqlalchemy.make_url(server.url(account)))
    monkeypatch.setenv(f"QCEVAL_{server.dialect.upper()}_URL", server.url("writer"))
    with pytest.raises(
        InputError, match=r"^QCEVAL_\w+_URL: the account (may|has) .*; name one .*GRANT SELECT ON"
    ) as error:
        server.score("SELECT 1")
    assert PASSWORD not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dialect", ["mysql", "postgresql"])
def test_no_server_is_one_line_without_the_password(dialect: Any, monkeypatch: Any, tmp_path: Path) -> None:
    place = "unix_socket" if dialect == "mysql" else "host"
    monkeypatch.setenv(f"QCEVAL_{dialect.upper()}_URL", f"{dialect}://reader:{PASSWORD}@/bird?{place}={tmp_path}/no")
    with pytest.raises(InfrastructureError) as error:
        Running(dialect, "", "").score("SELECT 1")
    assert str(error.value).startswith("no database server: ")
    assert PASSWORD not in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("url", ["", "here", "sqlite:///bird", f"mysql:x:{PASSWORD}", f"mysql://a:{PASSWORD}@h:port/b"])
def test_addresses_that_are_none(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_MYSQL_URL", url)
    with pytest.raises(InputError, match=r"^QCEVAL_MYSQL_URL: not .*mysql://reader:PASSWORD@HOST/bird$") as error:
        address("mysql")
    assert PASSWORD not in str(error.value)


def test_a_missing_driver_is_named_with_what_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_POSTGRESQL_URL", "postgresql://reader@/bird")
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r"psycopg is not installed; pip install 'qwencoder_eval\[sql\]'$"):
        address("postgresql")


def test_a_client_that_dies_is_replaced(server: Running) -> None:
    assert server.outcome("SELECT 1", seconds=PLENTY_S) is Outcome.PASSED
    here = clients(server.dialect, server.url(), ServerScorer("bird", "mysql").memory_bytes)
    for client in here._idle:
        client.process.kill()
        client.process.wait()
    assert server.outcome("SELECT 1", seconds=PLENTY_S) is Outcome.PASSED


# -- the benchmarks ------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "bird"
    folder.mkdir(parents=True)
    (folder / "dev_tables.json").write_text(json.dumps(DEV_TABLES))
    for dialect in ("mysql", "postgresql"):
        (folder / f"mini_dev_{dialect}.json").write_text(json.dumps(mini_dev(dialect)))
    return folder.parent


def test_prompts_name_the_dialect_and_quote_in_its_way(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(data))
    for name, title, quote in (("mysql", "MySQL", "`"), ("postgresql", "PostgreSQL", '"')):
        problem = profile(discover(()).load(f"bird-{name}"), None).problems(offline=True)[2]
        assert problem.groups == {"difficulty": "challenging"}
        prompt = profile(discover(()).load(f"bird-{name}"), None).prompt(problem)
        assert isinstance(prompt, Continue)
        schema = prompt.text.partition("-- External")[0]
        assert schema == (
            "CREATE TABLE members (\n    id integer,\n    name text,\n    joined date,\n    fee real,\n"
            "    PRIMARY KEY (id)\n);\n\n"
            "CREATE TABLE meetings (\n    member_id integer,\n    topic text,\n"
            "    FOREIGN KEY (member_id) REFERENCES members (id)\n);\n\n"
            "CREATE TABLE 'order' (\n    'Free Meals (K-12)' real,\n    of integer,\n"
            "    PRIMARY KEY ('Free Meals (K-12)', of)\n);\n\n"
        ).replace("'", quote)
        assert prompt.shorter[0].text.partition("-- External")[0] == (
            "CREATE TABLE members (id, name, joined, fee);\n\nCREATE TABLE meetings (member_id, topic);\n\n"
            "CREATE TABLE 'order' ('Free Meals (K-12)', of);\n\n"
        ).replace("'", quote)
        assert f"-- External Knowledge: nothing\n\n-- Using valid {title} and" in problem.fields["instruction"]


@pytest.mark.slow
def test_the_benchmarks_through_the_command_line(server: Running, data: Path, tmp_path: Path) -> None:
    name, url = f"bird-{server.dialect}", f"QCEVAL_{server.dialect.upper()}_URL"
    samples = tmp_path / "samples.jsonl"
    answers: list[str] = [answer[server.dialect] for _, _, answer, _ in CASES]
    answers += ["I cannot tell."] * (500 - len(CASES))
    samples.write_text(
        "".join(json.dumps({"task_id": f"bird/{n}", "solution": text}) + "\n" for n, text in enumerate(answers))
    )
    env = {**os.environ, "QCEVAL_DATA": str(data), "QCEVAL_RESULTS": str(tmp_path / "r"), "PYTHONPATH": str(ROOT)}

    def qceval(*args: object, **others: str) -> subprocess.CompletedProcess[str]:
        command: Sequence[str] = [sys.executable, "-m", "qwencoder_eval", *map(str, args)]
        ran = subprocess.run(
            command,
            env={**env, **others},
            cwd=tmp_path,
            timeout=PATIENCE_S,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in ran.stderr, ran.stderr
        assert PASSWORD not in ran.stdout + ran.stderr
        return ran

    if server.dialect == "mysql":
        gone = qceval("score", "--bench", name, "--samples", samples, **{url: server.url().replace("qceval-db", "no")})
        assert gone.returncode == 3
        assert gone.stderr.splitlines()[-1].startswith("qceval: no database server: ")

    scored = qceval("score", "--bench", name, "--samples", samples, "--json")
    assert scored.returncode == 0, scored.stderr
    found = json.loads(scored.stdout)
    expected = [case[3][server.dialect] for case in CASES]
    scores = found["scores"][name]
    assert scores["ex"]["value"] == pytest.approx(sum(right is True for right, _ in expected) / 500)
    assert scores["soft_f1"]["value"] == pytest.approx(sum(soft_f1 for _, soft_f1 in expected) / 500)
    product = {"mysql": "MariaDB", "postgresql": "PostgreSQL"}[server.dialect]
    assert any(note.startswith(f"server: {product} ") for note in found["notes"])

    references = qceval("run", "--bench", name, "--limit", len(CASES), "--json")
    assert references.returncode == 0, references.stderr
    assert json.loads(references.stdout)["scores"][name]["ex"]["value"] == 1.0
    for file in (tmp_path / "r").rglob("*"):
        assert not file.is_file() or PASSWORD.encode() not in file.read_bytes()
