"""Queries run and compared: every rule, on small databases made here. Attacks are in test_hostile_queries.py."""

from __future__ import annotations

import json
import math
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from asked import PLACE, TOWN, Deadly, Desk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qwencoder_eval.errors import DatasetError, ReferenceFailsError
from qwencoder_eval.sandboxes.choose import backend as make
from qwencoder_eval.sandboxes.pool import Pool
from qwencoder_eval.scoring import queries
from qwencoder_eval.scoring.queries import QueryScorer, of_test_suite, shown, spoken_now, without_distinct
from qwencoder_eval.scoring.recorded import Recorded
from qwencoder_eval.scoring.references import References
from qwencoder_eval.types import Outcome, Problem, Program

PASSED, WRONG, BROKEN = Outcome.PASSED, Outcome.WRONG, Outcome.RUNTIME_ERROR
RULES = list(queries.RULES)


@pytest.fixture(scope="session")
def opened() -> Iterator[Pool]:
    with Pool(make("none"), 1) as pool:
        yield pool


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def desk(opened: Pool, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("QCEVAL_DATA", str(data))
    desk = Desk(data, tmp_path, opened)
    if not (desk.folder / "town").exists():
        desk.database("town")
    return desk


# -- the rules ---------------------------------------------------------------------------------------

SUITE, KEPT, QWEN, BIRD = ("test-suite",), ("distinct-kept",), ("qwen",), ("bird",)
SPIDERS = (*SUITE, *KEPT, *QWEN)
ALL = (*SPIDERS, *BIRD)
CASES = [  # gold, answer, rules by which it passes
    ("SELECT name FROM pet", "SELECT name FROM pet ORDER BY id DESC", ALL),
    ("SELECT name FROM pet ORDER BY id", "SELECT name FROM pet ORDER BY id DESC", (*QWEN, *BIRD)),
    ("SELECT name FROM pet ORDER BY id", "SELECT name FROM pet", ALL),  # comes in that order
    ("SELECT name, kind FROM pet", "SELECT kind, name FROM pet", SPIDERS),
    ("SELECT name, kind FROM pet ORDER BY id", "SELECT kind, name FROM pet ORDER BY id", SPIDERS),
    ("SELECT kind FROM pet", "SELECT DISTINCT kind FROM pet", (*SUITE, *BIRD)),
    ("SELECT DISTINCT kind FROM pet", "SELECT kind FROM pet", (*SUITE, *BIRD)),
    ("SELECT count(*) FROM pet", "SELECT count(DISTINCT kind) FROM pet", SUITE),
    ("SELECT count(DISTINCT kind) FROM pet", "SELECT count(kind) FROM pet", SUITE),
    ("SELECT id FROM pet WHERE id >= 2", "SELECT id FROM pet WHERE id > = 2", (*SUITE, *KEPT)),
    ("SELECT id FROM pet WHERE id > = 2", "SELECT id FROM pet WHERE id > 1", (*SUITE, *KEPT)),
    ("SELECT id FROM pet WHERE id < = 2", "SELECT id FROM pet WHERE id ! = 3 AND id ! = 4", (*SUITE, *KEPT)),
    ("SELECT 2020", "SELECT year ( CurDate( ) )", (*SUITE, *KEPT)),
    ("SELECT id FROM pet", "SELECT id FROM pet, nobody", ()),
    ("SELECT id FROM nobody", "SELECT id FROM nobody", ALL),
    ("SELECT id FROM nobody", "SELECT name, kind FROM pet WHERE 0", ALL),  # two empty results agree
    ("SELECT id FROM nobody", "SELECT NULL", ()),
    ("SELECT NULL", "SELECT 0/0", ALL),
    ("SELECT NULL", "SELECT ''", ()),
    ("SELECT 1", "SELECT 1.0", ALL),
    ("SELECT 1", "SELECT '1'", ()),
    ("SELECT 2, 2.5", "SELECT 2.0, 2.5", BIRD),  # the quick rejection of upstream, see denotations.rejected
    ("SELECT 1e999", "SELECT 2e999", ALL),
    ("SELECT 1e999", "SELECT -1e999", ()),
    ("SELECT NULL", "SELECT 1e999 - 1e999", ALL),  # no NaN in SQLite
    ("SELECT x'00ff'", "SELECT x'00FF'", ALL),
    ("SELECT x'61'", "SELECT 'a'", ()),
    ("SELECT 9223372036854775807", "SELECT 9223372036854775806 + 1", ALL),
    ("SELECT 9223372036854775807", "SELECT 9223372036854775806", ()),
    ("SELECT 9223372036854775808", "SELECT 9223372036854775807 + 1.0", ALL),
    ("SELECT 'AB'", "SELECT CAST(x'41ff42' AS TEXT)", ALL),  # bytes that are no UTF-8 are left out
    ("SELECT 'a\U0001f600\u0000b'", "SELECT 'a\U0001f600' || char(0) || 'b'", ()),  # NUL: the gold query fails
    ("SELECT id, id FROM pet", "SELECT id AS a, id AS a FROM pet", ALL),
    ("SELECT id, id FROM pet", "SELECT id FROM pet", ()),
    ("SELECT 1 UNION ALL SELECT 1", "SELECT 1", BIRD),
    ("SELECT 1", "VALUES (1)", ALL),
    ("SELECT 1", "WITH one(a) AS (VALUES (1)) SELECT a FROM one;", ALL),
    ("SELECT 3", "SELECT count(*) FROM json_each('[1, 2, 3]')", ALL),
]  # fmt: skip


@pytest.mark.parametrize(("gold", "answer", "passes"), CASES)
def test_the_rules(desk: Desk, gold: str, answer: str, passes: tuple[str, ...]) -> None:
    if "\0" in gold:
        with pytest.raises(ReferenceFailsError, match=r"the gold query fails here .*null character"):
            desk.outcome(gold, answer)
        return
    written = [rule for rule in RULES if rule in SUITE + KEPT or not ("> =" in gold or "< =" in gold)]
    found = {rule for rule in written if desk.outcome(gold, answer, rule) is PASSED}
    assert found == set(passes)


def test_a_gold_query_that_fails_is_nobodys_fault_but_said(desk: Desk) -> None:
    with pytest.raises(ReferenceFailsError, match=r"p/0: the gold query fails here .*no such table: cow"):
        desk.outcome("SELECT * FROM cow", "SELECT 1")


def test_all_databases_of_a_folder_must_agree(desk: Desk) -> None:
    first = desk.database("several")
    other = desk.database("several", (*TOWN, "DELETE FROM pet WHERE id = 2"), file="several_1.sqlite")
    gold, lucky = "SELECT count(*) FROM pet", "SELECT 4"
    assert desk.outcome(gold, lucky, "test-suite", first) is PASSED
    judged = desk.judge(gold, lucky, "test-suite", first, other)
    assert judged.checks["sql"] is WRONG
    assert judged.evidence["database"] == other
    assert judged.evidence["expected"] == "1 rows: (3,)"
    assert judged.evidence["got"] == "1 rows: (4,)"
    assert desk.outcome(gold, "SELECT count(id) FROM pet", "test-suite", first, other) is PASSED
    judged = desk.judge(gold, "SELECT count(*) FROM pet WHERE id < 2 OR 0 < abs(id)", "bird", first, other)
    assert judged.checks["sql"] is PASSED


def test_what_an_error_says(desk: Desk) -> None:
    judged = desk.judge("SELECT 1", "SELECT nme FROM pet")
    assert judged.checks["sql"] is BROKEN
    assert judged.evidence == {
        "error": "OperationalError: no such column: nme", "database": "town/town.sqlite", "check": "sql",
    }  # fmt: skip


def test_soft_f1_is_measured_where_it_is_wanted(desk: Desk) -> None:
    assert desk.judge("SELECT 1, 2", "SELECT 1, 3", "bird").measures == {}
    assert desk.judge("SELECT 1, 2", "SELECT 1, 3", "bird", soft_f1=True).measures == {"soft_f1": 0.5}
    assert desk.judge("SELECT 1, 2", "SELECT", "bird", soft_f1=True).measures == {"soft_f1": 0.0}


# -- what is made of queries -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "without"),
    [
        ("SELECT DISTINCT a", "SELECT  a"),
        ("select count(distinct a)", "select count( a)"),
        ("SELECT 'DISTINCT', \"distinct\", `distinct`, [distinct] FROM t", None),
        ("SELECT 'it''s DISTINCT', DISTINCT b", "SELECT 'it''s DISTINCT',  b"),
        ("SELECT '\"' DISTINCT '\"'", "SELECT '\"'  '\"'"),
        ("SELECT 1 -- it's DISTINCT\n, DISTINCT b", "SELECT 1 -- it's DISTINCT\n,  b"),
        ("SELECT 1 /* it's\nDISTINCT */, DISTINCT b", "SELECT 1 /* it's\nDISTINCT */,  b"),
        ("SELECT 'open DISTINCT", None),
        ("SELECT distinctive, in_distinct, distinct2", None),
        ("", None),
    ],
)
def test_distinct_is_taken_out_where_it_is_a_word_of_sql(query: str, without: str | None) -> None:
    assert without_distinct(query) == (query if without is None else without)


