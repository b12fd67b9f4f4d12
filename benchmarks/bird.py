"""BIRD: questions about large databases, with what one has to know beside their tables (arXiv 2305.03111)."""

from dataclasses import replace

from qwencoder_eval.benchmark import Asking, Benchmark, Golden, Scoring
from qwencoder_eval.datasets.rows import Rows
from qwencoder_eval.extraction.sql import BASE_STOPS, CHAT_STOPS, answered_query, continued_query, tagged_query
from qwencoder_eval.scoring.efficiency import EfficiencyScorer
from qwencoder_eval.scoring.queries import QueryScorer
from qwencoder_eval.text_to_sql import NOTHING, answered, asked_to_think, continued
from qwencoder_eval.types import Problem, Sampling

ROWS = {
    "dev": Rows(
        version="dev", file="bird/dev.json", databases=("bird/dev_databases", "bird/database"), count=1534,
        sha256="0460e8078739ac0ac2f1adb08ebfb1cdf46dc65216247d2e8e4ccd9917ac800f",
    ),
    "mini-dev": Rows(
        version="mini-dev", file="bird/mini_dev.json", databases=("bird/dev_databases", "bird/database"), count=500,
        sha256="5464c15cc0710ab761b6031855ef24147f6359bd5c94f58d5c459b6c35d50a17",
    ),
}  # fmt: skip
INSTRUCTION = "-- Using valid SQLite{}, answer the following questions for the tables provided above.\n"
ROW = {
    "question_id": 0, "db_id": "none", "question": "How many are a pair?", "evidence": "a pair refers to 1 + 1",
    "SQL": "SELECT 1 + 1", "difficulty": "simple",
}  # fmt: skip


def without_knowledge(problem):
    return continued(replace(problem, fields={**problem.fields, "instruction": INSTRUCTION.format("")}))


def behind_select(query):
    """The query as what goes on behind SELECT; some gold queries begin with WITH."""
    query = query.strip()
    return query[len("SELECT ") :] if query.startswith("SELECT ") else f"* FROM ({query})"


class Bird(Benchmark):
    """Databases: ``bird/dev_databases``, the official ones as they are unpacked, or ``bird/database``.

    ``bird``: upstream's execution accuracy and soft F1; ``qwen``: the Qwen2.5-Coder report's, which has the same rule;
    ``r-ves``: what rests on timing, too. Recorded queries can be scored under each of them.
    """

    name = "bird"
    version = "1"
    parts = ("dev", "mini-dev")
    languages = ("sqlite",)
    apart = {"mini-dev": "mini-dev: 500 of the questions of dev, 35 of them revised"}
    reference = "https://github.com/bird-bench/mini_dev/blob/4d970a9/evaluation/evaluation_ex.py"
    profiles = {
        "bird": ("base", "bird"),
        "bird-chat": ("chat", "bird-chat"),
        "qwen": ("base", "qwen"),
        "qwen-instruct": ("chat", "qwen-chat"),
        "qwen-instruct-cot": ("cot", "qwen-cot"),
        "qwen-no-knowledge": ("no-knowledge", "qwen"),
        "r-ves": ("base", "r-ves"),
        "r-ves-chat": ("chat", "r-ves-chat"),
    }
    decontaminate = ("question", "SQL")

    @property
    def asking(self):
        rows = ROWS[self.part or "dev"]
        return {
            "base": Asking(rows, continued, Sampling(max_tokens=512, stop=BASE_STOPS)),
            "chat": Asking(rows, answered, Sampling(max_tokens=1024, stop=CHAT_STOPS)),
            "cot": Asking(rows, asked_to_think, Sampling(max_tokens=1024)),
            "no-knowledge": Asking(rows, without_knowledge, Sampling(max_tokens=512, stop=BASE_STOPS)),
        }

    @property
    def scoring(self):
        plain, soft = QueryScorer(self.name, "bird"), QueryScorer(self.name, "bird", soft_f1=True)
        return {
            "bird": Scoring(continued_query, soft),
            "bird-chat": Scoring(answered_query, soft),
            "qwen": Scoring(continued_query, plain),
            "qwen-chat": Scoring(answered_query, plain),
            "qwen-cot": Scoring(tagged_query, plain),
            "r-ves": Scoring(continued_query, EfficiencyScorer(plain)),
            "r-ves-chat": Scoring(answered_query, EfficiencyScorer(plain)),
        }

    @property
    def golden(self):
        passed, wrong, error = ({self.name: each} for each in ("passed", "wrong", "runtime_error"))
        twice = " 2 UNION ALL SELECT 2"  # a set of rows, as BIRD has it
        return (
            Golden(ROW, " 2", passed),
            Golden(ROW, twice, passed),
            Golden(ROW, " 2, 2", wrong),
            Golden(ROW, " nothing FROM nowhere", error),
            Golden(ROW, "```sql\nSELECT 2;\n```", passed, profile="bird-chat"),
            Golden(ROW, twice, passed, profile="qwen"),
            Golden(ROW, "A pair are two: select 2", error, profile="qwen-instruct"),
            Golden(ROW, "SELECT 2;", passed, profile="qwen-instruct"),
            Golden(ROW, "One and one. [SQL]SELECT 1 + 2[/SQL]", wrong, profile="qwen-instruct-cot"),
            Golden(ROW, " 2; DROP TABLE pairs", error, profile="qwen-no-knowledge"),
            Golden(ROW, " 2", passed, profile="r-ves"),
            Golden(ROW, " 3", wrong, profile="r-ves"),
            Golden(ROW, "SELECT 2", passed, profile="r-ves-chat"),
        )

    def problem(self, row):
        known = row.get("database", NOTHING)
        knowledge = f"-- External Knowledge: {row['evidence']}\n\n"
        fields = {
            "tables": known["tables"],
            "examples": 0,
            "question": row["question"],
            "instruction": knowledge + INSTRUCTION.format(" and understanding External Knowledge") + "\n",
        }
        groups = {"difficulty": row["difficulty"]} | ({} if known["rows"] else {"database": "empty"})
        return Problem(
            f"bird/{row['question_id']}", fields, {"query": row["SQL"], "databases": known["files"]}, stub="SELECT ",
            reference=behind_select(row["SQL"]), groups=groups, assets=(known["place"],) if known["place"] else (),
        )  # fmt: skip
