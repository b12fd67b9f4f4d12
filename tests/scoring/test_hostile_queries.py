"""Queries that would do harm: each has its own verdict, and leaves its neighbours, the database and the machine alone.

Every query is judged in one batch with honest ones around it, in each kind of sandbox that isolates.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked import TOWN, Desk

from qwencoder_eval.errors import ReferenceFailsError
from qwencoder_eval.sandboxes.base import Backend, Sandbox
from qwencoder_eval.sandboxes.languages import Language
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring import queries
from qwencoder_eval.scoring.queries import QueryScorer
from qwencoder_eval.types import Outcome

PASSED, WRONG, BROKEN = Outcome.PASSED, Outcome.WRONG, Outcome.RUNTIME_ERROR
GOLD = "SELECT count(*) FROM pet"
COUNT = "WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r{}) "
HARMFUL = """
DROP TABLE pet
INSERT INTO pet (id) VALUES (9)
REPLACE INTO pet (id) VALUES (1)
UPDATE pet SET name = 'x'
DELETE FROM pet
DELETE FROM pet RETURNING 4
ALTER TABLE pet ADD COLUMN x
CREATE TABLE x (a)
CREATE INDEX x ON pet (name)
CREATE VIEW x AS SELECT 4
CREATE TRIGGER x AFTER INSERT ON pet BEGIN SELECT 4; END
CREATE TEMP TABLE x (a)
CREATE TEMP TABLE x AS SELECT 4
CREATE VIRTUAL TABLE x USING fts5(a)
ATTACH '/tmp/made.sqlite' AS x
ATTACH ':memory:' AS x
DETACH main
VACUUM
VACUUM INTO '/tmp/made.sqlite'
ANALYZE
REINDEX
BEGIN
COMMIT
SAVEPOINT x
PRAGMA table_info(pet)
PRAGMA writable_schema = 1
PRAGMA hard_heap_limit = 0
SELECT 4 FROM pragma_table_info('pet') LIMIT 1
SELECT * FROM pragma_hard_heap_limit(0)
SELECT load_extension('/tmp/x')
SELECT readfile('/etc/passwd')
SELECT writefile('/tmp/made', 'x')
SELECT edit('x')
SELECT fts3_tokenizer('simple')
SELECT * FROM fsdir('/')
SELECT * FROM sqlite_dbpage
SELECT 4; SELECT 4
SELECT 4; DROP TABLE pet
SELECT 4 WHERE ?
SELECT 4 WHERE :name
SELECT
-- 4
/* 4
;
four
""".strip().splitlines()
LONG = {
    "megabytes": f"SELECT '{'x' * 1_000_000}'",
    "nul": "SELECT 4\0",
    "surrogate": "SELECT '\ud800'",
    "parentheses": "SELECT " + "(" * 5000 + "4" + ")" * 5000,
    "sum": "SELECT " + "0+" * 5000 + "4",
    "unions": " UNION ".join(["SELECT 4"] * 5000),
    "columns": "SELECT " + ", ".join(["4"] * 30_000),
    "joins": "SELECT * FROM " + ", ".join(f"pet p{number}" for number in range(100)),
    "nested": "SELECT * FROM (" * 2000 + "SELECT 4" + ")" * 2000,
    "zeroblob": "SELECT zeroblob(1000000000)",
    "randomblob": "SELECT randomblob(1000000000)",
    "replace": "SELECT replace(replace(hex(zeroblob(100000)), '0', hex(zeroblob(1000))), '0', 'ab')",
    "concatenated": "SELECT group_concat(hex(zeroblob(1000000))) FROM pet, pet b, pet c",
    "overflow": "SELECT sum(9223372036854775807) FROM pet",
    "least": "SELECT abs(-9223372036854775808)",
    "json": f"SELECT json('{'[' * 100_000}')",
}
# What no answer may be, and no error is either.
STRANGE = {
    "printf": "SELECT printf('%1000000000d', 4)",
    "in": f"SELECT 4 IN ({', '.join(map(str, range(50_000)))})",
    "schema": "SELECT sql FROM sqlite_master",
    "explain": "EXPLAIN SELECT 4",
    "rows": COUNT.format(" LIMIT 1000001") + "SELECT x FROM r",
    "bytes": COUNT.format(" LIMIT 9") + "SELECT zeroblob(15000000) FROM r",
}
ENDLESS = {
    "recursive": COUNT.format("") + "SELECT count(*) FROM r",
    "sorted": COUNT.format("") + "SELECT x FROM r ORDER BY -x",
    "distinct": COUNT.format("").replace("UNION ALL", "UNION") + "SELECT max(x) FROM r",
    "crossed": COUNT.format(" LIMIT 3000") + "SELECT count(*) FROM r a, r b, r c, r d",
}
# A view that grows a hundredfold at each step, written out before a query starts.
GROWING = (
    "WITH a0 AS (SELECT 1 x), "
    + ", ".join(f"a{number} AS (SELECT a.x FROM a{number - 1} a, a{number - 1} b)" for number in range(1, 30))
    + " SELECT count(*) FROM a29"
)
STUCK = "SELECT instr(hex(zeroblob(7000000)), hex(zeroblob(3000000)) || '1')"  # one instruction that never ends


class Small:
    """A backend of sandboxes with little memory."""

    def __init__(self, backend: Backend, memory_bytes: int) -> None:
        self.backend, self.memory_bytes, self.name = backend, memory_bytes, backend.name

    def sandbox(self, language: Language, memory_bytes: int) -> Sandbox:
        return self.backend.sandbox(language, self.memory_bytes)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def desk(pool: Pool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Whatever happens, the folder of databases stays as it was."""
    monkeypatch.setenv("QCEVAL_DATA", str(data))
    desk = Desk(data, tmp_path, pool)
    desk.database("town")
    before = state(desk.folder)
    yield desk
    assert state(desk.folder) == before


def state(folder: Path) -> dict[str, str]:
    found = {str(each): each for each in folder.rglob("*")}
    return {
        name: hashlib.sha256(each.read_bytes()).hexdigest() if each.is_file() else "" for name, each in found.items()
    }


def among_honest_ones(desk: Desk, hostile: list[str], **options: float) -> list[Outcome]:
    """Their outcomes; each has an honest neighbour, and they all pass."""
    answers = [answer for each in hostile for answer in (each, GOLD)]
    found = desk.outcomes(GOLD, answers, **options)
    assert set(found[1::2]) == {PASSED}
    return found[::2]


def test_what_may_not_be_done(desk: Desk) -> None:
    outcomes = among_honest_ones(desk, HARMFUL)
    assert {query: found for query, found in zip(HARMFUL, outcomes, strict=True) if found is not BROKEN} == {}


def test_what_is_too_much(desk: Desk) -> None:
    outcomes = dict(zip(LONG, among_honest_ones(desk, list(LONG.values())), strict=True))
    assert outcomes.pop("megabytes") is WRONG
    assert {name: found for name, found in outcomes.items() if found is not BROKEN} == {}


@pytest.mark.slow
def test_what_is_strange(desk: Desk) -> None:
    outcomes = dict(zip(STRANGE, among_honest_ones(desk, list(STRANGE.values())), strict=True))
    assert {name: found for name, found in outcomes.items() if found is not WRONG} == {}


def test_what_never_ends_is_stopped_alone(desk: Desk) -> None:
    outcomes = dict(zip(ENDLESS, among_honest_ones(desk, list(ENDLESS.values()), cpu_s=0.3), strict=True))
    assert {name: found for name, found in outcomes.items() if found is not Outcome.TIMEOUT} == {}


def test_time_is_counted_for_each_query(desk: Desk) -> None:
    """Several that take most of their time each do not sum up."""
    busy = COUNT.format(" LIMIT 300000") + "SELECT 4 FROM r WHERE x = 300000"
    assert desk.outcomes(GOLD, [busy] * 8, cpu_s=0.8) == [PASSED] * 8


def test_an_instruction_that_never_ends_is_stopped_from_outside(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MARGIN_S", 0.3)
    assert among_honest_ones(desk, [STUCK], cpu_s=0.3) == [Outcome.TIMEOUT]


def test_memory_of_a_query_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    source = queries.runner_source()
    assert source.count("MEMORY = 512 << 20") == 1
    monkeypatch.setattr(queries, "runner_source", lambda: source.replace("MEMORY = 512 << 20", "MEMORY = 8 << 20"))
    assert among_honest_ones(desk, [GROWING, ENDLESS["distinct"]]) == [Outcome.OUT_OF_MEMORY] * 2


@pytest.mark.slow
def test_a_sandbox_without_room_for_it_ends_it_alone(
    backend: Backend, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QCEVAL_DATA", str(data))
    with Pool(Small(backend, 256 << 20), 1) as pool:  # type: ignore[arg-type]
        desk = Desk(data, tmp_path, pool)
        desk.database("town")
        assert among_honest_ones(desk, [GROWING, GROWING]) == [Outcome.OUT_OF_MEMORY] * 2


def test_what_a_database_itself_asks_for_is_not_done(desk: Desk) -> None:
    """Views run with the rights of the query, and triggers never."""
    path = desk.database(
        "trap",
        (
            *TOWN,
            "CREATE VIEW loads AS SELECT load_extension('/tmp/x') AS x",
            "CREATE VIEW reads AS SELECT * FROM pragma_table_info('pet')",
            "CREATE VIEW honest AS SELECT count(*) AS pets FROM pet",
            "CREATE VIEW endless AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM r) SELECT x FROM r",
            "CREATE TRIGGER grows AFTER INSERT ON pet BEGIN INSERT INTO nobody VALUES (1); END",
        ),
    )
    try:
        found = {
            view: desk.outcome(GOLD, f"SELECT * FROM {view}", "bird", path, cpu_s=0.3)
            for view in ("loads", "reads", "honest")
        }
        assert found == {"loads": BROKEN, "reads": BROKEN, "honest": PASSED}
        assert desk.outcome(GOLD, "SELECT max(x) FROM endless", "bird", path, cpu_s=0.3) is Outcome.TIMEOUT
    finally:
        (desk.folder / path).unlink()
        (desk.folder / "trap").rmdir()


def test_a_database_that_the_sandbox_may_not_read(desk: Desk, backend: Backend) -> None:
    """Nobody's query is wrong because of it, whether gold is known or not."""
    path = desk.database("mine")
    scorer, problem = QueryScorer("sql", "bird"), desk.problem(GOLD, [path])
    known = desk.known(scorer, problem)
    os.chmod(desk.folder / path, 0o600)
    said = r"mine/mine\.sqlite: no rights for the user in the sandbox; chmod -R o\+rX its folder"
    try:
        with pytest.raises(ReferenceFailsError, match=rf"p/0: the database cannot be read \(PermissionError: {said}\)"):
            scorer.score(problem, GOLD, known, desk.pool)
        with pytest.raises(ReferenceFailsError, match=rf"p/0: the gold query fails here .*{said}"):
            desk.known(scorer, problem)
        os.chmod(desk.folder / path, 0o644)
        assert scorer.score(problem, GOLD, desk.known(scorer, problem), desk.pool).checks["sql"] is PASSED
    finally:
        (desk.folder / path).unlink()
        (desk.folder / "mine").rmdir()