@pytest.mark.parametrize("text", ["/*" * 300_000, "[" * 600_000, "'" * 600_001, "'a\"" * 200_000, "YEAR ( " * 90_000])
def test_a_long_query_is_read_once(text: str) -> None:
    began = time.process_time()
    assert len(without_distinct(text)) == len(text)
    assert time.process_time() - began < 2


def test_signs_and_years_as_upstream() -> None:
    assert of_test_suite("a > = 1 AND b < = 2 AND c ! = YEAR ( CURDATE ( ) ) ") == "a >= 1 AND b <= 2 AND c != 2020"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("SELECT date('now')", True), ("SELECT CURRENT_TIMESTAMP", True), ("SELECT current_date", True),
        ("SELECT datetime ( )", True), ("SELECT strftime('%Y')", True), ("SELECT julianday()", True),
        ("SELECT strftime('%Y', born) FROM t", False), ("SELECT date(born), known FROM t", False),
    ],
)  # fmt: skip
def test_whether_a_query_rests_on_the_day(query: str, said: bool) -> None:
    assert spoken_now(query) is said


def test_evidence_is_cut_before_it_is_written_down() -> None:
    assert len(shown([(b"\0" * (1 << 24), "x" * (1 << 24)) * 2000] * 9)) <= queries.short("x" * 10**6).__len__()
    assert shown([]) == "0 rows: "
    assert shown([(1, None)] * 6).endswith("(1, None), ...")


