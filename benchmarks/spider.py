"""Spider: questions about databases that no training question is about, answered in SQL (arXiv 1809.08887)."""

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.sql import BASE_STOPS, CHAT_STOPS, answered_query, continued_query, tagged_query
from qwencoder_eval.scoring.queries import QueryScorer
from qwencoder_eval.scoring.spider_match import hardness
from qwencoder_eval.text_to_sql import NOTHING, answered, asked_to_think, continued
from qwencoder_eval.types import Problem, Sampling

ROWS = Rows(
    version="dev", file="spider/dev.json.gz", join=("spider/tables.json", "db_id"), numbered=True, count=1034,
    databases=("spider/database", "spider/database_derived"),
    sha256="3387054a4b3fc96fd9fca7ce4499e260786d8ba38e2559d13d58293673f7fdd7",
)  # fmt: skip
SCHEMA = ("table_names_original", "column_names_original", "foreign_keys")
INSTRUCTION = "-- Using valid SQLite, answer the following questions for the tables provided above.\n"
ROW = {
    "number": 0, "db_id": "none", "question": "How many tables are there?", "sql": {},
    "query": "SELECT count(*) FROM sqlite_master", "table_names_original": ["sqlite_master"],
    "column_names_original": [[-1, "*"], [0, "name"]], "foreign_keys": [],
}  # fmt: skip


class Spider(Benchmark):
    """Databases: ``spider/database``, or ``spider/database_derived``, which is not the official one and is said to be
    so; further databases of a test suite beside each of them count where they are there.

    ``test-suite``: upstream's rule, DISTINCT taken out of both queries; ``distinct-kept``: the same with it; ``qwen``:
    the Qwen2.5-Coder report's, which never asks for order.
    """

    name = "spider"
    version = "1"
    reference = "https://github.com/taoyds/test-suite-sql-eval/blob/e97acc5/exec_eval.py"
    asking = {
        "base": Asking(ROWS, continued, Sampling(max_tokens=512, stop=BASE_STOPS)),
        "chat": Asking(ROWS, answered, Sampling(max_tokens=1024, stop=CHAT_STOPS)),
        "cot": Asking(ROWS, asked_to_think, Sampling(max_tokens=1024)),
    }
    scoring = {
        "test-suite": Scoring(continued_query, QueryScorer("spider", "test-suite", exact=True)),
        "distinct-kept": Scoring(continued_query, QueryScorer("spider", "distinct-kept", exact=True)),
        "qwen": Scoring(continued_query, QueryScorer("spider", "qwen", exact=True)),
        "chat": Scoring(answered_query, QueryScorer("spider", "test-suite", exact=True)),
        "qwen-chat": Scoring(answered_query, QueryScorer("spider", "qwen", exact=True)),
        "qwen-cot": Scoring(tagged_query, QueryScorer("spider", "qwen", exact=True)),
    }
    profiles = {
        "test-suite": ("base", "test-suite"),
        "distinct-kept": ("base", "distinct-kept"),
        "test-suite-chat": ("chat", "chat"),
        "qwen": ("base", "qwen"),
        "qwen-instruct": ("chat", "qwen-chat"),
        "qwen-instruct-cot": ("cot", "qwen-cot"),
    }
    decontaminate = ("question", "query")
    golden = (
        Golden(ROW, " count(name) FROM sqlite_master", {"spider": "passed"}),
        Golden(ROW, " count(*) + 1 FROM sqlite_master", {"spider": "wrong"}),
        Golden(ROW, " nothing FROM nowhere", {"spider": "runtime_error"}),
        Golden(ROW, " 0; DROP TABLE singer", {"spider": "runtime_error"}),
        Golden(ROW, "```sql\nSELECT 0;\n```", {"spider": "passed"}, profile="qwen-instruct"),
        Golden(ROW, "None. [SQL]SELECT 1[/SQL]", {"spider": "wrong"}, profile="qwen-instruct-cot"),
    )

    def problem(self, row):
        known = row.get("database", NOTHING)
        fields = {"tables": known["tables"], "examples": 3, "question": row["question"], "instruction": INSTRUCTION}
        tests = {"query": row["query"], "databases": known["files"], **{name: row[name] for name in SCHEMA}}
        groups = {"database": "filled" if known["rows"] else "empty"}
        if row["sql"]:
            groups["hardness"] = hardness(row["sql"])
        return Problem(
            f"spider/{row['number']}", fields, tests, stub="SELECT ", reference=row["query"][len("SELECT ") :],
            groups=groups, assets=(known["place"],) if known["place"] else (),
        )  # fmt: skip