# -- together, and one by one ------------------------------------------------------------------------

COLUMNS = st.sampled_from(["id", "name", "kind", "weight", "count(*)", "max(weight)", "x'00ff'", "1e999", "no_such"])
QUERY = st.builds(
    lambda columns, where, order: f"SELECT {', '.join(columns)} FROM pet{where}{order}",
    st.lists(COLUMNS, min_size=1, max_size=3),
    st.sampled_from(["", " WHERE id > 1", " WHERE kind = 'cat'", " WHERE 0", " WHERE", " WHERE id = '\ud800'"]),
    st.sampled_from(["", " ORDER BY id DESC", " GROUP BY kind", "; DROP TABLE pet", "\0"]),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(answers=st.lists(QUERY, min_size=1, max_size=6), gold=st.sampled_from(["name, kind", "count(*)", "weight"]))
def test_together_is_as_one_by_one(desk: Desk, answers: list[str], gold: str) -> None:
    gold = f"SELECT {gold} FROM pet"
    assert desk.outcomes(gold, answers) == [desk.outcome(gold, answer) for answer in answers]


def test_questions_about_other_places_and_none_are_judged_together(desk: Desk) -> None:
    scorer = QueryScorer("sql", "test-suite")
    asked = [
        desk.problem("SELECT count(*) FROM pet"),
        Problem("p/1", {}, {"query": "SELECT 4", "databases": [":memory:"]}),
        desk.problem("SELECT 4"),
    ]
    answers = ["SELECT 4", "SELECT count(*) FROM pet", "SELECT count(*) FROM pet"]
    items = [(one, answer, desk.known(scorer, one)) for one, answer in zip(asked, answers, strict=True)]
    judged = scorer.score_many(items, desk.pool)
    assert [each.checks["sql"] for each in judged] == [PASSED, BROKEN, PASSED]


# -- what ends a process -----------------------------------------------------------------------------


def fake(scorer: QueryScorer, answers: list[str], runner: Deadly, tmp_path: Path) -> list[Outcome]:
    problem = Problem("p/1", {}, {"query": "SELECT 1", "databases": [":memory:"]})
    recorded = Recorded(tmp_path / "gold.gz", scorer.reference_programs(problem)[0])
    recorded.keep(b'{"loaded": true}\n{"value": [{"$": "tuple", "items": [1]}], "cpu_s": [0.0, 0.0]}\n')
    known = scorer.learn(problem, [recorded])
    return [each.checks["sql"] for each in scorer.score_many([(problem, each, known) for each in answers], runner)]


@pytest.mark.parametrize(
    ("end", "outcome", "processes"),
    [
        ({"ending": "memory_limit"}, Outcome.OUT_OF_MEMORY, 3),
        ({"ending": "signal"}, BROKEN, 3),
        ({"ending": "exit", "status": 1}, BROKEN, 3),
        ({"ending": "answer_limit"}, WRONG, 3),
        ({"ending": "cpu_limit"}, Outcome.TIMEOUT, 2),  # which says itself whose fault it is
        ({"ending": "wall_limit"}, Outcome.TIMEOUT, 5),  # each process again, alone
    ],
)
def test_a_query_that_ends_the_process_harms_itself(
    tmp_path: Path, end: dict[str, object], outcome: Outcome, processes: int
) -> None:
    runner = Deadly(deadly=end)
    answers = ["SELECT 1", "a deadly query", "SELECT 2", "SELECT 3"]
    assert fake(QueryScorer("sql", "qwen"), answers, runner, tmp_path) == [PASSED, outcome, PASSED, PASSED]
    assert len(runner.programs) == processes


def test_only_the_first_of_a_process_is_held_to_blame(tmp_path: Path) -> None:
    """One whose neighbours had left it no room is judged by what it does alone."""

    class Crowded(Deadly):
        def run(self, program: Program, decided: object = None):  # type: ignore[no-untyped-def]
            assert program.calls
            count = len(json.loads(program.calls.inputs))
            self.ends = {"large": {"ending": "answer_limit"}} if count > 3 else {}
            return super().run(program, decided)

    answers = ["SELECT 1", "SELECT 1", "a large query", "SELECT 1", "SELECT 1"]
    assert fake(QueryScorer("sql", "qwen"), answers, Crowded(), tmp_path) == [PASSED] * 5


def test_a_sandbox_gets_no_gold_query(desk: Desk, tmp_path: Path) -> None:
    runner = Deadly()
    problem = desk.problem("SELECT 'the gold' FROM pet", reference="'the gold' FROM pet")
    scorer = QueryScorer("sql", "test-suite")
    scorer.score(problem, "SELECT 1", desk.known(scorer, problem), runner)  # type: ignore[arg-type]
    (program,) = runner.programs
    assert "the gold" not in repr(program)
    assert program.folder == str(desk.folder)
    (asked,) = json.loads(program.calls.inputs)  # type: ignore[union-attr]
    assert asked[:3] == ["town/town.sqlite", "SELECT 1", 30.0]


def test_a_result_that_was_too_long_to_travel_is_wrong(tmp_path: Path) -> None:
    found = queries.answer_of(b'{"size": 300000000, "digest": "00", "plain": true}')
    assert (found.type_name, found.error) == ("OverflowError", "a result of 300000000 bytes")  # type: ignore[union-attr]
    for line in (b"x", b'{"value": 1}', b'{"loaded": true}', b'{"value": {"$": "object"}}', b"\xff"):
        assert queries.answer_of(line).type_name == "ForgedError"  # type: ignore[union-attr]


# -- databases that change, or cannot be read --------------------------------------------------------


def test_gold_is_kept_by_the_content_of_the_database(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    path = desk.database("changing")
    scorer, problem = QueryScorer("sql", "test-suite"), desk.problem("SELECT count(*) FROM pet", [path])
    dated = desk.problem("SELECT date('now')", [path])

    def places() -> list[Path]:
        references = References(scorer, make("none"))
        return [references.of(each)[0].path for each in (problem, dated)]

    first = places()
    assert places() == first
    monkeypatch.setattr(time, "strftime", lambda *_: "2031-02-03")
    another_day = places()
    assert another_day[0] == first[0]
    assert another_day[1] != first[1]
    desk.database("changing", (*TOWN, "DELETE FROM pet"))
    assert not set(places()) & {*first, *another_day}


def test_a_database_altered_since_gold_ran_is_refused(desk: Desk) -> None:
    path = desk.database("altered")
    scorer, problem = QueryScorer("sql", "test-suite"), desk.problem("SELECT count(*) FROM pet", [path])
    known = desk.known(scorer, problem)
    assert scorer.score(problem, "SELECT 4", known, desk.pool).checks["sql"] is PASSED
    desk.database("altered", (*TOWN, "INSERT INTO pet VALUES (5, 'Eve', 'cat', 1)"))
    with pytest.raises(DatasetError, match=r"altered\.sqlite: has changed since the gold query ran; start again"):
        scorer.score(problem, "SELECT 5", known, desk.pool)
    (desk.folder / path).unlink()
    with pytest.raises(DatasetError, match=r"altered\.sqlite: cannot be read"):
        scorer.score(problem, "SELECT 5", known, desk.pool)
    with pytest.raises(DatasetError, match=r"altered\.sqlite: cannot be read .*; get it again"):
        scorer.reference_programs(problem)


def test_a_lock_of_another_process_does_not_matter(desk: Desk) -> None:
    path = desk.folder / desk.database("locked")
    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        assert desk.outcome("SELECT count(*) FROM pet", "SELECT 4", "bird", "locked/locked.sqlite") is PASSED
        connection.execute("ROLLBACK")
    connection.close()


@pytest.mark.parametrize("bytes_", [b"", b"no database at all" * 1000], ids=["empty", "text"])
def test_a_file_that_is_no_database(desk: Desk, bytes_: bytes) -> None:
    path = desk.folder / "no" / "no.sqlite"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(bytes_)
    with pytest.raises(ReferenceFailsError, match="the gold query fails here"):
        desk.outcome("SELECT count(*) FROM pet", "SELECT 4", "bird", "no/no.sqlite")


def test_rights_are_part_of_what_is_kept(desk: Desk) -> None:
    """A failure to read it is not remembered once they are mended."""
    path = desk.database("mine")
    known = queries.content(desk.folder, path, "SELECT 1")
    os.chmod(desk.folder / path, 0o600)
    private = queries.content(desk.folder, path, "SELECT 1")
    assert (known != private, private) == (True, known + " private")
    os.chmod(desk.folder / path, 0o644)
    os.chmod(desk.folder / "mine", 0o700)
    assert queries.content(desk.folder, path, "SELECT 1") == private
    os.chmod(desk.folder / "mine", 0o755)
    assert queries.content(desk.folder, path, "SELECT 1") == known


def test_what_a_score_rests_on_is_said() -> None:
    scorer = QueryScorer("sql", "test-suite")
    tests = {"query": "", "databases": ["a/a.sqlite", "a/a_1.sqlite"]}
    filled = Problem("p/0", {}, tests, groups={"database": "filled"}, assets=("spider/database",))
    empty = Problem("p/1", {}, {**tests, "databases": ["b/b.sqlite"]}, groups={"database": "empty"},
                    assets=("spider/database_derived",))  # fmt: skip
    assert scorer.notes([filled]) == ["databases: 2 of spider/database"]
    assert scorer.notes([empty, empty])[1:] == [
        "the databases are derived, not the official ones",
        "2 problems ask about an empty database, where two empty results agree: b",
    ]
    assert scorer.notes([]) == []


def test_the_key_tells_rules_apart() -> None:
    keys = [json.dumps(QueryScorer("sql", rule).key(), sort_keys=True) for rule in RULES]  # type: ignore[arg-type]
    assert len(set(keys)) == len(RULES)
    assert math.isfinite(QueryScorer("sql", "qwen").key()["cpu_s"])
    assert PLACE not in "".join(keys)
